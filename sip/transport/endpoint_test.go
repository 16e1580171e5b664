package transport

import (
	"net/netip"
	"strings"
	"testing"
)

// TPT-01: the default port is 5060; TPT-02: that of TLS is 5061 (RFC 3261 §18, §19.1.2).
func TestParseListen(t *testing.T) {
	for in, want := range map[string]string{
		"udp://127.0.0.1:5060": "udp://127.0.0.1:5060",
		"udp://127.0.0.1":      "udp://127.0.0.1:5060",
		"TCP://[::1]:5070":     "tcp://[::1]:5070",
		"tcp://[::]":           "tcp://[::]:5060",
		"tls://0.0.0.0":        "tls://0.0.0.0:5061",
		"udp://0.0.0.0:0":      "udp://0.0.0.0:0",
	} {
		l, err := ParseListen(in)
		if err != nil || l.String() != want {
			t.Errorf("ParseListen(%q) = %s, %v; want %s", in, l, err, want)
		}
	}
}

func TestParseListenSaysWhatIsWrong(t *testing.T) {
	for in, want := range map[string]string{
		"127.0.0.1:5060":             "want protocol://address:port",
		"sctp://127.0.0.1":           `protocol "sctp" is not one of udp, tcp, tls`,
		"udp://":                     "no address",
		"udp://:5060":                "no address",
		"udp://sip.example.com:5060": `"sip.example.com" is not a numeric IP address`,
		"udp://127.0.0.1:":           `port "" is not a number`,
		"udp://127.0.0.1:65536":      `port "65536" is not a number from 0 to 65535`,
		"udp://127.0.0.1:-1":         `port "-1" is not a number`,
		"udp://::1:5060":             "an IPv6 address goes in brackets",
		"udp://[::1":                 "bracket around the IPv6 address is not closed",
		"udp://[::1]5060":            `unexpected "5060"`,
		"udp://[127.0.0.1]:5060":     "in brackets is not an IPv6 address",
		"udp://[::ffff:127.0.0.1]":   "write 127.0.0.1",
	} {
		_, err := ParseListen(in)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseListen(%q): %v; want %q in it", in, err, want)
		}
	}
}

func TestEndpointHostPort(t *testing.T) {
	e := Endpoint{Protocol: TCP, Host: hostOf(netip.MustParseAddr("2001:db8::1")), Port: 5060}
	if got := e.HostPort(); got != "[2001:db8::1]:5060" {
		t.Errorf("got %s", got)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	listen := []Listen{{Protocol: UDP, Addr: netip.MustParseAddrPort("127.0.0.1:0")}}
	for want, o := range map[string]Options{
		"nothing to listen on":           {},
		"needs a certificate":            {Listen: []Listen{{Protocol: TLS, Addr: netip.MustParseAddrPort("127.0.0.1:0")}}},
		"is not complete":                {Listen: []Listen{{Protocol: UDP}}},
		"answers would find them closed": {Listen: listen, Limits: Limits{IdleTimeout: 1}},
		"below 1500":                     {Listen: listen, Limits: Limits{MaxMessage: 100}},
		"smaller than a message may be":  {Listen: listen, Limits: Limits{WriteQueue: 2000}},
		"connections is negative":        {Listen: listen, Limits: Limits{MaxConnections: -1}},
	} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New: %v; want %q in it", err, want)
		}
	}
}
