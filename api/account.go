package api

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"vigie/auth"
	"vigie/sip"
	"vigie/store"
)

// Account is an account as the API shows it: without secrets.
type Account struct {
	Address   string    `json:"address"` // "alice@example.com"
	Username  string    `json:"username"`
	Realm     string    `json:"realm"`
	Admin     bool      `json:"admin"`
	Delegates []string  `json:"delegates"`
	Created   time.Time `json:"created"`
	Updated   time.Time `json:"updated"`

	// Password is set in the answer to a creation or change that left the
	// choice of the password to the server, and nowhere else.
	Password string `json:"password,omitempty"`
}

// NewAccount asks for an account. Username is the user part of the address when
// empty; an empty Password has the server choose one.
type NewAccount struct {
	Address   string   `json:"address"`
	Username  string   `json:"username,omitempty"`
	Password  string   `json:"password,omitempty"`
	Admin     bool     `json:"admin,omitempty"`
	Delegates []string `json:"delegates,omitempty"`
}

// AccountChange changes what it holds; nil leaves as it is. An empty Password
// has the server choose one.
type AccountChange struct {
	Password  *string   `json:"password,omitempty"`
	Admin     *bool     `json:"admin,omitempty"`
	Delegates *[]string `json:"delegates,omitempty"`
}

// AccountBook is what one can do with accounts, whether through a server
// ([Client]) or on the directory itself ([Accounts]).
type AccountBook interface {
	List(ctx context.Context, domain string) ([]Account, error)
	Add(ctx context.Context, a NewAccount) (Account, error)
	Change(ctx context.Context, address string, c AccountChange) (Account, error)
	Remove(ctx context.Context, address string) error
	NewToken(ctx context.Context, address string, t NewToken) (Token, error)
	Tokens(ctx context.Context, address string) ([]Token, error)
	RemoveToken(ctx context.Context, address, name string) error
}

// Accounts is the AccountBook over a directory. With Domains, accounts are made
// in these alone.
type Accounts struct {
	Directory store.Directory
	Domains   []string
}

// List gives the accounts of a domain, all when it is empty.
func (b *Accounts) List(ctx context.Context, domain string) ([]Account, error) {
	stored, err := b.Directory.Accounts(ctx, strings.ToLower(domain))
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	list := make([]Account, len(stored))
	for i, a := range stored {
		list[i] = shownAccount(a)
	}
	return list, nil
}

// Get gives one account.
func (b *Accounts) Get(ctx context.Context, address string) (Account, error) {
	a, err := b.stored(ctx, address)
	if err != nil {
		return Account{}, err
	}
	return shownAccount(a), nil
}

// Add makes an account and gives it back, with its password when the server
// chose it.
func (b *Accounts) Add(ctx context.Context, n NewAccount) (Account, error) {
	aor, err := ParseAddress(n.Address)
	if err != nil {
		return Account{}, err
	}
	if b.Domains != nil && !slices.Contains(b.Domains, aor.Host) {
		return Account{}, &Problem{Status: 400, Code: "foreign-domain", Detail: fmt.Sprintf("the domain %s is not served here", aor.Host),
			Hint: fmt.Sprintf("served are %s; others are added to domains in the configuration", strings.Join(b.Domains, ", "))}
	}
	if _, err := b.Directory.Account(ctx, aor.String()); err == nil {
		return Account{}, &Problem{Status: 409, Code: "account-exists", Detail: fmt.Sprintf("there is an account %s already", bare(aor.String())),
			Hint: "`vigie account password` changes its password"}
	} else if !errors.Is(err, store.ErrNotFound) {
		return Account{}, fmt.Errorf("look for account %s: %w", aor, err)
	}
	a := store.Account{AOR: aor.String(), Username: n.Username, Realm: aor.Host, Admin: n.Admin}
	if a.Username == "" {
		a.Username = aor.User
	}
	if a.Delegates, err = addresses(n.Delegates); err != nil {
		return Account{}, err
	}
	chosen, err := setPassword(&a, n.Password)
	if err != nil {
		return Account{}, err
	}
	return b.put(ctx, a, chosen)
}

// Change changes an account.
func (b *Accounts) Change(ctx context.Context, address string, c AccountChange) (Account, error) {
	a, err := b.stored(ctx, address)
	if err != nil {
		return Account{}, err
	}
	chosen := ""
	if c.Password != nil {
		if chosen, err = setPassword(&a, *c.Password); err != nil {
			return Account{}, err
		}
	}
	if c.Admin != nil {
		a.Admin = *c.Admin
	}
	if c.Delegates != nil {
		if a.Delegates, err = addresses(*c.Delegates); err != nil {
			return Account{}, err
		}
	}
	return b.put(ctx, a, chosen)
}

