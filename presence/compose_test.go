package presence

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"vigie/event"
	"vigie/pidf"
	"vigie/sip"
)

var (
	alice = event.Resource{Package: "presence", URI: sip.MustURI("sip:alice@example.com")}
	ten   = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
)

// document wraps what stands in presence, with the usual prefixes.
func document(inside string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><presence xmlns="urn:ietf:params:xml:ns:pidf"` +
		` xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid"` +
		` xmlns:c="urn:ietf:params:xml:ns:pidf:cipid" xmlns:ts="urn:ietf:params:xml:ns:pidf:timed-status"` +
		` xmlns:lt="urn:ietf:params:xml:ns:location-type" xmlns:x="urn:example:x"` +
		` entity="pres:somebody@example.com">` + inside + `</presence>`
}

// tuple is a service of the given status; more goes before the contact.
func tuple(id, basic, contact, more string) string {
	if contact != "" {
		contact = "<contact>" + contact + "</contact>"
	}
	return fmt.Sprintf(`<tuple id="%s"><status><basic>%s</basic></status>%s%s</tuple>`, id, basic, more, contact)
}

func personOf(inside string) string { return `<dm:person id="me">` + inside + `</dm:person>` }

func doing(activities ...string) string {
	return personOf("<rpid:activities><rpid:" + strings.Join(activities, "/><rpid:") + "/></rpid:activities>")
}

// read reads a document; Check has to say the same of it.
func read(t testing.TB, p *Presence, mediaType, body string) (any, error) {
	t.Helper()
	state, err := p.Read(alice, mediaType, body)
	if checked := p.Check(alice, mediaType, body); fmt.Sprintf("%#v", checked) != fmt.Sprintf("%#v", err) {
		t.Errorf("Check says %v, Read %v", checked, err)
	}
	return state, err
}

// live is a publication that was created at minute n after ten and lives a day.
func live(t testing.TB, p *Presence, n int, body string) event.Publication {
	t.Helper()
	state, err := read(t, p, MediaType, body)
	if err != nil {
		t.Fatalf("%v\n%s", err, body)
	}
	prefix := ""
	if n > 1 {
		prefix = fmt.Sprintf("p%d-", n)
	}
	return event.Publication{
		Created: int64(n), Prefix: prefix, State: state, ContentType: MediaType, Body: body,
		Updated: ten.Add(time.Duration(n) * time.Minute), Expires: ten.Add(24 * time.Hour),
	}
}

func binding(n int, r Registration) event.Publication {
	if r.Expires.IsZero() {
		r.Expires = ten.Add(24 * time.Hour)
	}
	return event.Publication{Created: int64(n), State: r, Expires: r.Expires}
}

func composed(t testing.TB, p *Presence, now time.Time, inputs ...event.Publication) *whole {
	t.Helper()
	c, err := p.Compose(alice, inputs, now)
	if err != nil {
		t.Fatal(err)
	}
	return c.(*whole)
}

func shown(t testing.TB, p *Presence, w *whole) string {
	t.Helper()
	body, err := p.View(alice, w, event.Decision{State: event.Allowed, Key: everything}, event.Form{})
	if err != nil {
		t.Fatal(err)
	}
	return string(body.Data)
}

// summary says of a document what the state derivation table speaks of.
func summary(d *pidf.Document) string {
	var b strings.Builder
	for _, t := range d.Tuples {
		fmt.Fprintf(&b, "%s %s", t.Basic, t.Contact.URI)
		if t.Contact.Priority != "" {
			fmt.Fprintf(&b, " q=%s", t.Contact.Priority)
		}
		b.WriteString("\n")
	}
	for _, p := range d.Persons {
		var does []string
		for _, a := range p.Activities {
			does = append(does, a.Values...)
			for _, o := range a.Other {
				does = append(does, "other:"+o.Text)
			}
			for _, f := range a.Foreign {
				does = append(does, f.Local)
			}
		}
		fmt.Fprintf(&b, "person %s", strings.Join(does, ","))
		if u := p.UserInput; u != nil && u.Idle {
			fmt.Fprintf(&b, " idle %s %s", u.IdleThreshold, u.LastInput.Format("15:04"))
		} else if u != nil {
			b.WriteString(" active")
		}
		b.WriteString("\n")
	}
	return b.String()
}

