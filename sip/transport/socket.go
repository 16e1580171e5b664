package transport

import (
	"errors"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"time"
)

const (
	readBatch  = 32  // datagrams per recvmmsg
	writeBatch = 128 // datagrams per sendmmsg

	// maxDatagram is the space for one datagram: more than UDP can carry, so
	// that none is cut (RFC 3261 §18.1.1).
	maxDatagram = 65536
	// queueShare is what a waiting datagram may take of memory on average: more
	// than fits a packet, far less than a datagram can hold.
	queueShare = 2 << 10
	// keptQueue is the queue a quiet socket keeps after a burst, in datagrams.
	keptQueue = 4096
)

// socket is one UDP socket with the goroutine that reads and the one that
// writes. Senders append to a queue; the writer takes all of it at once.
type socket struct {
	listener *listener
	conn     PacketConn
	counters *Counters

	mu        sync.Mutex
	wake      sync.Cond
	queue     []Datagram
	queued    int // bytes of queue
	finishing bool
}

func newSocket(l *listener, c PacketConn) *socket {
	s := &socket{listener: l, conn: c, counters: &l.t.metrics.ByProtocol[UDP]}
	s.wake.L = &s.mu
	return s
}

func (s *socket) send(d Datagram) error {
	most := 65527 // RFC 768, RFC 8200 §3: 65535 less the UDP header
	if d.Addr.Addr().Is4() {
		most = 65507 // the IPv4 header counts too
	}
	size := len(d.Head) + len(d.Body)
	if size > most {
		return ErrTooLarge
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.finishing {
		return ErrFlowClosed
	}
	if n := s.listener.t.limits.DatagramQueue; len(s.queue) >= n || len(s.queue) > 0 && s.queued+size > n*queueShare {
		s.counters.QueueFull.Add(1)
		return ErrQueueFull
	}
	s.queue = append(s.queue, d)
	s.queued += size
	if len(s.queue) == 1 {
		s.wake.Signal()
	}
	return nil
}

// finish lets the writer send what waits and then close the socket.
func (s *socket) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finishing = true
	s.wake.Signal()
}

// write sends what is queued until the socket is finished.
func (s *socket) write() {
	defer s.conn.Close()
	var batch []Datagram
	for s.wait() {
		runtime.Gosched() // who is about to answer gets into the batch (BenchmarkRefreshPublish of interop)
		s.mu.Lock()
		batch, s.queue = s.queue, batch[:0]
		s.queued = 0
		s.mu.Unlock()

		s.flush(batch)
		clear(batch)
		if cap(batch) > keptQueue {
			batch = nil
		}
	}
}

// wait waits for something to send; false ends the socket.
func (s *socket) wait() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) == 0 && !s.finishing {
		s.wake.Wait()
	}
	return len(s.queue) > 0
}

// flush sends a batch in order. A datagram that the network does not take is
// counted and left out: the transaction above repeats it or gives up.
func (s *socket) flush(batch []Datagram) {
	for len(batch) > 0 {
		n, err := s.conn.WriteBatch(batch[:min(len(batch), writeBatch)])
		s.counters.Writes.Add(1)
		s.countSent(batch[:n])
		batch = batch[n:]
		if err == nil || len(batch) == 0 {
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		s.counters.SendErrors.Add(1)
		s.listener.t.log.Debug("datagram not sent", "peer", batch[0].Addr, "err", err)
		batch = batch[1:]
	}
}

func (s *socket) countSent(sent []Datagram) {
	bytes := 0
	for i := range sent {
		bytes += len(sent[i].Head) + len(sent[i].Body)
	}
	s.counters.MessagesOut.Add(uint64(len(sent)))
	s.counters.BytesOut.Add(uint64(bytes))
}

// read hands datagrams up until the socket is closed.
func (s *socket) read() {
	t := s.listener.t
	space := make([]byte, readBatch*maxDatagram)
	batch := make([]Datagram, readBatch)
	for i := range batch {
		batch[i].Head = space[i*maxDatagram : (i+1)*maxDatagram : (i+1)*maxDatagram]
	}
	for {
		n, err := s.conn.ReadBatch(batch)
		s.counters.Reads.Add(1)
		for i := range batch[:n] {
			s.receive(&batch[i])
		}
		// In a storm the kernel's buffer is emptied first, so that answers to NOTIFYs
		// do not stand behind requests. Else what these led to is done before more is
		// read, and more has come then: waiting for the network costs more than a turn
		// of the others.
		if n < len(batch) {
			runtime.Gosched()
		}
		if err == nil {
			continue
		}
		if s.listener.closed.Load() || errors.Is(err, net.ErrClosed) {
			return
		}
		t.log.Warn("datagrams cannot be read for now", "listen", s.listener.listen.String(), "err", err)
		if !sleep(t.ctx, 10*time.Millisecond) {
			return
		}
	}
}

// receive parses one datagram. Its space is used again afterwards: parsing
// copies it once.
func (s *socket) receive(d *Datagram) {
	data := d.Head[:d.N]
	s.counters.BytesIn.Add(uint64(len(data)))
	if ignorable(data) {
		return
	}
	local := s.listener.listen.Addr
	if d.Local.IsValid() && local.Addr().IsUnspecified() {
		local = netip.AddrPortFrom(d.Local, local.Port())
	}
	flow := Flow{Protocol: UDP, Local: local, Remote: d.Addr, listener: s.listener}
	m, err := s.listener.t.parser.Parse(data)
	if err == nil && len(data) > s.listener.t.limits.MaxMessage {
		err = tooLarge(m)
	}
	s.listener.t.deliver(m, flow, err)
}

// ignorable tells what is no SIP: keep-alives of a few line ends or zero
// bytes, which are never answered on UDP (RFC 5626 §5.4), and STUN, whose
// first octet is 0 or 1 (RFC 5626 §8).
func ignorable(data []byte) bool {
	if len(data) == 0 || data[0] <= 1 {
		return true
	}
	for _, b := range data {
		if b != '\r' && b != '\n' && b != ' ' && b != 0 {
			return false
		}
	}
	return true
}
