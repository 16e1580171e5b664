package interop

import (
	"testing"
	"time"
)

// F-06, the same request twice: the same 200 with the same tag, and watchers
// hear once (TRN-02, TRN-03). SIPp cannot: it takes the second 200 for a
// question.
func TestRequestRepeated(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	watcher := dial(t, s.addr(), "UDP", "bob")
	d := watcher.subscription("sip:alice@example.com")
	m := d.subscribe(600)
	first := watcher.ask(m)
	want(t, first, 200)
	watcher.send(m)
	second, ok := watcher.response(m, patience)
	if !ok || second.String() != first.String() {
		t.Errorf("TRN-03: SUBSCRIBE repeated: first\n%s\nthen\n%s", indent(first.String()), indent(second.String()))
	}
	d.learn(first)
	d.notify()

	owner := dial(t, s.addr(), "UDP", "alice")
	tag := owner.ask(owner.publish(600, "", pidf("alice", "open", "first", ""))).get("SIP-ETag")
	d.notify()
	modify := owner.publish(600, tag, pidf("alice", "open", "second", ""))
	var tags []string
	for range 3 {
		// One after the other's answer: what comes while the first is being
		// worked on is absorbed without one (RFC 3261 §17.2.2).
		owner.send(modify)
		r, ok := owner.response(modify, patience)
		if !ok {
			t.Fatal("a repeated PUBLISH got no answer")
		}
		want(t, r, 200)
		tags = append(tags, r.get("SIP-ETag"))
	}
	if tags[0] == tag || tags[0] != tags[1] || tags[1] != tags[2] {
		t.Errorf("TRN-03: tag %s, after one PUBLISH sent three times %v", tag, tags)
	}
	d.notify()
	if m, ok := d.awaits(time.Second); ok {
		t.Errorf("TRN-03: a second NOTIFY for one PUBLISH\n%s", indent(m.String()))
	}
}

// F-09 b, the repetitions: at 0, 0.5, 1.5, 3.5, 7.5 s and then every 4 s, with
// the same branch and CSeq, and none after 32 s (TRN-04, EVT-19). The exact
// times are shown where the clock is virtual; here it is their order.
func TestNotifyRepeated(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	p := dial(t, s.addr(), "UDP", "bob")
	d := p.subscription("sip:alice@example.com")
	d.open(3600)
	isNotify := func(m message) bool { return m.method() == "NOTIFY" }
	first, ok := p.take(patience, isNotify)
	if !ok {
		t.Fatal("no NOTIFY")
	}
	begin := time.Now()
	var at []time.Duration
	for time.Since(begin) < 36*time.Second {
		m, ok := p.take(36*time.Second-time.Since(begin), isNotify)
		if !ok {
			break
		}
		at = append(at, time.Since(begin))
		if m.get("Via") != first.get("Via") || m.get("CSeq") != first.get("CSeq") {
			t.Errorf("repeated NOTIFY differs:\n%s\nfirst was\n%s", indent(m.String()), indent(first.String()))
		}
	}
	// RFC 3261 §17.1.2.2 has ten: Timer E starts at 0.5 s and doubles to 4 s,
	// Timer F ends it at 32 s. On a busy machine some fall away.
	if len(at) < 6 || len(at) > 10 {
		t.Fatalf("TRN-04: %d repetitions at %v, want 10", len(at), at)
	}
	if n := len(at); at[1]-at[0] >= at[n-1]-at[n-3] {
		t.Errorf("TRN-04: repetitions at %v, want growing distances", at)
	}
	if last := at[len(at)-1]; last > 35*time.Second {
		t.Errorf("TRN-04: a repetition after %v", last)
	}
	want(t, p.ask(d.subscribe(3600)), 481)
}
