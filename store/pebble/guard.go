package pebble

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// guard is the file system that one engine works on. It does three things:
//
//   - A log's Sync does what the durability asks for.
//   - From the first change of a file that fails, every later one fails: what
//     lies on the disk is as it was then, and another engine can go on from it.
//   - Failures of a log are not shown to pebble, which cannot bear them; what
//     was not confirmed is cut off, and the committer asks logFailure.
type guard struct {
	vfs.FS
	durability Durability
	force      atomic.Bool // the next Sync of a log is a real one

	mu      sync.Mutex
	err     error
	tripped chan struct{} // closed at the first failure

	log atomic.Pointer[error] // the log stopped taking records
}

func newGuard(under vfs.FS, d Durability) *guard {
	return &guard{FS: under, durability: d, tripped: make(chan struct{})}
}

// failure is the first one, or nil.
func (g *guard) failure() error {
	select {
	case <-g.tripped:
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.err
	default:
		return nil
	}
}

// trip ends every change of files and returns err.
func (g *guard) trip(err error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil && g.err == nil {
		g.err = err
		close(g.tripped)
	}
	return err
}

// logFailure says why the log took no more records. A committer that finds nil
// after its Sync has its records confirmed.
func (g *guard) logFailure() error {
	if err := g.log.Load(); err != nil {
		return *err
	}
	return nil
}

func isLog(name string) bool { return strings.HasSuffix(name, ".log") }

// Create implements vfs.FS.
func (g *guard) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return g.open(name, func() (vfs.File, error) { return g.FS.Create(name, c) })
}

// ReuseForWrite implements vfs.FS.
func (g *guard) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return g.open(name, func() (vfs.File, error) { return g.FS.ReuseForWrite(old, name, c) })
}

// OpenReadWrite implements vfs.FS.
func (g *guard) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return g.open(name, func() (vfs.File, error) { return g.FS.OpenReadWrite(name, c, o...) })
}

func (g *guard) open(name string, open func() (vfs.File, error)) (vfs.File, error) {
	f, err := vfs.File(nil), g.failure()
	if err == nil {
		f, err = open()
	}
	switch {
	case isLog(name):
		l := &logFile{File: f, name: name, guard: g}
		if err != nil {
			l.die(err)
		}
		return l, nil
	case err != nil:
		return nil, g.trip(err)
	}
	return &guardedFile{File: f, guard: g}, nil
}

// OpenDir implements vfs.FS.
func (g *guard) OpenDir(name string) (vfs.File, error) {
	f, err := g.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &guardedDir{File: f, guard: g}, nil
}

// change runs one change of the directory unless there was a failure.
func (g *guard) change(run func() error) error {
	if err := g.failure(); err != nil {
		return err
	}
	err := run()
	if errors.Is(err, fs.ErrNotExist) {
		return err // pebble removes what may be gone already
	}
	return g.trip(err)
}

// Link implements vfs.FS.
func (g *guard) Link(old, name string) error {
	return g.change(func() error { return g.FS.Link(old, name) })
}

// Remove implements vfs.FS.
func (g *guard) Remove(name string) error {
	return g.change(func() error { return g.FS.Remove(name) })
}

// RemoveAll implements vfs.FS.
func (g *guard) RemoveAll(name string) error {
	return g.change(func() error { return g.FS.RemoveAll(name) })
}

// Rename implements vfs.FS.
func (g *guard) Rename(old, name string) error {
	return g.change(func() error { return g.FS.Rename(old, name) })
}

// MkdirAll implements vfs.FS.
func (g *guard) MkdirAll(dir string, perm os.FileMode) error {
	return g.change(func() error { return g.FS.MkdirAll(dir, perm) })
}

// Lock implements vfs.FS. The store holds the real lock over all its engines.
func (g *guard) Lock(string) (io.Closer, error) { return unlocked{}, nil }

type unlocked struct{}

func (unlocked) Close() error { return nil }

// Unwrap implements vfs.FS.
func (g *guard) Unwrap() vfs.FS { return g.FS }

// guardedFile is a file other than a log. Pebble is told of its failures.
type guardedFile struct {
	vfs.File
	guard *guard
}

func (f *guardedFile) Write(p []byte) (int, error) {
	if err := f.guard.failure(); err != nil {
		return 0, err
	}
	n, err := f.File.Write(p)
	return n, f.guard.trip(err)
}

