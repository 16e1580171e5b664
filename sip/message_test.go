package sip

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// options makes an OPTIONS request of which one row is replaced or dropped ("")
// and to which others are added.
func options(drop, add string) string {
	var b strings.Builder
	b.WriteString("OPTIONS sip:example.com SIP/2.0\r\n")
	for _, row := range []string{"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1", "From: <sip:alice@example.com>;tag=a1",
		"To: <sip:bob@example.com>", "Call-ID: c1", "CSeq: 1 OPTIONS", "Max-Forwards: 70"} {
		if name, _, _ := strings.Cut(row, ":"); name != drop {
			b.WriteString(row + "\r\n")
		}
	}
	b.WriteString(add)
	b.WriteString("\r\n")
	return b.String()
}

func TestBadMessages(t *testing.T) {
	many := strings.Repeat("X: y\r\n", 256)
	for _, c := range []struct {
		row, name, in string
		status        int
		reason        string
		answerable    bool
	}{
		{"MSG-04", "no-via", options("Via", ""), 400, "no Via", false},
		{"MSG-04", "no-from", options("From", ""), 400, "no From", false},
		{"MSG-04", "no-to", options("To", ""), 400, "no To", false},
		{"MSG-04", "no-call-id", options("Call-ID", ""), 400, "no Call-ID", false},
		{"MSG-04", "no-cseq", options("CSeq", ""), 400, "no CSeq", false},
		{"MSG-04", "empty-call-id", options("Call-ID", "Call-ID:\r\n"), 400, "Call-ID is not one word", true},
		{"MSG-05", "two-call-ids", options("", "i: c2\r\n"), 400, "more than one Call-ID", true},
		{"MSG-05", "two-tos", options("", "t: <sip:a@example.com>\r\n"), 400, "more than one To", true},
		{"MSG-05", "two-froms", options("", "f: <sip:a@example.com>\r\n"), 400, "more than one From", true},
		{"MSG-05", "two-cseqs", options("", "CSeq: 2 OPTIONS\r\n"), 400, "more than one CSeq", true},
		{"MSG-05", "two-max-forwards", options("", "Max-Forwards: 1\r\n"), 400, "more than one Max-Forwards", true},
		{"MSG-06", "cseq-too-large", options("CSeq", "CSeq: 4294967296 OPTIONS\r\n"), 400, "CSeq number exceeds 2^32-1", true},
		{"MSG-06", "cseq-no-number", options("CSeq", "CSeq: -1 OPTIONS\r\n"), 400, "CSeq does not start with a number", true},
		{"MSG-06", "cseq-no-method", options("CSeq", "CSeq: 1\r\n"), 400, "CSeq has no method", true},
		{"MSG-06", "known-method", options("CSeq", "CSeq: 1 INVITE\r\n"), 400, "CSeq method differs from the method of the request", true},
		{"MSG-06", "unknown-method", strings.Replace(options("CSeq", "CSeq: 1 INVITE\r\n"), "OPTIONS", "PONDER", 1), 501, "CSeq method differs from the method of the request", true},
		{"MSG-07", "later-version", strings.Replace(options("", ""), "SIP/2.0", "SIP/3.0", 1), 505, "version 'SIP/3.0' is not SIP/2.0", true},
		{"MSG-07", "other-protocol", strings.Replace(options("", ""), "SIP/2.0", "HTTP/1.1", 1), 400, "request line does not end with SIP/2.0", true},
		{"MSG-08", "method-is-no-token", strings.Replace(options("", ""), "OPTIONS", "OPT[ONS", 1), 400, "request line does not start with a method", false},
		{"MSG-09", "short-body", options("", "Content-Length: 5\r\n") + "abcd", 400, "Content-Length exceeds the body", true},
		{"MSG-10", "negative-length", options("", "Content-Length: -1\r\n"), 400, "Content-Length is not a number", true},
		{"MSG-10", "huge-length", options("", "Content-Length: 99999999999999999999\r\n"), 400, "Content-Length is too large", true},
		{"MSG-10", "two-lengths", options("", "l: 1\r\nContent-Length: 2\r\n") + "ab", 400, "more than one Content-Length", true},
		{"MSG-13", "contact-comma", options("", "Contact: <sip:a@example.com>,\r\n"), 400, "Contact: empty list member", true},
		{"MSG-13", "contact-semicolon", options("", "m: <sip:a@example.com>;;q=1\r\n"), 400, "Contact: empty parameter", true},
		{"MSG-13", "via-comma", options("Via", "Via: SIP/2.0/UDP 192.0.2.1,,SIP/2.0/UDP 192.0.2.2\r\n"), 400, "Via: empty list member", true},
		{"MSG-13", "via-comma-first", options("Via", "Via: ,SIP/2.0/UDP 192.0.2.1\r\n"), 400, "Via: empty list member", false},
		{"MSG-15", "doubled-blank", strings.Replace(options("", ""), "OPTIONS ", "OPTIONS  ", 1), 400, "more than one blank in the request line", true},
		{"MSG-15", "trailing-blank", strings.Replace(options("", ""), "SIP/2.0", "SIP/2.0 ", 1), 400, "request line ends with a blank", true},
		{"MSG-29", "via-without-brackets", options("Via", "Via: SIP/2.0/UDP 2001:db8::1\r\n"), 400, "Via: IPv6 address '2001:db8::1' needs brackets", false},
		{"", "ack", strings.ReplaceAll(options("Max-Forwards", "Max-Forwards: 1\r\nMax-Forwards: 1\r\n"), "OPTIONS", "ACK"), 400, "more than one Max-Forwards", false},
		{"", "no-blank-line", strings.TrimSuffix(options("", ""), "\r\n"), 400, "no blank line after the header fields", true},
		{"", "bare-lf", options("", "X: y\nZ: z\r\n"), 400, "line is not ended by CRLF", true},
		{"", "bare-cr", options("", "X: y\rZ: z\r\n"), 400, "carriage return within a line", true},
		{"", "bare-cr-in-what-is-copied", options("From", "From: \"a\rX: y\" <sip:alice@example.com>;tag=a\r\n"), 400, "carriage return within a line", true},
		{"", "bare-cr-beside-a-bare-lf", options("From", "X: y\nFrom: <sip:alice@example.com>;tag=a\r\r\n"), 400, "line is not ended by CRLF", true},
		{"", "no-colon", options("", "Foobar roobar\r\n"), 400, "header row 'Foobar roobar' has no colon", true},
		{"", "no-header-name", options("", ": x\r\n"), 400, "header name '' is no token", true},
		{"", "header-name", options("", "X(y): x\r\n"), 400, "header name 'X(y)' is no token", true},
		{"", "blank-before-first-row", strings.Replace(options("", ""), "\r\nVia", "\r\n Via", 1), 400, "header name ' Via' is no token", false},
		{"MSG-25", "too-many-rows", options("", many), 513, "too many header fields", true},
		{"MSG-25", "too-large", options("", "X: "+strings.Repeat("y", 70000)+"\r\n"), 513, "header fields are too large", true},
		{"MSG-28", "status-above-699", "SIP/2.0 700 Odd\r\n" + "Via: SIP/2.0/UDP 192.0.2.1\r\n" + basics("OPTIONS") + "\r\n", 400, "status code is not between 100 and 699", false},
		{"MSG-28", "status-of-two-digits", "SIP/2.0 99 Odd\r\n" + "Via: SIP/2.0/UDP 192.0.2.1\r\n" + basics("OPTIONS") + "\r\n", 400, "status code is not between 100 and 699", false},
		{"MSG-09", "short-response", "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1\r\n" + basics("OPTIONS") + "l: 4\r\n\r\nabc", 400, "Content-Length exceeds the body", false},
		{"", "empty", "", 400, "no blank line after the header fields", false},
		{"", "line-ends", "\r\n\r\n\r\n", 400, "no blank line after the header fields", false},
		{"", "binary", "\x00\x01\x02\xff", 400, "no blank line after the header fields", false},
	} {
		t.Run(c.row+"/"+c.name, func(t *testing.T) {
			m, err := Parse([]byte(c.in))
			var refused *ParseError
			if !errors.As(err, &refused) {
				t.Fatalf("got %v, want *ParseError", err)
			}
			if refused.Status != c.status || refused.Reason != c.reason || refused.Answerable != c.answerable {
				t.Errorf("got %d %q answerable=%t\nwant %d %q answerable=%t",
					refused.Status, refused.Reason, refused.Answerable, c.status, c.reason, c.answerable)
			}
			if m == nil || refused.Message != m {
				t.Error("the message read so far is missing")
			}
			if refused.Answerable {
				checkAnswer(t, refused)
			}
		})
	}
}

