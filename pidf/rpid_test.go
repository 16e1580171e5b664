package pidf

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// placeTypes are the values of RFC 4589 §3.
var placeTypes = strings.Fields(`aircraft airport arena automobile bank bar bicycle bus bus-station cafe classroom club construction
	convention-center government hospital hotel industrial library motorcycle office outdoors parking place-of-worship prison
	public public-transport residence restaurant school shopping-area stadium store street theater train train-station truck
	underway unknown warehouse water watercraft`)

func TestEnumerations(t *testing.T) {
	if len(activities.values) != 26 || len(mood.values) != 60 || len(placeTypes) != 43 {
		t.Fatalf("%d activities, %d moods, %d places besides other", len(activities.values), len(mood.values), len(placeTypes))
	}
	for row, g := range map[string]*grammar{
		"RPD-03/": &activities, "RPD-04/": &mood, "RPD-05/": &placeType, "RPD-06/privacy-": &privacy,
		"RPD-06/relationship-": &relationship, "RPD-07/": &serviceClass,
	} {
		values, prefix := g.values, "rpid"
		if values == nil {
			values, prefix = placeTypes, "lt"
		}
		for _, value := range values {
			t.Run(row+value, func(t *testing.T) {
				element := "<rpid:" + g.name + "><" + prefix + ":" + value + "/></rpid:" + g.name + ">"
				d := mustParse(t, tuple(element)[:len(tuple(element))-len(tail)]+`<dm:person id="p">`+element+`</dm:person>`+tail)
				var got []Enumeration
				for _, e := range []*Enumeration{d.Tuples[0].Relationship, d.Tuples[0].ServiceClass} {
					if e != nil {
						got = append(got, *e)
					}
				}
				p := d.Persons[0]
				got = append(append(append(append(got, p.Activities...), p.Moods...), p.PlaceTypes...), p.Privacy...)
				if want := []Enumeration{{Values: []string{value}}}; cmp.Diff(want, got) != "" {
					t.Errorf("read %+v", got)
				}
				if out := string(d.AppendTo(nil)); !strings.Contains(out, element) {
					t.Errorf("%s\nlacks %s", out, element)
				}
			})
		}
	}
}

