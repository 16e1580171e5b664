package interop

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
)

// peer is a user agent made of sipgo, a general SIP library with its own
// parser, transactions and transports.
type peer struct {
	t        testing.TB
	user     string
	network  string // udp, tcp or tls
	server   string // where requests go
	client   *sipgo.Client
	contact  string
	notified chan heard
	answer   func(heard) int // status for a NOTIFY; nil is 200
}

// heard is a NOTIFY and the way it came.
type heard struct {
	request *sip.Request
	network string // of the socket it came through
}

func (h heard) header(name string) string {
	if v := h.request.GetHeader(name); v != nil {
		return v.Value()
	}
	return ""
}

// quiet keeps sipgo's log out of the tests' output.
var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// sipgo makes a peer that sends over network. listen names the sockets it
// accepts requests on; without any, only a connection of its own can reach it.
func (s *server) sipgo(user, network string, config *tls.Config, listen ...string) *peer {
	s.t.Helper()
	local := net.JoinHostPort("127.0.0.1", fmt.Sprint(freePort(s.t, "127.0.0.1")))
	options := []sipgo.UserAgentOption{sipgo.WithUserAgent(user), sipgo.WithUserAgentTransportLayerOptions(sip.WithTransportLayerLogger(quiet)),
		sipgo.WithUserAgentTransactionLayerOptions(sip.WithTransactionLayerLogger(quiet))}
	if config != nil {
		options = append(options, sipgo.WithUserAgenTLSConfig(config))
	}
	ua, err := sipgo.NewUA(options...)
	if err != nil {
		s.t.Fatal(err)
	}
	srv, err := sipgo.NewServer(ua, sipgo.WithServerLogger(quiet))
	if err != nil {
		s.t.Fatal(err)
	}
	clientOptions := []sipgo.ClientOption{sipgo.WithClientNAT(), sipgo.WithClientLogger(quiet)}
	if network == "udp" {
		// Requests leave by the socket that NOTIFYs come to. A connection gets
		// a port of the system, and leads to the peer where its Contact does not.
		clientOptions = append(clientOptions, sipgo.WithClientConnectionAddr(local))
	}
	client, err := sipgo.NewClient(ua, clientOptions...)
	if err != nil {
		s.t.Fatal(err)
	}
	p := &peer{
		t: s.t, user: user, network: network, server: s.addr(), client: client,
		contact: fmt.Sprintf("<sip:%s@%s;transport=%s>", user, local, network), notified: make(chan heard, 256),
	}
	if network == "tls" {
		p.server = s.tlsAddr()
	}
	if network == "udp" && len(listen) == 0 {
		listen = []string{"udp"}
	}
	srv.OnNotify(p.onNotify)
	var serving sync.WaitGroup
	s.t.Cleanup(serving.Wait)
	for _, n := range listen {
		serve, end := accept(s.t, srv, n, local)
		serving.Go(func() { _ = serve() })
		// Requests leave by the same UDP socket once sipgo has taken it over.
		for n == "udp" && srv.TransportLayer().Pool(n).Get(local) == nil {
			runtime.Gosched()
		}
		s.t.Cleanup(end)
	}
	s.t.Cleanup(func() { _ = ua.Close() })
	return p
}

