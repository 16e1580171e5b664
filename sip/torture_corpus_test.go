//go:build corpus

package sip

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// tortureDir is where the messages of RFC 4475 and RFC 5118 are.
func tortureDir(t testing.TB) string {
	t.Helper()
	corpus := os.Getenv("VIGIE_CORPUS")
	if corpus == "" {
		t.Fatal("VIGIE_CORPUS does not name the corpus directory")
	}
	return filepath.Join(corpus, "testdata", "torture")
}

type tortureRow struct {
	file     string
	expected []string
}

// tortureTable reads the table in the corpus's README, so that no row is forgotten.
func tortureTable(t testing.TB) (rows []tortureRow) {
	t.Helper()
	readme, err := os.ReadFile(filepath.Join(tortureDir(t), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(readme), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) < 6 || !strings.HasSuffix(strings.TrimSpace(cells[1]), ".dat") {
			continue
		}
		row := tortureRow{file: strings.TrimSpace(cells[1])}
		for e := range strings.SplitSeq(cells[4], ",") {
			row.expected = append(row.expected, strings.TrimSpace(e))
		}
		rows = append(rows, row)
	}
	return rows
}

func tortureMessage(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(tortureDir(t), file))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// The outcome of every torture message, as far as the parser decides it
// (RFC 4475, RFC 5118).
func TestTortureMessages(t *testing.T) {
	rows := tortureTable(t)
	files, err := filepath.Glob(filepath.Join(tortureDir(t), "*.dat"))
	if err != nil || len(rows) != len(files) || len(rows) < 60 {
		t.Fatalf("the table has %d rows, the directory %d messages (%v)", len(rows), len(files), err)
	}
	for _, row := range rows {
		t.Run(row.file, func(t *testing.T) {
			m, err := Parse(tortureMessage(t, row.file))
			if m == nil {
				t.Fatal("no message")
			}
			var refused *ParseError
			if err != nil && !errors.As(err, &refused) {
				t.Fatalf("error is %T, want *ParseError", err)
			}
			if refused != nil && refused.Message != m {
				t.Error("the error does not hold the message")
			}
			if want := row.outcomes(); !want(m, refused) {
				t.Errorf("got %v, want %s", err, strings.Join(row.expected, " or "))
			}
			if err == nil {
				checkPrintThenParse(t, m)
			}
		})
	}
}

// outcomes makes a predicate of the expected column. Any code that the parser
// does not give itself (404, 416, 420, …) means to it that the message is fine.
func (row tortureRow) outcomes() func(*Message, *ParseError) bool {
	return func(m *Message, err *ParseError) bool {
		for _, expected := range row.expected {
			switch expected {
			case "parse":
				if err == nil && m.IsRequest() {
					return true
				}
			case "none": // allowed beside a code: the message may not be answerable
				if err != nil && !err.Answerable {
					return true
				}
			case "drop":
				if !m.IsRequest() && (err == nil || !err.Answerable) {
					return true
				}
			case "4xx", "501":
				if err == nil || err.Status/100 == 4 || err.Status == 501 {
					return true
				}
			default:
				code, _ := strconv.Atoi(expected)
				parserGives := code == 400 || code == 505 || code == 513
				if parserGives && err != nil && err.Status == code || !parserGives && err == nil {
					return true
				}
			}
		}
		return false
	}
}

