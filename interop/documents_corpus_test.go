//go:build corpus

package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Every presence document of the RFCs, and some that phones make, published by
// several devices at once: what watchers are sent validates against the RFCs'
// schemas (PDF-15), names the presentity that was subscribed (PRS-06) and is
// UTF-8 with a declaration (PDF-02).
func TestNotifiedDocumentsAreValid(t *testing.T) {
	t.Parallel()
	corpus := os.Getenv("VIGIE_CORPUS")
	if corpus == "" {
		t.Fatal("VIGIE_CORPUS is not set")
	}
	xmllint := program(t, "xmllint", "libxml2-utils")
	files, err := filepath.Glob(filepath.Join(corpus, "testdata", "rfc", "*-presence.xml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no presence documents in the corpus (%v)", err)
	}
	documents := map[string]string{
		"softphone": strings.Replace(pidf("alice", "unknown", "", ""), "<dm:person", "<dm:person id=\"p4159\"><rpid:activities/></dm:person><dm:person", 1),
		"two names": strings.ReplaceAll(pidf("alice", "open", "böse &amp; &lt;gut&gt;", "dinner"), "t1", "1 t"),
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		documents[strings.TrimSuffix(filepath.Base(f), "-presence.xml")] = string(b)
	}
	s := start(t, setup{})
	n := 0
	check := func(t *testing.T, owner, other *phone) {
		d := other.subscription("sip:" + owner.user + "@example.com")
		want(t, other.ask(d.subscribe(0)), 200)
		m := d.notify()
		file := filepath.Join(t.TempDir(), "notified.xml")
		if err := os.WriteFile(file, []byte(m.body), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(xmllint, "--nonet", "--noout", "--schema", filepath.Join(corpus, "schemas", "all.xsd"), file).CombinedOutput()
		if err != nil {
			t.Errorf("PDF-15: %v\n%s\n%s", err, indent(string(out)), indent(m.body))
		}
		if !strings.HasPrefix(m.body, "<?xml ") || !strings.Contains(m.body, `entity="`+d.uri+`"`) {
			t.Errorf("PDF-02, PRS-06: want a declaration and entity %s in\n%s", d.uri, indent(m.body))
		}
	}
	watcher := dial(t, s.addr(), "TCP", "bob")
	first := pidf("alice", "open", "first", "away")
	accepted := 0
	for name, document := range documents {
		n++
		user := fmt.Sprintf("alice%d", n)
		t.Run(name, func(t *testing.T) {
			owner := dial(t, s.addr(), "TCP", user)
			want(t, owner.ask(owner.publish(600, "", first)), 200)
			// Some examples of the RFCs are no PIDF at all, or no XML: 400.
			r := owner.ask(owner.publish(600, "", document))
			if r.status() == 200 {
				accepted++
			} else if r.status() != 400 {
				t.Errorf("PUBLISH: %s, want 200 or 400", r.start)
			}
			check(t, owner, watcher)
		})
	}
	if accepted < len(documents)/2 {
		t.Errorf("only %d of %d documents were accepted", accepted, len(documents))
	}
}
