package sip

import (
	"net/netip"
	"strings"
)

// AOR gives the address of record the URI stands for: scheme sip (for sips,
// pres and im too), the user in its one canonical spelling, the host, nothing
// else (RFC 3261 §10.3 step 5). URIs of other schemes come back as they are.
//
// AORs are compared with == and are good map keys.
func (u URI) AOR() URI {
	if !hierarchical(u.Scheme) {
		return URI{Scheme: u.Scheme, User: u.User}
	}
	return URI{Scheme: "sip", User: canonical(u.User, classUser), Host: canonicalHost(u.Host)}
}

// canonicalHost writes an IPv6 reference in its shortest form (RFC 5952).
func canonicalHost(host string) string {
	if host == "" || host[0] != '[' {
		return host
	}
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if err != nil {
		return host
	}
	return "[" + a.String() + "]"
}

// Equal compares by RFC 3261 §19.1.4. The relation is not transitive: a
// parameter that only one of two URIs has is ignored, so compare pairwise.
func (u URI) Equal(o URI) bool {
	if u == o {
		return true
	}
	if u.Scheme != o.Scheme || u.Port != o.Port {
		return false
	}
	if !hierarchical(u.Scheme) {
		return u.User == o.User
	}
	return canonicalHost(u.Host) == canonicalHost(o.Host) &&
		canonical(u.User, classUser) == canonical(o.User, classUser) &&
		canonical(u.Password, classUser) == canonical(o.Password, classUser) &&
		paramsAgree(u.Params, o.Params) && paramsAgree(o.Params, u.Params) &&
		headersWithin(u.Headers, o.Headers) && headersWithin(o.Headers, u.Headers)
}

// paramsAgree reports whether o has every parameter of p with the same value,
// those left aside that may be missing.
func paramsAgree(p, o Params) bool {
	for s := string(p); s != ""; {
		var name, value string
		name, value, _, s = nextParam(s)
		if name == "" {
			continue
		}
		other, ok := paramLike(o, canonical(name, classURI))
		if !ok && mustBeInBoth(name) {
			return false
		}
		if ok && !equalFold(canonical(value, classURI), canonical(other, classURI)) {
			return false
		}
	}
	return true
}

// paramLike finds a URI parameter whatever case or escapes its name is written in.
func paramLike(p Params, name string) (value string, ok bool) {
	for s := string(p); s != ""; {
		var n, v string
		n, v, _, s = nextParam(s)
		if equalFold(canonical(n, classURI), name) {
			return v, true
		}
	}
	return "", false
}

// mustBeInBoth names the parameters whose absence equals no value, not even
// the default.
func mustBeInBoth(name string) bool {
	switch strings.ToLower(canonical(name, classURI)) {
	case "user", "ttl", "method", "maddr", "transport":
		return true
	}
	return false
}

// headersWithin reports whether every header of one URI stands in the other.
func headersWithin(headers, other string) bool {
	for header := range strings.SplitSeq(headers, "&") {
		if header != "" && !hasHeader(other, header) {
			return false
		}
	}
	return true
}

func hasHeader(headers, wanted string) bool {
	name, value, _ := strings.Cut(wanted, "=")
	for header := range strings.SplitSeq(headers, "&") {
		n, v, _ := strings.Cut(header, "=")
		if equalFold(canonical(n, classURI), canonical(name, classURI)) && canonical(v, classURI) == canonical(value, classURI) {
			return true
		}
	}
	return false
}
