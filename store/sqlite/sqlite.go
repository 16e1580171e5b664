// Package sqlite keeps the directory (accounts, tokens, settings) in one SQLite
// file, by the pure Go driver modernc.org/sqlite.
//
// The file is in WAL mode with synchronous=FULL: what is confirmed survives a
// power cut. Several processes may use it at once, such as the server and the
// command line; writers wait for each other for up to busyTimeout. What another
// process wrote is noticed by [Directory.Generation].
//
// The tables are made by the migrations in this package, which goose applies
// when the file is opened; a file that knows more migrations than this package
// was written by a newer version and is refused.
//
// Locks: none of our own but those of database/sql. One connection writes, a few
// read, and one is kept for Generation and never writes, since SQLite's
// data_version tells a connection what others did.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver named "sqlite"

	"vigie/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	busyTimeout = 10 * time.Second
	readers     = 4
)

// Directory is a directory in one file. It implements store.Directory.
type Directory struct {
	path   string
	write  *sql.DB // one connection
	read   *sql.DB
	watch  *sql.Conn // for Generation; belongs to a pool of its own
	pool   *sql.DB
	byAOR  *sql.Stmt
	byUser *sql.Stmt
	token  *sql.Stmt
}

// Open opens the file at path, creating it and its folder when missing, and
// brings its tables up to date.
func Open(path string, logger *slog.Logger) (store.Directory, error) {
	d, err := open(path, logger)
	if err != nil {
		return nil, explain(path, err)
	}
	return d, nil
}

func open(path string, logger *slog.Logger) (*Directory, error) {
	if err := prepare(path); err != nil {
		return nil, err
	}
	d := &Directory{path: path}
	if err := d.connect(logger); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// prepare makes the folder and the file, readable for nobody else: it holds
// what passwords are checked against. A file that is there is not opened here,
// because closing it would take from other connections of this process the
// locks that they hold on it (POSIX record locks).
func prepare(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		return f.Close()
	}
	if info, stat := os.Stat(path); stat == nil && info.IsDir() {
		return &fs.PathError{Op: "open", Path: path, Err: syscall.EISDIR}
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

func (d *Directory) connect(logger *slog.Logger) error {
	for _, pool := range []struct {
		db   **sql.DB
		size int
	}{{&d.write, 1}, {&d.read, readers}, {&d.pool, 1}} {
		db, err := sql.Open("sqlite", source(d.path))
		if err != nil {
			return err
		}
		db.SetMaxOpenConns(pool.size)
		db.SetMaxIdleConns(pool.size)
		*pool.db = db
	}
	ctx := context.Background()
	if err := d.migrate(ctx, logger); err != nil {
		return err
	}
	var err error
	if d.watch, err = d.pool.Conn(ctx); err != nil {
		return err
	}
	return d.prepareStatements(ctx)
}

// source is the driver's name for the file. Transactions take the write lock at
// once: one that read first and then writes could not wait for another writer.
func source(path string) string {
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()),
		"journal_mode(WAL)",
		"synchronous(FULL)",
	}}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

// errNewer refuses a file with migrations that this package does not have.
var errNewer = errors.New("a newer version of Vigie wrote it")

// migrate brings the tables up to date, one process at a time.
func (d *Directory) migrate(ctx context.Context, logger *slog.Logger) error {
	// The lock is on the folder, of the kind that SQLite does not use.
	lock, err := os.Open(filepath.Dir(d.path))
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	folder, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, d.write, folder,
		goose.WithSlog(logger), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	has, knows, err := provider.GetVersions(ctx)
	switch {
	case err != nil:
		return err
	case has > knows:
		return fmt.Errorf("%w: its tables are of version %d, this program knows %d", errNewer, has, knows)
	case has == knows:
		return nil
	}
	_, err = provider.Up(ctx)
	return err
}

func (d *Directory) prepareStatements(ctx context.Context) error {
	for _, s := range []struct {
		to  **sql.Stmt
		sql string
	}{
		{&d.byAOR, `SELECT ` + accountColumns + ` FROM accounts WHERE aor = ?`},
		{&d.byUser, `SELECT ` + accountColumns + ` FROM accounts WHERE realm = ? AND username = ?`},
		{&d.token, `SELECT ` + tokenColumns + ` FROM tokens WHERE hash = ?`},
	} {
		var err error
		if *s.to, err = d.read.PrepareContext(ctx, s.sql); err != nil {
			return err
		}
	}
	return nil
}

// Generation implements store.Directory.
func (d *Directory) Generation(ctx context.Context) (uint64, error) {
	var n int64
	if err := d.watch.QueryRowContext(ctx, `PRAGMA data_version`).Scan(&n); err != nil {
		return 0, d.failed(err)
	}
	return uint64(n), nil
}

// Close implements store.Directory.
func (d *Directory) Close() error {
	var errs []error
	if d.watch != nil {
		d.watch.Close() // fails only when it is closed already
	}
	// The last connection of all that closes moves the log into the file.
	for _, db := range []*sql.DB{d.pool, d.read, d.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}
