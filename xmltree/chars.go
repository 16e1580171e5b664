package xmltree

import (
	"strings"
	"unicode/utf8"
)

const byteOrderMark = "\ufeff"

// Classes of bytes, for the loops that run over every byte of a document.
const (
	classNameStart = 1 << iota // may start a name (bytes above 0x7f: look closer)
	className                  // may continue a name
	classSpace
	classText  // plain in text: no markup, no reference, nothing to look at twice
	classValue // plain in attribute values
)

// classes is a table, made once; it never changes.
var classes = func() (table [256]uint8) {
	for c := range 256 {
		b := byte(c)
		switch {
		case b == ' ':
			table[c] = classSpace | classText | classValue
		case b == '\n':
			table[c] = classSpace | classText
		case b == '\t':
			table[c] = classSpace | classText
		case b == '\r':
			table[c] = classSpace
		case b < ' ' || b == 0xEF: // 0xEF may begin U+FFFE or U+FFFF
		case b == '<' || b == '&':
		case b == ']':
			table[c] = classValue
		case b == '"' || b == '\'':
			table[c] = classText
		default:
			table[c] = classText | classValue
		}
		switch {
		case 'a' <= b|0x20 && b|0x20 <= 'z' || b == '_' || b >= 0x80:
			table[c] |= classNameStart | className
		case '0' <= b && b <= '9' || b == '-' || b == '.':
			table[c] |= className
		}
	}
	return table
}()

func isSpace(b byte) bool { return classes[b]&classSpace != 0 }

// legal says whether r may stand in a document (XML 1.0 §2.2).
func legal(r rune) bool {
	return r >= 0x20 && r <= 0xD7FF || r == '\t' || r == '\n' || r == '\r' ||
		r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= 0x10FFFF
}

// nameStart and nameRune follow XML 1.0 §2.3 without the colon, which
// namespaces took for themselves.
func nameStart(r rune) bool {
	switch {
	case r < 0x80:
		return classes[r]&classNameStart != 0
	case r == 0xD7 || r == 0xF7 || r == 0x37E:
		return false
	case r <= 0x2FF:
		return r >= 0xC0
	case r <= 0x1FFF:
		return r >= 0x370
	case r <= 0x218F:
		return r == 0x200C || r == 0x200D || r >= 0x2070
	case r <= 0x2FEF:
		return r >= 0x2C00
	case r <= 0xD7FF:
		return r >= 0x3001
	case r <= 0xFDCF:
		return r >= 0xF900
	case r <= 0xFFFD:
		return r >= 0xFDF0
	}
	return r >= 0x10000 && r <= 0xEFFFF
}

func nameRune(r rune) bool {
	if r < 0x80 {
		return classes[r]&className != 0
	}
	return nameStart(r) || r == 0xB7 || r >= 0x300 && r <= 0x36F || r == 0x203F || r == 0x2040
}

// ncName is the length of the name without colon at the start of s, 0 if
// there is none.
func ncName(s string) int {
	i := 0
	for i < len(s) {
		if c := s[i]; c < 0x80 {
			if classes[c]&className == 0 || i == 0 && classes[c]&classNameStart == 0 {
				break
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if !nameRune(r) || i == 0 && !nameStart(r) {
			break
		}
		i += size
	}
	return i
}

// IsNCName says whether s is a name without colon (Namespaces in XML §3),
// which is also what an xs:ID must be.
func IsNCName(s string) bool {
	return s != "" && utf8.ValidString(s) && ncName(s) == len(s)
}

// resolve replaces references and normalises line ends; in attribute values
// white space becomes blanks. s has been checked by Parse.
func resolve(s string, value bool) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == '&':
			end := i + strings.IndexByte(s[i:], ';')
			r, _ := reference(s[i+1 : end])
			b.WriteRune(r)
			i = end + 1
			continue
		case c == '\r':
			if i+1 < len(s) && s[i+1] == '\n' {
				i++
			}
			b.WriteByte(newline(value))
		case c == '\n':
			b.WriteByte(newline(value))
		case c == '\t' && value:
			b.WriteByte(' ')
		default:
			b.WriteByte(c)
		}
		i++
	}
	return b.String()
}

func newline(value bool) byte {
	if value {
		return ' '
	}
	return '\n'
}

func lineEnds(s string) string {
	if strings.IndexByte(s, '\r') < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
}

// reference is the character that the reference between & and ; stands for.
func reference(name string) (rune, bool) {
	switch name {
	case "amp":
		return '&', true
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "quot":
		return '"', true
	case "apos":
		return '\'', true
	}
	if len(name) < 2 || name[0] != '#' {
		return 0, false
	}
	digits, base := name[1:], rune(10)
	if digits[0] == 'x' {
		digits, base = digits[1:], 16
	}
	return character(digits, base)
}

func character(digits string, base rune) (r rune, ok bool) {
	for i := range len(digits) {
		d := digit(digits[i])
		if d >= base || r > utf8.MaxRune {
			return 0, false
		}
		r = r*base + d
	}
	return r, digits != "" && legal(r)
}

func digit(c byte) rune {
	switch {
	case '0' <= c && c <= '9':
		return rune(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return rune(c|0x20-'a') + 10
	}
	return 99
}
