package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// listener is one entry of Options.Listen, bound: UDP sockets, or one stream
// listener.
type listener struct {
	t        *Transport
	listen   Listen // with the bound port
	endpoint Endpoint
	wildcard bool // the endpoint's host depends on who asks

	sockets []*socket    // UDP
	streams net.Listener // TCP, TLS
	closed  atomic.Bool

	mu    sync.RWMutex
	hosts map[netip.Addr]string // of a wildcard listener: addresses as written in Via
}

// bind opens the sockets of one entry.
func (t *Transport) bind(entry Listen) error {
	l := &listener{t: t, listen: entry}
	if entry.Protocol == UDP {
		if err := l.bindPackets(); err != nil {
			l.abort()
			return err
		}
	} else {
		streams, err := t.network.Listen(entry.Addr)
		if err != nil {
			return err
		}
		l.streams = streams
		l.listen.Addr = addrPortOf(streams.Addr())
	}
	l.name()
	t.listeners = append(t.listeners, l)
	return nil
}

func (l *listener) bindPackets() error {
	limits := l.t.limits
	for range limits.Sockets {
		o := PacketOptions{ReceiveBuffer: limits.ReceiveBuffer, Share: limits.Sockets > 1}
		c, err := l.t.network.ListenPacket(l.listen.Addr, o)
		if err != nil {
			return err
		}
		l.listen.Addr = c.LocalAddr() // the next socket shares the port this one got
		l.sockets = append(l.sockets, newSocket(l, c))
		if got := c.ReceiveBuffer(); got > 0 && got < limits.ReceiveBuffer {
			l.t.log.Warn("receive buffer smaller than wanted: bursts of datagrams may be lost; raise net.core.rmem_max, or lower receive-buffer in [sip]",
				"listen", l.listen.String(), "wanted", limits.ReceiveBuffer, "got", got)
		}
	}
	return nil
}

// name decides what Via and Contact say.
func (l *listener) name() {
	addr := l.listen.Addr
	l.endpoint = Endpoint{Protocol: l.listen.Protocol, Host: hostOf(addr.Addr()), Port: addr.Port()}
	if l.listen.Advertise != "" {
		l.endpoint.Host = l.listen.Advertise
		return
	}
	l.wildcard = addr.Addr().IsUnspecified()
	l.hosts = make(map[netip.Addr]string)
}

// endpointTowards is the endpoint for a flow that uses local.
func (l *listener) endpointTowards(local netip.Addr) Endpoint {
	e := l.endpoint
	if !l.wildcard || !local.IsValid() {
		return e
	}
	l.mu.RLock()
	host, ok := l.hosts[local]
	l.mu.RUnlock()
	if !ok {
		host = hostOf(local)
		l.mu.Lock()
		l.hosts[local] = host
		l.mu.Unlock()
	}
	e.Host = host
	return e
}

// names says whether host and port, from the Via of a response, name this
// listener.
func (l *listener) names(host string, port uint16) bool {
	if port == 0 {
		port = l.listen.Protocol.DefaultPort()
	}
	if port != l.endpoint.Port {
		return false
	}
	if strings.EqualFold(host, l.endpoint.Host) {
		return true
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, known := range l.hosts {
		if strings.EqualFold(host, known) {
			return true
		}
	}
	return false
}

// send queues a datagram; one peer always uses the same socket, so that order
// is kept.
func (l *listener) send(f Flow, head, body []byte) error {
	s := l.sockets[0]
	if n := len(l.sockets); n > 1 {
		s = l.sockets[int(f.Remote.Port())%n]
	}
	return s.send(head, body, f.Remote, f.Local.Addr())
}

// accept takes connections until the listener is closed.
func (l *listener) accept() {
	wait := time.Duration(0)
	for {
		c, err := l.streams.Accept()
		if err == nil {
			wait = 0
			l.t.admit(l, c)
			continue
		}
		if l.closed.Load() || errors.Is(err, net.ErrClosed) {
			return
		}
		wait = min(max(2*wait, 10*time.Millisecond), time.Second)
		l.t.log.Warn("no connection can be accepted for now", "listen", l.listen.String(), "err", err, "wait", wait)
		if !sleep(l.t.ctx, wait) {
			return
		}
	}
}

// sleep waits and says whether ctx still lives.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// finish stops accepting and lets queued datagrams leave.
func (l *listener) finish() {
	l.closed.Store(true)
	if l.streams != nil {
		l.streams.Close()
	}
	for _, s := range l.sockets {
		s.finish()
	}
}

// abort closes everything at once.
func (l *listener) abort() {
	l.closed.Store(true)
	if l.streams != nil {
		l.streams.Close()
	}
	for _, s := range l.sockets {
		s.conn.Close()
	}
}
