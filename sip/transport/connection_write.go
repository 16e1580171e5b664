package transport

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"
)

const (
	// writeSpace is what the first message that waits gets: room for most.
	writeSpace = 2 << 10
	// writeSize is the most that is written at a time, if no message is longer.
	writeSize = 32 << 10
	// keptWrite is the largest space that is used again: writeSize, encrypted.
	keptWrite = 64 << 10
)

// outgoing is messages of one connection, one after the other, written at a time.
type outgoing struct {
	bytes    []byte
	messages int
	size     int // bytes of the messages, before encryption
	next     *outgoing
}

var outgoings = sync.Pool{New: func() any { return &outgoing{bytes: make([]byte, 0, writeSpace)} }}

func newOutgoing() *outgoing { return outgoings.Get().(*outgoing) }

func (o *outgoing) release() {
	if cap(o.bytes) <= keptWrite {
		*o = outgoing{bytes: o.bytes[:0]}
		outgoings.Put(o)
	}
}

// outbox is the messages that wait, a copy of each.
type outbox struct{ first, last *outgoing }

func (b *outbox) add(head, body []byte) {
	size := len(head) + len(body)
	o := b.last
	switch {
	case o == nil:
		o = newOutgoing()
		b.first, b.last = o, o
	case len(o.bytes)+size > writeSize:
		o.next = newOutgoing()
		o = o.next
		b.last = o
	}
	o.bytes = append(append(o.bytes, head...), body...)
	o.messages++
	o.size += size
}

// take gives what is written next, nil when nothing is.
func (b *outbox) take() *outgoing {
	o := b.first
	if o == nil {
		return nil
	}
	if b.first = o.next; b.first == nil {
		b.last = nil
	}
	o.next = nil
	return o
}

// send copies one message to those that wait and tells the writer. A peer that
// lets its queue fill up does not read: its connection is closed.
func (c *connection) send(head, body []byte) error {
	size := len(head) + len(body)
	if size > c.t.limits.WriteQueue {
		return ErrTooLarge
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed.Load() {
		return ErrFlowClosed
	}
	if c.queued > 0 && c.queued+size > c.t.limits.WriteQueue {
		c.counters.QueueFull.Add(1)
		c.overdue("connection closed: the peer does not read what it is sent", "waiting", c.queued)
		c.closed.Store(true)
		c.raw.Close()
		return ErrQueueFull
	}
	c.waiting.add(head, body)
	c.queued += size
	c.wakeWriter()
	return nil
}

// wakeWriter has the writer look at the connection. c.mu is held.
func (c *connection) wakeWriter() {
	c.due = true
	if !c.writing {
		c.writing = true
		c.writer.add(c)
	}
}

// overdue counts and logs that a slow peer loses its connection. An operator is
// told once a minute: whoever opens thousands of connections shall not fill the disk.
func (c *connection) overdue(message string, details ...any) {
	c.counters.Overdue.Add(1)
	level, now := slog.LevelDebug, time.Now().UnixNano()
	if last := c.t.slow.Load(); (last == 0 || now-last >= int64(time.Minute)) && c.t.slow.CompareAndSwap(last, now) {
		level = slog.LevelWarn
	}
	c.t.log.Log(c.t.ctx, level, message, append([]any{"protocol", c.protocol.String(), "peer", c.remote}, details...)...)
}

// write sends what waits, as far as the peer takes it at once. For the rest the
// connection gets a goroutine, which waits for the peer.
func (c *connection) write() {
	out, err := c.next()
	if err != nil {
		c.fail(err, out)
		return
	}
	n, err := c.raw.writeNow(out.bytes)
	c.counters.Writes.Add(1)
	switch {
	case err != nil:
		c.fail(err, out)
	case n < len(out.bytes):
		c.t.running.Go(func() { c.drain(out, n) })
	case c.sent(out):
		c.writer.add(c)
	}
}

// drain sends out from its n-th byte on, and then what waits, until nothing does.
func (c *connection) drain(out *outgoing, n int) {
	for {
		_ = c.raw.SetWriteDeadline(time.Now().Add(c.t.limits.WriteTimeout))
		_, err := c.raw.Write(out.bytes[n:])
		c.counters.Writes.Add(1)
		if err != nil {
			c.fail(err, out)
			return
		}
		if !c.sent(out) {
			return
		}
		if out, err = c.next(); err != nil {
			c.fail(err, out)
			return
		}
		n = 0
	}
}

// next takes what waits, ready for the network: encrypted, if it is to be.
func (c *connection) next() (*outgoing, error) {
	c.mu.Lock()
	out := c.waiting.take()
	c.due = c.waiting.first != nil
	c.mu.Unlock()
	if out == nil {
		out = newOutgoing() // there are records of TLS alone
	}
	if c.wire == nil {
		return out, nil
	}
	return out, c.wire.seal(out)
}

// sent is called when out has left. It says whether more waits; if not, the
// writer is done with the connection.
func (c *connection) sent(out *outgoing) (more bool) {
	if out.messages > 0 {
		c.counters.BytesOut.Add(uint64(out.size))
		c.counters.MessagesOut.Add(uint64(out.messages))
		c.spoken.Store(true)
		c.touch()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queued -= out.size
	out.release()
	if !c.due {
		c.rest()
	}
	return c.due
}

// rest says that nothing is being written. c.mu is held.
func (c *connection) rest() {
	c.writing = false
	c.idle.Broadcast()
}

// fail ends a connection that cannot be written to.
func (c *connection) fail(err error, unsent *outgoing) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.overdue("connection closed: the peer does not read what it is sent", "after", c.t.limits.WriteTimeout)
	} else if !errors.Is(err, net.ErrClosed) {
		c.t.log.Debug("connection lost while writing", "peer", c.remote, "err", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed.Store(true)
	for out := unsent; out != nil; out = c.waiting.take() {
		c.counters.SendErrors.Add(uint64(out.messages))
	}
	c.due, c.queued = false, 0
	c.raw.Close()
	c.rest()
}
