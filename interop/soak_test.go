//go:build soak

package interop

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

// What the soak does, in numbers. VIGIE_SOAK says how long (20m), and
// VIGIE_SOAK_RATE how many changes of state there are a second (200).
const (
	soakPeople   = 500
	soakContacts = 20 // whom each of them watches

	soakLife   = 120 * time.Second // of a subscription, refreshed at half of it
	soakLeave  = 10                // watchers a second that unsubscribe, and as many that die without a word
	soakLapse  = 100               // one change in so many publishes for soakShort and is never refreshed
	soakShort  = 5 * time.Second
	soakSample = 10 * time.Second
	soakTick   = 10 * time.Millisecond

	soakGrowth = 0.10 // what memory and goroutines may grow after the warm-up, a third of the time
)

// TestSoak keeps an enterprise busy: people change their state, watchers come,
// leave and die, publications run out and come again. In the end every watcher
// alive must have the last state of its presentity, and neither memory nor the
// number of goroutines may have grown since the warm-up.
func TestSoak(t *testing.T) {
	long, err := time.ParseDuration(orElse(os.Getenv("VIGIE_SOAK"), "20m"))
	if err != nil {
		t.Fatal(err)
	}
	rate, err := strconv.Atoi(orElse(os.Getenv("VIGIE_SOAK_RATE"), "200"))
	if err != nil {
		t.Fatal(err)
	}
	s := newSoak(t)
	s.fill()
	samples := &samples{server: s.c.server, began: time.Now()}
	samples.take()
	for began, tick := time.Now(), 0; time.Since(began) < long; tick++ {
		s.listen(began.Add(time.Duration(tick) * soakTick))
		s.changes(due(rate, tick))
		s.refreshes()
		for range due(soakLeave, tick) {
			s.replace((*soak).leave)
			s.replace((*soak).die)
		}
		s.repeatLost()
		if time.Since(samples.last) > soakSample {
			samples.take()
		}
	}
	s.settle()
	s.check()
	samples.check(t)
}

