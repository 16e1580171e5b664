package transaction

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vigie/sip"
	"vigie/sip/transport"
)

// Which requests belong together (RFC 3261 §17.2.3).
func TestRequestMatchesTransaction(t *testing.T) {
	const branch = "z9hG4bK1"
	old := []string{";branch=z9hG4bK1", ""}
	for _, c := range []struct {
		name          string
		first, second []string // edits
		method        string   // of the second
		requests      int
	}{
		{"TRN-01/same", nil, nil, "OPTIONS", 1},
		{"TRN-01/other-branch", nil, []string{branch, "z9hG4bK2", "CSeq: 1", "CSeq: 2"}, "OPTIONS", 2},
		{"TRN-01/other-sent-by-host", nil, []string{"UDP 127.0.0.2:5070", "UDP 127.0.0.9:5070", "CSeq: 1", "CSeq: 2"}, "OPTIONS", 2},
		{"TRN-01/other-sent-by-port", nil, []string{"UDP 127.0.0.2:5070", "UDP 127.0.0.2:5071", "CSeq: 1", "CSeq: 2"}, "OPTIONS", 2},
		{"TRN-01/sent-by-without-port", nil, []string{"UDP 127.0.0.2:5070", "UDP 127.0.0.2", "CSeq: 1", "CSeq: 2"}, "OPTIONS", 2},
		{"TRN-01/other-method", nil, nil, "MESSAGE", 2},
		{"TRN-01/nothing-else-matters", nil, []string{"call-1", "call-2"}, "OPTIONS", 1},
		{"TRN-01/no-cookie-same", old, old, "OPTIONS", 1},
		{"TRN-01/no-cookie-other-cseq", old, append([]string{"CSeq: 1", "CSeq: 2"}, old...), "OPTIONS", 2},
		{"TRN-01/no-cookie-other-call", old, append([]string{"call-1", "call-2"}, old...), "OPTIONS", 2},
		{"TRN-01/no-cookie-other-from-tag", old, append([]string{"fromtag", "othertag"}, old...), "OPTIONS", 2},
		{"TRN-01/no-cookie-other-uri", old, append([]string{"OPTIONS sip:alice", "OPTIONS sip:carol", "CSeq: 1", "CSeq: 2"}, old...), "OPTIONS", 2},
		{"TRN-01/bare-cookie", []string{branch, "z9hG4bK"}, []string{branch, "z9hG4bK", "CSeq: 1", "CSeq: 2"}, "OPTIONS", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := &counting{}
			play(t, u, Options{}, func(t *testing.T, l *Layer, w *wire) {
				l.Receive(build(t, "OPTIONS", branch, c.first...), udp, nil)
				synctest.Wait()
				l.Receive(build(t, c.method, branch, c.second...), udp, nil)
				if got := len(w.take()); got != 2 {
					t.Errorf("%d answers, want 2", got)
				}
				if u.n != c.requests {
					t.Errorf("%d requests handled, want %d", u.n, c.requests)
				}
			})
		})
	}
}

func TestRetransmissionAbsorbed(t *testing.T) {
	for _, method := range []string{"SUBSCRIBE", "PUBLISH", "REGISTER"} {
		t.Run("TRN-02/trying-absorbs/"+method, func(t *testing.T) {
			u := newSilent()
			play(t, u, Options{}, func(t *testing.T, l *Layer, w *wire) {
				for range 3 {
					l.Receive(build(t, method, "z9hG4bK1"), udp, nil)
				}
				if got := len(u.all()); got != 1 {
					t.Errorf("%d requests handled, want 1", got)
				}
				wantStatuses(t, w.take())
			})
		})
		t.Run("TRN-03/completed-answers-again/"+method, func(t *testing.T) {
			u := &counting{}
			play(t, u, Options{}, func(t *testing.T, l *Layer, w *wire) {
				for range 3 {
					l.Receive(build(t, method, "z9hG4bK1"), udp, nil)
					synctest.Wait()
				}
				got := w.take()
				wantStatuses(t, got, "200", "200", "200")
				if u.n != 1 {
					t.Errorf("%d requests handled, want 1", u.n)
				}
				for _, s := range got[1:] {
					if s.text != got[0].text {
						t.Errorf("the answer was repeated as\n%s\nand was\n%s", s.text, got[0].text)
					}
				}
			})
		})
	}
}

