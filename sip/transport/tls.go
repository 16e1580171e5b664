package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// checkEvery is how often a handshake looks whether certificate files changed.
const checkEvery = time.Second

// ServerTLS is the configuration of TLS listeners: TLS 1.2 and 1.3, the
// certificate as its files say at each handshake. With clients, a peer may
// show a certificate, which must then come from one of these authorities; nil
// asks for none.
func ServerTLS(c *Certificate, clients *x509.CertPool) *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.Get}
	if clients != nil {
		config.ClientCAs = clients
		config.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return config
}

// atLeastTLS12 refuses what RFC 8996 §4 and §5 forbid.
func atLeastTLS12(config *tls.Config) *tls.Config {
	config = config.Clone()
	config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	if config.MaxVersion != 0 {
		config.MaxVersion = max(config.MaxVersion, tls.VersionTLS12)
	}
	return config
}

// clientTLS is the configuration for one connection we open. The library's own
// check of names is replaced by that of RFC 5922, which is stricter about
// wildcards and knows SIP URIs.
func clientTLS(base *tls.Config, serverName string) *tls.Config {
	config := &tls.Config{}
	if base != nil {
		config = base
	}
	config = atLeastTLS12(config)
	config.ServerName = serverName
	config.InsecureSkipVerify = true
	roots := config.RootCAs
	config.VerifyConnection = func(s tls.ConnectionState) error {
		return verifyServer(s.PeerCertificates, roots, serverName)
	}
	return config
}

func verifyServer(chain []*x509.Certificate, roots *x509.CertPool, serverName string) error {
	if len(chain) == 0 {
		return errors.New("the server showed no certificate")
	}
	intermediates := x509.NewCertPool()
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	o := x509.VerifyOptions{Roots: roots, Intermediates: intermediates, CurrentTime: time.Now()}
	if _, err := chain[0].Verify(o); err != nil {
		return err
	}
	return VerifyDomain(chain[0], serverName)
}

// Certificate is a certificate and key in two files. It follows the files:
// when they change, the next handshake uses the new ones; when the new ones
// cannot be used, the old certificate stays and the log says why.
type Certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	stamp   [2]fileStamp // of the files as last read, usable or not
	checked time.Time
}

// fileStamp is what tells that a file was written or replaced.
type fileStamp struct {
	modified time.Time
	size     int64
}

// LoadCertificate reads PEM files; logger may be nil.
func LoadCertificate(certFile, keyFile string, logger *slog.Logger) (*Certificate, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	c := &Certificate{certFile: certFile, keyFile: keyFile, log: logger, checked: time.Now()}
	stamp, err := c.stat()
	if err != nil {
		return nil, fmt.Errorf("load the certificate: %w", err)
	}
	if err := c.load(); err != nil {
		return nil, fmt.Errorf("load the certificate: %w", err)
	}
	c.stamp = stamp
	return c, nil
}

// Get gives the certificate for a handshake (tls.Config.GetCertificate).
func (c *Certificate) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.checked) >= checkEvery {
		c.checked = now
		c.follow()
	}
	return c.current, nil
}

// follow reads the files if they changed. A pair caught between the writing of
// its halves fails here and is read again when the second half comes.
func (c *Certificate) follow() {
	stamp, err := c.stat()
	if err == nil && stamp == c.stamp {
		return
	}
	if err == nil {
		c.stamp = stamp
		err = c.load()
	} else if c.stamp == ([2]fileStamp{}) {
		return // said already
	} else {
		c.stamp = [2]fileStamp{}
	}
	if err != nil {
		c.log.Error("the new certificate cannot be used; the old one stays", "file", c.certFile, "err", err)
		return
	}
	c.log.Info("certificate reloaded", "file", c.certFile, "subject", c.current.Leaf.Subject.String(), "until", c.current.Leaf.NotAfter)
}

// stat looks at both files, in a fixed order.
func (c *Certificate) stat() (stamp [2]fileStamp, err error) {
	for i, name := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return stamp, err
		}
		stamp[i] = fileStamp{info.ModTime(), info.Size()}
	}
	return stamp, nil
}

func (c *Certificate) load() error {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	c.current = &pair
	return nil
}
