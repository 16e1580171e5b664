// Package transaction turns messages into transactions (RFC 3261 §17).
package transaction

import (
	"context"
	"errors"

	"vigie/sip"
	"vigie/sip/transport"
)

// Transport carries messages; *transport.Transport is one.
type Transport interface {
	Send(f transport.Flow, head, body []byte) error
	SendResponse(f transport.Flow, top sip.Via, head, body []byte) error
}

// User is who transactions are for.
type User interface {
	// Request handles a new request on a goroutine of its own. It answers by
	// tx.Respond, tx.Stateless or tx.Ignore before it returns; a request left
	// without any of these gets 500. Requests of one order key (PUBLISH by
	// Request-URI, everything else by Call-ID) come one after the other, in
	// arrival order. ctx ends when the layer closes.
	//
	// ACK and CANCEL never come: the layer deals with them.
	Request(ctx context.Context, tx *ServerTransaction)
	// FlowClosed says that a stream flow is gone. It must not block.
	FlowClosed(flow transport.Flow)
}

// ClientUser hears the end of a client transaction.
type ClientUser interface {
	// Done is called exactly once: with the final response, or with 408 and
	// ErrTimeout, or with 503 and the failure of the transport (RFC 3261
	// §8.1.3.1), response nil in both. It runs on the goroutine that read the
	// response or drives the timers, and must not block.
	Done(status int, response *sip.Message, err error)
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
type Layer struct{}

// New makes a layer over a transport; Close ends it. It panics when the options contradict themselves.
func New(t Transport, u User, o Options) *Layer { return &Layer{} }

// Receive takes a message from the transport.
func (l *Layer) Receive(m *sip.Message, flow transport.Flow, err error) {}

// Closed fails the client transactions of a stream flow that is gone.
func (l *Layer) Closed(flow transport.Flow) {}

// Close refuses new requests, waits for those in progress and ends every goroutine.
func (l *Layer) Close() {}

// Stateless answers a request without keeping anything of it (RFC 3261 §8.2.7):
// what resp has beyond the fields copied from the request is sent, under a To
// tag derived from the request, so that each repeat gets the same answer.
func (l *Layer) Stateless(req *sip.Message, flow transport.Flow, resp *sip.Message) error { return nil }

// ServerTransaction is one request to be answered.
type ServerTransaction struct {
	Request *sip.Message
	Flow    transport.Flow
}

// Respond sends a response made by sip.NewResponse(tx.Request, …).
func (tx *ServerTransaction) Respond(r *sip.Message) error { return nil }

// Stateless answers like Layer.Stateless and forgets the transaction.
func (tx *ServerTransaction) Stateless(r *sip.Message) error { return nil }

// Ignore forgets the transaction without an answer; a retransmission is a new request.
func (tx *ServerTransaction) Ignore() {}

// Outgoing is a request to send, printed but for its Via, which the layer supplies.
type Outgoing struct {
	Flow   transport.Flow
	Method string // CSeq method the response must carry
	Start  string // request line with its CRLF
	Rest   []byte // header rows after Via, Content-Length and the blank line included; not changed afterwards
	Body   []byte // may be shared; not changed afterwards
	User   ClientUser
}

// Send starts a client transaction. It never blocks. After an error nothing
// was sent and Done is not called.
func (l *Layer) Send(o Outgoing) error { return nil }

// Overhead gives the bytes that the Via row adds to a request on a flow.
func (l *Layer) Overhead(flow transport.Flow) int { return 0 }
