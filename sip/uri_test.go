package sip

import (
	"strings"
	"testing"
)

func TestParseURI(t *testing.T) {
	for _, c := range []struct {
		in   string
		want URI
	}{
		{"sip:alice@example.com", URI{Scheme: "sip", User: "alice", Host: "example.com"}},
		{"SIPS:Alice:pw@EXAMPLE.com:5061;Transport=TCP?Subject=x&priority=urgent", URI{"sips", "Alice", "pw", "example.com", 5061, ";Transport=TCP", "Subject=x&priority=urgent"}},
		{"sip:example.com", URI{Scheme: "sip", Host: "example.com"}},
		{"sip:192.0.2.1:5060;lr", URI{Scheme: "sip", Host: "192.0.2.1", Port: 5060, Params: ";lr"}},
		{"sip:bob@[2001:DB8::1]:5060", URI{Scheme: "sip", User: "bob", Host: "[2001:db8::1]", Port: 5060}},
		{"sip:+15551212;phone-context=x?y/z@example.com;user=phone", URI{Scheme: "sip", User: "+15551212;phone-context=x?y/z", Host: "example.com", Params: ";user=phone"}},
		{"pres:alice@example.com", URI{Scheme: "pres", User: "alice", Host: "example.com"}},
		{"im:bob@example.com", URI{Scheme: "im", User: "bob", Host: "example.com"}},
		{"tel:+1-555-1212;phone-context=example.com", URI{Scheme: "tel", User: "+1-555-1212;phone-context=example.com"}},
		{"urn:uuid:00000000-0000-1000-8000-000a95a0e128", URI{Scheme: "urn", User: "uuid:00000000-0000-1000-8000-000a95a0e128"}},
		{"sip:under_score.example.com", URI{Scheme: "sip", Host: "under_score.example.com"}},
		{"sip:*21#@example.com", URI{Scheme: "sip", User: "*21#", Host: "example.com"}},
	} {
		got, err := ParseURI(c.in)
		if err != nil || got != c.want {
			t.Errorf("%s: got %+v, %v\nwant %+v", c.in, got, err, c.want)
		}
		again, err := ParseURI(got.String())
		if err != nil || again != got {
			t.Errorf("%s: printed and parsed it is %+v, %v", c.in, again, err)
		}
	}
}

func TestBadURIs(t *testing.T) {
	for _, c := range []struct{ row, in, want string }{
		{"", "", "sip: '' has no URI scheme"},
		{"", "alice@example.com", "sip: 'alice@example.com' has no URI scheme"},
		{"", "sip:", "sip: nothing follows 'sip:'"},
		{"", "sip:@example.com", "sip: empty user before the @"},
		{"", "sip:alice@", "sip: no host"},
		{"", "sip:alice@example.com@example.net", "sip: unexpected '@example.net' after the host"},
		{"", "sip:alice@example.com:", "sip: port of 'example.com:' is not between 1 and 65535"},
		{"", "sip:alice@example.com:70000", "sip: port of 'example.com:70000' is not between 1 and 65535"},
		{"", "sip:alice@example.com:0", "sip: port of 'example.com:0' is not between 1 and 65535"},
		{"", "sip:al ice@example.com", "sip: ' ' in a URI"},
		{"", "sip:alice@example.com>", "sip: '>' in a URI"},
		{"", "sip:alice\r\nX: y@example.com", `sip: '\r' in a URI`},
		{"", "sip:al%zzice@example.com", "sip: percent sign without two hexadecimal digits"},
		{"", "sip:alice@example.com;a=%4", "sip: percent sign without two hexadecimal digits"},
		{"SEC-17", "sip:example.com" + strings.Repeat(";a", 65), "sip: too many URI parameters"},
		{"MSG-20", "sip:alice@ex%61mple.com", "sip: unexpected '%61mple.com' after the host"},
		{"MSG-29", "sip:2001:db8::10", "sip: IPv6 address '2001:db8::10' needs brackets"},
		{"MSG-29", "sip:alice@[2001:db8::10", "sip: '[2001:db8::10' is no IPv6 address in brackets"},
		{"MSG-29", "sip:alice@[fe80::1%eth0]", "sip: '[fe80::1%eth0]' is no IPv6 address in brackets"},
		{"MSG-29", "sip:alice@[192.0.2.1]", "sip: '[192.0.2.1]' is no IPv6 address in brackets"},
	} {
		t.Run(c.row+"/"+c.in, func(t *testing.T) {
			if got, err := ParseURI(c.in); err == nil || err.Error() != c.want {
				t.Errorf("got %+v, %v\nwant %s", got, err, c.want)
			}
		})
	}
}

