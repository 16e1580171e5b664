package transport

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// authority signs certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{key: newKey(t), pool: x509.NewCertPool()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.cert)
	return a
}

// issue makes a certificate; edit fills in its names.
func (a *authority) issue(t testing.TB, edit func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	edit(template)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func named(dns ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.DNSNames = dns
		c.Subject.CommonName = dns[0]
	}
}

func pemFiles(t testing.TB, c tls.Certificate) (certificate, key []byte) {
	t.Helper()
	der, err := x509.MarshalECPrivateKey(c.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}),
		pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
}

func serverConfig(c tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{c}}
}

const viaTLS = "TLS 192.0.2.9:5061;branch=z9hG4bK1"

// TPT-02: TLS 1.2 and 1.3 are spoken, older ones refused (RFC 8996 §4, §5),
// even where the configuration handed in would allow them.
func TestTLSVersions(t *testing.T) {
	ca := newAuthority(t)
	config := serverConfig(ca.issue(t, named("vigie.example.com")))
	config.MinVersion = tls.VersionTLS10
	tr, h := start(t, Options{TLS: config}, "tls://127.0.0.1:0")
	for _, test := range []struct {
		name    string
		version uint16
		ok      bool
	}{
		{"TPT-02/1.0-refused", tls.VersionTLS10, false},
		{"TPT-02/1.1-refused", tls.VersionTLS11, false},
		{"TPT-02/1.2", tls.VersionTLS12, true},
		{"TPT-02/1.3", tls.VersionTLS13, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := tls.Dial("tcp", bound(tr, 0).String(), &tls.Config{
				RootCAs: ca.pool, ServerName: "vigie.example.com", MinVersion: test.version, MaxVersion: test.version,
			})
			if !test.ok {
				if err == nil || !strings.Contains(err.Error(), "protocol version") {
					t.Errorf("got %v, want a refusal of the version", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			write(t, c, options(viaTLS, "c1", "body"))
			got := <-h.got
			if got.flow.Protocol != TLS || got.flow.PeerCertificates() != nil {
				t.Errorf("flow %v with certificates %v", got.flow, got.flow.PeerCertificates())
			}
			answer(t, tr, got)
			if m := readMessage(t, c); m.Status != 200 {
				t.Errorf("got %d", m.Status)
			}
		})
	}
}

// TPT-02: a peer may show a certificate; verified, it is seen with the flow.
func TestMutualTLS(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	server := ca.issue(t, named("vigie.example.com"))
	config := serverConfig(server)
	config.ClientCAs = ca.pool
	config.ClientAuth = tls.VerifyClientCertIfGiven
	tr, h := start(t, Options{TLS: config}, "tls://127.0.0.1:0")
	open := func(c *tls.Certificate) (*tls.Conn, error) {
		return tls.Dial("tcp", bound(tr, 0).String(), &tls.Config{
			RootCAs: ca.pool, ServerName: "vigie.example.com",
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c, nil },
		})
	}
	t.Run("TPT-02/verified", func(t *testing.T) {
		client := ca.issue(t, named("proxy.example.com"))
		c, err := open(&client)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		write(t, c, options(viaTLS, "c1", ""))
		got := (<-h.got).flow.PeerCertificates()
		if len(got) == 0 || !got[0].Equal(client.Leaf) {
			t.Errorf("got %v", got)
		}
	})
	t.Run("TPT-02/unknown-authority-refused", func(t *testing.T) {
		client := other.issue(t, named("proxy.example.com"))
		c, err := open(&client)
		if err == nil { // with TLS 1.3 the refusal comes with the first read
			defer c.Close()
			_, err = c.Read(make([]byte, 1))
		}
		if err == nil || !strings.Contains(err.Error(), "unknown certificate authority") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("TPT-02/none-shown", func(t *testing.T) {
		c, err := open(&tls.Certificate{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		write(t, c, options(viaTLS, "c1", ""))
		if got := (<-h.got).flow.PeerCertificates(); got != nil {
			t.Errorf("got %v", got)
		}
	})
}

// TPT-19: as client, the server must prove to be the domain looked up
// (RFC 5922 §7.3).
func TestConnectByTLS(t *testing.T) {
	ca := newAuthority(t)
	peer, peerHandler := start(t, Options{TLS: serverConfig(ca.issue(t, named("example.com", "example.org")))}, "tls://127.0.0.1:0")
	tr, _ := start(t, Options{TLS: serverConfig(ca.issue(t, named("vigie.example.com"))), ClientTLS: &tls.Config{RootCAs: ca.pool}}, "tls://127.0.0.1:0")
	remote := bound(peer, 0)
	if _, err := tr.Connect(t.Context(), TLS, remote, "example.net"); err == nil || !strings.Contains(err.Error(), "the certificate is for example.com, example.org, not for example.net") {
		t.Errorf("TPT-19: another domain: %v", err)
	}
	f, err := tr.Connect(t.Context(), TLS, remote, "Example.COM")
	if err != nil {
		t.Fatal(err)
	}
	if g, err := tr.Connect(t.Context(), TLS, remote, "example.org"); err != nil || g != f {
		t.Errorf("the connection also proved example.org: %v, %v", g, err)
	}
	if e := f.Endpoint(); e.HostPort() != bound(tr, 0).String() || e.Protocol != TLS {
		t.Errorf("endpoint %s", e)
	}
	long := strings.Repeat("long ", 8000)
	if err := tr.Send(f, []byte(options(viaTLS, "c1", "")), nil); err != nil {
		t.Fatal(err)
	}
	text := options(viaTLS, "c2", long)
	cut := len(text) - len(long)
	if err := tr.Send(f, []byte(text[:cut]), []byte(text[cut:])); err != nil {
		t.Fatal(err)
	}
	if got := <-peerHandler.got; got.m.CallID != "c1" {
		t.Errorf("got %s", got.m.CallID)
	}
	if got := <-peerHandler.got; got.err != nil || string(got.m.Body) != long {
		t.Errorf("got %v", got.err)
	}

	stranger, _ := start(t, Options{TLS: serverConfig(newAuthority(t).issue(t, named("example.com")))}, "tls://127.0.0.1:0")
	if _, err := tr.Connect(t.Context(), TLS, bound(stranger, 0), "example.com"); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("unknown authority: %v", err)
	}
}

// TPT-19: which domains a certificate speaks for (RFC 5922 §7.1, §7.2).
func TestVerifyDomain(t *testing.T) {
	ca := newAuthority(t)
	uris := func(all ...string) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			for _, s := range all {
				u, err := url.Parse(s)
				if err != nil {
					t.Fatal(err)
				}
				c.URIs = append(c.URIs, u)
			}
		}
	}
	both := func(a, b func(*x509.Certificate)) func(*x509.Certificate) {
		return func(c *x509.Certificate) { a(c); b(c) }
	}
	common := func(name string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.Subject.CommonName = name }
	}
	mail := func(c *x509.Certificate) { c.EmailAddresses = []string{"alice@example.com"} }
	for _, test := range []struct {
		name   string
		edit   func(*x509.Certificate)
		domain string
		ok     bool
	}{
		{"TPT-19/sip-uri", uris("sip:example.com"), "example.com", true},
		{"TPT-19/sip-uri-any-case", uris("SIP:Example.COM"), "example.com", true},
		{"TPT-19/sip-uri-with-user", uris("sip:alice@example.com"), "example.com", false},
		{"TPT-19/sips-uri", uris("sips:example.com"), "example.com", false},
		{"TPT-19/dns-only-without-sip-uri", both(uris("sip:example.org"), named("example.com")), "example.com", false},
		{"TPT-19/dns", named("example.com"), "EXAMPLE.com", true},
		{"TPT-19/dns-beside-user-uri", both(uris("sip:alice@example.org"), named("example.com")), "example.com", true},
		{"TPT-19/no-wildcard", named("*.example.com"), "sip.example.com", false},
		{"TPT-19/no-suffix", named("example.com"), "sip.example.com", false},
		{"TPT-19/no-prefix", named("sip.example.com"), "example.com", false},
		{"TPT-19/cn", common("example.com"), "example.com", true},
		{"TPT-19/cn-not-beside-san", both(named("example.org"), common("example.com")), "example.com", false},
		{"TPT-19/cn-not-beside-mail-san", both(mail, common("example.com")), "example.com", false},
		{"address", func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.ParseIP("192.0.2.1")} }, "192.0.2.1", true},
		{"address-v6", func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.ParseIP("2001:db8::1")} }, "[2001:db8::1]", true},
		{"address-is-no-name", named("192.0.2.1"), "192.0.2.1", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := VerifyDomain(ca.issue(t, test.edit).Leaf, test.domain)
			if (err == nil) != test.ok {
				t.Errorf("got %v, want accepted: %v", err, test.ok)
			}
		})
	}
}

