package presence

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vigie/event"
	"vigie/pidf"
)

func (h *history) shown(now time.Time, inputs []event.Publication) (*whole, string) {
	c, err := h.p.Compose(alice, inputs, now)
	if err != nil {
		h.Fatal(err)
	}
	body, err := h.p.View(alice, c, event.Decision{State: event.Allowed, Key: everything}, event.Form{})
	if err != nil {
		h.Fatal(err)
	}
	return c.(*whole), string(body.Data)
}

// CMP-01: the document is a function of inputs, policy and time. Whatever happened
// before, in whatever order the inputs are given, restarted or not; hence every node
// of a cluster serves the same (PRS-08).
func TestDocumentDependsOnInputsAlone(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := random{rt}
		h := &history{random: r, p: New(Options{Policy: r.policy()})}
		for range rapid.IntRange(1, 8).Draw(rt, "steps") {
			h.step()
			h.shown(h.now(), h.live)
		}
		now := h.now()
		w, want := h.shown(now, h.live)
		shuffled := rapid.Permutation(h.live).Draw(rt, "order")
		x, got := h.shown(now, shuffled)
		if got != want || !w.Same(x) || !w.Next().Equal(x.Next()) {
			rt.Fatalf("CMP-01/order: composed in creation order\n%s\nin another\n%s", want, got)
		}
		if _, got := h.shown(now, h.again()); got != want {
			rt.Fatalf("CMP-01/restart: composed of kept state\n%s\nof state read again\n%s", want, got)
		}
		if n := w.Next(); !n.IsZero() && !n.After(now) {
			rt.Fatalf("next change %s is not after %s", n, now)
		}
	})
}

// What is emitted is well-formed, read back without loss, and has unique ids.
func TestEmittedDocuments(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := random{rt}
		h := &history{random: r, p: New(Options{Policy: r.policy()})}
		seen := make(map[time.Time]*whole)
		for range rapid.IntRange(1, 6).Draw(rt, "steps") {
			h.step()
			w, text := h.shown(ten.Add(time.Hour), h.live)
			d, err := pidf.Parse([]byte(text), pidf.Limits{})
			if err != nil {
				rt.Fatalf("%v\n%s", err, text)
			}
			if again := d.AppendTo(nil); !bytes.Equal(again, []byte(text)) {
				rt.Fatalf("printed\n%s\nread and printed again\n%s", text, again)
			}
			all := ids(d)
			slices.Sort(all)
			for i, id := range all {
				if !pidf.IsNCName(id) || i > 0 && all[i-1] == id {
					rt.Fatalf("PDF-05/unique: ids %q", all)
				}
			}
			for _, one := range d.Tuples {
				if one.Basic == "" || one.Contact.URI == "" && !physical(&one) {
					rt.Fatalf("PDF-06/basic: tuple %+v", one)
				}
			}
			if at := newest(d); !at.IsZero() {
				if other := seen[at]; other != nil && !w.Same(other) {
					rt.Fatalf("PDF-09/never-twice: two documents have the newest timestamp %s", at)
				}
				seen[at] = w
			}
		}
	})
}

// CMP-02: nothing merged, each publication's elements are there once, and go with
// it, with the same ids while they last.
func TestRemovalTakesExactlyItsElements(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := random{rt}
		policy := Policy{Persons: KeepPersons, Services: KeepServices, Registered: NoTuple}
		h := &history{random: r, p: New(Options{Policy: policy})}
		for range rapid.IntRange(1, 8).Draw(rt, "steps") {
			h.step()
		}
		now := ten.Add(2 * time.Hour) // bindings are over
		mine := func(inputs []event.Publication) (all []string) {
			w, _ := h.shown(now, inputs)
			for _, id := range ids(&pidf.Document{Tuples: w.document.Tuples, Persons: w.document.Persons}) {
				if !strings.HasPrefix(id, ownPrefix) {
					all = append(all, id)
				}
			}
			slices.Sort(all)
			return all
		}
		for i, x := range h.live {
			rest := slices.Delete(slices.Clone(h.live), i, i+1)
			together := append(mine(rest), mine([]event.Publication{x})...)
			slices.Sort(together)
			if got := mine(h.live); !slices.Equal(got, together) {
				rt.Fatalf("CMP-02/removal: with all publications %q, of one and of the others %q", got, together)
			}
		}
	})
}

// CMP-02, everything merged: publishing and removing leaves no trace.
func TestRemovalLeavesNoTrace(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := random{rt}
		h := &history{random: r, p: New(Options{Policy: r.policy()})}
		for range rapid.IntRange(0, 4).Draw(rt, "steps") {
			h.step()
		}
		now := h.now()
		before, want := h.shown(now, h.live)
		h.last++
		x := h.said(event.Publication{Created: h.last, Prefix: "p99-", Expires: ten.Add(24 * time.Hour)}, ten.Add(time.Hour))
		h.shown(now, append(slices.Clone(h.live), x))
		if after, got := h.shown(now, h.live); got != want || !after.Same(before) {
			rt.Fatalf("CMP-02/no-trace: before\n%s\nafter\n%s", want, got)
		}
	})
}

// SEC-17: no document that is taken brings composition down.
func FuzzCompose(f *testing.F) {
	f.Add(document(tuple("t", "open", "sip:alice@example.com", "")+doing("away")), document(`<note>n</note>`))
	f.Add(document(tuple("a", "closed", "", randomAnywhere[3])+personOf(randomPerson[2])), document(tuple("a", "open", "", randomForeign[4])))
	f.Add(`<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="x"><tuple id="&#x1F600;"><status/></tuple></presence>`, "")
	p := New(Options{})
	f.Fuzz(func(t *testing.T, first, second string) {
		var inputs []event.Publication
		for i, body := range []string{first, second} {
			state, err := p.Read(alice, MediaType, body)
			if err != nil {
				continue
			}
			x := event.Publication{Created: int64(i + 1), State: state, Updated: ten, Expires: ten.Add(time.Hour)}
			if len(inputs) > 0 {
				x.Prefix = "p2-"
			}
			inputs = append(inputs, x)
		}
		text := shown(t, p, composed(t, p, ten, inputs...))
		if _, err := pidf.Parse([]byte(text), pidf.Limits{Bytes: 1 << 24}); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
		slices.Reverse(inputs)
		if again := shown(t, p, composed(t, p, ten, inputs...)); again != text {
			t.Errorf("one order\n%s\nthe other\n%s", text, again)
		}
	})
}
