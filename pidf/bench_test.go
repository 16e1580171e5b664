package pidf

import (
	"os"
	"testing"
)

func document(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("../xmltree/testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func BenchmarkParse(b *testing.B) {
	for _, name := range []string{"presence-600.xml", "presence-2k.xml"} {
		b.Run(name, func(b *testing.B) {
			data := document(b, name)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(data, Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendTo(b *testing.B) {
	for _, name := range []string{"presence-600.xml", "presence-2k.xml"} {
		b.Run(name, func(b *testing.B) {
			d := mustParse(b, string(document(b, name)))
			var out []byte
			b.ReportAllocs()
			for b.Loop() {
				out = d.AppendTo(out[:0])
			}
		})
	}
}

// Reading costs a few allocations a segment, printing into a large enough
// buffer none.
func TestAllocations(t *testing.T) {
	data := document(t, "presence-600.xml")
	if got := testing.AllocsPerRun(100, func() {
		if _, err := Parse(data, Limits{}); err != nil {
			t.Fatal(err)
		}
	}); got > 8 {
		t.Errorf("reading takes %v allocations, want 7", got)
	}
	d := mustParse(t, string(data))
	out := d.AppendTo(nil)
	if got := testing.AllocsPerRun(100, func() { out = d.AppendTo(out[:0]) }); got > 0 {
		t.Errorf("printing takes %v allocations, want none", got)
	}
}
