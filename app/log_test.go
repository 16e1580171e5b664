package app

import (
	"errors"
	"net"
	"strings"
	"testing"

	"vigie/api"
	"vigie/store"
)

// SEC-15: a received value cannot forge a log line or reach a terminal, in
// either format.
func TestLogEscapesControlCharacters(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var log buffer
		c := quick()
		c.Log.Format = format
		s := &Server{config: c, options: Options{Log: &log}}
		s.makeLog()
		s.log.Warn("refused", "call_id", "a\r\nlevel=ERROR msg=forged\x1b[31m\x7f\x00")
		line, ended := strings.CutSuffix(log.String(), "\n")
		if !ended || !strings.Contains(line, "forged") || strings.ContainsFunc(line, func(c rune) bool { return c < ' ' }) {
			t.Errorf("%s: %q", format, log.String())
		}
	}
}

func TestRefusedWriteIsLoggedOnce(t *testing.T) {
	soft := store.NewMemory()
	c := quick()
	c.Log.Format = "json"
	var log buffer
	s := start(t, c, Options{Data: t.TempDir(), Soft: soft, Log: &log})
	if _, err := (&api.Accounts{Directory: s.directory}).Add(t.Context(), api.NewAccount{Address: "alice@example.com"}); err != nil {
		t.Fatal(err)
	}
	soft.Fail(func(op store.Op, key string) error {
		if op == store.OpPut && strings.HasPrefix(key, "p presence ") {
			return errors.New("disk full")
		}
		return nil
	})
	defer soft.Fail(nil)
	client := &api.Client{Server: s.HTTP(), Token: s.token}
	if _, err := client.Publish(t.Context(), "alice@example.com", "desk", api.NewPresence{State: "open"}); err == nil {
		t.Error("a publication that cannot be stored is confirmed")
	}
	if got := strings.Count(log.String(), `"level":"ERROR"`); got != 1 {
		t.Errorf("%d lines about one failure, want 1:\n%s", got, log.String())
	}
	if want := "presence sip:alice@example.com: publication not stored: disk full"; !strings.Contains(log.String(), want) {
		t.Errorf("the log does not name %s:\n%s", want, log.String())
	}
}

func TestChallengeIsExplainedInTheLog(t *testing.T) {
	c := quick()
	c.Log.Level = "debug"
	var log buffer
	s := start(t, c, Options{Data: t.TempDir(), Log: &log})
	conn, err := net.Dial("udp", s.Listeners()[0].HostPort())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	request := strings.ReplaceAll("SUBSCRIBE sip:alice@example.com SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bKa\n"+
		"Max-Forwards: 70\nFrom: <sip:bob@example.com>;tag=a\nTo: <sip:alice@example.com>\nCall-ID: a\nCSeq: 1 SUBSCRIBE\n"+
		"Contact: <sip:bob@127.0.0.1>\nEvent: presence\nContent-Length: 0\n\n", "\n", "\r\n")
	if answer := exchange(t, conn, request); !strings.HasPrefix(answer, "SIP/2.0 401 ") {
		t.Fatalf("SUBSCRIBE is answered %s", answer)
	}
	if want := `status=401 err="auth: no credentials for this realm"`; !strings.Contains(log.String(), want) {
		t.Errorf("the log lacks %s:\n%s", want, log.String())
	}
}
