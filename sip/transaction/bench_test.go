package transaction

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"vigie/sip"
	"vigie/sip/transport"
)

// sink is a transport that takes everything and keeps nothing but the last head.
type sink struct {
	count atomic.Int64
	last  []byte
}

func (s *sink) Send(_ transport.Flow, head, _ []byte) error { s.last = head; return nil }
func (s *sink) SendResponse(transport.Flow, sip.Via, []byte, []byte) error {
	s.count.Add(1)
	return nil
}

// publishing answers as the server does: expiry, entity-tag, its name.
var publishing = handler(func(_ context.Context, tx *ServerTransaction) {
	r := sip.NewResponse(tx.Request, 200, "", "k3v9q1m7x2b4c")
	r.Add(sip.HeaderExpires, "3600")
	r.Add(sip.HeaderSIPETag, "0001f4a2c9d3e8b7")
	r.Add(sip.HeaderServer, "Vigie/1.0")
	_ = tx.Respond(r)
})

// publish prints the n-th of many PUBLISH requests, each of its own presentity.
func publish(n int) []byte {
	id := fmt.Sprintf("%08x", n)
	return []byte("PUBLISH sip:user" + id + "@example.com SIP/2.0\r\n" +
		"Via: SIP/2.0/UDP 127.0.0.2:5070;rport;branch=z9hG4bK-524287-1---" + id + "\r\n" +
		"Max-Forwards: 70\r\n" +
		"From: <sip:user" + id + "@example.com>;tag=9fxced76sl" + id + "\r\n" +
		"To: <sip:user" + id + "@example.com>\r\n" +
		"Call-ID: 3848276298220188511" + id + "@127.0.0.2\r\n" +
		"CSeq: 1 PUBLISH\r\n" +
		"Event: presence\r\nExpires: 3600\r\nSIP-If-Match: 0001f4a2c9d3e8b6\r\n" +
		"User-Agent: phone/1.0\r\n" +
		"Content-Length: 0\r\n\r\n")
}