// Remove removes an account and its tokens.
func (b *Accounts) Remove(ctx context.Context, address string) error {
	aor, err := ParseAddress(address)
	if err != nil {
		return err
	}
	err = b.Directory.DeleteAccount(ctx, aor.String())
	if errors.Is(err, store.ErrNotFound) {
		return noAccount(aor)
	}
	if err != nil {
		return fmt.Errorf("remove account %s: %w", aor, err)
	}
	return nil
}

func (b *Accounts) put(ctx context.Context, a store.Account, chosen string) (Account, error) {
	err := b.Directory.PutAccount(ctx, a)
	switch {
	case errors.Is(err, store.ErrConflict):
		return Account{}, &Problem{Status: 409, Code: "username-taken",
			Detail: fmt.Sprintf("another account of %s has the username %s", a.Realm, a.Username), Hint: "choose another username"}
	case errors.Is(err, store.ErrInvalid):
		return Account{}, &Problem{Status: 400, Code: "bad-account", Detail: err.Error()}
	case err != nil:
		return Account{}, fmt.Errorf("write account %s: %w", a.AOR, err)
	}
	written, err := b.Directory.Account(ctx, a.AOR)
	if err != nil {
		return Account{}, fmt.Errorf("read account %s: %w", a.AOR, err)
	}
	shown := shownAccount(written)
	shown.Password = chosen
	return shown, nil
}

func (b *Accounts) stored(ctx context.Context, address string) (store.Account, error) {
	aor, err := ParseAddress(address)
	if err != nil {
		return store.Account{}, err
	}
	a, err := b.Directory.Account(ctx, aor.String())
	if errors.Is(err, store.ErrNotFound) {
		return store.Account{}, noAccount(aor)
	}
	if err != nil {
		return store.Account{}, fmt.Errorf("look for account %s: %w", aor, err)
	}
	return a, nil
}

func noAccount(aor sip.URI) error {
	return &Problem{Status: 404, Code: "no-account", Detail: fmt.Sprintf("there is no account %s", bare(aor.String())),
		Hint: "`vigie account list` shows all there are"}
}

// ParseAddress reads "alice@example.com" or "sip:alice@example.com" as an
// address of record.
func ParseAddress(s string) (sip.URI, error) {
	refused := func() (sip.URI, error) {
		return sip.URI{}, &Problem{Status: 400, Code: "bad-address", Detail: fmt.Sprintf("%q is no address", s),
			Hint: "write user@domain, such as alice@example.com"}
	}
	full := s
	if !strings.Contains(full, ":") || !strings.HasPrefix(full, "sip") {
		full = "sip:" + full
	}
	uri, err := sip.ParseURI(full)
	if err != nil || !uri.IsSIP() || uri.User == "" || uri.Host == "" || uri.Headers != "" {
		return refused()
	}
	return uri.AOR(), nil
}

func addresses(list []string) ([]string, error) {
	aors := make([]string, 0, len(list))
	for _, address := range list {
		aor, err := ParseAddress(address)
		if err != nil {
			return nil, err
		}
		aors = append(aors, aor.String())
	}
	return aors, nil
}

// setPassword hashes a password into the account; it chooses one, and says
// which, when there is none.
func setPassword(a *store.Account, password string) (chosen string, err error) {
	if password == "" {
		chosen = newPassword()
		password = chosen
	}
	if len(password) > 512 || strings.ContainsAny(password, "\r\n\x00") {
		return "", &Problem{Status: 400, Code: "bad-password", Detail: "the password holds a line end, or more than 512 bytes",
			Hint: "choose another"}
	}
	a.Digests = auth.HashPassword(a.Username, a.Realm, password)
	return chosen, nil
}

// newPassword is random text of about 100 bits that can be read out loud: no
// letters that look alike, in groups.
func newPassword() string {
	const letters = "abcdefghjkmnpqrstuvwxyz23456789" // 31 letters
	var b strings.Builder
	for b.Len() < 23 {
		if b.Len()%6 == 5 {
			b.WriteByte('-')
			continue
		}
		var one [1]byte
		rand.Read(one[:])
		if int(one[0]) < 256/len(letters)*len(letters) {
			b.WriteByte(letters[int(one[0])%len(letters)])
		}
	}
	return b.String()
}

func shownAccount(a store.Account) Account {
	delegates := make([]string, len(a.Delegates))
	for i, d := range a.Delegates {
		delegates[i] = bare(d)
	}
	return Account{Address: bare(a.AOR), Username: a.Username, Realm: a.Realm, Admin: a.Admin,
		Delegates: delegates, Created: a.Created, Updated: a.Updated}
}

// bare is an address of record as people write it.
func bare(aor string) string { return strings.TrimPrefix(aor, "sip:") }
