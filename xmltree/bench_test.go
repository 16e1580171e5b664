package xmltree

import (
	"io"
	"os"
	"strings"
	"testing"
)

func document(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func BenchmarkParse(b *testing.B) {
	for _, name := range []string{"presence-600.xml", "presence-2k.xml"} {
		b.Run(name, func(b *testing.B) {
			data := document(b, name)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(data, Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkScan(b *testing.B) {
	for _, name := range []string{"presence-600.xml", "presence-2k.xml"} {
		b.Run(name, func(b *testing.B) {
			source := string(document(b, name))
			b.SetBytes(int64(len(source)))
			b.ReportAllocs()
			for b.Loop() {
				if err := Scan(source, Limits{}, blind); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func blind(Node) error { return nil }

// What Scan read before leaves nothing behind, whether it was good, bad or large;
// reading once more costs nothing.
func TestScan(t *testing.T) {
	small := string(document(t, "presence-600.xml"))
	for _, before := range []string{small, "<a><b c='d'>", "<a>" + strings.Repeat("<b c='d'/>", 5000) + "</a>", "x"} {
		_ = Scan(before, Limits{}, blind)
		tree, _ := Parse([]byte(small), Limits{})
		err := Scan(small, Limits{}, func(root Node) error {
			if got, want := root.Canonical(), tree.Root().Canonical(); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			return io.EOF
		})
		if err != io.EOF {
			t.Errorf("the error is %v, want the one of the function", err)
		}
	}
	if got := testing.AllocsPerRun(100, func() { _ = Scan(small, Limits{}, blind) }); got > 1 {
		t.Errorf("%v allocations, want none (one where the race detector has pools forget)", got)
	}
}

// A document costs the copy of its bytes, the tree, its nodes and its
// attributes, however many there are of them.
func TestParseAllocates(t *testing.T) {
	for _, name := range []string{"presence-600.xml", "presence-2k.xml"} {
		data := document(t, name)
		got := testing.AllocsPerRun(100, func() {
			if _, err := Parse(data, Limits{}); err != nil {
				t.Fatal(err)
			}
		})
		if got > 5 {
			t.Errorf("%s: %v allocations, want at most 5", name, got)
		}
	}
}