// What RFC 4475 and RFC 5118 say is wrong with a message is what we say is wrong.
func TestTortureReasons(t *testing.T) {
	for _, c := range []struct {
		file, row  string
		status     int
		reason     string
		answerable bool
	}{
		{"badinv01.dat", "MSG-13", 400, "Via: empty parameter", true},
		{"clerr.dat", "MSG-09", 400, "Content-Length exceeds the body", true},
		{"ncl.dat", "MSG-10", 400, "Content-Length is not a number", true},
		{"scalar02.dat", "MSG-06", 400, "CSeq number exceeds 2^32-1", true},
		{"scalarlg.dat", "MSG-28", 400, "CSeq number exceeds 2^32-1", false},
		{"quotbal.dat", "MSG-14", 400, "To: quoted string is not closed", true},
		{"ltgtruri.dat", "MSG-15", 400, "Request-URI stands in angle brackets", true},
		{"lwsruri.dat", "MSG-15", 400, "blank in the Request-URI", true},
		{"lwsstart.dat", "MSG-15", 400, "more than one blank in the request line", true},
		{"trws.dat", "MSG-15", 400, "request line ends with a blank", true},
		{"escruri.dat", "MSG-15", 400, "Request-URI has header fields", true},
		{"regbadct.dat", "MSG-15", 400, `Contact: URI with "?" needs angle brackets`, true},
		{"badaspec.dat", "MSG-14", 400, "To: URI starts with a blank", true},
		{"baddn.dat", "MSG-04", 400, "no blank line after the header fields", true}, // as the archive has it
		{"badvers.dat", "MSG-07", 505, "version 'SIP/7.0' is not SIP/2.0", true},
		{"mismatch01.dat", "MSG-06", 400, "CSeq method differs from the method of the request", true},
		{"mismatch02.dat", "MSG-06", 501, "CSeq method differs from the method of the request", true},
		{"bigcode.dat", "MSG-28", 400, "status code is not between 100 and 699", false},
		{"insuf.dat", "MSG-04", 400, "no From", false},
		{"multi01.dat", "MSG-05", 400, "more than one CSeq", true},
		{"mcl01.dat", "MSG-10", 400, "more than one Content-Length", true},
		{"test.dat", "MSG-04", 400, "request line does not end with SIP/2.0", false},
		{"rfc5118-ipv6-bad.dat", "MSG-29", 400, "Request-URI: IPv6 address '2001:db8::10' needs brackets", true},
	} {
		t.Run(c.row+"/"+c.file, func(t *testing.T) {
			_, err := Parse(tortureMessage(t, c.file))
			var refused *ParseError
			if !errors.As(err, &refused) {
				t.Fatalf("got %v, want *ParseError", err)
			}
			if refused.Status != c.status || refused.Reason != c.reason || refused.Answerable != c.answerable {
				t.Errorf("got %d %q answerable=%t\nwant %d %q answerable=%t",
					refused.Status, refused.Reason, refused.Answerable, c.status, c.reason, c.answerable)
			}
		})
	}
}

