package event

import (
	"sync"
	"time"
)

// moment is a time as the distance from the engine's start, on the monotonic
// clock: eight bytes, and deaf to steps of the wall clock.
type moment time.Duration

// task is work for the engine's workers.
type task interface{ run() }

// alarm is the part of a task by which it finds itself among the alarms it was
// first set in: its place in their heap, from 1, or 0 when it is not set.
type alarm struct{ slot int32 }

func (a *alarm) heapSlot() *int32 { return &a.slot }

// timed is a task with an alarm: it goes to the workers when its time comes.
type timed interface {
	task
	heapSlot() *int32
}

// alarms holds the alarms of one shard in a heap with one timer. A million
// alarms cost their 24 bytes each; idle ones cost no time at all
// (BenchmarkAlarms).
type alarms struct {
	mu     sync.Mutex
	heap   []timing
	timer  *time.Timer
	wakes  moment // when the timer fires; below zero when it is not set
	closed bool

	now  func() moment
	give func(task)
}

// timing is when a task is to run. The time stands here, not in the task, so
// that comparing touches no other memory.
type timing struct {
	at   moment
	task timed
}

// set has a task run at the given moment, sooner or later than it was to.
func (a *alarms) set(x timed, at moment) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := int(*x.heapSlot()) - 1
	if a.closed || i >= 0 && a.heap[i].at == at {
		return
	}
	if i < 0 {
		i = len(a.heap)
		a.heap = append(a.heap, timing{})
	}
	a.settle(i, timing{at, x})
	a.wind()
}

// clear forgets an alarm.
func (a *alarms) clear(x timed) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if slot := *x.heapSlot(); slot != 0 && !a.closed {
		a.remove(int(slot) - 1)
	}
}

// close forgets all alarms; set and clear do nothing from now on.
func (a *alarms) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	a.heap = nil
	if a.timer != nil {
		a.timer.Stop()
	}
}

// ring hands over all that is due.
func (a *alarms) ring() {
	a.mu.Lock()
	var due []timed
	for now := a.now(); len(a.heap) > 0 && a.heap[0].at <= now; {
		due = append(due, a.heap[0].task)
		a.remove(0)
	}
	a.wakes = -1
	a.wind()
	a.mu.Unlock()
	for _, t := range due {
		a.give(t)
	}
}

// wind sets the timer for the earliest alarm, unless it fires before anyhow.
func (a *alarms) wind() {
	if a.closed || len(a.heap) == 0 {
		return
	}
	first := a.heap[0].at
	if a.timer == nil {
		a.wakes = first
		a.timer = time.AfterFunc(time.Duration(first-a.now()), a.ring)
		return
	}
	if a.wakes < 0 || first < a.wakes {
		a.wakes = first
		a.timer.Reset(time.Duration(first - a.now()))
	}
}

func (a *alarms) remove(i int) {
	last := len(a.heap) - 1
	*a.heap[i].task.heapSlot() = 0
	moved := a.heap[last]
	a.heap[last] = timing{}
	a.heap = a.heap[:last]
	if i < last {
		a.settle(i, moved)
	}
}

// settle puts a timing into the heap, which has a hole at i for it. Each has
// four children, the first of them at 4i+1.
func (a *alarms) settle(i int, t timing) {
	for i > 0 && t.at < a.heap[(i-1)/4].at {
		a.put(i, a.heap[(i-1)/4])
		i = (i - 1) / 4
	}
	for {
		child := a.earliest(4*i+1, min(4*i+5, len(a.heap)))
		if child < 0 || t.at <= a.heap[child].at {
			break
		}
		a.put(i, a.heap[child])
		i = child
	}
	a.put(i, t)
}

// earliest gives the first to ring of those from i to before end; -1 without
// any.
func (a *alarms) earliest(i, end int) int {
	if i >= end {
		return -1
	}
	for j := i + 1; j < end; j++ {
		if a.heap[j].at < a.heap[i].at {
			i = j
		}
	}
	return i
}

func (a *alarms) put(i int, t timing) {
	a.heap[i] = t
	*t.task.heapSlot() = int32(i) + 1
}
