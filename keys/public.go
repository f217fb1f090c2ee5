package keys

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"slices"
)

// Errors of the readers of public keys.
var (
	// ErrPrivate: the input holds a private key where a public one is wanted.
	// Whoever sent it has disclosed that key.
	ErrPrivate = errors.New("keys: this is a private key")
	// ErrUnsupportedKey: a key of a kind that Sanad does not accept.
	ErrUnsupportedKey = errors.New("keys: unsupported key")
	// ErrMalformedKey: the input is not a well-formed key.
	ErrMalformedKey = errors.New("keys: malformed key")
	// ErrInvalidKey: well formed, but the numbers are no key: off the curve,
	// of the wrong length, or of small order.
	ErrInvalidKey = errors.New("keys: invalid key")
	// ErrKeyUse: the key says that it is for something other than checking
	// signatures, or for another algorithm.
	ErrKeyUse = errors.New("keys: key is for another use")
)

// An ID is the short name of a public key: the first 8 bytes of its thumbprint.
// As kid of a signature it is a hint that finds candidates, not proof of which
// key was used.
type ID [8]byte

// ParseID reads an ID from its 16 hexadecimal digits.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != hex.EncodedLen(len(id)) {
		return ID{}, fmt.Errorf("parse key id %q: want %d hexadecimal digits", cut(s), hex.EncodedLen(len(id)))
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return ID{}, fmt.Errorf("parse key id %q: %w", cut(s), err)
	}
	return id, nil
}

// String returns the 16 hexadecimal digits of id.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Bytes returns the 8 bytes of id, as a kid header carries them.
func (id ID) Bytes() []byte { return id[:] }

// MarshalText is String, for JSON and flags.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText is [ParseID].
func (id *ID) UnmarshalText(text []byte) error {
	parsed, err := ParseID(string(text))
	if err == nil {
		*id = parsed
	}
	return err
}

// A PublicKey is a public key that is known to be sound for its algorithm: right
// curve, right length, on the curve, not of small order. The zero value is no
// key; see [PublicKey.IsZero]. Values are compared with [PublicKey.Equal], not
// with ==, and are safe for concurrent use.
type PublicKey struct {
	_ [0]func() // keeps == from compiling
	p *publicKey
}

type publicKey struct {
	alg   *algorithm
	point []byte // x and y, or the Ed25519 key
	key   crypto.PublicKey
	thumb [sha256.Size]byte
}

// NewPublicKey checks key, an [*ecdsa.PublicKey] or an [ed25519.PublicKey], and
// returns it as a key for alg.
func NewPublicKey(alg Algorithm, key crypto.PublicKey) (PublicKey, error) {
	r := alg.row()
	if r == nil {
		return PublicKey{}, fmt.Errorf("%w: algorithm %q is not one of %v", ErrUnsupportedKey, cut(string(alg)), Algorithms())
	}
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		if isEmpty(key) {
			return PublicKey{}, fmt.Errorf("%w: empty ECDSA key", ErrInvalidKey)
		}
		if key.Curve != r.curve {
			return PublicKey{}, fmt.Errorf("%w: a key on %s does not fit %s", ErrUnsupportedKey, key.Curve.Params().Name, alg)
		}
		point, err := key.Bytes() // checks that the point is on the curve
		if err != nil {
			return PublicKey{}, fmt.Errorf("%w: %v", ErrInvalidKey, err)
		}
		return newPublicKey(r, point[1:])
	case ed25519.PublicKey:
		if r.curve != nil {
			return PublicKey{}, fmt.Errorf("%w: an Ed25519 key does not fit %s", ErrUnsupportedKey, alg)
		}
		return newPublicKey(r, key)
	default:
		return PublicKey{}, fmt.Errorf("%w: %T", ErrUnsupportedKey, key)
	}
}

// isEmpty reports whether a part of key is missing. The standard library takes
// that to be a mistake of the program and panics.
func isEmpty(key *ecdsa.PublicKey) bool {
	//lint:ignore SA1019 X and Y are only looked for, not used
	return key == nil || key.Curve == nil || key.X == nil || key.Y == nil
}

