package jose

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/keys"
)

// An Encryption is a way to encrypt content (RFC 7518 section 5.3).
type Encryption string

// The encryptions that we use.
const (
	A128GCM Encryption = "A128GCM"
	A256GCM Encryption = "A256GCM"
)

// keyAgreement is the only way to agree on a key: directly, with a fresh key of the
// sender on P-256.
const keyAgreement = "ECDH-ES"

// ErrDecrypt: the content was not encrypted for this key, or was changed.
var ErrDecrypt = errors.New("jose: cannot be decrypted")

// An EncryptionKey is a public key on P-256 to encrypt for. It signs nothing and is
// no [keys.PublicKey].
type EncryptionKey struct {
	// KeyID is the kid by which its owner knows it. Optional.
	KeyID string
	pub   *ecdsa.PublicKey
}

// A DecryptionKey is the private half of an [EncryptionKey]. It never prints.
type DecryptionKey struct {
	keyID string
	key   func() *ecdsa.PrivateKey
}

// String names the key. It never shows key material.
func (k *DecryptionKey) String() string { return "decryption key " + cut(k.keyID) }

// GoString is String.
func (k *DecryptionKey) GoString() string { return k.String() }

// Format is String for every verb.
func (k *DecryptionKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// MarshalJSON always fails: a private key leaves through [DecryptionKey.Secret] only.
func (k *DecryptionKey) MarshalJSON() ([]byte, error) {
	return nil, errors.New("jose: a private key has no JSON form")
}

// NewDecryptionKey makes a key for one request or one season.
func NewDecryptionKey(keyID string) (*DecryptionKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("jose: make key: %w", err)
	}
	return &DecryptionKey{keyID, func() *ecdsa.PrivateKey { return key }}, nil
}

// Secret returns the 32 bytes of the private key, for whoever keeps it encrypted.
func (k *DecryptionKey) Secret() ([]byte, error) { return k.key().Bytes() }

// RestoreDecryptionKey is the reverse of Secret.
func RestoreDecryptionKey(keyID string, secret []byte) (*DecryptionKey, error) {
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), secret)
	if err != nil {
		return nil, errors.New("jose: not a private key on P-256")
	}
	return &DecryptionKey{keyID, func() *ecdsa.PrivateKey { return key }}, nil
}

// Public is the key to encrypt for.
func (k *DecryptionKey) Public() EncryptionKey { return EncryptionKey{k.keyID, &k.key().PublicKey} }

// JWK returns the key as a JSON Web Key for encryption.
func (k EncryptionKey) JWK() ([]byte, error) {
	if k.pub == nil {
		return nil, errors.New("jose: no encryption key")
	}
	point, err := k.pub.Bytes()
	if err != nil {
		return nil, fmt.Errorf("jose: %v", err)
	}
	m := map[string]any{
		"kty": "EC", "crv": "P-256", "use": "enc", "alg": keyAgreement,
		"x": strict.Base64URL(point[1:33]), "y": strict.Base64URL(point[33:]),
	}
	if k.KeyID != "" {
		m["kid"] = k.KeyID
	}
	return strict.AppendJSON(nil, m)
}

// ParseEncryptionKey reads a JSON Web Key for encryption. Use and alg, where
// present, must say so.
func ParseEncryptionKey(jwk strict.Value) (EncryptionKey, error) {
	use, err := member(jwk, "use", 16)
	if err != nil {
		return EncryptionKey{}, err
	}
	alg, err := member(jwk, "alg", 32)
	if err != nil {
		return EncryptionKey{}, err
	}
	if use != "" && use != "enc" || alg != "" && alg != keyAgreement {
		return EncryptionKey{}, fmt.Errorf("%w: a key for use %s with %s", ErrAlgorithm, cut(use), cut(alg))
	}
	keyID, err := member(jwk, "kid", maxKeyID)
	if err != nil {
		return EncryptionKey{}, err
	}
	pub, err := agreementKey(jwk)
	return EncryptionKey{keyID, pub}, err
}

