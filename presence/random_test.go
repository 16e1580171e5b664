package presence

import (
	"fmt"
	"strings"
	"time"

	"pgregory.net/rapid"

	"vigie/event"
)

// Pieces that random documents are made of. Ids, contacts and devices are few, so
// that they meet.
var (
	randomIDs      = []string{"a", "b", "a.2", "p2-a", "v-person", "1", "é x", "person"}
	randomContacts = []string{"", "", "sip:alice@example.com", "SIP:alice@EXAMPLE.com", "pres:alice@example.com", "sip:alice@192.0.2.1:5080",
		"sip:alice@192.0.2.1:5080;transport=tcp", "tel:+33123456789", "im:alice@example.com", "sip:alice@example.com;gr=urn:uuid:1"}
	randomTimes   = []string{"2026-11-23T09:00:00Z", "2026-11-23T10:02:30Z", "2026-11-23T10:05:00.5Z", "2026-11-23T12:00:00+01:00", "2031-01-01T00:00:00Z"}
	randomForeign = []string{`<x:a/>`, `<x:a n="1">t</x:a>`, `<x:b><x:c/>&lt;</x:b>`, `<op:willingness xmlns:op="urn:oma:xml:prs:pidf:oma-pres"/>`,
		`<op:service-description xmlns:op="urn:oma:xml:prs:pidf:oma-pres"><op:service-id>s</op:service-id></op:service-description>`,
		`<x:needed mustUnderstand="1"/>`, `<rpid:misplaced/>`, `<note xmlns="">lost</note>`}
	randomAnywhere = []string{`<rpid:class>c</rpid:class>`, `<rpid:class>d</rpid:class>`, `<rpid:user-input>active</rpid:user-input>`,
		`<rpid:user-input id="u" idle-threshold="60" last-input="2026-11-23T09:10:00Z">idle</rpid:user-input>`,
		`<rpid:user-input idle-threshold="30" last-input="2026-11-23T09:20:00Z" x:y="z">idle</rpid:user-input>`}
	randomCIPID = []string{`<c:card>http://example.com/card</c:card>`, `<c:card>http://example.com/c2</c:card>`,
		`<c:display-name xml:lang="en">Alice</c:display-name>`, `<c:display-name>A</c:display-name>`, `<c:icon>http://example.com/i</c:icon>`}
	randomTuple = []string{`<dm:deviceID>urn:uuid:1</dm:deviceID>`, `<dm:deviceID>URN:UUID:1</dm:deviceID>`,
		`<rpid:privacy><rpid:audio/><rpid:text/></rpid:privacy>`, `<rpid:relationship><rpid:assistant/></rpid:relationship>`,
		`<rpid:relationship><rpid:other>cook</rpid:other></rpid:relationship>`, `<rpid:service-class><rpid:postal/></rpid:service-class>`,
		`<rpid:service-class><rpid:electronic/></rpid:service-class>`, `<rpid:status-icon>http://example.com/s</rpid:status-icon>`,
		`<ts:timed-status from="%s" until="%s"><ts:basic>closed</ts:basic></ts:timed-status>`, `<ts:timed-status from="%s"/>`}
	randomPerson = []string{`<rpid:activities from="%s"><rpid:meeting/><rpid:note>n</rpid:note></rpid:activities>`, `<rpid:activities until="%s"><rpid:lunch/></rpid:activities>`,
		`<rpid:activities id="a"><rpid:away/><x:gardening/></rpid:activities>`, `<rpid:activities><rpid:unknown/></rpid:activities>`,
		`<rpid:activities><rpid:other xml:lang="fr">jongler</rpid:other></rpid:activities>`, `<rpid:activities><rpid:permanent-absence/></rpid:activities>`,
		`<rpid:mood><rpid:happy/><rpid:in_love/></rpid:mood>`, `<rpid:mood until="%s"><rpid:sad/></rpid:mood>`,
		`<rpid:place-is><rpid:audio><rpid:noisy/></rpid:audio></rpid:place-is>`, `<rpid:place-type from="%s"><lt:office/></rpid:place-type>`,
		`<rpid:place-type><rpid:other>moon</rpid:other></rpid:place-type>`, `<rpid:privacy><rpid:video/></rpid:privacy>`,
		`<rpid:sphere><rpid:work/></rpid:sphere>`, `<rpid:sphere until="%s"><rpid:home/></rpid:sphere>`,
		`<rpid:status-icon until="%s">http://example.com/s</rpid:status-icon>`, `<rpid:time-offset description="d">-60</rpid:time-offset>`}
	randomDevices = []string{"urn:uuid:1", "urn:UUID:1", "urn:uuid:2", ""}
	randomNotes   = []string{`<%snote>n</%snote>`, `<%snote xml:lang="fr">é</%snote>`}
)

type random struct{ *rapid.T }

func (r random) one(of []string) string { return rapid.SampledFrom(of).Draw(r.T, "one") }

// some draws up to n pieces and fills their times in.
func (r random) some(n int, of ...[]string) string {
	var b strings.Builder
	for _, list := range of {
		for range rapid.IntRange(0, n).Draw(r.T, "pieces") {
			piece := r.one(list)
			for strings.Contains(piece, `"%s"`) {
				piece = strings.Replace(piece, "%s", r.one(randomTimes), 1)
			}
			b.WriteString(piece)
		}
	}
	return b.String()
}

