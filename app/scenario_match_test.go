package app

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing/synctest"

	"vigie/sip"
)

// details puts the indented lines below "->" into a request: header fields,
// "no NAME" to leave one out, "add NAME: VALUE" for one more row, "pidf ..." or
// "| ..." for the body.
func (s *stage) details(at step, m *sip.Message) {
	for _, d := range at.details {
		switch {
		case strings.HasPrefix(d, "| "):
			m.Body = append(m.Body, strings.TrimPrefix(d, "| ")+"\n"...)
		case strings.HasPrefix(d, "pidf "):
			m.Body = []byte(pidfOf(s.agents[at.words[0]].uri, strings.Fields(d)[1:]))
			if _, ok := m.Header(sip.HeaderContentType); !ok {
				m.Add(sip.HeaderContentType, "application/pidf+xml")
			}
		case strings.HasPrefix(d, "no "):
			m.Remove(sip.HeaderByName(strings.TrimPrefix(d, "no ")))
		case strings.HasPrefix(d, "add "):
			name, value, _ := strings.Cut(strings.TrimPrefix(d, "add "), ":")
			m.Add(sip.HeaderByName(name), s.fill(strings.TrimSpace(value)))
		default:
			s.setHeader(at, m, d)
		}
	}
}

func (s *stage) setHeader(at step, m *sip.Message, d string) {
	name, value, ok := strings.Cut(d, ":")
	if !ok {
		s.failf(at, "%q is no header field", d)
	}
	value = s.fill(strings.TrimSpace(value))
	if id := sip.HeaderByName(name); id != sip.HeaderUnknown {
		m.Set(id, value)
		return
	}
	m.AddName(name, value)
}

// pidfOf makes a document: "open", "closed", "open busy", "open busy note
// words…", "tuple=t2" for another id, "contact=sip:…".
func pidfOf(uri string, words []string) string {
	id, contact, basic, activity, note := "t1", uri, words[0], "", ""
	for i, w := range words[1:] {
		if v, ok := strings.CutPrefix(w, "tuple="); ok {
			id = v
		} else if v, ok := strings.CutPrefix(w, "contact="); ok {
			contact = v
		} else if w == "note" {
			note = strings.Join(words[i+2:], " ")
			break
		} else if v, ok := strings.CutPrefix(w, "long="); ok { // a note of that many letters
			n, _ := strconv.Atoi(v)
			note = strings.Repeat("x", n)
		} else {
			activity = w
		}
	}
	person := ""
	if activity != "" {
		person = `<dm:person id="p1"><rpid:activities><rpid:` + activity + `/></rpid:activities></dm:person>`
	}
	if note != "" {
		note = "<note>" + note + "</note>"
	}
	return fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" entity="%s">
<tuple id="%s"><status><basic>%s</basic></status><contact>%s</contact>%s</tuple>%s
</presence>
`, uri, id, basic, contact, note, person)
}

var variable = regexp.MustCompile(`\$\w+`)

// fill puts captured values in the place of their names.
func (s *stage) fill(text string) string {
	return variable.ReplaceAllStringFunc(text, func(name string) string {
		if v, ok := s.captured[name]; ok {
			return v
		}
		return name
	})
}

// hear takes the next message: "bob <- 200", "bob <- NOTIFY", "bob <-
// nothing".
func (a *agent) hear(s *stage, at step) {
	synctest.Wait()
	a.mu.Lock()
	var m *sip.Message
	if len(a.inbox) > 0 {
		m = a.inbox[0]
		a.inbox = a.inbox[1:]
	}
	a.mu.Unlock()
	want := at.words[2]
	if want == "nothing" {
		if m != nil {
			s.failf(at, "heard\n%s", m.Bytes())
		}
		return
	}
	if m == nil {
		s.failf(at, "heard nothing")
	}
	if got := startOf(m); got != want {
		s.failf(at, "heard %s\n%s", got, m.Bytes())
	}
	for _, d := range at.details {
		if fault := s.check(a.name, m, d); fault != "" {
			s.failf(at, "%s: %s\n%s", d, fault, m.Bytes())
		}
	}
}

func startOf(m *sip.Message) string {
	if m.IsRequest() {
		return m.Method
	}
	return strconv.Itoa(m.Status)
}

// check holds a message against one expectation: "Name: pattern", "no Name",
// "rows N Name", "has text", "lacks text", "no body", "uri pattern", "reason
// pattern", "times N".
func (s *stage) check(who string, m *sip.Message, d string) string {
	verb, rest, _ := strings.Cut(d, " ")
	switch verb {
	case "has":
		if !strings.Contains(string(m.Body), s.fill(rest)) {
			return "the body lacks it"
		}
		return ""
	case "lacks":
		if strings.Contains(string(m.Body), s.fill(rest)) {
			return "the body has it"
		}
		return ""
	case "times": // at most so many times as long as what was said
		most, err := strconv.Atoi(rest)
		if got, said := len(m.Bytes()), len(s.agents[who].request.Bytes()); err != nil || got > most*said {
			return fmt.Sprintf("%d bytes in answer to %d", got, said)
		}
		return ""
	case "uri":
		return s.match(m.RequestURI, rest)
	case "reason":
		return s.match(m.Reason, rest)
	case "rows":
		count, name, _ := strings.Cut(rest, " ")
		if got := strconv.Itoa(m.Count(sip.HeaderByName(name))); got != count {
			return "there are " + got
		}
		return ""
	case "no":
		if rest == "body" {
			if len(m.Body) > 0 {
				return "there is one"
			}
			return ""
		}
		if v, ok := m.Header(sip.HeaderByName(rest)); ok {
			return "it is " + v
		}
		return ""
	}
	name, pattern, _ := strings.Cut(d, ":")
	value, ok := m.Header(sip.HeaderByName(name))
	if !ok {
		return "there is none"
	}
	return s.match(value, strings.TrimSpace(pattern))
}

// match compares with a pattern: * stands for anything, $name for what was
// captured under this name, or captures it; a pattern may begin with "not ".
func (s *stage) match(value, pattern string) string {
	if p, ok := strings.CutPrefix(pattern, "not "); ok {
		if s.match(value, p) == "" {
			return "it is " + value
		}
		return ""
	}
	expr, names := "^", []string(nil)
	for pattern != "" {
		switch loc := variable.FindStringIndex(pattern); {
		case pattern[0] == '*':
			expr, pattern = expr+".*", pattern[1:]
		case loc != nil && loc[0] == 0:
			name := pattern[:loc[1]]
			pattern = pattern[loc[1]:]
			if v, ok := s.captured[name]; ok {
				expr += regexp.QuoteMeta(v)
			} else {
				names = append(names, name)
				expr += "(.+)"
			}
		default:
			expr, pattern = expr+regexp.QuoteMeta(pattern[:1]), pattern[1:]
		}
	}
	found := regexp.MustCompile(expr + "$").FindStringSubmatch(value)
	if found == nil {
		return "it is " + value
	}
	for i, name := range names {
		s.captured[name] = found[i+1]
	}
	return ""
}
