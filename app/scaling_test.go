package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"vigie/sip/transport"
)

// BenchmarkCores is one change of state told to ten watchers, from datagram to
// datagram with the store in between: 11 requests in and out, and their
// answers. What stands in for the network costs next to nothing (7 % of the CPU
// time), so that -cpu 1,2 says what a second core is worth: in time per change
// on a quiet machine, in CPU time that grows by what the cores cost each other
// on any.
func BenchmarkCores(b *testing.B) {
	c := quick()
	c.SIP.Listen = []string{"udp://127.0.0.1:5060"}
	c.SIP.Authentication = "none"
	c.HTTP.Listen = ""
	c.Presence.NotifyInterval = 0
	c.Presence.Watchers.SameDomain = "allow"
	o := newOffice()
	s, err := Start(b.Context(), c, Options{Data: b.TempDir(), Log: io.Discard, Network: o})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Stop()
	o.open()
	b.ResetTimer()
	before := processor()
	o.change(b.N)
	b.ReportMetric(float64((processor()-before).Nanoseconds())/1e3/float64(b.N), "cpu-µs/op")
}

// processor is the CPU time this process has used.
func processor() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

const (
	officePeople   = 64 // each with one change on its way
	officeWatchers = 10 // of each
)

// office is a network on which people publish and watch each other, as fast as
// the server answers. It does its part on the server's goroutines.
type office struct {
	mu         sync.Mutex
	cond       sync.Cond
	inbox      [][]byte // what the server is to read
	closed     bool
	people     [officePeople]worker
	left       int // changes that have not begun
	unfinished int // that have not ended
}

// worker is a presentity.
type worker struct {
	tag   string
	cseq  int
	heard int // answers and NOTIFYs that are still to come
}

func newOffice() *office {
	o := &office{}
	o.cond.L = &o.mu
	return o
}

// open has everybody publish, and then everybody watched.
func (o *office) open() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.unfinished = officePeople
	for i := range o.people {
		o.publish(i, 1)
	}
	o.wait()
	o.unfinished = officePeople
	for i := range o.people {
		o.people[i].heard = 2 * officeWatchers // each SUBSCRIBE gets a 200 and a NOTIFY
		for k := range officeWatchers {
			o.inbox = append(o.inbox, fmt.Appendf(nil, "SUBSCRIBE sip:u%d@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:6060;branch=z9hG4bK-s%d-%d\r\n"+
				"Max-Forwards: 70\r\nFrom: <sip:w%d-%d@example.com>;tag=f\r\nTo: <sip:u%d@example.com>\r\nCall-ID: %d-s%d\r\nCSeq: 1 SUBSCRIBE\r\n"+
				"Event: presence\r\nExpires: 3600\r\nContact: <sip:w@127.0.0.1:6060>\r\nContent-Length: 0\r\n\r\n", i, i, k, i, k, i, i, k))
		}
	}
	o.cond.Broadcast()
	o.wait()
}

// change returns when n changes have been told to everybody.
func (o *office) change(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.left, o.unfinished = n, n
	for i := 0; i < officePeople && o.left > 0; i++ {
		o.left--
		o.publish(i, 1+officeWatchers)
	}
	o.wait()
}

func (o *office) wait() {
	for o.unfinished > 0 {
		o.cond.Wait()
	}
}

// publish begins a change that is over when so many messages have come back.
func (o *office) publish(i, answers int) {
	w := &o.people[i]
	w.cseq++
	w.heard = answers
	match := ""
	if w.tag != "" {
		match = "SIP-If-Match: " + w.tag + "\r\n"
	}
	user, cseq := strconv.Itoa(i), strconv.Itoa(w.cseq)
	body := `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:u` + user + `@example.com"><tuple id="t"><status><basic>open</basic></status><note>` +
		cseq + `</note></tuple></presence>`
	o.inbox = append(o.inbox, []byte("PUBLISH sip:u"+user+"@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:6060;branch=z9hG4bK-p"+user+"-"+cseq+
		"\r\nMax-Forwards: 70\r\nFrom: <sip:u"+user+"@example.com>;tag=f\r\nTo: <sip:u"+user+"@example.com>\r\nCall-ID: "+user+"-p\r\nCSeq: "+cseq+
		" PUBLISH\r\nEvent: presence\r\nExpires: 3600\r\n"+match+"Content-Type: application/pidf+xml\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n\r\n"+body))
	o.cond.Broadcast()
}

// hear takes a message from the server: a NOTIFY is answered, and after the
// last message of a change the next one begins.
func (o *office) hear(head []byte) {
	_, rest, _ := bytes.Cut(head, []byte("\r\nCall-ID: "))
	id, _, _ := bytes.Cut(rest, []byte("-"))
	i, _ := strconv.Atoi(string(id))
	w := &o.people[i]
	if _, rest, ok := bytes.Cut(head, []byte("\r\nSIP-ETag: ")); ok {
		tag, _, _ := bytes.Cut(rest, []byte("\r\n"))
		w.tag = string(tag)
	}
	if bytes.HasPrefix(head, []byte("NOTIFY ")) {
		o.inbox = append(o.inbox, accepted(head))
		o.cond.Broadcast()
	}
	if w.heard--; w.heard > 0 {
		return
	}
	o.unfinished--
	if o.left > 0 {
		o.left--
		o.publish(i, 1+officeWatchers)
	}
	if o.unfinished == 0 {
		o.cond.Broadcast()
	}
}

// accepted is the 200 to a NOTIFY.
func accepted(head []byte) []byte {
	answer := append(make([]byte, 0, 512), "SIP/2.0 200 OK\r\n"...)
	for line := range bytes.Lines(head) {
		switch name, _, _ := bytes.Cut(line, []byte(":")); string(name) {
		case "Via", "From", "To", "Call-ID", "CSeq":
			answer = append(answer, line...)
		}
	}
	return append(answer, "Content-Length: 0\r\n\r\n"...)
}

var officeAddr = netip.MustParseAddrPort("127.0.0.1:6060")

func (o *office) ReadBatch(batch []transport.Datagram, wait bool) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for wait && len(o.inbox) == 0 && !o.closed {
		o.cond.Wait()
	}
	if o.closed {
		return 0, net.ErrClosed
	}
	n := min(len(batch), len(o.inbox))
	for i, m := range o.inbox[:n] {
		batch[i].N, batch[i].Addr = copy(batch[i].Data, m), officeAddr
		batch[i].Local = o.LocalAddr().Addr()
	}
	o.inbox = o.inbox[n:]
	return n, nil
}

func (o *office) WriteBatch(batch []transport.Datagram) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, d := range batch {
		o.hear(d.Data)
	}
	return len(batch), nil
}

func (o *office) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.cond.Broadcast()
	return nil
}

func (o *office) LocalAddr() netip.AddrPort { return netip.MustParseAddrPort("127.0.0.1:5060") }
func (o *office) ReceiveBuffer() int        { return 0 }

func (o *office) ListenPacket(netip.AddrPort, transport.PacketOptions) (transport.PacketConn, error) {
	return o, nil
}
func (o *office) Source(netip.AddrPort) (netip.Addr, error) { return o.LocalAddr().Addr(), nil }

var errNoStreams = errors.New("the office has no streams")

func (o *office) Listen(netip.AddrPort) (net.Listener, error) { return nil, errNoStreams }
func (o *office) Dial(context.Context, netip.Addr, netip.AddrPort) (net.Conn, error) {
	return nil, errNoStreams
}
