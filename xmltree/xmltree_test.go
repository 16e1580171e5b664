package xmltree

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func parse(t *testing.T, source string) *Tree {
	t.Helper()
	tree, err := Parse([]byte(source), Limits{})
	if err != nil {
		t.Fatalf("Parse(%q): %v", source, err)
	}
	return tree
}

func TestSpansAreExact(t *testing.T) {
	const source = "\ufeff<?xml version='1.0' encoding=\"UTF-8\" standalone='no'?>\n<!--top-->\n" +
		`<p:a xmlns:p="urn:p" x = "1" ><b/>t&amp;u<![CDATA[<&]]><?pi some?><!--in--></p:a >` + "\n<?end?>"
	tree := parse(t, source)
	root := tree.Root()
	var got []string
	for n := tree.First(); n.Exists(); n = n.Next() {
		got = append(got, n.Source())
	}
	for n := root.FirstChild(); n.Exists(); n = n.Next() {
		got = append(got, n.Source())
	}
	want := []string{
		"<!--top-->", source[strings.Index(source, "<p:a"):strings.Index(source, "\n<?end")], "<?end?>",
		"<b/>", "t&amp;u", "<![CDATA[<&]]>", "<?pi some?>", "<!--in-->",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("nodes are %q, want %q", got, want)
	}
	if got, want := tree.Slice(root.StartTag()), `<p:a xmlns:p="urn:p" x = "1" >`; got != want {
		t.Errorf("start tag is %q, want %q", got, want)
	}
	if got, want := tree.Slice(root.Content()), `<b/>t&amp;u<![CDATA[<&]]><?pi some?><!--in-->`; got != want {
		t.Errorf("content is %q, want %q", got, want)
	}
	if got := tree.Slice(root.FirstElement().Content()); got != "" {
		t.Errorf("content of an empty-element tag is %q", got)
	}
	if got, want := root.Text(), "t&u<&"; got != want {
		t.Errorf("text is %q, want %q", got, want)
	}
	if a, ok := root.Attribute("", "x"); !ok || a.Source() != `x = "1"` || tree.Slice(a.ValueSpan()) != "1" {
		t.Errorf("attribute x is %v, %q", ok, a.Source())
	}
	if line, column := root.FirstElement().Position(); line != 3 || column != 31 {
		t.Errorf("<b/> is at line %d, column %d, want 3, 31", line, column)
	}
}

func TestNames(t *testing.T) {
	tree := parse(t, `<a xmlns="urn:d" xmlns:p="urn:p" p:x="1" y="2"><p:b xmlns=""><c xml:lang="fr"/></p:b><é:ü xmlns:é="urn:u"/></a>`)
	a := tree.Root()
	b := a.FirstElement()
	c := b.FirstElement()
	u := b.NextElement()
	for _, test := range []struct {
		node                       Node
		name, prefix, local, space string
	}{
		{a, "a", "", "a", "urn:d"},
		{b, "p:b", "p", "b", "urn:p"},
		{c, "c", "", "c", ""},
		{u, "é:ü", "é", "ü", "urn:u"},
		{Node{}, "", "", "", ""},
	} {
		n := test.node
		if n.Name() != test.name || n.Prefix() != test.prefix || n.Local() != test.local || n.Space() != test.space {
			t.Errorf("got %q, %q, %q, %q, want %q, %q, %q, %q",
				n.Name(), n.Prefix(), n.Local(), n.Space(), test.name, test.prefix, test.local, test.space)
		}
	}
	if v, ok := a.Attr("urn:p", "x"); !ok || v != "1" {
		t.Errorf("p:x is %q, %v", v, ok)
	}
	if v, ok := a.Attr("", "y"); !ok || v != "2" {
		t.Errorf("y is %q, %v", v, ok)
	}
	if _, ok := a.Attr("urn:d", "y"); ok {
		t.Error("the default namespace applies to an attribute")
	}
	if v, ok := c.Attr(NamespaceXML, "lang"); !ok || v != "fr" {
		t.Errorf("xml:lang is %q, %v", v, ok)
	}
	if a.Child("urn:p", "b") != b || a.Child("urn:d", "b").Exists() {
		t.Error("Child does not tell namespaces apart")
	}
	if got, want := fmt.Sprint(c.Namespaces()), "[{ } {p urn:p}]"; got != want {
		t.Errorf("bindings of c are %s, want %s", got, want)
	}
	if space, ok := c.Lookup("p"); !ok || space != "urn:p" {
		t.Errorf("p is %q, %v", space, ok)
	}
	if _, ok := c.Lookup("q"); ok {
		t.Error("q is bound")
	}
	if c.Parent() != b || a.Parent().Exists() || c.Next().Exists() {
		t.Error("neighbours are wrong")
	}
}

