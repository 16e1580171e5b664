package transaction

import (
	"errors"
	"hash/maphash"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"

	"vigie/sip"
	"vigie/sip/transport"
)

// ClientUser hears the end of a client transaction.
type ClientUser interface {
	// Done is called exactly once: with the final response; or with 408 and
	// ErrTimeout; or with 503 and the transport's error (RFC 3261 §8.1.3.1), or
	// ErrClosed when the layer ends. response is nil but in the first case, and
	// must not be kept.
	// It runs on the goroutine that read the response or drives the timers, and
	// must not block; it may send.
	Done(status int, response *sip.Message, err error)
}

// Outgoing is a request to send, printed but for its Via, which the layer
// supplies with a fresh branch each time (RFC 3261 §8.1.1.7).
type Outgoing struct {
	Flow   transport.Flow
	Method string // not INVITE; the CSeq method a response must carry
	// Head is the request line, its CRLF at Line, and the header rows, Content-Length
	// and the blank line included. It is the caller's again when Send returns.
	Head []byte
	Line int    // length of the request line with its CRLF
	Body []byte // may be shared; not changed afterwards
	User ClientUser
}

// Size is that of the request on its flow (RFC 3261 §18.1.1).
func (l *Layer) Size(o *Outgoing) int { return len(o.Head) + viaSize(o.Flow.Endpoint()) + len(o.Body) }

// clientTransaction is one request waiting for its final response. When nobody holds
// it any more another request takes its place, printed head and all: a busy notifier
// starts and ends a hundred thousand a second (BenchmarkNotify).
type clientTransaction struct {
	holders atomic.Int32 // its shard is one, whoever sends another
	flow    transport.Flow
	own     transport.Endpoint // what our Via says
	method  string
	user    ClientUser
	head    []byte // printed, for retransmission
	body    []byte
	branch  uint64
	step    int // interval of Timer E
	resend  waiting[clientTransaction]
	timeout waiting[clientTransaction]
	// Transactions on one stream, so that they fail with it.
	before, after *clientTransaction
}

// clientShard is one part of the client transactions.
type clientShard struct {
	index  uint64 // the lowest bits of all branches here
	mu     sync.Mutex
	closed bool
	live   map[uint64]*clientTransaction // by branch
	flows  map[transport.Flow]*clientTransaction
	done   completions

	resend  []queue[clientTransaction] // Timer E, one queue an interval
	timeout queue[clientTransaction]   // Timer F
}

// Send starts a client transaction. It never blocks. After an error nothing
// was sent and Done is not called. A datagram that finds the queue of its
// socket full is lost like any other: Timer E sends it again.
func (l *Layer) Send(o Outgoing) error {
	tx := newClient(&o)
	defer tx.release()
	s := l.clientFor(o.Flow)
	if err := l.begin(s, tx, &o); err != nil {
		return err
	}
	err := l.transport.Send(o.Flow, tx.head, o.Body)
	if err == nil || errors.Is(err, transport.ErrQueueFull) && !o.Flow.Protocol.Reliable() {
		return nil
	}
	if !l.withdraw(s, tx) {
		return nil // the flow's end was quicker and has been told
	}
	tx.release()
	return err
}

var clients = sync.Pool{New: func() any {
	tx := new(clientTransaction)
	tx.resend.owner, tx.timeout.owner = tx, tx
	return tx
}}

// newClient gives a transaction that the caller holds.
func newClient(o *Outgoing) *clientTransaction {
	tx := clients.Get().(*clientTransaction)
	tx.holders.Store(1)
	tx.flow, tx.own, tx.method, tx.user, tx.body = o.Flow, o.Flow.Endpoint(), o.Method, o.User, o.Body
	return tx
}

// keptHead is the largest head whose space is used again.
const keptHead = 4 << 10

// release says that one of its holders has done with a transaction.
func (tx *clientTransaction) release() {
	if tx.holders.Add(-1) > 0 {
		return
	}
	if cap(tx.head) > keptHead {
		tx.head = nil
	}
	tx.flow, tx.own, tx.user, tx.body, tx.step = transport.Flow{}, transport.Endpoint{}, nil, nil, 0
	clients.Put(tx)
}

// withdraw takes out what the transport did not take; false says that it is out.
func (l *Layer) withdraw(s *clientShard, tx *clientTransaction) bool {
	l.metrics.sendErrors.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	return l.drop(s, tx)
}

// clientFor chooses the shard of a new transaction: the same for all of one
// stream, any for UDP.
func (l *Layer) clientFor(f transport.Flow) *clientShard {
	if f.Protocol.Reliable() {
		return &l.clients[l.flowShard(f)]
	}
	return &l.clients[rand.Uint64()%shards]
}

func (l *Layer) flowShard(f transport.Flow) uint64 {
	return maphash.Comparable(l.keys.a, f) % shards
}

