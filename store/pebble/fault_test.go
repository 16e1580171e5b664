package pebble

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"vigie/store"
)

// faulty is a disk whose changes fail from the n-th on, or when told to.
type faulty struct {
	vfs.FS
	left    atomic.Int64 // changes that succeed
	partial bool         // a failing write writes half
}

func newFaulty() *faulty {
	f := &faulty{FS: vfs.Default}
	f.heal()
	return f
}

func (f *faulty) heal()    { f.left.Store(1 << 40) }
func (f *faulty) full()    { f.left.Store(0) }
func (f *faulty) ok() bool { return f.left.Add(-1) >= 0 }

func (f *faulty) wrap(file vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &faultyFile{file, f}, nil
}

func (f *faulty) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if !f.ok() {
		return nil, &os.PathError{Op: "create", Path: name, Err: syscall.ENOSPC}
	}
	return f.wrap(f.FS.Create(name, c))
}

func (f *faulty) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if !f.ok() {
		return nil, syscall.ENOSPC
	}
	return f.wrap(f.FS.ReuseForWrite(old, name, c))
}

func (f *faulty) Rename(old, name string) error {
	if !f.ok() {
		return syscall.ENOSPC
	}
	return f.FS.Rename(old, name)
}

func (f *faulty) OpenDir(name string) (vfs.File, error) { return f.wrap(f.FS.OpenDir(name)) }

type faultyFile struct {
	vfs.File
	f *faulty
}

func (f *faultyFile) Write(p []byte) (int, error) {
	if f.f.ok() {
		return f.File.Write(p)
	}
	n := 0
	if f.f.partial {
		n, _ = f.File.Write(p[:len(p)/2])
	}
	return n, syscall.ENOSPC
}

// Nobody cuts the power here, so that syncing may cost nothing.
func (f *faultyFile) Sync() error     { return f.sync() }
func (f *faultyFile) SyncData() error { return f.sync() }
func (f *faultyFile) sync() error {
	if f.f.ok() {
		return nil
	}
	return syscall.ENOSPC
}

// gone waits until a failed engine has been closed.
func gone(s *Store) {
	s.mu.Lock()
	e := s.engine
	s.mu.Unlock()
	if e != nil && e.guard.failure() != nil {
		<-e.gone
	}
}

func contents(t *testing.T, s *Store) map[string]string {
	t.Helper()
	got := make(map[string]string)
	if err := s.Load(context.Background(), "", func(e store.Entry) error {
		got[e.Key] = string(e.Value)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return got
}

// TestDiskFull: a refused change leaves the old entry and its revision, the
// store says what to do, and it goes on when there is room again.
func TestDiskFull(t *testing.T) {
	ctx := context.Background()
	disk := newFaulty()
	dir := t.TempDir()
	registry := prometheus.NewRegistry()
	o := Options{fs: disk, retry: time.Nanosecond, Metrics: registry}
	s := open(t, dir, o)
	before, err := s.Put(ctx, "k", []byte("old"), time.Time{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	disk.full()
	_, err = s.Put(ctx, "k", []byte("new"), time.Time{}, before)
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(fmt.Sprint(err), "free some space") {
		t.Errorf("Put on a full disk: %v, want ENOSPC and advice", err)
	}
	gone(s)
	if _, err := s.Delete(ctx, "k", before); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Delete on a full disk: %v, want ENOSPC", err)
	}
	if err := s.Health(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Health: %v, want ENOSPC", err)
	}
	wantMetric(t, registry, "vigie_store_healthy", 0)
	wantMetric(t, registry, "vigie_store_errors_total", 2)
	disk.heal()
	if err := s.Health(); err != nil {
		t.Errorf("Health with room again: %v", err)
	}
	wantMetric(t, registry, "vigie_store_healthy", 1)
	after, err := s.Put(ctx, "k", []byte("newer"), time.Time{}, before)
	if err != nil || after <= before {
		t.Errorf("Put over the old revision: %d, %v; want one above %d", after, err, before)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	s = open(t, dir, Options{})
	defer s.Close()
	if got := contents(t, s)["k"]; got != "newer" {
		t.Errorf("after all: %q, want newer", got)
	}
}

func wantMetric(t *testing.T, r *prometheus.Registry, name string, want float64) {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			if got := m.GetGauge().GetValue() + m.GetCounter().GetValue(); got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
			return
		}
	}
	t.Errorf("no metric %s", name)
}

// TestFaultAnywhere lets the disk fail at each of its operations in turn, logs,
// tables and manifests alike: what was confirmed is there, what was refused is
// not, now and after a restart, and the process lives.
func TestFaultAnywhere(t *testing.T) {
	for _, d := range []Durability{Process, Fsync} {
		for _, partial := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/partial=%v", d, partial), func(t *testing.T) {
				// Few operations while little happens, many around each flush.
				for n := int64(1); n < 500; n += 1 + n/7 {
					disk := newFaulty()
					disk.partial = partial
					failAt(t, disk, n, Options{Durability: d, fs: disk, retry: time.Nanosecond, memTable: 64 << 10})
				}
			})
		}
	}
}

