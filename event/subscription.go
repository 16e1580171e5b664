package event

import (
	"context"
	"strconv"
	"sync"
	"time"
)

// subscription is one watcher's interest in one resource. Its outbox is in
// outbox.go.
type subscription struct {
	resource *resource
	watcher  Watcher
	identity Identity
	key      string // in the store; "" when it is not kept

	record sync.Mutex // held while the record is written or deleted

	// under resource.mu
	index    int
	decision Decision
	form     Form
	view     *view // nil while pending, and when over

	mu      sync.Mutex
	expires moment
	granted time.Duration
	outbox
	alarm alarm
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
	s := newSubscription(w, q.Watcher, decision, q.Form.clone())
	s.granted, s.expires = granted, e.now()+moment(granted)
	if granted == 0 {
		s.fetch(e, pkg, q.Resource)
		return s, nil
	}
	if err := e.admit(s.identity); err != nil {
		return nil, err
	}
	if err := s.create(ctx, e, pkg, q.Resource); err != nil {
		e.release(s.identity)
		return nil, err
	}
	s.send()
	return s, nil
}

func newSubscription(w Watcher, who Identity, d Decision, f Form) *subscription {
	s := &subscription{watcher: w, identity: who.clone(), decision: d, form: f}
	s.alarm.task = s
	return s
}

// fetch sends the one notification of a subscription that is over at once
// (RFC 6665 §4.4.3).
func (s *subscription) fetch(e *Engine, pkg *eventPackage, id Resource) {
	r := e.lock(id, pkg)
	s.resource = r
	s.over, s.final = true, ReasonTimeout
	if s.decision.State == Allowed {
		v := r.see(s.decision, s.form)
		s.want = v.body
		r.leave(v)
	}
	if len(r.subscriptions) == 0 {
		r.idle()
	}
	r.unlock()
	s.send()
}

func (s *subscription) create(ctx context.Context, e *Engine, pkg *eventPackage, id Resource) error {
	if _, ok := s.watcher.(Keeper); ok {
		s.key = subscriptionKey(e.number())
		if err := s.write(ctx, e, id, s.decision, s.form, s.expires); err != nil {
			return e.refuse("subscription not stored", id, err)
		}
	}
	r := e.lock(id, pkg)
	s.resource = r
	s.look(r) // before it joins: its first look is no news to itself
	r.join(s)
	s.force = true
	r.schedule()
	r.unlock()
	pkg.subscriptions[s.state()].Add(1)
	return nil
}

// look puts what the decision shows into the outbox. With resource.mu.
func (s *subscription) look(r *resource) {
	var v *view
	var body *Body
	if s.decision.State == Allowed {
		v = r.see(s.decision, s.form)
		body = v.body
	}
	r.leave(s.view)
	s.view = v
	s.want = body
}

func (s *subscription) state() State {
	if s.decision.State == Allowed {
		return Active
	}
	return Pending
}

func (s *subscription) Expires() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.granted
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
	decision, err := r.pkg.Package.Authorize(ctx, r.id, s.identity)
	if err != nil {
		return 0, err
	}
	if decision.State == Rejected {
		s.end(ReasonRejected)
		s.forget(ctx)
		return 0, ErrRejected
	}
	if err := s.renew(ctx, decision, f.Form.clone(), granted); err != nil {
		return 0, err
	}
	s.send()
	return granted, nil
}

// renew stores what a refresh granted and then lives by it.
func (s *subscription) renew(ctx context.Context, d Decision, f Form, granted time.Duration) error {
	r := s.resource
	s.record.Lock()
	defer s.record.Unlock()
	expires := r.engine.now() + moment(granted)
	if err := s.write(ctx, r.engine, r.id, d, f, expires); err != nil {
		return r.engine.refuse("subscription not stored", r.id, err)
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
	r.pkg.subscriptions[s.state()].Add(-1)
	s.decision, s.form = d, f
	r.pkg.subscriptions[s.state()].Add(1)
	s.look(r)
	s.granted, s.expires = granted, expires
	s.force, s.failures, s.retry = true, 0, 0
	return true
}

// Save writes the record again.
func (s *subscription) Save(ctx context.Context) error {
	r := s.resource
	s.record.Lock()
	defer s.record.Unlock()
	r.mu.Lock()
	s.mu.Lock()
	over, d, f, expires := s.over, s.decision, s.form, s.expires
	s.mu.Unlock()
	r.mu.Unlock()
	if over {
		return ErrGone
	}
	if err := s.write(ctx, r.engine, r.id, d, f, expires); err != nil {
		err = r.engine.refuse("subscription not stored", r.id, err)
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
	var last *Body
	if reason == ReasonTimeout && s.view != nil {
		last = r.show(s.view)
	}
	s.over, s.final, s.want = true, reason, last
	s.silent = s.silent || reason == ""
	r.pkg.subscriptions[s.state()].Add(-1)
	r.part(s)
	r.schedule()
	s.mu.Unlock()
	r.unlock()
	r.shard.alarms.clear(&s.alarm)
	r.engine.release(s.identity)
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
func (s *subscription) rearm() {
	if s.over || s.silent {
		return
	}
	at := s.expires
	if !s.flying && s.waiting() {
		at = min(at, s.due(s.resource.engine.now()))
	}
	s.resource.shard.alarms.set(&s.alarm, at)
}

func subscriptionKey(n int64) string { return subscriptionPrefix + strconv.FormatInt(n, 16) }

// write stores the subscription, if its watcher can be revived. With s.record,
// once others know s.
func (s *subscription) write(ctx context.Context, e *Engine, id Resource, d Decision, f Form, expires moment) error {
	keeper, ok := s.watcher.(Keeper)
	if !ok {
		return nil
	}
	record := subscriptionRecord{
		Resource: id, Watcher: s.identity, Decision: d, Form: f,
		Kind: keeper.Kind(), Dialog: keeper.Record(), Written: e.wall(e.now()),
	}
	_, err := e.store.Put(ctx, s.key, record.append(nil), e.wall(expires), anyRevision)
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
	if s.key == "" {
		return
	}
	e := s.resource.engine
	if _, err := e.store.Delete(ctx, s.key, anyRevision); err != nil {
		e.unheard(e.refuse("subscription not deleted", s.resource.id, err))
	}
}
