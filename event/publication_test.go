package event

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vigie/sip"
	"vigie/store"
)

// The steps of a publication's life (RFC 3903 §4, §6).
func TestPublicationLife(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		bob := &ear{}
		h.watch(bob, "sip:bob@example.com", time.Hour)
		bob.expect(t, "active 3600s: ")

		first := h.say("hello", "")
		bob.expect(t, "active 3600s: hello ")

		// PUB-13: refresh is invisible
		{
			time.Sleep(time.Minute)
			r, err := h.publish(Publish{IfMatch: first, Expires: 30 * time.Minute})
			if err != nil || r.Expires != 30*time.Minute {
				t.Fatalf("refresh: %v, %v", r, err)
			}
			if r.EntityTag == first {
				t.Error("PUB-15: a refresh must give a new entity-tag")
			}
			bob.expect(t)
			_, err = h.publish(Publish{IfMatch: first, Expires: time.Hour})
			wantErr(t, err, ErrNoPublication) // PUB-17
			first = r.EntityTag
		}
		// PUB-14: modify replaces
		{
			first = h.say("bye", first)
			bob.expect(t, "active 3540s: bye ")
		}
		// PUB-22: sources coexist
		{
			time.Sleep(interval)
			second := h.say("other", "")
			bob.expect(t, "active 3535s: bye pother ")
			time.Sleep(interval)
			r, err := h.publish(Publish{IfMatch: second, Expires: 0})
			if err != nil || r.Expires != 0 || r.EntityTag == "" || r.EntityTag == second {
				t.Errorf("PUB-11: removal gave %v, %v", r, err)
			}
			bob.expect(t, "active 3530s: bye ")
			_, err = h.publish(Publish{IfMatch: second, Expires: 0})
			wantErr(t, err, ErrNoPublication)
		}
		// PUB-23: expiry
		{
			time.Sleep(30 * time.Minute)
			bob.take()
			time.Sleep(time.Hour)
			_, err := h.publish(Publish{IfMatch: first, Expires: time.Hour})
			wantErr(t, err, ErrNoPublication)
		}
	})
}

// Expiry is heard at its very time, not before (PUB-23).
func TestPublicationExpires(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		bob := &ear{}
		h.watch(bob, "sip:bob@example.com", 24*time.Hour)
		h.say("hello", "")
		bob.take()
		time.Sleep(time.Hour - time.Millisecond)
		bob.expect(t)
		time.Sleep(time.Millisecond)
		bob.expect(t, "active 82800s: ")
	})
}

// liveTag stands for the tag of the publication that each case starts with.
const liveTag = "live"

// The first failing step answers, and nothing has changed (RFC 3903 §6).
func TestPublishOrder(t *testing.T) {
	text := func(s string) *Body { return &Body{"text/plain", []byte(s)} }
	var brief *BriefError
	var unsupported *UnsupportedBodyError
	var malformed *MalformedBodyError
	var large *OversizedBodyError
	cases := []struct {
		name string
		p    Publish
		ok   func(error) bool
	}{
		{"PUB-02/unknown-package", Publish{Resource: Resource{Package: "dialog", URI: alice.URI}, Body: text("x")}, func(err error) bool { return errors.Is(err, ErrUnknownPackage) }},
		{"PUB-04/tag-before-expires-and-body", Publish{IfMatch: "zzz", Expires: time.Second, Body: &Body{"text/html", nil}}, func(err error) bool { return errors.Is(err, ErrNoPublication) }},
		{"PUB-04/stale-removal", Publish{IfMatch: "zzz", Expires: 0}, func(err error) bool { return errors.Is(err, ErrNoPublication) }},
		{"PUB-05/tag-of-another-resource", Publish{Resource: Resource{Package: "words", URI: who("sip:bob@example.com").URI}, IfMatch: liveTag, Expires: time.Hour}, func(err error) bool { return errors.Is(err, ErrNoPublication) }},
		{"PUB-03/star-has-no-meaning", Publish{IfMatch: "*", Expires: time.Hour}, func(err error) bool { return errors.Is(err, ErrNoPublication) }},
		{"PUB-10/brief-before-body", Publish{IfMatch: liveTag, Expires: time.Second, Body: &Body{"text/html", nil}}, func(err error) bool { return errors.As(err, &brief) && brief.Min == time.Minute }},
		{"PUB-06/no-body", Publish{Expires: time.Hour}, func(err error) bool { return errors.Is(err, ErrNoBody) }},
		{"PUB-07/type", Publish{Expires: time.Hour, Body: &Body{"text/html", []byte("x")}}, func(err error) bool { return errors.As(err, &unsupported) }},
		{"PUB-07/malformed", Publish{IfMatch: liveTag, Expires: time.Hour, Body: text("!")}, func(err error) bool { return errors.As(err, &malformed) }},
		{"PUB-26/large", Publish{Expires: time.Hour, Body: text(strings.Repeat("x", 101))}, func(err error) bool { return errors.As(err, &large) && large.Max == 100 }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *house) {
				tag := h.say("hello", "")
				if c.p.IfMatch == liveTag {
					c.p.IfMatch = tag
				}
				if _, err := h.publish(c.p); !c.ok(err) {
					t.Errorf("got %v", err)
				}
				if r, err := h.publish(Publish{IfMatch: tag, Expires: time.Hour}); err != nil {
					t.Errorf("after the refusal the tag must still be good: %v, %v", r, err)
				}
			})
		})
	}
}

