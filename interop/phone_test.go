package interop

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// phone is a user agent of our own, for what the packaged peers cannot do:
// digest in every variant, odd answers to NOTIFY, retransmissions on purpose.
// It sends what it is told, keeps what it gets, and does nothing by itself.
type phone struct {
	t         testing.TB
	user      string
	transport string // UDP or TCP
	local     string // host:port
	write     func(string) error
	close     func()

	mu      sync.Mutex
	inbox   []message
	trace   []string
	arrived chan struct{} // closed and replaced when inbox grows
	gone    bool          // the stream ended
	load    bool          // one of many: keeps no trace
}

// dial makes a phone for user with an open way to addr.
func dial(t testing.TB, addr, transport, user string) *phone {
	t.Helper()
	return dialFrom(t, "127.0.0.1:0", addr, transport, user)
}

func dialFrom(t testing.TB, local, addr, transport, user string) *phone {
	t.Helper()
	if transport == "UDP" {
		laddr, err := net.ResolveUDPAddr("udp", local)
		if err != nil {
			t.Fatal(err)
		}
		raddr, err := net.ResolveUDPAddr("udp", addr)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.ListenUDP("udp", laddr)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadBuffer(4 << 20)
		p := newPhone(t, user, transport, conn.LocalAddr().String(), func(s string) error {
			_, err := conn.WriteToUDP([]byte(s), raddr)
			return err
		}, func() { _ = conn.Close() })
		p.receive(func() (message, error) {
			buf := make([]byte, 65535)
			n, from, err := conn.ReadFromUDP(buf)
			if err != nil {
				return message{}, err
			}
			// Symmetric: all comes from where all goes (RFC 3581 §4).
			if from.String() != raddr.String() {
				t.Errorf("%s got a datagram from %s, talks to %s", user, from, raddr)
			}
			return parse(buf[:n])
		})
		return p
	}
	laddr, err := net.ResolveTCPAddr("tcp", local)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := (&net.Dialer{LocalAddr: laddr, Timeout: patience}).Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return stream(t, user, transport, conn)
}

// stream makes a phone of a connection that is open already.
func stream(t testing.TB, user, transport string, conn net.Conn) *phone {
	p := newPhone(t, user, transport, conn.LocalAddr().String(), func(s string) error {
		_, err := conn.Write([]byte(s))
		return err
	}, func() { _ = conn.Close() })
	r := bufio.NewReader(conn)
	p.receive(func() (message, error) { return readStream(r) })
	return p
}

func newPhone(t testing.TB, user, transport, local string, write func(string) error, end func()) *phone {
	return &phone{t: t, user: user, transport: transport, local: local, write: write, close: end, arrived: make(chan struct{})}
}

// receive reads until the socket is closed, which the test's end does.
func (p *phone) receive(read func() (message, error)) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			m, err := read()
			p.mu.Lock()
			if err != nil && m.start == "" {
				p.gone = true
				close(p.arrived)
				p.mu.Unlock()
				return
			}
			if err != nil {
				p.t.Errorf("%s got a message that cannot be read: %v\n%s", p.user, err, indent(m.String()))
			}
			p.inbox = append(p.inbox, m)
			p.note("<-", m.String())
			close(p.arrived)
			p.arrived = make(chan struct{})
			p.mu.Unlock()
		}
	}()
	p.t.Cleanup(func() {
		p.close()
		<-done
		if p.t.Failed() && !p.load {
			p.t.Logf("%s saw:\n%s", p.user, p.story())
		}
	})
}

func (p *phone) note(arrow, text string) {
	if !p.load && len(p.trace) < 400 {
		p.trace = append(p.trace, fmt.Sprintf("%s %s %s\n%s", time.Now().Format("15:04:05.000"), arrow, p.transport, indent(text)))
	}
}

func (p *phone) story() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	story := strings.Join(p.trace, "\n")
	if len(story) > 24<<10 {
		story = "…" + story[len(story)-24<<10:]
	}
	return story
}

