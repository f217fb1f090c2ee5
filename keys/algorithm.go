package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"

	_ "crypto/sha256" // links SHA-256, the hash of ES256
	_ "crypto/sha512" // links SHA-384, the hash of ES384
)

// An Algorithm is a signature algorithm by its JOSE name (RFC 7518, RFC 8037).
type Algorithm string

// The algorithms that Sanad signs and verifies with. There are no others.
const (
	// ES256 is ECDSA on P-256 with SHA-256: the default, since every HSM has it.
	ES256 Algorithm = "ES256"
	// ES384 is ECDSA on P-384 with SHA-384.
	ES384 Algorithm = "ES384"
	// EdDSA is Ed25519 (RFC 8032), the pure form without a hash before it.
	EdDSA Algorithm = "EdDSA"
)

// algorithm is one row of the table of accepted algorithms.
type algorithm struct {
	name      Algorithm
	hash      crypto.Hash // 0 where the message itself is signed
	signature int         // bytes of a signature in its JOSE and COSE form

	curve elliptic.Curve // nil for Ed25519
	size  int            // bytes of one coordinate, or of an Ed25519 public key

	cose    int64 // COSE algorithm number
	coseKty int64
	coseCrv int64
	joseKty string
	joseCrv string

	// RFC 9864 gave each pair of algorithm and curve a name of its own. A key
	// that carries it says the same, so readers of keys take both.
	fullJOSE string
	fullCOSE int64

	generate func() (crypto.Signer, error)
}

// algorithms is the whole list. Curve and algorithm determine each other, so a
// key without an "alg" member is not ambiguous.
//
// Left out, and why: RSA in all its forms (a signature of 256 bytes and more
// does not fit a printed code, and PKCS #1 v1.5 has a history of forgeries);
// ES512 (P-521 is rare in HSMs and gains nothing here); ES256K (no HSM or
// standard library carries secp256k1); Ed448 (not in the standard library); all
// MACs (whoever can check could also sign); "none"; and ML-DSA (2.4 kB a
// signature; see the note on post-quantum keys in docs/decisions).
var algorithms = []*algorithm{
	{
		name: ES256, hash: crypto.SHA256, signature: 64, curve: elliptic.P256(), size: 32,
		cose: -7, coseKty: 2, coseCrv: 1, joseKty: "EC", joseCrv: "P-256",
		fullJOSE: "ESP256", fullCOSE: -9,
		generate: func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) },
	},
	{
		name: ES384, hash: crypto.SHA384, signature: 96, curve: elliptic.P384(), size: 48,
		cose: -35, coseKty: 2, coseCrv: 2, joseKty: "EC", joseCrv: "P-384",
		fullJOSE: "ESP384", fullCOSE: -51,
		generate: func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P384(), rand.Reader) },
	},
	{
		name: EdDSA, hash: 0, signature: ed25519.SignatureSize, size: ed25519.PublicKeySize,
		cose: -8, coseKty: 1, coseCrv: 6, joseKty: "OKP", joseCrv: "Ed25519",
		fullJOSE: "Ed25519", fullCOSE: -19,
		generate: func() (crypto.Signer, error) {
			_, priv, err := ed25519.GenerateKey(rand.Reader)
			return priv, err
		},
	},
}

// find returns the first row that f accepts, or nil.
func find(f func(*algorithm) bool) *algorithm {
	for _, a := range algorithms {
		if f(a) {
			return a
		}
	}
	return nil
}

// row returns the row of a, or nil.
func (a Algorithm) row() *algorithm {
	return find(func(r *algorithm) bool { return r.name == a })
}

// Algorithms returns the accepted algorithms, the default first.
func Algorithms() []Algorithm {
	var names []Algorithm
	for _, a := range algorithms {
		names = append(names, a.name)
	}
	return names
}

// ParseAlgorithm returns the algorithm with this JOSE name. Names are case
// sensitive; an unknown one is an [ErrUnsupportedKey].
func ParseAlgorithm(name string) (Algorithm, error) {
	if r := Algorithm(name).row(); r != nil {
		return r.name, nil
	}
	return "", fmt.Errorf("%w: algorithm %q is not one of %v", ErrUnsupportedKey, cut(name), Algorithms())
}

// AlgorithmFromCOSE returns the algorithm with this number in a COSE header.
func AlgorithmFromCOSE(number int64) (Algorithm, bool) {
	r := find(func(r *algorithm) bool { return r.cose == number })
	if r == nil {
		return "", false
	}
	return r.name, true
}

// COSE returns the COSE number of a, or 0 (which COSE reserves) for an algorithm
// that is not accepted.
func (a Algorithm) COSE() int64 {
	if r := a.row(); r != nil {
		return r.cose
	}
	return 0
}

// Hash returns the hash whose digest [crypto.Signer] takes for a. For Ed25519 it
// is 0: the signer takes the message itself.
func (a Algorithm) Hash() crypto.Hash {
	if r := a.row(); r != nil {
		return r.hash
	}
	return 0
}

// SignatureSize returns the length in bytes of a signature as JOSE and COSE
// carry it, or 0 for an algorithm that is not accepted.
func (a Algorithm) SignatureSize() int {
	if r := a.row(); r != nil {
		return r.signature
	}
	return 0
}

// cut shortens a word that came from outside before it goes into an error.
func cut(s string) string {
	const most = 40
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
