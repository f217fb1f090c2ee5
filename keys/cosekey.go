package keys

import (
	"crypto/elliptic"
	"fmt"

	"github.com/sanad-id/sanad/internal/cbor"
)

// Labels of a COSE_Key (RFC 9052 section 7.1, RFC 9053 section 7).
const (
	coseKty    int64 = 1
	coseAlg    int64 = 3
	coseKeyOps int64 = 4
	coseCrv    int64 = -1
	coseX      int64 = -2
	coseY      int64 = -3
	coseD      int64 = -4

	coseOpSign   int64 = 1
	coseOpVerify int64 = 2

	coseSymmetric int64 = 4
)

// keyLimits bounds a COSE_Key before it is decoded.
var keyLimits = cbor.Limits{Bytes: maxKeyText, Depth: 4, Items: 64}

// coseKey encodes the required members in the deterministic form that RFC 9679
// section 3 hashes. The map is fixed, so it is put together byte by byte.
func (p *publicKey) coseKey() []byte { return p.appendCOSE(nil) }

// appendCOSE is coseKey for a slice that is empty.
func (p *publicKey) appendCOSE(out []byte) []byte {
	const (
		mapOf3, mapOf4   = 0xa3, 0xa4
		bytesWithLength8 = 0x58
	)
	// All the numbers here are small: n is one byte, -1-n is 0x20+n.
	out = append(out, mapOf4, byte(coseKty), byte(p.alg.coseKty), 0x20, byte(p.alg.coseCrv))
	size := p.alg.size
	out = append(out, 0x21, bytesWithLength8, byte(size))
	out = append(out, p.point[:size]...)
	if p.alg.curve == nil {
		out[0] = mapOf3
		return out
	}
	out = append(out, 0x22, bytesWithLength8, byte(size))
	return append(out, p.point[size:]...)
}

// COSEKey returns the key as a COSE_Key of its required members only, in
// deterministic CBOR. Its SHA-256 is the thumbprint.
func (k PublicKey) COSEKey() []byte { return k.get().coseKey() }

// ParseCOSEKey reads a public COSE_Key (RFC 9052 section 7) for one of the
// accepted algorithms. It refuses private members ([ErrPrivate]), coordinates
// that are not exactly as long as the curve wants, and "alg" or "key_ops" that
// contradict checking signatures. Members it does not know are passed over. A
// compressed point is read, never written.
func ParseCOSEKey(b []byte) (PublicKey, error) {
	if err := checkSize(b); err != nil {
		return PublicKey{}, err
	}
	var m map[any]any
	if err := keyLimits.Unmarshal(b, &m); err != nil {
		return PublicKey{}, fmt.Errorf("%w: COSE_Key: %v", ErrMalformedKey, err)
	}
	kty, crv := coseNumber(m, coseKty), coseNumber(m, coseCrv)
	if kty == coseSymmetric {
		return PublicKey{}, fmt.Errorf("%w: a symmetric COSE_Key is no public key", ErrUnsupportedKey)
	}
	if _, ok := m[coseD]; ok {
		return PublicKey{}, fmt.Errorf("%w (COSE_Key label -4): keep it where it is and give the key without that member", ErrPrivate)
	}
	r := find(func(r *algorithm) bool { return r.coseKty == kty && r.coseCrv == crv })
	if r == nil {
		return PublicKey{}, fmt.Errorf("%w: COSE_Key of type %d on curve %d", ErrUnsupportedKey, kty, crv)
	}
	if alg, ok := m[coseAlg]; ok && alg != any(r.cose) && alg != any(r.fullCOSE) {
		return PublicKey{}, fmt.Errorf("%w: the alg of the COSE_Key is not that of its curve %s", ErrKeyUse, r.joseCrv)
	}
	if err := checkCOSEOps(m); err != nil {
		return PublicKey{}, err
	}
	point, err := cosePoint(m, r)
	if err != nil {
		return PublicKey{}, err
	}
	return newPublicKey(r, point)
}

// coseNumber returns the integer under a label, or 0, which no registry of COSE
// gives out.
func coseNumber(m map[any]any, label int64) int64 {
	n, _ := m[label].(int64)
	return n
}

// checkCOSEOps refuses key_ops without verify or with anything beyond
// signatures.
func checkCOSEOps(m map[any]any) error {
	v, ok := m[coseKeyOps]
	if !ok {
		return nil
	}
	ops, ok := v.([]any)
	if !ok {
		return fmt.Errorf("%w: key_ops of the COSE_Key is not an array", ErrMalformedKey)
	}
	verify := false
	for _, op := range ops {
		if op != any(coseOpVerify) && op != any(coseOpSign) {
			return fmt.Errorf("%w: key_ops of the COSE_Key go beyond signatures", ErrKeyUse)
		}
		verify = verify || op == any(coseOpVerify)
	}
	if !verify {
		return fmt.Errorf("%w: key_ops of the COSE_Key lack verify", ErrKeyUse)
	}
	return nil
}

// cosePoint returns the coordinates of the key as [newPublicKey] takes them.
func cosePoint(m map[any]any, r *algorithm) ([]byte, error) {
	x, ok := m[coseX].([]byte)
	if !ok {
		return nil, fmt.Errorf("%w: COSE_Key without x", ErrMalformedKey)
	}
	if len(x) != r.size {
		return nil, fmt.Errorf("%w: x of the COSE_Key has %d bytes, want %d", ErrInvalidKey, len(x), r.size)
	}
	if r.curve == nil {
		if _, ok := m[coseY]; ok {
			return nil, fmt.Errorf("%w: COSE_Key on %s with a y", ErrMalformedKey, r.joseCrv)
		}
		return x, nil
	}
	switch y := m[coseY].(type) {
	case []byte:
		if len(y) != r.size {
			return nil, fmt.Errorf("%w: y of the COSE_Key has %d bytes, want %d", ErrInvalidKey, len(y), r.size)
		}
		return append(append([]byte(nil), x...), y...), nil
	case bool:
		return decompress(r, x, y)
	default:
		return nil, fmt.Errorf("%w: COSE_Key without y", ErrMalformedKey)
	}
}

// decompress finds y from x and its sign (RFC 9053 section 7.1.1).
func decompress(r *algorithm, x []byte, odd bool) ([]byte, error) {
	form := byte(2)
	if odd {
		form = 3
	}
	px, py := elliptic.UnmarshalCompressed(r.curve, append([]byte{form}, x...))
	if px == nil {
		return nil, fmt.Errorf("%w: not a point on %s", ErrInvalidKey, r.joseCrv)
	}
	point := make([]byte, 2*r.size)
	px.FillBytes(point[:r.size])
	py.FillBytes(point[r.size:])
	return point, nil
}
