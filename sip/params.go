package sip

import (
	"iter"
	"strings"
)

// Params are the parameters of a header value or URI as received, each with
// the semicolon before it: ";tag=a1;x".
type Params string

// Get gives the first parameter of that name, in any case; a quoted value
// comes unquoted. A parameter without value is ok with "".
func (p Params) Get(name string) (value string, ok bool) {
	for s := string(p); s != ""; {
		var n, v string
		n, v, _, s = nextParam(s)
		if n != "" && equalFold(n, name) {
			return Unquote(v), true
		}
	}
	return "", false
}

// All walks the parameters in order, quoted values unquoted.
func (p Params) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for s := string(p); s != ""; {
			var name, value string
			name, value, _, s = nextParam(s)
			if name != "" && !yield(name, Unquote(value)) {
				return
			}
		}
	}
}

// nextParam cuts the first parameter off s, which starts with its semicolon,
// and tells whether an equals sign stood there. It takes what checkParams would
// refuse as well as it can; name is then perhaps empty.
func nextParam(s string) (name, value string, valued bool, rest string) {
	i := skipBlanks(s, 0)
	if i < len(s) && s[i] == ';' {
		i = skipBlanks(s, i+1)
	}
	start := i
	for i < len(s) && s[i] != ';' && s[i] != '=' && !isBlank(s[i]) {
		i++
	}
	name = s[start:i]
	i = skipBlanks(s, i)
	if i == len(s) || s[i] != '=' {
		return name, "", false, cutTo(s[i:], ';')
	}
	i = skipBlanks(s, i+1)
	if i < len(s) && s[i] == '"' {
		if end := quotedEnd(s, i); end > 0 {
			return name, s[i:end], true, cutTo(s[end:], ';')
		}
	}
	rest = cutTo(s[i:], ';')
	return name, trim(s[i : len(s)-len(rest)]), true, rest
}

// cutTo drops what stands before the first c.
func cutTo(s string, c byte) string {
	if i := strings.IndexByte(s, c); i >= 0 {
		return s[i:]
	}
	return ""
}

// checkParams holds header parameters against the grammar (generic-param,
// RFC 3261 §25.1), blanks allowed where the grammar has SEMI and EQUAL.
func checkParams(s string) syntaxError {
	_, bad := scanParams(s, "")
	return bad
}

// scanParams is checkParams that notes the value of one parameter on its way.
func scanParams(s, wanted string) (value string, bad syntaxError) {
	for i := skipBlanks(s, 0); i < len(s); i = skipBlanks(s, i) {
		if s[i] != ';' {
			return value, syntaxErrorf("unexpected %s where a parameter should start", excerpt(s[i:]))
		}
		start := skipBlanks(s, i+1)
		i = span(s, start, classToken)
		if i == start {
			return value, emptyParam(s[i:])
		}
		name := s[start:i]
		if i = skipBlanks(s, i); i == len(s) || s[i] != '=' {
			continue
		}
		start = skipBlanks(s, i+1)
		if start == len(s) || s[start] != '"' {
			i = span(s, start, classValue)
		} else if i = quotedEnd(s, start); i < 0 {
			return value, "quoted string is not closed"
		}
		if len(name) == len(wanted) && equalFold(name, wanted) {
			value, wanted = s[start:i], ""
		}
	}
	return value, ""
}

func emptyParam(rest string) syntaxError {
	if rest == "" || rest[0] == ';' || rest[0] == ',' {
		return "empty parameter"
	}
	return syntaxErrorf("parameter name starts with %s", excerpt(rest))
}