// begin prints a transaction and starts its timers; the shard holds it from then on.
func (l *Layer) begin(s *clientShard, tx *clientTransaction, o *Outgoing) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	tx.branch = s.freeBranch()
	tx.head = appendHead(tx.head[:0], o, tx.own, tx.branch)
	tx.holders.Add(1)
	s.live[tx.branch] = tx
	now := l.clock.now()
	s.timeout.push(&tx.timeout, now+l.giveUpAfter)
	due := now + l.giveUpAfter
	if tx.flow.Protocol.Reliable() {
		s.joinFlow(tx)
	} else {
		due = now + l.intervals[0]
		s.resend[0].push(&tx.resend, due)
	}
	l.clock.wake(due)
	l.metrics.clients.Add(1)
	return nil
}

// drop takes a transaction out of a locked shard; false says that it is out. Who
// took it out releases it.
func (l *Layer) drop(s *clientShard, tx *clientTransaction) bool {
	if s.live[tx.branch] != tx {
		return false
	}
	delete(s.live, tx.branch)
	l.end(s, tx)
	return true
}

// end stops the timers of a transaction in a locked shard.
func (l *Layer) end(s *clientShard, tx *clientTransaction) {
	tx.resend.leave()
	tx.timeout.leave()
	if tx.flow.Protocol.Reliable() {
		s.leaveFlow(tx)
	}
	l.metrics.clients.Add(-1)
}

// receiveResponse finds the transaction of a response (RFC 3261 §17.1.3). What
// fits none is dropped.
func (l *Layer) receiveResponse(m *sip.Message) {
	branch, ok := parseBranch(m.Via.Branch)
	if !ok || m.Status < 100 || m.Status > 699 || m.Count(sip.HeaderVia) != 1 {
		l.metrics.strayResponses.Add(1)
		return
	}
	s := &l.clients[branch%shards]
	s.mu.Lock()
	tx := s.live[branch]
	switch {
	case tx == nil && s.done.has(branch, l.clock.now()):
		s.mu.Unlock()
		l.metrics.absorbed.Add(1)
		return
	case tx == nil || !tx.fits(m):
		s.mu.Unlock()
		l.metrics.strayResponses.Add(1)
		return
	case m.Status < 200:
		tx.step = len(l.intervals) - 1 // RFC 3261 §17.1.2.2: T2 from the next Timer E on
		s.mu.Unlock()
		return
	}
	l.complete(s, tx)
	s.mu.Unlock()
	l.tell(tx, m.Status, m, nil)
}

// fits checks what the branch alone does not prove: the method, and that we
// are who the response's Via says sent the request (RFC 3261 §18.1.2).
func (tx *clientTransaction) fits(m *sip.Message) bool {
	port := m.Via.Port
	if port == 0 {
		port = tx.flow.Protocol.DefaultPort()
	}
	return m.CSeq.Method == tx.method && port == tx.own.Port && strings.EqualFold(m.Via.Host, tx.own.Host)
}

// complete ends a transaction and, over UDP, remembers it for Timer K.
func (l *Layer) complete(s *clientShard, tx *clientTransaction) {
	l.end(s, tx)
	delete(s.live, tx.branch)
	if !tx.flow.Protocol.Reliable() {
		s.done.add(tx.branch, l.clock.now()+int64(l.options.T4))
	}
}

// tell reports the end of a transaction that its shard held. No lock is held.
func (l *Layer) tell(tx *clientTransaction, status int, m *sip.Message, err error) {
	l.metrics.sent.count(tx.method, status)
	if tx.user != nil {
		tx.user.Done(status, m, err)
	}
	tx.release()
}

// runClient fires the timers of a shard and says when the next one is due.
func (l *Layer) runClient(s *clientShard, now int64) int64 {
	timedOut, resend := l.timedOut[:0], l.resend[:0]
	s.mu.Lock()
	for w := s.timeout.pop(now); w != nil; w = s.timeout.pop(now) {
		l.drop(s, w.owner)
		timedOut = append(timedOut, w.owner)
	}
	for i := range s.resend {
		for w := s.resend[i].pop(now); w != nil; w = s.resend[i].pop(now) {
			tx := w.owner
			tx.step = min(tx.step+1, len(s.resend)-1)
			s.resend[tx.step].push(w, now+l.intervals[tx.step])
			tx.holders.Add(1)
			resend = append(resend, tx)
		}
	}
	next := s.next()
	s.mu.Unlock()
	for _, tx := range timedOut {
		l.metrics.clientTimeouts.Add(1)
		l.tell(tx, 408, nil, ErrTimeout)
	}
	for _, tx := range resend {
		l.sendAgain(s, tx)
	}
	clear(timedOut)
	clear(resend)
	l.timedOut, l.resend = timedOut, resend
	return next
}

// sendAgain retransmits. A full queue is no failure yet: Timer E comes again.
func (l *Layer) sendAgain(s *clientShard, tx *clientTransaction) {
	defer tx.release()
	l.metrics.resent.Add(1)
	err := l.transport.Send(tx.flow, tx.head, tx.body)
	if err == nil || errors.Is(err, transport.ErrQueueFull) {
		return
	}
	if l.withdraw(s, tx) {
		l.tell(tx, 503, nil, err)
	}
}

// next says when the first timer of the shard is due.
func (s *clientShard) next() int64 {
	next := s.timeout.due()
	for i := range s.resend {
		next = min(next, s.resend[i].due())
	}
	return next
}