// accept opens a socket for a peer and gives what serves it and what ends it.
func accept(t testing.TB, srv *sipgo.Server, network, addr string) (serve func() error, end func()) {
	t.Helper()
	if network == "udp" {
		c, err := net.ListenPacket("udp", addr)
		if err != nil {
			t.Fatal(err)
		}
		return func() error { return srv.ServeUDP(c) }, func() { _ = c.Close() }
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return func() error { return srv.ServeTCP(l) }, func() { _ = l.Close() }
}

func (p *peer) onNotify(req *sip.Request, tx sip.ServerTransaction) {
	h := heard{request: req, network: strings.ToLower(req.Transport())}
	status := 200
	if p.answer != nil {
		status = p.answer(h)
	}
	// Before the answer, because the next NOTIFY may follow it at once.
	p.notified <- h
	if err := tx.Respond(sip.NewResponseFromRequest(req, status, "", nil)); err != nil {
		p.t.Logf("sipgo of %s: answer to NOTIFY: %v", p.user, err)
	}
}

// request makes a request for the presence of user.
func (p *peer) request(method sip.RequestMethod, of string, headers ...sip.Header) *sip.Request {
	req := sip.NewRequest(method, sip.Uri{Scheme: "sip", User: of, Host: "example.com"})
	from := sip.FromHeader{Address: sip.Uri{Scheme: "sip", User: p.user, Host: "example.com"}, Params: sip.NewParams()}
	from.Params.Add("tag", token())
	req.AppendHeader(&from)
	req.AppendHeader(&sip.ToHeader{Address: req.Recipient, Params: sip.NewParams()})
	req.AppendHeader(sip.NewHeader("Contact", p.contact))
	req.AppendHeader(sip.NewHeader("Event", "presence"))
	for _, h := range headers {
		req.AppendHeader(h)
	}
	req.SetTransport(strings.ToUpper(p.network))
	req.SetDestination(p.server)
	return req
}

// ask sends a request, answers a digest challenge, and returns the final
// response.
func (p *peer) ask(req *sip.Request) *sip.Response {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := p.client.Do(ctx, req)
	if err == nil && r.StatusCode == 401 {
		r, err = p.client.DoDigestAuth(ctx, req, r, sipgo.DigestAuth{Username: p.user, Password: password})
	}
	if err != nil {
		p.t.Fatalf("sipgo of %s: %s: %v", p.user, req.Method, err)
	}
	return r
}

// subscribe watches user for an hour; the first NOTIFY is left to the caller.
func (p *peer) subscribe(of string) {
	p.t.Helper()
	if r := p.ask(p.request(sip.SUBSCRIBE, of, sip.NewHeader("Expires", "3600"))); r.StatusCode != 200 {
		p.t.Fatalf("SUBSCRIBE by sipgo: %d %s", r.StatusCode, r.Reason)
	}
}

// publish publishes body for the peer's user and returns the entity-tag.
func (p *peer) publish(tag, body string) string {
	p.t.Helper()
	headers := []sip.Header{sip.NewHeader("Expires", "3600"), sip.NewHeader("Content-Type", "application/pidf+xml")}
	if tag != "" {
		headers = append(headers, sip.NewHeader("SIP-If-Match", tag))
	}
	req := p.request(sip.PUBLISH, p.user, headers...)
	req.SetBody([]byte(body))
	r := p.ask(req)
	if r.StatusCode != 200 {
		p.t.Fatalf("PUBLISH by sipgo: %d %s", r.StatusCode, r.Reason)
	}
	return r.GetHeader("SIP-ETag").Value()
}

// hears waits for the next NOTIFY.
func (p *peer) hears() heard {
	p.t.Helper()
	select {
	case h := <-p.notified:
		return h
	case <-time.After(patience):
		p.t.Fatalf("sipgo of %s got no NOTIFY", p.user)
		return heard{}
	}
}

// TLS with digest: the first challenge is the preferred algorithm, which the
// peer answers; NOTIFYs come down the watcher's own connection, which is the
// only way to reach it. TPT-02, TPT-05, TPT-09, AUT-03, DLG-01.
func TestTLS(t *testing.T) {
	t.Parallel()
	cert := newCertificate(t)
	s := start(t, setup{accounts: people, tls: cert})
	alice, bob := s.sipgo("alice", "tls", cert.client()), s.sipgo("bob", "tls", cert.client())
	tag := alice.publish("", pidf("alice", "open", "first", ""))
	bob.subscribe("alice")
	for i, note := range []string{"first", "second"} {
		if i > 0 {
			tag = alice.publish(tag, pidf("alice", "open", note, ""))
		}
		h := bob.hears()
		if h.network != "tls" || !strings.Contains(string(h.request.Body()), note) {
			t.Errorf("NOTIFY %d over %s, want %q over tls:\n%s", i, h.network, note, indent(h.request.String()))
		}
		if contact := h.header("Contact"); !strings.Contains(contact, "transport=tls") && !strings.HasPrefix(contact, "<sips:") {
			t.Errorf("Contact of a NOTIFY over TLS is %s, want the TLS endpoint", contact)
		}
	}
}

// Which TLS is spoken: 1.2 and 1.3, nothing older (TPT-02).
func TestTLSVersions(t *testing.T) {
	t.Parallel()
	cert := newCertificate(t)
	s := start(t, setup{tls: cert})
	for version, accepted := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		config := cert.client()
		config.MinVersion, config.MaxVersion = version, version
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", s.tlsAddr(), config)
		if (err == nil) != accepted {
			t.Errorf("%s: %v, want accepted = %v", tls.VersionName(version), err, accepted)
		}
		if err == nil {
			_ = conn.Close()
		}
	}
}

