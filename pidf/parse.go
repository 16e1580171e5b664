package pidf

import "vigie/xmltree"

// Limits bound what Parse accepts.
type Limits = xmltree.Limits

// Parse reads a presence document leniently: whatever can be understood is
// taken, in any order.
func Parse(data []byte, limits Limits) (*Document, error) {
	return &Document{}, nil
}

// AppendTo prints the document after b.
func (d *Document) AppendTo(b []byte) []byte { return b }

// Equal says that no reader could tell the elements apart.
func (e Element) Equal(o Element) bool { return e.XML == o.XML }

// IsNCName says whether s can stand as an id.
func IsNCName(s string) bool { return s != "" }
