package pidf

import (
	"strconv"
	"strings"

	"vigie/xmltree"
)

// Capabilities is a servcaps or devcaps element (RFC 5196 §3): the element
// as it came, brought into its schema's order where it was not, and what it
// states in a form that can be asked.
type Capabilities struct {
	Element
	Values []Capability // in document order
}

// Capability is one statement: "audio" (true or false), or one name below
// supported or notsupported, as "methods.INVITE" or "mobility.mobile".
type Capability struct {
	Name      string
	Supported bool
}

// Supports says what is stated about name. Supported wins over notsupported
// when an element says both (RFC 5196 §3.2.1).
func (c *Capabilities) Supports(name string) (supported, stated bool) {
	if c == nil {
		return false, false
	}
	for _, v := range c.Values {
		if v.Name == name {
			supported, stated = supported || v.Supported, true
		}
	}
	return supported, stated
}

// shape is a content model of RFC 5196 §6: children in order, then foreign
// elements if it is open; or, with a check, text.
type shape struct {
	children []child
	open     bool
	required bool                   // at least one child
	text     func(text string) bool // nil: no text
	numbers  []string               // attributes that must be integers
	lang     bool                   // takes xml:lang
	foreign  bool                   // takes attributes of other namespaces
}

type child struct {
	name  string
	shape *shape
	many  bool
}

var (
	anyText  = shape{text: func(string) bool { return true }}
	langText = shape{text: anyText.text, lang: true}
	boolText = shape{text: func(s string) bool { _, ok := boolean(s); return ok }}

	servcaps = shape{open: true, foreign: true, children: []child{
		{name: "actor", shape: choices("attendant information msg-taker principal")},
		{name: "application", shape: &boolText},
		{name: "audio", shape: &boolText},
		{name: "automata", shape: &boolText},
		{name: "class", shape: choices("business personal")},
		{name: "control", shape: &boolText},
		{name: "data", shape: &boolText},
		{name: "description", shape: &langText, many: true},
		{name: "duplex", shape: choices("full half receive-only send-only")},
		{name: "event-packages", shape: choices("conference dialog kpml message-summary poc-settings presence reg refer " +
			"Siemens-RTP-Stats spirits-INDPs spirits-user-prof winfo")},
		{name: "extensions", shape: choices("rel100 early-session eventlist from-change gruu hist-info join norefersub path " +
			"precondition pref privacy recipient-list-invite recipient-list-subscribe replaces resource-priority sdp-anat " +
			"sec-agree tdialog timer")},
		{name: "isfocus", shape: &boolText},
		{name: "message", shape: &boolText},
		{name: "methods", shape: choices("ACK BYE CANCEL INFO INVITE MESSAGE NOTIFY OPTIONS PRACK PUBLISH REFER REGISTER SUBSCRIBE UPDATE")},
		{name: "languages", shape: listOf("l")},
		{name: "priority", shape: both(&shape{open: true, children: []child{
			{name: "equals", shape: &shape{numbers: []string{"value"}}, many: true},
			{name: "higherhan", shape: &shape{numbers: []string{"minvalue"}}, many: true}, // so spelt in the schema
			{name: "lowerthan", shape: &shape{numbers: []string{"maxvalue"}}, many: true},
			{name: "range", shape: &shape{numbers: []string{"minvalue", "maxvalue"}}, many: true},
		}})},
		{name: "schemes", shape: listOf("s")},
		{name: "text", shape: &boolText},
		{name: "type", shape: &anyText, many: true},
		{name: "video", shape: &boolText},
	}}
	devcaps = shape{open: true, foreign: true, children: []child{
		{name: "description", shape: &langText, many: true},
		{name: "mobility", shape: choices("fixed mobile")},
	}}
)

// both gives a shape the two sides of RFC 5196 §3.2.1.
func both(s *shape) *shape {
	return &shape{children: []child{{name: "supported", shape: s}, {name: "notsupported", shape: s}}}
}

func choices(names string) *shape {
	s := &shape{open: true}
	for _, name := range strings.Fields(names) {
		s.children = append(s.children, child{name: name, shape: &anyText})
	}
	return both(s)
}

func listOf(name string) *shape {
	return both(&shape{required: true, children: []child{{name: name, shape: &anyText, many: true}}})
}

func (s *shape) child(n xmltree.Node) int {
	if n.Space() == NamespaceCaps {
		for i := range s.children {
			if s.children[i].name == n.Local() {
				return i
			}
		}
	}
	return -1
}

// readCapabilities keeps the element as it is if it fits its schema, and
// prints it anew otherwise.
func readCapabilities(n xmltree.Node, s *shape) *Capabilities {
	c := &Capabilities{Element: Element{Space: NamespaceCaps, Local: n.Local()}}
	if s.fits(n) {
		c.XML = n.Fragment()
	} else {
		b, _ := s.append(nil, n)
		c.XML = declare(b, NamespaceCaps)
	}
	for child := n.FirstElement(); child.Exists(); child = child.NextElement() {
		if child.Space() == NamespaceCaps {
			c.state(child)
		}
	}
	return c
}

