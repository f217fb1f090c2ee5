// Package cose signs and verifies COSE_Sign1 and COSE_Sign messages (RFC 9052)
// with ES256, ES384 and EdDSA (RFC 9053). It is the only user of
// veraison/go-cose.
//
// One signature: [Sign1], or [NewDraft] where the bytes to be signed must be
// known first; [ParseSign1] and [Sign1Message.Verify] on the other side. Several
// signatures over one payload: [Sign] and [ParseSign].
//
// The library makes and checks signatures, but for those of keys that verify so
// many that they have a [keys.Table]. Envelope and headers are read here,
// because the library would let through what RFC 9052 forbids: a critical header
// nobody knows, one label in both buckets, an algorithm outside the protected
// header, a key on another curve. The bytes a signature covers are used as they
// came and never encoded again.
//
// Left to others: whose key it is, what a kid leads to, and whether a key may be
// used for this purpose ([keys.CheckSigner] is the caller's). A certificate chain
// in a header is handed on and never trusted.
//
// Messages over the given limits, 16 KiB by default, are refused before they are
// decoded.
package cose

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/sanad-id/sanad/internal/cbor"
	"github.com/sanad-id/sanad/keys"
)

// Errors that callers tell apart.
var (
	// ErrMalformed: not the COSE message that was expected.
	ErrMalformed = errors.New("cose: malformed")
	// ErrTooLarge: a limit on size, nesting or count is passed.
	ErrTooLarge = errors.New("cose: too large")
	// ErrEncrypted: an encrypted message in place of a signed one.
	ErrEncrypted = errors.New("cose: encrypted")
	// ErrCrit: a header that must be understood, and that we do not know.
	ErrCrit = errors.New("cose: unknown critical header")
	// ErrUnsigned: the signature is empty.
	ErrUnsigned = errors.New("cose: no signature")
	// ErrUnsupportedAlgorithm: signed with an algorithm that we do not carry.
	ErrUnsupportedAlgorithm = errors.New("cose: unsupported algorithm")
	// ErrAlgorithm: header, key and expectation do not name one algorithm.
	ErrAlgorithm = errors.New("cose: another algorithm than expected")
	// ErrSignature: the signature does not verify.
	ErrSignature = errors.New("cose: bad signature")
)

// Tags of the CBOR tags registry.
const (
	tagEncrypt0 = 16
	tagSign1    = 18
	tagCWT      = 61
	tagEncrypt  = 96
	tagSign     = 98
)

// heads is more than what the heads of a message take, and its context.
const heads = 32

// toBeSigned returns the Sig_structure of a COSE_Sign1 message (RFC 9052 section 4.4).
// Protected and payload go in as they are. Nothing is supplied externally.
func toBeSigned(protected, payload []byte) []byte {
	b := cbor.AppendHead(make([]byte, 0, heads+len(protected)+len(payload)), cbor.Array, 4)
	b = cbor.AppendBytes(cbor.AppendText(b, "Signature1"), signedForm(protected))
	return cbor.AppendBytes(cbor.AppendBytes(b, nil), payload)
}

// signedForm is the protected header as a Sig_structure has it: an empty map
// stands as an empty byte string (RFC 9052 section 4.4).
func signedForm(protected []byte) []byte {
	if len(protected) == 1 && protected[0] == 0xa0 {
		return nil
	}
	return protected
}

// verify checks one signature over the bytes message. Every signature of the
// module that comes in COSE goes through here.
func verify(alg keys.Algorithm, pub keys.PublicKey, message, signature []byte) error {
	// A PublicKey fits one algorithm only: its curve was checked against it. The
	// library accepts any curve for any ECDSA algorithm.
	if alg == "" || pub.Algorithm() != alg {
		return fmt.Errorf("%w: a key for %q, expected %q", ErrAlgorithm, pub.Algorithm(), alg)
	}
	if len(signature) == 0 {
		return ErrUnsigned
	}
	if table := pub.Table(); table != nil { // the same answers, in half the time
		if digest := sha256.Sum256(message); !table.Verify(digest[:], signature) {
			return ErrSignature
		}
		return nil
	}
	return verifyBy(alg, pub, message, signature)
}

// sign makes one signature over the bytes message.
func sign(rnd io.Reader, s keys.Signer, alg keys.Algorithm, message []byte) ([]byte, error) {
	sig, err := keys.Sign(rnd, s, alg, message)
	if err != nil {
		return nil, fmt.Errorf("cose: sign: %v", err)
	}
	return sig, nil
}