func orElse(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

// due is how many of so many a second come in a tick.
func due(perSecond, tick int) int {
	ticks := int(time.Second / soakTick)
	return perSecond*(tick+1)/ticks - perSecond*tick/ticks
}

type soak struct {
	t       *testing.T
	c       *load
	people  []person
	watches []soakWatch // by the number of the load's watch
	living  []int
	fresh   []int // living, in the order in which they need a refresh
	asked   map[int]*question
	looked  time.Time // when lost requests were last looked for
	changed int
	faults  int
}

// person is a presentity with one publication, or none for now.
type person struct {
	tag, note string
	busy      bool      // a PUBLISH is under way
	lapses    time.Time // when the publication runs out by itself; zero: it is kept alive
}

type soakWatch struct {
	note   string // last heard
	place  int    // in soak.living, -1 for those who are gone
	leaves bool
	again  time.Time // when to refresh
}

// question is a request under way.
type question struct {
	request []byte
	since   time.Time
	answer  func(m []byte)
}

func newSoak(t *testing.T) *soak {
	s := &soak{t: t, c: newLoad(t, setup{}), people: make([]person, soakPeople), asked: map[int]*question{}}
	s.c.heard = s.heard
	return s
}

// fill has everybody publish and watch.
func (s *soak) fill() {
	for i := range s.people {
		s.change(i)
	}
	s.listenUntilAnswered()
	for i := range soakPeople * soakContacts {
		s.watch(i % soakPeople)
		if i%inFlight == 0 {
			s.listenUntilAnswered()
		}
	}
	s.listenUntilAnswered()
}

func (s *soak) fault(format string, details ...any) {
	if s.faults++; s.faults <= 20 {
		s.t.Errorf(format, details...)
	}
}

// ask sends a request and has its answer dealt with.
func (s *soak) ask(request []byte, answer func(m []byte)) {
	call := s.c.calls
	s.c.calls++
	q := &question{branded(request, call), time.Now(), answer}
	s.asked[call] = q
	s.c.send(q.request)
}

// listen takes what comes until a time.
func (s *soak) listen(until time.Time) {
	for left := time.Until(until); left > 0; left = time.Until(until) {
		s.c.hears(left)
		for call, m := range s.c.answered {
			delete(s.c.answered, call)
			if q := s.asked[call]; q != nil {
				delete(s.asked, call)
				q.answer(m)
			}
		}
	}
	s.c.flush()
}

func (s *soak) listenUntilAnswered() {
	for deadline := time.Now().Add(patience); len(s.asked) > 0 && time.Now().Before(deadline); {
		s.listen(time.Now().Add(soakTick))
		s.repeatLost()
	}
}

// repeatLost sends again, each half second, what has had no answer for as long.
func (s *soak) repeatLost() {
	const wait = 500 * time.Millisecond
	if time.Since(s.looked) < wait {
		return
	}
	s.looked = time.Now()
	for call, q := range s.asked {
		switch age := time.Since(q.since); {
		case age > 32*time.Second:
			s.fault("no answer to\n%s", indent(string(q.request)))
			delete(s.asked, call)
		case age > wait:
			s.c.send(q.request)
		}
	}
}

func (s *soak) changes(n int) {
	for range n {
		s.change(rand.IntN(len(s.people)))
	}
}

// change publishes another state, for a short time now and then. Whoever is
// busy, or whose publication is about to lapse, changes another time.
func (s *soak) change(i int) {
	p := &s.people[i]
	if !p.lapses.IsZero() && time.Since(p.lapses) > 2*time.Second {
		p.tag, p.note, p.lapses = "", "", time.Time{}
	}
	if p.busy || !p.lapses.IsZero() {
		return
	}
	s.changed++
	note := strconv.Itoa(s.changed)
	m := s.c.publish(i, p.tag, pidf("u"+strconv.Itoa(i), "open", note, ""))
	short := s.changed%soakLapse == 0
	if short {
		m = bytes.Replace(m, []byte("Expires: 3600"), fmt.Appendf(nil, "Expires: %d", int(soakShort.Seconds())), 1)
	}
	p.busy = true
	s.ask(m, func(m []byte) {
		p.busy = false
		if !bytes.HasPrefix(m, []byte("SIP/2.0 200 ")) {
			s.fault("answer to a change:\n%s", indent(string(m)))
			return
		}
		p.tag, p.note = string(line(m, "SIP-ETag: ")), note
		if short {
			p.lapses = time.Now().Add(soakShort)
		}
	})
}

// watch begins a subscription of a new watcher.
func (s *soak) watch(presentity int) {
	number := len(s.watches)
	s.c.watches = append(s.c.watches, watch{presentity: presentity})
	s.watches = append(s.watches, soakWatch{place: len(s.living)})
	s.living = append(s.living, number)
	s.refresh(number)
}

func (s *soak) refreshes() {
	for len(s.fresh) > 0 && time.Now().After(s.watches[s.fresh[0]].again) {
		number := s.fresh[0]
		s.fresh = s.fresh[1:]
		if s.watches[number].place >= 0 {
			s.refresh(number)
		}
	}
}

func (s *soak) refresh(number int) {
	s.watches[number].again = time.Now().Add(soakLife / 2)
	s.fresh = append(s.fresh, number)
	s.ask(s.c.subscribes(number, int(soakLife.Seconds())), func(m []byte) {
		if !bytes.HasPrefix(m, []byte("SIP/2.0 200 ")) {
			s.fault("answer to a SUBSCRIBE:\n%s", indent(string(m)))
			return
		}
		s.c.watches[number].tag = string(after(line(m, "To: "), ";tag="))
	})
}

// replace has one watcher go in its way, and another come.
func (s *soak) replace(goes func(s *soak, number int)) {
	number := s.living[rand.IntN(len(s.living))]
	if s.c.watches[number].tag == "" {
		return // it has only just come
	}
	goes(s, number)
	last := s.living[len(s.living)-1]
	s.living[s.watches[number].place], s.watches[last].place = last, s.watches[number].place
	s.living = s.living[:len(s.living)-1]
	s.watches[number].place = -1
	s.watch(rand.IntN(len(s.people)))
}

func (s *soak) leave(number int) {
	s.watches[number].leaves = true
	s.ask(s.c.subscribes(number, 0), func(m []byte) {
		if !bytes.HasPrefix(m, []byte("SIP/2.0 200 ")) {
			s.fault("answer to a SUBSCRIBE with Expires: 0:\n%s", indent(string(m)))
		}
	})
}

func (s *soak) die(number int) { s.c.watches[number].silent = true }

// heard notes what a watcher was told.
func (s *soak) heard(number int, m []byte, _ time.Time) {
	w := &s.watches[number]
	state := line(m, "Subscription-State: ")
	if bytes.HasPrefix(state, []byte("terminated")) && !w.leaves {
		s.fault("the subscription of watcher %d ended: %s", number, state)
	}
	note, _, _ := bytes.Cut(after(m, "<dm:note>"), []byte("</dm:note>"))
	w.note = string(note)
}

// settle lets what is under way come to its end.
func (s *soak) settle() {
	s.listenUntilAnswered()
	s.listen(time.Now().Add(soakShort + 2*time.Second))
	for deadline := time.Now().Add(patience); s.behind() > 0 && time.Now().Before(deadline); {
		s.listen(time.Now().Add(time.Second))
	}
}

// behind is how many living watchers have not the last state.
func (s *soak) behind() int {
	n := 0
	for _, number := range s.living {
		if s.watches[number].note != s.state(number) {
			n++
		}
	}
	return n
}

// state is what the presentity of a watch said last, nothing when that has run out.
func (s *soak) state(number int) string {
	p := s.people[s.c.watches[number].presentity]
	if !p.lapses.IsZero() {
		return ""
	}
	return p.note
}

func (s *soak) check() {
	if n := s.behind(); n > 0 {
		s.fault("%d of %d living watchers have not the last state of their presentity", n, len(s.living))
	}
	fmt.Printf("\n%d changes, %d subscriptions of which %d live, %d NOTIFYs, %d came again, %d faults\n",
		s.changed, len(s.watches), len(s.living), s.c.notified, s.c.repeated, s.faults)
}

// samples are what the server held from time to time.
type samples struct {
	server      *server
	began, last time.Time
	all         [][]float64 // by time: one value for each of quantities
}

// quantities are what is sampled; those that may not grow say so.
var quantities = []struct {
	name   string
	scale  float64
	steady bool
	read   func(s *server) float64
}{
	{"resident MB", 1e6, true, func(s *server) float64 { return float64(s.resident()) }},
	{"live MB", 1e6, true, func(s *server) float64 { return float64(s.live()) }},
	{"goroutines", 1, true, func(s *server) float64 { return s.metric("go_goroutines ") }},
	{"transactions", 1, false, func(s *server) float64 { return s.metric("vigie_transaction_live") }},
	{"subscriptions", 1, false, func(s *server) float64 { return s.metric("vigie_subscriptions") }},
	{"CPU s", 1e9, false, func(s *server) float64 { return float64(s.cpu()) }},
}

// take samples and prints a line of the table, below its head the first time.
func (s *samples) take() {
	if len(s.all) == 0 {
		fmt.Printf("%8s", "s")
		for _, q := range quantities {
			fmt.Printf(" %14s", q.name)
		}
		fmt.Println()
	}
	s.last = time.Now()
	var row []float64
	fmt.Printf("%8.0f", s.last.Sub(s.began).Seconds())
	for _, q := range quantities {
		value := q.read(s.server) / q.scale
		row = append(row, value)
		fmt.Printf(" %14.1f", value)
	}
	fmt.Println()
	s.all = append(s.all, row)
}

// check compares the end with the time after the warm-up, medians of a quarter
// of the rest each: one sample in the middle of a collection says nothing.
func (s *samples) check(t *testing.T) {
	rest := s.all[len(s.all)/3:]
	quarter := max(len(rest)/4, 1)
	for i, q := range quantities {
		first, last := middle(rest[:quarter], i), middle(rest[len(rest)-quarter:], i)
		fmt.Printf("%s: %.1f after the warm-up, %.1f at the end\n", q.name, first, last)
		if q.steady && last > first*(1+soakGrowth)+10/q.scale {
			t.Errorf("%s grew from %.1f to %.1f, by more than %.0f %%", q.name, first, last, 100*soakGrowth)
		}
	}
}

func middle(rows [][]float64, column int) float64 {
	var values []float64
	for _, row := range rows {
		values = append(values, row[column])
	}
	slices.Sort(values)
	return values[len(values)/2]
}
