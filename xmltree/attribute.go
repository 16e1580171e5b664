package xmltree

import "iter"

// Attribute is one attribute of an element, or one namespace declaration: of
// those the namespace is NamespaceXMLNS.
type Attribute struct {
	tree  *Tree
	index int32
}

func (a Attribute) attr() *attribute { return &a.tree.attrs[a.index] }

// Name is the qualified name as written.
func (a Attribute) Name() string {
	at := a.attr()
	return a.tree.source[at.start : at.start+int32(at.name)]
}

// Prefix is the prefix of the name, "" when it has none.
func (a Attribute) Prefix() string { return a.Name()[:a.attr().prefix] }

// Local is the local part of the name.
func (a Attribute) Local() string { return localPart(a.Name(), a.attr().prefix) }

// Space is the namespace, "" for attributes without prefix.
func (a Attribute) Space() string { return a.attr().space }

// IsDeclaration says whether this declares a namespace.
func (a Attribute) IsDeclaration() bool { return a.attr().space == NamespaceXMLNS }

// Span reaches from the name to the closing quote.
func (a Attribute) Span() Span { return Span{int(a.attr().start), int(a.attr().end)} }

// ValueSpan is the value as written, without the quotes.
func (a Attribute) ValueSpan() Span { return Span{int(a.attr().value), int(a.attr().end - 1)} }

// Source is the attribute as written, name to closing quote.
func (a Attribute) Source() string { return a.tree.Slice(a.Span()) }

// Value is the value with references resolved and white space normalised
// (XML 1.0 §3.3.3).
func (a Attribute) Value() string {
	raw := a.tree.Slice(a.ValueSpan())
	if a.attr().plain {
		return raw
	}
	return resolve(raw, true)
}

// Attributes are the element's attributes and declarations as written.
func (n Node) Attributes() iter.Seq[Attribute] {
	return func(yield func(Attribute) bool) {
		for i := range n.AttributeCount() {
			if !yield(n.AttributeAt(i)) {
				return
			}
		}
	}
}

// AttributeCount is the number of attributes and declarations.
func (n Node) AttributeCount() int {
	if n.Kind() != Element {
		return 0
	}
	return int(n.node().count)
}

// AttributeAt is the i-th attribute, from 0.
func (n Node) AttributeAt(i int) Attribute { return Attribute{n.tree, n.node().attrs + int32(i)} }

// Attribute finds an attribute by its expanded name.
func (n Node) Attribute(space, local string) (Attribute, bool) {
	for i := range n.AttributeCount() {
		if a := n.AttributeAt(i); a.Local() == local && a.attr().space == space {
			return a, true
		}
	}
	return Attribute{}, false
}

// Attr is the value of an attribute, if the element has it.
func (n Node) Attr(space, local string) (value string, ok bool) {
	a, ok := n.Attribute(space, local)
	if !ok {
		return "", false
	}
	return a.Value(), true
}
