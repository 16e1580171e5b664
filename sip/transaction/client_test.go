package transaction

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vigie/sip"
	"vigie/sip/transport"
)

// outcome keeps what Done says.
type outcome struct {
	wire     *wire
	mu       sync.Mutex
	calls    int
	status   int
	response *sip.Message
	err      error
	at       time.Duration
}

func (o *outcome) Done(status int, response *sip.Message, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.calls++
	o.status, o.response, o.err, o.at = status, response, err, time.Since(o.wire.start)
}

func (o *outcome) want(t *testing.T, calls, status int, err error) {
	t.Helper()
	synctest.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.calls != calls || o.status != status || !errors.Is(o.err, err) {
		t.Errorf("Done called %d times, last with %d and %v; want %d, %d, %v", o.calls, o.status, o.err, calls, status, err)
	}
	if (o.response == nil) != (err != nil || calls == 0) {
		t.Errorf("Done has response %v with error %v", o.response, err)
	}
}

func notify(flow transport.Flow, u ClientUser) Outgoing {
	const line = "NOTIFY sip:bob@127.0.0.2:5070 SIP/2.0\r\n"
	return Outgoing{
		Flow: flow, Method: "NOTIFY", Line: len(line),
		Head: []byte(line + "From: <sip:alice@example.com>;tag=a\r\nTo: <sip:bob@example.com>;tag=b\r\nCall-ID: call-9\r\n" +
			"CSeq: 7 NOTIFY\r\nContent-Length: 4\r\n\r\n"),
		Body: []byte("body"), User: u,
	}
}

// send starts a NOTIFY and gives what was sent first.
func send(t *testing.T, l *Layer, w *wire, flow transport.Flow) (*outcome, sent) {
	t.Helper()
	o := &outcome{wire: w}
	if err := l.Send(notify(flow, o)); err != nil {
		t.Fatalf("Send: %v", err)
	}
	got := w.take()
	if len(got) != 1 {
		t.Fatalf("%d messages sent, want 1", len(got))
	}
	return o, got[0]
}

func respond(t *testing.T, request sent, status int, edits ...string) *sip.Message {
	t.Helper()
	text := sip.NewResponse(request.message(t), status, "", "").Bytes()
	m, err := sip.Parse([]byte(strings.NewReplacer(edits...).Replace(string(text))))
	if err != nil {
		t.Fatalf("response: %v", err)
	}
	return m
}

func TestClientPrintsRequest(t *testing.T) {
	play(t, refusing, Options{}, func(t *testing.T, l *Layer, w *wire) {
		_, request := send(t, l, w, udp)
		lines := strings.SplitN(request.text, "\r\n", 3)
		if lines[0] != "NOTIFY sip:bob@127.0.0.2:5070 SIP/2.0" || !strings.HasSuffix(request.text, "\r\n\r\nbody") {
			t.Errorf("sent\n%s", request.text)
		}
		const via = "Via: SIP/2.0/UDP 127.0.0.1:5060;rport;branch=z9hG4bK"
		if !strings.HasPrefix(lines[1], via) || len(lines[1]) != len(via)+branchDigits {
			t.Errorf("Via is %q", lines[1])
		}
		o := notify(udp, nil)
		if got, want := l.Size(&o), len(request.text); got != want {
			t.Errorf("Size says the request has %d bytes, it has %d", got, want)
		}
	})
}

