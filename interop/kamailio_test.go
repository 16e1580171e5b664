package interop

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// proxy is a Kamailio in front of a server, on an address of its own.
type proxy struct{ addr string }

const proxyHost = "127.0.0.2"

// kamailio starts a proxy that hands PUBLISH and SUBSCRIBE on to the server
// over the given transport, and waits until it answers.
func (s *server) kamailio(transport string) *proxy {
	s.t.Helper()
	path := program(s.t, "kamailio", "kamailio")
	config, err := os.ReadFile(filepath.Join("testdata", "kamailio.cfg"))
	if err != nil {
		s.t.Fatal(err)
	}
	p := &proxy{addr: net.JoinHostPort(proxyHost, fmt.Sprint(freePort(s.t, proxyHost)))}
	dir := s.t.TempDir()
	file := filepath.Join(dir, "kamailio.cfg")
	text := strings.NewReplacer(
		"=udp:LISTEN", "=udp:"+p.addr, "=tcp:LISTEN", "=tcp:"+p.addr,
		"sip:SERVER;transport=TRANSPORT", "sip:"+s.addr()+";transport="+strings.ToLower(transport),
	).Replace(string(config))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	// -DD keeps it in the foreground with its children in our process group.
	spawn(s.t, "kamailio", exec.Command(path, "-DD", "-E", "-m", "32", "-M", "8", "-Y", dir, "-w", dir, "-f", file))
	probe := dialFrom(s.t, "127.0.0.1:0", p.addr, "UDP", "probe")
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		m := probe.request("OPTIONS", "sip:example.com", "<sip:example.com>", token(), token(), 1)
		if r, ok := probe.try(m, 300*time.Millisecond); ok && r.status() == 200 {
			return p
		}
	}
	s.t.Fatal("kamailio does not answer OPTIONS")
	return nil
}

// behind starts a server that asks for digest and trusts the proxy's address,
// and the proxy in front of it.
func behind(t *testing.T, transport string) (*server, *proxy) {
	t.Helper()
	s := start(t, setup{accounts: people, sip: []string{`trusted = ["` + proxyHost + `/32"]`}})
	return s, s.kamailio(transport)
}

// register binds the phone's contact at the proxy's registrar.
func (p *phone) register() {
	p.t.Helper()
	uri := "<sip:" + p.user + "@example.com>"
	m := p.request("REGISTER", "sip:example.com", uri, token(), token(), 1, row{"Expires", "600"})
	want(p.t, p.ask(m), 200)
}

// The whole life of a subscription and a publication through a record-routing
// proxy: AUT-16, DLG-01, DLG-02, DLG-03, PUB-20, UAS-13, EVT-14, EVT-17.
func TestThroughKamailio(t *testing.T) {
	over(t, func(t *testing.T, transport string) {
		s, k := behind(t, transport)
		alice, bob := dial(t, k.addr, transport, "alice"), dial(t, k.addr, transport, "bob")
		alice.register()
		bob.register()

		published := alice.ask(alice.publish(600, "", pidf("alice", "open", "first", "")))
		want(t, published, 200)
		if rr := published.all("Record-Route"); len(rr) != 0 {
			t.Errorf("UAS-13: 200 to PUBLISH has Record-Route %v", rr)
		}
		d := bob.subscription("sip:alice@example.com")
		opened := d.open(600)
		if len(d.route) == 0 || !strings.Contains(d.route[0], k.addr) {
			t.Fatalf("DLG-01: Record-Route of the 200 is %v, want the proxy %s", opened.all("Record-Route"), k.addr)
		}
		first := d.notify()
		throughProxy(t, first, k.addr)
		bodyHas(t, first, "first", "<basic>open</basic>")
		if got := first.requestURI(); got != address(bob.contact()) {
			t.Errorf("DLG-03: NOTIFY for %s, want the watcher's Contact %s", got, address(bob.contact()))
		}

		want(t, alice.ask(alice.publish(600, published.get("SIP-ETag"), pidf("alice", "closed", "second", ""))), 200)
		second := d.notify()
		throughProxy(t, second, k.addr)
		bodyHas(t, second, "second", "<basic>closed</basic>")

		// A refresh by the route set, then the end.
		want(t, bob.ask(d.subscribe(600)), 200)
		throughProxy(t, d.notify(), k.addr)
		want(t, bob.ask(d.subscribe(0)), 200)
		if got := d.notify().get("Subscription-State"); !strings.HasPrefix(got, "terminated") {
			t.Errorf("EVT-14: Subscription-State %q after unsubscribing", got)
		}
		_ = s
	})
}

