package xmltree

import (
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"
)

// Parse reads a document. Its errors are *SyntaxError, *LimitError and
// *EncodingError. The tree keeps a copy of data, made once.
func Parse(data []byte, limits Limits) (*Tree, error) {
	limits = limits.withDefaults()
	if err := limits.size(len(data)); err != nil {
		return nil, err
	}
	p := parser{source: string(data), limits: limits, tree: &Tree{}}
	if err := p.parse(); err != nil {
		return nil, err
	}
	return p.tree, nil
}

// Scan is Parse for those who only look: it calls look with the root of the
// tree, whose memory serves for other documents afterwards (BenchmarkScan). Its
// errors are those of Parse, and look's.
func Scan(source string, limits Limits, look func(root Node) error) error {
	limits = limits.withDefaults()
	if err := limits.size(len(source)); err != nil {
		return err
	}
	p := parsers.Get().(*parser)
	defer p.release()
	p.source, p.limits = source, limits
	if err := p.parse(); err != nil {
		return err
	}
	return look(p.tree.Root())
}

// parsers are those of Scan, each with a tree of its own.
var parsers = sync.Pool{New: func() any { return &parser{tree: &Tree{}} }}

// release puts a parser back. It lets go of the document, and of a tree that
// became large.
func (p *parser) release() {
	t := p.tree
	if cap(t.nodes) > mostNodes || cap(t.attrs) > mostNodes {
		*t = Tree{}
	}
	clear(t.nodes)
	clear(t.attrs)
	*t = Tree{nodes: t.nodes[:0], attrs: t.attrs[:0]}
	*p = parser{tree: t}
	parsers.Put(p)
}

// parse reads the source, whose size is within the limits, into the tree.
func (p *parser) parse() error {
	if encoding := unicodeEncoding(p.source); encoding != "" {
		return &EncodingError{encoding}
	}
	if charset := p.limits.Charset; charset != "" && !acceptedEncoding(charset) {
		return &EncodingError{charset}
	}
	if !utf8.ValidString(p.source) {
		return p.invalidUTF8()
	}
	t := p.tree
	t.source = p.source
	if t.nodes == nil {
		t.nodes = make([]node, 0, p.estimate())
	}
	t.nodes = append(t.nodes, node{})
	p.bindings = append(p.room[:0], binding{prefix: "xml", space: NamespaceXML})
	return p.document()
}

// unicodeEncoding recognises the encodings that are not even ASCII on top by
// their first bytes (XML 1.0 §F).
func unicodeEncoding(data string) string {
	if len(data) < 2 {
		return ""
	}
	switch {
	case data[0] == 0xFE && data[1] == 0xFF, data[0] == 0xFF && data[1] == 0xFE,
		data[0] == 0 && data[1] == '<', data[0] == '<' && data[1] == 0:
		return "UTF-16"
	case data[0] == 0 && data[1] == 0:
		return "UTF-32"
	}
	return ""
}

func acceptedEncoding(name string) bool {
	return strings.EqualFold(name, "UTF-8") || strings.EqualFold(name, "US-ASCII") ||
		strings.EqualFold(name, "ASCII") || strings.EqualFold(name, "UTF8")
}

// parser holds what Parse needs while it runs.
type parser struct {
	source   string
	pos      int
	limits   Limits
	tree     *Tree
	parent   int32 // open element, 0 outside the root
	last     int32 // last finished node under it, 0 if none
	depth    int
	markup   int // counts towards Limits.Elements
	bindings []binding
	room     [16]binding
}

// binding is a namespace declaration in force.
type binding struct {
	prefix, space string
	element       int32
}

// estimate guesses the number of nodes: each tag brings at most one text.
// A document of nothing but < does not get to choose the size.
func (p *parser) estimate() int {
	return min(2+strings.Count(p.source, "<")*3/2, mostNodes)
}

// mostNodes are made room for before they are there, and kept room for after.
const mostNodes = 1024

func (p *parser) fail(offset int, format string, args ...any) error {
	return &SyntaxError{place(p.source, offset), fmt.Sprintf(format, args...)}
}

func (p *parser) exceeded(what string, limit int) error {
	return &LimitError{place(p.source, p.pos), what, limit}
}

func (p *parser) invalidUTF8() error {
	for i := 0; i < len(p.source); {
		r, size := utf8.DecodeRuneInString(p.source[i:])
		if r == utf8.RuneError && size == 1 {
			return p.fail(i, "byte %#x is not UTF-8", p.source[i])
		}
		i += size
	}
	return nil
}

