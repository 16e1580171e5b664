package event

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"vigie/store"
)

// The engine against a model that knows nothing but the rules: whatever
// publishers, watchers, failing peers, a failing store, crashes and time do,
//
//   - each live watcher was told the current state last, once all is quiet;
//   - a watcher gets one notification at a time, none after the last one, with
//     what is left of its time;
//   - entity-tags rise, and only the newest of a publication is good;
//   - nothing is left of what is over.
func TestEngineAgainstModel(t *testing.T) {
	for range 5 { // times -rapid.checks
		rapid.Check(t, func(rt *rapid.T) { rapid.SyncTest(rt, playModel) })
	}
}

func playModel(rt *rapid.T) {
	m := &model{Fatalf: rt.Fatalf, tags: map[string]bool{}}
	m.open(store.NewMemory())
	defer func() { m.house.Close() }()
	rt.Repeat(map[string]func(*rapid.T){
		"":            func(*rapid.T) { m.check() },
		"publish":     m.publish,
		"modify":      m.modify,
		"refresh":     m.refresh,
		"remove":      m.remove,
		"subscribe":   m.subscribe,
		"prolong":     m.prolong,
		"unsubscribe": m.unsubscribe,
		"fetch":       m.fetch,
		"mood":        m.mood,
		"answer":      m.answer,
		"wait":        m.wait,
		"crash":       m.crash,
	})
	m.settle()
}

type model struct {
	*house
	Fatalf       func(string, ...any)
	publications []*modelPublication
	peers        []*peer
	tags         map[string]bool // all that were given
	newest       uint64
}

func (m *model) open(s store.Soft) { m.house = &house{Engine: newEngine(s, words{}), store: s} }

type modelPublication struct {
	resource Resource
	tag      string
	text     string // as composed: p in front when it was not alone
	expires  time.Time
}

// mood is how a peer answers.
type mood int

const (
	friendly mood = iota
	busy
	deaf // until it is told to answer
	gone
)

// peer is a watcher with one subscription.
type peer struct {
	name     string
	user     string
	resource Resource

	mu sync.Mutex // outcomes come on goroutines of the engine
	peerState
}

type peerState struct {
	mood         mood
	subscription Subscription
	expires      time.Time
	ended        bool // by the rules
	reason       Reason
	flying       bool
	failures     int
	mute         bool // must hear nothing any more
	knows        bool // that it is over
	excused      bool // may miss what was under way at a crash
	travelling   string
	last         string // delivered
	faults       []string
}

func (p *peer) with(fn func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fn()
}

func (p *peer) now() peerState {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.peerState
}

func (p *peer) Kind() string { return "ear" }

func (p *peer) AppendRecord(b []byte) []byte       { return append(b, p.name...) }
func (p *peer) AppendMark(b []byte) ([]byte, bool) { return b, true }

func (p *peer) fault(format string, args ...any) {
	p.faults = append(p.faults, p.name+": "+fmt.Sprintf(format, args...))
}

func (p *peer) Notify(s Subscription, n Notification) {
	p.mu.Lock()
	if p.flying {
		p.fault("two notifications at a time")
	}
	if p.mute {
		p.fault("a notification after the end: %v %v", n.State, n.Reason)
	}
	want := Active
	if p.user == "dave" {
		want = Pending
	}
	switch {
	case n.State == Terminated:
		p.mute, p.ended, p.knows = true, true, true
		if n.Reason != p.reason {
			p.fault("ended for %q, want %q", n.Reason, p.reason)
		}
	case n.State != want:
		p.fault("told %v, want %v", n.State, want)
	case p.ended:
		p.fault("told %v after its time", n.State)
	case n.Expires != time.Until(p.expires):
		p.fault("%v left, want %v", n.Expires, time.Until(p.expires))
	}
	p.subscription, p.flying = s, true
	p.travelling = "nothing"
	if n.Body != nil {
		p.travelling = string(n.Body.Data)
	}
	mood := p.mood
	p.mu.Unlock()
	switch mood {
	case friendly:
		p.tell(Outcome{Result: Delivered})
	case busy:
		p.tell(Outcome{Result: Failed, RetryAfter: time.Duration(len(p.name)%2) * 20 * time.Second})
	case gone:
		p.tell(Outcome{Result: Gone})
	}
}

// tell ends the notification in flight and draws the consequences.
func (p *peer) tell(o Outcome) {
	p.mu.Lock()
	p.flying = false
	switch o.Result {
	case Delivered:
		p.failures, p.excused, p.last = 0, false, p.travelling
	case Failed:
		if p.failures++; p.failures == 3 && !p.ended {
			p.ended, p.reason = true, ReasonDeactivated
		}
	case Gone:
		p.ended, p.mute, p.knows = true, true, true
	}
	s := p.subscription
	p.mu.Unlock()
	s.Notified(o)
}