// A watcher over TCP and over TLS whose Contact nobody can reach: every NOTIFY
// uses the connection of the SUBSCRIBE (TPT-08, TPT-09).
func TestConnectionReused(t *testing.T) {
	t.Parallel()
	cert := newCertificate(t)
	s := start(t, setup{tls: cert})
	for _, network := range []string{"tcp", "tls"} {
		t.Run(network, func(t *testing.T) {
			s := s.with(t)
			alice, bob := s.sipgo("alice", network, cert.client()), s.sipgo("bob", network, cert.client())
			bob.contact = "<sip:bob@127.0.0.77:9;transport=" + network + ">"
			tag := alice.publish("", pidf("alice", "open", "0", ""))
			bob.subscribe("alice")
			for i := range 5 {
				if i > 0 {
					tag = alice.publish(tag, pidf("alice", "open", fmt.Sprint(i), ""))
				}
				h := bob.hears()
				if h.network != network || !strings.Contains(string(h.request.Body()), fmt.Sprintf(">%d<", i)) {
					t.Errorf("NOTIFY %d over %s:\n%s", i, h.network, indent(h.request.String()))
				}
			}
		})
	}
}

// Ten changes within a window: the first goes out at once, the last when the
// window opens, nothing between (PRS-04, SCL-01). Only the order is looked at.
func TestThrottleOrder(t *testing.T) {
	t.Parallel()
	s := start(t, setup{presence: []string{everybody, quick, `notify-interval = "4s"`}})
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			s, user := s.with(t), "alice"+network
			alice, bob := s.sipgo(user, network, nil), s.sipgo("bob", network, nil)
			tag := alice.publish("", pidf(user, "open", "0", ""))
			bob.subscribe(user)
			notes := []string{noteOf(bob.hears())}
			for i := 1; i <= 10; i++ {
				tag = alice.publish(tag, pidf(user, "open", fmt.Sprint(i), ""))
				if i == 1 {
					// What changes while a NOTIFY is under way is put together.
					notes = append(notes, noteOf(bob.hears()))
				}
			}
			for len(notes) < 4 && notes[len(notes)-1] != "10" {
				notes = append(notes, noteOf(bob.hears()))
			}
			select {
			case h := <-bob.notified:
				notes = append(notes, noteOf(h))
			case <-time.After(5 * time.Second):
			}
			if got := strings.Join(notes, " "); got != "0 1 10" {
				t.Errorf("notified %s, want 0 1 10", got)
			}
		})
	}
}

// noteOf is the person's note in a NOTIFY.
func noteOf(h heard) string {
	_, rest, _ := strings.Cut(string(h.request.Body()), "note")
	_, rest, _ = strings.Cut(rest, ">")
	note, _, _ := strings.Cut(rest, "<")
	return note
}

// large is a document no datagram of 1300 bytes can hold.
func large(user, note string) string {
	filler := `<dm:note xml:lang="en">` + strings.Repeat("x", 1600) + `</dm:note>`
	return strings.Replace(pidf(user, "open", note, ""), "</dm:note>", "</dm:note>"+filler, 1)
}

// The rule of 1300 bytes (RFC 3261 §18.1.1): a watcher over UDP gets a large
// NOTIFY over TCP, and small ones over UDP as before (TPT-06).
func TestLargeNotifyOverTCP(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	alice := s.sipgo("alice", "tcp", nil)
	bob := s.sipgo("bob", "udp", nil, "udp", "tcp")
	bob.contact = strings.Replace(bob.contact, ";transport=udp", "", 1)
	tag := alice.publish("", pidf("alice", "open", "small", ""))
	bob.subscribe("alice")
	expectNotify(t, bob.hears(), "udp", "small")
	tag = alice.publish(tag, large("alice", "large"))
	h := bob.hears()
	expectNotify(t, h, "tcp", "large")
	if via := h.header("Via"); !strings.HasPrefix(via, "SIP/2.0/TCP") {
		t.Errorf("TPT-06: top Via %s, want TCP", via)
	}
	alice.publish(tag, pidf("alice", "open", "again", ""))
	if h := bob.hears(); noteOf(h) != "again" {
		t.Errorf("note %q after the large one, want \"again\"", noteOf(h))
	}
}

// The same watcher without TCP: the large NOTIFY arrives over UDP, and so does
// the next (TPT-07).
func TestLargeNotifyWhenTCPIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	alice := s.sipgo("alice", "tcp", nil)
	bob := s.sipgo("bob", "udp", nil, "udp")
	bob.contact = strings.Replace(bob.contact, ";transport=udp", "", 1)
	tag := alice.publish("", large("alice", "first"))
	bob.subscribe("alice")
	expectNotify(t, bob.hears(), "udp", "first")
	alice.publish(tag, large("alice", "second"))
	expectNotify(t, bob.hears(), "udp", "second")
}

func expectNotify(t *testing.T, h heard, network, note string) {
	t.Helper()
	if h.network != network || noteOf(h) != note {
		t.Errorf("NOTIFY %q over %s, want %q over %s", noteOf(h), h.network, note, network)
	}
}
