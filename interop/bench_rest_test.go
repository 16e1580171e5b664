package interop

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkAtRest reports what subscriptions cost that nothing happens to, each
// of another watcher, ten to a presentity: resident memory and the heap after a
// garbage collection (live), when they have just been made (busy) and when their
// transactions are forgotten; the share of a core that the idle server takes; and
// how long a killed one takes to serve again. It measures once, whatever b.N.
func BenchmarkAtRest(b *testing.B) {
	for _, n := range sizes()[2:] {
		b.Run(fmt.Sprintf("subscriptions=%d", n), func(b *testing.B) {
			c := newLoad(b, setup{})
			p := c.crowd(n / 10)
			c.subscribe(p, 1000) // what is made once, whatever the number
			live, resident := c.server.live(), c.server.resident()
			each := func(bytes int) float64 { return float64(bytes) / float64(n) }
			c.subscribe(p, n)
			b.ReportMetric(each(c.server.resident()-resident), "busy-resident-B/subscription")
			b.ReportMetric(each(int(c.server.live()-live)), "busy-live-B/subscription")
			<-time.After(lingering)
			b.ReportMetric(100*c.server.idles(20*time.Second), "idle-cpu-%")
			b.ReportMetric(each(c.server.resident()-resident), "resident-B/subscription")
			b.ReportMetric(each(int(c.server.live()-live)), "live-B/subscription")
			b.ReportMetric(c.server.revives().Seconds(), "restart-s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// lingering is how long transactions are remembered (RFC 3261 §17.2.2, Timer J),
// and a little more.
const lingering = 40 * time.Second

// idles is the share of a core the server takes for so long.
func (s *server) idles(long time.Duration) float64 {
	before := s.cpu()
	<-time.After(long)
	return float64(s.cpu()-before) / float64(long)
}

// revives kills the server and says how long the next one takes to be ready.
func (s *server) revives() time.Duration {
	s.crash()
	began := time.Now()
	s.runWithin(5 * time.Minute)
	return time.Since(began)
}

// BenchmarkRestart is what becomes of a server with a million subscriptions and
// 200,000 publications that is killed: seconds until it serves, and what it
// holds then. Without VIGIE_LONG it is a hundredth of them.
func BenchmarkRestart(b *testing.B) {
	subscriptions, publications := 1_000_000, 200_000
	if sizes()[len(sizes())-1] < subscriptions {
		subscriptions, publications = subscriptions/100, publications/100
	}
	b.Run(fmt.Sprintf("subscriptions=%d", subscriptions), func(b *testing.B) {
		c := newLoad(b, setup{})
		c.subscribe(c.crowd(publications), subscriptions)
		b.ReportMetric(float64(c.server.resident())/1e9, "resident-GB")
		b.ReportMetric(c.server.revives().Seconds(), "restart-s")
		b.ReportMetric(float64(c.server.resident())/1e9, "restarted-resident-GB")
		b.ReportMetric(0, "ns/op")
	})
}
