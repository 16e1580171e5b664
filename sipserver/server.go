// Package sipserver is the SIP edge: PUBLISH, SUBSCRIBE and OPTIONS come in,
// NOTIFY goes out. It translates them into event.Service and back, and is the
// only place that knows SIP status codes (refusal.go).
//
// Handlers follow the order of RFC 3261 §8.2 and the steps of RFC 3903 §6 and
// RFC 6665 §4.2.1, so that both can be read side by side: who asks
// (identity.go), for what (request.go), then the method (publish.go,
// subscribe.go, options.go). A refused request has changed nothing.
//
// A dialog (dialog.go) is the event.Watcher of its subscription: it prints
// NOTIFYs (notify.go) and chooses where they go (route.go). Its lock is never
// held while the engine, the transaction layer or the network is called.
package sipserver

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"unique"

	"vigie/auth"
	"vigie/event"
	"vigie/sip"
	"vigie/sip/transaction"
	"vigie/sip/transport"
	"vigie/store"
)

// Events is the engine behind the edge.
type Events interface {
	event.Service
	Package(name string) (event.Package, bool)
	Packages() []string
}

// Accounts finds whom an address of record belongs to; store.ErrNotFound when
// nobody. *auth.Accounts does.
type Accounts interface {
	ByAOR(ctx context.Context, aor string) (store.Account, error)
}

// Network is what route.go needs of *transport.Transport.
type Network interface {
	Connect(ctx context.Context, p transport.Protocol, addr netip.AddrPort, serverName string) (transport.Flow, error)
	Unreachable(p transport.Protocol, addr netip.AddrPort) bool
	UDPFlow(local, remote netip.AddrPort) transport.Flow
	Listeners() []transport.Endpoint
}

// Locator finds where a URI is served (RFC 3263).
type Locator interface {
	Locate(ctx context.Context, u sip.URI) ([]transport.Target, error)
}

// Options of a Server.
type Options struct {
	Events   Events
	Accounts Accounts
	Domains  []string // served; the first is the default realm

	// Digest checks passwords; nil believes From, for laboratories.
	Digest *auth.Digest
	// Trusted are the peers whose P-Asserted-Identity is believed; nil: none.
	Trusted *auth.Trusted
	// Sources limits unauthenticated requests; nil: no limit.
	Sources *auth.Sources

	// AnyPresentity serves every user of a served domain, with an account
	// or without.
	AnyPresentity bool
	// Uniform answers an unknown presentity and a refused watcher alike, with
	// this status (403 or 404), so that neither can be told from the other;
	// 0 tells them apart.
	Uniform int

	ServerHeader string // the Server field of responses; "" for none
	Logger       *slog.Logger
	Metrics      *Metrics // nil: not kept
}

// Server handles requests and holds the dialogs of subscriptions. It is a
// transaction.User.
type Server struct {
	Options
	domains map[string]bool
	dialogs dialogs
	commons commons
	layer   *transaction.Layer
	network Network
	locator Locator
	own     map[netip.AddrPort]bool
	revived atomic.Pointer[unique.Handle[common]] // what the last revived dialog has in common with others

	allowEvents func() string // the Allow-Events field, made once

	closing    sync.Mutex // held to start something in the background, and to end that
	closed     bool
	background sync.WaitGroup
	stop       context.Context
	cancel     context.CancelFunc
}

// New makes a server; Start gives it a network.
func New(o Options) *Server {
	s := &Server{Options: o, domains: map[string]bool{}}
	for _, d := range o.Domains {
		s.domains[strings.ToLower(d)] = true
	}
	if s.Logger == nil {
		s.Logger = slog.Default()
	}
	if s.Metrics == nil {
		s.Metrics = NewMetrics()
	}
	s.dialogs.init()
	s.allowEvents = sync.OnceValue(s.packages)
	s.stop, s.cancel = context.WithCancel(context.Background())
	return s
}

// Start tells the server what it sends through. It comes before the transport
// serves and before subscriptions are revived.
func (s *Server) Start(layer *transaction.Layer, network Network, locator Locator) {
	s.layer, s.network, s.locator = layer, network, locator
	s.own = map[netip.AddrPort]bool{}
	for _, e := range network.Listeners() {
		if addr, err := netip.ParseAddr(strings.Trim(e.Host, "[]")); err == nil {
			s.own[netip.AddrPortFrom(addr, e.Port)] = true
		}
	}
}

// Close ends what runs in the background and waits for it.
func (s *Server) Close() {
	s.closing.Lock()
	s.closed = true
	s.closing.Unlock()
	s.cancel()
	s.background.Wait()
}

// inBackground runs fn on a goroutine that Close waits for. After Close nothing
// is run: the NOTIFYs of the engine's last moments stay unsent.
func (s *Server) inBackground(fn func()) {
	s.closing.Lock()
	defer s.closing.Unlock()
	if !s.closed {
		s.background.Go(fn)
	}
}

// Request implements transaction.User.
func (s *Server) Request(ctx context.Context, tx *transaction.ServerTransaction) {
	x := exchange{Context: ctx, server: s, tx: tx, req: tx.Request}
	var err error
	switch tx.Request.Method {
	case "PUBLISH":
		err = x.publish()
	case "SUBSCRIBE":
		err = x.subscribe()
	case "OPTIONS":
		err = x.options()
	default:
		err = x.unsupported()
	}
	if err != nil {
		x.refuse(err)
	}
}

// FlowClosed implements transaction.User. Subscriptions outlive their flow:
// the next NOTIFY looks for another way.
func (s *Server) FlowClosed(transport.Flow) {}
