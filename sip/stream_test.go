package sip

import (
	"errors"
	"strings"
	"testing"
)

// frame cuts a stream that arrives in pieces of the given size.
func frame(stream []byte, size, max int) (messages []string, err error) {
	var buf []byte
	for len(stream) > 0 {
		size := min(size, len(stream))
		buf, stream = append(buf, stream[:size]...), stream[size:]
		for {
			skip, n, err := SplitStream(buf, max)
			if err != nil {
				return messages, err
			}
			if n > 0 {
				messages = append(messages, string(buf[skip:skip+n]))
			}
			buf = buf[skip+n:]
			if n == 0 {
				break
			}
		}
	}
	return messages, nil
}

// MSG-11: the same messages come out however the stream was cut.
func TestStreamFramesAlike(t *testing.T) {
	want := []string{
		options("", "Content-Length: 5\r\n") + "a\r\n\r\n",
		options("", "X: y\r\nl:\r\n 4\r\nContent-LENGTH : 0004\r\n") + "INVI",
		options("", "Content-Length: 0\r\n"),
	}
	stream := "\r\n\r\n" + want[0] + "\r\n" + want[1] + want[2] + "\r\n\r\n"
	for size := 1; size <= len(stream); size++ {
		got, err := frame([]byte(stream), size, 1000)
		if err != nil || len(got) != len(want) {
			t.Fatalf("MSG-11: %d bytes at a time give %d messages, %v", size, len(got), err)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("MSG-11: %d bytes at a time: message %d is %q, want %q", size, i, got[i], want[i])
			}
			if _, err := (Limits{}).ParseFramed([]byte(got[i])); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A message that comes byte by byte costs no more than one that comes at once:
// what has been looked at is not looked at again, so that changing it changes nothing.
func TestStreamIsReadOnce(t *testing.T) {
	head := options("", "Content-Length: 200\r\n")
	message := head + strings.Repeat("x", 200)
	var s Splitter
	split := func(buf []byte) int {
		t.Helper()
		_, n, err := s.Split(buf, 1000)
		if err != nil {
			t.Fatalf("after %d bytes: %v", len(buf), err)
		}
		return n
	}
	buf := []byte(head[:len(head)-2])
	split(buf)
	copy(buf[10:], "\r\n\r\n") // the end of a head, had it been there before
	buf = append(buf, '\r')
	split(buf)
	copy(buf, head)
	buf = append(buf, '\n')
	split(buf)
	clear(buf) // Content-Length has been read
	buf = append(buf, message[len(head):]...)
	if n := split(buf); n != len(message) {
		t.Errorf("n %d, want %d", n, len(message))
	}
	if n := split([]byte(message)); n != len(message) { // nothing stays behind for the next
		t.Errorf("the next message: n %d, want %d", n, len(message))
	}
}

// MSG-10: framing is lost, and there is something to answer.
func TestStreamLosesFraming(t *testing.T) {
	for _, c := range []struct {
		row, name, in string
		status        int
		reason        string
		answerable    bool
	}{
		{"MSG-10", "absent", options("", ""), 400, "no Content-Length", true},
		{"MSG-10", "negative", options("", "Content-Length: -999\r\n"), 400, "Content-Length is not a number", true},
		{"MSG-10", "no-number", options("", "Content-Length: five\r\n"), 400, "Content-Length is not a number", true},
		{"MSG-10", "empty", options("", "l:\r\n"), 400, "Content-Length is not a number", true},
		{"MSG-10", "joined", options("", "l: 5, 5\r\n"), 400, "Content-Length is not a number", true},
		{"MSG-10", "conflicting", options("", "l: 5\r\nContent-Length: 6\r\n"), 400, "more than one Content-Length", true},
		{"MSG-10", "wraps", options("", "l: 18446744073709551617\r\n"), 400, "Content-Length is too large", true},
		{"MSG-10", "hidden-by-lf", options("", "X: y\nl: 5\r\nl: 0\r\n"), 400, "line is not ended by CRLF", true},
		{"MSG-10", "hidden-by-cr", options("", "X: y\rl: 5\r\nl: 0\r\n"), 400, "carriage return within a line", true},
		{"MSG-10", "response", "SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP 192.0.2.1\r\n" + basics("OPTIONS") + "\r\n", 400, "no Content-Length", false},
		{"MSG-25", "body-too-large", options("", "l: 2000\r\n"), 513, "message is too large", true},
		{"MSG-25", "head-too-large", strings.TrimSuffix(options("", "X: "+strings.Repeat("y", 2000)), "\r\n"), 513, "message is too large", true},
	} {
		t.Run(c.row+"/"+c.name, func(t *testing.T) {
			_, n, err := SplitStream([]byte(c.in), 1000)
			var refused *ParseError
			if !errors.As(err, &refused) || n != 0 {
				t.Fatalf("got %d, %v, want *ParseError", n, err)
			}
			if refused.Status != c.status || refused.Reason != c.reason || refused.Answerable != c.answerable {
				t.Errorf("got %d %q answerable=%t\nwant %d %q answerable=%t",
					refused.Status, refused.Reason, refused.Answerable, c.status, c.reason, c.answerable)
			}
			if refused.Answerable {
				checkAnswer(t, refused)
			}
		})
	}
}
