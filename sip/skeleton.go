// Package sip holds SIP messages, URIs and header fields as values.
package sip

import (
	"iter"
	"net/netip"
)

type Message struct {
	Method     string
	RequestURI string
	Status     int
	Reason     string
	Headers    []Header
	Body       []byte

	Via    Via
	From   Address
	To     Address
	CallID string
	CSeq   CSeq
}

type Via struct {
	Transport string
	Host      string
	Port      uint16
	Branch    string
	Params    Params
}
type Params string
type Address struct {
	Display string
	URI     string
	Params  Params
}
type CSeq struct {
	Number uint32
	Method string
}
type URI struct {
	Scheme, User, Password, Host string
	Port                         uint16
	Params                       Params
	Headers                      string
}
type ParseError struct {
	Status     int
	Reason     string
	Message    *Message
	Answerable bool
}

// Limits bounds what a message may hold; zero fields mean the defaults.
type Limits struct {
	Headers     int // rows, default 256
	HeaderBytes int // start line and rows, default 65535
}

func (e *ParseError) Error() string { return e.Reason }

func Parse(data []byte) (*Message, error)                  { return Limits{}.Parse(data) }
func (l Limits) Parse(data []byte) (*Message, error)       { return nil, nil }
func (l Limits) ParseFramed(data []byte) (*Message, error) { return nil, nil }

// SplitStream: err is a *ParseError whose Message is the head when it was whole.
func SplitStream(buf []byte, max int) (skip, n int, err error) { return 0, 0, nil }

func (id HeaderID) String() string                     { return "" }
func HeaderByName(name string) HeaderID                { return 0 }
func (m *Message) IsRequest() bool                     { return m.Status == 0 }
func (m *Message) Header(id HeaderID) (string, bool)   { return "", false }
func (m *Message) Count(id HeaderID) int               { return 0 }
func (m *Message) Values(id HeaderID) iter.Seq[string] { return func(func(string) bool) {} }
func (m *Message) Rows(id HeaderID) iter.Seq[string]   { return func(func(string) bool) {} }
func (m *Message) Add(id HeaderID, value string)       {}
func (m *Message) AddName(name, value string)          {}
func (m *Message) Set(id HeaderID, value string)       {}
func (m *Message) Remove(id HeaderID)                  {}

// AppendHead prints everything up to and including the blank line.
func (m *Message) AppendHead(b []byte) []byte         { return b }
func (m *Message) AppendTo(b []byte) []byte           { return b }
func (m *Message) Bytes() []byte                      { return m.AppendTo(nil) }
func (m *Message) Expires() (seconds uint32, ok bool) { return 0, false }
func (m *Message) MaxForwards() (hops int, ok bool)   { return 0, false }

// MarkReceived writes received and rport into the topmost Via, in m.Via and in
// its row (RFC 3261 §18.2.1, RFC 3581 §4).
func (m *Message) MarkReceived(source netip.AddrPort) {}
func NewRequest(method, requestURI string) *Message   { return &Message{Method: method} }
func NewResponse(req *Message, status int, reason, toTag string) *Message {
	return &Message{Status: status}
}
func ReasonPhrase(status int) string { return "" }
func KnownMethod(method string) bool { return false }

func ParseVia(s string) (Via, error)                     { return Via{}, nil }
func (v Via) AppendTo(b []byte) []byte                   { return b }
func (p Params) Get(name string) (value string, ok bool) { return "", false }
func (p Params) All() iter.Seq2[string, string]          { return func(func(string, string) bool) {} }
func (a Address) Tag() string                            { return "" }
func (a Address) Parsed() (URI, error)                   { return ParseURI(a.URI) }
func (a Address) String() string                         { return "" }
func ParseAddress(s string) (Address, error)             { return Address{}, nil }
func ParseURI(s string) (URI, error)                     { return URI{}, nil }
func MustURI(s string) URI                               { return URI{} }
func (u URI) String() string                             { return "" }
func (u URI) AppendTo(b []byte) []byte                   { return b }
func (u URI) Equal(o URI) bool                           { return false }
func (u URI) AOR() URI                                   { return u }
func (u URI) IsSIP() bool                                { return false }
func SplitList(s string) iter.Seq[string]                { return func(func(string) bool) {} }
func Unquote(s string) string                            { return s }
func Quote(s string) string                              { return s }
func IsToken(s string) bool                              { return false }

// Unescape undoes percent escapes once (MSG-19).
func Unescape(s string) string { return s }

// Auth is one row of credentials or one challenge.
type Auth struct {
	Scheme string      // as sent; compare with strings.EqualFold
	Token  string      // the token68 of schemes such as Basic
	Params []AuthParam // in order, no name twice
}
type AuthParam struct {
	Name   string // lower case
	Value  string // unquoted
	Quoted bool
}

func ParseAuth(row string) (Auth, error)               { return Auth{}, nil }
func (a Auth) Get(name string) (value string, ok bool) { return "", false }
func (a Auth) Quoted(name string) bool                 { return false }

type MediaType struct {
	Type, Subtype string
	Params        Params
}

func ParseMediaType(s string) (MediaType, error) { return MediaType{}, nil }
func (t MediaType) Q() float64                   { return 1 }
func (t MediaType) String() string               { return "" }

// Accept is a parsed Accept header.
type Accept []MediaType

func ParseAccept(items iter.Seq[string]) (Accept, error) { return nil, nil }
func (a Accept) Q(mediaType string) float64              { return 0 }
func (a Accept) Best(offered ...string) (string, bool)   { return "", false }

type Part struct {
	Headers []Header
	Body    []byte
}

func Parts(contentType string, body []byte) ([]Part, error) { return nil, nil }
func (p Part) Header(id HeaderID) (value string, ok bool)   { return "", false }
func (p Part) ContentID() string                            { return "" }

type Event struct {
	Package, ID string
	Params      Params
}

func ParseEvent(s string) (Event, error) { return Event{}, nil }
func NewTag() string                     { return "" }
func NewBranch() string                  { return "" }
func NewCallID() string                  { return "" }
