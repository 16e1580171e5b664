package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"vigie/store"
)

// follower reads a Follow on a goroutine of its own.
type follower struct {
	changes chan string
	ended   chan error
	cancel  context.CancelFunc
}

func (s *soft) follow(prefix string) *follower {
	ctx, cancel := context.WithCancel(background)
	f := &follower{changes: make(chan string, 1000), ended: make(chan error, 1), cancel: cancel}
	s.T.Cleanup(cancel)
	go func() {
		f.ended <- s.Follow(ctx, prefix, func(c store.Change) error {
			f.changes <- change(c)
			return nil
		})
	}()
	return f
}

func change(c store.Change) string {
	if c.Deleted {
		return fmt.Sprintf("-%s@%d", c.Key, c.Revision)
	}
	return show(c.Entry)
}

func (f *follower) want(t *testing.T, want ...string) {
	t.Helper()
	for _, w := range want {
		if got := <-f.changes; got != w {
			t.Fatalf("followed %s, want %s", got, w)
		}
	}
}

func follow(t *testing.T, s *soft) {
	b := s.put("p/b", "1", 0)
	a := s.put("p/a", "2", 0)
	s.put("q/c", "3", 0)
	f := s.follow("p/")
	f.want(t, at("p/a", "2", a), at("p/b", "1", b)) // what is live, in key order
	b = s.put("p/b", "4", b)
	s.put("q/c", "5", store.AnyRevision)
	s.delete("p/none", store.AnyRevision) // nothing changed
	a = s.delete("p/a", a)
	d := s.put("p/d", "6", 0)
	f.want(t, at("p/b", "4", b), fmt.Sprintf("-p/a@%d", a), at("p/d", "6", d))
	f.cancel()
	if err := <-f.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Follow ended by its context: %v", err)
	}
	s.put("p/e", "7", 0)
	select {
	case c := <-f.changes:
		t.Errorf("heard of %s after the end", c)
	default:
	}
}

func followEnds(t *testing.T, s *soft) {
	enough := errors.New("enough")
	s.put("k", "v", 0)
	if err := s.Follow(background, "", func(store.Change) error { return enough }); err != enough {
		t.Errorf("Follow whose function fails: %v, want its error", err)
	}
	f := s.follow("")
	<-f.changes
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-f.ended; !errors.Is(err, store.ErrClosed) {
		t.Errorf("Follow of a store that is closed: %v, want ErrClosed", err)
	}
}

// followWhileWriting: whoever joins while others write misses nothing, hears
// nothing twice, and hears it in revision order.
func followWhileWriting(t *testing.T, s *soft) {
	const writers, each, followers = 4, 100, 4
	var writing, following sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for i := range each {
				if _, err := s.Put(background, fmt.Sprintf("k%d/%d", w, i), nil, soon, 0); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range followers {
		following.Go(func() { hearAll(t, s, writers*each) })
	}
	writing.Wait()
	following.Wait()
}

func hearAll(t *testing.T, s *soft, n int) {
	enough := errors.New("enough")
	var keys []string
	var revisions []uint64
	err := s.Follow(background, "", func(c store.Change) error {
		keys, revisions = append(keys, c.Key), append(revisions, c.Revision)
		if len(keys) == n {
			return enough
		}
		return nil
	})
	if err != enough {
		t.Error(err)
		return
	}
	// First what was live, in key order; later changes that happen to go on in
	// key order do no harm here.
	live := 1
	for live < n && keys[live] > keys[live-1] {
		live++
	}
	last := slices.Max(revisions[:live])
	for _, r := range revisions[live:] {
		if r <= last {
			t.Errorf("heard of revision %d after %d", r, last)
		}
		last = r
	}
	slices.Sort(revisions)
	if len(slices.Compact(revisions)) != n {
		t.Error("a change was heard twice")
	}
}
