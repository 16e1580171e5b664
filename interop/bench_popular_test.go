package interop

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"
)

// BenchmarkBesidePopular is how long others wait for a change of state while
// somebody with 10,000 watchers changes every second, and while nobody does:
// from the PUBLISH until the kernel has the NOTIFY (p50-ms, p99-ms), at 200
// changes a second. It measures once, whatever b.N.
func BenchmarkBesidePopular(b *testing.B) {
	const watchers, bystanders, long = 10_000, 200, 15 * time.Second
	s := start(b, setup{})
	popular, others := join(b, s), join(b, s)
	p := popular.crowd(1)
	popular.subscribe(p, watchers)
	others.presentities = 1
	c := newChanges(others, bystanders)
	b.Run("alone", func(b *testing.B) { c.measure(b, long) })
	b.Run(fmt.Sprintf("watchers=%d", watchers), func(b *testing.B) {
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			popular.changeEverySecond(p, watchers, stop)
		}()
		c.measure(b, long)
		close(stop)
		<-stopped
	})
}

func (c *load) changeEverySecond(p *crowd, watchers int, stop <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for body := changing(); ; {
		c.notified = 0
		c.publishEach(p, 0, 1, body)
		c.awaitNotifies(watchers)
		select {
		case <-tick.C:
		case <-stop:
			return
		}
	}
}

// changes go through a crowd, one after the other at a steady pace, whether or
// not the last has been told.
type changes struct {
	c     *load
	p     *crowd
	body  func(user int) string
	sent  []time.Time // when the last change of each presentity left
	whose map[int]int // the presentity that a call published for
	waits []time.Duration
}

func newChanges(c *load, n int) *changes {
	x := &changes{c: c, p: c.crowd(n), body: changing(), sent: make([]time.Time, n), whose: map[int]int{}}
	c.subscribe(x.p, n)
	c.heard = func(watch int, _ []byte, at time.Time) { x.waits = append(x.waits, at.Sub(x.sent[watch])) }
	return x
}

func (x *changes) measure(b *testing.B, long time.Duration) {
	x.c = x.c.with(b)
	x.waits = nil
	pace := time.Second / time.Duration(len(x.p.tags))
	began := time.Now()
	for i := 0; time.Since(began) < long; i++ {
		x.listen(began.Add(time.Duration(i) * pace))
		x.change(i % len(x.p.tags))
	}
	x.listen(time.Now().Add(time.Second))
	slices.Sort(x.waits)
	for _, percent := range []int{50, 99} {
		wait := x.waits[len(x.waits)*percent/100]
		b.ReportMetric(float64(wait.Microseconds())/1e3, "p"+strconv.Itoa(percent)+"-ms")
	}
	b.ReportMetric(0, "ns/op")
}

func (x *changes) change(i int) {
	user := x.p.first + i
	x.whose[x.c.calls] = i
	m := branded(x.c.publish(user, x.p.tags[i], x.body(user)), x.c.calls)
	x.c.calls++
	x.sent[i] = time.Now()
	x.c.send(m)
	x.c.flush()
}

// listen takes what comes until a time.
func (x *changes) listen(until time.Time) {
	for left := time.Until(until); left > 0; left = time.Until(until) {
		x.c.hears(left)
		for call, m := range x.c.answered {
			if !bytes.HasPrefix(m, []byte("SIP/2.0 200 ")) {
				x.c.t.Fatalf("answer to a change:\n%s", m)
			}
			x.p.tags[x.whose[call]] = string(line(m, "SIP-ETag: "))
			delete(x.whose, call)
			delete(x.c.answered, call)
		}
	}
}