func failAt(t *testing.T, disk *faulty, n int64, o Options) {
	t.Helper()
	dir := t.TempDir()
	s := open(t, dir, o)
	disk.left.Store(n)
	want := make(map[string]string)
	last := uint64(0)
	value := strings.Repeat("v", 1500)
	for i := range 200 {
		key, v := fmt.Sprint("k", i%90), fmt.Sprint(i, value)
		var revision uint64
		var err error
		switch i % 10 {
		case 9:
			revision, err = s.Delete(context.Background(), key, store.AnyRevision)
		case 8: // what was written before, if it was
			key = fmt.Sprint("k", (i-1)%90)
			v = want[key]
			revision, err = s.Prolong(context.Background(), store.Entry{Key: key, Value: []byte(v), Revision: last}, time.Time{}, store.AnyRevision)
		default:
			revision, err = s.Put(context.Background(), key, []byte(v), time.Time{}, store.AnyRevision)
		}
		switch {
		case err != nil:
			gone(s)
			disk.heal()
		case revision <= last:
			t.Fatalf("fault %d: revision %d after %d", n, revision, last)
		case i%10 == 9:
			delete(want, key)
		default:
			want[key] = v
		}
		last = max(last, revision)
	}
	gone(s)
	disk.heal()
	same(t, n, contents(t, s), want)
	s.Close()
	s = open(t, dir, o)
	defer s.Close()
	same(t, n, contents(t, s), want)
	revision, err := s.Put(context.Background(), "last", nil, time.Time{}, 0)
	if err != nil || revision <= last {
		t.Errorf("fault %d: after a restart revision %d (%v), want above %d", n, revision, err, last)
	}
}

