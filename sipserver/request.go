package sipserver

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"vigie/event"
	"vigie/sip"
	"vigie/sip/transaction"
	"vigie/store"
)

// allow lists the methods served (RFC 3261 §20.5).
const allow = "CANCEL, OPTIONS, PUBLISH, SUBSCRIBE"

// exchange is one request with the means to answer it. It stays on the stack:
// what outlives a call gets its parts.
type exchange struct {
	context.Context
	server *Server
	tx     *transaction.ServerTransaction
	req    *sip.Message
	// known: it has been found out who asks. Until then nothing of the request
	// is kept, and its source gets no more answers than it may (SEC-01, SEC-02).
	known bool
}

func (x *exchange) response(status int) *sip.Message {
	r := sip.NewAnswer(status, "")
	r.To = x.req.To // within a dialog no tag is made
	if x.server.ServerHeader != "" {
		r.Add(sip.HeaderServer, x.server.ServerHeader)
	}
	return r
}

// send sends the response and releases it.
func (x *exchange) send(r *sip.Message) {
	defer r.Release()
	respond := x.tx.Respond
	if !x.known {
		if !x.server.Allows(x.tx.Flow) {
			x.server.Metrics.silences.Inc()
			x.tx.Ignore()
			return
		}
		if x.req.Method != "INVITE" { // whose refusal is repeated until the ACK
			respond = x.tx.Stateless
		}
	}
	if r.Status == 401 {
		x.server.Metrics.challenges.Inc()
	}
	if err := respond(r); err != nil {
		x.server.Logger.Debug("response not sent", "call_id", x.req.CallID, "peer", x.tx.Flow.Remote, "err", err)
	}
}

// answer sends a refusal.
func (x *exchange) answer(r *refused) {
	m := x.response(r.status)
	if r.reason != "" {
		m.Reason = r.reason
	}
	for _, h := range r.headers {
		m.Add(h.ID, h.Value)
	}
	x.send(m)
}

// unsupported refuses what is not served: 405 for a method that some RFC
// defines, 501 for any other (RFC 3261 §8.2.1).
func (x *exchange) unsupported() error {
	if !sip.KnownMethod(x.req.Method) {
		return refuse(501, "")
	}
	return refuse(405, "").with(sip.HeaderAllow, allow)
}

// target says which presentity the Request-URI names, and how it was written
// if that is not its canonical form (PRS-05, PRS-06). The To field plays no
// part (RFC 3261 §8.2.2.1).
func (x *exchange) target() (aor sip.URI, entity string, err error) {
	uri, err := x.requestURI()
	if err != nil {
		return sip.URI{}, "", err
	}
	if uri.User == "" || !x.server.domains[uri.Host] {
		return sip.URI{}, "", x.server.unwelcome(refuse(404, ""))
	}
	aor = uri.AOR()
	if err := x.server.exists(x.Context, aor); err != nil {
		return sip.URI{}, "", err
	}
	uri.Params, uri.Headers, uri.Password, uri.Port = "", "", "", 0
	if uri != aor {
		entity = uri.String()
	}
	return aor, entity, nil
}

// requestURI gives the URI the request is for, of a scheme that is served. A
// strict router that found our address in Route has put it in the Request-URI,
// and what belongs there last in Route (RFC 3261 §16.4); Route plays no other
// part, for the request has arrived.
func (x *exchange) requestURI() (sip.URI, error) {
	uri, err := sip.ParseURI(x.req.RequestURI)
	if err != nil {
		return sip.URI{}, refuse(400, phrase(err.Error()))
	}
	if uri.User == "" && uri.IsSIP() && x.server.isOwn(uri, x.tx.Flow.Local.Addr()) {
		for route := range x.req.Values(sip.HeaderRoute) {
			if a, err := sip.ParseAddress(route); err == nil {
				if last, err := a.Parsed(); err == nil {
					uri = last
				}
			}
		}
	}
	switch uri.Scheme {
	case "sip", "sips", "pres":
		return uri, nil
	}
	return sip.URI{}, refuse(416, "")
}

// exists refuses addresses of record that nobody has.
func (s *Server) exists(ctx context.Context, aor sip.URI) error {
	if s.AnyPresentity {
		return nil
	}
	_, err := s.Accounts.ByAOR(ctx, aor.String())
	if errors.Is(err, store.ErrNotFound) {
		return s.unwelcome(refuse(404, ""))
	}
	return err
}

// required refuses option-tags that must be understood and are not
// (RFC 3261 §8.2.2.3). It names no more of them than an honest request has: the
// list is the client's, and the answer is kept.
func (x *exchange) required() error {
	const most, longest = 16, 64
	var unknown []string
	for tag := range x.req.Values(sip.HeaderRequire) {
		if len(tag) > longest || !sip.IsToken(tag) {
			return refuse(400, "Require has what is no option-tag")
		}
		if len(unknown) < most && !slices.Contains(unknown, tag) {
			unknown = append(unknown, tag)
		}
	}
	if unknown == nil {
		return nil
	}
	return refuse(420, "").with(sip.HeaderUnsupported, strings.Join(unknown, ", "))
}

// event reads which package the request is about (RFC 6665 §8.2.1).
func (x *exchange) event() (sip.Event, event.Package, error) {
	if x.req.Count(sip.HeaderEvent) > 1 {
		return sip.Event{}, nil, refuse(400, "More than one Event header field")
	}
	value, ok := x.req.Header(sip.HeaderEvent)
	if !ok {
		return sip.Event{}, nil, x.server.unknownPackage()
	}
	ev, err := sip.ParseEvent(value)
	if err != nil {
		return sip.Event{}, nil, refuse(400, phrase(err.Error()))
	}
	if ev.Package == "Presence" { // COMPAT: Flexisip's old clients write it so
		ev.Package = "presence"
	}
	pkg, ok := x.server.Events.Package(ev.Package)
	if !ok {
		return sip.Event{}, nil, x.server.unknownPackage()
	}
	return ev, pkg, nil
}

// expires is the lifetime wished for; below zero when none is said. A value
// that is no number counts as none.
func (x *exchange) expires() time.Duration {
	n, ok := x.req.Expires()
	if !ok {
		return -1
	}
	return time.Duration(n) * time.Second
}

// body gives the request's body as the package takes it; nil when there is
// none.
func (x *exchange) body() (*event.Body, error) {
	if len(x.req.Body) == 0 {
		return nil, nil
	}
	if coding, ok := x.req.Header(sip.HeaderContentEncoding); ok && !strings.EqualFold(coding, "identity") {
		return nil, refuse(415, "").with(sip.HeaderAcceptEncoding, "identity")
	}
	value, _ := x.req.Header(sip.HeaderContentType)
	return &event.Body{Type: value, Data: x.req.Body}, nil
}

// optionalBody says that the sender can do without the body being understood
// (RFC 3261 §8.2.3, §20.11).
func (x *exchange) optionalBody() bool {
	value, ok := x.req.Header(sip.HeaderContentDisposition)
	if !ok {
		return false
	}
	_, params, _ := strings.Cut(value, ";")
	handling, _ := sip.Params(";" + params).Get("handling")
	return strings.EqualFold(handling, "optional")
}

func (s *Server) packages() string {
	names := s.Events.Packages()
	slices.Sort(names)
	return strings.Join(names, ", ")
}
