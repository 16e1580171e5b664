package app

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/icholy/digest"

	"vigie/sip"
)

// agent is a user agent of a scenario. It answers NOTIFY by itself.
type agent struct {
	name   string // as in the scenario
	uri    string
	addr   netip.AddrPort
	packet net.PacketConn
	stream net.Conn
	accept net.Listener
	rules  *rules

	mu      sync.Mutex
	inbox   []*sip.Message
	seen    map[string]bool // branches of NOTIFYs, to tell retransmissions
	reply   reply
	request *sip.Message // the last one sent
	dialog  *sip.Message // the last 2xx to a SUBSCRIBE
	refused *sip.Message // the last 401
	nonces  map[string]int
	cseq    uint32
	calls   int
}

// reply is how an agent answers NOTIFY.
type reply struct {
	status     int // 0: not at all
	retryAfter string
	contact    string
	delay      time.Duration
}

var digits = regexp.MustCompile(`\d+$`)

func newAgent(s *stage, name string, addr netip.AddrPort) *agent {
	user := digits.ReplaceAllString(name, "")
	if !strings.Contains(user, "@") {
		user += "@example.com"
	}
	a := &agent{name: name, uri: "sip:" + user, addr: addr, rules: s.rules, seen: map[string]bool{}, nonces: map[string]int{}, reply: reply{status: 200}}
	p, err := s.network.Peer(addr)
	if err != nil {
		s.t.Fatal(err)
	}
	a.packet = p
	go a.readPackets()
	return a
}

func (a *agent) close() {
	a.packet.Close()
	if a.stream != nil {
		a.stream.Close()
	}
	if a.accept != nil {
		a.accept.Close()
	}
}

// listens takes connections at the agent's address: "bob listens on tcp". They
// end with the server's side of them.
func (a *agent) listens(s *stage, at step) {
	l, err := s.network.Listen(a.addr)
	if err != nil {
		s.failf(at, "%v", err)
	}
	a.accept = l
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				a.readStream(c)
			}()
		}
	}()
}

// uses changes the transport: "bob uses tcp".
func (a *agent) uses(s *stage, at step) {
	c, err := s.network.Dial(context.Background(), a.addr.Addr(), netip.MustParseAddrPort(serverAddr))
	if err != nil {
		s.failf(at, "%v", err)
	}
	a.stream = c
	go a.readStream(c)
}

func (a *agent) readPackets() {
	buf := make([]byte, 65536)
	for {
		n, _, err := a.packet.ReadFrom(buf)
		if err != nil {
			return
		}
		if m, err := sip.Parse(buf[:n]); err == nil {
			a.take(m, a.writePacket)
		}
	}
}

func (a *agent) readStream(c net.Conn) {
	var held []byte
	buf := make([]byte, 65536)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		held = append(held, buf[:n]...)
		for {
			skip, n, err := sip.SplitStream(held, 65535)
			held = held[skip:]
			if err != nil || n == 0 {
				break
			}
			if m, err := sip.Parse(held[:n]); err == nil {
				a.take(m, func(b []byte) { _, _ = c.Write(b) })
			}
			held = held[n:]
		}
	}
}

// take takes what arrived; back is the way to where it came from.
func (a *agent) take(m *sip.Message, back func([]byte)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rules.heard(a.name, m)
	if m.IsRequest() {
		if !a.seen[m.Via.Branch] {
			a.seen[m.Via.Branch] = true
			a.inbox = append(a.inbox, m)
		}
		if r := a.reply; r.status != 0 {
			go a.answer(m, r, back)
		}
		return
	}
	a.inbox = append(a.inbox, m)
	switch {
	case m.Status == 401:
		a.refused = m
	case m.Status/100 == 2 && m.CSeq.Method == "SUBSCRIBE" && m.Count(sip.HeaderContact) > 0:
		a.dialog = m
	}
}

func (a *agent) answer(m *sip.Message, r reply, back func([]byte)) {
	time.Sleep(r.delay)
	response := sip.NewResponse(m, r.status, "", "")
	if r.retryAfter != "" {
		response.Add(sip.HeaderRetryAfter, r.retryAfter)
	}
	if r.contact != "" {
		response.Add(sip.HeaderContact, "<"+r.contact+">")
	}
	a.rules.answered(a.name, m)
	back(response.Bytes())
}

// answers sets how NOTIFY is answered from now on: "answers 503 retry 10",
// "answers 200 after 2s", "answers 200 contact sip:…", "answers nothing".
func (a *agent) answers(s *stage, at step) {
	synctest.Wait()
	var r reply
	if at.words[2] != "nothing" {
		r.status, _ = strconv.Atoi(at.words[2])
	}
	for i := 3; i+1 < len(at.words); i += 2 {
		switch at.words[i] {
		case "retry":
			r.retryAfter = at.words[i+1]
		case "contact":
			r.contact = at.words[i+1]
		case "after":
			r.delay, _ = time.ParseDuration(at.words[i+1])
		default:
			s.failf(at, "%q is not understood", at.words[i])
		}
	}
	a.mu.Lock()
	a.reply = r
	a.mu.Unlock()
}

