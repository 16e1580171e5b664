package sipserver

import (
	"net/netip"
	"slices"
	"testing"
	"time"
	"unique"

	"vigie/event"
	"vigie/sip"
	"vigie/sip/transport"
)

// Which answers to NOTIFY end the subscription (EVT-18), count as silence
// (EVT-19), or leave it alive (EVT-20): RFC 6665 §4.2.2, RFC 5057 §5.1.
func TestOutcomes(t *testing.T) {
	gone := []int{404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 502, 604}
	for status := 200; status < 700; status++ {
		want := event.Failed
		switch {
		case status < 300:
			want = event.Delivered
		case status == 408:
			want = event.Silent
		case slices.Contains(gone, status):
			want = event.Gone
		}
		if got := outcome(status, nil).Result; got != want {
			t.Errorf("%d gives %v, want %v", status, got, want)
		}
	}
}

func TestOutcomeRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"10":                 10 * time.Second,
		"18000;duration=360": time.Hour, // at most an hour
		"120 (in a meeting)": 2 * time.Minute,
		"soon":               0,
		"":                   0,
	} {
		r := &sip.Message{Status: 503}
		r.Add(sip.HeaderRetryAfter, value)
		if got := outcome(503, r); got.Result != event.Failed || got.RetryAfter != want {
			t.Errorf("Retry-After %q gives %v, want %v", value, got, want)
		}
	}
}

// DLG-03: RFC 3261 §12.2.1.1, loose and strict first hops.
func TestRouting(t *testing.T) {
	const target = "sip:bob@client"
	for _, c := range []struct{ routes, request, route string }{
		{"<sip:p1;lr>, <sip:p2>", target, "<sip:p1;lr>, <sip:p2>"},
		{"<sip:p1;LR=on>", target, "<sip:p1;LR=on>"},
		{"<sip:p1>, <sip:p2;lr>", "sip:p1", "<sip:p2;lr>, <sip:bob@client>"},
		{"<sip:p1>", "sip:p1", "<sip:bob@client>"},
		{"\"a, b\" <sip:p1;lr>", target, "\"a, b\" <sip:p1;lr>"},
	} {
		request, route := routing(target, c.routes)
		if request != c.request || route != c.route {
			t.Errorf("%s: got %s with Route %s, want %s with %s", c.routes, request, route, c.request, c.route)
		}
	}
}

