package app

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"vigie/sip/transport"
)

// fault is a value that is well-formed but cannot work.
type fault struct{ key, text string }

// faults checks what one value alone cannot know: values against each other,
// addresses, files.
func (c *Config) faults() []fault {
	var all []fault
	add := func(key, format string, args ...any) {
		all = append(all, fault{key, fmt.Sprintf(format, args...)})
	}
	for i, d := range c.Domains {
		if why := domainFault(d); why != "" {
			add("domains", "domains holds %q: %s", d, why)
		}
		if slices.ContainsFunc(c.Domains[:i], func(other string) bool { return strings.EqualFold(other, d) }) {
			add("domains", "domains holds %q twice", d)
		}
	}
	c.listenFaults(add)
	c.trustFaults(add)
	c.tlsFaults(add)
	if c.HTTP.Listen != "" {
		if err := checkHostPort(c.HTTP.Listen); err != nil {
			add("http.listen", "http.listen is %q: %v; write an address and a port, such as \"127.0.0.1:8080\"", c.HTTP.Listen, err)
		}
	}
	for section, e := range map[string]Expires{"presence": c.Presence.Expires, "dialog": c.Dialog.Expires,
		"message-summary": c.MessageSummary.Expires, "reg": c.Reg.Expires} {
		expiresFaults(section, e, add)
	}
	return all
}

type addFault func(key, format string, args ...any)

func (c *Config) listenFaults(add addFault) {
	if len(c.SIP.Listen) == 0 {
		add("sip.listen", "sip.listen is empty; write at least one listener, such as \"udp://0.0.0.0:5060\"")
	}
	seen := map[transport.Listen]bool{}
	for _, spec := range c.SIP.Listen {
		l, err := transport.ParseListen(spec)
		if err != nil {
			add("sip.listen", "sip.listen: %v", err)
			continue
		}
		if seen[l] && l.Addr.Port() != 0 {
			add("sip.listen", "sip.listen holds %q twice", spec)
		}
		seen[l] = true
		if l.Protocol == transport.TLS && c.TLS.Certificate == "" {
			add("sip.listen", "sip.listen holds %q, which needs tls.certificate and tls.key", spec)
		}
	}
	if a := c.SIP.Advertise; a != "" && strings.ContainsAny(a, " /@<>;?") {
		add("sip.advertise", "sip.advertise is %q; write a host name or an address alone, such as \"sip.example.com\"", a)
	}
	for _, server := range c.SIP.DNS {
		if _, err := netip.ParseAddrPort(server); err != nil {
			if _, err := netip.ParseAddr(server); err != nil {
				add("sip.dns", "sip.dns holds %q; write addresses, such as \"192.0.2.53\" or \"192.0.2.53:53\"", server)
			}
		}
	}
	if len(c.SIP.Algorithms) == 0 {
		add("sip.algorithms", "sip.algorithms is empty; nobody could log in. Write at least one of \"SHA-256\", \"SHA-512-256\", \"MD5\"")
	}
	for i, algorithm := range c.SIP.Algorithms {
		if slices.Contains(c.SIP.Algorithms[:i], algorithm) {
			add("sip.algorithms", "sip.algorithms holds %q twice", algorithm)
		}
	}
	atLeast := func(key string, d, least time.Duration, why string) {
		if d < least {
			add(key, "%s is %s, below %s: %s", key, shortDuration(d), shortDuration(least), why)
		}
	}
	atLeast("sip.nonce-lifetime", c.SIP.NonceLifetime, 10*time.Second, "no answer would be in time")
	atLeast("sip.idle-timeout", c.SIP.IdleTimeout, 32*time.Second, "answers would find their connection closed (RFC 3261 §18)")
	atLeast("sip.read-timeout", c.SIP.ReadTimeout, time.Second, "a message of several packets would never be whole")
	if c.SIP.WriteQueue < c.SIP.MaxMessage {
		add("sip.write-queue", "sip.write-queue is %s, smaller than a message may be (sip.max-message is %s)",
			shortSize(c.SIP.WriteQueue), shortSize(c.SIP.MaxMessage))
	}
}

