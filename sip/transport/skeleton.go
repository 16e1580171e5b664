package transport

import (
	"context"
	"crypto/x509"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"vigie/sip"
)

type listener struct{ closed atomic.Bool }

func (l *listener) endpointTowards(local netip.Addr) Endpoint { return Endpoint{} }

type connection struct {
	closed       atomic.Bool
	certificates []*x509.Certificate
}

// Target is one place a request can be sent to.
type Target struct {
	Protocol   Protocol
	Addr       netip.AddrPort
	ServerName string
}

// Resolver finds servers (RFC 3263).
type Resolver struct{}

// Locate gives the targets of a URI in the order to try them.
func (r *Resolver) Locate(ctx context.Context, uri sip.URI) ([]Target, error) { return nil, nil }

// Memory is a network in memory for tests.
type Memory struct{}

// NewMemory makes one.
func NewMemory() *Memory { return &Memory{} }

func (n *Memory) ListenPacket(addr netip.AddrPort, o PacketOptions) (PacketConn, error) {
	return nil, nil
}
func (n *Memory) Listen(addr netip.AddrPort) (net.Listener, error) { return nil, nil }
func (n *Memory) Dial(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
	return nil, nil
}
func (n *Memory) Source(remote netip.AddrPort) (netip.Addr, error) { return netip.Addr{}, nil }

// Peer opens a UDP socket for a test's own end.
func (n *Memory) Peer(addr netip.AddrPort) (net.PacketConn, error) { return nil, nil }

// Datagrams lets a test decide what happens to each datagram: deliver it after
// each of the given delays; none drops it, two duplicate it.
func (n *Memory) Datagrams(decide func(from, to netip.AddrPort, data []byte) []time.Duration) {}
