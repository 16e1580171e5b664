package presence

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"vigie/pidf"
	"vigie/sip"
)

// normalise makes segments of the inputs.
func normalise(in inputs) *segments {
	s := &segments{registrations: in.registrations}
	var services, persons, devices int
	for i := range in.publications {
		d := in.publications[i].document
		services, persons, devices = services+len(d.Tuples), persons+len(d.Persons), devices+len(d.Devices)
	}
	s.services = make([]service, 0, services)
	s.persons = make([]person, 0, persons)
	s.devices = make([]device, 0, devices)
	for i := range in.publications {
		s.publication(&in.publications[i])
	}
	return s
}

func (s *segments) publication(p *publication) {
	d := p.document
	index := 0
	from := func(published time.Time) (o origin, timestamp time.Time) {
		o = origin{rank: byPublication, created: p.created, index: index, timed: p.timed, stamp: p.received, received: p.received}
		index++
		if published.IsZero() {
			return o, published
		}
		// Nothing changed after it was heard of: that clock is ahead of ours.
		if published.After(p.received) {
			published = p.received
		}
		o.stamp = published
		return o, published
	}
	for i := range d.Tuples {
		t := &d.Tuples[i]
		o, timestamp := from(t.Timestamp)
		s.services = append(s.services, service{o, p.prefix + t.ID, p.contacts[i], timestamp, t})
	}
	for i := range d.Persons {
		o, timestamp := from(d.Persons[i].Timestamp)
		s.persons = append(s.persons, person{o, p.prefix + d.Persons[i].ID, timestamp, &d.Persons[i]})
	}
	for i := range d.Devices {
		o, timestamp := from(d.Devices[i].Timestamp)
		s.devices = append(s.devices, device{o, p.prefix + d.Devices[i].ID, timestamp, &d.Devices[i]})
	}
	if len(d.Notes) > 0 || len(d.Extensions) > 0 {
		o, _ := from(time.Time{})
		s.remarks = append(s.remarks, remark{o, d.Notes, d.Extensions})
	}
}

// serviceKey says what a tuple correlates by: its contact in one spelling, and the
// service description of OMA where there is one.
func serviceKey(t *pidf.Tuple, presentity sip.URI) string {
	key := contactKey(t.Contact.URI, presentity)
	for _, list := range [][]pidf.Element{t.StatusExtensions, t.Extensions} {
		for i := range list {
			if list[i].Local == "service-description" {
				return key + "\x00" + list[i].Canonical()
			}
		}
	}
	return key
}

// contactKey gives one spelling for all ways to write a contact; "" for the
// presentity's own address. The schemes sip, sips and pres lead to the same place.
func contactKey(contact string, presentity sip.URI) string {
	if contact == "" {
		return ""
	}
	u, err := sip.ParseURI(contact)
	if err != nil {
		return contact
	}
	aor := u.AOR()
	if u.Scheme == "im" {
		aor.Scheme = "im"
	}
	if u.Port == 0 && u.Params == "" && u.Headers == "" {
		if aor == presentity {
			return ""
		}
		return aor.String()
	}
	var params []string
	for name, value := range u.Params.All() {
		params = append(params, strings.ToLower(name)+"="+strings.ToLower(value))
	}
	slices.Sort(params)
	return aor.String() + ":" + strconv.Itoa(int(u.Port)) + ";" + strings.Join(params, ";") + "?" + u.Headers
}

// deviceKey gives one spelling for all ways to write a URN: case does not tell the
// UUIDs of devices apart.
func deviceKey(urn string) string {
	const scheme = "urn:"
	if len(urn) > len(scheme) && strings.EqualFold(urn[:len(scheme)], scheme) {
		return strings.ToLower(urn)
	}
	return urn
}
