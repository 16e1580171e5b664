package presence

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"vigie/event"
	"vigie/sip"
	"vigie/store"
)

// visitor watches and hears of no end.
type visitor struct{}

func (visitor) Notify(event.Subscription, event.Notification) {}

// visit has n presentities that have published nothing watched by one each.
func visit(t *testing.T, e *event.Engine, from, n int) {
	t.Helper()
	for i := range n {
		q := event.Subscribe{
			Resource: event.Resource{Package: "presence", URI: sip.MustURI(fmt.Sprintf("sip:u%d@example.com", from+i))},
			Watcher:  event.Identity{URI: alice.URI},
			Expires:  time.Hour,
			Form:     event.Form{Type: MediaType},
		}
		if _, err := e.Subscribe(context.Background(), q, visitor{}); err != nil {
			t.Fatal(err)
		}
	}
}

// heap is what lives after a collection.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what cleanups let go
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// largestAbsence is how many bytes of the heap a presentity that has published
// nothing may hold with its one watcher: what it holds now and a little more.
const largestAbsence = 940

func TestAbsenceSize(t *testing.T) {
	const few, many = 1000, 20_000
	e := event.New(event.Options{
		Store:    store.NewMemory(),
		Packages: []event.PackageOptions{{Package: New(Options{}), Lifetimes: event.Lifetimes{Max: time.Hour}}},
		Limits:   event.Limits{Subscriptions: 100_000},
		Logger:   slog.New(slog.DiscardHandler),
	})
	defer e.Close()
	visit(t, e, 0, few)
	before := heap()
	visit(t, e, few, many)
	if got := (heap() - before) / many; got > largestAbsence {
		t.Errorf("a watched presentity holds %d bytes, want at most %d", got, largestAbsence)
	}
}
