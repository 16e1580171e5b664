package pebble

import (
	"sync"

	cockroach "github.com/cockroachdb/pebble/v2"
)

// scheduler lets one compaction run at a time. Pebble's own one looks ten times
// a second whether it might allow more, which would keep an idle server busy;
// this one grants when pebble asks, when a compaction ends and after a flush.
type scheduler struct {
	db cockroach.DBForCompaction // set once, before anything else is called

	mu       sync.Mutex
	idle     sync.Cond // granting ended
	running  bool
	granting bool
	refused  bool // somebody asked meanwhile, and waits in pebble
	ended    bool
}

func newScheduler() *scheduler {
	s := &scheduler{}
	s.idle.L = &s.mu
	return s
}

// Register implements cockroach.CompactionScheduler.
func (s *scheduler) Register(_ int, db cockroach.DBForCompaction) { s.db = db }

// Unregister implements cockroach.CompactionScheduler. After it no method of
// the database is called.
func (s *scheduler) Unregister() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	for s.granting {
		s.idle.Wait()
	}
}

// TrySchedule implements cockroach.CompactionScheduler.
func (s *scheduler) TrySchedule() (bool, cockroach.CompactionGrantHandle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.running || s.granting {
		s.refused = true
		return false, nil
	}
	s.running = true
	return true, s
}

// UpdateGetAllowedWithoutPermission implements cockroach.CompactionScheduler.
// Pebble calls it after each flush, with its mutex held, which granting needs.
func (s *scheduler) UpdateGetAllowedWithoutPermission() {
	if s.begin() {
		go s.grant()
	}
}

// Started, MeasureCPU and CumulativeStats implement
// cockroach.CompactionGrantHandle, which is for schedulers that share a machine.
func (s *scheduler) Started() {}

// MeasureCPU does nothing.
func (s *scheduler) MeasureCPU(cockroach.CompactionGoroutineKind) {}

// CumulativeStats does nothing.
func (s *scheduler) CumulativeStats(cockroach.CompactionGrantHandleStats) {}

// Done implements cockroach.CompactionGrantHandle: a compaction ended.
func (s *scheduler) Done() {
	s.mu.Lock()
	s.running = false
	s.mu.Unlock()
	if s.begin() {
		s.grant()
	}
}

// begin claims the turn to grant. Who gets it calls grant; Unregister waits.
func (s *scheduler) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.running || s.granting {
		return false
	}
	s.granting = true
	return true
}

func (s *scheduler) grant() {
	for s.grantOne() {
	}
}

// grantOne starts the compaction that waits, if one does, and says whether to
// look again: the compaction ended before this returned, or another was refused
// after this had found none.
func (s *scheduler) grantOne() (again bool) {
	s.mu.Lock()
	s.running, s.refused = true, false
	s.mu.Unlock()
	waiting, _ := s.db.GetWaitingCompaction()
	accepted := waiting && s.db.Schedule(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	if accepted {
		again = !s.running // Done has come
	} else {
		s.running = false
		again = s.refused
	}
	if s.ended || !again {
		s.granting = false
		s.idle.Broadcast()
		return false
	}
	return true
}
