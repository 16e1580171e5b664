package transport

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"vigie/sip"
)

// Target is one place a request can be sent to.
type Target struct {
	Protocol   Protocol
	Addr       netip.AddrPort
	ServerName string // the domain that was looked up, which a TLS peer must prove to be
}

// Resolver finds the servers of a URI by RFC 3263: NAPTR, SRV, then A and AAAA.
// It asks its DNS servers in order; addresses also come from the hosts file.
type Resolver struct {
	servers   []string
	protocols []Protocol
	timeout   time.Duration
	files     *net.Resolver
	intn      func(n int) int // for weights
}

// ResolverOptions say whom to ask. Zero fields take the defaults.
type ResolverOptions struct {
	Servers   []netip.AddrPort // default: those of /etc/resolv.conf
	Protocols []Protocol       // what we can send by, best first; default UDP, TCP, TLS
	Timeout   time.Duration    // of one query, 2 s
}

// NewResolver makes a resolver.
func NewResolver(o ResolverOptions) (*Resolver, error) {
	orDefault(&o.Timeout, 2*time.Second)
	if len(o.Protocols) == 0 {
		o.Protocols = []Protocol{UDP, TCP, TLS}
	}
	r := &Resolver{protocols: o.Protocols, timeout: o.Timeout, files: hostsFile(), intn: rand.IntN}
	for _, s := range o.Servers {
		r.servers = append(r.servers, s.String())
	}
	if len(r.servers) > 0 {
		return r, nil
	}
	config, err := dns.ClientConfigFromFile("/etc/resolv.conf")
	if err != nil {
		return nil, fmt.Errorf("find the DNS servers: %w", err)
	}
	for _, s := range config.Servers {
		r.servers = append(r.servers, net.JoinHostPort(s, config.Port))
	}
	return r, nil
}

// hostsFile is the library's resolver with DNS cut off.
func hostsFile() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("only the hosts file is read here")
	}}
}

// wanted is what a URI says about where to go.
type wanted struct {
	host     string
	port     uint16   // 0: not said
	protocol Protocol // 0: not said
	secure   bool     // sips
}

// Locate gives the targets of a SIP URI in the order to try them (RFC 3263 §4).
// With more than one, go on to the next after a transport failure, a 503, or
// no answer at all, each time with a fresh branch (RFC 3263 §4.3).
func (r *Resolver) Locate(ctx context.Context, uri sip.URI) ([]Target, error) {
	w, err := r.want(uri)
	if err != nil {
		return nil, fmt.Errorf("locate %s: %w", uri, err)
	}
	targets, err := r.locate(ctx, w)
	if err != nil {
		return nil, fmt.Errorf("locate %s: %w", uri, err)
	}
	return targets, nil
}

// LocateSentBy gives where a response goes that cannot go back on its
// connection: the sent-by of its Via (RFC 3263 §5).
func (r *Resolver) LocateSentBy(ctx context.Context, p Protocol, host string, port uint16) ([]Target, error) {
	targets, err := r.locate(ctx, wanted{host: host, port: port, protocol: p})
	if err != nil {
		return nil, fmt.Errorf("locate sent-by %s: %w", host, err)
	}
	return targets, nil
}

// want reads scheme, host, maddr, port and transport of a URI (RFC 3263 §4).
func (r *Resolver) want(uri sip.URI) (wanted, error) {
	w := wanted{host: uri.Host, port: uri.Port}
	switch uri.Scheme {
	case "sip":
	case "sips":
		w.secure = true
	default:
		return w, fmt.Errorf("%q is not sip or sips", uri.Scheme)
	}
	if maddr, ok := uri.Params.Get("maddr"); ok && maddr != "" {
		w.host = maddr
	}
	if w.host == "" {
		return w, errors.New("there is no host")
	}
	transport, ok := uri.Params.Get("transport")
	if !ok {
		return w, nil
	}
	w.protocol, ok = protocolByScheme(strings.ToLower(transport))
	if !ok || !slices.Contains(r.protocols, w.protocol) {
		return w, fmt.Errorf("transport %q is not spoken here", transport)
	}
	if w.secure {
		if w.protocol == UDP {
			return w, errors.New("a sips URI cannot go by UDP")
		}
		w.protocol = TLS // RFC 3261 §26.2.2: transport names what TLS runs over
	}
	return w, nil
}

func (r *Resolver) locate(ctx context.Context, w wanted) ([]Target, error) {
	bare := strings.TrimSuffix(strings.TrimPrefix(w.host, "["), "]")
	if addr, err := netip.ParseAddr(bare); err == nil {
		return []Target{w.target(w.plain(), addr.Unmap(), w.port)}, nil
	}
	if w.port != 0 {
		return r.hosts(ctx, w, w.plain(), w.host, w.port)
	}
	targets, err := r.located(ctx, w)
	if err != nil || len(targets) > 0 {
		return targets, err
	}
	return r.hosts(ctx, w, w.plain(), w.host, 0)
}

// plain is the protocol when nothing but the URI decides (RFC 3263 §4.1).
func (w wanted) plain() Protocol {
	switch {
	case w.protocol != 0:
		return w.protocol
	case w.secure:
		return TLS
	}
	return UDP
}

func (w wanted) target(p Protocol, addr netip.Addr, port uint16) Target {
	if port == 0 {
		port = p.DefaultPort()
	}
	return Target{Protocol: p, Addr: netip.AddrPortFrom(addr, port), ServerName: w.host}
}

// located asks for services: the one of a given transport, else those that
// NAPTR names, else those of all we speak (RFC 3263 §4.1, §4.2). Nothing at all
// means that the host itself is to be tried.
func (r *Resolver) located(ctx context.Context, w wanted) ([]Target, error) {
	if w.protocol != 0 {
		return r.services(ctx, w, []service{serviceOf(w.protocol, w.host)})
	}
	named := r.naptr(ctx, w)
	if len(named) > 0 {
		targets, err := r.services(ctx, w, named)
		if err == nil && len(targets) == 0 {
			err = errors.New("its NAPTR records lead nowhere")
		}
		return targets, err
	}
	var all []service
	for _, p := range r.protocols {
		if p.Secure() == w.secure {
			all = append(all, serviceOf(p, w.host))
		}
	}
	return r.services(ctx, w, all)
}

// hosts turns a host name into targets: what the hosts file says, else its A
// and then its AAAA records.
func (r *Resolver) hosts(ctx context.Context, w wanted, p Protocol, host string, port uint16) ([]Target, error) {
	addrs, err := r.files.LookupNetIP(ctx, "ip", strings.TrimSuffix(host, "."))
	if err != nil {
		addrs, err = r.addresses(ctx, host)
	}
	if err != nil {
		return nil, err
	}
	targets := make([]Target, 0, len(addrs))
	for _, a := range addrs {
		targets = append(targets, w.target(p, a.Unmap(), port))
	}
	return targets, nil
}
