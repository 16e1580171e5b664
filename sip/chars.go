package sip

import (
	"fmt"
	"strings"
)

// Character classes of RFC 3261 §25.1, looked up one byte at a time.
const (
	classToken      = 1 << iota // token
	classHost                   // hostname and IPv4 address, and the underscore that real networks use
	classURI                    // anything that may stand in a URI; bytes above 127 are tolerated
	classValue                  // an unquoted parameter value
	classDisplay                // an unquoted display name: tokens, blanks, and UTF-8 (MSG-26)
	classUnreserved             // what a URI never needs to escape
	classUser                   // unreserved or user-unreserved
)

var classes = classTable()

func classTable() (table [256]uint8) {
	const (
		alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
		mark         = "-_.!~*'()"
	)
	set := func(class uint8, chars string) {
		for _, c := range []byte(chars) {
			table[c] |= class
		}
	}
	set(classToken, alphanumeric+"-.!%*_+`'~")
	set(classHost, alphanumeric+"-._")
	set(classDisplay, alphanumeric+"-.!%*_+`'~ \t")
	set(classUnreserved, alphanumeric+mark)
	set(classUser, alphanumeric+mark+"&=+$,;?/")
	for c := '!'; c <= 0xff; c++ {
		if c == 0x7f {
			continue
		}
		if !strings.ContainsRune(`"<>\`, c) {
			table[c] |= classURI
		}
		if !strings.ContainsRune(`"<>;,`, c) {
			table[c] |= classValue
		}
		if c > 0x7f {
			table[c] |= classDisplay
		}
	}
	return table
}

// span gives the index of the first byte of s, from i on, outside class.
func span(s string, i int, class uint8) int {
	for i < len(s) && classes[s[i]]&class != 0 {
		i++
	}
	return i
}

// IsToken reports whether s is a token (RFC 3261 §25.1).
func IsToken(s string) bool { return s != "" && span(s, 0, classToken) == len(s) }

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

func skipBlanks(s string, i int) int {
	for i < len(s) && isBlank(s[i]) {
		i++
	}
	return i
}

// trim cuts blanks off both ends.
func trim(s string) string {
	for s != "" && isBlank(s[0]) {
		s = s[1:]
	}
	for s != "" && isBlank(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// equalFold compares without regard to the case of ASCII letters; unlike
// strings.EqualFold it never takes another alphabet's letter for one of them.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if a[i] != b[i] && lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

// parseUint reads decimal digits. Too big a number gives ok with over set.
func parseUint(s string, max uint64) (n uint64, over, ok bool) {
	if s == "" {
		return 0, false, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false, false
		}
		if !over {
			n = n*10 + uint64(s[i]-'0')
			over = n > max
		}
	}
	if over {
		return max, true, true
	}
	return n, false, true
}

func hexValue(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

// syntaxError says what is wrong with a value; empty means nothing is.
type syntaxError string

func (e syntaxError) Error() string { return "sip: " + string(e) }

// orNil keeps an empty syntaxError from becoming a non-nil error.
func (e syntaxError) orNil() error {
	if e == "" {
		return nil
	}
	return e
}

func syntaxErrorf(format string, args ...any) syntaxError {
	return syntaxError(fmt.Sprintf(format, args...))
}

// excerpt makes a piece of a received value fit to be quoted in a reason
// phrase: short, printable ASCII.
func excerpt(s string) string {
	const most = 40
	if len(s) > most {
		s = s[:most]
	}
	return strings.ReplaceAll(fmt.Sprintf("%+q", s), `"`, "'")
}
