package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// MemoryDirectory is a Directory that lives as long as the process.
type MemoryDirectory struct {
	mu         sync.Mutex
	closed     bool
	fail       func(op Op, key string) error
	accounts   map[string]Account
	tokens     map[string]Token // by hash
	settings   map[string][]byte
	generation uint64
}

// NewMemoryDirectory gives an empty directory.
func NewMemoryDirectory() *MemoryDirectory {
	return &MemoryDirectory{
		accounts: make(map[string]Account),
		tokens:   make(map[string]Token),
		settings: make(map[string][]byte),
	}
}

// Fail makes every later operation ask fn first, as [Memory.Fail] does.
func (m *MemoryDirectory) Fail(fn func(op Op, key string) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = fn
}

// enter asks the fault function and the context and returns with the lock held
// if all is well.
func (m *MemoryDirectory) enter(ctx context.Context, op Op, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	fail := m.fail
	m.mu.Unlock()
	if fail != nil {
		if err := fail(op, key); err != nil {
			return err
		}
	}
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return ErrClosed
	}
	return nil
}

// Account implements Directory.
func (m *MemoryDirectory) Account(ctx context.Context, aor string) (Account, error) {
	if err := m.enter(ctx, OpGet, aor); err != nil {
		return Account{}, err
	}
	defer m.mu.Unlock()
	a, ok := m.accounts[aor]
	if !ok {
		return Account{}, ErrNotFound
	}
	return a.Clone(), nil
}

// AccountByUser implements Directory.
func (m *MemoryDirectory) AccountByUser(ctx context.Context, realm, username string) (Account, error) {
	if err := m.enter(ctx, OpGet, username); err != nil {
		return Account{}, err
	}
	defer m.mu.Unlock()
	for _, a := range m.accounts {
		if a.Realm == realm && a.Username == username {
			return a.Clone(), nil
		}
	}
	return Account{}, ErrNotFound
}

// Accounts implements Directory.
func (m *MemoryDirectory) Accounts(ctx context.Context, domain string) ([]Account, error) {
	if err := m.enter(ctx, OpGet, domain); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	var all []Account
	for aor, a := range m.accounts {
		if domain == "" || Domain(aor) == domain {
			all = append(all, a.Clone())
		}
	}
	slices.SortFunc(all, func(a, b Account) int { return strings.Compare(a.AOR, b.AOR) })
	return all, nil
}

// PutAccount implements Directory.
func (m *MemoryDirectory) PutAccount(ctx context.Context, a Account) error {
	if err := a.Validate(); err != nil {
		return err
	}
	if err := m.enter(ctx, OpPut, a.AOR); err != nil {
		return err
	}
	defer m.mu.Unlock()
	for aor, other := range m.accounts {
		if aor != a.AOR && other.Realm == a.Realm && other.Username == a.Username {
			return fmt.Errorf("store: username %q of realm %q belongs to %s: %w", a.Username, a.Realm, aor, ErrConflict)
		}
	}
	a = a.Clone()
	a.Updated = time.Now().UTC().Round(0)
	a.Created = a.Updated
	if old, ok := m.accounts[a.AOR]; ok {
		a.Created = old.Created
	}
	m.accounts[a.AOR] = a
	m.generation++
	return nil
}

// DeleteAccount implements Directory.
func (m *MemoryDirectory) DeleteAccount(ctx context.Context, aor string) error {
	if err := m.enter(ctx, OpDelete, aor); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if _, ok := m.accounts[aor]; !ok {
		return ErrNotFound
	}
	delete(m.accounts, aor)
	for hash, t := range m.tokens {
		if t.AOR == aor {
			delete(m.tokens, hash)
		}
	}
	m.generation++
	return nil
}

// Token implements Directory.
func (m *MemoryDirectory) Token(ctx context.Context, hash []byte) (Token, error) {
	if err := m.enter(ctx, OpGet, ""); err != nil {
		return Token{}, err
	}
	defer m.mu.Unlock()
	t, ok := m.tokens[string(hash)]
	if !ok {
		return Token{}, ErrNotFound
	}
	t.Hash = slices.Clone(t.Hash)
	return t, nil
}

// Tokens implements Directory.
func (m *MemoryDirectory) Tokens(ctx context.Context, aor string) ([]Token, error) {
	if err := m.enter(ctx, OpGet, aor); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	var all []Token
	for _, t := range m.tokens {
		if aor == "" || t.AOR == aor {
			t.Hash = slices.Clone(t.Hash)
			all = append(all, t)
		}
	}
	slices.SortFunc(all, func(a, b Token) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), slices.Compare(a.Hash, b.Hash))
	})
	return all, nil
}

// PutToken implements Directory.
func (m *MemoryDirectory) PutToken(ctx context.Context, t Token) error {
	if err := t.Validate(); err != nil {
		return err
	}
	if err := m.enter(ctx, OpPut, t.Name); err != nil {
		return err
	}
	defer m.mu.Unlock()
	t.Hash = slices.Clone(t.Hash)
	t.Created, t.Expires = t.Created.UTC().Round(0), t.Expires.Round(0)
	if !t.Expires.IsZero() {
		t.Expires = t.Expires.UTC()
	}
	m.tokens[string(t.Hash)] = t
	m.generation++
	return nil
}

// DeleteToken implements Directory.
func (m *MemoryDirectory) DeleteToken(ctx context.Context, hash []byte) error {
	if err := m.enter(ctx, OpDelete, ""); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if _, ok := m.tokens[string(hash)]; !ok {
		return ErrNotFound
	}
	delete(m.tokens, string(hash))
	m.generation++
	return nil
}

// Setting implements Directory.
func (m *MemoryDirectory) Setting(ctx context.Context, name string) ([]byte, error) {
	if err := m.enter(ctx, OpGet, name); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	value, ok := m.settings[name]
	if !ok {
		return nil, ErrNotFound
	}
	return slices.Clone(value), nil
}

// PutSetting implements Directory.
func (m *MemoryDirectory) PutSetting(ctx context.Context, name string, value []byte) error {
	if err := m.enter(ctx, OpPut, name); err != nil {
		return err
	}
	defer m.mu.Unlock()
	m.settings[name] = slices.Clone(value)
	m.generation++
	return nil
}

// Generation implements Directory.
func (m *MemoryDirectory) Generation(ctx context.Context) (uint64, error) {
	if err := m.enter(ctx, OpGet, ""); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	return m.generation, nil
}

// Close implements Directory.
func (m *MemoryDirectory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}
