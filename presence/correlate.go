package presence

import (
	"slices"

	"vigie/pidf"
)

// groups brings segments about the same thing together. A key says what a segment
// is about; without one it stands alone. Each group comes out with its strongest
// member first, the groups in the order of their oldest members.
func groups[S any](all []S, key func(*S) (string, bool), stronger func(a, b *S) int) [][]*S {
	if len(all) == 0 {
		return nil
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
	registered := make(map[string]bool)
	if policy.Services == KeepServices {
		for i := range s.services {
			if s.services[i].rank == byRegistration {
				registered[s.services[i].contact] = true
			}
		}
	}
	joined := make(map[string]bool)
	return groups(s.services, func(x *service) (string, bool) {
		if x.rank == byPublication && physical(x.tuple) {
			return "", false
		}
		if policy.Services == KeepServices && x.rank == byPublication {
			// A binding still joins one of them, the oldest, instead of doubling it.
			if !registered[x.contact] || joined[x.contact] {
				return "", false
			}
			joined[x.contact] = true
		}
		return x.contact, true
	}, func(a, b *service) int { return a.stronger(&b.origin) })
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
