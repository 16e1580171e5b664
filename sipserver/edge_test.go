package sipserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vigie/event"
	"vigie/sip"
	"vigie/sip/transaction"
	"vigie/sip/transport"
	"vigie/store"
)

// edge is a server at 10.0.0.100:5060 on a network in memory, for one bubble.
type edge struct {
	*Server
	t       *testing.T
	network *transport.Memory
	layer   *transaction.Layer
	wire    *transport.Transport
	names   map[string]netip.AddrPort
}

var home = netip.MustParseAddrPort("10.0.0.100:5060")

func onEdge(t *testing.T, fn func(t *testing.T, e *edge)) {
	synctest.Test(t, func(t *testing.T) {
		e := &edge{t: t, network: transport.NewMemory(), names: map[string]netip.AddrPort{}}
		e.Server = New(Options{Domains: []string{"example.com"}, Logger: slog.New(slog.DiscardHandler)})
		var err error
		e.wire, err = transport.New(transport.Options{
			Listen:  []transport.Listen{{Protocol: transport.UDP, Addr: home}, {Protocol: transport.TCP, Addr: home}},
			Network: e.network, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		e.layer = transaction.New(e.wire, e.Server, transaction.Options{Logger: slog.New(slog.DiscardHandler)})
		e.Start(e.layer, e.wire, e)
		e.wire.Serve(e.layer)
		fn(t, e)
		e.layer.Close()
		e.Close()
		if err := e.wire.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Locate implements Locator: numeric addresses, and names the test knows.
func (e *edge) Locate(_ context.Context, u sip.URI) ([]transport.Target, error) {
	protocol := transport.UDP
	if p, _ := u.Params.Get("transport"); p == "tcp" {
		protocol = transport.TCP
	}
	if addr, ok := e.names[u.Host]; ok {
		return []transport.Target{{Protocol: protocol, Addr: addr}}, nil
	}
	if maddr, ok := u.Params.Get("maddr"); ok {
		u.Host = maddr
	}
	addr, ok := numeric(u)
	if !ok {
		return nil, fmt.Errorf("no address of %s", u.Host)
	}
	return []transport.Target{{Protocol: protocol, Addr: netip.AddrPortFrom(addr, max(u.Port, 5060))}}, nil
}

// dialog makes one of a watcher whose SUBSCRIBE came from source by UDP,
// directly or through proxies.
func (e *edge) dialog(contact string, source netip.AddrPort, direct bool) *dialog {
	e.t.Helper()
	p := testParts(e.t)
	p, err := p.with(partTarget, contact)
	if err != nil {
		e.t.Fatal(err)
	}
	d := &dialog{common: testCommon(e.Server), tag: newTag(), parts: p, direct: direct, local: source.Addr().IsLoopback()}
	if direct {
		d.flow = makeFlow(e.wire.UDPFlow(home, source))
	}
	return d
}

// outcomes is the engine's end of a dialog.
type outcomes chan event.Outcome

func (o outcomes) Expires() time.Duration { return time.Hour }
func (o outcomes) Refresh(context.Context, event.Refresh) (time.Duration, error) {
	return time.Hour, nil
}
func (o outcomes) Save(context.Context) error { return nil }
func (o outcomes) Notified(x event.Outcome)   { o <- x }

func (o outcomes) take(t *testing.T, want event.Result) {
	t.Helper()
	synctest.Wait()
	select {
	case x := <-o:
		if x.Result != want {
			t.Errorf("the outcome is %v, want %v", x.Result, want)
		}
	default:
		t.Errorf("there is no outcome, want %v", want)
	}
}

// mailbox is a UDP socket that counts what it gets.
func (e *edge) mailbox(addr string) (count func() int) {
	e.t.Helper()
	c, err := e.network.Peer(netip.MustParseAddrPort(addr))
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { c.Close() })
	heard := make(chan bool, 100)
	go func() {
		buf := make([]byte, 65536)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			heard <- true
			if m, err := sip.Parse(buf[:n]); err == nil && m.IsRequest() {
				_, _ = c.WriteTo(sip.NewResponse(m, 200, "", "").Bytes(), from)
			}
		}
	}()
	return func() int {
		synctest.Wait()
		return len(heard)
	}
}

func notification(bytes int) event.Notification {
	return event.Notification{State: event.Active, Expires: time.Hour, Body: &event.Body{Type: "text/plain", Data: []byte(strings.Repeat("x", bytes))}}
}

// broken is a directory that cannot be read.
type broken struct{}

var errBroken = errors.New("disk unreadable")

func (broken) ByAOR(context.Context, string) (store.Account, error) {
	return store.Account{}, errBroken
}

// A directory that fails is a failure of ours (500), no verdict on the
// publisher.
func TestOwnerWithoutDirectory(t *testing.T) {
	x := &exchange{Context: t.Context(), server: New(Options{Accounts: broken{}})}
	alice, bob := sip.MustURI("sip:alice@example.com"), sip.MustURI("sip:bob@example.com")
	if err := x.owner(event.Identity{URI: alice}, alice); err != nil {
		t.Errorf("the owner herself: %v", err)
	}
	if err := x.owner(event.Identity{URI: bob}, alice); !errors.Is(err, errBroken) {
		t.Errorf("got %v, want the directory's error", err)
	}
}
