//go:build corpus

package pidf

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"vigie/xmltree"
)

// PDF-15: whatever is built prints valid.
func TestBuiltDocumentsAreValid(t *testing.T) {
	var documents [][]byte
	rapid.Check(t, func(r *rapid.T) {
		documents = append(documents, randomDocument(r).AppendTo(nil))
	})
	validate(t, schemas(t), documents)
}

// PDF-04, PDF-15, RPD-01: documents with elements renamed, moved, doubled and
// dropped, and values replaced, are read as far as they go, and what is printed
// of them is valid.
func TestMutilatedDocumentsPrintValid(t *testing.T) {
	var sources []string
	for _, file := range presenceFiles(t) {
		if strings.Contains(file, "rfc4119") || strings.Contains(file, "rfc5491") || strings.Contains(file, "rfc5262") {
			continue // location is passed on as it came, valid or not
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, string(data))
	}
	sources = append(sources, everything)
	var documents [][]byte
	rapid.Check(t, func(r *rapid.T) {
		source := rapid.SampledFrom(sources).Draw(r, "source")
		for range rapid.IntRange(1, 12).Draw(r, "mutations") {
			source = mutate(r, source)
		}
		d, err := Parse([]byte(source), Limits{})
		if err != nil {
			return
		}
		numberSegments(d)
		out := d.AppendTo(nil)
		again, err := Parse(out, Limits{})
		if err != nil {
			r.Fatalf("%v in\n%s", err, out)
		}
		if twice := again.AppendTo(nil); string(twice) != string(out) {
			r.Fatalf("printed\n%s\nthen\n%s", out, twice)
		}
		if !passesOnDamage(t, out) {
			documents = append(documents, out)
		}
	})
	if len(documents) < 20 {
		t.Fatalf("only %d mutilated documents could be read", len(documents))
	}
	validate(t, schemas(t), documents)
}

// passesOnDamage says whether an element of an unknown namespace, which is
// passed on as it came, holds what the schemas would check and was mutilated.
func passesOnDamage(t *testing.T, document []byte) bool {
	tree, err := xmltree.Parse(document, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var walk func(n xmltree.Node, unknown bool) bool
	walk = func(n xmltree.Node, unknown bool) bool {
		lang, _ := n.Attr(xmltree.NamespaceXML, "lang")
		if unknown && (isPresence(n.Space()) || lang == "!") {
			return true
		}
		for c := n.FirstElement(); c.Exists(); c = c.NextElement() {
			if walk(c, unknown || !isPresence(c.Space())) {
				return true
			}
		}
		return !isPresence(n.Space()) && lang == "!"
	}
	return walk(tree.Root(), false)
}

// numberSegments does what composition does: ids that are unique names.
func numberSegments(d *Document) {
	for i := range d.Tuples {
		d.Tuples[i].ID = fmt.Sprintf("t%d", i)
	}
	for i := range d.Persons {
		d.Persons[i].ID = fmt.Sprintf("p%d", i)
	}
	for i := range d.Devices {
		d.Devices[i].ID = fmt.Sprintf("d%d", i)
	}
}

var (
	wildNames = strings.Fields(`status basic note contact timestamp tuple person device deviceID activities mood away busy unknown other
		happy place-is place-type audio video text noisy office privacy relationship friend service-class postal sphere home
		status-icon time-offset user-input class card display-name icon timed-status servcaps devcaps supported methods INVITE
		mobility fixed priority range schemes s nonsense`)
	wildValues = []string{"", "open", "idle", "true", "x y", "12", "-1", "2026-11-05T10:20:30Z", "sip:alice@example.com", "%zz", ":", "1.5", "é", "0.5", "<b/>"}
)

// mutate changes one element of the document.
func mutate(r *rapid.T, source string) string {
	tree, err := xmltree.Parse([]byte(source), Limits{})
	if err != nil {
		return source
	}
	var all []xmltree.Node
	var walk func(n xmltree.Node)
	walk = func(n xmltree.Node) {
		all = append(all, n)
		for c := n.FirstElement(); c.Exists(); c = c.NextElement() {
			walk(c)
		}
	}
	walk(tree.Root())
	if len(all) < 3 {
		return source
	}
	pick := func() xmltree.Node { return rapid.SampledFrom(all[1:]).Draw(r, "element") }
	n := pick()
	whole, content := n.Span(), n.Content()
	switch rapid.IntRange(0, 6).Draw(r, "how") {
	case 0: // drop
		return source[:whole.Start] + source[whole.End:]
	case 1, 2: // move a copy behind or into another
		at := pick().Span().End
		if to := pick().Content(); to.End > to.Start && rapid.Bool().Draw(r, "into") {
			at = to.Start
		}
		return source[:at] + n.Fragment() + source[at:]
	case 3: // rename
		name := rapid.SampledFrom(wildNames).Draw(r, "name")
		if n.Prefix() != "" {
			name = n.Prefix() + ":" + name
		}
		tag := source[whole.Start+1+len(n.Name()) : content.Start]
		if content.End == whole.End {
			return source[:whole.Start] + "<" + name + tag + source[whole.End:]
		}
		return source[:whole.Start] + "<" + name + tag + source[content.Start:content.End] + "</" + name + ">" + source[whole.End:]
	case 4: // other content
		if content.End == whole.End {
			return source
		}
		return source[:content.Start] + rapid.SampledFrom(wildValues).Draw(r, "value") + source[content.End:]
	case 5: // other attribute value
		if n.AttributeCount() == 0 {
			return source
		}
		a := n.AttributeAt(rapid.IntRange(0, n.AttributeCount()-1).Draw(r, "attribute"))
		if a.IsDeclaration() || a.Prefix() != "" {
			return source
		}
		v := a.ValueSpan()
		return source[:v.Start] + strings.Trim(rapid.SampledFrom(wildValues).Draw(r, "value"), "<>/") + source[v.End:]
	}
	at := whole.Start + 1 + len(n.Name()) // one more attribute
	return source[:at] + rapid.SampledFrom([]string{` id="a"`, ` from="2026-11-05T10:20:30Z"`, ` until="x"`, ` extra="1"`,
		` xml:lang="en"`, ` xml:lang="!"`, ` xmlns:q="urn:example:q" q:a="1"`, ` priority="7"`}).Draw(r, "attribute") + source[at:]
}
