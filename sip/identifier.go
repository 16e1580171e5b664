package sip

import "math/rand/v2"

// The identifiers below come from the runtime's ChaCha8 generators, seeded by
// the operating system: nobody who sees some can tell others, and none costs a
// system call or a lock. Letters are of one case, since some compare without regard to it.

// branchCookie starts every branch made by RFC 3261 §8.1.1.7.
const branchCookie = "z9hG4bK"

// NewTag makes a From or To tag of 64 random bits (RFC 3261 §19.3 asks for 32).
func NewTag() string {
	b := make([]byte, 0, 13)
	return string(appendRandom(b))
}

// NewBranch makes a Via branch.
func NewBranch() string {
	b := make([]byte, 0, len(branchCookie)+13)
	return string(appendRandom(append(b, branchCookie...)))
}

// NewCallID makes a Call-ID of 128 random bits; it names no host.
func NewCallID() string {
	b := make([]byte, 0, 26)
	return string(appendRandom(appendRandom(b)))
}

func appendRandom(b []byte) []byte {
	const digits = "0123456789abcdefghijklmnopqrstuv"
	n := rand.Uint64()
	for range 13 {
		b = append(b, digits[n&31])
		n >>= 5
	}
	return b
}
