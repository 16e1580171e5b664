package presence

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"vigie/event"
	"vigie/pidf"
)

// at puts a timestamp of minute n after ten behind what is inside an element.
func at(n int) string {
	return "<timestamp>" + ten.Add(time.Duration(n)*time.Minute).Format(time.RFC3339) + "</timestamp>"
}

func stampedTuple(id, basic, inside string, minute int) string {
	return fmt.Sprintf(`<tuple id="%s"><status><basic>%s</basic></status>%s%s</tuple>`, id, basic, inside, at(minute))
}

func TestAttributesByPrecedence(t *testing.T) {
	p := New(Options{})
	// P1 was created first but speaks last, by its timestamp.
	older := document(stampedTuple("t", "closed", `<rpid:class>first</rpid:class><c:card>http://example.com/1</c:card>`+
		`<x:one>1</x:one><x:both>1</x:both><note>first</note>`, 1) +
		personOf(`<rpid:mood><rpid:happy/></rpid:mood><rpid:place-is><rpid:audio><rpid:noisy/></rpid:audio></rpid:place-is>`+
			`<rpid:sphere><rpid:work/></rpid:sphere><c:icon>http://example.com/i1</c:icon><x:one>1</x:one><x:both>1</x:both>`+
			`<dm:note>p1</dm:note><dm:note xml:lang="fr">p1f</dm:note><dm:timestamp>2026-11-23T10:01:00Z</dm:timestamp>`))
	newer := document(stampedTuple("t", "closed", `<rpid:class>second</rpid:class><c:homepage>http://example.com/2</c:homepage>`+
		`<x:two>2</x:two><x:both>2</x:both>`, 0) +
		personOf(`<rpid:mood><rpid:sad/></rpid:mood><rpid:time-offset>60</rpid:time-offset><c:icon>http://example.com/i2</c:icon>`+
			`<x:both>2</x:both><dm:note>p2</dm:note><dm:timestamp>2026-11-23T10:00:00Z</dm:timestamp>`))
	w := composed(t, p, ten.Add(time.Hour), live(t, p, 1, older), live(t, p, 2, newer))
	if len(w.document.Tuples) != 1 || len(w.document.Persons) != 1 {
		t.Fatalf("not merged: %s", shown(t, p, w))
	}
	service, self := w.document.Tuples[0], w.document.Persons[0]
	names := func(list []pidf.Element) (all []string) {
		for _, e := range list {
			all = append(all, e.Local+":"+e.XML[strings.IndexByte(e.XML, '>')+1:][:1])
		}
		return all
	}
	for _, c := range []struct {
		name      string
		got, want any
	}{
		{"newest-class", service.Class, "first"},
		{"CIPID-by-name-card", service.CIPID.Card, "http://example.com/1"},
		{"CIPID-by-name-homepage", service.CIPID.Homepage, "http://example.com/2"},
		{"PDF-10/unknown-by-name", fmt.Sprint(names(service.Extensions)), "[one:1 both:1 two:2]"},
		{"note-of-the-only-one-that-has-any", fmt.Sprint(service.Notes), "[{ first}]"},
		{"newest-mood", self.Moods[0].Values[0], "happy"},
		{"only-place-is", self.PlaceIs[0].Audio, "noisy"},
		{"only-time-offset", self.TimeOffsets[0].Minutes, 60},
		{"newest-icon", self.CIPID.Icon, "http://example.com/i1"},
		{"PDF-10/unknown-of-person", fmt.Sprint(names(self.Extensions)), "[one:1 both:1]"},
		{"PDF-08/notes-of-one-source-in-all-languages", fmt.Sprint(self.Notes), "[{ p1} {fr p1f}]"},
		{"PDF-05/id-of-the-oldest", service.ID + " " + self.ID, "t me"},
		{"newest-timestamp", service.Timestamp.Truncate(time.Second), ten.Add(time.Minute)},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
}

func TestNotes(t *testing.T) {
	p := New(Options{})
	beside := document(`<note>beside</note>`)
	within := document(personOf(`<dm:note>within</dm:note>`))
	both := document(`<note xml:lang="en">outer</note><note xml:lang="fr">dehors</note>` + personOf(`<dm:note>inner</dm:note>`))
	tests := []struct {
		name            string
		bodies          []string
		outside, inside string
	}{
		{"PDF-08/beside", []string{beside}, "[{ beside}]", ""},
		{"PDF-08/both-of-one-publication", []string{both}, "[{en outer} {fr dehors}]", "[{ inner}]"},
		{"newest-is-within", []string{beside, within}, "[]", "[{ within}]"},
		{"newest-is-beside", []string{within, beside}, "[{ beside}]", "[]"},
		{"newest-has-both", []string{within, beside, both}, "[{en outer} {fr dehors}]", "[{ inner}]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var inputs []event.Publication
			for i, body := range test.bodies {
				inputs = append(inputs, live(t, p, i+1, body))
			}
			d := composed(t, p, ten.Add(time.Hour), inputs...).document
			inside := ""
			if len(d.Persons) > 0 {
				inside = fmt.Sprint(d.Persons[0].Notes)
			}
			if got := fmt.Sprint(d.Notes); got != test.outside || inside != test.inside {
				t.Errorf("beside %s, within %s, want %s and %s", got, inside, test.outside, test.inside)
			}
		})
	}
}

