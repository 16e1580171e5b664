//go:build corpus

package pidf

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vigie/xmltree"
)

func corpus(t testing.TB, elements ...string) string {
	t.Helper()
	root := os.Getenv("VIGIE_CORPUS")
	if root == "" {
		t.Fatal("VIGIE_CORPUS is not set")
	}
	root, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(append([]string{root}, elements...)...)
}

// presenceFiles are the corpus documents with a presence root.
func presenceFiles(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob(corpus(t, "testdata", "rfc", "*-presence.xml"))
	if err != nil || len(files) < 25 {
		t.Fatalf("found %d presence documents in the corpus, %v", len(files), err)
	}
	return files
}

// schemas copies the RFCs' schemas and mends two where their RFC's text says
// more than they do: lunch (RFC 4480 §3.2) and the language of display-name
// (RFC 4482 §7).
func schemas(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	files, err := filepath.Glob(corpus(t, "schemas", "*.xsd"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no schemas: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		switch filepath.Base(file) {
		case "rfc4480-rpid.xsd":
			data = mend(t, data, `<xs:element name="looking-for-work"`, `<xs:element name="lunch" type="empty"/><xs:element name="looking-for-work"`)
		case "rfc4482-cipid.xsd":
			data = mend(t, data, `<xs:element name="display-name" type="xs:string"/>`, `<xs:element name="display-name"><xs:complexType>
				<xs:simpleContent><xs:extension base="xs:string"><xs:attribute ref="xml:lang"/></xs:extension></xs:simpleContent>
				</xs:complexType></xs:element>`)
			data = mend(t, data, `<xs:annotation>`, `<xs:import namespace="http://www.w3.org/XML/1998/namespace" schemaLocation="xml.xsd"/><xs:annotation>`)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "all.xsd")
}

func mend(t testing.TB, data []byte, old, new string) []byte {
	t.Helper()
	if bytes.Count(data, []byte(old)) != 1 {
		t.Fatalf("the schema has no single %s", old)
	}
	return bytes.Replace(data, []byte(old), []byte(new), 1)
}

// validate checks all documents in one run of xmllint (Debian package
// libxml2-utils) and reports each that is not valid.
func validate(t testing.TB, schema string, documents [][]byte) {
	t.Helper()
	dir := t.TempDir()
	args := []string{"--nonet", "--noout", "--schema", schema}
	for i, document := range documents {
		name := filepath.Join(dir, fmt.Sprintf("%06d.xml", i))
		if err := os.WriteFile(name, document, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	out, err := exec.Command("xmllint", args...).CombinedOutput()
	if valid := strings.Count(string(out), " validates\n"); err == nil && valid == len(documents) {
		return
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("xmllint: %v", err)
	}
	reported := 0
	for _, line := range strings.Split(string(out), "\n") {
		var i int
		if _, err := fmt.Sscanf(filepath.Base(line), "%06d.xml", &i); err != nil || strings.HasSuffix(line, " validates") || i >= len(documents) {
			continue
		}
		t.Errorf("%s\n%s", strings.TrimPrefix(line, dir), documents[i])
		if reported++; reported == 4 {
			break
		}
	}
	t.Fatalf("xmllint: %v for %d documents", err, len(documents))
}

// PDF-01, PDF-03, PDF-06, PDF-10, PDF-12, PDF-15: the RFCs' own documents
// parse, and what is printed of them is valid and says the same.
func TestRFCDocuments(t *testing.T) {
	var printed [][]byte
	for _, file := range presenceFiles(t) {
		name := filepath.Base(file)
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		d, err := Parse(data, Limits{})
		if name == "rfc4479-s7.1-1-presence.xml" { // the example forgot its entity
			if want := "pidf: line 2, column 1: presence has no entity"; err == nil || err.Error() != want {
				t.Errorf("%s: %v, want %s", name, err, want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		out := d.AppendTo(nil)
		printed = append(printed, out)
		again, err := Parse(out, Limits{})
		if err != nil {
			t.Errorf("%s: printed: %v\n%s", name, err, out)
			continue
		}
		if name == "rfc4480-s4-1-presence.xml" {
			if got, want := d.Persons[0].Spheres[0].Text, "bowling league"; got != want {
				t.Errorf("sphere says %q, want %q", got, want)
			}
			d.Persons[0].Spheres = nil // its schema has no place for that text
		}
		diff(t, name, d, again)
		unknownKept(t, name, data, out)
	}
	validate(t, schemas(t), printed)
}

// unknownKept compares every element of an unknown namespace in its canonical
// form before and after.
func unknownKept(t *testing.T, name string, before, after []byte) {
	t.Helper()
	want, got := unknown(t, before), unknown(t, after)
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s: kept\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func unknown(t *testing.T, document []byte) (canonical []string) {
	t.Helper()
	tree, err := xmltree.Parse(document, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var walk func(n xmltree.Node)
	walk = func(n xmltree.Node) {
		switch n.Space() {
		case Namespace, NamespaceDataModel, NamespaceRPID, NamespaceTimed, NamespaceCIPID, NamespacePlace, NamespaceCaps:
			for c := n.FirstElement(); c.Exists(); c = c.NextElement() {
				walk(c)
			}
		default:
			canonical = append(canonical, n.Canonical())
		}
	}
	walk(tree.Root())
	slices.Sort(canonical) // services print before persons and devices, wherever they stood
	return canonical
}
