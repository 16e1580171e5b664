package pidf

import (
	"strconv"
	"time"

	"vigie/xmltree"
)

// open prints the start of an RPID element up to its attributes.
func (p *printer) open(name string, m *Meta) {
	p.raw("<rpid:")
	p.raw(name)
	p.time("from", m.From)
	p.time("until", m.Until)
	p.id(m.ID)
	p.raw(m.Attributes)
}

func (p *printer) end(name string) {
	p.raw("</rpid:")
	p.raw(name)
	p.raw(">")
}

func (p *printer) enumerations(list []Enumeration, g *grammar) {
	for i := range list {
		p.enumeration(&list[i], g)
	}
}

// enumeration prints what the grammar allows and no more.
func (p *printer) enumeration(whole *Enumeration, g *grammar) {
	e := *whole
	if !g.settle(&e) {
		return
	}
	if !g.meta {
		e.Meta = Meta{}
	}
	p.open(g.name, &e.Meta)
	p.raw(">")
	p.notes("rpid:note", e.Notes)
	prefix := "<rpid:"
	if g.space == NamespacePlace {
		prefix = "<lt:"
	}
	for _, value := range e.Values {
		p.raw(prefix)
		p.raw(value)
		p.raw("/>")
	}
	p.notes("rpid:other", e.Other)
	p.elements(e.Foreign)
	p.end(g.name)
}

func (p *printer) class(class string) { p.text("rpid:class", class) }

func (p *printer) sphere(s *Sphere) {
	if s.Value == "" && len(s.Foreign) == 0 {
		return
	}
	p.open("sphere", &s.Meta)
	p.raw(">")
	if s.Value != "" {
		p.raw("<rpid:")
		p.raw(s.Value)
		p.raw("/>")
	}
	p.elements(s.Foreign)
	p.end("sphere")
}

func (p *printer) placeIs(place *PlaceIs) {
	p.open("place-is", &place.Meta)
	p.raw(">")
	p.notes("rpid:note", place.Notes)
	p.medium("audio", place.Audio)
	p.medium("video", place.Video)
	p.medium("text", place.Text)
	p.end("place-is")
}

func (p *printer) medium(name, value string) {
	if value == "" {
		return
	}
	p.raw("<rpid:")
	p.raw(name)
	p.raw("><rpid:")
	p.raw(value)
	p.raw("/>")
	p.end(name)
}

func (p *printer) statusIcons(icons []StatusIcon) {
	for i := range icons {
		p.open("status-icon", &icons[i].Meta)
		p.raw(">")
		p.b = xmltree.AppendText(p.b, icons[i].URI)
		p.end("status-icon")
	}
}

func (p *printer) timeOffset(o *TimeOffset) {
	p.open("time-offset", &o.Meta)
	if o.Description != "" {
		p.attr("description", o.Description)
	}
	p.raw(">")
	p.b = strconv.AppendInt(p.b, int64(o.Minutes), 10)
	p.end("time-offset")
}

func (p *printer) userInput(u *UserInput) {
	if u == nil {
		return
	}
	p.open("user-input", &Meta{ID: u.ID, Attributes: u.Attributes})
	if seconds := int64(u.IdleThreshold / time.Second); seconds > 0 {
		p.raw(` idle-threshold="`)
		p.b = append(strconv.AppendInt(p.b, seconds, 10), '"')
	}
	p.time("last-input", u.LastInput)
	if u.Idle {
		p.raw(">idle")
	} else {
		p.raw(">active")
	}
	p.end("user-input")
}
