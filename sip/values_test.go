package sip

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestParseAddress(t *testing.T) {
	for _, c := range []struct {
		row, in string
		want    Address
		tag     string
	}{
		{"", "<sip:alice@example.com>;tag=a1", Address{"", "sip:alice@example.com", ";tag=a1"}, "a1"},
		{"", `"Alice \"A\" <x>, dept" <sip:alice@example.com>`, Address{`Alice "A" <x>, dept`, "sip:alice@example.com", ""}, ""},
		{"MSG-14", `Alice<sip:alice@example.com>`, Address{"Alice", "sip:alice@example.com", ""}, ""},
		{"MSG-14", `Alice of Wonder  <sip:alice@example.com>`, Address{"Alice of Wonder", "sip:alice@example.com", ""}, ""},
		{"MSG-26", `Élodie <sip:dave@example.com>`, Address{"Élodie", "sip:dave@example.com", ""}, ""},
		{"MSG-18", "sip:alice@example.com;transport=tcp;tag=a1", Address{"", "sip:alice@example.com", ";transport=tcp;tag=a1"}, "a1"},
		{"MSG-18", "<sip:alice@example.com;transport=tcp> ; Tag = a1", Address{"", "sip:alice@example.com;transport=tcp", "; Tag = a1"}, "a1"},
		{"", `sip:alice@192.0.2.1;+sip.instance="<urn:uuid:1>"`, Address{"", "sip:alice@192.0.2.1", `;+sip.instance="<urn:uuid:1>"`}, ""},
		{"MSG-24", "<isbn:2983792873>", Address{"", "isbn:2983792873", ""}, ""},
		{"", "<sip:a,b?c@example.com>", Address{"", "sip:a,b?c@example.com", ""}, ""},
	} {
		t.Run(c.row+"/"+c.in, func(t *testing.T) {
			got, err := ParseAddress(c.in)
			if err != nil || got != c.want || got.Tag() != c.tag {
				t.Errorf("got %+v, tag %q, %v\nwant %+v, tag %q", got, got.Tag(), err, c.want, c.tag)
			}
		})
	}
}

func TestBadAddresses(t *testing.T) {
	for _, c := range []struct{ row, in, want string }{
		{"", "", "sip: empty address"},
		{"MSG-14", `"Alice <sip:alice@example.com>`, "sip: quoted string is not closed"},
		{"MSG-14", `"Alice\" <sip:alice@example.com>`, "sip: quoted string is not closed"},
		{"MSG-14", `Bell, Alexander <sip:a@example.com>`, "sip: display name 'Bell, Alexander' needs quotes"},
		{"MSG-14", `alice@home <sip:a@example.com>`, "sip: display name 'alice@home' needs quotes"},
		{"", `"Alice" sip:alice@example.com`, "sip: no < after the display name"},
		{"", `<sip:alice@example.com`, "sip: no > after the URI"},
		{"MSG-13", "<sip:alice@example.com>;;tag=1", "sip: empty parameter"},
		{"MSG-13", "<sip:alice@example.com>;", "sip: empty parameter"},
		{"", "<sip:alice@example.com>tag=1", "sip: unexpected 'tag=1' where a parameter should start"},
		{"", "<sip:alice@example.com>;x=a b", "sip: unexpected 'b' where a parameter should start"},
		{"", `<sip:alice@example.com>;x="a`, "sip: quoted string is not closed"},
		{"", "<sip:alice@example.com>, <sip:bob@example.com>", "sip: unexpected ', <sip:bob@example.com>' where a parameter should start"},
		{"", "sip:alice@example.com?subject=x", `sip: URI with "?" needs angle brackets`},
		{"", "<alice@example.com>", "sip: 'alice@example.com' has no URI scheme"},
		{"", "<>", "sip: '' has no URI scheme"},
	} {
		t.Run(c.row+"/"+c.in, func(t *testing.T) {
			if got, err := ParseAddress(c.in); err == nil || err.Error() != c.want {
				t.Errorf("got %+v, %v\nwant %s", got, err, c.want)
			}
		})
	}
}

