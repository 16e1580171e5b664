package event

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vigie/sip"
	"vigie/store"
)

func (h *house) subscribe(w Watcher, uri string, d time.Duration) (Subscription, error) {
	return h.Subscribe(context.Background(), Subscribe{Resource: alice, Watcher: who(uri), Expires: d, Form: Form{Type: "text/plain"}}, w)
}

func (h *house) refresh(s Subscription, d time.Duration) (time.Duration, error) {
	return s.Refresh(context.Background(), Refresh{Expires: d, Form: Form{Type: "text/plain"}})
}

// entries counts what the store holds of live subscriptions.
func (h *house) entries() (n int) {
	_ = h.store.Load(context.Background(), subscriptionPrefix, func(x store.Entry) error {
		if x.Expires.After(time.Now()) {
			n++
		}
		return nil
	})
	return n
}

// A subscription ends at its expiry, not before, with one last notification
// (EVT-16), and a refresh after that is too late (EVT-17).
func TestSubscriptionExpires(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		bob := &ear{}
		h.say("hello", "")
		s := h.watch(bob, "sip:bob@example.com", 2*time.Minute)
		bob.expect(t, "active 120s: hello ")
		time.Sleep(2*time.Minute - time.Millisecond)
		bob.expect(t)
		time.Sleep(time.Millisecond)
		bob.expect(t, "terminated timeout: hello ")
		_, err := h.refresh(s, time.Hour)
		wantErr(t, err, ErrGone)
		h.say("again", "")
		bob.expect(t)
	})
}

// In the last second no "active;expires=0" goes out: the end tells the state.
func TestLastSecond(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		bob := &ear{record: []byte("bob")}
		tag := h.say("hello", "")
		h.watch(bob, "sip:bob@example.com", 2*time.Minute)
		bob.take()
		time.Sleep(2*time.Minute - 600*time.Millisecond)
		h.say("bye", tag)
		bob.expect(t)
		h.reopen(100*time.Millisecond, bob)
		bob.expect(t)
		time.Sleep(500 * time.Millisecond)
		bob.expect(t, "terminated timeout: bye ")
	})
}

// A fetch gets one notification and leaves nothing (EVT-15, F-03).
func TestFetch(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		bob := &ear{}
		tag := h.say("hello", "")
		if s := h.watch(bob, "sip:bob@example.com", 0); s.Expires() != 0 {
			t.Errorf("granted %v, want 0", s.Expires())
		}
		bob.expect(t, "terminated timeout: hello ")
		h.say("bye", tag)
		time.Sleep(time.Minute)
		bob.expect(t)
		if n := h.entries(); n != 0 {
			t.Errorf("the store keeps %d subscriptions, want none", n)
		}
	})
}

// A fetch of a presentity nobody ever heard of leaves no trace.
func TestFetchOfNothing(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		bob := &ear{}
		h.watch(bob, "sip:bob@example.com", 0)
		bob.expect(t, "terminated timeout: ")
		h.Resources(func(id Resource, p, s int) { t.Errorf("%v is remembered", id) })
	})
}

// Unsubscribing sends the state once more and frees everything (EVT-14).
func TestUnsubscribe(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		bob := &ear{}
		s := h.watch(bob, "sip:bob@example.com", time.Hour)
		bob.take()
		if d, err := h.refresh(s, 0); d != 0 || err != nil {
			t.Fatalf("unsubscribe: %v, %v", d, err)
		}
		bob.expect(t, "terminated timeout: ")
		_, err := h.refresh(s, time.Hour)
		wantErr(t, err, ErrGone)
		if n := h.entries(); n != 0 {
			t.Errorf("the store keeps %d subscriptions, want none", n)
		}
		h.Resources(func(id Resource, p, s int) { t.Errorf("%v is remembered", id) })
	})
}

