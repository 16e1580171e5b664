package sipserver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"vigie/sip"
	"vigie/sip/transport"
)

// suspicious refuses a Contact that NOTIFYs must not be sent to: addresses
// that are nobody's or everybody's, our own, and the loopback of this machine
// for watchers that are not on it (RFC 3856 §9.5).
func (s *Server) suspicious(contact sip.URI, f transport.Flow) error {
	addr, ok := numeric(contact)
	if !ok {
		return nil
	}
	source := f.Remote.Addr()
	if forbidden(addr, !source.IsValid() || source.IsLoopback()) || s.isOwn(contact, f.Local.Addr()) {
		return refuse(403, "Contact is not an address that NOTIFY may be sent to")
	}
	return nil
}

// forbidden tells addresses that are never sent to; loopback only for watchers
// on this machine, the local ones.
func forbidden(addr netip.Addr, local bool) bool {
	broadcast := netip.AddrFrom4([4]byte{255, 255, 255, 255})
	return addr.IsUnspecified() || addr.IsMulticast() || addr == broadcast || addr.IsLoopback() && !local
}

// listensOn tells whether an address and port are ours. local is the address
// that the flow in question arrived at: with a listener on all addresses it is
// how we know that it is one of them.
func (s *Server) listensOn(addr netip.Addr, port uint16, local netip.Addr) bool {
	if s.own[netip.AddrPortFrom(addr, port)] {
		return true
	}
	if !addr.IsLoopback() && addr != local.Unmap() {
		return false
	}
	return s.own[netip.AddrPortFrom(netip.IPv4Unspecified(), port)] || s.own[netip.AddrPortFrom(netip.IPv6Unspecified(), port)]
}

// numeric gives a URI's host as an address, if it is one.
func numeric(u sip.URI) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(strings.Trim(u.Host, "[]"))
	return addr.Unmap(), err == nil
}

// connectTime is how long a NOTIFY waits for a connection.
const connectTime = 10 * time.Second

var (
	errForbidden = errors.New("sipserver: NOTIFY must not be sent there")
	errNoWay     = errors.New("sipserver: no way to the watcher")
)

// hop is the URI a NOTIFY goes to next: the first route, else the target
// (RFC 3261 §8.1.2).
func (d *dialog) hop() (sip.URI, error) {
	routes, target := d.part(partRoutes), d.part(partTarget)
	for route := range sip.SplitList(routes) {
		a, err := sip.ParseAddress(route)
		if err != nil {
			return sip.URI{}, err
		}
		return a.Parsed()
	}
	return sip.ParseURI(target)
}

// connect finds a way to the next hop (RFC 3263 §4) and remembers it. over
// asks for a protocol other than the URI's own; 0 leaves the choice.
func (d *dialog) connect(ctx context.Context, over transport.Protocol) (transport.Flow, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	uri, err := d.hop()
	if err != nil {
		return transport.Flow{}, err
	}
	targets, err := d.server().locator.Locate(ctx, uri)
	if err != nil {
		return transport.Flow{}, err
	}
	d.mu.Lock()
	w := way{came: d.flow.full(), direct: d.direct, local: d.local, over: over}
	d.mu.Unlock()
	err = errNoWay
	for _, t := range targets {
		var f transport.Flow
		if f, err = d.server().reach(ctx, t, w); err == nil {
			return f, nil
		}
	}
	return transport.Flow{}, fmt.Errorf("connect to %s: %w", uri, err)
}

// way is what is known of a dialog when a way to its watcher is looked for.
type way struct {
	came   transport.Flow     // the flow it had
	direct bool               // which came straight from the watcher
	local  bool               // from this machine
	over   transport.Protocol // asked for; 0: the target's own
}

func (s *Server) reach(ctx context.Context, t transport.Target, w way) (transport.Flow, error) {
	if w.over != 0 {
		t.Protocol = w.over
	}
	addr := t.Addr.Addr()
	if forbidden(addr, w.local) || s.listensOn(addr, t.Addr.Port(), w.came.Local.Addr()) || w.foreign(addr) {
		return transport.Flow{}, errForbidden
	}
	if s.network.Unreachable(t.Protocol, t.Addr) {
		return transport.Flow{}, errNoWay
	}
	return s.network.Connect(ctx, t.Protocol, t.Addr, t.ServerName)
}

// foreign tells addresses that are the watcher's in its own network only: its
// requests come from elsewhere, through an address translation, and here a
// stranger may have the address.
func (w way) foreign(addr netip.Addr) bool {
	return w.direct && addr != w.came.Remote.Addr().Unmap() && (w.over != 0 || addr.IsPrivate())
}
