package transport

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"vigie/sip"
)

const (
	// readSpace is for what comes at a time: much, from a proxy.
	readSpace = 16 << 10
	// restSpace is what a TLS connection at rest reads into: room for a response.
	restSpace = 512
)

// readSpaces are for connections that are not at rest.
var readSpaces = sync.Pool{New: func() any { b := make([]byte, readSpace); return &b }}

// pong answers a keep-alive (RFC 5626 §4.4.1).
var pong = []byte("\r\n")

// reader is the reading side of a connection: the bytes that are not yet a
// whole message, and since when they wait.
type reader struct {
	c        *connection
	held     []byte
	space    *[]byte // of readSpaces, while there is something
	first    []byte  // of restSpace, for TLS
	more     bool    // TLS has more than the space held
	split    sip.Splitter
	now      time.Time // when something came last
	since    time.Time // when the first of held came
	armed    time.Time // what the timer is set to; zero: it is not
	lineEnds int       // bytes of CRLF since the last message or answered ping
	lineTime time.Time // when the last of them came
}

// read parses the stream until it ends, framing is lost or the peer is too
// slow or silent.
func (c *connection) read() {
	r := &reader{c: c}
	if c.wire != nil {
		r.first = make([]byte, restSpace)
	}
	defer r.giveBack()
	for r.wait() {
		n, err := r.fill()
		if n > 0 {
			c.counters.Reads.Add(1)
			c.counters.BytesIn.Add(uint64(n))
			r.now = time.Now()
			if len(r.held) == 0 {
				r.since = r.now
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

// fill reads once. At rest, space is taken when something is there; TLS, which
// cannot tell, begins with little.
func (r *reader) fill() (int, error) {
	if r.c.wire != nil {
		return r.fillFromSession()
	}
	if len(r.held) == 0 {
		r.giveBack()
		return r.c.raw.readInto(r)
	}
	if len(r.held) == cap(r.held) {
		r.grow()
	}
	return r.c.raw.Read(r.held[len(r.held):cap(r.held)])
}

// fillFromSession begins with little space and goes on with more while the
// session has as much as fits.
func (r *reader) fillFromSession() (int, error) {
	if len(r.held) == 0 && !r.more {
		r.giveBack()
		r.held = r.first[:0]
	}
	if r.more || len(r.held) == cap(r.held) {
		r.grow()
	}
	room := r.held[len(r.held):cap(r.held)]
	n, err := r.c.wire.session.Read(room)
	r.more = n == len(room)
	return n, err
}

// grow makes room behind what is held.
func (r *reader) grow() {
	if held := r.held; r.space == nil {
		r.take()
		r.held = append(r.held, held...)
	} else if len(held) > cap(held)/2 {
		r.held = append(make([]byte, 0, 2*cap(held)), held...)
	}
}

// take and giveBack are for readInto.
func (r *reader) take() []byte {
	r.space = readSpaces.Get().(*[]byte)
	r.held = (*r.space)[:0]
	return *r.space
}

func (r *reader) giveBack() {
	if r.space != nil {
		readSpaces.Put(r.space)
		r.space, r.held = nil, nil
	}
}

// wait sees to it that the reader wakes by the time the next byte must come. A
// timer that is set to less is let run, and set anew then, since to set it for
// every message costs more. It says false when the connection is to end.
func (r *reader) wait() bool {
	c := r.c
	if c.closed.Load() {
		return false
	}
	deadline := r.deadline()
	if !r.armed.IsZero() && !r.armed.After(deadline) {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed.Load() {
		return false
	}
	r.armed = deadline
	return c.raw.SetReadDeadline(deadline) == nil
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
		r.armed = time.Time{}
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
		r.since = r.now
	}
	return true
}

func (r *reader) message(data []byte) {
	c := r.c
	r.lineEnds = 0
	c.spoken.Store(true)
	c.active.Store(r.now.UnixNano())
	m, err := c.t.parser.ParseFramed(data)
	c.t.deliver(m, c.flow(), err)
}

// keepAlive answers CRLF CRLF with CRLF, however the bytes were cut; a single
// CRLF is somebody's answer and is passed over (RFC 5626 §4.4.1).
func (r *reader) keepAlive(bytes int) {
	c := r.c
	if r.now.Sub(r.lineTime) > c.t.limits.ReadTimeout {
		r.lineEnds = 0 // two single ones far apart are no ping
	}
	r.lineTime = r.now
	c.spoken.Store(true)
	c.active.Store(r.now.UnixNano())
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
