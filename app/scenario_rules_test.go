package app

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"vigie/pidf"
	"vigie/sip"
)

// rules holds every message of every scenario against what must be true of
// all of them, whatever the scenario is about. Times are virtual and exact.
type rules struct {
	mu        sync.Mutex
	faults    []string
	requests  map[string]*sip.Message // what agents asked, by transaction
	finals    map[string]*sip.Message // and what they were answered
	dialogs   map[string]*heardDialog // subscriptions, by agent and Call-ID
	repeats   map[string]bool         // branches of NOTIFYs
	tags      map[string]string       // entity-tags, by themselves: the branch they were given to
	newest    map[string]string       // newest timestamp by presentity and view: the document
	documents []string
	secrets   []string
	log       strings.Builder
}

// heardDialog is a subscription as its agent sees it.
type heardDialog struct {
	until   time.Time // as granted
	cseq    uint32    // of the last NOTIFY
	renewed bool      // the server was restarted since
	open    string    // branch of the NOTIFY that is not answered yet
	opened  time.Time
	ended   bool
}

// transactionOf names the transaction of a request or response: CANCEL has the
// branch of what it cancels.
func transactionOf(m *sip.Message) string { return m.Via.Branch + " " + m.CSeq.Method }

func newRules() *rules {
	return &rules{
		requests: map[string]*sip.Message{}, finals: map[string]*sip.Message{}, dialogs: map[string]*heardDialog{},
		repeats: map[string]bool{}, tags: map[string]string{}, newest: map[string]string{},
	}
}

func (r *rules) faultf(m *sip.Message, format string, args ...any) {
	r.faults = append(r.faults, fmt.Sprintf(format, args...)+"\n"+string(m.Bytes()))
}

// report fails the scenario for what was found since the last step.
func (r *rules) report(s *stage, at step) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.faults) > 0 {
		s.failf(at, "%s", strings.Join(r.faults, "\n"))
	}
}

func (r *rules) secret(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.secrets = append(r.secrets, text)
}

func (r *rules) logged(line []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log.Write(line)
}

// restarted allows for one gap in the CSeqs of each dialog.
func (r *rules) restarted() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range r.dialogs {
		d.renewed, d.open = true, ""
	}
}

func (r *rules) said(who string, m *sip.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	asked, err := sip.Parse(m.Bytes())
	if err != nil {
		return // meant to be refused
	}
	r.requests[transactionOf(asked)] = asked
	if asked.Method == "SUBSCRIBE" && r.dialogs[who+asked.CallID] == nil {
		r.dialogs[who+asked.CallID] = &heardDialog{}
	}
}

func (r *rules) answered(who string, m *sip.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d := r.dialogs[who+m.CallID]; d != nil && d.open == m.Via.Branch {
		d.open = ""
	}
}

func (r *rules) heard(who string, m *sip.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.IsRequest() {
		if !r.repeats[m.Via.Branch] {
			r.repeats[m.Via.Branch] = true
			r.notify(who, m)
		}
		return
	}
	r.response(who, m)
}

// response: UAS-06, UAS-08, EVT-03, EVT-05, EVT-07, PUB-09, PUB-15, PUB-16,
// TRN-02, TRN-08.
func (r *rules) response(who string, m *sip.Message) {
	q := r.requests[transactionOf(m)]
	if q == nil {
		r.faultf(m, "UAS-06: a response to nothing that %s asked", who)
		return
	}
	if m.Status < 200 && m.Status != 100 {
		r.faultf(m, "TRN-08: a provisional response to a non-INVITE request")
	}
	if m.Status == 202 {
		r.faultf(m, "EVT-07: 202")
	}
	for _, id := range []sip.HeaderID{sip.HeaderEvent, sip.HeaderSubscriptionState, sip.HeaderRequire} {
		if m.Count(id) > 0 {
			r.faultf(m, "EVT-03 UAS-08: %s in a response", id)
		}
	}
	r.copied(q, m)
	if m.Status < 200 {
		return
	}
	if first := r.finals[transactionOf(m)]; first != nil {
		// A challenge is not kept (TRN-15): its nonce is a new one each time.
		if string(first.Bytes()) != string(m.Bytes()) && (m.Status != 401 || first.To.Tag() != m.To.Tag()) {
			r.faultf(m, "TRN-02: two different answers to one request, first\n%s", first.Bytes())
		}
		return
	}
	r.finals[transactionOf(m)] = m
	if m.Status/100 == 2 {
		r.granted(who, q, m)
	}
}

// copied checks what a response repeats of its request (UAS-06).
func (r *rules) copied(q, m *sip.Message) {
	for _, id := range []sip.HeaderID{sip.HeaderFrom, sip.HeaderCallID, sip.HeaderCSeq} {
		asked, _ := q.Header(id)
		if got, _ := m.Header(id); got != asked {
			r.faultf(m, "UAS-06: %s was %q", id, asked)
		}
	}
	asked, got := slices.Collect(q.Values(sip.HeaderVia)), slices.Collect(m.Values(sip.HeaderVia))
	if len(asked) != len(got) || !slices.Equal(asked[1:], got[1:]) {
		r.faultf(m, "UAS-06: Via was %q", asked)
	}
	switch tag := q.To.Tag(); {
	case tag != "" && m.To.Tag() != tag:
		r.faultf(m, "UAS-06: the To tag was %q", tag)
	case tag == "" && m.Status != 100 && m.To.Tag() == "":
		r.faultf(m, "UAS-06: there is no To tag")
	}
}

