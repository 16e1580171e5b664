package app

import "math"

// A setting binds one key of the configuration file to its field. The table
// below is the only list of keys there is: reading, `vigie config` and the
// search for the nearest key all walk it.
type setting struct {
	key     string // "sip.listen"; "presence.expires.min" is one item of an inline table
	value   value
	comment string
}

// section says what stands above a table in the printed file.
var sections = map[string]string{
	"sip":             "SIP: listeners, who is believed, and what one peer may use up.",
	"tls":             "Certificate files in PEM form for tls:// listeners; read again when they change.",
	"http":            "HTTP: administration API, metrics and health.",
	"storage":         "Where state is kept. Everything lies in the data directory (--data).",
	"presence":        "The presence event package.",
	"dialog":          "The dialog event package; not served yet, its keys are kept for then.",
	"message-summary": "The message-summary event package; not served yet, its keys are kept for then.",
	"reg":             "The reg event package; not served yet, its keys are kept for then.",
	"log":             "Logs go to standard error.",
	"runtime":         "The process itself.",
}

func (c *Config) settings() []setting {
	var all []setting
	for _, part := range [][]setting{c.general(), c.SIP.settings(), c.TLS.settings(), c.edges(), c.Presence.settings(),
		c.Dialog.settings("dialog"), c.MessageSummary.settings("message-summary"), c.Reg.settings("reg"), c.process()} {
		all = append(all, part...)
	}
	return all
}

func (c *Config) general() []setting {
	return []setting{
		{"domains", texts{to: &c.Domains, example: `["example.com"]`},
			"The domains served here; each is a tenant and the realm of its accounts. With an empty list they are\n" +
				"\"localhost\", the name of this machine and its addresses, which is enough for a try."},
	}
}

func (s *SIP) settings() []setting {
	return []setting{
		{"sip.listen", texts{to: &s.Listen, example: `["udp://0.0.0.0:5060", "tcp://0.0.0.0:5060"]`},
			"udp://, tcp:// and tls:// with an address and a port; IPv6 addresses in brackets."},
		{"sip.advertise", text{&s.Advertise},
			"Host name or address written into Via and Contact; empty: the address a message leaves from."},
		{"sip.trusted", texts{to: &s.Trusted, example: `["192.0.2.10/32"]`},
			"Peers (addresses or networks) whose P-Asserted-Identity is believed, such as a proxy in front."},
		{"sip.trusted-certificates", texts{to: &s.TrustedCertificates, example: `["proxy.example.com"]`},
			"Names in client certificates that make a TLS peer trusted; needs tls.client-ca."},
		{"sip.authentication", choice{&s.Authentication, []string{"digest", "none"}},
			"\"digest\", or \"none\", which believes every From: for laboratories only."},
		{"sip.algorithms", texts{to: &s.Algorithms, example: `["SHA-256", "MD5"]`, words: []string{"SHA-256", "SHA-512-256", "MD5"}},
			"Digest algorithms offered, most preferred first. Old phones know MD5 alone."},
		{"sip.nonce-lifetime", duration{&s.NonceLifetime}, "How long one challenge serves."},
		{"sip.legacy-digest", boolean{&s.LegacyDigest}, "Accept answers without qop (RFC 2069), for very old phones."},
		{"sip.unauthenticated-rate", number{&s.UnauthenticatedRate, 0, math.MaxInt32},
			"Requests a second without valid credentials that one source address may send; 0: any number."},
		{"sip.refusals", choice{&s.Refusals, []string{"distinct", "403", "404"}},
			"\"distinct\" answers 404 for an unknown presentity and 403 to a refused watcher; \"403\" or \"404\" answers both\n" +
				"alike, so that a watcher cannot find out who exists."},
		{"sip.max-message", size{&s.MaxMessage, 1500, 16 << 20}, "Largest message, head and body."},
		{"sip.max-headers", number{&s.MaxHeaders, 16, 4096}, "Most header rows in a message."},
		{"sip.max-requests-in-progress", number{&s.MaxRequests, 1, math.MaxInt32},
			"Requests being worked on at once; beyond, 503 with Retry-After."},
		{"sip.receive-buffer", size{&s.ReceiveBuffer, 64 << 10, 1 << 30},
			"What the kernel holds for one UDP listener while the server is busy. Without CAP_NET_ADMIN it grants no\n" +
				"more than net.core.rmem_max."},
		{"sip.connections", number{&s.Connections, 1, math.MaxInt32}, "Open stream connections."},
		{"sip.connections-per-source", number{&s.ConnectionsPerSrc, 1, math.MaxInt32}, "Of these, from one address."},
		{"sip.idle-timeout", duration{&s.IdleTimeout}, "A connection on which nothing moves is closed after this time."},
		{"sip.read-timeout", duration{&s.ReadTimeout}, "A message that has begun must be whole after this time."},
		{"sip.write-queue", size{&s.WriteQueue, 64 << 10, 1 << 30}, "What may wait for one connection that does not read."},
		{"sip.dns", texts{to: &s.DNS, example: `["192.0.2.53:53"]`}, "DNS servers; empty: those of /etc/resolv.conf."},
		{"sip.server-header", text{&s.ServerHeader}, "The Server header; empty: none."},
	}
}

