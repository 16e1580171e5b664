package transaction

import (
	"vigie/sip"
	"vigie/sip/transport"
)

// cancellable are the methods a CANCEL is tried for: any but itself and ACK
// (RFC 3261 §9.2).
var cancellable = [...]string{
	"INVITE", "SUBSCRIBE", "PUBLISH", "REGISTER", "NOTIFY", "MESSAGE",
	"OPTIONS", "INFO", "REFER", "UPDATE", "BYE", "PRACK",
}

// receiveCancel answers a CANCEL: 200 when its transaction exists, which ends
// an INVITE not answered yet with 487 and changes nothing for any other
// (RFC 6665 §4.6), else 481, to where Options.Allow allows it. The answer can be found again, so that nothing is kept.
func (l *Layer) receiveCancel(m *sip.Message, flow transport.Flow) {
	a := answer{status: 481}
	for _, method := range cancellable {
		if tx, tag, ok := l.find(l.keys.transaction(m, method)); ok {
			a.status, a.tag = 200, tag
			if tx != nil && method == "INVITE" {
				defer tx.terminate()
			}
			break
		}
	}
	if a.status == 481 && !l.allows(flow) {
		return
	}
	if !takesTag(m) {
		a.tag = ""
	} else if a.tag == "" {
		a.tag = l.keys.tag(m)
	}
	l.metrics.received.count(m.Method, a.status)
	l.respond(flow, m.Via, a.print(m))
}

// find looks a transaction up: tx is nil when it is answered, tag the To tag
// of the answer if it has one from us.
func (l *Layer) find(k key) (tx *ServerTransaction, tag string, ok bool) {
	s := l.server(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	l.expire(s, l.clock.now())
	if r, ok := s.lingering.get(k); ok {
		return nil, r.tag(), true
	}
	tx = s.live[k]
	if tx != nil && tx.invite != nil {
		return nil, tx.invite.tag, true
	}
	return tx, "", tx != nil
}

// terminate answers a cancelled INVITE.
func (tx *ServerTransaction) terminate() {
	a := answer{status: 487}
	if takesTag(tx.Request) {
		a.tag = tx.layer.keys.tag(tx.Request)
	}
	_ = tx.finish(&a, a.print(tx.Request), nil)
}
