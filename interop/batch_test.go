package interop

import (
	"fmt"
	"strings"
	"testing"
)

// Under load many NOTIFYs leave by one system call and many responses come by
// one. No time is measured: the bound holds on a busy machine, too.
func TestNotifiesShareSystemCalls(t *testing.T) {
	t.Parallel()
	const watchers, changes = 1000, 5
	c := newLoad(t, setup{})
	p := c.crowd(1)
	c.subscribe(p, watchers)
	calls := func() (reads, writes float64) {
		return c.server.metric(`vigie_transport_reads_total{protocol="udp"}`), c.server.metric(`vigie_transport_writes_total{protocol="udp"}`)
	}
	readBefore, writtenBefore := calls()
	body := changing()
	for range changes {
		c.notified = 0
		c.publishEach(p, 0, 1, body)
		c.awaitNotifies(watchers)
	}
	reads, writes := calls()
	reads, writes = (reads-readBefore)/(watchers*changes), (writes-writtenBefore)/(watchers*changes)
	t.Logf("%.3f writes and %.3f reads a NOTIFY with its 200", writes, reads)
	if writes > 0.2 {
		t.Errorf("%.3f writes a NOTIFY, want no more than 0.2", writes)
	}
}

// On streams, a NOTIFY to a watcher with a connection of its own is one write, and
// its 200 one read; NOTIFYs to watchers behind a proxy share writes.
func TestStreamsTakeFewSystemCalls(t *testing.T) {
	const watchers, changes = 200, 5
	for _, protocol := range []string{"TCP", "TLS"} {
		for _, test := range []struct {
			connections   int
			writes, reads float64 // at most, a NOTIFY with its 200
		}{
			{connections: watchers, writes: 1.2, reads: 1.5},
			{connections: 1, writes: 0.2, reads: 1.5},
		} {
			t.Run(fmt.Sprintf("%s/connections=%d", protocol, test.connections), func(t *testing.T) {
				t.Parallel()
				c, p, w := watchedOverStreams(t, protocol, test.connections, watchers)
				calls := func() (reads, writes float64) {
					label := fmt.Sprintf(`{protocol=%q}`, strings.ToLower(protocol))
					return c.server.metric("vigie_transport_reads_total" + label), c.server.metric("vigie_transport_writes_total" + label)
				}
				readBefore, writtenBefore := calls()
				body := changing()
				for range changes {
					w.told.Add(watchers)
					c.publishEach(p, 0, 1, body)
					w.told.Wait()
				}
				reads, writes := calls()
				reads, writes = (reads-readBefore)/(watchers*changes), (writes-writtenBefore)/(watchers*changes)
				t.Logf("%.3f writes and %.3f reads a NOTIFY with its 200", writes, reads)
				if writes > test.writes || reads > test.reads {
					t.Errorf("%.3f writes and %.3f reads a NOTIFY with its 200, want no more than %.2f and %.2f", writes, reads, test.writes, test.reads)
				}
			})
		}
	}
}
