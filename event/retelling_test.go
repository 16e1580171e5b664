package event

import (
	"context"
	"fmt"
	"testing"
	"time"

	"vigie/sip"
)

// audienceOf are so many ears who have just begun to watch, each by a record of
// its own.
func (h *house) audienceOf(r Resource, n int) []*ear {
	h.t.Helper()
	ears := make([]*ear, n)
	for i := range ears {
		name := fmt.Sprintf("%s%d", r.URI.User, i)
		ears[i] = &ear{record: []byte(name)}
		q := Subscribe{Resource: r, Watcher: who("sip:" + name + "@example.com"), Expires: 24 * time.Hour, Form: Form{Type: "text/plain"}}
		if _, err := h.Subscribe(context.Background(), q, ears[i]); err != nil {
			h.t.Fatal(err)
		}
	}
	hush(ears)
	return ears
}

var bob = Resource{Package: "words", URI: sip.MustURI("sip:bob@example.com")}

// sayOf publishes a word of a resource for an hour and must succeed.
func (h *house) sayOf(r Resource, word string) {
	h.t.Helper()
	if _, err := h.publish(Publish{Resource: r, Expires: time.Hour, Body: &Body{"text/plain", []byte(word)}}); err != nil {
		h.t.Fatal(err)
	}
}

// hush forgets what was heard and says how many heard something.
func hush(ears []*ear) (heard int) {
	for _, e := range ears {
		if len(e.take()) > 0 {
			heard++
		}
	}
	return heard
}

// What many are owed after a restart they are told in pieces, once each (SCL-09).
func TestRestoreTellsInPieces(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		ears := h.audienceOf(alice, 3*retellPiece)
		h.reopen(time.Second, ears...)
		for i := range 3 {
			if n := hush(ears); n != retellPiece {
				t.Errorf("%d heard of it in piece %d, want %d", n, i+1, retellPiece)
			}
			time.Sleep(time.Duration(retellPause))
		}
		time.Sleep(time.Minute)
		if n := hush(ears); n > 0 {
			t.Errorf("%d heard of it twice", n)
		}
	})
}

// Whoever hears from the server before his turn comes hears nothing more then.
func TestRestoreTellsNobodyTwice(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		ears := h.audienceOf(alice, 2*retellPiece)
		h = h.reopen(time.Second, ears...)
		if n := hush(ears); n != retellPiece {
			t.Fatalf("%d heard of it at once, want %d", n, retellPiece)
		}
		h.say("hello", "")
		for _, e := range ears {
			e.expect(t, "active 86399s: hello ")
		}
		time.Sleep(time.Minute)
		if n := hush(ears); n > 0 {
			t.Errorf("%d heard of it twice", n)
		}
	})
}

// A process that is killed before it has told all leaves the rest to the next.
func TestRestoreTellsWhatTheLastOneOwed(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		ears := h.audienceOf(alice, 2*retellPiece)
		h = h.reopen(2*unsure, ears...)
		if n := hush(ears); n != retellPiece {
			t.Fatalf("%d heard of it at once, want %d", n, retellPiece)
		}
		h.sayOf(bob, "hello") // a sign of life: what came long before would be certain
		h = h.reopen(2*unsure, ears...)
		time.Sleep(time.Second)
		if n := hush(ears); n != len(ears) {
			t.Errorf("%d heard of it from the next process, want %d", n, len(ears))
		}
		h.sayOf(bob, "bye")
		h.reopen(2*unsure, ears...)
		time.Sleep(time.Second)
		if n := hush(ears); n > 0 {
			t.Errorf("%d heard of it although nothing was owed", n)
		}
	})
}

// A change is told in a piece that counts its watchers.
func TestRestoreTellsChangesInPieces(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		ears := append(h.audienceOf(alice, retellPiece), h.audienceOf(bob, retellPiece)...)
		time.Sleep(10 * time.Minute)
		h.sayOf(alice, "hello")
		h.sayOf(bob, "hello")
		hush(ears)
		h.reopen(time.Second, ears...)
		for i := range 2 {
			if n := hush(ears); n != retellPiece {
				t.Errorf("%d heard of it in piece %d, want %d", n, i+1, retellPiece)
			}
			time.Sleep(time.Duration(retellPause))
		}
	})
}
