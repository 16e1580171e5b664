package event

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"vigie/store"
)

// reopen ends the engine as a crash does, lets time pass, and restores into a
// new one; ears are found again by their record.
func (h *house) reopen(pause time.Duration, ears ...*ear) *house {
	h.t.Helper()
	synctest.Wait()
	h.Close()
	time.Sleep(pause)
	next := open(h.t, h.store.(*store.Memory).Reopen())
	err := next.Restore(context.Background(), map[string]Reviver{"ear": func(_ Subscription, record, mark []byte) (Watcher, error) {
		for _, e := range ears {
			if string(e.record) == string(record) {
				e.found = string(mark)
				return e, nil
			}
		}
		return nil, fmt.Errorf("nobody is called %q", record)
	}})
	if err != nil {
		h.t.Fatal(err)
	}
	return next
}

// After a crash publications keep their tags and lifetimes, subscriptions go
// on, and those who cannot have missed anything hear nothing (EVT-31, SCL-09).
func TestRestoreQuietly(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		bob := &ear{record: []byte("bob")}
		tag := h.say("hello", "")
		h.watch(bob, "sip:bob@example.com", 2*time.Hour)
		time.Sleep(10 * time.Minute)
		if _, err := h.publish(Publish{Resource: Resource{Package: "words", URI: who("sip:erin@example.com").URI}, Expires: time.Hour, Body: &Body{"text/plain", []byte("x")}}); err != nil {
			t.Fatal(err) // a later sign of life
		}
		bob.take()
		h = h.reopen(10*time.Minute, bob)
		bob.expect(t)
		tag2 := h.say("bye", tag) // the tag lives
		bob.expect(t, "active 6000s: bye ")
		if tag2 == tag {
			t.Error("PUB-16: the tag repeats")
		}
		time.Sleep(50 * time.Minute)
		bob.take()
		time.Sleep(10 * time.Minute)
		bob.expect(t, "active 2400s: ") // an hour after "bye" was published
		time.Sleep(40 * time.Minute)
		bob.expect(t, "terminated timeout: ")
	})
}

// Nobody is told anything before all is restored: until then no answer could be
// read, and what is told might be half of it.
func TestRestoreTellsWhenItIsDone(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		bob, carol, erin := &ear{record: []byte("bob")}, &ear{record: []byte("carol")}, &ear{record: []byte("erin")}
		h.say("hello", "")
		h.watch(carol, "sip:carol@example.com", 10*time.Minute)
		h.watch(erin, "sip:erin@example.com", 10*time.Minute)
		h.watch(bob, "sip:bob@example.com", 24*time.Hour)
		synctest.Wait()
		h.Close()
		time.Sleep(59 * time.Minute)
		carol.take()
		erin.take()
		bob.take()
		next := open(h.t, h.store.(*store.Memory).Reopen())
		ears := []*ear{bob, carol, erin} // the living first, each kind as their keys are ordered
		err := next.Restore(context.Background(), map[string]Reviver{"ear": func(Subscription, []byte, []byte) (Watcher, error) {
			carol.expect(t)
			erin.expect(t)
			time.Sleep(time.Minute) // the publication expires meanwhile
			e := ears[0]
			ears = ears[1:]
			return e, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		carol.expect(t, "terminated timeout: 0")
		erin.expect(t, "terminated timeout: ")
		bob.expect(t, "active 82680s: ")
	})
}

// What expired so long ago that the store has forgotten it was not heard
// either.
func TestRestoreAfterLongSleep(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		bob := &ear{record: []byte("bob")}
		h.say("hello", "")
		h.watch(bob, "sip:bob@example.com", 24*time.Hour)
		bob.take()
		time.Sleep(10 * time.Minute)
		h.watch(&ear{record: []byte("erin")}, "sip:erin@example.com", 24*time.Hour) // a later sign of life
		h.reopen(5*time.Hour, bob)
		bob.expect(t, "active 67800s: ")
	})
}

// A refresh is a sign of life: what changed long before it has been told.
func TestRestoreAfterRefresh(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		bob := &ear{record: []byte("bob")}
		h.watch(bob, "sip:bob@example.com", 24*time.Hour)
		tag := h.say("hello", "")
		time.Sleep(10 * time.Minute)
		if _, err := h.publish(Publish{IfMatch: tag, Expires: time.Hour}); err != nil {
			t.Fatal(err)
		}
		bob.take()
		h.reopen(time.Minute, bob)
		bob.expect(t)
	})
}