// Certificate files are followed; a bad new one leaves the old one in place.
func TestCertificateIsReloaded(t *testing.T) {
	ca := newAuthority(t)
	first, second := ca.issue(t, named("one.example.com")), ca.issue(t, named("two.example.com"))
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	stamp := time.Now()
	put := func(name string, data []byte) {
		t.Helper()
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		stamp = stamp.Add(time.Minute) // whatever the file system's clock resolves
		if err := os.Chtimes(name, stamp, stamp); err != nil {
			t.Fatal(err)
		}
	}
	firstCert, firstKey := pemFiles(t, first)
	secondCert, secondKey := pemFiles(t, second)
	put(certFile, firstCert)
	put(keyFile, firstKey)

	synctest.Test(t, func(t *testing.T) {
		log := &logBuffer{}
		c, err := LoadCertificate(certFile, keyFile, log.logger())
		if err != nil {
			t.Fatal(err)
		}
		shows := func(want string, errors int) {
			t.Helper()
			time.Sleep(2 * time.Second)
			for range 2 {
				got, err := c.Get(nil)
				if err != nil {
					t.Fatal(err)
				}
				if name := got.Leaf.DNSNames[0]; name != want {
					t.Errorf("shows %s, want %s", name, want)
				}
			}
			if got := strings.Count(log.String(), "the old one stays"); got != errors {
				t.Errorf("%d complaints, want %d:\n%s", got, errors, log)
			}
		}
		shows("one.example.com", 0)
		put(certFile, secondCert) // the key does not fit yet
		shows("one.example.com", 1)
		shows("one.example.com", 1)
		put(keyFile, secondKey)
		shows("two.example.com", 1)
		put(certFile, []byte("rubbish"))
		shows("two.example.com", 2)
		os.Remove(certFile)
		shows("two.example.com", 3)
		shows("two.example.com", 3)
		put(certFile, firstCert)
		put(keyFile, firstKey)
		shows("one.example.com", 3)
	})

	if _, err := LoadCertificate(filepath.Join(dir, "none.pem"), keyFile, nil); err == nil {
		t.Error("a missing file is no error")
	}
}