func (t *TLS) settings() []setting {
	return []setting{
		{"tls.certificate", text{&t.Certificate}, "Certificate chain."},
		{"tls.key", text{&t.Key}, "Its private key."},
		{"tls.client-ca", text{&t.ClientCA}, "Authorities whose client certificates are verified when shown; empty: none is asked for."},
	}
}

func (c *Config) edges() []setting {
	return []setting{
		{"http.listen", text{&c.HTTP.Listen},
			"Address and port; \"\" turns HTTP off. There is no TLS here yet: keep it on this machine or behind a proxy."},
		{"http.connections", number{&c.HTTP.Connections, 10, math.MaxInt32}, "Open connections, event streams included; more wait."},
		{"storage.directory", choice{&c.Storage.Directory, []string{"sqlite"}}, "Accounts, tokens, settings."},
		{"storage.durability", choice{&c.Storage.Durability, []string{"process", "fsync", "relaxed"}},
			"What a 200 to PUBLISH or SUBSCRIBE promises: \"process\" survives the death of the process, \"fsync\" a power\n" +
				"cut, \"relaxed\" is written behind."},
	}
}

func (p *Presence) settings() []setting {
	words := []string{"allow", "confirm", "block"}
	most := math.MaxInt32
	return append([]setting{
		{"presence.watchers.same-domain", choice{&p.Watchers.SameDomain, words},
			"Who may watch while a presentity has no rules: \"allow\", \"confirm\" (waits for the presentity) or \"block\"."},
		{"presence.watchers.others", choice{&p.Watchers.Others, words}, ""},
		{"presence.presentities", choice{&p.Presentities, []string{"auto", "accounts", "any"}},
			"Who can be watched: \"accounts\" alone, or \"any\" address in the domains. \"auto\" is \"any\" when there are\n" +
				"trusted peers or no authentication, since accounts then live elsewhere."},
		{"presence.publications", number{&p.Limits.Publications, 1, most}, "Most publications of one presentity."},
		{"presence.subscriptions", number{&p.Limits.Subscriptions, 1, most}, "Most subscriptions of one watcher."},
		{"presence.notify-failures", number{&p.Limits.Failures, 1, most}, "NOTIFYs failing in a row that end a subscription."},
		{"presence.max-body", size{&p.Limits.Body, 1024, 16 << 20}, "Largest document."},
	}, p.Package.settings("presence")...)
}

func (p *Package) settings(section string) []setting {
	return []setting{
		{section + ".expires.min", duration{&p.Expires.Min}, "Lifetimes granted to SUBSCRIBE and PUBLISH."},
		{section + ".expires.default", duration{&p.Expires.Default}, ""},
		{section + ".expires.max", duration{&p.Expires.Max}, ""},
		{section + ".notify-interval", duration{&p.NotifyInterval},
			"Shortest time between two NOTIFYs of one subscription; the newest state always arrives. 0: no throttle."},
	}
}

func (c *Config) process() []setting {
	return []setting{
		{"log.level", choice{&c.Log.Level, []string{"debug", "info", "warn", "error"}}, "Read again on SIGHUP."},
		{"log.format", choice{&c.Log.Format, []string{"text", "json"}}, ""},
		{"runtime.grace", duration{&c.Runtime.Grace}, "How long a stop waits for requests under way."},
		{"runtime.gc-percent", number{&c.Runtime.GCPercent, 10, 10_000},
			"Garbage collector: by how much of what is live beyond four times gc-headroom the heap may grow before it\n" +
				"runs. The variable GOGC wins over both."},
		{"runtime.gc-headroom", size{&c.Runtime.GCHeadroom, 0, math.MaxInt},
			"By this much it may always grow: more costs memory and saves processor time."},
		{"runtime.memory-limit", size{&c.Runtime.MemoryLimit, 0, math.MaxInt},
			"Soft limit (as GOMEMLIMIT), such as \"2GiB\"; 0: none. The variable GOMEMLIMIT wins."},
	}
}
