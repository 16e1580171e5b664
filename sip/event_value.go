package sip

// Event is the value of an Event field (RFC 6665 §8.2.1). Package and ID compare
// byte by byte.
type Event struct {
	Package string
	ID      string // "" when absent
	Params  Params // id among them
}

// ParseEvent reads an Event value, or one member of Allow-Events.
func ParseEvent(s string) (Event, error) {
	s = trim(s)
	end := span(s, 0, classToken)
	if end == 0 {
		return Event{}, syntaxErrorf("%s is no event package", excerpt(s))
	}
	e := Event{Package: s[:end], Params: Params(trim(s[end:]))}
	e.ID, _ = e.Params.Get("id")
	return e, checkParams(s[end:]).orNil()
}