func ids(d *pidf.Document) (all []string) {
	for _, x := range d.Tuples {
		all = append(all, x.ID)
	}
	for _, x := range d.Persons {
		all = append(all, x.ID)
	}
	for _, x := range d.Devices {
		all = append(all, x.ID)
	}
	return all
}

func TestIDs(t *testing.T) {
	p := New(Options{Policy: Policy{Services: KeepServices, Persons: KeepPersons}})
	tests := []struct {
		name   string
		bodies []string
		want   []string
	}{
		{"PDF-05/own-id", []string{document(tuple("abc", "open", "", ""))}, []string{"abc"}},
		{"PDF-05/no-NCName", []string{document(tuple("1 é:", "open", "", ""))}, []string{"_1_é_"}},
		{"PDF-05/same-id-twice", []string{document(tuple("a", "open", "", "") + tuple("a", "open", "", "") + tuple("a.2", "open", "", "") +
			`<dm:person id="a"/>`)}, []string{"a", "a.2", "a.3", "a.4"}},
		{"PDF-05/persons-and-devices-without-id", []string{document(`<dm:person/><dm:person/><dm:device/>`)},
			[]string{"person", "person.2", "device"}},
		{"PDF-05/second-publication", []string{document(tuple("a", "open", "", "")), document(tuple("a", "open", "", ""))},
			[]string{"a", "p2-a"}},
		{"PDF-05/looks-prefixed", []string{document(tuple("p2-a", "open", "", "")), document(tuple("a", "open", "", ""))},
			[]string{"_p2-a", "p2-a"}},
		{"PDF-05/looks-like-ours", []string{document(tuple(ownPrefix+"x", "open", "", ""))}, []string{"_v-x"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var inputs []event.Publication
			for i, body := range test.bodies {
				inputs = append(inputs, live(t, p, i+1, body))
			}
			got := ids(&composed(t, p, ten.Add(time.Hour), inputs...).document)
			if strings.HasPrefix(got[0], ownPrefix) {
				got = got[1:] // the tuple of documents without one
			}
			slices.Sort(got)
			slices.Sort(test.want)
			if !slices.Equal(got, test.want) {
				t.Errorf("ids %q, want %q", got, test.want)
			}
		})
	}
	t.Run("PDF-05/stays-while-others-come-and-go", func(t *testing.T) {
		second := live(t, p, 2, document(tuple("a", "open", "", "")))
		first := live(t, p, 1, document(tuple("a", "closed", "", "")))
		for _, inputs := range [][]event.Publication{{first, second}, {second}, {second, live(t, p, 3, document(tuple("a", "open", "", "")))}} {
			if got := ids(&composed(t, p, ten.Add(time.Hour), inputs...).document); !slices.Contains(got, "p2-a") {
				t.Errorf("ids %q lack p2-a", got)
			}
		}
	})
}

