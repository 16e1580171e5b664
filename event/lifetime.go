package event

import "time"

// Lifetimes are the bounds of what is granted, per package.
type Lifetimes struct {
	Min, Default, Max time.Duration
}

// refusable is the length from which a subscription is never too brief
// (RFC 6665 §4.2.1.1).
const refusable = time.Hour

// publish grants a publication's lifetime. A wish below the minimum is
// refused whatever its length (RFC 3903 §6, step 4).
func (l Lifetimes) publish(wish time.Duration) (time.Duration, error) {
	if wish > 0 && wish < l.Min {
		return 0, &BriefError{Min: l.Min}
	}
	return l.bounded(wish), nil
}

// subscribe grants a subscription's lifetime; a wish of an hour and more is
// never refused (RFC 6665 §4.2.1.1).
func (l Lifetimes) subscribe(wish time.Duration) (time.Duration, error) {
	if wish > 0 && wish < l.Min && wish < refusable {
		return 0, &BriefError{Min: l.Min}
	}
	return l.bounded(wish), nil
}

func (l Lifetimes) bounded(wish time.Duration) time.Duration {
	if wish < 0 {
		return l.Default
	}
	return min(wish, l.Max)
}
