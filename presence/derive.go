package presence

import (
	"slices"

	"vigie/pidf"
	"vigie/sip"
)

// derive makes services and devices of registrations (RFC 3856 §7.2). A binding
// that a publication speaks for joins that service; the others make one service
// for the presentity's address, or one each.
func (s *segments) derive(policy Policy, presentity sip.URI) {
	for i := range s.registrations {
		if r := &s.registrations[i]; r.Instance != "" {
			s.devices = append(s.devices, device{
				origin: r.origin(i), id: ownID("device", r.Instance),
				Device: &pidf.Device{DeviceID: r.Instance},
			})
		}
	}
	if policy.Registered == NoTuple {
		return
	}
	published := s.services
	var rest []int
	for i := range s.registrations {
		r := &s.registrations[i]
		if of := r.publishedAs(published, presentity); of != nil {
			s.services = append(s.services, r.service(i, of.contact, of.tuple.Contact.URI, policy))
		} else {
			rest = append(rest, i)
		}
	}
	if policy.Registered == PerInstance {
		for _, i := range rest {
			s.services = append(s.services, s.registrations[i].alone(i, presentity, policy))
		}
		return
	}
	s.together(rest, presentity, policy)
}

func (r *registration) origin(index int) origin {
	return origin{rank: byRegistration, created: r.created, index: index}
}

// publishedAs finds the published service that a binding belongs to: the one with
// its contact or GRUU, or that runs on its device.
func (r *registration) publishedAs(published []service, presentity sip.URI) *service {
	contact, gruu := contactKey(r.Contact, presentity), contactKey(r.GRUU, presentity)
	for i := range published {
		p := &published[i]
		if physical(p.tuple) {
			continue
		}
		if p.contact != "" && (p.contact == contact || p.contact == gruu) {
			return p
		}
		if r.Instance != "" && slices.ContainsFunc(p.tuple.DeviceIDs, func(id string) bool {
			return deviceKey(id) == deviceKey(r.Instance)
		}) {
			return p
		}
	}
	return nil
}

// service is what a binding says about the service with the given contact.
func (r *registration) service(index int, key, contact string, policy Policy) service {
	t := &pidf.Tuple{Basic: pidf.Closed, Contact: pidf.Contact{URI: contact, Priority: r.Q}}
	if r.Alive && !policy.RegisteredShut {
		t.Basic = pidf.Open
	}
	if r.Instance != "" {
		t.DeviceIDs = []string{r.Instance}
	}
	return service{origin: r.origin(index), id: ownID("binding", r.Instance, r.Contact), contact: key, tuple: t}
}

// alone is the service of one device. Its contact is the GRUU or the address of
// record, never the binding, which is nobody's business.
func (r *registration) alone(index int, presentity sip.URI, policy Policy) service {
	s := r.service(index, contactKey(r.GRUU, presentity), r.GRUU, policy)
	if r.GRUU == "" {
		s.contact = "\x00" + r.Instance + "\x00" + r.Contact // no two devices are one
	}
	return s
}

// together is the service that all these bindings make: open if one is alive, with
// the highest preference.
func (s *segments) together(bindings []int, presentity sip.URI, policy Policy) {
	for _, i := range bindings {
		r := &s.registrations[i]
		one := r.service(i, "", "", policy)
		one.id = ownID("registered", presentity.String())
		s.services = append(s.services, one)
	}
}
