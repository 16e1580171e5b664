package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"vigie/store"
)

// Error says why the directory cannot be used, and what to do about it.
type Error struct {
	Path   string
	Advice string
	Err    error
}

func (e *Error) Error() string {
	return fmt.Sprintf("sqlite: directory %s: %v; %s", e.Path, e.Err, e.Advice)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// failed translates what went wrong in a query; nil stays nil.
func (d *Directory) failed(err error) error {
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, sql.ErrNoRows):
		return store.ErrNotFound
	case isClosed(err):
		return store.ErrClosed
	}
	return explain(d.path, err)
}

// isClosed knows the errors of database/sql, of which one has no name.
func isClosed(err error) bool {
	return errors.Is(err, sql.ErrConnDone) || err.Error() == "sql: database is closed" || err.Error() == "sql: statement is closed"
}

func explain(path string, err error) error {
	return &Error{Path: path, Err: err, Advice: advice(err)}
}

func advice(err error) string {
	switch code(err) {
	case lib.SQLITE_NOTADB:
		return "this file is no SQLite database: name another one, or move it away"
	case lib.SQLITE_CORRUPT:
		return "the file is damaged: restore it from a backup, or save what `sqlite3 FILE .recover` finds"
	case lib.SQLITE_FULL:
		return "the disk is full: free some space there"
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED:
		return "another process has kept it locked: end that one and try again"
	case lib.SQLITE_READONLY, lib.SQLITE_PERM:
		return "let the user that Vigie runs as write the file and its folder"
	}
	switch {
	case errors.Is(err, errNewer):
		return "run that version, or restore the file as it was before the upgrade"
	case errors.Is(err, syscall.ENOSPC):
		return "the disk is full: free some space there"
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return "let the user that Vigie runs as write the file and its folder"
	case errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.ENOTDIR):
		return "name a file in a folder"
	}
	return "see whether the folder can be written and the disk works"
}

// code is SQLite's primary result code, 0 for an error of another kind.
func code(err error) int {
	var e *driver.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

// isUnique says that a row with such a value exists.
func isUnique(err error) bool {
	var e *driver.Error
	return errors.As(err, &e) && e.Code() == lib.SQLITE_CONSTRAINT_UNIQUE
}
