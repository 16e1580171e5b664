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
	body := event.Body{Type: MediaType, Data: []byte(phone("t1", "away"))}
	b.SetBytes(int64(len(body.Data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Read(alice, body); err != nil {
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
