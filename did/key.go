package did

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"fmt"

	"github.com/multiformats/go-multibase"

	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/keys"
)

// A codec is a kind of key in the table of multicodec, with its number as a varint.
type codec struct {
	prefix [2]byte
	size   int
	alg    keys.Algorithm
	curve  elliptic.Curve // nil for Ed25519
}

// codecs are those of the keys that Sanad accepts: 0xed, 0x1200 and 0x1201
// (did:key 0.9, section "Signature Method Creation"). Points are compressed.
var codecs = []codec{
	{[2]byte{0xed, 0x01}, ed25519.PublicKeySize, keys.EdDSA, nil},
	{[2]byte{0x80, 0x24}, 33, keys.ES256, elliptic.P256()},
	{[2]byte{0x81, 0x24}, 49, keys.ES384, elliptic.P384()},
}

// privateCodecs are the first bytes of the private forms of these and other keys:
// 0x1300 to 0x1314.
func privateCodec(b []byte) bool { return b[1] == 0x26 && b[0] >= 0x80 && b[0] <= 0x94 }

// maxMultikey is the most characters of a key in base58btc. P-384 needs 70, the longest that
// the specification names 135.
const maxMultikey = 160

// multikey returns a key as did:key and publicKeyMultibase have it.
func multikey(key keys.PublicKey) (string, error) {
	for _, c := range codecs {
		if c.alg != key.Algorithm() {
			continue
		}
		b := c.prefix[:]
		switch pub := key.Crypto().(type) {
		case ed25519.PublicKey:
			b = append(b[:2:2], pub...)
		case *ecdsa.PublicKey:
			point, err := pub.Bytes()
			if err != nil {
				return "", fmt.Errorf("did: internal error: %w", err)
			}
			x, y := point[1:c.size], point[c.size:]
			b = append(append(b[:2:2], 2|y[len(y)-1]&1), x...)
		}
		return multibase.Encode(multibase.Base58BTC, b)
	}
	return "", fmt.Errorf("%w: %s", ErrUnsupportedKey, key)
}

// parseMultikey is the reverse. It takes base58btc only, whose prefix is "z".
func parseMultikey(s string) (keys.PublicKey, error) {
	if len(s) > maxMultikey {
		return keys.PublicKey{}, fmt.Errorf("%w: a key of %d characters", ErrTooLarge, len(s))
	}
	if len(s) < 2 || s[0] != 'z' {
		return keys.PublicKey{}, fmt.Errorf("%w: a key in another base than base58btc", ErrDID)
	}
	_, b, err := multibase.Decode(s)
	if err != nil || len(b) < 2 {
		return keys.PublicKey{}, fmt.Errorf("%w: not base58btc", ErrDID)
	}
	if privateCodec(b) {
		return keys.PublicKey{}, keys.ErrPrivate
	}
	for _, c := range codecs {
		if [2]byte(b) != c.prefix {
			continue
		}
		key, err := c.parse(b[2:])
		if err != nil {
			return keys.PublicKey{}, err
		}
		// One key has one name: whatever else decodes to it is refused.
		if again, err := multikey(key); err != nil || again != s {
			return keys.PublicKey{}, fmt.Errorf("%w: another spelling of a key", ErrDID)
		}
		return key, nil
	}
	return keys.PublicKey{}, fmt.Errorf("%w: a multicodec that begins with %x", ErrUnsupportedKey, b[:2])
}

func (c codec) parse(raw []byte) (keys.PublicKey, error) {
	if len(raw) != c.size {
		return keys.PublicKey{}, fmt.Errorf("%w: %d bytes for %s, want %d", ErrDID, len(raw), c.alg, c.size)
	}
	if c.curve == nil {
		key, err := keys.NewPublicKey(c.alg, ed25519.PublicKey(raw))
		if err != nil {
			return keys.PublicKey{}, fmt.Errorf("%w: %w", ErrDID, err)
		}
		return key, nil
	}
	x, y := elliptic.UnmarshalCompressed(c.curve, raw)
	if x == nil {
		return keys.PublicKey{}, fmt.Errorf("%w: not a point on the curve of %s", ErrDID, c.alg)
	}
	size := (c.curve.Params().BitSize + 7) / 8
	point := append(append([]byte{4}, x.FillBytes(make([]byte, size))...), y.FillBytes(make([]byte, size))...)
	pub, err := ecdsa.ParseUncompressedPublicKey(c.curve, point)
	if err != nil {
		return keys.PublicKey{}, fmt.Errorf("%w: not a point on the curve of %s", ErrDID, c.alg)
	}
	return keys.NewPublicKey(c.alg, pub)
}

// Key returns the did:key of a key.
func Key(key keys.PublicKey) (string, error) {
	s, err := multikey(key)
	return "did:key:" + s, err
}

// resolveKey is the document of a did:key. Its one method is named by the key itself.
func resolveKey(did, id string) (*Document, error) {
	key, err := parseMultikey(id)
	if err != nil {
		return nil, err
	}
	return single(did, id, "Multikey", key), nil
}

// maxJWK is the most bytes of the key in a did:jwk.
const maxJWK = 4 << 10

// JWK returns the did:jwk of a key, made of nothing but the members that make it.
func JWK(key keys.PublicKey) string { return "did:jwk:" + strict.Base64URL(key.BareJWK()) }

// resolveJWK is the document of a did:jwk, whose one method is "#0".
func resolveJWK(did, id string) (*Document, error) {
	if len(id) > maxJWK*4/3 {
		return nil, fmt.Errorf("%w: a key of %d characters", ErrTooLarge, len(id))
	}
	b, err := strict.DecodeBase64URL(id)
	if err != nil {
		return nil, fmt.Errorf("%w: not base64url", ErrDID)
	}
	key, err := parseJWK(b, ErrDID)
	if err != nil {
		return nil, err
	}
	return single(did, "0", "JsonWebKey", key), nil
}
