package transport

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"strings"

	"vigie/sip"
)

// Domains gives the SIP domains a certificate speaks for (RFC 5922 §7.1): the
// hosts of its sip URIs that have no user part; only without any of these its
// DNS names; and its common name only when it has no alternative names at all.
func Domains(cert *x509.Certificate) []string {
	var domains []string
	for _, raw := range cert.URIs {
		uri, err := sip.ParseURI(raw.String())
		if err == nil && uri.Scheme == "sip" && uri.User == "" && uri.Host != "" {
			domains = append(domains, uri.Host)
		}
	}
	if len(domains) > 0 {
		return domains
	}
	if len(cert.DNSNames) > 0 {
		return cert.DNSNames
	}
	if hasAlternativeNames(cert) || cert.Subject.CommonName == "" {
		return nil
	}
	return []string{cert.Subject.CommonName}
}

// hasAlternativeNames looks for the extension itself (RFC 5280 §4.2.1.6), which
// may hold kinds of names that the library does not decode.
func hasAlternativeNames(cert *x509.Certificate) bool {
	for _, e := range cert.Extensions {
		if e.Id.Equal([]int{2, 5, 29, 17}) {
			return true
		}
	}
	return false
}

// VerifyDomain checks that a certificate speaks for a domain: names are equal
// as a whole, whatever their case; wildcards and suffixes do not count
// (RFC 5922 §7.2). Where the domain is a numeric address, the certificate must
// hold that very address.
func VerifyDomain(cert *x509.Certificate, domain string) error {
	bare := strings.TrimSuffix(strings.TrimPrefix(domain, "["), "]")
	if addr, err := netip.ParseAddr(bare); err == nil {
		return verifyAddr(cert, addr.Unmap())
	}
	domains := Domains(cert)
	for _, d := range domains {
		if strings.EqualFold(strings.TrimSuffix(d, "."), strings.TrimSuffix(domain, ".")) {
			return nil
		}
	}
	return fmt.Errorf("the certificate is for %s, not for %s", listed(domains), domain)
}

func verifyAddr(cert *x509.Certificate, addr netip.Addr) error {
	for _, ip := range cert.IPAddresses {
		if a, ok := netip.AddrFromSlice(ip); ok && a.Unmap() == addr {
			return nil
		}
	}
	return fmt.Errorf("the certificate does not hold the address %s", addr)
}

func listed(domains []string) string {
	if len(domains) == 0 {
		return "no domain"
	}
	return strings.Join(domains, ", ")
}
