package pidf

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// randomness draws documents as a well-meaning program would build them.
type randomness struct {
	*rapid.T
	ids int
}

func randomDocument(t *rapid.T) *Document {
	r := &randomness{T: t}
	d := &Document{Entity: r.uri()}
	d.Tuples = some(r, 3, r.tuple)
	d.Notes = some(r, 2, r.note)
	d.Persons = some(r, 2, r.person)
	d.Devices = some(r, 2, r.device)
	d.Extensions = some(r, 2, r.element)
	return d
}

func some[T any](r *randomness, most int, make func() T) []T {
	var list []T
	for range rapid.IntRange(0, most).Draw(r.T, "count") {
		list = append(list, make())
	}
	return list
}

func maybe[T any](r *randomness, make func() T) *T {
	if !r.yes() {
		return nil
	}
	value := make()
	return &value
}

func (r *randomness) yes() bool { return rapid.Bool().Draw(r.T, "yes") }

func (r *randomness) one(of ...string) string { return rapid.SampledFrom(of).Draw(r.T, "one") }

func (r *randomness) id() string {
	r.ids++
	return fmt.Sprintf("%s%d", r.one("a", "_", "t-", "é."), r.ids)
}

func (r *randomness) text() string {
	return rapid.StringOf(rapid.RuneFrom([]rune("ab <>&\"']\t\n\réø😀\u0085\ufffd"))).Draw(r.T, "text")
}

func (r *randomness) uri() string {
	return r.one("sip:alice@example.com", "sip:bob@example.com;transport=tcp?a=b&c=d", "tel:+33123456789", "pres:carol@example.com",
		"http://example.com/a%20b?c#d", "urn:uuid:00000000-0000-1000-8000-000A95A0E128", "mailto:dave@example.com", "im:erin@example.com", "é", "a/b")
}

func (r *randomness) lang() string { return r.one("", "", "en", "fr-CA", "i-default") }

func (r *randomness) note() Note { return Note{r.lang(), r.text()} }

func (r *randomness) time() time.Time {
	if !r.yes() {
		return time.Time{}
	}
	return r.always()
}

func (r *randomness) always() time.Time {
	return time.Unix(rapid.Int64Range(-62135510400, 253402300799).Draw(r.T, "seconds"),
		rapid.SampledFrom([]int64{0, 0, 500_000_000, 123_456_789}).Draw(r.T, "nanoseconds")).UTC()
}

func (r *randomness) element() Element {
	return rapid.SampledFrom([]Element{
		{"urn:example:x", "x", `<x xmlns="urn:example:x"/>`},
		{"urn:example:x", "y", `<p:y xmlns:p="urn:example:x"  a = 'b' p:c="&lt;"><!-- kept --><![CDATA[<&]]><p:z/> </p:y>`},
		{"urn:example:y", "deep", `<deep xmlns="urn:example:y"><none xmlns="">t&#233;xt</none></deep>`},
		{"urn:oma:xml:prs:pidf:oma-pres", "willingness", `<op:willingness xmlns:op="urn:oma:xml:prs:pidf:oma-pres"><op:basic>open</op:basic></op:willingness>`},
	}).Draw(r.T, "element")
}

func (r *randomness) meta() Meta {
	m := Meta{From: r.time(), Until: r.time(), Attributes: r.one("", "", ` x:a="&lt;1" xmlns:x="urn:example:x" x:b=""`)}
	if r.yes() {
		m.ID = r.id()
	}
	return m
}

// enumeration draws what g allows.
func (r *randomness) enumeration(g *grammar) func() Enumeration {
	values := g.values
	if values == nil {
		values = []string{"office", "place-of-worship", "street", "unknown"}
	}
	return func() Enumeration {
		e := Enumeration{Notes: some(r, 2, r.note)}
		if g.meta {
			e.Meta = r.meta()
		}
		e.Values = distinct(some(r, 3, func() string { return r.one(values...) }))
		e.Other = some(r, 2, r.note)
		e.Foreign = some(r, 2, r.element)
		if !g.settle(&e) {
			e.Values = []string{"unknown"}
		}
		if len(e.Values) == 0 {
			e.Values = nil
		}
		return e
	}
}

func distinct(values []string) (out []string) {
	for _, v := range values {
		if !(&Enumeration{Values: out}).Has(v) {
			out = append(out, v)
		}
	}
	return out
}

