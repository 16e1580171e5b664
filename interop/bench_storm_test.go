package interop

import (
	"bytes"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
)

// BenchmarkStorm is what a whole company does when its network comes back: 2,000
// people publish and 10,000 subscriptions begin, all at once and in any order.
// It ends when every watcher has the state that was published, or was asked to
// come back later (503 with Retry-After). An operation is one request.
func BenchmarkStorm(b *testing.B) {
	const presentities, each = 2000, 5
	var took time.Duration
	var used cost
	storms := 0
	for b.Loop() {
		b.StopTimer()
		c := newLoad(b, setup{})
		s := c.storm(presentities, each)
		before, began := c.server.cost(), time.Now()
		b.StartTimer()
		s.rage()
		took += time.Since(began)
		after := c.server.cost().less(before)
		used = used.less(after.times(-1))
		storms++
		s.admit(b)
	}
	used.report(b, storms*presentities*(1+each))
	b.ReportMetric(took.Seconds()/float64(storms), "s/storm")
}

// storm is requests that are sent at once, and what is still to come for them.
type storm struct {
	c        *load
	requests [][]byte // by call
	open     map[int]bool
	watching map[int]int // the watch that a call is to begin
	waiting  map[int]bool
	silent   map[int]bool // presentities whose PUBLISH was refused
	refused  int
	resent   int
}

const stormNote = "back again"

func (c *load) storm(presentities, each int) *storm {
	s := &storm{c: c, open: map[int]bool{}, watching: map[int]int{}, waiting: map[int]bool{}, silent: map[int]bool{}}
	for user := range presentities {
		s.add(c.publish(user, "", pidf("u"+strconv.Itoa(user), "open", stormNote, "")))
		for range each {
			number := len(c.watches)
			c.watches = append(c.watches, watch{presentity: user})
			s.watching[len(s.requests)] = number
			s.waiting[number] = true
			s.add(c.subscribes(number, 3600))
		}
	}
	c.heard = func(number int, m []byte, _ time.Time) {
		if bytes.Contains(m, []byte(stormNote)) || s.silent[c.watches[number].presentity] {
			delete(s.waiting, number)
		}
	}
	return s
}

func (s *storm) add(request []byte) {
	call := len(s.requests)
	s.requests = append(s.requests, branded(request, call))
	s.open[call] = true
}

// rage sends everything and repeats what is not answered, after 0.5, 1, 2 and
// every further 4 seconds (RFC 3261 §17.1.2.2).
func (s *storm) rage() {
	sent := make(chan error)
	go func() { sent <- s.sendAll() }()
	interval, next := 500*time.Millisecond, time.Now().Add(500*time.Millisecond)
	for deadline := time.Now().Add(32 * time.Second); len(s.open) > 0 || len(s.waiting) > 0; {
		s.c.hears(100 * time.Millisecond)
		s.collect()
		if now := time.Now(); now.After(next) {
			s.repeat()
			interval = min(2*interval, 4*time.Second)
			next = now.Add(interval)
		}
		if time.Now().After(deadline) {
			s.c.t.Fatalf("after the storm %d requests have no answer, %d watchers no state", len(s.open), len(s.waiting))
		}
	}
	if err := <-sent; err != nil {
		s.c.t.Fatal(err)
	}
}

func (s *storm) sendAll() error {
	order := rand.New(rand.NewPCG(1, 2)).Perm(len(s.requests))
	for len(order) > 0 {
		n := min(batch, len(order))
		out := make([]ipv4.Message, n)
		for i, call := range order[:n] {
			out[i].Buffers = [][]byte{s.requests[call]}
		}
		for len(out) > 0 {
			n, err := s.c.packets.WriteBatch(out, 0)
			if err != nil {
				return err
			}
			out = out[n:]
		}
		order = order[n:]
	}
	return nil
}

// collect takes the answers that have come.
func (s *storm) collect() {
	for call, m := range s.c.answered {
		delete(s.c.answered, call)
		if !s.open[call] {
			continue // to a repeated request
		}
		delete(s.open, call)
		switch {
		case bytes.HasPrefix(m, []byte("SIP/2.0 200 ")):
		case bytes.HasPrefix(m, []byte("SIP/2.0 503 ")) && len(line(m, "Retry-After: ")) > 0:
			s.refuse(call)
		default:
			s.c.t.Fatalf("answer in the storm:\n%s", m)
		}
	}
}

// refuse notes that a request may come back later. Without the PUBLISH any state is right.
func (s *storm) refuse(call int) {
	s.refused++
	if number, ok := s.watching[call]; ok {
		delete(s.waiting, number)
		return
	}
	user := leading(after(s.requests[call], "PUBLISH sip:u"))
	s.silent[user] = true
	for number := range s.waiting {
		if w := s.c.watches[number]; w.presentity == user && w.told > 0 {
			delete(s.waiting, number)
		}
	}
}

func (s *storm) repeat() {
	for call := range s.open {
		s.c.send(s.requests[call])
		s.resent++
	}
	s.c.flush()
}

func (s *storm) admit(b *testing.B) {
	if s.refused > 0 || s.resent > 0 {
		b.Logf("%d requests were asked to come later, %d were sent again", s.refused, s.resent)
	}
	s.c.admit(b)
}
