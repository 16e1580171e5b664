package event

import (
	"runtime"
	"strings"
	"sync"
	"time"
)

// resource is the state of one Resource: what is published for it, who
// watches it, and what they see. A resource with neither is forgotten. There may
// be a million, and the collector looks at each pointer (TestPublicationSize).
type resource struct {
	uri    string // as printed
	engine *Engine
	shard  *shard
	pkg    *eventPackage
	beside *resource // another of the same hash; under shard.mu

	mu sync.Mutex
	alarm
	gone          bool // forgotten; whoever finds it looks it up again
	queued        bool // a run is on its way
	stale         bool // inputs changed since whole was composed
	news          bool // whole changed since it was offered to all watchers
	publications  []publication
	subscriptions []*subscription
	whole         Composite // nil: not composed yet
	views         []*view
	changed       moment // when the oldest unseen change came
}

// view is what one group of watchers sees, pending ones included, who see
// nothing: body is nil until it is rendered.
type view struct {
	decision Decision
	form     Form
	body     *Body
	since    moment // when what body shows changed
	users    int
}

func newResource(e *Engine, s *shard, p *eventPackage, id Resource) *resource {
	return &resource{uri: id.URI.String(), engine: e, shard: s, pkg: p}
}

// id is what the resource is found by. An address of record is sip:user@host, or
// of a scheme without hosts (sip.URI.AOR).
func (r *resource) id() Resource {
	id := Resource{Package: r.pkg.name}
	u := &id.URI
	u.Scheme, u.User, _ = strings.Cut(r.uri, ":")
	if u.Scheme != "sip" {
		return id
	}
	if user, host, ok := strings.Cut(u.User, "@"); ok {
		u.User, u.Host = user, host
	} else {
		u.User, u.Host = "", user
	}
	return id
}

func (v *view) state() State {
	if v.decision.State == Allowed {
		return Active
	}
	return Pending
}

// unlock unlocks, and forgets a resource that holds nothing.
func (r *resource) unlock() {
	if len(r.publications) > 0 || len(r.subscriptions) > 0 || r.gone {
		r.mu.Unlock()
		return
	}
	r.gone = true
	r.shard.alarms.clear(r)
	r.mu.Unlock()
	s, hash := r.engine.place(r.id())
	s.mu.Lock()
	s.forget(hash, r)
	s.mu.Unlock()
}

// touch notes a change of the inputs and has watchers told, if there are any.
func (r *resource) touch() {
	if !r.stale {
		r.stale, r.changed = true, r.engine.now()
	}
	r.wake()
}

// wake has a worker tell the watchers, if there are any.
func (r *resource) wake() {
	if len(r.subscriptions) > 0 && !r.queued {
		r.queued = true
		r.engine.workers.give(r)
	}
}

// run drops what expired, composes anew and tells those who see a change.
func (r *resource) run() {
	r.mu.Lock()
	if r.gone {
		r.mu.Unlock()
		return
	}
	r.queued = true // whatever is found now is told by this very run
	r.expire()
	var tell []*subscription
	if len(r.subscriptions) > 0 {
		r.compose()
		tell = r.offer()
	}
	r.queued = false
	r.schedule()
	r.unlock()
	fanout{tell, r.engine}.run()
}

// fanoutPiece is how many watchers are told before others have their turn: a quarter
// of a millisecond, their answers included.
const fanoutPiece = 32

// fanout tells the watchers of one resource in pieces, so that a popular
// presentity does not hold up the others (SCL-05).
type fanout struct {
	tell   []*subscription
	engine *Engine
}

// run goes on until somebody waits for a worker. What is told leaves before more waits
// to leave: the rest has no right to go ahead of what others are told meanwhile
// (BenchmarkBesidePopular of interop).
func (f fanout) run() {
	for rest := f.tell; len(rest) > 0; {
		now := rest[:min(len(rest), fanoutPiece)]
		for _, s := range now {
			s.send()
		}
		if rest = rest[len(now):]; len(rest) == 0 {
			return
		}
		runtime.Gosched()
		f.engine.settle()
		if f.engine.workers.waiting() > 0 {
			f.engine.workers.give(fanout{rest, f.engine})
			return
		}
	}
}

