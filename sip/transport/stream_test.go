package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vigie/sip"
)

const viaTCP = "TCP 192.0.2.9:5060;branch=z9hG4bK1"

// ends waits until the server has closed the connection, reading what comes.
func ends(t *testing.T, c net.Conn) (after time.Duration, text string) {
	t.Helper()
	began := time.Now()
	all, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return time.Since(began), string(all)
}

// MSG-11: however a stream is cut, the same messages come out (RFC 3261 §7.5).
func TestFramingDoesNotDependOnReads(t *testing.T) {
	stream := "\r\n" + options(viaTCP, "c1", "") + "\r\n\r\n\r\n" + options(viaTCP, "c2", "a body") + options(viaTCP, "c3", "\r\n\r\n") + "\r\n"
	for _, cut := range []int{1, 2, 3, 7, 100, 333, len(stream)} {
		t.Run(fmt.Sprintf("MSG-11/%d-bytes-a-write", cut), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := NewMemory()
				_, h := start(t, Options{Network: n}, "tcp://192.0.2.1:5060")
				c := dial(t, n, "192.0.2.9", "192.0.2.1:5060")
				for rest := stream; rest != ""; {
					size := min(cut, len(rest))
					write(t, c, rest[:size])
					synctest.Wait()
					rest = rest[size:]
				}
				for i, body := range []string{"", "a body", "\r\n\r\n"} {
					got := <-h.got
					if want := fmt.Sprintf("c%d", i+1); got.err != nil || got.m.CallID != want || string(got.m.Body) != body {
						t.Errorf("got %s %q %v, want %s %q", got.m.CallID, got.m.Body, got.err, want, body)
					}
				}
			})
		})
	}
}

func TestKeepAliveOnStreams(t *testing.T) {
	for _, test := range []struct {
		name  string
		sends []string
		want  string
	}{
		{"TPT-11/double", []string{"\r\n\r\n"}, "\r\n"},
		{"TPT-11/double-cut", []string{"\r", "\n\r", "\n"}, "\r\n"},
		{"TPT-11/two-pings", []string{"\r\n\r\n\r\n\r\n"}, "\r\n\r\n"},
		{"TPT-11/single-is-an-answer", []string{"\r\n"}, ""},
		{"TPT-11/single-before-a-message", []string{"\r\n", options(viaTCP, "c1", ""), "\r\n"}, ""},
		{"TPT-11/between-messages", []string{options(viaTCP, "c1", ""), "\r\n\r\n", options(viaTCP, "c2", "")}, "\r\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := NewMemory()
				tr, _ := start(t, Options{Network: n}, "tcp://192.0.2.1:5060")
				c := dial(t, n, "192.0.2.9", "192.0.2.1:5060")
				for _, s := range test.sends {
					write(t, c, s)
					synctest.Wait()
				}
				tr.Close()
				if _, text := ends(t, c); text != test.want {
					t.Errorf("answered %q, want %q", text, test.want)
				}
			})
		})
	}
	t.Run("TPT-11/two-singles-far-apart", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := NewMemory()
			tr, _ := start(t, Options{Network: n}, "tcp://192.0.2.1:5060")
			c := dial(t, n, "192.0.2.9", "192.0.2.1:5060")
			write(t, c, "\r\n")
			time.Sleep(30 * time.Second)
			write(t, c, "\r\n")
			synctest.Wait()
			tr.Close()
			if _, text := ends(t, c); text != "" {
				t.Errorf("answered %q", text)
			}
		})
	})
}

