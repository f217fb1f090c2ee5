package status

import (
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/sanad-id/sanad/internal/cbor"
	"github.com/sanad-id/sanad/internal/cose"
	"github.com/sanad-id/sanad/keys"
)

// MediaType is the type of a Status List Token in CWT form: the header typ in
// the token and the content type on the network (section 5.2 of the draft).
const MediaType = "application/statuslist+cwt"

// Leeway is how far the issue date of a token may lie ahead of the reader's
// clock. There is none for expiry.
const Leeway = time.Minute

// Errors of [VerifyToken], besides [ErrMalformed], [ErrTooLarge] and [ErrBits].
// Each means that the list cannot be used; none says anything about a credential.
var (
	// ErrWrongType: a signed message that is not a Status List Token in CWT form.
	ErrWrongType = errors.New("status: not a status list token")
	// ErrWrongSubject: the token of another list.
	ErrWrongSubject = errors.New("status: token of another list")
	// ErrSignature: no key that may sign this list verifies the token.
	ErrSignature = errors.New("status: no trusted key signed this token")
	// ErrExpired: the token's exp has passed.
	ErrExpired = errors.New("status: token has expired")
	// ErrIssuedAhead: the token's iat lies in the future.
	ErrIssuedAhead = errors.New("status: token is issued in the future")
	// ErrNoLifetime: the token has neither exp nor ttl, so that it could be
	// replayed for ever.
	ErrNoLifetime = errors.New("status: token has no lifetime")
)

// A TokenInfo is what a Status List Token says.
type TokenInfo struct {
	// URI is the URI of the list: the claim sub, which must equal the uri in a
	// credential byte for byte.
	URI string
	// IssuedAt is when the list was made, the claim iat. Verdicts show it.
	IssuedAt time.Time
	// Expires is the first moment at which the token may not be used any more, the
	// claim exp. Zero if the token has none; we always write one.
	Expires time.Time
	// TTL is how long a copy should be kept before a newer one is asked for, in
	// whole seconds. Zero if the token says nothing; we always write it.
	TTL time.Duration
	// List is the list.
	List *List
	// AggregationURI is where the URIs of all lists of the issuer are listed.
	// Optional.
	AggregationURI string
	// Key is the key that verified the token. SignToken and ParseToken leave it
	// alone.
	Key keys.PublicKey
}

// NextUpdate is when a newer token should be fetched: at the end of the ttl or
// at expiry, whichever comes first.
func (t TokenInfo) NextUpdate() time.Time {
	next := t.Expires
	if ttl := t.IssuedAt.Add(t.TTL); t.TTL > 0 && (next.IsZero() || ttl.Before(next)) {
		next = ttl
	}
	return next
}

// Claims of RFC 8392 and of section 14.2 of the draft. Dates are kept as they
// came, because NumericDate is an integer or a float.
type tokenClaims struct {
	Subject    string          `cbor:"2,keyasint"`
	Expires    cbor.RawMessage `cbor:"4,keyasint,omitempty"`
	IssuedAt   cbor.RawMessage `cbor:"6,keyasint,omitempty"`
	StatusList wireList        `cbor:"65533,keyasint"`
	TTL        uint64          `cbor:"65534,keyasint,omitempty"`
}

// SignToken returns the list as a signed Status List Token in CWT form, a tagged
// COSE_Sign1 (section 5.2). The key must be one for status lists that may sign at
// the time now. A token without exp or ttl, or one made before it is issued, is
// not signed.
func SignToken(rnd io.Reader, s keys.Signer, t TokenInfo, now time.Time) ([]byte, error) {
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
	list.Aggregation = t.AggregationURI
	payload, err := cbor.Marshal(tokenClaims{
		Subject:    t.URI,
		Expires:    number(t.Expires),
		IssuedAt:   number(t.IssuedAt),
		StatusList: list,
		TTL:        uint64(t.TTL / time.Second),
	})
	if err != nil {
		return nil, fmt.Errorf("sign status list: %w", err)
	}
	b, err := cose.Sign1(rnd, s, cose.Header{KeyID: s.Key().ID().Bytes(), Type: MediaType}, payload)
	if err != nil {
		return nil, fmt.Errorf("sign status list: %w", err)
	}
	return b, nil
}

// check is the lint before signing.
func (t TokenInfo) check(now time.Time) error {
	if err := checkURI(t.URI); err != nil {
		return err
	}
	if t.AggregationURI != "" {
		if err := checkURI(t.AggregationURI); err != nil {
			return err
		}
	}
	switch {
	case t.List == nil:
		return errors.New("status: TokenInfo.List is not set")
	case t.List.bits != 1 && t.List.bits != 2:
		return fmt.Errorf("%w: we sign lists of 1 and 2 bits, not %d", ErrBits, t.List.bits)
	case !wholeSecond(t.IssuedAt) || !wholeSecond(t.Expires):
		return errors.New("status: TokenInfo needs IssuedAt and Expires in whole seconds")
	case t.IssuedAt.After(now):
		return ErrIssuedAhead
	case !t.Expires.After(now) || !t.Expires.After(t.IssuedAt):
		return ErrExpired
	case t.TTL < time.Second || t.TTL%time.Second != 0:
		return fmt.Errorf("%w: TokenInfo.TTL of %v, want whole seconds", ErrNoLifetime, t.TTL)
	}
	return nil
}

// number is t as NumericDate. An integer always encodes.
func number(t time.Time) cbor.RawMessage {
	b, err := cbor.Marshal(t.Unix())
	if err != nil {
		panic("status: internal error: " + err.Error())
	}
	return b
}