// A refresh prolongs by the rules of creation and brings full state at once,
// throttle or not (EVT-09, EVT-17).
func TestRefresh(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		bob := &ear{}
		tag := h.say("one", "")
		s := h.watch(bob, "sip:bob@example.com", 10*time.Minute)
		tag = h.say("two", tag)
		bob.expect(t, "active 600s: one ", "active 600s: two ")
		h.say("three", tag)
		bob.expect(t) // held by the throttle
		if d, err := h.refresh(s, 20*time.Minute); d != 20*time.Minute || err != nil {
			t.Fatalf("refresh: %v, %v", d, err)
		}
		bob.expect(t, "active 1200s: three ")
		time.Sleep(interval)
		bob.expect(t) // nothing is left to tell
		var brief *BriefError
		if _, err := h.refresh(s, time.Second); !errors.As(err, &brief) {
			t.Errorf("EVT-06: got %v, want too brief", err)
		}
		time.Sleep(20*time.Minute - interval)
		bob.expect(t, "terminated timeout: three ")
	})
}

// Throttling is trailing-edge: the first change goes at once, then only the
// newest state when the window opens (PRS-04, SCL-01, F-08).
func TestThrottle(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		bob := &ear{}
		tag := h.say("0", "")
		h.watch(bob, "sip:bob@example.com", time.Hour)
		time.Sleep(time.Minute)
		bob.take()
		for i := range 10 {
			tag = h.say(fmt.Sprint(i+1), tag)
			time.Sleep(300 * time.Millisecond)
		}
		bob.expect(t, "active 3540s: 1 ")
		time.Sleep(interval - 3000*time.Millisecond - time.Millisecond)
		bob.expect(t)
		time.Sleep(time.Millisecond)
		bob.expect(t, "active 3535s: 10 ")
		time.Sleep(time.Minute)
		bob.expect(t)
	})
}

// What changes and changes back within the window is not told.
func TestThereAndBack(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		bob := &ear{}
		tag := h.say("a", "")
		h.watch(bob, "sip:bob@example.com", time.Hour)
		tag = h.say("b", tag)
		bob.take()
		tag = h.say("c", tag)
		bob.take()
		h.say("b", tag)
		time.Sleep(time.Minute)
		bob.expect(t)
	})
}

// What went there and back within the window wakes the outbox for nothing; the
// subscription must still end at its time (EVT-16).
func TestThereAndBackThenExpires(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		bob := &ear{}
		tag := h.say("a", "")
		h.watch(bob, "sip:bob@example.com", 10*time.Minute)
		tag = h.say("b", tag)
		bob.take()
		tag = h.say("c", tag)
		bob.take()
		h.say("b", tag)
		bob.expect(t)
		time.Sleep(10 * time.Minute)
		bob.expect(t, "terminated timeout: b ")
	})
}

// One notification travels; what changes meanwhile arrives as one (EVT-21,
// F-09 d).
func TestOneInFlight(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		bob := &ear{}
		tag := h.say("0", "")
		var travelling Subscription
		bob.answer = func(s Subscription, n Notification) { travelling = s }
		h.watch(bob, "sip:bob@example.com", time.Hour)
		bob.expect(t, "active 3600s: 0 ")
		for i := range 3 {
			tag = h.say(fmt.Sprint(i+1), tag)
			time.Sleep(2 * interval)
		}
		bob.expect(t)
		travelling.Notified(Outcome{Result: Delivered})
		bob.expect(t, "active 3570s: 3 ")
	})
}

// Watchers of one view share its rendering; one whose view does not change is
// not told (CMP-12).
func TestViews(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		bob, carol := &ear{}, &ear{}
		tag := h.say("a", "")
		h.watch(bob, "sip:bob@example.com", time.Hour)
		h.watch(carol, "sip:carol@example.com", time.Hour)
		bob.expect(t, "active 3600s: a ")
		carol.expect(t, "active 3600s: 1")
		h.say("b", tag)
		bob.expect(t, "active 3600s: b ")
		carol.expect(t) // still one word
		h.say("c", "")
		time.Sleep(interval)
		bob.expect(t, "active 3595s: b pc ")
		carol.expect(t, "active 3600s: 2")
	})
}

// Undecided watchers are pending without a document; refused ones get nothing
// (EVT-09, PRS-02).
func TestDecisions(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		dave := &ear{}
		tag := h.say("secret", "")
		s := h.watch(dave, "sip:dave@unknown.example", time.Hour)
		dave.expect(t, "pending 3600s")
		h.say("other", tag)
		time.Sleep(time.Minute)
		dave.expect(t)
		if _, err := h.refresh(s, 10*time.Minute); err != nil {
			t.Fatal(err)
		}
		dave.expect(t, "pending 600s")
		time.Sleep(10 * time.Minute)
		dave.expect(t, "terminated timeout")
		h.watch(dave, "sip:dave@unknown.example", 0)
		dave.expect(t, "terminated timeout")

		_, err := h.subscribe(dave, "sip:erin@blocked.example", time.Hour)
		wantErr(t, err, ErrRejected)
		dave.expect(t)
	})
}