func (m *model) live(r Resource) (live []*modelPublication) {
	for _, p := range m.publications {
		if p.resource == r && p.expires.After(time.Now()) {
			live = append(live, p)
		}
	}
	return live
}

// view is what a user of a resource should see.
func (m *model) view(user string, r Resource) string {
	live := m.live(r)
	text := ""
	for _, p := range live {
		text += p.text + " "
	}
	switch user {
	case "dave":
		return "nothing"
	case "carol":
		return strconv.Itoa(len(live))
	}
	return text
}

var modelResources = []Resource{alice, {Package: "words", URI: who("sip:erin@example.com").URI}}

func drawResource(rt *rapid.T) Resource {
	return rapid.SampledFrom(modelResources).Draw(rt, "resource")
}

func drawMinutes(rt *rapid.T, among ...int) time.Duration {
	return time.Duration(rapid.SampledFrom(among).Draw(rt, "minutes")) * time.Minute
}

var errDisk = errors.New("disk full")

// storing has the store fail now and then during fn, and says whether it does.
func (m *model) storing(rt *rapid.T, fn func(want error)) {
	if rapid.IntRange(0, 9).Draw(rt, "disk") > 0 {
		fn(nil)
		return
	}
	memory := m.house.store.(*store.Memory)
	memory.Fail(func(store.Op, string) error { return errDisk })
	fn(errDisk)
	memory.Fail(nil)
}

// note takes a new entity-tag.
func (m *model) note(tag string) {
	n, err := strconv.ParseUint(tag, 36, 64)
	if err != nil || n <= m.newest || m.tags[tag] {
		m.Fatalf("entity-tag %s after %d", tag, m.newest)
	}
	m.newest, m.tags[tag] = n, true
}

func drawWord(rt *rapid.T) string { return rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "word") }

func (m *model) publish(rt *rapid.T) {
	p := &modelPublication{resource: drawResource(rt), text: drawWord(rt)}
	d, live := drawMinutes(rt, 1, 2, 5, 10, 60), m.live(p.resource)
	m.storing(rt, func(want error) {
		r, err := m.house.publish(Publish{Resource: p.resource, Expires: d, Body: &Body{"text/plain", []byte(p.text)}})
		var limit *LimitError
		switch {
		case len(live) >= 3:
			if !errors.As(err, &limit) {
				m.Fatalf("the fourth publication: %v", err)
			}
		case !errors.Is(err, want):
			m.Fatalf("publish: %v, want %v", err, want)
		case err == nil:
			m.note(r.EntityTag)
			if len(live) > 0 {
				p.text = "p" + p.text
			}
			p.tag, p.expires = r.EntityTag, time.Now().Add(d)
			m.publications = append(m.publications, p)
		}
	})
}

// change asks for a change under a tag, good or bad.
func (m *model) change(rt *rapid.T, d time.Duration, b *Body, then func(p *modelPublication)) {
	all := slices.Sorted(maps.Keys(m.tags))
	if len(all) == 0 {
		rt.Skip()
	}
	tag, resource := rapid.SampledFrom(all).Draw(rt, "tag"), drawResource(rt)
	if live := m.live(resource); len(live) > 0 && rapid.Bool().Draw(rt, "good") {
		tag = rapid.SampledFrom(live).Draw(rt, "publication").tag
	}
	i := slices.IndexFunc(m.publications, func(p *modelPublication) bool {
		return p.resource == resource && p.tag == tag && p.expires.After(time.Now())
	})
	m.storing(rt, func(want error) {
		if i < 0 {
			want = ErrNoPublication
		}
		r, err := m.house.publish(Publish{Resource: resource, IfMatch: tag, Expires: d, Body: b})
		if !errors.Is(err, want) {
			m.Fatalf("change of %s: %v, want %v", tag, err, want)
		}
		if err == nil {
			m.note(r.EntityTag)
			m.publications[i].tag, m.publications[i].expires = r.EntityTag, time.Now().Add(d)
			then(m.publications[i])
		}
	})
}

func (m *model) modify(rt *rapid.T) {
	word := drawWord(rt)
	m.change(rt, drawMinutes(rt, 1, 2, 5, 10, 60), &Body{"text/plain", []byte(word)}, func(p *modelPublication) {
		p.text = p.text[:len(p.text)-1] + word
	})
}

func (m *model) refresh(rt *rapid.T) {
	m.change(rt, drawMinutes(rt, 1, 2, 5, 10, 60), nil, func(*modelPublication) {})
}

