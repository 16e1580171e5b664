package interop

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"strings"
)

// challenge is one WWW-Authenticate row.
type challenge struct{ realm, nonce, opaque, algorithm, qop, stale string }

func readChallenge(value string) (challenge, bool) {
	rest, ok := strings.CutPrefix(value, "Digest ")
	if !ok {
		return challenge{}, false
	}
	p := make(map[string]string)
	for rest != "" {
		var name, v string
		name, rest, _ = strings.Cut(rest, "=")
		if strings.HasPrefix(rest, `"`) {
			v, rest, _ = strings.Cut(rest[1:], `"`)
			_, rest, _ = strings.Cut(rest, ",")
		} else {
			v, rest, _ = strings.Cut(rest, ",")
		}
		p[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(v)
	}
	if p["algorithm"] == "" {
		p["algorithm"] = "MD5" // RFC 7616 §3.3
	}
	return challenge{p["realm"], p["nonce"], p["opaque"], p["algorithm"], p["qop"], p["stale"]}, true
}

// challenges reads all rows of a 401, in order.
func challenges(m message) []challenge {
	var list []challenge
	for _, v := range m.all("WWW-Authenticate") {
		if c, ok := readChallenge(v); ok {
			list = append(list, c)
		}
	}
	return list
}

// credentials answers a challenge (RFC 7616 §3.4.1); qop "" is the old formula
// of RFC 2069.
type credentials struct {
	username, password string
	qop                string
	nc                 int
}

func (c challenge) answer(method, uri, body string, by credentials) row {
	h := hash(c.algorithm)
	a1 := h(by.username + ":" + c.realm + ":" + by.password)
	a2 := method + ":" + uri
	if by.qop == "auth-int" {
		a2 += ":" + h(body)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `Digest username="%s", realm="%s", nonce="%s", uri="%s", algorithm=%s`, by.username, c.realm, c.nonce, uri, c.algorithm)
	if c.opaque != "" {
		fmt.Fprintf(&b, `, opaque="%s"`, c.opaque)
	}
	if by.qop == "" {
		fmt.Fprintf(&b, `, response="%s"`, h(a1+":"+c.nonce+":"+h(a2)))
		return row{"Authorization", b.String()}
	}
	cnonce, nc := token(), fmt.Sprintf("%08x", by.nc)
	response := h(strings.Join([]string{a1, c.nonce, nc, cnonce, by.qop, h(a2)}, ":"))
	fmt.Fprintf(&b, `, response="%s", qop=%s, nc=%s, cnonce="%s"`, response, by.qop, nc, cnonce)
	return row{"Authorization", b.String()}
}

func hash(algorithm string) func(string) string {
	switch algorithm {
	case "SHA-256":
		return func(s string) string { x := sha256.Sum256([]byte(s)); return hex.EncodeToString(x[:]) }
	case "SHA-512-256":
		return func(s string) string { x := sha512.Sum512_256([]byte(s)); return hex.EncodeToString(x[:]) }
	default:
		return func(s string) string { x := md5.Sum([]byte(s)); return hex.EncodeToString(x[:]) }
	}
}

// signed adds the answer to one challenge to a request.
func (m message) signed(c challenge, by credentials) message {
	r := c.answer(m.method(), m.requestURI(), m.body, by)
	return m.with(r.name, r.value)
}
