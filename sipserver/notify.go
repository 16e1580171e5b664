package sipserver

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"vigie/event"
	"vigie/sip"
	"vigie/sip/transaction"
	"vigie/sip/transport"
)

// largest is the size in bytes from which a request leaves UDP
// (RFC 3261 §18.1.1); the path's MTU counts as unknown.
const largest = 1300

// switchTime is how long a large NOTIFY waits for a TCP connection before it
// goes by UDP after all.
const switchTime = 2 * time.Second

// Notify implements event.Watcher.
func (d *dialog) Notify(s event.Subscription, n event.Notification) {
	d.mu.Lock()
	d.subscription = s
	if d.answering {
		d.hold(n)
		d.mu.Unlock()
		return
	}
	d.mu.Unlock()
	d.transmit(n)
}

// notifications are those that dialogs hold; each is kept briefly.
var notifications = sync.Pool{New: func() any { return new(event.Notification) }}

// hold keeps a notification for later. With d.mu.
func (d *dialog) hold(n event.Notification) {
	d.held = notifications.Get().(*event.Notification)
	*d.held = n
}

// transmitHeld sends what was held, if anything was.
func (d *dialog) transmitHeld(held *event.Notification) {
	if held == nil {
		return
	}
	n := *held
	*held = event.Notification{}
	notifications.Put(held)
	d.transmit(n)
}

// release lets the NOTIFY go that was held until the SUBSCRIBE was answered.
func (d *dialog) release() {
	d.mu.Lock()
	held := d.held
	d.answering, d.held = false, nil
	d.mu.Unlock()
	d.transmitHeld(held)
}

// transmit prints the NOTIFY and sends it the way it should take.
func (d *dialog) transmit(n event.Notification) {
	d.mu.Lock()
	if d.reserved > 0 && d.localCSeq >= d.reserved && n.State != event.Terminated {
		d.hold(n)
		d.save()
		d.mu.Unlock()
		return
	}
	d.localCSeq++
	d.ending = n.State == event.Terminated
	if d.reserved > 0 && d.reserved-d.localCSeq == reserve/4 {
		d.save()
	}
	space := prints.Get().(*[]byte)
	defer prints.Put(space)
	out := d.print((*space)[:0], n)
	*space = out.Head
	d.mu.Unlock()
	d.route(out)
}

// prints holds what NOTIFYs are printed into on their way to the transaction layer.
var prints = sync.Pool{New: func() any { return new([]byte) }}

// save has the store reserve more CSeq numbers, in the background, and lets
// go what waits for them. With d.mu.
func (d *dialog) save() {
	if d.saving {
		return
	}
	d.saving = true
	subscription := d.subscription
	d.server().inBackground(func() {
		err := subscription.Save(d.server().stop)
		d.mu.Lock()
		d.saving = false
		if err == nil {
			d.reserved = max(d.reserved, d.asked)
		}
		var waiting *event.Notification
		if !d.answering { // else it goes with release
			waiting, d.held = d.held, nil
		}
		d.mu.Unlock()
		switch {
		case waiting == nil:
		case err != nil:
			subscription.Notified(event.Outcome{Result: event.Failed})
		default:
			d.transmitHeld(waiting)
		}
	})
}

// route sends on the dialog's flow. A dead or unknown flow, and a request too
// large for UDP, need a connection first, which is made in the background.
func (d *dialog) route(out transaction.Outgoing) {
	switch {
	case !out.Flow.Alive():
		d.later(out, (*dialog).sendAnew)
	case d.outgrows(&out):
		d.later(out, (*dialog).sendOverStream)
	default:
		d.dispatch(out)
	}
}

// later sends in the background; only here a request is on the heap.
func (d *dialog) later(out transaction.Outgoing, send func(*dialog, transaction.Outgoing)) {
	out.Head = bytes.Clone(out.Head)
	d.server().inBackground(func() { send(d, out) })
}

// outgrows says that a request is too large for UDP and its watcher may take TCP.
func (d *dialog) outgrows(out *transaction.Outgoing) bool {
	return out.Flow.Protocol == transport.UDP && d.server().layer.Size(out) > largest && !d.streamless()
}

