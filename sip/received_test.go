package sip

import (
	"net/netip"
	"testing"
)

var source = netip.MustParseAddrPort("192.0.2.99:34567")

func TestMarkReceived(t *testing.T) {
	for _, c := range []struct{ name, via, from, want string }{
		{"TPT-03/same-address", "SIP/2.0/UDP 192.0.2.99;branch=z9hG4bK1", "", "SIP/2.0/UDP 192.0.2.99;branch=z9hG4bK1"},
		{"TPT-03/other-address", "SIP/2.0/UDP 10.1.1.1:5070;branch=z9hG4bK1", "", "SIP/2.0/UDP 10.1.1.1:5070;branch=z9hG4bK1;received=192.0.2.99"},
		{"TPT-03/name", "SIP/2.0/UDP pc.example.com;branch=z9hG4bK1", "", "SIP/2.0/UDP pc.example.com;branch=z9hG4bK1;received=192.0.2.99"},
		{"TPT-03/mapped-source", "SIP/2.0/UDP 192.0.2.99;branch=z9hG4bK1", "[::ffff:192.0.2.99]:5060", "SIP/2.0/UDP 192.0.2.99;branch=z9hG4bK1"},
		{"TPT-03/ipv6", "SIP/2.0/TCP [2001:DB8::1];branch=z9hG4bK1", "[2001:db8::2]:5060", "SIP/2.0/TCP [2001:DB8::1];branch=z9hG4bK1;received=2001:db8::2"},
		{"TPT-03/ipv6-same", "SIP/2.0/TCP [2001:DB8:0::1];branch=z9hG4bK1", "[2001:db8::1]:5060", "SIP/2.0/TCP [2001:DB8:0::1];branch=z9hG4bK1"},
		{"TPT-04/rport", "SIP/2.0/UDP 192.0.2.99;rport;branch=z9hG4bK1", "", "SIP/2.0/UDP 192.0.2.99;branch=z9hG4bK1;received=192.0.2.99;rport=34567"},
		{"TPT-04/rport-list", "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1 ;rport , SIP/2.0/UDP a.example.com", "", "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1 ;received=192.0.2.99;rport=34567 , SIP/2.0/UDP a.example.com"},
		{"lies-are-replaced", "SIP/2.0/UDP 192.0.2.99;received=203.0.113.1;rport=1;x=\";received\"", "", "SIP/2.0/UDP 192.0.2.99;x=\";received\";received=192.0.2.99;rport=34567"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := mustParse(t, "OPTIONS sip:example.com SIP/2.0\r\nVia: "+c.via+"\r\n"+basics("OPTIONS")+"\r\n")
			from := source
			if c.from != "" {
				from = netip.MustParseAddrPort(c.from)
			}
			m.MarkReceived(from)
			got, _ := m.Header(HeaderVia)
			if got != c.want {
				t.Errorf("Via is %q, want %q", got, c.want)
			}
			item, _, _ := nextItem(got)
			again, err := ParseVia(item)
			if err != nil || again != m.Via {
				t.Errorf("the row reads as %+v (%v), m.Via is %+v", again, err, m.Via)
			}
		})
	}
}

func TestReceivedReadsBothForms(t *testing.T) {
	for _, value := range []string{"[2001:db8::9:1]", "2001:db8::9:1"} { // MSG-29, RFC 5118 §4.5
		via, err := ParseVia("SIP/2.0/UDP [2001:db8::9:1];received=" + value + ";rport=5061")
		if err != nil {
			t.Fatal(err)
		}
		addr, port := via.Received()
		if addr != netip.MustParseAddr("2001:db8::9:1") || port != 5061 {
			t.Errorf("received=%s gives %s and %d", value, addr, port)
		}
	}
}

// basics gives every required row but Via.
func basics(method string) string {
	return "From: <sip:alice@example.com>;tag=a1\r\nTo: <sip:bob@example.com>\r\nCall-ID: c1\r\nCSeq: 1 " + method + "\r\nMax-Forwards: 70\r\n"
}

func mustParse(t *testing.T, s string) *Message {
	t.Helper()
	m, err := Parse([]byte(s))
	if err != nil {
		t.Fatalf("%v\n%s", err, s)
	}
	return m
}
