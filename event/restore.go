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

// Reviver makes the watcher of a subscription again from its record and the mark
// on it, which are valid only during the call.
type Reviver func(s Subscription, record, mark []byte) (Watcher, error)

// unsure is how long before the last sign of life something may have happened
// that watchers have not heard of: a NOTIFY's 32 s of retransmission and the
// throttle before it.
const unsure = time.Minute

// beatDelay is how long after something fell due a sign of life is written.
const beatDelay = 10 * time.Second

// restoration gathers what the store holds. What must be told depends on when
// the last process was last alive, which is known when all has been read.
type restoration struct {
	engine      *Engine
	ctx         context.Context
	revive      map[string]Reviver
	now         time.Time              // when it began
	last        time.Time              // last sign of life, as far as is known
	owing       time.Time              // since when the last process had not told all either; zero: it had
	ceased      map[Resource]time.Time // when a publication was removed or expired last, where it may be untold
	recent      []recent
	shared      map[string]string // what records of subscriptions have in common
	owed        []task            // what is to be told, whatever is read yet
	repetitions []repetition      // what is to be told after that
	ended       bool              // there are subscriptions that have expired
	dead        []string          // keys of those whose end has been told
}

// recent is a subscription whose last SUBSCRIBE may not have been followed by
// its NOTIFY.
type recent struct {
	subscription *subscription
	written      int64 // nanoseconds since 1970
}

// Restore brings back publications with their entity-tags and remaining
// lifetimes, and subscriptions with their dialogs. Watchers are told, once
// Restore returns and piece by piece, of what changed or expired while nobody
// was there to tell them. It is called once, before the first Publish or
// Subscribe.
func (e *Engine) Restore(ctx context.Context, revive map[string]Reviver) error {
	e.workers.hold() // nothing leaves before everything is in its place
	defer e.workers.release()
	re := &restoration{engine: e, ctx: ctx, revive: revive, now: time.Now(),
		ceased: map[Resource]time.Time{}, shared: map[string]string{}}
	if err := e.store.Load(ctx, "", re.entry); err != nil {
		return fmt.Errorf("event: restore: %w", err)
	}
	if re.ended {
		if err := e.store.Load(ctx, subscriptionPrefix, re.expired); err != nil {
			return fmt.Errorf("event: restore expired subscriptions: %w", err)
		}
	}
	re.tell()
	re.repeat()
	if err := re.bury(); err != nil {
		return err
	}
	return re.owe()
}

// entry takes one entry. Publications come before subscriptions, and those of
// one resource in the order of their creation, as their keys sort.
func (re *restoration) entry(x store.Entry) error {
	re.seen(x)
	switch {
	case x.Key == owingKey:
		re.owing, _ = readMark(x.Value, recordOwing)
	case strings.HasPrefix(x.Key, publicationPrefix):
		re.publication(x)
	case !strings.HasPrefix(x.Key, subscriptionPrefix):
	case x.Expires.After(re.now):
		re.live(x)
	default:
		re.ended = true
	}
	return nil
}

// seen takes the time a record was written or prolonged as a sign of life, and
// the number in its key as given away.
func (re *restoration) seen(x store.Entry) {
	if n := keyNumber(x.Key); n > re.engine.serial.Load() {
		re.engine.serial.Store(n)
	}
	if t, err := writtenAt(x.Value); err == nil {
		re.alive(t)
	}
	re.alive(x.Prolonged)
}

// alive takes a sign of life, unless it lies in the future.
func (re *restoration) alive(t time.Time) {
	if t.After(re.last) && !t.After(re.now) {
		re.last = t
	}
}

// doubt is the moment after which watchers may not have heard of what happened.
// As more is read it becomes later.
func (re *restoration) doubt() time.Time {
	doubt := re.last.Add(-unsure)
	if !re.owing.IsZero() && re.owing.Before(doubt) {
		return re.owing
	}
	return doubt
}

func (re *restoration) untold(t time.Time) bool { return t.After(re.doubt()) }

// blind says that the store has forgotten some of what watchers may not have
// heard of.
func (re *restoration) blind() bool { return re.untold(time.Now().Add(-store.PurgeAfter)) }

func (re *restoration) note(id Resource, t time.Time) {
	if re.untold(t) && t.After(re.ceased[id]) {
		re.ceased[id] = t
	}
}

// publication takes one entry: a live publication, an expired one, or the
// mark of a removed one.
func (re *restoration) publication(x store.Entry) {
	e := re.engine
	id, err := publicationResource(x.Key)
	pkg, served := e.packages[id.Package]
	if err != nil || !served {
		e.log.Warn("a stored publication is left out", "key", x.Key, "err", cmp.Or(err, ErrUnknownPackage))
		return
	}
	if removed, err := readMark(x.Value, recordRemoved); err == nil {
		re.note(id, removed)
		return
	}
	p, err := pkg.readPublication(x.Value)
	if err != nil {
		e.log.Error("a stored publication is left out", "resource", id, "err", err)
		return
	}
	if !x.Expires.After(re.now) {
		re.note(id, x.Expires)
		return
	}
	p.revision, p.ends, p.expires = x.Revision, x.Expires.UnixNano(), e.until(x.Expires)
	r := e.lock(id, pkg)
	r.publications = append(r.publications, p)
	pkg.publications.Add(1)
	r.schedule()
	r.unlock()
}

