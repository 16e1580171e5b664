package transport

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"
)

type memoryDatagram struct {
	from netip.AddrPort
	to   netip.Addr
	data []byte
}

// memoryPacket is a UDP socket of a Memory network.
type memoryPacket struct {
	network *Memory
	addr    netip.AddrPort

	mu       sync.Mutex // never held while the network's is taken
	cond     sync.Cond
	queue    []memoryDatagram
	closed   bool
	deadline memoryDeadline
}

func (c *memoryPacket) arrive(d memoryDatagram) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.queue = append(c.queue, d)
		c.cond.Broadcast()
	}
}

// take gives up to max datagrams and waits for the first if it shall. c.mu is free.
func (c *memoryPacket) take(max int, wait bool) ([]memoryDatagram, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case c.closed:
			return nil, net.ErrClosed
		case c.deadline.passed():
			return nil, os.ErrDeadlineExceeded
		case len(c.queue) > 0:
			taken := slices.Clone(c.queue[:min(max, len(c.queue))])
			c.queue = slices.Delete(c.queue, 0, len(taken))
			return taken, nil
		case !wait:
			return nil, nil
		}
		c.cond.Wait()
	}
}

func (c *memoryPacket) ReadBatch(batch []Datagram, wait bool) (int, error) {
	taken, err := c.take(len(batch), wait)
	for i, d := range taken {
		batch[i].N = copy(batch[i].Data, d.data)
		batch[i].Addr = d.from
		batch[i].Local = d.to
	}
	return len(taken), err
}

func (c *memoryPacket) WriteBatch(batch []Datagram) (int, error) {
	for i, d := range batch {
		if err := c.send(d); err != nil {
			return i, err
		}
	}
	return len(batch), nil
}

func (c *memoryPacket) send(d Datagram) error {
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return net.ErrClosed
	}
	from := c.addr
	if from.Addr().IsUnspecified() {
		local := d.Local
		if !local.IsValid() {
			local, _ = c.network.Source(d.Addr)
		}
		from = netip.AddrPortFrom(local, from.Port())
	}
	c.network.deliver(from, d.Addr, slices.Clone(d.Data))
	return nil
}

func (c *memoryPacket) LocalAddr() netip.AddrPort { return c.addr }
func (c *memoryPacket) ReceiveBuffer() int        { return 0 }

func (c *memoryPacket) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return net.ErrClosed
	}
	c.closed = true
	c.queue = nil
	c.deadline.set(time.Time{}, &c.cond)
	c.mu.Unlock()

	c.network.mu.Lock()
	defer c.network.mu.Unlock()
	if c.network.packets[c.addr] == c {
		delete(c.network.packets, c.addr)
	}
	return nil
}

// memoryPeer is a memoryPacket with the methods tests know from package net.
type memoryPeer struct{ c *memoryPacket }

func (p memoryPeer) ReadFrom(b []byte) (int, net.Addr, error) {
	taken, err := p.c.take(1, true)
	if err != nil {
		return 0, nil, err
	}
	return copy(b, taken[0].data), net.UDPAddrFromAddrPort(taken[0].from), nil
}

func (p memoryPeer) WriteTo(b []byte, to net.Addr) (int, error) {
	if err := p.c.send(Datagram{Data: b, Addr: addrPortOf(to)}); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (p memoryPeer) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(p.c.addr) }
func (p memoryPeer) Close() error        { return p.c.Close() }

func (p memoryPeer) SetDeadline(at time.Time) error { return p.SetReadDeadline(at) }
func (p memoryPeer) SetReadDeadline(at time.Time) error {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	p.c.deadline.set(at, &p.c.cond)
	return nil
}
func (p memoryPeer) SetWriteDeadline(time.Time) error { return nil } // writing never waits
