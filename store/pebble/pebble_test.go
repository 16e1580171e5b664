package pebble

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

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

// Logs lay beside the tables once.
func TestLogsOfOldLayout(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	if _, err := s.Put(context.Background(), "k", []byte("v"), time.Time{}, 0); err != nil {
		t.Fatal(err)
	}
	s.Close()
	logs, err := filepath.Glob(filepath.Join(dir, logDir, "*.log"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("logs: %v, %v", logs, err)
	}
	for _, l := range logs {
		if err := os.Rename(l, filepath.Join(dir, filepath.Base(l))); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		s = open(t, dir, Options{})
		if got := contents(t, s)["k"]; got != "v" {
			t.Errorf("found %q, want v", got)
		}
		s.Close()
	}
}

// A directory may be moved, or named in another way, between two starts.
func TestDirectoryMoves(t *testing.T) {
	t.Chdir(t.TempDir())
	s := open(t, "soft", Options{})
	if _, err := s.Put(context.Background(), "k", []byte("v"), time.Time{}, 0); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if err := os.Rename("soft", "elsewhere"); err != nil {
		t.Fatal(err)
	}
	here, err := filepath.Abs("elsewhere")
	if err != nil {
		t.Fatal(err)
	}
	s = open(t, here, Options{})
	defer s.Close()
	if got := contents(t, s)["k"]; got != "v" {
		t.Errorf("found %q, want v", got)
	}
}