func TestPublishLifetimes(t *testing.T) {
	for _, c := range []struct {
		name        string
		ask, expect time.Duration
	}{
		{"PUB-08/default", -1, time.Hour},
		{"PUB-09/as-asked", 2 * time.Minute, 2 * time.Minute},
		{"PUB-09/at-most", 48 * time.Hour, 24 * time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *house) {
				r, err := h.publish(Publish{Expires: c.ask, Body: &Body{"text/plain", []byte("x")}})
				if err != nil || r.Expires != c.expect {
					t.Errorf("granted %v, %v, want %v", r.Expires, err, c.expect)
				}
			})
		})
	}
}

// The publications of one presentity are capped (PUB-26).
func TestPublicationLimit(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		for range 3 {
			h.say("x", "")
		}
		var limit *LimitError
		_, err := h.publish(Publish{Expires: -1, Body: &Body{"text/plain", []byte("x")}})
		if !errors.As(err, &limit) || limit.Max != 3 {
			t.Errorf("got %v, want the limit of 3", err)
		}
	})
}

// An hour is no excuse in PUBLISH: unlike SUBSCRIBE any wish below the minimum
// is too brief (RFC 3903 §6, step 4; RFC 6665 §4.2.1.1).
func TestBriefness(t *testing.T) {
	l := Lifetimes{Min: 2 * time.Hour, Default: 3 * time.Hour, Max: 4 * time.Hour}
	if _, err := l.publish(90 * time.Minute); err == nil {
		t.Error("PUB-10: 90 minutes below a minimum of two hours must be refused")
	}
	if d, err := l.subscribe(90 * time.Minute); err != nil || d != 90*time.Minute {
		t.Errorf("EVT-06: got %v, %v, want 90 minutes", d, err)
	}
	if _, err := l.subscribe(time.Minute); err == nil {
		t.Error("EVT-06: a minute below a minimum of two hours must be refused")
	}
	if d, _ := l.subscribe(-1); d != 3*time.Hour {
		t.Errorf("EVT-04: got %v by default, want 3 hours", d)
	}
}

// Expires zero without a tag stores nothing and tells nobody, and still gives
// a fresh entity-tag.
func TestPublishZeroWithoutTag(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		bob := &ear{}
		h.watch(bob, "sip:bob@example.com", time.Hour)
		bob.take()
		r, err := h.publish(Publish{Expires: 0, Body: &Body{"text/plain", []byte("x")}})
		if err != nil || r.EntityTag == "" || r.Expires != 0 {
			t.Errorf("PUB-12: got %v, %v", r, err)
		}
		bob.expect(t)
		_, err = h.publish(Publish{IfMatch: r.EntityTag, Expires: time.Hour})
		wantErr(t, err, ErrNoPublication)
	})
}

// A store that fails leaves state and tag as they were (PUB-19).
func TestPublishStoreFails(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		bob := &ear{}
		h.watch(bob, "sip:bob@example.com", time.Hour)
		tag := h.say("hello", "")
		bob.take()
		full := errors.New("disk full")
		h.store.(*store.Memory).Fail(func(op store.Op, key string) error { return full })
		for name, p := range map[string]Publish{
			"create":  {Expires: time.Hour, Body: &Body{"text/plain", []byte("x")}},
			"modify":  {IfMatch: tag, Expires: time.Hour, Body: &Body{"text/plain", []byte("x")}},
			"refresh": {IfMatch: tag, Expires: time.Hour},
			"remove":  {IfMatch: tag, Expires: 0},
		} {
			if _, err := h.publish(p); !errors.Is(err, full) {
				t.Errorf("%s gave %v, want the store's error", name, err)
			}
		}
		h.store.(*store.Memory).Fail(nil)
		bob.expect(t)
		time.Sleep(interval)
		if got := h.say("bye", tag); got == tag {
			t.Error("the old tag must be good for one more change")
		}
		bob.expect(t, "active 3595s: bye ")
	})
}

