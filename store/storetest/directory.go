package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"vigie/store"
)

// OpenDirectory gives an empty directory, which the test closes.
type OpenDirectory func(t *testing.T) store.Directory

// Directory runs the conformance test of a directory.
func Directory(t *testing.T, open OpenDirectory) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, d store.Directory)
	}{
		{"AUT-15/Accounts", accounts},
		{"AccountsByDomain", accountsByDomain},
		{"UsernamesAreUnique", usernames},
		{"InvalidAccounts", invalidAccounts},
		{"Tokens", tokens},
		{"Settings", settings},
		{"Generation", generation},
		{"Concurrency", concurrency},
		{"Closed", closedDirectory},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := open(t)
			defer d.Close()
			test.run(t, d)
		})
	}
}

func account(user, domain string) store.Account {
	return store.Account{
		AOR: "sip:" + user + "@" + domain, Username: user, Realm: domain,
		Digests:   map[string]string{"MD5": "0123", "SHA-256": "4567" + user},
		Delegates: []string{"sip:bob@" + domain, "sip:carol@" + domain},
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// accounts: the hash of each algorithm is kept, and nothing else of the
// password (RFC 7616 §5.2).
func accounts(t *testing.T, d store.Directory) {
	want := account("alice", "example.com")
	must(t, d.PutAccount(background, want))
	first, err := d.Account(background, want.AOR)
	must(t, err)
	if first.Created.IsZero() || !first.Updated.Equal(first.Created) {
		t.Errorf("created %v, updated %v", first.Created, first.Updated)
	}
	want.Created, want.Updated = first.Created, first.Updated
	if !reflect.DeepEqual(first, want) {
		t.Errorf("account is %+v, want %+v", first, want)
	}
	first.Digests["MD5"], first.Delegates[0] = "changed", "changed" // a copy of ours
	want.Admin, want.Delegates, want.Username = true, nil, "al"
	must(t, d.PutAccount(background, want))
	second, err := d.AccountByUser(background, "example.com", "al")
	must(t, err)
	if !second.Created.Equal(want.Created) || second.Updated.Before(want.Updated) {
		t.Errorf("replacing it changed created %v to %v, updated %v to %v",
			want.Created, second.Created, want.Updated, second.Updated)
	}
	want.Updated = second.Updated
	if !reflect.DeepEqual(second, want) {
		t.Errorf("account is %+v, want %+v", second, want)
	}
	_, byOldName := d.AccountByUser(background, "example.com", "alice")
	_, byOtherRealm := d.AccountByUser(background, "example.net", "al")
	must(t, d.DeleteAccount(background, want.AOR))
	_, gone := d.Account(background, want.AOR)
	for i, err := range []error{byOldName, byOtherRealm, gone, d.DeleteAccount(background, want.AOR)} {
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%d: %v, want ErrNotFound", i, err)
		}
	}
}

func accountsByDomain(t *testing.T, d store.Directory) {
	for _, a := range []store.Account{account("carol", "example.com"), account("bob", "example.net"),
		account("alice", "example.com"), account("dave", "sub.example.com")} {
		must(t, d.PutAccount(background, a))
	}
	for domain, want := range map[string]string{
		"example.com": "[sip:alice@example.com sip:carol@example.com]",
		"example.org": "[]",
		"":            "[sip:alice@example.com sip:bob@example.net sip:carol@example.com sip:dave@sub.example.com]",
	} {
		all, err := d.Accounts(background, domain)
		must(t, err)
		got := []string{}
		for _, a := range all {
			got = append(got, a.AOR)
		}
		if fmt.Sprint(got) != want {
			t.Errorf("accounts of %q: %v, want %s", domain, got, want)
		}
	}
}

func usernames(t *testing.T, d store.Directory) {
	must(t, d.PutAccount(background, account("alice", "example.com")))
	other := account("bob", "example.com")
	other.Username = "alice"
	if err := d.PutAccount(background, other); !errors.Is(err, store.ErrConflict) {
		t.Errorf("a second user alice: %v, want ErrConflict", err)
	}
	if _, err := d.Account(background, other.AOR); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the refused account: %v, want ErrNotFound", err)
	}
	other.Realm = "example.net"
	must(t, d.PutAccount(background, other))
}

func invalidAccounts(t *testing.T, d store.Directory) {
	for _, change := range []func(*store.Account){
		func(a *store.Account) { a.AOR = "" },
		func(a *store.Account) { a.AOR = "alice@example.com" },
		func(a *store.Account) { a.AOR = "sip:@example.com" },
		func(a *store.Account) { a.AOR = "sip:alice@" },
		func(a *store.Account) { a.Username = "" },
		func(a *store.Account) { a.Realm = "" },
	} {
		a := account("alice", "example.com")
		change(&a)
		if err := d.PutAccount(background, a); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%q, user %q, realm %q: %v, want ErrInvalid", a.AOR, a.Username, a.Realm, err)
		}
	}
	if err := d.PutToken(background, store.Token{Name: "t"}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("a token without hash: %v, want ErrInvalid", err)
	}
}