const (
	aor  = "sip:alice@example.com"
	idle = `<rpid:user-input idle-threshold="%d" last-input="2026-11-23T%s:00Z">idle</rpid:user-input>`
)

// stateDerivation is the state derivation table, as far as its inputs exist.
var stateDerivation = []struct {
	name   string
	policy Policy
	inputs func(t testing.TB, p *Presence) []event.Publication
	want   string
}{
	{"PRS-07/no-input-at-all", Policy{}, func(testing.TB, *Presence) []event.Publication { return nil },
		"closed " + aor + "\n"},
	{"CMP-03/registered-without-publication", Policy{}, func(testing.TB, *Presence) []event.Publication {
		return []event.Publication{binding(1, Registration{Contact: "sip:alice@192.0.2.1", Q: "0.5", Alive: true})}
	}, "open " + aor + " q=0.5\n"},
	{"CMP-03/all-flows-dead", Policy{}, func(testing.TB, *Presence) []event.Publication {
		return []event.Publication{binding(1, Registration{Contact: "sip:alice@192.0.2.1"})}
	}, "closed " + aor + "\n"},
	{"CMP-03/several-bindings-are-one-service", Policy{}, func(testing.TB, *Presence) []event.Publication {
		return []event.Publication{
			binding(1, Registration{Contact: "sip:alice@192.0.2.1", Q: "0.2"}),
			binding(2, Registration{Contact: "sip:alice@192.0.2.2", Q: "0.7", Alive: true}),
			binding(3, Registration{Contact: "sip:alice@192.0.2.3", Q: "0.5", Alive: true}),
		}
	}, "open " + aor + " q=0.7\n"},
	{"CMP-03/per-instance", Policy{Registered: PerInstance}, func(testing.TB, *Presence) []event.Publication {
		return []event.Publication{
			binding(1, Registration{Contact: "sip:alice@192.0.2.1", Instance: "urn:uuid:1", GRUU: aor + ";gr=urn:uuid:1", Alive: true}),
			binding(2, Registration{Contact: "sip:alice@192.0.2.2", Instance: "urn:uuid:2"}),
		}
	}, "closed " + aor + "\nopen " + aor + ";gr=urn:uuid:1\n"},
	{"CMP-03/registration-not-shown", Policy{Registered: NoTuple}, func(testing.TB, *Presence) []event.Publication {
		return []event.Publication{binding(1, Registration{Contact: "sip:alice@192.0.2.1", Alive: true})}
	}, "closed " + aor + "\n"},
	{"CMP-03/registration-does-not-open", Policy{RegisteredShut: true}, func(testing.TB, *Presence) []event.Publication {
		return []event.Publication{binding(1, Registration{Contact: "sip:alice@192.0.2.1", Alive: true})}
	}, "closed " + aor + "\n"},
	{"CMP-03/binding-expired", Policy{}, func(testing.TB, *Presence) []event.Publication {
		return []event.Publication{binding(1, Registration{Contact: "sip:alice@192.0.2.1", Alive: true, Expires: ten.Add(time.Hour)})}
	}, "closed " + aor + "\n"},
	{"published-open-not-registered", Policy{}, func(t testing.TB, p *Presence) []event.Publication {
		return []event.Publication{live(t, p, 1, document(tuple("t", "open", aor, "")+doing("away")))}
	}, "open " + aor + "\nperson away\n"},
	{"CMP-04/published-closed-registered", Policy{}, func(t testing.TB, p *Presence) []event.Publication {
		return []event.Publication{
			live(t, p, 1, document(tuple("t", "closed", aor, ""))),
			binding(2, Registration{Contact: "sip:alice@192.0.2.1", Alive: true}),
		}
	}, "closed " + aor + "\n"},
	{"CMP-04/same-contact-as-binding", Policy{}, func(t testing.TB, p *Presence) []event.Publication {
		return []event.Publication{
			live(t, p, 1, document(tuple("t", "open", "sip:alice@192.0.2.1:5080", ""))),
			binding(2, Registration{Contact: "sip:alice@192.0.2.1:5080", Q: "0.8", Alive: true}),
		}
	}, "open sip:alice@192.0.2.1:5080 q=0.8\n"},
	{"CMP-04/contact-is-GRUU", Policy{}, func(t testing.TB, p *Presence) []event.Publication {
		return []event.Publication{
			live(t, p, 1, document(tuple("t", "closed", aor+";gr=X", ""))),
			binding(2, Registration{Contact: "sip:alice@192.0.2.1", GRUU: aor + ";gr=X", Alive: true}),
		}
	}, "closed " + aor + ";gr=X\n"},
	{"CMP-04/same-instance", Policy{}, func(t testing.TB, p *Presence) []event.Publication {
		return []event.Publication{
			live(t, p, 1, document(tuple("t", "closed", "sip:alice@device.invalid", "<dm:deviceID>urn:uuid:ABC</dm:deviceID>"))),
			binding(2, Registration{Contact: "sip:alice@192.0.2.1", Instance: "URN:uuid:abc", Alive: true}),
		}
	}, "closed sip:alice@device.invalid\n"},
	{"CMP-04/other-instance-stays", Policy{}, func(t testing.TB, p *Presence) []event.Publication {
		return []event.Publication{
			live(t, p, 1, document(tuple("t", "closed", "sip:alice@device.invalid", "<dm:deviceID>urn:uuid:abc</dm:deviceID>"))),
			binding(2, Registration{Contact: "sip:alice@192.0.2.1", Instance: "urn:uuid:abd", Alive: true}),
		}
	}, "closed sip:alice@device.invalid\nopen " + aor + "\n"},
	{"two-devices-one-open", Policy{}, func(t testing.TB, p *Presence) []event.Publication {
		return []event.Publication{
			live(t, p, 1, document(tuple("t", "open", aor, "")+doing("meeting"))),
			live(t, p, 2, document(tuple("t", "closed", "SIP:alice@EXAMPLE.com", "")+doing("busy"))),
		}
	}, "open SIP:alice@EXAMPLE.com\nperson busy,meeting\n"},
	{"PDF-13/kept-apart", Policy{Services: KeepServices}, func(t testing.TB, p *Presence) []event.Publication {
		return []event.Publication{
			live(t, p, 1, document(tuple("t", "open", aor, ""))),
			live(t, p, 2, document(tuple("t", "closed", aor, ""))),
		}
	}, "closed " + aor + "\nopen " + aor + "\n"},
	{"kept-apart-and-registered", Policy{Services: KeepServices}, func(t testing.TB, p *Presence) []event.Publication {
		return []event.Publication{
			live(t, p, 1, document(tuple("t", "closed", aor, ""))),
			live(t, p, 2, document(tuple("t", "closed", aor, ""))),
			binding(3, Registration{Contact: "sip:alice@192.0.2.1", Q: "0.3", Alive: true}),
		}
	}, "closed " + aor + " q=0.3\nclosed " + aor + "\n"},
	{"CMP-09/all-devices-idle", Policy{}, func(t testing.TB, p *Presence) []event.Publication {
		return []event.Publication{
			live(t, p, 1, document(tuple("t", "open", aor, fmt.Sprintf(idle, 60, "09:10")))),
			live(t, p, 2, document(`<dm:device id="d">`+fmt.Sprintf(idle, 300, "09:20")+`<dm:deviceID>urn:uuid:1</dm:deviceID></dm:device>`)),
		}
	}, "open " + aor + "\nperson  idle 5m0s 09:20\n"},
	{"CMP-09/one-active", Policy{}, func(t testing.TB, p *Presence) []event.Publication {
		return []event.Publication{
			live(t, p, 1, document(tuple("t", "open", aor, fmt.Sprintf(idle, 60, "09:10"))+doing("busy"))),
			live(t, p, 2, document(`<dm:device id="d"><rpid:user-input>active</rpid:user-input><dm:deviceID>urn:uuid:1</dm:deviceID></dm:device>`)),
		}
	}, "open " + aor + "\nperson busy active\n"},
	{"RPD-09/last-input-stripped", Policy{StripLastInput: true}, func(t testing.TB, p *Presence) []event.Publication {
		return []event.Publication{live(t, p, 1, document(tuple("t", "open", aor, fmt.Sprintf(idle, 60, "09:10"))+
			personOf(fmt.Sprintf(idle, 60, "09:10"))+
			`<dm:device id="d">`+fmt.Sprintf(idle, 60, "09:20")+`<dm:deviceID>urn:uuid:1</dm:deviceID></dm:device>`))}
	}, "open " + aor + "\nperson  idle 1m0s 00:00\n"},
	{"permanent-absence", Policy{}, func(t testing.TB, p *Presence) []event.Publication {
		return []event.Publication{live(t, p, 1, document(tuple("t", "open", aor, "")+doing("permanent-absence")))}
	}, "closed " + aor + "\nperson permanent-absence\n"},
	{"RPD-03/unknown-stands-alone", Policy{}, func(t testing.TB, p *Presence) []event.Publication {
		return []event.Publication{
			live(t, p, 1, document(doing("unknown"))),
			live(t, p, 2, document(doing("lunch"))),
		}
	}, "closed " + aor + "\nperson lunch\n"},
	{"RPD-03/only-unknown", Policy{}, func(t testing.TB, p *Presence) []event.Publication {
		return []event.Publication{
			live(t, p, 1, document(doing("unknown"))),
			live(t, p, 2, document(doing("unknown"))),
		}
	}, "closed " + aor + "\nperson unknown\n"},
	{"RPD-03/foreign-activities-unite", Policy{}, func(t testing.TB, p *Presence) []event.Publication {
		return []event.Publication{
			live(t, p, 1, document(personOf("<rpid:activities><x:gardening/><rpid:away/></rpid:activities>"))),
			live(t, p, 2, document(personOf("<rpid:activities><x:gardening/><rpid:other>juggling</rpid:other></rpid:activities>"))),
		}
	}, "closed " + aor + "\nperson away,other:juggling,gardening\n"},
	{"CMP-05/persons-kept", Policy{Persons: KeepPersons}, func(t testing.TB, p *Presence) []event.Publication {
		return []event.Publication{
			live(t, p, 1, document(doing("away"))),
			live(t, p, 2, document(doing("busy"))),
		}
	}, "closed " + aor + "\nperson away\nperson busy\n"},
	{"CMP-05/single-person", Policy{}, func(t testing.TB, p *Presence) []event.Publication {
		return []event.Publication{live(t, p, 1, document(doing("away")+doing("busy")))}
	}, "closed " + aor + "\nperson away,busy\n"},
	{"no-contact-means-the-address", Policy{}, func(t testing.TB, p *Presence) []event.Publication {
		return []event.Publication{live(t, p, 1, document(tuple("t", "open", "", "")))}
	}, "open " + aor + "\n"},
	{"RPD-07/physical-service-has-no-contact", Policy{}, func(t testing.TB, p *Presence) []event.Publication {
		const post = "<rpid:service-class><rpid:postal/></rpid:service-class>"
		return []event.Publication{
			live(t, p, 1, document(tuple("a", "open", "", post)+tuple("b", "closed", "", post)+tuple("c", "open", aor, ""))),
		}
	}, "open \nclosed \nopen " + aor + "\n"},
	{"PDF-07/priority-out-of-range-counts-as-absent", Policy{}, func(t testing.TB, p *Presence) []event.Publication {
		return []event.Publication{live(t, p, 1, document(
			`<tuple id="a"><status><basic>open</basic></status><contact priority="7">tel:+1</contact></tuple>`+
				`<tuple id="b"><status><basic>open</basic></status><contact priority="0">tel:+2</contact></tuple>`))}
	}, "open tel:+2 q=0\nopen tel:+1\n"},
	{"PDF-06/no-basic-is-closed", Policy{}, func(t testing.TB, p *Presence) []event.Publication {
		return []event.Publication{live(t, p, 1, document(`<tuple id="a"><status/></tuple>`))}
	}, "closed " + aor + "\n"},
	{"RPD-01/misplaced-is-not-promoted", Policy{}, func(t testing.TB, p *Presence) []event.Publication {
		return []event.Publication{live(t, p, 1, document(tuple("t", "open", aor, "<rpid:activities><rpid:busy/></rpid:activities>")+
			personOf("<rpid:relationship><rpid:family/></rpid:relationship>")))}
	}, "open " + aor + "\nperson \n"},
	{"order-by-priority", Policy{}, func(t testing.TB, p *Presence) []event.Publication {
		return []event.Publication{live(t, p, 1, document(
			`<tuple id="a"><status><basic>open</basic></status><contact>tel:+1</contact></tuple>`+
				`<tuple id="b"><status><basic>open</basic></status><contact priority="0.3">tel:+2</contact></tuple>`+
				`<tuple id="c"><status><basic>open</basic></status><contact priority="0.9">tel:+3</contact></tuple>`))}
	}, "open tel:+3 q=0.9\nopen tel:+2 q=0.3\nopen tel:+1\n"},
}

