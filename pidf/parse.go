package pidf

import (
	"fmt"
	"strings"

	"vigie/xmltree"
)

// Namespaces of the documents, and the prefixes AppendTo binds them to.
const (
	Namespace          = "urn:ietf:params:xml:ns:pidf"               // the default
	NamespaceDataModel = "urn:ietf:params:xml:ns:pidf:data-model"    // dm
	NamespaceRPID      = "urn:ietf:params:xml:ns:pidf:rpid"          // rpid
	NamespaceTimed     = "urn:ietf:params:xml:ns:pidf:timed-status"  // ts
	NamespaceCIPID     = "urn:ietf:params:xml:ns:pidf:cipid"         // c
	NamespaceCaps      = "urn:ietf:params:xml:ns:pidf:caps"          // as published
	NamespacePlace     = "urn:ietf:params:xml:ns:location-type"      // lt
	namespaceInstance  = "http://www.w3.org/2001/XMLSchema-instance" // read nowhere
)

// Limits bound what Parse accepts.
type Limits = xmltree.Limits

// Error says what a well-formed document lacks to be a presence document.
type Error struct {
	xmltree.Place
	Reason string // "tuple has no id"
}

func (e *Error) Error() string { return "pidf: " + e.Place.String() + ": " + e.Reason }

func refuse(n xmltree.Node, format string, args ...any) error {
	line, column := n.Position()
	return &Error{xmltree.Place{Line: line, Column: column}, fmt.Sprintf(format, args...)}
}

// Parse reads a presence document leniently: whatever can be understood is
// taken, in any order, and what is unknown is kept. Refused are documents that
// are not well-formed or exceed the limits (the errors of xmltree.Parse), and
// by *Error those without a presence root, an entity, or a tuple's id or
// status.
func Parse(data []byte, limits Limits) (*Document, error) { return ParseText(string(data), limits) }

// ParseText is Parse of a text that lives as long as the document: its values are
// parts of it.
func ParseText(text string, limits Limits) (d *Document, err error) {
	err = xmltree.Scan(text, limits, func(root xmltree.Node) (err error) {
		d, err = Read(root)
		return err
	})
	return d, err
}

// Check gives the error that Parse would give, and makes no document.
func Check(text string, limits Limits) error { return xmltree.Scan(text, limits, check) }

// Read is Parse for a presence element that has been parsed already.
func Read(root xmltree.Node) (*Document, error) {
	if err := check(root); err != nil {
		return nil, err
	}
	d := &Document{Entity: attr(root, "entity")}
	for c := root.FirstElement(); c.Exists(); c = c.NextElement() {
		d.child(c)
	}
	return d, nil
}

// check refuses what is no presence document; reading what it accepts cannot
// fail.
func check(root xmltree.Node) error {
	if !root.Is(Namespace, "presence") {
		return refuse(root, "root element is %s of namespace %q, not presence of %s", root.Local(), root.Space(), Namespace)
	}
	if attr(root, "entity") == "" {
		return refuse(root, "presence has no entity")
	}
	for c := root.FirstElement(); c.Exists(); c = c.NextElement() {
		if !c.Is(Namespace, "tuple") {
			continue
		}
		id := attr(c, "id")
		if id == "" {
			return refuse(c, "tuple has no id")
		}
		if !c.Child(Namespace, "status").Exists() {
			return refuse(c, "tuple %q has no status", id)
		}
	}
	return nil
}

func (d *Document) child(c xmltree.Node) {
	switch space, local := c.Space(), c.Local(); {
	case space == Namespace && local == "tuple":
		d.Tuples = append(d.Tuples, Tuple{})
		d.Tuples[len(d.Tuples)-1].read(c)
	case space == Namespace && local == "note":
		d.Notes = append(d.Notes, readNote(c))
	case space == NamespaceDataModel && local == "person":
		d.Persons = append(d.Persons, Person{})
		d.Persons[len(d.Persons)-1].read(c)
	case space == NamespaceDataModel && local == "device":
		d.Devices = append(d.Devices, readDevice(c))
	default:
		d.Extensions = keep(d.Extensions, c, Namespace)
	}
}

