package pebble

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"vigie/store"
)

// metrics are what an operator watches: how long answers wait for the store,
// how well commits are shared, what fails, how the disk fills.
type metrics struct {
	latency  prometheus.Histogram
	batch    prometheus.Histogram
	refused  prometheus.Counter
	conflict prometheus.Counter
	failures prometheus.Counter
	bytes    prometheus.GaugeFunc
	healthy  prometheus.GaugeFunc
}

func newMetrics(s *Store) *metrics {
	return &metrics{
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "vigie_store_put_seconds",
			Help:    "Time until a soft-state change is as safe as configured.",
			Buckets: prometheus.ExponentialBuckets(4e-6, 4, 10),
		}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "vigie_store_batch_changes",
			Help:    "Soft-state changes written together.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 10),
		}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "vigie_store_errors_total",
			Help: "Soft-state changes refused because the store could not write.",
		}),
		conflict: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "vigie_store_conflicts_total",
			Help: "Soft-state changes refused because the entry had another revision.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "vigie_store_failures_total",
			Help: "Times the soft-state directory became unwritable and was given up until it could be opened anew.",
		}),
		bytes: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "vigie_store_bytes",
			Help: "Space that soft state takes on the disk.",
		}, s.bytes),
		healthy: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "vigie_store_healthy",
			Help: "1 while soft state can be kept, else 0.",
		}, func() float64 {
			if s.Health() != nil {
				return 0
			}
			return 1
		}),
	}
}

func (m *metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.latency, m.batch, m.refused, m.conflict, m.failures, m.bytes, m.healthy}
}

func (m *metrics) register(r prometheus.Registerer) error {
	if r == nil {
		return nil
	}
	for _, c := range m.collectors() {
		if err := r.Register(c); err != nil {
			m.unregister(r)
			return err
		}
	}
	return nil
}

func (m *metrics) unregister(r prometheus.Registerer) {
	if r == nil {
		return
	}
	for _, c := range m.collectors() {
		r.Unregister(c)
	}
}

// observe counts one finished operation.
func (m *metrics) observe(kind operationKind, took time.Duration, err error) {
	switch {
	case kind >= purge, errors.Is(err, store.ErrValueWanted):
	case err == nil:
		m.latency.Observe(took.Seconds())
	case errors.Is(err, store.ErrConflict):
		m.conflict.Inc()
	default:
		m.refused.Inc()
	}
}

// bytes is the space taken on the disk, 0 while the store is out of order.
func (s *Store) bytes() float64 {
	e, err := s.reader()
	if err != nil {
		return 0
	}
	defer e.done()
	return float64(e.db.Metrics().DiskSpaceUsage())
}