func misplacedCapabilities(n xmltree.Node) (xml string, known bool) {
	switch n.Local() {
	case "servcaps":
		return readCapabilities(n, &servcaps).XML, true
	case "devcaps":
		return readCapabilities(n, &devcaps).XML, true
	}
	return "", false
}

// state takes what one child of servcaps or devcaps says.
func (c *Capabilities) state(n xmltree.Node) {
	if !n.FirstElement().Exists() {
		if value, ok := boolean(n.Text()); ok {
			c.Values = append(c.Values, Capability{n.Local(), value})
		}
		return
	}
	for side := n.FirstElement(); side.Exists(); side = side.NextElement() {
		if side.Space() != NamespaceCaps || side.Local() != "supported" && side.Local() != "notsupported" {
			continue
		}
		for item := side.FirstElement(); item.Exists(); item = item.NextElement() {
			name := item.Local()
			if name == "s" || name == "l" {
				name = trim(item.Text())
			}
			c.Values = append(c.Values, Capability{n.Local() + "." + name, side.Local() == "supported"})
		}
	}
}

// fits says whether the element is as its schema wants it.
func (s *shape) fits(n xmltree.Node) bool {
	if s.text != nil {
		return s.text(n.Text()) && !n.FirstElement().Exists() && s.fitsAttributes(n)
	}
	at, count := 0, 0
	for c := n.FirstChild(); c.Exists(); c = c.Next() {
		if c.Kind() == xmltree.Element {
			next, ok := s.follows(c, at, count)
			if !ok {
				return false
			}
			if next != at {
				at, count = next, 0
			}
			count++
		} else if trim(c.Text()) != "" && (c.Kind() == xmltree.Text || c.Kind() == xmltree.CDATA) {
			return false
		}
	}
	return s.fitsAttributes(n) && (!s.required || n.FirstElement().Exists())
}

// follows says at which place of the model a child stands; it may not be
// before place at, where count children have been seen.
func (s *shape) follows(n xmltree.Node, at, count int) (place int, ok bool) {
	place = s.child(n)
	if place < 0 {
		return len(s.children), s.open && !isPresence(n.Space()) && n.Space() != ""
	}
	if place < at || place == at && count > 0 && !s.children[place].many {
		return 0, false
	}
	return place, s.children[place].shape.fits(n)
}

func (s *shape) fitsAttributes(n xmltree.Node) bool {
	for _, name := range s.numbers {
		if !isInteger(attr(n, name)) {
			return false
		}
	}
	for a := range n.Attributes() {
		if a.IsDeclaration() {
			continue
		}
		lang := s.lang && a.Space() == xmltree.NamespaceXML && a.Local() == "lang" && isLanguage(a.Value())
		number := a.Space() == "" && strings.Contains(" "+strings.Join(s.numbers, " ")+" ", " "+a.Local()+" ")
		if !lang && !number && !(s.foreign && isForeignAttribute(a.Space())) {
			return false
		}
	}
	return true
}

// append prints of an element what its schema has a place for, in its order.
func (s *shape) append(b []byte, n xmltree.Node) ([]byte, bool) {
	b = append(append(b, "<caps:"...), n.Local()...)
	for _, name := range s.numbers {
		value := attr(n, name)
		if !isInteger(value) {
			return b, false
		}
		b = appendQuoted(append(append(b, ' '), name...), value)
	}
	if lang, ok := n.Attr(xmltree.NamespaceXML, "lang"); ok && s.lang && isLanguage(lang) {
		b = appendQuoted(append(b, " xml:lang"...), lang)
	}
	if s.foreign {
		b = append(b, foreignAttributes(n)...)
	}
	b = append(b, '>')
	if s.text != nil {
		if !s.text(n.Text()) {
			return b, false
		}
		b = xmltree.AppendText(b, n.Text())
	}
	b, some := s.appendChildren(b, n)
	b = append(append(b, "</caps:"...), n.Local()...)
	return append(b, '>'), some || !s.required
}

func (s *shape) appendChildren(b []byte, n xmltree.Node) (out []byte, some bool) {
	for i, child := range s.children {
		for c := n.FirstElement(); c.Exists(); c = c.NextElement() {
			if s.child(c) != i {
				continue
			}
			start := len(b)
			printed, ok := child.shape.append(b, c)
			if !ok {
				b = printed[:start]
				continue
			}
			b, some = printed, true
			if !child.many {
				break
			}
		}
	}
	if s.open {
		var foreign []Element
		for c := n.FirstElement(); c.Exists(); c = c.NextElement() {
			foreign = keep(foreign, c, NamespaceCaps)
		}
		for i := range foreign {
			b = append(b, foreign[i].XML...)
		}
	}
	return b, some
}

func boolean(s string) (value, ok bool) {
	switch trim(s) {
	case "true", "1":
		return true, true
	case "false", "0":
		return false, true
	}
	return false, false
}

func isInteger(s string) bool {
	_, err := strconv.ParseInt(s, 10, 64)
	return err == nil
}
