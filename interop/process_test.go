package interop

import (
	"bytes"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for something that is certain to come. It is no
// measurement: a test that reaches it has failed anyway.
const patience = 20 * time.Second

// process is a program a test started. Its output is kept, its end is awaited.
type process struct {
	t    testing.TB
	name string
	cmd  *exec.Cmd
	out  *output
	done chan struct{}
	err  error // of Wait; read after done is closed

	crashed bool // the test ended it on purpose
}

// spawn starts a program and sees to it that it is gone when the test ends.
// The output is shown when the test fails.
func spawn(t testing.TB, name string, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, name: name, cmd: cmd, out: &output{changed: make(chan struct{})}, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.out, p.out
	// An own group: what the program starts goes when the program goes.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("output of %s:\n%s", name, p.out.tail(16<<10))
		}
	})
	return p
}

// kill ends the process group at once, as kill -9 does, and waits for it.
func (p *process) kill() {
	select {
	case <-p.done:
		return
	default:
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

// stop asks the process to end and waits; it returns the error of its end.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	return p.wait(patience)
}

// wait waits for the process to end by itself.
func (p *process) wait(limit time.Duration) error {
	select {
	case <-p.done:
		return p.err
	case <-time.After(limit):
		p.kill()
		return fmt.Errorf("%s did not end within %v", p.name, limit)
	}
}

// says waits until the output since the last call holds text.
func (p *process) says(text string) {
	p.t.Helper()
	if !p.out.next(text, patience, p.done) {
		p.t.Fatalf("%s never said %q; it said:\n%s", p.name, text, p.out.tail(8<<10))
	}
}

// output collects what a process writes; readers wait for words in it.
type output struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	read    int           // what next has consumed
	changed chan struct{} // closed and replaced at every write
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf.Write(b)
	close(o.changed)
	o.changed = make(chan struct{})
	return len(b), nil
}

// next reports whether text comes after what earlier calls consumed.
func (o *output) next(text string, limit time.Duration, done <-chan struct{}) bool {
	deadline := time.After(limit)
	for {
		found, changed := o.consume(text)
		if found {
			return true
		}
		select {
		case <-changed:
		case <-done:
			found, _ := o.consume(text)
			return found
		case <-deadline:
			return false
		}
	}
}

func (o *output) consume(text string) (bool, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if i := bytes.Index(o.buf.Bytes()[o.read:], []byte(text)); i >= 0 {
		o.read += i + len(text)
		return true, nil
	}
	return false, o.changed
}

func (o *output) tail(n int) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.buf.Bytes()
	if len(b) > n {
		b = b[len(b)-n:]
	}
	return string(b)
}

func (o *output) String() string { return o.tail(1 << 30) }

// program finds a peer's program; a missing one fails the test with the name
// of the Debian package that has it.
func program(t testing.TB, name, pkg string) string {
	t.Helper()
	for _, path := range []string{name, "/usr/sbin/" + name, "/usr/bin/" + name} {
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
	}
	t.Fatalf("%s is not installed: install the Debian package %s (interop/packages.txt)", name, pkg)
	return ""
}

// ports is the part of the ports below the system's ephemeral ones that this
// run has for itself: runs that go on at the same time would otherwise drive
// each other's peers. The first port of a part, held open, is its lock.
var ports = sync.OnceValue(func() *portRange {
	for base := 20000; base < 32000; base += portsOfRun {
		if l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", fmt.Sprint(base))); err == nil {
			return &portRange{base: base, lock: l}
		}
	}
	return &portRange{base: 20000} // more runs than parts: they share
})

const (
	portsOfRun = 3000
	portsApart = 6 // SIPp opens some that it is not told, above the one it is
)

type portRange struct {
	base int
	last atomic.Uint32
	lock net.Listener
}

// freePort returns a port that is free on host for both UDP and TCP.
func freePort(t testing.TB, host string) int {
	t.Helper()
	for range portsOfRun {
		port := ports().base + int(ports().last.Add(portsApart)%portsOfRun)
		addr := net.JoinHostPort(host, fmt.Sprint(port))
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		_ = l.Close()
		c, err := net.ListenPacket("udp", addr)
		if err != nil {
			continue
		}
		_ = c.Close()
		return port
	}
	t.Fatalf("no free port in the %d after %d", portsOfRun, ports().base)
	return 0
}

// indent sets a message off from the words around it in a failure report.
func indent(s string) string {
	return "    " + strings.ReplaceAll(strings.TrimRight(strings.ReplaceAll(s, "\r\n", "\n"), "\n"), "\n", "\n    ")
}
