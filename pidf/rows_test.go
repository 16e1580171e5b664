package pidf

import (
	"errors"
	"go/build"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vigie/xmltree"
)

// head begins a document that uses every prefix; tail ends it.
const (
	head = `<?xml version="1.0" encoding="UTF-8"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model"
 xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" xmlns:c="urn:ietf:params:xml:ns:pidf:cipid" xmlns:caps="urn:ietf:params:xml:ns:pidf:caps"
 xmlns:ts="urn:ietf:params:xml:ns:pidf:timed-status" xmlns:lt="urn:ietf:params:xml:ns:location-type" xmlns:x="urn:example:x" entity="sip:alice@example.com">`
	tail = `</presence>`
)

func tuple(inside string) string {
	return head + `<tuple id="t"><status><basic>open</basic></status>` + inside + `</tuple>` + tail
}

func person(inside string) string {
	return head + `<dm:person id="p">` + inside + `</dm:person>` + tail
}

// everything holds one of each.
const everything = head + `
 <tuple id="t1"><status><basic>open</basic><x:in-status/></status>
  <dm:deviceID>urn:uuid:1</dm:deviceID><dm:deviceID>urn:uuid:2</dm:deviceID>
  <rpid:class>email</rpid:class><rpid:privacy><rpid:text/><rpid:audio/></rpid:privacy>
  <rpid:relationship><rpid:note>n</rpid:note><rpid:assistant/></rpid:relationship><rpid:service-class><rpid:electronic/></rpid:service-class>
  <rpid:status-icon>http://example.com/mail.png</rpid:status-icon>
  <rpid:user-input idle-threshold="600" last-input="2004-10-21T13:20:00-05:00">idle</rpid:user-input>
  <ts:timed-status from="2005-08-15T10:20:00.000-05:00" until="2005-08-22T19:30:00.000-05:00"><ts:basic>closed</ts:basic><ts:note>gone</ts:note></ts:timed-status>
  <caps:servcaps><caps:audio>true</caps:audio><caps:methods><caps:supported><caps:INVITE/></caps:supported></caps:methods>
   <caps:priority><caps:supported><caps:range minvalue="1" maxvalue="5"/></caps:supported></caps:priority><x:cap/></caps:servcaps>
  <c:card>http://example.com/card.vcd</c:card><c:display-name xml:lang="en">Alice</c:display-name><x:ext a="1">t</x:ext>
  <contact priority="0.8">sip:alice@example.com</contact><note xml:lang="en">Hello</note><timestamp>2026-11-05T10:20:30Z</timestamp>
 </tuple>
 <note>All</note>
 <dm:person id="p1">
  <rpid:activities from="2005-05-30T12:00:00+05:00" until="2005-05-30T17:00:00+05:00"><rpid:note>Far away</rpid:note><rpid:away/><rpid:other>x</rpid:other><x:swim/></rpid:activities>
  <rpid:class>calendar</rpid:class><rpid:mood><rpid:angry/><rpid:other>brooding</rpid:other></rpid:mood>
  <rpid:place-is><rpid:audio><rpid:noisy/></rpid:audio></rpid:place-is><rpid:place-type><lt:residence/></rpid:place-type>
  <rpid:privacy><rpid:unknown/></rpid:privacy><rpid:sphere><rpid:work/></rpid:sphere><rpid:status-icon>http://example.com/play.gif</rpid:status-icon>
  <rpid:time-offset description="EDT">-240</rpid:time-offset><rpid:user-input>active</rpid:user-input>
  <c:icon>http://example.com/me.png</c:icon><x:more/><dm:note>Scoring 120</dm:note><dm:timestamp>2005-05-30T16:09:44+05:00</dm:timestamp>
 </dm:person>
 <dm:device id="d1"><rpid:user-input>idle</rpid:user-input><caps:devcaps><caps:mobility><caps:supported><caps:fixed/></caps:supported></caps:mobility></caps:devcaps>
  <dm:deviceID>urn:uuid:1</dm:deviceID><dm:note>PC</dm:note></dm:device>
 <x:root/>` + tail

