package auth

import (
	"hash/maphash"
	"net/netip"
	"time"
)

// SourceOptions bounds what strangers may ask. Zero fields mean the defaults.
type SourceOptions struct {
	Burst   int           // requests at once, default 100
	Every   time.Duration // one more comes free in, default 20 ms
	Max     int           // sources remembered, default 65536
	Metrics *Metrics
}

// Sources counts unauthenticated requests per source, so that whoever forges a
// source address cannot have more than a trickle of challenges sent there.
type Sources struct {
	seed    maphash.Seed
	limiter *limiter
	metrics *Metrics
}

// NewSources gives a table in which nobody has asked anything yet.
func NewSources(o SourceOptions) *Sources {
	return &Sources{
		seed:    maphash.MakeSeed(),
		limiter: newLimiter(or(o.Burst, 100), or(o.Every, 20*time.Millisecond), or(o.Max, 1<<16)),
		metrics: o.Metrics,
	}
}

// Allow tells whether one more unauthenticated request of this source is
// answered. IPv6 sources are told apart by their first 64 bits.
func (s *Sources) Allow(source netip.Addr) bool {
	ok := s.limiter.spend(sourceKey(s.seed, source))
	if !ok {
		s.metrics.sourceRefused()
	}
	return ok
}

// or is value unless that is zero.
func or[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}