func TestTimerE(t *testing.T) {
	schedule := []string{"NOTIFY@500ms", "NOTIFY@1.5s", "NOTIFY@3.5s", "NOTIFY@7.5s", "NOTIFY@11.5s", "NOTIFY@15.5s",
		"NOTIFY@19.5s", "NOTIFY@23.5s", "NOTIFY@27.5s", "NOTIFY@31.5s"}
	t.Run("TRN-04/TRN-07/408-when-timer-F-fires", func(t *testing.T) {
		play(t, refusing, Options{}, func(t *testing.T, l *Layer, w *wire) {
			o, request := send(t, l, w, udp)
			at(w, 32*time.Second-1)
			got := w.take()
			wantStatuses(t, got, schedule...)
			for _, s := range got {
				if s.text != request.text {
					t.Errorf("repeated as\n%s\nand was\n%s", s.text, request.text)
				}
			}
			o.want(t, 0, 0, nil)
			at(w, 60*time.Second)
			wantStatuses(t, w.take())
			o.want(t, 1, 408, ErrTimeout)
			if o.at != 32*time.Second {
				t.Errorf("Timer F fired at %v, want 32s", o.at)
			}
			l.Receive(respond(t, request, 200), udp, nil)
			o.want(t, 1, 408, ErrTimeout)
			if n := l.metrics.clients.Load(); n != 0 {
				t.Errorf("%d client transactions left", n)
			}
		})
	})
	t.Run("TRN-04/until-the-final-response", func(t *testing.T) {
		play(t, refusing, Options{}, func(t *testing.T, l *Layer, w *wire) {
			o, request := send(t, l, w, udp)
			at(w, 2*time.Second)
			l.Receive(respond(t, request, 200), udp, nil)
			at(w, 60*time.Second)
			wantStatuses(t, w.take(), schedule[:2]...)
			o.want(t, 1, 200, nil)
			if o.at != 2*time.Second {
				t.Errorf("Done at %v, want 2s", o.at)
			}
		})
	})
	t.Run("TRN-04/every-T2-after-1xx", func(t *testing.T) {
		play(t, refusing, Options{}, func(t *testing.T, l *Layer, w *wire) {
			o, request := send(t, l, w, udp)
			at(w, 100*time.Millisecond)
			l.Receive(respond(t, request, 100), udp, nil)
			at(w, 60*time.Second)
			wantStatuses(t, w.take(), "NOTIFY@500ms", "NOTIFY@4.5s", "NOTIFY@8.5s", "NOTIFY@12.5s", "NOTIFY@16.5s",
				"NOTIFY@20.5s", "NOTIFY@24.5s", "NOTIFY@28.5s")
			o.want(t, 1, 408, ErrTimeout)
			if o.at != 32*time.Second {
				t.Errorf("Timer F fired at %v, want 32s", o.at)
			}
		})
	})
	t.Run("TRN-04/TCP-not-repeated", func(t *testing.T) {
		play(t, refusing, Options{}, func(t *testing.T, l *Layer, w *wire) {
			o, _ := send(t, l, w, tcp)
			at(w, 60*time.Second)
			wantStatuses(t, w.take())
			o.want(t, 1, 408, ErrTimeout)
			if o.at != 32*time.Second {
				t.Errorf("Timer F fired at %v, want 32s", o.at)
			}
		})
	})
	t.Run("other-timers", func(t *testing.T) {
		o := Options{T1: 100 * time.Millisecond, T2: 300 * time.Millisecond}
		play(t, refusing, o, func(t *testing.T, l *Layer, w *wire) {
			o, _ := send(t, l, w, udp)
			at(w, 1500*time.Millisecond)
			wantStatuses(t, w.take(), "NOTIFY@100ms", "NOTIFY@300ms", "NOTIFY@600ms", "NOTIFY@900ms", "NOTIFY@1.2s", "NOTIFY@1.5s")
			at(w, 10*time.Second)
			o.want(t, 1, 408, ErrTimeout)
			if o.at != 6400*time.Millisecond {
				t.Errorf("Timer F fired at %v, want 6.4s", o.at)
			}
		})
	})
}

func TestTimerK(t *testing.T) {
	t.Run("TRN-05/5s-on-UDP", func(t *testing.T) {
		play(t, refusing, Options{}, func(t *testing.T, l *Layer, w *wire) {
			o, request := send(t, l, w, udp)
			l.Receive(respond(t, request, 200), udp, nil)
			at(w, 5*time.Second-1)
			l.Receive(respond(t, request, 200), udp, nil)
			l.Receive(respond(t, request, 481), udp, nil)
			if got := l.metrics.absorbed.Load(); got != 2 {
				t.Errorf("%d responses absorbed before Timer K, want 2", got)
			}
			at(w, 5*time.Second)
			l.Receive(respond(t, request, 200), udp, nil)
			if got := l.metrics.strayResponses.Load(); got != 1 {
				t.Errorf("%d stray responses after Timer K, want 1", got)
			}
			o.want(t, 1, 200, nil)
		})
	})
	t.Run("TRN-05/0-on-TCP", func(t *testing.T) {
		play(t, refusing, Options{}, func(t *testing.T, l *Layer, w *wire) {
			o, request := send(t, l, w, tcp)
			for range 2 {
				l.Receive(respond(t, request, 200), tcp, nil)
			}
			if got := l.metrics.strayResponses.Load(); got != 1 {
				t.Errorf("%d stray responses, want 1", got)
			}
			o.want(t, 1, 200, nil)
		})
	})
}

