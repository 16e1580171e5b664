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
	// chunkSize is the space that datagrams to send are copied into at a time, and
	// keptChunks how many a quiet socket keeps.
	chunkSize  = 128 << 10
	keptChunks = 8
)

// socket is one UDP socket with the goroutine that reads and the one that
// writes. Senders append to a queue; the writer takes all of it at once.
type socket struct {
	listener *listener
	conn     PacketConn
	counters *Counters

	mu        sync.Mutex
	wake      sync.Cond // the writer, which waits for datagrams
	taken     sync.Cond // those who wait for the writer
	writing   bool      // there is a writer
	queue     packets
	spare     [][]byte // chunks
	queued    int      // bytes of queue
	finishing bool
}

// packets is datagrams on their way out and the chunks that hold their bytes, so
// that neither senders nor the collector have to do with them
// (BenchmarkRefreshPublish of interop).
type packets struct {
	datagrams []Datagram
	chunks    [][]byte
}

func newSocket(l *listener, c PacketConn) *socket {
	s := &socket{listener: l, conn: c, counters: &l.t.metrics.ByProtocol[UDP]}
	s.wake.L, s.taken.L = &s.mu, &s.mu
	return s
}

// send queues a copy of head and body as one datagram.
func (s *socket) send(head, body []byte, addr netip.AddrPort, local netip.Addr) error {
	most := 65527 // RFC 768, RFC 8200 §3: 65535 less the UDP header
	if addr.Addr().Is4() {
		most = 65507 // the IPv4 header counts too
	}
	size := len(head) + len(body)
	if size > most {
		return ErrTooLarge
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.finishing {
		return ErrFlowClosed
	}
	waiting := len(s.queue.datagrams)
	if n := s.listener.t.limits.DatagramQueue; waiting >= n || waiting > 0 && s.queued+size > n*queueShare {
		s.counters.QueueFull.Add(1)
		return ErrQueueFull
	}
	s.queue.datagrams = append(s.queue.datagrams, Datagram{Data: s.keep(head, body), Addr: addr, Local: local})
	s.queued += size
	if waiting == 0 {
		s.wake.Signal()
	}
	return nil
}

// keep copies head and body into the newest chunk with room for them. With mu.
func (s *socket) keep(head, body []byte) []byte {
	last := len(s.queue.chunks) - 1
	if last < 0 || cap(s.queue.chunks[last])-len(s.queue.chunks[last]) < len(head)+len(body) {
		s.queue.chunks = append(s.queue.chunks, s.chunk())
		last++
	}
	chunk := s.queue.chunks[last]
	start := len(chunk)
	chunk = append(append(chunk, head...), body...)
	s.queue.chunks[last] = chunk
	return chunk[start:]
}

// chunk gives an empty one. With mu.
func (s *socket) chunk() []byte {
	last := len(s.spare) - 1
	if last < 0 {
		return make([]byte, 0, chunkSize)
	}
	chunk := s.spare[last]
	s.spare = s.spare[:last]
	return chunk
}

// finish lets the writer send what waits and then close the socket.
func (s *socket) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finishing = true
	s.wake.Signal()
	s.taken.Broadcast()
}

// settle waits until the writer has taken what is queued.
func (s *socket) settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue.datagrams) > 0 && s.writing && !s.finishing {
		s.taken.Wait()
	}
}

// write sends what is queued until the socket is finished.
func (s *socket) write() {
	defer s.conn.Close()
	var sent packets
	for s.wait() {
		runtime.Gosched() // who is about to answer gets into the batch (BenchmarkRefreshPublish of interop)
		batch := s.take(sent)
		s.flush(batch.datagrams)
		sent = batch
	}
}

// take gives all that waits; new datagrams go where the sent ones were.
func (s *socket) take(sent packets) packets {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, chunk := range sent.chunks {
		if len(s.spare) < keptChunks {
			s.spare = append(s.spare, chunk[:0])
		}
	}
	clear(sent.chunks)
	if cap(sent.datagrams) > keptQueue {
		sent = packets{}
	}
	batch := s.queue
	s.queue = packets{sent.datagrams[:0], sent.chunks[:0]}
	s.queued = 0
	s.taken.Broadcast()
	return batch
}

// wait waits for something to send; false ends the socket.
func (s *socket) wait() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing = true
	for len(s.queue.datagrams) == 0 && !s.finishing {
		s.wake.Wait()
	}
	return len(s.queue.datagrams) > 0
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
		bytes += len(sent[i].Data)
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
		batch[i].Data = space[i*maxDatagram : (i+1)*maxDatagram : (i+1)*maxDatagram]
	}
	for wait, full := true, 0; ; {
		n, err := s.conn.ReadBatch(batch, wait)
		s.counters.Reads.Add(1)
		for i := range batch[:n] {
			s.receive(&batch[i])
		}
		// Of a flood some is read at a time (BenchmarkStorm, BenchmarkBesidePopular of
		// interop). Else what was read is dealt with before more is, and more has come
		// then.
		if full++; n < len(batch) || full == turn {
			wait, full = !yield() && n < len(batch), 0
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

// yield lets the others run and says whether any did. While they do, the reader asks
// the socket itself after each turn: the runtime, which would wake it, looks at the
// network only every ten milliseconds as long as it has anything else to run
// (BenchmarkBesidePopular of interop).
func yield() bool {
	start := time.Now()
	runtime.Gosched()
	return time.Since(start) > idleTurn
}

// turn is how many full batches are read before the others run: enough that what
// they do meanwhile fills many again, and half a millisecond of reading.
const turn = 4

// idleTurn is more than a turn of the others takes when there are none.
const idleTurn = 5 * time.Microsecond

// receive parses one datagram. Its space is used again afterwards: parsing
// copies it once.
func (s *socket) receive(d *Datagram) {
	data := d.Data[:d.N]
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
