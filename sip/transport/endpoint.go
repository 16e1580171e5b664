package transport

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Listen says where to listen: a protocol and a local address.
type Listen struct {
	Protocol Protocol
	Addr     netip.AddrPort
	// Advertise is the host that Via and Contact name in place of Addr's, such
	// as the public name of a machine behind a one-to-one address translation.
	Advertise string
}

// ParseListen reads "udp://127.0.0.1:5060", "tcp://[::1]:5060" or
// "tls://0.0.0.0". Without a port the protocol's default is meant; port 0 lets
// the system choose one.
func ParseListen(s string) (Listen, error) {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return Listen{}, fmt.Errorf("listen address %q: want protocol://address:port, such as udp://127.0.0.1:5060", s)
	}
	protocol, ok := protocolByScheme(strings.ToLower(scheme))
	if !ok {
		return Listen{}, fmt.Errorf("listen address %q: protocol %q is not one of udp, tcp, tls", s, scheme)
	}
	addr, err := parseListenAddr(rest, protocol.DefaultPort())
	if err != nil {
		return Listen{}, fmt.Errorf("listen address %q: %w", s, err)
	}
	return Listen{Protocol: protocol, Addr: addr}, nil
}

func parseListenAddr(s string, defaultPort uint16) (netip.AddrPort, error) {
	host, port := s, ""
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return netip.AddrPort{}, fmt.Errorf("the bracket around the IPv6 address is not closed")
		}
		host, port = s[1:end], s[end+1:]
		if port != "" && port[0] != ':' {
			return netip.AddrPort{}, fmt.Errorf("unexpected %q after the address", port)
		}
		if !strings.Contains(host, ":") {
			return netip.AddrPort{}, fmt.Errorf("%q in brackets is not an IPv6 address", host)
		}
	} else if strings.Count(s, ":") > 1 {
		return netip.AddrPort{}, fmt.Errorf("an IPv6 address goes in brackets, such as [::1]:%d", defaultPort)
	} else if i := strings.IndexByte(s, ':'); i >= 0 {
		host, port = s[:i], s[i:]
	}
	if host == "" {
		return netip.AddrPort{}, fmt.Errorf("no address; 0.0.0.0 or [::] listens on all of them")
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q is not a numeric IP address", host)
	}
	if addr.Is4In6() {
		return netip.AddrPort{}, fmt.Errorf("%s is an IPv4-mapped address; write %s", addr, addr.Unmap())
	}
	number := defaultPort
	if port != "" {
		n, err := strconv.ParseUint(port[1:], 10, 16)
		if err != nil {
			return netip.AddrPort{}, fmt.Errorf("port %q is not a number from 0 to 65535", port[1:])
		}
		number = uint16(n)
	}
	return netip.AddrPortFrom(addr, number), nil
}

// String writes what ParseListen reads.
func (l Listen) String() string { return l.Protocol.Scheme() + "://" + l.Addr.String() }

// Endpoint is how a listener names itself to peers: in the sent-by of Via and
// in Contact.
type Endpoint struct {
	Protocol Protocol
	Host     string // a name or an IP address, IPv6 in brackets
	Port     uint16
}

// HostPort gives "host:port", the sent-by of a Via.
func (e Endpoint) HostPort() string { return string(e.AppendHostPort(nil)) }

// AppendHostPort appends "host:port" to b.
func (e Endpoint) AppendHostPort(b []byte) []byte {
	b = append(b, e.Host...)
	b = append(b, ':')
	return strconv.AppendUint(b, uint64(e.Port), 10)
}

func (e Endpoint) String() string { return e.Protocol.Scheme() + "://" + e.HostPort() }

// hostOf writes an address as Via and URIs do: IPv6 in brackets, without zone.
func hostOf(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}

// addrPortOf reads the address of a connection's or packet's end.
func addrPortOf(a net.Addr) netip.AddrPort {
	var ap netip.AddrPort
	switch a := a.(type) {
	case *net.UDPAddr:
		ap = a.AddrPort()
	case *net.TCPAddr:
		ap = a.AddrPort()
	case nil:
	default:
		ap, _ = netip.ParseAddrPort(a.String())
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
