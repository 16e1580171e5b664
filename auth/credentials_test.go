package auth_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"vigie/auth"
)

func TestChallenge(t *testing.T) {
	for _, authInt := range []bool{false, true} {
		d := verifier(t, auth.DigestOptions{OfferAuthInt: authInt})
		for _, c := range d.Challenges(`a "quoted" realm`, true) {
			t.Run("AUT-06/quoting", func(t *testing.T) {
				for _, want := range []string{`Digest realm="a \"quoted\" realm", nonce="`, `", algorithm=`, `, stale=true`} {
					if !strings.Contains(c, want) {
						t.Errorf("challenge %s lacks %s", c, want)
					}
				}
				if strings.Contains(c, `algorithm="`) || strings.Contains(c, `stale="`) {
					t.Errorf("challenge %s quotes a token", c)
				}
			})
			t.Run("AUT-04/qop-in-every-challenge", func(t *testing.T) {
				want := `qop="auth"`
				if authInt {
					want = `qop="auth,auth-int"`
				}
				if !strings.Contains(c, want) {
					t.Errorf("challenge %s lacks %s", c, want)
				}
			})
			t.Run("AUT-02/no-Basic", func(t *testing.T) {
				if !strings.HasPrefix(c, "Digest ") {
					t.Errorf("challenge %s is not by digest", c)
				}
			})
		}
		if c := d.Challenges(realm, false)[0]; strings.Contains(c, "stale") {
			t.Errorf("challenge %s says stale without cause", c)
		}
	}
	t.Run("AUT-07/nonces-differ", func(t *testing.T) {
		d := verifier(t, auth.DigestOptions{})
		if a, b := d.Challenges(realm, false), d.Challenges(realm, false); a[0] == b[0] {
			t.Errorf("the same challenge twice: %s", a[0])
		}
	})
	t.Run("SEC-02/challenge-is-small", func(t *testing.T) {
		size := 0
		for _, c := range verifier(t, auth.DigestOptions{}).Challenges(realm, false) {
			size += len("WWW-Authenticate: \r\n") + len(c)
		}
		if size > 500 {
			t.Errorf("three challenges take %d octets, want at most 500", size)
		}
	})
}

func TestRows(t *testing.T) {
	d := verifier(t, auth.DigestOptions{})
	good := func() string { return alice.answerParsed(t, challenge(t, d), 1) }
	edit := func(old, new string) string {
		row := good()
		if !strings.Contains(row, old) {
			t.Fatalf("%s has no %s", row, old)
		}
		return strings.Replace(row, old, new, 1)
	}
	md5 := func() string {
		for _, c := range d.Challenges(realm, false) {
			if strings.Contains(c, "MD5") {
				return alice.answer(t, strings.Replace(c, ", algorithm=MD5", "", 1), 1)
			}
		}
		return ""
	}
	malformed := errors.New("CredentialsError")
	tests := []struct {
		name string
		rows []string
		want error
	}{
		{"AUT-11/none", nil, auth.ErrNoCredentials},
		{"AUT-11/unknown-scheme", []string{"NoOneKnowsThisScheme opaque-data=here"}, auth.ErrNoCredentials},
		{"AUT-11/unknown-scheme-odd-syntax", []string{`Strange ,,"`}, auth.ErrNoCredentials},
		{"AUT-11/wrong-realm", []string{edit(`realm="example.com"`, `realm="other.example"`)}, auth.ErrNoCredentials},
		{"AUT-11/wrong-realm-skipped", []string{edit(`realm="example.com"`, `realm="other.example"`), good()}, nil},
		{"AUT-11/unknown-scheme-skipped", []string{"NoOneKnowsThisScheme opaque-data=here", good()}, nil},
		{"AUT-11/malformed-skipped", []string{edit("nc=00000001", "nc=1"), good()}, nil},
		{"AUT-02/Basic", []string{"Basic YWxpY2U6d29uZGVybGFuZA=="}, auth.ErrNoCredentials},
		{"AUT-06/absent-algorithm-is-MD5", []string{md5()}, nil},
		{"AUT-06/quoted-tokens-tolerated", []string{edit("qop=auth", `qop="auth"`)}, nil},
		{"AUT-06/unknown-algorithm", []string{edit("algorithm=SHA-256", "algorithm=SHA-3")}, auth.ErrNoCredentials},
		{"AUT-06/session-variant-not-offered", []string{edit("algorithm=SHA-256", "algorithm=SHA-256-sess")}, auth.ErrNoCredentials},
		{"AUT-06/upper-case-scheme", []string{edit("Digest ", "DIGEST ")}, nil},
		{"AUT-10/unquoted-uri", []string{edit(`uri="sip:alice@example.com"`, `uri=sip`)}, malformed},
		{"AUT-10/hashed-as-sent", []string{edit(`uri="sip:alice@example.com"`, `uri="sip:ALICE@example.com"`)}, auth.ErrRejected},
		{"AUT-10/no-uri", []string{edit(`uri="sip:alice@example.com", `, "")}, malformed},
		{"no-user", []string{edit(`username="alice", `, "")}, malformed},
		{"two-users", []string{edit(`username="alice"`, `username="alice", username*=UTF-8''alice`)}, malformed},
		{"extended-user", []string{edit(`username="alice"`, `username*=UTF-8''%61lice`)}, nil},
		{"extended-user-latin", []string{edit(`username="alice"`, `username*=ISO-8859-1''%61lice`)}, malformed},
		{"short-count", []string{edit("nc=00000001", "nc=1")}, malformed},
		{"zero-count", []string{edit("nc=00000001", "nc=00000000")}, malformed},
		{"negative-count", []string{edit("nc=00000001", "nc=-0000001")}, malformed},
		{"no-grammar", []string{`Digest realm="example.com", username="alice`}, malformed},
		{"twice", []string{edit("nc=00000001", "nc=00000001, nc=00000001")}, malformed},
		{"overlong", []string{edit(`username="alice"`, `username="`+strings.Repeat("a", 2000)+`"`)}, malformed},
		{"not-challenged-yet", []string{`Digest username="alice", realm="example.com", nonce="", uri="sip:example.com", response=""`}, auth.ErrNoCredentials},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := try(d, test.rows...)
			if test.want == malformed {
				if _, ok := errors.AsType[*auth.CredentialsError](err); !ok {
					t.Errorf("%v, want a CredentialsError", err)
				}
			} else if !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
		})
	}
}

func TestDigestURI(t *testing.T) {
	d := verifier(t, auth.DigestOptions{})
	verify := func(uri string) error {
		who := alice
		who.uri = uri
		_, err := d.Verify(context.Background(), auth.Request{
			Realm: realm, Method: "PUBLISH", Rows: rows(who.answerParsed(t, challenge(t, d), 1)),
			Serves: func(uri string) bool { return strings.HasSuffix(uri, "@example.com") },
		})
		return err
	}
	t.Run("AUT-10/may-differ-from-request-uri", func(t *testing.T) {
		if err := verify("sip:somebody@example.com"); err != nil {
			t.Error(err)
		}
	})
	t.Run("AUT-10/not-served", func(t *testing.T) {
		err := verify("sip:alice@elsewhere.example")
		if _, ok := errors.AsType[*auth.CredentialsError](err); !ok {
			t.Errorf("%v, want a CredentialsError", err)
		}
	})
}