func (m *model) remove(rt *rapid.T) { m.change(rt, 0, nil, func(*modelPublication) {}) }

func drawUser(rt *rapid.T) (user string, identity Identity) {
	user = rapid.SampledFrom([]string{"bob", "carol", "dave"}).Draw(rt, "user")
	if user == "dave" {
		return user, who("sip:dave@unknown.example")
	}
	return user, who("sip:" + user + "@example.com")
}

func (m *model) subscribe(rt *rapid.T) {
	user, identity := drawUser(rt)
	p := &peer{name: fmt.Sprintf("%s%d", user, len(m.peers)), user: user, resource: drawResource(rt)}
	p.reason = ReasonTimeout
	p.mood = mood(rapid.IntRange(0, 3).Draw(rt, "mood"))
	d := drawMinutes(rt, 1, 5, 30, 300)
	p.expires = time.Now().Add(d)
	count := 0
	for _, o := range m.peers {
		if o.user == user && !o.now().ended {
			count++
		}
	}
	m.storing(rt, func(want error) {
		s, err := m.Subscribe(context.Background(), Subscribe{Resource: p.resource, Watcher: identity, Expires: d, Form: Form{Type: "text/plain"}}, p)
		var limit *LimitError
		switch {
		case count >= 4:
			if !errors.As(err, &limit) {
				m.Fatalf("the fifth subscription: %v", err)
			}
		case !errors.Is(err, want):
			m.Fatalf("subscribe: %v, want %v", err, want)
		case err == nil:
			p.with(func() { p.subscription = s })
			m.peers = append(m.peers, p)
		}
	})
}

func (m *model) drawPeer(rt *rapid.T) *peer {
	if len(m.peers) == 0 {
		rt.Skip()
	}
	return rapid.SampledFrom(m.peers).Draw(rt, "peer")
}

func (m *model) prolong(rt *rapid.T) {
	p, d := m.drawPeer(rt), drawMinutes(rt, 1, 5, 30, 300)
	before := p.now()
	m.storing(rt, func(want error) {
		if before.ended {
			want = ErrGone
		} else if want == nil {
			p.with(func() { p.expires, p.failures, p.travelling = time.Now().Add(d), 0, "not told yet" })
		}
		_, err := m.house.refresh(before.subscription, d)
		if !errors.Is(err, want) {
			m.Fatalf("prolong %s: %v, want %v", p.name, err, want)
		}
		if synctest.Wait(); err == nil && !before.flying && p.now().travelling == "not told yet" {
			m.Fatalf("%s prolonged its subscription and was told nothing", p.name)
		}
	})
}

func (m *model) unsubscribe(rt *rapid.T) {
	p := m.drawPeer(rt)
	before, want := p.now(), error(nil)
	if before.ended {
		want = ErrGone
	}
	p.with(func() { p.ended = true })
	if _, err := m.house.refresh(before.subscription, 0); !errors.Is(err, want) {
		m.Fatalf("unsubscribe %s: %v, want %v", p.name, err, want)
	}
}

func (m *model) fetch(rt *rapid.T) {
	user, identity := drawUser(rt)
	p := &peer{name: "fetch by " + user, user: user, resource: drawResource(rt)}
	p.reason = ReasonTimeout
	_, err := m.Subscribe(context.Background(), Subscribe{Resource: p.resource, Watcher: identity, Form: Form{Type: "text/plain"}}, p)
	synctest.Wait()
	after := p.now()
	if want := m.view(user, p.resource); err != nil || !after.knows || after.last != want {
		m.Fatalf("fetch by %s: %q, %v, want %q", user, after.last, err, want)
	}
}

func (m *model) mood(rt *rapid.T) {
	p := m.drawPeer(rt)
	next := mood(rapid.IntRange(0, 3).Draw(rt, "mood"))
	p.with(func() { p.mood = next })
}

func (m *model) answer(rt *rapid.T) {
	p := m.drawPeer(rt)
	if !p.now().flying {
		rt.Skip()
	}
	p.tell(Outcome{Result: rapid.SampledFrom([]Result{Delivered, Failed, Gone}).Draw(rt, "result")})
}

func (m *model) wait(rt *rapid.T) {
	m.pass(time.Duration(rapid.SampledFrom([]int{1, 4, 5, 30, 60, 300}).Draw(rt, "seconds")) * time.Second)
}

