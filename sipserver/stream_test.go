package sipserver

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"vigie/event"
	"vigie/sip"
)

// A watcher who takes TCP connections but answers nothing there (a firewall, a
// foreign program) is reached by UDP afterwards, and keeps its subscription
// (RFC 3261 §18.1.1, TPT-07).
func TestStreamLeadsNowhere(t *testing.T) {
	for name, serve := range map[string]func(net.Conn){
		"closes": func(c net.Conn) { _, _ = c.Read(make([]byte, 1)); c.Close() },
		"silent": func(net.Conn) {},
	} {
		t.Run(name, func(t *testing.T) {
			onEdge(t, func(t *testing.T, e *edge) {
				bob := netip.MustParseAddrPort("10.0.0.1:5060")
				letters := e.mailbox(bob.String())
				calls := e.port(bob.String(), serve)
				d := e.dialog("sip:bob@10.0.0.1:5060", bob, true)
				o := make(outcomes, 1)
				d.Notify(o, notification(1500))
				time.Sleep(time.Minute)
				o.take(t, event.Failed)
				d.Notify(o, notification(1500))
				o.take(t, event.Delivered)
				if calls() != 1 || letters() != 1 {
					t.Errorf("%d connections and %d datagrams, want one of each", calls(), letters())
				}
			})
		})
	}
}

// What falls due after Close starts nothing any more.
func TestNotifyAfterClose(t *testing.T) {
	onEdge(t, func(t *testing.T, e *edge) {
		letters := e.mailbox("10.0.0.1:5060")
		d := e.dialog("sip:bob@10.0.0.1:5060", netip.MustParseAddrPort("10.0.0.7:5060"), false)
		e.Close()
		d.Notify(make(outcomes, 1), notification(10))
		if letters() != 0 {
			t.Error("a NOTIFY was sent")
		}
	})
}

// A proxied watcher without a route set is followed to the Contact of its 2xx
// (DLG-09).
func TestFollowWithoutRoutes(t *testing.T) {
	onEdge(t, func(t *testing.T, e *edge) {
		letters := e.mailbox("10.0.0.2:5060")
		d := e.dialog("sip:bob@10.0.0.1:5060", netip.MustParseAddrPort("10.0.0.7:5060"), false)
		d.flow = makeFlow(e.wire.UDPFlow(home, netip.MustParseAddrPort("10.0.0.1:5060")))
		o := make(outcomes, 1)
		d.subscription = o
		ok := &sip.Message{Status: 200}
		ok.Add(sip.HeaderContact, "<sip:bob@10.0.0.2:5060>")
		d.Done(200, ok, nil)
		o.take(t, event.Delivered)
		d.Notify(o, notification(10))
		o.take(t, event.Delivered)
		if letters() != 1 {
			t.Error("the NOTIFY did not go where the watcher has moved")
		}
	})
}
