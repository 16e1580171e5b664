package pidf

import (
	"fmt"
	"testing"
)

// FuzzParse: what is printed of any document that can be read can be read
// again, and prints the same; Check says what Parse says. No input makes the
// parser panic (SEC-17).
func FuzzParse(f *testing.F) {
	f.Add([]byte(everything))
	f.Add(document(f, "presence-600.xml"))
	f.Add(document(f, "presence-2k.xml"))
	f.Add([]byte(tuple(`<rpid:activities xmlns:rpid="urn:x" rpid:a="1"/><note xml:lang="en">&#13;</note>`)))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := Parse(data, Limits{})
		if checked := Check(string(data), Limits{}); fmt.Sprint(checked) != fmt.Sprint(err) {
			t.Fatalf("Check says %v, Parse %v", checked, err)
		}
		if err != nil {
			return
		}
		once := d.AppendTo(nil)
		again, err := Parse(once, Limits{Depth: 100, Bytes: 1 << 24})
		if err != nil {
			t.Fatalf("%v in\n%s", err, once)
		}
		if twice := again.AppendTo(nil); string(twice) != string(once) {
			t.Fatalf("printed\n%s\nthen\n%s", once, twice)
		}
	})
}
