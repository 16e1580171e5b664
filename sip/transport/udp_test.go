package transport

import (
	"strings"
	"testing"
	"testing/synctest"

	"vigie/sip"
)

func TestResponseGoesBackOverUDP(t *testing.T) {
	for _, test := range []struct {
		name, via, from string
		wantVia, wantTo string
	}{
		{"TPT-03/sent-by-equals-source", "UDP 192.0.2.9:5071;branch=z9hG4bK1", "192.0.2.9:5071",
			"SIP/2.0/UDP 192.0.2.9:5071;branch=z9hG4bK1", "192.0.2.9:5071"},
		{"TPT-03/sent-by-is-a-name", "UDP phone.example.com:5071;branch=z9hG4bK1", "192.0.2.9:6000",
			"SIP/2.0/UDP phone.example.com:5071;branch=z9hG4bK1;received=192.0.2.9", "192.0.2.9:5071"},
		{"TPT-03/sent-by-differs-default-port", "UDP 10.0.0.1;branch=z9hG4bK1", "192.0.2.9:6000",
			"SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1;received=192.0.2.9", "192.0.2.9:5060"},
		{"TPT-04/rport", "UDP 10.0.0.1:5071;rport;branch=z9hG4bK1", "192.0.2.9:6000",
			"SIP/2.0/UDP 10.0.0.1:5071;branch=z9hG4bK1;received=192.0.2.9;rport=6000", "192.0.2.9:6000"},
		{"TPT-04/rport-and-equal-sent-by", "UDP 192.0.2.9:6000;rport;branch=z9hG4bK1", "192.0.2.9:6000",
			"SIP/2.0/UDP 192.0.2.9:6000;branch=z9hG4bK1;received=192.0.2.9;rport=6000", "192.0.2.9:6000"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := NewMemory()
				tr, h := start(t, Options{Network: n}, "udp://192.0.2.1:5060")
				from := peer(t, n, test.from)
				to := from
				if test.wantTo != test.from {
					to = peer(t, n, test.wantTo)
				}
				sendTo(t, from, ap("192.0.2.1:5060"), options(test.via, "c1", ""))
				got := <-h.got
				if via, _ := got.m.Header(sip.HeaderVia); via != test.wantVia {
					t.Errorf("Via is %q, want %q", via, test.wantVia)
				}
				answer(t, tr, got)
				text, source := readFrom(t, to)
				if source != ap("192.0.2.1:5060") || !strings.Contains(text, "Via: "+test.wantVia+"\r\n") {
					t.Errorf("from %s came\n%s", source, text)
				}
			})
		})
	}
}

// TPT-04: the answer leaves from the address the request was sent to, also
// where the listener has many.
func TestWildcardListenerAnswersFromTheAddressAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewMemory()
		tr, h := start(t, Options{Network: n}, "udp://0.0.0.0:5060")
		p := peer(t, n, "192.0.2.9:6000")
		sendTo(t, p, ap("192.0.2.77:5060"), options("UDP 192.0.2.9:6000;rport;branch=z9hG4bK1", "c1", ""))
		got := <-h.got
		if e := got.flow.Endpoint(); e.HostPort() != "192.0.2.77:5060" {
			t.Errorf("endpoint %s, want 192.0.2.77:5060", e)
		}
		answer(t, tr, got)
		if _, from := readFrom(t, p); from != ap("192.0.2.77:5060") {
			t.Errorf("answered from %s, want 192.0.2.77:5060", from)
		}
	})
}

func TestAdvertisedHostIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewMemory()
		l := listens(t, "udp://0.0.0.0:5060")
		l[0].Advertise = "sip.example.com"
		tr, h := start(t, Options{Network: n, Listen: l})
		p := peer(t, n, "192.0.2.9:6000")
		sendTo(t, p, ap("192.0.2.77:5060"), options("UDP 192.0.2.9:6000;branch=z9hG4bK1", "c1", ""))
		if e := (<-h.got).flow.Endpoint(); e.HostPort() != "sip.example.com:5060" {
			t.Errorf("endpoint %s", e)
		}
		if e := tr.Listeners(); len(e) != 1 || e[0].String() != "udp://sip.example.com:5060" {
			t.Errorf("listeners %v", e)
		}
		sendTo(t, p, ap("192.0.2.77:5060"), response("ours", "UDP SIP.example.com:5060;branch=z9hG4bK1"))
		if got := <-h.got; got.m.CallID != "ours" {
			t.Errorf("got %s", got.m.CallID)
		}
	})
}