func TestResponseMatches(t *testing.T) {
	for name, edits := range map[string][]string{
		"TRN-06/other-branch":      {"branch=z9hG4bK", "branch=z9hG4bK0"},
		"TRN-06/foreign-branch":    {"branch=z9hG4bK", "branch=z9hG4bKxyz;old="},
		"TRN-06/other-method":      {"CSeq: 7 NOTIFY", "CSeq: 7 SUBSCRIBE"},
		"MSG-28/two-vias":          {"From:", "Via: SIP/2.0/UDP 127.0.0.9;branch=z9hG4bK9\r\nFrom:"},
		"MSG-28/other-sent-by":     {"UDP 127.0.0.1:5060", "UDP 127.0.0.9:5060"},
		"MSG-28/other-sent-by-255": {"UDP 127.0.0.1:5060", "UDP 255.255.255.255:5060"},
		"MSG-28/other-port":        {"UDP 127.0.0.1:5060", "UDP 127.0.0.1:5061"},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, refusing, Options{}, func(t *testing.T, l *Layer, w *wire) {
				o, request := send(t, l, w, udp)
				l.Receive(respond(t, request, 200, edits...), udp, nil)
				o.want(t, 0, 0, nil)
				if got := l.metrics.strayResponses.Load(); got != 1 {
					t.Errorf("%d stray responses, want 1", got)
				}
				l.Receive(respond(t, request, 200), udp, nil)
				o.want(t, 1, 200, nil)
			})
		})
	}
	t.Run("MSG-28/status-above-699", func(t *testing.T) {
		play(t, refusing, Options{}, func(t *testing.T, l *Layer, w *wire) {
			o, request := send(t, l, w, udp)
			m := respond(t, request, 200)
			m.Status = 700
			l.Receive(m, udp, nil)
			o.want(t, 0, 0, nil)
		})
	})
	t.Run("TRN-06/default-port-may-be-left-out", func(t *testing.T) {
		play(t, refusing, Options{}, func(t *testing.T, l *Layer, w *wire) {
			o, request := send(t, l, w, udp)
			l.Receive(respond(t, request, 200, "UDP 127.0.0.1:5060", "UDP 127.0.0.1"), udp, nil)
			o.want(t, 1, 200, nil)
		})
	})
	for _, status := range []int{302, 404, 481, 503, 603} {
		t.Run("TRN-04/final", func(t *testing.T) {
			play(t, refusing, Options{}, func(t *testing.T, l *Layer, w *wire) {
				o, request := send(t, l, w, udp)
				l.Receive(respond(t, request, status), udp, nil)
				o.want(t, 1, status, nil)
				if o.response.Status != status {
					t.Errorf("response is %d", o.response.Status)
				}
			})
		})
	}
}

func TestEachAttemptHasItsBranch(t *testing.T) {
	play(t, refusing, Options{}, func(t *testing.T, l *Layer, w *wire) {
		seen := map[string]bool{}
		for range 100 {
			for _, flow := range []transport.Flow{udp, tcp} {
				_, request := send(t, l, w, flow)
				branch := request.message(t).Via.Branch
				if seen[branch] {
					t.Errorf("TRN-16: branch %s is used twice", branch)
				}
				seen[branch] = true
			}
		}
		unguessable(t, seen)
	})
}

// unguessable: UAS-07, of the branches that NOTIFYs carry. Each place but the
// last two, which lead back to the shard, shows most of the sixteen digits: 56
// bits move.
func unguessable(t *testing.T, branches map[string]bool) {
	t.Helper()
	var digits [branchDigits - 2]map[byte]bool
	for i := range digits {
		digits[i] = map[byte]bool{}
	}
	for branch := range branches {
		for i := range digits {
			digits[i][branch[len(magicCookie)+i]] = true
		}
	}
	for i, shown := range digits {
		if len(shown) < 12 {
			t.Errorf("UAS-07: place %d of %d branches shows %d digits only", i, len(branches), len(shown))
		}
	}
}