// Which outcomes end a subscription, and which do not (EVT-18..20, F-09).
func TestOutcomes(t *testing.T) {
	ends := func(name string, r Result) {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *house) {
				bob := &ear{answer: func(s Subscription, n Notification) { s.Notified(Outcome{Result: r}) }}
				tag := h.say("a", "")
				s := h.watch(bob, "sip:bob@example.com", time.Hour)
				bob.expect(t, "active 3600s: a ")
				h.say("b", tag)
				time.Sleep(2 * time.Hour)
				bob.expect(t) // not even a last word
				_, err := h.refresh(s, time.Hour)
				wantErr(t, err, ErrGone)
				if n := h.entries(); n != 0 {
					t.Errorf("the store keeps %d subscriptions, want none", n)
				}
			})
		})
	}
	ends("EVT-18/gone", Gone)
	ends("EVT-19/silent", Silent)

	t.Run("EVT-20/retry-after", func(t *testing.T) {
		bubble(t, func(t *testing.T, h *house) {
			bob := &ear{}
			tag := h.say("a", "")
			h.watch(bob, "sip:bob@example.com", time.Hour)
			bob.take()
			bob.answer = func(s Subscription, n Notification) {
				s.Notified(Outcome{Result: Failed, RetryAfter: 20 * time.Second})
			}
			tag = h.say("b", tag)
			bob.expect(t, "active 3600s: b ")
			bob.answer = nil
			tag = h.say("c", tag)
			time.Sleep(10 * time.Second)
			h.say("d", tag)
			time.Sleep(10*time.Second - time.Millisecond)
			bob.expect(t)
			time.Sleep(time.Millisecond)
			bob.expect(t, "active 3580s: d ")
		})
	})
	t.Run("EVT-20/gives-up", func(t *testing.T) {
		bubble(t, func(t *testing.T, h *house) {
			bob := &ear{answer: func(s Subscription, n Notification) { s.Notified(Outcome{Result: Failed}) }}
			h.watch(bob, "sip:bob@example.com", time.Hour)
			time.Sleep(30 * time.Minute)
			heard := bob.take()
			if len(heard) != 4 || heard[3] != "terminated deactivated" {
				t.Errorf("heard %q, want three attempts and the end", heard)
			}
			if n := h.entries(); n != 0 {
				t.Errorf("the store keeps %d subscriptions, want none", n)
			}
		})
	})
	t.Run("SCL-06/subscribe-cancels-the-wait", func(t *testing.T) {
		bubble(t, func(t *testing.T, h *house) {
			bob := &ear{}
			h.say("a", "")
			bob.answer = func(s Subscription, n Notification) {
				s.Notified(Outcome{Result: Failed, RetryAfter: time.Minute})
			}
			s := h.watch(bob, "sip:bob@example.com", time.Hour)
			bob.take()
			bob.answer = nil
			if _, err := h.refresh(s, time.Hour); err != nil {
				t.Fatal(err)
			}
			bob.expect(t, "active 3600s: a ")
			time.Sleep(2 * time.Minute)
			bob.expect(t)
		})
	})
}

// A slow watcher holds nobody up.
func TestDeadWatcher(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		dead, bob := &ear{answer: func(Subscription, Notification) {}}, &ear{}
		tag := h.say("a", "")
		h.watch(dead, "sip:carol@example.com", time.Hour)
		h.watch(bob, "sip:bob@example.com", time.Hour)
		bob.take()
		h.say("b", tag)
		bob.expect(t, "active 3600s: b ")
	})
}

