package auth_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	peer "github.com/icholy/digest"

	"vigie/auth"
)

func TestNonceLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := verifier(t, auth.DigestOptions{NonceLifetime: time.Minute})
		c := challenge(t, d)
		time.Sleep(time.Minute - time.Millisecond)
		if err := try(d, alice.answerParsed(t, c, 1)); err != nil {
			t.Errorf("within the lifetime: %v", err)
		}
		time.Sleep(time.Millisecond)
		// AUT-07: stale is said only to who knows the password.
		if err := try(d, alice.answerParsed(t, c, 2)); !errors.Is(err, auth.ErrStale) || !auth.Stale(err) {
			t.Errorf("AUT-07/expired: %v, want ErrStale", err)
		}
		wrong := alice
		wrong.password = "guess"
		if err := try(d, wrong.answerParsed(t, c, 3)); !errors.Is(err, auth.ErrRejected) || auth.Stale(err) {
			t.Errorf("AUT-07/expired-and-wrong: %v, want ErrRejected", err)
		}
	})
}

func TestForgedNonce(t *testing.T) {
	d := verifier(t, auth.DigestOptions{})
	own := challenge(t, d)
	foreign := *own
	foreign.Realm = "other.example"
	others := []string{
		strings.Repeat("A", len(own.Nonce)),                    // forged
		own.Nonce[:len(own.Nonce)-1],                           // cut
		own.Nonce + "A",                                        // longer
		"!" + own.Nonce[1:],                                    // no base64
		challenge(t, otherSecret(t)).Nonce,                     // of another server
		strings.ToUpper(own.Nonce[:20]) + own.Nonce[20:],       // changed time
		own.Nonce[:len(own.Nonce)-2] + "__",                    // changed MAC
		nonceOfRealm(t, d, "other.example"),                    // of another tenant
		"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v=======",  // anything
		strings.Repeat("x", 1000),                              // long
		"\u00e9\u00e8" + strings.Repeat("A", len(own.Nonce)-4), // not even ASCII
	}
	for i, nonce := range others {
		t.Run(fmt.Sprintf("AUT-07/unforgeable-%d", i), func(t *testing.T) {
			c := *own
			c.Nonce = nonce
			if err := try(d, alice.answerParsed(t, &c, 1)); !errors.Is(err, auth.ErrStale) {
				t.Errorf("nonce %q: %v, want ErrStale", nonce, err)
			}
		})
	}
	if err := try(d, alice.answerParsed(t, own, 1)); err != nil {
		t.Errorf("the unchanged nonce: %v", err)
	}
}

func otherSecret(t *testing.T) *auth.Digest {
	d, err := auth.NewDigest(auth.DigestOptions{
		Secret:   bytes.Repeat([]byte("x"), 32),
		Accounts: auth.NewAccounts(directory(t), 0).ByUser,
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func nonceOfRealm(t *testing.T, d *auth.Digest, realm string) string {
	c, err := peer.ParseChallenge(d.Challenges(realm, false)[0])
	if err != nil {
		t.Fatal(err)
	}
	return c.Nonce
}

func TestReplay(t *testing.T) {
	d := verifier(t, auth.DigestOptions{})
	c := challenge(t, d)
	steps := []struct {
		name  string
		count int
		want  error
	}{
		{"AUT-08/first", 1, nil},
		{"SEC-13/used-count-refused", 1, auth.ErrReplay},
		{"AUT-08/gap", 5, nil},
		{"AUT-08/out-of-order", 3, nil},
		{"AUT-08/out-of-order-once", 3, auth.ErrReplay},
		{"AUT-08/out-of-order-other", 4, nil},
		{"AUT-08/still-known", 5, auth.ErrReplay},
		{"AUT-08/jump", 68, nil},
		{"AUT-08/edge-of-window", 5, auth.ErrReplay},
		{"AUT-08/unused-in-window", 6, nil},
		{"AUT-08/below-window", 2, auth.ErrReplay},
		{"AUT-08/far-jump", 1 << 20, nil},
		{"AUT-08/left-behind", 69, auth.ErrReplay},
	}
	for _, s := range steps {
		t.Run(s.name, func(t *testing.T) {
			if err := try(d, alice.answerParsed(t, c, s.count)); !errors.Is(err, s.want) {
				t.Errorf("count %d: %v, want %v", s.count, err, s.want)
			}
		})
	}
	t.Run("AUT-08/replay-is-challenged-as-stale", func(t *testing.T) {
		if !auth.Stale(auth.ErrReplay) {
			t.Error("a replay is not challenged with stale=true")
		}
	})
	t.Run("AUT-08/failures-use-nothing-up", func(t *testing.T) {
		c := challenge(t, d)
		wrong := alice
		wrong.password = "guess"
		if err := try(d, wrong.answerParsed(t, c, 1)); !errors.Is(err, auth.ErrRejected) {
			t.Fatal(err)
		}
		if err := try(d, alice.answerParsed(t, c, 1)); err != nil {
			t.Errorf("the count that a wrong password used: %v", err)
		}
	})
	t.Run("AUT-09/another-address", func(t *testing.T) {
		_, err := d.Verify(context.Background(), auth.Request{
			Realm: realm, Method: "PUBLISH", Rows: rows(alice.answerParsed(t, challenge(t, d), 1)),
			Source: netip.MustParseAddr("2001:db8::7"),
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// A full table forgets, but never accepts a count twice.
func TestReplayTableIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := verifier(t, auth.DigestOptions{MaxNonces: 64})
		type used struct {
			challenge *peer.Challenge
			row       string
		}
		var all []used
		for range 500 {
			c := challenge(t, d)
			row := alice.answerParsed(t, c, 1)
			err := try(d, row)
			if err != nil && !errors.Is(err, auth.ErrStale) {
				t.Fatal(err)
			}
			all = append(all, used{c, row})
			time.Sleep(time.Millisecond)
		}
		for i, u := range all {
			if err := try(d, u.row); !errors.Is(err, auth.ErrReplay) && !errors.Is(err, auth.ErrStale) {
				t.Fatalf("AUT-08/replay-after-overflow: nonce %d: %v", i, err)
			}
		}
	})
}
