package api

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// Status is the server at a glance.
type Status struct {
	Version    string    `json:"version"`
	Started    time.Time `json:"started"`
	State      string    `json:"state"` // "ready", or why not
	Domains    []string  `json:"domains"`
	Listeners  []string  `json:"listeners"`
	Directory  string    `json:"directory"`
	Durability string    `json:"durability"`

	// Counters are the server's own metrics that are single numbers, such as
	// vigie_subscriptions{package="presence",state="active"}.
	Counters map[string]float64 `json:"counters"`
}

func (s *Server) getStatus(w http.ResponseWriter, r *http.Request, _ caller) error {
	status := s.Status()
	status.State = "ready"
	if s.Ready != nil {
		if err := s.Ready(r.Context()); err != nil {
			status.State = err.Error()
		}
	}
	families, err := s.Gatherer.Gather()
	if err != nil {
		return fmt.Errorf("gather the metrics: %w", err)
	}
	status.Counters = counters(families)
	answer(w, http.StatusOK, status)
	return nil
}

func counters(families []*dto.MetricFamily) map[string]float64 {
	flat := map[string]float64{}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "vigie_") && !strings.HasPrefix(f.GetName(), "process_resident") {
			continue
		}
		for _, m := range f.GetMetric() {
			switch {
			case m.Counter != nil:
				flat[f.GetName()+labels(m)] = m.Counter.GetValue()
			case m.Gauge != nil:
				flat[f.GetName()+labels(m)] = m.Gauge.GetValue()
			}
		}
	}
	return flat
}

func labels(m *dto.Metric) string {
	if len(m.Label) == 0 {
		return ""
	}
	pairs := make([]string, len(m.Label))
	for i, l := range m.Label {
		pairs[i] = fmt.Sprintf("%s=%q", l.GetName(), l.GetValue())
	}
	return "{" + strings.Join(pairs, ",") + "}"
}