// pass lets time pass, and ends what it ends, each at its time.
func (m *model) pass(d time.Duration) {
	for until := time.Now().Add(d); ; {
		next := until
		for _, p := range m.peers {
			if o := p.now(); !o.ended && o.expires.Before(next) {
				next = o.expires
			}
		}
		// An expiry is no less than a nanosecond away, and the engine must not
		// be ahead of the model: it looks at the last moment before.
		if next.Before(until) || next.Equal(until) {
			time.Sleep(time.Until(next) - 1)
			synctest.Wait()
			m.expire(next)
		}
		time.Sleep(time.Until(next))
		synctest.Wait()
		if next.Equal(until) {
			return
		}
	}
}

func (m *model) expire(at time.Time) {
	for _, p := range m.peers {
		p.with(func() { p.ended = p.ended || !p.expires.After(at) })
	}
}

// crash ends the process without a word and starts it anew, after a while.
func (m *model) crash(rt *rapid.T) {
	down := time.Duration(rapid.SampledFrom([]int{0, 0, 1, 10, 100, 200}).Draw(rt, "minutes down")) * time.Minute
	synctest.Wait()
	m.house.Close()
	for _, p := range m.peers {
		p.with(func() {
			p.excused = p.excused || p.flying || p.failures > 0
			p.flying, p.failures = false, 0
			if p.ended && !p.expires.After(time.Now()) && p.reason == ReasonTimeout {
				p.mute = false // its end may be told twice
			}
		})
	}
	time.Sleep(down)
	m.expire(time.Now())
	for _, p := range m.peers {
		p.with(func() { p.knows = p.knows || time.Since(p.expires) > store.PurgeAfter }) // the store has forgotten it
	}
	m.open(m.house.store.(*store.Memory).Reopen())
	err := m.Restore(context.Background(), map[string]Reviver{"ear": func(s Subscription, record, _ []byte) (Watcher, error) {
		i := slices.IndexFunc(m.peers, func(p *peer) bool { return p.name == string(record) })
		m.peers[i].with(func() { m.peers[i].subscription = s })
		return m.peers[i], nil
	}})
	if err != nil {
		m.Fatalf("restore: %v", err)
	}
}

// check holds what must be true at any moment.
func (m *model) check() {
	synctest.Wait()
	live := map[Resource]int{}
	total := 0
	for _, p := range m.peers {
		o := p.now()
		if len(o.faults) > 0 {
			m.Fatalf("%s", strings.Join(o.faults, "; "))
		}
		if !o.ended {
			live[p.resource]++
			total++
		}
		if o.ended && !o.knows && !o.flying && !o.excused {
			m.Fatalf("%s was not told of its end", p.name)
		}
	}
	if n := m.entries(); n != total {
		m.Fatalf("the store keeps %d subscriptions, want %d", n, total)
	}
	seen := 0
	m.Resources(func(r Resource, publications, subscriptions int) {
		seen += subscriptions
		if want := len(m.live(r)); publications != want || subscriptions != live[r] {
			m.Fatalf("%v has %d publications and %d subscriptions, want %d and %d", r, publications, subscriptions, want, live[r])
		}
	})
	if seen != total {
		m.Fatalf("the engine knows %d subscriptions, want %d", seen, total)
	}
	m.checkLeaks(total)
}

// checkLeaks looks for what should have gone with the subscriptions.
func (m *model) checkLeaks(total int) {
	counted, alarms := 0, 0
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		for _, n := range s.watchers {
			counted += int(n)
		}
		s.mu.Unlock()
		s.alarms.mu.Lock()
		alarms += len(s.alarms.heap)
		s.alarms.mu.Unlock()
	}
	if counted != total {
		m.Fatalf("%d subscriptions are counted against their watchers, want %d", counted, total)
	}
	if most := total + len(modelResources) + 1; alarms < total || alarms > most {
		m.Fatalf("%d alarms are set for %d subscriptions", alarms, total)
	}
	m.each(func(r *resource) {
		users := 0
		for _, v := range r.views {
			users += v.users
		}
		if users > len(r.subscriptions) {
			m.Fatalf("%v has views for %d users", r.id(), users)
		}
	})
}

// settle has all peers answer and all waits end; then everybody knows.
func (m *model) settle() {
	synctest.Wait()
	for _, p := range m.peers {
		p.with(func() { p.mood = friendly })
		if p.now().flying {
			p.tell(Outcome{Result: Delivered})
		}
	}
	m.pass(lastRetry + lastRetry/4 + interval)
	for slices.ContainsFunc(m.publications, func(p *modelPublication) bool {
		ago := time.Since(p.expires)
		return ago >= 0 && ago <= interval
	}) {
		m.pass(interval)
	}
	m.check()
	for _, p := range m.peers {
		o := p.now()
		if want := m.view(p.user, p.resource); !o.ended && !o.excused && o.last != want {
			m.Fatalf("%s was told %q last, want %q", p.name, o.last, want)
		}
	}
}
