// Package storetest holds what every store has to show. Each implementation
// runs it in its own tests, so that whatever holds for one holds for all.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"vigie/store"
)

// OpenSoft gives an empty store and a function that ends it and gives one over
// the same entries, as after a restart. The test ends what it was given last.
type OpenSoft func(t *testing.T) (s store.Soft, restart func() store.Soft)

// Soft runs the conformance test of soft state.
func Soft(t *testing.T, open OpenSoft) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s *soft)
	}{
		{"PutLoad", putLoad},
		{"ValueIsCopied", valueIsCopied},
		{"CompareAndSet", compareAndSet},
		{"CompareAndSetRace", compareAndSetRace},
		{"Prolong", prolongs},
		{"ProlongCompares", prolongCompares},
		{"Mark", marks},
		{"MarkOnly", marksOnly},
		{"ProlongWhatIsGone", prolongWhatIsGone},
		{"Delete", deletes},
		{"Order", keyOrder},
		{"ExpiredStays", expiredStays},
		{"OldIsGone", oldIsGone},
		{"PUB-16/RevisionsNeverRepeat", revisionsNeverRepeat},
		{"EntriesSurviveRestart", entriesSurvive},
		{"Follow", follow},
		{"FollowProlonged", followProlonged},
		{"FollowMarked", followMarked},
		{"FollowEnds", followEnds},
		{"FollowWhileWriting", followWhileWriting},
		{"ManyWriters", manyWriters},
		{"Context", contextEnds},
		{"Closed", closed},
		{"LoadMayWrite", loadMayWrite},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &soft{T: t}
			s.Soft, s.restart = open(t)
			defer func() {
				if err := s.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}()
			test.run(t, s)
		})
	}
}

// soft is a store whose failures end the test.
type soft struct {
	store.Soft
	T       *testing.T
	restart func() store.Soft
}

var (
	background = context.Background()
	soon       = time.Now().Add(time.Hour).Round(0)
)

func (s *soft) put(key, value string, match uint64) uint64 {
	s.T.Helper()
	revision, err := s.Put(background, key, []byte(value), soon, match)
	if err != nil {
		s.T.Fatalf("Put(%q, match %d): %v", key, int64(match), err)
	}
	return revision
}

func (s *soft) delete(key string, match uint64) uint64 {
	s.T.Helper()
	revision, err := s.Delete(background, key, match)
	if err != nil {
		s.T.Fatalf("Delete(%q, match %d): %v", key, int64(match), err)
	}
	return revision
}

// load gives "key=value@revision" for what is under prefix.
func (s *soft) load(prefix string) []string {
	s.T.Helper()
	var got []string
	err := s.Load(background, prefix, func(e store.Entry) error {
		got = append(got, show(e))
		return nil
	})
	if err != nil {
		s.T.Fatalf("Load(%q): %v", prefix, err)
	}
	return got
}

func (s *soft) wantLoad(prefix string, want ...string) {
	s.T.Helper()
	if got := s.load(prefix); !slices.Equal(got, want) {
		s.T.Fatalf("Load(%q) = %v, want %v", prefix, got, want)
	}
}

func show(e store.Entry) string {
	if len(e.Mark) > 0 {
		return fmt.Sprintf("%s=%s+%s@%d", e.Key, e.Value, e.Mark, e.Revision)
	}
	return fmt.Sprintf("%s=%s@%d", e.Key, e.Value, e.Revision)
}

func at(key, value string, revision uint64) string {
	return show(store.Entry{Key: key, Value: []byte(value), Revision: revision})
}

func putLoad(t *testing.T, s *soft) {
	a := s.put("p/alice", "open", store.AnyRevision)
	b := s.put("p/bob", "", store.AnyRevision)
	s.put("s/carol", "other", store.AnyRevision)
	s.wantLoad("p/", at("p/alice", "open", a), at("p/bob", "", b))
	a = s.put("p/alice", "closed", store.AnyRevision)
	s.wantLoad("p/alice", at("p/alice", "closed", a))
	if _, err := s.Put(background, "p/dave", []byte("x"), time.Time{}, store.AnyRevision); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"p/alice", "p/dave"} {
		want := map[string]time.Time{"p/alice": soon}[key]
		s.Load(background, key, func(e store.Entry) error {
			if !e.Expires.Equal(want) {
				t.Errorf("%s expires %v, want %v", key, e.Expires, want)
			}
			return nil
		})
	}
}

func valueIsCopied(t *testing.T, s *soft) {
	value := []byte("before")
	revision, err := s.Put(background, "k", value, soon, store.AnyRevision)
	if err != nil {
		t.Fatal(err)
	}
	copy(value, "after!")
	s.wantLoad("", at("k", "before", revision))
}

