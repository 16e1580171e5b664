package transaction

import (
	"strconv"
	"strings"
	"sync"

	"vigie/sip"
)

// answer is what a response has beyond the fields it copies from its request:
// together with a repeat of the request it gives the response again, byte for byte.
type answer struct {
	status      int
	reason      string // "" for the status's own phrase
	tag         string // of To; "" when the request's To has one
	recordRoute bool   // the request's Record-Route rows are copied (RFC 3261 §12.1.1)
	rows        string // our own header rows, printed
	body        []byte
}

// appendCopied prints the start line and the fields that come from the request.
func (a *answer) appendCopied(b []byte, req *sip.Message) []byte {
	b = a.appendStart(b)
	var seen [sip.HeaderCSeq + 1]bool
	for i := range req.Headers {
		h := &req.Headers[i]
		if h.ID == sip.HeaderUnknown || h.ID > sip.HeaderCSeq || seen[h.ID] {
			continue
		}
		seen[h.ID] = h.ID != sip.HeaderVia
		tag := ""
		if h.ID == sip.HeaderTo {
			tag = a.tag
		}
		b = appendRow(b, h, tag)
	}
	if a.recordRoute {
		b = appendRows(b, req, sip.HeaderRecordRoute)
	}
	return b
}

func (a *answer) appendStart(b []byte) []byte {
	reason := a.reason
	if reason == "" {
		reason = sip.ReasonPhrase(a.status)
	}
	b = strconv.AppendInt(append(b, "SIP/2.0 "...), int64(a.status), 10)
	b = append(append(b, ' '), reason...)
	return append(b, "\r\n"...)
}

// appendEnd prints what follows our own rows.
func (a *answer) appendEnd(b []byte) []byte {
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, int64(len(a.body)), 10)
	b = append(b, "\r\n\r\n"...)
	return append(b, a.body...)
}

// print prints the whole response to req.
func (a *answer) print(req *sip.Message) []byte {
	b := make([]byte, 0, copiedSize(req)+len(a.reason)+len(a.tag)+len(a.rows)+len(a.body)+96)
	b = a.appendCopied(b, req)
	b = append(b, a.rows...)
	return a.appendEnd(b)
}

// space is where responses are printed before they are copied to where they go.
type space struct{ printed []byte }

var spaces = sync.Pool{New: func() any { return new(space) }}

func newSpace() *space { return spaces.Get().(*space) }

// keptSpace is the largest response whose space is used again.
const keptSpace = 16 << 10

func (s *space) release() {
	if cap(s.printed) > keptSpace {
		s.printed = nil
	}
	spaces.Put(s)
}

// answerOf reads the answer out of a final response made for req and prints it. Our
// own rows are part of what is printed. tag is for a To without one; "" derives it.
func (l *Layer) answerOf(s *space, req, r *sip.Message, tag string) (a answer, rows []byte) {
	a = answer{status: r.Status, body: r.Body, recordRoute: copiesRecordRoute(req, r)}
	if r.Reason != sip.ReasonPhrase(r.Status) && len(r.Reason) < 1000 && !strings.ContainsAny(r.Reason, "\r\n") {
		a.reason = r.Reason
	}
	if takesTag(req) {
		if a.tag = tag; tag == "" {
			a.tag = l.keys.tag(req)
		}
	}
	b := a.appendCopied(s.printed[:0], req)
	start := len(b)
	b = appendOwn(b, r, a.recordRoute)
	end := len(b)
	s.printed = a.appendEnd(b)
	return a, s.printed[start:end]
}

// takesTag says that a response to req adds a tag to its To.
func takesTag(req *sip.Message) bool { return req.To.URI != "" && req.To.Tag() == "" }

// appendOwn prints the rows of a response that do not come from its request.
func appendOwn(b []byte, r *sip.Message, recordRoute bool) []byte {
	for i := range r.Headers {
		if h := &r.Headers[i]; isOwn(h.ID, recordRoute) {
			b = appendRow(b, h, "")
		}
	}
	return b
}

func isOwn(id sip.HeaderID, recordRoute bool) bool {
	switch id {
	case sip.HeaderVia, sip.HeaderFrom, sip.HeaderTo, sip.HeaderCallID, sip.HeaderCSeq, sip.HeaderContentLength:
		return false
	case sip.HeaderRecordRoute:
		return !recordRoute
	}
	return true
}

func appendRow(b []byte, h *sip.Header, tag string) []byte {
	b = append(append(b, h.Name...), ": "...)
	b = append(b, h.Value...)
	if tag != "" {
		b = append(append(b, ";tag="...), tag...)
	}
	return append(b, "\r\n"...)
}

func appendRows(b []byte, m *sip.Message, id sip.HeaderID) []byte {
	for i := range m.Headers {
		if m.Headers[i].ID == id {
			b = appendRow(b, &m.Headers[i], "")
		}
	}
	return b
}

// copiesRecordRoute says that r has the Record-Route rows of req, and some.
func copiesRecordRoute(req, r *sip.Message) bool {
	n := r.Count(sip.HeaderRecordRoute)
	if n == 0 || n != req.Count(sip.HeaderRecordRoute) {
		return false
	}
	j := 0
	for i := range r.Headers {
		if r.Headers[i].ID != sip.HeaderRecordRoute {
			continue
		}
		for req.Headers[j].ID != sip.HeaderRecordRoute {
			j++
		}
		if req.Headers[j] != r.Headers[i] {
			return false
		}
		j++
	}
	return true
}

// copiedSize is no less than what appendCopied takes from req.
func copiedSize(req *sip.Message) (n int) {
	for i := range req.Headers {
		h := &req.Headers[i]
		if h.ID != sip.HeaderUnknown && (h.ID <= sip.HeaderCSeq || h.ID == sip.HeaderRecordRoute) {
			n += len(h.Name) + len(h.Value) + 4
		}
	}
	return n
}

// printTrying prints the 100 to a request (RFC 3261 §8.2.6.1).
func printTrying(req *sip.Message) []byte {
	a := answer{status: 100}
	b := a.appendCopied(make([]byte, 0, copiedSize(req)+96), req)
	b = appendRows(b, req, sip.HeaderTimestamp)
	return a.appendEnd(b)
}
