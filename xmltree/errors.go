package xmltree

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Place is where in a document something is, both counted from one, the
// column in characters.
type Place struct{ Line, Column int }

func (p Place) String() string { return fmt.Sprintf("line %d, column %d", p.Line, p.Column) }

// SyntaxError says why a document is not well-formed XML, or is not accepted
// because of its document type declaration.
type SyntaxError struct {
	Place
	Reason string // "end tag </b> does not match start tag <a>"
}

func (e *SyntaxError) Error() string { return "xml: " + e.Place.String() + ": " + e.Reason }

// LimitError says which limit a document exceeds.
type LimitError struct {
	Place
	What  string // "bytes", "nested elements", "elements", "attributes"
	Limit int
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("xml: %v: more than %d %s", e.Place, e.Limit, e.What)
}

// EncodingError says that a document is not in UTF-8 or its subset US-ASCII.
type EncodingError struct{ Encoding string }

func (e *EncodingError) Error() string {
	return fmt.Sprintf("xml: encoding %q is not accepted, only UTF-8 is", e.Encoding)
}

func position(source string, offset int) (line, column int) {
	before := strings.TrimPrefix(source[:offset], byteOrderMark)
	line = 1 + strings.Count(before, "\n")
	return line, 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
}

func place(source string, offset int) Place {
	line, column := position(source, min(offset, len(source)))
	return Place{line, column}
}
