package transaction

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash/maphash"
	"strings"

	"vigie/sip"
)

// magicCookie starts the branches that are unique (RFC 3261 §8.1.1.7).
const magicCookie = "z9hG4bK"

// key names a server transaction by 128 bits of a hash nobody outside can
// compute: requests whose keys are equal belong together.
type key struct{ hi, lo uint64 }

// keys makes hashes and tags under secrets of this process.
type keys struct {
	a, b   maphash.Seed
	secret [32]byte
}

func newKeys() *keys {
	k := &keys{a: maphash.MakeSeed(), b: maphash.MakeSeed()}
	rand.Read(k.secret[:])
	return k
}

// transaction gives the key of the transaction that m belongs to if its method
// is taken for method (RFC 3261 §17.2.3): branch, sent-by and method, or, for
// clients of RFC 2543, the fields that identified a request before branches did.
func (k *keys) transaction(m *sip.Message, method string) key {
	var space [384]byte
	b := space[:0]
	if hasCookie(m.Via.Branch) {
		b = appendField(b, m.Via.Branch)
	} else {
		b = appendOldIdentity(b, m, method)
	}
	b = appendField(b, m.Via.Host)
	b = binary.BigEndian.AppendUint16(b, m.Via.Port)
	b = append(b, method...)
	return key{maphash.Bytes(k.a, b), maphash.Bytes(k.b, b)}
}

// hasCookie says that a branch identifies a transaction. The bare cookie does
// not (RFC 4475 §3.2.1).
func hasCookie(branch string) bool {
	return len(branch) > len(magicCookie) && strings.HasPrefix(branch, magicCookie)
}

// appendOldIdentity adds what identifies a request without a cookie. The To tag
// is left out for INVITE, because its ACK carries ours.
func appendOldIdentity(b []byte, m *sip.Message, method string) []byte {
	b = appendField(b, m.RequestURI)
	b = appendField(b, m.From.Tag())
	b = appendField(b, m.CallID)
	b = binary.BigEndian.AppendUint32(b, m.CSeq.Number)
	b = appendField(b, m.Via.Transport)
	b = appendField(b, string(m.Via.Params))
	if method != "INVITE" {
		b = appendField(b, m.To.Tag())
	}
	return b
}

// merge names the request itself, whatever way it came (RFC 3261 §8.2.2.2);
// never 0.
func (k *keys) merge(m *sip.Message) uint64 {
	var space [256]byte
	b := appendField(space[:0], m.From.Tag())
	b = appendField(b, m.CallID)
	b = binary.BigEndian.AppendUint32(b, m.CSeq.Number)
	b = append(b, m.CSeq.Method...)
	return max(1, maphash.Bytes(k.a, b))
}

// order names the line a request waits in.
func (k *keys) order(m *sip.Message) uint64 {
	if m.Method == "PUBLISH" {
		return maphash.String(k.a, m.RequestURI)
	}
	return maphash.String(k.b, m.CallID)
}

// tag derives a To tag from a request: the same for each repeat of it, and no
// other tag can be told from it (RFC 3261 §8.2.7, §19.3).
func (k *keys) tag(m *sip.Message) string {
	sum := k.derive(m)
	const digits = "0123456789abcdefghijklmnopqrstuv"
	var tag [13]byte
	n := binary.BigEndian.Uint64(sum[:])
	for i := range tag {
		tag[i] = digits[n&31]
		n >>= 5
	}
	return string(tag[:])
}

// derive hashes what all repeats of a request have in common. Few bytes of the
// sum are ever shown, so that it cannot be continued.
func (k *keys) derive(m *sip.Message) [sha256.Size]byte {
	var space [512]byte
	b := append(space[:0], k.secret[:]...)
	b = appendField(b, m.Method)
	b = appendField(b, m.Via.Branch)
	b = appendField(b, m.Via.Host)
	b = appendField(b, m.From.Tag())
	b = appendField(b, m.CallID)
	b = binary.BigEndian.AppendUint32(b, m.CSeq.Number)
	return sha256.Sum256(b)
}

// appendField adds a string so that no two lists of fields give the same bytes.
func appendField(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}
