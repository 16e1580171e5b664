package pebble

import (
	"bytes"
	"errors"

	cockroach "github.com/cockroachdb/pebble/v2"

	"vigie/store"
)

// cursor walks over keys in their order, joining each entry with its
// prolongation, as they all were at one moment.
type cursor struct {
	entry store.Entry // revision 0: there is none under its key
	stale uint64      // the revision of a prolongation that holds no more, 0 without one
	err   error

	// Both stand at the key that next gave last, or after it.
	entries, prolonged       *cockroach.Iterator
	tookEntry, tookProlonged bool
}

// entries gives a cursor over the keys under prefix, from one of them on.
func (e *engine) entries(prefix, from string) (*cursor, error) {
	entries, err := e.db.NewIter(span(kindEntry, prefix, from))
	if err != nil {
		return nil, err
	}
	prolonged, err := entries.Clone(cockroach.CloneOptions{IterOptions: span(kindProlonged, prefix, from)})
	if err != nil {
		entries.Close()
		return nil, err
	}
	entries.First()
	prolonged.First()
	return &cursor{entries: entries, prolonged: prolonged}, nil
}

func span(kind byte, prefix, from string) *cockroach.IterOptions {
	return &cockroach.IterOptions{
		LowerBound: append([]byte{kind}, from...),
		UpperBound: after(append([]byte{kind}, prefix...)),
	}
}

// after gives the first key that is after all that start with prefix, whose
// first octet is a kind and thus not the last possible.
func after(prefix []byte) []byte {
	for i := len(prefix) - 1; ; i-- {
		if prefix[i]++; prefix[i] != 0 {
			return prefix[:i+1]
		}
	}
}

// next goes to the next key, or the first, and says whether there is one.
func (c *cursor) next() bool {
	if c.err == nil {
		c.err = c.take()
	}
	return c.err == nil && (c.tookEntry || c.tookProlonged)
}

func (c *cursor) take() error {
	if err := c.advance(); err != nil {
		return err
	}
	c.entry, c.stale = store.Entry{}, 0
	if c.tookEntry {
		if err := c.takeEntry(); err != nil {
			return err
		}
	}
	if c.tookProlonged {
		return c.takeProlonged()
	}
	return nil
}

// advance leaves the last key and finds who stands at the next one.
func (c *cursor) advance() error {
	if c.tookEntry {
		c.entries.Next()
	}
	if c.tookProlonged {
		c.prolonged.Next()
	}
	c.tookEntry, c.tookProlonged = c.entries.Valid(), c.prolonged.Valid()
	if c.tookEntry && c.tookProlonged {
		order := bytes.Compare(c.entries.Key()[1:], c.prolonged.Key()[1:])
		c.tookEntry, c.tookProlonged = order <= 0, order >= 0
		return nil
	}
	return errors.Join(c.entries.Error(), c.prolonged.Error())
}

func (c *cursor) takeEntry() error {
	value, err := c.entries.ValueAndErr()
	if err != nil {
		return err
	}
	c.entry, err = readEntry(string(c.entries.Key()[1:]), value)
	return err
}

func (c *cursor) takeProlonged() error {
	value, err := c.prolonged.ValueAndErr()
	if err != nil {
		return err
	}
	p, err := readProlongation(value)
	if err != nil {
		return err
	}
	if !p.join(&c.entry) {
		c.entry.Key = string(c.prolonged.Key()[1:])
		c.stale = p.revision
	}
	return nil
}

func (c *cursor) close() {
	c.entries.Close()
	c.prolonged.Close()
}
