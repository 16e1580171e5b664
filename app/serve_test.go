package app

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"vigie/api"
	"vigie/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quick is a configuration that takes whatever ports are free.
func quick() *Config {
	c := Default()
	c.Domains = []string{"example.com"}
	c.SIP.Listen = []string{"udp://127.0.0.1:0", "tcp://127.0.0.1:0"}
	c.HTTP.Listen = "127.0.0.1:0"
	return c
}

// buffer is a log that several goroutines write.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// start runs a server until the test ends.
func start(t *testing.T, c *Config, o Options) *Server {
	t.Helper()
	if o.Log == nil {
		o.Log = io.Discard
	}
	s, err := Start(t.Context(), c, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := s.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return s
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestOneServerPerDataDirectory(t *testing.T) {
	data := t.TempDir()
	start(t, quick(), Options{Data: data})
	second, err := Start(t.Context(), quick(), Options{Data: data, Log: io.Discard})
	if !errors.Is(err, ErrBusy) {
		if err == nil {
			second.Stop()
		}
		t.Errorf("a second server gives %v, want ErrBusy", err)
	}
}

func TestNoteForCommands(t *testing.T) {
	data := t.TempDir()
	if _, err := FindRunning(t.Context(), data); !errors.Is(err, ErrNotRunning) {
		t.Errorf("before the start: %v, want ErrNotRunning", err)
	}
	s := start(t, quick(), Options{Data: data, Version: "v1"})
	r, err := FindRunning(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	if r.HTTP != s.HTTP() || r.PID != os.Getpid() || r.Version != "v1" {
		t.Errorf("the note says %+v", r)
	}
	client := &api.Client{Server: r.HTTP, Token: r.Token}
	if _, err := client.Status(t.Context()); err != nil {
		t.Errorf("its token: %v", err)
	}
	info, err := os.Stat(filepath.Join(data, runtimeFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the note's mode: %v, %v", info.Mode(), err)
	}
}

func TestFailedStartLeavesNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	data := t.TempDir()
	for _, test := range []struct {
		name string
		set  func(*Config)
		want string
	}{
		{"SIP", func(c *Config) { c.SIP.Listen = []string{"tcp://" + taken.Addr().String()} }, "listen in [sip]"},
		{"HTTP", func(c *Config) { c.HTTP.Listen = taken.Addr().String() }, "listen in [http]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := quick()
			test.set(c)
			_, err := Start(t.Context(), c, Options{Data: data, Log: io.Discard})
			if err == nil || !strings.Contains(err.Error(), "another program listens there") || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v", err)
			}
			if _, err := FindRunning(t.Context(), data); !errors.Is(err, ErrNotRunning) {
				t.Errorf("afterwards: %v, want ErrNotRunning", err)
			}
		})
	}
	var said buffer
	start(t, quick(), Options{Data: data, Output: &said, Program: "bin/vigie"})
	if got := said.String(); !strings.Contains(got, "Made the administrator admin@example.com") {
		t.Errorf("the first start that succeeds says no administrator's password, but %q", got)
	} else if !strings.Contains(got, "\n    bin/vigie account add alice@example.com") {
		t.Errorf("the program is not called as the person called it: %s", got)
	}
}

func TestAdministratorIsMadeOnce(t *testing.T) {
	data := t.TempDir()
	var said, log buffer
	s, err := Start(t.Context(), quick(), Options{Data: data, Output: &said, Log: &log})
	if err != nil {
		t.Fatal(err)
	}
	password := s.admin.Password
	if !strings.Contains(said.String(), password) {
		t.Errorf("the password is not said: %s", said.String())
	}
	if strings.Contains(log.String(), password) {
		t.Error("SEC-15: the password is in the log")
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	var again buffer
	start(t, quick(), Options{Data: data, Output: &again})
	if again.String() != "" {
		t.Errorf("the second start says %s", again.String())
	}
}

func TestSomebodyElseIsAdmin(t *testing.T) {
	directory := store.NewMemoryDirectory()
	book := &api.Accounts{Directory: directory}
	if _, err := book.Add(t.Context(), api.NewAccount{Address: "admin@example.com", Password: "x"}); err != nil {
		t.Fatal(err)
	}
	var log buffer
	s := start(t, quick(), Options{Data: t.TempDir(), Directory: directory, Soft: store.NewMemory(), Log: &log})
	if s.admin != nil {
		t.Error("an account that was there became an administrator's")
	}
	if !strings.Contains(log.String(), "there is no administrator") {
		t.Errorf("the log does not say so:\n%s", log.String())
	}
}

func TestReadiness(t *testing.T) {
	directory := store.NewMemoryDirectory()
	s := start(t, quick(), Options{Data: t.TempDir(), Directory: directory, Soft: store.NewMemory()})
	if status, body := get(t, s.HTTP()+"/readyz"); status != 200 {
		t.Errorf("/readyz is %d %s", status, body)
	}
	directory.Fail(func(store.Op, string) error { return errors.New("disk broken") })
	if status, body := get(t, s.HTTP()+"/readyz"); status != 503 || body != "the directory does not work\n" {
		t.Errorf("/readyz is %d %q with a broken directory", status, body)
	}
	directory.Fail(nil)
	s.enter("stopping")
	if status, body := get(t, s.HTTP()+"/readyz"); status != 503 || body != "stopping\n" {
		t.Errorf("/readyz is %d %q while stopping", status, body)
	}
	if status, _ := get(t, s.HTTP()+"/healthz"); status != 200 {
		t.Errorf("/healthz is %d while stopping", status)
	}
}

// exchange sends a request and gives what comes back.
func exchange(t *testing.T, c net.Conn, request string) string {
	t.Helper()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 4096)
	n, err := c.Read(answer)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer[:n])
}

