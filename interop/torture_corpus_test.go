//go:build corpus

package interop

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// answerTime is what an answer may take on a busy machine.
const answerTime = 5 * time.Second

// torture is one message of the corpus and what its table expects.
type torture struct {
	file    string
	outcome []string // parse, drop, none, 4xx or status codes
	data    []byte
}

// tortures reads the table in the corpus's README and the messages.
func tortures(t *testing.T) []torture {
	t.Helper()
	corpus := os.Getenv("VIGIE_CORPUS")
	if corpus == "" {
		t.Fatal("VIGIE_CORPUS is not set")
	}
	dir := filepath.Join(corpus, "testdata", "torture")
	table, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var list []torture
	for _, line := range strings.Split(string(table), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) < 6 || !strings.HasSuffix(strings.TrimSpace(cells[1]), ".dat") {
			continue
		}
		m := torture{file: strings.TrimSpace(cells[1])}
		for _, o := range strings.Split(cells[4], ",") {
			m.outcome = append(m.outcome, strings.TrimSpace(o))
		}
		if m.data, err = os.ReadFile(filepath.Join(dir, m.file)); err != nil {
			t.Fatal(err)
		}
		list = append(list, m)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*.dat")); len(list) == 0 || len(files) != len(list) {
		t.Fatalf("%d messages in the table, %d files", len(list), len(files))
	}
	return list
}

// served adapts the table, which is made for a registrar, to a server that is
// none: there REGISTER may get 405, before anybody is asked for a password.
func served(t *testing.T, probe *phone, list []torture) []torture {
	t.Helper()
	if strings.Contains(alive(t, probe).get("Allow"), "REGISTER") {
		return list
	}
	for i, m := range list {
		if bytes.HasPrefix(m.data, []byte("REGISTER ")) {
			list[i].outcome = append(m.outcome, "405")
		}
	}
	return list
}

// fits reports whether a status is among the expected ones.
func (m torture) fits(status int) bool {
	// What says that the message itself was not understood.
	complaint := slices.Contains([]int{400, 500, 505, 513}, status)
	for _, o := range m.outcome {
		if o == strconv.Itoa(status) || o == "4xx" && status/100 == 4 || o == "parse" && status >= 200 && !complaint {
			return true
		}
	}
	return false
}

func (m torture) maySilent() bool {
	return slices.Contains(m.outcome, "none") || slices.Contains(m.outcome, "drop")
}

// Every torture message over UDP, and the server goes on serving: MSG-01 to
// MSG-31 as far as they reach the wire, SEC-16 (bcast.dat).
func TestTortureOverUDP(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"digest", "none"} {
		t.Run(mode, func(t *testing.T) {
			o := setup{}
			if mode == "digest" {
				o = setup{accounts: people, sip: []string{"unauthenticated-rate = 0"}}
			}
			s := start(t, o)
			probe := dial(t, s.addr(), "UDP", "probe")
			for i, m := range served(t, probe, tortures(t)) {
				if mode == "none" && m.file == "regaut01.dat" {
					continue // expects the challenge of a server that authenticates
				}
				t.Run(m.file, func(t *testing.T) {
					c := newCaller(t, fmt.Sprintf("127.7.%d.%d", os.Getpid()%200+1, i+1))
					c.send(s, m.data)
					if m.maySilent() {
						alive(t, probe)
						c.expect(m, 200*time.Millisecond)
					} else {
						c.expect(m, answerTime)
						alive(t, probe)
					}
				})
			}
		})
	}
}

// alive sends OPTIONS and returns the answer, whatever it is.
func alive(t *testing.T, p *phone) message {
	t.Helper()
	m := p.request("OPTIONS", "sip:example.com", "<sip:example.com>", token(), token(), 1)
	r, ok := p.try(m, patience)
	if !ok {
		t.Fatal("the server does not answer OPTIONS any more")
	}
	return r
}

// caller sends one message from an address of its own, where the answer comes
// back to: the messages have no rport, so it goes to the port of their Via.
type caller struct {
	t       *testing.T
	sockets []*net.UDPConn
	answers chan message
}

