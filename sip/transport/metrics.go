package transport

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what passes; the fields may be read at any time. It is a
// prometheus.Collector.
type Metrics struct {
	ByProtocol [protocols]Counters // indexed by Protocol

	Dials, DialFailures atomic.Uint64
	HandshakeFailures   atomic.Uint64
}

// Counters are those of one protocol.
type Counters struct {
	MessagesIn, MessagesOut atomic.Uint64
	BytesIn, BytesOut       atomic.Uint64
	Reads, Writes           atomic.Uint64 // calls of the network, each for one message or more
	ParseErrors             atomic.Uint64 // messages not understood
	StrayResponses          atomic.Uint64 // responses that are not for us (MSG-28)
	QueueFull               atomic.Uint64 // messages not sent because too much waited
	SendErrors              atomic.Uint64 // messages the network did not take
	Connections             atomic.Int64  // open now
	Refused                 atomic.Uint64 // connections beyond a limit
	Overdue                 atomic.Uint64 // connections closed because the peer was too slow
}

type metricDesc struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*Counters) float64
}

func describe(name, help string, kind prometheus.ValueType, value func(*Counters) float64) metricDesc {
	return metricDesc{prometheus.NewDesc("vigie_transport_"+name, help, []string{"protocol"}, nil), kind, value}
}

var metricDescs = []metricDesc{
	describe("messages_received_total", "SIP messages received.", prometheus.CounterValue, func(c *Counters) float64 { return float64(c.MessagesIn.Load()) }),
	describe("messages_sent_total", "SIP messages handed to the network.", prometheus.CounterValue, func(c *Counters) float64 { return float64(c.MessagesOut.Load()) }),
	describe("received_bytes_total", "Bytes received.", prometheus.CounterValue, func(c *Counters) float64 { return float64(c.BytesIn.Load()) }),
	describe("sent_bytes_total", "Bytes handed to the network.", prometheus.CounterValue, func(c *Counters) float64 { return float64(c.BytesOut.Load()) }),
	describe("reads_total", "Reads from the network, each of one message or more.", prometheus.CounterValue, func(c *Counters) float64 { return float64(c.Reads.Load()) }),
	describe("writes_total", "Writes to the network, each of one message or more.", prometheus.CounterValue, func(c *Counters) float64 { return float64(c.Writes.Load()) }),
	describe("parse_errors_total", "Messages received that were not understood.", prometheus.CounterValue, func(c *Counters) float64 { return float64(c.ParseErrors.Load()) }),
	describe("stray_responses_total", "Responses received that were not for this server.", prometheus.CounterValue, func(c *Counters) float64 { return float64(c.StrayResponses.Load()) }),
	describe("queue_full_total", "Messages not sent because too much waited for the peer.", prometheus.CounterValue, func(c *Counters) float64 { return float64(c.QueueFull.Load()) }),
	describe("send_errors_total", "Messages the network did not take.", prometheus.CounterValue, func(c *Counters) float64 { return float64(c.SendErrors.Load()) }),
	describe("connections", "Open stream connections.", prometheus.GaugeValue, func(c *Counters) float64 { return float64(c.Connections.Load()) }),
	describe("connections_refused_total", "Connections closed at once because a limit was reached.", prometheus.CounterValue, func(c *Counters) float64 { return float64(c.Refused.Load()) }),
	describe("connections_overdue_total", "Connections closed because the peer read or wrote too slowly.", prometheus.CounterValue, func(c *Counters) float64 { return float64(c.Overdue.Load()) }),
}

var (
	descDials        = prometheus.NewDesc("vigie_transport_dials_total", "Connections this server tried to open.", nil, nil)
	descDialFailures = prometheus.NewDesc("vigie_transport_dial_failures_total", "Connections this server could not open.", nil, nil)
	descHandshakes   = prometheus.NewDesc("vigie_transport_tls_handshake_failures_total", "TLS handshakes of accepted connections that failed.", nil, nil)
)

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range metricDescs {
		out <- d.desc
	}
	out <- descDials
	out <- descDialFailures
	out <- descHandshakes
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(out chan<- prometheus.Metric) {
	for _, p := range []Protocol{UDP, TCP, TLS} {
		for _, d := range metricDescs {
			out <- prometheus.MustNewConstMetric(d.desc, d.kind, d.value(&m.ByProtocol[p]), p.Scheme())
		}
	}
	out <- prometheus.MustNewConstMetric(descDials, prometheus.CounterValue, float64(m.Dials.Load()))
	out <- prometheus.MustNewConstMetric(descDialFailures, prometheus.CounterValue, float64(m.DialFailures.Load()))
	out <- prometheus.MustNewConstMetric(descHandshakes, prometheus.CounterValue, float64(m.HandshakeFailures.Load()))
}
