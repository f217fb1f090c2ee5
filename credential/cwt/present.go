package cwt

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/internal/cbor"
	"github.com/sanad-id/sanad/internal/cose"
	"github.com/sanad-id/sanad/keys"
)

// AudienceInPerson is the audience of a live code that is not made for one verifier:
// whoever stands before the holder now. Package verification has it as InPerson.
const AudienceInPerson = "in-person"

// MaxNonce is the most bytes of a nonce.
const MaxNonce = 64

// ErrNoClaim: the token has nothing at the path that was chosen.
var ErrNoClaim = errors.New("cwt: no claim at this path")

// Present returns the token with the chosen disclosures only: each with all that is
// inside of it, and with what it is inside of as far as that is needed to show it. A
// path may also point at claims that are always shown. Decoys are left out.
func Present(issued []byte, choose ...Path) ([]byte, error) {
	p, err := Parse(issued)
	if err != nil {
		return nil, err
	}
	if p.KeyBinding != nil {
		return nil, malformed("a proof by the holder's key is there already")
	}
	var chosen [][]byte
	met := make([]bool, len(choose))
	for _, d := range p.disclosures {
		wanted := false
		for i, c := range choose {
			if d.parts > 1 && len(c) > 0 && c.touches(d.path) {
				wanted, met[i] = true, true
			}
		}
		if wanted {
			c, err := limits.Cursor(d.item)
			if err != nil {
				return nil, reject(err)
			}
			chosen = append(chosen, c.Bytes())
		}
	}
	for i, c := range choose {
		if !met[i] && !p.has(c) {
			return nil, fmt.Errorf("%w: %v", ErrNoClaim, c)
		}
	}
	if len(p.disclosures) == 0 {
		return issued, nil
	}
	headers := map[int64]any{}
	if len(chosen) > 0 { // section 4: none is said by leaving the header out
		headers[headerDisclosures] = chosen
	}
	return cose.WithUnprotected(issued, headers)
}

// has reports whether something stands at the path in the open claims.
func (p *Parsed) has(path Path) bool {
	if len(path) == 0 {
		return false
	}
	c, err := limits.Cursor(p.claims)
	if err != nil {
		return false
	}
	for _, step := range path {
		if !descend(&c, step) {
			return false
		}
	}
	return true
}

// descend moves c to the value at one step.
func descend(c *cbor.Cursor, step any) bool {
	switch c.Kind() {
	case cbor.Map:
		for k := range c.Map() {
			if keyStep(k) == step {
				return true
			}
		}
	case cbor.Array:
		i, ok := step.(int)
		for j := range c.Array() {
			if ok && i == j {
				return true
			}
			c.Skip()
		}
	}
	return false
}

// A Proof is what a holder signs to show that a token is theirs.
type Proof struct {
	// Audience is for whom: [AudienceInPerson], the id of a verifier as its poster or
	// question names it, or the name of the one a copy is made out to.
	Audience string
	// IssuedAt is now, in whole seconds.
	IssuedAt time.Time
	// Expires ends a copy that is made out to somebody; zero for a live code, which is
	// as good as it is fresh.
	Expires time.Time
	// Nonce is the one of the question that is answered. Optional.
	Nonce []byte
}

// binding is the payload of a key-binding token (SD-CWT section 8.1).
type binding struct {
	Audience string `cbor:"3,keyasint"`
	Expires  int64  `cbor:"4,keyasint,omitempty"`
	IssuedAt int64  `cbor:"6,keyasint"`
	Nonce    []byte `cbor:"39,keyasint,omitempty"`
}

// Bind wraps what [Present] returned in a key-binding token: the token, signed by
// the key it is bound to, for somebody and at a time. The signer must be that of a
// holder key.
func Bind(rnd io.Reader, presentation []byte, p Proof, s keys.Signer) ([]byte, error) {
	if err := keys.CheckSigner(s, keys.Holder, p.IssuedAt); err != nil {
		return nil, err
	}
	token, err := Parse(presentation)
	if err != nil {
		return nil, err
	}
	switch {
	case token.KeyBinding != nil:
		return nil, malformed("a proof by the holder's key is there already")
	case token.Holder == nil || !token.Holder.Equal(s.Key().Public):
		return nil, fmt.Errorf("cwt: the token is not bound to %v", s.Key().Public)
	case !isSDCWT(token.message.Protected.Type):
		return nil, credential.Reject(credential.UnsupportedFormat, "a token that does not say it is an SD-CWT")
	}
	if err := p.lint(); err != nil {
		return nil, err
	}
	b := credential.KeyBinding{Audience: p.Audience, IssuedAt: p.IssuedAt, Expires: p.Expires, Nonce: p.Nonce}
	if err := checkBindingTimes(&b, token); err != nil {
		return nil, err
	}
	claims := binding{Audience: p.Audience, IssuedAt: p.IssuedAt.Unix(), Nonce: p.Nonce}
	if !p.Expires.IsZero() {
		claims.Expires = p.Expires.Unix()
	}
	payload, err := cbor.Marshal(claims)
	if err != nil {
		return nil, err
	}
	return cose.Sign1(rnd, s, cose.Header{
		Type: int64(typKeyBinding), More: map[int64]any{headerKCWT: cbor.RawMessage(presentation)},
	}, payload)
}

