package interop

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// A watcher that never reads its connection costs nobody else anything: another
// watcher hears every state it should, and the last one (promise: one slow
// watcher costs one waiting body).
func TestPeerThatNeverReads(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	alice := dial(t, s.addr(), "TCP", "alice")
	tag := alice.ask(alice.publish(600, "", pidf("alice", "open", "0", ""))).get("SIP-ETag")

	deaf, err := net.Dial("tcp", s.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	_ = deaf.(*net.TCPConn).SetReadBuffer(4096)
	mute := newPhone(t, "carol", "TCP", deaf.LocalAddr().String(), nil, nil)
	for range 50 {
		if _, err := io.WriteString(deaf, mute.subscription("sip:alice@example.com").subscribe(600).String()); err != nil {
			t.Fatal(err)
		}
	}

	bob := dial(t, s.addr(), "UDP", "bob")
	d := bob.subscription("sip:alice@example.com")
	d.open(600)
	d.notify()
	filler := strings.Repeat("x", 20_000)
	for i := 1; i <= 100; i++ {
		document := strings.Replace(pidf("alice", "open", fmt.Sprint(i), ""), "</dm:note>", "</dm:note><dm:note xml:lang=\"en\">"+filler+"</dm:note>", 1)
		if i == 100 {
			document = pidf("alice", "open", "100", "")
		}
		r := alice.ask(alice.publish(600, tag, document))
		want(t, r, 200)
		tag = r.get("SIP-ETag")
	}
	for noteIn(d.notify()) != "100" {
	}
}

// A peer that sends one byte now and then does not hold its connection for
// ever, and disturbs nobody.
func TestPeerOfSingleBytes(t *testing.T) {
	t.Parallel()
	s := start(t, setup{sip: []string{`read-timeout = "2s"`}})
	conn, err := net.Dial("tcp", s.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, conn) // until the server closes
	}()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	bob := dial(t, s.addr(), "TCP", "bob")
	text := "OPTIONS sip:example.com SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1\r\n" + strings.Repeat("X: y\r\n", 100)
	deadline := time.After(patience)
	for i := 0; ; i++ {
		select {
		case <-ended:
			return
		case <-deadline:
			t.Fatal("a message of single bytes is still being waited for")
		case <-tick.C:
			_, _ = conn.Write([]byte{text[i%len(text)]})
			want(t, bob.ask(bob.request("OPTIONS", "sip:example.com", "<sip:example.com>", token(), token(), 1)), 200)
		}
	}
}

// The framing of streams: a message in single bytes, two in one segment, a
// keep-alive between them (MSG-10, MSG-11, TPT-11).
func TestStreamFraming(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	options := func(p *phone) message {
		return p.request("OPTIONS", "sip:example.com", "<sip:example.com>", token(), token(), 1)
	}
	t.Run("MSG-11/single-bytes", func(t *testing.T) {
		p := dial(t, s.addr(), "TCP", "bob")
		m := options(p)
		for _, b := range []byte(m.String()) {
			if err := p.write(string(b)); err != nil {
				t.Fatal(err)
			}
		}
		if _, ok := p.response(m, patience); !ok {
			t.Error("no answer to a message sent byte by byte")
		}
	})
	t.Run("MSG-11/two-in-one", func(t *testing.T) {
		p := dial(t, s.addr(), "TCP", "bob")
		one, two := options(p), options(p)
		if err := p.write("\r\n" + one.String() + two.String()); err != nil {
			t.Fatal(err)
		}
		for _, m := range []message{one, two} {
			if _, ok := p.response(m, patience); !ok {
				t.Error("no answer to one of two messages in a segment")
			}
		}
	})
	t.Run("TPT-11/keep-alive", func(t *testing.T) {
		conn, err := net.Dial("tcp", s.addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		if _, err := io.WriteString(conn, "\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		pong := make([]byte, 2)
		if _, err := io.ReadFull(conn, pong); err != nil || string(pong) != "\r\n" {
			t.Errorf("ping answered by %q (%v), want CRLF", pong, err)
		}
	})
	t.Run("MSG-10/no-length", func(t *testing.T) {
		p := dial(t, s.addr(), "TCP", "bob")
		m := options(p)
		if err := p.write(strings.Replace(m.String(), "Content-Length: 0\r\n", "", 1)); err != nil {
			t.Fatal(err)
		}
		if r, ok := p.response(m, patience); ok && r.status() != 400 {
			t.Errorf("no Content-Length: %s, want 400", r.start)
		}
		if _, ok := p.take(patience, func(message) bool { return false }); ok || !p.ended() {
			t.Error("the connection is still open")
		}
	})
}

// ended reports whether the server has closed the stream.
func (p *phone) ended() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gone
}

// Contacts that NOTIFYs must not be sent to (SEC-03): the server itself,
// multicast, broadcast.
func TestSuspiciousContact(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	p := dial(t, s.addr(), "UDP", "bob")
	for _, host := range []string{s.addr(), "224.0.1.75:5060", "255.255.255.255", "0.0.0.0:5060"} {
		m := p.subscription("sip:alice@example.com").subscribe(600).with("Contact", "<sip:bob@"+host+">")
		if r := p.ask(m); r.status() < 400 || r.status() >= 500 {
			t.Errorf("SEC-03: Contact at %s: %s, want a refusal", host, r.start)
		}
	}
	if m, ok := p.take(500*time.Millisecond, func(m message) bool { return m.method() == "NOTIFY" }); ok {
		t.Errorf("SEC-03: NOTIFY after a refusal\n%s", indent(m.String()))
	}
}

// A watcher behind a NAT: its Contact leads nowhere, its datagrams come from
// another port. The response and every NOTIFY go to that port, from the one the
// request was sent to (TPT-04, promise: NOTIFY leaves by the flow).
func TestWatcherBehindNAT(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	alice, bob := dial(t, s.addr(), "UDP", "alice"), dial(t, s.addr(), "UDP", "bob")
	inside := "127.0.0.77:9"
	m := bob.subscription("sip:alice@example.com")
	first := m.subscribe(600).with("Contact", "<sip:bob@"+inside+">")
	first = first.with("Via", strings.Replace(first.get("Via"), bob.local, inside, 1))
	r := bob.ask(first)
	want(t, r, 200)
	if received, rport := param(r.get("Via"), "received"), param(r.get("Via"), "rport"); received != "127.0.0.1" || rport == "" {
		t.Errorf("TPT-04: Via %s, want received=127.0.0.1 and the source port", r.get("Via"))
	}
	m.learn(r)
	if got := m.notify().requestURI(); got != "sip:bob@"+inside {
		t.Errorf("NOTIFY for %s, want the Contact sip:bob@%s", got, inside)
	}
	want(t, alice.ask(alice.publish(600, "", pidf("alice", "open", "first", ""))), 200)
	if n := m.notify(); noteIn(n) != "first" {
		t.Errorf("the watcher heard\n%s", indent(n.String()))
	}
}
