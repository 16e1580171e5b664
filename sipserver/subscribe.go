package sipserver

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"vigie/event"
	"vigie/sip"
)

// subscribe handles SUBSCRIBE (RFC 6665 §4.2.1): a new subscription, or one
// that goes on in its dialog.
func (x *exchange) subscribe() error {
	if x.req.To.Tag() != "" {
		return x.resubscribe()
	}
	who, err := x.identify()
	if err != nil {
		return err
	}
	aor, entity, err := x.target()
	absent := err
	if err != nil && !x.server.unwelcomed(err) {
		return err
	}
	if err := x.required(); err != nil {
		return err
	}
	ev, pkg, err := x.event()
	if err != nil {
		return err
	}
	target, err := x.contact()
	if err != nil {
		return err
	}
	form, err := x.accept(pkg)
	if err != nil {
		return err
	}
	form.Entity = entity
	if err := x.noBody(); err != nil {
		return err
	}
	d, err := x.newDialog(who, ev, target, entity)
	if err != nil {
		return err
	}
	if absent != nil { // said only here, where a refused watcher hears it too
		return absent
	}
	return x.begin(d, event.Subscribe{
		Resource: event.Resource{Package: pkg.Name(), URI: aor},
		Watcher:  who,
		Expires:  x.expires(),
		Form:     form,
	})
}

// begin asks for the subscription and answers. The NOTIFY that the engine
// sends at once is held until the 200 is on its way (EVT-10).
func (x *exchange) begin(d *dialog, q event.Subscribe) error {
	x.server.dialogs.add(d)
	subscription, err := x.server.Events.Subscribe(x.Context, q, d)
	if err != nil {
		x.server.dialogs.remove(d)
		return err
	}
	d.stored()
	r := sip.NewAnswer(200, "")
	r.To.Params = d.tag.param()
	for route := range x.req.Rows(sip.HeaderRecordRoute) { // RFC 3261 §12.1.1
		r.Add(sip.HeaderRecordRoute, route)
	}
	r.Add(sip.HeaderContact, d.common.Value().contact)
	r.Add(sip.HeaderExpires, x.seconds(subscription.Expires()))
	r.Add(sip.HeaderAllowEvents, x.server.allowEvents())
	if x.server.ServerHeader != "" {
		r.Add(sip.HeaderServer, x.server.ServerHeader)
	}
	x.send(r)
	d.release()
	return nil
}

// resubscribe refreshes or ends a subscription in its dialog
// (RFC 6665 §4.2.1.4).
func (x *exchange) resubscribe() error {
	who, err := x.identify()
	if err != nil {
		return err
	}
	if err := x.required(); err != nil {
		return err
	}
	d := x.server.dialogs.find(x.req.CallID, x.req.To.Tag(), x.req.From.Tag())
	if d == nil {
		return refuse(481, "Subscription does not exist")
	}
	if !writes(d.Name(), who.URI) { // RFC 6665 §6.5
		return refuse(403, "The dialog belongs to somebody else")
	}
	ev, pkg, err := x.event()
	if err != nil {
		return err
	}
	if eventField(ev) != d.common.Value().event { // RFC 7621 §2
		return refuse(403, "Dialog sharing is not supported")
	}
	target, err := x.newTarget(d)
	if err != nil {
		return err
	}
	form, err := x.accept(pkg)
	if err != nil {
		return err
	}
	if err := x.noBody(); err != nil {
		return err
	}
	return x.refresh(d, target, form)
}

// refresh follows a checked SUBSCRIBE in the dialog. What it changes in the
// dialog is undone when the engine refuses (DLG-08).
func (x *exchange) refresh(d *dialog, target string, form event.Form) error {
	form.Entity = d.part(partEntity)
	before, err := d.advance(x.req.CSeq.Number, target, x.tx.Flow, x.direct())
	if err != nil {
		return err
	}
	subscription := d.current()
	if subscription == nil {
		d.undo(before)
		return event.ErrGone
	}
	granted, err := subscription.Refresh(x.Context, event.Refresh{Expires: x.expires(), Form: form})
	if err != nil {
		d.undo(before)
		return err
	}
	d.stored()
	r := x.response(200)
	r.Add(sip.HeaderContact, d.common.Value().contact)
	r.Add(sip.HeaderExpires, x.seconds(granted))
	x.send(r)
	d.release()
	return nil
}

