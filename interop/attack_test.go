package interop

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// metric is the sum of the samples whose name, with labels as far as given,
// starts so.
func (s *server) metric(name string) float64 {
	s.t.Helper()
	response, err := http.Get("http://" + s.http + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	sum, found := 0.0, false
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, name) {
			value, _ := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:len(line)-1], 64)
			sum, found = sum+value, true
		}
	}
	if !found {
		s.t.Fatalf("/metrics has no %s", name)
	}
	return sum
}

// until waits for a metric to come down to most.
func (s *server) until(name string, most float64, limit time.Duration) {
	s.t.Helper()
	deadline := time.Now().Add(limit)
	for {
		got := s.metric(name)
		if got <= most {
			return
		}
		if time.Now().After(deadline) {
			s.t.Errorf("%s is %v after %v, want no more than %v", name, got, limit, most)
			return
		}
		<-time.After(100 * time.Millisecond)
	}
}

// tidy has the collector leave little garbage, so that memory that grows is
// memory that is held.
const tidy = "\n[runtime]\ngc-percent = 100\ngc-headroom = \"4MiB\"\n"

// resident is the memory of the server's process (proc(5), VmRSS).
func (s *server) resident() int {
	s.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.process.cmd.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(status, []byte("VmRSS:"))
	kilobytes, err := strconv.Atoi(string(bytes.Fields(rest)[0]))
	if err != nil {
		s.t.Fatal(err)
	}
	return kilobytes << 10
}

// grows fails the test when the server takes more memory than most while attack runs.
func (s *server) grows(most int, attack func()) {
	s.t.Helper()
	before := s.resident()
	attack()
	if after := s.resident(); after-before > most {
		s.t.Errorf("the server grew from %d to %d MiB, by more than %d", before>>20, after>>20, most>>20)
	}
}

// answers makes sure that the server still serves.
func answers(t *testing.T, p *phone) {
	t.Helper()
	want(t, p.ask(p.request("OPTIONS", "sip:example.com", "<sip:example.com>", token(), token(), 1)), 200)
}

