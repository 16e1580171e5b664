package transport

import (
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"
)

func TestMetricsAreCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewMemory()
		tr, h := start(t, Options{Network: n}, "udp://192.0.2.1:5060", "tcp://192.0.2.1:5060")
		p := peer(t, n, "192.0.2.9:5060")
		text := options("UDP 192.0.2.9:5060;branch=z9hG4bK1", "c1", "")
		sendTo(t, p, ap("192.0.2.1:5060"), text)
		answer(t, tr, <-h.got)
		back, _ := readFrom(t, p)
		dial(t, n, "192.0.2.9", "192.0.2.1:5060")
		synctest.Wait()

		registry := prometheus.NewPedanticRegistry()
		if err := registry.Register(tr.Metrics()); err != nil {
			t.Fatal(err)
		}
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]float64{}
		for _, f := range families {
			for _, m := range f.Metric {
				key := f.GetName()
				for _, l := range m.Label {
					key += " " + l.GetValue()
				}
				got[key] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
		for key, want := range map[string]float64{
			"vigie_transport_messages_received_total udp": 1,
			"vigie_transport_received_bytes_total udp":    float64(len(text)),
			"vigie_transport_messages_sent_total udp":     1,
			"vigie_transport_sent_bytes_total udp":        float64(len(back)),
			"vigie_transport_reads_total udp":             1,
			"vigie_transport_writes_total udp":            1,
			"vigie_transport_connections tcp":             1,
			"vigie_transport_dials_total":                 0,
		} {
			if value, ok := got[key]; !ok || value != want {
				t.Errorf("%s is %v, want %v", key, value, want)
			}
		}
	})
}
