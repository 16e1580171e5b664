package transport

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// T1 multiplied by 64 is how long a peer may take for a transaction
// (RFC 3261 §17.1.1.1); connections live at least that long after a message.
const transactionTime = 64 * 500 * time.Millisecond

// Options say what a Transport listens on and what it tolerates. Zero fields
// take the defaults named beside them.
type Options struct {
	Listen []Listen // at least one

	// Network is what sockets come from; nil is the operating system's.
	Network Network

	// TLS serves the TLS listeners (see ServerTLS); its certificates must be set.
	// Whatever it says, nothing below TLS 1.2 is spoken (RFC 8996 §4, §5).
	TLS *tls.Config
	// ClientTLS is for connections we open: RootCAs and Certificates are used,
	// identity is verified by RFC 5922 whatever else it says.
	ClientTLS *tls.Config

	// Resolver finds another way for a response whose connection is gone
	// (RFC 3263 §5); nil tries the address in the Via only.
	Resolver *Resolver

	Limits Limits
	Logger *slog.Logger // nil discards
}

// Limits bound what peers can make the transport hold.
type Limits struct {
	MaxMessage              int           // bytes of one message, 65535
	MaxHeaders              int           // header rows of one message, 256
	MaxConnections          int           // open streams, 20000
	MaxConnectionsPerSource int           // open streams accepted from one address, 2000
	IdleTimeout             time.Duration // without a message either way, 75 min; at least 32 s (64·T1)
	ReadTimeout             time.Duration // for a started message to become whole, 20 s
	WriteTimeout            time.Duration // for the peer to take what waits, 32 s
	HandshakeTimeout        time.Duration // of TLS, 10 s
	DialTimeout             time.Duration // TLS handshake included, 8 s
	WriteQueue              int           // bytes waiting for one stream, 1 MiB
	DatagramQueue           int           // datagrams waiting for one socket, of 2 KiB on average, 65536
	ReceiveBuffer           int           // bytes of a UDP socket's receive buffer, 32 MiB: 12,000 requests at once
	Sockets                 int           // UDP sockets per listener sharing its port, 1
	RememberRefusal         time.Duration // how long Unreachable holds, 5 min
}

func orDefault[T int | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

func (l Limits) withDefaults() Limits {
	orDefault(&l.MaxMessage, 65535)
	orDefault(&l.MaxHeaders, 256)
	orDefault(&l.MaxConnections, 20000)
	orDefault(&l.MaxConnectionsPerSource, 2000)
	orDefault(&l.IdleTimeout, 75*time.Minute)
	orDefault(&l.ReadTimeout, 20*time.Second)
	orDefault(&l.WriteTimeout, transactionTime)
	orDefault(&l.HandshakeTimeout, 10*time.Second)
	orDefault(&l.DialTimeout, 8*time.Second)
	orDefault(&l.WriteQueue, 1<<20)
	orDefault(&l.DatagramQueue, 65536)
	orDefault(&l.ReceiveBuffer, 32<<20)
	orDefault(&l.Sockets, 1)
	orDefault(&l.RememberRefusal, 5*time.Minute)
	return l
}

func (l Limits) validate() error {
	if l.MaxMessage < 1500 {
		return fmt.Errorf("the limit of a message, %d bytes, is below 1500: ordinary requests would be refused", l.MaxMessage)
	}
	if l.IdleTimeout < transactionTime {
		return fmt.Errorf("the idle time of connections, %s, is below %s: answers would find them closed (RFC 3261 §18)", l.IdleTimeout, transactionTime)
	}
	if l.WriteQueue < l.MaxMessage {
		return fmt.Errorf("the write queue of a connection, %d bytes, is smaller than a message may be, %d", l.WriteQueue, l.MaxMessage)
	}
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"the limit of header fields", int64(l.MaxHeaders)},
		{"the limit of connections", int64(l.MaxConnections)},
		{"the limit of connections per source", int64(l.MaxConnectionsPerSource)},
		{"the time to read a message", int64(l.ReadTimeout)},
		{"the time to write a message", int64(l.WriteTimeout)},
		{"the time of a TLS handshake", int64(l.HandshakeTimeout)},
		{"the time to open a connection", int64(l.DialTimeout)},
		{"the queue of datagrams", int64(l.DatagramQueue)},
		{"the receive buffer", int64(l.ReceiveBuffer)},
		{"the number of sockets", int64(l.Sockets)},
		{"the time to remember a refusal", int64(l.RememberRefusal)},
	} {
		if f.value < 0 {
			return fmt.Errorf("%s is negative", f.name)
		}
	}
	return nil
}

func (o Options) validate() error {
	if len(o.Listen) == 0 {
		return errors.New("nothing to listen on")
	}
	for _, l := range o.Listen {
		if !l.Addr.IsValid() || int(l.Protocol) >= protocols || l.Protocol == 0 {
			return fmt.Errorf("listen address %v is not complete", l)
		}
		if l.Protocol == TLS && o.TLS == nil {
			return fmt.Errorf("listen address %s needs a certificate", l)
		}
	}
	return o.Limits.validate()
}
