package interop

import (
	"bytes"
	endian "encoding/binary" // binary is the program under test
	"fmt"
	"net"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

const (
	// inFlight is how many requests a load keeps open.
	inFlight = 64
	// batch is how many datagrams a load takes or sends by one system call, so
	// that it is not what is measured.
	batch = 64
	// largest is the space for one datagram from the server.
	largest = 8 << 10
)

// load is a client that speaks as fast as it is answered, over one socket and
// on one goroutine. It publishes for u0, u1 …, and each of its subscriptions is
// another watcher's.
type load struct {
	t       testing.TB
	server  *server
	conn    *net.UDPConn
	packets *ipv4.PacketConn
	in, out []ipv4.Message

	answered map[int][]byte // responses by the number in their branch
	watches  []watch
	notified int // NOTIFYs that were newer than what their watcher had
	repeated int // and those that were not: the client was slow, or a datagram lost

	// heard, when set, is told of every new NOTIFY and when it arrived here.
	heard func(watch int, m []byte, at time.Time)

	calls, publishes, presentities int // made so far
}

// watch is one subscription, by its place in load.watches.
type watch struct {
	presentity  int
	tag         string // the server's, of the dialog
	asked, told uint32 // CSeq of the last SUBSCRIBE and of the last NOTIFY
	silent      bool   // NOTIFYs are not answered: the watcher has died
}

// newLoad starts a server for a client of its own.
func newLoad(t testing.TB, o setup) *load {
	t.Helper()
	return join(t, start(t, o))
}

// join is one more client of a server.
func join(t testing.TB, s *server) *load {
	t.Helper()
	to, err := net.ResolveUDPAddr("udp", s.addr())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.DialUDP("udp", nil, to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &load{t: t, server: s, conn: conn, packets: ipv4.NewPacketConn(conn), answered: map[int][]byte{}}
	c.in = make([]ipv4.Message, batch)
	for i := range c.in {
		c.in[i] = ipv4.Message{Buffers: [][]byte{make([]byte, largest)}, OOB: make([]byte, 64)}
	}
	c.tune()
	return c
}

// tune asks for room for what a server sends at once, and for the time at which
// the kernel got it, which the client's own pace does not blur.
func (c *load) tune() {
	raw, err := c.conn.SyscallConn()
	if err != nil {
		c.t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) {
		const room = 64 << 20
		if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, room) != nil {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, room)
		}
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
	})
}

// with has a sub-benchmark use the client: its failures are the sub-benchmark's.
func (c *load) with(t testing.TB) *load {
	outer := c.t
	t.Cleanup(func() { c.t = outer })
	c.t, c.repeated = t, 0
	return c
}

// pump sends n requests, a few at a time, and hands over the 200s, in order.
func (c *load) pump(n int, request func(i int) []byte, done func(i int, m []byte)) {
	clear(c.answered)
	first := c.calls
	c.calls += n
	for sent, got := 0, 0; got < n; {
		for sent < n && sent-got < inFlight {
			c.send(branded(request(sent), first+sent))
			sent++
		}
		c.receive(patience)
		for ; got < n && c.answered[first+got] != nil; got++ {
			m := c.answered[first+got]
			if !bytes.HasPrefix(m, []byte("SIP/2.0 200 ")) {
				c.t.Fatalf("answer to request %d:\n%s", got, m)
			}
			done(got, m)
			delete(c.answered, first+got)
		}
	}
}

func branded(request []byte, call int) []byte {
	return bytes.Replace(request, []byte("BRANCH"), strconv.AppendInt([]byte("z9hG4bK-"), int64(call), 10), 1)
}

// send queues a datagram for the next flush.
func (c *load) send(m []byte) {
	c.out = append(c.out, ipv4.Message{Buffers: [][]byte{m}})
	if len(c.out) == batch {
		c.flush()
	}
}

func (c *load) flush() {
	for out := c.out; len(out) > 0; {
		n, err := c.packets.WriteBatch(out, 0)
		if err != nil {
			c.t.Fatal(err)
		}
		out = out[n:]
	}
	c.out = c.out[:0]
}

// receive sends what is queued, takes what is there, and answers it. It fails
// the test when nothing comes for as long as the limit says.
func (c *load) receive(limit time.Duration) {
	if !c.hears(limit) {
		c.t.Fatalf("the server said nothing for %v", limit)
	}
}

// hears is receive for one who may wait in vain.
func (c *load) hears(limit time.Duration) bool {
	c.flush()
	_ = c.conn.SetReadDeadline(time.Now().Add(limit))
	n, err := c.packets.ReadBatch(c.in, 0)
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		return false
	}
	if err != nil {
		c.t.Fatalf("waiting for the server: %v", err)
	}
	for i := range c.in[:n] {
		c.take(c.in[i].Buffers[0][:c.in[i].N], c.in[i].OOB[:c.in[i].NN])
	}
	c.flush()
	return true
}

// take keeps a response and answers a NOTIFY.
func (c *load) take(m, oob []byte) {
	if bytes.HasPrefix(m, []byte("SIP/2.0 ")) {
		_, rest, _ := bytes.Cut(m, []byte("z9hG4bK-"))
		c.answered[leading(rest)] = bytes.Clone(m)
		return
	}
	number := leading(after(m, "\r\nCall-ID: s"))
	w := &c.watches[number]
	if w.silent {
		return
	}
	if cseq := uint32(leading(after(m, "\r\nCSeq: "))); cseq > w.told {
		w.told = cseq
		c.notified++
		if c.heard != nil {
			c.heard(number, m, arrival(oob))
		}
	} else {
		c.repeated++
	}
	c.send(ok(m))
}

