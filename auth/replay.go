package auth

import (
	"sync"
	"time"
)

// skew is how far ahead of ours the clock of another node that shares the secret
// may be.
const skew = 30 * time.Second

// replayShards keeps verifying goroutines out of each other's way.
const replayShards = 32

// replay remembers which counts of a nonce were used, for nonces that were used
// with a right digest (RFC 7616 §3.4, §5.5). A nonce belongs to the epoch of its
// issue time; one epoch is one lifetime long, so that only nonces of the last, the
// present and (by skew) the next epoch can be good, and older ones are dropped as
// a whole.
type replay struct {
	lifetime int64 // milliseconds
	max      int   // windows in one shard
	shards   [replayShards]replayShard
}

type replayShard struct {
	mu    sync.Mutex
	kept  [3]epoch // by epoch number modulo three
	floor int64    // nonces issued until then are used up: their windows are gone
}

type epoch struct {
	number  int64
	windows map[uint64]window
}

// window holds the highest count seen and which of the 63 below it were.
type window struct {
	seen uint64 // bit i: top-i was seen
	top  uint32
}

// verdict is what the counts of a nonce say.
type verdict uint8

const (
	fresh verdict = iota
	repeated
	expired
)

func newReplay(lifetime time.Duration, windows int) *replay {
	return &replay{lifetime: lifetime.Milliseconds(), max: max(1, windows/replayShards)}
}

// use takes one count of n. Counts may come out of order within the window, each
// once. When the table is full it forgets, and what it forgot counts as expired.
func (r *replay) use(n nonce, count uint32, now time.Time) verdict {
	at := now.UnixMilli()
	if n.issued+r.lifetime <= at || n.issued > at+skew.Milliseconds() {
		return expired
	}
	s := &r.shards[n.id%replayShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.issued <= s.floor {
		return expired
	}
	number := n.issued / r.lifetime
	e := &s.kept[number%3]
	if e.number != number {
		*e = epoch{number: number, windows: make(map[uint64]window)}
	}
	w, known := e.windows[n.id]
	if !known && s.size() >= r.max {
		s.kept, s.floor = [3]epoch{}, at
		return expired
	}
	if !w.take(count) {
		return repeated
	}
	e.windows[n.id] = w
	return fresh
}

func (s *replayShard) size() int {
	n := 0
	for _, e := range s.kept {
		n += len(e.windows)
	}
	return n
}

// take marks count as seen and tells whether it was new and within the window.
func (w *window) take(count uint32) bool {
	switch {
	case count > w.top:
		if ahead := count - w.top; ahead < 64 {
			w.seen = w.seen<<ahead | 1
		} else {
			w.seen = 1
		}
		w.top = count
		return true
	case w.top-count >= 64:
		return false
	default:
		bit := uint64(1) << (w.top - count)
		if w.seen&bit != 0 {
			return false
		}
		w.seen |= bit
		return true
	}
}
