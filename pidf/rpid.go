package pidf

import "time"

// Meta is what an RPID element may say about itself (RFC 4480 §3.1).
type Meta struct {
	ID          string
	From, Until time.Time // UTC; zero when absent
	Attributes  string    // foreign attributes with their declarations, ready to print: ` x:a="1" xmlns:x="urn:x"`
}

// Current says whether the element holds at t: not before From, before Until.
func (m Meta) Current(t time.Time) bool {
	return !t.Before(m.From) && (m.Until.IsZero() || t.Before(m.Until))
}

// Next is the first boundary after t at which Current changes; zero when
// there is none.
func (m Meta) Next(t time.Time) time.Time {
	if !m.Until.IsZero() && !m.From.Before(m.Until) {
		return time.Time{} // never current
	}
	if m.From.After(t) {
		return m.From
	}
	if m.Until.After(t) {
		return m.Until
	}
	return time.Time{}
}

// Enumeration is an RPID element whose content is a choice of names. Values
// holds the names that RFC 4480 (RFC 4589 for place-type) defines, Other the
// free texts, Foreign the values of other namespaces. "unknown" stands alone.
type Enumeration struct {
	Meta
	Notes   []Note
	Values  []string
	Other   []Note
	Foreign []Element
}

// Has says whether name is among the values.
func (e *Enumeration) Has(name string) bool {
	for _, value := range e.Values {
		if value == name {
			return true
		}
	}
	return false
}

type (
	// Activities: what the person does (RFC 4480 §3.2), several at a time.
	Activities = Enumeration
	// Mood: one or more of 61 moods (RFC 4480 §3.5).
	Mood = Enumeration
	// PlaceType: values of RFC 4589, or one Other (RFC 4480 §3.7).
	PlaceType = Enumeration
	// Privacy: audio, text, video in any combination, or unknown (RFC 4480 §3.8).
	Privacy = Enumeration
	// Relationship: one value, or one Other (RFC 4480 §3.9). Meta stays empty.
	Relationship = Enumeration
	// ServiceClass: one value (RFC 4480 §3.10). Meta stays empty.
	ServiceClass = Enumeration
)

// Sphere is the role the person plays (RFC 4480 §3.11): home, work, unknown,
// or values of other namespaces.
type Sphere struct {
	Meta
	Value   string
	Foreign []Element
	Text    string // free text as in the example of RFC 4480 §4, which its schema forbids: read, never printed
}

// PlaceIs describes the place for each medium (RFC 4480 §3.6); "" when it
// says nothing about one.
type PlaceIs struct {
	Meta
	Notes              []Note
	Audio, Video, Text string
}

// StatusIcon is the URI of a picture (RFC 4480 §3.12). Nothing here or above
// ever fetches it.
type StatusIcon struct {
	Meta
	URI string
}

// TimeOffset is the person's distance from UTC, positive to the east
// (RFC 4480 §3.13).
type TimeOffset struct {
	Meta
	Minutes     int
	Description string
}

// UserInput says whether somebody uses the service or device (RFC 4480 §3.14).
type UserInput struct {
	ID            string
	Idle          bool          // active otherwise
	IdleThreshold time.Duration // whole seconds; 0 when absent
	LastInput     time.Time     // UTC; zero when absent
	Attributes    string        // as in Meta
}

// TimedStatus is status of another time (RFC 4481 §3).
type TimedStatus struct {
	From, Until time.Time // UTC; From is always there
	Basic       Basic
	Note        *Note
	Extensions  []Element
}

// CIPID is contact information (RFC 4482 §3): URIs that are never fetched,
// and the name in several languages.
type CIPID struct {
	Card         string
	DisplayNames []Note
	Homepage     string
	Icon         string
	Map          string
	Sound        string
}