// ask sends OPTIONS on a connection and gives what comes back.
func ask(t *testing.T, c net.Conn, protocol string) string {
	t.Helper()
	request := strings.ReplaceAll("OPTIONS sip:example.com SIP/2.0\nVia: SIP/2.0/"+protocol+" 127.0.0.1;rport;branch=z9hG4bKa\n"+
		"Max-Forwards: 70\nFrom: <sip:alice@example.com>;tag=a\nTo: <sip:example.com>\nCall-ID: a\nCSeq: 1 OPTIONS\nContent-Length: 0\n\n", "\n", "\r\n")
	return exchange(t, c, request)
}

func TestMetricsAreThere(t *testing.T) {
	s := start(t, quick(), Options{Data: t.TempDir()})
	c, err := net.Dial("udp", s.Listeners()[0].HostPort())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if answer := ask(t, c, "UDP"); !strings.HasPrefix(answer, "SIP/2.0 200 ") {
		t.Fatalf("OPTIONS is answered %s", answer)
	}
	status, body := get(t, s.HTTP()+"/metrics")
	if status != 200 {
		t.Fatalf("/metrics is %d", status)
	}
	for _, name := range []string{
		"go_goroutines", "process_resident_memory_bytes",
		"vigie_publications{", "vigie_subscriptions{", "vigie_notifications_total{", "vigie_notifications_coalesced_total",
		"vigie_publish_to_notify_seconds_bucket", "vigie_event_queue_depth", "vigie_event_store_errors_total",
		"vigie_auth_verifications_total{", "vigie_sip_challenges_total", "vigie_transport_messages_received_total{protocol=\"udp\"} 1",
		"vigie_transaction_received_requests_total{method=\"OPTIONS\",status=\"200\"} 1", "vigie_transaction_live{", "vigie_store_put_seconds_bucket",
	} {
		if !strings.Contains(body, "\n"+name) {
			t.Errorf("/metrics lacks %s", name)
		}
	}
}

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	writeCertificate(t, dir)
	c := quick()
	c.File = filepath.Join(dir, "vigie.toml")
	c.SIP.Listen = []string{"tls://127.0.0.1:0"}
	c.TLS = TLS{Certificate: "cert.pem", Key: "key.pem", ClientCA: "cert.pem"}
	s := start(t, c, Options{Data: t.TempDir()})
	roots, err := loadPool(filepath.Join(dir, "cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", s.Listeners()[0].HostPort(), &tls.Config{RootCAs: roots, ServerName: "example.com"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if answer := ask(t, conn, "TLS"); !strings.HasPrefix(answer, "SIP/2.0 200 ") {
		t.Errorf("OPTIONS is answered %s", answer)
	}
}

func TestNoAuthenticationIsLoud(t *testing.T) {
	c := quick()
	c.SIP.Authentication = "none"
	var log buffer
	start(t, c, Options{Data: t.TempDir(), Log: &log})
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "AUTHENTICATION IS OFF") {
		t.Errorf("the log is not loud:\n%s", log.String())
	}
}

func TestReloadTakesTheLogLevelOver(t *testing.T) {
	file := write(t, t.TempDir(), "log.level = \"debug\"\n")
	var log buffer
	s := start(t, quick(), Options{Data: t.TempDir(), Log: &log})
	s.log.Debug("too quiet")
	s.Reload(file)
	s.log.Debug("heard")
	if strings.Contains(log.String(), "too quiet") || !strings.Contains(log.String(), "heard") {
		t.Errorf("the log:\n%s", log.String())
	}
}

func TestReloadSaysWhatNeedsARestart(t *testing.T) {
	file := write(t, t.TempDir(), `
domains = ["example.com", "example.net"]
sip.listen = ["udp://127.0.0.1:0", "tcp://127.0.0.1:0"]
http.listen = "127.0.0.1:0"
log.level = "warn"
presence.notify-interval = "1s"
`)
	var log buffer
	s := start(t, quick(), Options{Data: t.TempDir(), Log: &log})
	s.Reload(file)
	if got, want := log.String(), `needs a restart" keys="domains, presence.notify-interval"`; !strings.Contains(got, want) {
		t.Errorf("the log lacks %s:\n%s", want, got)
	}
}

func TestAccountsOfForeignDomainsAreNoted(t *testing.T) {
	data := t.TempDir()
	book, done, err := OpenAccounts(t.Context(), data, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"alice@example.com", "bob@exmaple.com"} {
		if _, err := book.Add(t.Context(), api.NewAccount{Address: address}); err != nil {
			t.Fatal(err)
		}
	}
	if err := done(); err != nil {
		t.Fatal(err)
	}
	var log buffer
	start(t, quick(), Options{Data: data, Log: &log})
	if got, want := log.String(), "domain=exmaple.com accounts=1"; !strings.Contains(got, want) || strings.Contains(got, "domain=example.com") {
		t.Errorf("the log lacks %q, or says too much:\n%s", want, got)
	}
}

// Root adds an account before the server, under a user of its own, has ever
// run: the files must be that user's.
func TestFilesBelongToTheDirectorysOwner(t *testing.T) {
	data := t.TempDir()
	owner := os.Geteuid()
	if owner == 0 {
		owner = 65534
		if err := os.Chown(data, owner, owner); err != nil {
			t.Fatal(err)
		}
	}
	_, done, err := OpenAccounts(t.Context(), data, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{lockFile, directoryFile, directoryFile + "-wal"} {
		info, err := os.Stat(filepath.Join(data, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := int(info.Sys().(*syscall.Stat_t).Uid); got != owner {
			t.Errorf("%s belongs to %d, want %d", name, got, owner)
		}
	}
	if err := done(); err != nil {
		t.Fatal(err)
	}
}

func TestJSONLog(t *testing.T) {
	c := quick()
	c.Log.Format = "json"
	var log buffer
	start(t, c, Options{Data: t.TempDir(), Log: &log})
	if !strings.HasPrefix(log.String(), `{"time":`) {
		t.Errorf("the log:\n%s", log.String())
	}
}

func TestWithoutHTTP(t *testing.T) {
	c := quick()
	c.HTTP.Listen = ""
	data := t.TempDir()
	s := start(t, c, Options{Data: data})
	if s.HTTP() != "" {
		t.Errorf("HTTP at %s", s.HTTP())
	}
	book, done, err := OpenAccounts(t.Context(), data, s.log)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := book.Add(t.Context(), api.NewAccount{Address: "alice@example.com", Password: "x"}); err != nil {
		t.Error(err)
	}
	if err := done(); err != nil {
		t.Error(err)
	}
	if _, err := s.directory.Account(t.Context(), "sip:alice@example.com"); err != nil {
		t.Errorf("the server does not see the account: %v", err)
	}
}

func TestDomainsOfThisMachine(t *testing.T) {
	got := Default().domains()
	if got[0] != "localhost" || !slices.Contains(got, "127.0.0.1") {
		t.Errorf("domains %v, want localhost first and 127.0.0.1", got)
	}
	c := Default()
	c.Domains = []string{"Example.COM"}
	if got := c.domains(); len(got) != 1 || got[0] != "example.com" {
		t.Errorf("domains %v, want [example.com]", got)
	}
}

func TestWhoIsAPresentity(t *testing.T) {
	for _, test := range []struct {
		name string
		set  func(*Config)
		want bool
	}{
		{"accounts by default", func(*Config) {}, false},
		{"any without authentication", func(c *Config) { c.SIP.Authentication = "none" }, true},
		{"any with trusted peers", func(c *Config) { c.SIP.Trusted = []string{"192.0.2.1"} }, true},
		{"any with trusted certificates", func(c *Config) { c.SIP.TrustedCertificates = []string{"proxy.example.com"} }, true},
		{"accounts as configured", func(c *Config) { c.SIP.Authentication, c.Presence.Presentities = "none", "accounts" }, false},
		{"any as configured", func(c *Config) { c.Presence.Presentities = "any" }, true},
	} {
		c := Default()
		test.set(c)
		if got := c.anyPresentity(); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestCommandWaitsForABusyDirectory(t *testing.T) {
	data := t.TempDir()
	l, err := lockData(data)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := FindRunning(ctx, data)
		done <- err
	}()
	l.release()
	if err := <-done; !errors.Is(err, ErrNotRunning) {
		t.Errorf("after the wait: %v, want ErrNotRunning", err)
	}
	cancel()
	l, err = lockData(data)
	if err != nil {
		t.Fatal(err)
	}
	defer l.release()
	if _, err := FindRunning(ctx, data); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that ended: %v", err)
	}
}