// The equal and unequal sets of RFC 3261 §19.1.4, and a few more.
func TestURIEquality(t *testing.T) {
	for _, c := range []struct {
		a, b  string
		equal bool
	}{
		{"sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp", true},
		{"sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", true},
		{"sip:carol@chicago.com", "sip:carol@chicago.com;security=on", true},
		{"sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on", true},
		{"sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com", "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com", true},
		{"sip:alice@atlanta.com?subject=project%20x&priority=urgent", "sip:alice@atlanta.com?priority=urgent&subject=project%20x", true},

		{"SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP", false},
		{"sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", false},
		{"sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", false},
		{"sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp", false},
		{"sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting", false},
		{"sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4", false},
		{"sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off", false}, // MSG-22: not transitive

		{"sip:alice@example.com", "sips:alice@example.com", false},
		{"sip:alice:a@example.com", "sip:alice:A@example.com", false},
		{"sip:alice@example.com", "sip:example.com", false},
		{"sip:a%3bb@example.com", "sip:a;b@example.com", false},
		{"sip:a%3bb@example.com", "sip:a%3Bb@example.com", true},
		{"sip:%2541@example.com", "sip:%41@example.com", false},
		{"sip:alice@[2001:db8:0::1]", "sip:alice@[2001:DB8::1]", true},
		{"sip:alice@example.com;%6C%72=%61", "sip:alice@example.com;LR=A", true},
		{"sip:a@example.com;user=phone", "sip:a@example.com", false},
		{"sip:a@example.com;ttl=1", "sip:a@example.com", false},
		{"sip:a@example.com;maddr=192.0.2.1", "sip:a@example.com", false},
		{"sip:a@example.com;method=INVITE", "sip:a@example.com", false},
		{"sip:example.com;a=1;a=2", "sip:example.com;a=1;a=2", true},
		{"tel:+15551212", "tel:+15551212", true},
		{"tel:+15551212", "tel:+15551213", false},
	} {
		t.Run("MSG-21/"+c.a+"/"+c.b, func(t *testing.T) {
			a, b := MustURI(c.a), MustURI(c.b)
			if a.Equal(b) != c.equal || b.Equal(a) != c.equal {
				t.Errorf("equal is %t and %t, want %t", a.Equal(b), b.Equal(a), c.equal)
			}
			if !a.Equal(a) {
				t.Error("not equal to itself")
			}
		})
	}
}

// MSG-22: a parameter that only one URI has is ignored, so that two unequal
// URIs may both equal a third.
func TestURIEqualityIsNotTransitive(t *testing.T) {
	plain, on, off := MustURI("sip:carol@example.com"), MustURI("sip:carol@example.com;security=on"), MustURI("sip:carol@example.com;security=off")
	if !plain.Equal(on) || !plain.Equal(off) || on.Equal(off) {
		t.Errorf("MSG-22: got %t, %t, %t, want true, true, false", plain.Equal(on), plain.Equal(off), on.Equal(off))
	}
}

func TestAOR(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"sips:Alice:secret@EXAMPLE.com:5061;transport=tls?x=y", "sip:Alice@example.com"},
		{"pres:alice@example.com", "sip:alice@example.com"},
		{"im:%61lice@example.com", "sip:alice@example.com"},
		{"sip:a%3bb%25@example.com", "sip:a%3Bb%25@example.com"},
		{"sip:%2541@example.com", "sip:%2541@example.com"}, // MSG-19
		{"sip:%00@example.com", "sip:%00@example.com"},
		{"sip:*21#@example.com", "sip:*21%23@example.com"},
		{"sip:*21%23@example.com", "sip:*21%23@example.com"},
		{"sip:b\u00fccher@example.com", "sip:b%C3%BCcher@example.com"},
		{"sip:alice@[2001:db8:0:0::1]:5060", "sip:alice@[2001:db8::1]"},
		{"tel:+15551212", "tel:+15551212"},
	} {
		got := MustURI(c.in).AOR()
		if got.String() != c.want {
			t.Errorf("%s: got %s, want %s", c.in, got, c.want)
		}
		if again := MustURI(got.String()).AOR(); again != got {
			t.Errorf("%s: the address of record of %s is %s", c.in, got, again)
		}
	}
}

func TestUnescape(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"%2541", "%41"}, {"a%00b", "a\x00b"}, {"%4", "%4"}, {"%", "%"}, {"%zz%41", "%zzA"}, {"", ""},
	} {
		if got := Unescape(c.in); got != c.want {
			t.Errorf("MSG-19: %q unescapes to %q, want %q", c.in, got, c.want)
		}
	}
}
