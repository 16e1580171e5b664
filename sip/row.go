package sip

import (
	"bytes"
	"strings"
)

const blankLine = "\r\n\r\n"

// headEnd finds the blank line after the header rows: the index of the CRLF
// that ends the last row, or -1. The first looked bytes have no line feed that
// ends it. It goes by line feeds, of which there are fewer than of what
// bytes.Index would try.
func headEnd(data []byte, looked int) int {
	for end := min(looked, len(data)); ; {
		i := bytes.IndexByte(data[end:], '\n')
		if i < 0 {
			return -1
		}
		end += i + 1
		if end >= len(blankLine) && data[end-2] == '\r' && data[end-3] == '\n' && data[end-4] == '\r' {
			return end - len(blankLine)
		}
	}
}

// nextRow cuts the first header row off head, folded lines joined by one blank
// (RFC 3261 §7.3.1). Each line must end with CRLF, and neither CR nor LF may stand
// elsewhere: two readers who disagree on where a line ends are an attack. Callers
// ask loneReturn once for the whole head.
func nextRow(head string) (row, rest string, bad syntaxError) {
	row, rest, bad = nextLine(head)
	if rest == "" || !isBlank(rest[0]) {
		return row, rest, bad
	}
	var b strings.Builder
	b.WriteString(trim(row))
	for rest != "" && isBlank(rest[0]) {
		var more string
		var worse syntaxError
		more, rest, worse = nextLine(rest)
		if bad == "" {
			bad = worse
		}
		if more = trim(more); more != "" {
			b.WriteByte(' ')
			b.WriteString(more)
		}
	}
	return b.String(), rest, bad
}

func nextLine(s string) (line, rest string, bad syntaxError) {
	end := strings.IndexByte(s, '\n')
	if end < 0 {
		return s, "", "last line of the head is not ended by CRLF"
	}
	line, rest = s[:end], s[end+1:]
	if end == 0 || line[end-1] != '\r' {
		return line, rest, "line is not ended by CRLF"
	}
	return line[:end-1], rest, ""
}

// loneReturn finds a CR without its LF in a head each of whose LFs has its CR.
func loneReturn(head string) syntaxError {
	if strings.Count(head, "\r") != strings.Count(head, "\n") {
		return "carriage return within a line"
	}
	return ""
}

// read fills h from a row by parting it at its colon.
func (h *Header) read(row string) syntaxError {
	colon := strings.IndexByte(row, ':')
	if colon < 0 {
		return syntaxErrorf("header row %s has no colon", excerpt(row))
	}
	end := colon
	for end > 0 && isBlank(row[end-1]) {
		end--
	}
	h.Name, h.Value = row[:end], trim(row[colon+1:])
	h.ID = HeaderByName(h.Name)
	if h.ID == HeaderUnknown && !IsToken(h.Name) {
		return syntaxErrorf("header name %s is no token", excerpt(h.Name))
	}
	return ""
}