// MSG-10: where the end of a message cannot be found, it is answered if that
// is possible, and the connection closed (RFC 3261 §18.3).
func TestLostFramingIsAnsweredThenClosed(t *testing.T) {
	for _, test := range []struct {
		name, text string
		status     int
	}{
		{"MSG-10/no-length", strings.Replace(options(viaTCP, "c1", ""), "Content-Length: 0\r\n", "", 1), 400},
		{"MSG-10/negative-length", strings.Replace(options(viaTCP, "c1", ""), "Length: 0", "Length: -1", 1), 400},
		{"MSG-25/over-the-limit", strings.Replace(options(viaTCP, "c1", ""), "Length: 0", "Length: 70000", 1), 513},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := NewMemory()
				tr, h := start(t, Options{Network: n}, "tcp://192.0.2.1:5060")
				h.react = func(call received) {
					var parse *sip.ParseError
					if !errors.As(call.err, &parse) || parse.Status != test.status {
						t.Errorf("got %v, want status %d", call.err, test.status)
						return
					}
					r := sip.NewResponse(call.m, parse.Status, "", "v1")
					if err := tr.SendResponse(call.flow, call.m.Via, r.AppendTo(nil), nil); err != nil {
						t.Error(err)
					}
				}
				c := dial(t, n, "192.0.2.9", "192.0.2.1:5060")
				write(t, c, test.text)
				after, text := ends(t, c)
				if want := fmt.Sprintf("SIP/2.0 %d ", test.status); after != 0 || !strings.HasPrefix(text, want) {
					t.Errorf("after %s came %q, want %q", after, text, want)
				}
				if f := <-h.closed; f.Alive() {
					t.Error("the flow lives")
				}
			})
		})
	}
}

// A peer that sends one byte a second does not keep a connection.
func TestSlowMessageEndsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, log := NewMemory(), &logBuffer{}
		_, h := start(t, Options{Network: n, Logger: log.logger()}, "tcp://192.0.2.1:5060")
		c := dial(t, n, "192.0.2.9", "192.0.2.1:5060")
		began := time.Now()
		var slow sync.WaitGroup
		defer slow.Wait()
		slow.Go(func() {
			for _, b := range []byte(options(viaTCP, "c1", "")) {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		})
		<-h.closed
		if after := time.Since(began); after != 20*time.Second {
			t.Errorf("closed after %s, want 20s", after)
		}
		if !strings.Contains(log.String(), "the peer sends a message too slowly") {
			t.Errorf("the log does not say why:\n%s", log)
		}
	})
}

// TPT-08: connections stay open for 64·T1 after a message at least, and for
// the idle time otherwise (RFC 3261 §18).
func TestIdleConnections(t *testing.T) {
	idle := Limits{IdleTimeout: 40 * time.Second}
	t.Run("TPT-08/after-a-received-message", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := NewMemory()
			_, h := start(t, Options{Network: n, Limits: idle}, "tcp://192.0.2.1:5060")
			c := dial(t, n, "192.0.2.9", "192.0.2.1:5060")
			write(t, c, options(viaTCP, "c1", ""))
			<-h.got
			if after, _ := ends(t, c); after != 40*time.Second {
				t.Errorf("closed after %s, want 40s", after)
			}
		})
	})
	t.Run("TPT-08/after-a-sent-message", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := NewMemory()
			tr, h := start(t, Options{Network: n, Limits: idle}, "tcp://192.0.2.1:5060")
			c := dial(t, n, "192.0.2.9", "192.0.2.1:5060")
			write(t, c, options(viaTCP, "c1", ""))
			got := <-h.got
			time.Sleep(35 * time.Second)
			if err := tr.Send(got.flow, []byte("x"), nil); err != nil {
				t.Fatal(err)
			}
			if after, _ := ends(t, c); after != 40*time.Second {
				t.Errorf("closed after %s, want 40s", after)
			}
		})
	})
	t.Run("TPT-08/without-any-message", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := NewMemory()
			start(t, Options{Network: n}, "tcp://192.0.2.1:5060")
			c := dial(t, n, "192.0.2.9", "192.0.2.1:5060")
			if after, _ := ends(t, c); after != 32*time.Second {
				t.Errorf("closed after %s, want 32s", after)
			}
		})
	})
	t.Run("TPT-08/keep-alives-keep", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := NewMemory()
			_, h := start(t, Options{Network: n, Limits: idle}, "tcp://192.0.2.1:5060")
			c := dial(t, n, "192.0.2.9", "192.0.2.1:5060")
			for range 10 {
				write(t, c, "\r\n\r\n")
				time.Sleep(30 * time.Second)
			}
			write(t, c, options(viaTCP, "c1", ""))
			if got := <-h.got; got.m.CallID != "c1" {
				t.Errorf("got %+v", got)
			}
		})
	})
}

