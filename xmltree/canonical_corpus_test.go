//go:build corpus

package xmltree

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The RFCs' documents parse, and their canonical form is the one that
// xmllint (Debian package libxml2-utils) makes of them.
func TestRFCDocuments(t *testing.T) {
	root := os.Getenv("VIGIE_CORPUS")
	if root == "" {
		t.Fatal("VIGIE_CORPUS is not set")
	}
	files, err := filepath.Glob(filepath.Join(root, "testdata", "rfc", "*.xml"))
	if err != nil || len(files) < 100 {
		t.Fatalf("found %d documents, %v", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tree, err := Parse(data, Limits{})
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(file), err)
			continue
		}
		want, err := exec.Command("xmllint", "--nonet", "--exc-c14n", file).Output()
		if err != nil {
			t.Fatalf("xmllint %s: %v", file, err)
		}
		got := tree.Root().AppendCanonical(nil, true)
		if start := bytes.Index(want, got[:bytes.IndexAny(got, " >")]); start < 0 || !bytes.HasPrefix(want[start:], got) {
			t.Errorf("%s: got\n%s\nwant\n%s", filepath.Base(file), got, want)
		}
	}
}