// The listener uses the new certificate without a restart.
func TestServerTLSFollowsCertificate(t *testing.T) {
	ca := newAuthority(t)
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	put := func(name string) {
		t.Helper()
		certificate, key := pemFiles(t, ca.issue(t, named(name)))
		if os.WriteFile(certFile, certificate, 0o600) != nil || os.WriteFile(keyFile, key, 0o600) != nil {
			t.Fatal("cannot write the certificate")
		}
	}
	put("one.example.com")
	c, err := LoadCertificate(certFile, keyFile, nil)
	if err != nil {
		t.Fatal(err)
	}
	tr, _ := start(t, Options{TLS: ServerTLS(c, nil)}, "tls://127.0.0.1:0")
	shown := func() string {
		t.Helper()
		conn, err := tls.Dial("tcp", bound(tr, 0).String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].DNSNames[0]
	}
	if got := shown(); got != "one.example.com" {
		t.Errorf("shows %s", got)
	}
	put("two-is-longer.example.com")
	c.mu.Lock()
	c.checked = time.Time{} // as if a second had passed
	c.mu.Unlock()
	if got := shown(); got != "two-is-longer.example.com" {
		t.Errorf("shows %s", got)
	}
}

// A peer that opens a TLS connection and says nothing is let go.
func TestHandshakeTimeout(t *testing.T) {
	config := serverConfig(newAuthority(t).issue(t, named("vigie.example.com")))
	synctest.Test(t, func(t *testing.T) {
		n := NewMemory()
		tr, _ := start(t, Options{Network: n, TLS: config}, "tls://192.0.2.1:5061")
		c := dial(t, n, "192.0.2.9", "192.0.2.1:5061")
		if after, _ := ends(t, c); after != 10*time.Second {
			t.Errorf("closed after %s, want 10s", after)
		}
		synctest.Wait()
		if got, open := tr.Metrics().HandshakeFailures.Load(), tr.Metrics().ByProtocol[TLS].Connections.Load(); got != 1 || open != 0 {
			t.Errorf("counted %d failures and %d open, want 1 and 0", got, open)
		}
	})
}

// TPT-08: a message sent over TLS keeps the connection as one received does.
func TestIdleTLSConnection(t *testing.T) {
	ca := newAuthority(t)
	config := serverConfig(ca.issue(t, named("vigie.example.com")))
	synctest.Test(t, func(t *testing.T) {
		n := NewMemory()
		tr, h := start(t, Options{Network: n, TLS: config, Limits: Limits{IdleTimeout: 40 * time.Second}}, "tls://192.0.2.1:5061")
		c := tls.Client(dial(t, n, "192.0.2.9", "192.0.2.1:5061"), &tls.Config{InsecureSkipVerify: true})
		write(t, c, options(viaTLS, "c1", ""))
		got := <-h.got
		time.Sleep(35 * time.Second)
		if err := tr.Send(got.flow, []byte("x"), nil); err != nil {
			t.Fatal(err)
		}
		if after, text := ends(t, c); after != 40*time.Second || text != "x" {
			t.Errorf("closed after %s and %q, want 40s", after, text)
		}
	})
}
