package xmltree

import (
	"math"
	"strings"
)

// qname is a qualified name in the source.
type qname struct {
	start, end int
	prefix     int // length, without colon
}

// name reads the qualified name at the present position.
func (p *parser) name(what string) (qname, error) {
	start := p.pos
	n := ncName(p.source[start:])
	if n == 0 {
		return qname{}, p.fail(start, "%s expected", what)
	}
	q := qname{start: start, end: start + n}
	if q.end < len(p.source) && p.source[q.end] == ':' {
		local := ncName(p.source[q.end+1:])
		if local == 0 || strings.HasPrefix(p.source[q.end+1+local:], ":") {
			return qname{}, p.fail(start, "%s is not a qualified name", what)
		}
		q.prefix, q.end = n, q.end+1+local
	}
	if q.end-q.start > math.MaxUint16 {
		return qname{}, p.fail(start, "%s is too long", what)
	}
	p.pos = q.end
	return q, nil
}

func (p *parser) skipSpace() (skipped bool) {
	start := p.pos
	for p.pos < len(p.source) && isSpace(p.source[p.pos]) {
		p.pos++
	}
	return p.pos > start
}

// startTag reads a start tag or an empty-element tag and opens its element.
func (p *parser) startTag() error {
	if p.parent == 0 && p.tree.root != 0 {
		return p.fail(p.pos, "second root element")
	}
	if p.depth >= p.limits.Depth {
		return p.exceeded("nested elements", p.limits.Depth)
	}
	if err := p.count(); err != nil {
		return err
	}
	start := p.pos
	p.pos++
	name, err := p.name("element name")
	if err != nil {
		return err
	}
	index, e := p.add(Element, start, 0)
	e.name, e.prefix = uint16(name.end-name.start), uint16(name.prefix)
	e.attrs = int32(len(p.tree.attrs))
	if p.parent == 0 {
		p.tree.root = index
	}
	empty, err := p.attributes(index)
	if err != nil {
		return err
	}
	if err := p.resolveNames(index); err != nil {
		return err
	}
	e.open = int32(p.pos)
	if empty {
		e.close, e.end = e.open, e.open
		p.unbind(index)
		return nil
	}
	p.parent, p.last = index, 0
	p.depth++
	return nil
}

// attributes reads up to the end of the tag.
func (p *parser) attributes(element int32) (empty bool, err error) {
	for {
		spaced := p.skipSpace()
		rest := p.source[p.pos:]
		switch {
		case rest == "":
			return false, p.fail(p.pos, "start tag is not closed")
		case rest[0] == '>':
			p.pos++
			return false, nil
		case strings.HasPrefix(rest, "/>"):
			p.pos += 2
			return true, nil
		case !spaced:
			return false, p.fail(p.pos, "white space expected before an attribute")
		}
		if err := p.attribute(element); err != nil {
			return false, err
		}
	}
}

func (p *parser) attribute(element int32) error {
	name, err := p.name("attribute name")
	if err != nil {
		return err
	}
	p.skipSpace()
	if !strings.HasPrefix(p.source[p.pos:], "=") {
		return p.fail(p.pos, "= expected after attribute %s", p.source[name.start:name.end])
	}
	p.pos++
	p.skipSpace()
	t := p.tree
	e := &t.nodes[element]
	if len(t.attrs) >= p.limits.Attributes || e.count == math.MaxUint16 {
		return p.exceeded("attributes", p.limits.Attributes)
	}
	a := attribute{start: int32(name.start), prefix: uint16(name.prefix), name: uint16(name.end - name.start)}
	if a.value, a.plain, err = p.value(); err != nil {
		return err
	}
	a.end = int32(p.pos)
	e.count++
	if t.attrs == nil {
		t.attrs = make([]attribute, 0, min(1+strings.Count(p.source[name.start:], "="), 256))
	}
	t.attrs = append(t.attrs, a)
	full := t.source[name.start:name.end]
	if full == "xmlns" || full[:name.prefix] == "xmlns" {
		return p.declare(element, Attribute{t, int32(len(t.attrs) - 1)})
	}
	return nil
}

// value reads a quoted value; afterwards the position is behind its closing
// quote.
func (p *parser) value() (start int32, plain bool, err error) {
	s := p.source
	if p.pos >= len(s) || s[p.pos] != '"' && s[p.pos] != '\'' {
		return 0, false, p.fail(p.pos, "attribute value is not quoted")
	}
	quote, open := s[p.pos], p.pos
	i, plain := open+1, true
	for i < len(s) && s[i] != quote {
		c := s[i]
		if classes[c]&classValue != 0 {
			i++
			continue
		}
		if c == '<' {
			return 0, false, p.fail(i, "< may not stand in an attribute value")
		}
		if i, err = p.special(i); err != nil {
			return 0, false, err
		}
		plain = plain && c != '&' && c > ' '
	}
	if i >= len(s) {
		return 0, false, p.fail(open, "attribute value is not closed")
	}
	p.pos = i + 1
	return int32(open + 1), plain, nil
}

func (p *parser) endTag() error {
	start := p.pos
	if p.parent == 0 {
		return p.fail(start, "end tag without an open element")
	}
	open := Node{p.tree, p.parent}
	name, rest := open.Name(), p.source[start+2:]
	if !strings.HasPrefix(rest, name) {
		return p.mismatch(start, name)
	}
	p.pos = start + 2 + len(name)
	p.skipSpace()
	if !strings.HasPrefix(p.source[p.pos:], ">") {
		return p.mismatch(start, name)
	}
	p.pos++
	e := open.node()
	e.close, e.end = int32(start), int32(p.pos)
	p.unbind(p.parent)
	p.last, p.parent = p.parent, e.parent
	p.depth--
	return nil
}

func (p *parser) mismatch(start int, open string) error {
	p.pos = start + 2
	name, err := p.name("element name")
	if err != nil {
		return err
	}
	if found := p.source[name.start:name.end]; found != open {
		return p.fail(start, "end tag </%s> does not match start tag <%s>", found, open)
	}
	return p.fail(start, "end tag </%s> is not closed", open)
}
