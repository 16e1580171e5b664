package transport

import "net/netip"

// UDPFlow gives the flow between one of our UDP sockets and a peer again, from
// what an earlier process noted of it. Without such a listener any more the
// flow is not alive.
func (t *Transport) UDPFlow(local, remote netip.AddrPort) Flow {
	for _, l := range t.listeners {
		own := l.listen.Addr
		if l.listen.Protocol == UDP && own.Port() == local.Port() &&
			(own.Addr() == local.Addr() || own.Addr().IsUnspecified() && own.Addr().Is4() == local.Addr().Is4()) {
			return Flow{Protocol: UDP, Local: local, Remote: remote, listener: l}
		}
	}
	return Flow{Protocol: UDP, Local: local, Remote: remote}
}