// agreementKey reads the point of a key, and nothing else, off no curve but P-256.
func agreementKey(jwk strict.Value) (*ecdsa.PublicKey, error) {
	if jwk.Kind() != strict.Object {
		return nil, fmt.Errorf("%w: a key that is no object", ErrMalformed)
	}
	bare := map[string]any{}
	for _, name := range []string{"kty", "crv", "x", "y", "d"} {
		if v := jwk.Get(name); v.Kind() != strict.None {
			bare[name] = v
		}
	}
	b, err := strict.AppendJSON(nil, bare)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	pub, err := keys.ParseJWK(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	point, ok := pub.Crypto().(*ecdsa.PublicKey)
	if !ok || pub.Algorithm() != keys.ES256 {
		return nil, fmt.Errorf("%w: a key on another curve than P-256", ErrAlgorithm)
	}
	return point, nil
}

// keyBytes is the length of the key that an encryption takes, 0 for those that we do
// not carry.
func (e Encryption) keyBytes() int {
	switch e {
	case A128GCM:
		return 16
	case A256GCM:
		return 32
	}
	return 0
}

// Encrypt returns the payload as compact JWE for this key.
func Encrypt(payload []byte, to EncryptionKey, enc Encryption) (string, error) {
	if enc.keyBytes() == 0 || to.pub == nil {
		return "", fmt.Errorf("%w: to encrypt with %s", ErrAlgorithm, cut(string(enc)))
	}
	token, err := seal(payload, to, enc)
	if err != nil {
		return "", fmt.Errorf("jose: encrypt: %v", err)
	}
	return token, nil
}

// ExpectJWE is what a reader requires of encrypted content.
type ExpectJWE struct {
	// Key is the key that the sender was given. It must be set.
	Key *DecryptionKey
	// Encryptions are those that were offered to the sender. It must be set.
	Encryptions []Encryption
	// MaxBytes is how large the token may be; zero means [MaxToken].
	MaxBytes int
}

// sealed are the sizes of nonce and tag of AES-GCM.
const (
	nonceSize = 12
	tagSize   = 16
)

// Decrypt opens a compact JWE. The library sees it after everything in it was read
// and bounded here: direct key agreement, one of the encryptions that were offered,
// a sender's key on the curve, nothing compressed.
func Decrypt(token string, want ExpectJWE) ([]byte, error) {
	if want.Key == nil || len(want.Encryptions) == 0 {
		return nil, errors.New("jose: ExpectJWE.Key or Encryptions is not set")
	}
	most := want.MaxBytes
	if most <= 0 {
		most = MaxToken
	}
	if len(token) > most {
		return nil, fmt.Errorf("%w: a token of %d bytes, at most %d", ErrTooLarge, len(token), most)
	}
	if strings.Count(token, ".") != 4 {
		return nil, fmt.Errorf("%w: not the five parts of a compact token", ErrMalformed)
	}
	parts := strings.Split(token, ".")
	if err := checkSealed(parts); err != nil {
		return nil, err
	}
	if err := checkJWEHeader(parts[0], want); err != nil {
		return nil, err
	}
	b, err := unseal(token, want.Key.key())
	if err != nil {
		return nil, ErrDecrypt
	}
	return b, nil
}

// checkSealed checks the four parts behind the header.
func checkSealed(parts []string) error {
	// RFC 7518 section 4.6: with direct agreement there is no encrypted key.
	if parts[1] != "" {
		return fmt.Errorf("%w: an encrypted key where none belongs", ErrMalformed)
	}
	for i, size := range []int{nonceSize, -1, tagSize} {
		b, err := strict.DecodeBase64URL(parts[i+2])
		if err != nil || size >= 0 && len(b) != size {
			return fmt.Errorf("%w: part %d of a JWE", ErrMalformed, i+3)
		}
	}
	return nil
}

func checkJWEHeader(encoded string, want ExpectJWE) error {
	m, err := headerObject(encoded)
	if err != nil {
		return err
	}
	for _, r := range refusedHeaders {
		if r.name != "enc" && m.Get(r.name).Kind() != strict.None {
			return fmt.Errorf("%w: %s: %s", ErrHeader, r.name, r.why)
		}
	}
	if alg, _ := m.Get("alg").Text(); alg != keyAgreement {
		return fmt.Errorf("%w: alg %s", ErrAlgorithm, cut(alg))
	}
	enc, _ := m.Get("enc").Text()
	offered := false
	for _, e := range want.Encryptions {
		offered = offered || e.keyBytes() > 0 && enc == string(e)
	}
	if !offered {
		return fmt.Errorf("%w: enc %s", ErrAlgorithm, cut(enc))
	}
	if kid := m.Get("kid"); kid.Kind() != strict.None {
		if s, ok := kid.Text(); !ok || s != want.Key.keyID {
			return fmt.Errorf("%w: for another key", ErrDecrypt)
		}
	}
	for _, name := range []string{"apu", "apv"} {
		s, err := member(m, name, 1024)
		if err != nil {
			return err
		}
		if _, err := strict.DecodeBase64URL(s); err != nil {
			return fmt.Errorf("%w: header %s", ErrMalformed, name)
		}
	}
	_, err = agreementKey(m.Get("epk"))
	return err
}
