package transport

import (
	"context"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// Memory is a network in memory for tests. Everything in it blocks on
// condition variables and timers only, so that a testing/synctest bubble sees
// when all is quiet and drives its time; it must be made inside the bubble.
// Datagrams arrive at once and in order unless Datagrams says otherwise.
type Memory struct {
	mu        sync.Mutex
	packets   map[netip.AddrPort]*memoryPacket
	listeners map[netip.AddrPort]*memoryListener
	holes     map[netip.AddrPort]bool
	decide    func(from, to netip.AddrPort, data []byte) []time.Duration
	lastPort  uint16
}

// NewMemory makes an empty network.
func NewMemory() *Memory {
	return &Memory{
		packets:   make(map[netip.AddrPort]*memoryPacket),
		listeners: make(map[netip.AddrPort]*memoryListener),
		holes:     make(map[netip.AddrPort]bool),
		lastPort:  40000,
	}
}

// Datagrams lets a test decide what happens to each datagram from now on: it is
// delivered after each of the returned delays, so none drops it and two
// duplicate it. nil delivers everything at once.
func (n *Memory) Datagrams(decide func(from, to netip.AddrPort, data []byte) []time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.decide = decide
}

// Blackhole makes connections to addr neither open nor be refused.
func (n *Memory) Blackhole(addr netip.AddrPort) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.holes[addr] = true
}

// Peer opens a UDP socket for a test's own end.
func (n *Memory) Peer(addr netip.AddrPort) (net.PacketConn, error) {
	c, err := n.open(addr)
	if err != nil {
		return nil, err
	}
	return memoryPeer{c}, nil
}

// ListenPacket opens a UDP socket.
func (n *Memory) ListenPacket(addr netip.AddrPort, _ PacketOptions) (PacketConn, error) {
	c, err := n.open(addr)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (n *Memory) open(addr netip.AddrPort) (*memoryPacket, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	addr = n.withPort(addr)
	if n.packets[addr] != nil {
		return nil, memoryError("listen", "udp", addr, syscall.EADDRINUSE)
	}
	c := &memoryPacket{network: n, addr: addr}
	c.cond.L = &c.mu
	n.packets[addr] = c
	return c, nil
}

// Listen opens a stream listener.
func (n *Memory) Listen(addr netip.AddrPort) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	addr = n.withPort(addr)
	if n.listeners[addr] != nil {
		return nil, memoryError("listen", "tcp", addr, syscall.EADDRINUSE)
	}
	l := &memoryListener{network: n, addr: addr}
	l.cond.L = &l.mu
	n.listeners[addr] = l
	return l, nil
}

// Dial opens a stream; without a listener at remote it is refused.
func (n *Memory) Dial(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
	if !local.IsValid() {
		local, _ = n.Source(remote)
	}
	n.mu.Lock()
	from := n.withPort(netip.AddrPortFrom(local, 0))
	listener, hole := n.listeners[remote], n.holes[remote]
	if listener == nil {
		listener = n.listeners[wildcardOf(remote)]
	}
	n.mu.Unlock()
	if hole {
		<-ctx.Done()
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(remote), Err: ctx.Err()}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if listener == nil {
		return nil, memoryError("dial", "tcp", remote, syscall.ECONNREFUSED)
	}
	near, far := memoryPipe(from, remote)
	if !listener.offer(far) {
		return nil, memoryError("dial", "tcp", remote, syscall.ECONNREFUSED)
	}
	return near, nil
}

// Source gives the loopback address of remote's family, which is where a
// socket without an address of its own sends from.
func (n *Memory) Source(remote netip.AddrPort) (netip.Addr, error) {
	if remote.Addr().Is4() {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}), nil
	}
	return netip.IPv6Loopback(), nil
}

// withPort chooses a port where addr has none. n.mu is held.
func (n *Memory) withPort(addr netip.AddrPort) netip.AddrPort {
	if addr.Port() != 0 {
		return addr
	}
	n.lastPort++
	return netip.AddrPortFrom(addr.Addr(), n.lastPort)
}

// deliver carries one datagram; data is the receiver's to keep.
func (n *Memory) deliver(from, to netip.AddrPort, data []byte) {
	n.mu.Lock()
	decide := n.decide
	n.mu.Unlock()
	if decide == nil {
		n.arrive(from, to, data)
		return
	}
	for _, delay := range decide(from, to, data) {
		if delay <= 0 {
			n.arrive(from, to, data)
			continue
		}
		time.AfterFunc(delay, func() { n.arrive(from, to, data) })
	}
}

// arrive puts a datagram into the socket at to, if there is one by now.
func (n *Memory) arrive(from, to netip.AddrPort, data []byte) {
	n.mu.Lock()
	c := n.packets[to]
	if c == nil {
		c = n.packets[wildcardOf(to)]
	}
	n.mu.Unlock()
	if c != nil {
		c.arrive(memoryDatagram{from: from, to: to.Addr(), data: data})
	}
}

func wildcardOf(a netip.AddrPort) netip.AddrPort {
	if a.Addr().Is4() {
		return netip.AddrPortFrom(netip.IPv4Unspecified(), a.Port())
	}
	return netip.AddrPortFrom(netip.IPv6Unspecified(), a.Port())
}

func memoryError(op, network string, addr netip.AddrPort, errno syscall.Errno) error {
	return &net.OpError{Op: op, Net: network, Addr: net.TCPAddrFromAddrPort(addr), Err: os.NewSyscallError(op, errno)}
}

// memoryDeadline wakes whoever waits on a condition variable at a time. Its
// methods are called with the variable's lock held.
type memoryDeadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *memoryDeadline) set(at time.Time, c *sync.Cond) {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.at = at
	if !at.IsZero() {
		d.timer = time.AfterFunc(time.Until(at), func() {
			c.L.Lock()
			defer c.L.Unlock()
			c.Broadcast()
		})
	}
	c.Broadcast()
}

func (d *memoryDeadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }
