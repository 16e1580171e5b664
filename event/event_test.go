package event

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vigie/sip"
	"vigie/store"
)

// words is a package whose state is the words of its publications, in order.
// A watcher from blocked.example is refused, one from unknown.example waits;
// carol sees only how many words there are.
type words struct{}

type sentence struct{ text string }

func (s sentence) Same(other Composite) bool { return s == other }
func (s sentence) Next() time.Time           { return time.Time{} }

func (words) Name() string           { return "words" }
func (words) PublishTypes() []string { return []string{"text/plain"} }
func (words) NotifyTypes() []string  { return []string{"text/plain"} }

func (w words) Read(r Resource, mediaType, text string) (any, error) {
	if err := w.Check(r, mediaType, text); err != nil {
		return nil, err
	}
	return text, nil
}

func (words) Check(_ Resource, mediaType, text string) error {
	if mediaType != "text/plain" {
		return &UnsupportedBodyError{Type: mediaType, Accept: []string{"text/plain"}}
	}
	if text == "" || text[0] == '!' {
		return &MalformedBodyError{Reason: "no word"}
	}
	return nil
}

func (words) Compose(_ Resource, live []Publication, _ time.Time) (Composite, error) {
	var b bytes.Buffer
	for _, p := range live {
		fmt.Fprintf(&b, "%s%s ", p.Prefix[:min(1, len(p.Prefix))], p.State)
	}
	return sentence{b.String()}, nil
}

func (words) Authorize(_ context.Context, _ Resource, w Identity) (Decision, error) {
	switch w.URI.Host {
	case "blocked.example":
		return Decision{State: Rejected}, nil
	case "unknown.example":
		return Decision{State: Waiting}, nil
	}
	if w.URI.User == "carol" {
		return Decision{State: Allowed, Key: "length"}, nil
	}
	return Decision{State: Allowed, Key: "all"}, nil
}

func (words) View(r Resource, whole Composite, d Decision, f Form) (Body, error) {
	text := whole.(sentence).text
	if d.Key == "length" {
		text = fmt.Sprint(len(bytes.Fields([]byte(text))))
	}
	return Body{Type: f.Type, Data: []byte(text)}, nil
}

// ear is a watcher that answers at once, or when it is told to.
type ear struct {
	mu     sync.Mutex
	heard  []string
	answer func(Subscription, Notification) // nil: Delivered
	record []byte
	mark   string // "no": that says too little
	found  string // the mark that it was revived by
}

func (w *ear) Notify(s Subscription, n Notification) {
	line := n.State.String()
	if n.Reason != "" {
		line += " " + string(n.Reason)
	}
	if n.State != Terminated {
		line += fmt.Sprintf(" %ds", n.Expires/time.Second)
	}
	if n.Body != nil {
		line += ": " + string(n.Body.Data)
	}
	w.mu.Lock()
	w.heard = append(w.heard, line)
	answer := w.answer
	w.mu.Unlock()
	if answer != nil {
		answer(s, n)
		return
	}
	s.Notified(Outcome{Result: Delivered})
}

func (w *ear) Kind() string { return "ear" }

func (w *ear) AppendRecord(b []byte) []byte { return append(b, w.record...) }

func (w *ear) AppendMark(b []byte) ([]byte, bool) { return append(b, w.mark...), w.mark != "no" }

// take gives what was heard since the last take.
func (w *ear) take() []string {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	heard := w.heard
	w.heard = nil
	return heard
}

func (w *ear) expect(t *testing.T, want ...string) {
	t.Helper()
	got := w.take()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("heard %q, want %q", got, want)
	}
}

// house is an engine over a store, for one bubble.
type house struct {
	*Engine
	t     *testing.T
	store store.Soft
}

const interval = 5 * time.Second

func open(t *testing.T, s store.Soft) *house {
	t.Helper()
	return openWith(t, s, words{})
}

func openWith(t *testing.T, s store.Soft, p Package) *house {
	t.Helper()
	e := newEngine(s, p)
	t.Cleanup(e.Close)
	return &house{Engine: e, t: t, store: s}
}

func newEngine(s store.Soft, p Package) *Engine {
	return New(Options{
		Store: s,
		Packages: []PackageOptions{{
			Package:   p,
			Lifetimes: Lifetimes{Min: time.Minute, Default: time.Hour, Max: 24 * time.Hour},
			Interval:  interval,
		}},
		Limits: Limits{Body: 100, Publications: 3, Subscriptions: 4, Failures: 3},
		Logger: slog.New(slog.DiscardHandler),
	})
}

var alice = Resource{Package: "words", URI: sip.MustURI("sip:alice@example.com")}

func who(uri string) Identity { return Identity{URI: sip.MustURI(uri)} }

func (h *house) publish(p Publish) (Receipt, error) {
	if p.Resource == (Resource{}) {
		p.Resource = alice
	}
	return h.Publish(context.Background(), p)
}

// say publishes a word for an hour and must succeed.
func (h *house) say(word, tag string) string {
	h.t.Helper()
	r, err := h.publish(Publish{IfMatch: tag, Expires: time.Hour, Body: &Body{"text/plain", []byte(word)}})
	if err != nil {
		h.t.Fatalf("publish %q: %v", word, err)
	}
	return r.EntityTag
}

// watch subscribes and must succeed.
func (h *house) watch(w Watcher, uri string, d time.Duration) Subscription {
	h.t.Helper()
	s, err := h.Subscribe(context.Background(), Subscribe{Resource: alice, Watcher: who(uri), Expires: d, Form: Form{Type: "text/plain"}}, w)
	if err != nil {
		h.t.Fatalf("subscribe %s: %v", uri, err)
	}
	return s
}

// bubble runs a test in a synctest bubble with an engine over a fresh store.
func bubble(t *testing.T, fn func(t *testing.T, h *house)) {
	synctest.Test(t, func(t *testing.T) {
		fn(t, open(t, store.NewMemory()))
	})
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got error %v, want %v", err, want)
	}
}
