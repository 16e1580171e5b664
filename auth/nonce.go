package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// A nonce is, in base64url without padding: six octets of milliseconds since
// 1970, eight random ones that name it in the replay table, and the first sixteen
// of a MAC over both and the realm. It is not bound to an address: clients behind
// translators change theirs (RFC 7616 §3.3).
const (
	nonceClock  = 6
	nonceRandom = 8
	nonceMAC    = 16
	nonceRaw    = nonceClock + nonceRandom + nonceMAC
	nonceText   = nonceRaw * 4 / 3
)

// nonce is what one says of itself once its MAC has proved right.
type nonce struct {
	issued int64 // milliseconds since 1970
	id     uint64
}

// nonces mints and opens them. It holds the key of HMAC-SHA-256 as both pads, so
// that a MAC allocates nothing (RFC 2104 §2).
type nonces struct{ inner, outer [sha256.BlockSize]byte }

func newNonces(secret []byte) *nonces {
	// One secret serves several purposes; each derives its own key.
	derive := hmac.New(sha256.New, secret)
	derive.Write([]byte("vigie digest nonce"))
	n := &nonces{}
	copy(n.inner[:], derive.Sum(nil))
	n.outer = n.inner
	for i := range n.inner {
		n.inner[i] ^= 0x36
		n.outer[i] ^= 0x5c
	}
	return n
}

// append appends a fresh nonce for realm.
func (n *nonces) append(b []byte, realm string, now time.Time) []byte {
	var raw [nonceRaw]byte
	var clock [8]byte
	binary.BigEndian.PutUint64(clock[:], uint64(now.UnixMilli()))
	copy(raw[:], clock[8-nonceClock:])
	rand.Read(raw[nonceClock : nonceClock+nonceRandom]) // never fails
	n.sign(&raw, realm)
	return base64.RawURLEncoding.AppendEncode(b, raw[:])
}

// open tells whether text is a nonce of ours for realm, and what it says.
func (n *nonces) open(text, realm string) (nonce, bool) {
	if len(text) != nonceText {
		return nonce{}, false
	}
	var raw [nonceRaw]byte
	var in [nonceText]byte
	copy(in[:], text)
	if _, err := base64.RawURLEncoding.Strict().Decode(raw[:], in[:]); err != nil {
		return nonce{}, false
	}
	sent := raw
	n.sign(&raw, realm)
	if subtle.ConstantTimeCompare(sent[:], raw[:]) != 1 {
		return nonce{}, false
	}
	var clock [8]byte
	copy(clock[8-nonceClock:], raw[:nonceClock])
	return nonce{
		issued: int64(binary.BigEndian.Uint64(clock[:])),
		id:     binary.BigEndian.Uint64(raw[nonceClock : nonceClock+nonceRandom]),
	}, true
}

// sign fills the MAC in.
func (n *nonces) sign(raw *[nonceRaw]byte, realm string) {
	var space [256]byte
	b := append(space[:0], n.inner[:]...)
	b = append(b, raw[:nonceClock+nonceRandom]...)
	sum := sha256.Sum256(append(b, realm...))
	b = append(space[:0], n.outer[:]...)
	sum = sha256.Sum256(append(b, sum[:]...))
	copy(raw[nonceClock+nonceRandom:], sum[:nonceMAC])
}
