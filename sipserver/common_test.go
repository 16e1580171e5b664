package sipserver

import (
	"fmt"
	"testing"

	"vigie/sip/transport"
)

// What dialogs share is printed once, by where the SUBSCRIBE came in and what
// for; and however many event ids watchers think up, few are remembered.
func TestCommons(t *testing.T) {
	s := New(Options{})
	udp := arrival{own: transport.Endpoint{Protocol: transport.UDP, Host: "10.0.0.1", Port: 5060}, event: "presence"}
	tcp, tls, sips := udp, udp, udp
	tcp.own.Protocol, tls.own.Protocol, sips.own.Protocol, sips.secure = transport.TCP, transport.TLS, transport.TLS, true
	for want, a := range map[string]arrival{
		"<sip:10.0.0.1:5060>":               udp,
		"<sip:10.0.0.1:5060;transport=tcp>": tcp,
		"<sip:10.0.0.1:5060;transport=tls>": tls,
		"<sips:10.0.0.1:5060>":              sips,
	} {
		c := s.commons.of(s, a)
		if got := c.Value(); got != (common{s, want, "presence"}) || s.commons.of(s, a) != c {
			t.Errorf("%+v gives %+v, want the Contact %s", a, got, want)
		}
	}
	for i := range 10 * mostCommons {
		udp.event = fmt.Sprintf("presence;id=%d", i)
		if got := s.commons.of(s, udp).Value().event; got != udp.event {
			t.Fatalf("the Event field is %s, want %s", got, udp.event)
		}
	}
	if n := len(s.commons.known); n > mostCommons {
		t.Errorf("%d remembered, want at most %d", n, mostCommons)
	}
}

// BenchmarkCommon is what a SUBSCRIBE pays for what its dialog shares.
func BenchmarkCommon(b *testing.B) {
	s := New(Options{})
	a := arrival{own: transport.Endpoint{Protocol: transport.UDP, Host: "10.0.0.1", Port: 5060}, event: "presence"}
	b.ReportAllocs()
	for b.Loop() {
		s.commons.of(s, a)
	}
}
