package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"vigie/sip"
)

// What Send and Connect return, for callers that compare.
var (
	ErrFlowClosed  = errors.New("transport: the flow is closed")
	ErrQueueFull   = errors.New("transport: too much waits for this peer already")
	ErrTooLarge    = errors.New("transport: the message is too large for this flow")
	ErrNoListener  = errors.New("transport: no listener of this protocol and address family")
	ErrUnreachable = errors.New("transport: the peer takes no connections")
)

// closeTime is how long Close lets queued messages leave.
const closeTime = time.Second

// Handler takes what arrives. Its methods are called on the goroutine that
// reads the flow, in order per flow, and must not block.
type Handler interface {
	// Receive takes one message. err is nil or a *sip.ParseError that can be
	// answered; then m holds what could be read. What cannot be answered, and
	// responses that are not for us (MSG-28), do not come. A request is the
	// handler's to keep, a response its own until it returns.
	Receive(m *sip.Message, flow Flow, err error)
	// Closed says that a stream flow is gone, after its last Receive.
	Closed(flow Flow)
}

// Transport is all listeners and connections of a server.
type Transport struct {
	options   Options
	limits    Limits
	parser    sip.Limits
	network   Network
	log       *slog.Logger
	metrics   Metrics
	serverTLS *tls.Config
	refusals  refusals
	slow      atomic.Int64  // when a slow peer was last logged, Unix nanoseconds
	responses chan struct{} // one token per response that opens a connection

	writers    []*streamWriter
	nextWriter atomic.Uint32

	listeners []*listener // fixed after New
	handler   Handler     // fixed after Serve

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	running sync.WaitGroup // every goroutine of the transport but those of writers
	writing sync.WaitGroup // those of writers

	mu          sync.Mutex // taken before a connection's
	serving     bool
	closing     bool
	streams     map[streamKey]*connection // the newest open one per peer
	connections map[*connection]struct{}  // all
	sources     map[netip.Addr]int        // accepted connections by source
	dialing     map[dialKey]*dialing      // connections being opened
	refused     map[Protocol]time.Time    // when a refusal was last logged
}

type streamKey struct {
	protocol Protocol
	remote   netip.AddrPort
}

// New binds the listeners. Nothing is read before Serve.
func New(o Options) (*Transport, error) {
	o.Limits = o.Limits.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("transport: %w", err)
	}
	t := &Transport{
		options:     o,
		limits:      o.Limits,
		parser:      sip.Limits{Headers: o.Limits.MaxHeaders, HeaderBytes: o.Limits.MaxMessage},
		network:     o.Network,
		log:         o.Logger,
		responses:   make(chan struct{}, 64),
		writers:     newStreamWriters(),
		streams:     make(map[streamKey]*connection),
		connections: make(map[*connection]struct{}),
		sources:     make(map[netip.Addr]int),
		dialing:     make(map[dialKey]*dialing),
		refused:     make(map[Protocol]time.Time),
	}
	t.refusals.lifetime = o.Limits.RememberRefusal
	if t.network == nil {
		t.network = system{}
	}
	if t.log == nil {
		t.log = slog.New(slog.DiscardHandler)
	}
	if o.TLS != nil {
		t.serverTLS = atLeastTLS12(o.TLS)
	}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	for _, l := range o.Listen {
		if err := t.bind(l); err != nil {
			t.unbind()
			return nil, fmt.Errorf("listen on %s: %w", l, err)
		}
	}
	return t, nil
}

// Serve starts reading and returns at once. It is called once.
func (t *Transport) Serve(h Handler) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.serving || t.closing {
		return
	}
	t.handler = h
	t.serving = true
	for _, w := range t.writers {
		t.writing.Go(w.run)
	}
	for _, l := range t.listeners {
		for _, s := range l.sockets {
			t.running.Go(s.read)
			t.running.Go(s.write)
		}
		if l.streams != nil {
			t.running.Go(l.accept)
		}
	}
}

// Close stops listening, lets what is queued leave for at most a second, and
// returns when no goroutine of the transport is left. It must not be called
// from a Handler method.
func (t *Transport) Close() error {
	t.mu.Lock()
	serving := t.serving
	t.closing = true
	open := make([]*connection, 0, len(t.connections))
	for c := range t.connections {
		open = append(open, c)
	}
	t.mu.Unlock()

	t.cancel()
	for _, l := range t.listeners {
		l.finish()
	}
	for _, c := range open {
		c.finish()
	}
	if !serving {
		t.unbind()
	}
	impatient := time.AfterFunc(closeTime, func() {
		t.unbind()
		for _, c := range open {
			c.abort()
		}
	})
	defer impatient.Stop()
	t.running.Wait()
	for _, w := range t.writers {
		w.finish()
	}
	t.writing.Wait()
	return nil
}

func (t *Transport) unbind() {
	for _, l := range t.listeners {
		l.abort()
	}
}

// Listeners gives what is listened on, with the bound ports. A wildcard
// listener that advertises no host appears under its wildcard address; what a
// particular peer must be told is Flow.Endpoint.
func (t *Transport) Listeners() []Endpoint {
	endpoints := make([]Endpoint, len(t.listeners))
	for i, l := range t.listeners {
		endpoints[i] = l.endpoint
	}
	return endpoints
}

// Metrics gives the transport's counters, a prometheus.Collector.
func (t *Transport) Metrics() *Metrics { return &t.metrics }

// Settle waits until hardly anything waits to be sent over UDP. Whoever has much to
// send calls it now and then, so that what others send does not stand behind all of
// it; it must not be called from a Handler method.
func (t *Transport) Settle() {
	for _, l := range t.listeners {
		for _, s := range l.sockets {
			s.settle()
		}
	}
}

// Send queues a copy of one message, head and body one after the other. It
// never blocks. Errors are ErrFlowClosed, ErrQueueFull and ErrTooLarge; nil
// says that the message waits its turn, not that it arrived.
func (t *Transport) Send(f Flow, head, body []byte) error {
	if f.conn != nil {
		return f.conn.send(head, body)
	}
	if f.listener == nil || len(f.listener.sockets) == 0 {
		return ErrFlowClosed
	}
	return f.listener.send(f, head, body)
}