// A peer that never reads is cut off when its queue is full, without delaying
// the sender, and when it does not read for long.
func TestPeerThatNeverReads(t *testing.T) {
	open := func(t *testing.T, log *logBuffer) (*Transport, *recorder, Flow) {
		n := NewMemory()
		tr, h := start(t, Options{Network: n, Logger: log.logger(), Limits: Limits{WriteQueue: 100_000}}, "tcp://192.0.2.1:5060")
		c := dial(t, n, "192.0.2.9", "192.0.2.1:5060")
		write(t, c, options(viaTCP, "c1", ""))
		return tr, h, (<-h.got).flow
	}
	t.Run("queue-full", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			log := &logBuffer{}
			tr, h, flow := open(t, log)
			began, sent := time.Now(), 0
			body := make([]byte, 1000)
			var err error
			for err == nil && sent < 1000 {
				err = tr.Send(flow, []byte("head"), body)
				sent++
				synctest.Wait()
			}
			if err != ErrQueueFull || time.Since(began) != 0 {
				t.Errorf("after %d messages and %s: %v, want ErrQueueFull at once", sent, time.Since(began), err)
			}
			if sent < 90 || sent > 200 {
				t.Errorf("%d messages of 1004 bytes were taken: the queue holds 100000 and the network 65536", sent)
			}
			<-h.closed
			if flow.Alive() || !strings.Contains(log.String(), "the peer does not read") {
				t.Errorf("alive %v, log:\n%s", flow.Alive(), log)
			}
			if err := tr.Send(flow, []byte("x"), nil); err != ErrFlowClosed {
				t.Errorf("Send: %v, want ErrFlowClosed", err)
			}
		})
	})
	t.Run("write-timeout", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			log := &logBuffer{}
			tr, h, flow := open(t, log)
			began := time.Now()
			if err := tr.Send(flow, make([]byte, 90_000), nil); err != nil {
				t.Fatal(err)
			}
			<-h.closed
			if after := time.Since(began); after != 32*time.Second || !strings.Contains(log.String(), "the peer does not read") {
				t.Errorf("closed after %s, want 32s; log:\n%s", after, log)
			}
		})
	})
	t.Run("larger-than-the-queue", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tr, _, flow := open(t, &logBuffer{})
			if err := tr.Send(flow, make([]byte, 100_001), nil); err != ErrTooLarge || !flow.Alive() {
				t.Errorf("got %v, want ErrTooLarge and a living flow", err)
			}
		})
	})
}

func TestConnectionLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, log := NewMemory(), &logBuffer{}
		tr, h := start(t, Options{Network: n, Logger: log.logger(), Limits: Limits{MaxConnections: 3, MaxConnectionsPerSource: 2}}, "tcp://192.0.2.1:5060")
		dial(t, n, "192.0.2.9", "192.0.2.1:5060")
		first := dial(t, n, "192.0.2.9", "192.0.2.1:5060")
		if after, _ := ends(t, dial(t, n, "192.0.2.9", "192.0.2.1:5060")); after != 0 {
			t.Errorf("the third from one source was closed after %s, want at once", after)
		}
		dial(t, n, "192.0.2.8", "192.0.2.1:5060")
		if after, _ := ends(t, dial(t, n, "192.0.2.7", "192.0.2.1:5060")); after != 0 {
			t.Errorf("the fourth in all was closed after %s, want at once", after)
		}
		c := &tr.Metrics().ByProtocol[TCP]
		if open, refused := c.Connections.Load(), c.Refused.Load(); open != 3 || refused != 2 {
			t.Errorf("counted %d open and %d refused, want 3 and 2", open, refused)
		}
		if lines := strings.Count(log.String(), "connection refused"); lines != 1 {
			t.Errorf("%d log lines, want 1 a minute:\n%s", lines, log)
		}
		first.Close()
		<-h.closed
		again := dial(t, n, "192.0.2.9", "192.0.2.1:5060")
		write(t, again, options(viaTCP, "c1", ""))
		<-h.got
	})
}

