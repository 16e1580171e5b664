package auth

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"strings"
)

// algorithm is a digest algorithm of RFC 7616 §6.1.
type algorithm uint8

const (
	algorithmNone algorithm = iota
	algorithmMD5
	algorithmSHA256
	algorithmSHA512256
)

// Algorithms are the digest algorithms there are, most preferred first.
func Algorithms() []string { return []string{"SHA-512-256", "SHA-256", "MD5"} }

// algorithmByName gives algorithmNone for what is unknown, the session variants
// included.
func algorithmByName(name string) algorithm {
	for a := algorithmMD5; a <= algorithmSHA512256; a++ {
		if strings.EqualFold(name, a.String()) {
			return a
		}
	}
	return algorithmNone
}

func (a algorithm) String() string {
	return [...]string{"none", "MD5", "SHA-256", "SHA-512-256"}[a]
}

// appendHash appends the hexadecimal hash of data.
func (a algorithm) appendHash(b, data []byte) []byte {
	switch a {
	case algorithmMD5:
		sum := md5.Sum(data)
		return hex.AppendEncode(b, sum[:])
	case algorithmSHA256:
		sum := sha256.Sum256(data)
		return hex.AppendEncode(b, sum[:])
	default:
		sum := sha512.Sum512_256(data)
		return hex.AppendEncode(b, sum[:])
	}
}

// hexSize is the length of a hash in hexadecimal digits.
func (a algorithm) hexSize() int {
	if a == algorithmMD5 {
		return 2 * md5.Size
	}
	return 2 * sha256.Size
}

// HashPassword gives what is kept of a password: for each algorithm the
// hexadecimal hash of username:realm:password (RFC 7616 §3.4.2), which goes into
// store.Account.Digests.
func HashPassword(username, realm, password string) map[string]string {
	a1 := []byte(username + ":" + realm + ":" + password)
	digests := make(map[string]string, 3)
	for a := algorithmMD5; a <= algorithmSHA512256; a++ {
		digests[a.String()] = string(a.appendHash(nil, a1))
	}
	return digests
}
