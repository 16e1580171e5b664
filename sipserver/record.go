package sipserver

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"unique"

	"vigie/event"
	"vigie/sip/transport"
)

// Kind implements event.Keeper.
func (d *dialog) Kind() string { return Kind }

// AppendRecord implements event.Keeper: all that revives the dialog in a later
// process.
func (d *dialog) AppendRecord(b []byte) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.moved = false
	c := d.common.Value()
	b = d.appendNumbers(append(b, recordVersion))
	b = appendFlow(b, d.flow.full(), d.direct, d.local)
	b = binary.BigEndian.AppendUint64(b, uint64(d.tag))
	for _, s := range []string{c.contact, c.event} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	for _, end := range d.parts.ends {
		b = binary.BigEndian.AppendUint16(b, end)
	}
	return append(b, d.parts.text...)
}

// AppendMark implements event.Keeper: of what is in a record, the numbers change
// with each SUBSCRIBE, and all else when the watcher moves.
func (d *dialog) AppendMark(b []byte) (mark []byte, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.moved {
		return b, false
	}
	return d.appendNumbers(b), true
}

// appendNumbers reserves CSeq numbers. With d.mu.
func (d *dialog) appendNumbers(b []byte) []byte {
	d.asked = d.localCSeq + reserve
	b = binary.AppendUvarint(b, uint64(d.remoteCSeq))
	return binary.AppendUvarint(b, uint64(d.asked))
}

// stored notes that the last record or mark is in the store.
func (d *dialog) stored() {
	d.mu.Lock()
	d.reserved = max(d.reserved, d.asked)
	d.mu.Unlock()
}

const recordVersion = 2

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
		start := len(b)
		b, _ = a.AppendBinary(append(b, 0))
		b[start] = byte(len(b) - start - 1)
	}
	return b
}

var errDialogRecord = errors.New("sipserver: a stored dialog is damaged")

// Revive makes a dialog again from its record and the mark on it; it is an
// event.Reviver. A UDP watcher is reached from the same socket as before; a stream
// has gone with the process.
func (s *Server) Revive(subscription event.Subscription, record, mark []byte) (event.Watcher, error) {
	d := &dialog{subscription: subscription}
	f, err := d.read(s, record, mark)
	if err != nil {
		return nil, err
	}
	if f.Protocol == transport.UDP {
		f = s.network.UDPFlow(f.Local, f.Remote)
	}
	d.flow = makeFlow(f)
	s.dialogs.add(d)
	return d, nil
}

// read takes all of a record but the flow, which it gives: it is not alive yet.
func (d *dialog) read(s *Server, record, mark []byte) (transport.Flow, error) {
	r := reader{b: record}
	if r.byte() != recordVersion {
		return transport.Flow{}, errDialogRecord
	}
	d.readNumbers(&r)
	if len(mark) > 0 {
		m := reader{b: mark}
		if d.readNumbers(&m); m.bad {
			return transport.Flow{}, errDialogRecord
		}
	}
	kind := r.byte()
	d.direct, d.local = kind&recordDirect != 0, kind&recordLocal != 0
	f := transport.Flow{Protocol: transport.Protocol(kind &^ (recordDirect | recordLocal)), Local: r.address(), Remote: r.address()}
	d.tag = tag(binary.BigEndian.Uint64(r.take(8)))
	d.common = s.commonOf(r.bytes(), r.bytes())
	for i := range d.parts.ends {
		d.parts.ends[i] = binary.BigEndian.Uint16(r.take(2))
	}
	if r.bad || !d.parts.hold(r.b) {
		return transport.Flow{}, errDialogRecord
	}
	return f, nil
}

func (d *dialog) readNumbers(r *reader) {
	d.remoteCSeq, d.reserved = uint32(r.uvarint()), uint32(r.uvarint())
	d.localCSeq = d.reserved
}

// commonOf gives what a revived dialog has in common with others, most often with
// the one revived before it (BenchmarkRestart of interop).
func (s *Server) commonOf(contact, event []byte) unique.Handle[common] {
	if last := s.revived.Load(); last != nil {
		if c := last.Value(); c.contact == string(contact) && c.event == string(event) {
			return *last
		}
	}
	h := unique.Make(common{server: s, contact: string(contact), event: string(event)})
	s.revived.Store(&h)
	return h
}

// reader takes a record apart; after the first damage all it gives is zero.
type reader struct {
	b   []byte
	bad bool
}

// take gives the next n bytes.
func (r *reader) take(n uint64) []byte {
	if r.bad || uint64(len(r.b)) < n {
		r.bad = true
		return make([]byte, min(n, 8))
	}
	taken := r.b[:n]
	r.b = r.b[n:]
	return taken
}

func (r *reader) byte() byte { return r.take(1)[0] }

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	r.take(uint64(max(n, 0)))
	r.bad = r.bad || n <= 0
	return v
}

func (r *reader) bytes() []byte { return r.take(r.uvarint()) }

func (r *reader) address() (a netip.AddrPort) {
	if a.UnmarshalBinary(r.take(uint64(r.byte()))) != nil {
		r.bad = true
	}
	return a
}
