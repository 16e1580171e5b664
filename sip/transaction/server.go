package transaction

import (
	"context"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"vigie/sip"
	"vigie/sip/transport"
)

// ringingAfter is when an INVITE gets its 100 (RFC 3261 §17.2.1).
const ringingAfter = 200 * time.Millisecond

// The states of a server transaction.
const (
	trying     uint32 = iota // nothing was sent
	proceeding               // a 100 was
	completed                // a final response was
	confirmed                // INVITE: and its ACK came
	overdue                  // given up unanswered
	ignored                  // forgotten without an answer
)

// ServerTransaction is one request to be answered. Its methods may be called
// from any goroutine until User.Request returns; the first final response counts.
// Request and Flow are not changed by anybody. Afterwards the message is released
// (sip.Message.Release) and another request takes the transaction's place.
type ServerTransaction struct {
	Request *sip.Message
	Flow    transport.Flow

	layer  *Layer
	key    key
	merge  uint64 // 0 when no merged copy is looked for
	order  uint64
	behind *ServerTransaction // next of the same order; guarded by its line's lock

	// state changes under the shard's lock and may be read without it.
	state  atomic.Uint32
	timer  waiting[ServerTransaction] // guarded by the shard's lock
	invite *refusedInvite             // likewise; nil but for an answered INVITE
}

// receiveRequest takes a request other than ACK and CANCEL.
func (l *Layer) receiveRequest(m *sip.Message, flow transport.Flow) {
	k := l.keys.transaction(m, m.Method)
	s := l.server(k)
	s.mu.Lock()
	l.expire(s, l.clock.now())
	if again, known := s.repeated(k, m); known {
		s.mu.Unlock()
		l.metrics.absorbed.Add(1)
		if again != nil {
			l.respond(flow, m.Via, again)
		}
		return
	}
	tx, refusal := l.accept(s, k, m, flow)
	s.mu.Unlock()
	if tx == nil {
		l.metrics.received.count(m.Method, refusal.status)
		l.respond(flow, m.Via, refusal.print(m))
		return
	}
	l.enqueue(tx)
}

var serverTransactions = sync.Pool{New: func() any { return new(ServerTransaction) }}

// release gives back a transaction that nobody looks at any more, and its message.
// What repeats an INVITE's response still does, and who gives one up may yet.
func (tx *ServerTransaction) release() {
	if tx.Request.Method == "INVITE" {
		return
	}
	tx.Request.Release()
	if tx.state.Load() != overdue {
		*tx = ServerTransaction{}
		serverTransactions.Put(tx)
	}
}

// repeated gives what a retransmission is answered with: nothing in Trying, the
// 100 in Proceeding, the final response in Completed (RFC 3261 §17.2.2).
func (s *serverShard) repeated(k key, m *sip.Message) (again []byte, known bool) {
	if r, ok := s.lingering.get(k); ok {
		return r.print(m), true
	}
	tx, ok := s.live[k]
	if !ok {
		return nil, false
	}
	switch tx.state.Load() {
	case proceeding:
		return printTrying(m), true
	case completed:
		return tx.invite.message, true
	}
	return nil, true
}

// accept starts a transaction, or says how the request is refused: 503 when too
// much is in progress, 482 when it came another way already.
func (l *Layer) accept(s *serverShard, k key, m *sip.Message, flow transport.Flow) (*ServerTransaction, *answer) {
	if l.inProgress.Add(1) > int64(l.options.MaxRequests) || l.closing.Load() {
		l.leave()
		l.metrics.overload.Add(1)
		return nil, l.overloaded(m)
	}
	merge := uint64(0)
	if m.To.Tag() == "" {
		if merge = l.keys.merge(m); !l.merging(merge) {
			l.leave()
			return nil, l.merged(s, k, m, flow)
		}
	}
	tx := serverTransactions.Get().(*ServerTransaction)
	tx.Request, tx.Flow, tx.layer, tx.key, tx.merge, tx.order = m, flow, l, k, merge, l.keys.order(m)
	tx.timer.owner = tx
	if s.live == nil {
		s.live = make(map[key]*ServerTransaction)
	}
	s.live[k] = tx
	l.metrics.live.Add(1)
	line, after := &s.slow, l.slowAfter
	if m.Method == "INVITE" {
		line, after = &s.ringing, int64(ringingAfter)
	}
	due := l.clock.now() + after
	line.push(&tx.timer, due)
	l.clock.wake(due)
	return tx, nil
}

// overloaded is the 503 to a request that came too much. The seconds to stay
// away differ from request to request, and are the same for its repeats (SCL-04).
func (l *Layer) overloaded(m *sip.Message) *answer {
	a := &answer{status: 503, rows: l.retryAfter(m)}
	if takesTag(m) {
		a.tag = l.keys.tag(m)
	}
	return a
}

// merged is the 482 to a request that came another way before (RFC 3261
// §8.2.2.2). It lingers like any answer, so that it cannot be taken for new
// when the first copy is forgotten.
func (l *Layer) merged(s *serverShard, k key, m *sip.Message, flow transport.Flow) *answer {
	l.metrics.merged.Add(1)
	a := &answer{status: 482}
	if takesTag(m) {
		a.tag = l.keys.tag(m)
	}
	if !flow.Protocol.Reliable() && m.Method != "INVITE" {
		l.linger(s, k, 0, a, nil)
	}
	return a
}