func TestChoices(t *testing.T) {
	for _, test := range []struct{ name, in, out string }{
		{"RPD-03/unknown-alone", `<rpid:activities><rpid:unknown/><rpid:busy/></rpid:activities>`, `<rpid:activities><rpid:busy/></rpid:activities>`},
		{"RPD-03/unknown-stays", `<rpid:activities><rpid:unknown/></rpid:activities>`, `<rpid:activities><rpid:unknown/></rpid:activities>`},
		{"RPD-03/empty", `<rpid:activities/>`, `<rpid:activities></rpid:activities>`},
		{"RPD-03/several", `<rpid:activities><rpid:vacation/><rpid:other>reading</rpid:other><rpid:breakfast/></rpid:activities>`,
			`<rpid:activities><rpid:vacation/><rpid:breakfast/><rpid:other>reading</rpid:other></rpid:activities>`},
		{"RPD-03/N-13/lunch", `<rpid:activities><rpid:lunch/></rpid:activities>`, `<rpid:activities><rpid:lunch/></rpid:activities>`},
		{"RPD-03/name-of-nobody", `<rpid:activities><rpid:juggling/></rpid:activities>`, `<rpid:activities><rpid:other>juggling</rpid:other></rpid:activities>`},
		{"RPD-03/twice", `<rpid:activities><rpid:away/><rpid:away/></rpid:activities>`, `<rpid:activities><rpid:away/></rpid:activities>`},
		{"RPD-04/none", `<rpid:mood/>`, ``},
		{"RPD-04/only-a-note", `<rpid:mood><rpid:note>hm</rpid:note></rpid:mood>`, `<rpid:mood><rpid:note>hm</rpid:note><rpid:unknown/></rpid:mood>`},
		{"RPD-04/late-note", `<rpid:mood><rpid:in_awe/><rpid:note>wow</rpid:note></rpid:mood>`, `<rpid:mood><rpid:note>wow</rpid:note><rpid:in_awe/></rpid:mood>`},
		{"RPD-05/other-place", `<rpid:place-type><rpid:other>igloo</rpid:other></rpid:place-type>`, `<rpid:place-type><rpid:other>igloo</rpid:other></rpid:place-type>`},
		{"RPD-05/place-is", `<rpid:place-is><rpid:text><rpid:ok/></rpid:text><rpid:audio><rpid:dark/><rpid:quiet/></rpid:audio><rpid:video><rpid:toobright/></rpid:video></rpid:place-is>`,
			`<rpid:place-is><rpid:audio><rpid:quiet/></rpid:audio><rpid:video><rpid:toobright/></rpid:video><rpid:text><rpid:ok/></rpid:text></rpid:place-is>`},
		{"RPD-06/privacy-order", `<rpid:privacy><rpid:video/><rpid:text/><rpid:audio/></rpid:privacy>`, `<rpid:privacy><rpid:audio/><rpid:text/><rpid:video/></rpid:privacy>`},
		{"RPD-06/sphere", `<rpid:sphere><rpid:home/></rpid:sphere>`, `<rpid:sphere><rpid:home/></rpid:sphere>`},
		{"RPD-06/sphere-text", `<rpid:sphere>bowling league</rpid:sphere>`, ``},
		{"RPD-08/offset", `<rpid:time-offset description="CET">+60</rpid:time-offset>`, `<rpid:time-offset description="CET">60</rpid:time-offset>`},
		{"RPD-08/no-number", `<rpid:time-offset>one</rpid:time-offset>`, ``},
		{"RPD-08/icon", `<rpid:status-icon id="i">http://example.com/a b.png</rpid:status-icon>`, `<rpid:status-icon id="i">http://example.com/a%20b.png</rpid:status-icon>`},
		{"RPD-08/id-taken", `<rpid:status-icon id="p">http://example.com/</rpid:status-icon>`, `<rpid:status-icon>http://example.com/</rpid:status-icon>`},
		{"RPD-09/idle", `<rpid:user-input idle-threshold="600" last-input="2026-11-05T11:20:30+01:00">idle</rpid:user-input>`,
			`<rpid:user-input idle-threshold="600" last-input="2026-11-05T10:20:30Z">idle</rpid:user-input>`},
		{"RPD-09/nonsense", `<rpid:user-input idle-threshold="-1" last-input="now">active</rpid:user-input>`, `<rpid:user-input>active</rpid:user-input>`},
		{"RPD-09/neither", `<rpid:user-input>asleep</rpid:user-input>`, ``},
		{"RPD-10/one-class", `<rpid:class> Work
			Life </rpid:class><rpid:class>home</rpid:class>`, `<rpid:class>Work Life</rpid:class>`},
		{"EXT-02/once", `<c:card>http://example.com/1</c:card><c:card>http://example.com/2</c:card>`, `<c:card>http://example.com/1</c:card>`},
		{"EXT-02/N-15/languages", `<c:display-name xml:lang="en">Alice</c:display-name><c:display-name xml:lang="fr">Alix</c:display-name>`,
			`<c:display-name xml:lang="en">Alice</c:display-name><c:display-name xml:lang="fr">Alix</c:display-name>`},
	} {
		t.Run(test.name, func(t *testing.T) {
			out := string(mustParse(t, person(test.in)).AppendTo(nil))
			_, inside, _ := strings.Cut(out, `<dm:person id="p">`)
			if inside, _, _ = strings.Cut(inside, "</dm:person>"); inside != test.out {
				t.Errorf("got  %s\nwant %s", inside, test.out)
			}
		})
	}
}

