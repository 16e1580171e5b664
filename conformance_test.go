package vigie_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// docs/conformance.md says which test shows which row of the conformance
// checklist. The tests below keep it true as far as a program can: what it
// names exists and names the row; whether it shows it is for a reader to judge.

// conformanceRow is one row of docs/conformance.md.
type conformanceRow struct {
	id, what, rfc, status string
	tests                 []namedTest
}

// namedTest is a test function in a file, or what rules.something checks in
// every scenario, or, without a name, a scenario.
type namedTest struct{ file, name string }

var (
	rowLine  = regexp.MustCompile(`^\| ([A-Z]{3}-[0-9]{2}) \| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]*)\|$`)
	evidence = regexp.MustCompile("^`([^`]+)`(?: `((?:Test|Fuzz)[A-Za-z0-9]+|rules[.][a-z]+)`)?$")
	idRange  = regexp.MustCompile(`\b([A-Z]{3})-([0-9]{2})\.\.([0-9]{2})\b`)
)

func TestConformanceStatement(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range conformanceRows(t) {
		if seen[r.id] {
			t.Errorf("%s is there twice", r.id)
		}
		seen[r.id] = true
		kind, _, _ := strings.Cut(r.status, ":")
		kind, _, _ = strings.Cut(kind, ";")
		switch kind {
		case "shown", "partly":
			if len(r.tests) == 0 {
				t.Errorf("%s is %s, by no test", r.id, kind)
			}
		case "later":
			if len(r.tests) > 0 {
				t.Errorf("%s comes later and names a test already", r.id)
			}
		default:
			t.Errorf("%s: the status %q is none of shown, partly, later", r.id, r.status)
		}
		for _, test := range r.tests {
			if fault := test.fault(r.id); fault != "" {
				t.Errorf("%s: %s", r.id, fault)
			}
		}
	}
	if len(seen) < 200 {
		t.Errorf("%d rows read, there are more", len(seen))
	}
}

// fault says what is wrong with naming this test for a row; "" for nothing.
func (n namedTest) fault(id string) string {
	source, err := os.ReadFile(n.file)
	switch {
	case err != nil:
		return err.Error()
	case n.name == "" && filepath.Ext(n.file) != ".txt":
		return n.file + " is no scenario, and no test in it is named"
	case n.name != "" && !strings.Contains(string(source), "\nfunc "+strings.Replace(n.name, "rules.", "(r *rules) ", 1)+"("):
		return n.file + " has no " + n.name
	case !names(string(source), id):
		return n.file + " does not name it"
	}
	return ""
}

// names tells whether a text names a row, alone or in a range such as
// EVT-18..20.
func names(text, id string) bool {
	if strings.Contains(text, id) {
		return true
	}
	number, _ := strconv.Atoi(id[4:])
	for _, found := range idRange.FindAllStringSubmatch(text, -1) {
		first, _ := strconv.Atoi(found[2])
		last, _ := strconv.Atoi(found[3])
		if found[1] == id[:3] && first <= number && number <= last {
			return true
		}
	}
	return false
}

func conformanceRows(t *testing.T) []conformanceRow {
	t.Helper()
	text, err := os.ReadFile("docs/conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []conformanceRow
	for i, line := range strings.Split(string(text), "\n") {
		if !regexp.MustCompile(`^\| [A-Z]{3}-[0-9]`).MatchString(line) {
			continue
		}
		m := rowLine.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("docs/conformance.md:%d: %s is no row of five columns", i+1, line)
			continue
		}
		r := conformanceRow{id: m[1], what: m[2], rfc: m[3], status: m[4]}
		if cell := strings.TrimSpace(m[5]); cell != "" {
			if r.tests, err = readTests(cell); err != nil {
				t.Errorf("docs/conformance.md:%d: %v", i+1, err)
			}
		}
		rows = append(rows, r)
	}
	return rows
}

func readTests(cell string) ([]namedTest, error) {
	var tests []namedTest
	for _, item := range strings.Split(cell, ", ") {
		m := evidence.FindStringSubmatch(item)
		if m == nil {
			return nil, fmt.Errorf("%s: want a scenario, or a file and a test", item)
		}
		n := namedTest{file: m[1], name: m[2]}
		if n.name == "" {
			n.file = filepath.Join("app/testdata/scenarios", n.file)
		}
		tests = append(tests, n)
	}
	return tests, nil
}