// Respond sends a response made by sip.NewAnswer or sip.NewResponse(tx.Request,
// …), without a tag under one of its own, and, when it is final, ends the transaction: ErrAnswered says that another final response
// was first, ErrLate that the client has given up by now (RFC 4320 §4.2). Any
// other error but ErrStatus comes from the transport; the transaction has ended then too.
//
// Of provisional responses only 100 may be sent (RFC 4320 §4.1), and over UDP
// that is left to the layer, which knows when; nil is returned.
func (tx *ServerTransaction) Respond(r *sip.Message) error {
	invite := tx.Request.Method == "INVITE"
	switch {
	case r.Status == 100:
		return tx.respondTrying()
	case r.Status < 200 || r.Status > 699, r.Status == 408 && !invite, r.Status < 300 && invite:
		return ErrStatus
	}
	tag := r.To.Tag()
	if tag == "" {
		tag = sip.NewTag()
	}
	space := newSpace()
	defer space.release()
	a, rows := tx.layer.answerOf(space, tx.Request, r, tag)
	return tx.finish(&a, space.printed, rows)
}

func (tx *ServerTransaction) respondTrying() error {
	if !tx.Flow.Protocol.Reliable() {
		return nil
	}
	s := tx.layer.server(tx.key)
	s.mu.Lock()
	first := tx.state.CompareAndSwap(trying, proceeding)
	s.mu.Unlock()
	if !first {
		return nil
	}
	return tx.layer.respond(tx.Flow, tx.Request.Via, printTrying(tx.Request))
}

// finish sends the final response and keeps what its repetition needs.
func (tx *ServerTransaction) finish(a *answer, message, rows []byte) error {
	l := tx.layer
	s := l.server(tx.key)
	s.mu.Lock()
	if err := tx.ended(); err != nil {
		s.mu.Unlock()
		return err
	}
	tx.state.Store(completed)
	switch {
	case tx.Request.Method == "INVITE":
		l.refuseInvite(s, tx, a.tag, message)
	case tx.Flow.Protocol.Reliable():
		l.remove(s, tx)
	default:
		merge := tx.merge
		tx.merge = 0 // forgotten with the record
		l.remove(s, tx)
		l.linger(s, tx.key, merge, a, rows)
	}
	s.mu.Unlock()
	l.metrics.received.count(tx.Request.Method, a.status)
	return l.respond(tx.Flow, tx.Request.Via, message)
}

// ended says why no response can be sent any more. The shard is locked.
func (tx *ServerTransaction) ended() error {
	switch {
	case tx.open():
		return nil
	case tx.state.Load() == overdue:
		return ErrLate
	}
	return ErrAnswered
}

// remove takes a transaction out of a locked shard.
func (l *Layer) remove(s *serverShard, tx *ServerTransaction) {
	tx.timer.leave()
	delete(s.live, tx.key)
	l.unmerge(tx.merge)
	l.metrics.live.Add(-1)
}

// Stateless answers like Layer.Stateless and forgets the transaction: a repeat
// of the request is a new request. That is how challenges are sent (TRN-15).
func (tx *ServerTransaction) Stateless(r *sip.Message) error {
	if err := tx.forget(); err != nil {
		return err
	}
	return tx.layer.Stateless(tx.Request, tx.Flow, r)
}

// Ignore forgets the transaction without an answer; a repeat of the request is
// a new request.
func (tx *ServerTransaction) Ignore() { _ = tx.forget() }

func (tx *ServerTransaction) forget() error {
	s := tx.layer.server(tx.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := tx.ended(); err != nil {
		return err
	}
	tx.state.Store(ignored)
	tx.layer.remove(s, tx)
	return nil
}

// Stateless answers a request without keeping anything of it (RFC 3261 §8.2.7):
// status, reason, body and the rows that resp has beyond those copied from the
// request are sent, under a To tag derived from the request, so that each repeat
// gets the same answer. An ACK is not answered.
func (l *Layer) Stateless(req *sip.Message, flow transport.Flow, resp *sip.Message) error {
	if resp.Status < 200 || resp.Status > 699 || req.Method == "ACK" {
		return ErrStatus
	}
	space := newSpace()
	defer space.release()
	l.answerOf(space, req, resp, l.keys.tag(req))
	l.metrics.received.count(req.Method, resp.Status)
	return l.respond(flow, req.Via, space.printed)
}

// respond hands a printed response to the transport. No lock is held.
func (l *Layer) respond(flow transport.Flow, top sip.Via, message []byte) error {
	err := l.transport.SendResponse(flow, top, message, nil)
	if err != nil {
		l.metrics.sendErrors.Add(1)
		l.log.Debug("response not sent", "peer", flow.Remote, "branch", top.Branch, "err", err)
	}
	return err
}

// handle lets the user answer one request. What was given up or cancelled
// while it waited for its turn is left alone.
func (l *Layer) handle(ctx context.Context, tx *ServerTransaction) {
	defer l.leave()
	if !tx.open() {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			l.metrics.failures.Add(1)
			l.log.Error("request handler failed", "method", tx.Request.Method, "call_id", tx.Request.CallID,
				"err", p, "stack", string(debug.Stack()))
		}
		if tx.open() {
			_ = tx.Respond(sip.NewResponse(tx.Request, 500, "", ""))
		}
	}()
	l.user.Request(ctx, tx)
}

// open says that the request waits for its final response.
func (tx *ServerTransaction) open() bool {
	state := tx.state.Load()
	return state == trying || state == proceeding
}