func TestStateDerivation(t *testing.T) {
	for _, test := range stateDerivation {
		t.Run(test.name, func(t *testing.T) {
			p := New(Options{Policy: test.policy})
			w := composed(t, p, ten.Add(2*time.Hour), test.inputs(t, p)...)
			d := w.of(alice.URI)
			if got := summary(&d); got != test.want {
				t.Errorf("composed:\n%swant:\n%s", got, test.want)
			}
		})
	}
}

// The worked example of the composition page, without dialog and calendar.
func TestRegistrationAndPublicationAreOneService(t *testing.T) {
	p := New(Options{})
	w := composed(t, p, ten.Add(time.Hour),
		binding(1, Registration{Contact: "sip:alice@192.0.2.1", Instance: "urn:uuid:x", Q: "0.8", Alive: true}),
		live(t, p, 2, document(tuple("t1", "open", "sip:alice@example.com", "")+personOf("<dm:note>desk</dm:note>"))))
	d := &w.document
	if len(d.Tuples) != 1 || len(d.Persons) != 1 || len(d.Devices) != 1 {
		t.Fatalf("%d tuples, %d persons, %d devices, want one each", len(d.Tuples), len(d.Persons), len(d.Devices))
	}
	one := d.Tuples[0]
	if one.ID != "p2-t1" || one.Contact != (pidf.Contact{URI: "sip:alice@example.com", Priority: "0.8"}) ||
		len(one.DeviceIDs) != 1 || one.DeviceIDs[0] != "urn:uuid:x" {
		t.Errorf("tuple %+v", one)
	}
	// PDF-16: the device is the instance.
	if d.Devices[0].DeviceID != "urn:uuid:x" {
		t.Errorf("PDF-16/deviceID: %q", d.Devices[0].DeviceID)
	}
}