// Line ends and attribute values are normalised on reading (XML 1.0 §2.11, §3.3.3).
func TestValues(t *testing.T) {
	for _, test := range []struct{ source, text, value string }{
		{"<a x='plain'>plain</a>", "plain", "plain"},
		{"<a x='&lt;&gt;&amp;&quot;&apos;'>&lt;&gt;&amp;&quot;&apos;</a>", `<>&"'`, `<>&"'`},
		{"<a x='&#65;&#x1F600;&#xa;'>&#65;&#x1f600;&#13;</a>", "A😀\r", "A😀\n"},
		{"<a x='1\r\n2\r3\n4\t5'>1\r\n2\r3\n4\t5</a>", "1\n2\n3\n4\t5", "1 2 3 4 5"},
		{"<a x='é\"'>é]] ></a>", "é]] >", `é"`},
		{"<a x=''>1<!--c-->2<b>no</b>3<![CDATA[\r\n4]]></a>", "123\n4", ""},
		{"<a x='\x7f'></a>", "", "\x7f"},
	} {
		root := parse(t, test.source).Root()
		if got := root.Text(); got != test.text {
			t.Errorf("text of %q is %q, want %q", test.source, got, test.text)
		}
		if got, _ := root.Attr("", "x"); got != test.value {
			t.Errorf("value in %q is %q, want %q", test.source, got, test.value)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, test := range []struct{ source, want string }{
		{"", "line 1, column 1: there is no element"},
		{"  <!-- -->", "line 1, column 11: there is no element"},
		{"text", "line 1, column 1: text outside the root element"},
		{"<a/>text", "line 1, column 5: text outside the root element"},
		{"<a/>&amp;", "line 1, column 5: text outside the root element"},
		{"<a/><b/>", "line 1, column 5: second root element"},
		{"<a/><![CDATA[x]]>", "CDATA section outside the root element"},
		{"<a>", "line 1, column 4: element <a> of line 1, column 1 is not closed"},
		{"<a><b></a>", "line 1, column 7: end tag </a> does not match start tag <b>"},
		{"<a>\n<é></b>", "line 2, column 4: end tag </b> does not match start tag <é>"},
		{"<a></ab>", "end tag </ab> does not match start tag <a>"},
		{"<a></a", "end tag </a> is not closed"},
		{"</a>", "end tag without an open element"},
		{"<", "markup ends after <"},
		{"<a", "start tag is not closed"},
		{"<a x", "= expected after attribute x"},
		{"<a x=", "attribute value is not quoted"},
		{"<a x=1>", "attribute value is not quoted"},
		{"<a x='1>", "line 1, column 6: attribute value is not closed"},
		{"<a x='1'y='2'/>", "white space expected before an attribute"},
		{"<a / >", "attribute name expected"},
		{"<a x='<'/>", "< may not stand in an attribute value"},
		{"<a x='1' x='2'/>", "line 1, column 10: attribute x occurs twice"},
		{"<a xmlns:p='u' xmlns:q='u' p:x='1' q:x='2'/>", "attribute q:x occurs twice"},
		{"<a xmlns='u' xmlns='u'/>", "attribute xmlns occurs twice"},
		{"<a" + many(20) + " x7=''/>", "attribute x7 occurs twice"},
		{"<p:a/>", "line 1, column 2: prefix p is not declared"},
		{"<a><b xmlns:p='u'/><p:c/></a>", "prefix p is not declared"},
		{"<a p:x=''/>", "prefix p is not declared"},
		{"<a:b:c xmlns:a='u'/>", "element name is not a qualified name"},
		{"<:a/>", "element name expected"},
		{"<a: />", "element name is not a qualified name"},
		{"<1a/>", "element name expected"},
		{"< a/>", "element name expected"},
		{"<×/>", "element name expected"},
		{"<a xmlns:p=''/>", "prefix p may not be undeclared"},
		{"<a xmlns:xmlns='u'/>", "prefix xmlns may not be declared"},
		{"<a xmlns:xml='u'/>", `prefix xml may not be bound to "u"`},
		{"<a xmlns='http://www.w3.org/2000/xmlns/'/>", "may not be bound"},
		{"<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>", "may not be bound"},
		{"<a>]]></a>", "]]> may not stand in text"},
		{"<a>&b</a>", "& does not begin a reference"},
		{"<a>& b</a>", "& does not begin a reference"},
		{"<a>&b;</a>", "entity &b; is not declared"},
		{"<a x='&nbsp;'/>", "entity &nbsp; is not declared"},
		{"<a>&#0;</a>", "&#0; is not a character"},
		{"<a>&#xD800;</a>", "&#xD800; is not a character"},
		{"<a>&#x110000;</a>", "&#x110000; is not a character"},
		{"<a>&#99999999999999999999;</a>", "is not a character"},
		{"<a>&#;</a>", "is not a character"},
		{"<a>&#xg;</a>", "is not a character"},
		{"<a>&#X41;</a>", "is not a character"},
		{"<a>\x01</a>", "character U+0001 is not allowed"},
		{"<a>\ufffe</a>", "character U+FFFE is not allowed"},
		{"<a x='\x00'/>", "character U+0000 is not allowed"},
		{"<a><!--\x02--></a>", "character U+0002 is not allowed"},
		{"<a>\n é\xff</a>", "line 2, column 3: byte 0xff is not UTF-8"},
		{"<a>\xed\xa0\x80</a>", "byte 0xed is not UTF-8"},
		{"<a>\xc0\xbc</a>", "byte 0xc0 is not UTF-8"},
		{"<a><!-- -- --></a>", "-- may not stand in a comment"},
		{"<a><!-- --->", "-- may not stand in a comment"},
		{"<a><!-- ", "comment is not closed"},
		{"<a><![CDATA[ ", "CDATA section is not closed"},
		{"<a><![cdata[ ]]></a>", "unknown markup"},
		{"<a><?p ", "processing instruction is not closed"},
		{"<a><??></a>", "without a proper target"},
		{"<a><?p:q?></a>", "without a proper target"},
		{" <?xml version='1.0'?><a/>", "XML declaration is not at the start"},
		{"<a><?XML?></a>", "XML declaration is not at the start"},
		{"<?xml version='1.0'", "XML declaration is not closed"},
		{"<?xml?><a/>", "malformed XML declaration"},
		{"<?xml encoding='UTF-8'?><a/>", "malformed XML declaration"},
		{"<?xml version='1.0' standalone='yes' encoding='UTF-8'?><a/>", "malformed XML declaration"},
		{"<?xml version='1.0' standalone='maybe'?><a/>", "standalone is neither yes nor no"},
		{"<?xml version='1.0'encoding='UTF-8'?><a/>", "malformed XML declaration"},
		{"<?xml version='1.0' encoding=UTF-8?><a/>", "malformed XML declaration"},
		{"<?xml version='1.1'?><a/>", `XML version "1.1" is not accepted`},
	} {
		_, err := Parse([]byte(test.source), Limits{})
		var syntax *SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("Parse(%q) gives %v, want a SyntaxError", test.source, err)
			continue
		}
		if !strings.Contains(err.Error(), test.want) {
			t.Errorf("Parse(%q) says %q, want %q", test.source, err, test.want)
		}
	}
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, " x%d=''", i)
	}
	return b.String()
}