func TestTransportFailure(t *testing.T) {
	broken := errors.New("broken")
	t.Run("TRN-07/at-once-is-an-error-of-Send", func(t *testing.T) {
		play(t, refusing, Options{}, func(t *testing.T, l *Layer, w *wire) {
			w.setFail(broken)
			o := &outcome{wire: w}
			for _, flow := range []transport.Flow{udp, tcp} {
				if err := l.Send(notify(flow, o)); !errors.Is(err, broken) {
					t.Errorf("Send gives %v, want the transport's error", err)
				}
			}
			at(w, 60*time.Second)
			o.want(t, 0, 0, nil)
			if n := l.metrics.clients.Load(); n != 0 {
				t.Errorf("%d client transactions left", n)
			}
		})
	})
	t.Run("TRN-07/later-is-503", func(t *testing.T) {
		play(t, refusing, Options{}, func(t *testing.T, l *Layer, w *wire) {
			o, _ := send(t, l, w, udp)
			w.setFail(broken)
			at(w, 60*time.Second)
			o.want(t, 1, 503, broken)
			if o.at != 500*time.Millisecond {
				t.Errorf("failed at %v, want 500ms", o.at)
			}
		})
	})
	t.Run("full-queue-is-tried-again", func(t *testing.T) {
		play(t, refusing, Options{}, func(t *testing.T, l *Layer, w *wire) {
			o, _ := send(t, l, w, udp)
			w.setFail(transport.ErrQueueFull)
			at(w, time.Second)
			w.setFail(nil)
			at(w, 2*time.Second)
			wantStatuses(t, w.take(), "NOTIFY@1.5s")
			o.want(t, 0, 0, nil)
		})
	})
	t.Run("full-queue-at-first-is-no-failure", func(t *testing.T) {
		play(t, refusing, Options{}, func(t *testing.T, l *Layer, w *wire) {
			o := &outcome{wire: w}
			w.setFail(transport.ErrQueueFull)
			if err := l.Send(notify(udp, o)); err != nil {
				t.Errorf("Send over UDP gives %v", err)
			}
			if err := l.Send(notify(tcp, o)); !errors.Is(err, transport.ErrQueueFull) {
				t.Errorf("Send over TCP gives %v, want that the queue is full", err)
			}
			w.setFail(nil)
			at(w, time.Second)
			wantStatuses(t, w.take(), "NOTIFY@500ms")
			o.want(t, 0, 0, nil)
		})
	})
	t.Run("TRN-07/flow-closed-is-503", func(t *testing.T) {
		play(t, refusing, Options{}, func(t *testing.T, l *Layer, w *wire) {
			other := tcp
			other.Remote = udp.Remote
			first, _ := send(t, l, w, tcp)
			kept, request := send(t, l, w, other)
			done, answered := send(t, l, w, tcp)
			last, _ := send(t, l, w, tcp)
			l.Receive(respond(t, answered, 200), tcp, nil)
			l.Closed(tcp)
			first.want(t, 1, 503, transport.ErrFlowClosed)
			last.want(t, 1, 503, transport.ErrFlowClosed)
			done.want(t, 1, 200, nil)
			l.Receive(respond(t, request, 200), other, nil)
			kept.want(t, 1, 200, nil)
			at(w, 60*time.Second)
			first.want(t, 1, 503, transport.ErrFlowClosed)
			for i := range l.clients {
				if n := len(l.clients[i].flows) + len(l.clients[i].live); n != 0 {
					t.Errorf("%d entries left", n)
				}
			}
		})
	})
	t.Run("closed-layer", func(t *testing.T) {
		play(t, refusing, Options{}, func(t *testing.T, l *Layer, w *wire) {
			overUDP, _ := send(t, l, w, udp)
			overTCP, _ := send(t, l, w, tcp)
			l.Close()
			overUDP.want(t, 1, 503, ErrClosed)
			overTCP.want(t, 1, 503, ErrClosed)
			if err := l.Send(notify(udp, overUDP)); !errors.Is(err, ErrClosed) {
				t.Errorf("Send gives %v, want ErrClosed", err)
			}
		})
	})
}
