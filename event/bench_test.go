package event

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"vigie/sip"
	"vigie/store"
)

// oblivion is a store that keeps nothing, so that what is measured is the
// engine's own.
type oblivion struct{ revision uint64 }

func (o *oblivion) Put(context.Context, string, []byte, time.Time, uint64) (uint64, error) {
	o.revision++
	return o.revision, nil
}
func (o *oblivion) Prolong(ctx context.Context, _ store.Entry, _ time.Time, _ uint64) (uint64, error) {
	return o.Put(ctx, "", nil, time.Time{}, 0)
}
func (o *oblivion) Delete(ctx context.Context, key string, match uint64) (uint64, error) {
	return o.Put(ctx, key, nil, time.Time{}, match)
}
func (*oblivion) Load(context.Context, string, func(store.Entry) error) error { return nil }
func (*oblivion) Follow(ctx context.Context, _ string, _ func(store.Change) error) error {
	<-ctx.Done()
	return ctx.Err()
}
func (*oblivion) Close() error { return nil }

// audience is a watcher that takes every notification.
type audience struct{}

func (audience) Notify(s Subscription, _ Notification) { s.Notified(Outcome{Result: Delivered}) }
func (audience) Kind() string                          { return "audience" }
func (audience) AppendRecord(b []byte) []byte          { return append(b, make([]byte, 200)...) }
func (audience) AppendMark(b []byte) ([]byte, bool)    { return append(b, 1, 64), true }

// crowd makes n subscriptions, ten to a resource, each of another watcher.
func crowd(tb testing.TB, e *Engine, n int) []Subscription {
	tb.Helper()
	all := make([]Subscription, n)
	for i := range all {
		s, err := e.Subscribe(context.Background(), Subscribe{
			Resource: Resource{Package: "words", URI: sip.MustURI(fmt.Sprintf("sip:u%d@example.com", i/10))},
			Watcher:  who(fmt.Sprintf("sip:w%d@example.com", i)),
			Expires:  time.Hour,
			Form:     Form{Type: "text/plain"},
		}, audience{})
		if err != nil {
			tb.Fatal(err)
		}
		all[i] = s
	}
	return all
}

// heap is what lives after a collection.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // what finalizers let go
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkSubscribe is a subscription with its first notification; live-B is
// what it keeps in the heap, its tenth of a resource included.
func BenchmarkSubscribe(b *testing.B) {
	e := newEngine(&oblivion{}, words{})
	defer e.Close()
	before := heap()
	b.ReportAllocs()
	b.ResetTimer()
	all := crowd(b, e, b.N)
	b.StopTimer()
	b.ReportMetric((float64(heap())-float64(before))/float64(b.N)-16, "live-B/op") // all has an interface for each
	runtime.KeepAlive(all)
}

// BenchmarkRefresh is a refresh with its notification.
func BenchmarkRefresh(b *testing.B) {
	e := newEngine(&oblivion{}, words{})
	defer e.Close()
	all := crowd(b, e, 10000)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if _, err := all[i%len(all)].Refresh(context.Background(), Refresh{Expires: time.Hour, Form: Form{Type: "text/plain"}}); err != nil {
			b.Fatal(err)
		}
	}
}

// A subscription makes three allocations, for itself, who watches and its key, and
// now and then its resource needs more room. A refresh makes one, for its key; a
// notification makes none.
func TestAllocations(t *testing.T) {
	e := newEngine(&oblivion{}, words{})
	defer e.Close()
	var watchers [201]Identity
	for i := range watchers {
		watchers[i] = who(fmt.Sprintf("sip:w%d@example.com", i))
	}
	asked := 0
	if n := testing.AllocsPerRun(len(watchers)-1, func() {
		_, err := e.Subscribe(t.Context(), Subscribe{Resource: alice, Watcher: watchers[asked], Expires: time.Hour}, audience{})
		if asked++; err != nil {
			t.Fatal(err)
		}
	}); n > 3 {
		t.Errorf("a subscription makes %v allocations, want 3", n)
	}
	s := crowd(t, e, 1)[0].(*subscription)
	refresh := Refresh{Expires: time.Hour, Form: Form{Type: "text/plain"}}
	if n := testing.AllocsPerRun(100, func() { _, _ = s.Refresh(t.Context(), refresh) }); n > 1 {
		t.Errorf("a refresh makes %v allocations, want 1", n)
	}
	bodies, i := []*Body{{Data: []byte("a")}, {Data: []byte("b")}}, 0
	n := testing.AllocsPerRun(100, func() {
		i++
		s.quiet = 0
		s.offer(bodies[i%2], 0)
		s.send()
	})
	if n > 0 {
		t.Errorf("a notification makes %v allocations, want none", n)
	}
	if s.sent != bodies[i%2] {
		t.Error("the last notification did not go")
	}
}

// BenchmarkAlarms moves one of a million alarms to another time.
func BenchmarkAlarms(b *testing.B) {
	a := alarms{wakes: -1, now: func() moment { return 0 }, give: func(task) {}}
	defer a.close()
	all := make([]beat, 1_000_000)
	for i := range all {
		a.set(&all[i], moment(time.Hour+rand.N(time.Hour)))
	}
	b.ResetTimer()
	for i := range b.N {
		a.set(&all[i*7919%len(all)], moment(time.Hour+rand.N(time.Hour)))
	}
}
