package event

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"vigie/store"
)

// subscription is one watcher's interest in one resource. Its outbox is in
// outbox.go. There may be a million: what watchers have in common is in their
// view, and the fields leave no gaps (BenchmarkSubscribe).
type subscription struct {
	resource *resource
	watcher  Watcher
	who      packed
	number   int64 // of its key in the store; 0 when it is not kept

	record   sync.Mutex // held while the record is written or deleted
	revision uint64     // of what is in the store; under record
	mu       sync.Mutex

	view    *view  // nil when over; changed with resource.mu and mu held
	expires moment // under mu
	granted uint32 // in seconds; under mu
	index   int32  // in resource.subscriptions; under resource.mu
	unlike  bool   // the record may say something else than view and watcher; under mu
	outbox
	alarm
}

// Subscribe grants a subscription, stores it, and sends the first
// notification. A fetch leaves nothing behind.
func (e *Engine) Subscribe(ctx context.Context, q Subscribe, w Watcher) (Subscription, error) {
	pkg, ok := e.packages[q.Resource.Package]
	if !ok {
		return nil, ErrUnknownPackage
	}
	if e.closed.Load() {
		return nil, ErrClosed
	}
	decision, err := pkg.Package.Authorize(ctx, q.Resource, q.Watcher)
	if err != nil {
		return nil, err
	}
	if decision.State == Rejected {
		return nil, ErrRejected
	}
	granted, err := pkg.Lifetimes.subscribe(q.Expires)
	if err != nil {
		return nil, err
	}
	s := &subscription{watcher: w, who: packFor(w, q.Watcher)}
	s.grant(granted, e.now()+moment(granted))
	if granted == 0 {
		s.fetch(e.lock(q.Resource, pkg), decision, q.Form)
		return s, nil
	}
	if err := e.admit(s.who); err != nil {
		return nil, err
	}
	if err := s.create(ctx, e, q.Resource, decision, q.Form); err != nil {
		e.release(s.who)
		return nil, err
	}
	s.send()
	return s, nil
}

// fetch sends the one notification of a subscription that is over at once
// (RFC 6665 §4.4.3). It unlocks the resource.
func (s *subscription) fetch(r *resource, d Decision, f Form) {
	s.resource = r
	s.over, s.final = true, finalOf(ReasonTimeout)
	v := r.slot(d, f)
	s.want = r.show(v)
	r.leave(v)
	if len(r.subscriptions) == 0 {
		r.idle()
	}
	r.unlock()
	s.send()
}

func (s *subscription) create(ctx context.Context, e *Engine, id Resource, d Decision, f Form) error {
	if _, ok := s.watcher.(Keeper); ok {
		s.number = e.number()
		if err := s.write(ctx, e, id, d, f, s.expires); err != nil {
			return e.refuse("subscription not stored", id, err)
		}
	}
	r := e.lock(id, e.packages[id.Package])
	s.resource = r
	s.look(d, f) // before it joins: its first look is no news to itself
	r.join(s)
	s.force = true
	r.schedule()
	r.unlock()
	return nil
}

// look gives the subscription another decision and form, and puts what they
// show into the outbox. With resource.mu and, once others know s, with s.mu.
func (s *subscription) look(d Decision, f Form) {
	s.turn(s.resource.slot(d, f))
	s.want = s.resource.show(s.view)
}

// turn has the subscription see another view, or none any more, and counts it
// by its state. Locks as for look.
func (s *subscription) turn(v *view) {
	was := s.view
	s.view = v
	s.unlike = s.unlike || was != nil && was != v
	if v != nil {
		s.resource.pkg.subscriptions[v.state()].Add(1)
	}
	if was != nil {
		s.resource.pkg.subscriptions[was.state()].Add(-1)
		s.resource.leave(was)
	}
}

// grant sets the lifetime; with s.mu, once others know s.
func (s *subscription) grant(d time.Duration, expires moment) {
	s.granted, s.expires = uint32(min(d/time.Second, math.MaxUint32)), expires
}

func (s *subscription) Expires() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Duration(s.granted) * time.Second
}

// Refresh follows the rules of creation again (RFC 6665 §4.2.1.4).
func (s *subscription) Refresh(ctx context.Context, f Refresh) (time.Duration, error) {
	r := s.resource
	granted, err := r.pkg.Lifetimes.subscribe(f.Expires)
	if err != nil {
		return 0, err
	}
	if !s.live() {
		return 0, ErrGone
	}
	if granted == 0 {
		s.end(ReasonTimeout)
		s.forget(ctx)
		return 0, nil
	}
	decision, err := s.authorize(ctx)
	if err != nil {
		return 0, err
	}
	if decision.State == Rejected {
		s.end(ReasonRejected)
		s.forget(ctx)
		return 0, ErrRejected
	}
	if err := s.renew(ctx, decision, f.Form, granted); err != nil {
		return 0, err
	}
	s.send()
	return granted, nil
}

// authorize decides anew what the watcher may know.
func (s *subscription) authorize(ctx context.Context) (Decision, error) {
	who, err := s.who.identity()
	if err != nil {
		return Decision{}, err
	}
	return s.resource.pkg.Package.Authorize(ctx, s.resource.id(), who)
}

// renew stores what a refresh granted and then lives by it.
func (s *subscription) renew(ctx context.Context, d Decision, f Form, granted time.Duration) error {
	r := s.resource
	s.record.Lock()
	defer s.record.Unlock()
	expires := r.engine.now() + moment(granted)
	if err := s.keep(ctx, d, f, expires); err != nil {
		return err
	}
	if !s.prolong(d, f, granted, expires) { // it ended while it was written
		s.erase(ctx)
		return ErrGone
	}
	return nil
}