func (f *guardedFile) WriteAt(p []byte, at int64) (int, error) {
	if err := f.guard.failure(); err != nil {
		return 0, err
	}
	n, err := f.File.WriteAt(p, at)
	return n, f.guard.trip(err)
}

func (f *guardedFile) Sync() error     { return f.guard.change(f.File.Sync) }
func (f *guardedFile) SyncData() error { return f.guard.change(f.File.SyncData) }
func (f *guardedFile) SyncTo(n int64) (full bool, err error) {
	err = f.guard.change(func() error { full, err = f.File.SyncTo(n); return err })
	return full, err
}

// guardedDir is a directory, synced when a log has been created, where pebble
// cannot bear a failure.
type guardedDir struct {
	vfs.File
	guard *guard
}

func (d *guardedDir) Sync() error {
	if d.guard.failure() == nil {
		d.guard.trip(d.File.Sync())
	}
	return nil
}

// logFile is a log being written. For pebble all goes well for ever.
type logFile struct {
	vfs.File // nil when it could not be created
	name     string
	guard    *guard

	// Pebble writes, syncs and closes one at a time.
	dead      bool
	written   int64
	confirmed int64 // where the last confirmed record ends
}

// die refuses records from now on and cuts off what was not confirmed: a
// record whose writer is told of an error shall not come back after a restart.
func (f *logFile) die(err error) {
	if f.dead {
		return
	}
	f.dead = true
	if f.File != nil && f.confirmed < f.written {
		err = errors.Join(err, f.cut())
	}
	f.guard.log.CompareAndSwap(nil, &err)
	f.guard.trip(err)
}

// cut shortens the file, which needs no room on the disk.
func (f *logFile) cut() error {
	if err := os.Truncate(f.name, f.confirmed); err != nil {
		return fmt.Errorf("cut off what was not confirmed: %w", err)
	}
	return nil
}

func (f *logFile) alive() bool {
	if f.dead {
		return false
	}
	if err := f.guard.failure(); err != nil {
		f.die(err)
		return false
	}
	return true
}

func (f *logFile) Write(p []byte) (int, error) {
	if !f.alive() {
		return len(p), nil
	}
	n, err := f.File.Write(p)
	f.written += int64(n)
	if err != nil {
		f.die(err)
	} else if f.guard.durability == Relaxed {
		f.confirmed = f.written
	}
	return len(p), nil
}

func (f *logFile) Sync() error     { return f.sync() }
func (f *logFile) SyncData() error { return f.sync() }

func (f *logFile) sync() error {
	if !f.alive() {
		return nil
	}
	if f.guard.durability == Fsync || f.guard.force.Load() {
		if err := f.File.SyncData(); err != nil {
			f.die(err)
			return nil
		}
	}
	f.confirmed = f.written
	return nil
}

// SyncTo starts writing back early what Close will wait for.
func (f *logFile) SyncTo(n int64) (full bool, err error) {
	if f.alive() {
		if full, err = f.File.SyncTo(n); err != nil {
			f.die(err)
		}
	}
	return full, nil
}

// Close syncs whatever the durability: after a power cut only the last log may
// have a ragged end, or pebble takes the store for corrupt.
func (f *logFile) Close() error {
	if f.alive() {
		if err := f.File.SyncData(); err != nil {
			f.die(err)
		}
	}
	if f.File != nil {
		f.guard.trip(f.File.Close())
	}
	return nil
}

func (f *logFile) Preallocate(offset, length int64) error {
	if f.dead {
		return nil
	}
	return f.File.Preallocate(offset, length) // pebble does without
}

func (f *logFile) Fd() uintptr {
	if f.File == nil {
		return vfs.InvalidFd
	}
	return f.File.Fd()
}

func (f *logFile) Stat() (vfs.FileInfo, error) {
	if f.File != nil {
		if info, err := f.File.Stat(); err == nil {
			return info, nil
		}
	}
	return noFile(f.name), nil
}

// noFile describes a log that could not be created.
type noFile string

func (n noFile) Name() string         { return string(n) }
func (noFile) Size() int64            { return 0 }
func (noFile) Mode() fs.FileMode      { return 0 }
func (noFile) ModTime() time.Time     { return time.Time{} }
func (noFile) IsDir() bool            { return false }
func (noFile) Sys() any               { return nil }
func (noFile) DeviceID() vfs.DeviceID { return vfs.DeviceID{} }
