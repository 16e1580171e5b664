package app

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// collector paces the garbage collector. A percentage alone makes it run all the
// time where little is live, the usual case: a server at work makes hundreds of
// megabytes a second of short-lived memory on a heap of a few tens. So the heap
// may always grow by the headroom, and by the percentage of what is live beyond
// four times that: 100,000 subscriptions stay small, a million cheap.
type collector struct {
	percent  int
	headroom int // bytes

	mu      sync.Mutex
	resting bool
	stopped bool
}

// beacon is what each collection finds dead; it holds a pointer, because the
// runtime packs tiny objects without one together.
type beacon struct{ _ *beacon }

// pace sets the percentage for the next collection, after which it is called
// again.
func (c *collector) pace() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return
	}
	if !c.resting {
		debug.SetGCPercent(c.percentAt(measure(liveHeap)))
	}
	runtime.AddCleanup(new(beacon), (*collector).pace, c)
}

// percentAt is the percentage for a heap of which so many bytes are live. Below
// 4 MiB the runtime counts stacks and globals for more than the heap.
func (c *collector) percentAt(live int) int {
	excess := max(0, live-4*c.headroom)
	return (c.headroom*100 + excess*c.percent) / max(live, 4<<20)
}

// rest has no collection run until wake, unless a memory limit asks for it: while
// state is restored next to nothing dies, and each would mark all there is.
func (c *collector) rest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stopped {
		c.resting = true
		debug.SetGCPercent(-1)
	}
}

// wake paces again. The next collection comes as if all that is there were known
// to live: were it to come at once, everybody would have to help.
func (c *collector) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.resting {
		return
	}
	c.resting = false
	all, live := measure(heap), max(measure(liveHeap), 4<<20)
	growth := all - live + all*c.percentAt(all)/100
	debug.SetGCPercent(min(growth*100/live, math.MaxInt32))
}

func (c *collector) stop() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	return nil
}

const (
	liveHeap = "/gc/heap/live:bytes" // what the last collection found
	heap     = "/memory/classes/heap/objects:bytes"
)

func measure(name string) int {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	return int(sample[0].Value.Uint64())
}
