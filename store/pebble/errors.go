package pebble

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"syscall"

	cockroach "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"vigie/store"
)

// Error says why soft state cannot be kept or read, and what to do about it.
type Error struct {
	Dir    string
	Advice string
	Err    error
}

func (e *Error) Error() string {
	return fmt.Sprintf("pebble: soft state in %s: %v; %s", e.Dir, e.Err, e.Advice)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// explain turns a failure into an Error with advice; nil stays nil.
func explain(dir string, err error) error {
	var known *Error
	if err == nil || errors.As(err, &known) || errors.Is(err, store.ErrClosed) {
		return err
	}
	return &Error{Dir: dir, Advice: advice(err), Err: err}
}

func advice(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "free some space there, the store goes on by itself"
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return "let the user that Vigie runs as write there"
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, fs.ErrExist):
		return "name a directory, or remove the file in its place"
	case cockroach.IsCorruptionError(err):
		return "its files are damaged: move the directory away and start again; devices publish and subscribe anew within their intervals"
	}
	return "see whether the disk works and the directory is Vigie's own; the store tries again by itself"
}

// lockDirectory makes sure that dir exists and belongs to this store alone.
func lockDirectory(dir string, under vfs.FS) (io.Closer, error) {
	if err := under.MkdirAll(dir, 0o750); err != nil {
		return nil, explain(dir, err)
	}
	lock, err := under.Lock(filepath.Join(dir, "LOCK"))
	switch {
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EACCES) && writable(dir, under):
		return nil, &Error{Dir: dir, Err: err, Advice: "another process uses it: stop that one, or give this one a directory of its own"}
	case err != nil && !errors.Is(err, fs.ErrPermission) && !errors.As(err, new(syscall.Errno)):
		return nil, &Error{Dir: dir, Err: err, Advice: "this process has it open already: close that store first"}
	case err != nil:
		return nil, explain(dir, err)
	}
	return lock, nil
}

// writable says whether a file can be made in dir: POSIX lets a lock that
// somebody holds be refused with the error of a missing permission.
func writable(dir string, under vfs.FS) bool {
	name := filepath.Join(dir, "writable.tmp")
	f, err := under.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return false
	}
	f.Close()
	return under.Remove(name) == nil
}

// logger takes what pebble says. What is fatal to pebble retires the engine.
type logger struct {
	dir   string
	log   *slog.Logger
	guard *guard
}

// Infof implements cockroach.Logger; pebble talks much about its own work.
func (l logger) Infof(string, ...any) {}

// Errorf implements cockroach.Logger.
func (l logger) Errorf(format string, args ...any) {
	l.log.Warn("soft state", "dir", l.dir, "err", fmt.Sprintf(format, args...))
}

// Fatalf implements cockroach.Logger. Every caller that meets a failing disk
// goes on to return its error.
func (l logger) Fatalf(format string, args ...any) {
	l.guard.trip(fmt.Errorf(format, args...))
}
