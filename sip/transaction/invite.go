package transaction

import (
	"bytes"

	"vigie/sip"
)

// refusedInvite is what an INVITE transaction needs after its final response
// (RFC 3261 §17.2.1): the response is repeated until the ACK comes.
type refusedInvite struct {
	message []byte
	tag     string // of To, "" when the INVITE's own
	step    int    // interval of Timer G
	repeat  waiting[ServerTransaction]
}

// refuseInvite starts Timers G and H of an INVITE just answered. With too many
// such INVITEs the answer is not repeated, so that forged ones cannot make us
// send ever more to third parties.
func (l *Layer) refuseInvite(s *serverShard, tx *ServerTransaction, tag string, message []byte) {
	if l.invites.Add(1) > int64(l.options.MaxInvites) {
		l.invites.Add(-1)
		l.remove(s, tx)
		return
	}
	tx.timer.leave()
	tx.invite = &refusedInvite{message: bytes.Clone(message), tag: tag}
	tx.invite.repeat.owner = tx
	now := l.clock.now()
	if !tx.Flow.Protocol.Reliable() {
		s.repeat[0].push(&tx.invite.repeat, now+l.intervals[0])
		l.clock.wake(now + l.intervals[0])
	}
	s.unacked.push(&tx.timer, now+l.giveUpAfter)
	l.clock.wake(now + l.giveUpAfter)
}

// runInvites fires Timers G, H and I.
func (l *Layer) runInvites(s *serverShard, now int64, errands []errand) []errand {
	for w := s.confirms.pop(now); w != nil; w = s.confirms.pop(now) {
		l.endInvite(s, w.owner)
	}
	for w := s.unacked.pop(now); w != nil; w = s.unacked.pop(now) {
		l.metrics.serverTimeouts.Add(1)
		l.endInvite(s, w.owner)
	}
	for i := range s.repeat {
		for w := s.repeat[i].pop(now); w != nil; w = s.repeat[i].pop(now) {
			invite := w.owner.invite
			l.metrics.resent.Add(1)
			errands = append(errands, w.owner.errand(invite.message))
			invite.step = min(invite.step+1, len(s.repeat)-1)
			s.repeat[invite.step].push(w, now+l.intervals[invite.step])
		}
	}
	return errands
}

// endInvite terminates an answered INVITE transaction in a locked shard.
func (l *Layer) endInvite(s *serverShard, tx *ServerTransaction) {
	tx.invite.repeat.leave()
	l.remove(s, tx)
	l.invites.Add(-1)
}

// receiveACK absorbs the ACK to a refused INVITE; any other is nobody's and
// ignored.
func (l *Layer) receiveACK(m *sip.Message) {
	k := l.keys.transaction(m, "INVITE")
	s := l.server(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	tx := s.live[k]
	if tx == nil || tx.invite == nil || !tx.invite.acknowledgedBy(m) {
		l.metrics.strayACKs.Add(1)
		return
	}
	if !tx.state.CompareAndSwap(completed, confirmed) {
		return
	}
	tx.invite.repeat.leave()
	if tx.Flow.Protocol.Reliable() {
		l.endInvite(s, tx)
		return
	}
	tx.timer.leave()
	due := l.clock.now() + int64(l.options.T4)
	s.confirms.push(&tx.timer, due)
	l.clock.wake(due)
}

// acknowledgedBy says that an ACK whose key matches is for this response: an
// ACK without cookie must carry our tag (RFC 3261 §17.2.3).
func (i *refusedInvite) acknowledgedBy(ack *sip.Message) bool {
	return hasCookie(ack.Via.Branch) || i.tag == "" || i.tag == ack.To.Tag()
}
