package event

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vigie/sip"
	"vigie/store"
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

// busy keeps all workers from their work until the function it gives is
// called.
func (h *house) busy() (idle func()) {
	gate := make(chan struct{})
	for range 8 {
		h.workers.give(taskFunc(func() { <-gate }))
	}
	synctest.Wait()
	return func() { close(gate) }
}

type taskFunc func()

func (f taskFunc) run() { f() }

// Nobody is shown what has expired, however late the workers are (PUB-23).
func TestExpiredWhileWorkersAreBusy(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		bob, carol := &ear{}, &ear{}
		h.say("hello", "")
		h.watch(bob, "sip:bob@example.com", 24*time.Hour)
		bob.take()
		idle := h.busy()
		time.Sleep(time.Hour)
		h.watch(carol, "sip:carol@example.com", 0)
		carol.expect(t, "terminated timeout: 0")
		idle()
		bob.expect(t, "active 82800s: ")
	})
}

// hours is a package whose state is the hour of the day.
type hours struct{ words }

type hour struct{ start time.Time }

func (x hour) Same(o Composite) bool { return x == o }
func (x hour) Next() time.Time       { return x.start.Add(time.Hour) }

func (hours) Compose(_ Resource, _ []Publication, now time.Time) (Composite, error) {
	return hour{now.Truncate(time.Hour)}, nil
}

func (hours) View(_ Resource, whole Composite, _ Decision, f Form) (Body, error) {
	return Body{Type: f.Type, Data: []byte(whole.(hour).start.UTC().Format("15h"))}, nil
}

// Whoever comes at the very moment when time changes the state, before the
// alarm has rung, takes the news from nobody.
func TestNewcomerAtBoundary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openWith(t, store.NewMemory(), hours{})
		bob, carol := &ear{}, &ear{}
		h.watch(bob, "sip:bob@example.com", 24*time.Hour)
		bob.expect(t, "active 86400s: 00h")
		r := h.find(alice)
		r.shard.alarms.clear(r) // it is late
		time.Sleep(time.Hour)
		h.watch(carol, "sip:carol@example.com", 24*time.Hour)
		carol.expect(t, "active 86400s: 01h")
		bob.expect(t, "active 82800s: 01h")
		time.Sleep(time.Hour)
		bob.expect(t, "active 79200s: 02h")
	})
}

// A record written again while a refresh is stored must not bring the old
// expiry back.
func TestSaveDuringRefresh(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		m := h.store.(*store.Memory)
		s := h.watch(&ear{}, "sip:bob@example.com", 10*time.Minute)
		entered, gate, done := make(chan bool), make(chan bool), make(chan error, 2)
		var puts atomic.Int32
		m.Fail(func(store.Op, string) error {
			if puts.Add(1) == 1 {
				entered <- true
				<-gate
			}
			return nil
		})
		go func() { done <- s.Save(context.Background()) }()
		<-entered
		go func() { _, err := h.refresh(s, time.Hour); done <- err }()
		for range 10000 { // long enough for the refresh to overtake, if it can
			runtime.Gosched()
		}
		close(gate)
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		_ = m.Load(context.Background(), subscriptionPrefix, func(x store.Entry) error {
			if got := time.Until(x.Expires); got != time.Hour {
				t.Errorf("the record expires in %v, want an hour", got)
			}
			return nil
		})
	})
}

// A record that is not written because its watcher's server stops is no failure of
// the store.
func TestSaveWhileStopping(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		var log bytes.Buffer
		h.log = slog.New(slog.NewTextHandler(&log, nil))
		s := h.watch(&ear{}, "sip:bob@example.com", 10*time.Minute)
		ctx, stop := context.WithCancel(t.Context())
		stop()
		if err := s.Save(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Save gives %v, want the context's error", err)
		}
		if log.Len() > 0 {
			t.Errorf("logged: %q", log.String())
		}
	})
}

