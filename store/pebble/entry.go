package pebble

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	cockroach "github.com/cockroachdb/pebble/v2"

	"vigie/store"
)

// Keys start with the kind of what they hold.
const (
	kindEntry     = 'e' // an entry, under its own key
	kindProlonged = 'p' // a prolongation, under its entry's key
	kindSystem    = 's' // the store's own
)

// reservedKey holds the last revision that may have been given out.
var reservedKey = []byte{kindSystem, 'r'}

// An entry's value is a header and the entry's octets. The header is the form's number,
// the revision and the expiry in nanoseconds since 1970, 0 for never.
const (
	headerLen = 1 + 8 + 8
	form      = 1
)

// A prolongation's value is a header, as an entry has, when it was written, and
// the mark.
const prolongedLen = headerLen + 8

// prolongation is what Prolong leaves beside an entry, so that a value of many
// hundred octets is written and compacted once, not with each refresh.
type prolongation struct {
	revision    uint64
	expires, at time.Time
	mark        []byte
}

func putHeader(b []byte, revision uint64, expires time.Time) {
	b[0] = form
	binary.BigEndian.PutUint64(b[1:], revision)
	binary.BigEndian.PutUint64(b[9:], uint64(nanoseconds(expires)))
}

// latest is the last moment that nanoseconds can name, in the year 2262.
var latest = time.Unix(0, math.MaxInt64)

func nanoseconds(t time.Time) int64 {
	switch {
	case t.IsZero():
		return 0
	case t.After(latest):
		return math.MaxInt64
	}
	return t.UnixNano()
}

// readEntry reads what is stored under key, which carries its kind. Value
// points into b.
func readEntry(key string, b []byte) (store.Entry, error) {
	if len(b) < headerLen || b[0] != form {
		return store.Entry{}, fmt.Errorf("pebble: entry %q is in a form that this version does not know; "+
			"run the version of Vigie that wrote it, or remove the directory to start without soft state", key)
	}
	return store.Entry{Key: key, Revision: revisionIn(b), Expires: timeIn(b[9:]), Value: b[headerLen:]}, nil
}

func putProlongation(b []byte, p prolongation) {
	putHeader(b, p.revision, p.expires)
	binary.BigEndian.PutUint64(b[headerLen:], uint64(nanoseconds(p.at)))
	copy(b[prolongedLen:], p.mark)
}

// readProlongation gives a prolongation whose mark points into b.
func readProlongation(b []byte) (prolongation, error) {
	if len(b) < prolongedLen || b[0] != form {
		return prolongation{}, fmt.Errorf("%w: a prolongation of %d octets", cockroach.ErrCorruption, len(b))
	}
	return prolongation{revisionIn(b), timeIn(b[9:]), timeIn(b[headerLen:]), b[prolongedLen:]}, nil
}

// join gives the entry under the same key what the prolongation says, if there
// is one and nothing was put over it since.
func (p prolongation) join(e *store.Entry) bool {
	if e.Revision == 0 || p.revision < e.Revision {
		return false
	}
	e.Revision, e.Expires, e.Prolonged, e.Mark = p.revision, p.expires, p.at, p.mark
	return true
}

func revisionIn(b []byte) uint64 { return binary.BigEndian.Uint64(b[1:]) }

func timeIn(b []byte) time.Time {
	ns := int64(binary.BigEndian.Uint64(b))
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}
