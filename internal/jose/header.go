package jose

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/keys"
)

// A Header is what we write into and read from the protected header of a token.
// There are no other headers: compact tokens have none.
type Header struct {
	// Algorithm is that of the signature; "" if it is none that we carry. Writers
	// leave it empty or set it to the key's.
	Algorithm keys.Algorithm
	// Type is the typ: what the signer meant to sign. Writers must set it.
	Type string
	// KeyID is the kid: a hint that finds candidates for the key. It is never a
	// path, an address or a query.
	KeyID string
	// X5C is a certificate chain, the signer's first, each in DER. It says nothing
	// until somebody has checked it.
	X5C [][]byte
	// Key is the jwk: the signer's own statement of its key, for the protocols in
	// which a key proves itself (DPoP, key proofs). Nil if there is none.
	Key *keys.PublicKey
	// KeyAttestation is the key_attestation of a key proof (OpenID4VCI 1.0 appendix
	// F.1): a token of its own, which says nothing until somebody has checked it.
	KeyAttestation string
}

const (
	maxHeader  = 32 << 10 // bytes of the decoded header
	maxMembers = 32
	maxKeyID   = 512
	maxChain   = 8
)

var headerLimits = strict.Limits{Bytes: maxHeader, Depth: 8, Items: 256}

// refusedHeaders are the members that no token may have, and why.
var refusedHeaders = []struct{ name, why string }{
	{"crit", "no extension is known here, so none can be critical"}, // RFC 7515 section 4.1.11
	{"b64", "payloads are always encoded"},                          // RFC 7797
	{"jku", "keys are never fetched from where a token says"},
	{"x5u", "certificates are never fetched from where a token says"},
	{"zip", "compressed content is not accepted"},
	{"enc", "a signed token is expected"},
}

// encode returns the header as JSON, members in the order of their names.
func (h Header) encode(alg keys.Algorithm) ([]byte, error) {
	if h.Type == "" {
		return nil, errors.New("jose: Header.Type is not set")
	}
	b := append(make([]byte, 0, 128), `{"alg":"`...)
	b = append(append(b, alg...), '"')
	if h.Key != nil {
		b = append(append(b, `,"jwk":`...), h.Key.JWK()...)
	}
	var err error
	text := func(name, s string) {
		if s != "" && err == nil {
			b, err = strict.AppendText(append(b, name...), s)
		}
	}
	text(`,"key_attestation":`, h.KeyAttestation)
	text(`,"kid":`, h.KeyID)
	text(`,"typ":`, h.Type)
	if err != nil {
		return nil, fmt.Errorf("jose: write header: %w", err)
	}
	if len(h.X5C) > 0 {
		b = append(b, `,"x5c":[`...)
		for i, der := range h.X5C {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(base64.StdEncoding.AppendEncode(append(b, '"'), der), '"')
		}
		b = append(b, ']')
	}
	b = append(b, '}')
	if len(b) > maxHeader {
		return nil, fmt.Errorf("%w: a header of %d bytes", ErrTooLarge, len(b))
	}
	return b, nil
}

// A readHeader is a header with the words for what it does not support.
type readHeader struct {
	Header
	algorithm string // as it stands there
}

// parseHeader reads the protected header of a signed token. The jwk is refused
// unless the caller's protocol has one.
func parseHeader(encoded string, ownKey bool) (readHeader, error) {
	m, err := headerObject(encoded)
	if err != nil {
		return readHeader{}, err
	}
	for _, r := range refusedHeaders {
		if m.Get(r.name).Kind() != strict.None {
			return readHeader{}, fmt.Errorf("%w: %s: %s", ErrHeader, r.name, r.why)
		}
	}
	var h readHeader
	if h.algorithm, err = member(m, "alg", 64); err != nil {
		return readHeader{}, err
	}
	if h.algorithm == "" {
		return readHeader{}, fmt.Errorf("%w: no alg", ErrMalformed)
	}
	if h.Type, err = member(m, "typ", 128); err != nil {
		return readHeader{}, err
	}
	if h.KeyID, err = member(m, "kid", maxKeyID); err != nil {
		return readHeader{}, err
	}
	h.Algorithm, err = signatureAlgorithm(h.algorithm)
	if err != nil && !errors.Is(err, ErrUnsupportedAlgorithm) {
		return readHeader{}, err
	}
	if h.X5C, err = chain(m.Get("x5c")); err != nil {
		return readHeader{}, err
	}
	if h.KeyAttestation, err = member(m, "key_attestation", maxHeader); err != nil {
		return readHeader{}, err
	}
	if jwk := m.Get("jwk"); jwk.Kind() != strict.None {
		if !ownKey {
			return readHeader{}, fmt.Errorf("%w: jwk: keys come from the trust data and not from a token", ErrHeader)
		}
		if h.Key, err = Key(jwk); err != nil {
			return readHeader{}, err
		}
	}
	return h, nil
}

