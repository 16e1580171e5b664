package sip

import (
	"strings"
	"testing"
)

// subscribe is a SUBSCRIBE of one kilobyte as it comes from a softphone through
// a record-routing proxy.
const subscribe = "SUBSCRIBE sip:bob@example.com SIP/2.0\r\n" +
	"Record-Route: <sip:192.0.2.10;lr;ftag=6c1a57d0;did=a31.9c1>\r\n" +
	"Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK2f1b.8a7c35d2000000000000.0\r\n" +
	"Via: SIP/2.0/UDP 198.51.100.23:53412;received=198.51.100.23;rport=53412;branch=z9hG4bKPjq8mE2HcYd4xv7Jr\r\n" +
	"Max-Forwards: 69\r\n" +
	"From: \"Alice\" <sip:alice@example.com>;tag=6c1a57d0-51e8-4be0\r\n" +
	"To: <sip:bob@example.com>\r\n" +
	"Contact: <sip:alice@198.51.100.23:53412;ob>;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000a95a0e128>\"\r\n" +
	"Call-ID: 8c55f9c1-3e0f-4a1d-9b6d-1f35a2a2c1de\r\n" +
	"CSeq: 21433 SUBSCRIBE\r\n" +
	"Event: presence\r\n" +
	"Expires: 600\r\n" +
	"Supported: replaces, 100rel, timer, norefersub, eventlist\r\n" +
	"Accept: application/pidf+xml, application/xpidf+xml, application/rlmi+xml, multipart/related\r\n" +
	"Allow: PRACK, INVITE, ACK, BYE, CANCEL, UPDATE, INFO, SUBSCRIBE, NOTIFY, REFER, MESSAGE, OPTIONS\r\n" +
	"Allow-Events: presence, message-summary, refer\r\n" +
	"P-Asserted-Identity: <sip:alice@example.com>\r\n" +
	"User-Agent: Softphone/4.2 (linux-6.1/x86_64)\r\n" +
	"Content-Length:  0\r\n" +
	"\r\n"

func TestBenchmarkMessageIsRealistic(t *testing.T) {
	if n := len(subscribe); n < 1000 || n > 1300 {
		t.Errorf("the benchmark's SUBSCRIBE has %d bytes, want about 1 kB", n)
	}
	if _, err := Parse([]byte(subscribe)); err != nil {
		t.Error(err)
	}
}

func BenchmarkParseSubscribe(b *testing.B) {
	data := []byte(subscribe)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		m, err := Parse(data)
		if err != nil {
			b.Fatal(err)
		}
		m.Release()
	}
}

func BenchmarkParsePublish(b *testing.B) {
	data := []byte(publish(600))
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		m, err := Parse(data)
		if err != nil {
			b.Fatal(err)
		}
		m.Release()
	}
}

// publish makes a PUBLISH with a body of n bytes out of the SUBSCRIBE.
func publish(n int) string {
	s := strings.ReplaceAll(subscribe, "SUBSCRIBE", "PUBLISH")
	s = strings.Replace(s, "Content-Length:  0", "Content-Type: application/pidf+xml\r\nContent-Length: 600", 1)
	return s + strings.Repeat("x", n)
}

func BenchmarkSplitStream(b *testing.B) {
	data := []byte(subscribe)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, n, _ := SplitStream(data, 65535); n != len(data) {
			b.Fatal(n)
		}
	}
}

func BenchmarkResponse(b *testing.B) {
	request, err := Parse([]byte(subscribe))
	if err != nil {
		b.Fatal(err)
	}
	out := make([]byte, 0, 2048)
	b.ReportAllocs()
	for b.Loop() {
		r := NewResponse(request, 200, "", "a1b2c3d4")
		r.Add(HeaderExpires, "600")
		r.Add(HeaderContact, "<sip:192.0.2.1:5060>")
		out = r.AppendTo(out[:0])
	}
}

func BenchmarkPrint(b *testing.B) {
	request, err := Parse([]byte(subscribe))
	if err != nil {
		b.Fatal(err)
	}
	out := make([]byte, 0, 2048)
	b.ReportAllocs()
	for b.Loop() {
		out = request.AppendTo(out[:0])
	}
}

func BenchmarkParseURI(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseURI("sip:alice@198.51.100.23:53412;transport=tcp;ob"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAOR(b *testing.B) {
	u := MustURI("sip:alice@example.com:5060;transport=tcp")
	b.ReportAllocs()
	for b.Loop() {
		if u.AOR().Host == "" {
			b.Fatal("no host")
		}
	}
}

func BenchmarkURIEqual(b *testing.B) {
	u, o := MustURI("sip:alice@example.com;transport=tcp;ob"), MustURI("sip:%61lice@example.com;ob;transport=TCP")
	b.ReportAllocs()
	for b.Loop() {
		if !u.Equal(o) {
			b.Fatal("not equal")
		}
	}
}

func BenchmarkMarkReceived(b *testing.B) {
	row := "SIP/2.0/UDP 192.0.2.10:5060;rport;branch=z9hG4bK2f1b.8a7c35d2"
	via, _ := ParseVia(row)
	m := NewRequest("OPTIONS", "sip:example.com")
	m.Add(HeaderVia, row)
	b.ReportAllocs()
	for b.Loop() {
		m.Via, m.Headers[0].Value = via, row
		m.MarkReceived(source)
	}
}

func BenchmarkNewBranch(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if NewBranch() == "" {
			b.Fatal("empty")
		}
	}
}
