package sip

import (
	"bytes"
	"slices"
	"strings"
)

// Limits bounds what is accepted; a zero field means its default. The size of a
// whole message is the transport's business.
type Limits struct {
	Headers     int // header rows, 256
	HeaderBytes int // start line and header rows, 65535
}

func (l Limits) withDefaults() Limits {
	if l.Headers == 0 {
		l.Headers = 256
	}
	if l.HeaderBytes == 0 {
		l.HeaderBytes = 65535
	}
	return l
}

// ParseError says why a message is refused.
type ParseError struct {
	Status  int    // the response it deserves: 400, 501, 505 or 513
	Reason  string // precise, fit for a reason phrase: "CSeq number exceeds 2^32-1"
	Message *Message
	// Answerable: Message is a request other than ACK whose Via names a host and
	// whose From, To, Call-ID and CSeq are there, so that NewResponse makes a
	// response that finds its way. Others are dropped (RFC 4475 §3.3.1).
	Answerable bool
}

// Error implements error.
func (e *ParseError) Error() string { return "sip: " + e.Reason }

// Parse reads one datagram with the default Limits.
func Parse(data []byte) (*Message, error) { return Limits{}.Parse(data) }

// Parse reads one message that is alone in data: a datagram or a WebSocket
// message. Content-Length cuts the body, bytes beyond it are ignored, without it
// the body runs to the end (RFC 3261 §18.3).
//
// A *ParseError comes together with the message as far as it could be read.
func (l Limits) Parse(data []byte) (*Message, error) { return l.parse(data, false) }

// ParseFramed reads one message cut from a stream by SplitStream, where
// Content-Length must be present and right.
func (l Limits) ParseFramed(data []byte) (*Message, error) { return l.parse(data, true) }

func (l Limits) parse(data []byte, framed bool) (*Message, error) {
	p := parser{m: newMessage(), limits: l.withDefaults(), length: -1}
	data = skipLineEnds(data)
	used := p.readHead(string(p.cutHead(data)))
	p.checkRequired()
	p.takeBody(data[used:], framed)
	if p.reason != "" {
		return p.m, p.refusal()
	}
	return p.m, nil
}

// parser reads on after a mistake, so that as much as possible is there for
// the answer; the first mistake is the one reported.
type parser struct {
	m      *Message
	limits Limits
	status int
	reason string
	seen   [HeaderContentLength + 1]bool
	length int // Content-Length, -1 when absent
}

func (p *parser) fail(status int, reason string) {
	if p.reason == "" {
		p.status, p.reason = status, reason
	}
}

func (p *parser) failIn(id HeaderID, bad syntaxError) {
	if bad != "" {
		p.fail(400, id.String()+": "+string(bad))
	}
}

func (p *parser) refusal() *ParseError {
	m := p.m
	return &ParseError{
		Status: p.status, Reason: p.reason, Message: m,
		Answerable: m.IsRequest() && m.Method != "ACK" && m.Via.Host != "" &&
			p.seen[HeaderFrom] && p.seen[HeaderTo] && p.seen[HeaderCallID] && p.seen[HeaderCSeq],
	}
}

// skipLineEnds skips CRLFs ahead of the start line (RFC 3261 §7.5).
func skipLineEnds(data []byte) []byte {
	for len(data) >= 2 && data[0] == '\r' && data[1] == '\n' {
		data = data[2:]
	}
	return data
}

// cutHead gives the head, blank line included. What ends with a blank line and
// is short enough is taken whole, since hardly any body looks like that;
// readHead stops at the first blank line in any case.
func (p *parser) cutHead(data []byte) (head []byte) {
	most := p.limits.HeaderBytes
	if len(data) <= most && bytes.HasSuffix(data, []byte(blankLine)) {
		return data
	}
	end := headEnd(data, 0)
	if end >= 0 {
		data = data[:end+len(blankLine)]
	}
	if len(data) > most {
		p.fail(513, "header fields are too large")
		return data[:most]
	}
	if end < 0 {
		p.fail(400, "no blank line after the header fields")
	}
	return data
}

