// Package xmltree reads XML 1.0 with namespaces into a tree over the original
// bytes.
//
// Every node knows where it stands in the source, to the byte, so that
// elements can be handed on, cut out or replaced without printing anything
// anew: what nobody touches stays as its author wrote it. The tree is one
// slice of nodes and one of attributes; names and plain values are substrings
// of the source and cost nothing.
//
// Parse is strict: tags match, prefixes are declared, attributes are unique by
// expanded name, characters are legal, the text is UTF-8 and there is one
// root. Document type declarations are refused, and with them every entity
// besides the five predefined ones, so a document never grows by being read
// (RFC 4825 §8.2.2 asks the same of XCAP servers). Limits hold while parsing,
// not after it.
//
// A Tree never changes once parsed and may be read by many at a time.
package xmltree

import (
	"strings"
)

// Namespaces that are bound without being declared.
const (
	NamespaceXML   = "http://www.w3.org/XML/1998/namespace"
	NamespaceXMLNS = "http://www.w3.org/2000/xmlns/"
)

// Kind says what a node is.
type Kind uint8

// The kinds of nodes. None is the kind of a node that is not there.
const (
	None Kind = iota
	Element
	Text
	CDATA
	Comment
	Instruction
)

// Tree is one parsed document.
type Tree struct {
	source string
	nodes  []node
	attrs  []attribute
	root   int32
	first  int32 // first top-level node
}

// node is one node; offsets count bytes of the source. Node 0 is not used, so
// that 0 can mean "none".
type node struct {
	start, end   int32 // the whole node
	open, close  int32 // element: end of its start tag, start of its end tag (equal to end when there is none)
	parent, next int32
	first        int32 // first child
	attrs        int32 // element: first attribute
	count        uint16
	prefix       uint16 // length of the prefix, without colon
	name         uint16 // length of the qualified name, which follows start+1
	kind         Kind
	plain        bool // text: no reference and no carriage return in it
	space        string
}

type attribute struct {
	start, end int32 // name to closing quote
	value      int32 // first byte of the value, which ends before the closing quote
	prefix     uint16
	name       uint16
	plain      bool
	space      string
}

// Span is a piece of the source, from Start up to but not including End.
type Span struct{ Start, End int }

// Source is the document as it was parsed.
func (t *Tree) Source() string { return t.source }

// Root is the document's element.
func (t *Tree) Root() Node { return Node{t, t.root} }

// First is the first node of the document, which may be a comment or an
// instruction before the root.
func (t *Tree) First() Node { return Node{t, t.first} }

// Slice is a piece of the source.
func (t *Tree) Slice(s Span) string { return t.source[s.Start:s.End] }

// Node points at one node of a tree. The zero Node is not there: its kind is
// None, and asking it for neighbours gives zero Nodes again.
type Node struct {
	tree  *Tree
	index int32
}

func (n Node) node() *node { return &n.tree.nodes[n.index] }

func (n Node) at(index int32) Node {
	if index == 0 {
		return Node{}
	}
	return Node{n.tree, index}
}

// Exists says whether the node is there.
func (n Node) Exists() bool { return n.index != 0 }

// Kind says what the node is.
func (n Node) Kind() Kind {
	if n.index == 0 {
		return None
	}
	return n.node().kind
}

// Tree is the tree the node belongs to.
func (n Node) Tree() *Tree { return n.tree }

// Parent is the element around the node; none for top-level nodes.
func (n Node) Parent() Node {
	if n.index == 0 {
		return Node{}
	}
	return n.at(n.node().parent)
}

// Next is the node after this one under the same parent.
func (n Node) Next() Node {
	if n.index == 0 {
		return Node{}
	}
	return n.at(n.node().next)
}

// FirstChild is the first node inside an element.
func (n Node) FirstChild() Node {
	if n.index == 0 {
		return Node{}
	}
	return n.at(n.node().first)
}

// FirstElement is the first element inside an element.
func (n Node) FirstElement() Node { return n.FirstChild().orElement() }

