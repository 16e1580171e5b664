package interop

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// message is a SIP message as its text, read without the server's parser: the
// start line, the header rows in order, the body. It knows just enough to check
// what the server sends.
type message struct {
	start string
	rows  []row
	body  string
}

type row struct{ name, value string }

// compact names a server may send.
var compact = map[string]string{
	"i": "call-id", "m": "contact", "f": "from", "t": "to", "v": "via", "c": "content-type",
	"l": "content-length", "s": "subject", "k": "supported", "e": "content-encoding", "o": "event", "u": "allow-events",
}

func parse(data []byte) (message, error) {
	head, body, ok := strings.Cut(string(data), "\r\n\r\n")
	if !ok {
		return message{}, errors.New("no empty line after the headers")
	}
	lines := strings.Split(head, "\r\n")
	m := message{start: lines[0], body: body}
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return m, fmt.Errorf("header row without colon: %q", line)
		}
		m.rows = append(m.rows, row{strings.TrimSpace(name), strings.TrimSpace(value)})
	}
	n, err := strconv.Atoi(m.get("Content-Length"))
	if err != nil || n != len(body) {
		return m, fmt.Errorf("Content-Length %q, body has %d bytes", m.get("Content-Length"), len(body))
	}
	return m, nil
}

func same(a, b string) bool {
	return long(a) == long(b)
}

func long(name string) string {
	name = strings.ToLower(name)
	if l, ok := compact[name]; ok {
		return l
	}
	return name
}

// all returns the values of the rows of one name.
func (m message) all(name string) []string {
	var values []string
	for _, r := range m.rows {
		if same(r.name, name) {
			values = append(values, r.value)
		}
	}
	return values
}

// get returns the first row's value, empty when there is none.
func (m message) get(name string) string {
	if values := m.all(name); len(values) > 0 {
		return values[0]
	}
	return ""
}

// status of a response, 0 for a request.
func (m message) status() int {
	rest, ok := strings.CutPrefix(m.start, "SIP/2.0 ")
	if !ok {
		return 0
	}
	code, _, _ := strings.Cut(rest, " ")
	n, _ := strconv.Atoi(code)
	return n
}

// method of a request, empty for a response.
func (m message) method() string {
	if m.status() != 0 {
		return ""
	}
	method, _, _ := strings.Cut(m.start, " ")
	return method
}

func (m message) requestURI() string {
	parts := strings.Split(m.start, " ")
	if len(parts) != 3 {
		return ""
	}
	return parts[1]
}

// cseq of the message: number and method.
func (m message) cseq() (uint64, string) {
	number, method, _ := strings.Cut(m.get("CSeq"), " ")
	n, _ := strconv.ParseUint(number, 10, 64)
	return n, strings.TrimSpace(method)
}

// param of a header value such as `"A" <sip:a@b;x=y>;tag=1`: header parameters
// only, never those of the URI.
func param(value, name string) string {
	if i := strings.LastIndexByte(value, '>'); i >= 0 {
		value = value[i+1:]
	}
	_, rest, _ := strings.Cut(value, ";")
	for _, p := range strings.Split(rest, ";") {
		key, v, _ := strings.Cut(strings.TrimSpace(p), "=")
		if strings.EqualFold(strings.TrimSpace(key), name) {
			return strings.Trim(v, `"`)
		}
	}
	return ""
}

// address inside the angle brackets of a name-addr.
func address(value string) string {
	if _, rest, ok := strings.Cut(value, "<"); ok {
		uri, _, _ := strings.Cut(rest, ">")
		return uri
	}
	uri, _, _ := strings.Cut(value, ";")
	return uri
}

// String prints the message as it goes over the wire.
func (m message) String() string {
	var b strings.Builder
	b.WriteString(m.start + "\r\n")
	for _, r := range m.rows {
		b.WriteString(r.name + ": " + r.value + "\r\n")
	}
	if m.get("Content-Length") == "" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(m.body))
	}
	b.WriteString("\r\n" + m.body)
	return b.String()
}

// with returns the message with one header replaced, or added at the end; an
// empty value removes it.
func (m message) with(name, value string) message {
	var rows []row
	placed := value == ""
	for _, r := range m.rows {
		if !same(r.name, name) {
			rows = append(rows, r)
			continue
		}
		if !placed {
			rows = append(rows, row{name, value})
			placed = true
		}
	}
	if !placed {
		rows = append(rows, row{name, value})
	}
	m.rows = rows
	return m
}

// answer makes the response to a request, as RFC 3261 §8.2.6 says.
func answer(request message, status int, reason, tag string, further ...row) message {
	m := message{start: fmt.Sprintf("SIP/2.0 %d %s", status, reason)}
	for _, r := range request.rows {
		switch long(r.name) {
		case "via", "from", "call-id", "cseq":
			m.rows = append(m.rows, r)
		case "to":
			if param(r.value, "tag") == "" {
				r.value += ";tag=" + tag
			}
			m.rows = append(m.rows, r)
		}
	}
	m.rows = append(m.rows, further...)
	return m
}

// readStream reads the next message of a stream; it answers nothing and skips
// keep-alive line ends.
func readStream(r interface {
	io.Reader
	ReadBytes(byte) ([]byte, error)
}) (message, error) {
	var head []byte
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return message{}, err
		}
		if len(head) == 0 && strings.TrimSpace(string(line)) == "" {
			continue
		}
		head = append(head, line...)
		if string(line) == "\r\n" {
			break
		}
	}
	length := 0
	for _, line := range strings.Split(string(head), "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		if same(strings.TrimSpace(name), "content-length") {
			length, _ = strconv.Atoi(strings.TrimSpace(value))
		}
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(r, body); err != nil {
		return message{}, err
	}
	return parse(append(head, body...))
}
