package event

import (
	"context"
	"time"
)

// What is owed to watchers after a restart is told in pieces with pauses between
// them, 6,400 watchers a second. Told at once it would hold up all that is new, and
// each is in memory until it is answered: 200,000 took 2 GB.
const (
	retellPiece = 64
	retellPause = moment(10 * time.Millisecond)
)

// retelling is what is still owed. It runs on one worker at a time.
type retelling struct {
	engine      *Engine
	owed        []task
	repetitions []repetition // after that
	noted       bool         // the store says that something is owed
	alarm
}

func (x *retelling) run() {
	told := 0
	for told < retellPiece && x.left() {
		told += x.next()
	}
	switch {
	case x.left():
		x.engine.shards[0].alarms.set(x, x.engine.now()+retellPause*moment(told)/retellPiece)
	case x.noted:
		x.settled()
	}
}

func (x *retelling) left() bool { return len(x.owed)+len(x.repetitions) > 0 }

// next does the next task and says how many watchers that tells.
func (x *retelling) next() int {
	if len(x.owed) == 0 {
		x.repetitions[0].run()
		x.repetitions = x.repetitions[1:]
		return 1
	}
	t := x.owed[0]
	x.owed = x.owed[1:]
	told := watchers(t)
	t.run()
	return told
}

// watchers is how many a task tells.
func watchers(t task) int {
	c, several := t.(change)
	if !several {
		return 1
	}
	c.resource.mu.Lock()
	defer c.resource.mu.Unlock()
	return len(c.resource.subscriptions)
}

// settled says in the store that nothing is owed any more.
func (x *retelling) settled() {
	if _, err := x.engine.store.Delete(context.Background(), owingKey, anyRevision); err != nil {
		x.engine.metrics.storeErrors.Inc()
		x.engine.unheard(err)
	}
}

// repetition tells a restored subscription's watcher again what the last process
// may have told, unless it has heard from this one meanwhile.
type repetition struct {
	subscription *subscription
	expires      moment // as restored; a SUBSCRIBE has changed it
}

func (x repetition) run() {
	s := x.subscription
	r := s.resource
	r.mu.Lock()
	s.mu.Lock()
	now := r.engine.now()
	// In the last second the end tells all.
	owed := !s.over && s.sent == nil && s.expires == x.expires && s.expires-now >= moment(time.Second)
	if owed {
		s.look(s.view.decision, s.view.form)
		s.force = true
	}
	s.mu.Unlock()
	r.mu.Unlock()
	if owed {
		s.send()
	}
}

// change tells the watchers of a resource what may have changed without their
// knowing, unless another change has told them meanwhile.
type change struct{ resource *resource }

func (x change) run() {
	r := x.resource
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.news && !r.gone {
		r.wake()
	}
}
