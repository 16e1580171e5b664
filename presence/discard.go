package presence

import (
	"slices"
	"time"

	"vigie/pidf"
)

// discard drops what has expired, and of the rest what is not current: RPID
// elements outside their from and until (RFC 4480 §3.1), timed status whose time
// has come (RFC 4481 §3). It notes when that changes.
func (in *inputs) discard(now time.Time) {
	in.publications = slices.DeleteFunc(in.publications, func(p publication) bool { return !p.expires.After(now) })
	in.registrations = slices.DeleteFunc(in.registrations, func(r registration) bool { return !r.Expires.After(now) })
}

func (s *segments) discard(policy Policy, now time.Time) {
	for i := range s.registrations {
		s.changesAt(s.registrations[i].Expires)
	}
	for i := range s.services {
		if x := &s.services[i]; x.timed || policy.StripLastInput {
			x.tuple = s.currentTuple(x.tuple, policy, now)
		}
	}
	for i := range s.persons {
		if x := &s.persons[i]; x.timed || policy.StripLastInput {
			x.Person = s.currentPerson(x.Person, policy, now)
		}
	}
	for i := range s.devices {
		if x := &s.devices[i]; policy.StripLastInput && hasLastInput(x.UserInput) {
			stripped := *x.Device
			stripped.UserInput = withoutLastInput(x.UserInput)
			x.Device = &stripped
		}
	}
}

// isTimed says whether anything of the document has a boundary in time, which few
// documents do.
func isTimed(d *pidf.Document) bool {
	for i := range d.Tuples {
		t := &d.Tuples[i]
		if len(t.TimedStatuses) > 0 || bounded(t.Privacy, enumerationMeta) || bounded(t.StatusIcons, iconMeta) {
			return true
		}
	}
	return slices.ContainsFunc(d.Persons, func(p pidf.Person) bool {
		return bounded(p.Activities, enumerationMeta) || bounded(p.Moods, enumerationMeta) ||
			bounded(p.PlaceIs, placeIsMeta) || bounded(p.PlaceTypes, enumerationMeta) ||
			bounded(p.Privacy, enumerationMeta) || bounded(p.Spheres, sphereMeta) ||
			bounded(p.StatusIcons, iconMeta) || bounded(p.TimeOffsets, offsetMeta)
	})
}

func bounded[T any](list []T, meta func(*T) *pidf.Meta) bool {
	for i := range list {
		if m := meta(&list[i]); !m.From.IsZero() || !m.Until.IsZero() {
			return true
		}
	}
	return false
}

func (s *segments) currentTuple(t *pidf.Tuple, policy Policy, now time.Time) *pidf.Tuple {
	c := *t
	changed := current(s, &c.Privacy, enumerationMeta, now)
	changed = current(s, &c.StatusIcons, iconMeta, now) || changed
	changed = s.timedStatus(&c, policy, now) || changed
	if policy.StripLastInput && hasLastInput(c.UserInput) {
		c.UserInput, changed = withoutLastInput(c.UserInput), true
	}
	if !changed {
		return t
	}
	return &c
}

func (s *segments) currentPerson(p *pidf.Person, policy Policy, now time.Time) *pidf.Person {
	c := *p
	changed := current(s, &c.Activities, enumerationMeta, now)
	changed = current(s, &c.Moods, enumerationMeta, now) || changed
	changed = current(s, &c.PlaceIs, placeIsMeta, now) || changed
	changed = current(s, &c.PlaceTypes, enumerationMeta, now) || changed
	changed = current(s, &c.Privacy, enumerationMeta, now) || changed
	changed = current(s, &c.Spheres, sphereMeta, now) || changed
	changed = current(s, &c.StatusIcons, iconMeta, now) || changed
	changed = current(s, &c.TimeOffsets, offsetMeta, now) || changed
	if policy.StripLastInput && hasLastInput(c.UserInput) {
		c.UserInput, changed = withoutLastInput(c.UserInput), true
	}
	if !changed {
		return p
	}
	return &c
}

func enumerationMeta(e *pidf.Enumeration) *pidf.Meta { return &e.Meta }
func iconMeta(e *pidf.StatusIcon) *pidf.Meta         { return &e.Meta }
func placeIsMeta(e *pidf.PlaceIs) *pidf.Meta         { return &e.Meta }
func sphereMeta(e *pidf.Sphere) *pidf.Meta           { return &e.Meta }
func offsetMeta(e *pidf.TimeOffset) *pidf.Meta       { return &e.Meta }

// current keeps of a list what holds now, in a list of its own if it is less, and
// notes the boundaries of all.
func current[T any](s *segments, list *[]T, meta func(*T) *pidf.Meta, now time.Time) (changed bool) {
	for i := range *list {
		m := meta(&(*list)[i])
		s.changesAt(m.Next(now))
		changed = changed || !m.Current(now)
	}
	if changed {
		*list = slices.DeleteFunc(slices.Clone(*list), func(e T) bool { return !meta(&e).Current(now) })
	}
	return changed
}

// timedStatus takes the timed status out whose interval covers now, and lets it
// replace the status if the policy says so.
func (s *segments) timedStatus(t *pidf.Tuple, policy Policy, now time.Time) (changed bool) {
	covers := func(ts pidf.TimedStatus) bool {
		return !now.Before(ts.From) && (ts.Until.IsZero() || now.Before(ts.Until))
	}
	for i := range t.TimedStatuses {
		ts := &t.TimedStatuses[i]
		if ts.From.After(now) {
			s.changesAt(ts.From)
		} else if ts.Until.After(now) {
			s.changesAt(ts.Until)
		}
		if !covers(*ts) {
			continue
		}
		changed = true
		if policy.TimedStatus == ApplyTimed && ts.Basic != "" {
			t.Basic = ts.Basic
		}
	}
	if changed {
		t.TimedStatuses = slices.DeleteFunc(slices.Clone(t.TimedStatuses), covers)
	}
	return changed
}

func hasLastInput(u *pidf.UserInput) bool { return u != nil && !u.LastInput.IsZero() }

func withoutLastInput(u *pidf.UserInput) *pidf.UserInput {
	stripped := *u
	stripped.LastInput = time.Time{}
	return &stripped
}
