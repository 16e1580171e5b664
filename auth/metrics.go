package auth

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what became of credentials. A nil *Metrics counts nothing.
type Metrics struct {
	verifications *prometheus.CounterVec
	refused       prometheus.Counter

	accepted, none, rejected, stale, replayed, throttled, malformed, failed prometheus.Counter
}

// NewMetrics gives metrics at zero.
func NewMetrics() *Metrics {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "vigie_auth_verifications_total",
		Help: "Requests whose credentials were looked at, by outcome.",
	}, []string{"outcome"})
	return &Metrics{
		verifications: v,
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "vigie_auth_sources_refused_total",
			Help: "Unauthenticated requests beyond what their source may ask.",
		}),
		accepted:  v.WithLabelValues("accepted"),
		none:      v.WithLabelValues("none"),
		rejected:  v.WithLabelValues("rejected"),
		stale:     v.WithLabelValues("stale"),
		replayed:  v.WithLabelValues("replayed"),
		throttled: v.WithLabelValues("throttled"),
		malformed: v.WithLabelValues("malformed"),
		failed:    v.WithLabelValues("failed"),
	}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	m.verifications.Describe(ch)
	m.refused.Describe(ch)
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	m.verifications.Collect(ch)
	m.refused.Collect(ch)
}

func (m *Metrics) sourceRefused() {
	if m != nil {
		m.refused.Inc()
	}
}

func (m *Metrics) verified(err error) {
	if m == nil {
		return
	}
	m.of(err).Inc()
}

func (m *Metrics) of(err error) prometheus.Counter {
	var throttled *ThrottledError
	var malformed *CredentialsError
	switch {
	case err == nil:
		return m.accepted
	case errors.Is(err, ErrNoCredentials):
		return m.none
	case errors.Is(err, ErrRejected):
		return m.rejected
	case errors.Is(err, ErrStale):
		return m.stale
	case errors.Is(err, ErrReplay):
		return m.replayed
	case errors.As(err, &throttled):
		return m.throttled
	case errors.As(err, &malformed):
		return m.malformed
	}
	return m.failed
}
