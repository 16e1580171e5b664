// Package transaction turns messages into transactions (RFC 3261 §17): each
// request is handled once however often it arrives, and each request sent gets
// exactly one outcome.
//
// Server side: the non-INVITE machine with the rules of RFC 4320 (100 after 3.5
// seconds and no other provisional response, never 408, nothing after 64·T1),
// and as much of the INVITE machine as refusing takes. CANCEL and ACK are dealt
// with here (RFC 3261 §9.2, RFC 6665 §4.6), merged requests get 482 (RFC 3261
// §8.2.2.2), too many get 503. Client side: the non-INVITE machine, for NOTIFY.
//
// What is held:
//
//   - A request in progress is one ServerTransaction with its message.
//   - An answered request lingers for Timer J as a record of a few dozen bytes
//     in a chunk without pointers: key, status, To tag and our own header rows.
//     With the retransmitted request it gives the answer again, byte for byte.
//   - A request sent is one clientTransaction with its printed head; afterwards,
//     for Timer K, its branch, until a younger one takes its place (completions.go).
//
// All transactions of a kind wait equally long for each of their timers, so
// that every timer is a queue, first in, first out. One goroutine drives them; it
// sleeps until something is due, and for good when nothing is.
//
// New requests are handled by a crew of workers in the order they came, those of
// one order key one after the other (see User). Their messages are released
// afterwards.
//
// Locks, in this order: a server shard's; a merge shard's; the clock's. A client
// shard's comes before the clock's. A line's is held alone. The user and the
// transport are called with none held.
package transaction

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"

	"vigie/sip"
	"vigie/sip/transport"
)

// Transport carries messages; *transport.Transport is one. Neither method may block,
// or keep head or body.
type Transport interface {
	Send(f transport.Flow, head, body []byte) error
	SendResponse(f transport.Flow, top sip.Via, head, body []byte) error
}

// User is who transactions are for.
type User interface {
	// Request handles a new request on a goroutine of its own. It answers by
	// tx.Respond, tx.Stateless or tx.Ignore before it returns; what it leaves
	// unanswered gets 500, and so does a request it panics on. Requests of one
	// order key (PUBLISH by Request-URI, everything else by Call-ID) come one
	// after the other, in the order in which they were received. ctx ends when
	// the layer closes and its grace is over.
	//
	// ACK and CANCEL never come: the layer deals with them.
	Request(ctx context.Context, tx *ServerTransaction)
	// FlowClosed says that a stream flow is gone. It must not block.
	FlowClosed(flow transport.Flow)
}

// What Done and the methods of ServerTransaction report, for callers that compare.
var (
	ErrTimeout  = errors.New("transaction: no final response in time")
	ErrClosed   = errors.New("transaction: the layer is closed")
	ErrAnswered = errors.New("transaction: the request has its final response already")
	ErrLate     = errors.New("transaction: too late to answer the request")
	ErrStatus   = errors.New("transaction: a response of this status must not be sent to this request")
)

// Layer is all transactions of a server. It implements transport.Handler.
type Layer struct {
	transport Transport
	user      User
	options   Options
	log       *slog.Logger
	metrics   *Metrics
	keys      *keys
	clock     *clock

	intervals    []int64 // of Timers E and G: T1, 2·T1, … T2
	slowAfter    int64   // when Timer E of a client reaches T2: 3.5 s
	giveUpAfter  int64   // 64·T1
	timerJ       int64   // 64·T1
	maxLingering int     // records a shard

	servers [shards]serverShard
	merges  [shards]mergeShard
	clients [shards]clientShard
	lines   [shards]line

	inProgress atomic.Int64 // requests accepted whose handling has not returned
	invites    atomic.Int64 // refused INVITEs
	runnable   atomic.Int64 // requests whose turn it is, waiting for a worker or handled by one
	workers    atomic.Int64 // goroutines that handle requests
	closing    atomic.Bool
	closed     atomic.Bool

	ctx        context.Context // what requests get
	cancel     context.CancelFunc
	work       chan *ServerTransaction // to the workers; nil ends them
	quiet      chan struct{}           // the last request in progress ended while closing
	stop       chan struct{}
	goroutines sync.WaitGroup

	// The driver's own.
	errands          []errand
	timedOut, resend []*clientTransaction
}

