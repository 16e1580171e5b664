package sipserver

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"vigie/event"
	"vigie/store"
)

// plain is a package whose every watcher sees the same few words.
type plain struct{}

func (plain) Same(event.Composite) bool { return true }
func (plain) Next() time.Time           { return time.Time{} }

func (plain) Name() string                                     { return "presence" }
func (plain) PublishTypes() []string                           { return []string{"text/plain"} }
func (plain) NotifyTypes() []string                            { return []string{"text/plain"} }
func (plain) Read(event.Resource, string, string) (any, error) { return nil, nil }
func (p plain) Compose(event.Resource, []event.Publication, time.Time) (event.Composite, error) {
	return p, nil
}
func (plain) Authorize(context.Context, event.Resource, event.Identity) (event.Decision, error) {
	return event.Decision{State: event.Allowed}, nil
}
func (plain) View(event.Resource, event.Composite, event.Decision, event.Form) (event.Body, error) {
	return event.Body{Type: "text/plain", Data: []byte("here")}, nil
}

// oblivion is a store that keeps nothing, so that what is measured is what
// subscriptions hold of the heap.
type oblivion struct{}

func (oblivion) Put(context.Context, string, []byte, time.Time, uint64) (uint64, error) {
	return 1, nil
}
func (oblivion) Prolong(context.Context, store.Entry, time.Time, uint64) (uint64, error) {
	return 1, nil
}
func (oblivion) Delete(context.Context, string, uint64) (uint64, error)         { return 1, nil }
func (oblivion) Load(context.Context, string, func(store.Entry) error) error    { return nil }
func (oblivion) Follow(context.Context, string, func(store.Change) error) error { return nil }
func (oblivion) Close() error                                                   { return nil }

// serve puts an engine behind the edge.
func (e *edge) serve() *event.Engine {
	engine := event.New(event.Options{
		Store:    oblivion{},
		Packages: []event.PackageOptions{{Package: plain{}, Lifetimes: event.Lifetimes{Default: time.Hour, Max: time.Hour}}},
		Logger:   slog.New(slog.DiscardHandler),
	})
	e.Events, e.AnyPresentity = engine, true
	return engine
}

// phones are many watchers behind one socket. They answer NOTIFYs.
type phones struct {
	t    *testing.T
	conn net.PacketConn
	done chan bool // one for each response and each NOTIFY
}

func (e *edge) phones(addr string) *phones {
	e.t.Helper()
	conn, err := e.network.Peer(netip.MustParseAddrPort(addr))
	if err != nil {
		e.t.Fatal(err)
	}
	p := &phones{t: e.t, conn: conn, done: make(chan bool, 64)}
	go p.listen()
	return p
}

func (p *phones) listen() {
	buf := make([]byte, 65536)
	for {
		n, from, err := p.conn.ReadFrom(buf)
		if err != nil {
			close(p.done)
			return
		}
		if m := buf[:n]; bytes.HasPrefix(m, []byte("NOTIFY ")) {
			_, _ = p.conn.WriteTo(answer(m), from)
		}
		p.done <- true
	}
}

// answer is the 200 to a request.
func answer(m []byte) []byte {
	b := []byte("SIP/2.0 200 OK\r\n")
	for line := range bytes.Lines(m) {
		for _, name := range []string{"Via:", "From:", "To:", "Call-ID:", "CSeq:"} {
			if bytes.HasPrefix(line, []byte(name)) {
				b = append(b, line...)
			}
		}
	}
	return append(b, "Content-Length: 0\r\n\r\n"...)
}

// subscribe makes the subscription of phone i and waits for 200 and NOTIFY.
func (p *phones) subscribe(i int) {
	_, err := p.conn.WriteTo(fmt.Appendf(nil, "SUBSCRIBE sip:u%d@example.com SIP/2.0\r\n"+
		"Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK-%d\r\nMax-Forwards: 70\r\n"+
		"From: <sip:w%d@example.com>;tag=%x\r\nTo: <sip:u%d@example.com>\r\nCall-ID: %032x\r\nCSeq: 1 SUBSCRIBE\r\n"+
		"Contact: <sip:w%d@10.0.0.1:5060>\r\nEvent: presence\r\nAccept: text/plain\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n",
		i/10, i, i, i, i/10, i, i), net.UDPAddrFromAddrPort(home))
	if err != nil {
		p.t.Fatal(err)
	}
	<-p.done
	<-p.done
}

// heap is what lives after a collection.
func heap() int64 {
	runtime.GC()
	runtime.GC() // and what the first let go
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// largestSubscription is how many bytes a subscription may hold of the heap,
// its dialog, its places in all indexes and a tenth of its resource counted in:
// what it holds now and a little more.
const largestSubscription = 650

// Subscriptions stay small: each of another watcher, ten to a
// presentity.
func TestSubscriptionSize(t *testing.T) {
	const few, many = 1000, 10_000
	onEdge(t, func(t *testing.T, e *edge) {
		engine := e.serve()
		defer engine.Close()
		p := e.phones("10.0.0.1:5060")
		defer p.conn.Close()
		for i := range few {
			p.subscribe(i)
		}
		time.Sleep(time.Minute) // until all transactions are forgotten
		before := heap()
		for i := range many {
			p.subscribe(few + i)
		}
		time.Sleep(time.Minute)
		if got := (heap() - before) / many; got > largestSubscription {
			t.Errorf("a subscription holds %d bytes, want at most %d", got, largestSubscription)
		}
		if n := e.Dialogs(); n != few+many {
			t.Errorf("there are %d dialogs, want %d", n, few+many)
		}
	})
}
