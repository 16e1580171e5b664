package pebble

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	cockroach "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/wal"

	"vigie/store"
)

// engine is one opened pebble on its guard. A store has one at a time; when it
// fails it is retired, and only when it is gone another is opened.
type engine struct {
	db      *cockroach.DB
	guard   *guard
	trouble atomic.Pointer[error] // a background failure that is no failing write
	users   sync.WaitGroup        // added to under Store.mu while it is the store's engine
	stop    chan struct{}
	gone    chan struct{}
	closing error // what closing gave, once gone
}

func (e *engine) done() { e.users.Done() }

// Sizes suit one to two million values of 200 to 2000 octets: what is refreshed
// within minutes mostly dies in the memtable.
const (
	memTableSize  = 16 << 20
	cacheSize     = 4 << 20
	logSyncStride = 1 << 20
	// tableBlock is large, and there are no filters, because next to nobody reads
	// by key: entries are written, and loaded at a start (BenchmarkPut).
	tableBlock = 32 << 10
	// filesDeep is how many files may lie over each other before they are merged
	// with those below: half as deep costs a third more in all (BenchmarkPut), and
	// loading gains a fifth (BenchmarkLoad).
	filesDeep = 12
)

// logDir is where the logs lie within the store's directory: a directory of
// their own, so that the guard can tell its syncs from those of tables.
const logDir = "log"

// openEngine opens the directory on a guard of its own.
func openEngine(dir string, o Options) (e *engine, err error) {
	// Pebble panics on some kinds of damage.
	defer func() {
		if r := recover(); r != nil {
			e, err = nil, explain(dir, fmt.Errorf("%w: %v", cockroach.ErrCorruption, r))
		}
	}()
	e = &engine{guard: newGuard(o.fs, o.Durability), stop: make(chan struct{}), gone: make(chan struct{})}
	options := &cockroach.Options{
		FS: e.guard,
		// Told in relation to dir, which pebble remembers: it may be moved.
		WALDir: cockroach.MakeStoreRelativePath(e.guard, logDir),
		// Where logs were before they had a directory of their own.
		WALRecoveryDirs: []wal.Dir{{FS: e.guard, Dirname: dir}},
		MemTableSize:    o.memTable,
		CacheSize:       cacheSize,
		// Later formats write into the log how far it has been synced, which
		// is not true of ours unless durability is fsync.
		FormatMajorVersion: cockroach.FormatColumnarBlocks,
		WALBytesPerSync:    logSyncStride,
		BytesPerSync:       logSyncStride,
		MaxOpenFiles:       256,
		// A short stall is better shared by all than a growing memory; but one
		// behind compactions, which may be unable to read, could last for ever.
		MemTableStopWritesThreshold: 4,
		L0StopWritesThreshold:       1000,
		L0CompactionThreshold:       filesDeep * 2, // pebble begins at half of it
		Logger:                      logger{dir: dir, log: o.Logger, guard: e.guard},
		EventListener: &cockroach.EventListener{
			BackgroundError: e.background,
			DataCorruption:  func(i cockroach.DataCorruptionInfo) { e.damaged(i) },
		},
	}
	options.Experimental.CompactionScheduler = newScheduler()
	options.Experimental.ReadSamplingMultiplier = -1 // no compaction because of a load
	for i := range options.Levels {
		options.Levels[i].BlockSize = tableBlock
	}
	options.ApplyCompressionSettings(func() cockroach.DBCompressionSettings { return cockroach.DBCompressionFastest })
	e.db, err = cockroach.Open(dir, options)
	if cockroach.IsCorruptionError(err) && mend(filepath.Join(dir, logDir), e.guard, o.Logger) {
		e.db, err = cockroach.Open(dir, options)
	}
	if err != nil {
		return nil, explain(dir, errors.Join(err, e.guard.failure()))
	}
	if err := e.guard.failure(); err != nil {
		e.close()
		return nil, explain(dir, err)
	}
	return e, nil
}

// background hears of failing flushes and compactions, with pebble's mutex
// held. Failing writes are the guard's; what comes here could not read. Pebble
// tries again at once; the pause keeps it from taking a processor.
func (e *engine) background(err error) {
	if e.guard.failure() == nil {
		e.trouble.Store(&err)
	}
	time.Sleep(failurePause)
}

// damaged hears of files that do not hold what was written. The rest of the
// store can still be used; its health says so.
func (e *engine) damaged(info cockroach.DataCorruptionInfo) {
	err := fmt.Errorf("%w: %s: %w", cockroach.ErrCorruption, info.Path, info.Details)
	e.trouble.Store(&err)
}

const failurePause = 100 * time.Millisecond

// close ends the engine and reports what went wrong.
func (e *engine) close() error {
	err := e.db.Close()
	e.guard.behind.Wait()
	return errors.Join(err, e.guard.failure())
}