// A newcomer's first look after a restart is no news to the others.
func TestRestoreNewcomer(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		bob, carol := &ear{record: []byte("bob")}, &ear{record: []byte("carol")}
		h.say("hello", "")
		h.watch(bob, "sip:bob@example.com", 24*time.Hour)
		time.Sleep(10 * time.Minute)
		h.watch(carol, "sip:carol@example.com", 24*time.Hour) // a later sign of life
		bob.take()
		h = h.reopen(time.Minute, bob, carol)
		bob.expect(t)
		erin := &ear{}
		h.watch(erin, "sip:erin@example.com", 24*time.Hour)
		erin.expect(t, "active 86400s: hello ")
		h.Recompose(alice)
		bob.expect(t)
	})
}

// What changed just before the crash may not have been heard: it is told
// again, and so is the first state of a fresh subscription.
func TestRestoreTellsWhatMayBeUnheard(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		bob, carol := &ear{record: []byte("bob")}, &ear{record: []byte("carol")}
		tag := h.say("hello", "")
		h.watch(bob, "sip:bob@example.com", 2*time.Hour)
		time.Sleep(10 * time.Minute)
		h.say("bye", tag)
		h.watch(carol, "sip:carol@example.com", 2*time.Hour)
		bob.take()
		carol.take()
		h.reopen(time.Minute, bob, carol)
		bob.expect(t, "active 6540s: bye ")
		carol.expect(t, "active 7140s: 1")
	})
}

// A removal just before the crash is told after it.
func TestRestoreTellsRemoval(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		bob := &ear{record: []byte("bob")}
		tag := h.say("hello", "")
		h.watch(bob, "sip:bob@example.com", 2*time.Hour)
		time.Sleep(10 * time.Minute)
		if _, err := h.publish(Publish{IfMatch: tag, Expires: 0}); err != nil {
			t.Fatal(err)
		}
		bob.take()
		h.reopen(time.Minute, bob)
		bob.expect(t, "active 6540s: ")
	})
}

// What expires while nobody is there is told at the next start.
func TestRestoreTellsExpiry(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		bob, carol := &ear{record: []byte("bob")}, &ear{record: []byte("carol")}
		h.say("hello", "")
		h.watch(bob, "sip:bob@example.com", 24*time.Hour)
		h.watch(carol, "sip:carol@example.com", 10*time.Minute)
		bob.take()
		carol.take()
		h = h.reopen(65*time.Minute, bob, carol)
		bob.expect(t, "active 82500s: ")
		carol.expect(t, "terminated timeout: 0")
		if n := h.entries(); n != 1 {
			t.Errorf("the store keeps %d live subscriptions, want bob's", n)
		}
	})
}

// What fell due while the server was alive is not told a second time.
func TestRestoreDoesNotRepeatExpiry(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		carol := &ear{record: []byte("carol")}
		h.watch(carol, "sip:carol@example.com", 10*time.Minute)
		time.Sleep(10 * time.Minute)
		carol.expect(t, "active 600s: 0", "terminated timeout: 0")
		time.Sleep(2 * time.Minute) // a sign of life is written, then nothing happens
		h = h.reopen(time.Hour, carol)
		carol.take() // within the minute before the sign of life a repetition is possible
		h.reopen(time.Hour, carol)
		carol.expect(t)
	})
}

// A decision that changed over the restart takes effect.
func TestRestoreDecidesAnew(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		bob := &ear{record: []byte("bob")}
		s := h.watch(bob, "sip:bob@example.com", time.Hour)
		sub := s.(*subscription)
		sub.who = pack(who("sip:bob@blocked.example")) // the rules have turned against bob
		bob.mark = "no"
		if err := s.Save(context.Background()); err != nil {
			t.Fatal(err)
		}
		bob.take()
		h = h.reopen(time.Minute, bob)
		bob.expect(t, "terminated rejected")
		if n := h.entries(); n != 0 {
			t.Errorf("the store keeps %d subscriptions, want none", n)
		}
	})
}