// Entity-tags never repeat, whatever happens in between (PUB-16).
func TestEntityTagsNeverRepeat(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		seen := map[string]bool{}
		note := func(tag string) {
			if seen[tag] {
				t.Errorf("PUB-16: entity-tag %s given twice", tag)
			}
			seen[tag] = true
		}
		for range 20 {
			tag := h.say("a", "")
			note(tag)
			tag = h.say("b", tag)
			note(tag)
			r, err := h.publish(Publish{IfMatch: tag, Expires: 0})
			if err != nil {
				t.Fatal(err)
			}
			note(r.EntityTag)
		}
	})
}

// PUBLISHes for one resource are applied one after the other (PUB-18): of many
// that race for one tag exactly one wins.
func TestPublishRace(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		tag := h.say("a", "")
		results := make(chan error, 20)
		for range 20 {
			go func() {
				_, err := h.publish(Publish{IfMatch: tag, Expires: time.Hour, Body: &Body{"text/plain", []byte("b")}})
				results <- err
			}()
		}
		won := 0
		for range 20 {
			if err := <-results; err == nil {
				won++
			} else {
				wantErr(t, err, ErrNoPublication)
			}
		}
		if won != 1 {
			t.Errorf("PUB-18: %d of the racing PUBLISHes won, want 1", won)
		}
	})
}

func TestRecords(t *testing.T) {
	words := &eventPackage{types: []string{"text/plain"}}
	p := publication{created: 7, prefix: "p7-", updated: 5006, mediaType: "a/b", text: "x"}
	got, err := words.readPublication(appendPublication(nil, &p, time.Unix(1, 2)))
	if err != nil || got != p {
		t.Errorf("publication came back as %+v, %v", got, err)
	}
	bob := Identity{URI: who("sip:bob@example.com").URI, Also: []sip.URI{who("tel:+1").URI}}
	s := subscriptionRecord{
		Resource: alice, Watcher: pack(bob),
		Decision: Decision{State: Allowed, Key: "all"}, Form: Form{Entity: "pres:alice@example.com", Type: "a/b"},
		Written: time.Unix(1, 2),
	}
	dialog := bytes.Repeat([]byte{1, 0, 2}, 100)
	back, err := readSubscription(s.append(nil, &ear{record: dialog}), map[string]string{})
	if err != nil || back.Resource != alice || back.Watcher != s.Watcher ||
		back.Decision != s.Decision || back.Form != s.Form || back.Kind != "ear" || !bytes.Equal(back.Dialog, dialog) || !back.Written.Equal(s.Written) {
		t.Errorf("subscription came back as %+v, %v", back, err)
	}
	if got, err := back.Watcher.identity(); err != nil || !reflect.DeepEqual(got, bob) {
		t.Errorf("the watcher came back as %+v, %v", got, err)
	}
}

// named is a watcher that has its name as a string.
type named struct {
	audience
	name string
}

func (n named) Name() string { return n.name }

// Who watches is kept once, by the engine or, if it says the same, by the watcher.
func TestNamed(t *testing.T) {
	bob := who("sip:bob@example.com")
	twofold := Identity{URI: bob.URI, Also: []sip.URI{who("tel:+1").URI}}
	for _, c := range []struct {
		watcher Watcher
		who     Identity
		allocs  float64
	}{
		{named{name: "sip:bob@example.com"}, bob, 0},
		{named{name: "sip:carol@example.com"}, bob, 1},
		{named{name: "sip:bob@example.com"}, twofold, 1},
		{named{name: "sip:bob@example.com"}, Identity{Anonymous: true}, 0},
		{audience{}, bob, 1},
	} {
		var got packed
		n := testing.AllocsPerRun(100, func() { got = packFor(c.watcher, c.who) })
		if got != pack(c.who) || n != c.allocs {
			t.Errorf("%+v by %+v is %q with %v allocations, want %q with %v", c.who, c.watcher, got, n, pack(c.who), c.allocs)
		}
	}
}