func (c *Config) trustFaults(add addFault) {
	for _, peer := range c.SIP.Trusted {
		if _, err := parsePrefix(peer); err != nil {
			add("sip.trusted", "sip.trusted holds %q; write an address or a network, such as \"192.0.2.10\" or \"192.0.2.0/24\"", peer)
		}
	}
	if len(c.SIP.TrustedCertificates) > 0 && c.TLS.ClientCA == "" {
		add("sip.trusted-certificates", "sip.trusted-certificates needs tls.client-ca, which says whose certificates are genuine")
	}
}

func (c *Config) tlsFaults(add addFault) {
	certificate, key := c.path(c.TLS.Certificate), c.path(c.TLS.Key)
	switch {
	case certificate == "" && key != "":
		add("tls.key", "tls.key is given without tls.certificate")
	case certificate != "" && key == "":
		add("tls.certificate", "tls.certificate is given without tls.key")
	case certificate != "":
		if why := unreadable(certificate); why != "" {
			add("tls.certificate", "tls.certificate: %s", why)
		} else if why := unreadable(key); why != "" {
			add("tls.key", "tls.key: %s", why)
		} else if _, err := tls.LoadX509KeyPair(certificate, key); err != nil {
			add("tls.certificate", "tls.certificate and tls.key do not serve: %v", err)
		}
	}
	if c.TLS.ClientCA != "" {
		if _, err := loadPool(c.path(c.TLS.ClientCA)); err != nil {
			add("tls.client-ca", "tls.client-ca: %v", err)
		}
	}
}

func expiresFaults(section string, e Expires, add addFault) {
	switch {
	case e.Min > e.Max:
		add(section+".expires.min", "%s.expires.min is %s, above max, which is %s", section, shortDuration(e.Min), shortDuration(e.Max))
	case e.Default < e.Min || e.Default > e.Max:
		add(section+".expires.default", "%s.expires.default is %s; it must lie between min (%s) and max (%s)",
			section, shortDuration(e.Default), shortDuration(e.Min), shortDuration(e.Max))
	case e.Max == 0:
		add(section+".expires.max", "%s.expires.max is 0; nothing would live", section)
	}
}

func domainFault(d string) string {
	switch {
	case d == "":
		return "a domain cannot be empty"
	case strings.HasPrefix(d, "sip:") || strings.HasPrefix(d, "sips:") || strings.ContainsAny(d, "@/"):
		return "write the domain alone, such as \"example.com\""
	case strings.ContainsAny(d, " \t;?<>,\"") || (strings.Contains(d, ":") && !strings.HasPrefix(d, "[")):
		return "that is no host name; ports do not belong here"
	}
	return ""
}

func parsePrefix(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	return netip.ParsePrefix(s)
}

func checkHostPort(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return errors.New("no port")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n > 65535 {
		return fmt.Errorf("%q is no port", port)
	}
	if _, err := netip.ParseAddr(host); host != "" && host != "localhost" && err != nil {
		return fmt.Errorf("%q is no address", host)
	}
	return nil
}

// path makes a file name of the configuration relative to the folder of the
// configuration file.
func (c *Config) path(name string) string {
	if name == "" || filepath.IsAbs(name) || c.File == "" {
		return name
	}
	return filepath.Join(filepath.Dir(c.File), name)
}

func unreadable(name string) string {
	f, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Sprintf("there is no file %s", name)
	}
	if err != nil {
		return err.Error()
	}
	f.Close()
	return ""
}

func loadPool(name string) (*x509.CertPool, error) {
	if why := unreadable(name); why != "" {
		return nil, errors.New(why)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("%s holds no certificate in PEM form", name)
	}
	return pool, nil
}