func TestAddressPrints(t *testing.T) {
	a := Address{Display: `A "B" \ C`, URI: "sip:alice@example.com", Params: ";tag=1"}
	if got, want := a.String(), `"A \"B\" \\ C" <sip:alice@example.com>;tag=1`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	again, err := ParseAddress(a.String())
	if err != nil || again != a {
		t.Errorf("got %+v, %v", again, err)
	}
}

func TestParseVia(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Via
	}{
		{"SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa;rport", Via{"UDP", "192.0.2.1", 5060, "z9hG4bKa", ";branch=z9hG4bKa;rport"}},
		{"sip / 2.0 / tls  Host.Example.COM : 5061 ; Branch = z9hG4bKa", Via{"TLS", "host.example.com", 5061, "z9hG4bKa", " ; Branch = z9hG4bKa"}},
		{"SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bK1", Via{"WSS", "df7jal23ls0d.invalid", 0, "z9hG4bK1", ";branch=z9hG4bK1"}},
		{"SIP/2.0/Unknown [2001:DB8::9:1]", Via{"Unknown", "[2001:db8::9:1]", 0, "", ""}},
	} {
		got, err := ParseVia(c.in)
		if err != nil || got != c.want {
			t.Errorf("%s: got %+v, %v\nwant %+v", c.in, got, err, c.want)
		}
		again, err := ParseVia(string(got.AppendTo(nil)))
		if err != nil || again != got {
			t.Errorf("%s: printed and parsed it is %+v, %v", c.in, again, err)
		}
	}
	for _, c := range []struct{ in, want string }{
		{"", "sip: protocol is not of the form SIP/2.0/transport"},
		{"SIP/2.0/UDP", "sip: no blank between transport and sent-by"},
		{"SIP/2.0/ 192.0.2.1", "sip: no blank between transport and sent-by"},
		{"SIP/2.0/UDP ;branch=x", "sip: no host"},
		{"SIP/3.0/UDP 192.0.2.1", "sip: protocol 'SIP/3.0' is not SIP/2.0"},
		{"SIP/2.0/UDP 192.0.2.1:99999", "sip: port of '192.0.2.1:99999' is not between 1 and 65535"},
		{"SIP/2.0/UDP 2001:db8::1", "sip: IPv6 address '2001:db8::1' needs brackets"}, // MSG-29
		{"SIP/2.0/UDP 192.0.2.1;;branch=x", "sip: empty parameter"},                   // MSG-13
	} {
		if got, err := ParseVia(c.in); err == nil || err.Error() != c.want {
			t.Errorf("%s: got %+v, %v, want %s", c.in, got, err, c.want)
		}
	}
}

func TestSplitList(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []string
	}{
		{"a", []string{"a"}},
		{" a , b,c ", []string{"a", "b", "c"}},
		{`"a,b" <sip:x,y@example.com>;p="q,r", <sip:z@example.com>`, []string{`"a,b" <sip:x,y@example.com>;p="q,r"`, "<sip:z@example.com>"}},
		{"", nil},
		{" , ,a,,", []string{"a"}},
		{`"open, b`, []string{`"open, b`}},
		{`"a\",b", c`, []string{`"a\",b"`, "c"}},
	} {
		if got := slices.Collect(SplitList(c.in)); !slices.Equal(got, c.want) {
			t.Errorf("MSG-03: %s splits into %q, want %q", c.in, got, c.want)
		}
	}
	for item := range SplitList("a, b") {
		if item == "b" {
			t.Error("goes on after a break")
		}
		break
	}
}