// SEC-06: DTDs and external entities are refused, nothing ever expands, and
// size, depth and counts are limited while parsing.
func TestHostileDocuments(t *testing.T) {
	const bomb = `<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;&lol;"><!ENTITY lol3 "&lol2;&lol2;&lol2;">]>
<lolz>&lol3;</lolz>`
	for name, source := range map[string]string{
		"SEC-06/entity-bomb":     bomb,
		"SEC-06/external-entity": `<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>`,
		"SEC-06/dtd":             `<!DOCTYPE a SYSTEM "http://example.com/a.dtd"><a/>`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(source), Limits{})
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || syntax.Reason != "a document type declaration is not accepted" {
				t.Errorf("got %v", err)
			}
		})
	}
	for _, test := range []struct{ name, source, what string }{
		{"100000-nested", strings.Repeat("<a>", 100_000) + strings.Repeat("</a>", 100_000), "nested elements"},
		{"10-megabytes", "<a>" + strings.Repeat("x", 10<<20) + "</a>", "bytes"},
		{"wide", "<a>" + strings.Repeat("<b/>", 30_000) + "</a>", "elements"},
		{"comments", "<a>" + strings.Repeat("<!---->", 30_000) + "</a>", "elements"},
		{"attributes", "<a" + many(30_000) + "/>", "attributes"},
		{"declarations", "<a" + strings.ReplaceAll(strings.ReplaceAll(many(300), "x", "xmlns:x"), "''", "'u'") + "/>", "namespace declarations in force"},
	} {
		t.Run("SEC-06/"+test.name, func(t *testing.T) {
			_, err := Parse([]byte(test.source), Limits{})
			var limit *LimitError
			if !errors.As(err, &limit) || limit.What != test.what {
				t.Fatalf("got %v, want the limit of %s", err, test.what)
			}
		})
	}
	t.Run("SEC-06/at-the-limit", func(t *testing.T) {
		limits := Limits{Bytes: 23, Depth: 2, Elements: 3, Attributes: 1}
		if _, err := Parse([]byte("<a x='1'><b/><b/>  </a>"), limits); err != nil {
			t.Errorf("a document at its limits: %v", err)
		}
		for _, source := range []string{"<a x='1'><b/><b/>   </a>", "<a><b><c/></b></a>", "<a><b/><b/><b/></a>", "<a x='' y=''/>"} {
			var limit *LimitError
			if _, err := Parse([]byte(source), limits); !errors.As(err, &limit) {
				t.Errorf("%s: got %v, want a LimitError", source, err)
			}
		}
	})
}

