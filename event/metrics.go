package event

import "github.com/prometheus/client_golang/prometheus"

// metrics counts what an operator acts on. Engine is itself a
// prometheus.Collector of them.
type metrics struct {
	engine        *Engine
	publications  *prometheus.Desc
	subscriptions *prometheus.Desc
	waiting       *prometheus.Desc
	outcomes      [4]prometheus.Counter
	coalesced     prometheus.Counter
	storeErrors   prometheus.Counter
	delay         prometheus.Histogram
}

func newMetrics(e *Engine) *metrics {
	m := &metrics{
		engine:        e,
		publications:  prometheus.NewDesc("vigie_publications", "Live publications.", []string{"package"}, nil),
		subscriptions: prometheus.NewDesc("vigie_subscriptions", "Subscriptions by state.", []string{"package", "state"}, nil),
		waiting:       prometheus.NewDesc("vigie_event_queue_depth", "Changes and expiries waiting for a worker.", nil, nil),
		coalesced: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "vigie_notifications_coalesced_total", Help: "States replaced by newer ones before they were sent."}),
		storeErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "vigie_event_store_errors_total", Help: "Writes of soft state that failed."}),
		delay: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "vigie_publish_to_notify_seconds", Help: "Time from a change to the notification of a watcher.",
			Buckets: []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10}}),
	}
	outcomes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "vigie_notifications_total", Help: "Notifications by outcome."}, []string{"outcome"})
	for i, name := range [...]string{Delivered: "delivered", Failed: "failed", Gone: "gone", Silent: "timeout"} {
		m.outcomes[i] = outcomes.WithLabelValues(name)
	}
	return m
}

// Describe implements prometheus.Collector.
func (e *Engine) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(e, ch) }

// Collect implements prometheus.Collector.
func (e *Engine) Collect(ch chan<- prometheus.Metric) {
	m := e.metrics
	for name, p := range e.packages {
		ch <- prometheus.MustNewConstMetric(m.publications, prometheus.GaugeValue, float64(p.publications.Load()), name)
		for _, s := range []State{Pending, Active} {
			ch <- prometheus.MustNewConstMetric(m.subscriptions, prometheus.GaugeValue, float64(p.subscriptions[s].Load()), name, s.String())
		}
	}
	ch <- prometheus.MustNewConstMetric(m.waiting, prometheus.GaugeValue, float64(e.workers.waiting()))
	for _, c := range m.outcomes {
		c.Collect(ch)
	}
	m.coalesced.Collect(ch)
	m.storeErrors.Collect(ch)
	m.delay.Collect(ch)
}