// SEC-06: bodies made to hurt, and bodies that are not what Content-Type says.
// Each is refused in bounded memory, the publication it should replace stays
// what it was under its entity-tag, and no watcher hears of it.
func TestHostileDocuments(t *testing.T) {
	t.Parallel()
	s := start(t, setup{
		tables:   tidy,
		sip:      []string{`max-message = "12MiB"`, `write-queue = "16MiB"`},
		presence: []string{everybody, quick, `notify-interval = "0s"`, `max-body = "2MiB"`},
	})
	alice, bob := dial(t, s.addr(), "TCP", "alice"), dial(t, s.addr(), "TCP", "bob")
	r := alice.ask(alice.publish(600, "", pidf("alice", "open", "genuine", "")))
	want(t, r, 200)
	tag := r.get("SIP-ETag")
	d := bob.subscription("sip:alice@example.com")
	d.open(600)
	if n := d.notify(); noteIn(n) != "genuine" {
		t.Fatalf("bob heard\n%s", indent(n.String()))
	}

	const open = `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:alice@example.com">`
	const tuple = `<tuple id="t"><status><basic>open</basic></status></tuple>`
	bomb := `<?xml version="1.0"?><!DOCTYPE p [<!ENTITY e0 "ha">`
	for i := 1; i < 30; i++ {
		bomb += fmt.Sprintf(`<!ENTITY e%d "&e%d;&e%d;&e%d;&e%d;">`, i, i-1, i-1, i-1, i-1)
	}
	bomb += `]>` + open + `<note>&e29;</note></presence>`
	nested := open + tuple + strings.Repeat("<a>", 100_000) + strings.Repeat("</a>", 100_000) + `</presence>`
	var attributes strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&attributes, ` a%d=""`, i)
	}
	const xml = "application/pidf+xml"
	for _, attack := range []struct {
		name, contentType, body string
		status                  []int
	}{
		{"text", xml, "I am here", []int{400}},
		{"json", xml, `{"presence":"open"}`, []int{400}},
		{"binary", xml, "\x00\x01\x02\xff\xfe", []int{400}},
		{"other-document", xml, `<html xmlns="http://www.w3.org/1999/xhtml"><body/></html>`, []int{400}},
		{"two-documents", xml, open + `</presence>` + open + `</presence>`, []int{400}},
		{"cut-off", xml, open + tuple, []int{400}},
		{"broken-utf-8", xml, open + "<note>\xc3\x28</note></presence>", []int{400}},
		{"declared-otherwise", xml, `<?xml version="1.0" encoding="UTF-16"?>` + open + `</presence>`, []int{400, 415}},
		{"pidf-as-text", "text/plain", open + tuple + `</presence>`, []int{415}},
		{"pidf-as-multipart", "multipart/related;boundary=x", open + tuple + `</presence>`, []int{400, 415}},
		{"no-type", "", open + tuple + `</presence>`, []int{400, 415}},
		{"odd-type", "///", open + tuple + `</presence>`, []int{400, 415}},
		{"dtd", xml, `<!DOCTYPE presence SYSTEM "http://127.0.0.1:1/pidf.dtd">` + open + tuple + `</presence>`, []int{400}},
		{"external-entity", xml, `<!DOCTYPE p [<!ENTITY x SYSTEM "file:///etc/passwd">]>` + open + `<note>&x;</note></presence>`, []int{400}},
		{"entity-bomb", xml, bomb, []int{400}},
		{"unknown-entity", xml, open + `<note>&nbsp;</note></presence>`, []int{400}},
		{"100000-nested", xml, nested, []int{400}},
		{"100000-nested-open", xml, open + strings.Repeat("<a>", 100_000), []int{400}},
		{"100000-elements", xml, open + tuple + strings.Repeat("<a/>", 100_000) + `</presence>`, []int{400, 413}},
		{"100000-attributes", xml, open + `<a` + attributes.String() + `/></presence>`, []int{400, 413}},
		{"10-megabytes", xml, open + `<note>` + strings.Repeat("x", 10_000_000) + `</note></presence>`, []int{413}},
	} {
		t.Run("SEC-06/"+attack.name, func(t *testing.T) {
			s, alice := s.with(t), dial(t, s.addr(), "TCP", "alice")
			alice.load = true // its trace would be ten megabytes
			// A document is in memory a few times over, and garbage until collected.
			s.grows(128<<20, func() {
				for range 3 {
					r := alice.ask(alice.publish(600, tag, attack.body).with("Content-Type", attack.contentType))
					if !fits(r.status(), attack.status) {
						t.Fatalf("got %s, want %d", r.start, attack.status)
					}
				}
			})
		})
	}
	want(t, alice.ask(alice.publish(600, tag, "")), 200) // the entity-tag is the same still
	if m, ok := d.awaits(500 * time.Millisecond); ok {
		t.Errorf("bob heard of it\n%s", indent(m.String()))
	}
}

func fits(status int, among []int) bool {
	for _, s := range among {
		if s == status {
			return true
		}
	}
	return false
}

// A document of 10 MB over TCP, where messages end at 64 kB: it is refused by
// its Content-Length, before it comes, and the connection ends (MSG-25).
func TestMessageAboveTheLimit(t *testing.T) {
	t.Parallel()
	s := start(t, setup{tables: tidy})
	bob := dial(t, s.addr(), "UDP", "bob")
	s.grows(32<<20, func() {
		for range 20 {
			alice := dial(t, s.addr(), "TCP", "alice")
			alice.load = true
			m := alice.publish(600, "", strings.Repeat("x", 10_000_000))
			head, body, _ := strings.Cut(m.String(), "\r\n\r\n")
			if err := alice.write(head + "\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			if r, ok := alice.response(m, patience); !ok || r.status() != 513 {
				t.Fatalf("answered by %q, want 513", r.start)
			}
			_ = alice.write(body) // whoever goes on talking talks to nobody
			if _, ok := alice.take(patience, func(message) bool { return false }); ok || !alice.ended() {
				t.Error("the connection is still open")
			}
		}
	})
	answers(t, bob)
}

