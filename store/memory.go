package store

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

// Op names an operation for the function given to [Memory.Fail].
type Op string

// The operations of Soft and Directory. A Directory's readings are OpGet, its
// writings OpPut and OpDelete, with the AOR, token name or setting as key.
const (
	OpPut    Op = "put"
	OpDelete Op = "delete"
	OpLoad   Op = "load"
	OpFollow Op = "follow"
	OpGet    Op = "get"
)

// Memory is a Soft that lives as long as the process.
type Memory struct {
	mu       sync.Mutex
	closed   bool
	fail     func(op Op, key string) error
	entries  map[string]Entry // values are never changed once they are in
	revision uint64
	sweepAt  int // number of entries at which old ones are looked for
	feed     *Feed
}

// minSweep is the number of entries below which Memory looks for none to purge.
const minSweep = 1024

// NewMemory gives an empty store.
func NewMemory() *Memory {
	return &Memory{entries: make(map[string]Entry), sweepAt: minSweep, feed: new(Feed)}
}

// Fail makes every later operation ask fn first; the error it gives is
// returned, and nothing is done. A nil fn ends this. The function is called
// with no lock held.
func (m *Memory) Fail(fn func(op Op, key string) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = fn
}

// Reopen closes the store and gives one that holds the same entries and goes on
// with the revisions, as a driver does when the process starts anew.
func (m *Memory) Reopen() *Memory {
	m.Close()
	m.mu.Lock()
	defer m.mu.Unlock()
	next := NewMemory()
	for k, e := range m.entries {
		next.entries[k] = e
	}
	next.revision = m.revision
	return next
}

// check asks the fault function and the context, before anything is locked.
func (m *Memory) check(ctx context.Context, op Op, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	fail, closed := m.fail, m.closed
	m.mu.Unlock()
	if closed {
		return ErrClosed
	}
	if fail != nil {
		return fail(op, key)
	}
	return nil
}

// matches tells whether an operation that asks for match may go ahead.
func (m *Memory) matches(key string, match uint64) bool {
	if match == AnyRevision {
		return true
	}
	e, ok := m.entries[key]
	if ok && e.Purgeable(time.Now()) {
		e = Entry{}
	}
	return e.Revision == match
}

// Put implements Soft.
func (m *Memory) Put(ctx context.Context, key string, value []byte, expires time.Time, match uint64) (uint64, error) {
	return m.write(ctx, Entry{Key: key, Value: value, Expires: expires}, match)
}

// Prolong implements Soft. To Fail it is an OpPut.
func (m *Memory) Prolong(ctx context.Context, entry Entry, expires time.Time, match uint64) (uint64, error) {
	entry.Expires, entry.Prolonged = expires, time.Now().Round(0)
	return m.write(ctx, entry, match)
}

func (m *Memory) write(ctx context.Context, e Entry, match uint64) (uint64, error) {
	if err := m.check(ctx, OpPut, e.Key); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return 0, ErrClosed
	}
	if !m.matches(e.Key, match) {
		return 0, ErrConflict
	}
	if err := m.keep(&e); err != nil {
		return 0, err
	}
	m.revision++
	e.Revision = m.revision
	// Round(0): an expiry is a moment of the world's clock, as it is on a disk.
	e.Expires = e.Expires.Round(0)
	m.entries[e.Key] = e
	m.feed.Publish(Change{Entry: e})
	m.sweep()
	return m.revision, nil
}

// keep gives the entry a key, value and mark that nobody else changes: for one
// that is prolonged, the key and value that are there.
func (m *Memory) keep(e *Entry) error {
	e.Mark = slices.Clone(e.Mark)
	old, ok := m.entries[e.Key]
	switch prolonged := !e.Prolonged.IsZero(); {
	case prolonged && ok && old.Revision == e.Revision:
		e.Key, e.Value = old.Key, old.Value
		return nil
	case prolonged && e.Value == nil:
		return ErrValueWanted
	}
	e.Key, e.Value, e.Prolonged = strings.Clone(e.Key), slices.Clone(e.Value), time.Time{}
	return nil
}

// sweep drops entries too old to be seen, whenever the store has doubled.
func (m *Memory) sweep() {
	if len(m.entries) < m.sweepAt {
		return
	}
	now := time.Now()
	for k, e := range m.entries {
		if e.Purgeable(now) {
			delete(m.entries, k)
		}
	}
	m.sweepAt = max(minSweep, 2*len(m.entries))
}

// Delete implements Soft.
func (m *Memory) Delete(ctx context.Context, key string, match uint64) (uint64, error) {
	if err := m.check(ctx, OpDelete, key); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return 0, ErrClosed
	}
	if !m.matches(key, match) {
		return 0, ErrConflict
	}
	m.revision++
	if _, ok := m.entries[key]; ok {
		delete(m.entries, key)
		m.feed.Publish(Change{Entry: Entry{Key: strings.Clone(key), Revision: m.revision}, Deleted: true})
	}
	return m.revision, nil
}

// Load implements Soft.
func (m *Memory) Load(ctx context.Context, prefix string, fn func(Entry) error) error {
	if err := m.check(ctx, OpLoad, prefix); err != nil {
		return err
	}
	m.mu.Lock()
	entries := m.snapshot(prefix)
	m.mu.Unlock()
	return each(ctx, entries, fn)
}

// Follow implements Soft.
func (m *Memory) Follow(ctx context.Context, prefix string, fn func(Change) error) error {
	if err := m.check(ctx, OpFollow, prefix); err != nil {
		return err
	}
	m.mu.Lock()
	w := m.feed.Join(prefix)
	entries := m.snapshot(prefix)
	m.mu.Unlock()
	defer w.Leave()
	err := each(ctx, entries, func(e Entry) error { return fn(Change{Entry: e}) })
	if err != nil {
		return err
	}
	return w.Run(ctx, fn)
}

// snapshot gives the visible entries under prefix in key order.
func (m *Memory) snapshot(prefix string) []Entry {
	now := time.Now()
	var entries []Entry
	for k, e := range m.entries {
		if strings.HasPrefix(k, prefix) && !e.Purgeable(now) {
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Key, b.Key) })
	return entries
}

func each(ctx context.Context, entries []Entry, fn func(Entry) error) error {
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := fn(e); err != nil {
			return err
		}
	}
	return nil
}

// Len is the number of entries kept, old ones included.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.entries)
}

// Close implements Soft.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.feed.Close(ErrClosed)
	return nil
}
