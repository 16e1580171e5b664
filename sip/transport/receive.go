package transport

import (
	"errors"
	"strings"

	"vigie/sip"
)

// deliver hands a parsed message up, or drops it where nobody could do
// anything with it.
func (t *Transport) deliver(m *sip.Message, flow Flow, err error) {
	counters := &t.metrics.ByProtocol[flow.Protocol]
	counters.MessagesIn.Add(1)
	if err != nil {
		counters.ParseErrors.Add(1)
		if m = t.answerable(flow, m, err); m == nil {
			return
		}
	}
	if m.IsRequest() {
		m.MarkReceived(flow.Remote)
		t.handler.Receive(m, flow, err)
		return
	}
	if !t.expects(m, flow) {
		counters.StrayResponses.Add(1)
		t.log.Debug("response dropped: its Via is not ours alone", "peer", flow.Remote, "call_id", m.CallID)
		return
	}
	t.handler.Receive(m, flow, err)
	m.Release()
}

// answerable gives the message of a parse error when an answer is possible.
func (t *Transport) answerable(flow Flow, m *sip.Message, err error) *sip.Message {
	var parse *sip.ParseError
	if !errors.As(err, &parse) || !parse.Answerable {
		t.log.Debug("message dropped", "peer", flow.Remote, "err", err)
		return nil
	}
	if m == nil {
		m = parse.Message
	}
	return m
}

// tooLarge is the refusal of a request over the configured size.
func tooLarge(m *sip.Message) error {
	return &sip.ParseError{
		Status:     513,
		Reason:     "message exceeds the size limit",
		Message:    m,
		Answerable: m.IsRequest() && m.Method != "ACK",
	}
}

// expects checks that the only Via of a response is ours (RFC 3261 §18.1.2,
// §8.1.3.3).
func (t *Transport) expects(m *sip.Message, flow Flow) bool {
	vias := 0
	for range m.Values(sip.HeaderVia) {
		if vias++; vias > 1 {
			return false
		}
	}
	own := flow.Endpoint()
	port := m.Via.Port
	if port == 0 {
		port = flow.Protocol.DefaultPort()
	}
	if port == own.Port && strings.EqualFold(m.Via.Host, own.Host) {
		return true
	}
	for _, l := range t.listeners {
		if l.names(m.Via.Host, m.Via.Port) {
			return true
		}
	}
	return false
}
