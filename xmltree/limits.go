package xmltree

import "math"

// Limits bound what Parse accepts, before it has spent more memory than they
// allow. A field left at zero takes its default.
type Limits struct {
	Bytes      int // size of the document, 1 MiB
	Depth      int // nesting of elements, 64
	Elements   int // elements, comments, CDATA sections and instructions together, 20,000
	Attributes int // attributes and namespace declarations together, 20,000

	// Charset is the charset parameter that came with the document, if any.
	// It outranks the encoding in the XML declaration (RFC 3863 §7).
	Charset string
}

func (l Limits) withDefaults() Limits {
	l.Bytes = orDefault(l.Bytes, 1<<20)
	l.Depth = orDefault(l.Depth, 64)
	l.Elements = orDefault(l.Elements, 20_000)
	l.Attributes = orDefault(l.Attributes, 20_000)
	return l
}

// size refuses a document that is too long; offsets are of 32 bits.
func (l Limits) size(n int) error {
	if n > min(l.Bytes, math.MaxInt32-1) {
		return &LimitError{Place{1, 1}, "bytes", l.Bytes}
	}
	return nil
}

func orDefault(value, normal int) int {
	if value <= 0 {
		return normal
	}
	return value
}
