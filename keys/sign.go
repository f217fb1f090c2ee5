package keys

import (
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

// Sign makes a signature over message as JOSE and COSE carry it (RFC 7518 section 3.4,
// RFC 9053 section 2.1): of ECDSA r and s in the full length of the curve, one after the
// other. Alg is that of the signer's key. A signer that is a [crypto.MessageSigner], as the
// keys of a browser are, hashes the message itself. What a signer returns is checked for
// its form alone: whoever needs a signature that verifies verifies it.
func Sign(rnd io.Reader, s Signer, alg Algorithm, message []byte) ([]byte, error) {
	sig, err := signMessage(rnd, s, alg.Hash(), message)
	if err == nil && alg != EdDSA {
		sig, err = fixedLength(sig, alg.SignatureSize()/2)
	}
	if err != nil {
		return nil, err
	}
	// A device may report success and hand back nothing.
	if len(sig) != alg.SignatureSize() {
		return nil, fmt.Errorf("the signer returned %d bytes, want %d", len(sig), alg.SignatureSize())
	}
	return sig, nil
}

func signMessage(rnd io.Reader, s Signer, hash crypto.Hash, message []byte) ([]byte, error) {
	if device, ok := s.(crypto.MessageSigner); ok {
		return device.SignMessage(rnd, message, hash)
	}
	switch hash {
	case 0: // Ed25519 hashes for itself
		return s.Sign(rnd, message, hash)
	case crypto.SHA256: // most of all, and without a hash in memory
		digest := sha256.Sum256(message)
		return s.Sign(rnd, digest[:], hash)
	}
	w := hash.New()
	w.Write(message)
	return s.Sign(rnd, w.Sum(nil), hash)
}

// fixedLength is an ECDSA signature in ASN.1 (RFC 3279 section 2.2.3) as RFC 9053 section
// 2.1 has it: r and s in size bytes each.
func fixedLength(sig []byte, size int) ([]byte, error) {
	const sequence, integer = 0x30, 0x02
	body, after, ok := element(sig, sequence)
	if !ok || len(after) > 0 {
		return nil, errNoSignature
	}
	out := make([]byte, 2*size)
	for end := size; end <= 2*size; end += size {
		var n []byte
		if n, body, ok = element(body, integer); !ok || len(n) == 0 {
			return nil, errNoSignature
		}
		if n[0] == 0 { // before what would be negative otherwise, and nowhere else
			if n = n[1:]; len(n) == 0 || n[0] < 0x80 {
				return nil, errNoSignature
			}
		} else if n[0] >= 0x80 {
			return nil, errNoSignature
		}
		if len(n) > size {
			return nil, errNoSignature
		}
		copy(out[end-len(n):end], n)
	}
	if len(body) > 0 {
		return nil, errNoSignature
	}
	return out, nil
}

var errNoSignature = errors.New("the signer returned no ASN.1 signature of this curve")

// element splits b after one element in DER with this tag and less than 256 bytes.
func element(b []byte, tag byte) (content, after []byte, ok bool) {
	if len(b) < 2 || b[0] != tag {
		return nil, nil, false
	}
	n, b := int(b[1]), b[2:]
	if n == 0x81 && len(b) > 0 && b[0] >= 0x80 {
		n, b = int(b[0]), b[1:]
	} else if n >= 0x80 {
		return nil, nil, false
	}
	if n > len(b) {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}
