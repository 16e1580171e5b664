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

// alarm hands a task to the workers when its time comes. The zero alarm is
// not set. It belongs to the alarms it was first set in.
type alarm struct {
	at   moment
	slot int32 // place in the heap, from 1; 0 when not set
	task task
}

// alarms holds the alarms of one shard in a heap with one timer. A million
// alarms cost their 32 bytes each; idle ones cost no time at all.
type alarms struct {
	mu     sync.Mutex
	heap   []*alarm
	timer  *time.Timer
	wakes  moment // when the timer fires; below zero when it is not set
	closed bool

	now  func() moment
	give func(task)
}

// set makes a ring at the given moment, sooner or later than it was to.
func (a *alarms) set(x *alarm, at moment) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || x.slot != 0 && x.at == at {
		return
	}
	x.at = at
	if x.slot == 0 {
		a.heap = append(a.heap, x)
		x.slot = int32(len(a.heap))
	}
	a.down(a.up(int(x.slot) - 1))
	a.wind()
}

// clear forgets an alarm.
func (a *alarms) clear(x *alarm) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if x.slot != 0 && !a.closed {
		a.remove(int(x.slot) - 1)
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
	var due []task
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
	x, last := a.heap[i], len(a.heap)-1
	a.swap(i, last)
	a.heap[last] = nil
	a.heap = a.heap[:last]
	x.slot = 0
	if i < last {
		a.down(a.up(i))
	}
}

func (a *alarms) swap(i, j int) {
	a.heap[i], a.heap[j] = a.heap[j], a.heap[i]
	a.heap[i].slot, a.heap[j].slot = int32(i)+1, int32(j)+1
}

func (a *alarms) up(i int) int {
	for i > 0 {
		parent := (i - 1) / 4
		if a.heap[parent].at <= a.heap[i].at {
			break
		}
		a.swap(i, parent)
		i = parent
	}
	return i
}

func (a *alarms) down(i int) {
	for {
		least := i
		for child := 4*i + 1; child <= 4*i+4 && child < len(a.heap); child++ {
			if a.heap[child].at < a.heap[least].at {
				least = child
			}
		}
		if least == i {
			return
		}
		a.swap(i, least)
		i = least
	}
}
