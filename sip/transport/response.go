package transport

import (
	"bytes"
	"context"
	"errors"
	"net/netip"

	"vigie/sip"
)

// SendResponse sends a response the way its request came: top is the topmost
// Via as received. Over UDP it leaves from the address the request was sent to
// and goes to its source address, at the source port when the client asked for
// that by rport (RFC 3581 §4), else at the port of sent-by. Over a stream it
// uses the request's connection, and when that is gone a new one to the source
// address and sent-by port, then to what DNS knows of sent-by (RFC 3261
// §18.2.2, RFC 3263 §5); nil then says that the attempt has begun.
//
// A maddr in Via is not followed: it would let a forged request send our
// answers to third parties. Nor does DNS lead to networks that the client itself
// is not in.
func (t *Transport) SendResponse(f Flow, top sip.Via, head, body []byte) error {
	if f.Protocol == UDP {
		f.Remote = responseAddr(f, top)
		return t.Send(f, head, body)
	}
	err := t.Send(f, head, body)
	if err != ErrFlowClosed {
		return err
	}
	return t.sendAgain(f, top, head, body)
}

func responseAddr(f Flow, top sip.Via) netip.AddrPort {
	if _, ok := top.Params.Get("rport"); ok && f.Protocol == UDP {
		return f.Remote
	}
	port := top.Port
	if port == 0 {
		port = f.Protocol.DefaultPort()
	}
	return netip.AddrPortFrom(f.Remote.Addr(), port)
}

// sendAgain opens a connection for a response, on a goroutine of its own; at
// most cap(t.responses) at a time.
func (t *Transport) sendAgain(f Flow, top sip.Via, head, body []byte) error {
	if f.conn == nil {
		return ErrFlowClosed
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closing {
		return ErrFlowClosed
	}
	select {
	case t.responses <- struct{}{}:
	default:
		return ErrFlowClosed
	}
	head, body = bytes.Clone(head), bytes.Clone(body)
	t.running.Go(func() {
		defer func() { <-t.responses }()
		if err := t.recover(f, top, head, body); err != nil {
			t.log.Debug("response not sent: its connection is gone and no other opens", "peer", f.Remote, "err", err)
		}
	})
	return nil
}

func (t *Transport) recover(f Flow, top sip.Via, head, body []byte) error {
	ctx, cancel := context.WithTimeout(t.ctx, transactionTime)
	defer cancel()
	way, err := t.Connect(ctx, f.Protocol, responseAddr(f, top), top.Host)
	if err == nil {
		return t.Send(way, head, body)
	}
	if t.options.Resolver == nil {
		return err
	}
	targets, lookupErr := t.options.Resolver.LocateSentBy(ctx, f.Protocol, top.Host, top.Port)
	if lookupErr != nil {
		return lookupErr
	}
	for _, target := range targets {
		if !t.mayAnswer(f.Remote.Addr(), target.Addr) {
			err = errOffSite
			continue
		}
		if way, err = t.Connect(ctx, target.Protocol, target.Addr, target.ServerName); err == nil {
			return t.Send(way, head, body)
		}
	}
	return err
}

var errOffSite = errors.New("sent-by leads to where its client has no business")

// mayAnswer keeps clients from using us to connect to what they cannot reach:
// this machine's loopback, private networks, ourselves.
func (t *Transport) mayAnswer(client netip.Addr, to netip.AddrPort) bool {
	addr := to.Addr()
	for _, l := range t.listeners {
		if own := l.listen.Addr; own == to || own.Addr().IsUnspecified() && own.Port() == to.Port() && addr.IsLoopback() {
			return false
		}
	}
	return addr.IsGlobalUnicast() && !addr.IsPrivate() ||
		addr.IsLoopback() && client.IsLoopback() ||
		addr.IsPrivate() && (client.IsPrivate() || client.IsLoopback()) ||
		addr.IsLinkLocalUnicast() && client.IsLinkLocalUnicast()
}
