package sip

import "strings"

// Address is the value of From, To, Contact, Route and their like: a URI,
// perhaps a display name, and parameters that belong to the header.
type Address struct {
	Display string // unquoted, escapes undone
	URI     string // as received, without angle brackets
	Params  Params // the header's, not the URI's
}

// ParseAddress reads a name-addr or an addr-spec with the parameters after it.
// Without angle brackets everything from the first semicolon on belongs to the
// header (RFC 3261 §20.10). The URI may have any scheme; see Parsed.
func ParseAddress(s string) (Address, error) {
	a, bad := parseAddress(trim(s))
	return a, bad.orNil()
}

func parseAddress(s string) (a Address, bad syntaxError) {
	if s == "" {
		return a, "empty address"
	}
	start := 0
	if s[0] == '"' {
		end := quotedEnd(s, 0)
		if end < 0 {
			return a, "quoted string is not closed"
		}
		a.Display = Unquote(s[:end])
		start = skipBlanks(s, end)
	} else {
		start = span(s, 0, classDisplay)
		if start == len(s) || s[start] != '<' {
			return bareAddress(s)
		}
		a.Display = trim(s[:start])
	}
	if start == len(s) || s[start] != '<' {
		return a, "no < after the display name"
	}
	end := strings.IndexByte(s[start:], '>')
	if end < 0 {
		return a, "no > after the URI"
	}
	a.URI, a.Params = s[start+1:start+end], Params(trim(s[start+end+1:]))
	if bad := checkAbsolute(a.URI); bad != "" {
		return a, bad
	}
	return a, checkParams(string(a.Params))
}

// bareAddress reads addr-spec *(SEMI param).
func bareAddress(s string) (a Address, bad syntaxError) {
	uri, params := s, ""
	if i := strings.IndexByte(s, ';'); i >= 0 {
		uri, params = trim(s[:i]), s[i:]
	}
	a.URI, a.Params = uri, Params(params)
	if i := strings.IndexByte(uri, '<'); i >= 0 {
		return a, syntaxErrorf("display name %s needs quotes", excerpt(trim(uri[:i])))
	}
	if i := strings.IndexAny(uri, ",?"); i >= 0 {
		return a, syntaxErrorf("URI with %q needs angle brackets", uri[i:i+1])
	}
	if bad := checkAbsolute(uri); bad != "" {
		return a, bad
	}
	return a, checkParams(params)
}

// Tag gives the tag parameter, "" when there is none.
func (a Address) Tag() string {
	// Nearly every From has the tag alone.
	if p := a.Params; len(p) > 5 && p[:5] == ";tag=" && span(string(p), 5, classToken) == len(p) {
		return string(p[5:])
	}
	tag, _ := a.Params.Get("tag")
	return tag
}

// Parsed parses the URI.
func (a Address) Parsed() (URI, error) { return ParseURI(a.URI) }

// String prints the address with angle brackets, the display name quoted.
func (a Address) String() string {
	b := make([]byte, 0, len(a.Display)+len(a.URI)+len(a.Params)+5)
	if a.Display != "" {
		b = append(appendQuoted(b, a.Display), ' ')
	}
	b = append(append(append(b, '<'), a.URI...), '>')
	return string(append(b, a.Params...))
}
