package transport

import (
	"context"
	"errors"
	"net/netip"

	"vigie/sip"
)

// What Send and Connect return, for callers that compare.
var (
	ErrFlowClosed  = errors.New("transport: the flow is closed")
	ErrQueueFull   = errors.New("transport: too much waits for this peer already")
	ErrTooLarge    = errors.New("transport: the message is too large for this flow")
	ErrNoListener  = errors.New("transport: no listener of this protocol and address family")
	ErrUnreachable = errors.New("transport: the peer refuses connections")
)

// Handler takes what arrives. Its methods are called on the goroutine that
// reads the flow, in order per flow, and must not block.
type Handler interface {
	// Receive takes one message. err is nil or a *sip.ParseError; then m holds
	// what could be read. Messages that could not even be answered do not come.
	Receive(m *sip.Message, flow Flow, err error)
	// Closed says that a stream flow is gone, after its last Receive.
	Closed(flow Flow)
}

// Transport is all listeners and connections of a server.
type Transport struct{}

// New binds the listeners.
func New(o Options) (*Transport, error) { return nil, nil }

// Serve starts reading and returns at once.
func (t *Transport) Serve(h Handler) {}

// Close stops everything and waits for it.
func (t *Transport) Close() error { return nil }

// Listeners gives what is listened on, with the bound ports.
func (t *Transport) Listeners() []Endpoint { return nil }

// Send queues one message; head and body are sent one after the other and may
// not be changed afterwards.
func (t *Transport) Send(f Flow, head, body []byte) error { return nil }

// SendResponse sends a response on the way its request came.
func (t *Transport) SendResponse(f Flow, top sip.Via, head, body []byte) error { return nil }

// Connect gives a flow to addr.
func (t *Transport) Connect(ctx context.Context, p Protocol, addr netip.AddrPort, serverName string) (Flow, error) {
	return Flow{}, nil
}

// Existing gives an open stream flow to addr if there is one.
func (t *Transport) Existing(p Protocol, addr netip.AddrPort) (Flow, bool) { return Flow{}, false }

// Unreachable says that addr refused a connection lately.
func (t *Transport) Unreachable(p Protocol, addr netip.AddrPort) bool { return false }