// MSG-28: a response is taken only if its one Via is ours (RFC 3261 §8.1.3.3,
// §18.1.2); the rest is dropped without a word.
func TestStrayResponsesAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewMemory()
		tr, h := start(t, Options{Network: n}, "udp://192.0.2.1:5060")
		p := peer(t, n, "192.0.2.9:5060")
		server := ap("192.0.2.1:5060")
		for _, text := range []string{
			response("other-host", "UDP 192.0.2.2:5060;branch=z9hG4bK1"),
			response("other-port", "UDP 192.0.2.1:5061;branch=z9hG4bK1"),
			response("two-rows", "UDP 192.0.2.1:5060;branch=z9hG4bK1", "UDP 192.0.2.9:5060;branch=z9hG4bK2"),
			response("two-in-a-row", "UDP 192.0.2.1:5060;branch=z9hG4bK1, SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK2"),
			strings.Replace(response("status", "UDP 192.0.2.1:5060;branch=z9hG4bK1"), "200 OK", "700 Beyond", 1),
			strings.Replace(response("cseq", "UDP 192.0.2.1:5060;branch=z9hG4bK1"), "CSeq: 1 ", "CSeq: 36893488147419103232 ", 1),
		} {
			sendTo(t, p, server, text)
		}
		sendTo(t, p, server, response("ours", "UDP 192.0.2.1;branch=z9hG4bK1"))
		if got := <-h.got; got.m.CallID != "ours" {
			t.Errorf("%s came up", got.m.CallID)
		}
		c := &tr.Metrics().ByProtocol[UDP]
		if stray, bad := c.StrayResponses.Load(), c.ParseErrors.Load(); stray != 4 || bad != 2 {
			t.Errorf("counted %d stray and %d malformed responses, want 4 and 2", stray, bad)
		}
	})
}

// TPT-11: keep-alives are never answered on UDP (RFC 5626 §5.4).
func TestDatagramsThatAreNoSIPAreIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewMemory()
		_, h := start(t, Options{Network: n}, "udp://192.0.2.1:5060")
		p := peer(t, n, "192.0.2.9:5060")
		for _, text := range []string{"", "\r\n", "\r\n\r\n", "\x00\x00\x00\x00", "\x00\x01\x00\x00\x21\x12\xa4\x42", "jaK"} {
			sendTo(t, p, ap("192.0.2.1:5060"), text)
		}
		sendTo(t, p, ap("192.0.2.1:5060"), options("UDP 192.0.2.9:5060;branch=z9hG4bK1", "last", ""))
		if got := <-h.got; got.m.CallID != "last" {
			t.Errorf("got %+v", got)
		}
		synctest.Wait()
		if n.packets[ap("192.0.2.9:5060")].queue != nil {
			t.Error("something was answered")
		}
	})
}

func TestRequestOverTheLimitsIsAnswerable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewMemory()
		_, h := start(t, Options{Network: n, Limits: Limits{MaxMessage: 2000, MaxHeaders: 20}}, "udp://192.0.2.1:5060")
		p := peer(t, n, "192.0.2.9:5060")
		via := "UDP 192.0.2.9:5060;branch=z9hG4bK1"
		many := strings.Replace(options(via, "many", ""), "Content-Length", strings.Repeat("X-A: b\r\n", 20)+"Content-Length", 1)
		for text, status := range map[string]int{
			options(via, "long", strings.Repeat("x", 2000)): 513,
			many: 400,
		} {
			sendTo(t, p, ap("192.0.2.1:5060"), text)
			got := <-h.got
			parse, ok := got.err.(*sip.ParseError)
			if !ok || got.m == nil || !parse.Answerable || (parse.Status != status && parse.Status != 513) {
				t.Errorf("%s: got %v, want %d", got.m.CallID, got.err, status)
			}
		}
	})
}

func TestDatagramQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewMemory()
		tr, err := New(Options{Network: n, Listen: listens(t, "udp://192.0.2.1:5060"), Limits: Limits{DatagramQueue: 3}})
		if err != nil {
			t.Fatal(err)
		}
		defer tr.Close()
		tr.mu.Lock()
		tr.serving = true // but no writer yet
		tr.mu.Unlock()
		f, err := tr.Connect(t.Context(), UDP, ap("192.0.2.9:5060"), "")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			if err := tr.Send(f, []byte("x"), nil); err != nil {
				t.Fatalf("datagram %d: %v", i, err)
			}
		}
		if err := tr.Send(f, []byte("x"), nil); err != ErrQueueFull {
			t.Errorf("the fourth: %v, want ErrQueueFull", err)
		}
		if err := tr.Send(f, make([]byte, 65508), nil); err != ErrTooLarge {
			t.Errorf("65508 bytes: %v, want ErrTooLarge", err)
		}
		if got := tr.Metrics().ByProtocol[UDP].QueueFull.Load(); got != 1 {
			t.Errorf("counted %d, want 1", got)
		}
	})
	t.Run("by-bytes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := NewMemory()
			tr, err := New(Options{Network: n, Listen: listens(t, "udp://192.0.2.1:5060"), Limits: Limits{DatagramQueue: 100}})
			if err != nil {
				t.Fatal(err)
			}
			defer tr.Close()
			tr.mu.Lock()
			tr.serving = true // but no writer yet
			tr.mu.Unlock()
			f, err := tr.Connect(t.Context(), UDP, ap("192.0.2.9:5060"), "")
			if err != nil {
				t.Fatal(err)
			}
			taken := 0
			for err = nil; err == nil; taken++ {
				err = tr.Send(f, make([]byte, 60_000), nil)
			}
			if err != ErrQueueFull || taken != 4 { // 3 of them make 180000 bytes
				t.Errorf("datagram %d of 60000 bytes: %v, want ErrQueueFull for the fourth", taken, err)
			}
		})
	})
}