// What can be read is read right: the values RFC 4475 and RFC 5118 talk about.
func TestTortureValues(t *testing.T) {
	header := func(id HeaderID) func(*Message) string {
		return func(m *Message) string { v, _ := m.Header(id); return v }
	}
	list := func(id HeaderID) func(*Message) string {
		return func(m *Message) string {
			var items []string
			for item := range m.Values(id) {
				items = append(items, item)
			}
			return strings.Join(items, " | ")
		}
	}
	user := func(m *Message) string { return MustURI(m.RequestURI).User }
	contact := func(m *Message) Address {
		value, _ := m.Header(HeaderContact)
		a, _ := ParseAddress(value)
		return a
	}
	for _, c := range []struct {
		file, name string
		got        func(*Message) string
		want       string
	}{
		{"wsinv.dat", "MSG-01/compact-forms", header(HeaderContact), `"Quoted string \"\"" <sip:jdrosen@example.com> ; newparam = newvalue ; secondparam ; q = 0.33`},
		{"wsinv.dat", "MSG-02/folded-via", func(m *Message) string { return m.Via.Transport + " " + m.Via.Host + " " + m.Via.Branch }, "UDP 192.0.2.2 390skdjuw"},
		{"wsinv.dat", "MSG-02/folded-to", func(m *Message) string { return m.To.Tag() }, "1918181833n"},
		{"wsinv.dat", "MSG-02/folded-cseq", func(m *Message) string { return strconv.Itoa(int(m.CSeq.Number)) + m.CSeq.Method }, "9INVITE"},
		{"wsinv.dat", "display", func(m *Message) string { return m.From.Display }, `J Rosenberg \"`},
		{"wsinv.dat", "MSG-03/via-list", func(m *Message) string {
			var hops []string
			for item := range m.Values(HeaderVia) {
				via, err := ParseVia(item)
				if err != nil {
					return err.Error()
				}
				hops = append(hops, via.Transport+" "+via.Host+" "+via.Branch)
			}
			return strings.Join(hops, ", ")
		}, "UDP 192.0.2.2 390skdjuw, TCP spindle.example.com z9hG4bK9ikj8, UDP 192.168.255.111 z9hG4bK30239"},
		{"wsinv.dat", "MSG-17/unknown-header", func(m *Message) string {
			for _, h := range m.Headers {
				if h.Name == "UnknownHeaderWithUnusualValue" {
					return h.Value
				}
			}
			return "missing"
		}, ";;,,;;,;"},
		{"wsinv.dat", "max-forwards", func(m *Message) string { n, _ := m.MaxForwards(); return strconv.Itoa(n) }, "68"},
		{"intmeth.dat", "MSG-08/method", func(m *Message) string { return m.Method }, "!interesting-Method0123456789_*+`.%indeed'~"},
		{"intmeth.dat", "display-escapes", func(m *Message) string { return m.To.Display }, "BEL:\a NUL:\x00 DEL:\x7f"},
		{"intmeth.dat", "unquoted-display", func(m *Message) string { return m.From.Display }, "token1~` token2'+_ token3*%!.-"},
		{"intmeth.dat", "user", func(m *Message) string { u := MustURI(m.RequestURI); return u.User + " " + u.Password + " " + u.Host }, "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;* &it+has=1,weird!*pas$wo~d_too.(doesn't-it) example.com"},
		{"esc01.dat", "MSG-19/once", func(m *Message) string { return Unescape(user(m)) }, "sips:user@example.com"},
		{"esc01.dat", "MSG-19/double", func(m *Message) string {
			u, _ := contact(m).Parsed()
			value, _ := u.Params.Get("n%61me")
			return Unescape(value)
		}, "value%41"},
		{"escnull.dat", "MSG-19/nul", func(m *Message) string { u, _ := m.To.Parsed(); return Unescape(u.User) }, "null-\x00-null"},
		{"escnull.dat", "MSG-03/rows", list(HeaderContact), "<sip:%00@host5.example.com> | <sip:%00%00@host5.example.com>"},
		{"esc02.dat", "MSG-08/percent-method", func(m *Message) string { return m.Method + " " + m.CSeq.Method }, "RE%47IST%45R RE%47IST%45R"},
		{"lwsdisp.dat", "MSG-14/touching", func(m *Message) string { return m.From.Display + " " + m.From.URI }, "caller sip:caller@example.com"},
		{"dblreq.dat", "MSG-09/surplus", func(m *Message) string { return m.Method + strconv.Itoa(len(m.Body)) }, "REGISTER0"},
		{"semiuri.dat", "MSG-19/semicolon", user, "user;par=u%40example.net"},
		{"transports.dat", "transports", list(HeaderVia), "SIP/2.0/UDP t1.example.com;branch=z9hG4bKkdjuw | SIP/2.0/SCTP t2.example.com;branch=z9hG4bKklasjdhf | SIP/2.0/TLS t3.example.com;branch=z9hG4bK2980unddj | SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKasd0f3en | SIP/2.0/TCP t5.example.com;branch=z9hG4bK0a9idfnee"},
		{"longreq.dat", "MSG-25/long-values", func(m *Message) string { return strconv.FormatBool(len(m.CallID) > 100 && len(m.From.Tag()) > 100) }, "true"},
		{"unreason.dat", "MSG-26/utf8-reason", func(m *Message) string { return m.Reason }, "= 2**3 * 5**2 но сто девяносто девять - простое"},
		{"noreason.dat", "MSG-26/no-reason", func(m *Message) string { return strconv.Itoa(m.Status) + m.Reason }, "100"},
		{"baddate.dat", "MSG-16/date", header(HeaderDate), "Fri, 01 Jan 2010 16:00:00 EST"},
		{"badbranch.dat", "MSG-31/bare-cookie", func(m *Message) string { return m.Via.Branch }, "z9hG4bK"},
		{"inv2543.dat", "MSG-31/no-branch-no-tag", func(m *Message) string { return m.Via.Branch + m.From.Tag() }, ""},
		{"unksm2.dat", "MSG-24/schemes", func(m *Message) string { return m.To.URI + " " + m.From.URI + " " + contact(m).URI }, "isbn:2983792873 http://www.example.com name:John_Smith"},
		{"unkscm.dat", "MSG-23/scheme", func(m *Message) string { return MustURI(m.RequestURI).Scheme }, "nobodyknowsthisscheme"},
		{"bext01.dat", "require", list(HeaderRequire), "nothingSupportsThis | nothingSupportsThisEither"},
		{"regaut01.dat", "auth", func(m *Message) string {
			v, _ := m.Header(HeaderAuthorization)
			a, err := ParseAuth(v)
			return a.Scheme + errText(err)
		}, "NoOneKnowsThisScheme"},
		{"cparam01.dat", "MSG-18/header-parameter", func(m *Message) string {
			u, _ := contact(m).Parsed()
			return string(u.Params + "|" + contact(m).Params)
		}, "|;unknownparam"},
		{"cparam02.dat", "MSG-18/uri-parameter", func(m *Message) string {
			u, _ := contact(m).Parsed()
			return string(u.Params + "|" + contact(m).Params)
		}, ";unknownparam|"},
		{"regescrt.dat", "uri-headers", func(m *Message) string { u, _ := contact(m).Parsed(); return u.Headers }, "Route=%3Csip:sip.example.com%3E"},
		{"mpart01.dat", "MSG-27/parts", func(m *Message) string {
			contentType, _ := m.Header(HeaderContentType)
			parts, err := Parts(contentType, m.Body)
			var b strings.Builder
			for _, p := range parts {
				kind, _ := p.Header(HeaderContentType)
				b.WriteString(kind + ":" + strconv.Itoa(len(p.Body)) + " ")
			}
			return b.String() + errText(err)
		}, "text/plain:5 application/octet-stream:342 "},
		{"rfc5118-ipv6-good.dat", "MSG-29/host", func(m *Message) string { return MustURI(m.RequestURI).Host + " " + m.Via.Host }, "[2001:db8::10] [2001:db8::9:1]"},
		{"rfc5118-port-ambiguous.dat", "MSG-29/port-inside", func(m *Message) string { u := MustURI(m.RequestURI); return u.Host + " " + strconv.Itoa(int(u.Port)) }, "[2001:db8::10:5070] 0"},
		{"rfc5118-port-unambiguous.dat", "MSG-29/port-outside", func(m *Message) string { u := MustURI(m.RequestURI); return u.Host + " " + strconv.Itoa(int(u.Port)) }, "[2001:db8::10] 5070"},
		{"rfc5118-via-received-param-with-delim.dat", "MSG-29/received", func(m *Message) string { a, _ := m.Via.Received(); return a.String() }, "2001:db8::9:255"},
		{"rfc5118-via-received-param-no-delim.dat", "MSG-29/received-bare", func(m *Message) string { a, _ := m.Via.Received(); return a.String() }, "2001:db8::9:255"},
		{"rfc5118-ipv4-mapped-ipv6.dat", "MSG-29/mapped", func(m *Message) string { return m.Via.Host + " " + strconv.Itoa(int(m.Via.Port)) }, "[::ffff:192.0.2.10] 19823"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := Parse(tortureMessage(t, c.file))
			if err != nil {
				t.Fatal(err)
			}
			if got := c.got(m); got != c.want {
				t.Errorf("%s: got %q, want %q", c.file, got, c.want)
			}
		})
	}
}

func TestStreamOfTortureMessages(t *testing.T) {
	for file, want := range map[string]string{
		"ncl.dat":   "sip: Content-Length is not a number", // MSG-10, RFC 4475 §3.1.2.3
		"mcl01.dat": "sip: more than one Content-Length",   // MSG-10, RFC 4475 §3.3.9
		"wsinv.dat": "",
	} {
		data := tortureMessage(t, file)
		_, n, err := SplitStream(data, 65535)
		if errText(err) != want || (want == "") != (n == len(data)) {
			t.Errorf("MSG-10: %s gives %d of %d bytes, %v, want %s", file, n, len(data), err, want)
		}
	}
}
