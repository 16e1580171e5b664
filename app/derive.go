package app

import (
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"vigie/auth"
)

// What the services want to know and the configuration says in other words.

// domains are those of the configuration, else this machine's names and
// addresses.
func (c *Config) domains() []string {
	if len(c.Domains) > 0 {
		list := make([]string, len(c.Domains))
		for i, d := range c.Domains {
			list[i] = strings.ToLower(d)
		}
		return list
	}
	list := []string{"localhost"}
	if name, err := os.Hostname(); err == nil && domainFault(name) == "" {
		list = append(list, strings.ToLower(name))
	}
	addresses, _ := net.InterfaceAddrs() // without them the names must do
	for _, a := range addresses {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil || prefix.Addr().IsLinkLocalUnicast() {
			continue
		}
		host := prefix.Addr().String()
		if prefix.Addr().Is6() {
			host = "[" + host + "]"
		}
		list = append(list, host)
	}
	return list
}

func (c *Config) trusted() *auth.Trusted {
	t := &auth.Trusted{Domains: c.SIP.TrustedCertificates}
	for _, peer := range c.SIP.Trusted {
		prefix, _ := parsePrefix(peer) // checked when the configuration was read
		t.Prefixes = append(t.Prefixes, prefix)
	}
	return t
}

// sources allows twice what one second may bring at once.
func (c *Config) sources(m *auth.Metrics) *auth.Sources {
	rate := c.SIP.UnauthenticatedRate
	if rate == 0 || c.SIP.Authentication == "none" {
		return nil
	}
	return auth.NewSources(auth.SourceOptions{Burst: 2 * rate, Every: time.Second / time.Duration(rate), Metrics: m})
}

// anyPresentity says whether addresses without account are served.
func (c *Config) anyPresentity() bool {
	if c.Presence.Presentities == "auto" {
		return c.SIP.Authentication == "none" || len(c.SIP.Trusted) > 0 || len(c.SIP.TrustedCertificates) > 0
	}
	return c.Presence.Presentities == "any"
}

// uniform is the one status for unknown presentities and refused watchers, 0
// for two.
func (c *Config) uniform() int {
	switch c.SIP.Refusals {
	case "403":
		return 403
	case "404":
		return 404
	}
	return 0
}
