package auth_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	peer "github.com/icholy/digest"

	"vigie/auth"
	"vigie/store"
)

const realm = "example.com"

var (
	secret = []byte("0123456789abcdef0123456789abcdef")
	home   = netip.MustParseAddr("192.0.2.1")
)

// directory knows alice and bob by their passwords "wonderland" and "builder".
func directory(t testing.TB) store.Directory {
	t.Helper()
	d := store.NewMemoryDirectory()
	for user, password := range map[string]string{"alice": "wonderland", "bob": "builder"} {
		err := d.PutAccount(context.Background(), store.Account{
			AOR: "sip:" + user + "@" + realm, Username: user, Realm: realm,
			Digests: auth.HashPassword(user, realm, password),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func verifier(t testing.TB, o auth.DigestOptions) *auth.Digest {
	t.Helper()
	if o.Accounts == nil {
		o.Accounts = auth.NewAccounts(directory(t), 0).ByUser
	}
	o.Secret = secret
	d, err := auth.NewDigest(o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func rows(r ...string) iter.Seq[string] { return slices.Values(r) }

// client answers challenges as the independent client does.
type client struct {
	user, password string
	method, uri    string
	body           string
}

var alice = client{user: "alice", password: "wonderland", method: "PUBLISH", uri: "sip:alice@example.com"}

func (c client) answer(t testing.TB, challenge string, count int) string {
	t.Helper()
	parsed, err := peer.ParseChallenge(challenge)
	if err != nil {
		t.Fatalf("the client does not understand %q: %v", challenge, err)
	}
	return c.answerParsed(t, parsed, count)
}

func (c client) answerParsed(t testing.TB, challenge *peer.Challenge, count int) string {
	t.Helper()
	credentials, err := peer.Digest(challenge, peer.Options{
		Method: c.method, URI: c.uri, Count: count, Username: c.user, Password: c.password,
		GetBody: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(c.body)), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return credentials.String()
}

// try sends one row of credentials for alice's PUBLISH.
func try(d *auth.Digest, row ...string) error {
	_, err := d.Verify(context.Background(), auth.Request{
		Realm: realm, Method: "PUBLISH", Rows: rows(row...), Source: home,
	})
	return err
}

func TestAlgorithms(t *testing.T) {
	d := verifier(t, auth.DigestOptions{})
	challenges := d.Challenges(realm, false)
	order := auth.Algorithms()
	if len(challenges) != len(order) {
		t.Fatalf("%d challenges, want one for each of %v", len(challenges), order)
	}
	for i, algorithm := range order {
		t.Run("AUT-03/"+algorithm, func(t *testing.T) {
			if want := "algorithm=" + algorithm; !strings.Contains(challenges[i]+",", want+",") {
				t.Errorf("challenge %d is %q, want %s", i, challenges[i], want)
			}
			account, err := d.Verify(context.Background(), auth.Request{
				Realm: realm, Method: "PUBLISH", Rows: rows(alice.answer(t, challenges[i], i+1)),
			})
			if err != nil || account.AOR != "sip:alice@example.com" {
				t.Errorf("right password: account %q, %v", account.AOR, err)
			}
			wrong := alice
			wrong.password = "wonderworld"
			if err := try(d, wrong.answer(t, challenges[i], 1)); !errors.Is(err, auth.ErrRejected) {
				t.Errorf("wrong password: %v, want ErrRejected", err)
			}
			other := alice
			other.method = "SUBSCRIBE"
			if err := try(d, other.answer(t, challenges[i], 1)); !errors.Is(err, auth.ErrRejected) {
				t.Errorf("made for another method: %v, want ErrRejected", err)
			}
		})
	}
	t.Run("AUT-03/MD5-off", func(t *testing.T) {
		off := verifier(t, auth.DigestOptions{Algorithms: []string{"SHA-256"}})
		if got := off.Challenges(realm, false); len(got) != 1 || !strings.Contains(got[0], "SHA-256") {
			t.Errorf("challenges %q, want SHA-256 alone", got)
		}
		for _, c := range challenges {
			if strings.Contains(c, "MD5") {
				if err := try(off, alice.answer(t, c, 9)); !errors.Is(err, auth.ErrNoCredentials) {
					t.Errorf("MD5 although off: %v, want ErrNoCredentials", err)
				}
			}
		}
	})
}

// The RFC's nonces are not ours: a right digest over one is stale, a wrong one
// rejected, which tells whether the arithmetic agrees with the RFC's.
func TestExamplesOfRFC7616(t *testing.T) {
	examples := []struct {
		name, user, password, realm, row string
	}{
		{"3.9.1-MD5", "Mufasa", "Circle of Life", "http-auth@example.org", `Digest username="Mufasa",
			realm="http-auth@example.org", uri="/dir/index.html", algorithm=MD5,
			nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001,
			cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth,
			response="8ca523f5e9506fed4657c9700eebdbec", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`},
		{"3.9.1-SHA-256", "Mufasa", "Circle of Life", "http-auth@example.org", `Digest username="Mufasa",
			realm="http-auth@example.org", uri="/dir/index.html", algorithm=SHA-256,
			nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001,
			cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth,
			response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
			opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`},
		// As printed, the response of §3.9.2 was made by cutting SHA-512 short; this
		// is the one by SHA-512/256, the algorithm that §6.1 registers.
		{"3.9.2-SHA-512-256", "J\u00e4s\u00f8n Doe", "Secret, or not?", "api@example.org", `Digest
			username*=UTF-8''J%C3%A4s%C3%B8n%20Doe, realm="api@example.org", uri="/doe.json",
			algorithm=SHA-512-256, nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", nc=00000001,
			cnonce="NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v", qop=auth,
			response="3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5",
			opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", userhash=false`},
	}
	for _, e := range examples {
		t.Run(e.name, func(t *testing.T) {
			for password, want := range map[string]error{e.password: auth.ErrStale, "something else": auth.ErrRejected} {
				d := verifier(t, auth.DigestOptions{Accounts: func(_ context.Context, realm, user string) (store.Account, error) {
					if realm != e.realm || user != e.user {
						return store.Account{}, store.ErrNotFound
					}
					return store.Account{Username: user, Digests: auth.HashPassword(user, realm, password)}, nil
				}})
				row := strings.Join(strings.Fields(e.row), " ")
				_, err := d.Verify(context.Background(), auth.Request{Realm: e.realm, Method: "GET", Rows: rows(row)})
				if !errors.Is(err, want) {
					t.Errorf("with password %q: %v, want %v", password, err, want)
				}
			}
		})
	}
}

// challenge gives the SHA-256 challenge as the client reads it.
func challenge(t testing.TB, d *auth.Digest) *peer.Challenge {
	t.Helper()
	for _, row := range d.Challenges(realm, false) {
		if c, err := peer.ParseChallenge(row); err == nil && c.Algorithm == "SHA-256" {
			return c
		}
	}
	t.Fatal("no SHA-256 challenge")
	return nil
}

func TestNoQop(t *testing.T) {
	for _, allow := range []bool{false, true} {
		t.Run(fmt.Sprintf("AUT-04/legacy-allowed=%v", allow), func(t *testing.T) {
			d := verifier(t, auth.DigestOptions{AllowNoQop: allow})
			c := challenge(t, d)
			c.QOP = nil
			row := alice.answerParsed(t, c, 1)
			if strings.Contains(row, "qop") {
				t.Fatalf("the client used qop: %s", row)
			}
			err := try(d, row)
			if !allow {
				if !errors.Is(err, auth.ErrNoCredentials) {
					t.Errorf("%v, want ErrNoCredentials", err)
				}
				return
			}
			if err != nil {
				t.Errorf("first use: %v", err)
			}
			if err := try(d, row); !errors.Is(err, auth.ErrReplay) {
				t.Errorf("second use of the nonce: %v, want ErrReplay", err)
			}
		})
	}
}

func TestAuthInt(t *testing.T) {
	d := verifier(t, auth.DigestOptions{OfferAuthInt: true})
	c := challenge(t, d)
	c.QOP = []string{"auth-int"}
	verify := func(sent, received string, count int) error {
		who := alice
		who.body = sent
		_, err := d.Verify(context.Background(), auth.Request{
			Realm: realm, Method: "PUBLISH", Rows: rows(who.answerParsed(t, c, count)), Body: []byte(received),
		})
		return err
	}
	t.Run("AUT-05/body", func(t *testing.T) {
		if err := verify("<presence/>", "<presence/>", 1); err != nil {
			t.Error(err)
		}
	})
	t.Run("AUT-05/no-body", func(t *testing.T) {
		if err := verify("", "", 2); err != nil {
			t.Error(err)
		}
	})
	t.Run("AUT-05/changed-body", func(t *testing.T) {
		if err := verify("<presence/>", "<presence />", 3); !errors.Is(err, auth.ErrRejected) {
			t.Errorf("%v, want ErrRejected", err)
		}
	})
	t.Run("AUT-04/auth-int-not-offered", func(t *testing.T) {
		plain := verifier(t, auth.DigestOptions{})
		err := try(plain, alice.answerParsed(t, c, 4))
		if _, ok := errors.AsType[*auth.CredentialsError](err); !ok {
			t.Errorf("%v, want a CredentialsError", err)
		}
	})
}

// AUT-24: the same verifier serves HTTP, where the uri must be the request target
// (RFC 7616 §3.4.6).
func TestHTTP(t *testing.T) {
	d := verifier(t, auth.DigestOptions{})
	const target = "/xcap/pres-rules/users/sip:alice@example.com/index"
	who := client{user: "alice", password: "wonderland", method: "PUT", uri: target}
	verify := func(target string) error {
		_, err := d.Verify(context.Background(), auth.Request{
			Realm: realm, Method: "PUT", Rows: rows(who.answerParsed(t, challenge(t, d), 1)),
			Serves: func(uri string) bool { return uri == target },
		})
		return err
	}
	if err := verify(target); err != nil {
		t.Errorf("AUT-24/digest: %v", err)
	}
	if _, ok := errors.AsType[*auth.CredentialsError](verify("/xcap/elsewhere")); !ok {
		t.Error("AUT-24/other-target: accepted credentials made for another resource")
	}
}

func TestAnonymous(t *testing.T) {
	d := verifier(t, auth.DigestOptions{})
	nobody := alice
	nobody.user, nobody.password = "anonymous", ""
	t.Run("AUT-13/no-identity", func(t *testing.T) {
		err := try(d, nobody.answerParsed(t, challenge(t, d), 1))
		if !errors.Is(err, auth.ErrAnonymous) || !errors.Is(err, auth.ErrNoCredentials) {
			t.Errorf("%v, want ErrAnonymous", err)
		}
	})
	t.Run("AUT-13/with-password", func(t *testing.T) {
		nobody := nobody
		nobody.password = "x"
		if err := try(d, nobody.answerParsed(t, challenge(t, d), 1)); !errors.Is(err, auth.ErrRejected) {
			t.Errorf("%v, want ErrRejected", err)
		}
	})
}

func TestDirectoryFailure(t *testing.T) {
	broken := errors.New("disk on fire")
	d := verifier(t, auth.DigestOptions{Accounts: func(context.Context, string, string) (store.Account, error) {
		return store.Account{}, broken
	}})
	err := try(d, alice.answerParsed(t, challenge(t, d), 1))
	if !errors.Is(err, broken) || errors.Is(err, auth.ErrRejected) {
		t.Errorf("%v, want the directory's error", err)
	}
}

// SEC-15: neither errors nor printed values show a secret.
func TestNothingSecretIsPrinted(t *testing.T) {
	d := verifier(t, auth.DigestOptions{})
	row := alice.answerParsed(t, challenge(t, d), 1)
	for _, bad := range []string{
		row, // replayed below
		strings.Replace(row, "nc=00000001", "nc=x", 1),
		strings.Replace(row, `cnonce="`, `cnonce="","`, 1),
		strings.Replace(row, `realm="example.com"`, `realm="example.com`, 1),
		strings.Replace(row, `response="`, `response="0`, 1),
		strings.Replace(row, `qop=auth`, `qop=other`, 1),
	} {
		try(d, bad)
		err := try(d, bad)
		if err == nil {
			t.Fatalf("accepted twice: %s", bad)
		}
		parsed, _ := peer.ParseCredentials(row)
		for _, secret := range []string{parsed.Response, parsed.Nonce, parsed.Cnonce, "wonderland"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("SEC-15/errors: %q shows %q", err, secret)
			}
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	accounts := auth.NewAccounts(directory(t), 0).ByUser
	for name, o := range map[string]auth.DigestOptions{
		"no accounts":       {Secret: secret},
		"short secret":      {Accounts: accounts, Secret: secret[:8]},
		"unknown algorithm": {Accounts: accounts, Secret: secret, Algorithms: []string{"SHA-1"}},
		"algorithm twice":   {Accounts: accounts, Secret: secret, Algorithms: []string{"MD5", "md5"}},
		"brief nonces":      {Accounts: accounts, Secret: secret, NonceLifetime: time.Millisecond},
	} {
		if _, err := auth.NewDigest(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// SEC-17: credentials of any form are judged, never a panic.
func FuzzVerify(f *testing.F) {
	d := verifier(f, auth.DigestOptions{AllowNoQop: true, OfferAuthInt: true})
	wrong := alice
	wrong.password = "guess"
	f.Add(wrong.answerParsed(f, challenge(f, d), 1))
	f.Add(`Digest username*=UTF-8''%41, realm="example.com", uri="x", nonce="y", response="0123456789abcdef0123456789abcdef"`)
	f.Add(`Digest realm="example.com`)
	f.Fuzz(func(t *testing.T, row string) {
		if err := try(d, row); err == nil {
			t.Errorf("accepted %q", row)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	for _, algorithm := range auth.Algorithms() {
		b.Run(algorithm, func(b *testing.B) {
			d := verifier(b, auth.DigestOptions{Algorithms: []string{algorithm}})
			c, err := peer.ParseChallenge(d.Challenges(realm, false)[0])
			if err != nil {
				b.Fatal(err)
			}
			answers := make([]string, b.N)
			for i := range answers {
				answers[i] = alice.answerParsed(b, c, i+1)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				if err := try(d, answers[i]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkChallenges(b *testing.B) {
	d := verifier(b, auth.DigestOptions{})
	b.ReportAllocs()
	for b.Loop() {
		d.Challenges(realm, false)
	}
}