func TestParams(t *testing.T) {
	p := Params(`;a=1; B = "x;\"y" ;lr;c=`)
	for _, c := range []struct {
		name, want string
		ok         bool
	}{{"a", "1", true}, {"A", "1", true}, {"b", `x;"y`, true}, {"lr", "", true}, {"c", "", true}, {"d", "", false}, {"", "", false}} {
		if got, ok := p.Get(c.name); got != c.want || ok != c.ok {
			t.Errorf("%s: got %q, %t, want %q, %t", c.name, got, ok, c.want, c.ok)
		}
	}
	want := map[string]string{"a": "1", "B": `x;"y`, "lr": "", "c": ""}
	if got := maps.Collect(p.All()); !maps.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestQuote(t *testing.T) {
	for _, s := range []string{"", "plain", `a "b" \c`, "tab\tand é", "\x01\x7f"} {
		if got := Unquote(Quote(s)); got != s {
			t.Errorf("%q comes back as %q from %s", s, got, Quote(s))
		}
		if quotedEnd(Quote(s), 0) != len(Quote(s)) {
			t.Errorf("%s is no whole quoted string", Quote(s))
		}
	}
	if got := Quote("a\r\nb"); got != `"a  b"` {
		t.Errorf("line end: got %s", got)
	}
}

func TestParseAuth(t *testing.T) {
	a, err := ParseAuth(`Digest username="alice", realm="example.com, inc",nonce = "x\"y" , URI="sip:example.com",algorithm=SHA-256, nc=00000001,qop=auth`)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, value string
		quoted, ok  bool
	}{
		{"username", "alice", true, true},
		{"realm", "example.com, inc", true, true}, // MSG-03: commas belong to the row
		{"nonce", `x"y`, true, true},
		{"uri", "sip:example.com", true, true},
		{"algorithm", "SHA-256", false, true},
		{"nc", "00000001", false, true},
		{"opaque", "", false, false},
	} {
		if got, ok := a.Get(c.name); got != c.value || ok != c.ok || a.Quoted(c.name) != c.quoted {
			t.Errorf("%s: got %q, %t, quoted %t", c.name, got, ok, a.Quoted(c.name))
		}
	}
	if a.Scheme != "Digest" || len(a.Params) != 7 {
		t.Errorf("scheme %s with %d parameters", a.Scheme, len(a.Params))
	}
	basic, err := ParseAuth("Basic YWxpY2U6eA==")
	if err != nil || basic.Scheme != "Basic" || basic.Token != "YWxpY2U6eA==" {
		t.Errorf("got %+v, %v", basic, err)
	}
	for _, c := range []struct{ in, want string }{
		{"", "sip: '' is no authentication scheme"},
		{`Digest username="a", username="b"`, "sip: authentication parameter username stands twice"},
		{`Digest username="a`, "sip: quoted string of username is not closed or followed by something"},
		{`Digest username="a"b`, "sip: quoted string of username is not closed or followed by something"},
		{"Digest a=1" + strings.Repeat(",b=1", 32), "sip: authentication parameter b stands twice"},
		{"Digest a=1,b=1,c=1,d=1,e=1,f=1,g=1,h=1,i=1,j=1,k=1,l=1,m=1,n=1,o=1,p=1,q=1,r=1,s=1,t=1,u=1,v=1,w=1,x=1,y=1,z=1,a1=1,a2=1,a3=1,a4=1,a5=1,a6=1,a7=1", "sip: too many authentication parameters"}, // SEC-17
		{`Digest username a`, "sip: 'username a' is no authentication parameter"},
		{`Digest nc=, qop=auth`, "sip: value of nc is no token"},
		{`Digest nc=a b`, "sip: value of nc is no token"},
	} {
		if _, err := ParseAuth(c.in); errText(err) != c.want {
			t.Errorf("%s: got %v, want %s", c.in, err, c.want)
		}
	}
}