// send sends a message as it is.
func (p *phone) send(m message) {
	p.t.Helper()
	text := m.String()
	p.mu.Lock()
	p.note("->", text)
	p.mu.Unlock()
	if err := p.write(text); err != nil {
		p.t.Errorf("%s: send: %v", p.user, err)
	}
}

// take waits for a message that fits and takes it out of the inbox; others
// stay, in order.
func (p *phone) take(limit time.Duration, fits func(message) bool) (message, bool) {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for {
		p.mu.Lock()
		for i, m := range p.inbox {
			if fits(m) {
				p.inbox = append(p.inbox[:i:i], p.inbox[i+1:]...)
				p.mu.Unlock()
				return m, true
			}
		}
		arrived, gone := p.arrived, p.gone
		p.mu.Unlock()
		if gone {
			return message{}, false
		}
		select {
		case <-arrived:
		case <-deadline.C:
			return message{}, false
		}
	}
}

// request makes a request with the rows every request needs.
func (p *phone) request(method, uri, to, callID, tag string, cseq int, further ...row) message {
	return message{start: method + " " + uri + " SIP/2.0", rows: append([]row{
		{"Via", fmt.Sprintf("SIP/2.0/%s %s;branch=z9hG4bK%s;rport", p.transport, p.local, token())},
		{"Max-Forwards", "70"},
		{"From", fmt.Sprintf("<sip:%s@example.com>;tag=%s", p.user, tag)},
		{"To", to},
		{"Call-ID", callID},
		{"CSeq", fmt.Sprintf("%d %s", cseq, method)},
		{"Contact", p.contact()},
	}, further...)}
}

func (p *phone) contact() string {
	suffix := ""
	if p.transport != "UDP" {
		suffix = ";transport=" + strings.ToLower(p.transport)
	}
	return fmt.Sprintf("<sip:%s@%s%s>", p.user, p.local, suffix)
}

// ask sends a request and waits for its final response. Over UDP it repeats
// the request as RFC 3261 §17.1.2 says.
func (p *phone) ask(m message) message {
	p.t.Helper()
	response, ok := p.try(m, patience)
	if !ok {
		p.t.Fatalf("%s got no answer to\n%s", p.user, indent(m.String()))
	}
	return response
}

// try is ask for a server that may be gone.
func (p *phone) try(m message, limit time.Duration) (message, bool) {
	p.t.Helper()
	p.send(m)
	deadline := time.Now().Add(limit)
	for wait := 500 * time.Millisecond; time.Now().Before(deadline); wait = min(2*wait, 4*time.Second) {
		if p.transport != "UDP" {
			wait = limit
		}
		if response, ok := p.response(m, min(wait, time.Until(deadline))); ok {
			return response, true
		}
		if p.transport == "UDP" {
			p.send(m)
		}
	}
	return message{}, false
}

// response waits for the final response to a request sent before.
func (p *phone) response(m message, limit time.Duration) (message, bool) {
	branch := param(m.get("Via"), "branch")
	_, method := m.cseq()
	return p.take(limit, func(r message) bool {
		_, of := r.cseq()
		return r.status() >= 200 && of == method && param(r.get("Via"), "branch") == branch
	})
}

// dialog is a subscription as its watcher sees it.
type dialog struct {
	phone    *phone
	uri      string // what was subscribed
	callID   string
	tag      string // ours
	theirs   string // the server's
	target   string // Contact of the server
	route    []string
	cseq     int
	notified uint64 // highest CSeq of a NOTIFY
}

// subscription prepares a dialog; nothing is sent yet.
func (p *phone) subscription(uri string) *dialog {
	return &dialog{phone: p, uri: uri, callID: token() + "@" + p.user, tag: token()}
}

