package pidf

// Element is content that the server passes on without reading it: one
// element, standing for itself with every namespace declaration it needs, and
// otherwise byte by byte as it came.
type Element struct {
	Space, Local string // expanded name
	XML          string
}

// Capabilities is a servcaps or devcaps element (RFC 5196 §3): the element
// as it came, brought into its schema's order where it was not, and what it
// states in a form that can be asked.
type Capabilities struct {
	Element
	Values []Capability // in document order
}

// Capability is one statement: "audio" (true or false), or one name below
// supported or notsupported, as "methods.INVITE" or "mobility.mobile".
type Capability struct {
	Name      string
	Supported bool
}

// Supports says what is stated about name. Supported wins over notsupported
// when an element says both (RFC 5196 §3.2.1).
func (c *Capabilities) Supports(name string) (supported, stated bool) {
	if c == nil {
		return false, false
	}
	for _, v := range c.Values {
		if v.Name == name {
			supported, stated = supported || v.Supported, true
		}
	}
	return supported, stated
}
