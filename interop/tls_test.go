package interop

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// New certificate files are served without a restart; connections that are
// open stay.
func TestCertificateReloaded(t *testing.T) {
	t.Parallel()
	old := newCertificate(t)
	s := start(t, setup{tls: old})
	open, err := tls.Dial("tcp", s.tlsAddr(), old.client())
	if err != nil {
		t.Fatal(err)
	}
	before := stream(t, "bob", "TLS", open)

	renewed := newCertificate(t)
	move(t, renewed.keyFile, old.keyFile)
	move(t, renewed.certFile, old.certFile)
	deadline := time.Now().Add(patience)
	for {
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", s.tlsAddr(), renewed.client())
		if err == nil {
			_ = conn.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the renewed certificate is not served: %v", err)
		}
		<-time.After(100 * time.Millisecond)
	}
	want(t, before.ask(before.request("OPTIONS", "sip:example.com", "<sip:example.com>", token(), token(), 1)), 200)
}

func move(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// A proxy that shows a certificate with a trusted name is believed; another
// one of the same authority is not (AUT-16).
func TestTrustedCertificate(t *testing.T) {
	t.Parallel()
	cert := newCertificate(t)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	writePEM(t, ca, "CERTIFICATE", cert.authority.Raw)
	cert.clientCA = ca
	s := start(t, setup{accounts: people, tls: cert, sip: []string{`trusted-certificates = ["proxy.example.com"]`}})
	for name, status := range map[string]int{"proxy.example.com": 200, "phone.example.com": 401, "": 401} {
		t.Run(name, func(t *testing.T) {
			config := cert.client()
			if name != "" {
				config.Certificates = []tls.Certificate{cert.named(t, name)}
			}
			conn, err := tls.Dial("tcp", s.tlsAddr(), config)
			if err != nil {
				t.Fatal(err)
			}
			p := stream(t, "alice", "TLS", conn)
			r := p.ask(p.publish(600, "", pidf("alice", "open", "", ""), row{"P-Asserted-Identity", "<sip:alice@example.com>"}))
			if r.status() != status {
				t.Errorf("PUBLISH by a peer with certificate %q: %s, want %d", name, r.start, status)
			}
		})
	}
}

// named is a client certificate of the same authority.
func (c *certificate) named(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key := newKey(t)
	leaf := sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, c.authority, key, c.authorityKey)
	return tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
}