// contact gives the remote target: exactly one sip or sips Contact
// (RFC 3261 §8.1.1.8).
func (x *exchange) contact() (string, error) {
	n, value := 0, ""
	for value = range x.req.Values(sip.HeaderContact) {
		n++
	}
	if n != 1 {
		return "", refuse(400, "SUBSCRIBE needs exactly one Contact")
	}
	a, err := sip.ParseAddress(value)
	if err != nil {
		return "", refuse(400, phrase(err.Error()))
	}
	u, err := a.Parsed()
	if err != nil || !u.IsSIP() {
		return "", refuse(400, "Contact is not a sip or sips URI")
	}
	target := strings.TrimSuffix(a.URI, "?"+u.Headers) // no Request-URI has them (RFC 3261 §19.1.1)
	return target, x.server.suspicious(u, x.tx.Flow)
}

// newTarget is the Contact of a SUBSCRIBE within a dialog, which may leave it out
// or repeat the one there is; "" then.
func (x *exchange) newTarget(d *dialog) (string, error) {
	switch value, _ := x.req.Header(sip.HeaderContact); x.req.Count(sip.HeaderContact) {
	case 0:
		return "", nil
	case 1:
		if d.targets(value, x.tx.Flow) {
			return "", nil
		}
	}
	return x.contact()
}

// accept negotiates the body of notifications by the Accept of this SUBSCRIBE
// (RFC 6665 §4.1.2.1); without one the package's default holds.
func (x *exchange) accept(pkg event.Package) (event.Form, error) {
	types := pkg.NotifyTypes()
	value, said := x.req.Header(sip.HeaderAccept)
	if !said || value == types[0] && x.req.Count(sip.HeaderAccept) == 1 { // as nearly all do
		return event.Form{Type: types[0]}, nil
	}
	accept, err := sip.ParseAccept(x.req.Values(sip.HeaderAccept))
	if err != nil {
		return event.Form{}, refuse(400, phrase(err.Error()))
	}
	best, ok := accept.Best(types...)
	if !ok {
		return event.Form{}, refuse(406, "").with(sip.HeaderAccept, strings.Join(types, ", "))
	}
	i := slices.Index(types, best)
	if i < 0 {
		return event.Form{Type: best}, nil
	}
	return event.Form{Type: types[i]}, nil
}

// noBody refuses bodies that must be understood: no package takes one in
// SUBSCRIBE.
func (x *exchange) noBody() error {
	if len(x.req.Body) == 0 || x.optionalBody() {
		return nil
	}
	return refuse(415, "SUBSCRIBE bodies are not understood").with(sip.HeaderAccept, "")
}

// direct says whether the request came straight from the device: one Via.
func (x *exchange) direct() bool {
	n := 0
	for range x.req.Values(sip.HeaderVia) {
		n++
	}
	return n == 1
}

// seconds writes a lifetime; most get the one they ask for, and then it is
// written already.
func (x *exchange) seconds(d time.Duration) string {
	var space [20]byte
	text := strconv.AppendInt(space[:0], int64(d/time.Second), 10)
	if wish, _ := x.req.Header(sip.HeaderExpires); wish == string(text) {
		return wish
	}
	return string(text)
}

// writes says whether text is how u is printed.
func writes(text string, u sip.URI) bool {
	var space [128]byte
	return string(u.AppendTo(space[:0])) == text
}

// newDialog makes the dialog that a 2xx will establish.
func (x *exchange) newDialog(who event.Identity, ev sip.Event, target, entity string) (*dialog, error) {
	var routes strings.Builder
	for route := range x.req.Values(sip.HeaderRecordRoute) {
		if routes.Len() > 0 {
			routes.WriteString(", ")
		}
		routes.WriteString(route)
	}
	watcher := ""
	if !writes(x.req.From.URI, who.URI) {
		watcher = who.URI.String()
	}
	p, err := makeParts([partCount]string{
		partCallID:    x.req.CallID,
		partRemoteTag: x.req.From.Tag(),
		partLocal:     x.req.To.URI,
		partRemote:    x.req.From.URI,
		partTarget:    target,
		partRoutes:    routes.String(),
		partEntity:    entity,
		partWatcher:   watcher,
	})
	if err != nil {
		return nil, refuse(400, phrase(err.Error()))
	}
	d := &dialog{tag: newTag(), parts: p, direct: x.direct(), remoteCSeq: x.req.CSeq.Number, answering: true}
	d.common = x.server.commons.of(x.server, arrival{
		own:    x.tx.Flow.Endpoint(),
		secure: strings.HasPrefix(x.req.RequestURI, "sips:"),
		event:  eventField(ev),
	})
	d.local = x.tx.Flow.Remote.Addr().IsLoopback()
	if d.direct {
		d.flow = makeFlow(x.tx.Flow)
	}
	return d, nil
}

// eventField repeats the package and id of a subscription and nothing else
// (RFC 6665 §3.2.1).
func eventField(ev sip.Event) string {
	if ev.ID == "" {
		return ev.Package
	}
	return ev.Package + ";id=" + ev.ID
}
