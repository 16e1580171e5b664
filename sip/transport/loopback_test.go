package transport

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"vigie/sip"
)

// udpPeer is a real socket on loopback.
func udpPeer(t testing.TB, addr string) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(ap(addr)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	// A test that waits for what never comes shall fail, not hang.
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	return c
}

func bound(tr *Transport, i int) netip.AddrPort { return tr.listeners[i].listen.Addr }

// TPT-01: UDP and TCP are listened on, over IPv4 and IPv6, on real sockets.
func TestLoopback(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "[::1]"} {
		t.Run("TPT-01/udp-"+host, func(t *testing.T) {
			tr, h := start(t, Options{}, "udp://"+host+":0")
			p := udpPeer(t, host+":0")
			via := fmt.Sprintf("UDP %s;rport;branch=z9hG4bK1", p.LocalAddr())
			sendTo(t, p, bound(tr, 0), options(via, "c1", "body"))
			got := <-h.got
			if got.err != nil || string(got.m.Body) != "body" || got.flow.Local != bound(tr, 0) || got.flow.Remote != addrPortOf(p.LocalAddr()) {
				t.Fatalf("got %+v", got)
			}
			answer(t, tr, got)
			text, from := readFrom(t, p)
			if from != bound(tr, 0) || !strings.HasPrefix(text, "SIP/2.0 200 OK\r\n") {
				t.Errorf("from %s came %q", from, text)
			}
			if f, err := tr.Connect(t.Context(), UDP, got.flow.Remote, ""); err != nil || f != got.flow {
				t.Errorf("Connect gives %v, %v, want the flow of the request", f, err)
			}
		})
		t.Run("TPT-01/tcp-"+host, func(t *testing.T) {
			tr, h := start(t, Options{}, "tcp://"+host+":0")
			c := dial(t, system{}, "", bound(tr, 0).String())
			write(t, c, options("TCP "+c.LocalAddr().String()+";branch=z9hG4bK1", "c1", "body"))
			got := <-h.got
			if got.err != nil || string(got.m.Body) != "body" {
				t.Fatalf("got %+v", got)
			}
			// A head and a shared body arrive as one message.
			head := got.m
			r := sip.NewResponse(head, 200, "", "v1")
			r.Body = []byte("a shared body")
			whole := r.AppendTo(nil)
			cut := len(whole) - len(r.Body)
			if err := tr.SendResponse(got.flow, head.Via, whole[:cut:cut], r.Body); err != nil {
				t.Fatal(err)
			}
			if m := readMessage(t, c); m.Status != 200 || string(m.Body) != "a shared body" {
				t.Errorf("got %d %q", m.Status, m.Body)
			}
		})
	}
}

// MSG-12: datagrams as large as UDP carries are read and written whole.
func TestLargestDatagram(t *testing.T) {
	tr, h := start(t, Options{}, "udp://127.0.0.1:0")
	p := udpPeer(t, "127.0.0.1:0")
	via := fmt.Sprintf("UDP %s;branch=z9hG4bK1", p.LocalAddr())
	frame := options(via, "c1", "")
	body := strings.Repeat("x", 65507-len(frame)-4)
	text := options(via, "c1", body)
	if len(text) != 65507 {
		t.Fatalf("the test sends %d bytes", len(text))
	}
	sendTo(t, p, bound(tr, 0), text)
	got := <-h.got
	if got.err != nil || len(got.m.Body) != len(body) {
		t.Fatalf("got %v", got.err)
	}
	half := len(text) / 2
	if err := tr.Send(got.flow, []byte(text[:half]), []byte(text[half:])); err != nil {
		t.Fatal(err)
	}
	if back, _ := readFrom(t, p); back != text {
		t.Errorf("%d bytes came back, want %d", len(back), len(text))
	}
}

// TPT-04: a socket bound to all addresses answers from the one that was asked.
func TestWildcardSocketAnswersFromTheAddressAsked(t *testing.T) {
	tr, h := start(t, Options{}, "udp://0.0.0.0:0")
	p := udpPeer(t, "127.0.0.1:0")
	asked := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.77"), bound(tr, 0).Port())
	sendTo(t, p, asked, options(fmt.Sprintf("UDP %s;rport;branch=z9hG4bK1", p.LocalAddr()), "c1", ""))
	got := <-h.got
	if e := got.flow.Endpoint(); e.HostPort() != asked.String() {
		t.Errorf("endpoint %s, want %s", e, asked)
	}
	answer(t, tr, got)
	if _, from := readFrom(t, p); from != asked {
		t.Errorf("answered from %s, want %s", from, asked)
	}
	f, err := tr.Connect(t.Context(), UDP, addrPortOf(p.LocalAddr()), "")
	if want := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), asked.Port()); err != nil || f.Local != want {
		t.Errorf("Connect leaves from %s, %v, want %s", f.Local, err, want)
	}
}

