package event

import (
	"fmt"
	"hash/maphash"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"vigie/store"
)

// PackageOptions is one event package with its bounds.
type PackageOptions struct {
	Package   Package
	Lifetimes Lifetimes
	// Interval is the shortest time between two notifications of change to
	// one watcher (trailing edge: the newest state always arrives). Zero
	// turns the throttle off.
	Interval time.Duration
}

// Limits bound what one publisher or watcher can make the engine hold.
type Limits struct {
	Body          int // bytes of one published body
	Publications  int // live ones of one resource
	Subscriptions int // of one watcher
	Failures      int // notifications failing in a row before a subscription ends
}

// DefaultLimits are used where an Options field is zero.
var DefaultLimits = Limits{Body: 64 << 10, Publications: 50, Subscriptions: 5000, Failures: 5}

// Options of an Engine.
type Options struct {
	Store    store.Soft
	Packages []PackageOptions
	Limits   Limits
	Workers  int // zero: 8
	Logger   *slog.Logger

	// Settle returns when hardly any of what watchers are told waits to be sent; nil
	// returns at once. It is called while many are told.
	Settle func()

	// Shared says that others write to the store too. A publication is then
	// changed only at the revision it was read at, a check that costs a
	// reading; alone, the lock of the resource is check enough.
	Shared bool
}

// Engine is the Service that keeps state.
type Engine struct {
	store    store.Soft
	packages map[string]*eventPackage
	limits   Limits
	shared   bool
	settle   func()
	log      *slog.Logger
	base     time.Time
	seed     maphash.Seed
	shards   [shardCount]shard
	workers  *workers
	serial   atomic.Int64 // last number given by number
	told     atomic.Bool  // something fell due since the last beat
	beat     beat
	closed   atomic.Bool
	metrics  *metrics
}

const shardCount = 64

type shard struct {
	mu        sync.Mutex
	resources map[uint64]*resource // by hash; others of the same hash stand beside
	watchers  map[uint32]int32     // subscriptions by hash of their watcher
	alarms    alarms
}

// eventPackage is a package with its options and counters.
type eventPackage struct {
	PackageOptions
	name          string
	published     bool     // by PUBLISH
	types         []string // published and given
	publications  atomic.Int64
	subscriptions [3]atomic.Int64 // by State
}

// New makes an engine; Restore brings back what its store holds.
func New(o Options) *Engine {
	e := &Engine{
		store:    o.Store,
		packages: map[string]*eventPackage{},
		limits:   o.Limits.orDefault(),
		shared:   o.Shared,
		settle:   o.Settle,
		log:      o.Logger,
		base:     time.Now(),
		seed:     maphash.MakeSeed(),
	}
	if e.log == nil {
		e.log = slog.Default()
	}
	if e.settle == nil {
		e.settle = func() {}
	}
	if o.Workers == 0 {
		o.Workers = 8
	}
	for _, p := range o.Packages {
		in, out := p.Package.PublishTypes(), p.Package.NotifyTypes()
		e.packages[p.Package.Name()] = &eventPackage{
			PackageOptions: p, name: p.Package.Name(), published: len(in) > 0, types: slices.Concat(in, out)}
	}
	e.beat.engine = e
	e.metrics = newMetrics(e)
	e.workers = newWorkers(o.Workers)
	for i := range e.shards {
		s := &e.shards[i]
		s.resources = map[uint64]*resource{}
		s.watchers = map[uint32]int32{}
		s.alarms = alarms{wakes: -1, now: e.now, give: e.workers.give}
	}
	return e
}

func (l Limits) orDefault() Limits {
	pick := func(v, d int) int {
		if v == 0 {
			return d
		}
		return v
	}
	d := DefaultLimits
	return Limits{
		Body:          pick(l.Body, d.Body),
		Publications:  pick(l.Publications, d.Publications),
		Subscriptions: pick(l.Subscriptions, d.Subscriptions),
		Failures:      pick(l.Failures, d.Failures),
	}
}

// Close stops timers and workers and waits for them. What was granted stays
// in the store for the next Restore.
func (e *Engine) Close() {
	e.closed.Store(true)
	for i := range e.shards {
		e.shards[i].alarms.close()
	}
	e.workers.close()
}

// Package gives a served package by name.
func (e *Engine) Package(name string) (Package, bool) {
	p, ok := e.packages[name]
	if !ok {
		return nil, false
	}
	return p.Package, true
}

// Packages gives the names of all served packages.
func (e *Engine) Packages() []string {
	var names []string
	for name := range e.packages {
		names = append(names, name)
	}
	return names
}