// F-25: SUBSCRIBEs without password, 10000 in all, many from each of many
// sources, as forged ones would be. No source gets more than its share, no
// answer is much larger than what asked for it, no subscription and no
// transaction is left, and who knows a password is served meanwhile (SEC-01, SEC-02).
func TestFloodWithoutPassword(t *testing.T) {
	t.Parallel()
	const sources, each, rate = 50, 200, 5
	s := start(t, setup{tables: tidy, accounts: people, sip: []string{fmt.Sprintf("unauthenticated-rate = %d", rate)}})
	addr, _ := net.ResolveUDPAddr("udp", s.addr())
	var flood sync.WaitGroup
	s.grows(64<<20, func() {
		for i := range sources {
			conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 7, byte(1+i))})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close() })
			mallory := newPhone(t, "mallory", "UDP", conn.LocalAddr().String(), nil, nil)
			flood.Go(func() { floodFrom(t, conn, addr, mallory, each, rate) })
		}
		bob := dial(t, s.addr(), "UDP", "bob")
		d := bob.subscription("sip:alice@example.com")
		m := d.subscribe(600)
		c := bob.challenged(m)["SHA-256"]
		r := bob.ask(d.subscribe(600).signed(c, credentials{"bob", password, "auth", 1}))
		want(t, r, 200)
		d.learn(r)
		d.notify()
		flood.Wait()
	})
	if n := s.metric(`vigie_subscriptions{package="presence"`); n != 1 {
		t.Errorf("SEC-01: %v subscriptions, want bob's alone", n)
	}
	if n := s.metric(`vigie_transaction_live{kind="lingering"}`); n > 2 {
		t.Errorf("SEC-01: %v answers are remembered, want bob's alone", n)
	}
	if n := s.metric("vigie_sip_unauthenticated_dropped_total"); n == 0 {
		t.Error("SEC-02: nothing was dropped")
	}
}

// floodFrom sends without a pause and judges what comes back until nothing more does.
func floodFrom(t *testing.T, conn *net.UDPConn, to *net.UDPAddr, mallory *phone, n, rate int) {
	began := time.Now()
	shortest := 1 << 16
	for range n {
		m := mallory.subscription("sip:alice@example.com").subscribe(600).String()
		shortest = min(shortest, len(m))
		if _, err := conn.WriteToUDP([]byte(m), to); err != nil {
			t.Error(err)
			return
		}
	}
	buf := make([]byte, 65535)
	answered := 0
	for {
		_ = conn.SetReadDeadline(time.Now().Add(time.Second))
		size, _, err := conn.ReadFromUDP(buf)
		if err != nil {
			break
		}
		answered++
		if !bytes.HasPrefix(buf[:size], []byte("SIP/2.0 401 ")) || size > 3*shortest {
			t.Errorf("SEC-02: %d bytes asked for\n%s", shortest, indent(string(buf[:size])))
		}
	}
	// Twice the rate at once, and the rate for as long as it took.
	if most := 2*rate + rate*int(time.Since(began)/time.Second+1); answered == 0 || answered > most {
		t.Errorf("SEC-02: %d of %d requests of one source were answered, want no more than %d", answered, n, most)
	}
}

