package sdjwt

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/keys"
)

// A Parsed SD-JWT is what it says of itself. Nobody has vouched for any of it.
type Parsed struct {
	// Typ is the type of the token: [Typ] for a credential that we verify.
	Typ string
	// Algorithm is that of the header, also one that we do not carry.
	Algorithm string
	// KeyID is the kid, "" if there is none.
	KeyID string
	// X5C are the certificates in the header, in DER.
	X5C [][]byte
	// Signed is false if the signature is empty.
	Signed bool
	// Bound says that a proof by the holder's key comes with it.
	Bound bool

	// Credential holds what the claims say as [Verify] would return it. Its Key is
	// not set. It is nil if Problem is not.
	Credential *credential.Verified
	// Problem is why the claims cannot be accepted whoever signed them: a
	// [*credential.RejectedError].
	Problem error
	// Claims are all claims in one map, those about the credential itself included.
	Claims map[string]any
	// Disclosures says where each disclosure belongs, in the order in which they
	// stand. A holder may leave each of them out.
	Disclosures []Path
	// Gaps are the arrays of which not every slot is shown, decoys included: where an
	// element stands in one of them says nothing about where its issuer put it.
	Gaps []Path

	claims strict.Value
}

// Parse reads an SD-JWT of any type without verifying it. One that cannot be read,
// or whose disclosures do not fit, is a [*credential.RejectedError].
func Parse(sdJWT string) (*Parsed, error) {
	t, claims, err := look(sdJWT)
	if err != nil {
		return nil, err
	}
	said, problem := t.verified(claims, keys.PublicKey{}, true)
	return t.parsed(claims, said, problem), nil
}

// parsed is a token that was opened with the paths of its disclosures, and says this.
func (t *token) parsed(claims strict.Value, said *credential.Verified, problem error) *Parsed {
	m := t.message
	p := &Parsed{
		Typ: m.Type, Algorithm: m.RawAlgorithm, KeyID: m.KeyID, X5C: m.X5C, Signed: !m.Unsigned(), Bound: t.binding != "",
		Claims: claims.Any().(map[string]any), claims: claims, Gaps: t.gaps, Credential: said, Problem: problem,
	}
	for i := range t.disclosures {
		p.Disclosures = append(p.Disclosures, t.disclosures[i].path)
	}
	return p
}

// look opens an SD-JWT without verifying it and notes where disclosures belong.
func look(sdJWT string) (*token, strict.Value, error) {
	t, err := read(sdJWT, func(jwt string) (*jose.Message, error) { return jose.Inspect(jwt, MaxSize) })
	if err != nil {
		return nil, strict.Value{}, err
	}
	claims, err := t.open(true)
	return t, claims, err
}

// ErrNoClaim: the credential has no claim at the path that was chosen.
var ErrNoClaim = errors.New("sdjwt: no claim at this path")

// Present returns the credential with the chosen claims only: each with all that is
// inside of it, and with what it is inside of as far as that is needed to show it. A
// path may also point at claims that are always shown. What was issued must come
// without a proof by the holder. The order of disclosures stays.
func Present(issued string, choose ...Path) (string, error) {
	t, claims, err := look(issued)
	if err != nil {
		return "", err
	}
	if t.binding != "" {
		return "", malformed("a proof by the holder's key is there already")
	}
	for _, p := range choose {
		if err := p.check(); err != nil {
			return "", err
		}
		if found, err := p.find(claims); err != nil || len(found) == 0 {
			return "", fmt.Errorf("%w: %v", ErrNoClaim, []any(p))
		}
	}
	jwt, _, _ := strings.Cut(t.shown, "~")
	b := append(make([]byte, 0, len(t.shown)), jwt...)
	for i := range t.disclosures {
		d := &t.disclosures[i]
		if slices.ContainsFunc(choose, func(p Path) bool { return p.touches(d.path) }) {
			b = append(append(b, '~'), d.text...)
		}
	}
	return string(append(b, '~')), nil
}

// A Proof is what a holder signs to show that a presentation is theirs.
type Proof struct {
	// Audience is the verifier, exactly as it names itself in its request.
	Audience string
	// Nonce is the one of the request.
	Nonce string
	// IssuedAt is now, in whole seconds.
	IssuedAt time.Time
	// Claims are further claims of the protocol. Optional.
	Claims map[string]any
}

// Bind adds the proof by the holder's key to what [Present] returned (RFC 9901
// section 4.3). The signer must be a holder key, and the one that the credential is
// bound to.
func Bind(rnd io.Reader, presentation string, p Proof, s keys.Signer) (string, error) {
	if p.Audience == "" || p.Nonce == "" || p.IssuedAt.IsZero() {
		return "", errors.New("sdjwt: Proof needs Audience, Nonce and IssuedAt")
	}
	if err := keys.CheckSigner(s, keys.Holder, p.IssuedAt); err != nil {
		return "", err
	}
	t, _, err := look(presentation)
	if err != nil {
		return "", err
	}
	if t.binding != "" {
		return "", malformed("a proof by the holder's key is there already")
	}
	holder, err := readHolder(t.payload.Get("cnf"))
	if err != nil {
		return "", err
	}
	if holder == nil || !holder.Equal(s.Key().Public) {
		return "", fmt.Errorf("sdjwt: the credential is not bound to %v", s.Key().Public)
	}
	claims := map[string]any{}
	for name, v := range p.Claims {
		claims[name] = v
	}
	claims["aud"], claims["nonce"], claims["iat"], claims["sd_hash"] = p.Audience, p.Nonce, p.IssuedAt.Unix(), digest(t.hash, t.shown)
	payload, err := strict.AppendJSON(nil, claims)
	if err != nil {
		return "", err
	}
	binding, err := jose.Sign(rnd, s, jose.Header{Type: BindingTyp}, payload)
	if err != nil {
		return "", err
	}
	return t.shown + string(binding), nil
}

// Unbound is an SD-JWT without its proof by the holder's key, for whoever takes it
// as a document that anyone may hold. What has no ~ comes back as it is.
func Unbound(presentation string) string {
	if last := strings.LastIndexByte(presentation, '~'); last >= 0 {
		return presentation[:last+1]
	}
	return presentation
}
