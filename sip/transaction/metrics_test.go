package transaction

import (
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestMetrics(t *testing.T) {
	metrics := NewMetrics()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(metrics)
	play(t, &counting{}, Options{Metrics: metrics}, func(t *testing.T, l *Layer, w *wire) {
		for range 3 {
			l.Receive(build(t, "PUBLISH", "z9hG4bK1"), udp, nil)
			synctest.Wait()
		}
		l.Receive(build(t, "PUBLISH", "z9hG4bK2"), udp, nil)
		l.Receive(build(t, "FROBNICATE", "z9hG4bK3", "CSeq: 1", "CSeq: 2"), tcp, nil)
		l.Receive(build(t, "ACK", "z9hG4bK4"), udp, nil)
		w.take()
		_, answered := send(t, l, w, udp)
		l.Receive(respond(t, answered, 200), udp, nil)
		_, _ = send(t, l, w, udp)
		at(w, time.Second)
		synctest.Wait()
	})
	families, err := registry.Gather()
	if err != nil {
		t.Fatalf("Gather: %v", err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := strings.TrimPrefix(family.GetName(), "vigie_transaction_")
			for _, label := range m.GetLabel() {
				name += " " + label.GetValue()
			}
			if value := m.GetGauge().GetValue() + m.GetCounter().GetValue(); value != 0 {
				got[name] = value
			}
		}
	}
	want := map[string]float64{
		"live lingering":                      2,
		"received_requests_total PUBLISH 200": 1,
		"received_requests_total PUBLISH 482": 1,
		"received_requests_total other 200":   1,
		"sent_requests_total NOTIFY 200":      1,
		"sent_requests_total NOTIFY 503":      1, // by Close
		"refused_total merged":                1,
		"retransmissions_total received":      2,
		"retransmissions_total sent":          1,
		"stray_total ack":                     1,
	}
	if !maps.Equal(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
}
