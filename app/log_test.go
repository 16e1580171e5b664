package app

import (
	"strings"
	"testing"
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
