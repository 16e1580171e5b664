package pebble

import (
	"context"

	cockroach "github.com/cockroachdb/pebble/v2"

	"time"
	"vigie/store"
)

// Load implements store.Soft.
func (s *Store) Load(ctx context.Context, prefix string, fn func(store.Entry) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e, err := s.reader()
	if err != nil {
		return err
	}
	defer e.done()
	it, err := e.entries(prefix)
	if err != nil {
		return explain(s.dir, err)
	}
	return s.each(ctx, it, fn)
}

// Follow implements store.Soft.
func (s *Store) Follow(ctx context.Context, prefix string, fn func(store.Change) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w, err := s.join(ctx, prefix, func(e store.Entry) error { return fn(store.Change{Entry: e}) })
	if err != nil {
		return err
	}
	defer w.Leave()
	return w.Run(ctx, fn)
}

// join makes a follower and calls fn for what was there when it joined.
func (s *Store) join(ctx context.Context, prefix string, fn func(store.Entry) error) (*store.Follower, error) {
	// Between two commits, so that what the iterator sees and what the
	// follower hears fit together.
	s.commitMu.Lock()
	e, err := s.working()
	if err != nil {
		s.commitMu.Unlock()
		return nil, err
	}
	defer e.done()
	w := s.feed.Join(prefix)
	it, err := e.entries(prefix)
	s.commitMu.Unlock()
	if err == nil {
		err = s.each(ctx, it, fn)
	} else {
		err = explain(s.dir, err)
	}
	if err != nil {
		w.Leave()
		return nil, err
	}
	return w, nil
}

// entries gives an iterator over the entries under prefix as they are now.
func (e *engine) entries(prefix string) (*cockroach.Iterator, error) {
	lower := append([]byte{kindEntry}, prefix...)
	return e.db.NewIter(&cockroach.IterOptions{LowerBound: lower, UpperBound: after(lower)})
}

// after gives the first key that is after all that start with prefix, whose
// first octet is a kind and thus not the last possible.
func after(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; ; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
}

// each calls fn for the visible entries of the iterator, and closes it.
func (s *Store) each(ctx context.Context, it *cockroach.Iterator, fn func(store.Entry) error) error {
	defer it.Close()
	now := time.Now()
	for ok := it.First(); ok; ok = it.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return explain(s.dir, err)
		}
		entry, err := readEntry(string(it.Key()[1:]), value)
		if err != nil {
			return err
		}
		if entry.Purgeable(now) {
			continue
		}
		if err := fn(entry); err != nil {
			return err
		}
	}
	if err := it.Error(); err != nil {
		return explain(s.dir, err)
	}
	return nil
}
