package sipserver

import "github.com/prometheus/client_golang/prometheus"

// Metrics counts what the edge does beyond what transactions count.
type Metrics struct {
	challenges prometheus.Counter
	silences   prometheus.Counter
}

// NewMetrics gives metrics at zero.
func NewMetrics() *Metrics {
	return &Metrics{
		challenges: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "vigie_sip_challenges_total", Help: "Requests answered by a digest challenge."}),
		silences: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "vigie_sip_unauthenticated_dropped_total", Help: "Unauthenticated requests left without an answer, for their source sent too many."}),
	}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, ch) }

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	m.challenges.Collect(ch)
	m.silences.Collect(ch)
}