// compose brings whole up to date, and the views with it when anybody could
// notice; then all watchers will be offered the news, whoever asked for it. What
// is composed for the first time is no news unless its inputs have changed: after
// a restart watchers know it.
func (r *resource) compose() {
	r.expire()
	now := r.engine.now()
	if next := r.next(); r.whole != nil && !r.stale && (next == 0 || next > now) {
		return
	}
	whole, err := r.pkg.Package.Compose(r.id(), r.live(), r.engine.wall(now))
	if err != nil {
		r.engine.log.Error("composing failed, watchers keep the last state", "resource", r.id(), "err", err)
		return
	}
	same := r.whole != nil && r.whole.Same(whole)
	news := !same && (r.whole != nil || r.stale)
	r.whole, r.stale = whole, false
	if !same {
		r.render()
	}
	if news && len(r.subscriptions) > 0 {
		r.news = true
		r.wake()
	}
}

// render draws all views again; a view that looks as before stays the same.
func (r *resource) render() {
	for _, v := range r.views {
		r.draw(v)
	}
}

func (r *resource) draw(v *view) {
	if v.decision.State != Allowed {
		return
	}
	body, err := r.pkg.Package.View(r.id(), r.whole, v.decision, v.form)
	if err != nil {
		r.engine.log.Error("rendering failed, watchers keep the last state", "resource", r.id(), "view", v.decision.Key, "err", err)
		return
	}
	if !v.body.same(&body) {
		v.body, v.since = &body, r.changed
	}
}

// show gives what a view shows now.
func (r *resource) show(v *view) *Body {
	if v.decision.State != Allowed {
		return nil
	}
	r.compose()
	if v.body == nil && r.whole != nil {
		r.draw(v)
	}
	return v.body
}

// slot gives the view of a decision and form, rendered or not, and counts one
// more user.
func (r *resource) slot(d Decision, f Form) *view {
	for _, v := range r.views {
		if v.decision == d && v.form == f {
			v.users++
			return v
		}
	}
	d.Key = strings.Clone(d.Key)
	f = Form{Entity: strings.Clone(f.Entity), Type: r.pkg.mediaType(f.Type)}
	v := &view{decision: d, form: f, users: 1, since: r.changed}
	r.views = append(r.views, v)
	return v
}

func (r *resource) leave(v *view) {
	if v.users--; v.users > 0 {
		return
	}
	for i := range r.views {
		if r.views[i] == v {
			r.views[i] = r.views[len(r.views)-1]
			r.views = r.views[:len(r.views)-1]
			return
		}
	}
}

// offer puts each subscription's view in its outbox and gives those that can
// send at once.
func (r *resource) offer() []*subscription {
	if !r.news {
		return nil
	}
	r.news = false
	tell := make([]*subscription, 0, len(r.subscriptions))
	for _, s := range r.subscriptions {
		if s.offer(s.view.body, s.view.since) {
			tell = append(tell, s)
		}
	}
	return tell
}

// next is when time alone changes the composed state; 0 for never.
func (r *resource) next() moment {
	if r.whole == nil {
		return 0
	}
	if t := r.whole.Next(); !t.IsZero() {
		return r.engine.until(t)
	}
	return 0
}

// overdue is how long a boundary waits that composing left in the past, for it
// failed or the wall clock was set.
const overdue = moment(time.Second)

// schedule sets the alarm for the next expiry or boundary.
func (r *resource) schedule() {
	at := moment(0)
	sooner := func(m moment) {
		if m != 0 && (at == 0 || m < at) {
			at = m
		}
	}
	for i := range r.publications {
		sooner(r.publications[i].expires)
	}
	if len(r.subscriptions) > 0 {
		boundary := r.next()
		if now := r.engine.now(); boundary != 0 && boundary <= now {
			boundary = now + overdue
		}
		sooner(boundary)
	}
	if at == 0 {
		r.shard.alarms.clear(r)
		return
	}
	r.shard.alarms.set(r, at)
}

func (r *resource) join(s *subscription) {
	s.index = int32(len(r.subscriptions))
	r.subscriptions = append(r.subscriptions, s)
}

func (r *resource) part(s *subscription) {
	last := int32(len(r.subscriptions) - 1)
	if s.index > last || r.subscriptions[s.index] != s {
		return
	}
	moved := r.subscriptions[last]
	r.subscriptions[s.index], moved.index = moved, s.index
	r.subscriptions[last] = nil
	r.subscriptions = r.subscriptions[:last]
	s.turn(nil)
	if last == 0 {
		r.idle()
	}
}

// idle lets go of what only watchers need.
func (r *resource) idle() {
	r.whole, r.views, r.subscriptions = nil, nil, nil
	for i := range r.publications {
		r.publications[i].state = nil
	}
}
