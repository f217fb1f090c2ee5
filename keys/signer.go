package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// A Signer signs with one private key of a keystore. Sign takes what
// [crypto.Signer] says: a digest made with Algorithm().Hash(), or for Ed25519 the
// message itself with the hash 0; ECDSA signatures come in ASN.1. Signers can be
// used from several goroutines at once.
type Signer interface {
	crypto.Signer
	// Key says what the key is for and where it stands now. A signer of a [File]
	// follows the changes that its own program makes and those of others that the
	// file was read for.
	Key() Key
}

// CheckSigner returns nil if s may sign something of purpose p at the time now,
// and otherwise [ErrPurpose], [ErrNotActive], [ErrNotPublished] or
// [ErrSignWindow]. Every function of Sanad that signs calls it first.
func CheckSigner(s Signer, p Purpose, now time.Time) error {
	if s == nil {
		return fmt.Errorf("%w: there is no %s key", ErrNoKey, p)
	}
	k := s.Key()
	if p.years() == 0 {
		return fmt.Errorf("keys: internal error: unknown purpose %q", cut(string(p)))
	}
	if k.Purpose != p {
		return fmt.Errorf("%w: key %s signs as %s, not as %s; choose one of the %s keys", ErrPurpose, k.ID(), k.Purpose, p, p)
	}
	if !k.Public.is(s.Public()) {
		return fmt.Errorf("%w: the signer answers for another key than %s", ErrMismatch, k.ID())
	}
	return k.MaySign(now)
}

// ErrMismatch: private and public half, or key and name, do not belong together.
var ErrMismatch = errors.New("keys: signer and key do not belong together")

// is reports whether k is this key of the standard library.
func (k PublicKey) is(key crypto.PublicKey) bool {
	switch own := k.Crypto().(type) {
	case *ecdsa.PublicKey:
		return own.Equal(key)
	case ed25519.PublicKey:
		return own.Equal(key)
	}
	return false
}

// NewSigner joins a key with whatever can sign for it: a private key of the
// standard library, an HSM session, or a faulty signer in a test. It returns
// [ErrMismatch] unless s answers for k.Public. Key reports k as it is given.
func NewSigner(k Key, s crypto.Signer) (Signer, error) {
	if s == nil {
		return nil, fmt.Errorf("%w: no signer given for key %s", ErrMismatch, k.ID())
	}
	return newSigner(func() Key { return k }, s)
}

func newSigner(key func() Key, s crypto.Signer) (*signer, error) {
	if k := key(); !k.Public.is(s.Public()) {
		return nil, fmt.Errorf("%w: the signer answers for another key than %s", ErrMismatch, k.ID())
	}
	return &signer{key: key, public: s.Public(), sign: s.Sign}, nil
}

// signer keeps the private key inside a method value, where neither fmt nor
// reflection reaches it, and answers every way of printing with its name.
type signer struct {
	key    func() Key
	public crypto.PublicKey
	sign   func(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error)
}

// Key implements [Signer].
func (s *signer) Key() Key { return s.key() }

// Public implements [crypto.Signer].
func (s *signer) Public() crypto.PublicKey { return s.public }

// Sign implements [crypto.Signer]. Without a source of randomness it takes the
// system's: ECDSA here is never deterministic, so a fault in one of two equal
// signatures cannot give the key away.
func (s *signer) Sign(rnd io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if rnd == nil {
		rnd = rand.Reader
	}
	return s.sign(rnd, digest, opts)
}

// String names the key. It never shows key material.
func (s *signer) String() string { return "signer of " + s.Key().String() }

// GoString is String, so that %#v is safe too.
func (s *signer) GoString() string { return s.String() }

// Format is String for every verb, so that %x and %d are safe too.
func (s *signer) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue is String, so that slog is safe too.
func (s *signer) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON always fails. Exporting a key is a keystore's job, on purpose.
func (s *signer) MarshalJSON() ([]byte, error) {
	return nil, errors.New("keys: a signer has no JSON form")
}

// selfTest signs something and checks it with the public key, so that a broken
// private key is found before it is used.
func selfTest(pub PublicKey, s crypto.Signer) error {
	message := []byte("sanad keys self-test")
	digest, h := message, pub.Algorithm().Hash()
	if h != 0 {
		d := h.New()
		d.Write(message)
		digest = d.Sum(nil)
	}
	sig, err := s.Sign(rand.Reader, digest, h)
	if err != nil {
		return fmt.Errorf("self-test of key %s: %w", pub.ID(), err)
	}
	good := false
	switch key := pub.Crypto().(type) {
	case *ecdsa.PublicKey:
		good = ecdsa.VerifyASN1(key, digest, sig)
	case ed25519.PublicKey:
		good = ed25519.Verify(key, message, sig)
	}
	if !good {
		return fmt.Errorf("%w: self-test of key %s", ErrMismatch, pub.ID())
	}
	return nil
}
