package store

import (
	"errors"
	"fmt"
	"strings"
)

// ErrInvalid is under every error that says what is wrong with an account or
// token; nothing was written.
var ErrInvalid = errors.New("store: invalid")

// Validate says what keeps the account from being stored.
func (a Account) Validate() error {
	user, domain, ok := strings.Cut(strings.TrimPrefix(a.AOR, "sip:"), "@")
	switch {
	case !strings.HasPrefix(a.AOR, "sip:") || !ok || user == "" || domain == "":
		return fmt.Errorf("%w account: the address of record %q is not of the form sip:user@domain", ErrInvalid, a.AOR)
	case a.Username == "":
		return fmt.Errorf("%w account %s: it has no username", ErrInvalid, a.AOR)
	case a.Realm == "":
		return fmt.Errorf("%w account %s: it has no realm", ErrInvalid, a.AOR)
	}
	return nil
}

// Validate says what keeps the token from being stored.
func (t Token) Validate() error {
	if len(t.Hash) == 0 {
		return fmt.Errorf("%w token %q: it has no hash", ErrInvalid, t.Name)
	}
	return nil
}