func compareAndSet(t *testing.T, s *soft) {
	conflict := func(match uint64) {
		t.Helper()
		if _, err := s.Put(background, "k", []byte("wrong"), soon, match); !errors.Is(err, store.ErrConflict) {
			t.Fatalf("Put with match %d: %v, want ErrConflict", match, err)
		}
		if _, err := s.Delete(background, "k", match); match != 0 && !errors.Is(err, store.ErrConflict) {
			t.Fatalf("Delete with match %d: %v, want ErrConflict", match, err)
		}
	}
	conflict(17)
	first := s.put("k", "one", 0)
	conflict(0)
	conflict(first + 1)
	second := s.put("k", "two", first)
	conflict(first)
	s.wantLoad("", at("k", "two", second))
	if _, err := s.Delete(background, "k", 0); !errors.Is(err, store.ErrConflict) {
		t.Fatalf("Delete with match 0 of what is there: %v, want ErrConflict", err)
	}
	s.delete("k", second)
	conflict(second)
	third := s.put("k", "three", 0)
	s.wantLoad("", at("k", "three", third))
}

// compareAndSetRace has many writers advance one counter by compare-and-set:
// each value is written once.
func compareAndSetRace(t *testing.T, s *soft) {
	const writers, each = 8, 25
	s.put("n", "", 0)
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				for !increment(t, s) {
				}
			}
		})
	}
	wg.Wait()
	s.Load(background, "n", func(e store.Entry) error {
		if len(e.Value) != writers*each {
			t.Errorf("%d increments survived, want %d", len(e.Value), writers*each)
		}
		return nil
	})
}

func increment(t *testing.T, s *soft) bool {
	var now store.Entry
	err := s.Load(background, "n", func(e store.Entry) error {
		now.Value, now.Revision = slices.Clone(e.Value), e.Revision
		return nil
	})
	if err == nil {
		_, err = s.Put(background, "n", append(now.Value, '.'), soon, now.Revision)
	}
	if err != nil && !errors.Is(err, store.ErrConflict) {
		t.Error(err)
		return true
	}
	return err == nil
}

func deletes(t *testing.T, s *soft) {
	first := s.put("a", "x", store.AnyRevision)
	s.put("ab", "y", store.AnyRevision)
	removal := s.delete("a", first)
	if removal <= first {
		t.Errorf("the removal has revision %d, not above %d", removal, first)
	}
	again := s.delete("a", store.AnyRevision)
	if again <= removal {
		t.Errorf("removing nothing gave revision %d, not above %d", again, removal)
	}
	if _, err := s.Delete(background, "a", first); !errors.Is(err, store.ErrConflict) {
		t.Errorf("removing a revision that is gone: %v, want ErrConflict", err)
	}
	s.delete("a", 0)
	if got := s.load(""); len(got) != 1 {
		t.Errorf("left: %v, want ab alone", got)
	}
}

func keyOrder(t *testing.T, s *soft) {
	keys := []string{"a", "a\x00", "a\x00b", "a/b", "aa", "a\xff", "a\xff\xff", "b", "é"}
	for _, k := range []int{4, 2, 8, 0, 6, 5, 7, 1, 3} {
		s.put(keys[k], "", store.AnyRevision)
	}
	var got []string
	s.Load(background, "", func(e store.Entry) error { got = append(got, e.Key); return nil })
	if !slices.Equal(got, keys) {
		t.Errorf("Load order %q, want %q", got, keys)
	}
	if n := len(s.load("a\xff")); n != 2 {
		t.Errorf("%d entries under a\\xff, want 2", n)
	}
	stop := errors.New("enough")
	calls := 0
	err := s.Load(background, "", func(store.Entry) error { calls++; return stop })
	if err != stop || calls != 1 {
		t.Errorf("Load whose function fails: %v after %d calls, want its error after 1", err, calls)
	}
}

// expiredStays: an owner that was away learns what ran out.
func expiredStays(t *testing.T, s *soft) {
	revision, err := s.Put(background, "k", []byte("v"), time.Now().Add(-time.Minute), store.AnyRevision)
	if err != nil {
		t.Fatal(err)
	}
	s.wantLoad("", at("k", "v", revision))
	s.Soft = s.restart()
	s.wantLoad("", at("k", "v", revision))
	if _, err := s.Put(background, "k", nil, soon, 0); !errors.Is(err, store.ErrConflict) {
		t.Errorf("creating over an expired entry: %v, want ErrConflict", err)
	}
	s.put("k", "again", revision)
}

