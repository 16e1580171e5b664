package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"vigie/store"
)

// later is when what is prolonged runs out.
var later = soon.Add(time.Hour)

// prolong prolongs an entry that holds value at the revision known.
func (s *soft) prolong(key, value string, known, match uint64) uint64 {
	s.T.Helper()
	revision, err := s.Prolong(background, store.Entry{Key: key, Value: []byte(value), Revision: known}, later, match)
	if err != nil {
		s.T.Fatalf("Prolong(%q, known %d, match %d): %v", key, known, int64(match), err)
	}
	return revision
}

// expiries gives "key expiry" for what is under prefix, the expiry by name.
func (s *soft) expiries(prefix string) (got []string) {
	s.T.Helper()
	err := s.Load(background, prefix, func(e store.Entry) error {
		name, ok := map[int64]string{soon.UnixNano(): "soon", later.UnixNano(): "later"}[e.Expires.UnixNano()]
		if !ok {
			name = e.Expires.String()
		}
		got = append(got, e.Key+" "+name)
		return nil
	})
	if err != nil {
		s.T.Fatalf("Load(%q): %v", prefix, err)
	}
	return got
}

func (s *soft) wantExpiries(want ...string) {
	s.T.Helper()
	if got := s.expiries(""); !slices.Equal(got, want) {
		s.T.Errorf("expiries %v, want %v", got, want)
	}
}

// prolongs: a new expiry and revision, the same value, until something is put
// over it; now and after a restart.
func prolongs(t *testing.T, s *soft) {
	a, b, c, d := s.put("a", "1", 0), s.put("b", "2", 0), s.put("c", "3", 0), s.put("d", "4", 0)
	before := time.Now()
	b = s.prolong("b", "2", b, store.AnyRevision)
	b = s.prolong("b", "2", b, store.AnyRevision)
	s.prolong("c", "3", c, store.AnyRevision)
	s.prolong("d", "4", d, store.AnyRevision)
	after := time.Now()
	c = s.put("c", "new", store.AnyRevision)
	s.delete("d", store.AnyRevision)
	for range 2 {
		s.wantLoad("", at("a", "1", a), at("b", "2", b), at("c", "new", c))
		s.wantLoad("b", at("b", "2", b))
		s.wantExpiries("a soon", "b later", "c soon")
		s.Load(background, "", func(e store.Entry) error {
			if e.Key != "b" && !e.Prolonged.IsZero() {
				t.Errorf("%s was prolonged at %v, want never", e.Key, e.Prolonged)
			}
			if e.Key == "b" && (e.Prolonged.Before(before.Round(0)) || e.Prolonged.After(after.Round(0))) {
				t.Errorf("b was prolonged at %v, want between %v and %v", e.Prolonged, before, after)
			}
			return nil
		})
		s.Soft = s.restart()
	}
	d = s.put("d", "again", 0)
	b = s.prolong("b", "2", b, store.AnyRevision)
	s.wantLoad("", at("a", "1", a), at("b", "2", b), at("c", "new", c), at("d", "again", d))
	if _, err := s.Prolong(background, store.Entry{Key: "b", Value: []byte("2"), Revision: b}, time.Time{}, b); err != nil {
		t.Fatal(err)
	}
	s.Load(background, "b", func(e store.Entry) error {
		if !e.Expires.IsZero() {
			t.Errorf("b expires at %v, want never", e.Expires)
		}
		return nil
	})
}

func prolongCompares(t *testing.T, s *soft) {
	conflict := func(match uint64) {
		t.Helper()
		_, err := s.Prolong(background, store.Entry{Key: "k", Value: []byte("wrong"), Revision: match}, later, match)
		if !errors.Is(err, store.ErrConflict) {
			t.Fatalf("Prolong with match %d: %v, want ErrConflict", match, err)
		}
	}
	conflict(17)
	first := s.put("k", "v", 0)
	conflict(0)
	conflict(first + 1)
	second := s.prolong("k", "v", first, first)
	conflict(first)
	if _, err := s.Put(background, "k", nil, soon, first); !errors.Is(err, store.ErrConflict) {
		t.Fatalf("Put over the revision before a Prolong: %v, want ErrConflict", err)
	}
	third := s.prolong("k", "v", second, second)
	s.wantLoad("", at("k", "v", third))
	s.Soft = s.restart()
	s.delete("k", third)
	conflict(third)
	s.prolong("k", "new", 0, 0)
	if got := s.load(""); len(got) != 1 {
		t.Errorf("prolonged where there is nothing: %v, want it written", got)
	}
}

