package sipserver

import (
	"net"
	"net/netip"
	"testing"
	"testing/synctest"

	"vigie/event"
	"vigie/sip/transport"
)

// port is a TCP listener that does with its connections what the test says.
func (e *edge) port(addr string, serve func(net.Conn)) (count func() int) {
	e.t.Helper()
	l, err := e.network.Listen(netip.MustParseAddrPort(addr))
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { l.Close() })
	taken := make(chan bool, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			taken <- true
			go serve(c)
		}
	}()
	return func() int {
		synctest.Wait()
		return len(taken)
	}
}

// Behind an address translation the watcher's Contact is an address of its own
// network. In ours it is a stranger's: nothing is sent there, neither a NOTIFY
// too large for UDP nor one whose connection is gone (SEC-03, TPT-09).
func TestContactOfAnotherNetwork(t *testing.T) {
	source := netip.MustParseAddrPort("203.0.113.5:40000")
	for name, flow := range map[string]func(e *edge) transport.Flow{
		"large": func(e *edge) transport.Flow { return e.wire.UDPFlow(home, source) },
		"dead": func(*edge) transport.Flow {
			return transport.Flow{Protocol: transport.TCP, Local: home, Remote: source}
		},
	} {
		t.Run(name, func(t *testing.T) {
			onEdge(t, func(t *testing.T, e *edge) {
				watcher := e.mailbox(source.String())
				letters := e.mailbox("192.168.1.10:5060")
				calls := e.port("192.168.1.10:5060", func(c net.Conn) { c.Close() })
				d := e.dialog("sip:bob@192.168.1.10:5060", source, true)
				d.flow = makeFlow(flow(e))
				o := make(outcomes, 1)
				d.Notify(o, notification(1500))
				if calls() != 0 || letters() != 0 {
					t.Error("a stranger got the NOTIFY")
				}
				if name == "dead" {
					o.take(t, event.Failed)
					return
				}
				o.take(t, event.Delivered)
				if watcher() != 1 {
					t.Error("the watcher did not get it by UDP")
				}
			})
		})
	}
}

// This machine's loopback is for watchers on this machine, however the way
// there is named (SEC-03).
func TestLoopbackByOtherNames(t *testing.T) {
	for name, c := range map[string]struct {
		contact, route, source string
		reached                bool
	}{
		"by-name":          {"sip:bob@inside.example", "", "10.0.0.1:5060", false},
		"by-maddr":         {"sip:bob@10.0.0.9;maddr=127.0.0.1", "", "10.0.0.1:5060", false},
		"by-record-route":  {"sip:bob@10.0.0.9", "<sip:127.0.0.1:5060;lr>", "10.0.0.1:5060", false},
		"of-a-local-proxy": {"sip:bob@10.0.0.9", "<sip:127.0.0.1:5060;lr>", "127.0.0.1:5060", true},
	} {
		t.Run(name, func(t *testing.T) {
			onEdge(t, func(t *testing.T, e *edge) {
				inside := netip.MustParseAddrPort("127.0.0.1:5060")
				e.names["inside.example"] = inside
				letters := e.mailbox(inside.String())
				d := e.dialog(c.contact, netip.MustParseAddrPort(c.source), false)
				var err error
				if d.parts, err = d.parts.with(partRoutes, c.route); err != nil {
					t.Fatal(err)
				}
				d = e.revived(d)
				o := make(outcomes, 1)
				d.Notify(o, notification(10))
				if got := letters() > 0; got != c.reached {
					t.Errorf("reached: %v, want %v", got, c.reached)
				}
				if !c.reached {
					o.take(t, event.Failed)
				}
			})
		})
	}
}

// revived gives the dialog as a restart does.
func (e *edge) revived(d *dialog) *dialog {
	e.t.Helper()
	w, err := e.Revive(nil, d.AppendRecord(nil), nil)
	if err != nil {
		e.t.Fatal(err)
	}
	revived := w.(*dialog)
	revived.reserved = 0 // there is no store to ask for more numbers
	return revived
}
