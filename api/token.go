package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vigie/auth"
	"vigie/store"
)

// NewToken asks for a token that acts for an account. ExpiresIn zero: never.
type NewToken struct {
	Name      string   `json:"name"`
	Admin     bool     `json:"admin,omitempty"`
	ExpiresIn Duration `json:"expires_in,omitempty"`
}

// Token is a token as the API shows it. Secret is set in the answer that made
// the token and kept nowhere.
type Token struct {
	Name    string     `json:"name"`
	Address string     `json:"address"`
	Admin   bool       `json:"admin"`
	Created time.Time  `json:"created"`
	Expires *time.Time `json:"expires,omitempty"`
	Secret  string     `json:"secret,omitempty"`
}

// NewToken makes a token for an account. Only an administrator's token can have
// an administrator's rights.
func (b *Accounts) NewToken(ctx context.Context, address string, n NewToken) (Token, error) {
	a, err := b.stored(ctx, address)
	if err != nil {
		return Token{}, err
	}
	switch {
	case n.Name == "" || len(n.Name) > 64:
		return Token{}, &Problem{Status: 400, Code: "bad-token", Detail: "a token needs a name of 1 to 64 bytes", Hint: "such as \"wallboard\""}
	case n.Admin && !a.Admin:
		return Token{}, &Problem{Status: 400, Code: "bad-token", Detail: fmt.Sprintf("%s is no administrator, nor can its token be", bare(a.AOR))}
	}
	if _, err := b.find(ctx, a.AOR, n.Name); err == nil {
		return Token{}, &Problem{Status: 409, Code: "token-exists", Detail: fmt.Sprintf("%s has a token %q already", bare(a.AOR), n.Name),
			Hint: "end it first, as `vigie account token --remove` does, or choose another name"}
	} else if !errors.Is(err, store.ErrNotFound) {
		return Token{}, err
	}
	secret, hash := auth.NewToken()
	t := store.Token{Name: n.Name, Hash: hash, AOR: a.AOR, Admin: n.Admin, Created: time.Now()}
	if n.ExpiresIn > 0 {
		t.Expires = t.Created.Add(time.Duration(n.ExpiresIn))
	}
	if err := b.Directory.PutToken(ctx, t); err != nil {
		return Token{}, fmt.Errorf("write token of %s: %w", a.AOR, err)
	}
	shown := shownToken(t)
	shown.Secret = secret
	return shown, nil
}

// Tokens gives the tokens of an account, without their secrets.
func (b *Accounts) Tokens(ctx context.Context, address string) ([]Token, error) {
	a, err := b.stored(ctx, address)
	if err != nil {
		return nil, err
	}
	stored, err := b.Directory.Tokens(ctx, a.AOR)
	if err != nil {
		return nil, fmt.Errorf("list tokens of %s: %w", a.AOR, err)
	}
	list := make([]Token, len(stored))
	for i, t := range stored {
		list[i] = shownToken(t)
	}
	return list, nil
}

// RemoveToken ends a token at once.
func (b *Accounts) RemoveToken(ctx context.Context, address, name string) error {
	a, err := b.stored(ctx, address)
	if err != nil {
		return err
	}
	t, err := b.find(ctx, a.AOR, name)
	if errors.Is(err, store.ErrNotFound) {
		return &Problem{Status: 404, Code: "no-token", Detail: fmt.Sprintf("%s has no token %q", bare(a.AOR), name),
			Hint: "`vigie account tokens` lists all it has"}
	}
	if err != nil {
		return err
	}
	return b.Directory.DeleteToken(ctx, t.Hash)
}

func (b *Accounts) find(ctx context.Context, aor, name string) (store.Token, error) {
	tokens, err := b.Directory.Tokens(ctx, aor)
	if err != nil {
		return store.Token{}, fmt.Errorf("list tokens of %s: %w", aor, err)
	}
	for _, t := range tokens {
		if t.Name == name {
			return t, nil
		}
	}
	return store.Token{}, store.ErrNotFound
}

func shownToken(t store.Token) Token {
	shown := Token{Name: t.Name, Address: bare(t.AOR), Admin: t.Admin, Created: t.Created}
	if !t.Expires.IsZero() {
		shown.Expires = &t.Expires
	}
	return shown
}
