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
	for range 3 {
		owner.send(modify)
	}
	var tags []string
	for range 3 {
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
// the same branch and CSeq, and none after 32 s (TRN-04, EVT-19). The times are
// compared with generous room; their order and number are exact.
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
	// RFC 3261 §17.1.2.2: E starts at 0.5 s, doubles to 4 s; F ends it at 32 s.
	planned := []float64{0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5}
	if len(at) != len(planned) {
		t.Fatalf("TRN-04: %d repetitions at %v, want %d", len(at), at, len(planned))
	}
	for i, want := range planned {
		if got := at[i].Seconds(); got < want-0.4 || got > want+1.5 {
			t.Errorf("TRN-04: repetition %d after %.1f s, want %.1f s", i+1, got, want)
		}
	}
	want(t, p.ask(d.subscribe(3600)), 481)
}
