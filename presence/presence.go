// Package presence is the event package "presence" (RFC 3856): it reads
// published PIDF documents, composes them, and renders what a watcher may see.
//
// No RFC prescribes how several publications become one document. Here it is a
// pure function of the inputs, the policy and a time, in stages with a file each:
//
//	normalise   inputs become segments: services, persons, devices, each with its origin
//	discard     what has expired or is not current goes
//	derive      services and devices out of registrations
//	correlate   segments about the same thing come together
//	resolve     which of them says an attribute
//	merge       one element per group
//	emit        order, contacts, timestamps
//
// Invariants:
//
//   - The same inputs at the same time give the same document, whatever the order
//     in which they came. What depends on history (creation number, id prefix) is
//     stored with an input and never changes.
//   - An input's parsed state is shared and never written to; merging copies what
//     it changes.
//   - The id of an element never changes while the segment lives that gave it.
//   - Removing an input removes what it said and nothing else.
//
// The package knows no clock, network or lock; Authorize looks nothing up yet.
package presence

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"vigie/event"
	"vigie/pidf"
	"vigie/sip"
	"vigie/xmltree"
)

// MediaType is that of presence documents (RFC 3863 §7).
const MediaType = "application/pidf+xml"

// Default is what a watcher may do until the presentity has rules.
type Default string

const (
	Allow   Default = "allow"
	Confirm Default = "confirm" // the presentity is to decide: pending until then
	Block   Default = "block"
)

// Options configure the package. Zero fields mean the defaults.
type Options struct {
	SameDomain Default // for watchers of the presentity's domain; default Allow
	Others     Default // for all others; default Confirm
	Policy     Policy
	Limits     pidf.Limits
}

// Presence is the event package. It has no state of its own.
type Presence struct {
	options Options
	types   []string // taken and given
}

var (
	_ event.Package = (*Presence)(nil)
	_ event.Checker = (*Presence)(nil)
)

// New gives the event package.
func New(o Options) *Presence {
	if o.SameDomain == "" {
		o.SameDomain = Allow
	}
	if o.Others == "" {
		o.Others = Confirm
	}
	return &Presence{options: o, types: []string{MediaType}}
}

// Name implements event.Package.
func (p *Presence) Name() string { return "presence" }

// PublishTypes implements event.Package.
func (p *Presence) PublishTypes() []string { return p.types }

// NotifyTypes implements event.Package.
func (p *Presence) NotifyTypes() []string { return p.types }

// Read implements event.Package. Whatever can be understood of a document is
// taken; only a missing root, entity, tuple id or status makes it malformed. The
// entity does not matter: what is published for is the Request-URI (RFC 3903 §4.1).
func (p *Presence) Read(r event.Resource, mediaType, text string) (any, error) {
	limits, ok := p.limits(mediaType)
	if !ok {
		return nil, p.unsupported(mediaType)
	}
	document, err := pidf.ParseText(text, limits)
	if err != nil {
		return nil, p.unread(mediaType, err)
	}
	return newPublished(document, r.URI), nil
}

// Check implements event.Checker.
func (p *Presence) Check(_ event.Resource, mediaType, text string) error {
	limits, ok := p.limits(mediaType)
	if !ok {
		return p.unsupported(mediaType)
	}
	if err := pidf.Check(text, limits); err != nil {
		return p.unread(mediaType, err)
	}
	return nil
}

// limits are those of a document of the given type, if it is one of the package.
func (p *Presence) limits(mediaType string) (pidf.Limits, bool) {
	limits := p.options.Limits
	if mediaType == MediaType {
		return limits, true
	}
	t, err := sip.ParseMediaType(mediaType)
	if err != nil || !strings.EqualFold(t.Type+"/"+t.Subtype, MediaType) {
		return limits, false
	}
	limits.Charset, _ = t.Params.Get("charset")
	return limits, true
}

func (p *Presence) unsupported(mediaType string) error {
	return &event.UnsupportedBodyError{Type: mediaType, Accept: p.PublishTypes()}
}

// unread says why a document was not read.
func (p *Presence) unread(mediaType string, err error) error {
	if _, ok := errors.AsType[*xmltree.EncodingError](err); ok {
		return p.unsupported(mediaType)
	}
	return &event.MalformedBodyError{Reason: err.Error()}
}

// Compose implements event.Package.
func (p *Presence) Compose(r event.Resource, live []event.Publication, now time.Time) (event.Composite, error) {
	in, err := gather(live)
	if err != nil {
		return nil, err
	}
	return compose(in, p.options.Policy, r.URI, now), nil
}

// everything is the key of the only view there is until rules arrive.
const everything = "everything"

// Authorize implements event.Package: the owner sees everything, others as
// configured. An anonymous watcher belongs to no domain.
func (p *Presence) Authorize(_ context.Context, r event.Resource, watcher event.Identity) (event.Decision, error) {
	switch p.answer(r.URI, watcher) {
	case Allow:
		return event.Decision{State: event.Allowed, Key: everything}, nil
	case Confirm:
		return event.Decision{State: event.Waiting}, nil
	default:
		return event.Decision{State: event.Rejected}, nil
	}
}

func (p *Presence) answer(presentity sip.URI, watcher event.Identity) Default {
	if watcher.Anonymous {
		return p.options.Others
	}
	if watcher.URI == presentity || slices.Contains(watcher.Also, presentity) {
		return Allow
	}
	neighbour := func(u sip.URI) bool { return u.Host != "" && u.Host == presentity.Host }
	if neighbour(watcher.URI) || slices.ContainsFunc(watcher.Also, neighbour) {
		return p.options.SameDomain
	}
	return p.options.Others
}

// View implements event.Package.
func (p *Presence) View(r event.Resource, composite event.Composite, d event.Decision, f event.Form) (event.Body, error) {
	if f.Type != "" && f.Type != MediaType {
		return event.Body{}, &event.UnsupportedBodyError{Type: f.Type, Accept: p.NotifyTypes()}
	}
	if d.State != event.Allowed {
		return event.Body{}, errors.New("presence: a watcher without permission has no view")
	}
	w, ok := composite.(*whole)
	if !ok {
		return event.Body{}, errors.New("presence: the composite is of another package")
	}
	document := w.of(r.URI)
	if document.Entity = f.Entity; document.Entity == "" {
		document.Entity = r.URI.String()
	}
	sheet := pages.Get().(*page)
	defer pages.Put(sheet)
	return event.Body{Type: MediaType, Data: bytes.Clone(sheet.print(&document))}, nil
}