// The whole of an answer comes again: reason, own rows in order, copied
// Record-Route rows, body.
func TestAnswerRebuilt(t *testing.T) {
	respond := handler(func(_ context.Context, tx *ServerTransaction) {
		r := sip.NewResponse(tx.Request, 420, "No Such Thing", "totag")
		r.Add(sip.HeaderContact, "<sip:127.0.0.1:5060>")
		for route := range tx.Request.Rows(sip.HeaderRecordRoute) {
			r.Add(sip.HeaderRecordRoute, route)
		}
		r.Add(sip.HeaderUnsupported, "foo, bar")
		r.Add(sip.HeaderContentType, "text/plain")
		r.Body = []byte("sorry\r\n")
		if err := tx.Respond(r); err != nil {
			t.Errorf("Respond: %v", err)
		}
	})
	play(t, respond, Options{}, func(t *testing.T, l *Layer, w *wire) {
		for range 2 {
			l.Receive(build(t, "SUBSCRIBE", "z9hG4bK1"), udp, nil)
			synctest.Wait()
		}
		got := w.take()
		wantStatuses(t, got, "420", "420")
		want := "SIP/2.0 420 No Such Thing\r\n" +
			"Via: SIP/2.0/UDP 127.0.0.2:5070;rport;branch=z9hG4bK1\r\n" +
			"Via: SIP/2.0/UDP 127.0.0.3:5060;branch=z9hG4bKfirst\r\n" +
			"From: <sip:bob@example.com>;tag=fromtag\r\n" +
			"To: <sip:alice@example.com>;tag=totag\r\n" +
			"Call-ID: call-1\r\n" +
			"CSeq: 1 SUBSCRIBE\r\n" +
			"Record-Route: <sip:127.0.0.2:5070;lr>\r\n" +
			"Contact: <sip:127.0.0.1:5060>\r\n" +
			"Unsupported: foo, bar\r\n" +
			"Content-Type: text/plain\r\n" +
			"Content-Length: 7\r\n\r\nsorry\r\n"
		for i, s := range got {
			if s.text != want {
				t.Errorf("answer %d is\n%s\nwant\n%s", i, s.text, want)
			}
		}
	})
}

func TestAnswerFields(t *testing.T) {
	answered := func(t *testing.T, edits []string, change func(*sip.Message)) *sip.Message {
		var m *sip.Message
		u := handler(func(_ context.Context, tx *ServerTransaction) {
			r := sip.NewResponse(tx.Request, 200, "", "")
			change(r)
			_ = tx.Respond(r)
		})
		play(t, u, Options{}, func(t *testing.T, l *Layer, w *wire) {
			l.Receive(build(t, "SUBSCRIBE", "z9hG4bK1", edits...), udp, nil)
			m = w.take()[0].message(t)
		})
		return m
	}
	t.Run("UAS-06/tag-of-the-dialog-kept", func(t *testing.T) {
		m := answered(t, []string{"To: <sip:alice@example.com>", "To: <sip:alice@example.com>;tag=mine"}, func(*sip.Message) {})
		if got := m.To.Tag(); got != "mine" {
			t.Errorf("To tag is %q, want mine", got)
		}
	})
	t.Run("UAS-06/tag-added-when-forgotten", func(t *testing.T) {
		if got := answered(t, nil, func(*sip.Message) {}).To.Tag(); len(got) != 13 {
			t.Errorf("To tag is %q, want one of 13 letters", got)
		}
	})
	t.Run("one-line-reason", func(t *testing.T) {
		m := answered(t, nil, func(r *sip.Message) { r.Reason = "OK\r\nContact: <sip:mallory@example.com>" })
		if m.Reason != "OK" || m.Count(sip.HeaderContact) != 0 {
			t.Errorf("reason %q made a row", m.Reason)
		}
	})
	t.Run("other-record-route-kept", func(t *testing.T) {
		m := answered(t, nil, func(r *sip.Message) { r.Add(sip.HeaderRecordRoute, "<sip:other.example.com;lr>") })
		if got, _ := m.Header(sip.HeaderRecordRoute); got != "<sip:other.example.com;lr>" {
			t.Errorf("Record-Route is %q", got)
		}
	})
}

