package pidf

import "time"

// Document is one presence document (RFC 3863 §4.1). Its strings point into
// one private copy of the parsed bytes, so a kept Document keeps that copy.
type Document struct {
	Entity     string // URI of the presentity
	Tuples     []Tuple
	Notes      []Note
	Persons    []Person
	Devices    []Device
	Extensions []Element // other children of presence
}

// Basic is the availability of a service (RFC 3863 §4.1.4); "" says nothing.
type Basic string

// The two values that exist.
const (
	Open   Basic = "open"
	Closed Basic = "closed"
)

// Tuple is a service (RFC 3863 §4.1.2, RFC 4479 §3.3).
type Tuple struct {
	ID               string
	Basic            Basic
	StatusExtensions []Element // children of status besides basic

	DeviceIDs     []string      // RFC 4480 §3.4
	Class         string        // RFC 4480 §3.3
	Relationship  *Relationship // nil means self (RFC 4480 §3.9)
	ServiceClass  *ServiceClass // nil means electronic (RFC 4480 §3.10)
	Privacy       []Privacy     // RFC 4480 §3.8
	StatusIcons   []StatusIcon  // RFC 4480 §3.12
	UserInput     *UserInput    // RFC 4480 §3.14
	TimedStatuses []TimedStatus // RFC 4481 §3
	Servcaps      *Capabilities // RFC 5196 §3.2
	CIPID         *CIPID        // RFC 4482 §3
	Extensions    []Element     // other children, verbatim

	Contact   Contact
	Notes     []Note
	Timestamp time.Time // UTC; zero when absent
}

// Person is what is said about the presentity itself (RFC 4479 §3.2). An
// element that may carry from and until can occur once per interval
// (RFC 4480 §3.1), hence the slices.
type Person struct {
	ID string // "" when the input had none

	Activities  []Activities // RFC 4480 §3.2
	Class       string       // RFC 4480 §3.3
	Moods       []Mood       // RFC 4480 §3.5
	PlaceIs     []PlaceIs    // RFC 4480 §3.6
	PlaceTypes  []PlaceType  // RFC 4480 §3.7
	Privacy     []Privacy    // RFC 4480 §3.8
	Spheres     []Sphere     // RFC 4480 §3.11
	StatusIcons []StatusIcon // RFC 4480 §3.12
	TimeOffsets []TimeOffset // RFC 4480 §3.13
	UserInput   *UserInput   // RFC 4480 §3.14
	CIPID       *CIPID       // RFC 4482 §3
	Extensions  []Element    // other children, verbatim

	Notes     []Note
	Timestamp time.Time // UTC; zero when absent
}

// Device is a piece of equipment (RFC 4479 §3.4).
type Device struct {
	ID       string // "" when the input had none
	DeviceID string // a URN; several devices with the same one are legal

	Class      string        // RFC 4480 §3.3
	UserInput  *UserInput    // RFC 4480 §3.14
	Devcaps    *Capabilities // RFC 5196 §3.3
	Extensions []Element     // other children, verbatim

	Notes     []Note
	Timestamp time.Time // UTC; zero when absent
}

// Note is text for people (RFC 3863 §4.1.6). Lang is the xml:lang in force,
// "" when there is none, which means i-default in RPID (RFC 4480 §8).
type Note struct{ Lang, Text string }

// Contact is where the service is reached (RFC 3863 §4.1.5); the zero value
// says that there is none.
type Contact struct {
	URI      string
	Priority string // "0.8"; "" when absent or out of range
}

// Thousandths is the priority as a number from 0 to 1000; -1 when absent,
// which ranks lowest.
func (c Contact) Thousandths() int {
	if c.Priority == "" {
		return -1
	}
	value := int(c.Priority[0]-'0') * 1000
	for i, weight := 2, 100; i < len(c.Priority) && weight > 0; i, weight = i+1, weight/10 {
		value += int(c.Priority[i]-'0') * weight
	}
	return value
}
