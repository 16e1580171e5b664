package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"sync"
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

// nonces mints and opens them.
type nonces struct{ macs sync.Pool }

func newNonces(secret []byte) *nonces {
	// One secret serves several purposes; each derives its own key.
	derive := hmac.New(sha256.New, secret)
	derive.Write([]byte("vigie digest nonce"))
	key := derive.Sum(nil)
	return &nonces{macs: sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
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
	mac := n.macs.Get().(hash.Hash)
	defer n.macs.Put(mac)
	mac.Reset()
	mac.Write(raw[:nonceClock+nonceRandom])
	mac.Write([]byte(realm))
	var sum [sha256.Size]byte
	copy(raw[nonceClock+nonceRandom:], mac.Sum(sum[:0])[:nonceMAC])
}