// A watcher whose connection takes nothing, with more subscriptions than the
// connection's queue may hold: the connection is closed, nothing piles up in
// memory, the server does not try again and again, and others hear everything.
func TestDeafWatcherLosesItsConnection(t *testing.T) {
	t.Parallel()
	const subscriptions = 600
	s := start(t, setup{
		tables:   tidy,
		sip:      []string{`write-queue = "128KiB"`},
		presence: []string{everybody, quick, `notify-interval = "0s"`, fmt.Sprintf("subscriptions = %d", 2*subscriptions)},
	})
	alice, bob := dial(t, s.addr(), "TCP", "alice"), dial(t, s.addr(), "UDP", "bob")
	note := strings.Repeat("x", 30_000)
	r := alice.ask(alice.publish(600, "", pidf("alice", "open", note, "")))
	want(t, r, 200)
	tag := r.get("SIP-ETag")
	s.grows(128<<20, func() {
		deaf, err := net.Dial("tcp", s.addr())
		if err != nil {
			t.Fatal(err)
		}
		defer deaf.Close()
		_ = deaf.(*net.TCPConn).SetReadBuffer(4096)
		mute := newPhone(t, "carol", "TCP", deaf.LocalAddr().String(), nil, nil)
		for range subscriptions {
			_ = deaf.SetWriteDeadline(time.Now().Add(patience))
			if _, err := io.WriteString(deaf, mute.subscription("sip:alice@example.com").subscribe(600).String()); err != nil {
				break // the server has had enough already
			}
		}
		d := bob.subscription("sip:alice@example.com")
		d.open(600)
		d.notify()
		for i := range 20 {
			r := alice.ask(alice.publish(600, tag, pidf("alice", "open", fmt.Sprint(i), "")))
			want(t, r, 200)
			tag = r.get("SIP-ETag")
		}
		for noteIn(d.notify()) != "19" {
		}
		// alice's is left.
		s.until(`vigie_transport_connections{protocol="tcp"}`, 1, patience)
	})
	if n := s.metric(`vigie_transport_connections_overdue_total{protocol="tcp"}`); n != 1 {
		t.Errorf("%v connections were closed for not reading, want 1", n)
	}
	dials := s.metric("vigie_transport_dials_total")
	<-time.After(2 * time.Second)
	if more := s.metric("vigie_transport_dials_total") - dials; more > subscriptions {
		t.Errorf("%v attempts to reach who is gone in two seconds, for %d subscriptions", more, subscriptions)
	}
	want(t, alice.ask(alice.publish(600, tag, "")), 200)
}

// Connections that come and go, 10000 of them, some in the midst of a message,
// some with a request whose answer nobody waits for: nothing is left of them.
func TestConnectionChurn(t *testing.T) {
	t.Parallel()
	s := start(t, setup{tables: tidy, sip: []string{"connections-per-source = 100000"}})
	goroutines := s.metric("go_goroutines")
	phone := dial(t, s.addr(), "UDP", "bob")
	churn := func(n int) {
		var all sync.WaitGroup
		for worker := range 8 {
			all.Go(func() {
				for i := worker; i < n; i += 8 {
					conn, err := net.Dial("tcp", s.addr())
					if err != nil {
						t.Error(err)
						return
					}
					_ = conn.(*net.TCPConn).SetLinger(0) // no TIME_WAIT for each
					switch i % 4 {
					case 1:
						_, _ = io.WriteString(conn, "OPTIONS sip:example.com SIP/2.0\r\nVia: SIP")
					case 2:
						_, _ = io.WriteString(conn, "\r\n\r\n")
					case 3:
						p := newPhone(t, "bob", "TCP", conn.LocalAddr().String(), nil, nil)
						_, _ = io.WriteString(conn, p.request("OPTIONS", "sip:example.com", "<sip:example.com>", token(), token(), 1).String())
					}
					_ = conn.Close()
				}
			})
		}
		all.Wait()
	}
	churn(1000) // what a busy server keeps, it has now
	s.grows(32<<20, func() { churn(10_000) })
	answers(t, phone)
	s.until(`vigie_transport_connections{protocol="tcp"}`, 0, 2*patience)
	s.until("go_goroutines", goroutines+200, 2*patience) // those that wait for requests are kept
	if n := s.metric(`vigie_transport_connections_refused_total{protocol="tcp"}`); n != 0 {
		t.Errorf("%v connections were refused", n)
	}
}

