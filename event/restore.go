package event

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"vigie/store"
)

// Reviver makes the watcher of a subscription again from what Keeper.Record
// gave.
type Reviver func(s Subscription, record []byte) (Watcher, error)

// unsure is how long before the last sign of life something may have happened
// that watchers have not heard of: a NOTIFY's 32 s of retransmission and the
// throttle before it.
const unsure = time.Minute

// beatDelay is how long after something fell due a sign of life is written.
const beatDelay = 10 * time.Second

// restoration gathers what the store holds. What must be told depends on when
// the last process was last alive, which a first pass finds out.
type restoration struct {
	engine  *Engine
	ctx     context.Context
	revive  map[string]Reviver
	last    time.Time              // last sign of life
	changed map[Resource]time.Time // last change of what is published
	dead    []string               // keys of subscriptions whose end has been told
}

// Restore brings back publications with their entity-tags and remaining
// lifetimes, and subscriptions with their dialogs. Watchers are told, once
// Restore returns, of what changed or expired while nobody was there to tell
// them. It is called once, before the first Publish or Subscribe.
func (e *Engine) Restore(ctx context.Context, revive map[string]Reviver) error {
	e.workers.hold() // nothing leaves before everything is in its place
	defer e.workers.release()
	re := &restoration{engine: e, ctx: ctx, revive: revive, changed: map[Resource]time.Time{}}
	if err := e.store.Load(ctx, "", re.seen); err != nil {
		return fmt.Errorf("event: restore: %w", err)
	}
	if err := e.store.Load(ctx, publicationPrefix, re.publication); err != nil {
		return fmt.Errorf("event: restore publications: %w", err)
	}
	re.order()
	if err := e.store.Load(ctx, subscriptionPrefix, re.subscription); err != nil {
		return fmt.Errorf("event: restore subscriptions: %w", err)
	}
	re.tell()
	return re.bury()
}

// seen takes the time a record was written or prolonged as a sign of life, and the number in
// its key as given away.
func (re *restoration) seen(x store.Entry) error {
	if n := keyNumber(x.Key); n > re.engine.serial.Load() {
		re.engine.serial.Store(n)
	}
	if t, err := writtenAt(x.Value); err == nil {
		re.alive(t)
	}
	re.alive(x.Prolonged)
	return nil
}

// alive takes a sign of life, unless it lies in the future.
func (re *restoration) alive(t time.Time) {
	if t.After(re.last) && !t.After(time.Now()) {
		re.last = t
	}
}

// untold says that watchers may not have heard of what happened then.
func (re *restoration) untold(t time.Time) bool { return t.After(re.last.Add(-unsure)) }

// blind says that the store has forgotten some of what watchers may not have
// heard of.
func (re *restoration) blind() bool { return re.untold(time.Now().Add(-store.PurgeAfter)) }

func (re *restoration) note(id Resource, t time.Time) {
	if t.After(re.changed[id]) {
		re.changed[id] = t
	}
}

// publication takes one entry: a live publication, an expired one, or the
// mark of a removed one.
func (re *restoration) publication(x store.Entry) error {
	e := re.engine
	id, err := publicationResource(x.Key)
	pkg, served := e.packages[id.Package]
	if err != nil || !served {
		e.log.Warn("a stored publication is left out", "key", x.Key, "err", cmp.Or(err, ErrUnknownPackage))
		return nil
	}
	if removed, err := readMark(x.Value, recordRemoved); err == nil {
		re.note(id, removed)
		return nil
	}
	p, err := readPublication(x.Value)
	if err != nil {
		e.log.Error("a stored publication is left out", "resource", id, "err", err)
		return nil
	}
	if !x.Expires.After(time.Now()) {
		re.note(id, x.Expires)
		return nil
	}
	re.note(id, p.Updated)
	p.revision, p.Expires, p.expires = x.Revision, x.Expires, e.until(x.Expires)
	r := e.lock(id, pkg)
	r.publications = append(r.publications, p)
	pkg.publications.Add(1)
	r.schedule()
	r.unlock()
	return nil
}

// order sorts publications as they were created.
func (re *restoration) order() {
	re.engine.each(func(r *resource) {
		slices.SortFunc(r.publications, func(a, b *publication) int { return cmp.Compare(a.Created, b.Created) })
	})
}

