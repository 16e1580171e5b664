package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	cockroach "github.com/cockroachdb/pebble/v2"

	"vigie/store"
)

// A group is bounded, so that no one waits for a huge one.
const (
	maxGroup      = 512
	maxGroupBytes = 1 << 20
)

// revisionBlock is how many revisions one fsync reserves.
const revisionBlock = 1 << 20

// operation is one change on its way. The caller waits for it, so
// it may point into what the caller gave.
type operation struct {
	kind    operationKind
	key     string
	value   []byte
	mark    []byte // for prolong
	expires time.Time
	match   uint64
	known   uint64    // for prolong: the revision that the caller knows
	at      time.Time // for prolong: when it was asked for

	revision uint64 // the result
	err      error
	existed  bool      // a removal found something, known only when somebody follows
	wake     chan bool // receives true when the waiter shall lead, false when it is done
}

type operationKind uint8

const (
	put operationKind = iota
	prolong
	replace // a prolong that writes the value, too
	remove
	purge // a removal that nobody hears of and that takes no revision
	sweep // the same for a prolongation that holds no more
)

var operations = sync.Pool{New: func() any { return &operation{wake: make(chan bool, 1)} }}

// Put implements store.Soft.
func (s *Store) Put(ctx context.Context, key string, value []byte, expires time.Time, match uint64) (uint64, error) {
	return s.do(ctx, operation{kind: put, key: key, value: value, expires: expires, match: match})
}

// Prolong implements store.Soft.
func (s *Store) Prolong(ctx context.Context, entry store.Entry, expires time.Time, match uint64) (uint64, error) {
	return s.do(ctx, operation{kind: prolong, key: entry.Key, value: entry.Value, mark: entry.Mark,
		known: entry.Revision, at: time.Now(), expires: expires, match: match})
}

// Delete implements store.Soft.
func (s *Store) Delete(ctx context.Context, key string, match uint64) (uint64, error) {
	return s.do(ctx, operation{kind: remove, key: key, match: match})
}

func (s *Store) do(ctx context.Context, wanted operation) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	start := time.Now()
	o := operations.Get().(*operation)
	wanted.wake = o.wake
	*o = wanted
	if err := s.submit(o); err != nil {
		return 0, err
	}
	revision, err := o.revision, o.err
	*o = operation{wake: o.wake}
	operations.Put(o)
	s.metrics.observe(wanted.kind, time.Since(start), err)
	return revision, err
}

// submit queues the operation and returns when it is done. The caller may find
// itself leading.
func (s *Store) submit(o *operation) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return store.ErrClosed
	}
	s.inFlight.Add(1)
	defer s.inFlight.Done()
	s.queue = append(s.queue, o)
	lead := !s.leading
	s.leading = true
	s.mu.Unlock()
	if !lead && !<-o.wake {
		return nil
	}
	s.lead(o)
	return nil
}

// lead commits the first group of the queue, in which the caller's own
// operation is the first, wakes the others, and hands the lead to whoever
// came meanwhile.
func (s *Store) lead(own *operation) {
	// Whoever is about to write gets into the queue first: with many writers
	// and a write of a few microseconds, groups would hardly form otherwise.
	runtime.Gosched()
	s.commitMu.Lock()
	s.mu.Lock()
	group := s.takeGroup()
	s.mu.Unlock()
	s.commit(group)
	s.commitMu.Unlock()

	s.mu.Lock()
	var next *operation
	if s.leading = len(s.queue) > 0; s.leading {
		next = s.queue[0]
	}
	s.mu.Unlock()
	for _, o := range group {
		if o != own {
			o.wake <- false
		}
	}
	if next != nil {
		next.wake <- true
	}
	s.returnGroup(group)
}

