package api

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"vigie/auth"
	"vigie/event"
	"vigie/sip"
	"vigie/store"
)

// caller is who asks. The local token has no address of its own.
type caller struct {
	aor   sip.URI
	admin bool
}

// owns says that the caller speaks for the address: it is its own, or the
// caller is an administrator.
func (c caller) owns(aor sip.URI) bool { return c.admin || c.aor == aor }

// watcher is the identity under which the caller watches. An administrator sees
// what the presentity itself would.
func (c caller) watcher(presentity sip.URI) event.Identity {
	if c.admin {
		return event.Identity{URI: presentity}
	}
	return event.Identity{URI: c.aor}
}

// handler answers a request of a known caller; an error becomes a refusal.
type handler func(w http.ResponseWriter, r *http.Request, c caller) error

// authenticated lets known callers in.
func (s *Server) authenticated(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := s.identify(r)
		if err != nil {
			s.challenge(w, r, err)
			return
		}
		if err := h(w, r, c); err != nil {
			s.refuse(w, r, err)
		}
	})
}

// administrators lets administrators in.
func (s *Server) administrators(h handler) http.Handler {
	return s.authenticated(func(w http.ResponseWriter, r *http.Request, c caller) error {
		if !c.admin {
			return &Problem{Status: 403, Code: "not-admin", Detail: "only administrators may do this"}
		}
		return h(w, r, c)
	})
}

var errUnknownToken = &Problem{Status: 401, Code: "unknown-token", Detail: "the token is not known, or it has expired",
	Hint: "`vigie account token` makes one"}

// identify finds out who asks.
func (s *Server) identify(r *http.Request) (caller, error) {
	scheme, credentials, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch strings.ToLower(scheme) {
	case "bearer":
		return s.bearer(r.Context(), strings.TrimSpace(credentials))
	case "digest":
		return s.digest(r)
	}
	return caller{}, &Problem{Status: 401, Code: "credentials-missing", Detail: "this needs a token or a password",
		Hint: "send Authorization: Bearer TOKEN, or answer the digest challenge (curl --digest -u USER)"}
}

func (s *Server) bearer(ctx context.Context, secret string) (caller, error) {
	hash := auth.HashToken(secret)
	if subtle.ConstantTimeCompare(hash, s.LocalToken) == 1 {
		return caller{admin: true}, nil
	}
	t, err := s.Directory.Token(ctx, hash)
	if errors.Is(err, store.ErrNotFound) || err == nil && !t.Expires.IsZero() && !time.Now().Before(t.Expires) {
		return caller{}, errUnknownToken
	}
	if err != nil {
		return caller{}, fmt.Errorf("look for a token: %w", err)
	}
	if t.AOR == "" {
		return caller{admin: t.Admin}, nil
	}
	// An owner who is no administrator any more takes that from the token too.
	owner, err := s.Directory.Account(ctx, t.AOR)
	if errors.Is(err, store.ErrNotFound) {
		return caller{}, errUnknownToken
	}
	if err != nil {
		return caller{}, fmt.Errorf("look for the owner of a token: %w", err)
	}
	return account(owner, t.Admin && owner.Admin)
}

func (s *Server) digest(r *http.Request) (caller, error) {
	if s.Digest == nil {
		return caller{}, &Problem{Status: 401, Code: "digest-off", Detail: "passwords are not taken here", Hint: "use a token"}
	}
	source, _ := netip.ParseAddrPort(r.RemoteAddr)
	a, err := s.Digest.Verify(r.Context(), auth.Request{
		Realm: s.realm(r), Method: r.Method, Rows: slices.Values(r.Header.Values("Authorization")), Source: source.Addr().Unmap(),
		Serves: func(uri string) bool { return uri == r.RequestURI },
	})
	if err != nil {
		return caller{}, err
	}
	return account(a, a.Admin)
}

func account(a store.Account, admin bool) (caller, error) {
	who, err := auth.Of(a)
	return caller{aor: who.AOR, admin: admin}, err
}

// realm is the tenant that the request names by its Host, else the first one.
func (s *Server) realm(r *http.Request) string {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if host = strings.ToLower(host); slices.Contains(s.Domains, host) || len(s.Domains) == 0 {
		return host
	}
	return s.Domains[0]
}

// challenge answers a request whose credentials do not do.
func (s *Server) challenge(w http.ResponseWriter, r *http.Request, err error) {
	var throttled *auth.ThrottledError
	var malformed *auth.CredentialsError
	var problem *Problem
	switch {
	case errors.As(err, &throttled):
		w.Header().Set("Retry-After", strconv.Itoa(throttled.Seconds()))
		s.refuse(w, r, &Problem{Status: 429, Code: "too-many-failures", Detail: "too many wrong passwords", Hint: "wait a little"})
		return
	case errors.As(err, &malformed):
		s.refuse(w, r, &Problem{Status: 400, Code: "bad-credentials", Detail: malformed.Reason})
		return
	case errors.As(err, &problem):
	case auth.Stale(err), errors.Is(err, auth.ErrNoCredentials), errors.Is(err, auth.ErrRejected):
		problem = &Problem{Status: 401, Code: "wrong-credentials", Detail: "the user is not known or the password is wrong"}
	default:
		s.refuse(w, r, err)
		return
	}
	w.Header().Add("WWW-Authenticate", "Bearer")
	if s.Digest != nil {
		for _, c := range s.Digest.Challenges(s.realm(r), auth.Stale(err)) {
			w.Header().Add("WWW-Authenticate", c)
		}
	}
	s.refuse(w, r, problem)
}