func TestTimerJ(t *testing.T) {
	t.Run("TRN-02/32s-on-UDP", func(t *testing.T) {
		u := &counting{}
		play(t, u, Options{}, func(t *testing.T, l *Layer, w *wire) {
			at(w, 100*time.Millisecond)
			l.Receive(build(t, "PUBLISH", "z9hG4bK1"), udp, nil)
			at(w, 32100*time.Millisecond-1)
			l.Receive(build(t, "PUBLISH", "z9hG4bK1"), udp, nil)
			wantStatuses(t, w.take(), "200@100ms", "200@32.099999999s")
			if u.n != 1 {
				t.Errorf("%d requests handled before Timer J, want 1", u.n)
			}
			at(w, 32100*time.Millisecond)
			l.Receive(build(t, "PUBLISH", "z9hG4bK1"), udp, nil)
			wantStatuses(t, w.take(), "200@32.1s")
			if u.n != 2 {
				t.Errorf("%d requests handled after Timer J, want 2", u.n)
			}
		})
	})
	t.Run("TRN-02/0-on-TCP", func(t *testing.T) {
		u := &counting{}
		play(t, u, Options{}, func(t *testing.T, l *Layer, w *wire) {
			for range 2 {
				l.Receive(build(t, "PUBLISH", "z9hG4bK1"), tcp, nil)
				wantStatuses(t, w.take(), "200")
			}
			if u.n != 2 {
				t.Errorf("%d requests handled, want 2", u.n)
			}
			if live, lingering := l.metrics.live.Load(), l.metrics.lingering.Load(); live != 0 || lingering != 0 {
				t.Errorf("%d live and %d lingering, want none", live, lingering)
			}
		})
	})
	t.Run("nothing-left", func(t *testing.T) {
		play(t, &counting{}, Options{}, func(t *testing.T, l *Layer, w *wire) {
			l.Receive(build(t, "PUBLISH", "z9hG4bK1"), udp, nil)
			at(w, 34*time.Second)
			synctest.Wait()
			if n := l.metrics.lingering.Load(); n != 0 {
				t.Errorf("%d linger, want none", n)
			}
			for i := range l.merges {
				if n := len(l.merges[i].seen); n != 0 {
					t.Errorf("%d merge keys left", n)
				}
			}
			if armed := l.clock.armed.Load(); armed != never {
				t.Errorf("the driver would wake at %v, want never", time.Duration(armed))
			}
		})
	})
	t.Run("oldest-forgotten-when-too-many", func(t *testing.T) {
		u := &counting{}
		play(t, u, Options{MaxLingering: 1}, func(t *testing.T, l *Layer, w *wire) {
			for i := range 4 * shards {
				n := string(rune('0'+i/10%10)) + string(rune('0'+i%10)) + string(rune('a'+i/100))
				l.Receive(build(t, "PUBLISH", "z9hG4bK"+n, "call-1", "call-"+n), udp, nil)
				synctest.Wait()
			}
			if n := l.metrics.lingering.Load(); n > shards {
				t.Errorf("%d linger, want no more than %d", n, shards)
			}
			l.Receive(build(t, "PUBLISH", "z9hG4bK27b", "call-1", "call-27b"), udp, nil)
			synctest.Wait()
			if u.n != 4*shards {
				t.Errorf("%d requests handled, want %d: the newest is forgotten", u.n, 4*shards)
			}
		})
	})
}