func (e *Engine) now() moment { return moment(time.Since(e.base)) }

// wall turns a moment into a time that a later process understands, by the
// wall clock as it is now: it may have been set since the engine was made.
func (e *Engine) wall(m moment) time.Time {
	return time.Now().Add(time.Duration(m - e.now())).Round(0)
}

// until turns a stored time into a moment.
func (e *Engine) until(t time.Time) moment { return e.now() + moment(time.Until(t)) }

// number gives a rising number that no process of this store gave before: the
// wall clock in nanoseconds, or one more than the last (Restore looks for it).
func (e *Engine) number() int64 {
	for {
		last := e.serial.Load()
		next := max(time.Now().UnixNano(), last+1)
		if e.serial.CompareAndSwap(last, next) {
			return next
		}
	}
}

// clock is the time, by both clocks.
func (e *Engine) clock() (moment, time.Time) {
	now := time.Now()
	return moment(now.Sub(e.base)), now.Round(0)
}

// place is where a resource is to be found.
func (e *Engine) place(id Resource) (*shard, uint64) {
	hash := maphash.String(e.seed, id.URI.User) +
		3*maphash.String(e.seed, id.URI.Host) +
		5*maphash.String(e.seed, id.Package)
	return &e.shards[hash%shardCount], hash
}

// find looks among resources of one hash; with shard.mu.
func (s *shard) find(hash uint64, id Resource) *resource {
	r := s.resources[hash]
	for r != nil && r.id() != id {
		r = r.beside
	}
	return r
}

// add puts a resource in its place; with shard.mu.
func (s *shard) add(hash uint64, r *resource) {
	r.beside = s.resources[hash]
	s.resources[hash] = r
}

// forget takes a resource out; with shard.mu.
func (s *shard) forget(hash uint64, r *resource) {
	x := s.resources[hash]
	switch {
	case x != r:
		for x.beside != r {
			x = x.beside
		}
		x.beside = r.beside
	case r.beside != nil:
		s.resources[hash] = r.beside
	default:
		delete(s.resources, hash)
	}
}

// find gives a resource that is there.
func (e *Engine) find(id Resource) *resource {
	s, hash := e.place(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(hash, id)
}

// lock gives a resource, locked, and makes it when it is not there.
func (e *Engine) lock(id Resource, p *eventPackage) *resource {
	s, hash := e.place(id)
	for {
		s.mu.Lock()
		r := s.find(hash, id)
		if r == nil {
			r = newResource(e, s, p, id)
			s.add(hash, r)
		}
		s.mu.Unlock()
		r.mu.Lock()
		if !r.gone {
			return r
		}
		r.mu.Unlock()
	}
}

// Recompose composes a resource anew and tells its watchers what changed,
// for inputs that are no publications.
func (e *Engine) Recompose(id Resource) {
	if r := e.find(id); r != nil {
		r.mu.Lock()
		r.touch()
		r.unlock()
	}
}

// Resources calls fn with every resource that has state or watchers, and how
// many publications and subscriptions it has, in no order.
func (e *Engine) Resources(fn func(id Resource, publications, subscriptions int)) {
	e.each(func(r *resource) { fn(r.id(), len(r.publications), len(r.subscriptions)) })
}

// admit counts a subscription against its watcher; release gives it back.
func (e *Engine) admit(w packed) error {
	s, key := e.watcherSlot(w)
	s.mu.Lock()
	defer s.mu.Unlock()
	if int(s.watchers[key]) >= e.limits.Subscriptions {
		return &LimitError{What: "subscriptions of one watcher", Max: e.limits.Subscriptions}
	}
	s.watchers[key]++
	return nil
}

func (e *Engine) release(w packed) {
	s, key := e.watcherSlot(w)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watchers[key]--; s.watchers[key] <= 0 {
		delete(s.watchers, key)
	}
}

// watcherSlot says where a watcher is counted. Two who share a slot share their
// limit; with 38 bits to tell them apart that is rare enough.
func (e *Engine) watcherSlot(w packed) (*shard, uint32) {
	key := maphash.String(e.seed, w.first())
	return &e.shards[key%shardCount], uint32(key >> 32)
}

// refuse counts a store failure and says what it is about; the edge answers and
// logs it.
func (e *Engine) refuse(what string, id Resource, err error) error {
	e.metrics.storeErrors.Inc()
	return fmt.Errorf("event: %s: %s: %w", id, what, err)
}

// unheard logs a store failure that no edge hears of.
func (e *Engine) unheard(err error) { e.log.Error("soft state not kept", "err", err) }