// A damaged record is an error, whatever is cut off, and never a panic.
func FuzzRecords(f *testing.F) {
	words := &eventPackage{}
	f.Add(appendPublication(nil, &publication{created: 7, mediaType: "a/b", text: "x"}, time.Unix(1, 2)))
	f.Add((&subscriptionRecord{Resource: alice, Watcher: pack(who("sip:bob@example.com")), Form: Form{Type: "a/b"}}).append(nil, &ear{record: []byte("d")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := words.readPublication(b); err == nil && len(p.text) > len(b) {
			t.Error("body larger than its record")
		}
		if s, err := readSubscription(b, map[string]string{}); err == nil && len(s.Dialog) > len(b) {
			t.Error("dialog larger than its record")
		}
		_, _ = writtenAt(b)
	})
}

// A store of one's own that has lost an entry (its time ran out by a clock that
// was set forward, or the machine slept) gets it again with the next change.
func TestPublicationWrittenAnew(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		tag := h.say("hello", "")
		h.lose(publicationPrefix)
		if _, err := h.publish(Publish{IfMatch: tag, Expires: time.Hour}); err != nil {
			t.Fatal(err)
		}
		h = h.reopen(time.Minute)
		bob := &ear{}
		h.watch(bob, "sip:bob@example.com", time.Hour)
		bob.expect(t, "active 3600s: hello ")
	})
}

// lose deletes entries behind the engine's back.
func (h *house) lose(prefix string) {
	_ = h.store.Load(h.t.Context(), prefix, func(x store.Entry) error {
		_, err := h.store.Delete(h.t.Context(), x.Key, store.AnyRevision)
		return err
	})
}

// In a shared store a publication whose entry is another's or gone cannot be
// changed under its tag: the publisher starts anew (412), rather than failing
// until it expires.
func TestPublicationLostByStore(t *testing.T) {
	bubble(t, func(t *testing.T, h *house) {
		h.shared = true
		bob := &ear{}
		h.watch(bob, "sip:bob@example.com", time.Hour)
		for _, d := range []time.Duration{time.Hour, 0} {
			tag := h.say("hello", "")
			time.Sleep(interval)
			bob.take()
			h.lose(publicationPrefix)
			_, err := h.publish(Publish{IfMatch: tag, Expires: d})
			wantErr(t, err, ErrNoPublication)
			time.Sleep(interval)
			if heard := bob.take(); len(heard) != 1 {
				t.Errorf("heard %q, want that the state is gone", heard)
			}
		}
	})
}

// An entity-tag is taken as it was given, and in no other spelling.
func TestEntityTag(t *testing.T) {
	for _, revision := range []uint64{0, 1, 35, 36, 123456789, 1<<64 - 1} {
		if got, ok := parseTag(entityTag(revision)); !ok || got != revision {
			t.Errorf("%s is read as %d, %v, want %d", entityTag(revision), got, ok, revision)
		}
	}
	for _, tag := range []string{"", "00", "01", "A", "aB", "+1", "-1", "1_0", " 1", "1.0", "3w5e11264sgsg"} {
		if got, ok := parseTag(tag); ok {
			t.Errorf("%q is read as %d", tag, got)
		}
	}
}

// unable is a package that cannot check, only read.
type unable struct{ Package }

// What nobody watches is held to the rules of its package, and no state is made of
// it until somebody does.
func TestUnwatchedIsNotRead(t *testing.T) {
	for _, p := range []Package{words{}, unable{words{}}} {
		synctest.Test(t, func(t *testing.T) {
			h := openWith(t, store.NewMemory(), p)
			_, err := h.publish(Publish{Expires: time.Hour, Body: &Body{"text/plain", []byte("!")}})
			if _, ok := errors.AsType[*MalformedBodyError](err); !ok {
				t.Errorf("%v, want a MalformedBodyError", err)
			}
			tag := h.say("hello", "")
			made := func() bool { return h.find(alice).publications[0].state != nil }
			if made() {
				t.Error("state is made of what nobody watches")
			}
			bob := &ear{}
			s := h.watch(bob, "sip:bob@example.com", time.Hour)
			bob.expect(t, "active 3600s: hello ")
			tag = h.say("bye", tag)
			if !made() {
				t.Error("no state is made of what somebody watches")
			}
			if _, err := s.Refresh(t.Context(), Refresh{}); err != nil {
				t.Fatal(err)
			}
			bob.expect(t, "terminated timeout: bye ")
			if made() {
				t.Error("state is kept though nobody watches any more")
			}
			h.say("again", tag)
			if made() {
				t.Error("state is made of a change that nobody watches")
			}
		})
	}
}
