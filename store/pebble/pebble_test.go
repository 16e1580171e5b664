package pebble

import (
	"io"
	"log/slog"
	"path/filepath"
	"testing"

	"vigie/store"
	"vigie/store/storetest"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func open(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	if o.Logger == nil {
		o.Logger = quiet
	}
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	for _, d := range []Durability{Process, Fsync, Relaxed} {
		t.Run(string(d), func(t *testing.T) {
			storetest.Soft(t, func(t *testing.T) (store.Soft, func() store.Soft) {
				dir := filepath.Join(t.TempDir(), "soft")
				s := open(t, dir, Options{Durability: d})
				return s, func() store.Soft {
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
					s = open(t, dir, Options{Durability: d})
					return s
				}
			})
		})
	}
}
