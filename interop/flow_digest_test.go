package interop

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// people have accounts where a test authenticates.
var people = []string{"alice", "bob", "carol"}

// F-02 as far as SIPp can play it: it knows MD5 alone, and takes the first
// challenge for its own. AUT-01, AUT-02, AUT-08, AUT-12, SEC-01, PRS-02.
func TestDigestBySIPp(t *testing.T) {
	over(t, func(t *testing.T, transport string) {
		s := start(t, setup{accounts: people, sip: []string{`algorithms = ["MD5"]`}})
		for _, name := range []string{"f02-wrong", "f02-other", "f02-digest"} {
			s.sipp(transport, name, nil).passes()
		}
	})
}

// offered is the order in which the servers below offer their algorithms.
var offered = []string{"SHA-512-256", "SHA-256", "MD5"}

func digestServer(t *testing.T, further ...string) *server {
	lines := append([]string{`algorithms = ["` + strings.Join(offered, `", "`) + `"]`, "unauthenticated-rate = 0"}, further...)
	return start(t, setup{accounts: people, sip: lines})
}

// challenged sends a request without credentials and returns what the 401
// offers, by algorithm.
func (p *phone) challenged(m message) map[string]challenge {
	p.t.Helper()
	r := p.ask(m)
	want(p.t, r, 401)
	by := make(map[string]challenge)
	for _, c := range challenges(r) {
		by[c.algorithm] = c
	}
	return by
}

// F-02: every algorithm, with counts going up on one nonce.
func TestDigestInAllVariants(t *testing.T) {
	over(t, func(t *testing.T, transport string) {
		s := digestServer(t)
		for _, algorithm := range offered {
			t.Run("AUT-03/"+algorithm, func(t *testing.T) {
				p := dial(t, s.addr(), transport, "bob")
				d := p.subscription("sip:alice@example.com")
				c := p.challenged(d.subscribe(600))[algorithm]
				by := credentials{"bob", password, "auth", 1}
				r := p.ask(d.subscribe(600).signed(c, by))
				want(t, r, 200)
				d.learn(r)
				d.notify()

				by.nc = 2
				refresh := d.subscribe(600).signed(c, by)
				want(t, p.ask(refresh), 200)
				d.notify()

				// The same credentials again in a new transaction (AUT-08, SEC-13).
				replay := d.subscribe(600).with("Authorization", refresh.get("Authorization"))
				want(t, p.ask(replay), 401)

				// Counts may overtake each other, each is good once (AUT-08).
				for _, nc := range []int{5, 4} {
					by.nc = nc
					want(t, p.ask(d.subscribe(600).signed(c, by)), 200)
					d.notify()
				}
				by.nc = 4
				want(t, p.ask(d.subscribe(600).signed(c, by)), 401)
			})
		}
	})
}

// The challenge: AUT-01, AUT-02, AUT-03, AUT-04, AUT-06, AUT-11; repeated, it
// is the same (TRN-15) and no state comes of it (SEC-01).
func TestChallenge(t *testing.T) {
	over(t, func(t *testing.T, transport string) {
		s := digestServer(t)
		p := dial(t, s.addr(), transport, "bob")
		m := p.subscription("sip:alice@example.com").subscribe(600)
		first := p.ask(m)
		want(t, first, 401)
		rows := first.all("WWW-Authenticate")
		var algorithms []string
		for _, v := range rows {
			c, ok := readChallenge(v)
			if !ok {
				t.Errorf("AUT-02: challenge that is not a digest: %s", v)
			}
			algorithms = append(algorithms, c.algorithm)
			if c.realm != "example.com" || c.nonce == "" || c.qop == "" {
				t.Errorf("AUT-04, AUT-11: want realm example.com, a nonce and a qop in %s", v)
			}
			for _, quoted := range []string{`realm="`, `nonce="`, `qop="`} {
				if !strings.Contains(v, quoted) {
					t.Errorf("AUT-06: no %s in %s", quoted, v)
				}
			}
			if strings.Contains(v, `algorithm="`) || strings.Contains(v, `stale="`) {
				t.Errorf("AUT-06: algorithm and stale are not quoted: %s", v)
			}
		}
		if got := fmt.Sprint(algorithms); got != fmt.Sprint(offered) {
			t.Errorf("AUT-03: algorithms %s, want %v", got, offered)
		}
		p.send(m)
		again, ok := p.response(m, patience)
		if !ok {
			t.Fatal("the repeated request got no answer")
		}
		if again.get("To") != first.get("To") || again.status() != 401 {
			t.Errorf("TRN-15: first %s with To %s, then %s with To %s", first.start, first.get("To"), again.start, again.get("To"))
		}
		if n, ok := p.take(time.Second, func(m message) bool { return m.method() == "NOTIFY" }); ok {
			t.Errorf("SEC-01: NOTIFY without credentials\n%s", indent(n.String()))
		}
	})
}

