package interop

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// password of every account the tests make; SIPp scenarios hold it too.
const password = "open-sesame"

// setup says in what a test's server differs from the usual one: a server for
// example.com on UDP and TCP that asks for no password, shows everybody of the
// domain everything, and has no throttle.
type setup struct {
	host     string   // 127.0.0.1
	accounts []string // users of example.com; with any, requests are authenticated by digest
	sip      []string // further lines for [sip]
	presence []string // lines for [presence] instead of the usual ones
	tables   string   // further tables
	tls      *certificate
}

// server is a running vigie.
type server struct {
	t       testing.TB
	host    string
	port    int // SIP over UDP and TCP
	tlsPort int // SIP over TLS, when a certificate was given
	http    string
	config  string
	data    string
	process *process
}

func (s *server) addr() string    { return net.JoinHostPort(s.host, fmt.Sprint(s.port)) }
func (s *server) tlsAddr() string { return net.JoinHostPort(s.host, fmt.Sprint(s.tlsPort)) }

// with is the same server for a subtest, whose failures are its own.
func (s *server) with(t testing.TB) *server {
	own := *s
	own.t = t
	return &own
}

// start builds vigie if need be, starts one and waits until it is ready.
func start(t testing.TB, o setup) *server {
	t.Helper()
	if o.host == "" {
		o.host = "127.0.0.1"
	}
	dir := t.TempDir()
	s := &server{
		t: t, host: o.host, port: freePort(t, o.host),
		http:   net.JoinHostPort(o.host, fmt.Sprint(freePort(t, o.host))),
		config: filepath.Join(dir, "vigie.toml"), data: filepath.Join(dir, "data"),
	}
	if o.tls != nil {
		s.tlsPort = freePort(t, o.host)
	}
	if err := os.WriteFile(s.config, []byte(s.toml(o)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, user := range o.accounts {
		s.addAccount(user)
	}
	s.run()
	return s
}

// toml is the configuration, with the keys the design fixes.
func (s *server) toml(o setup) string {
	var b strings.Builder
	listen := []string{"udp://" + s.addr(), "tcp://" + s.addr()}
	if o.tls != nil {
		listen = append(listen, "tls://"+s.tlsAddr())
	}
	fmt.Fprintf(&b, "domains = [\"example.com\"]\n\n[sip]\nlisten = [\"%s\"]\n", strings.Join(listen, `", "`))
	authentication := "none"
	if len(o.accounts) > 0 {
		authentication = "digest"
	}
	fmt.Fprintf(&b, "authentication = %q\n%s\n", authentication, strings.Join(o.sip, "\n"))
	if o.tls != nil {
		fmt.Fprintf(&b, "\n[tls]\ncertificate = %q\nkey = %q\nclient-ca = %q\n", o.tls.certFile, o.tls.keyFile, o.tls.clientCA)
	}
	fmt.Fprintf(&b, "\n[http]\nlisten = %q\n", s.http)
	lines := o.presence
	if lines == nil {
		lines = []string{everybody, quick, `notify-interval = "0s"`}
	}
	fmt.Fprintf(&b, "\n[presence]\n%s\n%s", strings.Join(lines, "\n"), o.tables)
	return b.String()
}

// Lines for [presence] that most tests share.
const (
	everybody = `watchers = { same-domain = "allow", others = "confirm" }`
	quick     = `expires = { min = "1s", default = "1h", max = "24h" }`
)

// run starts the process on the data that is there and waits for /readyz.
func (s *server) run() {
	s.t.Helper()
	s.runWithin(patience)
}

// runWithin is run for one who has more to wait for than tests do.
func (s *server) runWithin(limit time.Duration) {
	s.t.Helper()
	path, err := binary()
	if err != nil {
		s.t.Fatal(err)
	}
	args := []string{path, "serve", "--config", s.config, "--data", s.data}
	if cpu := os.Getenv("VIGIE_SERVER_CPU"); cpu != "" {
		args = append([]string{"taskset", "-c", cpu}, args...) // it becomes the server: the process is the same
	}
	p := spawn(s.t, "vigie", exec.Command(args[0], args[1:]...))
	s.process = p
	s.t.Cleanup(func() { s.inspect(p) })
	deadline := time.After(limit)
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		if s.ready() {
			tick.Stop()
			return
		}
		select {
		case <-s.process.done:
			s.t.Fatalf("vigie ended before it was ready (%v):\n%s", s.process.err, s.process.out)
		case <-deadline:
			s.t.Fatalf("vigie was not ready within %v:\n%s", limit, s.process.out)
		case <-tick.C:
		}
	}
}

func (s *server) ready() bool {
	response, err := http.Get("http://" + s.http + "/readyz")
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// addAccount makes user@example.com with the shared password.
func (s *server) addAccount(user string) {
	s.t.Helper()
	path, err := binary()
	if err != nil {
		s.t.Fatal(err)
	}
	out, err := exec.Command(path, "account", "add", user+"@example.com", "--password", password, "--data", s.data).CombinedOutput()
	if err != nil {
		s.t.Fatalf("vigie account add %s@example.com: %v\n%s", user, err, out)
	}
}

// inspect ends a server in good order and looks for what no test may leave
// behind in its log. A server that crash ended has been looked at.
func (s *server) inspect(p *process) {
	if p.crashed {
		return
	}
	select {
	case <-p.done:
		s.t.Errorf("vigie ended during the test: %v", p.err)
	default:
		if err := p.stop(); err != nil {
			s.t.Errorf("vigie after SIGTERM: %v", err)
		}
	}
	s.readLog(p)
}

// crash ends the server as kill -9 does; what the kernel has of it stays.
func (s *server) crash() {
	s.process.crashed = true
	s.process.kill()
	s.readLog(s.process)
}

// readLog fails the test for what no log of ours may hold.
func (s *server) readLog(p *process) {
	log := p.out.String()
	for _, bad := range []string{"panic:", "WARNING: DATA RACE", "fatal error:"} {
		if strings.Contains(log, bad) {
			s.t.Errorf("vigie's log has %q", bad)
		}
	}
}
