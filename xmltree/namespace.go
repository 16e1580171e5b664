package xmltree

import "strings"

// maxBindings bounds the declarations in force at one place, which every name
// is looked up among.
const maxBindings = 256

// declare puts a namespace declaration in force (Namespaces in XML §3).
func (p *parser) declare(element int32, a Attribute) error {
	prefix, space := "", a.Value()
	if a.attr().prefix != 0 {
		prefix = a.Local()
	}
	at := a.Span().Start
	switch {
	case prefix == "xmlns":
		return p.fail(at, "prefix xmlns may not be declared")
	case prefix == "xml" && space != NamespaceXML:
		return p.fail(at, "prefix xml may not be bound to %q", space)
	case prefix != "xml" && space == NamespaceXML, space == NamespaceXMLNS:
		return p.fail(at, "namespace %s may not be bound to another prefix", space)
	case prefix != "" && space == "":
		return p.fail(at, "prefix %s may not be undeclared", prefix)
	}
	if len(p.bindings) > maxBindings {
		return p.exceeded("namespace declarations in force", maxBindings)
	}
	a.attr().space = NamespaceXMLNS
	p.bindings = append(p.bindings, binding{prefix, space, element})
	return nil
}

// unbind ends the declarations of an element.
func (p *parser) unbind(element int32) {
	n := len(p.bindings)
	for n > 0 && p.bindings[n-1].element == element {
		n--
	}
	p.bindings = p.bindings[:n]
}

func (p *parser) lookup(prefix string) (space string, ok bool) {
	for i := len(p.bindings) - 1; i >= 0; i-- {
		if p.bindings[i].prefix == prefix {
			return p.bindings[i].space, true
		}
	}
	return "", prefix == ""
}

// resolveNames gives the element and its attributes their namespaces once all
// declarations of the start tag are known, and refuses attributes that occur
// twice.
func (p *parser) resolveNames(element int32) error {
	n := Node{p.tree, element}
	e := n.node()
	space, ok := p.lookup(n.Prefix())
	if !ok {
		return p.fail(int(e.start)+1, "prefix %s is not declared", n.Prefix())
	}
	e.space = space
	for i := range int(e.count) {
		a := n.AttributeAt(i)
		if a.attr().prefix == 0 || a.IsDeclaration() {
			continue
		}
		if a.attr().space, ok = p.lookup(a.Prefix()); !ok {
			return p.fail(a.Span().Start, "prefix %s is not declared", a.Prefix())
		}
	}
	return p.unique(n)
}

// manyAttributes is where comparing each with each stops being cheap.
const manyAttributes = 16

func (p *parser) unique(n Node) error {
	count := n.AttributeCount()
	if count > manyAttributes {
		return p.uniqueByMap(n)
	}
	for i := 1; i < count; i++ {
		a := n.AttributeAt(i)
		local, space := a.Local(), a.Space()
		for j := range i {
			if b := n.AttributeAt(j); b.Local() == local && b.Space() == space {
				return p.twice(a)
			}
		}
	}
	return nil
}

func (p *parser) uniqueByMap(n Node) error {
	type name struct{ space, local string }
	seen := make(map[name]bool, n.AttributeCount())
	for a := range n.Attributes() {
		if seen[name{a.Space(), a.Local()}] {
			return p.twice(a)
		}
		seen[name{a.Space(), a.Local()}] = true
	}
	return nil
}

func (p *parser) twice(a Attribute) error {
	return p.fail(a.Span().Start, "attribute %s occurs twice", a.Name())
}

// Binding is a prefix and the namespace it stands for. Prefix "" is the
// default namespace.
type Binding struct{ Prefix, Space string }

// Namespaces are the bindings in force in the content of an element, the
// innermost declaration of each prefix, nearest element first. The prefix xml
// is not listed; a default namespace that was switched off is listed with
// Space "".
func (n Node) Namespaces() []Binding {
	var in []Binding
	for ; n.Exists(); n = n.Parent() {
		for a := range n.Attributes() {
			if b, ok := a.binding(); ok && !bound(in, b.Prefix) {
				in = append(in, b)
			}
		}
	}
	return in
}

func (a Attribute) binding() (b Binding, ok bool) {
	if !a.IsDeclaration() {
		return Binding{}, false
	}
	if a.attr().prefix != 0 {
		b.Prefix = a.Local()
	}
	b.Space = a.Value()
	return b, b.Prefix != "xml"
}

