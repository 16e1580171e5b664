package presence

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"vigie/event"
	"vigie/pidf"
	"vigie/sip"
)

// inputs are all there is to compose: publications and registrations today. Dialogs,
// calendars, overrides and hard state join here, and each stage says what it makes
// of them.
type inputs struct {
	publications  []publication
	registrations []registration
}

// publication is a live PUBLISH.
type publication struct {
	created  int64
	prefix   string
	received time.Time // of the last create or modify; refreshes do not count
	expires  time.Time
	*published
}

// registration is a binding with the number under which it became an input.
type registration struct {
	created int64
	Registration
}

// Registration is the state of a binding (RFC 3261 §10) as an input: whoever feeds
// bindings to the engine puts it into Publication.State.
type Registration struct {
	Contact  string
	GRUU     string // public GRUU (RFC 5627 §3.1), "" without one
	Instance string // +sip.instance, a URN, "" without one
	Q        string // preference, "" without one
	Alive    bool   // its flow stands
	Expires  time.Time
}

// gather sorts the engine's publications by kind, and each kind by creation.
func gather(live []event.Publication) (inputs, error) {
	var in inputs
	for i := range live {
		p := &live[i]
		switch state := p.State.(type) {
		case *published:
			in.publications = append(in.publications, publication{p.Created, p.Prefix, p.Updated, p.Expires, state})
		case Registration:
			in.registrations = append(in.registrations, registration{p.Created, state})
		default:
			return inputs{}, fmt.Errorf("presence: an input of type %T", p.State)
		}
	}
	slices.SortFunc(in.publications, func(a, b publication) int { return cmp.Compare(a.created, b.created) })
	slices.SortFunc(in.registrations, func(a, b registration) int { return cmp.Compare(a.created, b.created) })
	return in, nil
}

// published is the state of one publication: its document, with ids that are good
// within it, and what each tuple correlates by.
type published struct {
	document *pidf.Document
	contacts []string
	timed    bool // some of it holds at some times only
}

func newPublished(d *pidf.Document, presentity sip.URI) *published {
	settleIDs(d)
	p := &published{document: d, contacts: make([]string, len(d.Tuples)), timed: isTimed(d)}
	for i := range d.Tuples {
		p.contacts[i] = serviceKey(&d.Tuples[i], presentity)
	}
	return p
}
