package pidf

import (
	"slices"
	"time"

	"vigie/xmltree"
)

// AppendTo prints the document after b, in the order of RFC 3863 §4.4 and
// RFC 4479 §5.1, without white space between elements. It is valid against
// the schemas as long as the ids of tuples, persons and devices are NCNames
// and unique, for which whoever puts a document together is responsible. A
// tuple that says nothing at all about its status is closed.
func (d *Document) AppendTo(b []byte) []byte {
	p := printer{b: b, document: d}
	p.raw(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<presence xmlns="` + Namespace +
		`" xmlns:dm="` + NamespaceDataModel + `" xmlns:rpid="` + NamespaceRPID + `"`)
	p.declarations(d)
	p.attr("entity", d.Entity)
	p.raw(">")
	for i := range d.Tuples {
		p.tuple(&d.Tuples[i])
	}
	p.notes("note", d.Notes)
	for i := range d.Persons {
		p.person(&d.Persons[i])
	}
	for i := range d.Devices {
		p.device(&d.Devices[i])
	}
	p.elements(d.Extensions)
	p.raw("</presence>\n")
	return p.b
}

// printer collects the output. Its methods are named after what they print.
type printer struct {
	b        []byte
	document *Document // whose ids RPID elements must not repeat
	ids      []string  // those already taken; nil until the first one is printed
}

// declarations binds the prefixes that not every document needs.
func (p *printer) declarations(d *Document) {
	var cipid, timed, place bool
	for i := range d.Tuples {
		cipid = cipid || d.Tuples[i].CIPID != nil
		timed = timed || len(d.Tuples[i].TimedStatuses) > 0
	}
	for i := range d.Persons {
		cipid = cipid || d.Persons[i].CIPID != nil
		for j := range d.Persons[i].PlaceTypes {
			place = place || len(d.Persons[i].PlaceTypes[j].Values) > 0
		}
	}
	if timed {
		p.attr("xmlns:ts", NamespaceTimed)
	}
	if cipid {
		p.attr("xmlns:c", NamespaceCIPID)
	}
	if place {
		p.attr("xmlns:lt", NamespacePlace)
	}
}

func (p *printer) tuple(t *Tuple) {
	p.raw("<tuple")
	p.attr("id", t.ID)
	p.raw("><status>")
	switch {
	case t.Basic != "":
		p.text("basic", string(t.Basic))
	case len(t.StatusExtensions) == 0:
		p.text("basic", string(Closed)) // RFC 3863 §4.1.3 wants something there
	}
	p.elements(t.StatusExtensions)
	p.raw("</status>")
	for _, id := range t.DeviceIDs {
		p.text("dm:deviceID", id)
	}
	p.class(t.Class)
	p.enumerations(t.Privacy, &privacy)
	if t.Relationship != nil {
		p.enumeration(t.Relationship, &relationship)
	}
	if t.ServiceClass != nil {
		p.enumeration(t.ServiceClass, &serviceClass)
	}
	p.statusIcons(t.StatusIcons)
	p.userInput(t.UserInput)
	for i := range t.TimedStatuses {
		p.timedStatus(&t.TimedStatuses[i])
	}
	p.capabilities(t.Servcaps)
	p.cipid(t.CIPID)
	p.elements(t.Extensions)
	p.contact(t.Contact)
	p.notes("note", t.Notes)
	p.timestamp("timestamp", t.Timestamp)
	p.raw("</tuple>")
}

func (p *printer) person(person *Person) {
	p.raw("<dm:person")
	p.attr("id", person.ID)
	p.raw(">")
	p.rpid(person)
	p.cipid(person.CIPID)
	p.elements(person.Extensions)
	p.notes("dm:note", person.Notes)
	p.timestamp("dm:timestamp", person.Timestamp)
	p.raw("</dm:person>")
}

// rpid prints what RFC 4480 says about a person.
func (p *printer) rpid(person *Person) {
	p.enumerations(person.Activities, &activities)
	p.class(person.Class)
	p.enumerations(person.Moods, &mood)
	for i := range person.PlaceIs {
		p.placeIs(&person.PlaceIs[i])
	}
	p.enumerations(person.PlaceTypes, &placeType)
	p.enumerations(person.Privacy, &privacy)
	for i := range person.Spheres {
		p.sphere(&person.Spheres[i])
	}
	p.statusIcons(person.StatusIcons)
	for i := range person.TimeOffsets {
		p.timeOffset(&person.TimeOffsets[i])
	}
	p.userInput(person.UserInput)
}