// TLS handshakes that never go on: they end in time, and others are served.
func TestHalfOpenHandshakes(t *testing.T) {
	t.Parallel()
	s := start(t, setup{tls: newCertificate(t)})
	for i := range 500 {
		conn, err := net.Dial("tcp", s.tlsAddr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		switch i % 3 {
		case 1:
			_, _ = conn.Write([]byte{22, 3, 1, 2, 0, 1}) // of a ClientHello, so much
		case 2:
			_, _ = io.WriteString(conn, "OPTIONS sip:example.com SIP/2.0\r\n\r\n") // no TLS at all
		}
	}
	answers(t, dial(t, s.addr(), "TCP", "bob"))
	s.until(`vigie_transport_connections{protocol="tls"}`, 0, 2*patience)
	if n := s.metric("vigie_transport_tls_handshake_failures_total"); n != 500 {
		t.Errorf("%v handshakes failed, want 500", n)
	}
}

// Slow peers, one byte a second each: all of them are closed in time, and the
// others are served while they last.
func TestManyPeersOfSingleBytes(t *testing.T) {
	t.Parallel()
	s := start(t, setup{sip: []string{`read-timeout = "3s"`}})
	text := "PUBLISH sip:alice@example.com SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1\r\n"
	var conns []net.Conn
	for range 200 {
		conn, err := net.Dial("tcp", s.addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns = append(conns, conn)
	}
	bob := dial(t, s.addr(), "UDP", "bob")
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for i := range text[:20] {
		closed := 0
		for _, c := range conns {
			if _, err := io.WriteString(c, text[i:i+1]); err != nil {
				closed++
			}
		}
		if answers(t, bob); closed == len(conns) {
			break
		}
		<-tick.C
	}
	s.until(`vigie_transport_connections{protocol="tcp"}`, 0, patience)
	if n := s.metric(`vigie_transport_connections_overdue_total{protocol="tcp"}`); n != 200 {
		t.Errorf("%v connections were closed for slowness, want 200", n)
	}
}

// IPv6 throughout: listeners, Via, Contact, received, NOTIFY (F-23, MSG-29).
func TestIPv6(t *testing.T) {
	t.Parallel()
	s := start(t, setup{host: "::1"})
	for _, transport := range []string{"UDP", "TCP"} {
		t.Run("MSG-29/"+transport, func(t *testing.T) {
			alice := dialFrom(t, "[::1]:0", s.addr(), transport, "alice")
			bob := dialFrom(t, "[::1]:0", s.addr(), transport, "bob")
			r := alice.ask(alice.publish(600, "", pidf("alice", "open", "first", "")))
			want(t, r, 200)
			tag := r.get("SIP-ETag")
			d := bob.subscription("sip:alice@example.com")
			r = d.open(600)
			if got := param(r.get("Via"), "received"); got != "::1" {
				t.Errorf("received=%s, want ::1", got)
			}
			if !strings.Contains(d.target, "[::1]:"+strconv.Itoa(s.port)) {
				t.Errorf("Contact %s does not name [::1]:%d", d.target, s.port)
			}
			n := d.notify()
			if noteIn(n) != "first" || !strings.Contains(n.get("Via"), " [::1]:"+strconv.Itoa(s.port)+";") {
				t.Errorf("bob heard\n%s", indent(n.String()))
			}
			want(t, bob.ask(d.subscribe(600)), 200) // to the Contact
			d.notify()
			want(t, alice.ask(alice.publish(600, tag, pidf("alice", "closed", "second", ""))), 200)
			if n := d.notify(); noteIn(n) != "second" {
				t.Errorf("bob heard\n%s", indent(n.String()))
			}
			want(t, bob.ask(d.subscribe(0)), 200)
			d.notify()
		})
	}
	// SEC-03: its own address, and everybody's.
	p := dialFrom(t, "[::1]:0", s.addr(), "UDP", "bob")
	for _, host := range []string{s.addr(), "[ff02::1]:5060", "[::]:5060"} {
		m := p.subscription("sip:alice@example.com").subscribe(600).with("Contact", "<sip:bob@"+host+">")
		if r := p.ask(m); r.status() != 403 {
			t.Errorf("SEC-03: Contact at %s: %s, want 403", host, r.start)
		}
	}
}
