// Package vigie_test keeps the picture of ARCHITECTURE.md true: imports point
// down, edges do not know each other, only app names a driver.
package vigie_test

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// floors is the house. A package stands on one floor and imports only from the
// floors below. A pattern ending in "/..." covers what is inside a folder.
var floors = map[string]int{
	"interop":         7, // tests against peers nobody here wrote
	"cmd/vigie":       6,
	"app":             5,
	"sipserver":       4,
	"xcap":            4,
	"xmpp":            4,
	"api":             4,
	"presence":        3,
	"dialoginfo":      3,
	"mwi":             3,
	"sip/transaction": 2,
	"policy":          2,
	"registrar":       2,
	"rls":             2,
	"event":           1,
	"sip/transport":   1,
	"pidf":            1,
	"auth":            1,
	"store/...":       1,
	"sip":             0,
	"xmltree":         0,
	"store":           0,
	"console":         0,
}

// pure packages compute: they open no socket and no file.
var pure = []string{"sip", "xmltree", "pidf", "policy", "presence"}

type listed struct {
	ImportPath string
	Imports    []string
}

func TestImportsPointDown(t *testing.T) {
	for _, p := range list(t) {
		name := strings.TrimPrefix(p.ImportPath, "vigie/")
		if name == "vigie" {
			continue // this folder holds no package, only this test
		}
		own, ok := floorOf(name)
		if !ok {
			t.Errorf("%s stands on no floor: give it one in floors_test.go and ARCHITECTURE.md", name)
			continue
		}
		for _, imported := range p.Imports {
			other, ours := strings.CutPrefix(imported, "vigie/")
			if !ours {
				continue
			}
			below, ok := floorOf(other)
			if ok && below >= own {
				t.Errorf("%s (floor %d) imports %s (floor %d): imports point down only", name, own, other, below)
			}
			if isDriver(other) && name != "app" && name != "interop" {
				t.Errorf("%s imports the driver %s: only app names a driver", name, other)
			}
		}
	}
}

func TestPurePackagesTouchNothing(t *testing.T) {
	for _, p := range list(t) {
		name := strings.TrimPrefix(p.ImportPath, "vigie/")
		if !slices.Contains(pure, name) {
			continue
		}
		for _, imported := range p.Imports {
			switch imported {
			case "net", "net/http", "os", "os/exec", "database/sql", "syscall":
				t.Errorf("%s imports %s, but is meant to be pure", name, imported)
			}
		}
	}
}

func TestConfigurationIsReadOnlyByApp(t *testing.T) {
	for _, p := range list(t) {
		name := strings.TrimPrefix(p.ImportPath, "vigie/")
		if name != "app" && slices.Contains(p.Imports, "github.com/BurntSushi/toml") {
			t.Errorf("%s reads TOML: only app reads the configuration file", name)
		}
	}
}

var citation = regexp.MustCompile(`RFC ([0-9]{3,5})`)

func TestEveryCitedRFCHasARow(t *testing.T) {
	table, err := os.ReadFile("docs/rfc.md")
	if err != nil {
		t.Fatal(err)
	}
	missing := map[string]string{}
	err = filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(name, ".go") {
			return err
		}
		source, err := os.ReadFile(name)
		for _, cited := range citation.FindAllSubmatch(source, -1) {
			if number := string(cited[1]); !strings.Contains(string(table), "\n| "+number+" |") {
				missing[number] = name
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for number, name := range missing {
		t.Errorf("docs/rfc.md has no row for RFC %s, which %s cites", number, name)
	}
}

func floorOf(name string) (int, bool) {
	if f, ok := floors[name]; ok {
		return f, true
	}
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if f, ok := floors[dir+"/..."]; ok {
			return f, true
		}
		if f, ok := floors[dir]; ok {
			return f, true
		}
	}
	return 0, false
}

// isDriver tells whether a package is one of the stores one can choose.
func isDriver(name string) bool {
	return strings.HasPrefix(name, "store/") && name != "store/storetest"
}

func list(t *testing.T) []listed {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		all = append(all, p)
	}
}