// live takes the entry of a subscription that goes on.
func (re *restoration) live(x store.Entry) {
	s, written := re.subscription(x)
	if s == nil {
		return
	}
	re.decide(s)
	if !re.untold(written) {
		return
	}
	if len(re.recent) == cap(re.recent) { // rather than grow, or grow seldom
		re.recent = slices.DeleteFunc(re.recent, func(r recent) bool { return !re.untold(time.Unix(0, r.written)) })
		re.recent = slices.Grow(re.recent, 64+len(re.recent))
	}
	re.recent = append(re.recent, recent{s, written.UnixNano()})
}

// expired takes an entry of all subscriptions and has those end that have
// expired.
func (re *restoration) expired(x store.Entry) error {
	if x.Expires.After(re.now) {
		return nil
	}
	if !re.untold(x.Expires) {
		re.dead = append(re.dead, strings.Clone(x.Key))
		return nil
	}
	if s, _ := re.subscription(x); s != nil {
		re.owed = append(re.owed, ending{s, ReasonTimeout})
	}
	return nil
}

// subscription puts a stored subscription in its place, if it can be revived,
// and says when its record was written or marked.
func (re *restoration) subscription(x store.Entry) (*subscription, time.Time) {
	e := re.engine
	record, err := readSubscription(x.Value, re.shared)
	if err != nil {
		e.log.Error("a stored subscription is left out", "key", x.Key, "err", err)
		return nil, time.Time{}
	}
	pkg, served := e.packages[record.Resource.Package]
	revive, known := re.revive[record.Kind]
	if !served || !known {
		e.log.Warn("a stored subscription is left out", "resource", record.Resource, "kind", record.Kind)
		return nil, time.Time{}
	}
	s := &subscription{number: keyNumber(x.Key), revision: x.Revision}
	if s.watcher, err = revive(s, record.Dialog, x.Mark); err != nil {
		e.log.Error("a stored subscription is left out", "resource", record.Resource, "err", err)
		return nil, time.Time{}
	}
	s.who = share(s.watcher, record.Watcher)
	s.grant(max(0, x.Expires.Sub(re.now)), e.until(x.Expires))
	re.place(pkg, s, record)
	if x.Prolonged.After(record.Written) {
		return s, x.Prolonged
	}
	return s, record.Written
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

// decide has a restored watcher live by what it may know now. It ends, or is
// told, when that is not what it might know before.
func (re *restoration) decide(s *subscription) {
	e, r := re.engine, s.resource
	if !s.live() {
		re.owed = append(re.owed, ending{s, ReasonTimeout})
		return
	}
	decision, err := s.authorize(re.ctx)
	if err != nil {
		e.log.Error("a restored watcher keeps its old rights", "resource", r.id(), "err", err)
		decision = s.view.decision
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case decision.State == Rejected: // no state goes out while the end waits for its turn
		s.turn(r.slot(decision, s.view.form))
		re.owed = append(re.owed, ending{s, ReasonRejected})
		return
	case decision != s.view.decision:
		s.turn(r.slot(decision, s.view.form))
		re.owed = append(re.owed, repetition{s, s.expires})
	}
	s.rearm(e.now())
}

// repeat tells the watchers of recent subscriptions what they may have been
// told before.
func (re *restoration) repeat() {
	re.recent = slices.DeleteFunc(re.recent, func(r recent) bool {
		return !re.untold(time.Unix(0, r.written)) || r.subscription.view.decision.State == Rejected
	})
	re.repetitions = make([]repetition, len(re.recent))
	for i, r := range re.recent {
		re.repetitions[i] = repetition{r.subscription, r.subscription.expires}
	}
}

// tell has watchers hear of what may have changed without their knowing.
func (re *restoration) tell() {
	blind := re.blind()
	re.engine.each(func(r *resource) {
		if !blind && !re.changed(r) {
			return
		}
		r.stale, r.changed, r.news = true, re.engine.now(), true
		if len(r.subscriptions) > 0 {
			re.owed = append(re.owed, change{r})
		}
	})
}

// changed says that something happened to a resource that watchers may not have
// heard of.
func (re *restoration) changed(r *resource) bool {
	if t, ceased := re.ceased[r.id()]; ceased && re.untold(t) {
		return true
	}
	return slices.ContainsFunc(r.publications, func(p publication) bool { return re.untold(time.Unix(0, p.updated)) })
}

// owe has told what is owed. What takes a while is noted in the store: should
// this process be killed too, the next one knows how far back to go.
func (re *restoration) owe() error {
	x := &retelling{engine: re.engine, owed: re.owed, repetitions: re.repetitions}
	if len(re.owed)+len(re.repetitions) > retellPiece {
		if _, err := re.engine.store.Put(re.ctx, owingKey, appendOwing(nil, re.doubt()), time.Time{}, anyRevision); err != nil {
			return fmt.Errorf("event: restore: %w", err)
		}
		x.noted = true
	}
	re.engine.workers.give(x)
	return nil
}

// each calls fn with every resource, locked.
func (e *Engine) each(fn func(r *resource)) {
	for i := range e.shards {
		s := &e.shards[i]
		s.mu.Lock()
		all := make([]*resource, 0, len(s.resources))
		for _, r := range s.resources {
			for ; r != nil; r = r.beside {
				all = append(all, r)
			}
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
