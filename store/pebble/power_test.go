package pebble

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"vigie/store"
)

// TestPowerCut cuts the power again and again, keeping of what was not synced a
// part: the store opens, holds nothing that was not written, and no revision
// comes twice. Under fsync it holds all that was confirmed.
func TestPowerCut(t *testing.T) {
	for _, d := range []Durability{Process, Fsync, Relaxed} {
		t.Run(string(d), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			disk := vfs.NewCrashableMem()
			last := uint64(0)
			for cut := range 21 {
				s := open(t, "/store", Options{Durability: d, fs: disk, memTable: 64 << 10})
				last = writeSome(t, s, rng, last)
				after := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: cut % 3 * 50, RNG: rand.New(rand.NewPCG(3, uint64(cut)))})
				want := contents(t, s)
				s.Close()
				disk = after
				s = open(t, "/store", Options{Durability: d, fs: disk})
				got := contents(t, s)
				for key, value := range got {
					if !strings.HasPrefix(value, key+" ") {
						t.Errorf("cut %d: %s holds %.20q", cut, key, value)
					}
				}
				if d == Fsync {
					same(t, int64(cut), got, want)
				}
				s.Close()
			}
		})
	}
}

func writeSome(t *testing.T, s *Store, rng *rand.Rand, last uint64) uint64 {
	for i := range 100 + rng.IntN(400) {
		key := fmt.Sprint("k", rng.IntN(50))
		e := store.Entry{Key: key, Value: fmt.Appendf(nil, "%s %d %s", key, i, strings.Repeat("v", rng.IntN(1500)))}
		var err error
		for _, write := range []func() (uint64, error){
			func() (uint64, error) {
				return s.Put(context.Background(), key, e.Value, time.Time{}, store.AnyRevision)
			},
			func() (uint64, error) { return s.Prolong(context.Background(), e, time.Time{}, store.AnyRevision) },
		} {
			if e.Revision, err = write(); err != nil {
				t.Fatal(err)
			}
			if e.Revision <= last {
				t.Fatalf("revision %d after %d", e.Revision, last)
			}
			last = e.Revision
		}
	}
	return last
}

// stuck is a disk on which syncing a log takes, once it is busy, until the gate
// opens, and making a table too: a flushed log is not missed.
type stuck struct {
	vfs.FS
	busy atomic.Bool
	gate chan bool
}

func (s *stuck) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if s.busy.Load() && strings.HasSuffix(name, ".sst") {
		<-s.gate
	}
	f, err := s.FS.Create(name, c)
	if err == nil && isLog(name) {
		f = &stuckFile{f, s}
	}
	return f, err
}

type stuckFile struct {
	vfs.File
	disk *stuck
}

func (f *stuckFile) SyncData() error {
	if f.disk.busy.Load() {
		<-f.disk.gate
	}
	return f.File.SyncData()
}

// TestPowerCutBetweenLogs: no commit waits for the sync of a full log, and when
// the power goes before its end, what came first is kept.
func TestPowerCutBetweenLogs(t *testing.T) {
	mended := 0
	for seed := range uint64(30) {
		memory := vfs.NewCrashableMem()
		disk := &stuck{FS: memory, gate: make(chan bool)}
		s := open(t, "/store", Options{fs: disk, memTable: 64 << 10})
		disk.busy.Store(true)
		for i := range 60 { // a log and a half
			value := fmt.Appendf(nil, "%d %s", i, strings.Repeat("v", 1500))
			if _, err := s.Put(context.Background(), fmt.Sprintf("k%02d", i), value, time.Time{}, 0); err != nil {
				t.Fatal(err)
			}
		}
		after := memory.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 70, RNG: rand.New(rand.NewPCG(seed, 4))})
		close(disk.gate)
		s.Close()
		var log bytes.Buffer
		s = open(t, "/store", Options{fs: after, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if strings.Contains(log.String(), "power was cut") {
			mended++
		}
		got := contents(t, s)
		for i := range len(got) {
			if key := fmt.Sprintf("k%02d", i); got[key] == "" {
				t.Errorf("seed %d: %s is missing, but later ones are there", seed, key)
			}
		}
		s.Close()
	}
	if mended == 0 {
		t.Error("no log was left without its end")
	}
}
