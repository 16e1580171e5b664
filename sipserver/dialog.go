package sipserver

import (
	"encoding/binary"
	"errors"
	"hash/maphash"
	"net/netip"
	"sync"

	"vigie/event"
	"vigie/sip/transport"
)

// dialog is the SIP side of one subscription (RFC 6665 §4.4.1): what NOTIFYs
// are printed from, and the way they take. It is the subscription's watcher.
type dialog struct {
	server *Server

	mu           sync.Mutex
	parts        parts
	subscription event.Subscription // known from the first notification on, or revived with
	flow         transport.Flow     // the way NOTIFYs take; dead or zero: look for one
	direct       bool               // the SUBSCRIBE came straight from the watcher
	local        bool               // the SUBSCRIBE came from this machine
	noStream     bool               // the watcher takes no TCP connection
	streamed     bool               // the NOTIFY that travels left UDP for its size
	remoteCSeq   uint32
	localCSeq    uint32
	reserved     uint32 // the store says: no NOTIFY above this was sent; 0: not stored
	asked        uint32 // reserved, as last written to a record
	saving       bool
	ending       bool                // the NOTIFY that travels is the last
	answering    bool                // a SUBSCRIBE is being answered: hold NOTIFYs
	held         *event.Notification // until its response is on its way
	waiting      *event.Notification // until the store has a higher reserve
}

// reserve is how many NOTIFYs go out between two writes of a dialog. CSeq
// continues above the reserve after a restart, so that it never goes back
// (RFC 3261 §12.2.1.1).
const reserve = 64

// Kind names dialogs among the watchers in the store; Revive is its event.Reviver.
const Kind = "sip"

// parts are the strings of a dialog, one after the other in one allocation.
type parts struct {
	text string
	ends [partCount]uint16
}

const (
	partCallID    = iota
	partLocalTag  // ours
	partRemoteTag // the watcher's
	partLocal     // URI of the To field
	partRemote    // URI of the From field
	partTarget    // remote target: URI of the watcher's Contact
	partRoutes    // the route set, comma-separated; "" for none
	partContact   // our Contact field
	partEvent     // our Event field
	partEntity    // how the presentity was addressed, "" for its AOR
	partWatcher   // who is authorised, as an AOR
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
	b := make([]byte, 0, total)
	var p parts
	for i, v := range values {
		b = append(b, v...)
		p.ends[i] = uint16(len(b))
	}
	p.text = string(b)
	return p, nil
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

// The parts that outsiders read; parts change with refreshes.
func (d *dialog) part(i int) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.parts.at(i)
}

// current is the subscription, nil while it is being made.
func (d *dialog) current() event.Subscription {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.subscription
}

// advance takes over what a SUBSCRIBE in the dialog says: its CSeq (RFC 3261
// §12.2.2), its Contact and the way it came. undo takes back all but the CSeq.
// NOTIFYs are held from now on until release.
func (d *dialog) advance(cseq uint32, target string, f transport.Flow, direct bool) (undo func(), err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if cseq <= d.remoteCSeq {
		return nil, refuse(500, "CSeq is not above the last one")
	}
	d.remoteCSeq = cseq
	parts, flow, was, local := d.parts, d.flow, d.direct, d.local
	if target != "" && target != d.parts.at(partTarget) {
		if d.parts, err = d.parts.with(partTarget, target); err != nil {
			d.parts = parts
			return nil, refuse(400, phrase(err.Error()))
		}
		if !direct {
			d.flow, d.direct = transport.Flow{}, false // to be looked for anew
		}
	}
	if direct {
		d.flow, d.direct = f, true
	}
	d.local = f.Remote.Addr().IsLoopback()
	d.answering, d.noStream = true, false
	return func() {
		d.mu.Lock()
		d.parts, d.flow, d.direct, d.local = parts, flow, was, local
		d.mu.Unlock()
	}, nil
}

// Kind implements event.Keeper.
func (d *dialog) Kind() string { return Kind }

// Record implements event.Keeper: all that revives the dialog in a later
// process.
func (d *dialog) Record() []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = d.localCSeq + reserve
	b := make([]byte, 0, 64+2*partCount+len(d.parts.text))
	b = append(b, 1) // version of this form
	b = binary.AppendUvarint(b, uint64(d.remoteCSeq))
	b = binary.AppendUvarint(b, uint64(d.asked))
	b = appendFlow(b, d.flow, d.direct, d.local)
	for _, end := range d.parts.ends {
		b = binary.BigEndian.AppendUint16(b, end)
	}
	return append(b, d.parts.text...)
}

// stored notes that the last record is in the store.
func (d *dialog) stored() {
	d.mu.Lock()
	d.reserved = max(d.reserved, d.asked)
	d.mu.Unlock()
}

// Bits beside the protocol in a record.
const (
	recordDirect = 0x80
	recordLocal  = 0x40
)

