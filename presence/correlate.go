package presence

import (
	"slices"

	"vigie/pidf"
)

// groups brings segments about the same thing together. A key says what a segment
// is about; without one it stands alone. Each group comes out with its strongest
// member first, the groups in the order of their oldest members.
func groups[S any](all []S, key func(*S) (string, bool), stronger func(a, b *S) int) [][]*S {
	switch len(all) {
	case 0:
		return nil
	case 1:
		return [][]*S{{&all[0]}}
	}
	out := make([][]*S, 0, len(all))
	place := make(map[string]int, len(all))
	for i := range all {
		k, grouped := key(&all[i])
		at, known := place[k]
		if !grouped || !known {
			at = len(out)
			out = append(out, nil)
		}
		if grouped {
			place[k] = at
		}
		out[at] = append(out[at], &all[i])
	}
	for _, group := range out {
		if len(group) > 1 {
			slices.SortFunc(group, stronger)
		}
	}
	return out
}

func (s *segments) serviceGroups(policy Policy) [][]*service {
	stronger := func(a, b *service) int { return a.stronger(&b.origin) }
	if policy.Services == KeepServices {
		return groups(s.services, s.keptApart(), stronger)
	}
	return groups(s.services, func(x *service) (string, bool) {
		return x.contact, x.rank == byRegistration || !physical(x.tuple)
	}, stronger)
}

// keptApart correlates bindings alone: they join the oldest published service of
// their contact instead of doubling it, and each other.
func (s *segments) keptApart() func(*service) (string, bool) {
	registered := make(map[string]bool)
	for i := range s.services {
		if s.services[i].rank == byRegistration {
			registered[s.services[i].contact] = true
		}
	}
	return func(x *service) (string, bool) {
		if x.rank == byRegistration {
			return x.contact, true
		}
		oldest := registered[x.contact] && !physical(x.tuple)
		if oldest {
			registered[x.contact] = false // publications come first, in order of age
		}
		return x.contact, oldest
	}
}

func (s *segments) deviceGroups() [][]*device {
	return groups(s.devices, func(d *device) (string, bool) {
		return deviceKey(d.DeviceID), d.DeviceID != ""
	}, func(a, b *device) int { return a.stronger(&b.origin) })
}

func (s *segments) personGroups(policy Policy) [][]*person {
	return groups(s.persons, func(*person) (string, bool) {
		return "", policy.Persons == SinglePerson
	}, func(a, b *person) int { return a.stronger(&b.origin) })
}

// physical services are reached in person or by post, not at a URI
// (RFC 4480 §3.10).
func physical(t *pidf.Tuple) bool {
	if t.ServiceClass == nil {
		return false
	}
	for _, class := range t.ServiceClass.Values {
		switch class {
		case "courier", "freight", "in-person", "postal":
			return t.Contact.URI == ""
		}
	}
	return false
}