// A refresh that changes nothing but times and what the watcher puts on a mark
// leaves the record as it is; a restart gives both back. Any other change, and
// what may have gone wrong, writes the record whole.
func TestRefreshMarks(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		bob := &ear{record: []byte("bob"), mark: "first"}
		s := h.watch(bob, "sip:bob@example.com", time.Hour)
		stored := func() (e store.Entry) {
			h.store.Load(context.Background(), subscriptionPrefix, func(x store.Entry) error { e = x; return nil })
			return e
		}
		refresh := func(form string) error {
			time.Sleep(time.Minute)
			_, err := s.Refresh(context.Background(), Refresh{Expires: time.Hour, Form: Form{Type: form}})
			bob.take()
			return err
		}
		whole := stored()
		step := func(name string, err error, form, mark string) {
			t.Helper()
			e := stored()
			if same := bytes.Equal(e.Value, whole.Value); err != nil || same != (mark != "") || string(e.Mark) != mark {
				t.Errorf("%s: %v, the record stays: %v, its mark is %q, want %q", name, err, same, e.Mark, mark)
			}
			if until := time.Until(e.Expires); until != time.Hour {
				t.Errorf("%s: the record expires in %v", name, until)
			}
			if r, err := readSubscription(e.Value, map[string]string{}); err != nil || r.Form.Type != form {
				t.Errorf("%s: the record has the form %q, %v", name, r.Form.Type, err)
			}
			whole = e
		}
		step("a refresh", refresh("text/plain"), "text/plain", "first")
		bob.mark = "second"
		step("another", refresh("text/plain"), "text/plain", "second")
		step("another form", refresh("text/html"), "text/html", "")
		step("the same form", refresh("text/html"), "text/html", "second")
		bob.mark = "no"
		step("another watcher", refresh("text/html"), "text/html", "")
		bob.mark = "third"
		step("the same watcher", refresh("text/html"), "text/html", "third")

		m := h.store.(*store.Memory)
		bob.mark = "no"
		m.Fail(func(store.Op, string) error { return errors.New("disk full") })
		if refresh("text/html") == nil {
			t.Error("a refresh that was not stored was granted")
		}
		m.Fail(nil)
		bob.mark = "fourth"
		step("after a failure", refresh("text/html"), "text/html", "")
		step("and once more", refresh("text/html"), "text/html", "fourth")
		h.lose(subscriptionPrefix)
		step("after a loss", refresh("text/html"), "text/html", "")
		step("in the end", refresh("text/html"), "text/html", "fourth")

		h = h.reopen(30*time.Minute, bob)
		if bob.found != "fourth" {
			t.Errorf("revived by the mark %q", bob.found)
		}
		bob.expect(t, "active 1800s: ") // the NOTIFY of the last refresh may not have gone
		time.Sleep(30 * time.Minute)
		bob.expect(t, "terminated timeout: ")
	})
}

// Damaged entries are left out; the rest lives.
func TestRestoreSkipsDamage(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		tag := h.say("hello", "")
		for _, key := range []string{"p words", "p words sip:bob@example.com 1", "s 1", "b"} {
			if _, err := h.store.Put(context.Background(), key, []byte("junk"), time.Now().Add(time.Hour), store.AnyRevision); err != nil {
				t.Fatal(err)
			}
		}
		h = h.reopen(time.Minute)
		h.say("bye", tag)
	})
}

// strict is words for nobody.
type strict struct{ words }

func (strict) Authorize(context.Context, Resource, Identity) (Decision, error) {
	return Decision{State: Rejected}, nil
}

// A watcher whom the next process refuses hears of its end and nothing else,
// whichever worker comes first (PRS-02).
func TestRestoreRefusesBeforeItTells(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		bob := &ear{record: []byte("bob")}
		h.say("secret", "")
		h.watch(bob, "sip:bob@example.com", time.Hour)
		bob.take()
		h.Close()
		e := New(Options{
			Store:    h.store.(*store.Memory).Reopen(),
			Packages: []PackageOptions{{Package: strict{}, Lifetimes: Lifetimes{Min: time.Minute, Default: time.Hour, Max: time.Hour}}},
			Workers:  1,
			Logger:   slog.New(slog.DiscardHandler),
		})
		t.Cleanup(e.Close)
		held := gate(make(chan struct{}))
		e.workers.give(held)
		err := e.Restore(t.Context(), map[string]Reviver{"ear": func(Subscription, []byte, []byte) (Watcher, error) { return bob, nil }})
		if err != nil {
			t.Fatal(err)
		}
		e.each(func(r *resource) { r.touch(); r.news = true })
		e.find(alice).run() // as another worker would
		bob.expect(t)
		close(held)
		bob.expect(t, "terminated rejected")
	})
}
