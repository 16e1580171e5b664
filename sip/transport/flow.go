package transport

import (
	"crypto/x509"
	"net/netip"
)

// Flow is a way back to a peer (RFC 5626 §2): for UDP a local listener and the
// peer's address, for streams one connection. Flows are comparable; two
// datagrams from the same source to the same local address have equal flows.
type Flow struct {
	Protocol      Protocol
	Local, Remote netip.AddrPort

	listener *listener   // nil for connections we opened where no listener matches
	conn     *connection // nil for UDP
}

// IsZero says that the flow was never set.
func (f Flow) IsZero() bool { return f.Protocol == 0 }

// Alive says that something can be sent on the flow: its connection is open,
// or its UDP listener is.
func (f Flow) Alive() bool {
	if f.conn != nil {
		return !f.conn.closed.Load()
	}
	return f.listener != nil && !f.listener.closed.Load()
}

// PeerCertificates gives the chain the peer of a TLS connection proved itself
// with: the verified client certificates of an accepted connection, leaf
// first, nil when it showed none.
func (f Flow) PeerCertificates() []*x509.Certificate {
	if f.conn == nil {
		return nil
	}
	return f.conn.certificates
}

// Endpoint says what Via and Contact must name so that the peer of this flow
// reaches us: the listener's advertised host, else its address, else, for a
// wildcard listener, the local address the flow uses.
func (f Flow) Endpoint() Endpoint {
	if f.listener == nil {
		return Endpoint{Protocol: f.Protocol, Host: hostOf(f.Local.Addr()), Port: f.Local.Port()}
	}
	return f.listener.endpointTowards(f.Local.Addr())
}

func (f Flow) String() string {
	return f.Protocol.Scheme() + " " + f.Local.String() + " - " + f.Remote.String()
}
