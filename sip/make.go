package sip

import "strings"

// NewRequest makes a request without header fields.
func NewRequest(method, requestURI string) *Message {
	m := newMessage()
	m.Method, m.RequestURI = method, requestURI
	return m
}

// NewResponse makes the response to a request (RFC 3261 §8.2.6.2): all its Via
// rows, From, Call-ID and CSeq are copied, and To, which gets toTag when the
// request's had no tag. An empty reason means the status's own phrase.
//
// It serves for a request that came with a ParseError too, if that is Answerable;
// fields are then copied as they came, and a To that cannot be read gets no tag.
func NewResponse(req *Message, status int, reason, toTag string) *Message {
	if reason == "" {
		reason = ReasonPhrase(status)
	}
	m := newMessage()
	m.Status, m.Reason = status, singleLine(reason)
	m.Via, m.From, m.To, m.CallID, m.CSeq = req.Via, req.From, req.To, req.CallID, req.CSeq
	var seen [HeaderCSeq + 1]bool
	for _, h := range req.Headers {
		if h.ID == HeaderUnknown || h.ID > HeaderCSeq || seen[h.ID] {
			continue
		}
		seen[h.ID] = h.ID != HeaderVia
		if h.ID == HeaderTo && toTag != "" && req.To.URI != "" && req.To.Tag() == "" {
			h.Value += ";tag=" + toTag
			m.To, _ = ParseAddress(h.Value)
		}
		m.Headers = append(m.Headers, h)
	}
	return m
}

// NewAnswer makes the own part of a response: what it repeats of its request, the
// transaction layer copies. An empty toTag leaves the tag to the layer as well.
func NewAnswer(status int, toTag string) *Message {
	m := newMessage()
	m.Status, m.Reason = status, ReasonPhrase(status)
	if toTag != "" {
		m.To.Params = Params(";tag=" + toTag)
	}
	return m
}

// singleLine makes sure that a value ends where its row ends.
func singleLine(s string) string {
	if strings.IndexByte(s, '\r') < 0 && strings.IndexByte(s, '\n') < 0 {
		return s
	}
	return strings.NewReplacer("\r\n", " ", "\r", " ", "\n", " ").Replace(s)
}

// KnownMethod reports whether some RFC defines the method. Methods are
// case-sensitive (RFC 3261 §7.1).
func KnownMethod(method string) bool {
	switch method {
	case "INVITE", "ACK", "BYE", "CANCEL", "REGISTER", "OPTIONS", "SUBSCRIBE", "NOTIFY",
		"PUBLISH", "MESSAGE", "INFO", "UPDATE", "PRACK", "REFER":
		return true
	}
	return false
}
