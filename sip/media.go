package sip

import (
	"iter"
	"strings"
)

// MediaType is the value of Content-Type, or a range in Accept, where Type and
// Subtype may be "*" (RFC 3261 §20.1, §20.15).
type MediaType struct {
	Type, Subtype string // lower case
	Params        Params // q among them, in an Accept
}

// ParseMediaType reads one media type or range.
func ParseMediaType(s string) (MediaType, error) {
	t, bad := parseMediaType(trim(s))
	return t, bad.orNil()
}

func parseMediaType(s string) (t MediaType, bad syntaxError) {
	kind := span(s, 0, classToken)
	i := skipBlanks(s, kind)
	if kind == 0 || i == len(s) || s[i] != '/' {
		return t, syntaxErrorf("%s is no media type", excerpt(s))
	}
	i = skipBlanks(s, i+1)
	end := span(s, i, classToken)
	if end == i {
		return t, syntaxErrorf("%s is no media type", excerpt(s))
	}
	t.Type, t.Subtype = strings.ToLower(s[:kind]), strings.ToLower(s[i:end])
	t.Params = Params(trim(s[end:]))
	return t, checkParams(s[end:])
}

// String prints type, subtype and parameters as received.
func (t MediaType) String() string { return t.Name() + string(t.Params) }

// Name gives "type/subtype", what bodies are told apart by.
func (t MediaType) Name() string { return t.Type + "/" + t.Subtype }

// Q gives the preference between 0 and 1; 1 when it is absent or malformed.
func (t MediaType) Q() float64 { return float64(t.weight()) / 1000 }

// weight is q in thousandths, the most that qvalue can tell apart
// (RFC 3261 §25.1).
func (t MediaType) weight() int {
	value, ok := t.Params.Get("q")
	if !ok {
		return 1000
	}
	whole, fraction, _ := strings.Cut(value, ".")
	switch {
	case whole == "" && fraction == "", len(fraction) > 3, strings.Trim(fraction, "0123456789") != "":
		return 1000
	case whole != "0" && whole != "":
		return 1000
	}
	n, _, _ := parseUint((fraction + "000")[:3], 1000)
	return int(n)
}

// Accept is a parsed Accept field. A nil Accept stands for an absent one; the
// event package then says what is taken (RFC 6665 §3.1.3).
type Accept []MediaType

// ParseAccept reads the members of the Accept rows: ParseAccept(m.Values(HeaderAccept)).
// A row without members accepts nothing and yields an empty Accept, not nil
// (RFC 3261 §20.1), so ask m.Count first whether there is a row.
func ParseAccept(items iter.Seq[string]) (Accept, error) {
	accept := Accept{}
	for item := range items {
		t, bad := parseMediaType(item)
		if bad != "" {
			return accept, bad
		}
		accept = append(accept, t)
	}
	return accept, nil
}

// Q gives the preference for a media type: that of the most specific range
// that covers it, 0 when none does.
func (a Accept) Q(mediaType string) float64 { return float64(a.weight(mediaType)) / 1000 }

// Best gives the offered type with the highest preference, the earlier of
// equals; not ok when none is accepted.
func (a Accept) Best(offered ...string) (best string, ok bool) {
	most := 0
	for _, mediaType := range offered {
		if w := a.weight(mediaType); w > most {
			best, most = mediaType, w
		}
	}
	return best, most > 0
}

func (a Accept) weight(mediaType string) (weight int) {
	t, err := ParseMediaType(mediaType)
	if err != nil {
		return 0
	}
	closest := 0
	for _, r := range a {
		if c := r.covers(t); c > closest {
			weight, closest = r.weight(), c
		}
	}
	return weight
}

// covers tells how closely the range fits t: 0 not at all, higher is closer.
func (t MediaType) covers(o MediaType) (closeness int) {
	switch {
	case t.Type == "*" && t.Subtype == "*":
		closeness = 1
	case t.Type == o.Type && t.Subtype == "*":
		closeness = 2
	case t.Type == o.Type && t.Subtype == o.Subtype:
		closeness = 3
	default:
		return 0
	}
	for name, value := range t.Params.All() {
		if equalFold(name, "q") {
			break // what follows q extends Accept, not the type
		}
		if has, ok := o.Params.Get(name); !ok || !equalFold(has, value) {
			return 0
		}
		closeness++
	}
	return closeness
}
