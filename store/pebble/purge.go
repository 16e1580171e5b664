package pebble

import (
	"context"
	"errors"
	"time"

	"vigie/store"
)

// Purging reads the whole store, one second of a processor for a million
// entries, so it happens once an hour, in pieces with pauses between them.
const (
	purgeFirst = 5 * time.Minute
	purgeEvery = time.Hour
	purgePiece = 1000
	purgePause = 5 * time.Millisecond
)

// purgeNowAndThen runs until ctx ends.
func (s *Store) purgeNowAndThen(ctx context.Context) {
	for wait := purgeFirst; pause(ctx, wait); wait = purgeEvery {
		n, err := s.purge(ctx)
		switch {
		case err == nil:
			s.options.Logger.Debug("purged soft state", "entries", n)
		case ctx.Err() == nil:
			s.options.Logger.Warn("purging soft state", "err", err)
		}
	}
}

// pause says whether d has passed rather than ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// purge removes the entries that no reader sees any more, and prolongations
// that hold for none, and says how many. It holds no cursor while it pauses, which would keep old files alive.
func (s *Store) purge(ctx context.Context) (int, error) {
	total, from := 0, ""
	for {
		removals, next, err := s.old(from)
		if err != nil {
			return total, err
		}
		for _, o := range removals {
			_, err := s.do(ctx, o)
			switch {
			case err == nil:
				total++
			case !errors.Is(err, store.ErrConflict):
				return total, err
			}
		}
		if next == "" {
			return total, nil
		}
		if !pause(ctx, purgePause) {
			return total, ctx.Err()
		}
		from = next
	}
}

// old looks at one piece of the store. It gives the removals to make, each
// unless its key is written again meanwhile, and says where the next piece
// starts, "" at the end.
func (s *Store) old(from string) (removals []operation, next string, err error) {
	e, err := s.reader()
	if err != nil {
		return nil, "", err
	}
	defer e.done()
	c, err := e.entries("", from)
	if err != nil {
		return nil, "", err
	}
	defer c.close()
	now := time.Now()
	seen := 0
	for c.next() {
		if seen++; seen > purgePiece {
			return removals, c.entry.Key, nil
		}
		if c.stale != 0 {
			removals = append(removals, operation{kind: sweep, key: c.entry.Key, match: c.stale})
		}
		if c.entry.Revision != 0 && c.entry.Purgeable(now) {
			removals = append(removals, operation{kind: purge, key: c.entry.Key, match: c.entry.Revision})
		}
	}
	return removals, "", c.err
}
