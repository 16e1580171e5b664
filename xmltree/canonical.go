package xmltree

import (
	"cmp"
	"slices"
)

// AppendCanonical prints an element in exclusive canonical form (RFC 3741)
// after b, with or without its comments: two elements with equal canonical
// forms say the same, whatever their quotes, line breaks in tags, unused
// declarations or the order of their attributes.
func (n Node) AppendCanonical(b []byte, comments bool) []byte {
	c := canonical{comments: comments}
	return c.append(b, n)
}

// Canonical is AppendCanonical without comments, as a string.
func (n Node) Canonical() string { return string(n.AppendCanonical(nil, false)) }

type canonical struct {
	comments bool
	rendered []Binding // by the open elements, innermost last
}

func (c *canonical) append(b []byte, n Node) []byte {
	switch n.Kind() {
	case Element:
		return c.element(b, n)
	case Text, CDATA:
		return appendCanonicalText(b, n.Text())
	case Instruction:
		return appendInstruction(b, n)
	case Comment:
		if c.comments {
			return append(append(append(b, "<!--"...), n.Text()...), "-->"...)
		}
	}
	return b
}

func appendInstruction(b []byte, n Node) []byte {
	text := n.Text()
	target := text[:ncName(text)]
	b = append(append(b, "<?"...), target...)
	rest := text[len(target):]
	for rest != "" && isSpace(rest[0]) {
		rest = rest[1:]
	}
	if rest != "" {
		b = append(append(b, ' '), rest...)
	}
	return append(b, "?>"...)
}

func (c *canonical) element(b []byte, n Node) []byte {
	outer := len(c.rendered)
	b = append(append(b, '<'), n.Name()...)
	for _, d := range c.declarations(n) {
		b = append(b, " xmlns"...)
		if d.Prefix != "" {
			b = append(append(b, ':'), d.Prefix...)
		}
		b = appendCanonicalValue(b, d.Space)
		c.rendered = append(c.rendered, d)
	}
	for _, a := range sortedAttributes(n) {
		b = append(append(b, ' '), a.Name()...)
		b = appendCanonicalValue(b, a.Value())
	}
	b = append(b, '>')
	for child := n.FirstChild(); child.Exists(); child = child.Next() {
		b = c.append(b, child)
	}
	c.rendered = c.rendered[:outer]
	b = append(append(b, "</"...), n.Name()...)
	return append(b, '>')
}

// declarations are those the element's own names need and no element around
// it has printed, by prefix.
func (c *canonical) declarations(n Node) []Binding {
	var needed []Binding
	need := func(prefix, space string) {
		d := Binding{prefix, space}
		if prefix != "xml" && !c.inForce(d) && !slices.Contains(needed, d) {
			needed = append(needed, d)
		}
	}
	need(n.Prefix(), n.Space())
	for a := range n.Attributes() {
		if a.Prefix() != "" && !a.IsDeclaration() {
			need(a.Prefix(), a.Space())
		}
	}
	slices.SortFunc(needed, func(x, y Binding) int { return cmp.Compare(x.Prefix, y.Prefix) })
	return needed
}

func (c *canonical) inForce(d Binding) bool {
	for i := len(c.rendered) - 1; i >= 0; i-- {
		if c.rendered[i].Prefix == d.Prefix {
			return c.rendered[i].Space == d.Space
		}
	}
	return d == Binding{}
}

func sortedAttributes(n Node) []Attribute {
	var all []Attribute
	for a := range n.Attributes() {
		if !a.IsDeclaration() {
			all = append(all, a)
		}
	}
	slices.SortFunc(all, func(x, y Attribute) int {
		return cmp.Or(cmp.Compare(x.Space(), y.Space()), cmp.Compare(x.Local(), y.Local()))
	})
	return all
}

func appendCanonicalText(b []byte, s string) []byte {
	for i := range len(s) {
		switch s[i] {
		case '&':
			b = append(b, "&amp;"...)
		case '<':
			b = append(b, "&lt;"...)
		case '>':
			b = append(b, "&gt;"...)
		case '\r':
			b = append(b, "&#xD;"...)
		default:
			b = append(b, s[i])
		}
	}
	return b
}

func appendCanonicalValue(b []byte, s string) []byte {
	b = append(b, `="`...)
	for i := range len(s) {
		switch s[i] {
		case '&':
			b = append(b, "&amp;"...)
		case '<':
			b = append(b, "&lt;"...)
		case '"':
			b = append(b, "&quot;"...)
		case '\t':
			b = append(b, "&#x9;"...)
		case '\n':
			b = append(b, "&#xA;"...)
		case '\r':
			b = append(b, "&#xD;"...)
		default:
			b = append(b, s[i])
		}
	}
	return append(b, '"')
}
