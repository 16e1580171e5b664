package pebble

import (
	"context"
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
	c, err := e.entries(prefix, prefix)
	if err != nil {
		return explain(s.dir, err)
	}
	return s.each(ctx, c, fn)
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
	// Between two commits, so that what the cursor sees and what the
	// follower hears fit together.
	s.commitMu.Lock()
	e, err := s.working()
	if err != nil {
		s.commitMu.Unlock()
		return nil, err
	}
	defer e.done()
	w := s.feed.Join(prefix)
	c, err := e.entries(prefix, prefix)
	s.commitMu.Unlock()
	if err == nil {
		err = s.each(ctx, c, fn)
	} else {
		err = explain(s.dir, err)
	}
	if err != nil {
		w.Leave()
		return nil, err
	}
	return w, nil
}

// each calls fn for the visible entries of the cursor, and closes it.
func (s *Store) each(ctx context.Context, c *cursor, fn func(store.Entry) error) error {
	defer c.close()
	now := time.Now()
	for c.next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if c.entry.Revision == 0 || c.entry.Purgeable(now) {
			continue
		}
		if err := fn(c.entry); err != nil {
			return err
		}
	}
	return explain(s.dir, c.err)
}
