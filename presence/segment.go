package presence

import (
	"cmp"
	"time"

	"vigie/pidf"
)

// rank orders sources by precedence, the strongest first. Overrides will stand
// above publications; dialogs and calendars below them; hard state below
// registrations.
type rank uint8

const (
	ranked rank = iota
	byPublication
	byRegistration
	byDefault
)

// origin says where a segment comes from. Rank, created and index are its key.
type origin struct {
	rank     rank
	created  int64 // of the input
	index    int   // of the element in it
	timed    bool  // the input holds at some times only
	stamp    time.Time
	received time.Time
}

// stronger orders origins by who is believed: the better rank, then the later
// timestamp, the later reception, the smaller key.
func (o *origin) stronger(x *origin) int {
	return cmp.Or(
		cmp.Compare(o.rank, x.rank),
		x.stamp.Compare(o.stamp),
		x.received.Compare(o.received),
		o.older(x),
	)
}

// older orders origins by their keys.
func (o *origin) older(x *origin) int {
	return cmp.Or(
		cmp.Compare(o.rank, x.rank),
		cmp.Compare(o.created, x.created),
		cmp.Compare(o.index, x.index),
	)
}

// service, person and device are the segments. What they point to is shared; ID
// and Timestamp there are not those of the output.
type service struct {
	origin
	id        string
	contact   string // what it correlates by: "" stands for the presentity's address
	timestamp time.Time
	tuple     *pidf.Tuple
}

type person struct {
	origin
	id        string
	timestamp time.Time
	*pidf.Person
}

type device struct {
	origin
	id        string
	timestamp time.Time
	*pidf.Device
}

// remark is what a document says beside its segments.
type remark struct {
	origin
	notes      []pidf.Note
	extensions []pidf.Element
}

// segments are what the stages work on, each kind in key order.
type segments struct {
	services      []service
	persons       []person
	devices       []device
	remarks       []remark
	registrations []registration
	next          time.Time // when time alone changes something
}

// changesAt notes a boundary.
func (s *segments) changesAt(t time.Time) {
	if !t.IsZero() && (s.next.IsZero() || t.Before(s.next)) {
		s.next = t
	}
}
