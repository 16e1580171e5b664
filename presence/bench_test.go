package presence

import (
	"fmt"
	"testing"
	"time"

	"vigie/event"
)

// phone is a document as phones publish it, of about 600 bytes.
func phone(id, activity string) string {
	return `<?xml version="1.0" encoding="UTF-8"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" entity="sip:alice@example.com">
  <tuple id="` + id + `">
    <status><basic>open</basic></status>
    <contact priority="0.8">sip:alice@example.com</contact>
    <timestamp>2026-11-23T10:00:00Z</timestamp>
  </tuple>
  <dm:person id="me-` + id + `">
    <rpid:activities><rpid:` + activity + `/></rpid:activities>
    <dm:note xml:lang="en">In the office, please ring.</dm:note>
  </dm:person>
</presence>
`
}

func BenchmarkRead(b *testing.B) {
	p := New(Options{})
	body := phone("t1", "away")
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Read(alice, MediaType, body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	p := New(Options{})
	body := phone("t1", "away")
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Check(alice, MediaType, body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompose(b *testing.B) {
	p := New(Options{})
	for _, n := range []int{1, 3} {
		b.Run(fmt.Sprintf("publications=%d", n), func(b *testing.B) {
			var inputs []event.Publication
			for i := range n {
				inputs = append(inputs, live(b, p, i+1, phone("t1", []string{"away", "busy", "meeting"}[i])))
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Compose(alice, inputs, ten.Add(time.Hour)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkView(b *testing.B) {
	p := New(Options{})
	w := composed(b, p, ten.Add(time.Hour), live(b, p, 1, phone("t1", "away")))
	d := event.Decision{State: event.Allowed, Key: everything}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.View(alice, w, d, event.Form{Entity: "sip:alice@example.com"}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAuthorize(b *testing.B) {
	p := New(Options{})
	watcher := event.Identity{URI: alice.URI}
	watcher.URI.User = "bob"
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Authorize(b.Context(), alice, watcher); err != nil {
			b.Fatal(err)
		}
	}
}

// A document is checked without an allocation, read with one for each segment and
// list, and composed and shown with a few; one more where the race detector has
// pools forget.
func TestAllocations(t *testing.T) {
	p, body := New(Options{}), phone("t1", "away")
	inputs := []event.Publication{live(t, p, 1, body)}
	w := composed(t, p, ten.Add(time.Hour), inputs...)
	d := event.Decision{State: event.Allowed, Key: everything}
	for _, test := range []struct {
		name string
		most float64
		fn   func()
	}{
		{"checking", 0, func() { _ = p.Check(alice, MediaType, body) }},
		{"reading", 8, func() { _, _ = p.Read(alice, MediaType, body) }},
		{"composing", 13, func() { _, _ = p.Compose(alice, inputs, ten.Add(time.Hour)) }},
		{"composing of nothing", 0, func() { _, _ = p.Compose(alice, nil, ten.Add(time.Hour)) }},
		{"showing", 2, func() { _, _ = p.View(alice, w, d, event.Form{Entity: "sip:alice@example.com"}) }},
	} {
		if got := testing.AllocsPerRun(100, test.fn); got > test.most+1 {
			t.Errorf("%s takes %v allocations, want %v", test.name, got, test.most)
		}
	}
}
