package interop

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// The crash test: load, kill -9 at a random moment, restart on the same data.
// Whatever was answered 200 must be there; what was under way may be there or
// not, wholly. Rows: PUB-15, PUB-16, PUB-19 (of a crash), DLG-04, EVT-31,
// SCL-09. VIGIE_CRASH_RUNS sets how many times in a row (1).
func TestCrash(t *testing.T) {
	t.Parallel()
	runs := 1
	if v := os.Getenv("VIGIE_CRASH_RUNS"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			t.Fatalf("VIGIE_CRASH_RUNS: %v", err)
		}
		runs = n
	}
	for i := range runs {
		t.Run(fmt.Sprint(i+1), crash)
	}
}

const (
	publishers = 24
	watchers   = 6  // each watches every fourth publisher
	joining    = 4  // subscribe, refresh and leave all the time
	brief      = 3  // lifetime in seconds of what expires while the server is down
	empty      = "" // the state of who has published nothing
)

func crash(t *testing.T) {
	s := start(t, setup{
		presence: []string{everybody, quick, `notify-interval = "300ms"`},
		tables:   "\n[storage]\ndurability = \"process\"\n",
	})
	begin := time.Now()
	erin := dial(t, s.addr(), "UDP", "erin")
	want(t, erin.ask(erin.publish(brief, "", pidf("erin", "open", "brief", ""))), 200)
	dave := dial(t, s.addr(), "UDP", "dave")
	ending := dave.subscription("sip:erin@example.com")
	ending.open(brief)
	ending.notify()

	stop := make(chan struct{})
	var load sync.WaitGroup
	var sources []*source
	for i := range publishers {
		p := &source{phone: dial(t, s.addr(), "UDP", fmt.Sprintf("p%d", i)), given: make(map[string]bool)}
		p.phone.load = true
		sources = append(sources, p)
		load.Go(func() { p.publishUntil(stop) })
	}
	var listeners []*listener
	watching := make(chan struct{})
	var watch sync.WaitGroup
	for i := range watchers {
		l := newListener(dial(t, s.addr(), "UDP", fmt.Sprintf("w%d", i)))
		l.phone.load = true
		l.open("sip:erin@example.com")
		for j := i % 4; j < publishers; j += 4 {
			l.open("sip:" + sources[j].phone.user + "@example.com")
		}
		listeners = append(listeners, l)
		watch.Go(func() { l.listenUntil(watching) })
	}
	var joiners []*joiner
	for i := range joining {
		j := &joiner{phone: dial(t, s.addr(), "UDP", fmt.Sprintf("j%d", i))}
		j.phone.load = true
		joiners = append(joiners, j)
		load.Go(func() { j.joinUntil(stop) })
		watch.Go(func() { j.answerUntil(watching) })
	}
	defer watch.Wait()
	defer close(watching)

	// A random moment, while much is under way.
	after := 300*time.Millisecond + rand.N(1500*time.Millisecond)
	<-time.After(after)
	s.crash()
	close(stop)
	load.Wait()
	published, open, pending := 0, 0, 0
	for _, p := range sources {
		published += len(p.given)
		if p.pending != nil {
			pending++
		}
	}
	for _, j := range joiners {
		open += len(j.open)
	}
	t.Logf("killed after %v; answered: %d PUBLISHes, %d subscriptions still open; %d PUBLISHes under way", after, published, open, pending)
	if published < publishers || open == 0 {
		t.Errorf("%d PUBLISHes and %d subscriptions before the crash: not much of a test", published, open)
	}
	// What is brief ends while nobody is there.
	<-time.After(time.Until(begin.Add(brief*time.Second + 200*time.Millisecond)))
	s.run()

	for _, l := range listeners {
		l.hears(t, sources)
	}
	// If the server was back a moment before its end, the state comes first.
	for last := ""; !strings.HasPrefix(last, "terminated"); {
		m, ok := ending.awaits(patience)
		if !ok {
			t.Errorf("EVT-16, SCL-09: the subscription that ended during the outage got %q last, want its end", last)
			break
		}
		ending.accept(m)
		last = m.get("Subscription-State")
	}
	for _, p := range sources {
		p.check(t)
	}
	for _, l := range listeners {
		l.check(t)
	}
	for _, j := range joiners {
		j.check(t)
	}
}

// source publishes for one presentity and remembers what it was told.
type source struct {
	phone *phone
	n     int             // documents made
	tag   string          // of the last 200; "" after a removal
	state string          // what the last 200 acknowledged
	given map[string]bool // every tag ever given
	// What was under way when the server died.
	pending *message
	becomes string
}

