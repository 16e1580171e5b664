package pebble

import (
	"errors"
	"testing"

	"vigie/store"
)

// What is committed together is compared as if it came one after the other.
func TestCompareWithinGroup(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	defer s.Close()
	group := []*operation{
		{kind: put, key: "k", match: store.AnyRevision},
		{kind: put, key: "k", match: 0},
		{kind: prolong, key: "k", known: 1, match: store.AnyRevision},
		{kind: remove, key: "none", match: store.AnyRevision},
		{kind: remove, key: "k", match: 1},
	}
	s.commitMu.Lock()
	s.commit(group)
	s.commitMu.Unlock()
	for i, want := range []error{nil, store.ErrConflict, nil, nil, store.ErrConflict} {
		if got := group[i].err; !errors.Is(got, want) {
			t.Errorf("operation %d: %v, want %v", i, got, want)
		}
	}
}