// ok is the 200 to a NOTIFY.
func ok(m []byte) []byte {
	answer := append(make([]byte, 0, 512), "SIP/2.0 200 OK\r\n"...)
	for line := range bytes.Lines(m) {
		if len(line) == 2 {
			break
		}
		for _, name := range []string{"Via:", "From:", "To:", "Call-ID:", "CSeq:"} {
			if bytes.HasPrefix(line, []byte(name)) {
				answer = append(answer, line...)
			}
		}
	}
	return append(answer, "Content-Length: 0\r\n\r\n"...)
}

// arrival reads when the kernel got a datagram.
func arrival(oob []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(messages) == 0 || len(messages[0].Data) < 16 {
		return time.Now()
	}
	return time.Unix(int64(endian.NativeEndian.Uint64(messages[0].Data)), int64(endian.NativeEndian.Uint64(messages[0].Data[8:])))
}

// crowd is some presentities of a load, with the entity-tags of their publications.
type crowd struct {
	first int // u<first> and following
	tags  []string
}

// crowd makes n new presentities, each with a publication.
func (c *load) crowd(n int) *crowd {
	p := &crowd{c.presentities, make([]string, n)}
	c.presentities += n
	c.publishEach(p, 0, n, func(user int) string { return pidf("u"+strconv.Itoa(user), "open", "", "") })
	return p
}

// publishEach publishes for n of the crowd from one on, in turn.
func (c *load) publishEach(p *crowd, from, n int, body func(user int) string) {
	at := func(i int) int { return (from + i) % len(p.tags) }
	c.pump(n, func(i int) []byte {
		user := p.first + at(i)
		return c.publish(user, p.tags[at(i)], body(user))
	}, func(i int, m []byte) { p.tags[at(i)] = string(line(m, "SIP-ETag: ")) })
}

// subscribe makes n subscriptions to the crowd, in turn, each of a new watcher,
// and waits for their NOTIFYs.
func (c *load) subscribe(p *crowd, n int) {
	first := len(c.watches)
	c.watches = slices.Grow(c.watches, n)
	for i := range n {
		c.watches = append(c.watches, watch{presentity: p.first + i%len(p.tags)})
	}
	c.refresh(first, n)
}

// refresh sends a SUBSCRIBE for each of n watches and waits for their NOTIFYs.
func (c *load) refresh(first, n int) {
	c.notified = 0
	c.pump(n, func(i int) []byte { return c.subscribes(first+i, 3600) }, func(i int, m []byte) {
		to := line(m, "To: ")
		c.watches[first+i].tag = string(after(to, ";tag="))
	})
	c.awaitNotifies(n)
}

// awaitNotifies waits until n new NOTIFYs have come since notified was set to 0.
func (c *load) awaitNotifies(n int) {
	for c.notified < n {
		c.receive(patience)
	}
}

// publish is a PUBLISH of a user, its first where there is no tag.
func (c *load) publish(user int, tag, body string) []byte {
	c.publishes++
	head := c.head("PUBLISH", user, user, "", 1, 3600) + "Call-ID: p" + strconv.Itoa(c.publishes) + "-" + c.name() + "\r\n"
	if tag != "" {
		head += "SIP-If-Match: " + tag + "\r\n"
	}
	if body != "" {
		head += "Content-Type: application/pidf+xml\r\n"
	}
	return fmt.Appendf(nil, "%sContent-Length: %d\r\n\r\n%s", head, len(body), body)
}

// subscribes is the next SUBSCRIBE of a watch, its first or a refresh.
func (c *load) subscribes(number, expires int) []byte {
	w := &c.watches[number]
	w.asked++
	head := c.head("SUBSCRIBE", w.presentity, 1_000_000+number, w.tag, w.asked, expires)
	return fmt.Appendf(nil, "%sCall-ID: s%d-%s\r\nContact: <sip:w@%s>\r\nAccept: application/pidf+xml\r\nContent-Length: 0\r\n\r\n",
		head, number, c.name(), c.conn.LocalAddr())
}

// name keeps the Call-IDs of several clients apart.
func (c *load) name() string { return strconv.Itoa(c.conn.LocalAddr().(*net.UDPAddr).Port) }

func (c *load) head(method string, presentity, from int, tag string, cseq uint32, expires int) string {
	if tag != "" {
		tag = ";tag=" + tag
	}
	return fmt.Sprintf("%s sip:u%d@example.com SIP/2.0\r\nVia: SIP/2.0/UDP %s;rport;branch=BRANCH\r\nMax-Forwards: 70\r\n"+
		"From: <sip:u%d@example.com>;tag=f\r\nTo: <sip:u%d@example.com>%s\r\nCSeq: %d %s\r\nEvent: presence\r\nExpires: %d\r\n",
		method, presentity, c.conn.LocalAddr(), from, presentity, tag, cseq, method, expires)
}

// line gives the value of a header field by its name with colon and blank.
func line(m []byte, name string) []byte {
	value, _, _ := bytes.Cut(after(m, "\r\n"+name), []byte("\r\n"))
	return value
}

// after is what follows the first place of text.
func after(m []byte, text string) []byte {
	_, rest, _ := bytes.Cut(m, []byte(text))
	return rest
}

// leading reads the number a text begins with.
func leading(text []byte) int {
	n := 0
	for _, r := range text {
		if r < '0' || r > '9' {
			break
		}
		n = n*10 + int(r-'0')
	}
	return n
}