// PDF-02: UTF-8 with or without byte order mark, charset parameter before
// declaration, other encodings named in the error.
func TestEncodings(t *testing.T) {
	for _, test := range []struct{ name, charset, source, refused string }{
		{"PDF-02/none", "", "<a/>", ""},
		{"PDF-02/byte-order-mark", "", "\ufeff<a/>", ""},
		{"PDF-02/mark-and-declaration", "", "\ufeff<?xml version='1.0'?><a/>", ""},
		{"PDF-02/lower-case", "", "<?xml version='1.0' encoding='utf-8'?><a/>", ""},
		{"PDF-02/ascii", "", "<?xml version='1.0' encoding='US-ASCII'?><a/>", ""},
		{"PDF-02/latin-1", "", "<?xml version='1.0' encoding='ISO-8859-1'?><a/>", "ISO-8859-1"},
		{"PDF-02/charset-outranks-declaration", "utf-8", "<?xml version='1.0' encoding='ISO-8859-1'?><a/>", ""},
		{"PDF-02/charset-latin-1", "iso-8859-1", "<a/>", "iso-8859-1"},
		{"PDF-02/utf-16", "", "\xfe\xff\x00<\x00a", "UTF-16"},
		{"PDF-02/utf-16-without-mark", "", "<\x00a\x00", "UTF-16"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Parse([]byte(test.source), Limits{Charset: test.charset})
			var encoding *EncodingError
			got := ""
			if errors.As(err, &encoding) {
				got = encoding.Encoding
			} else if err != nil {
				t.Fatal(err)
			}
			if got != test.refused {
				t.Errorf("refused %q, want %q", got, test.refused)
			}
		})
	}
}