// Expect is what a reader requires of a Status List Token. URI, Now and Keys must
// be set; VerifyToken reports a zero one as an error.
type Expect struct {
	// URI is the uri that the credential names.
	URI string
	// Now is the moment to judge at.
	Now time.Time
	// Keys are the keys that may sign lists of the credential's issuer. The kid of
	// a token is no more than a hint and is not looked at: all keys are tried.
	Keys []keys.PublicKey
	// MaxBytes is how large the bit array may be; zero means the constant MaxBytes.
	MaxBytes int
}

func (e Expect) check() error {
	switch {
	case e.URI == "":
		return errors.New("status: Expect.URI is not set")
	case e.Now.IsZero():
		return errors.New("status: Expect.Now is not set")
	case len(e.Keys) == 0:
		return errors.New("status: Expect.Keys is not set")
	}
	return nil
}

// VerifyToken verifies a Status List Token in CWT form and returns what it says
// (section 8.3 of the draft). An error means that the list cannot be used.
func VerifyToken(b []byte, want Expect) (*TokenInfo, error) {
	if err := want.check(); err != nil {
		return nil, err
	}
	m, err := parseMessage(b, want.MaxBytes)
	if err != nil {
		return nil, err
	}
	// RFC 9596: the type says what the signer meant to sign. Without it any CWT of
	// the same key would do.
	if m.Protected.Type != MediaType {
		return nil, ErrWrongType
	}
	key, err := verifySignature(m, want.Keys)
	if err != nil {
		return nil, err
	}
	t, err := parseClaims(m.Payload, want.MaxBytes)
	if err != nil {
		return nil, err
	}
	t.Key = key
	if err := t.accept(want); err != nil {
		return nil, err
	}
	return t, nil
}

// accept holds what a token says against what is wanted.
func (t *TokenInfo) accept(want Expect) error {
	switch {
	case t.URI != want.URI:
		return ErrWrongSubject
	case t.Expires.IsZero() && t.TTL == 0:
		return ErrNoLifetime
	case t.IssuedAt.After(want.Now.Add(Leeway)):
		return ErrIssuedAhead
	case !t.Expires.IsZero() && !want.Now.Before(t.Expires):
		return ErrExpired
	}
	return nil
}

// maxTTL is the longest ttl in seconds. One beyond a hundred years is without
// meaning, and would overflow.
const maxTTL = 100 * 366 * 86400

// ParseToken decodes a Status List Token without verifying anything, for people
// who look into one. maxBytes is as for [ParseCBOR].
func ParseToken(b []byte, maxBytes int) (*TokenInfo, error) {
	m, err := parseMessage(b, maxBytes)
	if err != nil {
		return nil, err
	}
	if m.Protected.Type != MediaType {
		return nil, ErrWrongType
	}
	return parseClaims(m.Payload, maxBytes)
}

func parseMessage(b []byte, maxBytes int) (*cose.Sign1Message, error) {
	m, err := cose.ParseSign1Within(b, tokenLimits(maxBytes))
	switch {
	case err == nil:
		return m, nil
	case errors.Is(err, cose.ErrTooLarge):
		return nil, fmt.Errorf("%w: %v", ErrTooLarge, err)
	default:
		return nil, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
}

// verifySignature tries each key that fits the algorithm of the protected header.
func verifySignature(m *cose.Sign1Message, candidates []keys.PublicKey) (keys.PublicKey, error) {
	alg, err := m.Algorithm()
	if err != nil {
		return keys.PublicKey{}, fmt.Errorf("%w: %v", ErrSignature, err)
	}
	for _, key := range candidates {
		if key.Algorithm() == alg && m.Verify(alg, key) == nil {
			return key, nil
		}
	}
	return keys.PublicKey{}, ErrSignature
}

func parseClaims(payload []byte, maxBytes int) (*TokenInfo, error) {
	var c tokenClaims
	if err := unmarshal(tokenLimits(maxBytes), payload, &c); err != nil {
		return nil, fmt.Errorf("read status list token: %w", err)
	}
	t := &TokenInfo{URI: c.Subject, AggregationURI: c.StatusList.Aggregation}
	var err error
	if t.IssuedAt, err = parseNumber(c.IssuedAt); err != nil {
		return nil, fmt.Errorf("read status list token: iat: %w", err)
	}
	if len(c.Expires) > 0 {
		if t.Expires, err = parseNumber(c.Expires); err != nil {
			return nil, fmt.Errorf("read status list token: exp: %w", err)
		}
	}
	if c.TTL > maxTTL {
		return nil, fmt.Errorf("%w: ttl of %d seconds", ErrMalformed, c.TTL)
	}
	t.TTL = time.Duration(c.TTL) * time.Second
	if t.List, err = c.StatusList.open(maxBytes); err != nil {
		return nil, fmt.Errorf("read status list token: %w", err)
	}
	return t, nil
}

// parseNumber reads a NumericDate. A fraction of a second is cut, which makes
// exp earlier and changes nothing about iat that is less than the leeway.
func parseNumber(b cbor.RawMessage) (time.Time, error) {
	var v any
	if err := unmarshal(cbor.Token, b, &v); err != nil {
		return time.Time{}, err
	}
	var seconds int64
	switch v := v.(type) {
	case int64:
		seconds = v
	case float64:
		if math.Abs(v) < 1<<53 {
			seconds = int64(v)
		}
	}
	if !plausible(seconds) {
		return time.Time{}, fmt.Errorf("%w: not a date", ErrMalformed)
	}
	return time.Unix(seconds, 0).UTC(), nil
}