func (d *dialog) dispatch(out transaction.Outgoing) {
	if err := d.server().layer.Send(out); err != nil {
		d.Done(503, nil, err)
	}
}

// sendAnew looks for the way to the watcher, for it has none or its
// connection is gone.
func (d *dialog) sendAnew(out transaction.Outgoing) {
	flow, err := d.connect(d.server().stop, 0)
	if err != nil {
		d.Done(503, nil, err)
		return
	}
	d.mu.Lock()
	d.flow, d.moved = makeFlow(flow), true
	d.mu.Unlock()
	out.Flow = flow
	if d.outgrows(&out) {
		d.sendOverStream(out)
		return
	}
	d.dispatch(out)
}

// streamless says that the watcher did not take a TCP connection; then large
// requests stay with UDP (RFC 3261 §18.1.1). The next SUBSCRIBE lets us try
// again.
func (d *dialog) streamless() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.noStream
}

// sendOverStream sends over TCP, and over UDP when the peer does not take TCP.
func (d *dialog) sendOverStream(out transaction.Outgoing) {
	ctx, cancel := context.WithTimeout(d.server().stop, switchTime)
	defer cancel()
	stream, err := d.connect(ctx, transport.TCP)
	if err == nil {
		over := out
		over.Flow = stream
		d.stream(true)
		if err = d.server().layer.Send(over); err == nil {
			return
		}
		d.stream(false)
	}
	d.server().Logger.Debug("large NOTIFY stays with UDP", "peer", out.Flow.Remote, "err", err)
	d.mu.Lock()
	d.noStream = true
	d.mu.Unlock()
	d.dispatch(out)
}

// stream notes whether the NOTIFY that travels left UDP for its size.
func (d *dialog) stream(yes bool) {
	d.mu.Lock()
	d.streamed = yes
	d.mu.Unlock()
}

