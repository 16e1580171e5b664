package transport

// Protocol is a transport protocol SIP runs over.
type Protocol uint8

const (
	UDP Protocol = iota + 1
	TCP
	TLS
)

// protocols is one more than the highest Protocol: the size of a table by protocol.
const protocols = int(TLS) + 1

// String gives the name that Via uses (RFC 3261 §20.42).
func (p Protocol) String() string {
	switch p {
	case UDP:
		return "UDP"
	case TCP:
		return "TCP"
	case TLS:
		return "TLS"
	}
	return "unknown"
}

// Scheme gives the name that listen specifications and the transport
// parameter of a URI use.
func (p Protocol) Scheme() string {
	switch p {
	case UDP:
		return "udp"
	case TCP:
		return "tcp"
	case TLS:
		return "tls"
	}
	return "unknown"
}

// Reliable says that the protocol itself retransmits.
func (p Protocol) Reliable() bool { return p == TCP || p == TLS }

// Secure says that the protocol encrypts.
func (p Protocol) Secure() bool { return p == TLS }

// DefaultPort is the port meant when none is written (RFC 3261 §19.1.2).
func (p Protocol) DefaultPort() uint16 {
	if p == TLS {
		return 5061
	}
	return 5060
}

// protocolByScheme reads "udp", "tcp" or "tls" in lower case.
func protocolByScheme(s string) (Protocol, bool) {
	switch s {
	case "udp":
		return UDP, true
	case "tcp":
		return TCP, true
	case "tls":
		return TLS, true
	}
	return 0, false
}
