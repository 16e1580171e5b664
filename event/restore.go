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

// Reviver makes a watcher again from what Keeper.Record gave.
type Reviver func(record []byte) (Watcher, error)

// unsure is how long before the last sign of life something may have happened
// that watchers have not heard of: a NOTIFY's 32 s of retransmission and the
// throttle before it.
const unsure = time.Minute

// beatDelay is how long after something fell due a sign of life is written.
const beatDelay = 10 * time.Second

// restoration gathers what the store holds before anything is decided: what
// must be told depends on when the last process was last alive.
type restoration struct {
	engine  *Engine
	revive  map[string]Reviver
	last    time.Time              // last sign of life
	changed map[Resource]time.Time // last change of what is published
	revived []revived
}

type revived struct {
	key     string
	record  subscriptionRecord
	expires time.Time
	watcher Watcher
}

// Restore brings back publications with their entity-tags and remaining
// lifetimes, and subscriptions with their dialogs. Watchers are told, once
// Restore returns, of what changed or expired while nobody was there to tell
// them. It is called once, before the first Publish or Subscribe.
func (e *Engine) Restore(ctx context.Context, revive map[string]Reviver) error {
	re := &restoration{engine: e, revive: revive, changed: map[Resource]time.Time{}}
	if err := e.store.Load(ctx, beatKey, re.beat); err != nil {
		return fmt.Errorf("event: restore: %w", err)
	}
	if err := e.store.Load(ctx, publicationPrefix, re.publication); err != nil {
		return fmt.Errorf("event: restore publications: %w", err)
	}
	if err := e.store.Load(ctx, subscriptionPrefix, re.subscription); err != nil {
		return fmt.Errorf("event: restore subscriptions: %w", err)
	}
	re.order()
	re.subscriptions(ctx)
	re.tell()
	return nil
}

func (re *restoration) seen(t time.Time) {
	if t.After(re.last) && !t.After(time.Now()) {
		re.last = t
	}
}

func (re *restoration) note(id Resource, t time.Time) {
	if t.After(re.changed[id]) {
		re.changed[id] = t
	}
}

func (re *restoration) beat(x store.Entry) error {
	if t, err := readMark(x.Value, recordBeat); err == nil {
		re.seen(t)
	}
	return nil
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
		re.seen(removed)
		re.note(id, removed)
		return nil
	}
	p, written, err := readPublication(x.Value)
	if err != nil {
		e.log.Error("a stored publication is left out", "resource", id, "err", err)
		return nil
	}
	re.seen(written)
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

func (re *restoration) subscription(x store.Entry) error {
	e := re.engine
	record, err := readSubscription(x.Value)
	if err != nil {
		e.log.Error("a stored subscription is left out", "key", x.Key, "err", err)
		return nil
	}
	re.seen(record.Written)
	make, ok := re.revive[record.Kind]
	if _, served := e.packages[record.Resource.Package]; !ok || !served {
		e.log.Warn("a stored subscription is left out", "resource", record.Resource, "kind", record.Kind)
		return nil
	}
	w, err := make(record.Dialog)
	if err != nil {
		e.log.Error("a stored subscription is left out", "resource", record.Resource, "err", err)
		return nil
	}
	record.Dialog = nil
	re.revived = append(re.revived, revived{key: strings.Clone(x.Key), record: record, expires: x.Expires, watcher: w})
	return nil
}

// subscriptions puts the revived subscriptions in their places.
func (re *restoration) subscriptions(ctx context.Context) {
	for _, v := range re.revived {
		re.place(ctx, v)
	}
}

func (re *restoration) place(ctx context.Context, v revived) {
	e := re.engine
	pkg := e.packages[v.record.Resource.Package]
	s := newSubscription(v.watcher, v.record.Watcher, v.record.Decision, v.record.Form)
	s.key, s.expires = v.key, e.until(v.expires)
	s.granted = max(0, time.Until(v.expires))
	e.count(s.identity)
	r := e.lock(v.record.Resource, pkg)
	s.resource = r
	r.join(s)
	if s.decision.State == Allowed {
		s.view = r.slot(s.decision, s.form)
	}
	r.unlock()
	pkg.subscriptions[s.state()].Add(1)
	re.decide(ctx, s, v)
}

// decide says what a revived subscription needs at once: its end, a word on a
// changed decision or on a SUBSCRIBE that may not have been followed by its
// NOTIFY, or nothing.
func (re *restoration) decide(ctx context.Context, s *subscription, v revived) {
	e, r := re.engine, s.resource
	if !v.expires.After(time.Now()) {
		if v.expires.Before(re.last.Add(-unsure)) {
			s.end("")
		} else {
			s.end(ReasonTimeout)
		}
		s.forget(ctx)
		return
	}
	decision, err := r.pkg.Package.Authorize(ctx, r.id, s.identity)
	if err != nil {
		e.log.Error("a restored watcher keeps its old rights", "resource", r.id, "err", err)
		decision = s.decision
	}
	if decision.State == Rejected {
		s.end(ReasonRejected)
		s.forget(ctx)
		return
	}
	r.mu.Lock()
	s.mu.Lock()
	if decision != s.decision || v.record.Written.After(re.last.Add(-unsure)) {
		pkg := r.pkg
		pkg.subscriptions[s.state()].Add(-1)
		s.decision = decision
		pkg.subscriptions[s.state()].Add(1)
		s.look(r)
		s.force = true
	}
	s.rearm()
	s.mu.Unlock()
	r.mu.Unlock()
	if s.force {
		e.workers.give(s)
	}
}

// tell has watchers hear of what may have changed without their knowing.
func (re *restoration) tell() {
	threshold := re.last.Add(-unsure)
	re.engine.each(func(r *resource) {
		if t, ok := re.changed[r.id]; ok && t.After(threshold) {
			r.stale = false
			r.touch()
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
func (e *Engine) count(w Identity) {
	s, key := e.watcherSlot(w)
	s.mu.Lock()
	s.watchers[key]++
	s.mu.Unlock()
}

// fellDue has a sign of life written soon: a restart must not tell again what
// fell due while the server was alive.
func (e *Engine) fellDue() {
	if e.told.CompareAndSwap(false, true) {
		e.beat.task = beat{e}
		e.shards[0].alarms.set(&e.beat, e.now()+moment(beatDelay))
	}
}

type beat struct{ engine *Engine }

func (b beat) run() {
	b.engine.told.Store(false)
	now := time.Now()
	if _, err := b.engine.store.Put(context.Background(), beatKey, appendBeat(nil, now), now.Add(365*24*time.Hour), anyRevision); err != nil {
		b.engine.metrics.storeErrors.Inc()
		b.engine.log.Error("sign of life not stored", "err", err)
	}
}
