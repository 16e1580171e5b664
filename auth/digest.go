package auth

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"time"

	"vigie/sip"
	"vigie/store"
)

// DigestOptions configure a Digest. Zero fields mean the defaults.
type DigestOptions struct {
	// Accounts finds the account of a user; store.ErrNotFound when there is
	// none. Accounts.ByUser is meant for it.
	Accounts func(ctx context.Context, realm, username string) (store.Account, error)

	Secret        []byte        // signs nonces; at least 16 octets
	Algorithms    []string      // offered, most preferred first; default Algorithms()
	NonceLifetime time.Duration // default 5 min
	AllowNoQop    bool          // answers in the form of RFC 2069 count, once per nonce
	OfferAuthInt  bool
	MaxNonces     int // nonces in use whose counts are remembered, default 2^20
	MaxFailures   int // users and sources whose wrong passwords are counted, default 65536
	Metrics       *Metrics
}

func (o DigestOptions) validate() error {
	if o.Accounts == nil {
		return errors.New("auth: no way to find accounts")
	}
	if len(o.Secret) < 16 {
		return fmt.Errorf("auth: the secret has %d octets, it needs 16", len(o.Secret))
	}
	if o.NonceLifetime != 0 && o.NonceLifetime < 10*time.Second {
		return fmt.Errorf("auth: nonce lifetime %s is below 10 s", o.NonceLifetime)
	}
	for i, name := range o.Algorithms {
		if algorithmByName(name) == algorithmNone {
			return fmt.Errorf("auth: unknown digest algorithm %q, known are %s", name, strings.Join(Algorithms(), ", "))
		}
		if slices.ContainsFunc(o.Algorithms[:i], func(other string) bool { return strings.EqualFold(other, name) }) {
			return fmt.Errorf("auth: digest algorithm %q is named twice", name)
		}
	}
	return nil
}

// Digest authenticates by the digest scheme, as a user agent server does
// (RFC 3261 §22.2), and as well for HTTP.
type Digest struct {
	accounts     func(ctx context.Context, realm, username string) (store.Account, error)
	algorithms   []algorithm
	lifetime     time.Duration
	allowNoQop   bool
	offerAuthInt bool
	nonces       *nonces
	replay       *replay
	failures     *failures
	metrics      *Metrics
}

// NewDigest gives a verifier that has seen no nonce yet.
func NewDigest(o DigestOptions) (*Digest, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	d := &Digest{
		accounts:     o.Accounts,
		lifetime:     or(o.NonceLifetime, 5*time.Minute),
		allowNoQop:   o.AllowNoQop,
		offerAuthInt: o.OfferAuthInt,
		nonces:       newNonces(o.Secret),
		failures:     newFailures(or(o.MaxFailures, 1<<16)),
		metrics:      o.Metrics,
	}
	d.replay = newReplay(d.lifetime, or(o.MaxNonces, 1<<20))
	names := o.Algorithms
	if len(names) == 0 {
		names = Algorithms()
	}
	for _, name := range names {
		d.algorithms = append(d.algorithms, algorithmByName(name))
	}
	return d, nil
}

func (d *Digest) offers(a algorithm) bool { return slices.Contains(d.algorithms, a) }

// Challenges gives the values of WWW-Authenticate, one per algorithm, the most
// preferred first (RFC 8760 §2.3), all with the same fresh nonce.
func (d *Digest) Challenges(realm string, stale bool) []string {
	var fresh [nonceText]byte
	nonce := d.nonces.append(fresh[:0], realm, time.Now())
	quoted := sip.Quote(realm)
	rows := make([]string, len(d.algorithms))
	b := make([]byte, 0, 200)
	for i, a := range d.algorithms {
		b = append(append(b[:0], "Digest realm="...), quoted...)
		b = append(append(append(b, `, nonce="`...), nonce...), `", qop="auth`...)
		if d.offerAuthInt {
			b = append(b, ",auth-int"...)
		}
		b = append(append(b, `", algorithm=`...), a.String()...)
		if stale {
			b = append(b, ", stale=true"...)
		}
		rows[i] = string(b)
	}
	return rows
}

// Request is what Verify needs to know of a request.
type Request struct {
	Realm  string
	Method string
	Rows   iter.Seq[string] // rows of Authorization, unsplit
	Body   []byte           // for auth-int

	// Source is where the request came from; wrong passwords are counted against
	// it. Leave it zero for a trusted proxy, behind which everybody is.
	Source netip.Addr

	// Serves tells whether the uri in the credentials names something this server
	// serves: in SIP it may differ from the Request-URI (RFC 8760 §2.6), in HTTP
	// it must agree with the request target (RFC 7616 §3.4.6). Nil: anything goes.
	Serves func(uri string) bool
}

