package transaction

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"vigie/sip"
	"vigie/sip/transport"
)

// refusing answers 405 to everything.
var refusing = handler(func(_ context.Context, tx *ServerTransaction) {
	r := sip.NewResponse(tx.Request, 405, "", "totag")
	r.Add(sip.HeaderAllow, "SUBSCRIBE, PUBLISH")
	_ = tx.Respond(r)
})

func ack(t *testing.T, edits ...string) *sip.Message {
	return build(t, "ACK", "z9hG4bK1", append(edits, "To: <sip:alice@example.com>", "To: <sip:alice@example.com>;tag=totag")...)
}

func TestRefusedInvite(t *testing.T) {
	t.Run("TRN-13/timers-G-and-H", func(t *testing.T) {
		play(t, refusing, Options{}, func(t *testing.T, l *Layer, w *wire) {
			l.Receive(build(t, "INVITE", "z9hG4bK1"), udp, nil)
			at(w, 60*time.Second)
			got := w.take()
			wantStatuses(t, got, "405@0s", "405@500ms", "405@1.5s", "405@3.5s", "405@7.5s", "405@11.5s", "405@15.5s",
				"405@19.5s", "405@23.5s", "405@27.5s", "405@31.5s")
			for _, s := range got {
				if s.text != got[0].text {
					t.Errorf("repeated as\n%s\nand was\n%s", s.text, got[0].text)
				}
			}
			if allow, _ := got[0].message(t).Header(sip.HeaderAllow); allow != "SUBSCRIBE, PUBLISH" {
				t.Errorf("Allow is %q", allow)
			}
			if live, refused := l.metrics.live.Load(), l.invites.Load(); live != 0 || refused != 0 {
				t.Errorf("%d live, %d refused INVITEs left, want none", live, refused)
			}
		})
	})
	t.Run("TRN-13/ACK-ends-repetition-and-is-absorbed", func(t *testing.T) {
		play(t, refusing, Options{}, func(t *testing.T, l *Layer, w *wire) {
			l.Receive(build(t, "INVITE", "z9hG4bK1"), udp, nil)
			at(w, time.Second)
			l.Receive(ack(t), udp, nil)
			l.Receive(ack(t), udp, nil)
			at(w, 2*time.Second)
			l.Receive(build(t, "INVITE", "z9hG4bK1"), udp, nil) // late repeat: absorbed in Confirmed
			wantStatuses(t, w.take(), "405@0s", "405@500ms")
			at(w, 6*time.Second-1)
			if live := l.metrics.live.Load(); live != 1 {
				t.Errorf("%d transactions before Timer I, want 1", live)
			}
			at(w, 6*time.Second)
			synctest.Wait()
			if live := l.metrics.live.Load(); live != 0 {
				t.Errorf("%d transactions after Timer I, want none", live)
			}
			at(w, 60*time.Second)
			wantStatuses(t, w.take())
		})
	})
	t.Run("TRN-13/repeated-INVITE-gets-the-refusal", func(t *testing.T) {
		play(t, refusing, Options{}, func(t *testing.T, l *Layer, w *wire) {
			l.Receive(build(t, "INVITE", "z9hG4bK1"), udp, nil)
			at(w, 100*time.Millisecond)
			l.Receive(build(t, "INVITE", "z9hG4bK1"), udp, nil)
			wantStatuses(t, w.take(), "405@0s", "405@100ms")
		})
	})
	t.Run("TRN-13/TCP-not-repeated", func(t *testing.T) {
		play(t, refusing, Options{}, func(t *testing.T, l *Layer, w *wire) {
			l.Receive(build(t, "INVITE", "z9hG4bK1"), tcp, nil)
			at(w, 10*time.Second)
			l.Receive(ack(t), tcp, nil)
			if live := l.metrics.live.Load(); live != 0 {
				t.Errorf("%d transactions after the ACK, want none: Timer I is 0", live)
			}
			at(w, 60*time.Second)
			wantStatuses(t, w.take(), "405")
		})
	})
	t.Run("TRN-13/TCP-timer-H", func(t *testing.T) {
		play(t, refusing, Options{}, func(t *testing.T, l *Layer, w *wire) {
			l.Receive(build(t, "INVITE", "z9hG4bK1"), tcp, nil)
			at(w, 32*time.Second)
			synctest.Wait()
			if live := l.metrics.live.Load(); live != 0 {
				t.Errorf("%d transactions after Timer H, want none", live)
			}
		})
	})
	t.Run("TRN-13/stray-ACK-ignored", func(t *testing.T) {
		play(t, refusing, Options{}, func(t *testing.T, l *Layer, w *wire) {
			l.Receive(ack(t), udp, nil)
			l.Receive(build(t, "OPTIONS", "z9hG4bK1"), udp, nil)
			synctest.Wait()
			l.Receive(ack(t), udp, nil)
			wantStatuses(t, w.take(), "405")
			if n := l.metrics.strayACKs.Load(); n != 2 {
				t.Errorf("%d stray ACKs, want 2", n)
			}
		})
	})
	t.Run("TRN-13/no-cookie-ACK", func(t *testing.T) {
		play(t, refusing, Options{}, func(t *testing.T, l *Layer, w *wire) {
			l.Receive(build(t, "INVITE", "z9hG4bK1", ";branch=z9hG4bK1", ""), udp, nil)
			synctest.Wait()
			l.Receive(build(t, "ACK", "z9hG4bK1", ";branch=z9hG4bK1", "", "To: <sip:alice@example.com>", "To: <sip:alice@example.com>;tag=foreign"), udp, nil)
			at(w, time.Second)
			l.Receive(ack(t, ";branch=z9hG4bK1", ""), udp, nil)
			at(w, 60*time.Second)
			wantStatuses(t, w.take(), "405@0s", "405@500ms")
		})
	})
	t.Run("TRN-13/100-when-slow", func(t *testing.T) {
		u := newSilent()
		play(t, u, Options{}, func(t *testing.T, l *Layer, w *wire) {
			l.Receive(build(t, "INVITE", "z9hG4bK1"), udp, nil)
			at(w, time.Second)
			l.Receive(build(t, "INVITE", "z9hG4bK1"), udp, nil)
			wantStatuses(t, w.take(), "100@200ms", "100@1s")
			tx := u.all()[0]
			for _, status := range []int{180, 200} {
				if err := tx.Respond(sip.NewResponse(tx.Request, status, "", "a")); !errors.Is(err, ErrStatus) {
					t.Errorf("Respond %d gives %v, want ErrStatus", status, err)
				}
			}
			at(w, 32*time.Second)
			synctest.Wait()
			if err := tx.Respond(sip.NewResponse(tx.Request, 405, "", "a")); !errors.Is(err, ErrLate) {
				t.Errorf("Respond after 32 s gives %v, want ErrLate", err)
			}
		})
	})
	t.Run("too-many-are-not-repeated", func(t *testing.T) {
		play(t, refusing, Options{MaxInvites: 1}, func(t *testing.T, l *Layer, w *wire) {
			l.Receive(build(t, "INVITE", "z9hG4bK1"), udp, nil)
			l.Receive(build(t, "INVITE", "z9hG4bK2", "call-1", "call-2"), udp, nil)
			at(w, 600*time.Millisecond)
			wantStatuses(t, w.take(), "405@0s", "405@0s", "405@500ms")
		})
	})
}

