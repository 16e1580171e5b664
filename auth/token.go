package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"vigie/store"
)

// tokenPrefix lets people and secret scanners recognise a token.
const tokenPrefix = "vigie_"

// NewToken gives a token's secret, to be shown once, and the hash to be kept.
func NewToken() (secret string, hash []byte) {
	var raw [32]byte
	rand.Read(raw[:]) // never fails
	secret = tokenPrefix + base64.RawURLEncoding.EncodeToString(raw[:])
	return secret, HashToken(secret)
}

// HashToken gives the hash under which a token is kept. A plain one does: the
// secret is random, there is nothing to guess.
func HashToken(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// secretSetting names the setting that holds the server's secret.
const secretSetting = "auth-secret"

// LoadSecret gives the server's secret out of the directory, where it makes one
// the first time.
func LoadSecret(ctx context.Context, directory store.Directory) ([]byte, error) {
	secret, err := directory.Setting(ctx, secretSetting)
	if err == nil && len(secret) >= sha256.Size {
		return secret, nil
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("auth: load the server's secret: %w", err)
	}
	secret = make([]byte, sha256.Size)
	rand.Read(secret) // never fails
	if err := directory.PutSetting(ctx, secretSetting, secret); err != nil {
		return nil, fmt.Errorf("auth: keep the server's secret: %w", err)
	}
	return secret, nil
}
