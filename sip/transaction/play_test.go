package transaction

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vigie/sip"
	"vigie/sip/transport"
)

var (
	udp = transport.Flow{Protocol: transport.UDP, Local: netip.MustParseAddrPort("127.0.0.1:5060"), Remote: netip.MustParseAddrPort("127.0.0.2:5070")}
	tcp = transport.Flow{Protocol: transport.TCP, Local: netip.MustParseAddrPort("127.0.0.1:5060"), Remote: netip.MustParseAddrPort("127.0.0.2:41000")}
)

// wire is a transport that keeps what is sent, with the time of sending.
type wire struct {
	mu    sync.Mutex
	start time.Time
	sent  []sent
	fail  error
}

type sent struct {
	at   time.Duration
	flow transport.Flow
	text string
}

func (w *wire) Send(f transport.Flow, head, body []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail != nil {
		return w.fail
	}
	w.sent = append(w.sent, sent{time.Since(w.start), f, string(head) + string(body)})
	return nil
}

func (w *wire) SendResponse(f transport.Flow, _ sip.Via, head, body []byte) error {
	return w.Send(f, head, body)
}

// take gives what was sent since the last call.
func (w *wire) take() []sent {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	taken := w.sent
	w.sent = nil
	return taken
}

func (w *wire) setFail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fail = err
}

// status is "200" of a response, the method of a request.
func (s sent) status() string {
	fields := strings.Fields(s.text)
	if fields[0] == "SIP/2.0" {
		return fields[1]
	}
	return fields[0]
}

func (s sent) message(t *testing.T) *sip.Message {
	t.Helper()
	m, err := sip.Parse([]byte(s.text))
	if err != nil {
		t.Fatalf("what was sent does not parse: %v\n%s", err, s.text)
	}
	return m
}

// handler is a User made of a function.
type handler func(ctx context.Context, tx *ServerTransaction)

func (h handler) Request(ctx context.Context, tx *ServerTransaction) { h(ctx, tx) }
func (h handler) FlowClosed(transport.Flow)                          {}

// ok answers 200 with an entity-tag, and counts.
type counting struct{ n int }

func (c *counting) Request(_ context.Context, tx *ServerTransaction) {
	c.n++
	r := sip.NewResponse(tx.Request, 200, "", "totag")
	r.Add(sip.HeaderSIPETag, fmt.Sprintf("etag%d", c.n))
	_ = tx.Respond(r)
}
func (c *counting) FlowClosed(transport.Flow) {}

// silent never answers; its requests end when the test lets them.
type silent struct {
	mu      sync.Mutex
	pending []*ServerTransaction
	release chan struct{}
}

func newSilent() *silent { return &silent{release: make(chan struct{})} }

func (s *silent) Request(_ context.Context, tx *ServerTransaction) {
	s.mu.Lock()
	s.pending = append(s.pending, tx)
	s.mu.Unlock()
	<-s.release
}
func (s *silent) FlowClosed(transport.Flow) {}

func (s *silent) all() []*ServerTransaction {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.pending)
}

// play runs a test in a bubble with a layer of default timers.
func play(t *testing.T, u User, o Options, scene func(t *testing.T, l *Layer, w *wire)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &wire{start: time.Now()}
		l := New(w, u, o)
		defer l.Close()
		if s, ok := u.(*silent); ok {
			s.release = make(chan struct{})
			defer func() { close(s.release) }()
		}
		scene(t, l, w)
	})
}

// at sleeps until a moment of the bubble.
func at(w *wire, moment time.Duration) { time.Sleep(moment - time.Since(w.start)) }

// build makes a request; edits are "old" → "new" pairs over its text.
func build(t testing.TB, method, branch string, edits ...string) *sip.Message {
	t.Helper()
	text := method + " sip:alice@example.com SIP/2.0\r\n" +
		"Via: SIP/2.0/UDP 127.0.0.2:5070;rport;branch=" + branch + "\r\n" +
		"Via: SIP/2.0/UDP 127.0.0.3:5060;branch=z9hG4bKfirst\r\n" +
		"Max-Forwards: 69\r\n" +
		"Record-Route: <sip:127.0.0.2:5070;lr>\r\n" +
		"From: <sip:bob@example.com>;tag=fromtag\r\n" +
		"To: <sip:alice@example.com>\r\n" +
		"Call-ID: call-1\r\n" +
		"CSeq: 1 " + method + "\r\n" +
		"Content-Length: 0\r\n\r\n"
	text = strings.NewReplacer(edits...).Replace(text)
	m, err := sip.Parse([]byte(text))
	if err != nil {
		t.Fatalf("build: %v\n%s", err, text)
	}
	return m
}

// wantStatuses compares what was sent, with times when want says "200@3.5s".
func wantStatuses(t *testing.T, got []sent, want ...string) {
	t.Helper()
	var have []string
	for i, s := range got {
		label := s.status()
		if i < len(want) && strings.Contains(want[i], "@") {
			label += "@" + s.at.String()
		}
		have = append(have, label)
	}
	if !slices.Equal(have, want) {
		t.Errorf("sent %v, want %v", have, want)
	}
}