// readHead reads up to the blank line and tells how many bytes that was.
func (p *parser) readHead(head string) (used int) {
	start, rest, bad := nextLine(head)
	p.readStart(start)
	if bad != "" {
		p.fail(400, string(bad))
	}
	for rest != "" {
		var row string
		if row, rest, bad = nextRow(rest); bad != "" {
			p.fail(400, string(bad))
		}
		if row == "" {
			break
		}
		if len(p.m.Headers) == p.limits.Headers {
			p.fail(513, "too many header fields")
			break
		}
		p.readRow(row)
	}
	used = len(head) - len(rest)
	if bad = loneReturn(head[:used]); bad != "" {
		p.fail(400, string(bad))
	}
	if p.reason != "" { // a bare LF may have hidden a lone CR from the count
		p.joinLines()
	}
	return used
}

// joinLines takes carriage returns out of the rows, which an answer may copy:
// whoever reads them as line ends would find rows there that nobody checked.
func (p *parser) joinLines() {
	for i := range p.m.Headers {
		p.m.Headers[i].Value = singleLine(p.m.Headers[i].Value)
	}
}

// readRow adds a row to the message, in place.
func (p *parser) readRow(row string) {
	n := len(p.m.Headers)
	if n == cap(p.m.Headers) {
		p.m.Headers = slices.Grow(p.m.Headers, n)
	}
	p.m.Headers = p.m.Headers[:n+1]
	h := &p.m.Headers[n]
	if bad := h.read(row); bad != "" {
		p.fail(400, string(bad))
		p.m.Headers = p.m.Headers[:n]
		return
	}
	if h.ID != HeaderUnknown && h.ID <= HeaderContact {
		p.readHeader(h)
	}
}

// readStart reads the start line (RFC 3261 §7.1, §7.2).
func (p *parser) readStart(line string) {
	if len(line) >= 4 && equalFold(line[:4], "SIP/") {
		p.readStatusLine(line)
		return
	}
	method, rest, _ := strings.Cut(line, " ")
	uri, version := "", ""
	if i := strings.LastIndexByte(rest, ' '); i >= 0 {
		uri, version = rest[:i], rest[i+1:]
	}
	p.m.Method, p.m.RequestURI = method, uri
	switch {
	case !IsToken(method):
		p.m.Method = ""
		p.fail(400, "request line does not start with a method")
	case !equalFold(version, "SIP/2.0"):
		p.failVersion(rest, version)
	default:
		p.checkRequestURI(uri)
	}
}

func (p *parser) failVersion(rest, version string) {
	switch {
	case len(version) > 4 && equalFold(version[:4], "SIP/"):
		p.fail(505, "version "+excerpt(version)+" is not SIP/2.0")
	case rest != "" && isBlank(rest[len(rest)-1]):
		p.fail(400, "request line ends with a blank")
	default:
		p.fail(400, "request line does not end with SIP/2.0")
	}
}

func (p *parser) checkRequestURI(s string) {
	switch {
	case s == "":
		p.fail(400, "request line has no Request-URI")
	case s[0] == '<':
		p.fail(400, "Request-URI stands in angle brackets")
	case isBlank(s[0]) || isBlank(s[len(s)-1]):
		p.fail(400, "more than one blank in the request line")
	case strings.IndexByte(s, ' ') >= 0:
		p.fail(400, "blank in the Request-URI")
	default:
		u, bad := parseURI(s)
		if bad != "" {
			p.fail(400, "Request-URI: "+string(bad))
		} else if u.Headers != "" {
			p.fail(400, "Request-URI has header fields")
		}
	}
}

func (p *parser) readStatusLine(line string) {
	version, rest, _ := strings.Cut(line, " ")
	code, reason, _ := strings.Cut(rest, " ")
	p.m.Reason = reason
	if !equalFold(version, "SIP/2.0") {
		p.fail(505, "version "+excerpt(version)+" is not SIP/2.0")
		return
	}
	status, over, ok := parseUint(code, 699)
	if !ok || over || len(code) != 3 || status < 100 {
		p.fail(400, "status code is not between 100 and 699")
		return
	}
	p.m.Status = int(status)
}

