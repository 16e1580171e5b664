package sip

import "testing"

func errText(err error) string {
	if err != nil {
		return err.Error()
	}
	return ""
}

// checkPrintThenParse holds for every message without a mistake.
func checkPrintThenParse(t testing.TB, m *Message) {
	t.Helper()
	printed := m.Bytes()
	again, err := Parse(printed)
	if err != nil {
		t.Fatalf("printed message does not parse: %v\n%s", err, printed)
	}
	if twice := again.Bytes(); string(twice) != string(printed) {
		t.Fatalf("printed twice:\n%s\n%s", printed, twice)
	}
	if again.Method != m.Method || again.RequestURI != m.RequestURI || again.Status != m.Status || again.Reason != m.Reason {
		t.Fatalf("start line changed:\n%s", printed)
	}
	if again.Via != m.Via || again.From != m.From || again.To != m.To || again.CallID != m.CallID || again.CSeq != m.CSeq {
		t.Fatalf("values changed: %+v, %+v", m, again)
	}
	if string(again.Body) != string(m.Body) {
		t.Fatalf("body changed from %q to %q", m.Body, again.Body)
	}
	before := make([]Header, 0, len(m.Headers))
	for _, h := range m.Headers {
		if h.ID != HeaderContentLength {
			before = append(before, h)
		}
	}
	i := 0
	for _, h := range again.Headers {
		if h.ID == HeaderContentLength {
			continue
		}
		if i == len(before) || before[i] != h {
			t.Fatalf("row %+v changed:\n%s", h, printed)
		}
		i++
	}
	if i != len(before) {
		t.Fatalf("%d of %d rows are left", i, len(before))
	}
}
