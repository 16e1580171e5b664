package sipserver

import (
	"math/rand/v2"
	"strconv"
	"sync"

	"vigie/sip"
)

// tag is a local tag: 64 random bits (RFC 3261 §19.3 asks for 32), printed in
// letters of one case, since some compare without regard to it.
type tag uint64

const tagBase = 32

func newTag() tag { return tag(rand.Uint64()) }

// param is the tag as a parameter of To.
func (t tag) param() sip.Params {
	return sip.Params(t.appendTo(append(make([]byte, 0, 24), ";tag="...)))
}

func (t tag) appendTo(b []byte) []byte { return strconv.AppendUint(b, uint64(t), tagBase) }

// parseTag reads what appendTo wrote; no other tag is ours.
func parseTag(s string) (tag, bool) {
	n, err := strconv.ParseUint(s, tagBase, 64)
	return tag(n), err == nil
}

// dialogs finds a dialog by our tag.
type dialogs struct {
	shards [64]dialogShard
}

type dialogShard struct {
	mu    sync.RWMutex
	byTag map[tag]*dialog
}

func (t *dialogs) init() {
	for i := range t.shards {
		t.shards[i].byTag = map[tag]*dialog{}
	}
}

func (t *dialogs) shard(own tag) *dialogShard {
	return &t.shards[own%tag(len(t.shards))]
}

func (t *dialogs) add(d *dialog) {
	s := t.shard(d.tag)
	s.mu.Lock()
	s.byTag[d.tag] = d
	s.mu.Unlock()
}

func (t *dialogs) remove(d *dialog) {
	s := t.shard(d.tag)
	s.mu.Lock()
	if s.byTag[d.tag] == d {
		delete(s.byTag, d.tag)
	}
	s.mu.Unlock()
}

// find gives the dialog of an in-dialog request: Call-ID and both tags must
// match, URIs and display names play no part (RFC 3261 §12.2.2).
func (t *dialogs) find(callID, localTag, remoteTag string) *dialog {
	own, ok := parseTag(localTag)
	if !ok {
		return nil
	}
	s := t.shard(own)
	s.mu.RLock()
	d := s.byTag[own]
	s.mu.RUnlock()
	if d == nil || !d.has(callID, remoteTag) {
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
