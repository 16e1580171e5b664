package pebble

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"vigie/store"
)

// Keys start with the kind of what they hold.
const (
	kindEntry  = 'e' // an entry, under its own key
	kindSystem = 's' // the store's own
)

// reservedKey holds the last revision that may have been given out.
var reservedKey = []byte{kindSystem, 'r'}

// A value is a header and the entry's octets. The header is the form's number,
// the revision and the expiry in nanoseconds since 1970, 0 for never.
const (
	headerLen = 1 + 8 + 8
	form      = 1
)

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
	e := store.Entry{Key: key, Revision: binary.BigEndian.Uint64(b[1:]), Value: b[headerLen:]}
	if ns := int64(binary.BigEndian.Uint64(b[9:])); ns != 0 {
		e.Expires = time.Unix(0, ns)
	}
	return e, nil
}
