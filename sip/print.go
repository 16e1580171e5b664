package sip

import "strconv"

// AppendTo prints the message. Content-Length is computed from Body, whatever
// row of that name there is; without one it comes last.
func (m *Message) AppendTo(b []byte) []byte {
	return append(m.AppendHead(b), m.Body...)
}

// Bytes prints the message into a slice of its own.
func (m *Message) Bytes() []byte { return m.AppendTo(make([]byte, 0, m.size())) }

// size is no less than the printed length.
func (m *Message) size() int {
	n := len(m.Method) + len(m.RequestURI) + len(m.Reason) + len(m.Body) + 64
	for i := range m.Headers {
		n += len(m.Headers[i].Name) + len(m.Headers[i].Value) + 4
	}
	return n
}

// AppendHead prints everything before the body, blank line included.
func (m *Message) AppendHead(b []byte) []byte {
	b = m.appendStart(b)
	counted := false
	for i := range m.Headers {
		h := &m.Headers[i]
		if h.ID == HeaderContentLength {
			if !counted {
				b = m.appendContentLength(b, h.Name)
			}
			counted = true
			continue
		}
		b = append(append(b, h.Name...), ": "...)
		b = append(append(b, h.Value...), "\r\n"...)
	}
	if !counted {
		b = m.appendContentLength(b, "Content-Length")
	}
	return append(b, "\r\n"...)
}

func (m *Message) appendStart(b []byte) []byte {
	if m.IsRequest() {
		b = append(append(b, m.Method...), ' ')
		b = append(b, m.RequestURI...)
		return append(b, " SIP/2.0\r\n"...)
	}
	b = strconv.AppendInt(append(b, "SIP/2.0 "...), int64(m.Status), 10)
	b = append(append(b, ' '), m.Reason...)
	return append(b, "\r\n"...)
}

func (m *Message) appendContentLength(b []byte, name string) []byte {
	b = append(append(b, name...), ": "...)
	b = strconv.AppendInt(b, int64(len(m.Body)), 10)
	return append(b, "\r\n"...)
}