// Answers that hold much of their requests do not hold more memory than as many
// ordinary ones.
func TestLargeAnswersLinger(t *testing.T) {
	large := handler(func(_ context.Context, tx *ServerTransaction) {
		r := sip.NewResponse(tx.Request, 420, "", "totag")
		r.Add(sip.HeaderUnsupported, strings.Repeat("x", 50_000))
		_ = tx.Respond(r)
	})
	const each = 200 // records a shard
	play(t, large, Options{MaxLingering: each * shards}, func(t *testing.T, l *Layer, w *wire) {
		for i := range 10 * shards {
			n := strconv.Itoa(i)
			l.Receive(build(t, "OPTIONS", "z9hG4bK"+n, "call-1", "call-"+n), udp, nil)
			synctest.Wait()
		}
		held := func() (bytes, answers int) {
			for i := range l.servers {
				s := &l.servers[i]
				s.mu.Lock()
				bytes, answers = bytes+s.lingering.held, answers+s.lingering.len()
				s.mu.Unlock()
			}
			return bytes, answers
		}
		if bytes, _ := held(); bytes == 0 || bytes > each*shards*usualRecord {
			t.Errorf("%d bytes linger, want no more than %d", bytes, each*shards*usualRecord)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if bytes, answers := held(); bytes != 0 || answers != 0 {
			t.Errorf("%d bytes of %d answers are left after Timer J", bytes, answers)
		}
	})
}

func TestSecondFinalDiscarded(t *testing.T) {
	for _, flow := range []transport.Flow{udp, tcp} {
		t.Run("TRN-02/"+flow.Protocol.String(), func(t *testing.T) {
			var second error
			u := handler(func(_ context.Context, tx *ServerTransaction) {
				_ = tx.Respond(sip.NewResponse(tx.Request, 200, "", "a"))
				second = tx.Respond(sip.NewResponse(tx.Request, 403, "", "b"))
			})
			play(t, u, Options{}, func(t *testing.T, l *Layer, w *wire) {
				l.Receive(build(t, "OPTIONS", "z9hG4bK1"), flow, nil)
				wantStatuses(t, w.take(), "200")
				if !errors.Is(second, ErrAnswered) {
					t.Errorf("second response gives %v, want ErrAnswered", second)
				}
			})
		})
	}
}

func TestOnly100IsProvisional(t *testing.T) {
	u := newSilent()
	play(t, u, Options{}, func(t *testing.T, l *Layer, w *wire) {
		l.Receive(build(t, "SUBSCRIBE", "z9hG4bK1"), udp, nil)
		l.Receive(build(t, "SUBSCRIBE", "z9hG4bK2", "call-1", "call-2"), tcp, nil)
		for _, tx := range u.all() {
			for _, status := range []int{101, 180, 183, 199, 0, 700} {
				if err := tx.Respond(sip.NewResponse(tx.Request, status, "", "")); !errors.Is(err, ErrStatus) {
					t.Errorf("TRN-08: %d over %v gives %v, want ErrStatus", status, tx.Flow.Protocol, err)
				}
			}
		}
		wantStatuses(t, w.take())
	})
}

func TestSlowRequestGets100(t *testing.T) {
	t.Run("TRN-09/UDP-at-3.5s", func(t *testing.T) {
		u := newSilent()
		play(t, u, Options{}, func(t *testing.T, l *Layer, w *wire) {
			request := func() *sip.Message {
				return build(t, "SUBSCRIBE", "z9hG4bK1", "Max-Forwards: 69", "Timestamp: 54")
			}
			l.Receive(request(), udp, nil)
			tx := u.all()[0]
			if err := tx.Respond(sip.NewResponse(tx.Request, 100, "", "")); err != nil {
				t.Errorf("Respond 100: %v", err)
			}
			at(w, 3*time.Second)
			l.Receive(request(), udp, nil)
			at(w, 5*time.Second)
			got := w.take()
			wantStatuses(t, got, "100@3.5s")
			m := got[0].message(t)
			if tag := m.To.Tag(); tag != "" {
				t.Errorf("the 100 has To tag %q, want none", tag)
			}
			if stamp, _ := m.Header(sip.HeaderTimestamp); stamp != "54" {
				t.Errorf("the 100 has Timestamp %q, want 54 (RFC 3261 §8.2.6.1)", stamp)
			}
			l.Receive(request(), udp, nil)
			wantStatuses(t, w.take(), "100@5s")
			if err := tx.Respond(sip.NewResponse(tx.Request, 200, "", "a")); err != nil {
				t.Errorf("Respond: %v", err)
			}
			l.Receive(request(), udp, nil)
			wantStatuses(t, w.take(), "200@5s", "200@5s")
		})
	})
	t.Run("TRN-09/TCP-at-3.5s", func(t *testing.T) {
		play(t, newSilent(), Options{}, func(t *testing.T, l *Layer, w *wire) {
			l.Receive(build(t, "SUBSCRIBE", "z9hG4bK1"), tcp, nil)
			at(w, 20*time.Second)
			wantStatuses(t, w.take(), "100@3.5s")
		})
	})
	t.Run("TRN-09/TCP-earlier-when-asked", func(t *testing.T) {
		u := newSilent()
		play(t, u, Options{}, func(t *testing.T, l *Layer, w *wire) {
			l.Receive(build(t, "SUBSCRIBE", "z9hG4bK1"), tcp, nil)
			tx := u.all()[0]
			_ = tx.Respond(sip.NewResponse(tx.Request, 100, "", ""))
			at(w, 20*time.Second)
			wantStatuses(t, w.take(), "100@0s")
		})
	})
	t.Run("TRN-09/each-at-its-own-time", func(t *testing.T) {
		play(t, newSilent(), Options{}, func(t *testing.T, l *Layer, w *wire) {
			l.Receive(build(t, "SUBSCRIBE", "z9hG4bK1"), udp, nil)
			at(w, time.Second)
			l.Receive(build(t, "SUBSCRIBE", "z9hG4bK2", "call-1", "call-2"), udp, nil)
			at(w, 10*time.Second)
			wantStatuses(t, w.take(), "100@3.5s", "100@4.5s")
		})
	})
}

func TestNoLateAnswer(t *testing.T) {
	for _, flow := range []transport.Flow{udp, tcp} {
		t.Run("TRN-10/nothing-after-32s/"+flow.Protocol.String(), func(t *testing.T) {
			u := newSilent()
			play(t, u, Options{}, func(t *testing.T, l *Layer, w *wire) {
				l.Receive(build(t, "PUBLISH", "z9hG4bK1"), flow, nil)
				at(w, 32*time.Second)
				tx := u.all()[0]
				if err := tx.Respond(sip.NewResponse(tx.Request, 200, "", "a")); !errors.Is(err, ErrLate) {
					t.Errorf("Respond after 32 s gives %v, want ErrLate", err)
				}
				wantStatuses(t, w.take(), "100@3.5s")
			})
		})
		t.Run("TRN-10/just-in-time/"+flow.Protocol.String(), func(t *testing.T) {
			u := newSilent()
			play(t, u, Options{}, func(t *testing.T, l *Layer, w *wire) {
				l.Receive(build(t, "PUBLISH", "z9hG4bK1"), flow, nil)
				at(w, 32*time.Second-1)
				tx := u.all()[0]
				if err := tx.Respond(sip.NewResponse(tx.Request, 200, "", "a")); err != nil {
					t.Errorf("Respond before 32 s: %v", err)
				}
				wantStatuses(t, w.take(), "100@3.5s", "200@31.999999999s")
			})
		})
	}
	t.Run("TRN-10/not-handled-when-its-turn-comes-too-late", func(t *testing.T) {
		u := newSilent()
		play(t, u, Options{}, func(t *testing.T, l *Layer, w *wire) {
			l.Receive(build(t, "PUBLISH", "z9hG4bK1"), udp, nil)
			l.Receive(build(t, "PUBLISH", "z9hG4bK2", "CSeq: 1", "CSeq: 2"), udp, nil)
			at(w, 40*time.Second)
			u.release <- struct{}{}
			if got := len(u.all()); got != 1 {
				t.Errorf("%d requests handled, want the first only", got)
			}
			wantStatuses(t, w.take(), "100@3.5s", "100@3.5s")
			if n := l.inProgress.Load(); n != 0 {
				t.Errorf("%d requests in progress, want none", n)
			}
		})
	})
	t.Run("TRN-10/never-408", func(t *testing.T) {
		u := newSilent()
		play(t, u, Options{}, func(t *testing.T, l *Layer, w *wire) {
			l.Receive(build(t, "PUBLISH", "z9hG4bK1"), udp, nil)
			tx := u.all()[0]
			if err := tx.Respond(sip.NewResponse(tx.Request, 408, "", "a")); !errors.Is(err, ErrStatus) {
				t.Errorf("Respond 408 gives %v, want ErrStatus", err)
			}
			wantStatuses(t, w.take())
		})
	})
}

func TestMergedRequest(t *testing.T) {
	t.Run("TRN-14/482", func(t *testing.T) {
		u := &counting{}
		play(t, u, Options{}, func(t *testing.T, l *Layer, w *wire) {
			l.Receive(build(t, "SUBSCRIBE", "z9hG4bK1"), udp, nil)
			synctest.Wait()
			for range 2 {
				l.Receive(build(t, "SUBSCRIBE", "z9hG4bK2"), udp, nil)
			}
			at(w, 33*time.Second-1)
			got := w.take()
			wantStatuses(t, got, "200", "482", "482")
			if got[1].text != got[2].text {
				t.Errorf("the 482 was repeated as\n%s\nand was\n%s", got[2].text, got[1].text)
			}
			if got[1].message(t).To.Tag() == "" {
				t.Error("the 482 has no To tag")
			}
			if u.n != 1 {
				t.Errorf("%d requests handled, want 1", u.n)
			}
		})
	})
	for name, edits := range map[string][]string{
		"TRN-14/other-cseq":     {"CSeq: 1", "CSeq: 2"},
		"TRN-14/other-call":     {"call-1", "call-2"},
		"TRN-14/other-from-tag": {"fromtag", "othertag"},
		"TRN-14/in-dialog":      {"To: <sip:alice@example.com>", "To: <sip:alice@example.com>;tag=x"},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, &counting{}, Options{}, func(t *testing.T, l *Layer, w *wire) {
				l.Receive(build(t, "SUBSCRIBE", "z9hG4bK1"), udp, nil)
				synctest.Wait()
				l.Receive(build(t, "SUBSCRIBE", "z9hG4bK2", edits...), udp, nil)
				wantStatuses(t, w.take(), "200", "200")
			})
		})
	}
	t.Run("TRN-14/not-after-a-challenge", func(t *testing.T) {
		u := handler(func(_ context.Context, tx *ServerTransaction) {
			_ = tx.Stateless(sip.NewResponse(tx.Request, 401, "", ""))
		})
		play(t, u, Options{}, func(t *testing.T, l *Layer, w *wire) {
			l.Receive(build(t, "SUBSCRIBE", "z9hG4bK1"), udp, nil)
			synctest.Wait()
			l.Receive(build(t, "SUBSCRIBE", "z9hG4bK2"), udp, nil)
			wantStatuses(t, w.take(), "401", "401")
		})
	})
}