// RPD-02: from and until are read where RFC 4480 §3.1 gives them a meaning.
func TestIntervals(t *testing.T) {
	const interval = ` from="2026-11-05T10:00:00Z" until="2026-11-05T11:00:00Z"`
	at := func(clock string) time.Time {
		moment, err := time.Parse(time.TimeOnly, clock)
		if err != nil {
			t.Fatal(err)
		}
		return moment.AddDate(2026, 10, 4)
	}
	p := mustParse(t, person(`<rpid:activities`+interval+`/><rpid:mood`+interval+`><rpid:sad/></rpid:mood><rpid:place-is`+interval+`/><rpid:place-type`+interval+
		`><lt:bar/></rpid:place-type><rpid:privacy`+interval+`/><rpid:sphere`+interval+`/><rpid:status-icon`+interval+`>a:b</rpid:status-icon><rpid:time-offset`+interval+`>0</rpid:time-offset>`)).Persons[0]
	for i, m := range []Meta{p.Activities[0].Meta, p.Moods[0].Meta, p.PlaceIs[0].Meta, p.PlaceTypes[0].Meta, p.Privacy[0].Meta, p.Spheres[0].Meta,
		p.StatusIcons[0].Meta, p.TimeOffsets[0].Meta} {
		if m.From != at("10:00:00") || m.Until != at("11:00:00") {
			t.Errorf("RPD-02: element %d holds from %v until %v", i, m.From, m.Until)
		}
	}
	m := p.Activities[0].Meta
	for clock, want := range map[string]bool{"09:59:59": false, "10:00:00": true, "10:59:59": true, "11:00:00": false} {
		if got := m.Current(at(clock)); got != want {
			t.Errorf("RPD-02: current at %s is %v", clock, got)
		}
	}
	for clock, want := range map[string]time.Time{"09:00:00": at("10:00:00"), "10:00:00": at("11:00:00"), "11:00:00": {}} {
		if got := m.Next(at(clock)); got != want {
			t.Errorf("RPD-02: the boundary after %s is %v, want %v", clock, got, want)
		}
	}
	if m := (Meta{}); !m.Current(at("10:00:00")) || !m.Next(at("10:00:00")).IsZero() {
		t.Error("RPD-02: an element without interval is not always current")
	}
	if m := (Meta{From: at("11:00:00"), Until: at("10:00:00")}); !m.Next(at("09:00:00")).IsZero() {
		t.Error("RPD-02: an interval turned round has boundaries")
	}
}

func TestTimedStatus(t *testing.T) {
	d := mustParse(t, tuple(`<ts:timed-status from="2026-11-05T10:00:00Z"><ts:note>n</ts:note><ts:basic>closed</ts:basic></ts:timed-status>`+
		`<ts:timed-status until="2026-11-05T10:00:00Z"><ts:basic>closed</ts:basic></ts:timed-status>`))
	want := []TimedStatus{{From: time.Date(2026, 11, 5, 10, 0, 0, 0, time.UTC), Basic: Closed, Note: &Note{Text: "n"}}}
	if got := cmp.Diff(want, d.Tuples[0].TimedStatuses); got != "" {
		t.Errorf("EXT-01: timed statuses differ:\n%s", got)
	}
	d = mustParse(t, person(`<ts:timed-status from="2026-11-05T10:00:00Z"/>`))
	if got := d.Persons[0].Extensions; len(got) != 1 || got[0].Local != "timed-status" {
		t.Errorf("EXT-01: a person's timed-status became %v", got)
	}
}

