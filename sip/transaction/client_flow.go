package transaction

import "vigie/sip/transport"

// joinFlow adds a transaction to those of its stream. The shard is locked.
func (s *clientShard) joinFlow(tx *clientTransaction) {
	tx.after = s.flows[tx.flow]
	if tx.after != nil {
		tx.after.before = tx
	}
	s.flows[tx.flow] = tx
}

// leaveFlow takes it out again.
func (s *clientShard) leaveFlow(tx *clientTransaction) {
	switch {
	case tx.before != nil:
		tx.before.after = tx.after
	case tx.after != nil:
		s.flows[tx.flow] = tx.after
	default:
		delete(s.flows, tx.flow)
	}
	if tx.after != nil {
		tx.after.before = tx.before
	}
	tx.before, tx.after = nil, nil
}

// Closed fails the client transactions of a stream that is gone, by 503, and
// tells the user.
func (l *Layer) Closed(flow transport.Flow) {
	s := &l.clients[l.flowShard(flow)]
	var failed []*clientTransaction
	s.mu.Lock()
	for tx := s.flows[flow]; tx != nil; tx = s.flows[flow] {
		l.drop(s, tx)
		failed = append(failed, tx)
	}
	s.mu.Unlock()
	for _, tx := range failed {
		l.tell(tx, 503, nil, transport.ErrFlowClosed)
	}
	l.user.FlowClosed(flow)
}

// abandon fails all client transactions; none begins after it.
func (l *Layer) abandon() {
	for i := range l.clients {
		s := &l.clients[i]
		var failed []*clientTransaction
		s.mu.Lock()
		s.closed = true
		for _, tx := range s.live {
			failed = append(failed, tx)
		}
		for _, tx := range failed {
			l.drop(s, tx)
		}
		s.mu.Unlock()
		for _, tx := range failed {
			l.tell(tx, 503, nil, ErrClosed)
		}
	}
}