func (p *printer) device(d *Device) {
	p.raw("<dm:device")
	p.attr("id", d.ID)
	p.raw(">")
	p.class(d.Class)
	p.userInput(d.UserInput)
	p.capabilities(d.Devcaps)
	p.elements(d.Extensions)
	p.raw("<dm:deviceID>") // never left out (RFC 4479 §5.1.2)
	p.b = xmltree.AppendText(p.b, d.DeviceID)
	p.raw("</dm:deviceID>")
	p.notes("dm:note", d.Notes)
	p.timestamp("dm:timestamp", d.Timestamp)
	p.raw("</dm:device>")
}

func (p *printer) contact(c Contact) {
	if c.URI == "" {
		return
	}
	p.raw("<contact")
	if priority := cleanPriority(c.Priority); priority != "" {
		p.attr("priority", priority)
	}
	p.raw(">")
	p.b = xmltree.AppendText(p.b, c.URI)
	p.raw("</contact>")
}

func (p *printer) timedStatus(s *TimedStatus) {
	p.raw("<ts:timed-status")
	p.time("from", s.From)
	p.time("until", s.Until)
	p.raw(">")
	if s.Basic != "" {
		p.text("ts:basic", string(s.Basic))
	}
	if s.Note != nil {
		p.note("ts:note", *s.Note)
	}
	p.elements(s.Extensions)
	p.raw("</ts:timed-status>")
}

func (p *printer) cipid(c *CIPID) {
	if c == nil {
		return
	}
	p.text("c:card", c.Card)
	p.notes("c:display-name", c.DisplayNames)
	p.text("c:homepage", c.Homepage)
	p.text("c:icon", c.Icon)
	p.text("c:map", c.Map)
	p.text("c:sound", c.Sound)
}

func (p *printer) capabilities(c *Capabilities) {
	if c != nil {
		p.raw(c.XML)
	}
}

func (p *printer) raw(s string) { p.b = append(p.b, s...) }

func (p *printer) elements(list []Element) {
	for i := range list {
		p.raw(list[i].XML)
	}
}

// text prints an element with text, nothing when the text is empty.
func (p *printer) text(name, text string) {
	if text == "" {
		return
	}
	p.raw("<")
	p.raw(name)
	p.raw(">")
	p.b = xmltree.AppendText(p.b, text)
	p.close(name)
}

func (p *printer) close(name string) {
	p.raw("</")
	p.raw(name)
	p.raw(">")
}

func (p *printer) notes(name string, notes []Note) {
	for _, note := range notes {
		p.note(name, note)
	}
}

func (p *printer) note(name string, note Note) {
	p.raw("<")
	p.raw(name)
	if isLanguage(note.Lang) {
		p.attr("xml:lang", note.Lang)
	}
	p.raw(">")
	p.b = xmltree.AppendText(p.b, note.Text)
	p.close(name)
}

func (p *printer) timestamp(name string, t time.Time) {
	if t.IsZero() {
		return
	}
	p.raw("<")
	p.raw(name)
	p.raw(">")
	p.b = appendTime(p.b, t)
	p.close(name)
}

// appendTime prints the form of RFC 3863 §4.1.7: RFC 3339 with upper-case T
// and Z.
func appendTime(b []byte, t time.Time) []byte { return t.UTC().AppendFormat(b, time.RFC3339Nano) }

func (p *printer) attr(name, value string) {
	p.raw(" ")
	p.raw(name)
	p.b = appendQuoted(p.b, value)
}

func appendQuoted(b []byte, value string) []byte {
	b = append(b, `="`...)
	return append(xmltree.AppendValue(b, value), '"')
}

func (p *printer) time(name string, t time.Time) {
	if t.IsZero() {
		return
	}
	p.raw(" ")
	p.raw(name)
	p.raw(`="`)
	p.b = append(appendTime(p.b, t), '"')
}

// id prints the id of an RPID element, unless it is taken: uniqueness matters
// for what can be referred to, and nothing refers to these.
func (p *printer) id(id string) {
	if id == "" || !IsNCName(id) {
		return
	}
	if p.ids == nil && p.document != nil {
		p.ids = p.document.segmentIDs()
	}
	if slices.Contains(p.ids, id) {
		return
	}
	p.ids = append(p.ids, id)
	p.attr("id", id)
}

func (d *Document) segmentIDs() []string {
	ids := make([]string, 0, len(d.Tuples)+len(d.Persons)+len(d.Devices)+4)
	for i := range d.Tuples {
		ids = append(ids, d.Tuples[i].ID)
	}
	for i := range d.Persons {
		ids = append(ids, d.Persons[i].ID)
	}
	for i := range d.Devices {
		ids = append(ids, d.Devices[i].ID)
	}
	return ids
}