// lint refuses what no verifier would take.
func (p Proof) lint() error {
	if err := lintText(p.Audience); err != nil {
		return fmt.Errorf("cwt: Proof.Audience: %w", err)
	}
	for _, at := range []time.Time{p.IssuedAt, p.Expires} {
		if !at.IsZero() && (at.Nanosecond() != 0 || at.Unix() <= 0 || at.After(lastSecond)) {
			return errors.New("cwt: Proof: a time that is not a whole second of the years 1970 to 9999")
		}
	}
	if len(p.Nonce) > MaxNonce {
		return fmt.Errorf("cwt: Proof.Nonce: %d bytes, at most %d", len(p.Nonce), MaxNonce)
	}
	return nil
}

// parsePresented reads a key-binding token and the token inside of it.
func parsePresented(m *cose.Sign1Message, paths bool) (*Parsed, error) {
	kcwt := m.Item(cose.Protected, headerKCWT)
	switch {
	case kcwt == nil:
		return nil, malformed("a key-binding token without kcwt in its protected header")
	case m.Item(cose.Protected, headerClaims) != nil: // section 6.3
		return nil, malformed("a key-binding token with claims in its header")
	}
	inner, err := cose.ParseSign1(kcwt)
	if err != nil {
		return nil, reject(err)
	}
	if !isSDCWT(inner.Protected.Type) { // another key-binding token, too
		return nil, malformed("a key-binding token around what is no SD-CWT")
	}
	p, err := parse(inner, paths)
	if err != nil {
		return nil, err
	}
	b, err := readBinding(m)
	if err != nil {
		return nil, err
	}
	p.KeyBinding, p.binding = b, m
	return p, nil
}

// readBinding reads the claims of a key-binding token.
func readBinding(m *cose.Sign1Message) (*credential.KeyBinding, error) {
	c, err := limits.Cursor(m.Payload)
	if err != nil {
		return nil, reject(err)
	}
	b := &credential.KeyBinding{Digest: sha256.Sum256(m.ToBeSigned())}
	id, addressed := false, false
	for k := range c.Map() {
		var err error
		switch k {
		case cbor.Key{Int: ClaimIssuer}, cbor.Key{Int: claimSubject}:
			return nil, malformed("a key-binding token with claim %d, which the token in it implies", k.Int)
		case cbor.Key{Int: ClaimAudience}:
			b.Audience, addressed = c.Text(), true
		case cbor.Key{Int: ClaimExpires}:
			b.Expires, err = readTime(&c)
		case cbor.Key{Int: ClaimNotBefore}:
			b.NotBefore, err = readTime(&c)
		case cbor.Key{Int: ClaimIssuedAt}:
			b.IssuedAt, err = readTime(&c)
		case cbor.Key{Int: claimTokenID}:
			id = len(c.Bytes()) > 0
		case cbor.Key{Int: claimNonce}:
			b.Nonce = c.Bytes()
		}
		if err != nil {
			return nil, err
		}
	}
	switch err := c.Done(); {
	case err != nil:
		return nil, reject(err)
	case !addressed || b.Audience == "":
		return nil, malformed("a key-binding token for nobody")
	case b.IssuedAt.IsZero() && !id:
		return nil, malformed("a key-binding token with neither iat nor cti")
	case b.IssuedAt.IsZero() && !(b.Expires.IsZero() && b.NotBefore.IsZero()):
		return nil, malformed("a key-binding token with exp or nbf and no iat")
	case b.Nonce != nil && len(b.Nonce) == 0:
		return nil, malformed("an empty nonce")
	case len(b.Nonce) > MaxNonce:
		return nil, credential.Reject(credential.TooLarge, "a nonce of %d bytes, at most %d", len(b.Nonce), MaxNonce)
	}
	b.Nonce = slices.Clone(b.Nonce)
	return b, nil
}

// checkBindingTimes holds the times of a key-binding token against each other and
// against those of the token in it (SD-CWT section 9 step 6).
func checkBindingTimes(b *credential.KeyBinding, t *Parsed) error {
	for _, rule := range []struct {
		early, late time.Time
		apart       bool // they must differ
		text        string
	}{
		{b.NotBefore, b.IssuedAt, false, "the proof begins after it was made"},
		{b.IssuedAt, b.Expires, true, "the proof ends before it was made"},
		{b.Expires, t.Expires, false, "the proof ends after the credential"},
		{t.NotBefore, b.NotBefore, false, "the proof begins before the credential"},
		{t.IssuedAt, b.IssuedAt, false, "the proof was made before the credential"},
		{b.NotBefore, t.Expires, true, "the proof begins after the credential has ended"},
		{b.IssuedAt, t.Expires, true, "the proof was made after the credential has ended"},
		{t.NotBefore, b.IssuedAt, false, "the proof was made before the credential begins"},
	} {
		if rule.early.IsZero() || rule.late.IsZero() {
			continue
		}
		if rule.early.After(rule.late) || rule.apart && rule.early.Equal(rule.late) {
			return credential.Reject(credential.HolderProofBad, "%s", rule.text)
		}
	}
	return nil
}

// checkBinding checks that the key which the token names signed the key-binding
// token around it (SD-CWT section 9 steps 4 to 6).
func (p *Parsed) checkBinding() error {
	if p.Holder == nil {
		return credential.Reject(credential.HolderProofBad, "the credential names no key of its holder")
	}
	alg, err := p.binding.Algorithm()
	if err != nil {
		return reject(err)
	}
	err = p.binding.Verify(alg, *p.Holder)
	switch {
	case errors.Is(err, cose.ErrUnsigned), errors.Is(err, cose.ErrAlgorithm), errors.Is(err, cose.ErrSignature):
		return credential.Reject(credential.HolderProofBad, "%v", err)
	case err != nil:
		return fmt.Errorf("cwt: verify: %w", err)
	}
	return checkBindingTimes(p.KeyBinding, p)
}
