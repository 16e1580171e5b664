package sip

import (
	"iter"
	"strings"
)

// SplitList walks the members of a comma-separated header value
// (RFC 3261 §7.3.1). Commas in quoted strings and between angle brackets do not
// separate; blanks around members are cut, empty members left out.
func SplitList(s string) iter.Seq[string] {
	return func(yield func(string) bool) { splitList(s, yield) }
}

// splitList reports whether the walk may go on.
func splitList(s string, yield func(string) bool) bool {
	for more := true; more; {
		var item string
		item, s, more = nextItem(s)
		if item != "" && !yield(item) {
			return false
		}
	}
	return true
}

// nextItem cuts the first member off a comma-separated list; more tells that a
// comma followed it.
func nextItem(s string) (item, rest string, more bool) {
	if strings.IndexByte(s, ',') < 0 {
		return trim(s), "", false
	}
	for i := 0; i < len(s); {
		switch s[i] {
		case ',':
			return trim(s[:i]), s[i+1:], true
		case '"':
			if i = quotedEnd(s, i); i < 0 {
				return trim(s), "", false
			}
		case '<':
			end := strings.IndexByte(s[i:], '>')
			if end < 0 {
				return trim(s), "", false
			}
			i += end + 1
		default:
			i++
		}
	}
	return trim(s), "", false
}

// quotedEnd gives the index after the quoted string that starts at i, or -1
// when it is not closed.
func quotedEnd(s string, i int) int {
	for i++; i < len(s); i++ {
		switch s[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return -1
}

// Unquote gives the text of a quoted string, escapes undone. What is not
// quoted comes back as it is.
func Unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	s = s[1 : len(s)-1]
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b = append(b, s[i])
	}
	return string(b)
}

// Quote makes a quoted string of s. Line ends, which a quoted string cannot
// hold even escaped, become blanks.
func Quote(s string) string {
	return string(appendQuoted(make([]byte, 0, len(s)+2), s))
}

func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\r' || c == '\n':
			b = append(b, ' ')
		case c == '"' || c == '\\' || c < ' ' && c != '\t' || c == 0x7f:
			b = append(b, '\\', c)
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