// checkAnswer makes sure that the response to a refused request goes out with
// the rows its sender matches it by.
func checkAnswer(t testing.TB, refused *ParseError) {
	t.Helper()
	response := NewResponse(refused.Message, refused.Status, refused.Reason, "t1")
	for _, id := range []HeaderID{HeaderFrom, HeaderTo, HeaderCallID, HeaderCSeq} {
		want, _ := refused.Message.Header(id)
		got, _ := response.Header(id)
		if !strings.HasPrefix(got, want) || response.Count(id) != 1 {
			t.Errorf("%s of the response is %q, of the request %q", id, got, want)
		}
	}
	if got, want := slices.Collect(response.Rows(HeaderVia)), slices.Collect(refused.Message.Rows(HeaderVia)); !slices.Equal(got, want) {
		t.Errorf("Via of the response is %q, want %q", got, want)
	}
	if text := string(response.Bytes()); strings.Count(text, "\r\n\r\n") != 1 || strings.Count(text, "\r") != strings.Count(text, "\r\n") {
		t.Errorf("the response is not one message:\n%s", response.Bytes())
	}
}

func TestTolerated(t *testing.T) {
	for _, c := range []struct{ row, name, in string }{
		{"MSG-07", "version-in-lower-case", strings.Replace(options("", ""), "SIP/2.0", "sip/2.0", 1)},
		{"MSG-10", "equal-lengths", options("", "l: 0\r\nContent-Length: 0\r\n")},
		{"MSG-11", "line-ends-ahead", "\r\n\r\n" + options("", "")},
		{"MSG-16", "odd-values", options("", "Date: tomorrow\r\nExpires: soon\r\nAccept: /;;,\r\nEvent:\r\nMax-Breadth: -\r\n")},
		{"MSG-26", "utf-8", options("From", "From: \"Zoë\" <sip:alice@example.com>;tag=a;x=\"ü\"\r\nX-Note: ümläut\r\n")},
		{"MSG-31", "no-max-forwards", options("Max-Forwards", "")},
		{"MSG-31", "no-tag-no-branch", options("From", "From: sip:alice@example.com\r\n")},
		{"MSG-28", "response-with-odd-contact", "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1\r\n" + basics("OPTIONS") + "Contact: ;;\r\n\r\n"},
		{"MSG-26", "no-reason-phrase", "SIP/2.0 200\r\nVia: SIP/2.0/UDP 192.0.2.1\r\n" + basics("OPTIONS") + "\r\n"},
		{"MSG-24", "contact-star", options("", "Contact: *\r\n")},
		{"MSG-12", "largest-datagram", options("", "Content-Type: x/y\r\n") + strings.Repeat("b", 65535-len(options("", "Content-Type: x/y\r\n")))},
	} {
		t.Run(c.row+"/"+c.name, func(t *testing.T) {
			checkPrintThenParse(t, mustParse(t, c.in))
		})
	}
}