func TestWildcardSocketIPv6(t *testing.T) {
	tr, h := start(t, Options{}, "udp://[::]:0")
	p := udpPeer(t, "[::1]:0")
	asked := netip.AddrPortFrom(netip.IPv6Loopback(), bound(tr, 0).Port())
	sendTo(t, p, asked, options(fmt.Sprintf("UDP %s;rport;branch=z9hG4bK1", p.LocalAddr()), "c1", ""))
	got := <-h.got
	if e := got.flow.Endpoint(); e.HostPort() != asked.String() {
		t.Errorf("endpoint %s, want %s", e, asked)
	}
	answer(t, tr, got)
	if _, from := readFrom(t, p); from != asked {
		t.Errorf("answered from %s, want %s", from, asked)
	}
}

// Several sockets share a port; each peer's order is kept.
func TestSocketsShareAPort(t *testing.T) {
	tr, h := start(t, Options{Limits: Limits{Sockets: 4}}, "udp://127.0.0.1:0")
	const peers, each = 16, 20
	flows := map[netip.AddrPort]Flow{}
	next := map[netip.AddrPort]int{}
	for range peers {
		p := udpPeer(t, "127.0.0.1:0")
		for i := range each {
			sendTo(t, p, bound(tr, 0), options(fmt.Sprintf("UDP %s;branch=z9hG4bK%d", p.LocalAddr(), i), fmt.Sprint(i), ""))
		}
	}
	for range peers * each {
		got := <-h.got
		source := got.flow.Remote
		if want := fmt.Sprint(next[source]); got.m.CallID != want {
			t.Fatalf("from %s came %s, want %s", source, got.m.CallID, want)
		}
		next[source]++
		if f, ok := flows[source]; ok && f != got.flow {
			t.Errorf("flows of one peer differ: %v, %v", f, got.flow)
		}
		flows[source] = got.flow
	}
	if len(flows) != peers {
		t.Errorf("%d flows, want %d", len(flows), peers)
	}
}

// A burst goes out in order and shares one body.
func TestBurst(t *testing.T) {
	tr, _ := start(t, Options{}, "udp://127.0.0.1:0")
	p := udpPeer(t, "127.0.0.1:0")
	_ = p.SetReadBuffer(4 << 20)
	f, err := tr.Connect(t.Context(), UDP, addrPortOf(p.LocalAddr()), "")
	if err != nil {
		t.Fatal(err)
	}
	body := bytes.Repeat([]byte("b"), 100)
	for i := range 150 {
		if err := tr.Send(f, fmt.Appendf(nil, "%d ", i), body); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 150 {
		if text, _ := readFrom(t, p); text != fmt.Sprintf("%d %s", i, body) {
			t.Fatalf("datagram %d is %q", i, text)
		}
	}
}

// One datagram the kernel refuses does not hold up the others.
func TestDatagramTheNetworkRefuses(t *testing.T) {
	tr, _ := start(t, Options{}, "udp://127.0.0.1:0")
	p := udpPeer(t, "127.0.0.1:0")
	good, err := tr.Connect(t.Context(), UDP, addrPortOf(p.LocalAddr()), "")
	if err != nil {
		t.Fatal(err)
	}
	bad := good
	bad.Remote = ap("127.0.0.1:0") // nothing can be sent to port 0
	for _, f := range []Flow{good, bad, good, bad, bad, good} {
		if err := tr.Send(f, []byte("x"), nil); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		readFrom(t, p)
	}
	tr.Close()
	c := &tr.Metrics().ByProtocol[UDP]
	if sent, failed := c.MessagesOut.Load(), c.SendErrors.Load(); sent != 3 || failed != 3 {
		t.Errorf("counted %d sent and %d failed, want 3 and 3", sent, failed)
	}
}

func TestReceiveBufferTooSmallIsLogged(t *testing.T) {
	log := &logBuffer{}
	start(t, Options{Logger: log.logger(), Network: stingy{}}, "udp://127.0.0.1:0")
	if !strings.Contains(log.String(), "receive buffer smaller than wanted") || !strings.Contains(log.String(), "got=1000") {
		t.Errorf("log:\n%s", log)
	}
}

// stingy is the system's network on a machine with a small net.core.rmem_max.
type stingy struct{ system }

type stingyPacket struct{ PacketConn }

func (stingyPacket) ReceiveBuffer() int { return 1000 }

func (s stingy) ListenPacket(addr netip.AddrPort, o PacketOptions) (PacketConn, error) {
	c, err := s.system.ListenPacket(addr, o)
	return stingyPacket{c}, err
}

// A port in use is an error that names the listener, and leaves nothing open.
func TestListenOnAPortInUse(t *testing.T) {
	for _, scheme := range []string{"udp", "tcp"} {
		tr, _ := start(t, Options{}, scheme+"://127.0.0.1:0")
		spec := bound(tr, 0).String()
		_, err := New(Options{Listen: listens(t, scheme+"://127.0.0.1:0", scheme+"://"+spec)})
		if err == nil || !strings.Contains(err.Error(), "listen on "+scheme+"://"+spec) {
			t.Errorf("got %v", err)
		}
	}
}

// TPT-07: a refused connection on the real network is told from others.
func TestConnectionRefused(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	remote := addrPortOf(l.Addr())
	l.Close()
	tr, _ := start(t, Options{}, "tcp://127.0.0.1:0")
	if _, err := tr.Connect(t.Context(), TCP, remote, ""); err == nil || !tr.Unreachable(TCP, remote) {
		t.Errorf("got %v, unreachable %v", err, tr.Unreachable(TCP, remote))
	}
}