func TestCapabilities(t *testing.T) {
	d := mustParse(t, tuple(`<caps:servcaps x:a="1"><caps:video>false</caps:video><caps:audio> 1 </caps:audio><caps:audio>false</caps:audio><x:more><x:deep/></x:more>
		<caps:methods><caps:notsupported><caps:INVITE/><caps:BYE/></caps:notsupported><caps:supported><caps:INVITE/><caps:CHAT/></caps:supported></caps:methods>
		<caps:schemes><caps:supported><caps:s>sip</caps:s></caps:supported><caps:notsupported/></caps:schemes><caps:text>perhaps</caps:text>
		<caps:priority><caps:supported><caps:equals value="x"/><caps:lowerthan maxvalue="7"/></caps:supported></caps:priority></caps:servcaps>`))
	c := d.Tuples[0].Servcaps
	for name, want := range map[string][2]bool{
		"audio": {true, true}, "video": {false, true}, "text": {false, false}, "message": {false, false},
		"methods.INVITE": {true, true}, "methods.BYE": {false, true}, "schemes.sip": {true, true},
	} {
		if supported, stated := c.Supports(name); supported != want[0] || stated != want[1] {
			t.Errorf("EXT-03: %s is %v, %v, want %v", name, supported, stated, want)
		}
	}
	want := `<caps:servcaps xmlns:caps="urn:ietf:params:xml:ns:pidf:caps" x:a="1" xmlns:x="urn:example:x"><caps:audio> 1 </caps:audio>` +
		`<caps:methods><caps:supported><caps:INVITE></caps:INVITE></caps:supported><caps:notsupported><caps:BYE></caps:BYE><caps:INVITE></caps:INVITE></caps:notsupported></caps:methods>` +
		`<caps:priority><caps:supported><caps:lowerthan maxvalue="7"></caps:lowerthan></caps:supported></caps:priority>` +
		`<caps:schemes><caps:supported><caps:s>sip</caps:s></caps:supported></caps:schemes>` +
		`<caps:video>false</caps:video><x:more xmlns:x="urn:example:x"><x:deep/></x:more></caps:servcaps>`
	if c.XML != want {
		t.Errorf("EXT-03: got\n%s\nwant\n%s", c.XML, want)
	}
	const whole = `<caps:devcaps ><caps:description xml:lang="en">d</caps:description><caps:mobility><caps:supported><caps:mobile/></caps:supported></caps:mobility><x:a/></caps:devcaps>`
	d = mustParse(t, head+`<dm:device id="d"><dm:deviceID>urn:uuid:1</dm:deviceID>`+whole+`</dm:device>`+tail)
	kept := strings.Replace(whole, "<caps:devcaps", `<caps:devcaps xmlns:caps="urn:ietf:params:xml:ns:pidf:caps" xmlns:x="urn:example:x"`, 1)
	if got := d.Devices[0].Devcaps.XML; !strings.HasSuffix(got, whole[len("<caps:devcaps"):]) || len(got) != len(kept) {
		t.Errorf("EXT-03: a valid element became\n%s", got)
	}
	if supported, _ := d.Devices[0].Devcaps.Supports("mobility.mobile"); !supported {
		t.Error("EXT-03: the device is not mobile")
	}
	if supported, stated := (*Capabilities)(nil).Supports("audio"); supported || stated {
		t.Error("EXT-03: nothing states something")
	}
}

func TestCleanURI(t *testing.T) {
	for given, want := range map[string]string{
		" sip:alice@example.com\n":     "sip:alice@example.com",
		"sip:alice@[2001:db8::1]:5060": "sip:alice@[2001:db8::1]:5060",
		"sip:a b":                      "sip:a%20b", "sip:%zz%41": "sip:%25zz%41", "x:a#b#c": "x:a#b%23c",
		"http://example.com:80/a": "http://example.com:80/a", "http://[::1]/": "http://[::1]/",
		"http://example.com:x/": "", "http://[::1/": "", "http://a@b@c/": "", "http://example.com:/": "", ":x": "", "1:x": "", "": "",
		"é": "é", "a/b:c": "a/b:c", `x:"<>`: "x:%22%3C%3E",
	} {
		if got := cleanURI(given); got != want {
			t.Errorf("%q becomes %q, want %q", given, got, want)
		}
	}
}

func TestEverything(t *testing.T) {
	d := mustParse(t, everything)
	out := d.AppendTo(nil)
	diff(t, "printed and read", d, mustParse(t, string(out)))
}