func TestCancel(t *testing.T) {
	for _, method := range []string{"SUBSCRIBE", "NOTIFY", "PUBLISH", "REGISTER", "MESSAGE"} {
		t.Run("TRN-12/"+method+"-unanswered", func(t *testing.T) {
			u := newSilent()
			play(t, u, Options{}, func(t *testing.T, l *Layer, w *wire) {
				l.Receive(build(t, method, "z9hG4bK1"), udp, nil)
				synctest.Wait()
				l.Receive(build(t, "CANCEL", "z9hG4bK1"), udp, nil)
				wantStatuses(t, w.take(), "200")
				tx := u.all()[0]
				if err := tx.Respond(sip.NewResponse(tx.Request, 200, "", "a")); err != nil {
					t.Errorf("Respond after CANCEL: %v, want no effect", err)
				}
				got := w.take()
				wantStatuses(t, got, "200")
				if m := got[0].message(t); m.CSeq.Method != method {
					t.Errorf("the 200 is for %s, want %s", m.CSeq.Method, method)
				}
			})
		})
		t.Run("TRN-12/"+method+"-answered", func(t *testing.T) {
			u := &counting{}
			play(t, u, Options{}, func(t *testing.T, l *Layer, w *wire) {
				l.Receive(build(t, method, "z9hG4bK1"), udp, nil)
				synctest.Wait()
				for range 2 {
					l.Receive(build(t, "CANCEL", "z9hG4bK1"), udp, nil)
				}
				got := w.take()
				wantStatuses(t, got, "200", "200", "200")
				m := got[1].message(t)
				if m.CSeq.Method != "CANCEL" || m.To.Tag() != "totag" {
					t.Errorf("CANCEL is answered for %s with tag %q, want CANCEL and the transaction's tag", m.CSeq.Method, m.To.Tag())
				}
				if got[1].text != got[2].text {
					t.Error("a repeated CANCEL gets another answer")
				}
				if u.n != 1 {
					t.Errorf("%d requests handled, want 1", u.n)
				}
			})
		})
	}
	t.Run("TRN-12/no-match-481", func(t *testing.T) {
		u := &counting{}
		play(t, u, Options{}, func(t *testing.T, l *Layer, w *wire) {
			l.Receive(build(t, "SUBSCRIBE", "z9hG4bK1"), udp, nil)
			synctest.Wait()
			l.Receive(build(t, "CANCEL", "z9hG4bK2"), udp, nil)
			at(w, 32*time.Second)
			l.Receive(build(t, "CANCEL", "z9hG4bK1"), udp, nil)
			got := w.take()
			wantStatuses(t, got, "200", "481@0s", "481@32s")
			if got[1].message(t).To.Tag() == "" {
				t.Error("the 481 has no To tag")
			}
			if u.n != 1 {
				t.Errorf("%d requests handled, want 1", u.n)
			}
		})
	})
	// RFC 3261 §9.2: an INVITE not answered yet ends with 487.
	t.Run("INVITE-487", func(t *testing.T) {
		u := newSilent()
		play(t, u, Options{}, func(t *testing.T, l *Layer, w *wire) {
			l.Receive(build(t, "INVITE", "z9hG4bK1"), udp, nil)
			synctest.Wait()
			l.Receive(build(t, "CANCEL", "z9hG4bK1"), udp, nil)
			at(w, 100*time.Millisecond)
			got := w.take()
			wantStatuses(t, got, "200", "487")
			if a, b := got[0].message(t), got[1].message(t); b.CSeq.Method != "INVITE" || a.CSeq.Method != "CANCEL" {
				t.Errorf("answers are for %s and %s", a.CSeq.Method, b.CSeq.Method)
			}
			tx := u.all()[0]
			if err := tx.Respond(sip.NewResponse(tx.Request, 405, "", "a")); !errors.Is(err, ErrAnswered) {
				t.Errorf("Respond after CANCEL gives %v, want ErrAnswered", err)
			}
		})
	})
	t.Run("INVITE-answered", func(t *testing.T) {
		play(t, refusing, Options{}, func(t *testing.T, l *Layer, w *wire) {
			l.Receive(build(t, "INVITE", "z9hG4bK1"), udp, nil)
			synctest.Wait()
			l.Receive(build(t, "CANCEL", "z9hG4bK1"), udp, nil)
			got := w.take()
			wantStatuses(t, got, "405", "200")
			if tag := got[1].message(t).To.Tag(); tag != "totag" {
				t.Errorf("CANCEL is answered with tag %q, want the INVITE's", tag)
			}
		})
	})
	t.Run("on-TCP-after-the-answer", func(t *testing.T) {
		play(t, &counting{}, Options{}, func(t *testing.T, l *Layer, w *wire) {
			l.Receive(build(t, "SUBSCRIBE", "z9hG4bK1"), tcp, nil)
			synctest.Wait()
			l.Receive(build(t, "CANCEL", "z9hG4bK1"), tcp, nil)
			wantStatuses(t, w.take(), "200", "481")
		})
	})
}

var _ transport.Handler = (*Layer)(nil)
var _ Transport = (*transport.Transport)(nil)
