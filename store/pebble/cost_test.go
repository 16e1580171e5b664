//go:build !race

package pebble

import (
	"context"
	"testing"
	"time"

	"vigie/store"
)

// Nothing is allocated for a change, and a refresh logs little more than its
// key, whatever the value.
func TestCostOfChange(t *testing.T) {
	ctx := context.Background()
	s := open(t, t.TempDir(), Options{})
	defer s.Close()
	e := store.Entry{Key: "p presence sip:alice@example.com 0000000000000001", Value: make([]byte, 700)}
	expires := time.Now().Add(time.Hour)
	change := func() {
		var err error
		if e.Revision, err = s.Put(ctx, e.Key, e.Value, expires, store.AnyRevision); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(1000, change); n > 0 {
		t.Errorf("%v allocations for a Put", n)
	}
	refresh := func() {
		var err error
		if e.Revision, err = s.Prolong(ctx, e, expires, store.AnyRevision); err != nil {
			t.Fatal(err)
		}
	}
	logged := s.engine.db.Metrics().WAL.BytesIn
	if n := testing.AllocsPerRun(1000, refresh); n > 0 {
		t.Errorf("%v allocations for a Prolong", n)
	}
	if n := (s.engine.db.Metrics().WAL.BytesIn - logged) / 1001; n > uint64(len(e.Key))+60 {
		t.Errorf("%d octets logged for a Prolong of a key of %d", n, len(e.Key))
	}
}