func (t *Tuple) read(n xmltree.Node) {
	t.ID = attr(n, "id")
	status := n.Child(Namespace, "status")
	for c := status.FirstElement(); c.Exists(); c = c.NextElement() {
		if !c.Is(Namespace, "basic") {
			t.StatusExtensions = keep(t.StatusExtensions, c, Namespace)
		} else if t.Basic == "" {
			t.Basic = readBasic(c)
		}
	}
	for c := n.FirstElement(); c.Exists(); c = c.NextElement() {
		t.child(c)
	}
}

func (t *Tuple) child(c xmltree.Node) {
	local := c.Local()
	switch c.Space() {
	case Namespace, NamespaceDataModel:
		t.plainChild(c, local)
	case NamespaceRPID:
		t.rpidChild(c, local)
	case NamespaceTimed:
		if local != "timed-status" {
			t.Extensions = keep(t.Extensions, c, Namespace)
		} else if s, ok := readTimedStatus(c); ok {
			t.TimedStatuses = append(t.TimedStatuses, s)
		}
	case NamespaceCIPID:
		if !readCIPID(&t.CIPID, c, local) {
			t.Extensions = keep(t.Extensions, c, Namespace)
		}
	case NamespaceCaps:
		if local != "servcaps" {
			t.Extensions = keep(t.Extensions, c, Namespace)
		} else if t.Servcaps == nil {
			t.Servcaps = readCapabilities(c, &servcaps)
		}
	default:
		t.Extensions = keep(t.Extensions, c, Namespace)
	}
}

// plainChild takes what PIDF and the data model give a tuple. note and
// timestamp are understood in either namespace.
func (t *Tuple) plainChild(c xmltree.Node, local string) {
	switch {
	case local == "note":
		t.Notes = append(t.Notes, readNote(c))
	case local == "timestamp":
		if t.Timestamp.IsZero() {
			t.Timestamp = parseTime(c.Text())
		}
	case local == "deviceID" && c.Space() == NamespaceDataModel:
		if id := cleanURI(c.Text()); id != "" {
			t.DeviceIDs = append(t.DeviceIDs, id)
		}
	case local == "contact" && c.Space() == Namespace:
		if t.Contact.URI == "" {
			t.Contact = readContact(c)
		}
	default:
		t.Extensions = keep(t.Extensions, c, Namespace)
	}
}

// rpidChild takes what RFC 4480 §3.1 gives a tuple.
func (t *Tuple) rpidChild(c xmltree.Node, local string) {
	switch local {
	case "class":
		setClass(&t.Class, c)
	case "relationship":
		setEnumeration(&t.Relationship, c, &relationship)
	case "service-class":
		setEnumeration(&t.ServiceClass, c, &serviceClass)
	case "privacy":
		t.Privacy = addEnumeration(t.Privacy, c, &privacy)
	case "status-icon":
		t.StatusIcons = addStatusIcon(t.StatusIcons, c)
	case "user-input":
		setUserInput(&t.UserInput, c)
	default:
		t.Extensions = keep(t.Extensions, c, Namespace)
	}
}

func (p *Person) read(n xmltree.Node) {
	p.ID = attr(n, "id")
	for c := n.FirstElement(); c.Exists(); c = c.NextElement() {
		local := c.Local()
		switch space := c.Space(); {
		case space == NamespaceRPID:
			p.rpidChild(c, local)
		case (space == NamespaceDataModel || space == Namespace) && local == "note":
			p.Notes = append(p.Notes, readNote(c))
		case (space == NamespaceDataModel || space == Namespace) && local == "timestamp":
			if p.Timestamp.IsZero() {
				p.Timestamp = parseTime(c.Text())
			}
		case space == NamespaceCIPID && readCIPID(&p.CIPID, c, local):
		default:
			p.Extensions = keep(p.Extensions, c, NamespaceDataModel)
		}
	}
}

// rpidChild takes what RFC 4480 §3.1 gives a person.
func (p *Person) rpidChild(c xmltree.Node, local string) {
	switch local {
	case "activities":
		p.Activities = addEnumeration(p.Activities, c, &activities)
	case "class":
		setClass(&p.Class, c)
	case "mood":
		p.Moods = addEnumeration(p.Moods, c, &mood)
	case "place-is":
		p.PlaceIs = append(p.PlaceIs, readPlaceIs(c))
	case "place-type":
		p.PlaceTypes = addEnumeration(p.PlaceTypes, c, &placeType)
	case "privacy":
		p.Privacy = addEnumeration(p.Privacy, c, &privacy)
	case "sphere":
		p.Spheres = append(p.Spheres, readSphere(c))
	case "status-icon":
		p.StatusIcons = addStatusIcon(p.StatusIcons, c)
	case "time-offset":
		if o, ok := readTimeOffset(c); ok {
			p.TimeOffsets = append(p.TimeOffsets, o)
		}
	case "user-input":
		setUserInput(&p.UserInput, c)
	default:
		p.Extensions = keep(p.Extensions, c, NamespaceDataModel)
	}
}

