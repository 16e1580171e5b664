// Package store holds what Vigie keeps, as Go types and one small interface a
// kind.
//
// There are two kinds, because what they owe to their readers differs:
//
//   - [Soft] state is published or subscribed for a while and repairs itself
//     by refreshes: publications (RFC 3903), subscriptions with their dialogs
//     (RFC 6665), bindings. It is written on the path of every request, so a
//     driver commits many entries together and the operator chooses how safe
//     an answer is.
//   - A [Directory] holds what a person typed and nobody sends again: accounts,
//     tokens, settings. It is written rarely and always safe on return.
//
// Invariants that every driver keeps and that package storetest checks:
//
//   - A revision is given out once in the life of a store, restarts and crashes
//     included, and later changes have higher ones. Entity-tags are made of
//     revisions, which is why they never repeat (RFC 3903 §6).
//   - A call that returns an error has changed nothing, now and after a restart.
//   - What a call has confirmed is found again after the process was killed,
//     unless the operator asked for less.
//
// The versions in this package, [Memory] and [MemoryDirectory], live as long as
// the process. They serve tests, and tests can make them fail.
//
// Locks: Memory has one mutex, taken before the one of its [Feed]; no callback
// is called with either held.
package store

import "errors"

var (
	// ErrConflict says that the entry's revision is not the one asked for.
	// Nothing was written: read again and decide anew.
	ErrConflict = errors.New("store: the entry has another revision")

	// ErrValueWanted answers a Prolong without a value whose store needs the
	// value. Nothing was written: put it.
	ErrValueWanted = errors.New("store: the value of the entry is wanted")

	// ErrNotFound says that there is no such account, token or setting.
	ErrNotFound = errors.New("store: not found")

	// ErrClosed answers everything asked of a closed store.
	ErrClosed = errors.New("store: closed")

	// ErrBehind ends a Follow whose function was so slow that the changes
	// waiting for it no longer fit. Follow again: it starts with what is live.
	ErrBehind = errors.New("store: the follower is too far behind")
)

// Healthy is what a store offers that can say whether it works at the moment:
// nil, or why it refuses.
type Healthy interface {
	Health() error
}
