package store

import (
	"context"
	"time"
)

// AnyRevision, given as match, writes whatever the entry's revision is.
const AnyRevision = ^uint64(0)

// PurgeAfter is how long an entry outlives its expiry before the store may
// drop it on its own, and the age from which on no reader sees it.
const PurgeAfter = time.Hour

// Soft keeps small entries that expire. Implementations are safe for
// concurrent use.
//
// An expired entry stays, and keeps its revision, until its owner deletes it or
// PurgeAfter has passed: after a restart the owner must learn what ran out
// while it was away. Purging is silent and tells no follower.
type Soft interface {
	// Put writes value under key and returns the entry's new revision once it
	// is as safe as configured. match is the revision that the entry must have
	// now: 0 for an entry that must not exist, AnyRevision for no check, else
	// ErrConflict. A zero expires never expires. The value may be reused on
	// return. The context is heeded before the write starts, not after.
	Put(ctx context.Context, key string, value []byte, expires time.Time, match uint64) (uint64, error)

	// Prolong is Put of the value that is there already: the entry gets a new
	// expiry, revision and mark. entry is what is there (key, value, revision) as
	// its only writer knows it, who wrote or loaded it and has not removed it, and
	// the mark it shall have. A store then need not write the value again; one
	// that may have lost the entry meanwhile, or has followers, needs it. Whoever
	// leaves the value out (nil) then gets ErrValueWanted. Whoever shares an entry
	// with other writers gives match.
	Prolong(ctx context.Context, entry Entry, expires time.Time, match uint64) (uint64, error)

	// Delete removes the entry and returns a fresh revision, the one that the
	// removal carries. match is as for Put; deleting what is not there is no
	// error unless match asks for a revision, and no follower hears of it.
	Delete(ctx context.Context, key string, match uint64) (uint64, error)

	// Load calls fn for each entry whose key starts with prefix, in key order,
	// as they all were at one moment. Load stops at fn's first error and
	// returns it. The entry's Value and Mark are valid only during fn, which may
	// call the store.
	Load(ctx context.Context, prefix string, fn func(Entry) error) error

	// Follow calls fn for each entry that Load would give, in key order, then
	// for every later change under prefix in revision order, one call after
	// the other, until ctx ends (its error is returned), fn returns an error
	// (returned too), the store closes (ErrClosed) or fn is too slow
	// (ErrBehind). The change's Value and Mark are valid only during fn.
	Follow(ctx context.Context, prefix string, fn func(Change) error) error

	// Close writes what waits, ends the followers and waits for everything
	// the store runs.
	Close() error
}

// Entry is one kept value.
type Entry struct {
	Key       string
	Value     []byte
	Revision  uint64
	Expires   time.Time // zero: never
	Prolonged time.Time // when it was, if it has been since the value was written
	Mark      []byte    // a few octets that came with that and go with the next Put or Prolong
}

// Purgeable says that the entry ran out so long ago that no reader sees it.
func (e Entry) Purgeable(now time.Time) bool {
	return !e.Expires.IsZero() && now.Sub(e.Expires) > PurgeAfter
}

// Change is an entry as it is after a Put or Prolong, or, when Deleted, the key and
// revision of a removal.
type Change struct {
	Entry
	Deleted bool
}