func TestStatelessAnswer(t *testing.T) {
	requests := 0
	u := handler(func(_ context.Context, tx *ServerTransaction) {
		requests++
		r := sip.NewResponse(tx.Request, 401, "", sip.NewTag())
		r.Add(sip.HeaderWWWAuthenticate, `Digest realm="example.com"`)
		if err := tx.Stateless(r); err != nil {
			t.Errorf("Stateless: %v", err)
		}
		if err := tx.Respond(sip.NewResponse(tx.Request, 200, "", "")); !errors.Is(err, ErrAnswered) {
			t.Errorf("Respond after Stateless gives %v, want ErrAnswered", err)
		}
	})
	t.Run("TRN-15/repeats-are-identical", func(t *testing.T) {
		play(t, u, Options{}, func(t *testing.T, l *Layer, w *wire) {
			for range 2 {
				l.Receive(build(t, "SUBSCRIBE", "z9hG4bK1"), udp, nil)
				synctest.Wait()
			}
			l.Receive(build(t, "SUBSCRIBE", "z9hG4bK2", "CSeq: 1", "CSeq: 2"), udp, nil)
			at(w, 40*time.Second)
			got := w.take()
			wantStatuses(t, got, "401", "401", "401")
			if got[0].text != got[1].text {
				t.Errorf("repeated as\n%s\nand was\n%s", got[1].text, got[0].text)
			}
			first, other := got[0].message(t), got[2].message(t)
			if first.To.Tag() == "" || first.To.Tag() == other.To.Tag() {
				t.Errorf("To tags of different requests are %q and %q", first.To.Tag(), other.To.Tag())
			}
			if row, _ := first.Header(sip.HeaderWWWAuthenticate); row != `Digest realm="example.com"` {
				t.Errorf("challenge is %q", row)
			}
			if requests != 3 {
				t.Errorf("%d requests handled, want 3", requests)
			}
		})
	})
	t.Run("TRN-15/nothing-kept", func(t *testing.T) {
		play(t, u, Options{}, func(t *testing.T, l *Layer, w *wire) {
			l.Receive(build(t, "SUBSCRIBE", "z9hG4bK1"), udp, nil)
			wantStatuses(t, w.take(), "401")
			if live, lingering := l.metrics.live.Load(), l.metrics.lingering.Load(); live != 0 || lingering != 0 {
				t.Errorf("%d live and %d lingering, want none", live, lingering)
			}
		})
	})
	t.Run("ignored", func(t *testing.T) {
		n := 0
		u := handler(func(_ context.Context, tx *ServerTransaction) { n++; tx.Ignore() })
		play(t, u, Options{}, func(t *testing.T, l *Layer, w *wire) {
			for range 2 {
				l.Receive(build(t, "SUBSCRIBE", "z9hG4bK1"), udp, nil)
				synctest.Wait()
			}
			at(w, 40*time.Second)
			wantStatuses(t, w.take())
			if n != 2 {
				t.Errorf("%d requests handled, want 2", n)
			}
		})
	})
}

