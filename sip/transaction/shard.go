package transaction

import (
	"sync"

	"vigie/sip"
	"vigie/sip/transport"
)

// shards is the number of parts each table is split into, so that requests
// seldom wait for each other's locks. A power of two.
const shards = 32

// serverShard is one part of the server transactions.
type serverShard struct {
	mu        sync.Mutex
	live      map[key]*ServerTransaction // not answered yet, and refused INVITEs
	lingering lingering                  // answered over UDP, until Timer J

	slow     queue[ServerTransaction]   // get a 100 when due (RFC 4320 §4.1)
	late     queue[ServerTransaction]   // had their 100; are given up when due (RFC 4320 §4.2)
	ringing  queue[ServerTransaction]   // INVITEs, get a 100 when due
	unheard  queue[ServerTransaction]   // INVITEs that had their 100; are given up when due
	repeat   []queue[ServerTransaction] // Timer G, one queue an interval
	unacked  queue[ServerTransaction]   // Timer H
	confirms queue[ServerTransaction]   // Timer I
}

// mergeShard is one part of the requests that are under way or linger, named
// without regard to the way they came.
type mergeShard struct {
	mu   sync.Mutex
	seen map[uint64]struct{}
}

// merging notes a request; false says that it is known already.
func (l *Layer) merging(merge uint64) bool {
	s := &l.merges[merge%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.seen[merge]; known {
		return false
	}
	if s.seen == nil {
		s.seen = make(map[uint64]struct{})
	}
	s.seen[merge] = struct{}{}
	return true
}

// unmerge forgets a request; 0 is none.
func (l *Layer) unmerge(merge uint64) {
	if merge == 0 {
		return
	}
	s := &l.merges[merge%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.seen, merge)
}

func (l *Layer) server(k key) *serverShard { return &l.servers[k.lo%shards] }

// expire drops what has lingered long enough. Whoever looks into a shard calls
// it first, so that Timer J is exact although nobody wakes for it.
func (l *Layer) expire(s *serverShard, now int64) {
	for {
		r, ok := s.lingering.oldest()
		if !ok || r.expires() > now {
			return
		}
		l.unmerge(r.merge())
		s.lingering.drop()
		l.metrics.lingering.Add(-1)
	}
}

// linger keeps an answer for Timer J, or until too many, or too large ones, came
// after it.
func (l *Layer) linger(s *serverShard, k key, merge uint64, a *answer, rows []byte) {
	most := l.maxLingering*usualRecord - recordSize(a, rows)
	for s.lingering.len() >= l.maxLingering || s.lingering.held > most {
		r, ok := s.lingering.oldest()
		if !ok {
			break
		}
		l.unmerge(r.merge())
		s.lingering.drop()
		l.metrics.lingering.Add(-1)
	}
	expires := l.clock.now() + l.timerJ
	s.lingering.add(k, merge, expires, a, rows)
	l.metrics.lingering.Add(1)
	l.clock.wake(expires + int64(sweepDelay))
}

// errand is a response that the driver sends once the shard is unlocked; its
// request may be over by then.
type errand struct {
	flow    transport.Flow
	top     sip.Via
	message []byte
}

// runServer fires the timers of a shard and says when the next one is due.
func (l *Layer) runServer(s *serverShard, now int64) int64 {
	errands := l.errands[:0]
	s.mu.Lock()
	l.expire(s, now)
	errands = l.runTrying(s, now, errands)
	errands = l.runInvites(s, now, errands)
	next := s.next()
	s.mu.Unlock()
	for i, e := range errands {
		l.respond(e.flow, e.top, e.message)
		errands[i] = errand{}
	}
	l.errands = errands
	return next
}

func (tx *ServerTransaction) errand(message []byte) errand {
	return errand{tx.Flow, tx.Request.Via, message}
}

// runTrying sends 100 for what takes long and gives up what takes too long.
func (l *Layer) runTrying(s *serverShard, now int64, errands []errand) []errand {
	for w := s.slow.pop(now); w != nil; w = s.slow.pop(now) {
		if w.owner.state.CompareAndSwap(trying, proceeding) {
			errands = append(errands, w.owner.errand(printTrying(w.owner.Request)))
		}
		s.late.push(w, w.due-l.slowAfter+l.giveUpAfter)
	}
	for w := s.ringing.pop(now); w != nil; w = s.ringing.pop(now) {
		if w.owner.state.CompareAndSwap(trying, proceeding) {
			errands = append(errands, w.owner.errand(printTrying(w.owner.Request)))
		}
		s.unheard.push(w, w.due-int64(ringingAfter)+l.giveUpAfter)
	}
	for w := s.late.pop(now); w != nil; w = s.late.pop(now) {
		l.giveUp(s, w.owner)
	}
	for w := s.unheard.pop(now); w != nil; w = s.unheard.pop(now) {
		l.giveUp(s, w.owner)
	}
	return errands
}

// giveUp ends a transaction without a final response: the client has given up
// too (RFC 4320 §4.2).
func (l *Layer) giveUp(s *serverShard, tx *ServerTransaction) {
	tx.state.Store(overdue)
	l.metrics.serverTimeouts.Add(1)
	l.remove(s, tx)
}

// next says when the first timer of the shard is due.
func (s *serverShard) next() int64 {
	next := min(s.slow.due(), s.late.due(), s.ringing.due(), s.unheard.due(), s.unacked.due(), s.confirms.due())
	for i := range s.repeat {
		next = min(next, s.repeat[i].due())
	}
	if r, ok := s.lingering.oldest(); ok {
		next = min(next, r.expires()+int64(sweepDelay))
	}
	return next
}
