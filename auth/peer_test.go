package auth_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"net/url"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"vigie/auth"
	"vigie/sip"
	"vigie/store"
)

func TestTrusted(t *testing.T) {
	trusted, err := auth.ParseTrusted([]string{"192.0.2.10", "198.51.100.0/24", "[2001:db8::5]", "2001:db8:1::/48", "proxy.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	addresses := map[string]bool{
		"192.0.2.10":          true,
		"::ffff:192.0.2.10":   true,
		"192.0.2.11":          false,
		"198.51.100.77":       true,
		"2001:db8::5":         true,
		"2001:db8::6":         false,
		"2001:db8:1:2::3":     true,
		"2001:db8:1:2::3%eth": true,
	}
	for address, want := range addresses {
		t.Run("AUT-16/"+address, func(t *testing.T) {
			if got := trusted.Believes(netip.MustParseAddr(address), nil); got != want {
				t.Errorf("believed %v, want %v", got, want)
			}
		})
	}
	stranger := netip.MustParseAddr("203.0.113.9")
	names := []struct {
		name string
		uris []string
		dns  []string
		want bool
	}{
		{"dns", nil, []string{"other.example", "PROXY.example.com"}, true},
		{"sip-uri", []string{"sip:Proxy.Example.com"}, nil, true},
		{"sip-uri-with-port", []string{"SIP:proxy.example.com:5061;transport=tls"}, nil, true},
		{"sip-uri-wins-over-dns", []string{"sip:other.example"}, []string{"proxy.example.com"}, false},
		{"user-is-no-domain", []string{"sip:bob@proxy.example.com"}, nil, false},
		{"user-does-not-hide-dns", []string{"sip:bob@other.example"}, []string{"proxy.example.com"}, true},
		{"other-scheme", []string{"https://proxy.example.com"}, nil, false},
		{"suffix", nil, []string{"a.proxy.example.com"}, false},
		{"parent", nil, []string{"example.com"}, false},
		{"wildcard", nil, []string{"*.example.com"}, false},
		{"nothing", nil, nil, false},
	}
	for _, test := range names {
		t.Run("AUT-16/certificate-"+test.name, func(t *testing.T) {
			c := certificate(t, test.uris, test.dns)
			if got := trusted.Believes(stranger, []*x509.Certificate{c}); got != test.want {
				t.Errorf("believed %v, want %v (names %q)", got, test.want, auth.CertificateDomains(c))
			}
		})
	}
	t.Run("AUT-16/only-the-own-certificate", func(t *testing.T) {
		chain := []*x509.Certificate{certificate(t, nil, []string{"other.example"}), certificate(t, nil, []string{"proxy.example.com"})}
		if trusted.Believes(stranger, chain) {
			t.Error("believed by the name of an issuer")
		}
	})
	t.Run("AUT-16/nobody", func(t *testing.T) {
		if (*auth.Trusted)(nil).Believes(stranger, nil) {
			t.Error("somebody is believed although nobody is trusted")
		}
	})
	for _, bad := range []string{"192.0.2.300", "192.0.2.0/40", "", "a b", "exa_mple.com", "..", "1.2.3"} {
		if _, err := auth.ParseTrusted([]string{bad}); err == nil {
			t.Errorf("trusted peer %q was accepted", bad)
		}
	}
}

// certificate goes through the encoding, so that its names are as a peer's are.
func certificate(t *testing.T, uris, dns []string) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "proxy.example.com"},
		NotAfter: time.Now().Add(time.Hour), DNSNames: dns,
	}
	for _, u := range uris {
		parsed, err := url.Parse(u)
		if err != nil {
			t.Fatal(err)
		}
		template.URIs = append(template.URIs, parsed)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAsserted(t *testing.T) {
	tests := []struct {
		name   string
		values []string
		aor    string
		also   []string
		found  bool
		bad    bool
	}{
		{"none", nil, "", nil, false, false},
		{"sip", []string{`"Alice" <sip:alice@EXAMPLE.com;user=phone>`}, "sip:alice@example.com", nil, true, false},
		{"sip-and-tel", []string{"<tel:+33140506070>", "<sip:alice@example.com>"}, "sip:alice@example.com", []string{"tel:+33140506070"}, true, false},
		{"tel", []string{"<tel:+33140506070>"}, "tel:+33140506070", nil, true, false},
		{"two-sip", []string{"<sip:alice@example.com>", "<sip:bob@example.com>"}, "", nil, false, true},
		{"three", []string{"<sip:alice@example.com>", "<tel:+1>", "<tel:+2>"}, "", nil, false, true},
		{"other-scheme", []string{"<mailto:alice@example.com>"}, "", nil, false, true},
		{"garbage", []string{"<<>"}, "", nil, false, true},
	}
	for _, test := range tests {
		t.Run("AUT-17/"+test.name, func(t *testing.T) {
			id, found, err := auth.Asserted(slices.Values(test.values))
			if found != test.found || (err != nil) != test.bad {
				t.Fatalf("found %v, error %v", found, err)
			}
			if !found {
				return
			}
			if got := id.AOR.String(); got != test.aor || !id.Trusted {
				t.Errorf("AOR %s (trusted %v), want %s", got, id.Trusted, test.aor)
			}
			var also []string
			for _, u := range id.Also {
				also = append(also, u.String())
			}
			if !slices.Equal(also, test.also) {
				t.Errorf("also %q, want %q", also, test.also)
			}
			for _, u := range append(test.also, test.aor) {
				if !id.Is(sip.MustURI(u)) {
					t.Errorf("may not call itself %s", u)
				}
			}
		})
	}
}

func TestIdentityOfAccount(t *testing.T) {
	id, err := auth.Of(store.Account{AOR: "sip:alice@example.com", Username: "a1000", Realm: "example.com", Admin: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("AUT-12/provisioned-aor", func(t *testing.T) {
		if got := id.AOR.String(); got != "sip:alice@example.com" || !id.Admin || id.Username != "a1000" {
			t.Errorf("%+v", id)
		}
		for uri, want := range map[string]bool{
			"sip:alice@example.com":            true,
			"sips:alice@EXAMPLE.com;user=ip":   true,
			"sip:a1000@example.com":            false,
			"sip:Alice@example.com":            false,
			"sip:alice@other.example":          false,
			"sip:anonymous@anonymous.invalid":  false,
			"sip:%61lice@example.com:5070;x=y": true,
		} {
			if got := id.Is(sip.MustURI(uri)); got != want {
				t.Errorf("may call itself %s: %v, want %v", uri, got, want)
			}
		}
	})
	if _, err := auth.Of(store.Account{AOR: "nonsense"}); err == nil {
		t.Error("an account without a URI has an identity")
	}
}

func TestHashPassword(t *testing.T) {
	// AUT-15: what is kept are hashes, one per algorithm (RFC 2617 §3.5 gives this
	// one for MD5).
	digests := auth.HashPassword("Mufasa", "testrealm@host.com", "Circle Of Life")
	if got := digests["MD5"]; got != "939e7578ed9e3c518a452acee763bce9" {
		t.Errorf("AUT-15/MD5: %s", got)
	}
	for _, algorithm := range auth.Algorithms() {
		if digests[algorithm] == "" {
			t.Errorf("AUT-15/%s: no hash", algorithm)
		}
	}
}

func TestSources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := auth.NewSources(auth.SourceOptions{Burst: 5, Every: time.Second, Max: 64})
		take := func(address string) (n int) {
			for s.Allow(netip.MustParseAddr(address)) {
				n++
			}
			return n
		}
		if got := take("192.0.2.1"); got != 5 {
			t.Errorf("SEC-02/burst: %d, want 5", got)
		}
		if got := take("192.0.2.2"); got != 5 {
			t.Errorf("SEC-02/other-source: %d, want 5", got)
		}
		time.Sleep(3 * time.Second)
		if got := take("::ffff:192.0.2.1"); got != 3 {
			t.Errorf("SEC-02/refill: %d, want 3", got)
		}
		time.Sleep(time.Hour)
		if got := take("192.0.2.1"); got != 5 {
			t.Errorf("SEC-02/full-again: %d, want 5", got)
		}
		if got := take("2001:db8::1"); got != 5 {
			t.Errorf("SEC-02/IPv6: %d, want 5", got)
		}
		if got := take("2001:db8::ffff:1"); got != 0 {
			t.Errorf("SEC-02/same-IPv6-64: %d, want 0", got)
		}
		if got := take("2001:db8:0:1::1"); got != 5 {
			t.Errorf("SEC-02/other-IPv6-64: %d, want 5", got)
		}
	})
}

func TestAccountsCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		directory := store.NewMemoryDirectory()
		reads := 0
		directory.Fail(func(op store.Op, key string) error {
			if key != "" {
				reads++
			}
			return nil
		})
		cache := auth.NewAccounts(directory, 100)
		if _, err := cache.ByUser(ctx, realm, "alice"); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("nobody there: %v, want ErrNotFound", err)
		}
		account := store.Account{AOR: "sip:alice@example.com", Username: "alice", Realm: realm}
		if err := directory.PutAccount(ctx, account); err != nil {
			t.Fatal(err)
		}
		time.Sleep(200 * time.Millisecond)
		got, err := cache.ByUser(ctx, realm, "alice")
		if err != nil || got.AOR != account.AOR {
			t.Errorf("after 200 ms another process's account: %q, %v", got.AOR, err)
		}
		before := reads
		for range 100 {
			if _, err := cache.ByUser(ctx, realm, "alice"); err != nil {
				t.Fatal(err)
			}
		}
		if reads != before {
			t.Errorf("%d reads of the directory for a remembered account", reads-before)
		}
		if _, err := cache.ByAOR(ctx, "sip:alice@example.com"); err != nil {
			t.Error(err)
		}
		if err := directory.DeleteAccount(ctx, account.AOR); err != nil {
			t.Fatal(err)
		}
		cache.Forget()
		if _, err := cache.ByAOR(ctx, account.AOR); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("after Forget: %v, want ErrNotFound", err)
		}
		directory.Fail(func(store.Op, string) error { return errors.New("broken") })
		time.Sleep(time.Second)
		if _, err := cache.ByAOR(ctx, "sip:bob@example.com"); err == nil || errors.Is(err, store.ErrNotFound) {
			t.Errorf("broken directory: %v", err)
		}
	})
}

func TestTokens(t *testing.T) {
	a, hash := auth.NewToken()
	b, _ := auth.NewToken()
	if a == b || len(a) < 40 {
		t.Errorf("tokens %q and %q", a, b)
	}
	if !slices.Equal(hash, auth.HashToken(a)) {
		t.Error("a token's hash is not that of its secret")
	}
}

func TestLoadSecret(t *testing.T) {
	ctx := context.Background()
	directory := store.NewMemoryDirectory()
	first, err := auth.LoadSecret(ctx, directory)
	if err != nil || len(first) != 32 {
		t.Fatalf("%d octets, %v", len(first), err)
	}
	again, err := auth.LoadSecret(ctx, directory)
	if err != nil || !slices.Equal(first, again) {
		t.Errorf("another secret at the second time: %v", err)
	}
	directory.Fail(func(store.Op, string) error { return fmt.Errorf("broken") })
	if _, err := auth.LoadSecret(ctx, directory); err == nil {
		t.Error("a broken directory gave a secret")
	}
}

func BenchmarkSources(b *testing.B) {
	s := auth.NewSources(auth.SourceOptions{})
	source := netip.MustParseAddr("192.0.2.1")
	b.ReportAllocs()
	for b.Loop() {
		s.Allow(source)
	}
}
