package transport

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// connection is one stream, accepted or opened. One goroutine reads it for its
// whole life; what is sent leaves by a writer that it shares with others, and by
// a goroutine of its own only while the peer does not keep up. The reader ends
// the connection: everyone else asks for it by finish (what waits leaves first)
// or abort.
type connection struct {
	t             *Transport
	listener      *listener // which accepted it, or whose name it carries; may be nil
	protocol      Protocol
	local, remote netip.AddrPort
	accepted      bool
	serverName    string // of an opened TLS connection: who the peer proved to be
	certificates  []*x509.Certificate
	counters      *Counters

	raw    stream // the TCP connection
	wire   *wire  // of a TLS session over it; nil without TLS
	writer *streamWriter

	closed atomic.Bool  // no more sending; set with mu held
	active atomic.Int64 // when a message last passed, Unix nanoseconds
	spoken atomic.Bool  // a whole message, or a keep-alive, came or went

	mu      sync.Mutex
	idle    sync.Cond // writing became false
	waiting outbox
	queued  int  // bytes of messages, counting what is being written
	due     bool // something waits
	writing bool // it is with the writer, or with a goroutine of its own
}

func (t *Transport) newConnection(l *listener, p Protocol, conn net.Conn) *connection {
	raw := streamOf(conn)
	c := &connection{
		t:        t,
		listener: l,
		protocol: p,
		local:    addrPortOf(raw.LocalAddr()),
		remote:   addrPortOf(raw.RemoteAddr()),
		counters: &t.metrics.ByProtocol[p],
		raw:      raw,
		writer:   t.writers[t.nextWriter.Add(1)%uint32(len(t.writers))],
	}
	c.idle.L = &c.mu
	c.touch()
	return c
}

func (c *connection) flow() Flow {
	return Flow{Protocol: c.protocol, Local: c.local, Remote: c.remote, listener: c.listener, conn: c}
}

func (c *connection) touch() { c.active.Store(time.Now().UnixNano()) }

// admit starts an accepted connection unless a limit is reached.
func (t *Transport) admit(l *listener, raw net.Conn) {
	c := t.newConnection(l, l.listen.Protocol, raw)
	c.accepted = true
	t.mu.Lock()
	defer t.mu.Unlock()
	source := sourceOf(c.remote.Addr())
	if t.closing || len(t.connections) >= t.limits.MaxConnections || t.sources[source] >= t.limits.MaxConnectionsPerSource {
		raw.Close()
		c.counters.Refused.Add(1)
		t.logRefusal(c)
		return
	}
	t.sources[source]++
	t.connections[c] = struct{}{}
	c.counters.Connections.Add(1)
	t.running.Go(c.serve)
}

// sourceOf is what counts as one source: an IPv4 address, or the /64 network of
// an IPv6 address, all of which one host may use.
func sourceOf(a netip.Addr) netip.Addr {
	if a.Is4() {
		return a
	}
	network, _ := a.WithZone("").Prefix(64)
	return network.Addr()
}

// logRefusal writes at most one line a minute and protocol: whoever opens
// thousands of connections shall not fill the disk. t.mu is held.
func (t *Transport) logRefusal(c *connection) {
	now := time.Now()
	if last, ok := t.refused[c.protocol]; t.closing || ok && now.Sub(last) < time.Minute {
		return
	}
	t.refused[c.protocol] = now
	t.log.Warn("connection refused: too many are open", "protocol", c.protocol.String(), "peer", c.remote,
		"open", len(t.connections), "from_peer", t.sources[sourceOf(c.remote.Addr())])
}

// index makes the connection one that new requests to its peer use.
func (t *Transport) index(c *connection) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.streams[streamKey{c.protocol, c.remote}] = c
}

// forget takes the connection out of all tables.
func (t *Transport) forget(c *connection) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.connections, c)
	key := streamKey{c.protocol, c.remote}
	if t.streams[key] == c {
		delete(t.streams, key)
	}
	if c.accepted {
		source := sourceOf(c.remote.Addr())
		if t.sources[source]--; t.sources[source] <= 0 {
			delete(t.sources, source)
		}
	}
	c.counters.Connections.Add(-1)
}

// serve is the life of an accepted connection.
func (c *connection) serve() {
	if c.protocol == TLS {
		if err := c.handshake(); err != nil {
			c.t.metrics.HandshakeFailures.Add(1)
			c.t.log.Debug("TLS handshake failed", "peer", c.remote, "err", err)
			c.closed.Store(true)
			c.raw.Close()
			c.t.forget(c)
			return
		}
	}
	c.t.index(c)
	c.run()
}

// handshake speaks TLS as server within its time.
func (c *connection) handshake() error {
	w := &wire{stream: c.raw, c: c}
	session := tls.Server(w, c.t.serverTLS)
	if err := c.raw.SetDeadline(time.Now().Add(c.t.limits.HandshakeTimeout)); err != nil {
		return err
	}
	if err := session.Handshake(); err != nil {
		return err
	}
	if chains := session.ConnectionState().VerifiedChains; len(chains) > 0 {
		c.certificates = chains[0]
	}
	c.secure(w, session)
	return c.raw.SetDeadline(time.Time{})
}

// secure has the connection speak TLS after the handshake.
func (c *connection) secure(w *wire, session *tls.Conn) {
	w.session, w.keeps = session, true
	c.wire = w
}

// run reads until the end, then closes and tells the handler.
func (c *connection) run() {
	c.read()
	c.mu.Lock()
	c.closed.Store(true)
	for c.writing {
		c.idle.Wait()
	}
	c.mu.Unlock()
	if c.wire != nil {
		c.wire.session.Close()
	} else {
		c.raw.Close()
	}
	c.t.forget(c)
	c.t.handler.Closed(c.flow())
}

// finish ends the connection after what waits has left.
func (c *connection) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed.Store(true)
	_ = c.raw.SetReadDeadline(time.Unix(1, 0)) // wakes the reader
}

// abort ends the connection now.
func (c *connection) abort() {
	c.mu.Lock()
	c.closed.Store(true)
	c.mu.Unlock()
	c.raw.Close()
}