// takeGroup takes what is committed together from the queue; mu is held.
func (s *Store) takeGroup() []*operation {
	n, size := 0, 0
	for n < len(s.queue) && n < maxGroup && size < maxGroupBytes {
		size += len(s.queue[n].value)
		n++
	}
	group := s.queue[:n:n]
	if n == len(s.queue) {
		s.queue, s.spare = s.spare[:0], nil
	} else {
		s.queue = append(s.spare[:0], s.queue[n:]...)
		s.spare = nil
	}
	return group
}

// returnGroup gives the array back for the queue to come.
func (s *Store) returnGroup(group []*operation) {
	clear(group)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.spare == nil {
		s.spare = group[:0]
	}
}

// commit writes a group as one batch, so that all of it is kept or none, and
// tells the followers. commitMu is held.
func (s *Store) commit(group []*operation) {
	e, err := s.working()
	if err == nil {
		err = s.write(e, group)
		e.done()
	}
	if err != nil {
		s.refuse(group, err)
	}
}

// refuse answers the operations that have no verdict of their own yet.
func (s *Store) refuse(group []*operation, err error) {
	for _, o := range group {
		if o.err == nil {
			o.revision, o.err = 0, err
		}
	}
}

func (s *Store) write(e *engine, group []*operation) error {
	s.metrics.batch.Observe(float64(len(group)))
	if err := s.reserve(e, uint64(len(group))); err != nil {
		return s.fail(e, err)
	}
	batch := e.db.NewBatch()
	wanted := s.feed.Wanted()
	revision := s.revision
	known := overlay{e: e, wanted: wanted}
	for i, o := range group {
		known.before = group[:i]
		if o.err = known.check(o); o.err != nil {
			continue
		}
		s.doubt(o)
		if o.lacksValue(wanted) {
			o.err = store.ErrValueWanted
			continue
		}
		if o.kind < purge {
			revision++
			o.revision = revision
		}
		if o.err = add(batch, o); o.err != nil {
			continue
		}
		known.note(o)
	}
	// Revisions of a failed write are gone too: what could not be taken back
	// from the disk shall not meet its number again.
	s.revision = revision
	if err := e.apply(batch, s.options.Durability); err != nil {
		return s.fail(e, err)
	}
	if s.options.Durability == Relaxed {
		s.writeBehind()
	}
	if wanted {
		s.publish(group)
	}
	return nil
}

// doubt has a prolongation write the value when its entry may be gone without the
// caller's doing, and remembers what purging makes doubtful.
func (s *Store) doubt(o *operation) {
	switch {
	case o.kind == purge:
		s.doubtful = max(s.doubtful, o.match)
	case o.kind == prolong && (o.known <= s.doubtful || o.match != store.AnyRevision && o.match != o.known):
		o.kind = replace
	}
}

// lacksValue says that the value of a prolongation must be known and is not; it
// is wanted by whoever follows.
func (o *operation) lacksValue(wanted bool) bool {
	return o.value == nil && (o.kind == replace || o.kind == prolong && wanted)
}

// add writes one operation into the batch, in place.
func add(batch *cockroach.Batch, o *operation) error {
	switch o.kind {
	case put:
		return addEntry(batch, o)
	case prolong:
		return addProlongation(batch, o)
	case replace:
		return errors.Join(addEntry(batch, o), addProlongation(batch, o))
	case sweep:
		return del(batch, kindProlonged, o.key)
	case purge:
		return errors.Join(del(batch, kindEntry, o.key), del(batch, kindProlonged, o.key))
	}
	return del(batch, kindEntry, o.key)
}

func addEntry(batch *cockroach.Batch, o *operation) error {
	d := set(batch, kindEntry, o.key, headerLen+len(o.value))
	putHeader(d.Value, o.revision, o.expires)
	copy(d.Value[headerLen:], o.value)
	return d.Finish()
}

func addProlongation(batch *cockroach.Batch, o *operation) error {
	d := set(batch, kindProlonged, o.key, prolongedLen+len(o.mark))
	putProlongation(d.Value, prolongation{o.revision, o.expires, o.at, o.mark})
	return d.Finish()
}

