package transaction

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// coalesce is the least time between two rounds of the driver: what falls
	// due in between goes in one round.
	coalesce = time.Millisecond
	// sweepDelay is how long expired records may stay in memory. Nobody sees
	// them: who looks into a shard drops its expired records first.
	sweepDelay = time.Second
)

// clock tells the time since the layer began and wakes its one driver when
// something is due. With nothing armed the driver sleeps and no timer runs.
type clock struct {
	start time.Time
	timer *time.Timer
	armed atomic.Int64 // when the driver wakes next; written under mu

	mu   sync.Mutex // a leaf: no other lock is taken under it
	busy bool       // the driver is in a round and will arm the timer after it
}

func newClock() *clock {
	c := &clock{start: time.Now(), timer: time.NewTimer(time.Hour)}
	c.timer.Stop()
	c.armed.Store(never)
	return c
}

func (c *clock) now() int64 { return int64(time.Since(c.start)) }

// wake makes sure that the driver looks around at due or earlier.
func (c *clock) wake(due int64) {
	if due >= c.armed.Load() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if due >= c.armed.Load() {
		return
	}
	c.armed.Store(due)
	if !c.busy {
		c.timer.Reset(time.Duration(due - c.now()))
	}
}

// begin starts a round. What is armed from here on counts at its end, so that
// nothing is lost between looking at a shard and arming the timer.
func (c *clock) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = true
	c.armed.Store(never)
}

// end finishes a round that began at began and found next to be due next.
func (c *clock) end(began, next int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = false
	next = min(next, c.armed.Load())
	if next != never {
		next = max(next, began+int64(coalesce))
		c.timer.Reset(time.Duration(next - c.now()))
	}
	c.armed.Store(next)
}

// drive is the driver: it fires all timers of the layer.
func (l *Layer) drive() {
	for {
		select {
		case <-l.stop:
			return
		case <-l.clock.timer.C:
			l.round()
		}
	}
}

func (l *Layer) round() {
	l.clock.begin()
	now := l.clock.now()
	next := int64(never)
	for i := range l.servers {
		next = min(next, l.runServer(&l.servers[i], now))
	}
	for i := range l.clients {
		next = min(next, l.runClient(&l.clients[i], now))
	}
	l.clock.end(now, next)
}