// publishUntil creates, modifies, refreshes and removes, one after the other.
func (p *source) publishUntil(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		m, becomes := p.next()
		r, ok := p.send(m, stop)
		if !ok {
			p.pending, p.becomes = &m, becomes
			return
		}
		if r.status() != 200 {
			p.phone.t.Errorf("%s: PUBLISH answered %s\n%s", p.phone.user, r.start, indent(m.String()))
			return
		}
		tag := r.get("SIP-ETag")
		if p.given[tag] {
			p.phone.t.Errorf("PUB-16: %s was given %s twice", p.phone.user, tag)
		}
		p.given[tag] = true
		p.state, p.tag = becomes, tag
		if becomes == empty {
			p.tag = ""
		}
	}
}

// next makes the next request and says what state follows from it.
func (p *source) next() (message, string) {
	if p.tag != "" {
		switch rand.N(8) {
		case 0:
			return p.phone.publish(0, p.tag, ""), empty
		case 1, 2:
			return p.phone.publish(600, p.tag, ""), p.state
		}
	}
	p.n++
	note := fmt.Sprintf("n%d", p.n)
	return p.phone.publish(600, p.tag, pidf(p.phone.user, "open", note, "")), note
}

// send asks and repeats until the answer comes or the load stops; an answer
// that was on its way when the server died counts.
func (p *source) send(m message, stop <-chan struct{}) (message, bool) {
	p.phone.send(m)
	for {
		if r, ok := p.phone.response(m, 500*time.Millisecond); ok {
			return r, true
		}
		select {
		case <-stop:
			return message{}, false
		default:
			p.phone.send(m)
		}
	}
}

// may is the set of states that can be true after the crash.
func (p *source) may(state string) bool {
	return state == p.state || p.pending != nil && state == p.becomes
}

// check asks the restarted server for what it had acknowledged.
func (p *source) check(t *testing.T) {
	d := p.phone.subscription("sip:" + p.phone.user + "@example.com")
	want(t, p.phone.ask(d.subscribe(0)), 200)
	m, ok := d.awaits(patience)
	if !ok {
		t.Errorf("no NOTIFY for a fetch of %s after the restart", p.phone.user)
		return
	}
	p.phone.send(answer(m, 200, "OK", d.tag))
	state := noteIn(m)
	if !p.may(state) {
		t.Errorf("SCL-09: %s was acknowledged %q and had %q under way (%v), the server has %q",
			p.phone.user, p.state, p.becomes, p.pending != nil, state)
	}
	if p.tag == "" {
		return
	}
	r := p.phone.ask(p.phone.publish(600, p.tag, ""))
	switch {
	case r.status() == 200:
		if tag := r.get("SIP-ETag"); p.given[tag] {
			t.Errorf("PUB-16: after the restart %s was given %s again", p.phone.user, tag)
		}
	case r.status() == 412 && p.pending != nil:
		// The request under way was carried out; its tag never reached us.
	default:
		t.Errorf("PUB-16, SCL-09: refresh of %s with the acknowledged tag %s: %s", p.phone.user, p.tag, r.start)
	}
}

// noteIn is the person's note in a NOTIFY's body, empty without one.
func noteIn(m message) string {
	_, rest, ok := strings.Cut(m.body, ":note")
	if !ok {
		return empty
	}
	_, rest, _ = strings.Cut(rest, ">")
	note, _, _ := strings.Cut(rest, "<")
	return note
}

// listener holds the subscriptions of one watcher and answers their NOTIFYs.
type listener struct {
	phone *phone
	mu    sync.Mutex
	by    map[string]*watched // by Call-ID
}

type watched struct {
	*dialog
	shown    string // state of the last NOTIFY
	notifies int
	branches map[uint64]string // of each CSeq
}

func newListener(p *phone) *listener {
	return &listener{phone: p, by: make(map[string]*watched)}
}

// open subscribes and wants 200 and the first NOTIFY.
func (l *listener) open(uri string) {
	d := l.phone.subscription(uri)
	d.open(3600)
	w := &watched{dialog: d, branches: make(map[uint64]string)}
	l.by[d.callID] = w
	m, ok := d.awaits(patience)
	if !ok {
		l.phone.t.Fatalf("no first NOTIFY about %s", uri)
	}
	l.handle(m)
}

// listenUntil answers every NOTIFY.
func (l *listener) listenUntil(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		if m, ok := l.phone.take(100*time.Millisecond, func(m message) bool { return m.method() == "NOTIFY" }); ok {
			l.mu.Lock()
			l.handle(m)
			l.mu.Unlock()
		}
	}
}

// handle checks the order of a NOTIFY, keeps what it shows and answers 200.
func (l *listener) handle(m message) {
	w := l.by[m.get("Call-ID")]
	if w == nil {
		return
	}
	n, _ := m.cseq()
	branch := param(m.get("Via"), "branch")
	if before, ok := w.branches[n]; ok {
		if before != branch {
			l.phone.t.Errorf("DLG-04: CSeq %d of %s came again in another request\n%s", n, w.uri, indent(m.String()))
		}
	} else if n < w.notified {
		l.phone.t.Errorf("DLG-04: CSeq %d after %d about %s", n, w.notified, w.uri)
	}
	w.branches[n] = branch
	if n > w.notified {
		w.notified, w.shown = n, noteIn(m)
		w.notifies++
	}
	l.phone.send(answer(m, 200, "OK", w.tag, row{"Contact", l.phone.contact()}))
}

