package interop

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// softphone is a baresip that runs without sound, screen and keyboard. It is
// driven by its ctrl_tcp module: JSON in netstrings.
type softphone struct {
	t       testing.TB
	user    string
	process *process
	conn    net.Conn
	reader  *bufio.Reader
	calls   int
}

// baresip starts a softphone that sends to the server.
func (s *server) baresip(transport, user, contact string) *softphone {
	s.t.Helper()
	return softphoneAt(s.t, s.addr(), transport, user, contact, 0)
}

// softphoneAt starts a softphone with user's account, which publishes presence,
// and one contact, which it watches. It registers every interval seconds, not
// at all with 0.
func softphoneAt(t testing.TB, addr, transport, user, contact string, interval int) *softphone {
	t.Helper()
	path := program(t, "baresip", "baresip-core")
	modules := modulePath(t)
	dir := t.TempDir()
	control := net.JoinHostPort("127.0.0.1", fmt.Sprint(freePort(t, "127.0.0.1")))
	files := map[string]string{
		"config": strings.Join([]string{
			"poll_method epoll",
			"sip_listen 127.0.0.1:" + fmt.Sprint(freePort(t, "127.0.0.1")),
			"module_path " + modules,
			"module g711.so", "module_tmp account.so",
			"module_app contact.so", "module_app menu.so", "module_app presence.so", "module_app ctrl_tcp.so",
			"ctrl_tcp_listen " + control, "",
		}, "\n"),
		"accounts": fmt.Sprintf("<sip:%s@example.com>;auth_user=%[1]s;auth_pass=%s;outbound=\"sip:%s;transport=%s\";regint=%d;pubint=600\n",
			user, password, addr, strings.ToLower(transport), interval),
		"contacts": fmt.Sprintf("\"%s\" <sip:%[1]s@example.com>;presence=p2p\n", contact),
		"uuid":     "00000000-0000-4000-8000-000000000000\n",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := &softphone{t: t, user: user, process: spawn(t, "baresip of "+user, exec.Command(path, "-f", dir, "-s"))}
	p.process.says("baresip is ready")
	// A state told before the first PUBLISH is answered would make a second
	// publication, which baresip then forgets.
	p.process.says("SIP-ETag")
	conn, err := net.DialTimeout("tcp", control, patience)
	if err != nil {
		t.Fatalf("baresip's control port: %v", err)
	}
	p.conn, p.reader = conn, bufio.NewReader(conn)
	t.Cleanup(func() { _ = conn.Close() })
	return p
}

// modulePath finds where the package keeps its modules.
func modulePath(t testing.TB) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib*/baresip/modules/presence.so")
	more, _ := filepath.Glob("/usr/lib/*/baresip/modules/presence.so")
	if found = append(found, more...); len(found) == 0 {
		t.Fatal("baresip has no presence module: install the Debian package baresip-core (interop/packages.txt)")
	}
	return filepath.Dir(found[0])
}

// command runs one of baresip's long commands and returns what it prints.
func (p *softphone) command(name string) string {
	p.t.Helper()
	p.calls++
	token := fmt.Sprint(p.calls)
	request, _ := json.Marshal(map[string]string{"command": name, "token": token})
	_ = p.conn.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintf(p.conn, "%d:%s,", len(request), request); err != nil {
		p.t.Fatalf("baresip of %s: %v", p.user, err)
	}
	for {
		var reply struct{ Token, Data string }
		if err := json.Unmarshal(p.netstring(), &reply); err != nil {
			p.t.Fatalf("baresip of %s: %v", p.user, err)
		}
		if reply.Token == token {
			return reply.Data
		}
	}
}

func (p *softphone) netstring() []byte {
	p.t.Helper()
	length, err := p.reader.ReadString(':')
	if err != nil {
		p.t.Fatalf("baresip of %s: %v", p.user, err)
	}
	n, err := strconv.Atoi(strings.TrimSuffix(length, ":"))
	if err != nil || n < 0 || n > 1<<20 {
		p.t.Fatalf("baresip of %s sends a netstring of length %q", p.user, length)
	}
	b := make([]byte, n+1)
	for read := 0; read < len(b); {
		k, err := p.reader.Read(b[read:])
		if err != nil {
			p.t.Fatalf("baresip of %s: %v", p.user, err)
		}
		read += k
	}
	return b[:n]
}

// colour is how baresip decorates a contact's state on a terminal.
var colour = regexp.MustCompile("\x1b\\[[0-9;]*m")

// shows waits until the contact is shown with state: Online, Offline, Busy or
// Unknown.
func (p *softphone) shows(contact, state string) {
	p.t.Helper()
	line := regexp.MustCompile(`(?m)^[> ]*` + state + `\s+` + contact + ` `)
	deadline := time.After(patience)
	for tick := time.NewTicker(200 * time.Millisecond); ; {
		list := colour.ReplaceAllString(p.command("contacts"), "")
		if line.MatchString(list) {
			tick.Stop()
			return
		}
		select {
		case <-deadline:
			p.t.Fatalf("baresip of %s never showed %s as %s; it shows\n%s", p.user, contact, state, list)
		case <-tick.C:
		}
	}
}

// Two baresips watch each other, with digest. Each sees the other's changes;
// busy, which baresip shows but cannot say, is published by a second device.
// AUT-01, PUB-01, PUB-14, PUB-22, EVT-09, PRS-03, and devices.md rule 5: the
// activity is spelt rpid:busy, beside basic.
func TestBaresip(t *testing.T) {
	over(t, func(t *testing.T, transport string) {
		// This version of baresip gives up at a challenge it does not know.
		s := start(t, setup{accounts: people, sip: []string{`algorithms = ["MD5"]`}})
		alice := s.baresip(transport, "alice", "bob")
		bob := s.baresip(transport, "bob", "alice")
		// Until it is told a state, baresip publishes basic "unknown": not a
		// value of RFC 3863 §4.1.4, so watchers are shown closed.
		bob.shows("alice", "Offline")
		alice.shows("bob", "Offline")

		alice.command("presence_online")
		bob.shows("alice", "Online")
		bob.command("presence_online")
		alice.shows("bob", "Online")
		alice.command("presence_offline")
		bob.shows("alice", "Offline")
		alice.command("presence_online")
		bob.shows("alice", "Online")
		bob.command("presence_offline")
		alice.shows("bob", "Offline")

		desk := dial(t, s.addr(), transport, "alice")
		tag := desk.signedPublish(600, "", pidf("alice", "open", "", "busy")).get("SIP-ETag")
		bob.shows("alice", "Busy")
		desk.signedPublish(0, tag, "")
		bob.shows("alice", "Online")
		alice.command("presence_offline")
		bob.shows("alice", "Offline")
	})
}

// signedPublish publishes under MD5 digest.
func (p *phone) signedPublish(expires int, tag, body string) message {
	p.t.Helper()
	m := p.publish(expires, tag, body)
	c := p.challenged(m)["MD5"]
	m = m.with("CSeq", "2 PUBLISH").with("Via", p.request("X", "", "", "", "", 1).get("Via"))
	r := p.ask(m.signed(c, credentials{p.user, password, "auth", 1}))
	want(p.t, r, 200)
	return r
}
