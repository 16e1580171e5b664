package transport

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// secured dials a TLS listener over any network.
func secured(t testing.TB, n Network, ca *authority, remote string) (c *tls.Conn, raw net.Conn) {
	t.Helper()
	raw = dial(t, n, "", remote)
	c = tls.Client(raw, &tls.Config{RootCAs: ca.pool, ServerName: "vigie.example.com"})
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return c, raw
}

// A peer that is slow, but reads, gets everything in order; who sends does not
// wait for it, and other peers do not either.
func TestSlowPeerGetsAllInOrder(t *testing.T) {
	const messages = 4000
	ca := newAuthority(t)
	o := Options{TLS: serverConfig(ca.issue(t, named("vigie.example.com"))), Limits: Limits{WriteQueue: 64 << 20}}
	tr, h := start(t, o, "tcp://127.0.0.1:0", "tls://127.0.0.1:0")
	for i, protocol := range []Protocol{TCP, TLS} {
		t.Run(protocol.String(), func(t *testing.T) {
			open := func() (net.Conn, Flow) {
				var c net.Conn
				if remote := bound(tr, i).String(); protocol == TLS {
					c, _ = secured(t, system{}, ca, remote)
				} else {
					c = dial(t, system{}, "", remote)
				}
				write(t, c, options(protocol.String()+" 192.0.2.9;branch=z9hG4bK1", "c1", ""))
				return c, (<-h.got).flow
			}
			slow, slowFlow := open()
			quick, quickFlow := open()
			body := []byte(strings.Repeat("x", 5000))
			for i := range messages {
				if err := tr.Send(slowFlow, fmt.Appendf(nil, "%8d", i), body); err != nil {
					t.Fatal(err)
				}
			}
			if err := tr.Send(quickFlow, []byte("now"), nil); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 8+len(body))
			if _, err := io.ReadFull(quick, got[:3]); err != nil || string(got[:3]) != "now" {
				t.Fatalf("the other peer got %q, %v", got[:3], err)
			}
			for i := range messages {
				if _, err := io.ReadFull(slow, got); err != nil || string(got[:8]) != fmt.Sprintf("%8d", i) || !bytes.Equal(got[8:], body) {
					t.Fatalf("message %d came as %.8s, %v", i, got, err)
				}
			}
		})
	}
}

// What Send was given is the caller's again once it returns.
func TestSendCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewMemory()
		tr, h := start(t, Options{Network: n}, "tcp://192.0.2.1:5060")
		c := dial(t, n, "192.0.2.9", "192.0.2.1:5060")
		write(t, c, options(viaTCP, "c1", ""))
		f := (<-h.got).flow
		head, body := []byte("head"), []byte("body")
		if err := tr.Send(f, head, body); err != nil {
			t.Fatal(err)
		}
		clear(head)
		clear(body)
		tr.Close()
		if _, text := ends(t, c); text != "headbody" {
			t.Errorf("got %q", text)
		}
	})
}

// MSG-11: however a TLS session is cut into records, the same messages come out.
func TestFramingDoesNotDependOnRecords(t *testing.T) {
	ca := newAuthority(t)
	tr, h := start(t, Options{TLS: serverConfig(ca.issue(t, named("vigie.example.com")))}, "tls://127.0.0.1:0")
	bodies := []string{"", "short", strings.Repeat("y", 700), "\r\n\r\n", strings.Repeat("z", 60_000), ""}
	for _, cut := range []int{1, 7, restSpace - 1, restSpace, restSpace + 1, 5000, 200_000} {
		t.Run(fmt.Sprintf("MSG-11/%d-bytes-a-record", cut), func(t *testing.T) {
			bodies := bodies
			if cut < 100 {
				bodies = bodies[:4] // each record takes its time
			}
			var rest string
			for i, body := range bodies {
				rest += options(viaTLS, fmt.Sprintf("c%d", i), body) + "\r\n"
			}
			c, _ := secured(t, system{}, ca, bound(tr, 0).String())
			for rest != "" {
				size := min(cut, len(rest))
				write(t, c, rest[:size])
				rest = rest[size:]
			}
			for i, body := range bodies {
				if got := <-h.got; got.err != nil || got.m.CallID != fmt.Sprintf("c%d", i) || string(got.m.Body) != body {
					t.Fatalf("got %s with %d bytes, %v; want c%d with %d", got.m.CallID, len(got.m.Body), got.err, i, len(body))
				}
			}
		})
	}
}