// MSG-09: Content-Length cuts the body of a datagram, without it the body runs to the end.
func TestDatagramBody(t *testing.T) {
	for _, c := range []struct{ row, in, want string }{
		{"Content-Length: 3\r\n", "abcdef", "abc"},
		{"", "abcdef", "abcdef"},
		{"Content-Length: 0\r\n", "abc", ""},
		{"", "", ""},
		{"", "a\r\n\r\n", "a\r\n\r\n"},
		{"l: 2\r\n", "\r\n\r\n", "\r\n"},
	} {
		m := mustParse(t, options("", c.row)+c.in)
		if string(m.Body) != c.want || (m.Body == nil) != (c.want == "") {
			t.Errorf("MSG-09: body %q with %q is read as %q, want %q", c.in, c.row, m.Body, c.want)
		}
	}
}

func TestParseFramedNeedsItsLength(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{options("", ""), "sip: no Content-Length"},
		{options("", "l: 1\r\n") + "ab", "sip: Content-Length is less than the body"},
		{options("", "l: 3\r\n") + "ab", "sip: Content-Length exceeds the body"},
		{options("", "l: 2\r\n") + "ab", ""},
	} {
		if _, err := (Limits{}).ParseFramed([]byte(c.in)); errText(err) != c.want {
			t.Errorf("MSG-10: got %v, want %s", err, c.want)
		}
	}
}

