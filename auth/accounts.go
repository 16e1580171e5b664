package auth

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"vigie/store"
)

// recheck is how long a change by another process may go unseen.
const recheck = 200 * time.Millisecond

// Accounts remembers accounts of a directory, and users it does not know, so that
// neither the busy nor the guessing cost it a query each time. Changes that others
// make are seen within 200 ms, own ones at once by Forget.
type Accounts struct {
	directory store.Directory
	start     time.Time

	mu         sync.Mutex
	checked    time.Duration // since start; zero: not yet
	generation uint64        // of the directory, that the entries belong to
	round      uint64        // counts how often the entries were dropped
	entries    generations[accountKey, accountEntry]
}

// accountKey is a realm and username, or an AOR with no realm.
type accountKey struct{ realm, name string }

type accountEntry struct {
	account store.Account
	found   bool
}

// NewAccounts remembers up to twice max entries; zero means 65536.
func NewAccounts(directory store.Directory, max int) *Accounts {
	a := &Accounts{directory: directory, start: time.Now()}
	a.entries.max = or(max, 1<<16)
	a.entries.at(0)
	return a
}

// ByUser gives the account of a user, or store.ErrNotFound. It is shared and must
// not be changed.
func (a *Accounts) ByUser(ctx context.Context, realm, username string) (store.Account, error) {
	return a.find(ctx, accountKey{realm, username}, func() (store.Account, error) {
		return a.directory.AccountByUser(ctx, realm, username)
	})
}

// ByAOR gives the account of an address of record, or store.ErrNotFound. It is
// shared and must not be changed.
func (a *Accounts) ByAOR(ctx context.Context, aor string) (store.Account, error) {
	return a.find(ctx, accountKey{"", aor}, func() (store.Account, error) {
		return a.directory.Account(ctx, aor)
	})
}

// Forget drops everything: the directory was changed.
func (a *Accounts) Forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drop()
}

func (a *Accounts) find(ctx context.Context, k accountKey, load func() (store.Account, error)) (store.Account, error) {
	if err := a.refresh(ctx); err != nil {
		return store.Account{}, err
	}
	a.mu.Lock()
	e, ok := a.entries.get(k)
	round := a.round
	a.mu.Unlock()
	if !ok {
		account, err := load()
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return store.Account{}, err
		}
		e = accountEntry{account, err == nil}
		a.keep(k, e, round)
	}
	if !e.found {
		return store.Account{}, store.ErrNotFound
	}
	return e.account, nil
}

// keep remembers what was loaded in a round, unless that is over.
func (a *Accounts) keep(k accountKey, e accountEntry, round uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.round == round {
		// The strings of the key may point into a received message.
		k.realm, k.name = strings.Clone(k.realm), strings.Clone(k.name)
		a.entries.put(k, e)
	}
}

// refresh drops everything if the directory has changed, which it asks it at most
// every 200 ms.
func (a *Accounts) refresh(ctx context.Context) error {
	now := time.Since(a.start) + recheck
	a.mu.Lock()
	due := now-a.checked >= recheck
	a.mu.Unlock()
	if !due {
		return nil
	}
	generation, err := a.directory.Generation(ctx)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.checked = now
	if generation != a.generation {
		a.generation = generation
		a.drop()
	}
	return nil
}

// drop wants the lock.
func (a *Accounts) drop() {
	a.round++
	a.entries = generations[accountKey, accountEntry]{max: a.entries.max}
	a.entries.at(0)
}