// Subscriptions of one watcher are independent (EVT-32) and capped (SEC-05).
func TestManyOfOneWatcher(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		first, second := &ear{}, &ear{}
		one := h.watch(first, "sip:bob@example.com", 10*time.Minute)
		h.watch(second, "sip:bob@example.com", 20*time.Minute)
		h.watch(&ear{}, "sip:bob@example.com", time.Hour)
		h.watch(&ear{}, "sip:bob@example.com", time.Hour)
		var limit *LimitError
		if _, err := h.subscribe(&ear{}, "sip:bob@example.com", time.Hour); !errors.As(err, &limit) || limit.Max != 4 {
			t.Errorf("got %v, want the limit of 4", err)
		}
		h.watch(&ear{}, "sip:carol@example.com", time.Hour) // others are not touched
		first.take()
		second.take()
		if _, err := h.refresh(one, 0); err != nil {
			t.Fatal(err)
		}
		first.expect(t, "terminated timeout: ")
		second.expect(t)
		h.watch(&ear{}, "sip:bob@example.com", time.Hour) // there is room again
	})
}

// A subscription that cannot be stored is not granted, and nothing stays.
func TestSubscribeStoreFails(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		full := errors.New("disk full")
		m := h.store.(*store.Memory)
		bob := &ear{}
		m.Fail(func(store.Op, string) error { return full })
		_, err := h.subscribe(bob, "sip:bob@example.com", time.Hour)
		wantErr(t, err, full)
		bob.expect(t)
		h.Resources(func(id Resource, p, s int) { t.Errorf("%v is remembered", id) })
		m.Fail(nil)
		s := h.watch(bob, "sip:bob@example.com", 10*time.Minute)
		bob.take()
		m.Fail(func(store.Op, string) error { return full })
		_, err = h.refresh(s, time.Hour)
		wantErr(t, err, full)
		m.Fail(nil)
		bob.expect(t)
		time.Sleep(10 * time.Minute)
		bob.expect(t, "terminated timeout: ") // the old lifetime holds
	})
}

// Another package's subscriptions are refused.
func TestSubscribeUnknownPackage(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		_, err := h.Subscribe(context.Background(), Subscribe{Resource: Resource{Package: "dialog", URI: sip.MustURI("sip:alice@example.com")}}, &ear{})
		wantErr(t, err, ErrUnknownPackage)
	})
}

// SCL-05: a popular presentity is told of in pieces; a change elsewhere that
// comes while its watchers are being told is not behind them all, even with one
// worker; and after each piece what it made to send has time to leave.
func TestFanoutLetsOthersThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var settled atomic.Int32
		e := New(Options{
			Store:    store.NewMemory(),
			Packages: []PackageOptions{{Package: words{}, Lifetimes: Lifetimes{Min: time.Minute, Default: time.Hour, Max: 24 * time.Hour}}},
			Workers:  1,
			Settle:   func() { settled.Add(1) },
			Logger:   slog.New(slog.DiscardHandler),
		})
		t.Cleanup(e.Close)
		h := &house{Engine: e, t: t}
		var mu sync.Mutex
		var order []string
		note := func(name string) *ear {
			return &ear{answer: func(s Subscription, _ Notification) {
				mu.Lock()
				order = append(order, name)
				mu.Unlock()
				s.Notified(Outcome{Result: Delivered})
			}}
		}
		const popular = 10 * fanoutPiece
		for i := range popular {
			h.watch(note("popular"), fmt.Sprintf("sip:bob%d@example.com", i), time.Hour)
		}
		quiet := Resource{Package: "words", URI: sip.MustURI("sip:carol@example.com")}
		q := Subscribe{Resource: quiet, Watcher: who("sip:dave@example.com"), Expires: time.Hour, Form: Form{Type: "text/plain"}}
		if _, err := e.Subscribe(t.Context(), q, note("quiet")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		order = nil
		held := gate(make(chan struct{}))
		e.workers.give(held) // both changes wait for the one worker, the popular one first
		h.say("one", "")
		if _, err := h.publish(Publish{Resource: quiet, Expires: time.Hour, Body: &Body{"text/plain", []byte("two")}}); err != nil {
			t.Fatal(err)
		}
		close(held)
		synctest.Wait()
		if len(order) != popular+1 {
			t.Fatalf("%d notifications, want %d", len(order), popular+1)
		}
		if place := slices.Index(order, "quiet"); place > fanoutPiece {
			t.Errorf("the other watcher was told as number %d of %d", place+1, len(order))
		}
		if got := settled.Load(); got != popular/fanoutPiece-1 {
			t.Errorf("the engine waited %d times for what %d pieces made to send, want once between any two", got, popular/fanoutPiece)
		}
	})
}

// gate is a task that ends when it is closed.
type gate chan struct{}

func (g gate) run() { <-g }