// A TLS peer is told why its session ends.
func TestTLSPeerIsToldOfTheEnd(t *testing.T) {
	t.Run("closed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, ca := NewMemory(), newAuthority(t)
			tr, h := start(t, Options{Network: n, TLS: serverConfig(ca.issue(t, named("vigie.example.com")))}, "tls://192.0.2.1:5061")
			c, _ := secured(t, n, ca, "192.0.2.1:5061")
			write(t, c, options(viaTLS, "c1", ""))
			if err := tr.Send((<-h.got).flow, []byte("last"), nil); err != nil {
				t.Fatal(err)
			}
			tr.Close()
			if _, text := ends(t, c); text != "last" { // without close_notify, it is an error
				t.Errorf("got %q", text)
			}
		})
	})
	t.Run("bad-record", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, ca := NewMemory(), newAuthority(t)
			_, h := start(t, Options{Network: n, TLS: serverConfig(ca.issue(t, named("vigie.example.com")))}, "tls://192.0.2.1:5061")
			c, raw := secured(t, n, ca, "192.0.2.1:5061")
			write(t, c, options(viaTLS, "c1", ""))
			<-h.got
			write(t, raw, "\x17\x03\x03\x00\x20"+strings.Repeat("?", 32))
			if _, err := c.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "bad record MAC") {
				t.Errorf("got %v", err)
			}
			<-h.closed
		})
	})
}

// What the session itself has to say leaves although no message waits; a peer
// that makes it talk and does not listen loses its connection.
func TestRecordsOfTheSessionLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, ca := NewMemory(), newAuthority(t)
		_, h := start(t, Options{Network: n, TLS: serverConfig(ca.issue(t, named("vigie.example.com")))}, "tls://192.0.2.1:5061")
		c, raw := secured(t, n, ca, "192.0.2.1:5061")
		write(t, c, options(viaTLS, "c1", ""))
		w := (<-h.got).flow.conn.wire
		if _, err := w.Write([]byte("record")); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 100)
		if n, err := raw.Read(got); err != nil || string(got[:n]) != "record" {
			t.Errorf("got %q, %v", got[:n], err)
		}
		var err error
		for range 10 * (memoryWindow + keptWrite) / 1000 {
			if _, err = w.Write(make([]byte, 1000)); err != nil {
				break
			}
			synctest.Wait()
		}
		if err != ErrQueueFull {
			t.Errorf("got %v, want ErrQueueFull", err)
		}
		c.Close()
	})
}

// Timers that were set for something shorter do not end a connection early, nor
// those for something longer late.
func TestTimersOfConnections(t *testing.T) {
	text := options(viaTCP, "c1", "")
	t.Run("TPT-08/after-a-message-in-two-pieces", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := NewMemory()
			start(t, Options{Network: n, Limits: Limits{IdleTimeout: 40 * time.Second}}, "tcp://192.0.2.1:5060")
			c := dial(t, n, "192.0.2.9", "192.0.2.1:5060")
			write(t, c, text[:100])
			time.Sleep(5 * time.Second)
			write(t, c, text[100:])
			if after, _ := ends(t, c); after != 40*time.Second {
				t.Errorf("closed after %s, want 40s", after)
			}
		})
	})
	t.Run("slow-after-a-whole-message", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := NewMemory()
			start(t, Options{Network: n}, "tcp://192.0.2.1:5060")
			c := dial(t, n, "192.0.2.9", "192.0.2.1:5060")
			write(t, c, text)
			time.Sleep(time.Minute)
			write(t, c, text[:100])
			if after, _ := ends(t, c); after != 20*time.Second {
				t.Errorf("closed after %s, want 20s", after)
			}
		})
	})
}

// A connection at rest holds no space to read into or to write from, and what
// it sends allocates nothing.
func TestConnectionsShareSpace(t *testing.T) {
	tr, h := start(t, Options{}, "tcp://127.0.0.1:0")
	c := dial(t, system{}, "", bound(tr, 0).String())
	write(t, c, options(viaTCP, "c1", ""))
	f := (<-h.got).flow
	head, body, got := make([]byte, 500), make([]byte, 1000), make([]byte, 1500)
	if n := testing.AllocsPerRun(1000, func() {
		if err := tr.Send(f, head, body); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, got); err != nil {
			t.Fatal(err)
		}
	}); n > 1 { // with the race detector, pools forget
		t.Errorf("a message sent allocates %.0f objects", n)
	}
}