func oldIsGone(t *testing.T, s *soft) {
	old := time.Now().Add(-store.PurgeAfter - time.Second)
	revision, err := s.Put(background, "k", []byte("v"), old, store.AnyRevision)
	if err != nil {
		t.Fatal(err)
	}
	s.wantLoad("")
	if _, err := s.Put(background, "k", nil, soon, revision); !errors.Is(err, store.ErrConflict) {
		t.Errorf("changing an entry that no reader sees: %v, want ErrConflict", err)
	}
	revision = s.put("k", "new", 0)
	s.wantLoad("", at("k", "new", revision))
}

// revisionsNeverRepeat is what entity-tags rest on (RFC 3903 §6).
func revisionsNeverRepeat(t *testing.T, s *soft) {
	last := uint64(0)
	rise := func(revision uint64) {
		t.Helper()
		if revision <= last || revision == store.AnyRevision {
			t.Fatalf("revision %d after %d", revision, last)
		}
		last = revision
	}
	for range 3 {
		for i := range 50 {
			rise(s.put(fmt.Sprint("k", i%7), "v", store.AnyRevision))
			rise(s.prolong(fmt.Sprint("k", i%7), "v", last, store.AnyRevision))
			rise(s.delete(fmt.Sprint("k", i%5), store.AnyRevision))
			s.Put(background, "k", nil, soon, 1<<40) // a conflict
		}
		s.Soft = s.restart()
	}
	for _, e := range s.load("") {
		rise(s.delete(e[:2], store.AnyRevision))
	}
	s.Soft = s.restart()
	rise(s.put("after-all-is-gone", "v", store.AnyRevision))
}

func entriesSurvive(t *testing.T, s *soft) {
	var want []string
	for i := range 200 {
		key := fmt.Sprintf("k%03d", i)
		revision := s.put(key, key, 0)
		if i%3 == 0 {
			revision = s.put(key, "two", revision)
			want = append(want, at(key, "two", revision))
		} else if i%3 == 1 {
			s.delete(key, revision)
		} else {
			want = append(want, at(key, key, revision))
		}
	}
	s.Soft = s.restart()
	s.wantLoad("", want...)
}

func manyWriters(t *testing.T, s *soft) {
	const writers, each = 32, 50
	revisions := make([][]uint64, writers)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				revision, err := s.Put(background, fmt.Sprintf("w%02d/%02d", w, i), fmt.Append(nil, w, i), soon, 0)
				if err != nil {
					t.Error(err)
					return
				}
				revisions[w] = append(revisions[w], revision)
			}
		})
	}
	wg.Wait()
	seen := make(map[uint64]bool)
	for w := range writers {
		if !slices.IsSorted(revisions[w]) {
			t.Errorf("one writer's revisions do not rise: %v", revisions[w])
		}
		for _, r := range revisions[w] {
			if seen[r] {
				t.Errorf("revision %d was given out twice", r)
			}
			seen[r] = true
		}
	}
	if n := len(s.load("")); n != writers*each {
		t.Errorf("%d entries, want %d", n, writers*each)
	}
}

func contextEnds(t *testing.T, s *soft) {
	ctx, cancel := context.WithCancel(background)
	cancel()
	nothing := func(store.Entry) error { t.Error("called"); return nil }
	_, put := s.Put(ctx, "k", nil, soon, 0)
	_, prolong := s.Prolong(ctx, store.Entry{Key: "k"}, soon, 0)
	_, del := s.Delete(ctx, "k", 0)
	for name, err := range map[string]error{
		"Put": put, "Prolong": prolong, "Delete": del, "Load": s.Load(ctx, "", nothing),
		"Follow": s.Follow(ctx, "", func(c store.Change) error { return nothing(c.Entry) }),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s with an ended context: %v", name, err)
		}
	}
	s.wantLoad("")
}

func closed(t *testing.T, s *soft) {
	s.put("k", "v", 0)
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	_, put := s.Put(background, "k", nil, soon, store.AnyRevision)
	_, prolong := s.Prolong(background, store.Entry{Key: "k"}, soon, store.AnyRevision)
	_, del := s.Delete(background, "k", store.AnyRevision)
	for name, err := range map[string]error{
		"Put": put, "Prolong": prolong, "Delete": del,
		"Load":   s.Load(background, "", func(store.Entry) error { return nil }),
		"Follow": s.Follow(background, "", func(store.Change) error { return nil }),
	} {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s of a closed store: %v, want ErrClosed", name, err)
		}
	}
}

func loadMayWrite(t *testing.T, s *soft) {
	for i := range 5 {
		s.put(fmt.Sprint("k", i), "v", 0)
	}
	err := s.Load(background, "", func(e store.Entry) error {
		s.put("k9", "new", store.AnyRevision)
		s.delete(e.Key, e.Revision)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.load(""); len(got) != 1 {
		t.Errorf("left: %v, want k9 alone", got)
	}
}
