package presence

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"vigie/event"
	"vigie/pidf"
	"vigie/sip"
)

// whole is the composed state of a presentity: a document that lacks its entity
// alone.
type whole struct {
	document pidf.Document
	content  [sha256.Size]byte
	next     time.Time
}

// nothing is the state of all who have published nothing. Its document is made
// when it is to be seen: most of those who are watched are away.
var nothing = new(whole)

// of is the document as it is about a presentity.
func (w *whole) of(presentity sip.URI) pidf.Document {
	d := w.document
	if w == nothing {
		emit(&d, presentity)
	}
	return d
}

// Same implements event.Composite. Timestamps that the server makes do not count.
func (w *whole) Same(other event.Composite) bool {
	o, ok := other.(*whole)
	return ok && w.content == o.content
}

// Next implements event.Composite.
func (w *whole) Next() time.Time { return w.next }

// page is what a document is printed on before it is known how long it is.
type page []byte

var pages = sync.Pool{New: func() any { return new(page) }}

// print gives what lasts until the page is printed on again.
func (p *page) print(d *pidf.Document) []byte {
	*p = d.AppendTo((*p)[:0])
	return *p
}

// compose runs all stages.
func compose(in inputs, policy Policy, presentity sip.URI, now time.Time) *whole {
	in.discard(now)
	if len(in.publications)+len(in.registrations) == 0 {
		return nothing
	}
	s := normalise(in)
	s.discard(policy, now)
	s.derive(policy, presentity)
	d := s.merge(policy)
	emit(&d, presentity)
	w := &whole{document: d, next: s.next}
	p := pages.Get().(*page)
	defer pages.Put(p)
	w.content = sha256.Sum256(p.print(&d))
	stamp(&w.document, w.content)
	return w
}

// emit makes the document one that can be shown: a service there always is
// (without any input it is closed), with a contact, in an order of its own.
func emit(d *pidf.Document, presentity sip.URI) {
	address := presentity.String()
	if len(d.Tuples) == 0 {
		d.Tuples = append(d.Tuples, pidf.Tuple{ID: ownID("tuple", address), Basic: pidf.Closed})
	}
	absent := slices.ContainsFunc(d.Persons, func(p pidf.Person) bool {
		return slices.ContainsFunc(p.Activities, func(a pidf.Activities) bool { return a.Has("permanent-absence") })
	})
	for i := range d.Tuples {
		t := &d.Tuples[i]
		if absent { // RFC 4480 §3.2: nothing of this person can be reached
			t.Basic = pidf.Closed
		}
		reachable(t, address)
	}
	slices.SortFunc(d.Tuples, func(a, b pidf.Tuple) int {
		return cmp.Or(cmp.Compare(b.Contact.Thousandths(), a.Contact.Thousandths()),
			cmp.Compare(a.Contact.URI, b.Contact.URI), cmp.Compare(a.ID, b.ID))
	})
	slices.SortFunc(d.Devices, func(a, b pidf.Device) int {
		return cmp.Or(cmp.Compare(a.DeviceID, b.DeviceID), cmp.Compare(a.ID, b.ID))
	})
}

// reachable gives a service without contact the presentity's address, unless it is
// a physical one; a service with contact is not physical (RFC 4480 §3.10).
func reachable(t *pidf.Tuple, address string) {
	if physical(t) {
		return
	}
	if t.Contact.URI == "" {
		t.Contact.URI = address
		return
	}
	bare := *t
	bare.Contact.URI = ""
	if physical(&bare) {
		t.ServiceClass = nil
	}
}

// stamp makes sure that no two documents with different content have the same
// newest timestamp (RFC 3863 §4.1.7): a publication that went leaves no time
// behind, so the fraction of the second comes from the content. Every node of a
// cluster finds the same.
func stamp(d *pidf.Document, content [sha256.Size]byte) {
	second := newest(d).Truncate(time.Second)
	if second.IsZero() {
		return
	}
	stamped := second.Add(time.Duration(binary.BigEndian.Uint64(content[:8]) % uint64(time.Second)))
	set := func(t *time.Time) {
		if !t.Before(second) {
			*t = stamped
		}
	}
	for i := range d.Tuples {
		set(&d.Tuples[i].Timestamp)
	}
	for i := range d.Persons {
		set(&d.Persons[i].Timestamp)
	}
	for i := range d.Devices {
		set(&d.Devices[i].Timestamp)
	}
}
