package app

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

// collector paces the garbage collector. A percentage alone makes it run all the
// time where little is live, the usual case: a server at work makes hundreds of
// megabytes a second of short-lived memory on a heap of a few tens. So the heap
// may always grow by the headroom, and by the percentage of what is live beyond
// four times that: 100,000 subscriptions stay small, a million cheap.
type collector struct {
	percent  int
	headroom int // bytes
	stopped  atomic.Bool
}

// beacon is what each collection finds dead; it holds a pointer, because the
// runtime packs tiny objects without one together.
type beacon struct{ _ *beacon }

// pace sets the percentage for the next collection, after which it is called
// again.
func (c *collector) pace() {
	if c.stopped.Load() {
		return
	}
	debug.SetGCPercent(c.percentAt(liveHeap()))
	runtime.AddCleanup(new(beacon), (*collector).pace, c)
}

// percentAt is the percentage for a heap of which so many bytes are live. Below
// 4 MiB the runtime counts stacks and globals for more than the heap.
func (c *collector) percentAt(live int) int {
	excess := max(0, live-4*c.headroom)
	return (c.headroom*100 + excess*c.percent) / max(live, 4<<20)
}

func (c *collector) stop() error {
	c.stopped.Store(true)
	return nil
}

func liveHeap() int {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return int(sample[0].Value.Uint64())
}