// prolongWhatIsGone: an entry that ran out long ago counts as none, however it
// came to do so.
func prolongWhatIsGone(t *testing.T, s *soft) {
	old := time.Now().Add(-store.PurgeAfter - time.Second)
	first := s.put("k", "v", 0)
	second, err := s.Prolong(background, store.Entry{Key: "k", Value: []byte("v"), Revision: first}, old, first)
	if err != nil {
		t.Fatal(err)
	}
	s.wantLoad("")
	_, err = s.Prolong(background, store.Entry{Key: "k", Value: []byte("v"), Revision: second}, soon, second)
	if !errors.Is(err, store.ErrConflict) {
		t.Errorf("prolonging an entry that no reader sees: %v, want ErrConflict", err)
	}
	third := s.put("k", "new", 0)
	s.wantLoad("", at("k", "new", third))
}

// mark prolongs an entry with a mark; a nil value is left out.
func (s *soft) mark(key string, value []byte, mark string, known, match uint64) uint64 {
	s.T.Helper()
	entry := store.Entry{Key: key, Value: value, Mark: []byte(mark), Revision: known}
	revision, err := s.Prolong(background, entry, later, match)
	if err != nil {
		s.T.Fatalf("Prolong(%q, mark %q, known %d, match %d): %v", key, mark, known, int64(match), err)
	}
	copy(entry.Mark, "xxx") // it is the caller's again
	return revision
}

func marked(key, value, mark string, revision uint64) string {
	return show(store.Entry{Key: key, Value: []byte(value), Mark: []byte(mark), Revision: revision})
}

// marks: the newest Prolong's mark holds until the next, or until something is put
// over it or it is removed; now and after a restart.
func marks(t *testing.T, s *soft) {
	a, b, c, d := s.put("a", "1", 0), s.put("b", "2", 0), s.put("c", "3", 0), s.put("d", "4", 0)
	a = s.mark("a", nil, "one", a, store.AnyRevision)
	a = s.mark("a", nil, "two", a, a)
	s.mark("b", nil, "one", b, store.AnyRevision)
	c = s.mark("c", []byte("3"), "one", c, c)
	c = s.prolong("c", "3", c, store.AnyRevision)
	s.mark("d", nil, "one", d, store.AnyRevision)
	b = s.put("b", "new", store.AnyRevision)
	s.delete("d", store.AnyRevision)
	for range 2 {
		s.wantLoad("", marked("a", "1", "two", a), at("b", "new", b), at("c", "3", c))
		s.wantExpiries("a later", "b soon", "c later")
		s.Soft = s.restart()
	}
	d = s.put("d", "again", 0)
	a = s.mark("a", nil, "three", a, store.AnyRevision)
	s.wantLoad("", marked("a", "1", "three", a), at("b", "new", b), at("c", "3", c), at("d", "again", d))
	s.delete("a", a)
	a = s.put("a", "anew", 0)
	s.Soft = s.restart()
	s.wantLoad("a", at("a", "anew", a))
}

// marksOnly: a store that lacks an entry asks for its value; given it, all is there.
func marksOnly(t *testing.T, s *soft) {
	_, err := s.Prolong(background, store.Entry{Key: "k", Mark: []byte("m")}, later, 0)
	if !errors.Is(err, store.ErrValueWanted) {
		t.Fatalf("a mark for what is not there: %v, want ErrValueWanted", err)
	}
	s.wantLoad("")
	k := s.mark("k", []byte("v"), "m", 0, 0)
	s.wantLoad("", marked("k", "v", "m", k))
	s.Soft = s.restart()
	s.wantLoad("", marked("k", "v", "m", k))
}

func followMarked(t *testing.T, s *soft) {
	a := s.put("p/a", "1", 0)
	a = s.mark("p/a", nil, "one", a, a)
	f := s.follow("p/")
	f.want(t, marked("p/a", "1", "one", a))
	a = s.mark("p/a", []byte("1"), "two", a, store.AnyRevision)
	f.want(t, marked("p/a", "1", "two", a))
	_, err := s.Prolong(background, store.Entry{Key: "p/a", Mark: []byte("three"), Revision: a}, later, a)
	if errors.Is(err, store.ErrValueWanted) {
		s.wantLoad("", marked("p/a", "1", "two", a))
		return // the follower needs it
	}
	if change := <-f.changes; err != nil || !strings.HasPrefix(change, "p/a=1+three@") {
		t.Errorf("followed %s, %v", change, err)
	}
}

func followProlonged(t *testing.T, s *soft) {
	a := s.put("p/a", "1", 0)
	b := s.put("p/b", "2", 0)
	a = s.prolong("p/a", "1", a, a)
	f := s.follow("p/")
	f.want(t, at("p/a", "1", a), at("p/b", "2", b))
	a = s.prolong("p/a", "1", a, store.AnyRevision)
	b = s.prolong("p/b", "2", b, b)
	s.prolong("q/c", "", 0, store.AnyRevision)
	removal := s.delete("p/a", a)
	f.want(t, at("p/a", "1", a), at("p/b", "2", b), fmt.Sprintf("-p/a@%d", removal))
}
