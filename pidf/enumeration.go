package pidf

import (
	"slices"
	"strings"

	"vigie/xmltree"
)

// grammar says what one enumeration of RFC 4480 §5.1 may hold.
type grammar struct {
	name     string
	space    string   // namespace of the values
	values   []string // in schema order; nil: every name of the namespace
	meta     bool     // takes from, until, id and foreign attributes
	many     bool     // several values at a time
	other    bool     // takes free text
	mixed    bool     // free text may stand beside values
	required bool     // needs a value
}

var activities = grammar{
	name: "activities", space: NamespaceRPID, meta: true, many: true, other: true, mixed: true,
	// lunch is in RFC 4480 §3.2, though its schema forgot it.
	values: strings.Fields(`appointment away breakfast busy dinner holiday in-transit looking-for-work lunch meal meeting
		on-the-phone performance permanent-absence playing presentation shopping sleeping spectator steering travel tv
		unknown vacation working worship`),
}

var mood = grammar{
	name: "mood", space: NamespaceRPID, meta: true, many: true, other: true, mixed: true, required: true,
	values: strings.Fields(`afraid amazed angry annoyed anxious ashamed bored brave calm cold confused contented cranky
		curious depressed disappointed disgusted distracted embarrassed excited flirtatious frustrated grumpy guilty happy
		hot humbled humiliated hungry hurt impressed in_awe in_love indignant interested invincible jealous lonely mean
		moody nervous neutral offended playful proud relieved remorseful restless sad sarcastic serious shocked shy sick
		sleepy stressed surprised thirsty unknown worried`),
}

var placeType = grammar{name: "place-type", space: NamespacePlace, meta: true, many: true, other: true, required: true}

var privacy = grammar{
	name: "privacy", space: NamespaceRPID, meta: true, many: true, values: []string{"audio", "text", "video", "unknown"},
}

var relationship = grammar{
	name: "relationship", space: NamespaceRPID, other: true,
	values: []string{"assistant", "associate", "family", "friend", "self", "supervisor", "unknown"},
}

var serviceClass = grammar{
	name: "service-class", space: NamespaceRPID, required: true,
	values: []string{"courier", "electronic", "freight", "in-person", "postal", "unknown"},
}

// ActivityNames are the activities of RFC 4480 §3.2 besides other.
func ActivityNames() []string { return slices.Clone(activities.values) }

// MoodNames are the moods of RFC 4480 §3.5 besides other.
func MoodNames() []string { return slices.Clone(mood.values) }

// value says whether an element stands for one of the grammar's values. An
// element of the place namespace that holds something is more than a name.
func (g *grammar) value(n xmltree.Node) bool {
	if n.Space() != g.space {
		return false
	}
	if g.values == nil {
		return n.Local() != "other" && !n.FirstChild().Exists() && n.AttributeCount() == 0
	}
	return slices.Contains(g.values, n.Local())
}

func addEnumeration(to []Enumeration, n xmltree.Node, g *grammar) []Enumeration {
	if e, ok := g.read(n); ok {
		return append(to, e)
	}
	return to
}

func setEnumeration(to **Enumeration, n xmltree.Node, g *grammar) {
	if *to != nil {
		return
	}
	if e, ok := g.read(n); ok {
		*to = &e
	}
}

// read takes an enumeration and makes it fit the grammar. It is not ok when
// nothing is left that a document could hold.
func (g *grammar) read(n xmltree.Node) (e Enumeration, ok bool) {
	if g.meta {
		e.Meta = readMeta(n)
	}
	for c := n.FirstElement(); c.Exists(); c = c.NextElement() {
		g.child(&e, c)
	}
	return e, g.settle(&e)
}

func (g *grammar) child(e *Enumeration, c xmltree.Node) {
	local := c.Local()
	switch {
	case isRPIDNote(c):
		e.Notes = append(e.Notes, readNote(c))
	case g.value(c):
		if !e.Has(local) {
			e.Values = append(e.Values, local)
		}
	case c.Space() != NamespaceRPID:
		e.Foreign = keep(e.Foreign, c, NamespaceRPID)
	case local == "other" && g.other:
		e.Other = append(e.Other, readNote(c))
	case g.mixed:
		e.Other = append(e.Other, Note{Text: local}) // a name RFC 4480 does not have, which its schema has no place for
	}
}

// isRPIDNote accepts notes of the neighbouring namespaces, too: the common
// schema makes it easy to mistake one for the other (RFC 4479 §5.1.1).
func isRPIDNote(n xmltree.Node) bool {
	if n.Local() != "note" {
		return false
	}
	space := n.Space()
	return space == NamespaceRPID || space == NamespaceDataModel || space == Namespace
}

// settle removes what the schema does not allow, without touching what e
// shares with others. It is not ok when nothing is left.
func (g *grammar) settle(e *Enumeration) (ok bool) {
	e.Values = g.settled(e.Values, len(e.Other)+len(e.Foreign) > 0)
	if !g.mixed && len(e.Values)+len(e.Foreign) > 0 || !g.other {
		e.Other = nil
	}
	if !g.mixed && len(e.Other) > 1 {
		e.Other = e.Other[:1]
	}
	if !g.many && len(e.Values) > 0 {
		e.Values, e.Foreign = e.Values[:1], nil
	}
	if !g.required || len(e.Values)+len(e.Other)+len(e.Foreign) > 0 {
		return true
	}
	if len(e.Notes) == 0 {
		return false
	}
	e.Values = []string{"unknown"}
	return true
}

// settled gives the values that may stand: known ones, unknown only alone,
// those of privacy in the order of their schema.
func (g *grammar) settled(values []string, company bool) []string {
	fits := !slices.ContainsFunc(values, func(v string) bool { return !g.knows(v) }) &&
		(len(values) < 2 && !company || !slices.Contains(values, "unknown")) &&
		(g != &privacy || slices.IsSorted(values))
	if fits {
		return values
	}
	var out []string
	for _, v := range values {
		if g.knows(v) && v != "unknown" {
			out = append(out, v)
		}
	}
	if g == &privacy {
		slices.Sort(out)
	}
	if len(out) == 0 && !company && slices.Contains(values, "unknown") {
		return []string{"unknown"}
	}
	return out
}

func (g *grammar) knows(value string) bool {
	if g.values == nil {
		return IsNCName(value)
	}
	return slices.Contains(g.values, value)
}