// New makes a layer over a transport; Close ends it. It panics when the options
// contradict themselves (see Options.Validate).
func New(t Transport, u User, o Options) *Layer {
	o = o.withDefaults()
	if err := o.Validate(); err != nil {
		panic(err)
	}
	l := &Layer{
		transport: t, user: u, options: o, log: o.Logger, metrics: o.Metrics,
		keys: newKeys(), clock: newClock(),
		giveUpAfter: 64 * int64(o.T1), timerJ: 64 * int64(o.T1),
		maxLingering: max(1, o.MaxLingering/shards),
		work:         make(chan *ServerTransaction, o.MaxRequests+1),
		quiet:        make(chan struct{}, 1),
		stop:         make(chan struct{}),
	}
	for interval := int64(o.T1); interval < int64(o.T2); interval *= 2 {
		l.intervals = append(l.intervals, interval)
		l.slowAfter += interval
	}
	l.intervals = append(l.intervals, int64(o.T2))
	for i := range shards {
		l.servers[i].repeat = make([]queue[ServerTransaction], len(l.intervals))
		l.clients[i].resend = make([]queue[clientTransaction], len(l.intervals))
		l.clients[i].index = uint64(i)
		l.clients[i].live = make(map[uint64]*clientTransaction)
		l.clients[i].flows = make(map[transport.Flow]*clientTransaction)
		l.lines[i].last = make(map[uint64]*ServerTransaction)
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.goroutines.Go(l.drive)
	return l
}

// Receive takes a message from the transport, in the order of its flow. It
// does not block.
func (l *Layer) Receive(m *sip.Message, flow transport.Flow, err error) {
	switch {
	case l.closed.Load():
	case err != nil:
		l.receiveMalformed(flow, err)
	case !m.IsRequest():
		l.receiveResponse(m)
	case m.Method == "ACK":
		l.receiveACK(m)
	case m.Method == "CANCEL":
		l.receiveCancel(m, flow)
	default:
		l.receiveRequest(m, flow)
	}
}

// receiveMalformed answers what can be answered, with the precise reason.
func (l *Layer) receiveMalformed(flow transport.Flow, err error) {
	var bad *sip.ParseError
	if !errors.As(err, &bad) || !bad.Answerable || bad.Message == nil || !l.allows(flow) {
		l.metrics.malformedDropped.Add(1)
		return
	}
	l.metrics.malformedAnswered.Add(1)
	_ = l.Stateless(bad.Message, flow, sip.NewResponse(bad.Message, bad.Status, bad.Reason, ""))
}

// allows says whether an answer may go to the source of a flow that nobody has
// asked yet.
func (l *Layer) allows(flow transport.Flow) bool {
	return flow.Protocol.Reliable() || l.options.Allow == nil || l.options.Allow(flow)
}

// retryAfter prints a Retry-After between the configured bounds.
func (l *Layer) retryAfter(m *sip.Message) string {
	low := uint64(l.options.RetryAfterMin.Seconds())
	width := uint64(l.options.RetryAfterMax.Seconds()) - low + 1
	sum := l.keys.derive(m)
	// Bytes that no tag shows.
	n := uint64(sum[16]) | uint64(sum[17])<<8 | uint64(sum[18])<<16
	return "Retry-After: " + strconv.FormatUint(low+n%width, 10) + "\r\n"
}

// Close refuses new requests, waits for those in progress as long as the grace
// allows, ends their context, waits as long again, and returns when no goroutine
// of the layer is left. Requests that were sent and have no outcome get
// ErrClosed. The transport should be closed after it. A second call does nothing.
func (l *Layer) Close() {
	if l.closing.Swap(true) {
		return
	}
	drained := l.drain(l.options.Grace)
	l.cancel()
	if !drained && !l.drain(l.options.Grace) {
		l.log.Error("requests in progress do not end", "requests", l.inProgress.Load())
	}
	l.closed.Store(true)
	close(l.stop)
	l.work <- nil
	if l.inProgress.Load() == 0 {
		l.goroutines.Wait()
	}
	l.abandon()
}