// NextElement is the next element under the same parent.
func (n Node) NextElement() Node { return n.Next().orElement() }

func (n Node) orElement() Node {
	for n.index != 0 && n.node().kind != Element {
		n.index = n.node().next
	}
	return n
}

// Child is the first child element of this name.
func (n Node) Child(space, local string) Node {
	c := n.FirstElement()
	for c.Exists() && !c.Is(space, local) {
		c = c.NextElement()
	}
	return c
}

// Name is the qualified name of an element as written, "" for other nodes.
func (n Node) Name() string {
	if n.Kind() != Element {
		return ""
	}
	e := n.node()
	return n.tree.source[e.start+1 : e.start+1+int32(e.name)]
}

// Prefix is the prefix of an element's name, "" when it has none.
func (n Node) Prefix() string {
	if n.Kind() != Element {
		return ""
	}
	return n.Name()[:n.node().prefix]
}

// Local is the local part of an element's name.
func (n Node) Local() string {
	if n.Kind() != Element {
		return ""
	}
	return localPart(n.Name(), n.node().prefix)
}

func localPart(name string, prefix uint16) string {
	if prefix == 0 {
		return name
	}
	return name[prefix+1:]
}

// Space is the namespace of an element, "" when it is in none.
func (n Node) Space() string {
	if n.Kind() != Element {
		return ""
	}
	return n.node().space
}

// Is says whether the node is an element of this name.
func (n Node) Is(space, local string) bool {
	return n.Kind() == Element && n.Local() == local && n.node().space == space
}

// Span is the whole node, start tag to end tag for an element.
func (n Node) Span() Span {
	if n.index == 0 {
		return Span{}
	}
	return Span{int(n.node().start), int(n.node().end)}
}

// StartTag is an element's start tag, or its empty-element tag.
func (n Node) StartTag() Span {
	if n.Kind() != Element {
		return Span{}
	}
	return Span{int(n.node().start), int(n.node().open)}
}

// Content is what stands between an element's tags. An element written as one
// empty-element tag has an empty span at its end.
func (n Node) Content() Span {
	if n.Kind() != Element {
		return Span{}
	}
	return Span{int(n.node().open), int(n.node().close)}
}

// Source is the node as written.
func (n Node) Source() string {
	if n.index == 0 {
		return ""
	}
	return n.tree.source[n.node().start:n.node().end]
}

// Position is where the node starts, both counted from one, the column in
// characters.
func (n Node) Position() (line, column int) {
	if n.index == 0 {
		return 0, 0
	}
	return position(n.tree.source, int(n.node().start))
}

// Text is the character data directly inside an element, references resolved
// and line ends made one (XML 1.0 §2.11); of other nodes it is their own
// content. A single plain text costs no allocation.
func (n Node) Text() string {
	if n.Kind() != Element {
		return n.own()
	}
	text, pieces := "", 0
	for c := n.FirstChild(); c.Exists(); c = c.Next() {
		if kind := c.node().kind; kind != Text && kind != CDATA {
			continue
		}
		if pieces++; pieces > 1 {
			return n.joined()
		}
		text = c.own()
	}
	return text
}

func (n Node) joined() string {
	var b strings.Builder
	for c := n.FirstChild(); c.Exists(); c = c.Next() {
		if kind := c.node().kind; kind == Text || kind == CDATA {
			b.WriteString(c.own())
		}
	}
	return b.String()
}

// own is the content of a node that is no element.
func (n Node) own() string {
	source := n.Source()
	switch n.Kind() {
	case Text:
		if n.node().plain {
			return source
		}
		return resolve(source, false)
	case CDATA:
		return lineEnds(source[len("<![CDATA[") : len(source)-len("]]>")])
	case Comment:
		return lineEnds(source[len("<!--") : len(source)-len("-->")])
	case Instruction:
		return lineEnds(source[len("<?") : len(source)-len("?>")])
	}
	return ""
}
