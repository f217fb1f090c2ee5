package engine

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"errors"
	"io"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/wallet"
)

// A Key is a key on P-256 that only its device can use, such as one of WebCrypto that
// cannot be exported. It signs messages and no digests, so that nobody can have it sign
// what was not seen.
type Key struct {
	public keys.PublicKey
	key    *ecdsa.PublicKey
	sign   func(message []byte) ([]byte, error)
}

var (
	_ keys.Signer          = (*Key)(nil)
	_ crypto.MessageSigner = (*Key)(nil)
)

// NewKey returns the key whose public half is a JWK (RFC 7517). Sign returns r and s, in
// 32 bytes each, for a message (ECDSA with SHA-256, as WebCrypto has it).
func NewKey(jwk []byte, sign func(message []byte) ([]byte, error)) (*Key, error) {
	public, err := keys.ParseJWK(jwk)
	if err != nil {
		return nil, err
	}
	point, ok := public.Crypto().(*ecdsa.PublicKey)
	if !ok || public.Algorithm() != keys.ES256 {
		return nil, errors.New("engine: a key on another curve than P-256")
	}
	return &Key{public, point, sign}, nil
}

// Key implements [keys.Signer].
func (k *Key) Key() keys.Key { return wallet.HolderKey(k.public) }

// Public implements [crypto.Signer].
func (k *Key) Public() crypto.PublicKey { return k.key }

// Sign implements [crypto.Signer]: it always fails.
func (k *Key) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("engine: this key signs messages, not digests")
}

// SignMessage implements [crypto.MessageSigner]. What the device answers is verified
// before anybody sees it.
func (k *Key) SignMessage(_ io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts == nil || opts.HashFunc() != crypto.SHA256 {
		return nil, errors.New("engine: this key signs with SHA-256")
	}
	raw, err := k.sign(message)
	if err != nil {
		return nil, err
	}
	if len(raw) != keys.ES256.SignatureSize() {
		return nil, errors.New("engine: the device returned no signature")
	}
	r, s := new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])
	if digest := sha256.Sum256(message); !ecdsa.Verify(k.key, digest[:], r, s) {
		return nil, errors.New("engine: the device signed with another key")
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(r)
		b.AddASN1BigInt(s)
	})
	return b.Bytes()
}

// String names the key.
func (k *Key) String() string { return "key of this device" }

// GoString is String.
func (k *Key) GoString() string { return k.String() }
