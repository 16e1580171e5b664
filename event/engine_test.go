package event

import (
	"testing"
	"time"
)

// An engine that closes while subscriptions end does not stumble over alarms it
// has dropped already.
func TestEndAfterClose(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		bob, carol := &ear{}, &ear{}
		h.say("hello", "")
		s := h.watch(bob, "sip:bob@example.com", time.Hour)
		h.watch(carol, "sip:carol@example.com", time.Hour)
		bob.take()
		h.Close()
		if _, err := h.refresh(s, 0); err != nil {
			t.Fatal(err)
		}
		bob.expect(t, "terminated timeout: hello ")
	})
}
