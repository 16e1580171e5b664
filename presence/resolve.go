package presence

import (
	"slices"
	"time"

	"vigie/pidf"
)

// What is here decides single attributes of a group whose members come strongest
// first. Lists are never appended to in place, they belong to inputs.

// basicOf is open if anybody of the best rank that says anything says open.
func basicOf(group []*service) pidf.Basic {
	basic, of := pidf.Closed, rank(0)
	for _, s := range group {
		switch {
		case of != 0 && s.rank != of:
			return basic
		case s.tuple.Basic == pidf.Open:
			return pidf.Open
		case s.tuple.Basic == pidf.Closed:
			of = s.rank
		}
	}
	return basic
}

// contactOf is the strongest published contact with the highest priority of the
// best rank that has one.
func contactOf(group []*service) pidf.Contact {
	var c pidf.Contact
	of := rank(0)
	for _, s := range group {
		x := s.tuple.Contact
		if c.URI == "" {
			c.URI = x.URI
		}
		if x.Priority == "" || of != 0 && s.rank != of {
			continue
		}
		if x.Thousandths() > c.Thousandths() {
			c.Priority, of = x.Priority, s.rank
		}
	}
	return c
}

// bothInputs is what two reports of use say together: active if one is, else idle
// since the later input, by the longer threshold.
func bothInputs(a, b *pidf.UserInput) *pidf.UserInput {
	switch {
	case a == nil:
		return b
	case b == nil || !a.Idle:
		return a
	case !b.Idle:
		return b
	}
	both := pidf.UserInput{Idle: true, LastInput: later(a.LastInput, b.LastInput)}
	both.IdleThreshold = max(a.IdleThreshold, b.IdleThreshold)
	return &both
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// otherNames adds the elements whose names the stronger ones do not have.
func otherNames(strong, weak []pidf.Element) []pidf.Element {
	out := strong
	for _, e := range weak {
		if !slices.ContainsFunc(strong, func(s pidf.Element) bool { return s.Space == e.Space && s.Local == e.Local }) {
			out = append(slices.Clip(out), e)
		}
	}
	return out
}

// fillCIPID gives strong what only weak has.
func fillCIPID(strong, weak *pidf.CIPID) *pidf.CIPID {
	if strong == nil || weak == nil {
		if strong == nil {
			return weak
		}
		return strong
	}
	c := *strong
	fill(&c.Card, weak.Card)
	fill(&c.Homepage, weak.Homepage)
	fill(&c.Icon, weak.Icon)
	fill(&c.Map, weak.Map)
	fill(&c.Sound, weak.Sound)
	fillList(&c.DisplayNames, weak.DisplayNames)
	return &c
}

// fill sets what is not set.
func fill[T comparable](to *T, from T) {
	var zero T
	if *to == zero {
		*to = from
	}
}

func fillList[T any](to *[]T, from []T) {
	if len(*to) == 0 {
		*to = from
	}
}

// activitiesOf is the union of what all persons of the group do. Elements of the
// same interval become one; "unknown" goes as soon as anything is known.
func activitiesOf(group []*person) []pidf.Activities {
	if len(group) == 1 && len(group[0].Activities) < 2 {
		return group[0].Activities
	}
	var all []pidf.Activities
	known := false
	for _, p := range group {
		for i := range p.Activities {
			a := &p.Activities[i]
			known = known || len(a.Other)+len(a.Foreign) > 0 || len(a.Values) > 1 || len(a.Values) == 1 && a.Values[0] != "unknown"
			all = addActivities(all, a)
		}
	}
	if known {
		all = slices.DeleteFunc(all, func(a pidf.Activities) bool {
			return len(a.Values) == 1 && a.Values[0] == "unknown" && len(a.Other)+len(a.Foreign) == 0
		})
		for i := range all {
			all[i].Values = without(all[i].Values, "unknown")
		}
	}
	return all
}

func addActivities(all []pidf.Activities, a *pidf.Activities) []pidf.Activities {
	for i := range all {
		to := &all[i]
		if !to.From.Equal(a.From) || !to.Until.Equal(a.Until) {
			continue
		}
		to.Values = union(to.Values, a.Values, func(x, y string) bool { return x == y })
		to.Other = union(to.Other, a.Other, func(x, y pidf.Note) bool { return x == y })
		to.Foreign = union(to.Foreign, a.Foreign, func(x, y pidf.Element) bool { return x.Space == y.Space && x.Local == y.Local })
		fillList(&to.Notes, a.Notes)
		return all
	}
	return append(all, *a)
}

// union appends what strong has not, without touching it.
func union[T any](strong, weak []T, same func(x, y T) bool) []T {
	out := strong
	for _, e := range weak {
		if !slices.ContainsFunc(out, func(x T) bool { return same(x, e) }) {
			out = append(slices.Clip(out), e)
		}
	}
	return out
}

func without(list []string, value string) []string {
	if !slices.Contains(list, value) {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == value })
}