// print makes the next NOTIFY, all but its Via, in the space of b. With d.mu.
func (d *dialog) print(b []byte, n event.Notification) transaction.Outgoing {
	request, routes := d.parts.at(partTarget), d.parts.at(partRoutes)
	if routes != "" {
		request, routes = routing(request, routes)
	}
	c := d.common.Value()
	b = slices.Grow(b, 288+len(c.contact)+len(d.parts.text))
	b = append(append(append(b, "NOTIFY "...), request...), " SIP/2.0\r\n"...)
	line := len(b)
	b = append(b, "Max-Forwards: 70\r\n"...)
	if routes != "" {
		b = append(b, "Route: "...)
		b = append(b, routes...)
		b = append(b, "\r\n"...)
	}
	b = append(b, "From: <"...)
	b = append(b, d.parts.at(partLocal)...)
	b = append(b, ">;tag="...)
	b = d.tag.appendTo(b)
	b = append(b, "\r\nTo: <"...)
	b = append(b, d.parts.at(partRemote)...)
	b = append(b, '>')
	if tag := d.parts.at(partRemoteTag); tag != "" {
		b = append(b, ";tag="...)
		b = append(b, tag...)
	}
	b = append(b, "\r\nCall-ID: "...)
	b = append(b, d.parts.at(partCallID)...)
	b = append(b, "\r\nCSeq: "...)
	b = strconv.AppendUint(b, uint64(d.localCSeq), 10)
	b = append(b, " NOTIFY\r\nContact: "...)
	b = append(b, c.contact...)
	b = append(b, "\r\nEvent: "...)
	b = append(b, c.event...)
	b = appendState(b, n)
	out := transaction.Outgoing{Flow: d.flow.full(), Method: "NOTIFY", Line: line, User: d}
	if n.Body != nil {
		b = append(b, "\r\nContent-Type: "...)
		b = append(b, n.Body.Type...)
		out.Body = n.Body.Data
	}
	b = append(b, "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(out.Body)), 10)
	out.Head = append(b, "\r\n\r\n"...)
	return out
}

// appendState prints Subscription-State: what is left of the time with active
// and pending, the reason with terminated (RFC 6665 §4.1.3). The time is cut
// to whole seconds, so that it never exceeds what is left.
func appendState(b []byte, n event.Notification) []byte {
	b = append(b, "\r\nSubscription-State: "...)
	b = append(b, n.State.String()...)
	if n.State != event.Terminated {
		b = append(b, ";expires="...)
		return strconv.AppendInt(b, int64(n.Expires/time.Second), 10)
	}
	if n.Reason != "" {
		b = append(b, ";reason="...)
		b = append(b, n.Reason...)
	}
	return b
}

// routing gives Request-URI and Route of a request with a route set: a strict
// router, which knows no lr, gets itself as Request-URI, and the target comes
// last (RFC 3261 §12.2.1.1).
func routing(target, routes string) (request, route string) {
	var all []string
	for r := range sip.SplitList(routes) {
		all = append(all, r)
	}
	first, err := sip.ParseAddress(all[0])
	if err != nil {
		return target, routes
	}
	if u, err := first.Parsed(); err == nil {
		if _, loose := u.Params.Get("lr"); !loose {
			return first.URI, strings.Join(append(all[1:], "<"+target+">"), ", ")
		}
	}
	return target, routes
}

// Done implements transaction.ClientUser.
func (d *dialog) Done(status int, response *sip.Message, err error) {
	o := outcome(status, response)
	if err != nil && o.Result == event.Failed {
		d.server().Logger.Debug("NOTIFY not sent", "watcher", d.part(partRemote), "call_id", d.part(partCallID), "err", err)
	}
	d.mu.Lock()
	if d.streamed && err != nil { // a connection that leads nowhere says nothing of the watcher: UDP is next
		d.noStream, o = true, event.Outcome{Result: event.Failed}
	}
	d.streamed = false
	if o.Result == event.Delivered {
		d.follow(response)
	} else if !d.direct {
		d.flow, d.moved = flow{}, true // another server may do better
	}
	over := d.ending || o.Result == event.Gone || o.Result == event.Silent
	subscription := d.subscription
	d.mu.Unlock()
	if over {
		d.server().dialogs.remove(d)
	}
	subscription.Notified(o)
}

// follow takes over the Contact of a 2xx (RFC 6665 §3.2). With d.mu.
func (d *dialog) follow(response *sip.Message) {
	if response == nil {
		return
	}
	value, ok := response.Header(sip.HeaderContact)
	if !ok {
		return
	}
	a, err := sip.ParseAddress(value)
	if err != nil || a.URI == d.parts.at(partTarget) {
		return
	}
	u, err := a.Parsed()
	if err != nil || !u.IsSIP() || d.server().suspicious(u, d.flow.full()) != nil {
		return
	}
	if p, err := d.parts.with(partTarget, a.URI); err == nil {
		d.parts, d.moved = p, true
		if !d.direct && p.at(partRoutes) == "" {
			d.flow = flow{} // it leads to the old target
		}
	}
}

// outcome sorts the answers to a NOTIFY: which end the subscription, and
// which do not (RFC 6665 §4.2.2, RFC 5057 §5.1).
func outcome(status int, response *sip.Message) event.Outcome {
	switch {
	case status/100 == 2:
		return event.Outcome{Result: event.Delivered}
	case status == 408:
		return event.Outcome{Result: event.Silent}
	}
	switch status {
	case 404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 502, 604:
		return event.Outcome{Result: event.Gone}
	}
	o := event.Outcome{Result: event.Failed}
	if response != nil {
		value, _ := response.Header(sip.HeaderRetryAfter)
		value, _, _ = strings.Cut(value, "(")
		value, _, _ = strings.Cut(value, ";")
		if n, ok := sip.ParseSeconds(strings.TrimSpace(value)); ok {
			o.RetryAfter = min(time.Duration(n)*time.Second, time.Hour)
		}
	}
	return o
}

var (
	_ event.Keeper = (*dialog)(nil)
	_ event.Named  = (*dialog)(nil)
)
