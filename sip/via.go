package sip

import (
	"strconv"
	"strings"
)

// Via is one hop of the path a request took (RFC 3261 §20.42).
type Via struct {
	Transport string // upper case for UDP, TCP, TLS, WS, WSS, SCTP; others as sent
	Host      string // lower case; an IPv6 address in its brackets
	Port      uint16 // 0 when absent
	Branch    string
	Params    Params // all of them, branch included
}

// ParseVia reads one Via value. With an error the Via still has what was
// read: when Host is not empty, a response finds its way.
func ParseVia(s string) (Via, error) {
	v, bad := parseVia(trim(s))
	return v, bad.orNil()
}

func parseVia(s string) (v Via, bad syntaxError) {
	i, transport, wrong := viaProtocol(s)
	if i == 0 {
		return v, wrong
	}
	end, host, port, bad := hostPort(s, i)
	if bad != "" {
		return v, bad
	}
	v.Transport = canonicalTransport(transport)
	v.Host, v.Port, v.Params = host, port, Params(s[end:])
	v.Branch, bad = scanParams(s[end:], "branch")
	if wrong != "" {
		bad = wrong
	}
	return v, bad
}

// viaProtocol reads "SIP/2.0/UDP " with blanks allowed around the slashes. Of
// another version what follows is still read: the 505 must go somewhere.
func viaProtocol(s string) (next int, transport string, bad syntaxError) {
	const usual = "SIP/2.0/"
	i := len(usual)
	if !strings.HasPrefix(s, usual) {
		if i, bad = otherProtocol(s); i == 0 {
			return 0, "", bad
		}
	}
	i = skipBlanks(s, i)
	end := span(s, i, classToken)
	if end == i {
		return 0, "", "no transport"
	}
	next = skipBlanks(s, end)
	if next == end {
		return 0, "", "no blank between transport and sent-by"
	}
	return next, s[i:end], bad
}

func otherProtocol(s string) (next int, bad syntaxError) {
	i, name, bad := slashed(s, 0)
	if bad != "" {
		return 0, bad
	}
	i, version, bad := slashed(s, i)
	if bad != "" {
		return 0, bad
	}
	if !equalFold(name, "SIP") || version != "2.0" {
		bad = syntaxErrorf("protocol %s is not SIP/2.0", excerpt(name+"/"+version))
	}
	return i, bad
}

// slashed reads a token and the slash after it.
func slashed(s string, i int) (next int, token string, bad syntaxError) {
	i = skipBlanks(s, i)
	end := span(s, i, classToken)
	next = skipBlanks(s, end)
	if end == i || next == len(s) || s[next] != '/' {
		return 0, "", "protocol is not of the form SIP/2.0/transport"
	}
	return next + 1, s[i:end], ""
}

func canonicalTransport(s string) string {
	for _, known := range [...]string{"UDP", "TCP", "TLS", "WSS", "WS", "SCTP"} {
		if equalFold(s, known) {
			return known
		}
	}
	return s
}

// hostPort reads host [":" port] from i on (RFC 3261 §25.1), blanks around the
// colon allowed as in sent-by.
func hostPort(s string, i int) (next int, host string, port uint16, bad syntaxError) {
	end, bad := hostEnd(s, i)
	if bad != "" {
		return 0, "", 0, bad
	}
	host = lowerHost(s[i:end])
	next = skipBlanks(s, end)
	if next == len(s) || s[next] != ':' {
		return end, host, 0, ""
	}
	start := skipBlanks(s, next+1)
	end = start
	for end < len(s) && '0' <= s[end] && s[end] <= '9' {
		end++
	}
	n, over, ok := parseUint(s[start:end], 65535)
	if !ok || over || n == 0 {
		return 0, "", 0, badPort(s[i:])
	}
	return end, host, uint16(n), ""
}

func badPort(s string) syntaxError {
	if strings.Count(s, ":") > 1 && s[0] != '[' {
		return syntaxErrorf("IPv6 address %s needs brackets", excerpt(s))
	}
	return syntaxErrorf("port of %s is not between 1 and 65535", excerpt(s))
}

func hostEnd(s string, i int) (end int, bad syntaxError) {
	if i < len(s) && s[i] == '[' {
		length := strings.IndexByte(s[i:], ']') + 1
		if length == 0 || !isIPv6(s[i+1:i+length-1]) {
			return 0, syntaxErrorf("%s is no IPv6 address in brackets", excerpt(s[i:]))
		}
		return i + length, ""
	}
	end = span(s, i, classHost)
	if end == i {
		return 0, "no host"
	}
	return end, ""
}

// AppendTo prints the hop.
func (v Via) AppendTo(b []byte) []byte {
	b = append(append(append(b, "SIP/2.0/"...), v.Transport...), ' ')
	b = append(b, v.Host...)
	if v.Port != 0 {
		b = strconv.AppendUint(append(b, ':'), uint64(v.Port), 10)
	}
	return append(b, v.Params...)
}

// lowerHost is strings.ToLower that is quick with what is lower case already.
func lowerHost(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			return strings.ToLower(s)
		}
	}
	return s
}
