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

// purge removes the entries that no reader sees any more and says how many. It
// holds no iterator while it pauses, which would keep old files alive.
func (s *Store) purge(ctx context.Context) (int, error) {
	total, from := 0, ""
	for {
		old, next, err := s.oldEntries(from)
		if err != nil {
			return total, err
		}
		for _, e := range old {
			// Unless it was written again meanwhile.
			_, err := s.do(ctx, operation{kind: purge, key: e.Key, match: e.Revision})
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

// oldEntries looks at one piece of the store and says where the next one
// starts, "" at the end.
func (s *Store) oldEntries(from string) (old []store.Entry, next string, err error) {
	e, err := s.reader()
	if err != nil {
		return nil, "", err
	}
	defer e.done()
	it, err := e.entries("")
	if err != nil {
		return nil, "", err
	}
	defer it.Close()
	now := time.Now()
	seen := 0
	for ok := it.SeekGE(append([]byte{kindEntry}, from...)); ok; ok = it.Next() {
		if seen++; seen > purgePiece {
			return old, string(it.Key()[1:]), nil
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return nil, "", err
		}
		entry, err := readEntry(string(it.Key()[1:]), value)
		if err != nil {
			return nil, "", err
		}
		if entry.Purgeable(now) {
			old = append(old, store.Entry{Key: entry.Key, Revision: entry.Revision})
		}
	}
	return old, "", it.Error()
}