// prolong gives a subscription a new lifetime, unless it has ended.
func (s *subscription) prolong(d Decision, f Form, granted time.Duration, expires moment) bool {
	r := s.resource
	r.mu.Lock()
	defer r.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.silent {
		return false
	}
	s.look(d, f)
	s.unlike = false
	s.grant(granted, expires)
	s.force, s.failures, s.retry = true, 0, 0
	return true
}

// Save writes what has changed of the watcher's record. Whoever asks for it while he
// is being stopped has his context's error, and no failure is noted.
func (s *subscription) Save(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r := s.resource
	s.record.Lock()
	defer s.record.Unlock()
	s.mu.Lock()
	v, expires := s.view, s.expires
	s.mu.Unlock()
	if v == nil {
		return ErrGone
	}
	if err := s.keep(ctx, v.decision, v.form, expires); err != nil {
		r.engine.unheard(err)
		return err
	}
	return nil
}

func (s *subscription) live() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.over && !s.silent && s.expires > s.resource.engine.now()
}

// end takes the subscription off its resource and sends the last
// notification; without a reason it goes in silence. An expired or ended
// subscription is told the state once more (RFC 6665 §4.4.1).
func (s *subscription) end(reason Reason) {
	r := s.resource
	r.mu.Lock()
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		r.mu.Unlock()
		return
	}
	s.want = nil
	if reason == ReasonTimeout {
		s.want = r.show(s.view)
	}
	s.over, s.final = true, finalOf(reason)
	s.silent = s.silent || reason == ""
	r.part(s)
	r.schedule()
	s.mu.Unlock()
	r.unlock()
	r.shard.alarms.clear(s)
	r.engine.release(s.who)
	s.send()
}

// run is the alarm: the subscription expires, or its outbox may send again.
func (s *subscription) run() {
	s.mu.Lock()
	expired := !s.over && s.expires <= s.resource.engine.now()
	s.mu.Unlock()
	if expired {
		s.resource.engine.fellDue()
		s.end(ReasonTimeout)
		return
	}
	s.send()
}

// rearm sets the alarm for what comes first: the expiry, or the time the
// outbox waits for. With s.mu.
func (s *subscription) rearm(now moment) {
	if s.over || s.silent {
		return
	}
	at := s.expires
	if !s.flying && s.waiting() {
		at = min(at, s.due(now))
	}
	s.resource.shard.alarms.set(s, at)
}

// keep stores a subscription that is stored already, as a mark on its record if
// that says all that is new. With s.record.
func (s *subscription) keep(ctx context.Context, d Decision, f Form, expires moment) error {
	if s.number == 0 {
		return nil
	}
	e, err := s.resource.engine, store.ErrValueWanted
	if s.recorded(d, f) {
		err = s.mark(ctx, e, expires)
	}
	if errors.Is(err, store.ErrValueWanted) {
		err = s.write(ctx, e, s.resource.id(), d, f, expires)
	}
	if err != nil {
		return e.refuse("subscription not stored", s.resource.id(), err)
	}
	return nil
}

// recorded says that the record in the store has this decision and form.
func (s *subscription) recorded(d Decision, f Form) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.unlike && s.view != nil && s.view.decision == d && s.view.form == f
}

// write stores the whole record of a subscription whose watcher can be revived.
// With s.record, once others know s.
func (s *subscription) write(ctx context.Context, e *Engine, id Resource, d Decision, f Form, expires moment) error {
	record := subscriptionRecord{Resource: id, Watcher: s.who, Decision: d, Form: f, Written: time.Now()}
	b := records.Get().(*[]byte)
	defer records.Put(b)
	*b = record.append((*b)[:0], s.watcher.(Keeper))
	revision, err := e.store.Put(ctx, subscriptionKey(s.number), *b, e.wall(expires), anyRevision)
	if err == nil {
		s.revision = revision
	}
	s.mu.Lock()
	s.unlike = err != nil // the watcher takes for stored what it has given
	s.mu.Unlock()
	return err
}

// mark prolongs the record in the store, with what is new for the watcher;
// ErrValueWanted when that takes a whole record. With s.record.
func (s *subscription) mark(ctx context.Context, e *Engine, expires moment) error {
	b := records.Get().(*[]byte)
	defer records.Put(b)
	mark, ok := s.watcher.(Keeper).AppendMark((*b)[:0])
	if *b = mark; !ok {
		return store.ErrValueWanted
	}
	entry := store.Entry{Key: subscriptionKey(s.number), Mark: mark, Revision: s.revision}
	revision, err := e.store.Prolong(ctx, entry, e.wall(expires), anyRevision)
	if err == nil {
		s.revision = revision
	}
	return err
}

// forget deletes the record of a subscription that has ended; what is being
// written at that moment goes with it.
func (s *subscription) forget(ctx context.Context) {
	s.record.Lock()
	defer s.record.Unlock()
	s.erase(ctx)
}

// erase deletes the record. A failure leaves a record that a restart revives
// until the peer answers 481; it is logged. With s.record.
func (s *subscription) erase(ctx context.Context) {
	if s.number == 0 {
		return
	}
	e := s.resource.engine
	if _, err := e.store.Delete(ctx, subscriptionKey(s.number), anyRevision); err != nil {
		e.unheard(e.refuse("subscription not deleted", s.resource.id(), err))
	}
}
