package app

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vigie/auth"
	"vigie/sip/transport"
	"vigie/store"
)

// Scenarios are plays that a SIP engineer can read: the whole server on a
// network in memory, time that passes at once, and agents who say and hear
// SIP. Their language is described in testdata/scenarios/README.md.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			play, err := readScenario(string(text))
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			perform(t, file, play)
		})
	}
}

// perform plays one scenario and gives the documents its watchers got.
func perform(t *testing.T, file string, play []step) (documents []string) {
	t.Helper()
	data := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{t: t, file: file, data: data, captured: map[string]string{}, agents: map[string]*agent{}, rules: newRules()}
		s.play(play)
		documents = s.rules.documents
	})
	return documents
}

// step is one line of a scenario with the indented lines below it.
type step struct {
	line    int
	words   []string
	details []string
}

func readScenario(text string) ([]step, error) {
	var steps []step
	for i, l := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(l)
		switch {
		case trimmed == "" || strings.HasPrefix(trimmed, "#"):
		case l[0] == ' ' || l[0] == '\t':
			if len(steps) == 0 {
				return nil, fmt.Errorf("line %d: a detail of nothing", i+1)
			}
			last := &steps[len(steps)-1]
			last.details = append(last.details, trimmed)
		default:
			steps = append(steps, step{line: i + 1, words: strings.Fields(trimmed)})
		}
	}
	return steps, nil
}

// stage is where one scenario is played.
type stage struct {
	t        *testing.T
	file     string
	data     string
	config   []string
	captured map[string]string
	agents   map[string]*agent
	rules    *rules // what must hold of every message

	network   *transport.Memory
	directory *store.MemoryDirectory
	soft      *store.Memory
	server    *Server
}

const serverAddr = "10.0.0.100:5060"

func (s *stage) failf(at step, format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("%s:%d: %s: %s", s.file, at.line, strings.Join(at.words, " "), fmt.Sprintf(format, args...))
}

func (s *stage) play(steps []step) {
	s.network = transport.NewMemory()
	s.directory = store.NewMemoryDirectory()
	s.soft = store.NewMemory()
	defer s.end()
	for _, at := range steps {
		s.step(at)
		s.rules.report(s, at)
	}
	synctest.Wait()
	s.rules.report(s, steps[len(steps)-1])
	s.rules.discreet(s.t)
}

// end stops everything and lets the last transactions time out, so that no
// goroutine is left in the bubble.
func (s *stage) end() {
	for _, a := range s.agents {
		a.close()
	}
	if s.server != nil {
		if err := s.server.Stop(); err != nil {
			s.t.Errorf("stop: %v", err)
		}
	}
	time.Sleep(time.Minute) // for agents who answer late
}

func (s *stage) step(at step) {
	switch at.words[0] {
	case "config":
		s.config = at.details
		return
	case "account":
		s.addAccount(at)
		return
	}
	if s.server == nil {
		s.start(at)
	}
	switch at.words[0] {
	case "wait":
		d, err := time.ParseDuration(at.words[1])
		if err != nil {
			s.failf(at, "%v", err)
		}
		time.Sleep(d)
	case "restart":
		s.restart(at)
	case "store":
		s.fault(at)
	default:
		s.act(at)
	}
}

func (s *stage) addAccount(at step) {
	user, password := at.words[1], at.words[2]
	s.rules.secret(password)
	name, domain, ok := strings.Cut(user, "@")
	if !ok {
		domain = "example.com"
	}
	err := s.directory.PutAccount(s.t.Context(), store.Account{
		AOR: "sip:" + name + "@" + domain, Username: name, Realm: domain,
		Digests: auth.HashPassword(name, domain, password), Delegates: at.words[3:],
	})
	if err != nil {
		s.failf(at, "%v", err)
	}
}

// start starts the server; what the scenario does not configure is the
// default but for a server that believes From and lets everybody in.
func (s *stage) start(at step) {
	file := filepath.Join(s.data, "vigie.toml")
	lines := s.config
	if lines == nil {
		lines = []string{"[sip]", `authentication = "none"`}
	}
	text := strings.Join(append([]string{`domains = ["example.com", "example.org"]`}, lines...), "\n")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	c, err := Load(file)
	if err != nil {
		s.failf(at, "%v", err)
	}
	if !strings.Contains(text, "listen =") {
		c.SIP.Listen = []string{"udp://" + serverAddr, "tcp://" + serverAddr}
	}
	c.HTTP.Listen = ""
	s.server, err = Start(s.t.Context(), c, Options{
		Data: filepath.Join(s.data, "data"), Version: "test", Log: testLog{s.t, s.rules},
		Network: s.network, Directory: s.directory, Soft: s.soft,
	})
	if err != nil {
		s.failf(at, "%v", err)
	}
}

// testLog shows what the server logs when a scenario fails.
type testLog struct {
	t     *testing.T
	rules *rules
}

func (l testLog) Write(b []byte) (int, error) {
	l.rules.logged(b)
	l.t.Logf("%s  %s", time.Now().Format("15:04:05.000"), strings.TrimSpace(string(b)))
	return len(b), nil
}

// restart ends the server and starts it on the same stores; "restart after
// 10m" leaves it down for a while.
func (s *stage) restart(at step) {
	synctest.Wait()
	if err := s.server.Stop(); err != nil {
		s.failf(at, "%v", err)
	}
	s.soft = s.soft.Reopen()
	s.rules.restarted()
	if len(at.words) == 3 {
		d, err := time.ParseDuration(at.words[2])
		if err != nil {
			s.failf(at, "%v", err)
		}
		time.Sleep(d)
	}
	s.start(at)
}

// fault makes every write fail, or none.
func (s *stage) fault(at step) {
	synctest.Wait()
	if at.words[1] == "works" {
		s.soft.Fail(nil)
		return
	}
	s.soft.Fail(func(op store.Op, _ string) error { return fmt.Errorf("%s: disk full", op) })
}

// act lets an agent speak or hear.
func (s *stage) act(at step) {
	if len(at.words) < 2 {
		s.failf(at, "not understood")
	}
	a := s.agent(at.words[0])
	switch at.words[1] {
	case "->":
		a.say(s, at)
	case "<-":
		a.hear(s, at)
	case "answers":
		a.answers(s, at)
	case "uses":
		a.uses(s, at)
	case "listens":
		a.listens(s, at)
	default:
		s.failf(at, "not understood")
	}
}

// agent gives an agent by name; the first one called is at 10.0.0.1. Digits at
// the end tell the devices of one person apart.
func (s *stage) agent(name string) *agent {
	if a := s.agents[name]; a != nil {
		return a
	}
	addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(len(s.agents) + 1)}), 5060)
	a := newAgent(s, name, addr)
	s.agents[name] = a
	return a
}
