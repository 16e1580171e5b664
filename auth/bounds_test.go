package auth

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vigie/store"
)

// Tables that strangers fill stay within their bounds, however many come.
func TestTablesAreBounded(t *testing.T) {
	const max, many = 256, 20_000
	address := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}) }

	sources := NewSources(SourceOptions{Max: max})
	f := newFailures(max)
	for i := range many {
		sources.Allow(address(i))
		a := f.asker("example.com", fmt.Sprint("user", i), address(i))
		f.wrong(a)
		f.right(a)
	}
	for name, l := range map[string]*limiter{"SEC-02/sources": sources.limiter, "AUT-14/users": f.users, "AUT-14/failing sources": f.from} {
		n, limit := 0, 0
		for i := range l.shards {
			n += len(l.shards[i].full.present) + len(l.shards[i].full.before)
			limit += 2 * l.shards[i].full.max
		}
		if n > limit || limit > 4*max {
			t.Errorf("%s: %d entries, at most %d are meant to be", name, n, limit)
		}
	}
	if n := len(f.known.present) + len(f.known.before); n > 2*max {
		t.Errorf("%d pairs remembered, want at most %d", n, 2*max)
	}

	r := newReplay(time.Minute, max)
	now := time.Now()
	for i := range many {
		r.use(nonce{issued: now.UnixMilli() - int64(i%1000), id: uint64(i)}, 1, now)
	}
	n := 0
	for i := range r.shards {
		n += r.shards[i].size()
	}
	if n > max {
		t.Errorf("AUT-08/windows: %d, want at most %d", n, max)
	}

	accounts := NewAccounts(store.NewMemoryDirectory(), max)
	for i := range 4 * max {
		if _, err := accounts.ByUser(context.Background(), "example.com", fmt.Sprint(i)); err == nil {
			t.Fatal("found somebody in an empty directory")
		}
	}
	if n := len(accounts.entries.present) + len(accounts.entries.before); n > 2*max {
		t.Errorf("%d accounts remembered, want at most %d", n, 2*max)
	}
}

// SEC-13: of many who use one count at the same time, one gets through.
func TestOneCountOnce(t *testing.T) {
	r := newReplay(time.Minute, 1024)
	now := time.Now()
	n := nonce{issued: now.UnixMilli(), id: 7}
	var accepted [100]atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range accepted {
				if r.use(n, uint32(i+1), now) == fresh {
					accepted[i].Add(1)
				}
			}
		})
	}
	all.Wait()
	for i := range accepted {
		if got := accepted[i].Load(); got > 1 {
			t.Errorf("SEC-13/count %d was accepted %d times", i+1, got)
		}
	}
}

// A nonce of each age is judged by its own epoch; old epochs take no memory.
func TestEpochs(t *testing.T) {
	r := newReplay(time.Minute, 1<<20)
	start := time.UnixMilli(1_800_000_000_000)
	for i := range 600 {
		now := start.Add(time.Duration(i) * time.Second)
		for _, age := range []time.Duration{0, 30 * time.Second, 59 * time.Second} {
			n := nonce{issued: now.Add(-age).UnixMilli(), id: uint64(i)<<8 | uint64(age/time.Second)}
			if got := r.use(n, 1, now); got != fresh {
				t.Fatalf("second %d, age %s: %v, want fresh", i, age, got)
			}
			if got := r.use(n, 1, now); got != repeated {
				t.Fatalf("second %d, age %s, again: %v, want repeated", i, age, got)
			}
		}
		for _, age := range []time.Duration{time.Minute, time.Hour, -time.Minute} {
			if got := r.use(nonce{issued: now.Add(-age).UnixMilli(), id: 1}, 1, now); got != expired {
				t.Fatalf("second %d, age %s: %v, want expired", i, age, got)
			}
		}
	}
	n := 0
	for i := range r.shards {
		n += r.shards[i].size()
	}
	if n > 3*3*60 {
		t.Errorf("%d windows after ten minutes, want those of three epochs at most", n)
	}
}
