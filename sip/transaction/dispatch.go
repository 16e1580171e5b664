package transaction

import (
	"context"
	"sync"
	"time"
)

// maxIdle is how many goroutines without a request are kept, their stacks
// already grown to what a request needs.
const maxIdle = 128

// line is one part of the order in which requests are handled: who is last of
// each order key. It has a lock of its own, held with no other.
type line struct {
	mu   sync.Mutex
	last map[uint64]*ServerTransaction
}

// enqueue has a request handled after those of its order key that came before.
// It never blocks.
func (l *Layer) enqueue(tx *ServerTransaction) {
	line := &l.lines[tx.order%shards]
	line.mu.Lock()
	ahead := line.last[tx.order]
	line.last[tx.order] = tx
	if ahead != nil {
		ahead.behind = tx
	}
	line.mu.Unlock()
	if ahead == nil {
		l.employ(tx)
	}
}

// following gives the request whose turn it is after tx; nil ends the line.
func (l *Layer) following(tx *ServerTransaction) *ServerTransaction {
	line := &l.lines[tx.order%shards]
	line.mu.Lock()
	defer line.mu.Unlock()
	next := tx.behind
	if next == nil {
		delete(line.last, tx.order)
	}
	tx.behind = nil
	return next
}

// employ gives the request to a goroutine that waits, or to a new one.
func (l *Layer) employ(tx *ServerTransaction) {
	select {
	case l.work <- tx:
	default:
		l.goroutines.Go(func() { l.labour(tx) })
	}
}

// labour handles requests until there are none and enough others wait already.
func (l *Layer) labour(tx *ServerTransaction) {
	for {
		for tx != nil {
			l.handle(l.ctx, tx)
			tx = l.following(tx)
		}
		if l.idle.Add(1) > maxIdle {
			l.idle.Add(-1)
			return
		}
		select {
		case tx = <-l.work:
			l.idle.Add(-1)
		case <-l.stop:
			return
		}
	}
}

// leave ends a request's stay, which began with inProgress.Add(1).
func (l *Layer) leave() {
	if l.inProgress.Add(-1) == 0 && l.closing.Load() {
		select {
		case l.quiet <- struct{}{}:
		default:
		}
	}
}

// drain waits for requests in progress, no longer than grace.
func (l *Layer) drain(grace time.Duration) (drained bool) {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	for l.inProgress.Load() > 0 {
		select {
		case <-l.quiet:
		case <-ctx.Done():
			return l.inProgress.Load() == 0
		}
	}
	return true
}
