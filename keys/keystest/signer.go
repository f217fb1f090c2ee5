package keystest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/sha512"
	"testing"
	"time"

	"github.com/sanad-id/sanad/keys"
)

// Private returns a private key made from name: the same for the same name, so
// that a test that fails does so again. Nothing outside tests may use it.
func Private(t testing.TB, alg keys.Algorithm, name string) crypto.Signer {
	t.Helper()
	var private crypto.Signer
	var err error
	switch alg {
	case keys.ES256:
		seed := sha256.Sum256([]byte("sanad test key " + name))
		private, err = ecdsa.ParseRawPrivateKey(elliptic.P256(), seed[:])
	case keys.ES384:
		seed := sha512.Sum384([]byte("sanad test key " + name))
		private, err = ecdsa.ParseRawPrivateKey(elliptic.P384(), seed[:])
	case keys.EdDSA:
		seed := sha256.Sum256([]byte("sanad test key " + name))
		private = ed25519.NewKeyFromSeed(seed[:])
	default:
		t.Fatalf("keystest: algorithm %q", alg)
	}
	if err != nil {
		t.Fatalf("keystest: %v", err)
	}
	return private
}

// Key returns what is known of the key that [Private] makes from name: active,
// published and allowed to sign from the year 2000 to the year 2200.
func Key(t testing.TB, p keys.Purpose, alg keys.Algorithm, name string) keys.Key {
	t.Helper()
	public, err := keys.NewPublicKey(alg, Private(t, alg, name).Public())
	if err != nil {
		t.Fatalf("keystest: %v", err)
	}
	from := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	return keys.Key{
		Public: public, Purpose: p, State: keys.Active,
		Created: from, Published: from, SignFrom: from, SignUntil: from.AddDate(200, 0, 0),
	}
}

// Signer returns the signer of [Key].
func Signer(t testing.TB, p keys.Purpose, alg keys.Algorithm, name string) keys.Signer {
	t.Helper()
	s, err := keys.NewSigner(Key(t, p, alg, name), Private(t, alg, name))
	if err != nil {
		t.Fatalf("keystest: %v", err)
	}
	return s
}

// CheapCost opens a keystore file in well under a millisecond.
func CheapCost() keys.Cost { return keys.Cost{Memory: 64, Time: 1, Threads: 1} }

// Passphrase opens what [File] makes.
const Passphrase = "correct horse battery staple"

// File returns a new keystore file in a directory of the test's own.
func File(t testing.TB) *keys.File {
	t.Helper()
	f, err := CheapCost().CreateFile(t.TempDir()+"/keys.sanad", []byte(Passphrase), nil)
	if err != nil {
		t.Fatalf("keystest: %v", err)
	}
	return f
}