func TestLimits(t *testing.T) {
	data := []byte(options("", "X: "+strings.Repeat("y", 5000)+"\r\n")) // MSG-25
	for _, c := range []struct {
		limits Limits
		want   string
	}{
		{Limits{}, ""},
		{Limits{Headers: 7}, ""},
		{Limits{Headers: 6}, "sip: too many header fields"},
		{Limits{HeaderBytes: 5000}, "sip: header fields are too large"},
		{Limits{HeaderBytes: len(data)}, ""},
	} {
		if _, err := c.limits.Parse(data); errText(err) != c.want {
			t.Errorf("MSG-25: %+v gives %v, want %s", c.limits, err, c.want)
		}
	}
	body := append(slices.Clone(data), strings.Repeat("b", 5000)+"\r\n\r\n"...)
	if _, err := (Limits{HeaderBytes: len(data)}).Parse(body); err != nil {
		t.Errorf("the body counts as header fields: %v", err)
	}
}

// MSG-03: rows and comma-joined rows are one list.
func TestListsAreOneList(t *testing.T) {
	for _, rows := range []string{"k: a, b\r\nSupported: c\r\n", "Supported: a\r\nSupported: b\r\nsupported : c\r\n", "SUPPORTED:a,b,c\r\n", "k: a,\r\n b\r\n\t, c\r\n"} {
		m := mustParse(t, options("", rows))
		if got := slices.Collect(m.Values(HeaderSupported)); !slices.Equal(got, []string{"a", "b", "c"}) {
			t.Errorf("MSG-03: %q is %q", rows, got)
		}
	}
	m := mustParse(t, options("", "Authorization: Digest a=\"1\", b=2\r\nAuthorization: Digest a=3\r\n"))
	if got := slices.Collect(m.Rows(HeaderAuthorization)); !slices.Equal(got, []string{`Digest a="1", b=2`, "Digest a=3"}) {
		t.Errorf("MSG-03: credentials are %q", got)
	}
}