func mustParse(t testing.TB, data []byte) *sip.Message {
	m, err := sip.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// waitFor lets other goroutines run until count has reached n.
func waitFor(count *atomic.Int64, n int64) {
	for count.Load() < n {
		runtime.Gosched()
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// A lingering transaction is small, everything counted: record, index, merge
// key, and what the layer and its goroutines have grown to meanwhile.
func TestLingeringSize(t *testing.T) {
	const n, limit = 100_000, 700
	s := &sink{}
	l := New(s, publishing, Options{T1: time.Minute, T2: 8 * time.Minute}) // none may be forgotten or get a 100 meanwhile
	defer l.Close()
	before := heap()
	for i := range n {
		l.Receive(mustParse(t, publish(i)), udp, nil)
		waitFor(&s.count, int64(i+1))
	}
	each := (heap() - before) / n
	t.Logf("%d bytes a lingering transaction", each)
	if each > limit {
		t.Errorf("%d bytes a lingering transaction, want no more than %d", each, limit)
	}
	if lingering := l.metrics.lingering.Load(); lingering != n {
		t.Errorf("%d linger, want %d: the figure is of something else", lingering, n)
	}
}

// done counts outcomes.
type done struct{ n int }

func (d *done) Done(int, *sip.Message, error) { d.n++ }

// answerTo makes the 200 to the NOTIFY just sent.
func answerTo(t testing.TB, head []byte) *sip.Message {
	return mustParse(t, sip.NewResponse(mustParse(t, append(head, "body"...)), 200, "", "").Bytes())
}

func TestAllocations(t *testing.T) {
	t.Run("client-transaction", func(t *testing.T) {
		s, d := &sink{}, &done{}
		l := New(s, publishing, Options{})
		defer l.Close()
		o := notify(udp, d)
		m := answerTo(t, sendOnce(t, l, s, o))
		got := testing.AllocsPerRun(1000, func() {
			sendOnce(t, l, s, o)
			m.Via.Branch = branchOf(s.last)
			l.Receive(m, udp, nil)
		})
		// State, head and the endpoint's host; the branch of the response is the test's own.
		if got > 4 {
			t.Errorf("%v allocations a client transaction, want no more than 4", got)
		}
	})
	t.Run("retransmission", func(t *testing.T) {
		s := &sink{}
		l := New(s, publishing, Options{})
		defer l.Close()
		l.Receive(mustParse(t, publish(1)), udp, nil)
		waitFor(&s.count, 1)
		m := mustParse(t, publish(1))
		if got := testing.AllocsPerRun(1000, func() { l.Receive(m, udp, nil) }); got > 3 {
			t.Errorf("%v allocations to answer a retransmission, want no more than 3", got)
		}
	})
	t.Run("server-transaction", func(t *testing.T) {
		s := &sink{}
		l := New(s, handler(func(_ context.Context, tx *ServerTransaction) { _ = tx.Respond(prepared) }), Options{})
		defer l.Close()
		requests := make([][]byte, 1001)
		for i := range requests {
			requests[i] = publish(i)
		}
		n := int64(0)
		got := testing.AllocsPerRun(1000, func() {
			l.Receive(mustParse(t, requests[n]), udp, nil)
			n++
			waitFor(&s.count, n)
		})
		// Head as received, state and printed answer; maps and chunks grow a little, and
		// with the race detector the pool of messages forgets some.
		if got > 5 {
			t.Errorf("%v allocations a server transaction, want no more than 4", got)
		}
	})
}

var prepared = func() *sip.Message {
	r := &sip.Message{Status: 200, Reason: "OK", To: sip.Address{Params: ";tag=k3v9q1m7x2b4c"}}
	r.Add(sip.HeaderSIPETag, "0001f4a2c9d3e8b7")
	return r
}()

// sendOnce sends o and gives what was sent.
func sendOnce(t testing.TB, l *Layer, s *sink, o Outgoing) []byte {
	if err := l.Send(o); err != nil {
		t.Fatal(err)
	}
	return s.last
}

// branchOf reads the branch of a NOTIFY made by notify.
func branchOf(head []byte) string {
	start := len("NOTIFY sip:bob@127.0.0.2:5070 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;rport;branch=")
	return string(head[start : start+len(magicCookie)+branchDigits])
}

// A whole round of a new request: parse, receive, handle on its goroutine, answer,
// linger.
func BenchmarkServerTransaction(b *testing.B) {
	s := &sink{}
	l := New(s, publishing, Options{})
	defer l.Close()
	requests := make([][]byte, 1024)
	for i := range requests {
		requests[i] = publish(i)
	}
	b.ReportAllocs()
	n := int64(0)
	for b.Loop() {
		m := mustParse(b, requests[n%1024])
		m.Via.Branch = "z9hG4bK" + strconv.FormatInt(n, 36)
		m.CSeq.Number = uint32(n)
		l.Receive(m, udp, nil)
		n++
		waitFor(&s.count, n-256) // several at a time
	}
	waitFor(&s.count, n)
}

func BenchmarkRetransmissionAnswered(b *testing.B) {
	s := &sink{}
	l := New(s, publishing, Options{})
	defer l.Close()
	l.Receive(mustParse(b, publish(1)), udp, nil)
	waitFor(&s.count, 1)
	m := mustParse(b, publish(1))
	b.ReportAllocs()
	for b.Loop() {
		l.Receive(m, udp, nil)
	}
}

func BenchmarkStateless(b *testing.B) {
	s := &sink{}
	l := New(s, publishing, Options{})
	defer l.Close()
	m := mustParse(b, publish(1))
	b.ReportAllocs()
	for b.Loop() {
		_ = l.Stateless(m, udp, prepared)
	}
}

// Send, the response received, Done; parsing is not part of it.
func BenchmarkClientTransaction(b *testing.B) {
	for _, flow := range []transport.Flow{udp, tcp} {
		b.Run(flow.Protocol.String(), func(b *testing.B) {
			s, d := &sink{}, &done{}
			l := New(s, publishing, Options{T4: 50 * time.Millisecond}) // as many linger as at 5 s and a hundredth of the rate
			defer l.Close()
			o := notify(flow, d)
			m := answerTo(b, sendOnce(b, l, s, o))
			b.ReportAllocs()
			for b.Loop() {
				sendOnce(b, l, s, o)
				m.Via.Branch = branchOf(s.last)
				l.Receive(m, flow, nil)
			}
			if d.n != b.N {
				b.Errorf("%d outcomes, want %d", d.n, b.N)
			}
		})
	}
}

// What a full collection costs while a million transactions linger.
func BenchmarkCollectionWithMillionLingering(b *testing.B) {
	l := New(&sink{}, publishing, Options{})
	defer l.Close()
	a := answer{status: 200, tag: "k3v9q1m7x2b4c"}
	rows := []byte("Expires: 3600\r\nSIP-ETag: 0001f4a2c9d3e8b7\r\nServer: Vigie/1.0\r\n")
	for i := range uint64(1_000_000) {
		k := key{i * 0x9e3779b97f4a7c15, i}
		l.merging(i + 1)
		s := l.server(k)
		s.mu.Lock()
		l.linger(s, k, i+1, &a, rows)
		s.mu.Unlock()
	}
	for b.Loop() {
		runtime.GC()
	}
}
