package sip

import "strings"

// Auth is one row of WWW-Authenticate, Authorization or their Proxy- kin: a
// challenge or credentials (RFC 3261 §25.1, RFC 7616 §3.3).
type Auth struct {
	Scheme string      // as sent; compare with strings.EqualFold
	Token  string      // the one word of schemes such as Basic, without parameters
	Params []AuthParam // in order, no name twice
}

// AuthParam is one parameter. Quoted tells how it was written, since some must
// be quoted and some must not (RFC 7616 §3.4, RFC 8760 §2.6).
type AuthParam struct {
	Name   string // lower case
	Value  string // unquoted
	Quoted bool
}

// maxAuthParams is far above the eleven of RFC 7616 §3.4.
const maxAuthParams = 32

// ParseAuth reads one row. Schemes it does not know are no error; a name that
// stands twice is, because two readers might believe different ones.
func ParseAuth(row string) (Auth, error) {
	row = trim(row)
	end := span(row, 0, classToken)
	if end == 0 || end < len(row) && !isBlank(row[end]) {
		return Auth{}, syntaxErrorf("%s is no authentication scheme", excerpt(row))
	}
	a := Auth{Scheme: row[:end]}
	rest := trim(row[end:])
	if rest == "" {
		return a, nil
	}
	if isToken68(rest) {
		a.Token = rest
		return a, nil
	}
	a.Params = make([]AuthParam, 0, min(strings.Count(rest, "=")+1, maxAuthParams))
	for more := true; more; {
		var item string
		if item, rest, more = nextItem(rest); item == "" {
			continue
		}
		p, bad := authParam(item)
		if bad != "" {
			return a, bad
		}
		if len(a.Params) == maxAuthParams {
			return a, syntaxError("too many authentication parameters")
		}
		if _, twice := a.Get(p.Name); twice {
			return a, syntaxErrorf("authentication parameter %s stands twice", p.Name)
		}
		a.Params = append(a.Params, p)
	}
	return a, nil
}

// isToken68 tells "Basic QWxhZGRpbg==" from name=value (RFC 7235 §2.1).
func isToken68(s string) bool {
	bare := strings.TrimRight(s, "=")
	for i := range len(bare) {
		if classes[bare[i]]&classToken == 0 && bare[i] != '/' {
			return false
		}
	}
	return bare != ""
}

func authParam(s string) (p AuthParam, bad syntaxError) {
	end := span(s, 0, classToken)
	i := skipBlanks(s, end)
	if end == 0 || i == len(s) || s[i] != '=' {
		return p, syntaxErrorf("%s is no authentication parameter", excerpt(s))
	}
	p.Name = strings.ToLower(s[:end])
	value := trim(s[i+1:])
	if value == "" || value[0] != '"' {
		if value == "" || strings.ContainsAny(value, "\" \t") {
			return p, syntaxErrorf("value of %s is no token", p.Name)
		}
		p.Value = value
		return p, ""
	}
	if quotedEnd(value, 0) != len(value) {
		return p, syntaxErrorf("quoted string of %s is not closed or followed by something", p.Name)
	}
	p.Value, p.Quoted = Unquote(value), true
	return p, ""
}

// Get gives a parameter by its lower-case name.
func (a Auth) Get(name string) (value string, ok bool) {
	for i := range a.Params {
		if a.Params[i].Name == name {
			return a.Params[i].Value, true
		}
	}
	return "", false
}

// Quoted reports whether the parameter is there as a quoted string.
func (a Auth) Quoted(name string) bool {
	for i := range a.Params {
		if a.Params[i].Name == name {
			return a.Params[i].Quoted
		}
	}
	return false
}
