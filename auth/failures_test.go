package auth_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"vigie/auth"
)

func TestUnknownUserLooksLikeWrongPassword(t *testing.T) {
	outcomes := func(user string) (all []string) {
		synctest.Test(t, func(t *testing.T) {
			d := verifier(t, auth.DigestOptions{})
			who := alice
			who.user, who.password = user, "guess"
			for range 30 {
				err := try(d, who.answerParsed(t, challenge(t, d), 1))
				all = append(all, err.Error())
				time.Sleep(100 * time.Millisecond)
			}
		})
		return all
	}
	known, unknown := outcomes("alice"), outcomes("erin")
	if !slices.Equal(known, unknown) {
		t.Errorf("AUT-14/indistinguishable: answers for a known user %q, for an unknown one %q", known, unknown)
	}
}

func TestFailuresAreSlowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := verifier(t, auth.DigestOptions{})
		from := func(who client, source string) error {
			_, err := d.Verify(context.Background(), auth.Request{
				Realm: realm, Method: "PUBLISH", Rows: rows(who.answerParsed(t, challenge(t, d), 1)),
				Source: netip.MustParseAddr(source),
			})
			return err
		}
		guess := alice
		guess.password = "guess"
		if err := from(alice, "192.0.2.1"); err != nil {
			t.Fatal(err)
		}
		n := 0
		for ; n < 100; n++ {
			if err := from(guess, fmt.Sprintf("198.51.100.%d", n)); !errors.Is(err, auth.ErrRejected) {
				break
			}
		}
		if n != 10 {
			t.Errorf("AUT-14/slowed-per-user: %d wrong passwords looked at, want 10", n)
		}
		err := from(alice, "203.0.113.1")
		throttled, ok := errors.AsType[*auth.ThrottledError](err)
		if !ok || throttled.RetryAfter <= 0 || throttled.Seconds() < 1 {
			t.Fatalf("AUT-14/slowed-per-user: right password from elsewhere: %v, want a ThrottledError", err)
		}
		if err := from(alice, "192.0.2.1"); err != nil {
			t.Errorf("AUT-14/who-proved-it-is-not-locked-out: %v", err)
		}
		time.Sleep(throttled.RetryAfter)
		if err := from(alice, "203.0.113.1"); err != nil {
			t.Errorf("AUT-14/after-RetryAfter: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		d := verifier(t, auth.DigestOptions{})
		n := 0
		for ; n < 1000; n++ {
			guess := alice
			guess.user, guess.password = fmt.Sprintf("user%d", n), "guess"
			if err := try(d, guess.answerParsed(t, challenge(t, d), 1)); !errors.Is(err, auth.ErrRejected) {
				break
			}
		}
		if n != 50 {
			t.Errorf("AUT-14/slowed-per-source: %d users tried, want 50", n)
		}
	})
}
