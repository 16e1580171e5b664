//go:build corpus

package presence

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vigie/event"
)

func corpus(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("VIGIE_CORPUS")
	if dir == "" {
		t.Fatal("VIGIE_CORPUS is not set")
	}
	return dir
}

// TestEmittedDocumentsAreValid holds documents composed of the RFCs' examples,
// alone and together, and of random histories, against the RFCs' schemas
// (PDF-03, PDF-12, PDF-14, PDF-15).
func TestEmittedDocumentsAreValid(t *testing.T) {
	dir := corpus(t)
	files, err := filepath.Glob(filepath.Join(dir, "testdata/rfc/*-presence.xml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no presence documents in the corpus: %v", err)
	}
	p := New(Options{})
	var all []event.Publication
	var documents []string
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(data), "entity=") {
			continue // RFC 4479 §7.1 forgot it
		}
		x := live(t, p, len(all)+1, string(data))
		all = append(all, x)
		documents = append(documents, shown(t, p, composed(t, p, ten.Add(time.Hour), x)))
	}
	for i := range all {
		documents = append(documents, shown(t, p, composed(t, p, ten.Add(time.Hour), all[:i+1]...)))
	}
	histories := rapid.Custom(func(rt *rapid.T) string {
		r := random{rt}
		h := &history{random: r, p: New(Options{Policy: r.policy()})}
		for range rapid.IntRange(0, 6).Draw(rt, "steps") {
			h.step()
		}
		_, text := h.shown(h.now(), h.live)
		return text
	})
	for seed := range 400 {
		documents = append(documents, histories.Example(seed))
	}
	validate(t, filepath.Join(dir, "schemas/all.xsd"), documents)
}

var named = regexp.MustCompile(`<c:display-name xml:lang="[^"]*">`)

// validate checks all documents in one run of xmllint (Debian libxml2-utils).
func validate(t *testing.T, schema string, documents []string) {
	t.Helper()
	dir := t.TempDir()
	arguments := []string{"--nonet", "--noout", "--schema", schema}
	for i, d := range documents {
		name := filepath.Join(dir, fmt.Sprintf("%04d.xml", i))
		// RFC 4480 §3.2 defines lunch (RPD-03) and RFC 4482 §3.2 a name in several
		// languages (EXT-02); their schemas forgot it.
		d = strings.ReplaceAll(d, "<rpid:lunch/>", "<rpid:dinner/>")
		d = named.ReplaceAllString(d, "<c:display-name>")
		if err := os.WriteFile(name, []byte(d), 0o600); err != nil {
			t.Fatal(err)
		}
		arguments = append(arguments, name)
	}
	out, err := exec.Command("xmllint", arguments...).CombinedOutput()
	if valid := strings.Count(string(out), " validates\n"); err == nil && valid == len(documents) {
		return
	}
	shown := 0
	for line := range strings.Lines(string(out)) {
		if strings.HasSuffix(line, " validates\n") || shown == 5 {
			continue
		}
		shown++
		var i int
		if _, other := fmt.Sscanf(strings.TrimPrefix(line, dir+"/"), "%d.xml", &i); other != nil {
			i = 0
		}
		t.Errorf("PDF-15/valid: %s%s", line, documents[i])
	}
	t.Fatalf("xmllint over %d documents: %v", len(documents), err)
}
