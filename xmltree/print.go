package xmltree

import "unicode/utf8"

// AppendText prints s as character data after b. What may not stand in a
// document at all becomes U+FFFD, so the result is always well-formed.
func AppendText(b []byte, s string) []byte {
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if classes[c]&classText != 0 && c < 0x80 && c != '>' {
			i++
			continue
		}
		replacement, size := escape(s[i:], false)
		if replacement != "" {
			b = append(append(b, s[start:i]...), replacement...)
			start = i + size
		}
		i += size
	}
	return append(b, s[start:]...)
}

// AppendValue prints s as the inside of an attribute value in double quotes
// after b, under the same promise as AppendText.
func AppendValue(b []byte, s string) []byte {
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if classes[c]&classValue != 0 && c < 0x80 {
			i++
			continue
		}
		replacement, size := escape(s[i:], true)
		if replacement != "" {
			b = append(append(b, s[start:i]...), replacement...)
			start = i + size
		}
		i += size
	}
	return append(b, s[start:]...)
}

// escape says how the first character of s must be written, "" when as it is.
func escape(s string, value bool) (replacement string, size int) {
	switch s[0] {
	case '&':
		return "&amp;", 1
	case '<':
		return "&lt;", 1
	case '>':
		return "&gt;", 1
	case '\r':
		return "&#13;", 1
	case '"', '\t', '\n':
		return escapeInValue(s[0], value), 1
	}
	r, size := utf8.DecodeRuneInString(s)
	if !legal(r) || r == utf8.RuneError && size == 1 {
		return "\ufffd", size
	}
	return "", size
}

func escapeInValue(c byte, value bool) string {
	switch {
	case !value:
		return ""
	case c == '"':
		return "&quot;"
	case c == '\t':
		return "&#9;"
	}
	return "&#10;"
}