// granted checks the fields of success.
func (r *rules) granted(who string, q, m *sip.Message) {
	if q.Method != "SUBSCRIBE" && q.Method != "PUBLISH" {
		return
	}
	granted, ok := m.Expires()
	if wish, said := q.Expires(); !ok || said && granted > wish {
		r.faultf(m, "EVT-05 PUB-09 PUB-15: Expires of the answer to a wish of %d", wish)
	}
	if q.Method == "SUBSCRIBE" {
		r.dialogs[who+m.CallID].until = time.Now().Add(time.Duration(granted) * time.Second)
		return
	}
	tag, _ := m.Header(sip.HeaderSIPETag)
	if m.Count(sip.HeaderSIPETag) != 1 || !sip.IsToken(tag) {
		r.faultf(m, "PUB-15: not one entity-tag")
	}
	if r.tags[tag] != "" {
		r.faultf(m, "PUB-16: the entity-tag was given before")
	}
	r.tags[tag] = m.Via.Branch
}

var state = regexp.MustCompile(`^(active|pending);expires=(\d+)$|^terminated;reason=[a-z]+$`)

// notify: DLG-04, EVT-11, EVT-12, EVT-21, EVT-23, EVT-24, EVT-26, SEC-01.
func (r *rules) notify(who string, m *sip.Message) {
	d := r.dialogs[who+m.CallID]
	if m.Method != "NOTIFY" || d == nil {
		r.faultf(m, "EVT-26: %s did not ask for this", who)
		return
	}
	if d.ended {
		r.faultf(m, "EVT-11: a NOTIFY after the last one")
	}
	value, _ := m.Header(sip.HeaderSubscriptionState)
	found := state.FindStringSubmatch(value)
	if found == nil || m.Count(sip.HeaderEvent) != 1 {
		r.faultf(m, "EVT-11 EVT-23: Subscription-State or Event")
		return
	}
	d.ended = found[1] == ""
	if left, err := strconv.Atoi(found[2]); err == nil && time.Duration(left)*time.Second > time.Until(d.until) {
		r.faultf(m, "EVT-12: %s are left", time.Until(d.until))
	}
	if d.cseq != 0 && m.CSeq.Number != d.cseq+1 && (!d.renewed || m.CSeq.Number <= d.cseq) {
		r.faultf(m, "DLG-04: CSeq after %d", d.cseq)
	}
	if d.open != "" && time.Since(d.opened) < 32*time.Second {
		r.faultf(m, "EVT-21: there is another under way")
	}
	d.cseq, d.renewed, d.open, d.opened = m.CSeq.Number, false, m.Via.Branch, time.Now()
	r.body(m)
}

// body: EVT-24, PDF-02, PDF-05, PDF-06, PDF-09. Whether documents fit their
// schemas is looked at by TestScenarioDocumentsAreValid.
func (r *rules) body(m *sip.Message) {
	length, _ := m.Header(sip.HeaderContentLength)
	kind, typed := m.Header(sip.HeaderContentType)
	if length != strconv.Itoa(len(m.Body)) || typed != (len(m.Body) > 0) {
		r.faultf(m, "EVT-24: Content-Type or Content-Length")
	}
	if len(m.Body) == 0 || kind != "application/pidf+xml" {
		return
	}
	r.documents = append(r.documents, string(m.Body))
	d, err := pidf.Parse(m.Body, pidf.Limits{})
	if err != nil || !strings.HasPrefix(string(m.Body), `<?xml version="1.0" encoding="UTF-8"?>`) {
		r.faultf(m, "PDF-02: the document: %v", err)
		return
	}
	newest, ids := time.Time{}, map[string]bool{}
	note := func(id string, at time.Time) {
		if ids[id] || !pidf.IsNCName(id) {
			r.faultf(m, "PDF-05: id %q", id)
		}
		ids[id] = true
		if at.After(newest) {
			newest = at
		}
	}
	for _, t := range d.Tuples {
		note(t.ID, t.Timestamp)
	}
	for _, p := range d.Persons {
		note(p.ID, p.Timestamp)
	}
	for _, v := range d.Devices {
		note(v.ID, v.Timestamp)
	}
	if strings.Count(string(m.Body), "<basic>") != len(d.Tuples) {
		r.faultf(m, "PDF-06: a tuple without basic")
	}
	key := d.Entity + " " + newest.String()
	if before, ok := r.newest[key]; ok && !newest.IsZero() && before != string(m.Body) {
		r.faultf(m, "PDF-09: the newest timestamp stood over another document:\n%s", before)
	}
	r.newest[key] = string(m.Body)
}

// discreet: SEC-15. What was logged at the default level shows no secret and
// nothing of a document, and each record is one line of printable text.
func (r *rules) discreet(t *testing.T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := r.log.String()
	for _, secret := range append(r.secrets, "<presence", "<basic", "pidf:rpid") {
		if strings.Contains(text, secret) {
			t.Errorf("SEC-15: the log shows %q", secret)
		}
	}
	for line := range strings.Lines(text) {
		if strings.ContainsFunc(strings.TrimSuffix(line, "\n"), func(c rune) bool { return c < ' ' || c == 0x7f }) {
			t.Errorf("SEC-15: control characters in the log: %q", line)
		}
	}
}