// PublicKeyOf is [NewPublicKey] with the one algorithm that fits the key.
func PublicKeyOf(key crypto.PublicKey) (PublicKey, error) {
	var r *algorithm
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		if isEmpty(key) {
			return PublicKey{}, fmt.Errorf("%w: empty ECDSA key", ErrInvalidKey)
		}
		if r = find(func(r *algorithm) bool { return r.curve == key.Curve }); r == nil {
			return PublicKey{}, fmt.Errorf("%w: curve %s", ErrUnsupportedKey, key.Curve.Params().Name)
		}
	case ed25519.PublicKey:
		r = EdDSA.row()
	default:
		return PublicKey{}, fmt.Errorf("%w: %T", ErrUnsupportedKey, key)
	}
	return NewPublicKey(r.name, key)
}

// newPublicKey makes the key for r whose coordinates are point. Every public
// key of the package is made here.
func newPublicKey(r *algorithm, point []byte) (PublicKey, error) {
	const uncompressed = 4 // SEC 1 section 2.3.3
	whole := append(append(make([]byte, 0, 1+len(point)), uncompressed), point...)
	p := &publicKey{alg: r, point: whole[1:]}
	if r.curve == nil {
		if err := checkEd25519(p.point); err != nil {
			return PublicKey{}, err
		}
		p.key = ed25519.PublicKey(p.point)
	} else {
		if len(p.point) != 2*r.size {
			return PublicKey{}, fmt.Errorf("%w: coordinates of %d bytes on %s, want %d", ErrInvalidKey, len(p.point)/2, r.joseCrv, r.size)
		}
		// The standard library refuses a point that is off the curve or at infinity.
		key, err := ecdsa.ParseUncompressedPublicKey(r.curve, whole)
		if err != nil {
			return PublicKey{}, fmt.Errorf("%w: not a point on %s", ErrInvalidKey, r.joseCrv)
		}
		p.key = key
	}
	p.thumb = sha256.Sum256(p.appendCOSE(make([]byte, 0, 16+maxPoint)))
	return PublicKey{p: p}, nil
}

// The field prime of edwards25519, the d of its equation
// -x^2 + y^2 = 1 + d*x^2*y^2, and the y of two of its points of order 8.
var (
	edP  = fromDecimal("57896044618658097711785492504343953926634992332820282019728792003956564819949")
	edD  = fromDecimal("37095705934669439343138083508754565189542113879843219016388785533085940283555")
	edY8 = fromDecimal("55188659117513257062467267217118295137698188065244968500265048394206261417927")
)

func fromDecimal(s string) *big.Int {
	n, ok := new(big.Int).SetString(s, 10)
	if !ok {
		panic("keys: internal error: not a number: " + s)
	}
	return n
}

// checkEd25519 refuses what no honest signer has and what the standard library
// would accept: a y that is not reduced, and the points of small order, under
// which one signature fits many messages. What is no point at all it refuses
// here rather than as a bad signature later.
func checkEd25519(key []byte) error {
	if len(key) != ed25519.PublicKeySize {
		return fmt.Errorf("%w: an Ed25519 key of %d bytes, want %d", ErrInvalidKey, len(key), ed25519.PublicKeySize)
	}
	// RFC 8032 section 5.1.2: little-endian y, with the sign of x in the top bit.
	b := slices.Clone(key)
	slices.Reverse(b)
	b[0] &= 0x7f
	y := new(big.Int).SetBytes(b)
	if y.Cmp(edP) >= 0 {
		return fmt.Errorf("%w: the Ed25519 key is not in canonical form", ErrInvalidKey)
	}
	one := big.NewInt(1)
	minus := func(n *big.Int) *big.Int { return new(big.Int).Sub(edP, n) }
	// The eight points whose order divides 8 have these five values of y.
	for _, small := range []*big.Int{one, minus(one), new(big.Int), edY8, minus(edY8)} {
		if y.Cmp(small) == 0 {
			return fmt.Errorf("%w: the Ed25519 key is a point of small order", ErrInvalidKey)
		}
	}
	// x^2 = (y^2-1) / (d*y^2+1) has a root if and only if u*v is a square.
	yy := new(big.Int).Mul(y, y)
	u := new(big.Int).Sub(yy, one)
	v := yy.Mul(yy, edD)
	v.Add(v, one)
	u.Mul(u, v).Mod(u, edP)
	if big.Jacobi(u, edP) < 0 {
		return fmt.Errorf("%w: not a point on Ed25519", ErrInvalidKey)
	}
	return nil
}

// IsZero reports whether k is the zero value, which is no key.
func (k PublicKey) IsZero() bool { return k.p == nil }

// get returns what k holds and panics if it is the zero value, which only a
// mistake in our own code can bring here.
func (k PublicKey) get() *publicKey {
	if k.p == nil {
		panic("keys: internal error: use of the zero PublicKey")
	}
	return k.p
}

