package sipserver

import (
	"errors"
	"slices"
	"strings"
)

// parts are the strings of a dialog, one after the other in one allocation.
type parts struct {
	text string
	ends [partCount]uint16
}

const (
	partCallID    = iota
	partRemoteTag // the watcher's
	partLocal     // URI of the To field
	partRemote    // URI of the From field
	partTarget    // remote target: URI of the watcher's Contact
	partRoutes    // the route set, comma-separated; "" for none
	partEntity    // how the presentity was addressed, "" for its AOR
	partWatcher   // who is authorised, as an AOR; "" when that is partRemote
	partCount
)

var errPartsTooLong = errors.New("sipserver: header fields of the dialog are too long")

func makeParts(values [partCount]string) (parts, error) {
	total := 0
	for _, v := range values {
		total += len(v)
	}
	if total > 0xffff {
		return parts{}, errPartsTooLong
	}
	var text strings.Builder
	text.Grow(total)
	var p parts
	for i, v := range values {
		text.WriteString(v)
		p.ends[i] = uint16(text.Len())
	}
	p.text = text.String()
	return p, nil
}

// hold takes the text that ends divide; false when they do not.
func (p *parts) hold(text []byte) bool {
	p.text = string(text)
	return slices.IsSorted(p.ends[:]) && int(p.ends[partCount-1]) == len(text)
}

func (p *parts) at(i int) string {
	if i == 0 {
		return p.text[:p.ends[0]]
	}
	return p.text[p.ends[i-1]:p.ends[i]]
}

// with gives the parts with one changed.
func (p *parts) with(i int, value string) (parts, error) {
	var values [partCount]string
	for j := range values {
		values[j] = p.at(j)
	}
	values[i] = value
	return makeParts(values)
}
