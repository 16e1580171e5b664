package sipserver

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"vigie/auth"
	"vigie/event"
	"vigie/sip"
	"vigie/sip/transport"
)

// identify says who asks: whom a trusted peer asserts (RFC 3325 §5), whose
// password the request proves to know, or, in laboratories, whom From names.
// Without an answer to that the error is a challenge.
func (x *exchange) identify() (event.Identity, error) {
	who, err := x.whoAsks()
	x.known = err == nil
	return who, err
}

func (x *exchange) whoAsks() (event.Identity, error) {
	s := x.server
	trusted := x.trusted()
	if trusted {
		asserted, ok, err := auth.Asserted(x.req.Values(sip.HeaderPAssertedIdentity))
		if err != nil {
			return event.Identity{}, refuse(400, phrase(err.Error()))
		}
		if ok {
			return event.Identity{URI: asserted.AOR, Also: asserted.Also}, nil
		}
	}
	from, err := x.req.From.Parsed()
	if err != nil {
		return event.Identity{}, refuse(400, phrase(err.Error()))
	}
	if s.Digest == nil {
		return event.Identity{URI: from.AOR()}, nil
	}
	return x.authenticate(from, trusted)
}

// trusted tells requests of peers that are believed.
func (x *exchange) trusted() bool {
	t := x.server.Trusted
	return t != nil && t.Believes(x.tx.Flow.Remote.Addr(), x.tx.Flow.PeerCertificates())
}

// Allows says whether a source that has not told who it is gets one more answer
// (SEC-02). Everybody is behind a trusted peer.
func (s *Server) Allows(f transport.Flow) bool {
	return s.Sources == nil || s.Trusted != nil && s.Trusted.Believes(f.Remote.Addr(), f.PeerCertificates()) ||
		s.Sources.Allow(f.Remote.Addr())
}

// authenticate verifies the credentials. The identity is the account's, and
// From must be it (RFC 3261 §22.3, AUT-12).
func (x *exchange) authenticate(from sip.URI, trusted bool) (event.Identity, error) {
	s := x.server
	source := x.tx.Flow.Remote.Addr()
	if trusted {
		source = netip.Addr{} // everybody is behind it
	}
	realm, local := x.realm(from), x.tx.Flow.Local.Addr()
	account, err := s.Digest.Verify(x.Context, auth.Request{
		Realm:  realm,
		Method: x.req.Method,
		Rows:   x.req.Rows(sip.HeaderAuthorization),
		Body:   x.req.Body,
		Source: source,
		Serves: func(uri string) bool { return s.serves(uri, local) },
	})
	if err != nil {
		return event.Identity{}, x.unauthenticated(realm, err)
	}
	who, err := auth.Of(account)
	if err != nil {
		return event.Identity{}, fmt.Errorf("account of %s: %w", from.AOR(), err)
	}
	if !who.Is(from) {
		return event.Identity{}, refuse(403, "From is not the authenticated user")
	}
	return event.Identity{URI: who.AOR, Also: who.Also}, nil
}

// unauthenticated answers what Verify did not accept: by a challenge.
func (x *exchange) unauthenticated(realm string, err error) error {
	var form *auth.CredentialsError
	var throttled *auth.ThrottledError
	switch {
	case errors.As(err, &form):
		return refuse(400, phrase(form.Reason))
	case errors.As(err, &throttled):
		return refuse(503, "").with(sip.HeaderRetryAfter, strconv.Itoa(throttled.Seconds()))
	case !errors.Is(err, auth.ErrNoCredentials) && !errors.Is(err, auth.ErrRejected) &&
		!errors.Is(err, auth.ErrStale) && !errors.Is(err, auth.ErrReplay):
		return err
	}
	r := refuse(401, "")
	r.cause = err
	for _, challenge := range x.server.Digest.Challenges(realm, auth.Stale(err)) {
		r.with(sip.HeaderWWWAuthenticate, challenge)
	}
	return r
}

// realm is the tenant whose users may be asking: that of From, else that of
// the Request-URI, else the first.
func (x *exchange) realm(from sip.URI) string {
	if x.server.domains[from.Host] {
		return from.Host
	}
	if to, err := sip.ParseURI(x.req.RequestURI); err == nil && x.server.domains[to.Host] {
		return to.Host
	}
	return x.server.Domains[0]
}

// serves tells whether the uri of credentials names something of this server
// (RFC 3261 §22.4): one of its domains or its own address, which in-dialog
// requests are sent to. local is the address that the request arrived at.
func (s *Server) serves(uri string, local netip.Addr) bool {
	u, err := sip.ParseURI(uri)
	if err != nil {
		return false
	}
	if s.domains[u.Host] {
		return true
	}
	for _, e := range s.network.Listeners() {
		if e.Host == u.Host {
			return true
		}
	}
	return s.isOwn(u, local)
}

// isOwn tells whether a URI's host is a numeric address we listen on; local is
// the one that the message arrived at.
func (s *Server) isOwn(u sip.URI, local netip.Addr) bool {
	addr, ok := numeric(u)
	if !ok {
		return false
	}
	if u.Port != 0 {
		return s.listensOn(addr, u.Port, local)
	}
	return s.listensOn(addr, transport.UDP.DefaultPort(), local) || s.listensOn(addr, transport.TLS.DefaultPort(), local)
}
