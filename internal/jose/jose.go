// Package jose signs and verifies JSON Web Signatures in their compact form
// (RFC 7515) with ES256, ES384 and EdDSA (RFC 7518, RFC 8037), and encrypts and
// opens compact JWE (RFC 7516) with ECDH-ES on P-256 and AES-GCM. It is the only
// user of lestrrat-go/jwx/v2.
//
// Start with [NewDraft], where the bytes to be signed must be known first, or
// [Sign]; [Parse] and [Message.Verify] are the other side. Payloads are raw bytes
// that the caller made or will read with package strict. Encrypted content:
// [Encrypt] and [Decrypt].
//
// That library is no longer kept up and has a known fault (SECURITY.md), so it
// checks signatures over bytes (but for those of keys that have a [keys.Table]): signed tokens and their headers are taken apart
// and put together here, and it never sees one. An encrypted token it sees after
// everything in it was read and bounded here. Algorithm, key and type are arguments of
// the caller; what a header says of them must agree and decides nothing. Refused
// are, whatever the signature: a header member twice, crit and with it b64, jku,
// x5u, zip, a jwk that nobody asked for, a type other than the expected one, MACs and
// "none", JSON serialisations and everything in unusual base64.
//
// In a browser (GOOS=js) the standard library takes its place: jwx brings an HTTP client
// and what that needs, which is more than all of our own code there.
//
// Left to others: whose key it is, what a kid or a certificate chain leads to, and
// whether a key may be used for this purpose ([keys.CheckSigner] is the caller's).
//
// Tokens over the given limit, [MaxToken] by default, and headers over 32 KiB are
// refused before they are decoded.
package jose

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/sanad-id/sanad/keys"
)

// Errors that callers tell apart.
var (
	// ErrMalformed: not the token that was expected.
	ErrMalformed = errors.New("jose: malformed")
	// ErrTooLarge: a limit on size, nesting or count is passed.
	ErrTooLarge = errors.New("jose: too large")
	// ErrEncrypted: an encrypted token in place of a signed one.
	ErrEncrypted = errors.New("jose: encrypted")
	// ErrType: a token of another type than the one expected.
	ErrType = errors.New("jose: token of another type")
	// ErrHeader: a header that no token may have here, such as crit or jku, or an
	// algorithm that is no signature.
	ErrHeader = errors.New("jose: header not allowed")
	// ErrUnsigned: there is no signature, or the algorithm is "none".
	ErrUnsigned = errors.New("jose: no signature")
	// ErrUnsupportedAlgorithm: signed with an algorithm that we do not carry.
	ErrUnsupportedAlgorithm = errors.New("jose: unsupported algorithm")
	// ErrAlgorithm: header, key and expectation do not name one algorithm.
	ErrAlgorithm = errors.New("jose: another algorithm than expected")
	// ErrSignature: the signature does not verify.
	ErrSignature = errors.New("jose: bad signature")
)

// MaxToken is the most bytes of a token unless the caller allows another number.
const MaxToken = 64 << 10

// carried reports whether alg is one of those that this package signs and verifies.
func carried(alg keys.Algorithm) bool {
	return alg == keys.ES256 || alg == keys.ES384 || alg == keys.EdDSA
}

// verify checks one signature over the bytes message. Every signature of the
// module that comes in JOSE goes through here.
func verify(alg keys.Algorithm, pub keys.PublicKey, message, signature []byte) error {
	// A PublicKey fits one algorithm only: its curve was checked against it. The
	// library accepts any curve for any ECDSA algorithm.
	if !carried(alg) || pub.Algorithm() != alg {
		return fmt.Errorf("%w: a key for %q, expected %q", ErrAlgorithm, pub.Algorithm(), alg)
	}
	if len(signature) == 0 {
		return ErrUnsigned
	}
	// RFC 7518 section 3.4: r and s in full length, nothing before or after.
	if len(signature) != alg.SignatureSize() {
		return fmt.Errorf("%w: %d bytes, want %d", ErrSignature, len(signature), alg.SignatureSize())
	}
	if table := pub.Table(); table != nil { // the same answers, in half the time
		if digest := sha256.Sum256(message); !table.Verify(digest[:], signature) {
			return ErrSignature
		}
		return nil
	}
	if !verified(alg, pub, message, signature) {
		return ErrSignature
	}
	return nil
}

// sign makes one signature over the bytes message. Signers are devices that answer
// as [crypto.Signer] says, so that there is nothing for the library to do.
func sign(rnd io.Reader, s keys.Signer, alg keys.Algorithm, message []byte) ([]byte, error) {
	if !carried(alg) {
		return nil, fmt.Errorf("%w: a key for %q", ErrAlgorithm, alg)
	}
	sig, err := keys.Sign(rnd, s, alg, message)
	if err != nil {
		return nil, fmt.Errorf("jose: sign: %v", err)
	}
	return sig, nil
}

// cut quotes and shortens a word that came from outside.
func cut(s string) string {
	const most = 40
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strconv.Quote(s)
}
