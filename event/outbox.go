package event

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"time"
)

// outbox is the part of a subscription that sends: one notification travels,
// the newest state waits, older waiting state is dropped. All fields are
// under the subscription's mu.
type outbox struct {
	want     *Body  // what the watcher should know; nil while pending
	sent     *Body  // what it was last told
	since    moment // when want changed
	quiet    moment // no notification of change before
	retry    moment // no notification after a failure before
	failures uint16 // in a row
	final    uint8  // why the subscription is over: an index into finals
	force    bool   // tell even if nothing changed, and at once
	resend   bool   // the last one failed
	flying   bool   // one is on its way
	over     bool   // the subscription has ended
	silent   bool   // nothing is to be sent any more
}

// finals are the reasons that the engine ends subscriptions for; "" is silence.
var finals = [...]Reason{"", ReasonTimeout, ReasonRejected, ReasonDeactivated}

func finalOf(r Reason) uint8 { return uint8(slices.Index(finals[:], r)) }

// First and longest wait after a failed notification whose answer names none.
const (
	firstRetry = 5 * time.Second
	lastRetry  = 5 * time.Minute
)

// offer puts newer state into the outbox; it says whether sending may help.
func (s *subscription) offer(body *Body, since moment) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.want == body {
		return false
	}
	if s.want != s.sent {
		s.resource.engine.metrics.coalesced.Inc()
	}
	s.want, s.since = body, since
	return !s.flying
}

// send lets the next notification go, if there is one and its time has come,
// and sets the alarm for what comes after it.
func (s *subscription) send() {
	now := s.resource.engine.now()
	s.mu.Lock()
	n, ok := s.take(now)
	s.rearm(now)
	s.mu.Unlock()
	if ok {
		s.watcher.Notify(s, n)
	}
}

func (s *subscription) waiting() bool { return s.force || s.resend || !s.want.same(s.sent) }

// same compares what is told; what changed and changed back is no news.
func (b *Body) same(o *Body) bool {
	return b == o || b != nil && o != nil && b.Type == o.Type && bytes.Equal(b.Data, o.Data)
}

// due is when what waits may go: at once if a SUBSCRIBE asked, else after the
// throttle's window and the wait that a failure imposed. In the last second,
// which no Subscription-State could say, it waits for the end, which tells it.
func (s *subscription) due(now moment) moment {
	if s.force {
		return 0
	}
	at := max(s.quiet, s.retry)
	if s.expires-max(at, now) < moment(time.Second) {
		return s.expires
	}
	return at
}

// take gives the next notification and marks it as travelling.
func (s *subscription) take(now moment) (Notification, bool) {
	if s.flying || s.silent {
		return Notification{}, false
	}
	if s.over {
		s.silent, s.flying = true, true
		return Notification{State: Terminated, Reason: finals[s.final], Body: s.want}, true
	}
	if !s.waiting() || s.expires <= now || now < s.due(now) {
		return Notification{}, false
	}
	if !s.force {
		s.quiet = now + moment(s.resource.pkg.Interval)
	}
	if s.want != s.sent && s.since != 0 {
		s.resource.engine.metrics.delay.Observe(time.Duration(now - s.since).Seconds())
		s.since = 0
	}
	s.flying, s.force, s.resend, s.sent = true, false, false, s.want
	return Notification{State: s.view.state(), Expires: time.Duration(s.expires - now), Body: s.want}, true
}

// Notified takes the outcome of the notification in flight (RFC 6665 §4.2.2).
// It runs where the answer was read and waits for nothing: what it ends, a
// worker ends.
func (s *subscription) Notified(o Outcome) {
	e := s.resource.engine
	e.metrics.outcomes[o.Result].Inc()
	s.mu.Lock()
	s.flying = false
	end, reason := false, Reason("")
	switch o.Result {
	case Delivered:
		s.failures, s.retry = 0, 0
	case Failed:
		s.failures++
		s.resend = true
		s.retry = e.now() + moment(s.backoff(o.RetryAfter))
		end, reason = int(s.failures) >= e.limits.Failures, ReasonDeactivated
	case Gone, Silent:
		end, s.silent = true, true
	}
	end = end && !s.over
	s.mu.Unlock()
	if end {
		e.workers.give(ending{s, reason})
		return
	}
	s.send()
}

// ending ends a subscription and deletes its record, on a worker.
type ending struct {
	subscription *subscription
	reason       Reason
}

func (x ending) run() {
	x.subscription.end(x.reason)
	x.subscription.forget(context.Background())
}

// backoff is how long to wait: what the peer asked for, else twice as long
// after each failure, spread so that many do not retry at once.
func (s *subscription) backoff(asked time.Duration) time.Duration {
	if asked > 0 {
		return asked
	}
	wait := min(firstRetry<<min(s.failures-1, 10), lastRetry)
	return wait + time.Duration(rand.Int64N(int64(wait/4)))
}
