package api

import (
	"fmt"
	"time"

	"vigie/event"
	"vigie/pidf"
	"vigie/xmltree"
)

// Presence is what a watcher may know of a presentity, in short. The document
// itself is to be had with Accept: application/pidf+xml.
type Presence struct {
	Address string `json:"address"`

	// Subscription is "active", or "pending" while the presentity has not
	// decided; then nothing else is known.
	Subscription string `json:"subscription"`

	State      string     `json:"state"` // "open" if any service is, "closed" if all are, else "unknown"
	Activities []string   `json:"activities"`
	Notes      []string   `json:"notes"`
	Services   []Service  `json:"services"`
	Updated    *time.Time `json:"updated,omitempty"`
}

// Service is one way to reach the presentity.
type Service struct {
	ID      string     `json:"id"`
	State   string     `json:"state"`
	Contact string     `json:"contact,omitempty"`
	Notes   []string   `json:"notes,omitempty"`
	Updated *time.Time `json:"updated,omitempty"`
}

// summary shortens a presence document; without one the watcher is waiting.
func summary(address string, body *event.Body, now time.Time) (Presence, error) {
	p := Presence{Address: address, Subscription: "active", State: "unknown", Activities: []string{}, Notes: []string{}, Services: []Service{}}
	if body == nil {
		p.Subscription = "pending"
		return p, nil
	}
	d, err := pidf.Parse(body.Data, xmltree.Limits{})
	if err != nil {
		return p, fmt.Errorf("read the document of %s: %w", address, err)
	}
	for i := range d.Tuples {
		p.addService(&d.Tuples[i])
	}
	for i := range d.Persons {
		p.addPerson(&d.Persons[i], now)
	}
	p.addNotes(d.Notes)
	return p, nil
}

func (p *Presence) addService(t *pidf.Tuple) {
	s := Service{ID: t.ID, State: "unknown", Contact: t.Contact.URI, Updated: p.newer(t.Timestamp)}
	if t.Basic != "" {
		s.State = string(t.Basic)
	}
	for _, n := range t.Notes {
		s.Notes = append(s.Notes, n.Text)
	}
	switch {
	case t.Basic == pidf.Open:
		p.State = "open"
	case t.Basic == pidf.Closed && p.State == "unknown":
		p.State = "closed"
	}
	p.Services = append(p.Services, s)
}

func (p *Presence) addPerson(person *pidf.Person, now time.Time) {
	for i := range person.Activities {
		a := &person.Activities[i]
		if !a.Current(now) {
			continue
		}
		p.Activities = append(p.Activities, a.Values...)
		for _, other := range a.Other {
			p.Activities = append(p.Activities, other.Text)
		}
		p.addNotes(a.Notes)
	}
	p.addNotes(person.Notes)
	p.newer(person.Timestamp)
}

func (p *Presence) addNotes(notes []pidf.Note) {
	for _, n := range notes {
		p.Notes = append(p.Notes, n.Text)
	}
}

// newer keeps the latest time seen in Updated, and gives t for JSON.
func (p *Presence) newer(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	if p.Updated == nil || t.After(*p.Updated) {
		p.Updated = &t
	}
	return &t
}