// lazy is a socket that sends nothing until it may.
type lazy struct {
	PacketConn
	may chan struct{}
}

func (l lazy) WriteBatch(batch []Datagram) (int, error) {
	<-l.may
	return l.PacketConn.WriteBatch(batch)
}

// Settle waits for the writer, and for nobody who is not there.
func TestSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewMemory()
		tr, err := New(Options{Network: n, Listen: listens(t, "udp://192.0.2.1:5060")})
		if err != nil {
			t.Fatal(err)
		}
		s := tr.listeners[0].sockets[0]
		network := lazy{s.conn, make(chan struct{})}
		s.conn = network
		send := func() {
			if err := s.send([]byte("x"), nil, ap("192.0.2.9:5060"), s.conn.LocalAddr().Addr()); err != nil {
				t.Fatal(err)
			}
		}
		send()
		tr.Settle() // there is no writer yet
		tr.Serve(newRecorder())
		synctest.Wait()
		tr.Settle() // it has taken what waited
		send()
		settled := make(chan struct{})
		go func() {
			defer close(settled)
			tr.Settle()
		}()
		synctest.Wait()
		select {
		case <-settled:
			t.Error("Settle returned while a datagram waited")
		default:
		}
		network.may <- struct{}{}
		<-settled
		send()
		s.finish()
		tr.Settle() // the socket has come to its end
		close(network.may)
		tr.Close()
	})
}

// What was queued before Close still leaves.
func TestCloseSendsWhatIsQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewMemory()
		tr, _ := start(t, Options{Network: n}, "udp://192.0.2.1:5060")
		p := peer(t, n, "192.0.2.9:5060")
		f, err := tr.Connect(t.Context(), UDP, ap("192.0.2.9:5060"), "")
		if err != nil {
			t.Fatal(err)
		}
		body := []byte("shared")
		for range 300 {
			if err := tr.Send(f, []byte("head "), body); err != nil {
				t.Fatal(err)
			}
		}
		tr.Close()
		for range 300 {
			if text, _ := readFrom(t, p); text != "head shared" {
				t.Fatalf("got %q", text)
			}
		}
		if f.Alive() {
			t.Error("the flow lives on")
		}
		if err := tr.Send(f, []byte("x"), nil); err != ErrFlowClosed {
			t.Errorf("Send after Close: %v, want ErrFlowClosed", err)
		}
	})
}

func TestNoListenerOfThatFamily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, _ := start(t, Options{Network: NewMemory()}, "udp://192.0.2.1:5060")
		if _, err := tr.Connect(t.Context(), UDP, ap("[2001:db8::1]:5060"), ""); err != ErrNoListener {
			t.Errorf("got %v, want ErrNoListener", err)
		}
	})
}

// A flow noted by an earlier process is found again, if its listener is there.
func TestUDPFlowIsFoundAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewMemory()
		tr, h := start(t, Options{Network: n}, "udp://0.0.0.0:5060", "tcp://0.0.0.0:5062")
		p := peer(t, n, "192.0.2.9:6000")
		sendTo(t, p, ap("192.0.2.77:5060"), options("UDP 192.0.2.9:6000;branch=z9hG4bK1", "c1", ""))
		got := <-h.got
		if f := tr.UDPFlow(got.flow.Local, got.flow.Remote); f != got.flow {
			t.Errorf("got %v, want %v", f, got.flow)
		}
		for _, local := range []string{"192.0.2.77:5061", "192.0.2.77:5062", "[2001:db8::1]:5060"} {
			f := tr.UDPFlow(ap(local), got.flow.Remote)
			if err := tr.Send(f, []byte("x"), nil); f.Alive() || err != ErrFlowClosed {
				t.Errorf("%s: alive %v, Send gives %v", local, f.Alive(), err)
			}
		}
	})
}
