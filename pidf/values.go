package pidf

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"vigie/xmltree"
)

// IsNCName says whether s can stand as the id of a tuple, person or device
// (xs:ID in the schema of RFC 3863 §4.4).
func IsNCName(s string) bool { return xmltree.IsNCName(s) }

// parseTime reads a date of RFC 3339, in UTC also when it names no zone, as
// xs:dateTime lets it; zero when it is none.
func parseTime(s string) time.Time {
	s = trim(s)
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t, err = time.Parse("2006-01-02T15:04:05Z07:00", strings.ToUpper(s)) // also 't' and 'z'
	}
	if err != nil {
		t, err = time.Parse("2006-01-02T15:04:05", s)
	}
	if t = t.UTC(); err != nil || t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}
	}
	return t
}

func timeAttr(n xmltree.Node, local string) time.Time {
	value, ok := n.Attr("", local)
	if !ok {
		return time.Time{}
	}
	return parseTime(value)
}

// cleanPriority returns a priority that the schema accepts, with the dot
// meant literally (RFC 3863 §4.1.5): "" for everything else.
func cleanPriority(s string) string {
	whole, fraction, _ := strings.Cut(s, ".")
	if whole != "0" && whole != "1" || len(fraction) > 3 {
		return ""
	}
	for i := range len(fraction) {
		if c := fraction[i]; c < '0' || c > '9' || whole == "1" && c != '0' {
			return ""
		}
	}
	if fraction == "" {
		return whole
	}
	return s
}

// isLanguage says whether s is a language tag as xs:language has it: parts of
// one to eight characters, the first of letters only.
func isLanguage(s string) bool {
	length, first := 0, true
	for i := range len(s) {
		c := s[i]
		switch letter := 'a' <= c|0x20 && c|0x20 <= 'z'; {
		case c == '-' && length > 0:
			length, first = 0, false
			continue
		case !letter && (first || c < '0' || c > '9'):
			return false
		}
		if length++; length > 8 {
			return false
		}
	}
	return length > 0
}

// cleanURI returns s as a URI reference: characters that no URI has are
// percent-encoded. It returns "" when that does not make it one.
func cleanURI(s string) string {
	s = trim(s)
	if isPlainURI(s) {
		return s
	}
	s = escapeURI(s)
	colon := strings.IndexAny(s, ":/?#")
	if colon >= 0 && s[colon] == ':' && !isScheme(s[:colon]) {
		return ""
	}
	rest := s[colon+1:]
	if colon < 0 || s[colon] != ':' {
		rest = s
	}
	if strings.HasPrefix(rest, "//") && !isAuthority(rest[2:]) {
		return ""
	}
	return s
}

// isPlainURI recognises what nearly all URIs look like: a scheme, then
// harmless characters, no authority.
func isPlainURI(s string) bool {
	colon := strings.IndexByte(s, ':')
	if colon < 0 || !isScheme(s[:colon]) || strings.HasPrefix(s[colon+1:], "//") {
		return false
	}
	for i := colon + 1; i < len(s); i++ {
		if !plainURI[s[i]] {
			return false
		}
	}
	return true
}

// plainURI is a table, made once; it never changes.
var plainURI = func() (table [256]bool) {
	for c := byte('0'); c <= 'z'; c++ {
		table[c] = c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
	}
	for _, c := range []byte("-._~:/?@!$&'()*+,;=") {
		table[c] = true
	}
	return table
}()

func isScheme(s string) bool {
	for i := range len(s) {
		c := s[i]
		if letter := 'a' <= c|0x20 && c|0x20 <= 'z'; !letter && (i == 0 || c != '+' && c != '-' && c != '.' && (c < '0' || c > '9')) {
			return false
		}
	}
	return s != ""
}

// isAuthority checks the part behind "//" up to the path.
func isAuthority(s string) bool {
	if end := strings.IndexAny(s, "/?#"); end >= 0 {
		s = s[:end]
	}
	user := strings.LastIndexByte(s, '@')
	if user >= 0 && strings.ContainsAny(s[:user], "@[]") {
		return false
	}
	u, err := url.Parse("//" + s)
	if err != nil {
		return false
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	return u.Port() == "" && !strings.HasSuffix(s, ":") || err == nil && port > 0
}

// escapeURI percent-encodes what may not stand in a URI: blanks and
// delimiters, a % that begins no code, a second #. Brackets stay: SIP URIs
// have them around IPv6 addresses.
func escapeURI(s string) string {
	const hex = "0123456789ABCDEF"
	b := make([]byte, 0, len(s)+8)
	fragment := false
	for i := range len(s) {
		c := s[i]
		bad := c <= ' ' || c == 0x7F || strings.IndexByte(`<>"{}|\^`+"`", c) >= 0 ||
			c == '%' && !isCode(s[i:]) || c == '#' && fragment
		fragment = fragment || c == '#'
		if bad {
			b = append(b, '%', hex[c>>4], hex[c&15])
		} else {
			b = append(b, c)
		}
	}
	return string(b)
}

func isCode(s string) bool { return len(s) >= 3 && isHex(s[1]) && isHex(s[2]) }

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f' }
