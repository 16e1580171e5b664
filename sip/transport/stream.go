package transport

import "net"

// stream is a connection of the network that can also be used without waiting.
// One goroutine may read it and another one write.
type stream interface {
	net.Conn
	// writeNow writes what is taken at once, which may be nothing.
	writeNow([]byte) (int, error)
	// readInto waits until something is there and reads it into space it takes
	// only then. It gives back what it took in vain.
	readInto(space) (int, error)
}

// space is where a stream reads into.
type space interface {
	take() []byte
	giveBack()
}

// streamOf makes a stream of what a Network gives.
func streamOf(c net.Conn) stream {
	switch c := c.(type) {
	case stream:
		return c
	case *net.TCPConn:
		return systemStream(c)
	}
	return patient{c}
}

// patient is a stream of which nothing is known but how to wait for it.
type patient struct{ net.Conn }

func (p patient) writeNow([]byte) (int, error) { return 0, nil }

func (p patient) readInto(s space) (int, error) { return p.Read(s.take()) }
