package xmltree

import (
	"os"
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
