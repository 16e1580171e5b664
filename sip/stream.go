package sip

import "unsafe"

// SplitStream finds the first message in the bytes received on a stream: skip
// bytes of CRLFs ahead of it (RFC 3261 §7.5; keep-alive pings among them), then n bytes
// of message, or 0 when more must be read. Nothing is kept between calls, so the
// answer does not depend on how the bytes arrived.
//
// When framing is lost (Content-Length absent, malformed or contradictory, a
// message above max bytes) err is a *ParseError. Its Message is what the head
// holds: answer if Answerable, then close (RFC 3261 §18.3).
func SplitStream(buf []byte, max int) (skip, n int, err error) {
	var s Splitter
	return s.Split(buf, max)
}

// Splitter is SplitStream for one stream, whose bytes stay where they are until
// a message is whole: it looks at each of them once, so that a message that comes
// byte by byte costs no more than one that comes at once.
type Splitter struct {
	looked int // bytes of a head whose end has not come
	whole  int // size of the message whose head has
}

// Split is SplitStream. buf holds what the last call left: all that it was
// given but for skip and n, with what came since behind it.
func (s *Splitter) Split(buf []byte, max int) (skip, n int, err error) {
	for len(buf)-skip >= 2 && buf[skip] == '\r' && buf[skip+1] == '\n' {
		skip += 2
	}
	rest := buf[skip:]
	if s.whole == 0 {
		if err := s.readHead(rest, max); err != nil {
			*s = Splitter{}
			return skip, 0, err
		}
	}
	if s.whole == 0 || s.whole > len(rest) {
		return skip, 0, nil
	}
	n = s.whole
	*s = Splitter{}
	return skip, n, nil
}

// readHead looks for the head's end and, from there, for that of the message.
func (s *Splitter) readHead(rest []byte, max int) error {
	end := headEnd(rest, s.looked)
	if end < 0 {
		if len(rest) > max {
			return lostFraming(rest, 513, "message is too large")
		}
		s.looked = len(rest)
		return nil
	}
	head := rest[:end+4]
	length, bad := streamLength(head[:end+2])
	if bad != "" {
		return lostFraming(head, 400, bad)
	}
	if length > max-len(head) {
		return lostFraming(head, 513, "message is too large")
	}
	s.whole = len(head) + length
	return nil
}

// streamLength reads Content-Length as Parse will, without a copy of the head.
func streamLength(head []byte) (length int, bad syntaxError) {
	// The string lives no longer than this call, in which nobody writes to head.
	text := unsafe.String(unsafe.SliceData(head), len(head))
	_, rest, bad := nextLine(text)
	length = -1
	for bad == "" && rest != "" {
		var row string
		if row, rest, bad = nextRow(rest); bad != "" {
			break
		}
		value, is := contentLength(row)
		if !is {
			continue
		}
		n, over, ok := parseUint(value, 1<<31-1)
		switch {
		case !ok:
			return 0, "Content-Length is not a number"
		case over:
			return 0, "Content-Length is too large"
		case length >= 0 && length != int(n):
			return 0, "more than one Content-Length"
		}
		length = int(n)
	}
	if bad == "" {
		bad = loneReturn(text)
	}
	if bad == "" && length < 0 {
		bad = "no Content-Length"
	}
	return length, bad
}

// contentLength gives the row's value if it is a Content-Length row.
func contentLength(row string) (value string, is bool) {
	if row == "" || row[0]|0x20 != 'c' && row[0]|0x20 != 'l' {
		return "", false
	}
	var h Header
	bad := h.read(row)
	return h.Value, bad == "" && h.ID == HeaderContentLength
}

// lostFraming reports the reason for which a stream must be closed, with the
// head for an answer.
func lostFraming(head []byte, status int, reason syntaxError) *ParseError {
	p := parser{m: newMessage(), limits: Limits{}.withDefaults(), length: -1}
	p.readHead(string(p.cutHead(head)))
	p.checkRequired()
	p.status, p.reason = status, string(reason)
	return p.refusal()
}