func TestAccept(t *testing.T) {
	offered := []string{"application/pidf+xml", "application/xpidf+xml", "text/plain"}
	for _, c := range []struct{ accept, want string }{
		{"application/pidf+xml", "application/pidf+xml"},
		{"application/xpidf+xml, application/pidf+xml", "application/pidf+xml"},
		{"application/pidf+xml;q=0.5, application/xpidf+xml;q=0.501", "application/xpidf+xml"},
		{"*/*", "application/pidf+xml"},
		{"*/*;q=0.1, text/*;q=0.2", "text/plain"},
		{"*/*, application/pidf+xml;q=0", "application/xpidf+xml"},
		{"APPLICATION/PIDF+XML; q = 1.0", "application/pidf+xml"},
		{"application/pidf+xml;version=2", ""},
		{"application/cpim-pidf+xml", ""},
		{"", ""},
	} {
		a, err := ParseAccept(SplitList(c.accept))
		if err != nil {
			t.Errorf("%s: %v", c.accept, err)
		}
		if got, ok := a.Best(offered...); got != c.want || ok != (c.want != "") {
			t.Errorf("%s: best is %q, want %q", c.accept, got, c.want)
		}
	}
	a, _ := ParseAccept(SplitList(`multipart/related;type="application/rlmi+xml";q=0.3, multipart/*;q=0.2`))
	if q := a.Q(`multipart/related;type="application/rlmi+xml";boundary=x`); q != 0.3 {
		t.Errorf("the closest range gives %v, want 0.3", q)
	}
	if q := a.Q("multipart/mixed"); q != 0.2 {
		t.Errorf("the wide range gives %v, want 0.2", q)
	}
	if _, err := ParseAccept(SplitList("application")); err == nil {
		t.Error("a range without subtype is taken")
	}
}

func TestMediaType(t *testing.T) {
	m, err := ParseMediaType(` Multipart / Related ; boundary="a b" `)
	if err != nil || m.Name() != "multipart/related" || m.Q() != 1 {
		t.Errorf("got %+v, %v", m, err)
	}
	if b, _ := m.Params.Get("boundary"); b != "a b" {
		t.Errorf("boundary is %q", b)
	}
	for q, want := range map[string]float64{"0": 0, "0.25": 0.25, "1.000": 1, "2": 1, "x": 1, ".5": 0.5, "0.1234": 1, "-1": 1, "NaN": 1} {
		if got := (MediaType{Params: Params(";q=" + q)}).Q(); got != want {
			t.Errorf("q=%s gives %v, want %v", q, got, want)
		}
	}
}

func TestParseEvent(t *testing.T) {
	e, err := ParseEvent("presence.winfo ; id = 7;x")
	if err != nil || e.Package != "presence.winfo" || e.ID != "7" {
		t.Errorf("got %+v, %v", e, err)
	}
	for _, bad := range []string{"", ";id=1", "presence id=1", "presence;"} {
		if e, err := ParseEvent(bad); err == nil {
			t.Errorf("%q gives %+v", bad, e)
		}
	}
}

func TestHeaderNames(t *testing.T) {
	for id := HeaderUnknown + 1; id < headerCount; id++ {
		name := id.String()
		if name == "" {
			t.Fatalf("header %d has no name", id)
		}
		for _, spelt := range []string{name, strings.ToUpper(name), strings.ToLower(name)} {
			if got := HeaderByName(spelt); got != id { // MSG-01
				t.Errorf("%s is taken for %q", spelt, got)
			}
		}
	}
	for compact, want := range map[string]HeaderID{"i": HeaderCallID, "M": HeaderContact, "e": HeaderContentEncoding, "L": HeaderContentLength,
		"c": HeaderContentType, "f": HeaderFrom, "s": HeaderSubject, "k": HeaderSupported, "T": HeaderTo, "v": HeaderVia, "o": HeaderEvent, "u": HeaderAllowEvents} {
		if got := HeaderByName(compact); got != want {
			t.Errorf("MSG-01: %s is %s, want %s", compact, got, want)
		}
	}
	for _, unknown := range []string{"", "z", "1", "X-Unknown", "Fro", "Vi\x41\x00", "From ", "\rall-ID", "Cal\x0c-ID"} {
		if got := HeaderByName(unknown); got != HeaderUnknown {
			t.Errorf("%q is taken for %s", unknown, got)
		}
	}
}

