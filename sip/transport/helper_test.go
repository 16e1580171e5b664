package transport

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"vigie/sip"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// received is one call of Receive.
type received struct {
	m    *sip.Message
	flow Flow
	err  error
}

// recorder is a Handler that keeps what it gets; react, when set, sees it first.
type recorder struct {
	got    chan received
	closed chan Flow
	react  func(received)
}

func newRecorder() *recorder {
	return &recorder{got: make(chan received, 1000), closed: make(chan Flow, 1000)}
}

func (r *recorder) Receive(m *sip.Message, flow Flow, err error) {
	if !m.IsRequest() { // it is ours until we return
		m, _ = sip.Parse(m.Bytes())
	}
	call := received{m, flow, err}
	if r.react != nil {
		r.react(call)
	}
	r.got <- call
}

func (r *recorder) Closed(flow Flow) { r.closed <- flow }

// logBuffer collects log lines.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBuffer) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func listens(t testing.TB, specs ...string) []Listen {
	t.Helper()
	var all []Listen
	for _, s := range specs {
		l, err := ParseListen(s)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	return all
}

// start makes a serving transport and closes it with the test.
func start(t testing.TB, o Options, specs ...string) (*Transport, *recorder) {
	t.Helper()
	o.Listen = append(o.Listen, listens(t, specs...)...)
	tr, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	r := newRecorder()
	tr.Serve(r)
	t.Cleanup(func() { tr.Close() })
	return tr, r
}

func ap(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// options is a request with the given topmost Via (without "SIP/2.0/").
func options(via, callID, body string) string {
	return fmt.Sprintf("OPTIONS sip:vigie@example.com SIP/2.0\r\n"+
		"Via: SIP/2.0/%s\r\n"+
		"Max-Forwards: 70\r\n"+
		"From: <sip:alice@example.com>;tag=a1\r\n"+
		"To: <sip:vigie@example.com>\r\n"+
		"Call-ID: %s\r\n"+
		"CSeq: 1 OPTIONS\r\n"+
		"Content-Length: %d\r\n\r\n%s", via, callID, len(body), body)
}

// response is a 200 with the given Via rows.
func response(callID string, vias ...string) string {
	return "SIP/2.0 200 OK\r\n" +
		"Via: SIP/2.0/" + strings.Join(vias, "\r\nVia: SIP/2.0/") + "\r\n" +
		"From: <sip:alice@example.com>;tag=a1\r\n" +
		"To: <sip:bob@example.com>;tag=b1\r\n" +
		"Call-ID: " + callID + "\r\n" +
		"CSeq: 1 NOTIFY\r\n" +
		"Content-Length: 0\r\n\r\n"
}

// answer is the OK to a request as the transaction layer would send it.
func answer(t testing.TB, tr *Transport, c received) {
	t.Helper()
	r := sip.NewResponse(c.m, 200, "", "v1")
	if err := tr.SendResponse(c.flow, c.m.Via, r.AppendTo(nil), nil); err != nil {
		t.Errorf("SendResponse: %v", err)
	}
}

func peer(t testing.TB, n *Memory, addr string) net.PacketConn {
	t.Helper()
	p, err := n.Peer(ap(addr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func sendTo(t testing.TB, p net.PacketConn, to netip.AddrPort, data string) {
	t.Helper()
	if _, err := p.WriteTo([]byte(data), net.UDPAddrFromAddrPort(to)); err != nil {
		t.Fatal(err)
	}
}

// readFrom gives the next datagram and where it came from.
func readFrom(t testing.TB, p net.PacketConn) (string, netip.AddrPort) {
	t.Helper()
	b := make([]byte, maxDatagram)
	n, from, err := p.ReadFrom(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n]), addrPortOf(from)
}

func dial(t testing.TB, n Network, local, remote string) net.Conn {
	t.Helper()
	var from netip.Addr
	if local != "" {
		from = netip.MustParseAddr(local)
	}
	c, err := n.Dial(context.Background(), from, ap(remote))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func write(t testing.TB, c net.Conn, data string) {
	t.Helper()
	if _, err := io.WriteString(c, data); err != nil {
		t.Fatal(err)
	}
}

// readMessage reads one whole message from a stream.
func readMessage(t testing.TB, c net.Conn) *sip.Message {
	t.Helper()
	var held []byte
	b := make([]byte, 4096)
	for {
		skip, n, err := sip.SplitStream(held, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			m, err := sip.Parse(held[skip : skip+n])
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		got, err := c.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, b[:got]...)
	}
}
