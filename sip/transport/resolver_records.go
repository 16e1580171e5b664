package transport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// service is a name to ask SRV, or address, records of.
type service struct {
	protocol Protocol
	name     string
	host     bool // the name is a host's, without SRV (NAPTR flag "a")
}

// serviceOf is the SRV name of a protocol (RFC 3263 §4.1).
func serviceOf(p Protocol, host string) service {
	switch p {
	case UDP:
		return service{protocol: p, name: "_sip._udp." + host}
	case TCP:
		return service{protocol: p, name: "_sip._tcp." + host}
	default:
		return service{protocol: p, name: "_sips._tcp." + host}
	}
}

// naptr gives the services a domain names, best first: those we speak, of the
// lowest order that has any (RFC 3263 §4.1, RFC 3403 §4.1). For sips, only
// secure ones count. A server that fails on the question is taken as one that
// has no answer: the questions that follow will tell.
func (r *Resolver) naptr(ctx context.Context, w wanted) []service {
	answers, err := r.query(ctx, w.host, dns.TypeNAPTR)
	if err != nil {
		return nil
	}
	var usable []*dns.NAPTR
	for _, rr := range answers {
		n, ok := rr.(*dns.NAPTR)
		if !ok || n.Regexp != "" {
			continue
		}
		p := naptrProtocol(n.Service)
		if p != 0 && slices.Contains(r.protocols, p) && (p.Secure() || !w.secure) {
			usable = append(usable, n)
		}
	}
	slices.SortStableFunc(usable, func(a, b *dns.NAPTR) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.Preference, b.Preference))
	})
	var services []service
	for _, n := range usable {
		if n.Order != usable[0].Order {
			break
		}
		s := service{protocol: naptrProtocol(n.Service), name: n.Replacement}
		switch strings.ToLower(n.Flags) {
		case "s":
		case "a":
			s.host = true
		default:
			continue
		}
		services = append(services, s)
	}
	return services
}

func naptrProtocol(service string) Protocol {
	switch strings.ToUpper(service) {
	case "SIP+D2U":
		return UDP
	case "SIP+D2T":
		return TCP
	case "SIPS+D2T":
		return TLS
	}
	return 0
}

// services gives the targets behind service names. A name without SRV records
// gives none; a question that could not be asked is an error unless another
// one was answered.
func (r *Resolver) services(ctx context.Context, w wanted, services []service) ([]Target, error) {
	var targets []Target
	var failed error
	for _, s := range services {
		var found []Target
		var err error
		if s.host {
			found, err = r.hosts(ctx, w, s.protocol, s.name, 0)
		} else {
			found, err = r.srv(ctx, w, s)
		}
		if err != nil && failed == nil {
			failed = err
		}
		targets = append(targets, found...)
	}
	if len(targets) > 0 {
		return targets, nil
	}
	return nil, failed
}

func (r *Resolver) srv(ctx context.Context, w wanted, s service) ([]Target, error) {
	answers, err := r.query(ctx, s.name, dns.TypeSRV)
	if err != nil {
		return nil, err
	}
	var records []*dns.SRV
	for _, rr := range answers {
		if record, ok := rr.(*dns.SRV); ok {
			records = append(records, record)
		}
	}
	if len(records) == 1 && records[0].Target == "." {
		return nil, fmt.Errorf("%s says that there is no such service", s.name)
	}
	var targets []Target
	for _, record := range r.order(records) {
		found, hostErr := r.hosts(ctx, w, s.protocol, record.Target, record.Port)
		if hostErr != nil {
			err = hostErr // the others may still do
		}
		targets = append(targets, found...)
	}
	if len(targets) > 0 {
		return targets, nil
	}
	return nil, err
}

// order sorts records as RFC 2782 says: by priority, and by chance according
// to weight where priorities are equal.
func (r *Resolver) order(records []*dns.SRV) []*dns.SRV {
	// Weight 0 first within a priority, so that such records have a small chance
	// to be chosen before the others.
	slices.SortStableFunc(records, func(a, b *dns.SRV) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Weight, b.Weight))
	})
	ordered := make([]*dns.SRV, 0, len(records))
	for len(records) > 0 {
		n, sum := 0, 0
		for n < len(records) && records[n].Priority == records[0].Priority {
			sum += int(records[n].Weight)
			n++
		}
		point := r.intn(sum + 1)
		chosen, running := 0, int(records[0].Weight)
		for running < point {
			chosen++
			running += int(records[chosen].Weight)
		}
		ordered = append(ordered, records[chosen])
		records = slices.Delete(records, chosen, chosen+1)
	}
	return ordered
}

// addresses gives a host's A, then its AAAA records. One of the two questions
// may fail as long as the other one is answered.
func (r *Resolver) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	var addrs []netip.Addr
	var failed error
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		answers, err := r.query(ctx, host, kind)
		if err != nil {
			failed = err
		}
		for _, rr := range answers {
			var ip net.IP
			switch rr := rr.(type) {
			case *dns.A:
				ip = rr.A
			case *dns.AAAA:
				ip = rr.AAAA
			}
			if a, ok := netip.AddrFromSlice(ip); ok {
				addrs = append(addrs, a.Unmap())
			}
		}
	}
	if len(addrs) > 0 {
		return addrs, nil
	}
	if failed == nil {
		failed = fmt.Errorf("%s has no address", host)
	}
	return nil, failed
}

// query asks the servers in order until one answers; no such name, and a
// server that cannot answer such questions, give no records.
func (r *Resolver) query(ctx context.Context, name string, kind uint16) ([]dns.RR, error) {
	question := new(dns.Msg)
	question.SetQuestion(dns.Fqdn(name), kind)
	question.SetEdns0(1232, false)
	failed := errors.New("no DNS server is configured")
	for _, server := range r.servers {
		answer, err := r.ask(ctx, server, question)
		if err != nil {
			failed = fmt.Errorf("ask %s for %s of %s: %w", server, dns.TypeToString[kind], name, err)
			continue
		}
		switch answer.Rcode {
		case dns.RcodeSuccess, dns.RcodeNameError:
			return answer.Answer, nil
		case dns.RcodeNotImplemented, dns.RcodeFormatError:
			return nil, nil
		}
		failed = fmt.Errorf("ask %s for %s of %s: %s", server, dns.TypeToString[kind], name, dns.RcodeToString[answer.Rcode])
	}
	return nil, failed
}

// ask sends one question by UDP, and by TCP when the answer did not fit.
func (r *Resolver) ask(ctx context.Context, server string, question *dns.Msg) (*dns.Msg, error) {
	udp := dns.Client{Net: "udp", Timeout: r.timeout, UDPSize: 1232}
	answer, _, err := udp.ExchangeContext(ctx, question, server)
	if err == nil && answer.Truncated {
		tcp := dns.Client{Net: "tcp", Timeout: r.timeout}
		answer, _, err = tcp.ExchangeContext(ctx, question, server)
	}
	return answer, err
}
