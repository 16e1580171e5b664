package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"vigie/store"
)

const accountColumns = `aor, realm, username, digests, delegates, admin, created, updated`

// row is what *sql.Row and *sql.Rows have in common.
type row interface{ Scan(...any) error }

func readAccount(r row) (store.Account, error) {
	var a store.Account
	var digests, delegates []byte
	var created, updated int64
	err := r.Scan(&a.AOR, &a.Realm, &a.Username, &digests, &delegates, &a.Admin, &created, &updated)
	if err != nil {
		return store.Account{}, err
	}
	if err := json.Unmarshal(digests, &a.Digests); err != nil {
		return store.Account{}, fmt.Errorf("digests of %s: %w", a.AOR, err)
	}
	if err := json.Unmarshal(delegates, &a.Delegates); err != nil {
		return store.Account{}, fmt.Errorf("delegates of %s: %w", a.AOR, err)
	}
	a.Created, a.Updated = moment(created), moment(updated)
	return a, nil
}

// moment reads a time column, nanoseconds writes one.
func moment(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

func nanoseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// Account implements store.Directory.
func (d *Directory) Account(ctx context.Context, aor string) (store.Account, error) {
	a, err := readAccount(d.byAOR.QueryRowContext(ctx, aor))
	return a, d.failed(err)
}

// AccountByUser implements store.Directory.
func (d *Directory) AccountByUser(ctx context.Context, realm, username string) (store.Account, error) {
	a, err := readAccount(d.byUser.QueryRowContext(ctx, realm, username))
	return a, d.failed(err)
}

// Accounts implements store.Directory.
func (d *Directory) Accounts(ctx context.Context, domain string) ([]store.Account, error) {
	all, err := list(ctx, d.read, readAccount,
		`SELECT `+accountColumns+` FROM accounts WHERE ?1 = '' OR domain = ?1 ORDER BY aor`, domain)
	return all, d.failed(err)
}

func list[T any](ctx context.Context, db *sql.DB, read func(row) (T, error), query string, args ...any) ([]T, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := read(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// PutAccount implements store.Directory.
func (d *Directory) PutAccount(ctx context.Context, a store.Account) error {
	if err := a.Validate(); err != nil {
		return err
	}
	digests, err := json.Marshal(a.Digests)
	if err != nil {
		return err
	}
	delegates, err := json.Marshal(a.Delegates)
	if err != nil {
		return err
	}
	now := time.Now().UnixNano()
	_, err = d.write.ExecContext(ctx, `
		INSERT INTO accounts (aor, domain, realm, username, digests, delegates, admin, created, updated)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8)
		ON CONFLICT (aor) DO UPDATE SET realm = ?3, username = ?4, digests = ?5, delegates = ?6, admin = ?7, updated = ?8`,
		a.AOR, store.Domain(a.AOR), a.Realm, a.Username, string(digests), string(delegates), a.Admin, now)
	if isUnique(err) {
		return fmt.Errorf("sqlite: username %q of realm %q belongs to another account: %w", a.Username, a.Realm, store.ErrConflict)
	}
	return d.failed(err)
}

// DeleteAccount implements store.Directory.
func (d *Directory) DeleteAccount(ctx context.Context, aor string) error {
	tx, err := d.write.BeginTx(ctx, nil)
	if err != nil {
		return d.failed(err)
	}
	defer tx.Rollback()
	if err := removeOne(tx.ExecContext(ctx, `DELETE FROM accounts WHERE aor = ?`, aor)); err != nil {
		return d.failed(err)
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM tokens WHERE aor = ?`, aor); err != nil {
		return d.failed(err)
	}
	return d.failed(tx.Commit())
}

// removeOne turns a removal that removed nothing into sql.ErrNoRows.
func removeOne(r sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return sql.ErrNoRows
}