func TestMalformed(t *testing.T) {
	receive := func(t *testing.T, l *Layer, text string) {
		t.Helper()
		_, err := sip.Parse([]byte(text))
		var bad *sip.ParseError
		if !errors.As(err, &bad) {
			t.Fatalf("parsed with %v, want a ParseError", err)
		}
		l.Receive(bad.Message, udp, err)
	}
	good := string(build(t, "SUBSCRIBE", "z9hG4bK1").Bytes())
	play(t, &counting{}, Options{}, func(t *testing.T, l *Layer, w *wire) {
		bad := strings.Replace(good, "CSeq: 1", "CSeq: 4294967296", 1)
		for range 2 {
			receive(t, l, bad)
		}
		got := w.take()
		wantStatuses(t, got, "400", "400")
		if !strings.Contains(got[0].text, "400 CSeq number exceeds 2^32-1\r\n") || got[0].text != got[1].text {
			t.Errorf("answered\n%s\nthen\n%s", got[0].text, got[1].text)
		}
		receive(t, l, strings.Replace(good, "SIP/2.0\r\nVia", "SIP/7.0\r\nVia", 1))
		wantStatuses(t, w.take(), "505")
		receive(t, l, strings.Replace(strings.Replace(good, "CSeq: 1 SUBSCRIBE", "CSeq: x ACK", 1), "SUBSCRIBE", "ACK", 1))
		receive(t, l, strings.Replace(good, "Call-ID: call-1\r\n", "", 1))
		receive(t, l, "nonsense")
		l.Receive(nil, udp, errors.New("other"))
		wantStatuses(t, w.take())
		if n := l.metrics.malformedDropped.Load(); n != 4 {
			t.Errorf("%d malformed messages dropped, want 4", n)
		}
	})
}

