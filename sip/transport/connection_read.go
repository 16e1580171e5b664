package transport

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"vigie/sip"
)

const (
	// readSpace is what a connection at rest holds for reading.
	readSpace = 4 << 10
	// keptSpace is the most it keeps after a large message.
	keptSpace = 16 << 10
)

// pong answers a keep-alive (RFC 5626 §4.4.1).
var pong = []byte("\r\n")

// reader is the reading side of a connection: the bytes that are not yet a
// whole message, and since when they wait.
type reader struct {
	c        *connection
	held     []byte
	split    sip.Splitter
	since    time.Time // when the first of held came
	lineEnds int       // bytes of CRLF since the last message or answered ping
	lineTime time.Time // when the last of them came
}

// read parses the stream until it ends, framing is lost or the peer is too
// slow or silent.
func (c *connection) read() {
	r := &reader{c: c, held: make([]byte, 0, readSpace)}
	var stream net.Conn = c.raw
	if c.wire != nil {
		stream = c.wire.session
	}
	for r.wait() {
		n, err := stream.Read(r.held[len(r.held):cap(r.held)])
		if n > 0 {
			c.counters.Reads.Add(1)
			c.counters.BytesIn.Add(uint64(n))
			if len(r.held) == 0 {
				r.since = time.Now()
			}
			r.held = r.held[:len(r.held)+n]
			if !r.consume() {
				return
			}
		}
		if err != nil && !r.goesOn(err) {
			return
		}
	}
}

// wait sets the time until which the next byte must come and makes room for
// it. It says false when the connection is to end.
func (r *reader) wait() bool {
	if len(r.held) == cap(r.held) {
		r.held = append(make([]byte, 0, 2*cap(r.held)), r.held...)
	} else if len(r.held) == 0 && cap(r.held) > keptSpace {
		r.held = make([]byte, 0, readSpace)
	}
	c := r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed.Load() {
		return false
	}
	return c.raw.SetReadDeadline(r.deadline()) == nil
}

// deadline is when the connection has been silent for too long: in the middle
// of a message, before the first one, or altogether.
func (r *reader) deadline() time.Time {
	limits := r.c.t.limits
	if len(r.held) > 0 {
		return r.since.Add(limits.ReadTimeout)
	}
	last := time.Unix(0, r.c.active.Load())
	if !r.c.spoken.Load() {
		return last.Add(transactionTime)
	}
	return last.Add(limits.IdleTimeout)
}

// goesOn decides about an error from reading: messages sent meanwhile keep a
// connection open, everything else ends it.
func (r *reader) goesOn(err error) bool {
	c := r.c
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
			c.t.log.Debug("connection lost", "peer", c.remote, "err", err)
		}
		return false
	}
	if c.closed.Load() {
		return false
	}
	if time.Now().Before(r.deadline()) {
		return true
	}
	if len(r.held) > 0 {
		c.overdue("connection closed: the peer sends a message too slowly", "received", len(r.held), "after", c.t.limits.ReadTimeout)
	} else {
		c.t.log.Debug("connection closed: nothing passed for long", "peer", c.remote)
	}
	return false
}

// consume takes all whole messages out of what is held (RFC 3261 §7.5,
// §18.3). It says false when framing is lost.
func (r *reader) consume() bool {
	c := r.c
	rest := r.held
	for len(rest) > 0 {
		skip, n, err := r.split.Split(rest, c.t.limits.MaxMessage)
		if skip > 0 {
			r.keepAlive(skip)
			rest = rest[skip:]
		}
		if err != nil {
			r.lost(err)
			return false
		}
		if n > 0 {
			r.message(rest[:n])
			rest = rest[n:]
		}
		if n == 0 {
			break
		}
	}
	if len(rest) < len(r.held) {
		r.held = r.held[:copy(r.held, rest)]
		r.since = time.Now()
	}
	return true
}

func (r *reader) message(data []byte) {
	c := r.c
	r.lineEnds = 0
	c.spoken.Store(true)
	c.touch()
	m, err := c.t.parser.ParseFramed(data)
	c.t.deliver(m, c.flow(), err)
}

// keepAlive answers CRLF CRLF with CRLF, however the bytes were cut; a single
// CRLF is somebody's answer and is passed over (RFC 5626 §4.4.1).
func (r *reader) keepAlive(bytes int) {
	c := r.c
	now := time.Now()
	if now.Sub(r.lineTime) > c.t.limits.ReadTimeout {
		r.lineEnds = 0 // two single ones far apart are no ping
	}
	r.lineTime = now
	c.spoken.Store(true)
	c.touch()
	for r.lineEnds += bytes; r.lineEnds >= 4; r.lineEnds -= 4 {
		_ = c.send(pong, nil) // when it fails, the connection ends by itself
	}
}

// lost answers a message whose end cannot be found, where it can be answered;
// the connection closes after that (RFC 3261 §18.3).
func (r *reader) lost(err error) {
	c := r.c
	c.t.log.Debug("connection closed: the end of a message cannot be found", "peer", c.remote, "err", err)
	c.t.deliver(nil, c.flow(), err)
}
