package sip

import (
	"net/netip"
	"strconv"
	"strings"
)

// URI is a parsed URI (RFC 3261 §19.1). The parts keep their escapes, so that
// nothing is ever decoded twice; Unescape gives the text of one.
//
// URIs are comparable with ==, which is meant for addresses of record: two
// URIs that are Equal by the RFC need not be ==, their AOR() may be.
type URI struct {
	Scheme   string // lower case
	User     string // with schemes other than sip, sips, pres and im: all that follows the colon
	Password string
	Host     string // lower case; an IPv6 address in its brackets
	Port     uint16 // 0 when absent
	Params   Params
	Headers  string // what follows the question mark
}

// ParseURI reads an absolute URI. Those of sip, sips, pres and im are held
// against RFC 3261 §25.1; of others only the scheme is looked at.
func ParseURI(s string) (URI, error) {
	u, bad := parseURI(s)
	return u, bad.orNil()
}

// MustURI is ParseURI for constants and tests; it panics where that fails.
func MustURI(s string) URI {
	u, err := ParseURI(s)
	if err != nil {
		panic(err.Error() + ": " + s)
	}
	return u
}

func parseURI(s string) (u URI, bad syntaxError) {
	if bad := checkAbsolute(s); bad != "" {
		return u, bad
	}
	colon := strings.IndexByte(s, ':')
	u.Scheme = lowerScheme(s[:colon])
	rest := s[colon+1:]
	if !hierarchical(u.Scheme) {
		u.User = rest
		return u, ""
	}
	if at := strings.IndexByte(rest, '@'); at >= 0 {
		if u.User, u.Password, bad = userInfo(rest[:at]); bad != "" {
			return u, bad
		}
		rest = rest[at+1:]
	}
	end, host, port, bad := hostPort(rest, 0)
	if bad != "" {
		return u, bad
	}
	u.Host, u.Port = host, port
	return u, u.tail(rest[end:])
}

// maxURIParams bounds what comparing two URIs can cost: it looks for each
// parameter of one in the other.
const maxURIParams = 64

// tail reads parameters and headers.
func (u *URI) tail(s string) syntaxError {
	params := s
	if i := strings.IndexByte(s, '?'); i >= 0 {
		params, u.Headers = s[:i], s[i+1:]
	}
	if params != "" && params[0] != ';' {
		if params[0] == ':' {
			return "IPv6 address needs brackets"
		}
		return syntaxErrorf("unexpected %s after the host", excerpt(params))
	}
	if strings.Count(s, ";")+strings.Count(s, "&") > maxURIParams {
		return "too many URI parameters"
	}
	u.Params = Params(params)
	return checkEscapes(s)
}

func userInfo(s string) (user, password string, bad syntaxError) {
	user = s
	if i := strings.IndexByte(s, ':'); i >= 0 {
		user, password = s[:i], s[i+1:]
	}
	if user == "" {
		return "", "", "empty user before the @"
	}
	return user, password, checkEscapes(s)
}

func checkEscapes(s string) syntaxError {
	for {
		i := strings.IndexByte(s, '%')
		if i < 0 {
			return ""
		}
		if _, ok := escaped(s, i); !ok {
			return "percent sign without two hexadecimal digits"
		}
		s = s[i+3:]
	}
}

// checkAbsolute makes sure of a scheme, something after it, and no character
// that would end a URI in a header.
func checkAbsolute(s string) syntaxError {
	colon := 3
	if len(s) < 4 || s[:4] != "sip:" {
		colon = strings.IndexByte(s, ':')
		if s != "" && isBlank(s[0]) {
			return "URI starts with a blank"
		}
		if colon < 1 || !isScheme(s[:colon]) {
			return syntaxErrorf("%s has no URI scheme", excerpt(s))
		}
	}
	if colon+1 == len(s) {
		return syntaxErrorf("nothing follows %s", excerpt(s))
	}
	if i := span(s, colon+1, classURI); i < len(s) {
		return syntaxErrorf("%s in a URI", excerpt(s[i:i+1]))
	}
	return ""
}

func isScheme(s string) bool {
	if c := lower(s[0]); c < 'a' || c > 'z' {
		return false
	}
	for i := range len(s) {
		c := lower(s[i])
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '+' && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

func lowerScheme(s string) string {
	if s == "sip" || s == "sips" {
		return s
	}
	return strings.ToLower(s)
}

func hierarchical(scheme string) bool {
	switch scheme {
	case "sip", "sips", "pres", "im":
		return true
	}
	return false
}

func isIPv6(s string) bool {
	a, err := netip.ParseAddr(s)
	return err == nil && a.Is6() && a.Zone() == ""
}

// IsSIP reports whether the scheme is sip or sips.
func (u URI) IsSIP() bool { return u.Scheme == "sip" || u.Scheme == "sips" }

// String prints the URI as it was received but for the case of scheme and host.
func (u URI) String() string {
	return string(u.AppendTo(make([]byte, 0, len(u.Scheme)+len(u.User)+len(u.Password)+len(u.Host)+len(u.Params)+len(u.Headers)+10)))
}

// AppendTo appends what String gives.
func (u URI) AppendTo(b []byte) []byte {
	b = append(append(b, u.Scheme...), ':')
	b = append(b, u.User...)
	if u.Host == "" {
		return b
	}
	if u.Password != "" {
		b = append(append(b, ':'), u.Password...)
	}
	if u.User != "" {
		b = append(b, '@')
	}
	b = append(b, u.Host...)
	if u.Port != 0 {
		b = strconv.AppendUint(append(b, ':'), uint64(u.Port), 10)
	}
	b = append(b, u.Params...)
	if u.Headers != "" {
		b = append(append(b, '?'), u.Headers...)
	}
	return b
}
