package cose

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"fmt"
	"math/big"

	"github.com/sanad-id/sanad/keys"
)

// The library brings RSA and more with it, which a browser would load for nothing. What is
// left of it here is what it does itself of RFC 9053 section 2.

// verifyBy verifies with the standard library.
func verifyBy(alg keys.Algorithm, pub keys.PublicKey, message, signature []byte) error {
	good := false
	switch key := pub.Crypto().(type) {
	case *ecdsa.PublicKey:
		if half := alg.SignatureSize() / 2; len(signature) == 2*half {
			hash := alg.Hash().New()
			hash.Write(message)
			good = ecdsa.Verify(key, hash.Sum(nil), new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:]))
		}
	case ed25519.PublicKey:
		good = ed25519.Verify(key, message, signature)
	default:
		return fmt.Errorf("cose: a key of type %T", key)
	}
	if !good {
		return ErrSignature
	}
	return nil
}