func appendFlow(b []byte, f transport.Flow, direct, local bool) []byte {
	kind := byte(f.Protocol)
	if direct {
		kind |= recordDirect
	}
	if local {
		kind |= recordLocal
	}
	b = append(b, kind)
	for _, a := range []netip.AddrPort{f.Local, f.Remote} {
		text, _ := a.MarshalBinary()
		b = append(b, byte(len(text)))
		b = append(b, text...)
	}
	return b
}

var errDialogRecord = errors.New("sipserver: a stored dialog is damaged")

// Revive makes a dialog again from its record; it is an event.Reviver. A UDP
// watcher is reached from the same socket as before; a stream has gone with the
// process.
func (s *Server) Revive(subscription event.Subscription, record []byte) (event.Watcher, error) {
	d := &dialog{server: s, subscription: subscription}
	if err := d.read(record); err != nil {
		return nil, err
	}
	if d.flow.Protocol == transport.UDP {
		d.flow = s.network.UDPFlow(d.flow.Local, d.flow.Remote)
	}
	s.dialogs.add(d)
	return d, nil
}

func (d *dialog) read(b []byte) error {
	if len(b) == 0 || b[0] != 1 {
		return errDialogRecord
	}
	remote, n := binary.Uvarint(b[1:])
	if n <= 0 {
		return errDialogRecord
	}
	b = b[1+n:]
	local, n := binary.Uvarint(b)
	if n <= 0 || len(b) == n {
		return errDialogRecord
	}
	d.remoteCSeq, d.localCSeq, d.reserved = uint32(remote), uint32(local), uint32(local)
	b, err := d.readFlow(b[n:])
	if err != nil || len(b) < 2*partCount {
		return errDialogRecord
	}
	for i := range d.parts.ends {
		d.parts.ends[i] = binary.BigEndian.Uint16(b[2*i:])
		if i > 0 && d.parts.ends[i] < d.parts.ends[i-1] {
			return errDialogRecord
		}
	}
	d.parts.text = string(b[2*partCount:])
	if int(d.parts.ends[partCount-1]) != len(d.parts.text) {
		return errDialogRecord
	}
	return nil
}

// readFlow reads which way the dialog had; the flow is not alive yet.
func (d *dialog) readFlow(b []byte) ([]byte, error) {
	kind := b[0]
	d.direct, d.local = kind&recordDirect != 0, kind&recordLocal != 0
	b = b[1:]
	var addr [2]netip.AddrPort
	for i := range addr {
		if len(b) == 0 || len(b) < 1+int(b[0]) {
			return nil, errDialogRecord
		}
		if err := addr[i].UnmarshalBinary(b[1 : 1+int(b[0])]); err != nil {
			return nil, errDialogRecord
		}
		b = b[1+int(b[0]):]
	}
	d.flow = transport.Flow{Protocol: transport.Protocol(kind &^ (recordDirect | recordLocal)), Local: addr[0], Remote: addr[1]}
	return b, nil
}

// dialogs finds a dialog by our tag.
type dialogs struct {
	seed   maphash.Seed
	shards [64]dialogShard
}

type dialogShard struct {
	mu    sync.RWMutex
	byTag map[string]*dialog
}

func (t *dialogs) init() {
	t.seed = maphash.MakeSeed()
	for i := range t.shards {
		t.shards[i].byTag = map[string]*dialog{}
	}
}

func (t *dialogs) shard(tag string) *dialogShard {
	return &t.shards[maphash.String(t.seed, tag)%uint64(len(t.shards))]
}

func (t *dialogs) add(d *dialog) {
	tag := d.parts.at(partLocalTag)
	s := t.shard(tag)
	s.mu.Lock()
	s.byTag[tag] = d
	s.mu.Unlock()
}

func (t *dialogs) remove(d *dialog) {
	tag := d.parts.at(partLocalTag)
	s := t.shard(tag)
	s.mu.Lock()
	if s.byTag[tag] == d {
		delete(s.byTag, tag)
	}
	s.mu.Unlock()
}

// find gives the dialog of an in-dialog request: Call-ID and both tags must
// match, URIs and display names play no part (RFC 3261 §12.2.2).
func (t *dialogs) find(callID, localTag, remoteTag string) *dialog {
	s := t.shard(localTag)
	s.mu.RLock()
	d := s.byTag[localTag]
	s.mu.RUnlock()
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.parts.at(partCallID) != callID || d.parts.at(partRemoteTag) != remoteTag {
		return nil
	}
	return d
}

// Dialogs counts the subscription dialogs.
func (s *Server) Dialogs() int {
	n := 0
	for i := range s.dialogs.shards {
		t := &s.dialogs.shards[i]
		t.mu.RLock()
		n += len(t.byTag)
		t.mu.RUnlock()
	}
	return n
}