func tokens(t *testing.T, d store.Directory) {
	alice := account("alice", "example.com")
	must(t, d.PutAccount(background, alice))
	now := time.Now().UTC().Round(0)
	want := store.Token{Name: "cli", Hash: []byte{0, 1, 0xff}, AOR: alice.AOR, Admin: true, Created: now, Expires: now.Add(time.Hour)}
	server := store.Token{Name: "a", Hash: []byte("x"), Created: now}
	must(t, d.PutToken(background, store.Token{Name: "old", Hash: want.Hash}))
	must(t, d.PutToken(background, want))
	must(t, d.PutToken(background, server))
	got, err := d.Token(background, want.Hash)
	must(t, err)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("token is %+v, want %+v", got, want)
	}
	for aor, n := range map[string]int{"": 2, alice.AOR: 1, "sip:bob@example.com": 0} {
		if all, err := d.Tokens(background, aor); len(all) != n || err != nil {
			t.Errorf("tokens of %q: %+v, %v; want %d", aor, all, err, n)
		}
	}
	must(t, d.DeleteAccount(background, alice.AOR))
	if _, err := d.Token(background, want.Hash); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a token whose owner is gone: %v, want ErrNotFound", err)
	}
	all, err := d.Tokens(background, "")
	if err != nil || !reflect.DeepEqual(all, []store.Token{server}) {
		t.Errorf("left: %+v, %v; want %+v", all, err, server)
	}
	must(t, d.DeleteToken(background, server.Hash))
	if err := d.DeleteToken(background, server.Hash); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("removing it again: %v, want ErrNotFound", err)
	}
}

func settings(t *testing.T, d store.Directory) {
	if _, err := d.Setting(background, "secret"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a setting that is not there: %v, want ErrNotFound", err)
	}
	for _, value := range []string{"\x00\xff", "", "another"} {
		must(t, d.PutSetting(background, "secret", []byte(value)))
		got, err := d.Setting(background, "secret")
		if string(got) != value || err != nil {
			t.Errorf("setting is %q, %v; want %q", got, err, value)
		}
	}
	must(t, d.PutSetting(background, "empty", nil))
	if got, err := d.Setting(background, "empty"); len(got) != 0 || err != nil {
		t.Errorf("setting is %q, %v; want nothing", got, err)
	}
}

func generation(t *testing.T, d store.Directory) {
	alice := account("alice", "example.com")
	last, err := d.Generation(background)
	must(t, err)
	for i, change := range []func() error{
		func() error { return d.PutAccount(background, alice) },
		func() error { return d.PutToken(background, store.Token{Hash: []byte("x")}) },
		func() error { return d.PutSetting(background, "a", nil) },
		func() error { return d.DeleteToken(background, []byte("x")) },
		func() error { return d.DeleteAccount(background, alice.AOR) },
	} {
		must(t, change())
		now, err := d.Generation(background)
		must(t, err)
		if now == last {
			t.Errorf("change %d left the generation at %d", i, now)
		}
		again, err := d.Generation(background)
		must(t, err)
		if again != now {
			t.Errorf("the generation went from %d to %d with no change", now, again)
		}
		last = now
	}
}

func concurrency(t *testing.T, d store.Directory) {
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 10 {
				a := account(fmt.Sprintf("user%d-%d", w, i), "example.com")
				if err := d.PutAccount(background, a); err != nil {
					t.Error(err)
				}
				if _, err := d.AccountByUser(background, a.Realm, a.Username); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if all, err := d.Accounts(background, "example.com"); len(all) != 80 || err != nil {
		t.Errorf("%d accounts, %v; want 80", len(all), err)
	}
}

func closedDirectory(t *testing.T, d store.Directory) {
	must(t, d.Close())
	_, account1 := d.Account(background, "sip:alice@example.com")
	_, list := d.Accounts(background, "")
	_, token := d.Token(background, []byte("x"))
	_, setting := d.Setting(background, "x")
	_, generation := d.Generation(background)
	for i, err := range []error{account1, list, token, setting, generation,
		d.PutAccount(background, account("alice", "example.com")), d.DeleteAccount(background, "x"),
		d.PutToken(background, store.Token{Hash: []byte("x")}), d.PutSetting(background, "x", nil)} {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("%d: %v, want ErrClosed", i, err)
		}
	}
}
