package transport

import (
	"net/netip"
	"sync"
	"time"
)

// maxRefusals bounds the memory of peers that take no connections.
const maxRefusals = 4096

// refusals remembers which peers did not take a connection, and when.
type refusals struct {
	lifetime time.Duration

	mu   sync.Mutex
	seen map[streamKey]time.Time
}

func (r *refusals) add(key streamKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == nil {
		r.seen = make(map[streamKey]time.Time)
	}
	now := time.Now()
	if len(r.seen) >= maxRefusals {
		r.makeRoom(now)
	}
	r.seen[key] = now
}

// makeRoom drops what has lapsed, or anything when nothing has: a forgotten
// refusal costs one more attempt.
func (r *refusals) makeRoom(now time.Time) {
	for key, at := range r.seen {
		if now.Sub(at) >= r.lifetime {
			delete(r.seen, key)
		}
	}
	for key := range r.seen {
		if len(r.seen) < maxRefusals {
			return
		}
		delete(r.seen, key)
	}
}

func (r *refusals) remove(key streamKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.seen, key)
}

func (r *refusals) has(key streamKey) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, ok := r.seen[key]
	return ok && time.Since(at) < r.lifetime
}

// Unreachable says that addr took no connection lately, so that a request that
// is only too large for UDP need not wait for TCP again (RFC 3261 §18.1.1).
// Connect itself always tries.
func (t *Transport) Unreachable(p Protocol, addr netip.AddrPort) bool {
	return t.refusals.has(streamKey{p, netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())})
}
