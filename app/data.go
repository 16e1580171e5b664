package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"vigie/api"
	"vigie/store"
	"vigie/store/sqlite"
)

// What lies in a data directory.
const (
	lockFile      = "lock"
	runtimeFile   = "running.json"
	directoryFile = "vigie.db"
	stateFolder   = "state"
)

// ErrBusy says that another process has the data directory.
var ErrBusy = errors.New("another vigie works in this data directory")

// lock is an advisory lock on a data directory. The kernel lets it go when the
// process ends, however it ends.
type lock struct{ file *os.File }

// lockData creates the directory if need be and locks it, or gives ErrBusy.
func lockData(dir string) (*lock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	if err := create(dir, lockFile); err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", permission(err, dir))
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		file.Close()
		return nil, fmt.Errorf("%s: %w", dir, ErrBusy)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	return &lock{file}, nil
}

// create makes a file unless it is there. It belongs to whom the directory
// belongs to: what root does beside a server under a user of its own must not
// lock that server out.
func create(dir, name string) error {
	file, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return permission(err, dir)
	}
	defer file.Close()
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		return file.Chown(int(owner.Uid), int(owner.Gid))
	}
	return nil
}

// permission adds to a refusal of the system what helps.
func permission(err error, dir string) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w; run this as root, or as the user to whom %s belongs", err, dir)
	}
	return err
}

func (l *lock) release() {
	if l != nil {
		l.file.Close()
	}
}

// Running is what a running server leaves in its data directory for commands on
// the same machine: where its API is, and a token that lets them in.
type Running struct {
	HTTP    string    `json:"http"` // "http://127.0.0.1:8080"; "" without HTTP
	Token   string    `json:"token"`
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	Version string    `json:"version"`
}

// ErrNotRunning says that no server works in a data directory.
var ErrNotRunning = errors.New("no server runs on this data directory")

// patience is how long a server and a command wait for a data directory that
// somebody else has but for a moment.
const patience = 3 * time.Second

// enter locks a data directory, or tells which server has it. What a dead server
// left there is removed.
func enter(ctx context.Context, dir string) (*lock, Running, error) {
	limit := time.NewTimer(patience)
	defer limit.Stop()
	name := filepath.Join(dir, runtimeFile)
	for {
		l, err := lockData(dir)
		if err == nil {
			if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				l.release()
				return nil, Running{}, fmt.Errorf("remove what a dead server left: %w", err)
			}
			return l, Running{}, nil
		}
		if !errors.Is(err, ErrBusy) {
			return nil, Running{}, err
		}
		if r, err := readRunning(name); !errors.Is(err, fs.ErrNotExist) {
			return nil, r, err
		}
		select {
		case <-ctx.Done():
			return nil, Running{}, ctx.Err()
		case <-limit.C:
			return nil, Running{}, fmt.Errorf("%w and has not said where it is; it may be starting or stopping: try again", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func readRunning(name string) (r Running, err error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return Running{}, fmt.Errorf("find the running server: %w", err)
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return Running{}, fmt.Errorf("find the running server: %s: %w", name, err)
	}
	return r, nil
}

// FindRunning gives what the server of a data directory left there, or
// ErrNotRunning.
func FindRunning(ctx context.Context, dir string) (Running, error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return Running{}, fmt.Errorf("%s: %w", dir, ErrNotRunning)
	}
	l, r, err := enter(ctx, dir)
	if err != nil {
		return Running{}, err
	}
	if l != nil {
		l.release()
		return Running{}, fmt.Errorf("%s: %w", dir, ErrNotRunning)
	}
	return r, nil
}

// leave writes the runtime file, readable by its owner alone and whole at any
// moment.
func (r Running) leave(dir string) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	name := filepath.Join(dir, runtimeFile)
	if err := os.WriteFile(name+".new", append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("leave a note for commands: %w", err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		return fmt.Errorf("leave a note for commands: %w", err)
	}
	return nil
}

// localURL is how this machine reaches an HTTP listener.
func localURL(addr net.Addr) string {
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return "http://" + addr.String()
	}
	ip := ap.Addr().Unmap()
	switch {
	case ip.IsUnspecified() && ip.Is4():
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	case ip.IsUnspecified():
		ip = netip.IPv6Loopback()
	}
	return "http://" + netip.AddrPortFrom(ip, ap.Port()).String()
}

// openDirectory opens the accounts of a data directory.
func openDirectory(dir string, log *slog.Logger) (store.Directory, error) {
	if err := create(dir, directoryFile); err != nil {
		return nil, fmt.Errorf("open the directory: %w", err)
	}
	d, err := sqlite.Open(filepath.Join(dir, directoryFile), log)
	if err != nil {
		return nil, fmt.Errorf("open the directory: %w", err)
	}
	return d, nil
}

// OpenAccounts gives the accounts of a data directory: through the server that
// runs there, else directly. close lets the directory go.
func OpenAccounts(ctx context.Context, dir string, log *slog.Logger) (book api.AccountBook, close func() error, err error) {
	l, running, err := enter(ctx, dir)
	if err != nil {
		return nil, nil, err
	}
	if running.HTTP != "" {
		return &api.Client{Server: running.HTTP, Token: running.Token}, func() error { return nil }, nil
	}
	// Either nobody is there, or a server without HTTP, which sees what others
	// write into its directory.
	directory, err := openDirectory(dir, log)
	if err != nil {
		l.release()
		return nil, nil, err
	}
	return &api.Accounts{Directory: directory}, func() error {
		defer l.release()
		return directory.Close()
	}, nil
}
