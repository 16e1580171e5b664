package sip

import (
	"bytes"
	"strings"
)

// Part is one part of a multipart body (RFC 2046 §5.1). Body points into the
// whole body.
type Part struct {
	Headers []Header
	Body    []byte
}

// maxParts bounds what one body can make us allocate.
const maxParts = 1024

// Parts takes a multipart body apart by the boundary of its Content-Type. Any
// octet may stand in a part, NUL included (RFC 4475 §3.1.1.11).
func Parts(contentType string, body []byte) ([]Part, error) {
	t, err := ParseMediaType(contentType)
	if err != nil {
		return nil, err
	}
	boundary, _ := t.Params.Get("boundary")
	if t.Type != "multipart" || boundary == "" || len(boundary) > 70 {
		return nil, syntaxErrorf("%s is no multipart type with a boundary", excerpt(contentType))
	}
	delimiter := []byte("--" + boundary)
	_, rest, last := nextDelimiter(body, delimiter)
	if rest == nil {
		return nil, syntaxError("multipart body lacks its boundary")
	}
	var parts []Part
	for !last {
		var content []byte
		if content, rest, last = nextDelimiter(rest, delimiter); rest == nil {
			return nil, syntaxError("multipart body is not closed by its boundary")
		}
		if len(parts) == maxParts {
			return nil, syntaxError("multipart body has too many parts")
		}
		part, bad := parsePart(content)
		if bad != "" {
			return nil, bad
		}
		parts = append(parts, part)
	}
	return parts, nil
}

// nextDelimiter finds the next delimiter line. before is what precedes it
// without the line end that belongs to the delimiter; rest, nil when there is no
// delimiter, what follows its line.
func nextDelimiter(b, delimiter []byte) (before, rest []byte, last bool) {
	for at := 0; ; {
		i := bytes.Index(b[at:], delimiter)
		if i < 0 {
			return nil, nil, false
		}
		start := at + i
		at = start + len(delimiter)
		if start > 0 && b[start-1] != '\n' {
			continue
		}
		after := b[at:]
		line, following, ended := bytes.Cut(after, []byte("\n"))
		switch string(bytes.Trim(line, " \t\r")) {
		case "--":
			return beforeLineEnd(b[:start]), []byte{}, true
		case "":
			if ended {
				return beforeLineEnd(b[:start]), b[len(b)-len(following):], false
			}
		}
	}
}

func beforeLineEnd(b []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
}

// parsePart parts header rows from content; a part may have no rows at all.
func parsePart(content []byte) (part Part, bad syntaxError) {
	head, body := []byte(nil), content
	switch i := bytes.Index(content, []byte("\r\n\r\n")); {
	case bytes.HasPrefix(content, []byte("\r\n")):
		body = content[2:]
	case i >= 0:
		head, body = content[:i+2], content[i+4:]
	default:
		return part, "part has no blank line after its header fields"
	}
	part.Body = body
	if bad = loneReturn(string(head)); bad != "" {
		return part, bad
	}
	for rest := string(head); rest != ""; {
		var row string
		if row, rest, bad = nextRow(rest); bad != "" {
			return part, bad
		}
		var h Header
		if bad = h.read(row); bad != "" {
			return part, bad
		}
		part.Headers = append(part.Headers, h)
	}
	return part, ""
}

// Header gives the first row of a field of the part: Content-Type,
// Content-Disposition and so on.
func (p Part) Header(id HeaderID) (value string, ok bool) {
	for _, h := range p.Headers {
		if h.ID == id {
			return h.Value, true
		}
	}
	return "", false
}

// ContentID gives Content-ID without its angle brackets, as a cid URI names it
// (RFC 2392 §2).
func (p Part) ContentID() string {
	value, _ := p.Header(HeaderContentID)
	return strings.TrimSuffix(strings.TrimPrefix(value, "<"), ">")
}
