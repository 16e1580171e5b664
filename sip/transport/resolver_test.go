package transport

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"vigie/sip"
)

// zone is a small DNS server on loopback, by UDP and TCP on one port.
type zone struct {
	addr    netip.AddrPort
	records map[string][]string // "name type": the records' data
	failing sync.Map            // rcode (int) by type of question (uint16)
	byTCP   atomic.Int32
}

func serveZone(t *testing.T, records map[string][]string) *zone {
	t.Helper()
	z := &zone{records: records}
	packets, streams := twinPorts(t)
	z.addr = addrPortOf(packets.LocalAddr())
	for _, s := range []*dns.Server{{PacketConn: packets, Handler: z}, {Listener: streams, Handler: z}} {
		started, ended := make(chan struct{}), make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go func() {
			defer close(ended)
			_ = s.ActivateAndServe()
		}()
		<-started
		t.Cleanup(func() {
			_ = s.Shutdown()
			<-ended
		})
	}
	return z
}

// twinPorts listens by UDP and TCP on one port. The system chooses it for one of
// them, and the other may find it taken: then on another.
func twinPorts(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	var err error
	for range 20 {
		packets := udpPeer(t, "127.0.0.1:0")
		_ = packets.SetReadDeadline(time.Time{})
		var streams net.Listener
		if streams, err = net.Listen("tcp4", packets.LocalAddr().String()); err == nil {
			return packets, streams
		}
	}
	t.Fatal(err)
	return nil, nil
}

func (z *zone) ServeDNS(w dns.ResponseWriter, question *dns.Msg) {
	answer := new(dns.Msg)
	answer.SetReply(question)
	q := question.Question[0]
	name := strings.TrimSuffix(strings.ToLower(q.Name), ".")
	_, overUDP := w.LocalAddr().(*net.UDPAddr)
	if !overUDP {
		z.byTCP.Add(1)
	}
	data := z.records[name+" "+dns.TypeToString[q.Qtype]]
	if code, ok := z.failing.Load(q.Qtype); ok {
		answer.Rcode = code.(int)
	} else if len(data) == 0 {
		answer.Rcode = dns.RcodeNameError
	}
	for _, d := range data {
		rr, err := dns.NewRR(fmt.Sprintf("%s 60 IN %s %s", q.Name, dns.TypeToString[q.Qtype], d))
		if err != nil {
			answer.Rcode = dns.RcodeServerFailure
			break
		}
		answer.Answer = append(answer.Answer, rr)
	}
	if overUDP && strings.HasPrefix(name, "_sip._udp.large") {
		answer.Answer, answer.Truncated = nil, true
	}
	_ = w.WriteMsg(answer)
}

func (z *zone) resolver(t *testing.T) *Resolver {
	t.Helper()
	r, err := NewResolver(ResolverOptions{Servers: []netip.AddrPort{z.addr}})
	if err != nil {
		t.Fatal(err)
	}
	r.intn = func(int) int { return 0 } // the lightest first
	return r
}

func (x Target) text() string {
	return fmt.Sprintf("%s %s %s", x.Protocol, x.Addr, x.ServerName)
}

func texts(targets []Target) string {
	var all []string
	for _, x := range targets {
		all = append(all, x.text())
	}
	return strings.Join(all, "; ")
}

