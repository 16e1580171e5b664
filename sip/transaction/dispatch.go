package transaction

import (
	"context"
	"sync"
	"time"
)

// maxWorkers is how many requests are handled at a time; others wait their turn.
// Handlers wait for little but the store, which writes what many of them bring at
// once. More goroutines than that help nobody when requests come faster than they
// are handled: each would want a stack, and a look from the garbage collector.
const maxWorkers = 256

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

// employ puts the request in the hands of a worker, a new one if all have work
// and there may be more. It never blocks: the channel has room for every request
// that may be in progress, and for the end.
func (l *Layer) employ(tx *ServerTransaction) {
	l.work <- tx
	if l.runnable.Add(1) > l.workers.Load() && l.workers.Load() < maxWorkers {
		l.workers.Add(1)
		l.goroutines.Go(l.labour)
	}
}

// labour handles requests until the end comes, and passes that on.
func (l *Layer) labour() {
	for tx := range l.work {
		if tx == nil {
			l.work <- nil
			return
		}
		for tx != nil {
			l.handle(l.ctx, tx)
			next := l.following(tx)
			tx.release()
			tx = next
		}
		l.runnable.Add(-1)
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
