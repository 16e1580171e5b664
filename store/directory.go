package store

import (
	"context"
	"maps"
	"slices"
	"time"
)

// Directory keeps accounts, tokens and settings. What it has confirmed is on
// the disk. Implementations are safe for concurrent use, and the file-backed
// ones for several processes at once.
type Directory interface {
	// Account gives the account of an address of record, or ErrNotFound.
	Account(ctx context.Context, aor string) (Account, error)

	// AccountByUser gives the account that authenticates by this username in
	// this realm, or ErrNotFound.
	AccountByUser(ctx context.Context, realm, username string) (Account, error)

	// Accounts gives all accounts of a domain, in order of AOR; of every domain
	// when domain is "".
	Accounts(ctx context.Context, domain string) ([]Account, error)

	// PutAccount creates the account or replaces it wholly. Created is kept
	// from the first time, Updated set. A username that another account of the
	// realm uses gives ErrConflict.
	PutAccount(ctx context.Context, a Account) error

	// DeleteAccount removes the account and the tokens that it owns, or gives
	// ErrNotFound.
	DeleteAccount(ctx context.Context, aor string) error

	// Token gives the token whose secret has this hash, or ErrNotFound. Whether
	// it has expired is for the caller to judge.
	Token(ctx context.Context, hash []byte) (Token, error)

	// Tokens gives the tokens an account owns, in order of name; all when aor
	// is "".
	Tokens(ctx context.Context, aor string) ([]Token, error)

	// PutToken creates the token or replaces the one with this hash.
	PutToken(ctx context.Context, t Token) error

	// DeleteToken removes the token with this hash, or gives ErrNotFound.
	DeleteToken(ctx context.Context, hash []byte) error

	// Setting gives a setting's value, or ErrNotFound.
	Setting(ctx context.Context, name string) ([]byte, error)

	// PutSetting writes a setting.
	PutSetting(ctx context.Context, name string, value []byte) error

	// Generation gives a number that differs from what it was before whenever
	// anything in the directory may have changed, whoever wrote it, another
	// process included. It is cheap, and has a meaning only for the directory
	// value that gave it: a cache that holds the present generation is good.
	Generation(ctx context.Context) (uint64, error)

	Close() error
}

// Account is a person or device that may authenticate.
type Account struct {
	AOR      string // address of record, "sip:alice@example.com"
	Username string // for authentication, with Realm
	Realm    string

	// Digests are the hexadecimal hashes of username:realm:password, by
	// algorithm: "MD5", "SHA-256", "SHA-512-256" (RFC 7616 §3.4.2, RFC 8760).
	// The password itself is kept nowhere.
	Digests map[string]string

	Delegates []string // AORs that may publish for this account
	Admin     bool
	Created   time.Time
	Updated   time.Time
}

// Clone gives an account that shares nothing with a.
func (a Account) Clone() Account {
	a.Digests = maps.Clone(a.Digests)
	a.Delegates = slices.Clone(a.Delegates)
	return a
}

// Token lets a program in without a password.
type Token struct {
	Name    string
	Hash    []byte // SHA-256 of the secret, which is kept nowhere
	AOR     string // the owner's address of record; "" for the server's own
	Admin   bool
	Created time.Time
	Expires time.Time // zero: never
}

// Domain gives the domain part of an address of record, "" if there is none.
func Domain(aor string) string {
	for i := len(aor) - 1; i >= 0; i-- {
		if aor[i] == '@' {
			return aor[i+1:]
		}
	}
	return ""
}
