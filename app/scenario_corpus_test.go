//go:build corpus

package app

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestScenarioDocumentsAreValid plays all scenarios and holds every document
// that a watcher got against the RFCs' schemas by xmllint (Debian
// libxml2-utils): PDF-03, PDF-15 on the whole server.
func TestScenarioDocumentsAreValid(t *testing.T) {
	corpus := os.Getenv("VIGIE_CORPUS")
	if corpus == "" {
		t.Fatal("VIGIE_CORPUS is not set")
	}
	files, err := filepath.Glob("testdata/scenarios/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	dir := t.TempDir()
	arguments := []string{"--nonet", "--noout", "--schema", filepath.Join(corpus, "schemas/all.xsd")}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		play, err := readScenario(string(text))
		if err != nil {
			t.Fatal(err)
		}
		for i, document := range perform(t, file, play) {
			name := filepath.Join(dir, fmt.Sprintf("%s-%02d.xml", strings.TrimSuffix(filepath.Base(file), ".txt"), i))
			if err := os.WriteFile(name, []byte(document), 0o600); err != nil {
				t.Fatal(err)
			}
			arguments = append(arguments, name)
		}
	}
	out, err := exec.Command("xmllint", arguments...).CombinedOutput()
	if valid := strings.Count(string(out), " validates\n"); err != nil || valid != len(arguments)-4 {
		t.Errorf("PDF-15: %d of %d documents are valid: %v\n%s", valid, len(arguments)-4, err, out)
	}
}
