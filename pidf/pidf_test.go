package pidf

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func mustParse(t testing.TB, source string) *Document {
	t.Helper()
	d, err := Parse([]byte(source), Limits{})
	if err != nil {
		t.Fatalf("%v in\n%s", err, source)
	}
	return d
}

// diff compares documents; kept elements count by their canonical form.
func diff(t testing.TB, name string, want, got *Document) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s: documents differ (-want +got):\n%s", name, d)
	}
}

// What was read stays as it is whatever is read after it.
func TestDocumentLasts(t *testing.T) {
	d := mustParse(t, everything)
	before := string(d.AppendTo(nil))
	for _, other := range []string{strings.ReplaceAll(everything, "e", "o"), string(document(t, "presence-2k.xml"))} {
		_, _ = Parse([]byte(other), Limits{})
	}
	if after := string(d.AppendTo(nil)); after != before {
		t.Errorf("it was\n%s\nand is\n%s", before, after)
	}
}
