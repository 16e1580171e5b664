package event

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"vigie/store/pebble"
)

// remember fills a store as if subscriptions, ten to a presentity, and two
// publications for each of those had been there for an hour.
func remember(b *testing.B, s *pebble.Store, subscriptions int) {
	b.Helper()
	ctx, now := context.Background(), time.Now()
	put := func(key string, value []byte) {
		if _, err := s.Put(ctx, key, value, now.Add(time.Hour), anyRevision); err != nil {
			b.Fatal(err)
		}
	}
	for i := range subscriptions {
		put(subscriptionKey(now.UnixNano()+int64(i)), (&subscriptionRecord{
			Resource: Resource{Package: "words", URI: who(fmt.Sprintf("sip:u%d@example.com", i/10)).URI},
			Watcher:  pack(who(fmt.Sprintf("sip:w%d@example.com", i))),
			Decision: Decision{State: Allowed, Key: "all"}, Form: Form{Type: "text/plain"},
			Written: now.Add(-time.Hour),
		}).append(nil, audience{}))
	}
	for i := range subscriptions / 5 {
		put(fmt.Sprintf("%swords sip:u%d@example.com %016x", publicationPrefix, i/2, i+1), appendPublication(nil, &publication{
			created: int64(i + 1), updated: now.Add(-time.Hour).UnixNano(), mediaType: "text/plain", text: strings.Repeat("x", 500),
		}, now.Add(-time.Hour)))
	}
}

// processor is the processor time this process has used.
func processor() time.Duration {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkRestore is a restart with 100,000 subscriptions and 20,000
// publications, whose watchers have missed nothing.
func BenchmarkRestore(b *testing.B) {
	const subscriptions = 100_000
	dir, quiet := b.TempDir(), slog.New(slog.DiscardHandler)
	open := func() *pebble.Store {
		s, err := pebble.Open(dir, pebble.Options{Logger: quiet})
		if err != nil {
			b.Fatal(err)
		}
		return s
	}
	s := open()
	remember(b, s, subscriptions)
	s.Close()
	b.ReportAllocs()
	var used time.Duration
	for b.Loop() {
		b.StopTimer()
		before := heap()
		s := open()
		e := New(Options{Store: s, Packages: []PackageOptions{{Package: words{}, Lifetimes: Lifetimes{Max: 24 * time.Hour}}}, Logger: quiet})
		b.StartTimer()
		used -= processor()
		err := e.Restore(context.Background(), map[string]Reviver{"audience": func(Subscription, []byte, []byte) (Watcher, error) {
			return audience{}, nil
		}})
		used += processor()
		b.StopTimer()
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric((float64(heap())-float64(before))/subscriptions, "live-B/subscription")
		e.Close()
		s.Close()
		b.StartTimer()
	}
	b.ReportMetric(float64(used.Nanoseconds())/float64(b.N)/subscriptions, "cpu-ns/subscription")
}
