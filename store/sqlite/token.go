package sqlite

import (
	"context"

	"vigie/store"
)

const tokenColumns = `hash, name, aor, admin, created, expires`

func readToken(r row) (store.Token, error) {
	var t store.Token
	var created, expires int64
	if err := r.Scan(&t.Hash, &t.Name, &t.AOR, &t.Admin, &created, &expires); err != nil {
		return store.Token{}, err
	}
	t.Created, t.Expires = moment(created), moment(expires)
	return t, nil
}

// Token implements store.Directory.
func (d *Directory) Token(ctx context.Context, hash []byte) (store.Token, error) {
	t, err := readToken(d.token.QueryRowContext(ctx, hash))
	return t, d.failed(err)
}

// Tokens implements store.Directory.
func (d *Directory) Tokens(ctx context.Context, aor string) ([]store.Token, error) {
	all, err := list(ctx, d.read, readToken,
		`SELECT `+tokenColumns+` FROM tokens WHERE ?1 = '' OR aor = ?1 ORDER BY name, hash`, aor)
	return all, d.failed(err)
}

// PutToken implements store.Directory.
func (d *Directory) PutToken(ctx context.Context, t store.Token) error {
	if err := t.Validate(); err != nil {
		return err
	}
	_, err := d.write.ExecContext(ctx,
		`INSERT OR REPLACE INTO tokens (`+tokenColumns+`) VALUES (?, ?, ?, ?, ?, ?)`,
		t.Hash, t.Name, t.AOR, t.Admin, nanoseconds(t.Created), nanoseconds(t.Expires))
	return d.failed(err)
}

// DeleteToken implements store.Directory.
func (d *Directory) DeleteToken(ctx context.Context, hash []byte) error {
	return d.failed(removeOne(d.write.ExecContext(ctx, `DELETE FROM tokens WHERE hash = ?`, hash)))
}

// Setting implements store.Directory.
func (d *Directory) Setting(ctx context.Context, name string) ([]byte, error) {
	var value []byte
	err := d.read.QueryRowContext(ctx, `SELECT value FROM settings WHERE name = ?`, name).Scan(&value)
	return value, d.failed(err)
}

// PutSetting implements store.Directory.
func (d *Directory) PutSetting(ctx context.Context, name string, value []byte) error {
	if value == nil {
		value = []byte{} // not NULL
	}
	_, err := d.write.ExecContext(ctx, `INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)`, name, value)
	return d.failed(err)
}