// UAS-07: what we generate is unguessable. Every place of a tag shows every
// digit it can, so that none of its 64 bits (RFC 3261 §19.3 asks for 32) stands
// still; that the bits come from ChaCha8 is for a reader to see.
func TestIdentifiers(t *testing.T) {
	t.Run("UAS-07/every-place-takes-every-digit", func(t *testing.T) {
		var digits [13]map[byte]int
		for i := range digits {
			digits[i] = map[byte]int{}
		}
		const tags = 4096
		for range tags {
			for i, c := range []byte(NewTag()) {
				digits[i][c]++
			}
		}
		for i, seen := range digits {
			want := 32 // five bits
			if i == len(digits)-1 {
				want = 16 // the last four of the 64
			}
			if len(seen) != want {
				t.Errorf("place %d shows %d digits, want %d", i, len(seen), want)
			}
			for c, n := range seen {
				if n > 2*tags/want {
					t.Errorf("place %d is %c %d times of %d", i, c, n, tags)
				}
			}
		}
	})
	if tag, branch, call := len(NewTag()), len(NewBranch()), len(NewCallID()); tag < 13 || branch < 7+13 || call < 26 {
		t.Errorf("UAS-07: lengths are %d, %d, %d", tag, branch, call)
	}
	seen := map[string]bool{}
	for range 1000 {
		for _, id := range []string{NewTag(), NewBranch(), NewCallID()} {
			if seen[id] || !IsToken(id) || len(id) < 13 {
				t.Fatalf("identifier %q", id)
			}
			seen[id] = true
		}
	}
	if !strings.HasPrefix(NewBranch(), "z9hG4bK") {
		t.Error("branch without its cookie")
	}
}

// MSG-27: parts by boundary, any octets in them, their fields at hand.
func TestParts(t *testing.T) {
	body := "preamble\r\n--b1\r\nContent-Type: text/plain\r\nContent-ID: <a@example.com>\r\nContent-Disposition:\r\n render\r\n\r\nhel\x00lo\r\n--b1x\r\n" +
		"\r\n--b1  \r\n\r\nno fields\r\n--b1\r\nContent-Type: application/xml\r\n\r\n\r\n--b1--\r\nepilogue"
	parts, err := Parts(`multipart/mixed; boundary="b1"`, []byte(body))
	if err != nil || len(parts) != 3 {
		t.Fatalf("%d parts, %v", len(parts), err)
	}
	for i, want := range []string{"hel\x00lo\r\n--b1x\r\n", "no fields", ""} {
		if got := string(parts[i].Body); got != want {
			t.Errorf("MSG-27: part %d is %q, want %q", i, got, want)
		}
	}
	disposition, _ := parts[0].Header(HeaderContentDisposition)
	if parts[0].ContentID() != "a@example.com" || disposition != "render" {
		t.Errorf("MSG-27: Content-ID %q, Content-Disposition %q", parts[0].ContentID(), disposition)
	}
	for _, c := range []struct{ contentType, body, want string }{
		{"multipart/mixed", "--b\r\n\r\n--b--", "sip: 'multipart/mixed' is no multipart type with a boundary"},
		{"text/plain;boundary=b", "--b\r\n\r\n--b--", "sip: 'text/plain;boundary=b' is no multipart type with a boundary"},
		{"multipart/mixed;boundary=b", "nothing", "sip: multipart body lacks its boundary"},
		{"multipart/mixed;boundary=b", "--b\r\n\r\nx", "sip: multipart body is not closed by its boundary"},
		{"multipart/mixed;boundary=b", "--b\r\nContent-Type: x\r\n--b--", "sip: part has no blank line after its header fields"},
		{"multipart/mixed;boundary=b", strings.Repeat("--b\r\n\r\n\r\n", 1100) + "--b--", "sip: multipart body has too many parts"},
	} {
		if parts, err := Parts(c.contentType, []byte(c.body)); errText(err) != c.want {
			t.Errorf("%s %.20q: got %d parts, %v, want %s", c.contentType, c.body, len(parts), err, c.want)
		}
	}
}

func TestReasonPhrase(t *testing.T) {
	for status, want := range map[int]string{200: "OK", 423: "Interval Too Brief", 489: "Bad Event", 412: "Conditional Request Failed", 299: "OK", 499: "Bad Request", 699: "Global Failure"} {
		if got := ReasonPhrase(status); got != want {
			t.Errorf("%d: got %s, want %s", status, got, want)
		}
	}
}