func TestTimestamps(t *testing.T) {
	p := New(Options{})
	newestOf := func(inputs ...event.Publication) time.Time {
		d, err := pidf.Parse([]byte(shown(t, p, composed(t, p, ten.Add(time.Hour), inputs...))), pidf.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		return newest(d)
	}
	first := live(t, p, 1, document(stampedTuple("t", "open", "", 1)))
	second := live(t, p, 2, document(stampedTuple("u", "open", "<contact>tel:+1</contact>", 0)))
	third := live(t, p, 3, document(stampedTuple("v", "open", "<contact>tel:+2</contact>", 0)))
	t.Run("PDF-09/never-twice-with-different-content", func(t *testing.T) {
		seen := make(map[time.Time]int)
		for i, inputs := range [][]event.Publication{
			{first}, {first, second}, {first, third}, {first, second, third},
			{live(t, p, 1, document(stampedTuple("t", "closed", "", 1))), second},
		} {
			at := newestOf(inputs...)
			if other, twice := seen[at]; twice {
				t.Errorf("documents %d and %d have the newest timestamp %s", other, i, at)
			}
			seen[at] = i
		}
	})
	t.Run("PDF-09/the-second-is-the-published-one", func(t *testing.T) {
		if got := newestOf(first, second).Truncate(time.Second); !got.Equal(ten.Add(time.Minute)) {
			t.Errorf("%s", got)
		}
	})
	t.Run("PDF-09/a-clock-ahead", func(t *testing.T) {
		ahead := live(t, p, 1, document(stampedTuple("t", "open", "", 600)))
		if got := newestOf(ahead).Truncate(time.Second); !got.Equal(ahead.Updated) {
			t.Errorf("timestamp %s, want that of reception, %s", got, ahead.Updated)
		}
	})
	t.Run("PDF-09/form", func(t *testing.T) {
		offset := strings.Replace(document(stampedTuple("t", "open", "", 1)), "2026-11-23T10:01:00Z", "2026-11-23t12:01:00+02:00", 1)
		text := shown(t, p, composed(t, p, ten.Add(time.Hour), live(t, p, 1, offset)))
		if !strings.Contains(text, "<timestamp>2026-11-23T10:01:00.") || !strings.Contains(text, "Z</timestamp>") {
			t.Error(text)
		}
	})
	t.Run("no-timestamp-is-invented", func(t *testing.T) {
		if got := newestOf(live(t, p, 1, document(tuple("t", "open", "", "")))); !got.IsZero() {
			t.Errorf("%s", got)
		}
	})
}

func TestBoundaries(t *testing.T) {
	p := New(Options{})
	body := document(tuple("t", "open", "", `<ts:timed-status from="2026-11-23T11:00:00Z" until="2026-11-23T12:00:00Z"><ts:basic>closed</ts:basic></ts:timed-status>`) +
		personOf(`<rpid:activities from="2026-11-23T10:30:00Z" until="2026-11-23T11:30:00Z"><rpid:meeting/></rpid:activities>`+
			`<rpid:activities><rpid:away/></rpid:activities><rpid:mood until="2026-11-23T10:45:00Z"><rpid:happy/></rpid:mood>`+
			`<rpid:class>c</rpid:class>`))
	minute := func(n int) time.Time { return ten.Add(time.Duration(n) * time.Minute) }
	steps := []struct {
		now, next   time.Time
		does        string
		mood, timed int
		dropped     pidf.Basic
		applied     pidf.Basic
	}{
		{minute(10), minute(30), "away", 1, 1, pidf.Open, pidf.Open},
		{minute(30), minute(45), "meeting,away", 1, 1, pidf.Open, pidf.Open},
		{minute(45), minute(60), "meeting,away", 0, 1, pidf.Open, pidf.Open},
		{minute(60), minute(90), "meeting,away", 0, 0, pidf.Open, pidf.Closed},
		{minute(90), minute(120), "away", 0, 0, pidf.Open, pidf.Closed},
		{minute(120), time.Time{}, "away", 0, 1, pidf.Open, pidf.Open},
	}
	apply := New(Options{Policy: Policy{TimedStatus: ApplyTimed}})
	for _, s := range steps {
		t.Run(s.now.Format("RPD-02/15h04"), func(t *testing.T) {
			w := composed(t, p, s.now, live(t, p, 1, body))
			d := w.document
			var does []string
			for _, a := range d.Persons[0].Activities {
				does = append(does, a.Values...)
			}
			if got := strings.Join(does, ","); got != s.does || len(d.Persons[0].Moods) != s.mood {
				t.Errorf("does %s, %d moods, want %s, %d", got, len(d.Persons[0].Moods), s.does, s.mood)
			}
			if !w.Next().Equal(s.next) {
				t.Errorf("next change %s, want %s", w.Next(), s.next)
			}
			// EXT-01
			if got := d.Tuples[0]; got.Basic != s.dropped || len(got.TimedStatuses) != s.timed {
				t.Errorf("EXT-01/dropped: %s, %d timed, want %s, %d", got.Basic, len(got.TimedStatuses), s.dropped, s.timed)
			}
			if got := composed(t, apply, s.now, live(t, apply, 1, body)).document.Tuples[0]; got.Basic != s.applied || len(got.TimedStatuses) != s.timed {
				t.Errorf("EXT-01/applied: %s, want %s", got.Basic, s.applied)
			}
		})
	}
	t.Run("registration-expires", func(t *testing.T) {
		w := composed(t, p, ten, binding(1, Registration{Contact: "sip:a@b", Alive: true, Expires: minute(7)}))
		if !w.Next().Equal(minute(7)) {
			t.Errorf("next change %s, want %s", w.Next(), minute(7))
		}
	})
}

func TestSame(t *testing.T) {
	p := New(Options{})
	body := document(stampedTuple("t", "open", "", 1) + doing("away"))
	base := live(t, p, 1, body)
	same := func(a, b *whole) bool { return a.Same(b) && b.Same(a) }
	w := composed(t, p, ten.Add(time.Hour), base)
	t.Run("CMP-12/refresh", func(t *testing.T) {
		refreshed := base
		refreshed.Expires = refreshed.Expires.Add(time.Hour)
		if !same(w, composed(t, p, ten.Add(2*time.Hour), refreshed)) {
			t.Error("a refresh is a change")
		}
	})
	t.Run("CMP-12/same-body-again", func(t *testing.T) {
		again := live(t, p, 1, strings.ReplaceAll(body, "/>", " />"))
		again.Updated = again.Updated.Add(time.Minute)
		if !same(w, composed(t, p, ten.Add(2*time.Hour), again)) {
			t.Error("the same state published again is a change")
		}
	})
	t.Run("CMP-12/redundant-publication", func(t *testing.T) {
		second := live(t, p, 2, document(tuple("u", "closed", "", "")+doing("away")))
		if !same(w, composed(t, p, ten.Add(time.Hour), base, second)) {
			t.Error("a publication that adds nothing is a change")
		}
	})
	for name, other := range map[string]string{
		"basic":    strings.Replace(body, "open", "closed", 1),
		"activity": strings.Replace(body, "away", "busy", 1),
		"note":     document(stampedTuple("t", "open", "<note>n</note>", 1) + doing("away")),
		"id":       strings.Replace(body, `"t"`, `"u"`, 1),
		"time":     strings.Replace(body, "10:01", "10:00", 1),
	} {
		if same(w, composed(t, p, ten.Add(time.Hour), live(t, p, 1, other))) {
			t.Errorf("CMP-12/%s: a change is not seen", name)
		}
	}
}

func TestPassedThrough(t *testing.T) {
	p := New(Options{})
	geopriv := `<gp:geopriv xmlns:gp="urn:ietf:params:xml:ns:pidf:geopriv10"><gp:location-info/><gp:usage-rules/></gp:geopriv>`
	oma := `<op:willingness xmlns:op="urn:oma:xml:prs:pidf:oma-pres"><op:basic>open</op:basic></op:willingness>`
	must := `<x:needed mustUnderstand="true" xmlns:x="urn:example:x" >a<!-- kept --></x:needed>`
	caps := `<caps:servcaps xmlns:caps="urn:ietf:params:xml:ns:pidf:caps"><caps:audio>true</caps:audio></caps:servcaps>`
	body := document(`<tuple id="t"><status><basic>open</basic>` + must + geopriv + `</status>` + oma + caps +
		`<ts:timed-status from="2030-01-01T00:00:00Z"><ts:basic>closed</ts:basic></ts:timed-status></tuple>` +
		personOf(`<c:display-name xml:lang="en">Alice</c:display-name><c:display-name xml:lang="fr">Alix</c:display-name>`+must) +
		`<dm:device id="d">` + geopriv + `<dm:deviceID>urn:uuid:1</dm:deviceID></dm:device>` + oma)
	got := shown(t, p, composed(t, p, ten.Add(time.Hour), live(t, p, 1, body)))
	for name, want := range map[string]string{
		"PDF-10/byte-by-byte":         must,
		"PDF-11/basic-stays-usable":   `<status><basic>open</basic>` + must,
		"EXT-01/future-timed-status":  `<ts:timed-status from="2030-01-01T00:00:00Z">`,
		"EXT-02/display-name-en":      `<c:display-name xml:lang="en">Alice</c:display-name>`,
		"EXT-02/display-name-fr":      `<c:display-name xml:lang="fr">Alix</c:display-name>`,
		"EXT-03/servcaps":             caps,
		"EXT-05/geopriv-in-status":    geopriv + `</status>`,
		"EXT-05/geopriv-in-device":    `<dm:device id="d">` + geopriv,
		"EXT-06/OMA-in-tuple":         oma,
		"PDF-03/extensions-come-last": `</dm:device>` + oma + `</presence>`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s: %s is not in\n%s", name, want, got)
		}
	}
}

