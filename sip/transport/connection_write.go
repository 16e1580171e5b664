package transport

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"os"
	"time"
)

const (
	// entryCost is counted for every queued message on top of its bytes, so that
	// many tiny ones do not hold more memory than WriteQueue says.
	entryCost = 64
	// tlsWrite is how much is joined into one TLS write: one record's worth.
	tlsWrite = 16 << 10
)

// outgoing is one queued message.
type outgoing struct{ head, body []byte }

func (o outgoing) size() int { return len(o.head) + len(o.body) }

// send queues one message and starts the writer if it rests. A peer that lets
// its queue fill up does not read: its connection is closed.
func (c *connection) send(head, body []byte) error {
	o := outgoing{bytes.Clone(head), bytes.Clone(body)}
	if o.size() > c.t.limits.WriteQueue {
		return ErrTooLarge
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed.Load() {
		return ErrFlowClosed
	}
	if c.queued > 0 && c.queued+o.size()+entryCost > c.t.limits.WriteQueue {
		c.counters.QueueFull.Add(1)
		c.overdue("connection closed: the peer does not read what it is sent", "waiting", c.queued)
		c.closed.Store(true)
		c.raw.Close()
		return ErrQueueFull
	}
	c.queue = append(c.queue, o)
	c.queued += o.size() + entryCost
	if !c.writing {
		c.writing = true
		c.t.running.Go(c.write)
	}
	return nil
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

// write sends what is queued and ends when nothing is left.
func (c *connection) write() {
	var batch []outgoing
	var w streamWriter
	for {
		c.mu.Lock()
		for _, o := range batch {
			c.queued -= o.size() + entryCost
		}
		clear(batch)
		if len(c.queue) == 0 {
			c.writing = false
			c.idle.Broadcast()
			c.mu.Unlock()
			return
		}
		batch, c.queue = c.queue, batch[:0]
		c.mu.Unlock()

		_ = c.stream.SetWriteDeadline(time.Now().Add(c.t.limits.WriteTimeout))
		n, err := w.write(c, batch)
		c.counters.Writes.Add(1)
		c.counters.BytesOut.Add(uint64(n))
		if err != nil {
			c.fail(err, len(batch))
			continue // the queue is empty now
		}
		c.counters.MessagesOut.Add(uint64(len(batch)))
		c.spoken.Store(true)
		c.touch()
	}
}

// fail ends a connection that cannot be written to.
func (c *connection) fail(err error, unsent int) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.overdue("connection closed: the peer does not read what it is sent", "after", c.t.limits.WriteTimeout)
	} else if !errors.Is(err, net.ErrClosed) {
		c.t.log.Debug("connection lost while writing", "peer", c.remote, "err", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed.Store(true)
	c.counters.SendErrors.Add(uint64(unsent + len(c.queue)))
	for _, o := range c.queue {
		c.queued -= o.size() + entryCost
	}
	c.queue = nil
	c.raw.Close()
}

// streamWriter keeps its space from batch to batch.
type streamWriter struct {
	buffers net.Buffers
	joined  []byte
}

// write sends a batch: over TCP as it lies in memory (writev), over TLS joined
// into whole records, since encrypting copies anyway.
func (w *streamWriter) write(c *connection, batch []outgoing) (int64, error) {
	if c.protocol == TLS {
		return w.join(c, batch)
	}
	w.buffers = w.buffers[:0]
	for _, o := range batch {
		w.buffers = append(w.buffers, o.head)
		if len(o.body) > 0 {
			w.buffers = append(w.buffers, o.body)
		}
	}
	rest := w.buffers // WriteTo consumes it, and lets go of the bodies
	return rest.WriteTo(c.raw)
}

func (w *streamWriter) join(c *connection, batch []outgoing) (int64, error) {
	written := int64(0)
	w.joined = w.joined[:0]
	for i, o := range batch {
		w.joined = append(append(w.joined, o.head...), o.body...)
		if len(w.joined) < tlsWrite && i < len(batch)-1 {
			continue
		}
		n, err := c.stream.Write(w.joined)
		written += int64(n)
		if err != nil {
			return written, err
		}
		w.joined = w.joined[:0]
	}
	return written, nil
}
