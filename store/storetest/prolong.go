package storetest

import (
	"errors"
	"fmt"
	"slices"
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
