package xmltree

import "strings"

// declaration reads the XML declaration, if there is one (XML 1.0 §2.8).
func (p *parser) declaration() error {
	rest := p.source[p.pos:]
	if !strings.HasPrefix(rest, "<?xml") || len(rest) > 5 && !isSpace(rest[5]) && rest[5] != '?' {
		return nil
	}
	end := strings.Index(rest, "?>")
	if end < 0 {
		return p.fail(p.pos, "XML declaration is not closed")
	}
	fields, ok := pseudoAttributes(rest[5:end])
	if !ok {
		return p.fail(p.pos, "malformed XML declaration")
	}
	if fields[0] != "1.0" {
		return p.fail(p.pos, "XML version %q is not accepted, only 1.0 is", fields[0])
	}
	if fields[1] != "" && p.limits.Charset == "" && !acceptedEncoding(fields[1]) {
		return &EncodingError{fields[1]}
	}
	if fields[2] != "" && fields[2] != "yes" && fields[2] != "no" {
		return p.fail(p.pos, "standalone is neither yes nor no")
	}
	p.pos += end + 2
	return nil
}

// pseudoAttributes reads version, encoding and standalone, in this order;
// only the first must be there.
func pseudoAttributes(s string) (fields [3]string, ok bool) {
	position := 0
	for {
		trimmed := strings.TrimLeft(s, " \t\r\n")
		if trimmed == "" {
			return fields, fields[0] != ""
		}
		if len(trimmed) == len(s) {
			return fields, false
		}
		name, value, rest, ok := pseudoAttribute(trimmed)
		if !ok {
			return fields, false
		}
		for ; position < 3 && name != [3]string{"version", "encoding", "standalone"}[position]; position++ {
			if position == 0 {
				return fields, false
			}
		}
		if position == 3 {
			return fields, false
		}
		fields[position], s = value, rest
		position++
	}
}

func pseudoAttribute(s string) (name, value, rest string, ok bool) {
	name, rest, ok = strings.Cut(s, "=")
	name, rest = strings.TrimRight(name, " \t\r\n"), strings.TrimLeft(rest, " \t\r\n")
	if !ok || rest == "" || rest[0] != '"' && rest[0] != '\'' {
		return "", "", "", false
	}
	value, rest, ok = strings.Cut(rest[1:], rest[:1])
	return name, value, rest, ok && value != "" && !strings.ContainsAny(value, "<& \t\r\n")
}

func (p *parser) comment() error {
	start := p.pos
	end := strings.Index(p.source[start+4:], "--")
	if end < 0 {
		return p.fail(start, "comment is not closed")
	}
	end += start + 4
	if !strings.HasPrefix(p.source[end:], "-->") {
		return p.fail(end, "-- may not stand in a comment")
	}
	return p.verbatim(Comment, start, end+3)
}

func (p *parser) cdata() error {
	start := p.pos
	if p.parent == 0 {
		return p.fail(start, "CDATA section outside the root element")
	}
	end := strings.Index(p.source[start:], "]]>")
	if end < 0 {
		return p.fail(start, "CDATA section is not closed")
	}
	return p.verbatim(CDATA, start, start+end+3)
}

func (p *parser) instruction() error {
	start := p.pos
	end := strings.Index(p.source[start+2:], "?>")
	if end < 0 {
		return p.fail(start, "processing instruction is not closed")
	}
	end += start + 2
	target := ncName(p.source[start+2 : end])
	name, rest := p.source[start+2:start+2+target], p.source[start+2+target:end]
	if name == "" || rest != "" && !isSpace(rest[0]) {
		return p.fail(start, "processing instruction without a proper target")
	}
	if strings.EqualFold(name, "xml") {
		return p.fail(start, "XML declaration is not at the start of the document")
	}
	return p.verbatim(Instruction, start, end+2)
}

// verbatim adds a node whose content needs no reading, only legal characters.
func (p *parser) verbatim(kind Kind, start, end int) error {
	if err := p.count(); err != nil {
		return err
	}
	if err := p.plainChars(start, end); err != nil {
		return err
	}
	p.add(kind, start, end)
	p.pos = end
	return nil
}
