package event

import (
	"encoding/binary"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"vigie/sip"
	"vigie/store"
)

// Keys in the soft-state store. No URI holds a space, so that a publication's
// key can be taken apart again.
const (
	publicationPrefix  = "p " // p PACKAGE URI NUMBER
	subscriptionPrefix = "s " // s NUMBER
	beatKey            = "b"
	owingKey           = "o"

	anyRevision = store.AnyRevision
)

// records holds what records are written into on their way to the store.
var records = sync.Pool{New: func() any {
	b := make([]byte, 0, 1024)
	return &b
}}

// Kinds of records: the first byte of each; when it was written follows.
const (
	recordPublication  = 1
	recordRemoved      = 2
	recordSubscription = 3
	recordBeat         = 4
	recordOwing        = 5
)

var errRecord = errors.New("event: a stored record is damaged")

func (r *resource) publicationKey(created int64) string {
	b := append(make([]byte, 0, 128), publicationPrefix...)
	b = append(append(b, r.pkg.name...), ' ')
	b = append(append(b, r.uri...), ' ')
	return string(binaryHex(b, created))
}

func binaryHex(b []byte, n int64) []byte {
	const digits = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, digits[uint64(n)>>shift&15])
	}
	return b
}

func subscriptionKey(n int64) string {
	b := make([]byte, 0, len(subscriptionPrefix)+16)
	return string(strconv.AppendInt(append(b, subscriptionPrefix...), n, 16))
}

// keyNumber gives the number at the end of a key, 0 without one.
func keyNumber(key string) int64 {
	n, err := strconv.ParseInt(key[strings.LastIndexByte(key, ' ')+1:], 16, 64)
	if err != nil {
		return 0
	}
	return n
}

// publicationResource takes a publication's key apart.
func publicationResource(key string) (Resource, error) {
	f := strings.Split(key, " ")
	if len(f) != 4 {
		return Resource{}, errRecord
	}
	uri, err := sip.ParseURI(f[2])
	if err != nil {
		return Resource{}, errRecord
	}
	return Resource{Package: f[1], URI: uri.AOR()}, nil
}

// appendPublication writes all but the revision and the expiry, which the
// store keeps with the entry.
func appendPublication(b []byte, p *publication, at time.Time) []byte {
	b = slices.Grow(b, 48+len(p.prefix)+len(p.mediaType)+len(p.text))
	b = append(b, recordPublication)
	b = appendTime(b, at)
	b = binary.AppendVarint(b, p.created)
	b = binary.AppendVarint(b, p.updated)
	b = appendString(b, p.prefix)
	b = appendString(b, p.mediaType)
	return appendString(b, p.text)
}

func (pkg *eventPackage) readPublication(b []byte) (p publication, err error) {
	d := decoder{b: b}
	d.kind(recordPublication)
	d.time()
	p.created = d.varint()
	p.updated = d.varint()
	p.prefix = string(d.bytes())
	p.mediaType = pkg.mediaType(string(d.bytes()))
	p.text = string(d.bytes())
	return p, d.err
}

func appendRemoved(b []byte, at time.Time) []byte {
	return appendTime(append(b, recordRemoved), at)
}

func appendBeat(b []byte, at time.Time) []byte {
	return appendTime(append(b, recordBeat), at)
}

func appendOwing(b []byte, since time.Time) []byte {
	return appendTime(append(b, recordOwing), since)
}

// writtenAt reads when a record of any kind was written.
func writtenAt(b []byte) (time.Time, error) {
	d := decoder{b: b}
	d.byte()
	return d.time(), d.err
}

// readMark reads the time of a removed publication, of a beat or of what is owed.
func readMark(b []byte, kind byte) (time.Time, error) {
	d := decoder{b: b}
	d.kind(kind)
	return d.time(), d.err
}

// subscriptionRecord is what a subscription leaves in the store; Dialog is
// its watcher's own record, which append takes from the watcher.
type subscriptionRecord struct {
	Resource Resource
	Watcher  packed
	Decision Decision
	Form     Form
	Kind     string
	Dialog   []byte
	Written  time.Time
}

func (s *subscriptionRecord) append(b []byte, watcher Keeper) []byte {
	b = append(b, recordSubscription)
	b = appendTime(b, s.Written)
	b = appendString(b, s.Resource.Package)
	b = appendSized(b, s.Resource.URI.AppendTo)
	b = appendString(b, s.Watcher)
	b = append(b, byte(s.Decision.State))
	b = appendString(b, s.Decision.Key)
	b = appendString(b, s.Form.Entity)
	b = appendString(b, s.Form.Type)
	b = appendString(b, watcher.Kind())
	return appendSized(b, watcher.AppendRecord)
}

// readSubscription gives a record whose Dialog is part of b. Its strings, but for
// Watcher, are those of shared, to which it adds the ones that are missing: a
// restart reads the same few from each of a million (BenchmarkRestore).
func readSubscription(b []byte, shared map[string]string) (s subscriptionRecord, err error) {
	d := decoder{b: b, shared: shared}
	d.kind(recordSubscription)
	s.Written = d.time()
	s.Resource.Package = d.string()
	s.Resource.URI = d.uri()
	s.Watcher = d.packed()
	s.Decision.State = DecisionState(d.byte())
	s.Decision.Key = d.string()
	s.Form.Entity = d.string()
	s.Form.Type = d.string()
	s.Kind = d.string()
	s.Dialog = d.bytes()
	return s, d.err
}

func appendTime(b []byte, t time.Time) []byte { return binary.AppendVarint(b, t.UnixNano()) }

func appendString[T ~string | []byte](b []byte, s T) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// appendSized appends what fn appends, in place, after its length: a uvarint
// padded to four octets, which reads like any other.
func appendSized(b []byte, fn func([]byte) []byte) []byte {
	const size = 4
	start := len(b)
	b = fn(append(b, 0x80, 0x80, 0x80, 0))
	n := len(b) - start - size
	for i := range size {
		b[start+i] |= byte(n>>(7*i)) & 0x7f
	}
	return b
}

// decoder reads a record; after the first damage all it gives is zero.
type decoder struct {
	b      []byte            // what is left
	shared map[string]string // what string gives; set where it is used
	err    error
}

func (d *decoder) fail() { d.b, d.err = nil, errRecord }

func (d *decoder) kind(want byte) {
	if d.byte() != want {
		d.fail()
	}
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail()
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) bytes() []byte {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || uint64(len(d.b)-n) < v {
		d.fail()
		return nil
	}
	s := d.b[n : n+int(v)]
	d.b = d.b[n+int(v):]
	return s
}

// string gives a string that other records have in common with this one.
func (d *decoder) string() string {
	b := d.bytes()
	s, known := d.shared[string(b)]
	if !known {
		s = string(b)
		d.shared[s] = s
	}
	return s
}

func (d *decoder) time() time.Time {
	if v := d.varint(); d.err == nil {
		return time.Unix(0, v)
	}
	return time.Time{}
}

func (d *decoder) uri() sip.URI {
	u, err := sip.ParseURI(d.string())
	if err != nil && d.err == nil {
		d.fail()
	}
	return u
}

func (d *decoder) packed() packed {
	p := packed(d.bytes())
	if _, err := p.identity(); err != nil && d.err == nil {
		d.fail()
	}
	return p
}
