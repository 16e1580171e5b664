// Package transport carries SIP messages over UDP, TCP and TLS (RFC 3261 §18).
//
// A Transport binds the listeners it is given, reads and parses what arrives,
// and hands it to a Handler together with its Flow: the way back to the peer.
// Whoever keeps a Flow can send on it later without knowing any address, which
// is how a NOTIFY leaves by the way its SUBSCRIBE came (RFC 5626 §5.3). A
// Resolver turns a URI into the places to try (RFC 3263).
//
// # What holds
//
//   - The messages of one flow reach the Handler in the order they came.
//   - Send never blocks, and copies head and body. Every queue is bounded. A peer
//     that does not read loses its connection and delays nobody else.
//   - In requests handed up, received and rport of the topmost Via are filled
//     in (RFC 3261 §18.2.1, RFC 3581 §4). Responses handed up carry one Via,
//     and it is ours.
//   - A connection stays open for at least 64·T1 after its last message,
//     unless the peer is in the middle of one and too slow.
//   - After Close no goroutine of the transport is left.
//
// # Goroutines and locks
//
// A UDP socket has one goroutine that reads batches of datagrams and one that
// sends whatever is queued at a time. A stream listener has one that accepts.
// A connection has one that reads. What is sent to connections leaves by a few
// that they share, one for each processor, which never wait for a peer: when one
// does not take all at once, its connection gets a goroutine that does until
// nothing is left. TLS encrypts into memory (wire), so that this holds for it,
// too. The shared ones count in Transport.writing and end last; all others, and
// those that open connections, count in Transport.running.
//
// Locks are taken in the order Transport.mu, that of a TLS session,
// connection.mu; those of sockets, writers, wires, listeners and refusals are
// leaves. The Handler is never called with one held.
//
// A connection at rest holds no space for messages: it takes some from a pool
// when there is something to read or to send.
//
// # Tests
//
// NewMemory makes a network in memory that runs inside a testing/synctest
// bubble: time-outs pass in no time, datagrams are lost or late as a test says.
package transport
