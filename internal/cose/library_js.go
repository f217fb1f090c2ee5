package cose

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"

	"github.com/sanad-id/sanad/keys"
)

// The library brings RSA and more with it, which a browser would load for nothing. What is
// left of it here are the two steps of RFC 9053 section 2 that it takes itself.

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

// sign makes one signature over the bytes message.
func sign(rnd io.Reader, s keys.Signer, alg keys.Algorithm, message []byte) ([]byte, error) {
	digest := message
	if alg.Hash() != 0 {
		hash := alg.Hash().New()
		hash.Write(message)
		digest = hash.Sum(nil)
	}
	sig, err := withOptions{s, alg.Hash(), message}.Sign(rnd, digest, alg.Hash())
	if err != nil {
		return nil, fmt.Errorf("cose: sign: %v", err)
	}
	if alg == keys.EdDSA {
		if len(sig) != alg.SignatureSize() {
			return nil, fmt.Errorf("cose: sign: the signer returned %d bytes, want %d", len(sig), alg.SignatureSize())
		}
		return sig, nil
	}
	var parts struct{ R, S *big.Int }
	half := alg.SignatureSize() / 2
	if rest, err := asn1.Unmarshal(sig, &parts); err != nil || len(rest) > 0 || tooLong(parts.R, half) || tooLong(parts.S, half) {
		return nil, errors.New("cose: sign: the signer returned no signature")
	}
	return append(parts.R.FillBytes(make([]byte, half)), parts.S.FillBytes(make([]byte, half))...), nil
}

func tooLong(n *big.Int, size int) bool { return n.Sign() <= 0 || n.BitLen() > 8*size }
