package transaction

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vigie/sip"
)

// slowly notes when each request begins and ends; each takes a second. The
// events may be read when the bubble is over.
type slowly struct {
	mu     sync.Mutex
	start  time.Time
	events []string
}

func (s *slowly) note(what string, tx *ServerTransaction) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, fmt.Sprintf("%v %s %d", time.Since(s.start), what, tx.Request.CSeq.Number))
}

func (s *slowly) handle(_ context.Context, tx *ServerTransaction) {
	s.note("begins", tx)
	time.Sleep(time.Second)
	_ = tx.Respond(sip.NewResponse(tx.Request, 200, "", "a"))
	s.note("ends", tx)
}

func TestOrderOfRequests(t *testing.T) {
	run := func(t *testing.T, requests func(t *testing.T) []*sip.Message) []string {
		s := &slowly{}
		play(t, handler(s.handle), Options{}, func(t *testing.T, l *Layer, w *wire) {
			s.start = time.Now()
			for _, m := range requests(t) {
				l.Receive(m, udp, nil)
			}
			at(w, 20*time.Second)
			synctest.Wait()
			for i := range l.lines {
				if n := len(l.lines[i].last); n != 0 {
					t.Errorf("%d lines left", n)
				}
			}
		})
		return s.events
	}
	sameCall := func(method string) func(t *testing.T) []*sip.Message {
		return func(t *testing.T) (all []*sip.Message) {
			for n := 1; n <= 3; n++ {
				cseq := strconv.Itoa(n)
				all = append(all, build(t, method, "z9hG4bK"+cseq, "CSeq: 1", "CSeq: "+cseq))
			}
			return all
		}
	}
	inTurn := []string{"0s begins 1", "1s ends 1", "1s begins 2", "2s ends 2", "2s begins 3", "3s ends 3"}

	t.Run("same-call-in-turn", func(t *testing.T) {
		if got := run(t, sameCall("SUBSCRIBE")); !slices.Equal(got, inTurn) {
			t.Errorf("got %v, want %v", got, inTurn)
		}
	})
	t.Run("PUB-18/same-PUBLISH-URI-in-turn", func(t *testing.T) {
		got := run(t, func(t *testing.T) (all []*sip.Message) {
			for n := 1; n <= 3; n++ {
				id := strconv.Itoa(n)
				all = append(all, build(t, "PUBLISH", "z9hG4bK"+id, "CSeq: 1", "CSeq: "+id, "call-1", "call-"+id))
			}
			return all
		})
		if !slices.Equal(got, inTurn) {
			t.Errorf("got %v, want %v", got, inTurn)
		}
	})
	t.Run("other-calls-in-parallel", func(t *testing.T) {
		got := run(t, func(t *testing.T) (all []*sip.Message) {
			for n := 1; n <= 3; n++ {
				id := strconv.Itoa(n)
				all = append(all, build(t, "SUBSCRIBE", "z9hG4bK"+id, "CSeq: 1", "CSeq: "+id, "call-1", "call-"+id))
			}
			return all
		})
		slices.Sort(got)
		want := []string{"0s begins 1", "0s begins 2", "0s begins 3", "1s ends 1", "1s ends 2", "1s ends 3"}
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
	t.Run("other-PUBLISH-URIs-in-parallel", func(t *testing.T) {
		got := run(t, func(t *testing.T) (all []*sip.Message) {
			for n, name := range []string{"alice", "bob", "carol"} {
				id := strconv.Itoa(n + 1)
				all = append(all, build(t, "PUBLISH", "z9hG4bK"+id, "CSeq: 1", "CSeq: "+id, "PUBLISH sip:alice", "PUBLISH sip:"+name))
			}
			return all
		})
		if len(got) != 6 || !strings.HasPrefix(got[5], "1s ends") {
			t.Errorf("got %v, want all to end after a second", got)
		}
	})
}

// Many lines at once keep their order, whatever the scheduler does.
func TestOrderUnderLoad(t *testing.T) {
	const calls, each = 50, 40
	var mu sync.Mutex
	seen := map[string][]uint32{}
	u := handler(func(_ context.Context, tx *ServerTransaction) {
		mu.Lock()
		seen[tx.Request.CallID] = append(seen[tx.Request.CallID], tx.Request.CSeq.Number)
		mu.Unlock()
		_ = tx.Respond(sip.NewResponse(tx.Request, 200, "", "a"))
	})
	play(t, u, Options{}, func(t *testing.T, l *Layer, w *wire) {
		for n := 1; n <= each; n++ {
			for c := range calls {
				l.Receive(build(t, "SUBSCRIBE", fmt.Sprintf("z9hG4bK%d-%d", c, n), "CSeq: 1", fmt.Sprintf("CSeq: %d", n),
					"call-1", fmt.Sprintf("call-%d", c)), udp, nil)
			}
		}
		if got := len(w.take()); got != calls*each {
			t.Errorf("%d answers, want %d", got, calls*each)
		}
	})
	for call, numbers := range seen {
		if len(numbers) != each || !slices.IsSorted(numbers) {
			t.Errorf("%s was handled in the order %v", call, numbers)
		}
	}
}

// Copies of the same requests that arrive on several sockets at the same
// moment are handled once (TRN-03), and none is answered by 482.
// The order holds, and everybody is answered, when the handling of some fails.
func TestOrderWhenHandlersFail(t *testing.T) {
	const lines, each = 20, 100
	var mu sync.Mutex
	last, running := map[string]int{}, map[string]bool{}
	u := handler(func(_ context.Context, tx *ServerTransaction) {
		call, n := tx.Request.CallID, int(tx.Request.CSeq.Number)
		mu.Lock()
		if running[call] || last[call] != n-1 {
			t.Errorf("%s: request %d after %d, another running: %t", call, n, last[call], running[call])
		}
		last[call], running[call] = n, true
		mu.Unlock()
		defer func() {
			mu.Lock()
			defer mu.Unlock()
			running[call] = false
		}()
		switch n % 4 {
		case 0:
			panic("impossible")
		case 1:
			_ = tx.Respond(sip.NewResponse(tx.Request, 200, "", "totag"))
			panic("impossible")
		case 2:
			tx.Ignore()
		default:
			_ = tx.Stateless(sip.NewResponse(tx.Request, 401, "", ""))
		}
	})
	play(t, u, Options{}, func(t *testing.T, l *Layer, w *wire) {
		for n := 1; n <= each; n++ {
			for line := range lines {
				call := fmt.Sprintf("call-%d", line+100)
				l.Receive(build(t, "SUBSCRIBE", fmt.Sprintf("z9hG4bK%d.%d", line, n), "call-1", call, "CSeq: 1", fmt.Sprintf("CSeq: %d", n)), udp, nil)
			}
		}
		count := map[string]int{}
		for _, s := range w.take() {
			count[s.status()]++
		}
		want := lines * each / 4
		if count["500"] != want || count["200"] != want || count["401"] != want || len(count) != 3 {
			t.Errorf("answers by status are %v, want %d each of 200, 401 and 500", count, want)
		}
		if n := l.inProgress.Load() + l.metrics.live.Load(); n != 0 {
			t.Errorf("%d requests are in progress still", n)
		}
	})
}

func TestConcurrentRepeats(t *testing.T) {
	const sockets, requests = 4, 200
	u := &counting{}
	var mu sync.Mutex
	play(t, handler(func(ctx context.Context, tx *ServerTransaction) {
		mu.Lock()
		defer mu.Unlock()
		u.Request(ctx, tx)
	}), Options{}, func(t *testing.T, l *Layer, w *wire) {
		var readers sync.WaitGroup
		for range sockets {
			readers.Go(func() {
				for n := range requests {
					id := strconv.Itoa(n)
					l.Receive(build(t, "SUBSCRIBE", "z9hG4bK"+id, "call-1", "call-"+id), udp, nil)
				}
			})
		}
		readers.Wait()
		for _, s := range w.take() {
			if s.status() != "200" {
				t.Errorf("answered %s, want 200", s.status())
			}
		}
		if u.n != requests {
			t.Errorf("%d requests handled, want %d", u.n, requests)
		}
	})
}

func TestOverload(t *testing.T) {
	u := newSilent()
	play(t, u, Options{MaxRequests: 2}, func(t *testing.T, l *Layer, w *wire) {
		request := func(n int) *sip.Message {
			id := strconv.Itoa(n)
			return build(t, "SUBSCRIBE", "z9hG4bK"+id, "call-1", "call-"+id)
		}
		for n := 1; n <= 2; n++ {
			l.Receive(request(n), udp, nil)
		}
		wantStatuses(t, w.take())
		seconds := map[string]bool{}
		for n := 3; n <= 40; n++ {
			l.Receive(request(n), udp, nil)
			l.Receive(request(n), udp, nil)
			got := w.take()
			wantStatuses(t, got, "503", "503")
			if got[0].text != got[1].text {
				t.Errorf("SCL-04: repeated as\n%s\nand was\n%s", got[1].text, got[0].text)
			}
			value, _ := got[0].message(t).Header(sip.HeaderRetryAfter)
			if s, err := strconv.Atoi(value); err != nil || s < 5 || s > 30 {
				t.Errorf("SCL-04: Retry-After is %q, want 5 to 30", value)
			}
			seconds[value] = true
		}
		if len(seconds) < 5 {
			t.Errorf("SCL-04: Retry-After is one of %d values only", len(seconds))
		}
		l.Receive(request(1), udp, nil)
		wantStatuses(t, w.take())
		pending := u.all()
		if len(pending) != 2 {
			t.Fatalf("SCL-04: %d requests in progress, want 2", len(pending))
		}
		for _, tx := range pending {
			_ = tx.Respond(sip.NewResponse(tx.Request, 200, "", "a"))
		}
		l.Receive(request(1), udp, nil)
		wantStatuses(t, w.take(), "200", "200", "200")
	})
}

func TestClose(t *testing.T) {
	t.Run("waits-for-requests", func(t *testing.T) {
		s := &slowly{}
		play(t, handler(s.handle), Options{}, func(t *testing.T, l *Layer, w *wire) {
			s.start = time.Now()
			l.Receive(build(t, "SUBSCRIBE", "z9hG4bK1"), udp, nil)
			l.Receive(build(t, "SUBSCRIBE", "z9hG4bK2", "CSeq: 1", "CSeq: 2"), udp, nil)
			l.Close()
			if took := time.Since(w.start); took != 2*time.Second {
				t.Errorf("Close took %v, want 2s", took)
			}
			wantStatuses(t, w.take(), "200@1s", "200@2s")
		})
	})
	t.Run("refuses-new-requests", func(t *testing.T) {
		s := &slowly{}
		play(t, handler(s.handle), Options{}, func(t *testing.T, l *Layer, w *wire) {
			s.start = time.Now()
			l.Receive(build(t, "SUBSCRIBE", "z9hG4bK1"), udp, nil)
			time.AfterFunc(time.Second/2, func() {
				l.Receive(build(t, "SUBSCRIBE", "z9hG4bK2", "CSeq: 1", "CSeq: 2"), udp, nil)
			})
			l.Close()
			wantStatuses(t, w.take(), "503@500ms", "200@1s")
			l.Receive(build(t, "SUBSCRIBE", "z9hG4bK3", "CSeq: 1", "CSeq: 3"), udp, nil)
			wantStatuses(t, w.take())
		})
	})
	t.Run("ends-the-context-after-the-grace", func(t *testing.T) {
		u := handler(func(ctx context.Context, tx *ServerTransaction) {
			<-ctx.Done()
			_ = tx.Respond(sip.NewResponse(tx.Request, 500, "", "a"))
		})
		play(t, u, Options{Grace: 3 * time.Second}, func(t *testing.T, l *Layer, w *wire) {
			l.Receive(build(t, "SUBSCRIBE", "z9hG4bK1"), udp, nil)
			l.Close()
			wantStatuses(t, w.take(), "500@3s")
		})
	})
	t.Run("does-not-wait-for-ever", func(t *testing.T) {
		play(t, newSilent(), Options{Grace: 3 * time.Second}, func(t *testing.T, l *Layer, w *wire) {
			l.Receive(build(t, "SUBSCRIBE", "z9hG4bK1"), udp, nil)
			l.Close()
			if took := time.Since(w.start); took != 6*time.Second {
				t.Errorf("Close took %v, want 6s", took)
			}
		})
	})
}
