package event

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"vigie/sip"
)

// press is an engine that takes bodies of any size.
func press() *Engine {
	e := newEngine(&oblivion{}, words{})
	e.limits.Body = 1 << 20
	return e
}

// newspaper publishes n presentities' states, of 600 bytes.
func newspaper(tb testing.TB, e *Engine, from, n int) (tags []string) {
	tb.Helper()
	body := &Body{Type: "text/plain", Data: []byte(strings.Repeat("x", 600))}
	for i := range n {
		receipt, err := e.Publish(context.Background(), Publish{Resource: presentity(from + i), Expires: time.Hour, Body: body})
		if err != nil {
			tb.Fatal(err)
		}
		tags = append(tags, receipt.EntityTag)
	}
	return tags
}

func presentity(i int) Resource {
	return Resource{Package: "words", URI: sip.MustURI(fmt.Sprintf("sip:u%d@example.com", i))}
}

// BenchmarkPublish is one PUBLISH of each kind that nobody watches, among 10,000
// others; of the initial ones live-B is what they keep in the heap.
func BenchmarkPublish(b *testing.B) {
	b.Run("initial", func(b *testing.B) {
		e := press()
		defer e.Close()
		before := heap()
		b.ReportAllocs()
		b.ResetTimer()
		newspaper(b, e, 0, b.N)
		b.StopTimer()
		b.ReportMetric((float64(heap())-float64(before))/float64(b.N), "live-B/op")
	})
	for name, body := range map[string]*Body{"refresh": nil, "modify": {Type: "text/plain", Data: []byte(strings.Repeat("y", 600))}} {
		b.Run(name, func(b *testing.B) {
			e := press()
			defer e.Close()
			tags := newspaper(b, e, 0, 10_000)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				x := i * 7919 % len(tags)
				receipt, err := e.Publish(context.Background(), Publish{
					Resource: presentity(x), IfMatch: tags[x], Expires: time.Hour, Body: body})
				if err != nil {
					b.Fatal(err)
				}
				tags[x] = receipt.EntityTag
			}
		})
	}
}

// A refresh makes two allocations, for its key and its entity-tag; a modification
// one more, for what is published.
func TestPublishAllocations(t *testing.T) {
	e := press()
	defer e.Close()
	q := Publish{Resource: presentity(0), Expires: time.Hour}
	q.IfMatch = newspaper(t, e, 0, 1)[0]
	publish := func() {
		receipt, err := e.Publish(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		q.IfMatch = receipt.EntityTag
	}
	if n := testing.AllocsPerRun(100, publish); n > 2 {
		t.Errorf("a refresh makes %v allocations, want 2", n)
	}
	q.Body = &Body{Type: "text/plain", Data: []byte(strings.Repeat("y", 600))}
	if n := testing.AllocsPerRun(100, publish); n > 3 {
		t.Errorf("a modification makes %v allocations, want 3", n)
	}
}

// largestPublication is how many bytes a publication of 600 may hold of the heap
// with nobody watching, its resource and its places in all indexes counted in: what
// it holds now and a little more.
const largestPublication = 1010

func TestPublicationSize(t *testing.T) {
	const few, many = 1000, 40_000
	e := press()
	defer e.Close()
	newspaper(t, e, 0, few)
	before := heap()
	newspaper(t, e, few, many)
	if got := (heap() - before) / many; got > largestPublication {
		t.Errorf("a publication holds %d bytes, want at most %d", got, largestPublication)
	}
}