func readDevice(n xmltree.Node) Device {
	d := Device{ID: attr(n, "id")}
	for c := n.FirstElement(); c.Exists(); c = c.NextElement() {
		local := c.Local()
		switch space := c.Space(); {
		case space == NamespaceRPID && local == "class":
			setClass(&d.Class, c)
		case space == NamespaceRPID && local == "user-input":
			setUserInput(&d.UserInput, c)
		case space == NamespaceDataModel && local == "deviceID":
			if d.DeviceID == "" {
				d.DeviceID = cleanURI(c.Text())
			}
		case (space == NamespaceDataModel || space == Namespace) && local == "note":
			d.Notes = append(d.Notes, readNote(c))
		case (space == NamespaceDataModel || space == Namespace) && local == "timestamp":
			if d.Timestamp.IsZero() {
				d.Timestamp = parseTime(c.Text())
			}
		case space == NamespaceCaps && local == "devcaps":
			if d.Devcaps == nil {
				d.Devcaps = readCapabilities(c, &devcaps)
			}
		default:
			d.Extensions = keep(d.Extensions, c, NamespaceDataModel)
		}
	}
	return d
}

func readBasic(n xmltree.Node) Basic {
	switch b := Basic(trim(n.Text())); b {
	case Open, Closed:
		return b
	}
	return ""
}

// readNote takes the language from the nearest xml:lang around the text.
func readNote(n xmltree.Node) Note {
	note := Note{Text: n.Text()}
	for ; n.Exists(); n = n.Parent() {
		if lang, ok := n.Attr(xmltree.NamespaceXML, "lang"); ok {
			if isLanguage(lang) {
				note.Lang = lang
			}
			break
		}
	}
	return note
}

func readContact(n xmltree.Node) Contact {
	uri := cleanURI(n.Text())
	if uri == "" {
		return Contact{}
	}
	return Contact{URI: uri, Priority: cleanPriority(attr(n, "priority"))}
}

func readTimedStatus(n xmltree.Node) (s TimedStatus, ok bool) {
	s = TimedStatus{From: timeAttr(n, "from"), Until: timeAttr(n, "until")}
	for c := n.FirstElement(); c.Exists(); c = c.NextElement() {
		known := c.Space() == NamespaceTimed || c.Space() == Namespace
		switch local := c.Local(); {
		case known && local == "basic":
			if s.Basic == "" {
				s.Basic = readBasic(c)
			}
		case known && local == "note":
			if s.Note == nil {
				note := readNote(c)
				s.Note = &note
			}
		default:
			s.Extensions = keep(s.Extensions, c, NamespaceTimed)
		}
	}
	return s, !s.From.IsZero()
}

// readCIPID takes one element of RFC 4482; all but display-name occur once.
func readCIPID(to **CIPID, n xmltree.Node, local string) (known bool) {
	info := *to
	if info == nil {
		info = &CIPID{}
	}
	if local == "display-name" {
		info.DisplayNames = append(info.DisplayNames, readNote(n))
		*to = info
		return true
	}
	field := info.field(local)
	if field == nil {
		return false
	}
	if uri := cleanURI(n.Text()); uri != "" && *field == "" {
		*field, *to = uri, info
	}
	return true
}

func (c *CIPID) field(local string) *string {
	switch local {
	case "card":
		return &c.Card
	case "homepage":
		return &c.Homepage
	case "icon":
		return &c.Icon
	case "map":
		return &c.Map
	case "sound":
		return &c.Sound
	}
	return nil
}

// attr is an attribute without namespace, trimmed.
func attr(n xmltree.Node, local string) string {
	value, _ := n.Attr("", local)
	return trim(value)
}

func trim(s string) string { return strings.Trim(s, " \t\r\n") }