func (r *randomness) tuple() Tuple {
	t := Tuple{
		ID: r.id(), Basic: Basic(r.one("open", "closed")), StatusExtensions: some(r, 2, r.element),
		DeviceIDs: some(r, 2, r.uri), Class: r.one("", "work", "a b"),
		Relationship: maybe(r, r.enumeration(&relationship)), ServiceClass: maybe(r, r.enumeration(&serviceClass)),
		Privacy: some(r, 2, r.enumeration(&privacy)), StatusIcons: some(r, 2, r.statusIcon), UserInput: maybe(r, r.userInput),
		TimedStatuses: some(r, 2, r.timedStatus), CIPID: r.cipid(), Extensions: some(r, 2, r.element),
		Notes: some(r, 2, r.note), Timestamp: r.time(),
	}
	if r.yes() {
		t.Contact = Contact{r.uri(), r.one("", "0", "1", "0.8", "0.125", "1.000", "0.0")}
	}
	if len(t.StatusExtensions) > 0 && r.yes() {
		t.Basic = ""
	}
	return t
}

func (r *randomness) person() Person {
	return Person{
		ID: r.id(), Activities: some(r, 2, r.enumeration(&activities)), Class: r.one("", "work"),
		Moods: some(r, 2, r.enumeration(&mood)), PlaceTypes: some(r, 2, r.enumeration(&placeType)), Privacy: some(r, 2, r.enumeration(&privacy)),
		PlaceIs: some(r, 2, func() PlaceIs {
			return PlaceIs{r.meta(), some(r, 2, r.note), r.one("", "noisy", "ok", "quiet", "unknown"),
				r.one("", "toobright", "ok", "dark", "unknown"), r.one("", "uncomfortable", "inappropriate", "ok", "unknown")}
		}),
		Spheres: some(r, 2, func() Sphere {
			if r.yes() {
				return Sphere{Meta: r.meta(), Value: r.one("home", "work", "unknown")}
			}
			return Sphere{Meta: r.meta(), Foreign: []Element{r.element()}}
		}),
		StatusIcons: some(r, 2, r.statusIcon),
		TimeOffsets: some(r, 2, func() TimeOffset {
			return TimeOffset{r.meta(), rapid.IntRange(-840, 840).Draw(r.T, "minutes"), r.text()}
		}),
		UserInput: maybe(r, r.userInput), CIPID: r.cipid(), Extensions: some(r, 2, r.element), Notes: some(r, 2, r.note), Timestamp: r.time(),
	}
}

func (r *randomness) device() Device {
	return Device{ID: r.id(), DeviceID: r.uri(), Class: r.one("", "work"), UserInput: maybe(r, r.userInput),
		Extensions: some(r, 2, r.element), Notes: some(r, 2, r.note), Timestamp: r.time()}
}

func (r *randomness) statusIcon() StatusIcon { return StatusIcon{r.meta(), r.uri()} }

func (r *randomness) userInput() UserInput {
	meta := r.meta()
	return UserInput{meta.ID, r.yes(), time.Duration(rapid.IntRange(0, 900).Draw(r.T, "idle")) * time.Second, r.time(), meta.Attributes}
}

func (r *randomness) timedStatus() TimedStatus {
	return TimedStatus{r.always(), r.time(), Basic(r.one("", "open", "closed")), maybe(r, r.note), some(r, 2, r.element)}
}

func (r *randomness) cipid() *CIPID {
	if !r.yes() {
		return nil
	}
	return &CIPID{Card: r.uri(), DisplayNames: some(r, 2, r.note), Homepage: r.one("", "http://example.com/~alice"), Map: r.one("", "a.gml")}
}

// PDF-03, PDF-07, PDF-08, PDF-12, RPD-03 to RPD-10: whatever is built, what is
// printed reads back as the same.
func TestPrintedReadsBack(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		d := randomDocument(r)
		out := d.AppendTo(nil)
		again, err := Parse(out, Limits{})
		if err != nil {
			r.Fatalf("%v in\n%s", err, out)
		}
		if difference := cmp.Diff(d, again); difference != "" {
			r.Fatalf("documents differ (-built +read):\n%s\n%s", difference, out)
		}
	})
}
