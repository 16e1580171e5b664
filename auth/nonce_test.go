package auth

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"testing"
)

// AUT-07: a nonce is signed by HMAC-SHA-256, which the standard library computes
// the same.
func TestNonceMAC(t *testing.T) {
	secret := []byte("0123456789abcdef")
	derive := hmac.New(sha256.New, secret)
	derive.Write([]byte("vigie digest nonce"))
	mac := hmac.New(sha256.New, derive.Sum(nil))
	raw := [nonceRaw]byte{1, 2, 3}
	mac.Write(raw[:nonceClock+nonceRandom])
	mac.Write([]byte("example.com"))
	newNonces(secret).sign(&raw, "example.com")
	if got, want := raw[nonceClock+nonceRandom:], mac.Sum(nil)[:nonceMAC]; !bytes.Equal(got, want) {
		t.Errorf("MAC %x, want %x", got, want)
	}
}