// The outcome of a notification comes on a goroutine that reads the network:
// a store that hangs must not hold it up.
func TestOutcomeDoesNotWaitForStore(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		var travelling Subscription
		bob := &ear{answer: func(s Subscription, _ Notification) { travelling = s }}
		h.watch(bob, "sip:bob@example.com", time.Hour)
		bob.take()
		entered, gate, done := make(chan bool), make(chan bool), make(chan error)
		h.store.(*store.Memory).Fail(func(op store.Op, _ string) error {
			if op == store.OpPut {
				entered <- true
				<-gate
			}
			return nil
		})
		go func() {
			_, err := h.publish(Publish{Expires: -1, Body: &Body{"text/plain", []byte("x")}})
			done <- err
		}()
		<-entered
		var returned atomic.Bool
		go func() {
			travelling.Notified(Outcome{Result: Gone})
			returned.Store(true)
		}()
		for range 10000 {
			runtime.Gosched()
		}
		if !returned.Load() {
			t.Error("the outcome waits for the store")
		}
		close(gate)
		if err := <-done; err != nil {
			t.Error(err)
		}
		bob.expect(t)
		if n := h.entries(); n != 0 {
			t.Errorf("the store keeps %d subscriptions, want none", n)
		}
	})
}

// A queue that is never empty does not grow for ever.
func TestQueueStaysSmall(t *testing.T) {
	w := newWorkers(0)
	w.give(taskFunc(func() {}))
	for range 100000 {
		w.give(taskFunc(func() {}))
		w.take()
	}
	if w.waiting() != 1 || cap(w.queue) > 1000 {
		t.Errorf("%d tasks wait in a queue of %d", w.waiting(), cap(w.queue))
	}
}

// Numbers rise over a restart even when the clock was set back meanwhile.
func TestNumbersRise(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		future := time.Now().Add(time.Hour).UnixNano()
		h.serial.Store(future)
		h.say("one", "")
		h.watch(&ear{record: []byte("bob")}, "sip:bob@example.com", time.Hour)
		last := h.serial.Load()
		h = h.reopen(time.Minute, &ear{record: []byte("bob")})
		if n := h.number(); n <= last {
			t.Errorf("after the restart the number is %d, before it was %d", n, last)
		}
	})
}

// late is a package whose boundary always lies in the past.
type late struct {
	words
	composed *int
}

type lateState struct{}

func (s lateState) Same(other Composite) bool { return s == other }
func (lateState) Next() time.Time             { return time.Now().Add(-time.Minute) }

func (p late) Compose(Resource, []Publication, time.Time) (Composite, error) {
	*p.composed++
	return lateState{}, nil
}

func (late) View(_ Resource, _ Composite, _ Decision, f Form) (Body, error) {
	return Body{Type: f.Type}, nil
}

// A boundary that composing leaves in the past is tried again each second, not
// all the time.
func TestOverdueBoundary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		composed := 0
		h := openWith(t, store.NewMemory(), late{composed: &composed})
		h.watch(&ear{}, "sip:bob@example.com", time.Hour)
		time.Sleep(10 * time.Second)
		h.Close()
		if composed > 12 {
			t.Errorf("composed %d times in ten seconds", composed)
		}
	})
}

// Resources whose hash is the same are told apart, whichever goes first.
func TestSameHash(t *testing.T) {
	e := newEngine(&oblivion{}, words{})
	defer e.Close()
	for _, gone := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 0, 3, 2}} {
		s := &shard{resources: map[uint64]*resource{}}
		var all []*resource
		for _, uri := range []string{"sip:a@example.com", "tel:+1", "mailto:a@b", "sip:example.com"} {
			id := Resource{Package: "words", URI: sip.MustURI(uri)}
			r := newResource(e, s, e.packages["words"], id)
			if r.id() != id {
				t.Errorf("%v has become %v", id, r.id())
			}
			s.add(7, r)
			all = append(all, r)
		}
		for i, x := range gone {
			for _, y := range gone[i:] {
				if r := all[y]; s.find(7, r.id()) != r {
					t.Errorf("%v is not found", r.id())
				}
			}
			s.forget(7, all[x])
			if s.find(7, all[x].id()) != nil {
				t.Errorf("%v is found after it has gone", all[x].id())
			}
		}
		if len(s.resources) > 0 {
			t.Error("something is left")
		}
	}
}