// Algorithm returns the one algorithm that the key is for; "" for the zero key.
func (k PublicKey) Algorithm() Algorithm {
	if k.p == nil {
		return ""
	}
	return k.p.alg.name
}

// Crypto returns the key as an [*ecdsa.PublicKey] or an [ed25519.PublicKey],
// which must not be changed; nil for the zero key.
func (k PublicKey) Crypto() crypto.PublicKey {
	if k.p == nil {
		return nil
	}
	return k.p.key
}

// Equal reports whether k and other are the same key for the same algorithm.
func (k PublicKey) Equal(other PublicKey) bool {
	if k.p == nil || other.p == nil {
		return k.p == other.p
	}
	return k.p.alg == other.p.alg && bytes.Equal(k.p.point, other.p.point)
}

// Thumbprint returns the SHA-256 thumbprint of RFC 9679. It can serve as a map
// key. The zero key has the zero thumbprint.
func (k PublicKey) Thumbprint() [sha256.Size]byte {
	if k.p == nil {
		return [sha256.Size]byte{}
	}
	return k.p.thumb
}

// ID returns the first 8 bytes of [PublicKey.Thumbprint].
func (k PublicKey) ID() ID {
	t := k.Thumbprint()
	return ID(t[:len(ID{})])
}

// JWKThumbprint returns the SHA-256 thumbprint of RFC 7638 in base64url.
func (k PublicKey) JWKThumbprint() string {
	sum := sha256.Sum256(k.get().jwkMembers())
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// String names the key by algorithm and ID.
func (k PublicKey) String() string {
	if k.p == nil {
		return "no public key"
	}
	return fmt.Sprintf("%s public key %s", k.Algorithm(), k.ID())
}

// GoString is String.
func (k PublicKey) GoString() string { return k.String() }

// LogValue is String.
func (k PublicKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalJSON is [PublicKey.JWK]; null for the zero key.
func (k PublicKey) MarshalJSON() ([]byte, error) {
	if k.p == nil {
		return []byte("null"), nil
	}
	return k.JWK(), nil
}

// UnmarshalJSON is [ParseJWK].
func (k *PublicKey) UnmarshalJSON(b []byte) error {
	parsed, err := ParseJWK(b)
	if err == nil {
		*k = parsed
	}
	return err
}

// maxPoint is the most bytes of the point of an algorithm's keys.
const maxPoint = 2 * 48

// maxKeyText is the most that the readers of public keys look at.
const maxKeyText = 64 << 10

// checkSize refuses input that is too long to be one public key.
func checkSize(b []byte) error {
	if len(b) > maxKeyText {
		return fmt.Errorf("%w: %d bytes, more than the %d that a public key may take", ErrMalformedKey, len(b), maxKeyText)
	}
	return nil
}

// ParsePublicKey reads one public key in whichever of the accepted forms it
// comes: PEM (a PUBLIC KEY or a CERTIFICATE), JWK, or COSE_Key, the last as bytes
// or as text in hexadecimal, base64 or base64url. It returns [ErrPrivate] if the
// input is a private key.
func ParsePublicKey(b []byte) (PublicKey, error) {
	if err := checkSize(b); err != nil {
		return PublicKey{}, err
	}
	text := bytes.TrimSpace(b)
	switch {
	case len(text) == 0:
		return PublicKey{}, fmt.Errorf("%w: the input is empty", ErrMalformedKey)
	case bytes.Contains(text, []byte(pemBegin)):
		return ParsePEM(b)
	case text[0] == '{':
		return ParseJWK(b)
	case b[0]>>5 == 5: // the major type of a CBOR map
		return ParseCOSEKey(b)
	}
	if der, ok := decodeText(string(text)); ok && len(der) > 0 && der[0]>>5 == 5 {
		return ParseCOSEKey(der)
	}
	return PublicKey{}, fmt.Errorf("%w: neither PEM, JWK nor COSE_Key", ErrMalformedKey)
}

// decodeText decodes hexadecimal, else base64 or base64url with or without
// padding. A CBOR map in base64 begins with a letter from o to v, which is no
// hexadecimal digit, so the two cannot be confused.
func decodeText(s string) ([]byte, bool) {
	if b, err := hex.DecodeString(s); err == nil {
		return b, true
	}
	for _, enc := range []*base64.Encoding{base64.RawURLEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.StdEncoding} {
		if b, err := enc.Strict().DecodeString(s); err == nil {
			return b, true
		}
	}
	return nil, false
}
