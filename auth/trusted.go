package auth

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"strings"
)

// Trusted are the peers whose P-Asserted-Identity is believed (RFC 3325 §5): by
// address, or by a SIP domain that their verified TLS certificate names.
type Trusted struct {
	Prefixes []netip.Prefix
	Domains  []string
}

// ParseTrusted reads addresses, prefixes and domain names.
func ParseTrusted(peers []string) (*Trusted, error) {
	t := &Trusted{}
	for _, peer := range peers {
		if prefix, ok := parsePrefix(peer); ok {
			t.Prefixes = append(t.Prefixes, prefix)
			continue
		}
		if !isDomain(peer) {
			return nil, fmt.Errorf("auth: trusted peer %q is neither an address, nor a prefix such as 192.0.2.0/24, nor a domain name", peer)
		}
		t.Domains = append(t.Domains, peer)
	}
	return t, nil
}

func parsePrefix(s string) (netip.Prefix, bool) {
	if prefix, err := netip.ParsePrefix(s); err == nil {
		return prefix.Masked(), true
	}
	addr, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		return netip.Prefix{}, false
	}
	addr = addr.Unmap().WithZone("")
	return netip.PrefixFrom(addr, addr.BitLen()), true
}

// isDomain takes names with a letter in their last label, so that a mistyped
// address is not taken for a name.
func isDomain(s string) bool {
	labels := strings.Split(strings.TrimSuffix(s, "."), ".")
	for _, label := range labels {
		if label == "" || strings.Trim(strings.ToLower(label), "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return strings.Trim(labels[len(labels)-1], "0123456789-") != ""
}

// Believes tells whether the word of the peer at addr, who showed these verified
// certificates (its own first), is taken.
func (t *Trusted) Believes(addr netip.Addr, certificates []*x509.Certificate) bool {
	if t == nil {
		return false
	}
	addr = addr.Unmap().WithZone("")
	for _, p := range t.Prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	if len(certificates) == 0 || len(t.Domains) == 0 {
		return false
	}
	for _, shown := range CertificateDomains(certificates[0]) {
		for _, domain := range t.Domains {
			if sameDomain(shown, domain) {
				return true
			}
		}
	}
	return false
}

// CertificateDomains gives the SIP domains a certificate names (RFC 5922 §7.1):
// those of its sip URIs without a user, else its DNS names. The common name, which
// may be looked at only for backward compatibility, is not.
func CertificateDomains(c *x509.Certificate) []string {
	var domains []string
	for _, u := range c.URIs {
		if !strings.EqualFold(u.Scheme, "sip") || u.Opaque == "" || strings.Contains(u.Opaque, "@") {
			continue
		}
		host := u.Opaque
		if end := strings.IndexAny(host, ":;?"); end >= 0 {
			host = host[:end]
		}
		domains = append(domains, host)
	}
	if len(domains) > 0 {
		return domains
	}
	return c.DNSNames
}

// sameDomain compares whole names, in any case; a wildcard matches itself alone
// (RFC 5922 §7.2).
func sameDomain(a, b string) bool {
	return strings.EqualFold(strings.TrimSuffix(a, "."), strings.TrimSuffix(b, "."))
}
