package oid4vci

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/keys"
)

// Leeway is how far the moment at which something was signed may lie ahead of the
// reader's clock. Expiry has none.
const Leeway = time.Minute

// maxJTI is the most bytes of a jti or a nonce.
const maxJTI = 256

// keyNone and keyOwn say whether the header of a token names the signer's key.
const (
	keyNone = false
	keyOwn  = true
)

// A token is a signed one that is being checked.
type token struct {
	*jose.Message
	claims *object
	code   Code
}

var claimLimits = strict.Limits{Bytes: MaxMetadata, Depth: 16, Items: 64 << 10}

// readToken reads a token of one typ. An error has this code.
func readToken(text, typ string, own bool, most int, code Code) (*token, error) {
	m, err := jose.Parse(text, jose.Expect{Types: []string{typ}, OwnKey: own, MaxBytes: most})
	if err != nil {
		return nil, refuse(code, reasonOf(err), "%s: %v", typ, err)
	}
	t := &token{Message: m, code: code, claims: readObject(claimLimits, m.Payload, typ, code)}
	return t, t.claims.err
}

// verify checks the signature by this key, with one of these algorithms.
func (t *token) verify(key keys.PublicKey, algorithms []keys.Algorithm) error {
	if algorithms != nil && !slices.Contains(algorithms, t.Algorithm) {
		return refuse(t.code, ErrAlgorithm, "%s is signed with an algorithm that was not offered", t.claims.name)
	}
	if err := t.Verify(t.Algorithm, key); err != nil {
		return refuse(t.code, reasonOf(err), "%s: %v", t.claims.name, err)
	}
	return nil
}

// verifyTrusted checks the signature by one of the keys that the caller trusts.
func (t *token) verifyTrusted(trusted TrustedKeys, algorithms []keys.Algorithm) error {
	if trusted == nil {
		return fmt.Errorf("oid4vci: nobody is trusted to sign %s", t.claims.name)
	}
	issuer := t.claims.text("iss", maxURL)
	if t.claims.err != nil {
		return t.claims.err
	}
	if t.Unsigned() || t.Algorithm == "" || algorithms != nil && !slices.Contains(algorithms, t.Algorithm) {
		return refuse(t.code, ErrAlgorithm, "%s is signed with an algorithm that was not offered", t.claims.name)
	}
	candidates, err := trusted(SignerHint{Typ: t.Type, Issuer: issuer, KeyID: t.KeyID, X5C: t.X5C})
	if err != nil {
		return fmt.Errorf("oid4vci: find the signer of %s: %w", t.claims.name, err)
	}
	if len(candidates) == 0 {
		return refuse(t.code, ErrUntrusted, "%s is signed by nobody who is trusted for it", t.claims.name)
	}
	for _, key := range candidates {
		if key.Algorithm() == t.Algorithm && t.Verify(t.Algorithm, key) == nil {
			return nil
		}
	}
	return refuse(t.code, ErrSignature, "%s: the signature does not verify", t.claims.name)
}

// date reads a claim that is a time; zero if it is absent.
func (t *token) date(name string) time.Time {
	v := t.claims.v.Get(name)
	if v.Kind() == strict.None {
		return time.Time{}
	}
	at, err := v.Date()
	if err != nil {
		t.claims.fail(ErrMalformed, "%s in %s is no time", name, t.claims.name)
	}
	return at
}

// issuedAt reads iat, which must be there and at most age ago.
func (t *token) issuedAt(now time.Time, age time.Duration) (time.Time, error) {
	iat := t.date("iat")
	t.claims.need("iat", !iat.IsZero())
	switch {
	case t.claims.err != nil:
		return iat, t.claims.err
	case iat.After(now.Add(Leeway)):
		return iat, refuse(t.code, ErrTime, "%s is from the future", t.claims.name)
	case !now.Before(iat.Add(age)):
		return iat, refuse(t.code, ErrTime, "%s is too old", t.claims.name)
	}
	return iat, nil
}

// checkTimes checks exp, nbf and iat where they are there; those that are named must
// be.
func (t *token) checkTimes(now time.Time, needed ...string) error {
	for _, name := range needed {
		t.claims.need(name, !t.date(name).IsZero())
	}
	exp, nbf, iat := t.date("exp"), t.date("nbf"), t.date("iat")
	switch {
	case t.claims.err != nil:
		return t.claims.err
	case !exp.IsZero() && !now.Before(exp):
		return refuse(t.code, ErrTime, "%s has expired", t.claims.name)
	case nbf.After(now.Add(Leeway)), iat.After(now.Add(Leeway)):
		return refuse(t.code, ErrTime, "%s is not valid yet", t.claims.name)
	case !exp.IsZero() && exp.Before(iat):
		return refuse(t.code, ErrTime, "%s expires before it was issued", t.claims.name)
	}
	return nil
}

// audience checks aud: one text, exactly want.
func (t *token) audience(want string) error {
	aud := t.claims.mustText("aud", maxURL)
	if t.claims.err == nil && aud != want {
		return refuse(t.code, ErrAudience, "%s is meant for another server", t.claims.name)
	}
	return t.claims.err
}

// key reads the public key in cnf.jwk.
func (t *token) confirmation() (keys.PublicKey, error) {
	cnf, _ := t.claims.at("cnf")
	jwk := cnf.v.Get("jwk")
	t.claims.need("cnf.jwk", jwk.Kind() != strict.None)
	if t.claims.err != nil {
		return keys.PublicKey{}, t.claims.err
	}
	key, err := jose.Key(jwk)
	if err != nil {
		return keys.PublicKey{}, refuse(t.code, keyReason(err), "%s: the key in cnf", t.claims.name)
	}
	return *key, nil
}

// keyReason is reasonOf for a key.
func keyReason(err error) error {
	if r := reasonOf(err); r != ErrMalformed {
		return r
	}
	return ErrKey
}

// sign signs claims of ours. Without chain and own key the header has the kid.
func sign(rnd io.Reader, s keys.Signer, h jose.Header, claims map[string]any) (string, error) {
	payload, err := write(claims)
	if err != nil {
		return "", err
	}
	if len(h.X5C) == 0 && h.Key == nil && h.KeyID == "" {
		h.KeyID = s.Key().Public.ID().String()
	}
	b, err := jose.Sign(rnd, s, h, payload)
	if err != nil {
		return "", fmt.Errorf("oid4vci: sign %s: %w", h.Type, err)
	}
	return string(b), nil
}

// A SignerHint is what a token says of who signed it.
type SignerHint struct {
	// Typ is what kind of token was signed.
	Typ string
	// Issuer is the claim iss, KeyID the kid; "" if there is none.
	Issuer, KeyID string
	// X5C is the certificate chain, the signer's first, in DER. Nobody has checked it.
	X5C [][]byte
}

// TrustedKeys finds the keys that may have signed a token: those of wallet providers,
// of makers of key stores, of an issuer. For a token with a chain it checks the chain
// and returns the key of the leaf. No key means that there is no trust; an error, that
// no decision was reached.
type TrustedKeys func(SignerHint) ([]keys.PublicKey, error)
