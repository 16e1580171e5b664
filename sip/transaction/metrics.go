package transaction

import (
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts transactions. It is a prometheus.Collector. All of it is plain
// counters, so that counting costs nothing and needs no lookup of labels.
type Metrics struct {
	live, lingering, clients       atomic.Int64
	received, sent                 tally
	absorbed, resent               atomic.Uint64
	serverTimeouts, clientTimeouts atomic.Uint64
	overload, merged, failures     atomic.Uint64
	malformedAnswered              atomic.Uint64
	malformedDropped               atomic.Uint64
	strayResponses, strayACKs      atomic.Uint64
	sendErrors                     atomic.Uint64
}

// NewMetrics makes counters at zero.
func NewMetrics() *Metrics { return &Metrics{} }

const lastStatus = 699

// tally counts by method and status. Methods beyond those the RFCs define
// share one row, so that peers cannot make it grow.
type tally [len(methods) + 1][lastStatus + 1]atomic.Uint64

var methods = [...]string{
	"PUBLISH", "SUBSCRIBE", "NOTIFY", "REGISTER", "OPTIONS", "MESSAGE", "INVITE", "CANCEL",
	"BYE", "INFO", "REFER", "UPDATE", "PRACK",
}

func (t *tally) count(method string, status int) {
	row := len(methods)
	for i := range methods {
		if methods[i] == method {
			row = i
			break
		}
	}
	if 0 <= status && status <= lastStatus {
		t[row][status].Add(1)
	}
}

// collect reports what has been counted at all.
func (t *tally) collect(out chan<- prometheus.Metric, desc *prometheus.Desc) {
	for row := range t {
		method := "other"
		if row < len(methods) {
			method = methods[row]
		}
		for status := range t[row] {
			if n := t[row][status].Load(); n > 0 {
				out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), method, strconv.Itoa(status))
			}
		}
	}
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("vigie_transaction_"+name, help, labels, nil)
}

var (
	descLive      = describe("live", "Transactions held: server (unanswered, and refused INVITEs), lingering (answered), client.", "kind")
	descReceived  = describe("received_requests_total", "Requests answered, by method and final status.", "method", "status")
	descSent      = describe("sent_requests_total", "Requests sent, by method and final status; 408 is a timeout, 503 also a failure of the transport.", "method", "status")
	descRepeats   = describe("retransmissions_total", "Repeated messages: absorbed on arrival, or sent.", "direction")
	descTimeouts  = describe("timeouts_total", "Transactions without a final response in time.", "kind")
	descRefused   = describe("refused_total", "Requests refused by this layer.", "cause")
	descMalformed = describe("malformed_total", "Malformed messages, by whether they could be answered.", "answered")
	descStray     = describe("stray_total", "Messages that belong to no transaction.", "kind")
	descErrors    = describe("send_errors_total", "Messages the transport did not take.")
	descFailures  = describe("failures_total", "Requests whose handling failed unexpectedly.")
)

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descLive, descReceived, descSent, descRepeats, descTimeouts, descRefused, descMalformed,
		descStray, descErrors, descFailures,
	} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, n *atomic.Int64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n.Load()), labels...)
	}
	counter := func(d *prometheus.Desc, n *atomic.Uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n.Load()), labels...)
	}
	gauge(descLive, &m.live, "server")
	gauge(descLive, &m.lingering, "lingering")
	gauge(descLive, &m.clients, "client")
	m.received.collect(out, descReceived)
	m.sent.collect(out, descSent)
	counter(descRepeats, &m.absorbed, "received")
	counter(descRepeats, &m.resent, "sent")
	counter(descTimeouts, &m.serverTimeouts, "server")
	counter(descTimeouts, &m.clientTimeouts, "client")
	counter(descRefused, &m.overload, "overload")
	counter(descRefused, &m.merged, "merged")
	counter(descMalformed, &m.malformedAnswered, "yes")
	counter(descMalformed, &m.malformedDropped, "no")
	counter(descStray, &m.strayResponses, "response")
	counter(descStray, &m.strayACKs, "ack")
	counter(descErrors, &m.sendErrors)
	counter(descFailures, &m.failures)
}