// Slow peers are an operator's business once a minute, however many they are.
func TestSlowPeersDoNotFillTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, log := NewMemory(), &logBuffer{}
		tr, _ := start(t, Options{Network: n, Logger: log.logger()}, "tcp://192.0.2.1:5060")
		slow := func(count int) {
			for range count {
				write(t, dial(t, n, "192.0.2.9", "192.0.2.1:5060"), "OPTIONS")
			}
			time.Sleep(30 * time.Second)
		}
		slow(50)
		slow(50)
		slow(1) // a minute after the first
		warnings := strings.Count(log.String(), "level=WARN msg=\"connection closed: the peer sends")
		all := strings.Count(log.String(), "connection closed: the peer sends")
		if overdue := tr.Metrics().ByProtocol[TCP].Overdue.Load(); warnings != 2 || all != 101 || overdue != 101 {
			t.Errorf("%d warnings in %d lines, %d counted; want 2 in 101, 101 counted", warnings, all, overdue)
		}
	})
}

// One IPv6 host has a whole network of addresses.
func TestSourcesOfIPv6AreNetworks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewMemory()
		start(t, Options{Network: n, Limits: Limits{MaxConnectionsPerSource: 1}}, "tcp://[2001:db8::1]:5060")
		dial(t, n, "2001:db8:9::1", "[2001:db8::1]:5060")
		if after, _ := ends(t, dial(t, n, "2001:db8:9::2", "[2001:db8::1]:5060")); after != 0 {
			t.Errorf("the second from one network was closed after %s, want at once", after)
		}
		if after, _ := ends(t, dial(t, n, "2001:db8:8::1", "[2001:db8::1]:5060")); after == 0 {
			t.Error("another network is refused")
		}
	})
}