// readHeader reads the fields that every message needs.
func (p *parser) readHeader(h *Header) {
	if h.ID <= HeaderMaxForwards && h.ID != HeaderVia && p.seen[h.ID] {
		p.fail(400, "more than one "+h.ID.String())
		return
	}
	switch h.ID {
	case HeaderVia:
		p.readVia(h.Value)
	case HeaderFrom:
		p.readAddress(&p.m.From, h)
	case HeaderTo:
		p.readAddress(&p.m.To, h)
	case HeaderCallID:
		p.readCallID(h.Value)
	case HeaderCSeq:
		p.readCSeq(h.Value)
	case HeaderContentLength:
		p.readLength(h.Value)
	case HeaderContact:
		p.checkContacts(h.Value)
		return
	}
	p.seen[h.ID] = true
}

// readVia parses the topmost Via. The hops below are the business of those
// who get the response; only holes in the list are refused (RFC 4475 §3.1.2.1).
func (p *parser) readVia(row string) {
	for more := true; more; {
		var item string
		item, row, more = nextItem(row)
		top := !p.seen[HeaderVia]
		p.seen[HeaderVia] = true
		if item == "" {
			p.fail(400, "Via: empty list member")
			continue
		}
		if top {
			var bad syntaxError
			p.m.Via, bad = parseVia(item)
			p.failIn(HeaderVia, bad)
		}
	}
}

func (p *parser) readAddress(a *Address, h *Header) {
	read, bad := parseAddress(h.Value)
	if bad != "" {
		p.failIn(h.ID, bad)
		return
	}
	*a = read
}

func (p *parser) readCallID(value string) {
	p.m.CallID = value
	if value == "" || strings.IndexByte(value, ' ') >= 0 || strings.IndexByte(value, '\t') >= 0 {
		p.fail(400, "Call-ID is not one word")
	}
}

func (p *parser) readCSeq(value string) {
	number, method, _ := strings.Cut(value, " ")
	if i := strings.IndexByte(number, '\t'); i >= 0 {
		number, method = value[:i], value[i:]
	}
	method = trim(method)
	n, over, ok := parseUint(number, 1<<32-1)
	switch {
	case !ok:
		p.fail(400, "CSeq does not start with a number")
	case over:
		p.fail(400, "CSeq number exceeds 2^32-1")
	case !IsToken(method):
		p.fail(400, "CSeq has no method")
	}
	p.m.CSeq = CSeq{uint32(n), method}
}

func (p *parser) readLength(value string) {
	n, over, ok := parseUint(value, 1<<31-1)
	switch {
	case !ok:
		p.fail(400, "Content-Length is not a number")
	case over:
		p.fail(400, "Content-Length is too large")
	case p.length >= 0 && p.length != int(n):
		p.fail(400, "more than one Content-Length")
	default:
		p.length = int(n)
	}
}

// checkContacts refuses what RFC 4475 §3.1.2.1 shows. Only in requests: a
// response is not thrown away for a Contact nobody asked it for.
func (p *parser) checkContacts(row string) {
	if row == "*" || !p.m.IsRequest() {
		return
	}
	for more := true; more; {
		var item string
		if item, row, more = nextItem(row); item == "" {
			p.fail(400, "Contact: empty list member")
			continue
		}
		_, bad := parseAddress(item)
		p.failIn(HeaderContact, bad)
	}
}

func (p *parser) checkRequired() {
	m := p.m
	for id := HeaderVia; id <= HeaderCSeq; id++ {
		if !p.seen[id] {
			p.fail(400, "no "+id.String())
		}
	}
	if !m.IsRequest() || m.CSeq.Method == m.Method {
		return
	}
	status := 400
	if !KnownMethod(m.Method) {
		status = 501 // MSG-06
	}
	p.fail(status, "CSeq method differs from the method of the request")
}

func (p *parser) takeBody(body []byte, framed bool) {
	switch {
	case framed && p.length < 0:
		p.fail(400, "no Content-Length")
	case framed && p.length < len(body):
		p.fail(400, "Content-Length is less than the body")
	}
	switch {
	case p.length > len(body):
		p.fail(400, "Content-Length exceeds the body")
	case p.length >= 0:
		body = body[:p.length]
	}
	if len(body) > 0 && p.reason == "" {
		p.m.Body = bytes.Clone(body)
	}
}
