package pidf

import (
	"bytes"

	"vigie/xmltree"
)

// Element is content that the server passes on without reading it: one
// element, standing for itself with every namespace declaration it needs, and
// otherwise byte by byte as it came.
type Element struct {
	Space, Local string // expanded name
	XML          string
}

// Equal says that no reader could tell the elements apart: their exclusive
// canonical forms (RFC 3741) without comments are the same.
func (e Element) Equal(o Element) bool {
	if e.XML == o.XML {
		return true
	}
	return e.Space == o.Space && e.Local == o.Local && e.Canonical() == o.Canonical()
}

// Canonical is the exclusive canonical form, the element as it is when it was
// not made by Parse and is no XML.
func (e Element) Canonical() string {
	tree, err := xmltree.Parse([]byte(e.XML), elementLimits)
	if err != nil {
		return e.XML
	}
	return tree.Root().Canonical()
}

// elementLimits let every element pass that was part of a document once.
var elementLimits = Limits{Bytes: 1 << 30, Depth: 1 << 20, Elements: 1 << 30, Attributes: 1 << 30}

// keep adds an element that is not read at this place. The schemas have no
// place for elements of the surrounding namespace or of none. Elements of the
// presence namespaces they check wherever those stand, so these are read and
// printed anew, and those that no RFC defines stay only if they are plain
// names. All others stay as they came.
func keep(to []Element, n xmltree.Node, around string) []Element {
	space, local := n.Space(), n.Local()
	if space == "" || space == around || space == Namespace && local == "presence" ||
		space == NamespaceDataModel && (local == "person" || local == "device") {
		return to
	}
	xml, known := misplaced(n)
	if !known && (!isPresence(space) || isPlainName(n)) {
		xml = n.Fragment()
	}
	if xml == "" {
		return to
	}
	return append(to, Element{Space: space, Local: local, XML: xml})
}

func isPresence(space string) bool {
	switch space {
	case Namespace, NamespaceDataModel, NamespaceRPID, NamespaceTimed, NamespaceCIPID, NamespaceCaps:
		return true
	}
	return false
}

// isPlainName says whether an element has neither attributes nor elements
// inside.
func isPlainName(n xmltree.Node) bool {
	for a := range n.Attributes() {
		if !a.IsDeclaration() {
			return false
		}
	}
	return !n.FirstElement().Exists()
}

// misplaced reads an element of a known namespace that stands where it says
// nothing, and prints it anew; "" when nothing is left of it.
func misplaced(n xmltree.Node) (xml string, known bool) {
	var p printer
	switch n.Space() {
	case NamespaceRPID:
		known = p.misplacedRPID(n)
	case NamespaceCIPID:
		var info *CIPID
		if known = readCIPID(&info, n, n.Local()); info != nil {
			p.cipid(info)
		}
	case NamespaceTimed:
		if known = n.Local() == "timed-status"; known {
			if s, ok := readTimedStatus(n); ok {
				p.timedStatus(&s)
			}
		}
	case NamespaceDataModel:
		if known = n.Local() == "deviceID"; known {
			p.text("dm:deviceID", cleanURI(n.Text()))
		}
	case NamespaceCaps:
		return misplacedCapabilities(n)
	}
	return declare(p.b, n.Space()), known
}

// declare adds to one printed element the declarations of the prefixes that
// the printer uses.
func declare(b []byte, space string) string {
	end := bytes.IndexAny(b, " />")
	if end < 0 {
		return ""
	}
	prefix, _, _ := bytes.Cut(b[1:], []byte(":"))
	out := append(make([]byte, 0, len(b)+128), b[:end]...)
	out = appendQuoted(append(append(out, " xmlns:"...), prefix...), space)
	if bytes.Contains(b, []byte("<lt:")) {
		out = appendQuoted(append(out, " xmlns:lt"...), NamespacePlace)
	}
	return string(append(out, b[end:]...))
}

// misplacedRPID prints what the element says. The id goes: it could meet
// another one in the document.
func (p *printer) misplacedRPID(n xmltree.Node) (known bool) {
	for _, g := range []*grammar{&activities, &mood, &placeType, &privacy, &relationship, &serviceClass} {
		if g.name != n.Local() {
			continue
		}
		if e, ok := g.read(n); ok {
			e.ID = ""
			p.enumeration(&e, g)
		}
		return true
	}
	switch n.Local() {
	case "class", "place-is", "sphere", "status-icon", "time-offset", "user-input":
		var person Person
		person.rpidChild(n, n.Local())
		person.dropIDs()
		p.rpid(&person)
		return true
	}
	return false
}

func (p *Person) dropIDs() {
	for i := range p.PlaceIs {
		p.PlaceIs[i].ID = ""
	}
	for i := range p.Spheres {
		p.Spheres[i].ID = ""
	}
	for i := range p.StatusIcons {
		p.StatusIcons[i].ID = ""
	}
	for i := range p.TimeOffsets {
		p.TimeOffsets[i].ID = ""
	}
	if p.UserInput != nil {
		p.UserInput.ID = ""
	}
}
