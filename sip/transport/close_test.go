package transport

import (
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"vigie/sip"
)

// answering is a Handler that answers each request from a goroutine of its own,
// as the transaction layer does.
type answering struct {
	tr       *Transport
	requests atomic.Int64
	flows    atomic.Int64 // closed ones
	shut     atomic.Bool
	late     atomic.Int64 // calls after Close
	enough   chan struct{}
	want     int64
	running  sync.WaitGroup
}

func (a *answering) Receive(m *sip.Message, flow Flow, err error) {
	if a.shut.Load() {
		a.late.Add(1)
		return
	}
	if err != nil || !m.IsRequest() {
		return
	}
	if a.requests.Add(1) == a.want {
		close(a.enough)
	}
	a.running.Go(func() {
		r := sip.NewResponse(m, 200, "", "v1")
		_ = a.tr.SendResponse(flow, m.Via, r.AppendTo(nil), nil)
	})
}

func (a *answering) Closed(Flow) {
	a.flows.Add(1)
	if a.shut.Load() {
		a.late.Add(1)
	}
}

// Close in the midst of requests, answers, connections that come, go, are
// opened, or take nothing: it returns, nothing of the transport is left, and the
// handler is not called any more. TestMain looks for goroutines.
func TestCloseUnderLoad(t *testing.T) {
	for range 5 {
		closeUnderLoad(t)
	}
}

func closeUnderLoad(t *testing.T) {
	tr, err := New(Options{Listen: listens(t, "udp://127.0.0.1:0", "tcp://127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	h := &answering{tr: tr, enough: make(chan struct{}), want: 2000}
	tr.Serve(h)
	far, err := net.Listen("tcp", "127.0.0.1:0") // what the transport connects to
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var load sync.WaitGroup
	load.Go(func() { takeAndHangUp(far) })
	busy := func(work func() error) {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if work() != nil {
						return
					}
				}
			}
		})
	}
	tcp, udp := bound(tr, 1).String(), bound(tr, 0).String()
	for range 3 {
		busy(func() error { return requestsOver(tcp) })
	}
	request := []byte(options("UDP 127.0.0.1:9;rport;branch=z9hG4bK1", "c1", ""))
	c, err := net.Dial("udp", udp)
	if err != nil {
		t.Fatal(err)
	}
	busy(func() error { _, _ = c.Write(request); return nil })
	target := addrPortOf(far.Addr())
	busy(func() error { connectAndSend(t, tr, target); return nil })
	deaf, err := net.Dial("tcp", tcp)
	if err != nil {
		t.Fatal(err)
	}
	busy(func() error {
		_, err := io.WriteString(deaf, options("TCP 127.0.0.1:9;branch=z9hG4bK1", "c1", ""))
		return err
	})

	<-h.enough
	tr.Close()
	h.shut.Store(true)
	close(stop)
	deaf.Close()
	c.Close()
	far.Close()
	load.Wait()
	h.running.Wait()
	if n := h.late.Load(); n != 0 {
		t.Errorf("the handler was called %d times after Close", n)
	}
	if f, err := tr.Connect(t.Context(), TCP, target, ""); err == nil {
		t.Errorf("a connection after Close: %s", f)
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if len(tr.connections)+len(tr.streams)+len(tr.sources)+len(tr.dialing) != 0 {
		t.Errorf("left: %d connections, %d by peer, %d sources, %d being opened", len(tr.connections), len(tr.streams), len(tr.sources), len(tr.dialing))
	}
	if n := tr.Metrics().ByProtocol[TCP].Connections.Load(); n != 0 {
		t.Errorf("%d connections counted", n)
	}
}

// takeAndHangUp accepts until the listener is closed.
func takeAndHangUp(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		c.Close()
	}
}

// requestsOver opens a connection, sends some requests, reads some of the
// answers and hangs up.
func requestsOver(addr string) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	for range 20 {
		if _, err := io.WriteString(c, options("TCP 127.0.0.1:9;branch=z9hG4bK1", "c1", "")+"\r\n\r\n"); err != nil {
			return nil // hung up on; the next connection is refused, if it was Close
		}
	}
	_, _ = c.Read(make([]byte, 1000))
	return nil
}

func connectAndSend(t *testing.T, tr *Transport, target netip.AddrPort) {
	f, err := tr.Connect(t.Context(), TCP, target, "")
	if err != nil {
		return
	}
	_ = tr.Send(f, []byte(options("TCP 127.0.0.1:9;branch=z9hG4bK1", "c1", "")), nil)
}