// hears waits, without asking, until every subscription shows what is true.
func (l *listener) hears(t *testing.T, sources []*source) {
	t.Helper()
	by := make(map[string]*source)
	for _, p := range sources {
		by["sip:"+p.phone.user+"@example.com"] = p
	}
	wrong := func() (uri, shown, state string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, w := range l.by {
			if p := by[w.uri]; p != nil && !p.may(w.shown) {
				return w.uri, w.shown, p.state
			} else if p == nil && w.shown != empty {
				return w.uri, w.shown, empty
			}
		}
		return "", "", ""
	}
	deadline := time.After(patience / 2)
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		uri, shown, state := wrong()
		if uri == "" {
			tick.Stop()
			return
		}
		select {
		case <-deadline:
			t.Errorf("SCL-09: %s was shown %q of %s, which is %q, and never heard of it after the restart", l.phone.user, shown, uri, state)
			return
		case <-tick.C:
		}
	}
}

// check refreshes every subscription: 200, and a NOTIFY with a higher CSeq.
func (l *listener) check(t *testing.T) {
	for _, w := range l.by {
		l.mu.Lock()
		before := w.notifies
		m := w.subscribe(600)
		l.mu.Unlock()
		if r := l.phone.ask(m); r.status() != 200 {
			t.Errorf("EVT-31: refresh of %s by %s after the restart: %s", w.uri, l.phone.user, r.start)
			continue
		}
		deadline := time.Now().Add(patience)
		for heard := false; !heard; {
			l.mu.Lock()
			heard = w.notifies > before
			l.mu.Unlock()
			if !heard && time.Now().After(deadline) {
				t.Errorf("EVT-09: no NOTIFY for the refresh of %s by %s", w.uri, l.phone.user)
				break
			}
			if !heard {
				<-time.After(5 * time.Millisecond)
			}
		}
	}
}

// joiner subscribes, refreshes and unsubscribes while the load goes on, and
// remembers which subscriptions a 200 has left open or ended.
type joiner struct {
	phone *phone
	open  []*dialog
	ended []*dialog
}

func (j *joiner) joinUntil(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		if !j.step(stop) {
			return
		}
	}
}

// step makes one request and takes its answer; false when none came any more.
func (j *joiner) step(stop <-chan struct{}) bool {
	var d *dialog
	expires, at := 600, -1
	if len(j.open) > 0 && rand.N(3) > 0 {
		at = rand.N(len(j.open))
		d = j.open[at]
		if rand.N(3) == 0 {
			expires = 0
		}
	} else {
		d = j.phone.subscription(fmt.Sprintf("sip:p%d@example.com", rand.N(publishers)))
	}
	m := d.subscribe(expires)
	j.phone.send(m)
	for {
		if r, ok := j.phone.response(m, 500*time.Millisecond); ok {
			return j.note(d, at, expires, r)
		}
		select {
		case <-stop:
			// Whether this request was carried out, nobody can say.
			if at >= 0 {
				j.open = slices.Delete(j.open, at, at+1)
			}
			return false
		default:
			j.phone.send(m)
		}
	}
}

func (j *joiner) note(d *dialog, at, expires int, r message) bool {
	if r.status() != 200 {
		j.phone.t.Errorf("SUBSCRIBE of %s by %s: %s", d.uri, j.phone.user, r.start)
		return false
	}
	d.learn(r)
	switch {
	case expires == 0:
		j.ended = append(j.ended, d)
		j.open = slices.Delete(j.open, at, at+1)
	case at < 0:
		j.open = append(j.open, d)
	}
	return true
}

// answerUntil answers every NOTIFY.
func (j *joiner) answerUntil(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		if m, ok := j.phone.take(100*time.Millisecond, func(m message) bool { return m.method() == "NOTIFY" }); ok {
			j.phone.send(answer(m, 200, "OK", "", row{"Contact", j.phone.contact()}))
		}
	}
}

// check refreshes what is open, which gets 200, and what has ended, which gets
// 481.
func (j *joiner) check(t *testing.T) {
	for _, d := range j.open {
		if r := j.phone.ask(d.subscribe(600)); r.status() != 200 {
			t.Errorf("EVT-31: refresh of %s by %s after the restart: %q", d.uri, j.phone.user, r.start)
		}
	}
	for _, d := range j.ended[max(0, len(j.ended)-20):] {
		if r := j.phone.ask(d.subscribe(600)); r.status() != 481 {
			t.Errorf("EVT-14: refresh of %s by %s, who had left before the crash: %q", d.uri, j.phone.user, r.start)
		}
	}
}
