package interop

import (
	"strings"
	"testing"
	"time"
)

// A graceful stop keeps soft state and tells nobody that anything ended; after
// the restart tags, dialogs and CSeq go on (EVT-31, PUB-16, SCL-09, DLG-04).
func TestGracefulRestart(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	alice, bob := dial(t, s.addr(), "UDP", "alice"), dial(t, s.addr(), "UDP", "bob")
	tag := alice.ask(alice.publish(600, "", pidf("alice", "open", "first", ""))).get("SIP-ETag")
	d := bob.subscription("sip:alice@example.com")
	d.open(600)
	d.notify()

	s.process.crashed = true // on purpose, and in good order
	if err := s.process.stop(); err != nil {
		t.Fatalf("SIGTERM: %v", err)
	}
	s.readLog(s.process)
	s.run()

	if m, ok := d.awaits(time.Second); ok {
		d.accept(m)
		if got := m.get("Subscription-State"); strings.HasPrefix(got, "terminated") {
			t.Errorf("a stop ended the subscription: %s", got)
		}
	}
	r := alice.ask(alice.publish(600, tag, pidf("alice", "closed", "second", "")))
	want(t, r, 200)
	if r.get("SIP-ETag") == tag {
		t.Errorf("PUB-16: %s again", tag)
	}
	if m := d.notify(); noteIn(m) != "second" {
		t.Errorf("after the restart the watcher heard\n%s", indent(m.String()))
	}
	want(t, bob.ask(d.subscribe(600)), 200)
	d.notify()
}

// An account made while the server runs is there at once.
func TestAccountAddedWhileRunning(t *testing.T) {
	t.Parallel()
	s := start(t, setup{accounts: []string{"alice"}})
	s.addAccount("bob")
	bob := dial(t, s.addr(), "UDP", "bob")
	d := bob.subscription("sip:alice@example.com")
	c := bob.challenged(d.subscribe(600))["SHA-256"]
	want(t, bob.ask(d.subscribe(600).signed(c, credentials{"bob", password, "auth", 1})), 200)
}
