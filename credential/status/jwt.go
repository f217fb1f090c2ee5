package status

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/keys"
)

// Names of the JWT form of a token (section 5.1 of the draft).
const (
	// TypeJWT is the header typ of a Status List Token in JWT form.
	TypeJWT = "statuslist+jwt"
	// MediaTypeJWT is its content type on the network.
	MediaTypeJWT = "application/statuslist+jwt"
)

// A JWSOpener verifies compact JSON Web Signatures. Package internal/jose has one.
// It is an interface because the JOSE library brings an HTTP client along, which has
// no place in a verifier for browsers.
type JWSOpener interface {
	// OpenJWS returns the payload of a token that has exactly this typ and at most
	// maxBytes bytes, and the one of the keys that verifies it. If none does, the key
	// is zero and there is no error.
	OpenJWS(token, typ string, maxBytes int, candidates []keys.PublicKey) ([]byte, keys.PublicKey, error)
}

// A JWSSigner makes compact JSON Web Signatures. Package internal/jose has one.
type JWSSigner interface {
	// SignJWS returns a token of this typ with the kid of the signer's key.
	SignJWS(rnd io.Reader, s keys.Signer, typ string, payload []byte) ([]byte, error)
}

// SignJWT is [SignToken] for the JWT form, which SD-JWT VC asks for.
func SignJWT(rnd io.Reader, s keys.Signer, t TokenInfo, now time.Time, jws JWSSigner) ([]byte, error) {
	if err := keys.CheckSigner(s, keys.StatusList, now); err != nil {
		return nil, fmt.Errorf("sign status list: %w", err)
	}
	if err := t.check(now); err != nil {
		return nil, err
	}
	list, err := t.List.wire()
	if err != nil {
		return nil, err
	}
	members := map[string]any{"bits": list.Bits, "lst": string(strict.AppendBase64URL(nil, list.List))}
	if t.AggregationURI != "" {
		members["aggregation_uri"] = t.AggregationURI
	}
	payload, err := strict.AppendJSON(nil, map[string]any{
		"sub": t.URI, "iat": t.IssuedAt.Unix(), "exp": t.Expires.Unix(), "ttl": int64(t.TTL / time.Second), "status_list": members,
	})
	if err != nil {
		return nil, fmt.Errorf("sign status list: %w", err)
	}
	b, err := jws.SignJWS(rnd, s, TypeJWT, payload)
	if err != nil {
		return nil, fmt.Errorf("sign status list: %w", err)
	}
	return b, nil
}

// VerifyJWT is [VerifyToken] for the JWT form.
func VerifyJWT(token string, want Expect, jws JWSOpener) (*TokenInfo, error) {
	if err := want.check(); err != nil {
		return nil, err
	}
	if jws == nil {
		return nil, errors.New("status: VerifyJWT needs a JWSOpener")
	}
	most := jsonLimits(want.MaxBytes).Bytes * 4 / 3
	if len(token) > most {
		return nil, fmt.Errorf("%w: a token of %d bytes", ErrTooLarge, len(token))
	}
	if err := checkTypeJWT(token); err != nil {
		return nil, err
	}
	payload, key, err := jws.OpenJWS(token, TypeJWT, most, want.Keys)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	if key.IsZero() {
		return nil, ErrSignature
	}
	t, err := parseClaimsJWT(payload, want.MaxBytes)
	if err != nil {
		return nil, err
	}
	t.Key = key
	if err := t.accept(want); err != nil {
		return nil, err
	}
	return t, nil
}

// ParseJWT is [ParseToken] for the JWT form: it verifies nothing.
func ParseJWT(token string, maxBytes int) (*TokenInfo, error) {
	if len(token) > jsonLimits(maxBytes).Bytes*4/3 {
		return nil, fmt.Errorf("%w: a token of %d bytes", ErrTooLarge, len(token))
	}
	if err := checkTypeJWT(token); err != nil {
		return nil, err
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, fmt.Errorf("%w: not a compact token", ErrMalformed)
	}
	payload, err := strict.DecodeBase64URL(parts[1])
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	return parseClaimsJWT(payload, maxBytes)
}

