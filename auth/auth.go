// Package auth says who is asking: digest authentication for SIP and HTTP
// (RFC 7616, RFC 8760, RFC 3261 §22), peers whose word is taken (RFC 3325,
// RFC 5922), tokens, and the limits on what strangers may cost.
//
// Invariants:
//
//   - Passwords are kept nowhere; what is known of one is H(user:realm:password)
//     per algorithm.
//   - A nonce needs no table: it carries its issue time and is signed by the
//     server's secret (nonce.go). Only a nonce that was used with a right digest
//     costs memory, a window of its counts, until it expires (replay.go).
//   - An unknown user and a wrong password take the same path through the same
//     arithmetic and end in the same error.
//   - All tables are bounded. None of them needs a goroutine: what is old falls
//     out as new things come in (generations.go).
//   - No error and no String method shows a password, digest or nonce.
//
// Locks: every table has its own mutex, or one per shard; none is held while
// another is taken or the directory is asked.
package auth

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	"vigie/sip"
	"vigie/store"
)

var (
	// ErrNoCredentials says that the request holds none for the realm: it is
	// challenged. Other realms, unknown schemes and algorithms that are switched
	// off count as none.
	ErrNoCredentials = errors.New("auth: no credentials for this realm")
	// ErrAnonymous says that the request came as "anonymous" with the empty
	// password (RFC 3261 §22.1): nobody is behind it. It is an ErrNoCredentials.
	ErrAnonymous = fmt.Errorf("%w: the user is anonymous", ErrNoCredentials)
	// ErrRejected says that the user is unknown or the password wrong.
	ErrRejected = errors.New("auth: unknown user or wrong password")
	// ErrStale says that the password is right and the nonce too old or not
	// ours: the request is challenged with stale=true.
	ErrStale = errors.New("auth: the nonce has expired")
	// ErrReplay says that the password is right and the nonce count was used
	// before: the request is challenged with stale=true.
	ErrReplay = errors.New("auth: the nonce count was used before")
)

// Stale tells whether the challenge that answers err says stale=true.
func Stale(err error) bool { return errors.Is(err, ErrStale) || errors.Is(err, ErrReplay) }

// CredentialsError refuses credentials that are not of the form RFC 7616 §3.4
// asks for; the request is bad.
type CredentialsError struct{ Reason string }

func (e *CredentialsError) Error() string { return "auth: " + e.Reason }

// ThrottledError refuses to look at credentials after too many wrong ones.
type ThrottledError struct{ RetryAfter time.Duration }

func (e *ThrottledError) Error() string {
	return fmt.Sprintf("auth: too many wrong passwords, next try in %d s", e.Seconds())
}

// Seconds is RetryAfter as a header says it, at least one.
func (e *ThrottledError) Seconds() int {
	return max(1, int(math.Ceil(e.RetryAfter.Seconds())))
}

// Identity is who is asking. AOR is in the form of sip.URI.AOR and zero for
// somebody anonymous; Also holds further addresses that a trusted peer asserted
// for the same asker.
type Identity struct {
	AOR       sip.URI
	Also      []sip.URI
	Username  string
	Realm     string
	Anonymous bool
	Trusted   bool // a trusted peer vouched, not a password
	Admin     bool
}

// Of is the identity of somebody who proved to own the account: its address of
// record, whatever the request says in From.
func Of(a store.Account) (Identity, error) {
	u, err := sip.ParseURI(a.AOR)
	if err != nil {
		return Identity{}, fmt.Errorf("account %s: %w", a.AOR, err)
	}
	return Identity{AOR: u.AOR(), Username: a.Username, Realm: a.Realm, Admin: a.Admin}, nil
}

// Is tells whether the identity may call itself by this URI.
func (i Identity) Is(u sip.URI) bool {
	if i.Anonymous {
		return false
	}
	aor := u.AOR()
	if i.AOR == aor {
		return true
	}
	for _, also := range i.Also {
		if also == aor {
			return true
		}
	}
	return false
}

// Asserted reads the values of P-Asserted-Identity that a trusted peer sent
// (RFC 3325 §9.1): one sip or sips URI, one tel URI, or one of each. There is no
// identity when there is no value.
func Asserted(values iter.Seq[string]) (Identity, bool, error) {
	var all []sip.URI
	for value := range values {
		address, err := sip.ParseAddress(value)
		if err != nil {
			return Identity{}, false, fmt.Errorf("auth: P-Asserted-Identity: %w", err)
		}
		u, err := address.Parsed()
		if err != nil {
			return Identity{}, false, fmt.Errorf("auth: P-Asserted-Identity: %w", err)
		}
		if !u.IsSIP() && u.Scheme != "tel" {
			return Identity{}, false, fmt.Errorf("auth: P-Asserted-Identity names a %s URI", u.Scheme)
		}
		all = append(all, u.AOR())
	}
	switch {
	case len(all) == 0:
		return Identity{}, false, nil
	case len(all) > 2 || len(all) == 2 && all[0].IsSIP() == all[1].IsSIP():
		return Identity{}, false, errors.New("auth: P-Asserted-Identity names more than one sip and one tel URI")
	case len(all) == 2 && !all[0].IsSIP():
		all[0], all[1] = all[1], all[0]
	}
	return Identity{AOR: all[0], Also: all[1:], Trusted: true}, true, nil
}