func TestLocate(t *testing.T) {
	z := serveZone(t, map[string][]string{
		"plain.example.com A":    {"192.0.2.10"},
		"plain.example.com AAAA": {"2001:db8::10"},

		"example.com NAPTR": {
			`20 10 "s" "SIP+D2U" "" _sip._udp.example.com.`,
			`10 20 "s" "SIP+D2T" "" _sip._tcp.example.com.`,
			`10 10 "S" "sips+d2t" "" _sips._tcp.example.com.`,
			`5 10 "s" "SIP+D2S" "" _sip._sctp.example.com.`,
			`5 10 "u" "SIP+D2U" "!^.*$!sip:x@example.com!" .`,
		},
		"_sips._tcp.example.com SRV": {"1 0 5071 b.example.com."},
		"_sip._tcp.example.com SRV":  {"2 0 5060 b.example.com.", "1 0 5070 a.example.com."},
		"_sip._udp.example.com SRV":  {"1 0 5060 a.example.com."},
		"a.example.com A":            {"192.0.2.1"},
		"b.example.com A":            {"192.0.2.2"},

		"_sip._udp.srv.example.com SRV":  {"1 0 5060 a.example.com.", "2 0 5060 gone.example.com.", "3 0 5062 b.example.com."},
		"_sip._tcp.srv.example.com SRV":  {"1 0 5060 b.example.com."},
		"_sips._tcp.srv.example.com SRV": {"1 0 5061 b.example.com."},
		"srv.example.com A":              {"192.0.2.99"},

		"_sip._udp.large.example.com SRV": {"1 0 5060 a.example.com."},
		"_sip._udp.none.example.com SRV":  {"0 0 0 ."},
		"host.example.com NAPTR":          {`1 1 "a" "SIP+D2T" "" b.example.com.`},
	})
	r := z.resolver(t)
	for _, test := range []struct{ name, uri, want string }{
		{"numeric", "sip:alice@192.0.2.5", "UDP 192.0.2.5:5060 192.0.2.5"},
		{"numeric-sips", "sips:alice@192.0.2.5", "TLS 192.0.2.5:5061 192.0.2.5"},
		{"numeric-tcp-port", "sip:alice@192.0.2.5:5080;transport=tcp", "TCP 192.0.2.5:5080 192.0.2.5"},
		{"numeric-v6", "sip:[2001:db8::1]:5080;transport=TLS", "TLS [2001:db8::1]:5080 [2001:db8::1]"},
		{"port-skips-srv", "sip:srv.example.com:5090", "UDP 192.0.2.99:5090 srv.example.com"},
		{"port-sips", "sips:srv.example.com:5090", "TLS 192.0.2.99:5090 srv.example.com"},
		{"port-tcp", "sip:srv.example.com:5090;transport=tcp", "TCP 192.0.2.99:5090 srv.example.com"},
		{"transport-asks-its-srv", "sip:srv.example.com;transport=tcp", "TCP 192.0.2.2:5060 srv.example.com"},
		{"sips-transport-tcp-is-tls", "sips:srv.example.com;transport=tcp", "TLS 192.0.2.2:5061 srv.example.com"},
		{"transport-without-srv", "sip:a.example.com;transport=tls", "TLS 192.0.2.1:5061 a.example.com"},
		{"naptr-lowest-order-then-preference", "sip:example.com",
			"TLS 192.0.2.2:5071 example.com; TCP 192.0.2.1:5070 example.com; TCP 192.0.2.2:5060 example.com"},
		{"naptr-sips-only-secure", "sips:example.com", "TLS 192.0.2.2:5071 example.com"},
		{"naptr-to-a-host", "sip:host.example.com", "TCP 192.0.2.2:5060 host.example.com"},
		{"srv-of-all-transports", "sip:srv.example.com",
			"UDP 192.0.2.1:5060 srv.example.com; UDP 192.0.2.2:5062 srv.example.com; TCP 192.0.2.2:5060 srv.example.com"},
		{"srv-sips", "sips:srv.example.com", "TLS 192.0.2.2:5061 srv.example.com"},
		{"address-only-sips", "sips:a.example.com", "TLS 192.0.2.1:5061 a.example.com"},
		{"address-only", "sip:a.example.com", "UDP 192.0.2.1:5060 a.example.com"},
		{"maddr", "sip:alice@example.com;maddr=192.0.2.7", "UDP 192.0.2.7:5060 192.0.2.7"},
		{"truncated-asks-by-tcp", "sip:large.example.com;transport=udp", "UDP 192.0.2.1:5060 large.example.com"},
	} {
		t.Run("TPT-17/"+test.name, func(t *testing.T) {
			got, err := r.Locate(t.Context(), sip.MustURI(test.uri))
			if err != nil || texts(got) != test.want {
				t.Errorf("got  %s, %v\nwant %s", texts(got), err, test.want)
			}
		})
	}
	if z.byTCP.Load() == 0 {
		t.Error("nothing was asked by TCP")
	}
	t.Run("TPT-17/both-families", func(t *testing.T) {
		got, err := r.Locate(t.Context(), sip.MustURI("sip:plain.example.com"))
		if err != nil || len(got) != 2 || !strings.Contains(texts(got), "192.0.2.10:5060") || !strings.Contains(texts(got), "[2001:db8::10]:5060") {
			t.Errorf("got %s, %v", texts(got), err)
		}
	})
	t.Run("TPT-17/hosts-file", func(t *testing.T) {
		got, err := r.Locate(t.Context(), sip.MustURI("sip:localhost:5080"))
		if err != nil || !strings.Contains(texts(got), "UDP 127.0.0.1:5080 localhost") {
			t.Errorf("got %s, %v", texts(got), err)
		}
	})
	for name, test := range map[string]struct{ uri, want string }{
		"unknown-host":   {"sip:nowhere.example.com", "nowhere.example.com has no address"},
		"no-service":     {"sip:none.example.com;transport=udp", "says that there is no such service"},
		"sips-by-udp":    {"sips:example.com;transport=udp", "a sips URI cannot go by UDP"},
		"sctp":           {"sip:example.com;transport=sctp", `transport "sctp" is not spoken here`},
		"another-scheme": {"pres:alice@example.com", `"pres" is not sip or sips`},
	} {
		t.Run("TPT-17/"+name, func(t *testing.T) {
			got, err := r.Locate(t.Context(), sip.MustURI(test.uri))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %s, %v; want %q", texts(got), err, test.want)
			}
		})
	}
}