func TestInputsAreNotChanged(t *testing.T) {
	p := New(Options{Policy: Policy{StripLastInput: true, TimedStatus: ApplyTimed}})
	body := document(`<note>n</note><x:a/>` + stampedTuple("t", "open", `<rpid:user-input last-input="2026-11-23T09:00:00Z">idle</rpid:user-input>`+
		`<ts:timed-status from="2026-11-23T09:00:00Z"><ts:basic>closed</ts:basic></ts:timed-status><x:a/>`, 1) +
		personOf(`<rpid:activities><rpid:away/><rpid:unknown/></rpid:activities><rpid:mood until="2026-11-23T10:30:00Z"><rpid:happy/></rpid:mood><x:a/>`))
	other := strings.ReplaceAll(strings.ReplaceAll(body, "x:a/", "x:b/"), "away", "busy")
	a, b := live(t, p, 1, body), live(t, p, 2, other)
	before := string(a.State.(*published).document.AppendTo(nil)) + string(b.State.(*published).document.AppendTo(nil))
	for _, n := range []int{0, 20, 40} {
		composed(t, p, ten.Add(time.Duration(n)*time.Minute), a, b, binding(3, Registration{Contact: "sip:a@b", Alive: true, Instance: "urn:uuid:1"}))
	}
	after := string(a.State.(*published).document.AppendTo(nil)) + string(b.State.(*published).document.AppendTo(nil))
	if before != after {
		t.Errorf("inputs were written to: before\n%s\nafter\n%s", before, after)
	}
}