// subscription takes one entry and puts the subscription in its place.
func (re *restoration) subscription(x store.Entry) error {
	e := re.engine
	record, err := readSubscription(x.Value)
	if err != nil {
		e.log.Error("a stored subscription is left out", "key", x.Key, "err", err)
		return nil
	}
	if expired := !x.Expires.After(time.Now()); expired && !re.untold(x.Expires) {
		re.dead = append(re.dead, strings.Clone(x.Key))
		return nil
	}
	pkg, served := e.packages[record.Resource.Package]
	revive, known := re.revive[record.Kind]
	if !served || !known {
		e.log.Warn("a stored subscription is left out", "resource", record.Resource, "kind", record.Kind)
		return nil
	}
	s := &subscription{who: record.Watcher, number: keyNumber(x.Key)}
	if s.watcher, err = revive(s, record.Dialog); err != nil {
		e.log.Error("a stored subscription is left out", "resource", record.Resource, "err", err)
		return nil
	}
	s.grant(max(0, time.Until(x.Expires)), e.until(x.Expires))
	re.place(pkg, s, record)
	re.decide(s, re.untold(record.Written))
	return nil
}

// bury deletes the records of subscriptions whose end has been told.
func (re *restoration) bury() error {
	for _, key := range re.dead {
		if _, err := re.engine.store.Delete(re.ctx, key, anyRevision); err != nil {
			return fmt.Errorf("event: restore: %w", err)
		}
	}
	return nil
}

func (re *restoration) place(pkg *eventPackage, s *subscription, record subscriptionRecord) {
	re.engine.count(s.who)
	r := re.engine.lock(record.Resource, pkg)
	s.resource = r
	r.join(s)
	s.turn(r.slot(record.Decision, record.Form))
	r.unlock()
}

// decide says what a revived subscription needs first: its end, a word on a
// changed decision or on a SUBSCRIBE that may not have been followed by its
// NOTIFY, or nothing.
func (re *restoration) decide(s *subscription, untold bool) {
	e, r := re.engine, s.resource
	if !s.live() {
		e.workers.give(ending{s, ReasonTimeout})
		return
	}
	decision, err := s.authorize(re.ctx)
	if err != nil {
		e.log.Error("a restored watcher keeps its old rights", "resource", r.id, "err", err)
		decision = s.view.decision
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if decision.State == Rejected { // no state goes out while the end waits for a worker
		s.turn(r.slot(decision, s.view.form))
		e.workers.give(ending{s, ReasonRejected})
		return
	}
	now := e.now()
	if untold || decision != s.view.decision {
		s.look(decision, s.view.form)
		s.force = s.expires-now >= moment(time.Second)
		e.workers.give(s)
	}
	s.rearm(now)
}

// tell has watchers hear of what may have changed without their knowing.
func (re *restoration) tell() {
	blind := re.blind()
	re.engine.each(func(r *resource) {
		if t, ok := re.changed[r.id]; blind || ok && re.untold(t) {
			r.touch()
			r.news = true
		}
	})
}

// each calls fn with every resource, locked.
func (e *Engine) each(fn func(r *resource)) {
	for i := range e.shards {
		s := &e.shards[i]
		s.mu.Lock()
		all := make([]*resource, 0, len(s.resources))
		for _, r := range s.resources {
			all = append(all, r)
		}
		s.mu.Unlock()
		for _, r := range all {
			r.mu.Lock()
			fn(r)
			r.mu.Unlock()
		}
	}
}

// count counts a subscription that was admitted by an earlier process.
func (e *Engine) count(w packed) {
	s, key := e.watcherSlot(w)
	s.mu.Lock()
	s.watchers[key]++
	s.mu.Unlock()
}

// fellDue has a sign of life written soon: a restart must not tell again what
// fell due while the server was alive.
func (e *Engine) fellDue() {
	if e.told.CompareAndSwap(false, true) {
		e.shards[0].alarms.set(&e.beat, e.now()+moment(beatDelay))
	}
}

// beat writes the sign of life when its alarm rings.
type beat struct {
	engine *Engine
	alarm
}

func (b *beat) run() {
	b.engine.told.Store(false)
	now := time.Now()
	if _, err := b.engine.store.Put(context.Background(), beatKey, appendBeat(nil, now), now.Add(365*24*time.Hour), anyRevision); err != nil {
		b.engine.metrics.storeErrors.Inc()
		b.engine.log.Error("sign of life not stored", "err", err)
	}
}
