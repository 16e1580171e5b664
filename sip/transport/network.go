package transport

import (
	"context"
	"net"
	"net/netip"
)

// Network is what the transport runs on: the operating system's, or one in
// memory (NewMemory).
type Network interface {
	ListenPacket(addr netip.AddrPort, o PacketOptions) (PacketConn, error)
	Listen(addr netip.AddrPort) (net.Listener, error)
	// Dial opens a stream. A valid local makes it leave from that address.
	Dial(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error)
	// Source gives the local address that traffic to remote leaves from.
	Source(remote netip.AddrPort) (netip.Addr, error)
}

// PacketOptions are what a UDP socket is opened with.
type PacketOptions struct {
	ReceiveBuffer int  // bytes asked of the kernel; 0 leaves its default
	Share         bool // several sockets on the same address and port (SO_REUSEPORT)
}

// PacketConn is a UDP socket that reads and writes many datagrams at a time.
// One goroutine may read and another one write; Close ends both.
type PacketConn interface {
	// ReadBatch fills at least one datagram and says how many. Without wait it
	// fills none when none is there.
	ReadBatch(batch []Datagram, wait bool) (int, error)
	// WriteBatch sends the datagrams in order and says how many it sent; the
	// error is that of the one after.
	WriteBatch([]Datagram) (int, error)
	LocalAddr() netip.AddrPort
	// ReceiveBuffer is what the kernel granted, in bytes; 0 when unknown.
	ReceiveBuffer() int
	Close() error
}

// Datagram is one packet: for writing what is sent, for reading the space to fill,
// of which N says how much was.
type Datagram struct {
	Data  []byte
	N     int
	Addr  netip.AddrPort // the peer
	Local netip.Addr     // our address, where the socket has several; else not valid
}