// headerObject decodes a header to its members.
func headerObject(encoded string) (strict.Value, error) {
	if len(encoded) > maxHeader*4/3+4 {
		return strict.Value{}, fmt.Errorf("%w: a header of %d characters", ErrTooLarge, len(encoded))
	}
	b, err := strict.DecodeBase64URL(encoded)
	if err != nil {
		return strict.Value{}, fmt.Errorf("%w: header: %v", ErrMalformed, err)
	}
	m, err := headerLimits.Object(b)
	if errors.Is(err, strict.ErrTooLarge) {
		return strict.Value{}, fmt.Errorf("%w: header: %v", ErrTooLarge, err)
	}
	if err != nil {
		return strict.Value{}, fmt.Errorf("%w: header: %v", ErrMalformed, err)
	}
	if m.Len() > maxMembers {
		return strict.Value{}, fmt.Errorf("%w: %d header members, at most %d", ErrTooLarge, m.Len(), maxMembers)
	}
	return m, nil
}

// member returns a member that must be a text without being empty, "" if it is
// absent.
func member(m strict.Value, name string, most int) (string, error) {
	v := m.Get(name)
	if v.Kind() == strict.None {
		return "", nil
	}
	s, ok := v.Text()
	switch {
	case !ok || s == "":
		return "", fmt.Errorf("%w: header %s is not a text", ErrMalformed, name)
	case len(s) > most:
		return "", fmt.Errorf("%w: header %s of %d bytes", ErrTooLarge, name, len(s))
	}
	return s, nil
}

// signatureAlgorithm tells apart what we carry, what we do not carry, and what is
// no signature at all.
func signatureAlgorithm(name string) (keys.Algorithm, error) {
	alg, err := keys.ParseAlgorithm(name)
	switch upper := strings.ToUpper(strings.TrimSpace(name)); {
	case err == nil:
		return alg, nil
	case upper == "NONE":
		return "", fmt.Errorf("%w: alg %s", ErrUnsigned, cut(name))
	case strings.HasPrefix(upper, "HS"), strings.HasPrefix(upper, "DIR"), strings.HasPrefix(upper, "PBES"):
		// Whoever can check a MAC can also make it.
		return "", fmt.Errorf("%w: alg %s is no signature", ErrHeader, cut(name))
	}
	return "", fmt.Errorf("%w: %s", ErrUnsupportedAlgorithm, cut(name))
}

// chain reads the x5c: base64, not base64url, of DER (RFC 7515 section 4.1.6).
func chain(v strict.Value) ([][]byte, error) {
	switch {
	case v.Kind() == strict.None:
		return nil, nil
	case v.Kind() != strict.Array || v.Len() == 0:
		return nil, fmt.Errorf("%w: header x5c is not a list of certificates", ErrMalformed)
	case v.Len() > maxChain:
		return nil, fmt.Errorf("%w: %d certificates, at most %d", ErrTooLarge, v.Len(), maxChain)
	}
	var certificates [][]byte
	for i := range v.Len() {
		s, ok := v.At(i).Text()
		der, err := base64.StdEncoding.Strict().DecodeString(s)
		if !ok || err != nil || len(der) == 0 || strings.ContainsAny(s, "\r\n") {
			return nil, fmt.Errorf("%w: certificate %d of x5c", ErrMalformed, i)
		}
		certificates = append(certificates, der)
	}
	return certificates, nil
}

// Key reads a public key that stands in a token as JWK: in a header, or in the
// claim cnf (RFC 7800 section 3.2). An error is [keys.ErrPrivate],
// [keys.ErrUnsupportedKey] or [ErrMalformed].
func Key(jwk strict.Value) (*keys.PublicKey, error) {
	if jwk.Kind() != strict.Object {
		return nil, fmt.Errorf("%w: a jwk that is no object", ErrMalformed)
	}
	pub, err := keys.JWKOf(jwk)
	if errors.Is(err, keys.ErrPrivate) || errors.Is(err, keys.ErrUnsupportedKey) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	return &pub, nil
}

// knownType reports whether typ is one of want, exactly.
func knownType(typ string, want []string) bool { return typ != "" && slices.Contains(want, typ) }