// apply commits the batch as safely as d says. An error means that nothing of
// it will be found by another engine.
func (e *engine) apply(batch *cockroach.Batch, d Durability) error {
	if batch.Empty() {
		return batch.Close()
	}
	if d == Relaxed {
		if err := e.guard.failure(); err != nil {
			return err
		}
		if err := e.db.Apply(batch, cockroach.NoSync); err != nil {
			return err
		}
		return batch.Close()
	}
	// Apply would take a failing log for the end of the process.
	if err := e.db.ApplyNoSyncWait(batch, cockroach.Sync); err != nil {
		return err
	}
	if err := errors.Join(batch.SyncWait(), e.guard.logFailure()); err != nil {
		return err
	}
	return batch.Close()
}

// flushLog writes what relaxed commits left in memory.
func (e *engine) flushLog() error {
	batch := e.db.NewBatch()
	if err := batch.LogData(nil, nil); err != nil {
		return err
	}
	return e.apply(batch, Process)
}

// reserved reads the last revision that may have been given out.
func (e *engine) reserved() (uint64, error) {
	value, closer, err := e.db.Get(reservedKey)
	if errors.Is(err, cockroach.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer closer.Close()
	if len(value) != 8 {
		return 0, fmt.Errorf("%w: the record of revisions has %d octets", cockroach.ErrCorruption, len(value))
	}
	return binary.BigEndian.Uint64(value), nil
}

// reserve writes the last revision that may be given out, to the disk itself.
func (e *engine) reserve(revision uint64) error {
	e.guard.force.Store(true)
	defer e.guard.force.Store(false)
	batch := e.db.NewBatch()
	if err := batch.Set(reservedKey, encodeRevision(revision), nil); err != nil {
		return err
	}
	return e.apply(batch, Process)
}

// revisionFor reads the revision that the operation's match is about, 0 when
// there is none. An entry that no reader sees any more is none but to a purge.
func (e *engine) revisionFor(o *operation) (uint64, error) {
	var entry store.Entry
	var p prolongation
	err := e.get(kindEntry, o.key, func(b []byte) (err error) {
		entry, err = readEntry(o.key, b)
		return err
	})
	if err != nil || entry.Revision == 0 && o.kind != sweep {
		return 0, err
	}
	err = e.get(kindProlonged, o.key, func(b []byte) (err error) {
		p, err = readProlongation(b)
		return err
	})
	switch p.join(&entry); {
	case err != nil:
		return 0, err
	case o.kind == sweep:
		return p.revision, nil
	case o.kind != purge && entry.Purgeable(time.Now()):
		return 0, nil
	}
	return entry.Revision, nil
}

// get calls read with what lies under a key, if something does.
func (e *engine) get(kind byte, key string, read func(b []byte) error) error {
	k := make([]byte, 0, 128)
	value, closer, err := e.db.Get(append(append(k, kind), key...))
	if errors.Is(err, cockroach.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	defer closer.Close()
	return read(value)
}

// working gives the store's engine, opening the directory anew if the last one
// failed and is gone. The caller holds commitMu and calls done afterwards.
func (s *Store) working() (*engine, error) {
	s.mu.Lock()
	if e := s.engine; e != nil {
		defer s.mu.Unlock()
		if err := e.guard.failure(); err != nil {
			return nil, explain(s.dir, err)
		}
		e.users.Add(1)
		return e, nil
	}
	now := time.Now()
	if s.closed || now.Before(s.retryAt) {
		defer s.mu.Unlock()
		return nil, cmp.Or(s.failure, store.ErrClosed)
	}
	s.retryAt = now.Add(s.options.retry)
	s.mu.Unlock()
	if err := s.open(); err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.failure = err
		return nil, err
	}
	s.options.Logger.Info("soft state works again", "dir", s.dir)
	return s.working()
}

// reader gives the store's engine without waiting for a commit.
func (s *Store) reader() (*engine, error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, store.ErrClosed
	}
	if e := s.engine; e != nil && e.guard.failure() == nil {
		e.users.Add(1)
		s.mu.Unlock()
		return e, nil
	}
	s.mu.Unlock()
	s.commitMu.Lock()
	defer s.commitMu.Unlock()
	return s.working()
}

// fail makes sure that the engine is retired after a failing commit, and
// returns what the callers are told.
func (s *Store) fail(e *engine, err error) error {
	e.guard.trip(err)
	return explain(s.dir, err)
}

// mind waits for the engine's end, asked for or not, and closes it when its
// last user is done. It is the engine's one goroutine; Close waits for it.
func (s *Store) mind(e *engine) {
	defer close(e.gone)
	select {
	case <-e.stop:
	case <-e.guard.tripped:
		s.options.Logger.Error("soft state cannot be kept", "err", explain(s.dir, e.guard.failure()))
		s.metrics.failures.Inc()
	}
	// Nobody becomes a user once this lock has been held: the engine has
	// failed, or the store is closed.
	s.mu.Lock()
	s.failure = explain(s.dir, e.guard.failure())
	s.mu.Unlock()
	e.users.Wait()
	e.closing = e.close()
	s.mu.Lock()
	s.engine = nil
	s.mu.Unlock()
}