// subscribe makes the next SUBSCRIBE of the dialog.
func (d *dialog) subscribe(expires int, further ...row) message {
	d.cseq++
	uri, to := d.uri, "<"+d.uri+">"
	if d.theirs != "" {
		to += ";tag=" + d.theirs
		uri = d.target
	}
	rows := []row{{"Event", "presence"}, {"Expires", fmt.Sprint(expires)}, {"Accept", "application/pidf+xml"}}
	m := d.phone.request("SUBSCRIBE", uri, to, d.callID, d.tag, d.cseq, append(rows, further...)...)
	for i := len(d.route) - 1; i >= 0; i-- {
		m.rows = append([]row{{"Route", d.route[i]}}, m.rows...)
	}
	return m
}

// learn keeps what a 2xx to SUBSCRIBE says about the dialog.
func (d *dialog) learn(response message) {
	if d.theirs != "" {
		return
	}
	d.theirs = param(response.get("To"), "tag")
	d.target = address(response.get("Contact"))
	for _, v := range response.all("Record-Route") {
		for _, one := range strings.Split(v, ",") {
			d.route = append([]string{strings.TrimSpace(one)}, d.route...)
		}
	}
}

// open subscribes and wants 200; the first NOTIFY is left to the caller.
func (d *dialog) open(expires int, further ...row) message {
	d.phone.t.Helper()
	response := d.phone.ask(d.subscribe(expires, further...))
	want(d.phone.t, response, 200)
	d.learn(response)
	return response
}

// awaits returns the next NOTIFY of the dialog, not yet answered. A repeated
// one (same branch) is passed over.
func (d *dialog) awaits(limit time.Duration) (message, bool) {
	return d.phone.take(limit, func(m message) bool {
		n, _ := m.cseq()
		return m.method() == "NOTIFY" && m.get("Call-ID") == d.callID && n > d.notified
	})
}

// notify waits for the next NOTIFY of the dialog and answers 200.
func (d *dialog) notify() message {
	d.phone.t.Helper()
	m, ok := d.awaits(patience)
	if !ok {
		d.phone.t.Fatalf("%s got no NOTIFY about %s", d.phone.user, d.uri)
	}
	d.accept(m)
	return m
}

// accept answers 200 and keeps the CSeq.
func (d *dialog) accept(m message) {
	d.phone.t.Helper()
	n, _ := m.cseq()
	if n <= d.notified {
		d.phone.t.Errorf("NOTIFY CSeq %d after %d (DLG-04)", n, d.notified)
	}
	d.notified = n
	d.phone.send(answer(m, 200, "OK", d.tag, row{"Contact", d.phone.contact()}))
}

// publish makes a PUBLISH of the phone's user for its own presence.
func (p *phone) publish(expires int, tag, body string, further ...row) message {
	uri := "sip:" + p.user + "@example.com"
	rows := []row{{"Event", "presence"}, {"Expires", fmt.Sprint(expires)}}
	if tag != "" {
		rows = append(rows, row{"SIP-If-Match", tag})
	}
	if body != "" {
		rows = append(rows, row{"Content-Type", "application/pidf+xml"})
	}
	m := p.request("PUBLISH", uri, "<"+uri+">", token(), token(), 1, append(rows, further...)...)
	m.body = body
	return m
}

// pidf is a document of one tuple, with a person note and an activity when
// they are given.
func pidf(user, basic, note, activity string) string {
	var person string
	if note != "" || activity != "" {
		person = "<dm:person id=\"p1\">"
		if activity != "" {
			person += "<rpid:activities><rpid:" + activity + "/></rpid:activities>"
		}
		if note != "" {
			person += "<dm:note>" + note + "</dm:note>"
		}
		person += "</dm:person>"
	}
	return `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model"` +
		` xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" entity="sip:` + user + `@example.com">` +
		`<tuple id="t1"><status><basic>` + basic + `</basic></status><contact>sip:` + user + `@example.com</contact></tuple>` +
		person + `</presence>`
}

// want fails the test when a response has another status.
func want(t testing.TB, m message, status int) {
	t.Helper()
	if m.status() != status {
		t.Fatalf("got %s, want %d\n%s", m.start, status, indent(m.String()))
	}
}

// token is a word that no other call returns.
func token() string {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
