package interop

import (
	"fmt"
	"os"
	"strconv"
	"testing"
)

// Benchmarks of the whole server, as a process of its own on its usual stores
// (durability "process"), over loopback. What counts is the CPU time that the
// server's process spends per operation (cpu-µs/op), which survives a noisy
// machine; B/op and allocs/op are the server's, too; the time per operation is
// also the client's.
//
// VIGIE_SERVER_CPU=0 has the server run on that core alone; start the client
// elsewhere (taskset -c 1 go test …). VIGIE_LONG=1 adds sizes of a million;
// VIGIE_PROFILE=DIR keeps a CPU profile of the server for each of them.

// sizes are how much there is beside what is measured.
func sizes() []int {
	if os.Getenv("VIGIE_LONG") != "" {
		return []int{1000, 10_000, 100_000, 1_000_000}
	}
	return []int{1000, 10_000, 100_000}
}

// round is how many requests are sent between two looks at the time.
const round = 1000

// BenchmarkPublish is a PUBLISH that nobody watches, with its 200, among so many
// presentities: refreshed without a body, modified, and a first one.
func BenchmarkPublish(b *testing.B) {
	for _, n := range sizes() {
		b.Run(fmt.Sprintf("presentities=%d", n), func(b *testing.B) {
			c := newLoad(b, setup{})
			p := c.crowd(n)
			b.Run("refresh", func(b *testing.B) { c.with(b).benchmarkPublish(b, p, func(int) string { return "" }) })
			b.Run("modify", func(b *testing.B) { c.with(b).benchmarkPublish(b, p, changing()) })
			b.Run("initial", func(b *testing.B) {
				c := c.with(b)
				c.rounds(b, round, func() { c.crowd(round) })
			})
		})
	}
}

func (c *load) benchmarkPublish(b *testing.B, p *crowd, body func(user int) string) {
	at := 0
	c.rounds(b, round, func() {
		c.publishEach(p, at, round, body)
		at += round
	})
}

// changing gives another document each time.
func changing() func(user int) string {
	n := 0
	return func(user int) string {
		n++
		return pidf("u"+strconv.Itoa(user), "open", strconv.Itoa(n), "")
	}
}

// BenchmarkSubscribe is a SUBSCRIBE, its 200, the NOTIFY and its 200, among so
// many subscriptions of other watchers, ten to a presentity.
func BenchmarkSubscribe(b *testing.B) {
	for _, n := range sizes() {
		b.Run(fmt.Sprintf("subscriptions=%d", n), func(b *testing.B) {
			c := newLoad(b, setup{})
			p := c.crowd(n / 10)
			c.subscribe(p, n)
			b.Run("refresh", func(b *testing.B) {
				c, at := c.with(b), 0
				c.rounds(b, round, func() {
					c.refresh(at, round)
					at = (at + round) % n
				})
			})
			b.Run("initial", func(b *testing.B) {
				c := c.with(b)
				c.rounds(b, round, func() { c.subscribe(p, round) })
			})
		})
	}
}

// BenchmarkNotify is one NOTIFY with its 200, when a presentity with so many
// watchers changes, among so many subscriptions to others. What a PUBLISH costs
// by itself is taken out. As many presentities change at once as it takes for
// a thousand NOTIFYs, so that it is the watchers whose number differs, not the
// load.
func BenchmarkNotify(b *testing.B) {
	for _, n := range sizes() {
		b.Run(fmt.Sprintf("others=%d", n), func(b *testing.B) {
			c := newLoad(b, setup{})
			c.subscribe(c.crowd(max(n/10, 1)), n)
			own := c.ownCost()
			for _, watchers := range []int{10, 100, 1000, 10_000} {
				p := c.crowd(max(round/watchers, 1))
				c.subscribe(p, watchers*len(p.tags))
				b.Run(fmt.Sprintf("watchers=%d", watchers), func(b *testing.B) {
					c.with(b).benchmarkNotify(b, p, watchers, own)
				})
			}
		})
	}
}

func (c *load) benchmarkNotify(b *testing.B, p *crowd, watchers int, own cost) {
	body := changing()
	used, rounds := c.server.costOf(b, func() {
		c.notified = 0
		c.publishEach(p, 0, len(p.tags), body)
		c.awaitNotifies(watchers * len(p.tags))
	})
	changes := rounds * len(p.tags)
	used.less(own.times(float64(changes))).report(b, changes*watchers)
	c.admit(b)
}

// ownCost is what a changing PUBLISH costs the server by itself.
func (c *load) ownCost() cost {
	const times = 10
	p, body := c.crowd(round), changing()
	before := c.server.cost()
	for range times {
		c.publishEach(p, 0, round, body)
	}
	return c.server.cost().less(before).times(1. / (times * round))
}
