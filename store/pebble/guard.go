package pebble

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// guard is the file system that one engine works on. It does four things:
//
//   - A log's Sync does what the durability asks for.
//   - Where that is less than fsync, nobody waits for the sync of a log that
//     is full, nor of the directory that its successor was made in: commits
//     would stand still for as long as the disk is busy. It is done behind
//     their back, for one full log at a time.
//   - Who writes a table lets others go first after each block: on one core a
//     commit, which changes goroutines twice, would wait for its whole time
//     slice, ten milliseconds, each time.
//   - The first change of a file that fails is the last one: from then on every
//     change seems to succeed and none is made. Pebble never learns of it. It
//     could not bear it in its log and manifest, where it ends the process,
//     and would retry elsewhere for ever, inside Open too. What lies on the
//     disk stays as it was at the failure, another engine can go on from it,
//     and the one that lives on appearances is closed.
//
// What a log had not confirmed by then is cut off: a record whose writer is
// told of an error shall not come back. The committer asks logFailure.
type guard struct {
	vfs.FS
	durability Durability
	force      atomic.Bool // the next Sync of a log is a real one

	mu      sync.Mutex
	err     error
	tripped chan struct{} // closed at the first failure

	log atomic.Pointer[error] // the log stopped taking records

	behind sync.WaitGroup // syncs that nobody waits for; commits and closing alone add to it
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

// syncBehind runs the sync of a full log, or of the logs' directory.
func (g *guard) syncBehind(run func()) {
	if g.durability == Fsync {
		run()
		return
	}
	g.behind.Go(run)
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

// OpenDir implements vfs.FS.
func (g *guard) OpenDir(name string) (vfs.File, error) {
	f, err := g.open(name, func() (vfs.File, error) { return g.FS.OpenDir(name) })
	if filepath.Base(name) == logDir {
		f = logsDirectory{f.(*file)}
	}
	return f, err
}

// logsDirectory is synced behind the committers' back.
type logsDirectory struct{ *file }

func (d logsDirectory) Sync() error {
	d.guard.syncBehind(func() { d.file.Sync() })
	return nil
}

// Close waits for the last sync.
func (d logsDirectory) Close() error {
	d.guard.behind.Wait()
	return d.file.Close()
}

func (g *guard) open(name string, open func() (vfs.File, error)) (vfs.File, error) {
	f := &file{name: name, guard: g, log: isLog(name)}
	f.do(func() (err error) {
		f.File, err = open()
		return err
	})
	return f, nil
}

// change makes one change of the directory unless there was a failure.
func (g *guard) change(run func() error) error {
	if g.failure() != nil {
		return nil
	}
	err := run()
	if errors.Is(err, fs.ErrNotExist) {
		return err // pebble removes what may be gone already
	}
	g.trip(err)
	return nil
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

// file is one that pebble changes, or a directory that it syncs.
type file struct {
	vfs.File // nil when it could not be opened
	name     string
	guard    *guard
	log      bool

	// For a log; pebble writes, syncs and closes one thing at a time.
	dead      bool
	written   int64
	confirmed int64 // where the last confirmed record ends
}

// do runs one change unless there was a failure.
func (f *file) do(run func() error) {
	err := f.guard.failure()
	if err == nil {
		err = run()
	}
	if err == nil {
		return
	}
	if f.log {
		err = f.die(err)
	}
	f.guard.trip(err)
}

// die ends a log: cuts off what was not confirmed, which needs no room on the
// disk, and tells the committer.
func (f *file) die(err error) error {
	if f.dead {
		return err
	}
	f.dead = true
	if f.File != nil && f.confirmed < f.written {
		if cut := os.Truncate(f.name, f.confirmed); cut != nil {
			err = fmt.Errorf("%w; cutting off what was not confirmed: %w", err, cut)
		}
	}
	f.guard.log.CompareAndSwap(nil, &err)
	return err
}

func (f *file) Write(p []byte) (int, error) {
	f.do(func() error {
		n, err := f.File.Write(p)
		if f.log {
			f.written += int64(n)
		}
		if err == nil && f.log && f.guard.durability == Relaxed {
			f.confirmed = f.written
		}
		return err
	})
	if !f.log {
		runtime.Gosched()
	}
	return len(p), nil
}

func (f *file) WriteAt(p []byte, at int64) (int, error) {
	f.do(func() error {
		_, err := f.File.WriteAt(p, at)
		return err
	})
	return len(p), nil
}

func (f *file) Sync() error { return f.sync(vfs.File.Sync) }

func (f *file) SyncData() error { return f.sync(vfs.File.SyncData) }

func (f *file) sync(sync func(vfs.File) error) error {
	f.do(func() error {
		forced := f.log && f.guard.force.Load()
		if forced {
			f.guard.behind.Wait() // what came before is safe first
		}
		if !f.log || forced || f.guard.durability == Fsync {
			if err := sync(f.File); err != nil {
				return err
			}
		}
		if f.log {
			f.confirmed = f.written
		}
		return nil
	})
	return nil
}

// SyncTo starts writing back early what a Sync will wait for.
func (f *file) SyncTo(n int64) (full bool, err error) {
	f.do(func() error {
		full, err = f.File.SyncTo(n)
		return err
	})
	return full, nil
}

// Close syncs a log whatever the durability: after a power cut no more than the
// last two may have a ragged end (mend.go).
func (f *file) Close() error {
	if !f.log {
		f.end()
		return nil
	}
	f.guard.behind.Wait()
	f.guard.syncBehind(func() {
		f.do(func() error { return f.File.SyncData() })
		f.end()
	})
	return nil
}

func (f *file) end() {
	if f.File != nil {
		f.guard.trip(f.File.Close())
	}
}

func (f *file) Preallocate(offset, length int64) error {
	if f.guard.failure() != nil {
		return nil
	}
	return f.File.Preallocate(offset, length) // pebble does without
}

func (f *file) Fd() uintptr {
	if f.File == nil {
		return vfs.InvalidFd
	}
	return f.File.Fd()
}

func (f *file) Stat() (vfs.FileInfo, error) {
	if f.File != nil {
		return f.File.Stat()
	}
	return noFile(f.name), nil
}

func (f *file) Read([]byte) (int, error)            { return 0, fs.ErrInvalid }
func (f *file) ReadAt([]byte, int64) (int, error)   { return 0, fs.ErrInvalid }
func (f *file) Prefetch(offset, length int64) error { return nil }

// noFile describes a file that could not be opened.
type noFile string

func (n noFile) Name() string         { return string(n) }
func (noFile) Size() int64            { return 0 }
func (noFile) Mode() fs.FileMode      { return 0 }
func (noFile) ModTime() time.Time     { return time.Time{} }
func (noFile) IsDir() bool            { return false }
func (noFile) Sys() any               { return nil }
func (noFile) DeviceID() vfs.DeviceID { return vfs.DeviceID{} }
