// Package pebble keeps soft state in an embedded log-structured store
// (github.com/cockroachdb/pebble), one directory of one process.
//
// Four things are ours around it:
//
// Group commit. Whoever comes while a commit is being written waits in a queue;
// the first of them writes all of it as one batch and wakes the others
// (commit.go). Revisions are handed out in that order, followers hear of
// changes in that order, and there is no goroutine at rest.
//
// What "safe" means. Pebble knows two kinds of commit: one that waits for
// fsync, and one that waits for nothing, not even for the kernel. In between
// lies what Vigie promises by default: the record has been written to the file,
// so that it survives the death of the process. The file system given to pebble
// (guard.go) makes of a log's Sync what the durability asks for; a commit that
// waits for Sync then waits for the write alone.
//
// Failing without dying. Pebble ends the process, or leaves a mutex locked,
// when its log or manifest cannot be written. Here it never hears of a failing
// log: the guard takes back what was not confirmed, refuses every later change
// of a file, and the engine behind it is retired. Put and Delete answer errors;
// a later call, at most one a second, opens the directory anew and goes on
// (engine.go). So a full disk costs refusals and nothing else.
//
// Prolongations. A refresh changes nothing but expiry, revision and the octets of
// a mark, so it is written as a small record beside the entry, and readers join
// the two (cursor.go). Where the entry itself may be gone, purged under a clock
// that leapt or lost by a relaxed store, the refresh writes it whole.
//
// Revisions are reserved in blocks. A block is fsynced before its first
// revision is used, whatever the durability, and an opened store starts after
// the last reserved block: no crash and no power cut makes a revision come
// twice.
//
// Locks, in this order: Store.commitMu (one commit at a time; held by the
// leader), Store.mu (queue, engine and health; never held during I/O), the
// feed's. A follower's or loader's function is called with none of them.
package pebble

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"vigie/store"
)

// Durability says how safe an entry is when Put and Delete return.
type Durability string

const (
	// Process: handed to the kernel. It survives kill -9 of the process, not a
	// power cut, after which the last seconds may be missing.
	Process Durability = "process"
	// Fsync: on the disk. It survives a power cut.
	Fsync Durability = "fsync"
	// Relaxed: in memory, written within a second.
	Relaxed Durability = "relaxed"
)

// Options are how a store is opened. The zero value works.
type Options struct {
	Durability Durability            // default Process
	Logger     *slog.Logger          // default slog.Default()
	Metrics    prometheus.Registerer // nil: none

	fs       vfs.FS        // what lies under the guard; default the disk
	retry    time.Duration // pause between attempts to open anew; default a second
	memTable uint64        // octets kept in memory before they become a file; default memTableSize
}

func (o *Options) validate() error {
	if o.Durability == "" {
		o.Durability = Process
	}
	switch o.Durability {
	case Process, Fsync, Relaxed:
	default:
		return fmt.Errorf("pebble: durability %q is none of process, fsync, relaxed", o.Durability)
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.fs == nil {
		o.fs = vfs.Default
	}
	if o.retry == 0 {
		o.retry = time.Second
	}
	if o.memTable == 0 {
		o.memTable = memTableSize
	}
	return nil
}

// Store is soft state in one directory. It implements store.Soft and
// store.Healthy.
type Store struct {
	dir     string
	options Options
	lock    io.Closer
	metrics *metrics
	feed    store.Feed

	// commitMu is held by the one who commits, or takes a snapshot between
	// two commits. It guards revision, reserved and doubtful.
	commitMu sync.Mutex
	revision uint64 // the last one given out
	reserved uint64 // the last one that may be given out
	doubtful uint64 // an entry up to this one may be gone without its owner's doing

	mu       sync.Mutex
	closed   bool
	queue    []*operation
	spare    []*operation // the queue's other backing array
	leading  bool
	engine   *engine // nil when the last one failed and is gone
	failure  error   // why
	retryAt  time.Time
	behind   *time.Timer // relaxed: runs while something waits to be written
	inFlight sync.WaitGroup

	stop       context.CancelFunc
	background sync.WaitGroup
}

// Open opens the store in dir, creating it when there is none. The directory
// belongs to one process at a time.
func Open(dir string, o Options) (*Store, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	lock, err := lockDirectory(dir, o.fs)
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir, options: o, lock: lock}
	s.metrics = newMetrics(s)
	if err := s.open(); err != nil {
		lock.Close()
		return nil, err
	}
	if err := s.metrics.register(o.Metrics); err != nil {
		return nil, errors.Join(err, s.end())
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.background.Add(1)
	go func() {
		defer s.background.Done()
		s.purgeNowAndThen(ctx)
	}()
	return s, nil
}

// open makes the engine and finds the revision to go on from. It is called
// with commitMu held, or before anybody else knows the store.
func (s *Store) open() error {
	e, err := openEngine(s.dir, s.options)
	if err != nil {
		return err
	}
	reserved, err := e.reserved()
	switch {
	case err != nil:
	case s.reserved == 0:
		// The first time: what was reserved before may have been used up.
		s.revision = reserved
		s.reserved = reserved
	default:
		s.doubtful = s.revision // a relaxed store loses what waited
	}
	if err == nil {
		err = s.reserve(e, 1)
	}
	if err != nil {
		e.close()
		return err
	}
	s.mu.Lock()
	s.engine, s.failure = e, nil
	s.mu.Unlock()
	go s.mind(e)
	return nil
}

// Health implements store.Healthy. A store that failed tries again here too, so
// that it recovers when nobody but the health check asks.
func (s *Store) Health() error {
	e, err := s.reader()
	if err != nil {
		return err
	}
	defer e.done()
	if err := e.trouble.Load(); err != nil {
		return explain(s.dir, *err)
	}
	return nil
}

// Close implements store.Soft.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()

	s.stop()
	s.background.Wait()
	s.cancelWriteBehind()
	s.inFlight.Wait()
	s.feed.Close(store.ErrClosed)
	s.metrics.unregister(s.options.Metrics)
	return s.end()
}

// end closes the engine, if there is one, and gives the directory free.
func (s *Store) end() error {
	s.commitMu.Lock()
	defer s.commitMu.Unlock()
	s.mu.Lock()
	s.closed = true
	e := s.engine
	s.mu.Unlock()
	var err error
	if e != nil {
		close(e.stop)
		<-e.gone
		err = e.closing
	}
	return errors.Join(err, s.lock.Close())
}
