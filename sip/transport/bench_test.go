package transport

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"vigie/sip"
)

// cpu is the processor time this process has used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func reportCPU(b *testing.B, before time.Duration) {
	b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

// echo answers every request with the same bytes, like a server with nothing
// to think about.
type echo struct {
	t    *Transport
	head []byte
	left atomic.Int64
	done chan struct{}
}

func (e *echo) Receive(m *sip.Message, f Flow, _ error) {
	_ = e.t.SendResponse(f, m.Via, e.head, nil)
	if e.left.Add(-1) == 0 {
		close(e.done)
	}
}

func (e *echo) Closed(Flow) {}

// One datagram in, parsed and handed up, and one out; the sending peer's and
// the reading peer's share of the CPU are included.
func BenchmarkDatagramInAndOut(b *testing.B) {
	tr, err := New(Options{Listen: listens(b, "udp://127.0.0.1:0")})
	if err != nil {
		b.Fatal(err)
	}
	defer tr.Close()
	p := udpPeer(b, "127.0.0.1:0")
	_ = p.SetReadDeadline(time.Time{})
	e := &echo{t: tr, head: []byte(response("c1", "UDP 127.0.0.1:5060;branch=z9hG4bK1")), done: make(chan struct{})}
	e.left.Store(int64(b.N))
	tr.Serve(e)
	request := []byte(options(fmt.Sprintf("UDP %s;rport;branch=z9hG4bK776asdhds", p.LocalAddr()), "a84b4c76e66710@192.0.2.9", ""))
	to := net.UDPAddrFromAddrPort(bound(tr, 0)).AddrPort()
	window := make(chan struct{}, 256)
	go func() {
		space := make([]byte, 2048)
		for {
			if _, _, err := p.ReadFromUDPAddrPort(space); err != nil {
				return
			}
			<-window
		}
	}()
	b.ReportAllocs()
	b.ResetTimer()
	before := cpu(b)
	for range b.N {
		window <- struct{}{}
		if _, err := p.WriteToUDPAddrPort(request, to); err != nil {
			b.Fatal(err)
		}
	}
	<-e.done
	reportCPU(b, before)
}

// One request in, parsed and handed up, and one response out, over the one
// connection of a proxy that sends some at a time; its share of the CPU is
// included.
func BenchmarkStreamInAndOut(b *testing.B) {
	const atOnce = 20
	tr, err := New(Options{Listen: listens(b, "tcp://127.0.0.1:0")})
	if err != nil {
		b.Fatal(err)
	}
	defer tr.Close()
	e := &echo{t: tr, head: []byte(response("c1", "TCP 127.0.0.1:5060;branch=z9hG4bK1")), done: make(chan struct{})}
	rounds := (b.N + atOnce - 1) / atOnce
	e.left.Store(int64(rounds * atOnce))
	tr.Serve(e)
	c := dial(b, system{}, "", bound(tr, 0).String())
	requests := []byte(strings.Repeat(options("TCP 127.0.0.1;branch=z9hG4bK776asdhds", "a84b4c76e66710@192.0.2.9", ""), atOnce))
	answers := make([]byte, atOnce*len(e.head))
	b.ReportAllocs()
	b.ResetTimer()
	before := cpu(b)
	for range rounds {
		if _, err := c.Write(requests); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(c, answers); err != nil {
			b.Fatal(err)
		}
	}
	<-e.done
	reportCPU(b, before)
}

// counted is the system's network, telling how many datagrams have left.
type counted struct {
	system
	left chan int
}

type countedPacket struct {
	PacketConn
	left chan int
}

func (c counted) ListenPacket(addr netip.AddrPort, o PacketOptions) (PacketConn, error) {
	p, err := c.system.ListenPacket(addr, o)
	return countedPacket{p, c.left}, err
}

func (c countedPacket) WriteBatch(batch []Datagram) (int, error) {
	n, err := c.PacketConn.WriteBatch(batch)
	c.left <- n
	return n, err
}

// sendWindow is how many messages wait at most in the benchmarks of Send.
const sendWindow = 100

// A head and a shared body of 2 kB; the kernel drops what the peer does not
// read.
func BenchmarkSendSharedBodyUDP(b *testing.B) {
	n := counted{left: make(chan int, sendWindow)}
	tr, err := New(Options{Network: n, Listen: listens(b, "udp://127.0.0.1:0")})
	if err != nil {
		b.Fatal(err)
	}
	defer tr.Close()
	tr.Serve(newRecorder())
	p := udpPeer(b, "127.0.0.1:0")
	f, err := tr.Connect(b.Context(), UDP, addrPortOf(p.LocalAddr()), "")
	if err != nil {
		b.Fatal(err)
	}
	benchmarkSend(b, tr, f, n.left)
}

// A head and a shared body over one TCP connection whose peer reads.
func BenchmarkSendSharedBodyTCP(b *testing.B) {
	tr, h := start(b, Options{}, "tcp://127.0.0.1:0")
	c := dial(b, system{}, "", bound(tr, 0).String())
	write(b, c, options("TCP 127.0.0.1;branch=z9hG4bK1", "c1", ""))
	f := (<-h.got).flow
	left := make(chan int, sendWindow)
	go func() {
		space := make([]byte, 1<<20)
		for total, told := 0, 0; ; {
			n, err := c.Read(space)
			if err != nil {
				return
			}
			if total += n; total/2500 > told {
				left <- total/2500 - told
				told = total / 2500
			}
		}
	}()
	benchmarkSend(b, tr, f, left)
}

// benchmarkSend sends b.N messages, never more than sendWindow ahead of what
// left says has gone.
func benchmarkSend(b *testing.B, tr *Transport, f Flow, left <-chan int) {
	head, body := make([]byte, 500), make([]byte, 2000)
	b.ReportAllocs()
	b.ResetTimer()
	before, gone := cpu(b), 0
	for i := range b.N {
		for i-gone >= sendWindow {
			gone += <-left
		}
		if err := tr.Send(f, head, body); err != nil {
			b.Fatal(err)
		}
	}
	for gone < b.N {
		gone += <-left
	}
	reportCPU(b, before)
}
