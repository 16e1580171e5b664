package interop

import "testing"

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
