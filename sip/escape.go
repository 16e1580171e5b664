package sip

import "strings"

// Unescape undoes percent escapes, once: "%2541" becomes "%41" (RFC 4475
// §3.1.1.3). A percent sign that starts no escape stays.
func Unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if c, ok := escaped(s, i); ok {
			b = append(b, c)
			i += 2
			continue
		}
		b = append(b, s[i])
	}
	return string(b)
}

// escaped reads the escape at i.
func escaped(s string, i int) (c byte, ok bool) {
	if s[i] != '%' || i+2 >= len(s) {
		return 0, false
	}
	high, ok1 := hexValue(s[i+1])
	low, ok2 := hexValue(s[i+2])
	return high<<4 | low, ok1 && ok2
}

// canonical gives the one spelling of a URI part: escapes of characters that
// need none are undone, all others are written upper case (RFC 3261 §19.1.2,
// §19.1.4). Characters outside allowed that stand there bare are escaped.
func canonical(s string, allowed uint8) string {
	if span(s, 0, allowed) == len(s) && strings.IndexByte(s, '%') < 0 {
		return s
	}
	const digits = "0123456789ABCDEF"
	b := make([]byte, 0, len(s)+8)
	for i := 0; i < len(s); i++ {
		c, ok := escaped(s, i)
		if ok {
			i += 2
		} else {
			c = s[i]
		}
		if bare := !ok && classes[c]&allowed != 0; bare || classes[c]&classUnreserved != 0 {
			b = append(b, c)
			continue
		}
		b = append(b, '%', digits[c>>4], digits[c&15])
	}
	return string(b)
}
