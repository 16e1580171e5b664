package presence

import (
	"slices"
	"time"

	"vigie/pidf"
)

// merge makes one element of each group, and one set of notes and extensions for
// the document.
func (s *segments) merge(policy Policy) pidf.Document {
	var d pidf.Document
	services := s.serviceGroups(policy)
	d.Tuples = make([]pidf.Tuple, len(services))
	for i, group := range services {
		mergeServices(&d.Tuples[i], group)
	}
	persons := s.personGroups(policy)
	d.Persons = make([]pidf.Person, len(persons))
	for i, group := range persons {
		mergePersons(&d.Persons[i], group)
	}
	devices := s.deviceGroups()
	d.Devices = make([]pidf.Device, len(devices))
	for i, group := range devices {
		mergeDevices(&d.Devices[i], group)
	}
	s.mergeRemarks(&d, policy)
	if policy.Persons == SinglePerson {
		s.personInput(&d)
	}
	return d
}

// mergeServices fills in what the strongest does not say from the weaker ones.
func mergeServices(t *pidf.Tuple, group []*service) {
	*t = *group[0].tuple
	t.Basic, t.Contact = basicOf(group), contactOf(group)
	oldest, newest := group[0], group[0].timestamp
	for _, s := range group[1:] {
		if s.older(&oldest.origin) < 0 {
			oldest = s
		}
		newest = later(newest, s.timestamp)
		w := s.tuple
		t.StatusExtensions = otherNames(t.StatusExtensions, w.StatusExtensions)
		t.Extensions = otherNames(t.Extensions, w.Extensions)
		t.DeviceIDs = union(t.DeviceIDs, w.DeviceIDs, func(a, b string) bool { return deviceKey(a) == deviceKey(b) })
		t.UserInput = bothInputs(t.UserInput, w.UserInput)
		t.CIPID = fillCIPID(t.CIPID, w.CIPID)
		fill(&t.Class, w.Class)
		fill(&t.Relationship, w.Relationship)
		fill(&t.ServiceClass, w.ServiceClass)
		fill(&t.Servcaps, w.Servcaps)
		fillList(&t.Privacy, w.Privacy)
		fillList(&t.StatusIcons, w.StatusIcons)
		fillList(&t.TimedStatuses, w.TimedStatuses)
		fillList(&t.Notes, w.Notes)
	}
	t.ID, t.Timestamp = oldest.id, newest
}

func mergePersons(p *pidf.Person, group []*person) {
	*p = *group[0].Person
	p.Activities = activitiesOf(group)
	oldest, newest := group[0], group[0].timestamp
	for _, w := range group[1:] {
		if w.older(&oldest.origin) < 0 {
			oldest = w
		}
		newest = later(newest, w.timestamp)
		p.Extensions = otherNames(p.Extensions, w.Extensions)
		p.UserInput = bothInputs(p.UserInput, w.UserInput)
		p.CIPID = fillCIPID(p.CIPID, w.CIPID)
		fill(&p.Class, w.Class)
		fillList(&p.Moods, w.Moods)
		fillList(&p.PlaceIs, w.PlaceIs)
		fillList(&p.PlaceTypes, w.PlaceTypes)
		fillList(&p.Privacy, w.Privacy)
		fillList(&p.Spheres, w.Spheres)
		fillList(&p.StatusIcons, w.StatusIcons)
		fillList(&p.TimeOffsets, w.TimeOffsets)
		fillList(&p.Notes, w.Notes)
	}
	p.ID, p.Timestamp = oldest.id, newest
}

func mergeDevices(d *pidf.Device, group []*device) {
	*d = *group[0].Device
	oldest, newest := group[0], group[0].timestamp
	for _, w := range group[1:] {
		if w.older(&oldest.origin) < 0 {
			oldest = w
		}
		newest = later(newest, w.timestamp)
		d.Extensions = otherNames(d.Extensions, w.Extensions)
		d.UserInput = bothInputs(d.UserInput, w.UserInput)
		fill(&d.Class, w.Class)
		fill(&d.Devcaps, w.Devcaps)
		fillList(&d.Notes, w.Notes)
	}
	d.ID, d.Timestamp = oldest.id, newest
}

// mergeRemarks takes elements of every name, and the notes about the presentity
// from one publication, the strongest that has any: those in its person and those
// beside it, which stand for persons without own ones (RFC 4479 §5).
func (s *segments) mergeRemarks(d *pidf.Document, policy Policy) {
	remarks := make([]*remark, len(s.remarks))
	for i := range s.remarks {
		remarks[i] = &s.remarks[i]
	}
	slices.SortFunc(remarks, func(a, b *remark) int { return a.stronger(&b.origin) })
	var beside *remark
	for _, r := range remarks {
		d.Extensions = otherNames(d.Extensions, r.extensions)
		if beside == nil && len(r.notes) > 0 {
			beside = r
		}
	}
	if beside == nil {
		return
	}
	if policy.Persons == KeepPersons {
		d.Notes = beside.notes
		return
	}
	speaker := &beside.origin
	for i := range s.persons {
		if p := &s.persons[i]; len(p.Notes) > 0 && p.stronger(speaker) < 0 {
			speaker = &p.origin
		}
	}
	d.Notes = s.notesBeside(speaker.created)
	if len(d.Persons) > 0 {
		d.Persons[0].Notes = s.notesWithin(speaker.created)
	}
}

func (s *segments) notesBeside(created int64) []pidf.Note {
	for i := range s.remarks {
		if s.remarks[i].created == created {
			return s.remarks[i].notes
		}
	}
	return nil
}

// notesWithin gives the notes of the strongest person of one publication.
func (s *segments) notesWithin(created int64) []pidf.Note {
	var speaker *person
	for i := range s.persons {
		p := &s.persons[i]
		if p.created == created && len(p.Notes) > 0 && (speaker == nil || p.stronger(&speaker.origin) < 0) {
			speaker = p
		}
	}
	if speaker == nil {
		return nil
	}
	return speaker.Notes
}

// personInput says of the person what its services and devices report: active if
// one is.
func (s *segments) personInput(d *pidf.Document) {
	var all *pidf.UserInput
	add := func(u *pidf.UserInput) {
		if u != nil {
			all = bothInputs(all, u)
		}
	}
	for i := range d.Persons {
		add(d.Persons[i].UserInput)
	}
	for i := range d.Tuples {
		add(d.Tuples[i].UserInput)
	}
	for i := range d.Devices {
		add(d.Devices[i].UserInput)
	}
	switch {
	case all == nil:
		return
	case len(d.Persons) == 0:
		d.Persons = append(d.Persons, pidf.Person{ID: ownPrefix + "person"})
	}
	input := *all
	input.ID = ""
	d.Persons[0].UserInput = &input
}

// newest is the latest timestamp of a document; zero when it has none.
func newest(d *pidf.Document) (t time.Time) {
	for i := range d.Tuples {
		t = later(t, d.Tuples[i].Timestamp)
	}
	for i := range d.Persons {
		t = later(t, d.Persons[i].Timestamp)
	}
	for i := range d.Devices {
		t = later(t, d.Devices[i].Timestamp)
	}
	return t
}
