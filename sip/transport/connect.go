package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// dialKey names a connection being opened.
type dialKey struct {
	streamKey
	serverName string
}

// dialing is one connection being opened; all who want it wait for done.
type dialing struct {
	done chan struct{}
	flow Flow
	err  error
}

// Connect gives a flow to addr. For UDP that is immediate. For streams an open
// connection to the same address is used (RFC 3261 §18.1.1); without one it is
// opened, which takes until ctx or the dial timeout ends. However many ask at
// once, one connection is opened. serverName is the domain that was looked up;
// over TLS the peer must prove to be it (RFC 5922 §7.3).
func (t *Transport) Connect(ctx context.Context, p Protocol, addr netip.AddrPort, serverName string) (Flow, error) {
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	if !addr.IsValid() {
		return Flow{}, errors.New("transport: no address to connect to")
	}
	if p == UDP {
		return t.packetFlow(addr)
	}
	d, err := t.open(dialKey{streamKey{p, addr}, serverName})
	if err != nil {
		return Flow{}, err
	}
	select {
	case <-d.done:
		return d.flow, d.err
	case <-ctx.Done():
		return Flow{}, fmt.Errorf("connect to %s by %s: %w", addr, p, ctx.Err())
	}
}

// Existing gives an open stream flow to that very address, without opening one.
func (t *Transport) Existing(p Protocol, addr netip.AddrPort) (Flow, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.streams[streamKey{p, netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())}]
	if c == nil || c.closed.Load() {
		return Flow{}, false
	}
	return c.flow(), true
}

// packetFlow chooses the UDP listener for a peer.
func (t *Transport) packetFlow(addr netip.AddrPort) (Flow, error) {
	l := t.listenerFor(UDP, addr.Addr())
	if l == nil || l.closed.Load() {
		return Flow{}, ErrNoListener
	}
	local := l.listen.Addr
	if local.Addr().IsUnspecified() {
		source, err := t.network.Source(addr)
		if err != nil {
			return Flow{}, fmt.Errorf("find the way to %s: %w", addr, err)
		}
		local = netip.AddrPortFrom(source, local.Port())
	}
	return Flow{Protocol: UDP, Local: local, Remote: addr, listener: l}, nil
}

// listenerFor chooses the listener whose socket, or name, traffic to a peer
// uses: the same family, and loopback only towards loopback.
func (t *Transport) listenerFor(p Protocol, peer netip.Addr) *listener {
	var second *listener
	for _, l := range t.listeners {
		own := l.listen.Addr.Addr()
		if l.listen.Protocol != p || own.Is4() != peer.Is4() {
			continue
		}
		if own.IsUnspecified() || own.IsLoopback() == peer.IsLoopback() {
			return l
		}
		if second == nil {
			second = l
		}
	}
	return second
}

// open finds the connection in the tables or starts opening it.
func (t *Transport) open(key dialKey) (*dialing, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closing || !t.serving {
		return nil, ErrFlowClosed
	}
	if c := t.streams[key.streamKey]; c != nil && !c.closed.Load() && c.speaksFor(key.serverName) {
		done := make(chan struct{})
		close(done)
		return &dialing{done: done, flow: c.flow()}, nil
	}
	if d := t.dialing[key]; d != nil {
		return d, nil
	}
	if len(t.connections)+len(t.dialing) >= t.limits.MaxConnections {
		return nil, fmt.Errorf("%w: %d connections are open", ErrQueueFull, len(t.connections))
	}
	d := &dialing{done: make(chan struct{})}
	t.dialing[key] = d
	t.running.Go(func() { t.dial(key, d) })
	return d, nil
}

// speaksFor says whether requests for that domain may use the connection: over
// TLS only if its peer proved to be it.
func (c *connection) speaksFor(domain string) bool {
	if c.protocol != TLS || domain == "" || domain == c.serverName {
		return true
	}
	return len(c.certificates) > 0 && VerifyDomain(c.certificates[0], domain) == nil
}

// dial opens a connection, tells those who wait, and serves it.
func (t *Transport) dial(key dialKey, d *dialing) {
	t.metrics.Dials.Add(1)
	c, err := t.dialStream(key)
	if err != nil {
		t.metrics.DialFailures.Add(1)
		d.err = fmt.Errorf("connect to %s by %s: %w", key.remote, key.protocol, err)
	}
	t.mu.Lock()
	delete(t.dialing, key)
	if err == nil && t.closing {
		c.raw.Close()
		c, d.err = nil, ErrFlowClosed
	}
	if c != nil {
		d.flow = c.flow()
		t.connections[c] = struct{}{}
		t.streams[key.streamKey] = c
		c.counters.Connections.Add(1)
	}
	t.mu.Unlock()
	close(d.done)
	if c != nil {
		c.run()
	}
}

func (t *Transport) dialStream(key dialKey) (*connection, error) {
	ctx, cancel := context.WithTimeout(t.ctx, t.limits.DialTimeout)
	defer cancel()
	l := t.listenerFor(key.protocol, key.remote.Addr())
	raw, err := t.network.Dial(ctx, sourceFor(l, key.remote.Addr()), key.remote)
	if err != nil {
		if t.ctx.Err() == nil {
			t.refusals.add(key.streamKey)
		}
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	t.refusals.remove(key.streamKey)
	c := t.newConnection(l, key.protocol, raw)
	c.remote = key.remote
	if key.protocol == TLS {
		if err := c.proveServer(ctx, key.serverName); err != nil {
			raw.Close()
			return nil, err
		}
	}
	return c, nil
}

// sourceFor is the address a connection leaves from: the one its listener has,
// so that the peer sees the server under one address.
func sourceFor(l *listener, peer netip.Addr) netip.Addr {
	if l == nil {
		return netip.Addr{}
	}
	own := l.listen.Addr.Addr()
	if own.IsUnspecified() || own.IsLoopback() != peer.IsLoopback() {
		return netip.Addr{}
	}
	return own
}

// proveServer speaks TLS as client; the peer must prove to be serverName, or
// its address where no name is known.
func (c *connection) proveServer(ctx context.Context, serverName string) error {
	if serverName == "" {
		serverName = c.remote.Addr().String()
	}
	w := &wire{stream: c.raw, c: c}
	session := tls.Client(w, clientTLS(c.t.options.ClientTLS, serverName))
	if err := session.HandshakeContext(ctx); err != nil {
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			return fmt.Errorf("%w: the TLS handshake takes too long", ErrUnreachable)
		}
		return err
	}
	c.serverName = serverName
	c.certificates = session.ConnectionState().PeerCertificates
	c.secure(w, session)
	return nil
}
