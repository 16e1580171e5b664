// Package sip holds SIP messages, URIs and header fields as values: it parses
// what was received and prints what is sent. It is pure: no network, no clock,
// no locks, nothing shared but read-only tables.
//
// The sources are RFC 3261 §7, §19, §20 and §25; RFC 3581 and RFC 5118 for Via;
// RFC 6665 and RFC 3903 for Event and the entity-tag fields; RFC 4475 for what
// must be survived.
//
// Parse copies the head of a message once, into a string, and the body into a
// slice of its own; every string of a Message points into that one string.
// Nothing else is allocated for an ordinary message. Consequences:
//
//   - the caller's buffer is free again when Parse returns;
//   - a Message lives briefly, for one transaction at most; whoever keeps one of its
//     strings longer clones it (strings.Clone), else a kilobyte stays with it;
//   - a Message is used by pointer and never copied: Headers starts out in an
//     array inside it;
//   - whoever is the last to use a Message may Release it: the next one takes its
//     place. Its strings stay what they were.
//
// Header values are kept as rows, in received order, trimmed and unfolded. Lists
// are split on demand (Values), known values parsed on demand (ParseAddress,
// ParseEvent, …), except those that every message needs: Via, From, To, Call-ID
// and CSeq. A malformed value of a field that Parse does not need is no error
// here (RFC 3261 §8.2.2); whoever needs the field finds out.
package sip

import (
	"iter"
	"sync"
)

// headersInline is how many rows fit into a Message without another
// allocation: a SUBSCRIBE with credentials through two proxies. With it a
// Message just fits an allocator size class of 1280 bytes.
const headersInline = 23

// messages holds released ones: a server at work makes a hundred thousand a
// second, and each would be 1280 bytes full of pointers (BenchmarkParseSubscribe).
var messages = sync.Pool{New: func() any { return new(Message) }}

// newMessage gives an empty message.
func newMessage() *Message {
	m := messages.Get().(*Message)
	m.Headers = m.inline[:0]
	return m
}

// Release gives a message back. Nobody may use it any more; strings taken from
// it, and its body, stay valid.
func (m *Message) Release() {
	*m = Message{}
	messages.Put(m)
}

// Message is one request or response (RFC 3261 §7).
type Message struct {
	Method     string // "" for a response
	RequestURI string // as received
	Status     int    // 0 for a request
	Reason     string
	Headers    []Header // in order
	Body       []byte   // nil when there is none

	// Read by Parse. Add and Set do not touch them.
	Via    Via // topmost
	From   Address
	To     Address
	CallID string
	CSeq   CSeq

	inline [headersInline]Header
}

// CSeq orders the requests of a dialog (RFC 3261 §20.16).
type CSeq struct {
	Number uint32
	Method string
}

// IsRequest reports whether m is a request.
func (m *Message) IsRequest() bool { return m.Method != "" }

// Header gives the first row of a field.
func (m *Message) Header(id HeaderID) (value string, ok bool) {
	for i := range m.Headers {
		if m.Headers[i].ID == id {
			return m.Headers[i].Value, true
		}
	}
	return "", false
}

// Count gives the number of rows of a field.
func (m *Message) Count(id HeaderID) (rows int) {
	for i := range m.Headers {
		if m.Headers[i].ID == id {
			rows++
		}
	}
	return rows
}

// Rows walks the rows of a field, lists not split: what the authentication
// fields need, in which a comma separates parameters (RFC 3261 §7.3.1).
func (m *Message) Rows(id HeaderID) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range m.Headers {
			if m.Headers[i].ID == id && !yield(m.Headers[i].Value) {
				return
			}
		}
	}
}

// Values walks the members of a list field over all its rows, in order;
// empty members are left out.
func (m *Message) Values(id HeaderID) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range m.Headers {
			if m.Headers[i].ID == id && !splitList(m.Headers[i].Value, yield) {
				return
			}
		}
	}
}

// Add appends a row. Line ends in value become blanks, so that no value can
// make a second row.
func (m *Message) Add(id HeaderID, value string) {
	m.add(Header{id, id.String(), singleLine(value)})
}

// AddName appends a row of any name.
func (m *Message) AddName(name, value string) {
	m.add(Header{HeaderByName(name), name, singleLine(value)})
}

func (m *Message) add(h Header) {
	if m.Headers == nil {
		m.Headers = m.inline[:0]
	}
	m.Headers = append(m.Headers, h)
}

// Set makes value the only row of a field, at the place of the first.
func (m *Message) Set(id HeaderID, value string) {
	for i := range m.Headers {
		if m.Headers[i].ID == id {
			m.Headers[i] = Header{id, id.String(), singleLine(value)}
			m.removeFrom(i+1, id)
			return
		}
	}
	m.Add(id, value)
}

// Remove drops all rows of a field.
func (m *Message) Remove(id HeaderID) { m.removeFrom(0, id) }

func (m *Message) removeFrom(start int, id HeaderID) {
	kept := m.Headers[:start]
	for _, h := range m.Headers[start:] {
		if h.ID != id {
			kept = append(kept, h)
		}
	}
	m.Headers = kept
}

// Expires gives the Expires field in seconds, clamped to 2^32-1
// (RFC 3261 §20.19); not ok when it is absent or no number.
func (m *Message) Expires() (seconds uint32, ok bool) {
	value, ok := m.Header(HeaderExpires)
	if !ok {
		return 0, false
	}
	return ParseSeconds(value)
}

// ParseSeconds reads delta-seconds, clamped to 2^32-1 (RFC 4475 §3.1.2.4).
func ParseSeconds(s string) (seconds uint32, ok bool) {
	n, _, ok := parseUint(s, 1<<32-1)
	return uint32(n), ok
}

// MaxForwards gives the hops left; not ok when the field is absent, no number
// or above 255, which RFC 4475 §3.1.2.4 lets us take as absent.
func (m *Message) MaxForwards() (hops int, ok bool) {
	value, ok := m.Header(HeaderMaxForwards)
	if !ok {
		return 0, false
	}
	n, over, ok := parseUint(value, 255)
	return int(n), ok && !over
}