func (a *agent) write(b []byte) {
	if a.stream != nil {
		_, _ = a.stream.Write(b)
		return
	}
	a.writePacket(b)
}

func (a *agent) writePacket(b []byte) {
	_, _ = a.packet.WriteTo(b, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(serverAddr)))
}

// say sends a request: "bob -> METHOD URI", "bob -> METHOD dialog" within the
// dialog of the last SUBSCRIBE, "bob -> again" the same bytes once more, "bob
// -> credentials PASSWORD" the last request with an answer to its challenge,
// "bob -> replay" the same fields in a new transaction.
func (a *agent) say(s *stage, at step) {
	synctest.Wait()
	words := at.words[2:]
	switch words[0] {
	case "again":
		a.write(a.request.Bytes())
		return
	case "replay":
		a.request = a.anew(s, at)
	case "credentials":
		a.request = a.withCredentials(s, at, words[1])
	default:
		a.request = a.compose(s, at, words)
	}
	s.details(at, a.request)
	s.rules.said(a.name, a.request)
	a.write(a.request.Bytes())
}

func (a *agent) compose(s *stage, at step, words []string) *sip.Message {
	method, target := words[0], words[1]
	inDialog := target == "dialog"
	d := a.dialog
	if inDialog {
		if d == nil {
			s.failf(at, "there is no dialog")
		}
		value, _ := d.Header(sip.HeaderContact)
		contact, _ := sip.ParseAddress(value)
		target = contact.URI
	}
	m := sip.NewRequest(method, target)
	a.cseq++
	a.addVia(m)
	m.Add(sip.HeaderMaxForwards, "70")
	if inDialog {
		from, _ := d.Header(sip.HeaderFrom)
		to, _ := d.Header(sip.HeaderTo)
		m.Add(sip.HeaderFrom, from)
		m.Add(sip.HeaderTo, to)
		m.Add(sip.HeaderCallID, d.CallID)
	} else {
		a.calls++
		m.Add(sip.HeaderFrom, fmt.Sprintf("<%s>;tag=f%d", a.uri, a.calls))
		m.Add(sip.HeaderTo, "<"+target+">")
		m.Add(sip.HeaderCallID, fmt.Sprintf("%s-%d", a.name, a.calls))
	}
	m.Add(sip.HeaderCSeq, fmt.Sprintf("%d %s", a.cseq, method))
	if method == "SUBSCRIBE" {
		m.Add(sip.HeaderContact, a.contact())
	}
	if method == "SUBSCRIBE" || method == "PUBLISH" {
		m.Add(sip.HeaderEvent, "presence")
	}
	return m
}

func (a *agent) addVia(m *sip.Message) {
	protocol := "UDP"
	if a.stream != nil {
		protocol = "TCP"
	}
	m.Set(sip.HeaderVia, "SIP/2.0/"+protocol+" "+a.addr.String()+";rport;branch="+sip.NewBranch())
}

func (a *agent) contact() string {
	user, _, _ := strings.Cut(a.name, "@")
	if a.stream != nil {
		return "<sip:" + user + "@" + a.addr.String() + ";transport=tcp>"
	}
	return "<sip:" + user + "@" + a.addr.String() + ">"
}

// withCredentials answers the challenge to the last request. The algorithm is
// the first offered, unless the details ask for another: "algorithm MD5".
func (a *agent) withCredentials(s *stage, at step, password string) *sip.Message {
	synctest.Wait()
	wanted := ""
	if len(at.words) > 4 {
		wanted = at.words[4]
	}
	var chosen *digest.Challenge
	for row := range a.refused.Rows(sip.HeaderWWWAuthenticate) {
		c, err := digest.ParseChallenge(row)
		if err != nil {
			s.failf(at, "challenge %q: %v", row, err)
		}
		if chosen == nil && (wanted == "" || c.Algorithm == wanted) {
			chosen = c
		}
	}
	if chosen == nil {
		s.failf(at, "no challenge for %q", wanted)
	}
	a.nonces[chosen.Nonce]++
	user, _, _ := strings.Cut(strings.TrimPrefix(a.uri, "sip:"), "@")
	cred, err := digest.Digest(chosen, digest.Options{
		Method: a.request.Method, URI: a.request.RequestURI, Count: a.nonces[chosen.Nonce], Username: user, Password: password,
	})
	if err != nil {
		s.failf(at, "%v", err)
	}
	s.rules.secret(cred.Nonce)
	s.rules.secret(cred.Response)
	m := a.anew(s, at)
	m.Set(sip.HeaderAuthorization, cred.String())
	return m
}

// anew gives the last request in a new transaction.
func (a *agent) anew(s *stage, at step) *sip.Message {
	m, err := sip.Parse(a.request.Bytes())
	if err != nil {
		s.failf(at, "%v", err)
	}
	a.cseq++
	a.addVia(m)
	m.Set(sip.HeaderCSeq, fmt.Sprintf("%d %s", a.cseq, m.Method))
	return m
}