func TestConnect(t *testing.T) {
	t.Run("TPT-08/one-dial-for-many-and-reuse", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := NewMemory()
			l, err := n.Listen(ap("192.0.2.9:5060"))
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			tr, _ := start(t, Options{Network: n}, "tcp://192.0.2.1:5060")
			flows := make([]Flow, 20)
			var all sync.WaitGroup
			for i := range flows {
				all.Go(func() { flows[i], _ = tr.Connect(t.Context(), TCP, ap("192.0.2.9:5060"), "") })
			}
			all.Wait()
			for _, f := range flows {
				if f.IsZero() || f != flows[0] {
					t.Fatalf("got %v and %v, want one flow", f, flows[0])
				}
			}
			if got := tr.Metrics().Dials.Load(); got != 1 {
				t.Errorf("%d connections were opened, want 1", got)
			}
			if f, ok := tr.Existing(TCP, ap("192.0.2.9:5060")); !ok || f != flows[0] {
				t.Errorf("Existing gives %v, %v", f, ok)
			}
			if f, ok := tr.Existing(TLS, ap("192.0.2.9:5060")); ok {
				t.Errorf("Existing gives %v for TLS", f)
			}
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if from := addrPortOf(c.RemoteAddr()).Addr().String(); from != "192.0.2.1" {
				t.Errorf("connected from %s, want the listener's address", from)
			}
			if e := flows[0].Endpoint(); e.String() != "tcp://192.0.2.1:5060" {
				t.Errorf("endpoint %s", e)
			}
			if err := tr.Send(flows[0], []byte(options(viaTCP, "c1", "")), nil); err != nil {
				t.Fatal(err)
			}
			if m := readMessage(t, c); m.CallID != "c1" {
				t.Errorf("got %s", m.CallID)
			}
			c.Close()
			synctest.Wait()
			if _, ok := tr.Existing(TCP, ap("192.0.2.9:5060")); ok {
				t.Error("a closed connection is still given")
			}
		})
	})
	t.Run("TPT-08/accepted-connection-is-reused", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := NewMemory()
			tr, h := start(t, Options{Network: n}, "tcp://192.0.2.1:5060")
			c := dial(t, n, "192.0.2.9", "192.0.2.1:5060")
			write(t, c, options(viaTCP, "c1", ""))
			got := <-h.got
			f, err := tr.Connect(t.Context(), TCP, addrPortOf(c.LocalAddr()), "")
			if err != nil || f != got.flow {
				t.Errorf("got %v, %v, want the flow of the request", f, err)
			}
		})
	})
	// TPT-07: what refuses a connection is remembered (RFC 3261 §18.1.1).
	t.Run("TPT-07/refusal-is-remembered", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := NewMemory()
			tr, _ := start(t, Options{Network: n}, "tcp://192.0.2.1:5060")
			remote := ap("192.0.2.9:5060")
			if _, err := tr.Connect(t.Context(), TCP, remote, ""); !errors.Is(err, ErrUnreachable) {
				t.Fatalf("got %v, want ErrUnreachable", err)
			}
			if !tr.Unreachable(TCP, remote) || tr.Unreachable(TCP, ap("192.0.2.9:5061")) {
				t.Error("the refusal is not remembered, or for others too")
			}
			time.Sleep(5 * time.Minute)
			if tr.Unreachable(TCP, remote) {
				t.Error("the refusal is remembered for more than 5 min")
			}
			_, _ = tr.Connect(t.Context(), TCP, remote, "")
			l, err := n.Listen(remote)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			if _, err := tr.Connect(t.Context(), TCP, remote, ""); err != nil || tr.Unreachable(TCP, remote) {
				t.Errorf("it listens now: %v, unreachable %v", err, tr.Unreachable(TCP, remote))
			}
		})
	})
	t.Run("dial-timeout", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := NewMemory()
			tr, _ := start(t, Options{Network: n}, "tcp://192.0.2.1:5060")
			n.Blackhole(ap("192.0.2.9:5060"))
			began := time.Now()
			_, err := tr.Connect(t.Context(), TCP, ap("192.0.2.9:5060"), "")
			if after := time.Since(began); !errors.Is(err, ErrUnreachable) || after != 8*time.Second {
				t.Errorf("after %s: %v, want ErrUnreachable after 8s", after, err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err = tr.Connect(ctx, TCP, ap("192.0.2.9:5060"), ""); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want the context's error", err)
			}
		})
	})
	t.Run("after-close", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tr, _ := start(t, Options{Network: NewMemory()}, "tcp://192.0.2.1:5060")
			tr.Close()
			if _, err := tr.Connect(t.Context(), TCP, ap("192.0.2.9:5060"), ""); err != ErrFlowClosed {
				t.Errorf("got %v, want ErrFlowClosed", err)
			}
		})
	})
}

// TPT-05: a response goes by the connection of its request, and by a new one to
// its source and sent-by port when that is gone (RFC 3261 §18.2.2).
func TestResponseOverStreams(t *testing.T) {
	via := "TCP phone.example.com:5080;branch=z9hG4bK1;rport"
	t.Run("TPT-05/same-connection", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := NewMemory()
			tr, h := start(t, Options{Network: n}, "tcp://192.0.2.1:5060")
			c := dial(t, n, "192.0.2.9", "192.0.2.1:5060")
			write(t, c, options(via, "c1", ""))
			answer(t, tr, <-h.got)
			m := readMessage(t, c)
			received, _ := m.Via.Params.Get("received")
			rport, _ := m.Via.Params.Get("rport")
			if m.CallID != "c1" || received != "192.0.2.9" || rport != fmt.Sprint(addrPortOf(c.LocalAddr()).Port()) {
				t.Errorf("got %s, Via %+v", m.CallID, m.Via)
			}
		})
	})
	t.Run("TPT-05/new-connection", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := NewMemory()
			l, err := n.Listen(ap("192.0.2.9:5080"))
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			tr, h := start(t, Options{Network: n}, "tcp://192.0.2.1:5060")
			c := dial(t, n, "192.0.2.9", "192.0.2.1:5060")
			write(t, c, options(via, "c1", ""))
			got := <-h.got
			c.Close()
			<-h.closed
			answer(t, tr, got)
			back, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer back.Close()
			if m := readMessage(t, back); m.CallID != "c1" || m.Status != 200 {
				t.Errorf("got %s %d", m.CallID, m.Status)
			}
		})
	})
}

func TestMemoryStreamDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewMemory()
		l, err := n.Listen(ap("192.0.2.1:5060"))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		c := dial(t, n, "", "192.0.2.1:5060")
		began := time.Now()
		_ = c.SetReadDeadline(began.Add(3 * time.Second))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != 3*time.Second {
			t.Errorf("Read: %v after %s", err, time.Since(began))
		}
		_ = c.SetWriteDeadline(began.Add(5 * time.Second))
		if n, err := c.Write(make([]byte, 100_000)); n != memoryWindow || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != 5*time.Second {
			t.Errorf("Write: %d, %v after %s", n, err, time.Since(began))
		}
	})
}

func TestMemoryDatagramsMayBeLostLateOrDoubled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewMemory()
		a, b := peer(t, n, "192.0.2.1:5060"), peer(t, n, "192.0.2.2:5060")
		fates := [][]time.Duration{{}, {0, time.Second}, {3 * time.Second}, {0}}
		n.Datagrams(func(_, _ netip.AddrPort, _ []byte) []time.Duration {
			fate := fates[0]
			fates = fates[1:]
			return fate
		})
		began := time.Now()
		for _, text := range []string{"lost", "double", "late", "plain"} {
			sendTo(t, a, ap("192.0.2.2:5060"), text)
		}
		var got []string
		for range 4 {
			text, _ := readFrom(t, b)
			got = append(got, fmt.Sprintf("%s@%s", text, time.Since(began)))
		}
		if want := "double@0s plain@0s double@1s late@3s"; strings.Join(got, " ") != want {
			t.Errorf("got %v, want %s", got, want)
		}
	})
}

// MSG-11, SEC-17: whatever comes on a stream, it comes out the same in one piece and
// byte by byte, and never brings the reader down.
func FuzzStream(f *testing.F) {
	f.Add([]byte("\r\n\r\n"+options(viaTCP, "c1", "body")+options(viaTCP, "c2", "")), uint8(5))
	f.Add([]byte(options(viaTCP, "c1", "")[:100]), uint8(1))
	f.Add([]byte("\r\n\r"+strings.Replace(options(viaTCP, "c1", ""), "Length: 0", "Length: -1", 1)), uint8(3))
	f.Fuzz(func(t *testing.T, data []byte, cut uint8) {
		synctest.Test(t, func(t *testing.T) {
			whole, pieces := heard(t, data, len(data)), heard(t, data, max(int(cut), 1))
			if whole != pieces {
				t.Errorf("in one piece:\n%s\nin pieces of %d:\n%s", whole, cut, pieces)
			}
		})
	})
}

// heard sends data in pieces and tells what came up and what was answered.
func heard(t *testing.T, data []byte, size int) string {
	n := NewMemory()
	tr, h := start(t, Options{Network: n, Limits: Limits{WriteQueue: 1 << 20}}, "tcp://192.0.2.1:5060")
	c := dial(t, n, "192.0.2.9", "192.0.2.1:5060")
	for rest := data; len(rest) > 0; {
		piece := rest[:min(size, len(rest))]
		rest = rest[len(piece):]
		if _, err := c.Write(piece); err != nil {
			break
		}
		synctest.Wait()
	}
	tr.Close()
	close(h.got)
	var all strings.Builder
	for got := range h.got {
		fmt.Fprintf(&all, "%s %q %v\n", got.m.CallID, got.m.Body, got.err)
	}
	_, answered := ends(t, c)
	fmt.Fprintf(&all, "%q\n", answered)
	return all.String()
}
