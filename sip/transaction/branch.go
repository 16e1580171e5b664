package transaction

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"vigie/sip/transport"
)

// branchDigits is the length of a branch after its cookie: 64 bits in
// hexadecimal, of one case, because tokens compare without regard to it.
const branchDigits = 16

// freeBranch draws a branch that leads back to this shard: 59 of its bits come
// from the runtime's ChaCha8 generator, so that nobody who does not see our
// requests can answer them. The shard is locked.
func (s *clientShard) freeBranch() uint64 {
	for {
		branch := rand.Uint64()&^(shards-1) | s.index
		if _, taken := s.live[branch]; !taken {
			return branch
		}
	}
}

// appendBranch prints cookie and branch.
func appendBranch(b []byte, branch uint64) []byte {
	const digits = "0123456789abcdef"
	b = append(b, magicCookie...)
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, digits[branch>>shift&15])
	}
	return b
}

// parseBranch reads what appendBranch printed.
func parseBranch(s string) (branch uint64, ok bool) {
	if len(s) != len(magicCookie)+branchDigits || !strings.HasPrefix(s, magicCookie) {
		return 0, false
	}
	branch, err := strconv.ParseUint(s[len(magicCookie):], 16, 64)
	return branch, err == nil
}

const (
	viaStart = "Via: SIP/2.0/"
	viaRport = ";rport;branch="
)

// appendHead prints a request's head with our Via behind the request line.
func appendHead(b []byte, o *Outgoing, own transport.Endpoint, branch uint64) []byte {
	b = slices.Grow(b, len(o.Head)+viaSize(own))
	b = append(b, o.Head[:o.Line]...)
	b = append(append(append(b, viaStart...), o.Flow.Protocol.String()...), ' ')
	b = own.AppendHostPort(b)
	b = append(b, viaRport...)
	b = appendBranch(b, branch)
	b = append(b, "\r\n"...)
	return append(b, o.Head[o.Line:]...)
}

func viaSize(own transport.Endpoint) int {
	port := 1
	for p := own.Port; p > 9; p /= 10 {
		port++
	}
	return len(viaStart) + len(own.Protocol.String()) + len(" ") + len(own.Host) + len(":") + port +
		len(viaRport) + len(magicCookie) + branchDigits + len("\r\n")
}
