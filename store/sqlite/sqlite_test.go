package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"vigie/store"
	"vigie/store/storetest"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func openAt(t testing.TB, path string) store.Directory {
	t.Helper()
	d, err := Open(path, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func TestConformance(t *testing.T) {
	storetest.Directory(t, func(t *testing.T) store.Directory {
		return openAt(t, filepath.Join(t.TempDir(), "new folder", "a?b#c%20 d.db"))
	})
}

func TestPragmas(t *testing.T) {
	d := openAt(t, filepath.Join(t.TempDir(), "d.db")).(*Directory)
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "busy_timeout": "10000"} {
		for _, db := range []*sql.DB{d.write, d.read} {
			var got string
			if err := db.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
				t.Errorf("%s is %s, %v; want %s", pragma, got, err, want)
			}
		}
	}
	info, err := os.Stat(d.path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v, %v; want 0600", info.Mode(), err)
	}
}

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d.db")
	ctx := context.Background()
	d := openAt(t, path)
	want := store.Account{AOR: "sip:alice@example.com", Username: "alice", Realm: "example.com",
		Digests: map[string]string{"SHA-256": "ab"}}
	if err := d.PutAccount(ctx, want); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := openAt(t, path).Account(ctx, want.AOR)
	if err != nil || got.Digests["SHA-256"] != "ab" {
		t.Errorf("after opening anew: %+v, %v", got, err)
	}
}

// childFile names the file into which the test binary, run again, writes as
// another process.
const childFile = "VIGIE_TEST_DIRECTORY"

func TestMain(m *testing.M) {
	if path := os.Getenv(childFile); path != "" {
		writeAccounts(path, os.Getenv(childFile+"_NAME"))
		return
	}
	os.Exit(m.Run())
}

const perProcess = 40

func writeAccounts(path, name string) {
	d, err := Open(path, quiet)
	for i := 0; i < perProcess && err == nil; i++ {
		user := fmt.Sprint(name, i)
		err = d.PutAccount(context.Background(), store.Account{AOR: "sip:" + user + "@example.com", Username: user, Realm: "example.com"})
	}
	if err == nil {
		err = d.Close()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// TestProcesses: several processes open a file that is not there yet, make its
// tables and write, all at once.
func TestProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d.db")
	var children []*exec.Cmd
	for i := range 3 {
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), childFile+"="+path, childFile+"_NAME="+fmt.Sprintf("process%d-", i))
		c.Stderr = new(bytes.Buffer)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		children = append(children, c)
	}
	d := openAt(t, path)
	for _, c := range children {
		if err := c.Wait(); err != nil {
			t.Errorf("%v: %s", err, c.Stderr)
		}
	}
	if all, err := d.Accounts(context.Background(), ""); len(all) != 3*perProcess || err != nil {
		t.Errorf("%d accounts, %v; want %d", len(all), err, 3*perProcess)
	}
}

// TestForeignWrites: a cache notices what another process wrote.
func TestForeignWrites(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "d.db")
	d := openAt(t, path)
	before, err := d.Generation(ctx)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), childFile+"="+path, childFile+"_NAME=other")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	after, err := d.Generation(ctx)
	if err != nil || after == before {
		t.Errorf("generation %d after another process wrote (%v), %d before", after, err, before)
	}
	if _, err := d.Account(ctx, "sip:other0@example.com"); err != nil {
		t.Errorf("what the other process wrote: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	folder := t.TempDir()
	text := filepath.Join(folder, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("not a database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, path, want string }{
		{"text", text, "no SQLite database"},
		{"a folder", folder, "name a file in a folder"},
		{"below a file", filepath.Join(text, "d.db"), "name a file in a folder"},
		{"where nothing can be written", "/proc/vigie/d.db", "can be written"},
		{"a newer file", newer(t), "run that version"},
		{"a damaged file", damaged(t), "is damaged"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, err := Open(test.path, quiet)
			if err == nil {
				d.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), test.path) {
				t.Errorf("%v; want the path and %q", err, test.want)
			}
		})
	}
	if got, err := os.ReadFile(text); err != nil || !bytes.HasPrefix(got, []byte("not a database\n")) {
		t.Errorf("the refused file was changed: %.20q, %v", got, err)
	}
}

// newer gives a file to which a later version has applied its migrations.
func newer(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "newer.db")
	d := openAt(t, path).(*Directory)
	if _, err := d.write.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)`); err != nil {
		t.Fatal(err)
	}
	d.Close()
	return path
}

// damaged gives a file whose pages after the header have been overwritten.
func damaged(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "damaged.db")
	openAt(t, path).Close()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 100; i < len(content); i++ {
		content[i] = 0x5a
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestFull: a write that finds no room changes nothing and says what to do.
func TestFull(t *testing.T) {
	ctx := context.Background()
	d := openAt(t, filepath.Join(t.TempDir(), "d.db")).(*Directory)
	if err := d.PutSetting(ctx, "a", []byte("old")); err != nil {
		t.Fatal(err)
	}
	if _, err := d.write.Exec(`PRAGMA max_page_count = 1`); err != nil {
		t.Fatal(err)
	}
	err := d.PutSetting(ctx, "a", bytes.Repeat([]byte("x"), 1<<20))
	var e *Error
	if !errors.As(err, &e) || !strings.Contains(e.Advice, "free some space") {
		t.Errorf("writing to a full file: %v, want advice", err)
	}
	if got, err := d.Setting(ctx, "a"); string(got) != "old" || err != nil {
		t.Errorf("the old value is %.10q, %v", got, err)
	}
}

func BenchmarkGeneration(b *testing.B) {
	d := openAt(b, filepath.Join(b.TempDir(), "d.db"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Generation(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAccountByUser(b *testing.B) {
	d := openAt(b, filepath.Join(b.TempDir(), "d.db"))
	writeAccounts(d.(*Directory).path, "user")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.AccountByUser(context.Background(), "example.com", "user7"); err != nil {
			b.Fatal(err)
		}
	}
}
