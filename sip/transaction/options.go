package transaction

import (
	"errors"
	"log/slog"
	"time"

	"vigie/sip/transport"
)

// Options say how patient the layer is and how much it holds. Zero fields
// take the defaults named beside them.
type Options struct {
	T1 time.Duration // round-trip estimate, 500 ms (RFC 3261 §17.1.1.1)
	T2 time.Duration // longest retransmission interval, 4 s
	T4 time.Duration // how long a message may stay in the network, 5 s

	// MaxRequests is how many requests may be in progress: waiting, being
	// handled or unanswered. One more gets 503 (SCL-04). 20000.
	MaxRequests int
	// MaxLingering is how many answered requests are remembered for their
	// retransmissions; beyond it, or beyond 512 bytes for each, the oldest are
	// forgotten before their time. 2000000.
	MaxLingering int
	// MaxInvites is how many refused INVITEs wait for their ACK at a time; the
	// refusal of one more is sent once and not repeated. 1000.
	MaxInvites int
	// RetryAfter bounds the seconds a 503 asks for. 5 s to 30 s.
	RetryAfterMin, RetryAfterMax time.Duration
	// Grace is how long Close waits for requests in progress, and once more
	// after it has ended their context. 5 s.
	Grace time.Duration

	// Allow says whether one more answer may go to where a datagram seems to come
	// from that only the layer sees: a malformed request, a CANCEL of nothing.
	// Anybody may have forged its source (SEC-02). It must not block; nil allows all.
	Allow func(transport.Flow) bool

	Logger  *slog.Logger // nil discards
	Metrics *Metrics     // nil keeps none
}

func (o Options) withDefaults() Options {
	orDefault(&o.T1, 500*time.Millisecond)
	orDefault(&o.T2, 4*time.Second)
	orDefault(&o.T4, 5*time.Second)
	orDefault(&o.MaxRequests, 20_000)
	orDefault(&o.MaxLingering, 2_000_000)
	orDefault(&o.MaxInvites, 1_000)
	orDefault(&o.RetryAfterMin, 5*time.Second)
	orDefault(&o.RetryAfterMax, max(30*time.Second, o.RetryAfterMin))
	orDefault(&o.Grace, 5*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics()
	}
	return o
}

func orDefault[T int | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

// Validate says what is wrong with the options.
func (o Options) Validate() error {
	o = o.withDefaults()
	switch {
	case o.T1 < 0 || o.T2 < o.T1 || o.T4 < 0:
		return errors.New("transaction: timers must be positive and T2 no less than T1")
	case o.MaxRequests < 0 || o.MaxLingering < 0 || o.MaxInvites < 0:
		return errors.New("transaction: a limit of transactions is negative")
	case o.RetryAfterMin < 0 || o.RetryAfterMax < o.RetryAfterMin:
		return errors.New("transaction: the bounds of Retry-After are out of order")
	case o.Grace < 0:
		return errors.New("transaction: the grace is negative")
	}
	return nil
}