func TestLocateSentBy(t *testing.T) {
	z := serveZone(t, map[string][]string{
		"_sip._tcp.example.com SRV": {"1 0 5070 a.example.com."},
		"example.com A":             {"192.0.2.99"},
		"a.example.com A":           {"192.0.2.1"},
	})
	for want, sentBy := range map[string]sip.Via{
		"TCP 192.0.2.1:5070 example.com":       {Host: "example.com"},
		"TCP 192.0.2.99:5080 example.com":      {Host: "example.com", Port: 5080},
		"TCP [2001:db8::1]:5060 [2001:db8::1]": {Host: "[2001:db8::1]"},
	} {
		got, err := z.resolver(t).LocateSentBy(t.Context(), TCP, sentBy.Host, sentBy.Port)
		if err != nil || texts(got) != want {
			t.Errorf("got %s, %v, want %s", texts(got), err, want)
		}
	}
}

// TPT-05: the last way for a response is what DNS knows of its sent-by.
func TestResponseFindsSentByInDNS(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := addrPortOf(l.Addr()).Port()
	z := serveZone(t, map[string][]string{
		"_sip._tcp.phone.example.com SRV": {fmt.Sprintf("1 0 %d spare.example.com.", port)},
		"spare.example.com A":             {"127.0.0.2"},
	})
	tr, h := start(t, Options{Resolver: z.resolver(t)}, "tcp://127.0.0.1:0")
	c := dial(t, system{}, "127.0.0.9", bound(tr, 0).String())
	write(t, c, options("TCP phone.example.com;branch=z9hG4bK1", "c1", ""))
	got := <-h.got
	c.Close()
	<-h.closed
	answer(t, tr, got) // nobody listens on 127.0.0.9:5060
	back, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	if m := readMessage(t, back); m.CallID != "c1" {
		t.Errorf("got %s", m.CallID)
	}
}

// SEC-16: nobody has us connect to what he cannot reach himself, by a name in Via
// that leads there.
func TestResponseStaysWhereItsClientIs(t *testing.T) {
	tr, _ := start(t, Options{Network: NewMemory()}, "tcp://192.0.2.1:5060", "tcp://0.0.0.0:5080", "tcp://[::]:5080")
	for _, test := range []struct {
		client, to string
		want       bool
	}{
		{"198.51.100.7", "203.0.113.9:5060", true},
		{"10.1.1.1", "203.0.113.9:5060", true},
		{"10.1.1.1", "192.168.3.4:5060", true},
		{"127.0.0.9", "127.0.0.2:5060", true},
		{"fe80::7", "[fe80::9]:5060", true},
		{"198.51.100.7", "127.0.0.1:6379", false},
		{"198.51.100.7", "[::1]:6379", false},
		{"198.51.100.7", "10.0.0.1:25", false},
		{"2001:db8::7", "[fd00::1]:25", false},
		{"2001:db8::7", "[fe80::1]:25", false},
		{"198.51.100.7", "169.254.169.254:80", false},
		{"10.1.1.1", "169.254.169.254:80", false},
		{"198.51.100.7", "224.0.1.75:5060", false},
		{"198.51.100.7", "255.255.255.255:5060", false},
		{"198.51.100.7", "0.0.0.0:5060", false},
		{"198.51.100.7", "192.0.2.1:5060", false}, // ourselves
		{"127.0.0.9", "127.0.0.1:5080", false},
	} {
		if got := tr.mayAnswer(netip.MustParseAddr(test.client), ap(test.to)); got != test.want {
			t.Errorf("SEC-16: a client at %s is answered at %s: %t, want %t", test.client, test.to, got, test.want)
		}
	}
}

