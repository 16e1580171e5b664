package auth

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

const limiterShards = 16

// limiter is a token bucket per key in bounded memory. A bucket is one number,
// the time at which it will be full again; a key that is not there has a full
// bucket. Clock steps do not matter, time counts from the limiter's start.
type limiter struct {
	start  time.Time
	step   time.Duration // in which one token comes back
	span   time.Duration // in which an empty bucket fills
	shards [limiterShards]limiterShard
}

type limiterShard struct {
	mu   sync.Mutex
	full generations[uint64, time.Duration]
}

func newLimiter(burst int, step time.Duration, keys int) *limiter {
	l := &limiter{start: time.Now(), step: step, span: step * time.Duration(burst)}
	for i := range l.shards {
		l.shards[i].full.max = max(1, keys/limiterShards)
	}
	return l
}

// wait tells how long key must wait for a token; zero when there is one.
func (l *limiter) wait(key uint64) time.Duration {
	s, now := l.enter(key)
	defer s.mu.Unlock()
	full, _ := s.full.get(key)
	return max(0, full-now-(l.span-l.step))
}

// spend takes a token, if there is one.
func (l *limiter) spend(key uint64) bool {
	s, now := l.enter(key)
	defer s.mu.Unlock()
	full, _ := s.full.get(key)
	full = max(full, now) + l.step
	if full > now+l.span {
		return false
	}
	s.full.put(key, full)
	return true
}

// enter gives the key's shard locked. A bucket that nobody touched for a span is
// full, hence a generation may last one span and nothing is forgotten early.
func (l *limiter) enter(key uint64) (*limiterShard, time.Duration) {
	now := time.Since(l.start)
	s := &l.shards[key%limiterShards]
	s.mu.Lock()
	s.full.at(int64(now / l.span))
	return s, now
}

// sourceKey names who is behind an address: an IPv4 address, or the /64 of an
// IPv6 one, in which everybody has as many addresses as they like.
func sourceKey(seed maphash.Seed, a netip.Addr) uint64 {
	a = a.Unmap()
	if a.Is4() {
		return maphash.Comparable(seed, a.As4())
	}
	wide := a.As16()
	return maphash.Comparable(seed, [8]byte(wide[:8]))
}
