package pidf

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"vigie/xmltree"
)

// readMeta takes id, from, until and the attributes of foreign namespaces.
func readMeta(n xmltree.Node) (m Meta) {
	if n.AttributeCount() == 0 {
		return m
	}
	m.From, m.Until = timeAttr(n, "from"), timeAttr(n, "until")
	m.ID = readID(n)
	m.Attributes = foreignAttributes(n)
	return m
}

func readID(n xmltree.Node) string {
	if id := attr(n, "id"); IsNCName(id) {
		return id
	}
	return ""
}

// foreignAttributes prints the attributes of unknown namespaces together with
// the declarations they need.
func foreignAttributes(n xmltree.Node) string {
	var b []byte
	var declared []xmltree.Binding
	for a := range n.Attributes() {
		if !isForeignAttribute(a.Space()) {
			continue
		}
		d := xmltree.Binding{Prefix: a.Prefix(), Space: a.Space()}
		if slices.Contains(ownPrefixes, d.Prefix) {
			d.Prefix = "x-" + d.Prefix // the element's own names need this one
		}
		if slices.ContainsFunc(declared, func(o xmltree.Binding) bool { return o.Prefix == d.Prefix && o.Space != d.Space }) {
			continue
		}
		b = append(append(append(append(b, ' '), d.Prefix...), ':'), a.Local()...)
		b = appendQuoted(b, a.Value())
		if !slices.Contains(declared, d) {
			declared = append(declared, d)
			b = appendQuoted(append(append(b, " xmlns:"...), d.Prefix...), d.Space)
		}
	}
	return string(b)
}

var ownPrefixes = []string{"rpid", "dm", "c", "ts", "lt", "caps"}

func isForeignAttribute(space string) bool {
	return space != "" && space != xmltree.NamespaceXML && space != xmltree.NamespaceXMLNS &&
		space != namespaceInstance && !isPresence(space)
}

// setClass takes the one class label that a segment can have (RFC 4480 §3.3).
func setClass(to *string, n xmltree.Node) {
	if *to == "" {
		*to = strings.Join(strings.Fields(n.Text()), " ")
	}
}

func readSphere(n xmltree.Node) Sphere {
	s := Sphere{Meta: readMeta(n)}
	for c := n.FirstElement(); c.Exists(); c = c.NextElement() {
		if c.Space() != NamespaceRPID {
			s.Foreign = keep(s.Foreign, c, NamespaceRPID)
		} else if s.Value == "" && isSphere(c.Local()) {
			s.Value = c.Local()
		}
	}
	if s.Value != "" {
		s.Foreign = nil
	} else if len(s.Foreign) == 0 {
		s.Text = trim(n.Text())
	}
	return s
}

func isSphere(name string) bool { return name == "home" || name == "work" || name == "unknown" }

func readPlaceIs(n xmltree.Node) PlaceIs {
	p := PlaceIs{Meta: readMeta(n)}
	for c := n.FirstElement(); c.Exists(); c = c.NextElement() {
		if isRPIDNote(c) {
			p.Notes = append(p.Notes, readNote(c))
		} else if to := p.medium(c); to != nil && *to == "" {
			*to = placeValue(c)
		}
	}
	return p
}

func (p *PlaceIs) medium(n xmltree.Node) *string {
	if n.Space() != NamespaceRPID {
		return nil
	}
	switch n.Local() {
	case "audio":
		return &p.Audio
	case "video":
		return &p.Video
	case "text":
		return &p.Text
	}
	return nil
}

// placeValue is the first value of a medium that the medium can have.
func placeValue(n xmltree.Node) string {
	for c := n.FirstElement(); c.Exists(); c = c.NextElement() {
		if c.Space() == NamespaceRPID && isPlaceValue(n.Local(), c.Local()) {
			return c.Local()
		}
	}
	return ""
}

func isPlaceValue(medium, value string) bool {
	switch medium + " " + value {
	case "audio noisy", "audio ok", "audio quiet", "audio unknown",
		"video toobright", "video ok", "video dark", "video unknown",
		"text uncomfortable", "text inappropriate", "text ok", "text unknown":
		return true
	}
	return false
}

func addStatusIcon(to []StatusIcon, n xmltree.Node) []StatusIcon {
	uri := cleanURI(n.Text())
	if uri == "" {
		return to
	}
	return append(to, StatusIcon{readMeta(n), uri})
}

func readTimeOffset(n xmltree.Node) (o TimeOffset, ok bool) {
	minutes, err := strconv.ParseInt(strings.TrimPrefix(trim(n.Text()), "+"), 10, 32)
	if err != nil {
		return o, false
	}
	description, _ := n.Attr("", "description")
	return TimeOffset{readMeta(n), int(minutes), description}, true
}

func setUserInput(to **UserInput, n xmltree.Node) {
	state := trim(n.Text())
	if *to != nil || state != "active" && state != "idle" {
		return
	}
	u := &UserInput{Idle: state == "idle", LastInput: timeAttr(n, "last-input")}
	if n.AttributeCount() > 0 {
		u.ID, u.Attributes = readID(n), foreignAttributes(n)
		u.IdleThreshold = readThreshold(attr(n, "idle-threshold"))
	}
	*to = u
}

// readThreshold reads a positive number of seconds.
func readThreshold(s string) time.Duration {
	seconds, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(seconds) * time.Second
}