func newCaller(t *testing.T, host string) *caller {
	t.Helper()
	c := &caller{t: t, answers: make(chan message, 64)}
	// The default ports of SIP and SIPS, and those some messages name.
	for _, port := range []int{5060, 5061, 5050, 6050, 19823} {
		conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(host), Port: port})
		if err != nil {
			t.Fatal(err)
		}
		c.sockets = append(c.sockets, conn)
		done := make(chan struct{})
		go func() {
			defer close(done)
			buf := make([]byte, 65535)
			for {
				n, _, err := conn.ReadFromUDP(buf)
				if err != nil {
					return
				}
				m, err := parse(buf[:n])
				if err != nil {
					t.Errorf("unreadable answer: %v\n%s", err, indent(string(buf[:n])))
				}
				if m.status() != 100 {
					c.answers <- m
				}
			}
		}()
		t.Cleanup(func() {
			_ = conn.Close()
			<-done
		})
	}
	return c
}

func (c *caller) send(s *server, data []byte) {
	c.t.Helper()
	to, err := net.ResolveUDPAddr("udp", s.addr())
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.sockets[0].WriteToUDP(data, to); err != nil {
		c.t.Fatal(err)
	}
}

// expect waits for the answer and holds it against the table.
func (c *caller) expect(m torture, limit time.Duration) {
	c.t.Helper()
	select {
	case r := <-c.answers:
		if !m.fits(r.status()) {
			c.t.Errorf("%s: got %q, want %s", m.file, r.start, strings.Join(m.outcome, " or "))
		}
		// An INVITE's answer may come again; another one may not.
		select {
		case again := <-c.answers:
			if again.start != r.start || again.get("CSeq") != r.get("CSeq") || again.get("Call-ID") != r.get("Call-ID") {
				c.t.Errorf("%s: two answers, %q and %q", m.file, r.start, again.start)
			}
		case <-time.After(20 * time.Millisecond):
		}
	case <-time.After(limit):
		if !m.maySilent() {
			c.t.Errorf("%s: no answer, want %s", m.file, strings.Join(m.outcome, " or "))
		}
	}
}

// lengthRow finds a Content-Length header in either form.
var lengthRow = regexp.MustCompile(`(?im)^(content-length|l)[ \t]*:`)

// The same messages on connections of their own. Where the framing is there the
// answer is as over UDP; where it is lost the connection ends (MSG-10, MSG-11).
func TestTortureOverTCP(t *testing.T) {
	t.Parallel()
	s := start(t, setup{accounts: people, sip: []string{"unauthenticated-rate = 0", `read-timeout = "2s"`}})
	probe := dial(t, s.addr(), "UDP", "probe")
	for _, m := range served(t, probe, tortures(t)) {
		if m.file == "dblreq.dat" {
			continue // what follows the two requests is no SIP, and ends a stream before they are answered
		}
		t.Run(m.file, func(t *testing.T) {
			conn, err := net.Dial("tcp", s.addr())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Write(m.data); err != nil {
				t.Fatal(err)
			}
			framed := lengthRow.Match(m.data) && bytes.Contains(m.data, []byte("\r\n\r\n")) && !m.maySilent()
			limit := 300 * time.Millisecond
			if framed {
				limit = answerTime
			}
			_ = conn.SetReadDeadline(time.Now().Add(limit))
			r, err := readStream(bufio.NewReader(conn))
			switch {
			case err == nil && r.status() == 0:
				t.Errorf("the server sends a request: %s", r.start)
			case err == nil && framed && !m.fits(r.status()):
				t.Errorf("got %q, want %s", r.start, strings.Join(m.outcome, " or "))
			case err == nil && !framed && !m.fits(r.status()) && r.status() != 400:
				t.Errorf("got %q, want %s or 400", r.start, strings.Join(m.outcome, " or "))
			case err != nil && framed:
				t.Errorf("no answer (%v), want %s", err, strings.Join(m.outcome, " or "))
			}
			alive(t, probe)
		})
	}
}