// Servers are asked in turn; one that fails on NAPTR does not hide the rest.
func TestDNSServersThatFail(t *testing.T) {
	dead := udpPeer(t, "127.0.0.1:0") // takes questions and says nothing
	records := map[string][]string{
		"_sip._udp.example.com SRV": {"1 0 5060 a.example.com."},
		"a.example.com A":           {"192.0.2.1"},
	}
	z := serveZone(t, records)
	z.failing.Store(dns.TypeNAPTR, dns.RcodeServerFailure)
	r, err := NewResolver(ResolverOptions{
		Servers: []netip.AddrPort{addrPortOf(dead.LocalAddr()), z.addr, z.addr, z.addr, z.addr}, // on a slow machine the zone may need more than one try
		Timeout: 500 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Locate(t.Context(), sip.MustURI("sip:example.com;transport=udp"))
	if err != nil || texts(got) != "UDP 192.0.2.1:5060 example.com" {
		t.Errorf("got %s, %v", texts(got), err)
	}
	got, err = r.Locate(t.Context(), sip.MustURI("sip:example.com"))
	if err != nil || texts(got) != "UDP 192.0.2.1:5060 example.com" {
		t.Errorf("got %s, %v", texts(got), err)
	}
	z.failing.Store(dns.TypeSRV, dns.RcodeServerFailure)
	if got, err = r.Locate(t.Context(), sip.MustURI("sip:example.com;transport=udp")); err == nil || !strings.Contains(err.Error(), "SERVFAIL") {
		t.Errorf("got %s, %v, want the server's failure", texts(got), err)
	}
}

// TPT-18: priority first, then chance by weight (RFC 2782).
func TestSRVOrder(t *testing.T) {
	record := func(priority, weight uint16) *dns.SRV {
		return &dns.SRV{Priority: priority, Weight: weight, Target: fmt.Sprintf("%d-%d", priority, weight)}
	}
	all := []*dns.SRV{record(2, 0), record(1, 60), record(1, 0), record(1, 30), record(2, 10)}
	order := func(points ...int) string {
		r := &Resolver{intn: func(n int) int {
			p := points[0]
			points = points[1:]
			if p >= n {
				t.Errorf("a point of %d was asked of %d", p, n)
			}
			return p
		}}
		var names []string
		for _, s := range r.order(slices.Clone(all)) {
			names = append(names, s.Target)
		}
		return strings.Join(names, " ")
	}
	for name, test := range map[string]struct {
		points []int
		want   string
	}{
		"lightest":     {[]int{0, 0, 0, 0, 0}, "1-0 1-30 1-60 2-0 2-10"},
		"heaviest":     {[]int{90, 30, 0, 10, 0}, "1-60 1-30 1-0 2-10 2-0"},
		"boundary":     {[]int{30, 60, 0, 1, 0}, "1-30 1-60 1-0 2-10 2-0"},
		"boundary-one": {[]int{31, 0, 0, 0, 0}, "1-60 1-0 1-30 2-0 2-10"},
	} {
		t.Run("TPT-18/"+name, func(t *testing.T) {
			if got := order(test.points...); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
	t.Run("TPT-18/shares", func(t *testing.T) {
		r, err := NewResolver(ResolverOptions{Servers: []netip.AddrPort{ap("127.0.0.1:53")}})
		if err != nil {
			t.Fatal(err)
		}
		first := map[string]int{}
		for range 9000 {
			first[r.order(slices.Clone(all))[0].Target]++
		}
		// 60 of 91 points, give or take ten standard deviations.
		if n := first["1-60"]; n < 5480 || n > 6380 {
			t.Errorf("the heavier one was first %d times of 9000, want about 5934", n)
		}
	})
}