// What credentials must not do: AUT-07, AUT-11, AUT-12, AUT-14, AUT-21 of the
// caller's side.
func TestDigestRefused(t *testing.T) {
	over(t, func(t *testing.T, transport string) {
		s := digestServer(t)
		p := dial(t, s.addr(), transport, "bob")
		ask := func(change func(message, challenge) message) message {
			d := p.subscription("sip:alice@example.com")
			c := p.challenged(d.subscribe(600))["SHA-256"]
			return p.ask(change(d.subscribe(600), c))
		}
		right := credentials{"bob", password, "auth", 1}
		wrong := ask(func(m message, c challenge) message { return m.signed(c, credentials{"bob", "guess", "auth", 1}) })
		unknown := ask(func(m message, c challenge) message { return m.signed(c, credentials{"mallory", "guess", "auth", 1}) })
		for name, r := range map[string]message{"AUT-07/wrong-password": wrong, "AUT-14/unknown-user": unknown} {
			if r.status() != 401 || strings.EqualFold(challenges(r)[0].stale, "true") {
				t.Errorf("%s: %s, stale=%s", name, r.start, challenges(r)[0].stale)
			}
		}
		if len(wrong.rows) != len(unknown.rows) || wrong.start != unknown.start {
			t.Errorf("AUT-14: a wrong password and an unknown user are answered differently")
		}
		other := ask(func(m message, c challenge) message {
			return m.with("From", "<sip:carol@example.com>;tag="+token()).signed(c, right)
		})
		if other.status() != 403 {
			t.Errorf("AUT-12: From of somebody else: %s, want 403", other.start)
		}
		foreign := ask(func(m message, c challenge) message {
			c.realm = "example.net"
			return m.signed(c, right)
		})
		if foreign.status() != 401 {
			t.Errorf("AUT-11: credentials for another realm: %s, want 401", foreign.start)
		}
		forged := ask(func(m message, c challenge) message {
			c.nonce = token() + token()
			return m.signed(c, right)
		})
		if forged.status() != 401 {
			t.Errorf("AUT-07: a nonce of the client's own: %s, want 401", forged.start)
		}
		basic := ask(func(m message, _ challenge) message {
			return m.with("Authorization", "Basic Ym9iOm9wZW4tc2VzYW1l")
		})
		if basic.status() != 401 {
			t.Errorf("AUT-02: Basic: %s, want 401", basic.start)
		}
		if n, ok := p.take(500*time.Millisecond, func(m message) bool { return m.method() == "NOTIFY" }); ok {
			t.Errorf("SEC-01: NOTIFY after refused requests\n%s", indent(n.String()))
		}
	})
}

// A nonce that is too old: stale=true, and the new one serves (AUT-07).
func TestStaleNonce(t *testing.T) {
	over(t, func(t *testing.T, transport string) {
		s := digestServer(t, `nonce-lifetime = "10s"`)
		p := dial(t, s.addr(), transport, "bob")
		d := p.subscription("sip:alice@example.com")
		c := p.challenged(d.subscribe(600))["SHA-256"]
		by := credentials{"bob", password, "auth", 1}
		r := p.ask(d.subscribe(600).signed(c, by))
		want(t, r, 200)
		d.learn(r)
		d.notify()
		// Refreshes until the nonce has grown too old.
		deadline := time.Now().Add(patience)
		for r.status() == 200 && time.Now().Before(deadline) {
			<-time.After(time.Second)
			by.nc++
			if r = p.ask(d.subscribe(600).signed(c, by)); r.status() == 200 {
				d.notify()
			}
		}
		want(t, r, 401)
		for _, c := range challenges(r) {
			if !strings.EqualFold(c.stale, "true") {
				t.Errorf("challenge for an old nonce has stale=%q, want true", c.stale)
			}
		}
		for _, c := range challenges(r) {
			if c.algorithm == "SHA-256" {
				want(t, p.ask(d.subscribe(600).signed(c, credentials{"bob", password, "auth", 1})), 200)
				d.notify()
			}
		}
	})
}

// PUBLISH under digest: the owner alone (PUB-21); with qop=auth-int the body is
// covered (AUT-05) where it is offered; the formula without qop is refused
// unless configured (AUT-04).
func TestDigestOfPublish(t *testing.T) {
	over(t, func(t *testing.T, transport string) {
		s := digestServer(t)
		old := digestServer(t, "legacy-digest = true")
		body := pidf("alice", "open", "signed", "")
		owner := dial(t, s.addr(), transport, "alice")
		sign := func(p *phone, m message, by credentials) message {
			c := p.challenged(m)["SHA-256"]
			if by.qop == "auth-int" && !strings.Contains(c.qop, "auth-int") {
				by.qop = "auth"
			}
			return p.ask(m.with("CSeq", "2 "+m.method()).with("Via", p.request("X", "", "", "", "", 1).get("Via")).signed(c, by))
		}
		for _, qop := range []string{"auth", "auth-int"} {
			want(t, sign(owner, owner.publish(600, "", body), credentials{"alice", password, qop, 1}), 200)
		}
		if r := sign(owner, owner.publish(600, "", body), credentials{"alice", password, "", 1}); r.status() != 401 {
			t.Errorf("AUT-04: an answer without qop got %s, want 401", r.start)
		}
		phone := dial(t, old.addr(), transport, "alice")
		want(t, sign(phone, phone.publish(600, "", body), credentials{"alice", password, "", 1}), 200)

		carol := dial(t, s.addr(), transport, "carol")
		m := carol.publish(600, "", body)
		m.start = "PUBLISH sip:alice@example.com SIP/2.0"
		if r := sign(carol, m.with("To", "<sip:alice@example.com>"), credentials{"carol", password, "auth", 1}); r.status() != 403 {
			t.Errorf("PUB-21: carol publishes for alice: %s, want 403", r.start)
		}
	})
}