func same(t *testing.T, n int64, got, want map[string]string) {
	t.Helper()
	for k, v := range want {
		if got[k] != v {
			t.Errorf("fault %d: %s is %.8q, confirmed was %.8q", n, k, got[k], v)
		}
	}
	for k := range got {
		if _, ok := want[k]; !ok {
			t.Errorf("fault %d: %s is there, but was refused or removed", n, k)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
}

func TestOpenRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	used := t.TempDir()
	defer open(t, used, Options{}).Close()
	full := newFaulty()
	full.full()
	for _, test := range []struct {
		name, dir, want string
		options         Options
	}{
		{"a file", file, "name a directory", Options{}},
		{"a directory in use", used, "close that store first", Options{}},
		{"a full disk", t.TempDir(), "free some space", Options{fs: full}},
		{"damage", damaged(t), "move the directory away", Options{}},
		{"an unknown durability", t.TempDir(), "none of process, fsync, relaxed", Options{Durability: "perhaps"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.options.Logger = quiet
			s, err := Open(test.dir, test.options)
			if err == nil {
				s.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v; want advice %q", err, test.want)
			}
		})
	}
}

// damaged gives a directory whose manifest has been overwritten.
func damaged(t *testing.T) string {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	if _, err := s.Put(context.Background(), "k", nil, time.Time{}, 0); err != nil {
		t.Fatal(err)
	}
	s.Close()
	manifests, err := filepath.Glob(filepath.Join(dir, "MANIFEST-*"))
	if err != nil || len(manifests) == 0 {
		t.Fatalf("manifests: %v, %v", manifests, err)
	}
	for _, m := range manifests {
		if err := os.WriteFile(m, []byte(strings.Repeat("damage", 100)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestCompactions: our scheduler lets pebble tidy up while it is written to.
func TestCompactions(t *testing.T) {
	s := open(t, t.TempDir(), Options{memTable: 64 << 10})
	defer s.Close()
	value := make([]byte, 1000)
	compactions := int64(0)
	for i := 0; i < 200_000 && compactions < 5; i++ {
		if _, err := s.Put(context.Background(), fmt.Sprint(i%500), value, time.Time{}, store.AnyRevision); err != nil {
			t.Fatal(err)
		}
		if i%100 == 0 {
			compactions = s.engine.db.Metrics().Compact.Count
		}
	}
	if compactions < 5 {
		t.Errorf("%d compactions", compactions)
	}
}

// TestProlongAfterLoss: a relaxed store may lose what it confirmed; the value
// comes back with the next Prolong.
func TestProlongAfterLoss(t *testing.T) {
	ctx := context.Background()
	disk := newFaulty()
	dir := t.TempDir()
	s := open(t, dir, Options{Durability: Relaxed, fs: disk, retry: time.Nanosecond})
	e := store.Entry{Key: "k", Value: []byte("v")}
	var err error
	if e.Revision, err = s.Put(ctx, e.Key, e.Value, time.Time{}, 0); err != nil {
		t.Fatal(err)
	}
	disk.full()
	s.cancelWriteBehind()
	s.inFlight.Add(1)
	s.writeNow()
	gone(s)
	disk.heal()
	if got := contents(t, s); len(got) != 0 {
		t.Fatalf("the disk failed, but %v is there", got)
	}
	if e.Revision, err = s.Prolong(ctx, e, time.Time{}, store.AnyRevision); err != nil {
		t.Fatal(err)
	}
	if _, err = s.Prolong(ctx, e, time.Time{}, store.AnyRevision); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	s = open(t, dir, Options{})
	defer s.Close()
	if got := contents(t, s)["k"]; got != "v" {
		t.Errorf("prolonged after the loss: %q, want v", got)
	}
}

// TestPurgeProlonged: what was prolonged lives by its new expiry, and a
// prolongation that holds no more is not kept.
func TestPurgeProlonged(t *testing.T) {
	ctx := context.Background()
	s := open(t, t.TempDir(), Options{})
	defer s.Close()
	old, soon := time.Now().Add(-2*store.PurgeAfter), time.Now().Add(time.Hour)
	prolonged := func(key string, before, after time.Time) store.Entry {
		t.Helper()
		e := store.Entry{Key: key, Value: []byte("v")}
		var err error
		if e.Revision, err = s.Put(ctx, key, e.Value, before, 0); err == nil {
			e.Revision, err = s.Prolong(ctx, e, after, store.AnyRevision)
		}
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	lives, dies := prolonged("lives", old, soon), prolonged("dies", soon, old)
	prolonged("removed", soon, soon)
	if _, err := s.Delete(ctx, "removed", store.AnyRevision); err != nil {
		t.Fatal(err)
	}
	prolonged("replaced", soon, soon)
	if _, err := s.Put(ctx, "replaced", []byte("w"), soon, store.AnyRevision); err != nil {
		t.Fatal(err)
	}
	if n, err := s.purge(ctx); n != 3 || err != nil {
		t.Errorf("purged %d, %v; want the dead one and two prolongations", n, err)
	}
	if got := fmt.Sprint(contents(t, s)); got != "map[lives:v replaced:w]" {
		t.Errorf("left: %s", got)
	}
	if n, err := s.purge(ctx); n != 0 || err != nil {
		t.Errorf("purged again: %d, %v; want 0", n, err)
	}
	// An owner whose clock leapt believes in what was purged.
	for _, e := range []store.Entry{lives, dies} {
		if _, err := s.Prolong(ctx, e, soon, store.AnyRevision); err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(contents(t, s)); got != "map[dies:v lives:v replaced:w]" {
		t.Errorf("prolonged what was purged: %s", got)
	}
}

// TestPurge removes what no reader sees, and nothing that was written again.
func TestPurge(t *testing.T) {
	ctx := context.Background()
	s := open(t, t.TempDir(), Options{})
	defer s.Close()
	old := time.Now().Add(-2 * store.PurgeAfter)
	for i := range 2500 {
		expires := old
		if i%5 == 0 {
			expires = time.Now().Add(-time.Minute)
		}
		if _, err := s.Put(ctx, fmt.Sprintf("k%04d", i), nil, expires, 0); err != nil {
			t.Fatal(err)
		}
	}
	stopped, stop := context.WithCancel(ctx)
	w := s.feed.Join("")
	defer w.Leave()
	n, err := s.purge(ctx)
	if n != 2000 || err != nil {
		t.Errorf("purged %d, %v; want 2000", n, err)
	}
	if got := len(contents(t, s)); got != 500 {
		t.Errorf("%d entries left, want 500", got)
	}
	if n, err := s.purge(ctx); n != 0 || err != nil {
		t.Errorf("purged again: %d, %v; want 0", n, err)
	}
	// A change after purging is the first that a follower hears of.
	if _, err := s.Put(ctx, "after", nil, time.Time{}, 0); err != nil {
		t.Fatal(err)
	}
	w.Run(stopped, func(c store.Change) error {
		if c.Key != "after" {
			t.Errorf("a follower heard of %s", c.Key)
		}
		stop()
		return nil
	})
}