func set(batch *cockroach.Batch, kind byte, key string, n int) *cockroach.DeferredBatchOp {
	d := batch.SetDeferred(1+len(key), n)
	d.Key[0] = kind
	copy(d.Key[1:], key)
	return d
}

func del(batch *cockroach.Batch, kind byte, key string) error {
	d := batch.DeleteDeferred(1 + len(key))
	d.Key[0] = kind
	copy(d.Key[1:], key)
	return d.Finish()
}

func (s *Store) publish(group []*operation) {
	for _, o := range group {
		switch {
		case o.err != nil, o.kind >= purge:
		case o.kind == put:
			s.feed.Publish(store.Change{Entry: store.Entry{
				Key: o.key, Value: o.value, Revision: o.revision, Expires: o.expires.Round(0)}})
		case o.kind == prolong, o.kind == replace:
			s.feed.Publish(store.Change{Entry: store.Entry{
				Key: o.key, Value: o.value, Revision: o.revision, Expires: o.expires.Round(0), Prolonged: o.at.Round(0), Mark: o.mark}})
		case o.existed:
			s.feed.Publish(store.Change{Deleted: true, Entry: store.Entry{Key: o.key, Revision: o.revision}})
		}
	}
}

// overlay knows which revision each entry has, what the group has changed so
// far included. It costs nothing for operations that do not ask.
type overlay struct {
	e       *engine
	wanted  bool
	before  []*operation      // what of the group came before the one that asks
	changed map[string]uint64 // nil until an operation asks
}

// check says whether the operation may go ahead, and sets existed.
func (k *overlay) check(o *operation) error {
	if o.match == store.AnyRevision && !(k.wanted && o.kind == remove) {
		return nil
	}
	if k.changed == nil {
		k.changed = make(map[string]uint64)
		for _, before := range k.before {
			k.change(before)
		}
	}
	revision, ok := k.changed[o.key]
	if !ok {
		var err error
		if revision, err = k.e.revisionFor(o); err != nil {
			return err
		}
	}
	o.existed = revision != 0
	if o.match != store.AnyRevision && revision != o.match {
		return store.ErrConflict
	}
	return nil
}

// note remembers an operation that goes ahead.
func (k *overlay) note(o *operation) {
	if k.changed != nil {
		k.change(o)
	}
}

func (k *overlay) change(o *operation) {
	switch {
	case o.err != nil, o.kind == sweep:
	case o.kind == put, o.kind == prolong, o.kind == replace:
		k.changed[o.key] = o.revision
	default:
		k.changed[o.key] = 0
	}
}

// reserve sees to it that n more revisions may be given out. commitMu is held.
func (s *Store) reserve(e *engine, n uint64) error {
	if s.revision+n <= s.reserved {
		return nil
	}
	reserved := s.revision + n + revisionBlock
	if err := e.reserve(reserved); err != nil {
		return fmt.Errorf("reserve revisions: %w", err)
	}
	s.reserved = reserved
	return nil
}

// writeBehind sees to it that what was committed is written within a second.
func (s *Store) writeBehind() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.behind == nil {
		s.inFlight.Add(1)
		s.behind = time.AfterFunc(writeBehindAfter, s.writeNow)
	}
}

func (s *Store) writeNow() {
	defer s.inFlight.Done()
	s.commitMu.Lock()
	defer s.commitMu.Unlock()
	s.mu.Lock()
	s.behind = nil
	s.mu.Unlock()
	e, err := s.working()
	if err != nil {
		return // what waited is lost, and was reported when the engine failed
	}
	defer e.done()
	if err := e.flushLog(); err != nil {
		s.fail(e, err)
	}
}

// cancelWriteBehind leaves the writing to the engine's end.
func (s *Store) cancelWriteBehind() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.behind != nil && s.behind.Stop() {
		s.inFlight.Done()
	}
}

// writeBehindAfter leaves room within the second for the write itself.
const writeBehindAfter = 500 * time.Millisecond

func encodeRevision(r uint64) []byte { return binary.BigEndian.AppendUint64(nil, r) }
