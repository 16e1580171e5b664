package sipserver

import (
	"errors"
	"fmt"
	"slices"

	"vigie/event"
	"vigie/sip"
	"vigie/store"
)

// publish handles PUBLISH by the steps of RFC 3903 §6. It creates no dialog;
// Contact, Record-Route and a To tag play no part.
func (x *exchange) publish() error {
	who, err := x.identify()
	if err != nil {
		return err
	}
	aor, _, err := x.target() // step 1
	if err != nil {
		return err
	}
	if err := x.owner(who, aor); err != nil {
		return err
	}
	if err := x.required(); err != nil {
		return err
	}
	_, pkg, err := x.event() // step 2
	if err != nil {
		return err
	}
	tag, err := x.ifMatch() // step 3, its form
	if err != nil {
		return err
	}
	body, err := x.body()
	if err != nil {
		return err
	}
	q := event.Publish{
		Resource: event.Resource{Package: pkg.Name(), URI: aor},
		IfMatch:  tag,
		Expires:  x.expires(),
		Body:     body,
	}
	receipt, err := x.server.Events.Publish(x.Context, q)
	if _, foreign := errors.AsType[*event.UnsupportedBodyError](err); foreign && x.optionalBody() {
		q.Body = nil // it counts as not there, RFC 3261 §8.2.3
		receipt, err = x.server.Events.Publish(x.Context, q)
	}
	if err != nil {
		return err
	}
	r := x.response(200) // step 6
	r.Add(sip.HeaderExpires, seconds(receipt.Expires))
	r.Add(sip.HeaderSIPETag, receipt.EntityTag)
	x.send(r)
	return nil
}

// ifMatch gives the one entity-tag of SIP-If-Match, "" for none.
func (x *exchange) ifMatch() (string, error) {
	n, tag := 0, ""
	for tag = range x.req.Values(sip.HeaderSIPIfMatch) {
		n++
	}
	if n > 1 || n == 0 && x.req.Count(sip.HeaderSIPIfMatch) > 0 {
		return "", refuse(400, "SIP-If-Match takes exactly one entity-tag")
	}
	return tag, nil
}

// owner refuses publishers other than the presentity and its delegates
// (RFC 3903 §14.1).
func (x *exchange) owner(who event.Identity, aor sip.URI) error {
	if who.URI == aor || slices.Contains(who.Also, aor) {
		return nil
	}
	account, err := x.server.Accounts.ByAOR(x.Context, aor.String())
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("look for the delegates of %s: %w", aor, err)
	}
	if slices.Contains(account.Delegates, who.URI.String()) {
		return nil
	}
	return x.server.unwelcome(refuse(403, "Only the presentity and its delegates may publish"))
}