func TestHeadersChange(t *testing.T) {
	m := NewRequest("MESSAGE", "sip:bob@example.com")
	m.Add(HeaderSupported, "a")
	m.AddName("x-own", "1")
	m.Add(HeaderSupported, "b\r\nInjected: yes")
	m.Add(HeaderExpires, "5000000000")
	if n := m.Count(HeaderSupported); n != 2 {
		t.Errorf("%d rows, want 2", n)
	}
	if seconds, ok := m.Expires(); !ok || seconds != 1<<32-1 { // MSG-30
		t.Errorf("MSG-30: Expires is %d, %t", seconds, ok)
	}
	m.Set(HeaderSupported, "c")
	m.Set(HeaderEvent, "presence")
	m.Remove(HeaderExpires)
	m.Body = []byte("hello")
	want := "MESSAGE sip:bob@example.com SIP/2.0\r\nSupported: c\r\nx-own: 1\r\nEvent: presence\r\nContent-Length: 5\r\n\r\nhello"
	if got := string(m.Bytes()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	m.Add(HeaderUserAgent, "a\r\nb\nc\rd")
	if got, _ := m.Header(HeaderUserAgent); got != "a b c d" {
		t.Errorf("line ends are left: %q", got)
	}
	if _, ok := m.Expires(); ok {
		t.Error("Expires is still there")
	}
}

// RFC 3261 §8.2.6.2.
func TestNewResponse(t *testing.T) {
	request := mustParse(t, subscribe)
	response := NewResponse(request, 423, "", "t9")
	response.Add(HeaderMinExpires, "60")
	want := "SIP/2.0 423 Interval Too Brief\r\n" +
		"Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK2f1b.8a7c35d2000000000000.0\r\n" +
		"Via: SIP/2.0/UDP 198.51.100.23:53412;received=198.51.100.23;rport=53412;branch=z9hG4bKPjq8mE2HcYd4xv7Jr\r\n" +
		"From: \"Alice\" <sip:alice@example.com>;tag=6c1a57d0-51e8-4be0\r\n" +
		"To: <sip:bob@example.com>;tag=t9\r\n" +
		"Call-ID: 8c55f9c1-3e0f-4a1d-9b6d-1f35a2a2c1de\r\n" +
		"CSeq: 21433 SUBSCRIBE\r\n" +
		"Min-Expires: 60\r\n" +
		"Content-Length: 0\r\n\r\n"
	if got := string(response.Bytes()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	parsed := mustParse(t, want)
	if parsed.To != response.To || parsed.Via != response.Via || parsed.CSeq != response.CSeq || response.IsRequest() {
		t.Errorf("values are %+v %+v", response.To, response.Via)
	}
	request.To, _ = ParseAddress("<sip:bob@example.com>;tag=old")
	request.Set(HeaderTo, "<sip:bob@example.com>;tag=old")
	if got, _ := NewResponse(request, 200, "", "t9").Header(HeaderTo); got != "<sip:bob@example.com>;tag=old" {
		t.Errorf("To is %s", got)
	}
	if got := NewResponse(request, 400, "a\r\nb", "").Reason; got != "a b" {
		t.Errorf("reason is %q", got)
	}
}

// Strings of a message do not change with the buffer they were read from.
func TestParseKeepsNothingOfTheBuffer(t *testing.T) {
	data := []byte(publish(600))
	m, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	before := string(m.Bytes())
	clear(data)
	if got := string(m.Bytes()); got != before {
		t.Errorf("the message changed with the buffer:\n%q", got)
	}
}

func TestAllocations(t *testing.T) {
	sub, pub := []byte(subscribe), []byte(publish(600))
	request := mustParse(t, subscribe)
	out := make([]byte, 0, 4096)
	for _, c := range []struct {
		name string
		most float64
		f    func()
	}{
		{"parse a SUBSCRIBE", 2, func() { Parse(sub) }},
		{"parse a PUBLISH with body", 3, func() { Parse(pub) }},
		{"split a stream", 0, func() { SplitStream(pub, 65535) }},
		{"parse a URI", 0, func() { ParseURI("sip:alice@192.0.2.1:5060;transport=tcp") }},
		{"AOR", 0, func() { request.From.Parsed() }},
		{"print", 0, func() { request.AppendTo(out) }},
		{"make and print a response", 2, func() { NewResponse(request, 200, "", "t1").AppendTo(out) }},
		{"walk a list", 0, func() {
			for range request.Values(HeaderAccept) {
			}
		}},
	} {
		if got := testing.AllocsPerRun(100, c.f); got > c.most {
			t.Errorf("%s: %v allocations, want at most %v", c.name, got, c.most)
		}
	}
}
