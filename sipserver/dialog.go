package sipserver

import (
	"net/netip"
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
	asked        uint32 // reserved, as last written to a record
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

// watcher is who is authorised, as an AOR.
func (d *dialog) watcher() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if who := d.parts.at(partWatcher); who != "" {
		return who
	}
	return d.parts.at(partRemote)
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
	parts, way, was, local := d.parts, d.flow, d.direct, d.local
	if target != "" && target != d.parts.at(partTarget) {
		if d.parts, err = d.parts.with(partTarget, target); err != nil {
			d.parts = parts
			return nil, refuse(400, phrase(err.Error()))
		}
		if !direct {
			d.flow, d.direct = flow{}, false // to be looked for anew
		}
	}
	if direct {
		d.flow, d.direct = makeFlow(f), true
	}
	d.local = f.Remote.Addr().IsLoopback()
	d.answering, d.noStream = true, false
	return func() {
		d.mu.Lock()
		d.parts, d.flow, d.direct, d.local = parts, way, was, local
		d.mu.Unlock()
	}, nil
}