func bound(in []Binding, prefix string) bool {
	for i := range in {
		if in[i].Prefix == prefix {
			return true
		}
	}
	return false
}

// Lookup is the namespace that a prefix stands for inside an element.
func (n Node) Lookup(prefix string) (space string, ok bool) {
	if prefix == "xml" {
		return NamespaceXML, true
	}
	for ; n.Exists(); n = n.Parent() {
		for i := range n.AttributeCount() {
			if b, is := n.AttributeAt(i).binding(); is && b.Prefix == prefix {
				return b.Space, true
			}
		}
	}
	return "", prefix == ""
}

// Fragment is the element as written, made able to stand alone or inside any
// other document: the inherited declarations it uses are added to its start
// tag, behind the name. Nothing else changes. A prefix counts as used also
// when a text or value in the element holds it before a colon, since types
// and paths are written that way.
func (n Node) Fragment() string {
	return string(n.AppendFragment(nil))
}

// AppendFragment prints Fragment after b.
func (n Node) AppendFragment(b []byte) []byte {
	if n.Kind() != Element {
		return append(b, n.Source()...)
	}
	source := n.Source()
	name := 1 + int(n.node().name)
	b = append(b, source[:name]...)
	b = n.appendInherited(b)
	return append(b, source[name:]...)
}

// appendInherited prints the declarations of ancestors that the element
// needs. It walks up without collecting: a prefix is taken at the first
// ancestor that declares it.
func (n Node) appendInherited(b []byte) []byte {
	free := n.usesDefault() // an unprefixed name relies on a declaration above
	for up := n.Parent(); up.Exists(); up = up.Parent() {
		for i := range up.AttributeCount() {
			d, ok := up.AttributeAt(i).binding()
			if !ok || !n.inherits(up, d.Prefix) {
				continue
			}
			if d.Prefix == "" && free || d.Prefix != "" && n.uses(d.Prefix) {
				b = append(b, ' ')
				b = append(b, up.AttributeAt(i).Source()...)
			}
			free = free && d.Prefix != ""
		}
	}
	if free {
		b = append(b, ` xmlns=""`...) // keeps a default namespace of the new surroundings out
	}
	return b
}

// inherits says whether the declaration of prefix at ancestor up reaches n:
// neither n nor an element between them declares it anew.
func (n Node) inherits(up Node, prefix string) bool {
	for ; n != up; n = n.Parent() {
		for i := range n.AttributeCount() {
			if d, ok := n.AttributeAt(i).binding(); ok && d.Prefix == prefix {
				return false
			}
		}
	}
	return true
}

// usesDefault says whether a name in the subtree takes its namespace from a
// default declaration above the subtree.
func (n Node) usesDefault() bool {
	if n.declaresDefault() {
		return false
	}
	if n.node().prefix == 0 {
		return true
	}
	for c := n.FirstElement(); c.Exists(); c = c.NextElement() {
		if c.usesDefault() {
			return true
		}
	}
	return false
}

func (n Node) declaresDefault() bool {
	for i := range n.AttributeCount() {
		if d, ok := n.AttributeAt(i).binding(); ok && d.Prefix == "" {
			return true
		}
	}
	return false
}

// uses says whether a name in the element, or what may be one in its texts
// and values, has this prefix.
func (n Node) uses(prefix string) bool {
	if n.Prefix() == prefix {
		return true
	}
	for a := range n.Attributes() {
		if !a.IsDeclaration() && (a.Prefix() == prefix || mentions(n.tree.Slice(a.ValueSpan()), prefix)) {
			return true
		}
	}
	for c := n.FirstChild(); c.Exists(); c = c.Next() {
		switch c.Kind() {
		case Element:
			if c.uses(prefix) {
				return true
			}
		case Text, CDATA:
			if mentions(c.Source(), prefix) {
				return true
			}
		}
	}
	return false
}

// mentions says whether prefix stands in s as in a qualified name: before a
// colon, and not at the end of a longer name.
func mentions(s, prefix string) bool {
	for i := 0; ; {
		at := strings.Index(s[i:], prefix)
		if at < 0 {
			return false
		}
		at += i
		i = at + len(prefix)
		if i < len(s) && s[i] == ':' && (at == 0 || s[at-1] != ':' && classes[s[at-1]]&className == 0) {
			return true
		}
	}
}