// Verify gives the account whose password the request proves to know. The
// account is shared and must not be changed. Errors: ErrNoCredentials (of which
// ErrAnonymous is one), ErrRejected, ErrStale and ErrReplay, for all of which the
// answer is a challenge with Stale(err); *CredentialsError, *ThrottledError; others
// come from the directory.
func (d *Digest) Verify(ctx context.Context, r Request) (store.Account, error) {
	account, err := d.verify(ctx, r)
	d.metrics.verified(err)
	return account, err
}

func (d *Digest) verify(ctx context.Context, r Request) (store.Account, error) {
	c, err := d.credentialsFor(r.Realm, r.Rows)
	if err != nil {
		return store.Account{}, err
	}
	if r.Serves != nil && !r.Serves(c.uri) {
		return store.Account{}, &CredentialsError{"the uri of the credentials names nothing served here"}
	}
	asker := d.failures.asker(c.realm, c.username, r.Source)
	if wait := d.failures.wait(asker); wait > 0 {
		return store.Account{}, &ThrottledError{RetryAfter: wait}
	}
	account, secret, err := d.secret(ctx, c)
	if err != nil {
		return store.Account{}, err
	}
	if !c.proves(secret, r.Method, r.Body) {
		d.failures.wrong(asker)
		return store.Account{}, ErrRejected
	}
	if err := d.spend(c); err != nil {
		return store.Account{}, err
	}
	if account.Username == "" {
		return store.Account{}, ErrAnonymous
	}
	d.failures.right(asker)
	return account, nil
}

// nobody stands in for the hash of a password that nobody has.
const nobody = "----------------------------------------------------------------"

// secret finds what is kept of the user's password. For an unknown user, or one
// without a hash under this algorithm, it gives something no password hashes to,
// so that the work that follows is the same. The user "anonymous", unless there is
// such an account, has the empty password and no account (RFC 3261 §22.1).
func (d *Digest) secret(ctx context.Context, c credentials) (store.Account, string, error) {
	account, err := d.accounts(ctx, c.realm, c.username)
	switch {
	case err == nil && account.Username == c.username:
		if secret := account.Digests[c.algorithm.String()]; len(secret) == c.algorithm.hexSize() {
			return account, secret, nil
		}
	case err == nil: // a directory that folds case: the hash is over the exact name
	case !errors.Is(err, store.ErrNotFound):
		return store.Account{}, "", fmt.Errorf("auth: look the user up: %w", err)
	case c.username == "anonymous":
		a1 := c.algorithm.appendHash(nil, []byte("anonymous:"+c.realm+":"))
		return store.Account{}, string(a1), nil
	}
	return store.Account{}, nobody[:c.algorithm.hexSize()], nil
}

// proves tells whether the response was made with the secret (RFC 7616 §3.4.1).
func (c *credentials) proves(secret, method string, body []byte) bool {
	var space [768]byte
	var hashes [3 * 64]byte
	a := c.algorithm

	b := append(append(append(space[:0], method...), ':'), c.uri...)
	if c.qop == "auth-int" {
		b = a.appendHash(append(b, ':'), body)
	}
	a2 := a.appendHash(hashes[:0:64], b)

	b = append(append(space[:0], secret...), ':')
	b = append(append(b, c.nonce...), ':')
	if c.qop != "" {
		b = append(append(b, c.nc...), ':')
		b = append(append(b, c.cnonce...), ':')
		b = append(append(b, c.qop...), ':')
	}
	b = append(b, a2...)
	want := a.appendHash(hashes[64:64:128], b)
	return subtle.ConstantTimeCompare(want, lowerHex(hashes[128:128:192], c.response)) == 1
}

// lowerHex appends s with its letters in lower case.
func lowerHex(b []byte, s string) []byte {
	for i := range len(s) {
		ch := s[i]
		if 'A' <= ch && ch <= 'F' {
			ch += 'a' - 'A'
		}
		b = append(b, ch)
	}
	return b
}

// spend uses the nonce count up. An answer without counts uses the whole nonce:
// it could not be told from its replay.
func (d *Digest) spend(c credentials) error {
	n, ours := d.nonces.open(c.nonce, c.realm)
	if !ours {
		return ErrStale
	}
	count := c.count
	if c.qop == "" {
		count = ^uint32(0)
	}
	switch d.replay.use(n, count, time.Now()) {
	case repeated:
		return ErrReplay
	case expired:
		return ErrStale
	}
	return nil
}