func testParts(t testing.TB) parts {
	t.Helper()
	p, err := makeParts([partCount]string{
		partCallID: "call", partRemoteTag: "theirs", partLocal: "sip:alice@example.com",
		partRemote: "sip:bob@example.com", partTarget: "sip:bob@client", partWatcher: "sip:bob@home.example.com",
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func testCommon(s *Server) unique.Handle[common] {
	return unique.Make(common{server: s, contact: "<sip:server>", event: "presence"})
}

func TestParts(t *testing.T) {
	p := testParts(t)
	if got := p.at(partCallID) + " " + p.at(partRoutes) + " " + p.at(partWatcher); got != "call  sip:bob@home.example.com" {
		t.Errorf("parts read back as %q", got)
	}
	q, err := p.with(partTarget, "sip:elsewhere")
	if err != nil || q.at(partTarget) != "sip:elsewhere" || q.at(partWatcher) != p.at(partWatcher) || p.at(partTarget) != "sip:bob@client" {
		t.Errorf("changed parts are %+v, %v", q, err)
	}
	if _, err := p.with(partTarget, string(make([]byte, 70000))); err == nil {
		t.Error("parts beyond 65535 bytes must be refused")
	}
}

// A dialog comes back from its record with CSeq above all that may have been
// sent (DLG-04).
func TestDialogRecord(t *testing.T) {
	way := transport.Flow{Protocol: transport.TLS, Local: home, Remote: netip.MustParseAddrPort("[2001:db8::1]:5061")}
	server := &Server{}
	d := &dialog{common: testCommon(server), tag: newTag(), parts: testParts(t), flow: makeFlow(way), remoteCSeq: 7, localCSeq: 12, direct: true, local: true}
	got := &dialog{}
	record := d.AppendRecord(nil)
	flow, err := got.read(server, record, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got.common != d.common || got.tag != d.tag || flow != way || got.parts != d.parts || got.remoteCSeq != 7 || got.localCSeq != 12+reserve || !got.direct || !got.local {
		t.Errorf("came back as %+v", got)
	}
	d.remoteCSeq, d.localCSeq = 8, 40
	mark, ok := d.AppendMark(nil)
	if _, err := got.read(server, record, mark); !ok || err != nil {
		t.Fatalf("a mark after two numbers have changed: %v, read: %v", ok, err)
	}
	if got.remoteCSeq != 8 || got.localCSeq != 40+reserve || got.reserved != got.localCSeq || got.parts != d.parts {
		t.Errorf("came back by its mark as %+v", got)
	}
	if _, err := got.read(server, record, mark[:1]); err == nil {
		t.Error("a mark that is cut off was taken")
	}
}

// A refresh leaves the record of a dialog as it is when the watcher is where it
// was; a move, even one taken back, has it written again.
func TestDialogMark(t *testing.T) {
	onEdge(t, func(t *testing.T, e *edge) {
		bob := netip.MustParseAddrPort("10.0.0.1:5060")
		way := e.wire.UDPFlow(home, bob)
		d := e.dialog("sip:bob@10.0.0.1:5060", bob, true)
		cseq := uint32(0)
		refresh := func(target string, f transport.Flow, direct bool) place {
			cseq++
			before, err := d.advance(cseq, target, f, direct)
			if err != nil {
				t.Fatal(err)
			}
			return before
		}
		marks := func(what string, want bool) {
			t.Helper()
			if _, ok := d.AppendMark(nil); ok != want {
				t.Errorf("%s: a mark says all: %v, want %v", what, ok, want)
			}
			d.AppendRecord(nil)
		}
		refresh("", way, true)
		marks("without a Contact", true)
		refresh("sip:bob@10.0.0.1:5060", way, true)
		marks("the same Contact", true)
		refresh("sip:bob@10.0.0.2:5060", way, true)
		marks("another Contact", false)
		for contact, want := range map[string]bool{
			"<sip:bob@10.0.0.2:5060>":                         true,
			"<sip:bob@10.0.0.1:5060>":                         false,
			"sip:bob@10.0.0.2:5060":                           false,
			"<sip:bob@10.0.0.2:5060>;expires=1":               false,
			"<sip:bob@10.0.0.2:5060>, <sip:bob@10.0.0.1:506>": false,
			"<": false,
			"":  false,
		} {
			if got := d.targets(contact, way); got != want {
				t.Errorf("the Contact %q is the one there is: %v, want %v", contact, got, want)
			}
		}
		if d.targets("<sip:bob@10.0.0.2:5060>", e.wire.UDPFlow(home, netip.MustParseAddrPort("127.0.0.1:5060"))) {
			t.Error("a Contact is not looked at again although the watcher has come nearer")
		}
		refresh("", e.wire.UDPFlow(home, netip.MustParseAddrPort("10.0.0.1:5062")), true)
		marks("another port", false)
		before := refresh("sip:bob@10.0.0.3:5060", way, true)
		d.AppendRecord(nil)
		d.undo(before)
		marks("a move taken back", false)
		d.follow(moved("<sip:bob@10.0.0.4:5060>"))
		marks("the Contact of a 200", false)
		d.follow(moved("<sip:bob@10.0.0.4:5060>"))
		marks("the same again", true)
		refresh("sip:bob@10.0.0.5:5060", way, false)
		marks("through a proxy", false)
	})
}

// moved is the 200 of a watcher that is elsewhere from now on.
func moved(contact string) *sip.Message {
	m := &sip.Message{Status: 200}
	m.Add(sip.HeaderContact, contact)
	return m
}

// A NOTIFY is printed into the space given, and neither it nor the answer to it
// leaves anything behind.
func TestNotifyAllocations(t *testing.T) {
	onEdge(t, func(t *testing.T, e *edge) {
		d := e.dialog("sip:bob@10.0.0.1:5060", netip.MustParseAddrPort("10.0.0.1:5060"), true)
		d.subscription = heedless{}
		n := notification(10)
		space := make([]byte, 0, 4096)
		if got := testing.AllocsPerRun(100, func() { d.print(space, n) }); got > 0 {
			t.Errorf("printing makes %v allocations, want none", got)
		}
		ok := &sip.Message{Status: 200}
		if got := testing.AllocsPerRun(100, func() { d.Done(200, ok, nil) }); got > 0 {
			t.Errorf("an answer makes %v allocations, want none", got)
		}
	})
}

// heedless is a subscription that takes every outcome.
type heedless struct{ event.Subscription }

func (heedless) Notified(event.Outcome) {}

func FuzzDialogRecord(f *testing.F) {
	f.Add((&dialog{common: testCommon(nil), parts: testParts(f), remoteCSeq: 7}).AppendRecord(nil), []byte{8, 64})
	f.Fuzz(func(t *testing.T, record, mark []byte) {
		d := &dialog{}
		if _, err := d.read(&Server{}, record, mark); err != nil {
			return
		}
		for i := range partCount {
			_ = d.parts.at(i)
		}
	})
}

// Reason phrases carry what a peer sent without its control characters
// (SEC-15).
func TestPhrase(t *testing.T) {
	if got := phrase("bad\r\nVia: x\x00"); got != "Bad  Via: x " {
		t.Errorf("got %q", got)
	}
}