func (r random) timestamp(prefix string) string {
	if rapid.Bool().Draw(r.T, "untimed") {
		return ""
	}
	return "<" + prefix + "timestamp>" + r.one(randomTimes) + "</" + prefix + "timestamp>"
}

func (r random) notes(prefix string) string {
	return strings.ReplaceAll(r.some(2, randomNotes), "%s", prefix)
}

// body draws a document as a device might publish it, some of it nonsense.
func (r random) body() string {
	var b strings.Builder
	for range rapid.IntRange(0, 3).Draw(r.T, "tuples") {
		contact := r.one(randomContacts)
		if contact != "" {
			contact = `<contact priority="` + r.one([]string{"", "0.5", "1", "2", "0.25"}) + `">` + contact + `</contact>`
		}
		fmt.Fprintf(&b, `<tuple id="%s"><status>%s%s</status>%s%s%s%s</tuple>`, r.one(randomIDs),
			r.one([]string{"", "<basic>open</basic>", "<basic>closed</basic>", "<basic>maybe</basic>"}), r.some(1, randomForeign),
			r.some(2, randomTuple, randomAnywhere, randomCIPID, randomForeign), contact, r.notes(""), r.timestamp(""))
	}
	b.WriteString(r.notes(""))
	for range rapid.IntRange(0, 2).Draw(r.T, "persons") {
		fmt.Fprintf(&b, `<dm:person id="%s">%s%s%s</dm:person>`, r.one(randomIDs),
			r.some(2, randomPerson, randomAnywhere, randomCIPID, randomForeign), r.notes("dm:"), r.timestamp("dm:"))
	}
	for range rapid.IntRange(0, 2).Draw(r.T, "devices") {
		fmt.Fprintf(&b, `<dm:device id="%s">%s<dm:deviceID>%s</dm:deviceID>%s%s</dm:device>`, r.one(randomIDs),
			r.some(1, randomAnywhere, randomForeign), r.one(randomDevices), r.notes("dm:"), r.timestamp("dm:"))
	}
	return document(b.String() + r.some(1, randomForeign))
}

func (r random) binding() Registration {
	return Registration{
		Contact: r.one(randomContacts[2:]), Instance: r.one(randomDevices), Q: r.one([]string{"", "0.3", "1.0"}),
		GRUU: r.one([]string{"", "sip:alice@example.com;gr=urn:uuid:1"}), Alive: rapid.Bool().Draw(r.T, "alive"),
		Expires: ten.Add(time.Duration(rapid.IntRange(-10, 100).Draw(r.T, "expires")) * time.Minute),
	}
}

func (r random) policy() Policy {
	return Policy{
		Persons:        rapid.SampledFrom([]PersonMerge{SinglePerson, KeepPersons}).Draw(r.T, "persons"),
		Services:       rapid.SampledFrom([]ServiceMerge{ByContact, KeepServices}).Draw(r.T, "services"),
		Registered:     rapid.SampledFrom([]RegisteredTuple{PerAOR, PerInstance, NoTuple}).Draw(r.T, "registered"),
		TimedStatus:    rapid.SampledFrom([]TimedStatus{DropTimed, ApplyTimed}).Draw(r.T, "timed"),
		RegisteredShut: rapid.Bool().Draw(r.T, "shut"), StripLastInput: rapid.Bool().Draw(r.T, "strip"),
	}
}

func (r random) now() time.Time {
	return ten.Add(time.Duration(rapid.IntRange(0, 90).Draw(r.T, "now")) * time.Minute)
}

// history plays publishers against a presentity, numbering publications as the
// engine does. Each step is one of create, modify, refresh, remove.
type history struct {
	random
	p    *Presence
	last int64
	live []event.Publication
}

func (h *history) step() {
	h.last++
	n := rapid.IntRange(0, len(h.live)).Draw(h.T, "which")
	received := ten.Add(time.Duration(h.last) * 10 * time.Second)
	if n == len(h.live) {
		x := event.Publication{Created: h.last, Expires: ten.Add(24 * time.Hour), ContentType: MediaType}
		if len(h.live) > 0 {
			x.Prefix = fmt.Sprintf("p%d-", h.last)
		}
		h.live = append(h.live, h.said(x, received))
		return
	}
	switch rapid.IntRange(0, 3).Draw(h.T, "what") {
	case 0:
		h.live = append(h.live[:n:n], h.live[n+1:]...)
	case 1:
		h.live[n].Expires = h.live[n].Expires.Add(time.Minute)
	default:
		h.live[n] = h.said(h.live[n], received)
	}
}

// said gives the publication a new state, a binding's in one of five cases.
func (h *history) said(x event.Publication, received time.Time) event.Publication {
	x.Updated = received
	if _, bound := x.State.(Registration); bound || x.State == nil && rapid.IntRange(0, 4).Draw(h.T, "bound") == 0 {
		x.State = h.binding()
		return x
	}
	x.Body = h.body()
	state, err := h.p.Read(alice, MediaType, x.Body)
	if err != nil {
		h.Fatalf("%v\n%s", err, x.Body)
	}
	x.State = state
	return x
}

// again reads all anew, as after a restart.
func (h *history) again() []event.Publication {
	all := make([]event.Publication, len(h.live))
	for i, x := range h.live {
		if _, bound := x.State.(Registration); !bound {
			state, err := h.p.Read(alice, MediaType, x.Body)
			if err != nil {
				h.Fatalf("%v\n%s", err, x.Body)
			}
			x.State = state
		}
		all[i] = x
	}
	return all
}
