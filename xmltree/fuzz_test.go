package xmltree

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"testing"
)

// FuzzParse: whatever Parse accepts encoding/xml accepts, too, and sees the
// same elements and the same text in it; spans nest; every element can be
// moved to another document and stays the same; Scan sees and says the same. No
// input makes it panic (SEC-17).
func FuzzParse(f *testing.F) {
	f.Add(document(f, "presence-600.xml"))
	f.Add(document(f, "presence-2k.xml"))
	for _, seed := range []string{
		"\ufeff<?xml version='1.0' encoding=\"US-ASCII\" standalone='no'?><!-- c --><a:b xmlns:a='u' a:c = '&#65;\n' >t\r\n&lt;<![CDATA[<&]]><?p q?><d xmlns=''/></a:b >\n",
		"<a xmlns='u'><b xmlns:c='&amp;'><c:d c:e='f:g'/>]]</b></a>", "<é/>", "<a>&#x10FFFF;</a>", "<!DOCTYPE a><a/>",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tree, err := Parse(data, Limits{})
		scanned := Scan(string(data), Limits{}, func(root Node) error {
			if got, want := outline(root, nil), outline(tree.Root(), nil); string(got) != string(want) {
				t.Errorf("%q\nis scanned as %q\nnot %q", data, got, want)
			}
			return nil
		})
		if fmt.Sprint(scanned) != fmt.Sprint(err) {
			t.Fatalf("Scan says %v, Parse %v", scanned, err)
		}
		if err != nil {
			return
		}
		checkTree(t, tree)
		if want, ok := standard(t, data); ok {
			if got := outline(tree.Root(), nil); string(got) != want {
				t.Errorf("%q\nis  %q\nnot %q", data, got, want)
			}
		}
	})
}

// standard is the outline as encoding/xml sees it. It knows only the names
// of the fourth edition of XML, so documents with others are left out.
func standard(t *testing.T, data []byte) (string, bool) {
	d := xml.NewDecoder(bytes.NewReader(data))
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	var out strings.Builder
	depth := 0
	for {
		token, err := d.Token()
		if err == io.EOF {
			return out.String(), true
		}
		if err != nil {
			if strings.Contains(err.Error(), "invalid XML name") || bytes.ContainsFunc(data, func(r rune) bool { return r >= 0x80 }) {
				return "", false
			}
			t.Fatalf("encoding/xml refuses %q: %v", data, err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			depth++
			out.WriteString("<" + blanks.Replace(token.Name.Space) + " " + token.Name.Local + ">")
		case xml.EndElement:
			depth--
			out.WriteString("</>")
		case xml.CharData:
			if depth > 0 {
				out.Write(token)
			}
		}
	}
}

// blanks evens out what encoding/xml does not: white space in values.
var blanks = strings.NewReplacer("\r\n", " ", "\t", " ", "\n", " ", "\r", " ")

func outline(n Node, b []byte) []byte {
	b = append(b, "<"+blanks.Replace(n.Space())+" "+n.Local()+">"...)
	for c := n.FirstChild(); c.Exists(); c = c.Next() {
		switch c.Kind() {
		case Element:
			b = outline(c, b)
		case Text, CDATA:
			b = append(b, c.Text()...)
		}
	}
	return append(b, "</>"...)
}

func checkTree(t *testing.T, tree *Tree) {
	var walk func(n Node)
	walk = func(n Node) {
		at := n.Content().Start
		for c := n.FirstChild(); c.Exists(); c = c.Next() {
			if c.Span().Start != at || c.Parent() != n {
				t.Fatalf("%q: node at %v does not follow %d", tree.Source(), c.Span(), at)
			}
			at = c.Span().End
			if c.Kind() == Element {
				walk(c)
			}
		}
		if at != n.Content().End {
			t.Fatalf("%q: content of %s ends at %d, children at %d", tree.Source(), n.Name(), n.Content().End, at)
		}
	}
	walk(tree.Root())
	n := tree.Root()
	for n.FirstElement().Exists() {
		n = n.FirstElement()
	}
	host := `<x xmlns="urn:host" xmlns:a="urn:host">` + n.Fragment() + `</x>`
	moved, err := Parse([]byte(host), Limits{Bytes: 1 << 24})
	if err != nil {
		t.Fatalf("%q: fragment %q: %v", tree.Source(), n.Fragment(), err)
	}
	if got, want := moved.Root().FirstElement().Canonical(), n.Canonical(); got != want {
		t.Fatalf("%q: moved as %q, it was %q", tree.Source(), got, want)
	}
}
