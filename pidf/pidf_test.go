package pidf

import (
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
