package transport

import (
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// memoryWindow is how many bytes a stream of a Memory network holds in one
// direction before its writer waits, like a socket's buffers.
const memoryWindow = 64 << 10

// memoryListener accepts streams of a Memory network.
type memoryListener struct {
	network *Memory
	addr    netip.AddrPort

	mu      sync.Mutex
	cond    sync.Cond
	waiting []net.Conn
	closed  bool
}

func (l *memoryListener) offer(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.waiting = append(l.waiting, c)
	l.cond.Broadcast()
	return true
}

func (l *memoryListener) Accept() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.waiting) == 0 && !l.closed {
		l.cond.Wait()
	}
	if l.closed {
		return nil, net.ErrClosed
	}
	c := l.waiting[0]
	l.waiting = l.waiting[1:]
	return c, nil
}

func (l *memoryListener) Close() error {
	l.mu.Lock()
	l.closed = true
	waiting := l.waiting
	l.waiting = nil
	l.cond.Broadcast()
	l.mu.Unlock()
	for _, c := range waiting {
		c.Close()
	}
	l.network.mu.Lock()
	defer l.network.mu.Unlock()
	if l.network.listeners[l.addr] == l {
		delete(l.network.listeners, l.addr)
	}
	return nil
}

func (l *memoryListener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.addr) }

// memoryHalf is one direction of a stream.
type memoryHalf struct {
	mu                          sync.Mutex
	cond                        sync.Cond
	data                        []byte
	writerGone, readerGone      bool
	readDeadline, writeDeadline memoryDeadline
}

func newMemoryHalf() *memoryHalf {
	h := &memoryHalf{}
	h.cond.L = &h.mu
	return h
}

func (h *memoryHalf) read(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.readerGone:
			return 0, net.ErrClosed
		case h.readDeadline.passed():
			return 0, os.ErrDeadlineExceeded
		case len(h.data) > 0:
			n := copy(b, h.data)
			h.data = h.data[n:]
			h.cond.Broadcast()
			return n, nil
		case h.writerGone:
			return 0, io.EOF
		}
		h.cond.Wait()
	}
}

// await waits until read has something to say.
func (h *memoryHalf) await() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.data) == 0 && !h.readerGone && !h.writerGone && !h.readDeadline.passed() {
		h.cond.Wait()
	}
}

// writeNow writes what fits the window.
func (h *memoryHalf) writeNow(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.writerGone:
		return 0, net.ErrClosed
	case h.readerGone:
		return 0, syscall.EPIPE
	}
	n := min(memoryWindow-len(h.data), len(b))
	h.data = append(h.data, b[:n]...)
	h.cond.Broadcast()
	return n, nil
}

func (h *memoryHalf) write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	written := 0
	for {
		switch {
		case h.writerGone:
			return written, net.ErrClosed
		case h.readerGone:
			return written, syscall.EPIPE
		case h.writeDeadline.passed():
			return written, os.ErrDeadlineExceeded
		}
		n := min(memoryWindow-len(h.data), len(b)-written)
		h.data = append(h.data, b[written:written+n]...)
		written += n
		h.cond.Broadcast()
		if written == len(b) {
			return written, nil
		}
		h.cond.Wait()
	}
}

func (h *memoryHalf) end(gone *bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	*gone = true
	h.readDeadline.set(time.Time{}, &h.cond)
	h.writeDeadline.set(time.Time{}, &h.cond)
}

func (h *memoryHalf) setDeadline(d *memoryDeadline, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	d.set(at, &h.cond)
}

// memoryConn is one end of a stream.
type memoryConn struct {
	in, out       *memoryHalf
	local, remote netip.AddrPort
}

func memoryPipe(a, b netip.AddrPort) (near, far *memoryConn) {
	there, back := newMemoryHalf(), newMemoryHalf()
	return &memoryConn{in: back, out: there, local: a, remote: b},
		&memoryConn{in: there, out: back, local: b, remote: a}
}

func (c *memoryConn) Read(b []byte) (int, error)  { return c.in.read(b) }
func (c *memoryConn) Write(b []byte) (int, error) { return c.out.write(b) }

func (c *memoryConn) writeNow(b []byte) (int, error) { return c.out.writeNow(b) }

func (c *memoryConn) readInto(s space) (int, error) {
	c.in.await()
	return c.in.read(s.take())
}

func (c *memoryConn) Close() error {
	c.in.end(&c.in.readerGone)
	c.out.end(&c.out.writerGone)
	return nil
}

func (c *memoryConn) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(c.local) }
func (c *memoryConn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

func (c *memoryConn) SetDeadline(at time.Time) error {
	_ = c.SetReadDeadline(at)
	return c.SetWriteDeadline(at)
}

func (c *memoryConn) SetReadDeadline(at time.Time) error {
	c.in.setDeadline(&c.in.readDeadline, at)
	return nil
}

func (c *memoryConn) SetWriteDeadline(at time.Time) error {
	c.out.setDeadline(&c.out.writeDeadline, at)
	return nil
}
