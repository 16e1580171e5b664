package sipserver

import (
	"net/netip"
	"strings"
	"sync"
	"unique"

	"vigie/event"
	"vigie/sip/transport"
)

// dialog is the SIP side of one subscription (RFC 6665 §4.4.1): what NOTIFYs
// are printed from, and the way they take. It is the subscription's watcher.
// There may be a million: what many have in common they share
// (TestSubscriptionSize).
type dialog struct {
	common unique.Handle[common]
	tag    tag // ours

	mu           sync.Mutex
	parts        parts
	subscription event.Subscription // known from the first notification on, or revived with
	flow         flow               // the way NOTIFYs take; dead or zero: look for one
	direct       bool               // the SUBSCRIBE came straight from the watcher
	local        bool               // the SUBSCRIBE came from this machine
	noStream     bool               // the watcher takes no TCP connection
	streamed     bool               // the NOTIFY that travels left UDP for its size
	remoteCSeq   uint32
	localCSeq    uint32
	reserved     uint32 // the store says: no NOTIFY above this was sent; 0: not stored
	asked        uint32 // reserved, as last written to a record or mark
	moved        bool   // more than numbers has changed since the last record
	saving       bool
	ending       bool                // the NOTIFY that travels is the last
	answering    bool                // a SUBSCRIBE is being answered: hold NOTIFYs
	held         *event.Notification // until that response is on its way, or the store has a higher reserve
}

func (d *dialog) server() *Server { return d.common.Value().server }

// flow is a transport.Flow in little space: all but the peer's address is the
// same for many.
type flow struct {
	rest unique.Handle[transport.Flow] // zero: there is no flow
	peer netip.Addr
	port uint16
}

func makeFlow(f transport.Flow) flow {
	if f.IsZero() {
		return flow{}
	}
	small := flow{peer: f.Remote.Addr(), port: f.Remote.Port()}
	f.Remote = netip.AddrPort{}
	small.rest = unique.Make(f)
	return small
}

func (f flow) full() transport.Flow {
	if f.rest == (unique.Handle[transport.Flow]{}) {
		return transport.Flow{}
	}
	full := f.rest.Value()
	full.Remote = netip.AddrPortFrom(f.peer, f.port)
	return full
}

// reserve is how many NOTIFYs go out between two writes of a dialog. CSeq
// continues above the reserve after a restart, so that it never goes back
// (RFC 3261 §12.2.1.1).
const reserve = 64

// Kind names dialogs among the watchers in the store; Revive is its event.Reviver.
const Kind = "sip"

// The parts that outsiders read; parts change with refreshes.
func (d *dialog) part(i int) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.parts.at(i)
}

// Name implements event.Named: who is authorised, as an AOR.
func (d *dialog) Name() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if who := d.parts.at(partWatcher); who != "" {
		return who
	}
	return d.parts.at(partRemote)
}

// has says whether a Call-ID and the watcher's tag are the dialog's.
func (d *dialog) has(callID, remoteTag string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.parts.at(partCallID) == callID && d.parts.at(partRemoteTag) == remoteTag
}

// targets says whether a Contact is the URI there is and nothing else, from a
// watcher as near as when it was looked at (suspicious).
func (d *dialog) targets(contact string, f transport.Flow) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	uri, opened := strings.CutPrefix(contact, "<")
	uri, closed := strings.CutSuffix(uri, ">")
	return opened && closed && uri == d.parts.at(partTarget) && d.local == f.Remote.Addr().IsLoopback()
}

// current is the subscription, nil while it is being made.
func (d *dialog) current() event.Subscription {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.subscription
}

// place is where a watcher is and how it is reached.
type place struct {
	parts  parts
	flow   flow
	direct bool
	local  bool
}

func (d *dialog) place() place { return place{d.parts, d.flow, d.direct, d.local} }

// move has the watcher be somewhere else, or where it is. With d.mu.
func (d *dialog) move(p place) {
	d.moved = d.moved || p != d.place()
	d.parts, d.flow, d.direct, d.local = p.parts, p.flow, p.direct, p.local
}

// advance takes over what a SUBSCRIBE in the dialog says: its CSeq (RFC 3261
// §12.2.2), its Contact and the way it came. It gives what undo needs to take back
// all but the CSeq. NOTIFYs are held from now on until release.
func (d *dialog) advance(cseq uint32, target string, f transport.Flow, direct bool) (before place, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	before = d.place()
	if cseq <= d.remoteCSeq {
		return before, refuse(500, "CSeq is not above the last one")
	}
	d.remoteCSeq = cseq
	now := before
	if target != "" && target != d.parts.at(partTarget) {
		if now.parts, err = d.parts.with(partTarget, target); err != nil {
			return before, refuse(400, phrase(err.Error()))
		}
		if !direct {
			now.flow, now.direct = flow{}, false // to be looked for anew
		}
	}
	if direct {
		now.direct = true
		if now.flow.full() != f {
			now.flow = makeFlow(f)
		}
	}
	now.local = f.Remote.Addr().IsLoopback()
	d.move(now)
	d.answering, d.noStream = true, false
	return before, nil
}

// undo takes back what advance did, and lets NOTIFYs go.
func (d *dialog) undo(before place) {
	d.mu.Lock()
	d.move(before)
	d.mu.Unlock()
	d.release()
}
