package store

import (
	"context"
	"strings"
	"sync"
)

// maxBehind is how many changes, and maxBehindBytes how many octets of values,
// may wait for one follower. A follower is code of this process that copies
// into memory; one that falls this far behind is stuck or starved.
const (
	maxBehind      = 1 << 16
	maxBehindBytes = 64 << 20
)

// Feed hands the changes of a store to its followers within the process. A
// driver publishes to it in revision order; each follower has its own queue,
// so that a slow one holds up nobody. The zero Feed is ready.
type Feed struct {
	mu        sync.Mutex
	closed    bool
	followers map[*Follower]struct{}
}

// Follower is one reader of a Feed.
type Follower struct {
	feed   *Feed
	prefix string
	ready  chan struct{} // holds one token when the fields below changed

	// Guarded by feed.mu.
	waiting []Change
	bytes   int
	err     error
}

// Join adds a follower of the keys under prefix, who gets what is published
// from now on. A driver calls it at a moment when nothing is being committed,
// together with taking the snapshot that the follower reads first.
func (f *Feed) Join(prefix string) *Follower {
	w := &Follower{feed: f, prefix: prefix, ready: make(chan struct{}, 1)}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		w.end(ErrClosed)
		return w
	}
	if f.followers == nil {
		f.followers = make(map[*Follower]struct{})
	}
	f.followers[w] = struct{}{}
	return w
}

// Publish queues changes for the followers, copying the values and marks that one wants.
func (f *Feed) Publish(changes ...Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for w := range f.followers {
		w.add(changes)
	}
}

// Wanted says whether anybody follows: a driver spares itself the work of
// gathering changes when nobody does.
func (f *Feed) Wanted() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.followers) > 0
}

// Close ends every follower with err, present and future.
func (f *Feed) Close(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for w := range f.followers {
		w.end(err)
	}
	f.followers = nil
}

// add queues what lies under the follower's prefix; the feed's lock is held.
func (w *Follower) add(changes []Change) {
	before := len(w.waiting)
	for _, c := range changes {
		if !strings.HasPrefix(c.Key, w.prefix) {
			continue
		}
		if len(w.waiting) >= maxBehind || w.bytes+len(c.Value) > maxBehindBytes {
			delete(w.feed.followers, w)
			w.waiting, w.bytes = nil, 0
			w.end(ErrBehind)
			return
		}
		c.Value, c.Mark = append([]byte(nil), c.Value...), append([]byte(nil), c.Mark...)
		w.bytes += len(c.Value)
		w.waiting = append(w.waiting, c)
	}
	if len(w.waiting) > before {
		w.wake()
	}
}

func (w *Follower) end(err error) {
	w.err = err
	w.wake()
}

func (w *Follower) wake() {
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

// take gives what waits, and why nothing more will come.
func (w *Follower) take() ([]Change, error) {
	w.feed.mu.Lock()
	defer w.feed.mu.Unlock()
	changes := w.waiting
	w.waiting, w.bytes = nil, 0
	return changes, w.err
}

// Leave ends following. It may be called more than once.
func (w *Follower) Leave() {
	w.feed.mu.Lock()
	defer w.feed.mu.Unlock()
	delete(w.feed.followers, w)
}

// Run calls fn for every change until ctx ends, fn fails or the feed ends.
func (w *Follower) Run(ctx context.Context, fn func(Change) error) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.ready:
		}
		changes, ended := w.take()
		for _, c := range changes {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := fn(c); err != nil {
				return err
			}
		}
		if ended != nil {
			return ended
		}
	}
}