func TestRefusals(t *testing.T) {
	for _, test := range []struct{ name, source, want string }{
		{"PDF-04/no-root", `<status xmlns="urn:ietf:params:xml:ns:pidf"/>`,
			`pidf: line 1, column 1: root element is status of namespace "urn:ietf:params:xml:ns:pidf", not presence of urn:ietf:params:xml:ns:pidf`},
		{"PDF-01/other-namespace", `<presence entity="sip:alice@example.com"/>`, `root element is presence of namespace ""`},
		{"PDF-01/N-09/trailing-colon", `<presence xmlns="urn:ietf:params:xml:ns:pidf:" entity="sip:alice@example.com"/>`, `namespace "urn:ietf:params:xml:ns:pidf:"`},
		{"PDF-04/no-entity", `<presence xmlns="urn:ietf:params:xml:ns:pidf"/>`, "presence has no entity"},
		{"PDF-04/empty-entity", `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity=" "/>`, "presence has no entity"},
		{"PDF-04/no-tuple-id", head + "\n <tuple><status/></tuple>" + tail, "line 5, column 2: tuple has no id"},
		{"PDF-04/no-status", head + `<tuple id="t"><basic>open</basic></tuple>` + tail, `tuple "t" has no status`},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, err := Parse([]byte(test.source), Limits{})
			var refusal *Error
			if !errors.As(err, &refusal) || !strings.Contains(err.Error(), test.want) || d != nil {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

// SEC-06, seen through Parse: each hostile document has its own error.
func TestHostileDocuments(t *testing.T) {
	for _, test := range []struct{ name, source, want string }{
		{"SEC-06/dtd", `<!DOCTYPE presence [<!ENTITY a "b">]>` + everything[strings.Index(everything, "<presence"):], "document type declaration"},
		{"SEC-06/entity", tuple(`<note>&xxe;</note>`), "entity &xxe; is not declared"},
		{"SEC-06/nested", head + strings.Repeat("<x:a>", 100_000), "more than 64 nested elements"},
		{"SEC-06/size", tuple("<note>" + strings.Repeat("x", 10<<20) + "</note>"), "more than 1048576 bytes"},
		{"SEC-06/duplicate-attribute", tuple(`<contact priority="1" priority="0"/>`), "attribute priority occurs twice"},
		{"SEC-06/utf-8", tuple("<note>\xff</note>"), "byte 0xff is not UTF-8"},
		{"SEC-06/unclosed", head, "is not closed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := Parse([]byte(test.source), Limits{}); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
	t.Run("PDF-02/encoding", func(t *testing.T) {
		var encoding *xmltree.EncodingError
		if _, err := Parse([]byte(strings.Replace(everything, "UTF-8", "ISO-8859-15", 1)), Limits{}); !errors.As(err, &encoding) {
			t.Errorf("got %v, want an EncodingError", err)
		}
	})
}

// PDF-01: the prefix is the author's choice.
func TestAnyPrefix(t *testing.T) {
	d := mustParse(t, `<q:presence xmlns:q="urn:ietf:params:xml:ns:pidf" xmlns="urn:ietf:params:xml:ns:pidf:data-model" entity="sip:alice@example.com">
		<q:tuple id="t"><q:status><q:basic>open</q:basic></q:status></q:tuple><person id="p"><note>n</note></person></q:presence>`)
	if len(d.Tuples) != 1 || d.Tuples[0].Basic != Open || len(d.Persons) != 1 || len(d.Persons[0].Notes) != 1 {
		t.Errorf("read %+v", d)
	}
}

// PDF-04, PDF-13: order does not matter, damage stays where it is.
func TestLenientReading(t *testing.T) {
	d := mustParse(t, head+`<dm:device id="d"><dm:timestamp>2026-11-05T10:20:30Z</dm:timestamp><dm:deviceID>urn:uuid:1</dm:deviceID></dm:device>
		<note>first</note><dm:person/>
		<tuple id="1 no name" extra="x"><timestamp>yesterday</timestamp><note>n</note><contact priority="2"> sip:alice@example.com </contact>
		 <rpid:user-input>sleeping</rpid:user-input><status>?<basic> closed
		 </basic><basic>open</basic></status>stray</tuple>
		<tuple id="t2"><status><basic>maybe</basic></status><contact>sip:alice@example.com</contact></tuple><unknown/>`+tail)
	want := &Document{
		Entity: "sip:alice@example.com",
		Tuples: []Tuple{
			{ID: "1 no name", Basic: Closed, Contact: Contact{URI: "sip:alice@example.com"}, Notes: []Note{{Text: "n"}}},
			{ID: "t2", Contact: Contact{URI: "sip:alice@example.com"}},
		},
		Notes: []Note{{Text: "first"}}, Persons: []Person{{}},
		Devices: []Device{{ID: "d", DeviceID: "urn:uuid:1", Timestamp: time.Date(2026, 11, 5, 10, 20, 30, 0, time.UTC)}},
	}
	diff(t, "document", want, d)
}

// PDF-01, PDF-02, PDF-03, PDF-06, PDF-12 and rule 5 for devices, to the letter.
func TestPrintedForm(t *testing.T) {
	d := &Document{
		Entity:  "sip:alice@example.com",
		Tuples:  []Tuple{{ID: "t", Basic: Open, Contact: Contact{"sip:alice@example.com", "0.8"}, Notes: []Note{{"en", "a<b"}}}},
		Persons: []Person{{ID: "p", Activities: []Activities{{Values: []string{"away"}}}, Notes: []Note{{Text: "n"}}}},
		Devices: []Device{{ID: "d", DeviceID: "urn:uuid:1"}},
		Notes:   []Note{{Text: "all"}},
	}
	const want = `<?xml version="1.0" encoding="UTF-8"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" entity="sip:alice@example.com">` +
		`<tuple id="t"><status><basic>open</basic></status><contact priority="0.8">sip:alice@example.com</contact><note xml:lang="en">a&lt;b</note></tuple>` +
		`<note>all</note><dm:person id="p"><rpid:activities><rpid:away/></rpid:activities><dm:note>n</dm:note></dm:person>` +
		`<dm:device id="d"><dm:deviceID>urn:uuid:1</dm:deviceID></dm:device></presence>` + "\n"
	if got := string(d.AppendTo(nil)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	t.Run("PDF-06/no-status-is-closed", func(t *testing.T) {
		out := string((&Document{Tuples: []Tuple{{ID: "t"}}}).AppendTo(nil))
		if !strings.Contains(out, "<status><basic>closed</basic></status>") {
			t.Error(out)
		}
	})
	t.Run("RPD-03/nothing-invalid-is-printed", func(t *testing.T) {
		built := Activities{Values: []string{"unknown", "a><b", "busy"}}
		out := string((&Document{Persons: []Person{{ID: "p", Activities: []Activities{built}}}}).AppendTo(nil))
		if !strings.Contains(out, "<rpid:activities><rpid:busy/></rpid:activities>") {
			t.Error(out)
		}
		if strings.Join(built.Values, " ") != "unknown a><b busy" {
			t.Errorf("printing changed the values to %v", built.Values)
		}
	})
}

func TestContactPriority(t *testing.T) {
	for given, want := range map[string]string{
		"0": "0", "1": "1", "0.": "0", "1.": "1", "0.8": "0.8", "0.123": "0.123", "1.000": "1.000", "0.000": "0.000",
		"": "", "2": "", "1.1": "", "-0.1": "", "0.1234": "", ".5": "", "0,5": "", "0x5": "", "1e0": "", "00": "", "0.5.": "", // N-12: the dot is a dot
	} {
		d := mustParse(t, tuple(`<contact priority="`+given+`">sip:alice@example.com</contact>`))
		if got := d.Tuples[0].Contact.Priority; got != want {
			t.Errorf("PDF-07: priority %q is read as %q, want %q", given, got, want)
		}
	}
	for priority, want := range map[string]int{"": -1, "0": 0, "1": 1000, "0.8": 800, "0.125": 125, "1.000": 1000, "0.05": 50} {
		if got := (Contact{Priority: priority}).Thousandths(); got != want {
			t.Errorf("PDF-07: %q is %d thousandths, want %d", priority, got, want)
		}
	}
}

func TestNotes(t *testing.T) {
	d := mustParse(t, tuple(`<note xml:lang="en">one</note><note xml:lang="fr">un</note><note xml:lang="!">?</note><dm:note>near</dm:note>`))
	want := []Note{{"en", "one"}, {"fr", "un"}, {"", "?"}, {"", "near"}}
	if got := cmp.Diff(want, d.Tuples[0].Notes); got != "" {
		t.Errorf("PDF-08: notes differ:\n%s", got)
	}
	d = mustParse(t, strings.Replace(person(`<rpid:activities><dm:note>a</dm:note><rpid:note>b</rpid:note><rpid:away/></rpid:activities><note>c</note>`),
		"entity=", `xml:lang="fr" entity=`, 1))
	if got, want := d.Persons[0].Activities[0].Notes, []Note{{"fr", "a"}, {"fr", "b"}}; cmp.Diff(want, got) != "" {
		t.Errorf("RPD-11, N-14: notes of activities are %v, want %v", got, want)
	}
	if got, want := d.Persons[0].Notes, []Note{{"fr", "c"}}; cmp.Diff(want, got) != "" {
		t.Errorf("N-14: notes of the person are %v, want %v", got, want)
	}
	if out := string(d.AppendTo(nil)); !strings.Contains(out, `<rpid:note xml:lang="fr">a</rpid:note>`) || !strings.Contains(out, `<dm:note xml:lang="fr">c</dm:note>`) {
		t.Errorf("RPD-11, N-14: %s", out)
	}
}

func TestTimestamps(t *testing.T) {
	for given, want := range map[string]string{
		"2026-11-05T10:20:30Z":           "2026-11-05T10:20:30Z",
		" 2026-11-05t10:20:30.500z ":     "2026-11-05T10:20:30.5Z",
		"2026-11-05T10:20:30+05:30":      "2026-11-05T04:50:30Z",
		"2026-11-05T10:20:30":            "2026-11-05T10:20:30Z",
		"2026-11-05":                     "",
		"2026-13-05T10:20:30Z":           "",
		"0000-01-01T00:00:00Z":           "",
		"9999-12-31T23:59:59-01:00":      "",
		"2026-11-05T10:20:30.123456789Z": "2026-11-05T10:20:30.123456789Z",
	} {
		d := mustParse(t, tuple(`<timestamp>`+given+`</timestamp>`))
		out := string(d.AppendTo(nil))
		if want != "" {
			want = "<timestamp>" + want + "</timestamp>"
		}
		if !strings.Contains(out, want+"</tuple>") || want == "" && strings.Contains(out, "<timestamp>") {
			t.Errorf("PDF-09: %q prints as %s, want %q", given, out, want)
		}
	}
}

// PDF-10, PDF-11, EXT-05, EXT-06: what is unknown passes through whole,
// wherever a schema lets it stand.
func TestUnknownElements(t *testing.T) {
	const foreign = `<x:a  b = '1' x:c="&#65;"><!-- c --><x:d>t&amp;<![CDATA[<]]></x:d ></x:a>`
	const alone = `<x:a xmlns:x="urn:example:x"  b = '1' x:c="&#65;"><!-- c --><x:d>t&amp;<![CDATA[<]]></x:d ></x:a>`
	for name, source := range map[string]string{
		"presence":     head + foreign + tail,
		"tuple":        tuple(foreign),
		"status":       head + `<tuple id="t"><status>` + foreign + `<basic>open</basic></status></tuple>` + tail,
		"person":       person(foreign),
		"device":       head + `<dm:device id="d"><dm:deviceID>urn:uuid:1</dm:deviceID>` + foreign + `</dm:device>` + tail,
		"activities":   person(`<rpid:activities>` + foreign + `</rpid:activities>`),
		"sphere":       person(`<rpid:sphere>` + foreign + `</rpid:sphere>`),
		"place-type":   person(`<rpid:place-type>` + foreign + `</rpid:place-type>`),
		"timed-status": tuple(`<ts:timed-status from="2026-11-05T10:20:30Z">` + foreign + `</ts:timed-status>`),
	} {
		t.Run("PDF-10/"+name, func(t *testing.T) {
			if out := string(mustParse(t, source).AppendTo(nil)); !strings.Contains(out, alone) {
				t.Errorf("%s\nlacks %s", out, alone)
			}
		})
	}
	t.Run("PDF-10/attributes", func(t *testing.T) {
		out := string(mustParse(t, person(`<rpid:activities x:a="&lt;" x:b="2"><rpid:away/></rpid:activities>`)).AppendTo(nil))
		if want := `<rpid:activities x:a="&lt;" xmlns:x="urn:example:x" x:b="2">`; !strings.Contains(out, want) {
			t.Errorf("%s\nlacks %s", out, want)
		}
	})
	t.Run("PDF-11/N-11/must-understand", func(t *testing.T) {
		d := mustParse(t, `<q:presence xmlns:q="urn:ietf:params:xml:ns:pidf" entity="sip:alice@example.com"><q:tuple id="t"><q:status>`+
			`<y xmlns="urn:example:y" q:mustUnderstand="1"/><q:basic>open</q:basic></q:status></q:tuple></q:presence>`)
		if tuple := d.Tuples[0]; tuple.Basic != Open || len(tuple.StatusExtensions) != 1 {
			t.Errorf("read %+v", tuple)
		}
	})
	t.Run("PDF-10/equality", func(t *testing.T) {
		a := Element{"urn:example:x", "a", `<x:a xmlns:x="urn:example:x" b="1" c="2"/>`}
		b := Element{"urn:example:x", "a", `<x:a c='2'  b='1' xmlns:x='urn:example:x' xmlns:y="urn:y"></x:a>`}
		c := Element{"urn:example:x", "a", `<x:a c='2'  b='1' xmlns:x='urn:example:x'> </x:a>`}
		if !a.Equal(b) || !a.Equal(a) || a.Equal(c) {
			t.Errorf("equality is %v, %v, %v", a.Equal(b), a.Equal(a), a.Equal(c))
		}
	})
}

// RPD-01: an element in the wrong place stays there, as content.
func TestMisplacedElements(t *testing.T) {
	d := mustParse(t, tuple(`<rpid:activities id="t" from="2026-11-05T10:20:30Z"><rpid:away/><nonsense/></rpid:activities><rpid:sphere><rpid:work/></rpid:sphere>`+
		`<rpid:nonsense/><caps:devcaps><caps:nonsense/></caps:devcaps><rpid:place-type><lt:office/></rpid:place-type>`))
	var got []string
	for _, e := range d.Tuples[0].Extensions {
		got = append(got, e.XML)
	}
	want := []string{
		`<rpid:activities xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" from="2026-11-05T10:20:30Z"><rpid:away/><nonsense xmlns="urn:ietf:params:xml:ns:pidf"/></rpid:activities>`,
		`<rpid:sphere xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid"><rpid:work/></rpid:sphere>`,
		`<rpid:nonsense xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid"/>`,
		`<caps:devcaps xmlns:caps="urn:ietf:params:xml:ns:pidf:caps"></caps:devcaps>`,
		`<rpid:place-type xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" xmlns:lt="urn:ietf:params:xml:ns:location-type"><lt:office/></rpid:place-type>`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("RPD-01: extensions differ:\n%s", d)
	}
	if len(d.Persons) != 0 {
		t.Errorf("RPD-01: %v came from a tuple", d.Persons)
	}
	d = mustParse(t, person(`<rpid:relationship><rpid:friend/></rpid:relationship><rpid:service-class><rpid:postal/></rpid:service-class>`))
	if n := len(d.Persons[0].Extensions); n != 2 {
		t.Errorf("RPD-01: person keeps %d elements, want 2", n)
	}
	d = mustParse(t, head+`<dm:device id="d"><dm:deviceID>urn:uuid:1</dm:deviceID><rpid:mood><rpid:sad/></rpid:mood><rpid:privacy><rpid:text/></rpid:privacy></dm:device>`+tail)
	if n := len(d.Devices[0].Extensions); n != 2 {
		t.Errorf("RPD-01: device keeps %d elements, want 2", n)
	}
}

// SEC-14, RPD-08, EXT-02: nothing here could fetch a URI if it wanted to.
func TestNoNetwork(t *testing.T) {
	for _, dir := range []string{".", "../xmltree"} {
		p, err := build.ImportDir(dir, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range p.Imports {
			if root, _, _ := strings.Cut(path, "/"); path != "net/url" && (root == "net" || root == "os" || root == "syscall" || strings.Contains(root, ".")) {
				t.Errorf("SEC-14: %s imports %s", dir, path)
			}
		}
	}
}