// document reads everything: declaration, nodes, and what must hold at the end.
func (p *parser) document() error {
	if strings.HasPrefix(p.source, byteOrderMark) {
		p.pos = len(byteOrderMark)
	}
	if err := p.declaration(); err != nil {
		return err
	}
	for p.pos < len(p.source) {
		if err := p.step(); err != nil {
			return err
		}
	}
	if p.parent != 0 {
		n := Node{p.tree, p.parent}
		return p.fail(len(p.source), "element <%s> of %v is not closed", n.Name(), place(p.source, n.Span().Start))
	}
	if p.tree.root == 0 {
		return p.fail(len(p.source), "there is no element")
	}
	return nil
}

// step reads one piece of markup or text.
func (p *parser) step() error {
	if p.source[p.pos] != '<' {
		return p.text()
	}
	rest := p.source[p.pos+1:]
	if rest == "" {
		return p.fail(p.pos, "markup ends after <")
	}
	switch rest[0] {
	case '/':
		return p.endTag()
	case '?':
		return p.instruction()
	case '!':
		return p.bang(rest)
	}
	return p.startTag()
}

func (p *parser) bang(rest string) error {
	switch {
	case strings.HasPrefix(rest, "!--"):
		return p.comment()
	case strings.HasPrefix(rest, "![CDATA["):
		return p.cdata()
	case strings.HasPrefix(rest, "!DOCTYPE"):
		return p.fail(p.pos, "a document type declaration is not accepted")
	}
	return p.fail(p.pos, "unknown markup <!")
}

// add appends a node as the last child of the open element.
func (p *parser) add(kind Kind, start, end int) (int32, *node) {
	t := p.tree
	index := int32(len(t.nodes))
	t.nodes = append(t.nodes, node{kind: kind, start: int32(start), end: int32(end), parent: p.parent})
	switch {
	case p.last != 0:
		t.nodes[p.last].next = index
	case p.parent != 0:
		t.nodes[p.parent].first = index
	default:
		t.first = index
	}
	p.last = index
	return index, &t.nodes[index]
}

// count holds the number of pieces of markup to its limit.
func (p *parser) count() error {
	if p.markup++; p.markup > p.limits.Elements {
		return p.exceeded("elements", p.limits.Elements)
	}
	return nil
}

// text reads character data up to the next markup.
func (p *parser) text() error {
	s, start := p.source, p.pos
	i, plain := start, true
	for i < len(s) {
		c := s[i]
		if classes[c]&classText != 0 {
			i++
			continue
		}
		if c == '<' {
			break
		}
		next, err := p.special(i)
		if err != nil {
			return err
		}
		if c == ']' && strings.HasPrefix(s[i:], "]]>") {
			return p.fail(i, "]]> may not stand in text")
		}
		plain = plain && c != '&' && c != '\r'
		i = next
	}
	p.pos = i
	if p.parent == 0 {
		return p.outside(start, i)
	}
	_, n := p.add(Text, start, i)
	n.plain = plain
	return nil
}

// outside accepts white space around the root and nothing else.
func (p *parser) outside(start, end int) error {
	for i := start; i < end; i++ {
		if !isSpace(p.source[i]) {
			return p.fail(i, "text outside the root element")
		}
	}
	return nil
}

// special looks closer at one character that the tables do not pass, and
// says where the next one starts.
func (p *parser) special(i int) (next int, err error) {
	if p.source[i] == '&' {
		return p.entity(i)
	}
	r, size := utf8.DecodeRuneInString(p.source[i:])
	if !legal(r) {
		return 0, p.fail(i, "character %U is not allowed", r)
	}
	return i + size, nil
}

func (p *parser) entity(i int) (next int, err error) {
	rest := p.source[i+1:]
	end := strings.IndexByte(rest[:min(len(rest), 64)], ';')
	if end < 0 {
		return 0, p.fail(i, "& does not begin a reference")
	}
	name := rest[:end]
	if _, ok := reference(name); ok {
		return i + 1 + end + 1, nil
	}
	if strings.HasPrefix(name, "#") {
		return 0, p.fail(i, "&%s; is not a character", name)
	}
	return 0, p.fail(i, "entity &%s; is not declared", name)
}

// plainChars checks that only legal characters stand between two offsets.
func (p *parser) plainChars(start, end int) error {
	for i := start; i < end; {
		if classes[p.source[i]]&classText != 0 {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(p.source[i:])
		if !legal(r) {
			return p.fail(i, "character %U is not allowed", r)
		}
		i += size
	}
	return nil
}