// SEC-02: what only this layer sees is not answered without end to sources that
// anybody may have forged.
func TestAnswersToSourcesAreLimited(t *testing.T) {
	left := 0
	allow := func(f transport.Flow) bool {
		left--
		return f == udp && left >= 0
	}
	bad := strings.Replace(string(build(t, "SUBSCRIBE", "z9hG4bK1").Bytes()), "CSeq: 1", "CSeq: 4294967296", 1)
	play(t, &counting{}, Options{Allow: allow}, func(t *testing.T, l *Layer, w *wire) {
		malformed := func(flow transport.Flow) {
			m, err := sip.Parse([]byte(bad))
			l.Receive(m, flow, err)
		}
		left = 3
		for range 5 {
			malformed(udp)
		}
		wantStatuses(t, w.take(), "400", "400", "400")
		malformed(tcp) // whose source is true
		wantStatuses(t, w.take(), "400")
		left = 1
		for i := range 3 {
			l.Receive(build(t, "CANCEL", "z9hG4bKc"+strconv.Itoa(i)), udp, nil)
		}
		wantStatuses(t, w.take(), "481")
		l.Receive(build(t, "SUBSCRIBE", "z9hG4bK2"), udp, nil)
		wantStatuses(t, w.take(), "200")
		l.Receive(build(t, "CANCEL", "z9hG4bK2"), udp, nil)
		wantStatuses(t, w.take(), "200")
	})
}

func TestFailedHandler(t *testing.T) {
	for name, h := range map[string]handler{
		"panics":     func(context.Context, *ServerTransaction) { panic("impossible") },
		"unanswered": func(context.Context, *ServerTransaction) {},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, h, Options{}, func(t *testing.T, l *Layer, w *wire) {
				for range 2 {
					l.Receive(build(t, "SUBSCRIBE", "z9hG4bK1"), udp, nil)
					wantStatuses(t, w.take(), "500")
				}
			})
		})
	}
}
