package interop

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// scenario is one run of SIPp: one call, played by one file of testdata.
type scenario struct {
	t       testing.TB
	name    string
	process *process
	log     string // what <log> actions wrote
	trace   string // all messages
	errors  string
}

// keys are the words in square brackets a scenario takes from the test.
type keys map[string]string

// sipp starts testdata/name.xml against the server over UDP or TCP. It goes on
// beside the test, which waits for its words (says) and its end (passes).
func (s *server) sipp(transport, name string, k keys) *scenario {
	s.t.Helper()
	return sippAt(s.t, s.addr(), transport, name, k)
}

func sippAt(t testing.TB, addr, transport, name string, k keys) *scenario {
	t.Helper()
	file, err := filepath.Abs(filepath.Join("testdata", name+".xml"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	r := &scenario{
		t: t, name: name,
		log: filepath.Join(dir, "log"), trace: filepath.Join(dir, "messages"), errors: filepath.Join(dir, "errors"),
	}
	mode := map[string]string{"UDP": "u1", "TCP": "t1"}[transport]
	args := []string{
		addr, "-sf", file, "-m", "1", "-nostdin", "-t", mode,
		"-i", "127.0.0.1", "-p", fmt.Sprint(freePort(t, "127.0.0.1")),
		// Ports SIPp opens for itself; the defaults would meet in parallel runs.
		"-cp", fmt.Sprint(freePort(t, "127.0.0.1")), "-mp", fmt.Sprint(freePort(t, "127.0.0.1")),
		"-timeout", "70s", "-timeout_error", "-recv_timeout", "15000", "-default_behaviors", "abortunexp",
		// A busy machine is no reason to give up.
		"-watchdog_minor_maxtriggers", "100000", "-watchdog_major_maxtriggers", "10000",
		"-cid_str", token() + "-%u",
		"-trace_logs", "-log_file", r.log, "-trace_msg", "-message_file", r.trace, "-trace_err", "-error_file", r.errors,
	}
	for word, value := range k {
		args = append(args, "-key", word, value)
	}
	cmd := exec.Command(program(t, "sipp", "sip-tester"), args...)
	cmd.Env = append(os.Environ(), "TERM=dumb")
	cmd.Dir = dir
	r.process = spawn(t, "sipp "+name, cmd)
	t.Cleanup(func() {
		if t.Failed() || os.Getenv("TRACE") != "" {
			t.Logf("sipp %s over %s:\n%s", name, transport, r.report())
		}
	})
	return r
}

// passes waits for the end of the scenario, which must have gone as written.
func (r *scenario) passes() {
	r.t.Helper()
	if err := r.process.wait(80 * time.Second); err != nil {
		r.t.Fatalf("scenario %s failed (%v)", r.name, err)
	}
}

// says waits until the scenario has logged a line that starts with word, and
// returns the rest of that line.
func (r *scenario) says(word string) string {
	r.t.Helper()
	line := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(word) + `(?: (.*))?$`)
	deadline := time.After(patience + 10*time.Second)
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		ended := false
		select {
		case <-r.process.done:
			ended = true
		default:
		}
		b, _ := os.ReadFile(r.log)
		if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
			if found := line.FindSubmatch(b[:i+1]); found != nil {
				tick.Stop()
				return strings.TrimSpace(string(found[1]))
			}
		}
		if ended {
			r.t.Fatalf("scenario %s ended without %q", r.name, word)
		}
		select {
		case <-deadline:
			r.t.Fatalf("scenario %s never came to %q", r.name, word)
		case <-tick.C:
		}
	}
}

// report is what SIPp wrote down: its errors, then the messages.
func (r *scenario) report() string {
	errors, _ := os.ReadFile(r.errors)
	trace, _ := os.ReadFile(r.trace)
	if len(trace) > 16<<10 {
		trace = trace[len(trace)-16<<10:]
	}
	return string(errors) + "\n" + string(trace)
}