// checkTypeJWT looks at the header only to tell another token from a broken one.
func checkTypeJWT(token string) error {
	header, _, _ := strings.Cut(token, ".")
	if len(header) > 8<<10 {
		return fmt.Errorf("%w: a header of %d bytes", ErrTooLarge, len(header))
	}
	b, err := strict.DecodeBase64URL(header)
	if err != nil {
		return fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	m, err := strict.Limits{Bytes: 8 << 10, Depth: 8, Items: 256}.Object(b)
	if err != nil {
		return fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	if typ, _ := m.Get("typ").Text(); typ != TypeJWT {
		return ErrWrongType
	}
	return nil
}

// jsonLimits bound the JSON around a compressed list in base64.
func jsonLimits(maxBytes int) strict.Limits {
	return strict.Limits{Bytes: tokenLimits(maxBytes).Bytes * 4 / 3, Depth: 8, Items: 256}
}

// readJSON reads a JSON object in this package's words for what is wrong.
func readJSON(b []byte, limits strict.Limits) (strict.Value, error) {
	v, err := limits.Object(b)
	switch {
	case errors.Is(err, strict.ErrTooLarge):
		return v, fmt.Errorf("%w: %v", ErrTooLarge, err)
	case err != nil:
		return v, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	return v, nil
}

// parseClaimsJWT reads the claims of section 5.1.
func parseClaimsJWT(payload []byte, maxBytes int) (*TokenInfo, error) {
	m, err := readJSON(payload, jsonLimits(maxBytes))
	if err != nil {
		return nil, fmt.Errorf("read status list token: %w", err)
	}
	t := &TokenInfo{}
	t.URI, _ = m.Get("sub").Text()
	if t.IssuedAt, err = m.Get("iat").Date(); err != nil {
		return nil, fmt.Errorf("%w: status list token: iat: %v", ErrMalformed, err)
	}
	if t.Expires, t.TTL, err = lifetimeJWT(m); err != nil {
		return nil, err
	}
	list := m.Get("status_list")
	if list.Kind() != strict.Object {
		return nil, fmt.Errorf("%w: status list token without status_list", ErrMalformed)
	}
	t.AggregationURI, _ = list.Get("aggregation_uri").Text()
	if t.List, err = openJSON(list, maxBytes); err != nil {
		return nil, fmt.Errorf("read status list token: %w", err)
	}
	return t, nil
}

// lifetimeJWT reads the claims exp and ttl, zero if they are not there.
func lifetimeJWT(claims strict.Value) (expires time.Time, ttl time.Duration, err error) {
	if exp := claims.Get("exp"); exp.Kind() != strict.None {
		if expires, err = exp.Date(); err != nil {
			return time.Time{}, 0, fmt.Errorf("%w: status list token: exp: %v", ErrMalformed, err)
		}
	}
	if claim := claims.Get("ttl"); claim.Kind() != strict.None {
		seconds, ok := claim.Int()
		if !ok || seconds < 1 || seconds > maxTTL {
			return time.Time{}, 0, fmt.Errorf("%w: status list token: ttl", ErrMalformed)
		}
		ttl = time.Duration(seconds) * time.Second
	}
	return expires, ttl, nil
}

// LeastFresh is the shortest time after which a list is asked for again, whatever its token
// says, so that one without end to its updates is not asked for at each check (section 11.5).
const LeastFresh = 5 * time.Second

// FreshJWT is for how long a token in JWT form that came at a time will do before its address is
// asked again: its ttl, or to its exp if that is sooner, which go before what HTTP says of
// caching (sections 8.2 and 13.7), and [LeastFresh] at least. It returns false if the token states
// neither. It verifies nothing: whether a token that was kept may be used is asked at each use.
func FreshJWT(token []byte, came time.Time) (time.Duration, bool) {
	_, rest, _ := strings.Cut(string(token), ".")
	payload, _, ok := strings.Cut(rest, ".")
	b, err := strict.DecodeBase64URL(payload)
	if !ok || err != nil {
		return 0, false
	}
	claims, err := readJSON(b, jsonLimits(0))
	if err != nil {
		return 0, false
	}
	expires, fresh, err := lifetimeJWT(claims)
	switch {
	case err != nil || expires.IsZero() && fresh == 0:
		return 0, false
	case fresh == 0 || !expires.IsZero() && expires.Sub(came) < fresh:
		fresh = expires.Sub(came)
	}
	return max(fresh, LeastFresh), true
}

// openJSON opens a Status List in JSON (section 4.2).
func openJSON(m strict.Value, maxBytes int) (*List, error) {
	bits, isNumber := m.Get("bits").Int()
	text, isText := m.Get("lst").Text()
	if !isNumber || !isText {
		return nil, fmt.Errorf("%w: bits and lst are required", ErrMalformed)
	}
	if bits > 8 {
		return nil, fmt.Errorf("%w: %d, want 1, 2, 4 or 8", ErrBits, bits)
	}
	list, err := strict.DecodeBase64URL(text)
	if err != nil {
		return nil, fmt.Errorf("%w: lst: %v", ErrMalformed, err)
	}
	return wireList{Bits: int(bits), List: list}.open(maxBytes)
}