// throughProxy checks that a NOTIFY passed the proxy: its Via on top of ours.
func throughProxy(t *testing.T, m message, addr string) {
	t.Helper()
	vias := m.all("Via")
	if len(vias) < 2 || !strings.Contains(vias[0], addr) {
		t.Errorf("NOTIFY did not come through %s: Via %v", addr, vias)
	}
}

func bodyHas(t *testing.T, m message, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(m.body, w) {
			t.Errorf("no %q in the body of\n%s", w, indent(m.String()))
		}
	}
}

// P-Asserted-Identity counts from the trusted address alone (AUT-16, SEC-12).
func TestAssertedIdentity(t *testing.T) {
	over(t, func(t *testing.T, transport string) {
		s, k := behind(t, transport)
		body := pidf("alice", "open", "first", "")
		claim := row{"P-Asserted-Identity", "<sip:alice@example.com>"}

		t.Run("AUT-16/from-elsewhere-ignored", func(t *testing.T) {
			direct := dial(t, s.addr(), transport, "alice")
			want(t, direct.ask(direct.publish(600, "", body, claim)), 401)
			bob := dial(t, s.addr(), transport, "bob")
			want(t, bob.ask(bob.subscription("sip:alice@example.com").subscribe(600, row{"P-Asserted-Identity", "<sip:bob@example.com>"})), 401)
		})
		t.Run("AUT-16/from-the-proxy-believed", func(t *testing.T) {
			alice := dial(t, k.addr, transport, "alice")
			want(t, alice.ask(alice.publish(600, "", body)), 200)
		})
		t.Run("AUT-16/forged-behind-the-proxy", func(t *testing.T) {
			// The proxy takes the claim away and says who it is: carol.
			carol := dial(t, k.addr, transport, "carol")
			m := carol.publish(600, "", body, claim).with("To", "<sip:alice@example.com>")
			m.start = "PUBLISH sip:alice@example.com SIP/2.0"
			want(t, carol.ask(m), 403)
		})
		t.Run("AUT-16/trusted-address-without-proxy", func(t *testing.T) {
			// The address is what is trusted: the same claim from there counts.
			p := dialFrom(t, proxyHost+":0", s.addr(), transport, "alice")
			want(t, p.ask(p.publish(600, "", body, claim)), 200)
		})
	})
}

// SIPp's scenarios, and two softphones, all through the proxy.
func TestPeersThroughKamailio(t *testing.T) {
	over(t, func(t *testing.T, transport string) {
		_, k := behind(t, transport)
		run := func(name string, with keys) *scenario { return sippAt(t, k.addr, transport, name, with) }
		// The server's NOTIFYs come to the proxy by another connection than its
		// responses, and may overtake the 200 (RFC 6665 §4.1.2.4). Over UDP it is
		// one socket, which keeps the order SIPp expects.
		p := run("publish", alice("open", "first"))
		tag := p.says("published")
		p.passes()
		if transport == "UDP" {
			watcher := run("f01-watch", nil)
			watcher.says("subscribed")
			run("modify", alice("closed", "second", "etag", tag)).passes()
			watcher.says("heard")
			watcher.passes()
		} else {
			bob := dial(t, k.addr, transport, "bob")
			d := bob.subscription("sip:alice@example.com")
			d.open(3600)
			d.notify()
			run("modify", alice("closed", "second", "etag", tag)).passes()
			bodyHas(t, d.notify(), "second", "<basic>closed</basic>")
		}

		// Registered, baresip publishes again; whether under the tag it has, and
		// so how many publications it keeps, is a matter of luck. Hence the
		// states after online are published by a second device.
		carol := softphoneAt(t, k.addr, transport, "carol", "dave", 600)
		dave := softphoneAt(t, k.addr, transport, "dave", "carol", 600)
		carol.command("presence_online")
		dave.shows("carol", "Online")
		dave.command("presence_online")
		carol.shows("dave", "Online")
		desk := dial(t, k.addr, transport, "carol")
		r := desk.ask(desk.publish(600, "", pidf("carol", "open", "", "busy")))
		want(t, r, 200)
		dave.shows("carol", "Busy")
		want(t, desk.ask(desk.publish(0, r.get("SIP-ETag"), "")), 200)
		dave.shows("carol", "Online")
	})
}