// PDF-10: an element is moved without losing a byte or a namespace.
func TestFragment(t *testing.T) {
	for _, test := range []struct{ name, source, want string }{
		{"nothing-to-add", `<a xmlns:q="urn:q"><x:b xmlns:x="urn:x"/></a>`, `<x:b xmlns:x="urn:x"/>`},
		{"prefix", `<a xmlns:x="urn:x"><x:b  y = '1'>t</x:b ></a>`, `<x:b xmlns:x="urn:x"  y = '1'>t</x:b >`},
		{"attribute-prefix", `<a xmlns:x='urn:x' xmlns:y="urn:y"><x:b><x:c y:d=""/></x:b></a>`,
			`<x:b xmlns:x='urn:x' xmlns:y="urn:y"><x:c y:d=""/></x:b>`},
		{"nearest-wins", `<a xmlns:x="urn:far"><m xmlns:x="urn:near"><x:b/></m></a>`, `<x:b xmlns:x="urn:near"/>`},
		{"redeclared-inside", `<a xmlns:x="urn:x" xmlns:y="urn:y"><y:b><x:c xmlns:x="urn:z"/></y:b></a>`,
			`<y:b xmlns:x="urn:x" xmlns:y="urn:y"><x:c xmlns:x="urn:z"/></y:b>`},
		{"default", `<a xmlns="urn:d" xmlns:x="urn:x"><b/></a>`, `<b xmlns="urn:d"/>`},
		{"default-deeper", `<a xmlns="urn:d" xmlns:x="urn:x"><x:b><c/></x:b></a>`, `<x:b xmlns="urn:d" xmlns:x="urn:x"><c/></x:b>`},
		{"default-declared-inside", `<a xmlns="urn:d" xmlns:x="urn:x"><x:b><c xmlns="urn:e"/></x:b></a>`,
			`<x:b xmlns:x="urn:x"><c xmlns="urn:e"/></x:b>`},
		{"no-namespace", `<a xmlns:x="urn:x"><x:b><c/></x:b></a>`, `<x:b xmlns:x="urn:x" xmlns=""><c/></x:b>`},
		{"default-switched-off", `<a xmlns="urn:d"><m xmlns=""><b/></m></a>`, `<b xmlns=""/>`},
		{"name-in-value", `<a xmlns:x="urn:x" xmlns:xsi="urn:i"><x:b xsi:type="x:t"/></a>`,
			`<x:b xmlns:x="urn:x" xmlns:xsi="urn:i" xsi:type="x:t"/>`},
		{"name-in-text", `<a xmlns:x="urn:x" xmlns:g="urn:g"><x:b>g:name</x:b></a>`, `<x:b xmlns:x="urn:x" xmlns:g="urn:g">g:name</x:b>`},
		{"no-name-in-text", `<a xmlns:x="urn:x" xmlns:g="urn:g"><x:b y="urn:g:n">long:g:name <!-- g:n --></x:b></a>`,
			`<x:b xmlns:x="urn:x" y="urn:g:n">long:g:name <!-- g:n --></x:b>`},
		{"comments-and-data", `<a xmlns:x="urn:x"><x:b><!-- c --><![CDATA[<&]]><?p q?>&#65;</x:b></a>`,
			`<x:b xmlns:x="urn:x"><!-- c --><![CDATA[<&]]><?p q?>&#65;</x:b>`},
	} {
		t.Run("PDF-10/"+test.name, func(t *testing.T) {
			n := parse(t, test.source).Root()
			for n.FirstElement().Exists() && (n.Local() == "a" || n.Local() == "m") {
				n = n.FirstElement()
			}
			got := n.Fragment()
			if got != test.want {
				t.Fatalf("got  %s\nwant %s", got, test.want)
			}
			moved := parse(t, `<host xmlns="urn:host" xmlns:x="urn:other">`+got+`</host>`).Root().FirstElement()
			if got, want := moved.Canonical(), n.Canonical(); got != want {
				t.Errorf("moved it is %s, it was %s", got, want)
			}
		})
	}
}

func TestCanonical(t *testing.T) {
	tree := parse(t, `<a xmlns="urn:d"  xmlns:z="urn:1" xmlns:y="urn:2" z:m='"' y:m="a
b" k="&#9;" ><!--c--><z:b/><c xmlns=""><![CDATA[<]]>&gt;&#13;</c><?p   q?></a>`)
	want := `<a xmlns="urn:d" xmlns:y="urn:2" xmlns:z="urn:1" k="&#x9;" z:m="&quot;" y:m="a b">` +
		`<z:b></z:b><c xmlns="">&lt;&gt;&#xD;</c><?p q?></a>`
	if got := tree.Root().Canonical(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestPrinting(t *testing.T) {
	const wild = "a<b>&\"'\t\n\r]]>\x00\x0b\xff\ufffe\ufffdé😀"
	const kept = "a<b>&\"'\t\n\r]]>\ufffd\ufffd\ufffd\ufffd\ufffdé😀"
	b := AppendValue([]byte(`<a x="`), wild)
	b = append(b, `">`...)
	b = append(AppendText(b, wild), "</a>"...)
	root := parse(t, string(b)).Root()
	if got := root.Text(); got != kept {
		t.Errorf("text comes back as %q, want %q", got, kept)
	}
	if got, _ := root.Attr("", "x"); got != kept {
		t.Errorf("value comes back as %q, want %q", got, kept)
	}
}

func TestIsNCName(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "_1": true, "é-.2": true, "": false, "1a": false, "a:b": false, "a b": false, "-a": false, "a\xff": false, "·a": false, "a·": true,
	} {
		if got := IsNCName(name); got != want {
			t.Errorf("IsNCName(%q) is %v", name, got)
		}
	}
}