func TestRead(t *testing.T) {
	p := New(Options{})
	good := document(tuple("t", "open", "", ""))
	types := map[string]bool{
		MediaType:                               true,
		"Application/PIDF+xml":                  true,
		"application/pidf+xml;charset=UTF-8":    true,
		`application/pidf+xml; charset="utf-8"`: true,
		"application/pidf+xml;charset=latin1":   false,
		"application/pidf-diff+xml":             false,
		"text/plain":                            false,
		"":                                      false,
		"nonsense":                              false,
	}
	for name, want := range types {
		t.Run("PDF-02/type-"+name, func(t *testing.T) {
			_, err := read(t, p, name, good)
			var unsupported *event.UnsupportedBodyError
			if want && err != nil || !want && !errors.As(err, &unsupported) {
				t.Errorf("%v, taken wanted: %v", err, want)
			}
		})
	}
	t.Run("PRS-01/types", func(t *testing.T) {
		if p.Name() != "presence" || p.PublishTypes()[0] != MediaType || p.NotifyTypes()[0] != MediaType {
			t.Errorf("%s %v %v", p.Name(), p.PublishTypes(), p.NotifyTypes())
		}
	})
	bodies := map[string]string{
		"PDF-04/empty":         "",
		"PDF-04/no-xml":        "hello",
		"PDF-04/cut":           good[:len(good)-3],
		"PDF-04/other-root":    `<watcherinfo xmlns="urn:ietf:params:xml:ns:watcherinfo"/>`,
		"PDF-01/no-namespace":  `<presence entity="sip:alice@example.com"/>`,
		"PDF-04/no-entity":     `<presence xmlns="urn:ietf:params:xml:ns:pidf"/>`,
		"PDF-04/no-tuple-id":   document(`<tuple><status/></tuple>`),
		"PDF-06/no-status":     document(`<tuple id="t"/>`),
		"SEC-06/DTD":           `<!DOCTYPE x [<!ENTITY a "b">]>` + good[38:],
		"SEC-06/deeply-nested": document(strings.Repeat("<x:a>", 100_000) + strings.Repeat("</x:a>", 100_000)),
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			_, err := read(t, p, MediaType, body)
			var malformed *event.MalformedBodyError
			if !errors.As(err, &malformed) || malformed.Reason == "" {
				t.Errorf("%v, want a MalformedBodyError", err)
			}
		})
	}
	lenient := map[string]string{
		"PDF-02/byte-order-mark": "\ufeff" + good,
		"PDF-04/disorder":        document(`<note>n</note><tuple id="t"><contact>sip:a@b</contact><note/><status><basic>open</basic></status></tuple>`),
		"PDF-04/bad-values":      document(`<tuple id="t"><status><basic>perhaps</basic></status><timestamp>noon</timestamp></tuple>`),
		"PUB-28/foreign-entity":  strings.Replace(good, "pres:somebody@example.com", "sip:bob@example.net", 1),
		"PDF-01/prefix":          `<p:presence xmlns:p="urn:ietf:params:xml:ns:pidf" entity="x"><p:tuple id="t"><p:status/></p:tuple></p:presence>`,
	}
	for name, body := range lenient {
		t.Run(name, func(t *testing.T) {
			if _, err := read(t, p, MediaType, body); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAuthorize(t *testing.T) {
	uri := sip.MustURI
	neighbour, stranger := event.Identity{URI: uri("sip:bob@example.com")}, event.Identity{URI: uri("sip:bob@example.net")}
	owner := event.Identity{URI: alice.URI}
	tests := []struct {
		name       string
		options    Options
		watcher    event.Identity
		want       event.DecisionState
		sameDomain bool
	}{
		{"PRS-02/owner", Options{SameDomain: Block, Others: Block}, owner, event.Allowed, false},
		{"PRS-02/owner-by-second-identity", Options{SameDomain: Block, Others: Block},
			event.Identity{URI: uri("tel:+1"), Also: []sip.URI{alice.URI}}, event.Allowed, false},
		{"PRS-02/same-domain-by-default", Options{}, neighbour, event.Allowed, false},
		{"PRS-02/others-by-default", Options{}, stranger, event.Waiting, false},
		{"PRS-02/same-domain-confirm", Options{SameDomain: Confirm, Others: Allow}, neighbour, event.Waiting, false},
		{"PRS-02/same-domain-block", Options{SameDomain: Block, Others: Allow}, neighbour, event.Rejected, false},
		{"PRS-02/others-allow", Options{SameDomain: Block, Others: Allow}, stranger, event.Allowed, false},
		{"PRS-02/others-block", Options{Others: Block}, stranger, event.Rejected, false},
		{"PRS-02/subdomain-is-another", Options{Others: Block}, event.Identity{URI: uri("sip:bob@a.example.com")}, event.Rejected, false},
		{"PRS-02/anonymous-is-other", Options{SameDomain: Allow, Others: Block},
			event.Identity{URI: alice.URI, Anonymous: true}, event.Rejected, false},
		{"PRS-02/tel-is-other", Options{Others: Block}, event.Identity{URI: uri("tel:+1")}, event.Rejected, false},
		{"PRS-02/misspelt-default-blocks", Options{Others: "alow"}, stranger, event.Rejected, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d, err := New(test.options).Authorize(context.Background(), alice, test.watcher)
			if err != nil || d.State != test.want {
				t.Errorf("decision %v, %v, want %v", d.State, err, test.want)
			}
			if (d.Key != "") != (d.State == event.Allowed) {
				t.Errorf("decision %v has the key %q", d.State, d.Key)
			}
		})
	}
}

func TestView(t *testing.T) {
	p := New(Options{})
	w := composed(t, p, ten)
	allowed := event.Decision{State: event.Allowed, Key: everything}
	for _, entity := range []string{"pres:alice@example.com", "sip:alice@example.com;x=<&\">", "sips:alice@example.com"} {
		t.Run("PRS-06/entity-as-subscribed", func(t *testing.T) {
			body, err := p.View(alice, w, allowed, event.Form{Entity: entity, Type: MediaType})
			if err != nil || body.Type != MediaType {
				t.Fatalf("%v, type %s", err, body.Type)
			}
			d, err := pidf.Parse(body.Data, pidf.Limits{})
			if err != nil || d.Entity != entity {
				t.Errorf("entity %q, %v, want %q", d.Entity, err, entity)
			}
		})
	}
	t.Run("PDF-02/declaration", func(t *testing.T) {
		if got := shown(t, p, w); !strings.HasPrefix(got, `<?xml version="1.0" encoding="UTF-8"?>`) {
			t.Error(got)
		}
	})
	t.Run("PRS-06/AOR-otherwise", func(t *testing.T) {
		if got := shown(t, p, w); !strings.Contains(got, ` entity="sip:alice@example.com"`) {
			t.Error(got)
		}
	})
	t.Run("PRS-07/no-input", func(t *testing.T) {
		d, err := pidf.Parse([]byte(shown(t, p, w)), pidf.Limits{})
		if err != nil || len(d.Tuples) != 1 || len(d.Persons)+len(d.Devices)+len(d.Notes) != 0 {
			t.Fatalf("%+v, %v", d, err)
		}
		if one := d.Tuples[0]; one.Basic != pidf.Closed || one.Contact.URI != "sip:alice@example.com" || !one.Timestamp.IsZero() {
			t.Errorf("%+v", one)
		}
	})
	if _, err := p.View(alice, w, allowed, event.Form{Type: "text/plain"}); err == nil {
		t.Error("a view of an unknown type")
	}
	for _, state := range []event.DecisionState{event.Rejected, event.Waiting} {
		if _, err := p.View(alice, w, event.Decision{State: state}, event.Form{}); err == nil {
			t.Errorf("a view for a watcher in state %v", state)
		}
	}
	if _, err := p.Compose(alice, []event.Publication{{State: 7}}, ten); err == nil {
		t.Error("composed an input of an unknown type")
	}
}
