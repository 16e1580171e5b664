package transaction

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vigie/sip"
	"vigie/sip/transport"
)

// node is a layer over a transport on the network in memory.
type node struct {
	*Layer
	transport *transport.Transport
	addr      netip.AddrPort
}

func newNode(t *testing.T, network transport.Network, addr string, u User) *node {
	t.Helper()
	n := &node{addr: netip.MustParseAddrPort(addr)}
	var err error
	n.transport, err = transport.New(transport.Options{Network: network, Listen: []transport.Listen{
		{Protocol: transport.UDP, Addr: n.addr}, {Protocol: transport.TCP, Addr: n.addr},
	}})
	if err != nil {
		t.Fatalf("transport.New: %v", err)
	}
	n.Layer = New(n.transport, u, Options{})
	n.transport.Serve(n.Layer)
	return n
}

func (n *node) close() {
	n.Layer.Close()
	n.transport.Close()
}

// outcomes counts by status.
type outcomes struct {
	mu sync.Mutex
	by map[int]int
}

func (o *outcomes) Done(status int, _ *sip.Message, _ error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.by[status]++
}

func subscribe(flow transport.Flow, n int, u ClientUser) Outgoing {
	const line = "SUBSCRIBE sip:alice@example.com SIP/2.0\r\n"
	return Outgoing{
		Flow: flow, Method: "SUBSCRIBE", Line: len(line),
		Head: fmt.Appendf(nil, line+"From: <sip:bob@example.com>;tag=a\r\nTo: <sip:alice@example.com>\r\nCall-ID: call-%d\r\n"+
			"CSeq: 1 SUBSCRIBE\r\nContent-Length: 0\r\n\r\n", n),
		User: u,
	}
}

// Two layers over a network that loses a third of all datagrams and doubles
// another: each request is handled once and has one outcome (TRN-02 to TRN-05).
func TestLossyNetwork(t *testing.T) {
	for _, protocol := range []transport.Protocol{transport.UDP, transport.TCP} {
		t.Run(protocol.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const requests = 200
				network := transport.NewMemory()
				network.Datagrams(func(_, _ netip.AddrPort, _ []byte) []time.Duration {
					switch rand.IntN(3) {
					case 0:
						return nil
					case 1: // the last repetition, after 31.5 s, arrives before Timer J fires
						return []time.Duration{10 * time.Millisecond, 400 * time.Millisecond}
					}
					return []time.Duration{20 * time.Millisecond}
				})
				var mu sync.Mutex
				handled := map[string]int{}
				server := newNode(t, network, "127.0.0.1:5060", handler(func(_ context.Context, tx *ServerTransaction) {
					mu.Lock()
					handled[tx.Request.CallID]++
					mu.Unlock()
					_ = tx.Respond(sip.NewResponse(tx.Request, 200, "", sip.NewTag()))
				}))
				defer server.close()
				client := newNode(t, network, "127.0.0.2:5060", refusing)
				defer client.close()
				flow, err := client.transport.Connect(t.Context(), protocol, server.addr, "")
				if err != nil {
					t.Fatalf("Connect: %v", err)
				}
				o := &outcomes{by: map[int]int{}}
				for n := range requests {
					if err := client.Send(subscribe(flow, n, o)); err != nil {
						t.Fatalf("Send: %v", err)
					}
				}
				time.Sleep(70 * time.Second) // what is handled last is remembered until 64 s
				synctest.Wait()
				o.mu.Lock()
				defer o.mu.Unlock()
				mu.Lock()
				defer mu.Unlock()
				if o.by[200]+o.by[408] != requests || o.by[200] < requests*9/10 {
					t.Errorf("outcomes by status are %v, want %d in all and nearly all 200", o.by, requests)
				}
				for call, times := range handled {
					if times != 1 {
						t.Errorf("%s was handled %d times", call, times)
					}
				}
				if live := server.metrics.lingering.Load() + server.metrics.live.Load() + client.metrics.clients.Load(); live != 0 {
					t.Errorf("%d transactions left", live)
				}
			})
		})
	}
}

// A peer that never answers costs one timeout; a peer that hangs up, a 503 at once.
func TestDeadPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := transport.NewMemory()
		n := newNode(t, network, "127.0.0.1:5060", refusing)
		defer n.close()
		o := &outcomes{by: map[int]int{}}
		start := time.Now()
		peer, err := network.Listen(netip.MustParseAddrPort("127.0.0.2:5070"))
		if err != nil {
			t.Fatalf("Listen: %v", err)
		}
		accepted := make(chan net.Conn)
		go func() {
			c, err := peer.Accept()
			if err != nil {
				t.Errorf("Accept: %v", err)
			}
			accepted <- c
		}()
		flow, err := n.transport.Connect(t.Context(), transport.TCP, netip.MustParseAddrPort("127.0.0.2:5070"), "")
		if err != nil {
			t.Fatalf("Connect: %v", err)
		}
		if err := n.Send(subscribe(flow, 1, o)); err != nil {
			t.Fatalf("Send: %v", err)
		}
		(<-accepted).Close()
		peer.Close()
		synctest.Wait()
		o.mu.Lock()
		if o.by[503] != 1 || time.Since(start) != 0 {
			t.Errorf("TRN-07: outcomes after the connection's end are %v after %v, want one 503 at once", o.by, time.Since(start))
		}
		o.mu.Unlock()
	})
}
