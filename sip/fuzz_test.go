package sip

import (
	"errors"
	"testing"
)

// SEC-17: no input makes a parser panic or remember more than it was given, and
// what was accepted survives printing.

func FuzzParse(f *testing.F) {
	addTorture(f)
	f.Add([]byte(subscribe))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse(data)
		if m == nil {
			t.Fatal("no message")
		}
		m.MarkReceived(source)
		if err == nil {
			checkPrintThenParse(t, m)
			return
		}
		var refused *ParseError
		if !errors.As(err, &refused) || refused.Reason == "" || refused.Status < 400 {
			t.Fatalf("error is %#v", err)
		}
		if refused.Answerable {
			checkAnswer(t, refused)
		}
	})
}

func FuzzSplitStream(f *testing.F) {
	addTorture(f)
	f.Add([]byte("\r\n\r\n" + subscribe + "\r\n" + subscribe))
	f.Fuzz(func(t *testing.T, data []byte) {
		whole, wholeErr := frame(data, len(data), 2000)
		single, singleErr := frame(data, 1, 2000)
		if (wholeErr == nil) != (singleErr == nil) || len(whole) != len(single) {
			t.Fatalf("whole: %d messages, %v; bytewise: %d, %v", len(whole), wholeErr, len(single), singleErr)
		}
		for i := range whole {
			if whole[i] != single[i] {
				t.Fatalf("message %d is %q or %q", i, whole[i], single[i])
			}
			m, err := (Limits{}).ParseFramed([]byte(whole[i]))
			if err == nil {
				checkPrintThenParse(t, m)
			}
		}
	})
}

func FuzzParseURI(f *testing.F) {
	for _, s := range []string{"sip:alice:pw@example.com:5060;transport=tcp?subject=x", "sips:%61@[2001:db8::1]:1;a=%41", "pres:a@b", "tel:+1;x=y", "sip:a;b?c@d;;e=?f&g=h", "sip:é#@h"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := ParseURI(s)
		if err != nil {
			return
		}
		again, err := ParseURI(u.String())
		if err != nil || again != u {
			t.Fatalf("%q prints as %q, which reads as %+v, %v", s, u, again, err)
		}
		if !u.Equal(u) {
			t.Fatalf("%q is not equal to itself", s)
		}
		aor := u.AOR()
		same, err := ParseURI(aor.String())
		if err != nil || same != aor || same.AOR() != aor {
			t.Fatalf("the address of record of %q is %q, then %+v, %v", s, aor, same.AOR(), err)
		}
	})
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{`"A \"B\"" <sip:a@b>;tag=1;x="y;z"`, "A B<sip:a@b?x=y>", "sip:a@b;tag=1", "<tel:1> ; a = b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddress(s)
		if err != nil {
			return
		}
		a.Tag()
		for range a.Params.All() {
		}
		if containsLineEnd(s) {
			return // rows hold none
		}
		again, err := ParseAddress(a.String())
		if err != nil || again.URI != a.URI || again.Display != a.Display || again.Tag() != a.Tag() {
			t.Fatalf("%q prints as %q, which reads as %+v, %v", s, a, again, err)
		}
	})
}

func FuzzParseVia(f *testing.F) {
	for _, s := range []string{"SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport", "sip / 2.0/ tcp [::1] : 1 ;x=\"y\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := ParseVia(s)
		if err != nil {
			return
		}
		if again, err := ParseVia(string(v.AppendTo(nil))); err != nil || again != v {
			t.Fatalf("%q reads as %+v, printed and read again %+v, %v", s, v, again, err)
		}
	})
}

// FuzzValues runs the readers of single values.
func FuzzValues(f *testing.F) {
	for _, s := range []string{`Digest a="b\"c", d=e`, "text/plain;q=0.5;x=y, */*", "presence;id=1", "multipart/mixed;boundary=b", "a,\"b,c\",<d,e>"} {
		f.Add(s, []byte("--b\r\nX: y\r\n\r\nz\r\n--b--"))
	}
	f.Fuzz(func(t *testing.T, s string, body []byte) {
		ParseAuth(s)
		ParseEvent(s)
		if a, err := ParseAccept(SplitList(s)); err == nil {
			a.Best("text/plain", s)
		}
		if got := Unquote(Quote(s)); !containsLineEnd(s) && got != s {
			t.Fatalf("%q comes back as %q", s, got)
		}
		parts, _ := Parts(s, body)
		total := 0
		for _, p := range parts {
			total += len(p.Body)
			p.ContentID()
		}
		if total > len(body) {
			t.Fatalf("parts of %d bytes hold %d", len(body), total)
		}
	})
}

func containsLineEnd(s string) bool { return singleLine(s) != s }
