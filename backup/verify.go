package backup

import (
	"crypto/ecdsa"
	"crypto/ed25519"

	"github.com/sanad-id/sanad/keys"
)

// verify says whether sig is the signature of a manifest by this key.
func verify(k keys.PublicKey, text, sig []byte) bool {
	if k.IsZero() {
		return false
	}
	digest, _ := toSign(k, text)
	switch key := k.Crypto().(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, digest, sig)
	case ed25519.PublicKey:
		return ed25519.Verify(key, digest, sig)
	}
	return false
}
