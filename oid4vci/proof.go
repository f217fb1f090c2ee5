package oid4vci

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/keys"
)

// Proofs are the proofs of keys in a credential request: tokens of one type.
type Proofs struct {
	Type   ProofType
	Tokens []string
}

// ProofExpect is what a credential issuer requires of proofs of keys. A zero field is
// reported as an error unless it says so.
type ProofExpect struct {
	// Issuer is the credential issuer identifier.
	Issuer string
	// Types are the proof types of the configuration, from the metadata.
	Types map[ProofType]ProofSupport
	// BatchSize is the most proofs of one request, as the metadata say it; 0 or 1 allows
	// one. An attestation may name more keys.
	BatchSize int
	// Now is the moment to judge at, and MaxAge how long ago a proof may have been made.
	Now    time.Time
	MaxAge time.Duration
	// NeedNonce says that the issuer has a nonce endpoint: each proof must have a nonce
	// then. Whether it is one of ours, and unused, is the caller's.
	NeedNonce bool
	// ClientID is the wallet that the access token was given to, "" for an anonymous
	// one; a proof that names its sender must name this one.
	ClientID string
	// Attesters finds the keys of those who may attest keys. Optional unless a proof
	// type needs an attestation; without it attestations are refused.
	Attesters TrustedKeys
	// KeyByID finds the key that a kid names, such as a DID URL. Optional; without it a
	// kid that no attestation explains is refused.
	KeyByID func(kid string) (keys.PublicKey, error)
}

func (e ProofExpect) check() error {
	if e.Issuer == "" || len(e.Types) == 0 || e.Now.IsZero() || e.MaxAge <= 0 {
		return errors.New("oid4vci: ProofExpect.Issuer, Types, Now or MaxAge is not set")
	}
	return nil
}

// Proven is what proofs of keys prove.
type Proven struct {
	// Keys are the holder's keys, each once: credentials are to be made in this order, for
	// as many of them as the issuer decides (section 14.6). With attestations these are all
	// that were attested, those that signed a proof themselves first.
	Keys []keys.PublicKey
	// Nonces are the nonces in proofs and attestations, each once. All of them must be
	// ours and unused; if one is not, the answer is [WrongNonce].
	Nonces []string
	// Attestations are those that were checked, each once.
	Attestations []*KeyAttestation
}

// WrongNonce answers proofs with a nonce that is not ours, has expired or was used: the
// wallet fetches another one and tries again (section 8.3.1.2).
func WrongNonce() *Error {
	return NewError(InvalidNonce, nil, "the nonce is not valid any more")
}

// CheckProofs checks the proofs of a credential request (appendix F). It reports the
// first that does not hold, and signs nothing: limits come first.
func CheckProofs(p Proofs, want ProofExpect) (*Proven, error) {
	if err := want.check(); err != nil {
		return nil, err
	}
	support, ok := want.Types[p.Type]
	most := max(1, min(want.BatchSize, MaxBatch))
	switch {
	case p.Type == "":
		return nil, refuse(InvalidProof, ErrMissing, "no proofs")
	case !ok:
		return nil, refuse(InvalidProof, ErrUnsupported, "proofs of type %s are not taken for this credential", cut(string(p.Type)))
	case len(p.Tokens) == 0:
		return nil, refuse(InvalidProof, ErrMissing, "no proofs")
	case len(p.Tokens) > most || p.Type == AttestationProof && len(p.Tokens) != 1:
		return nil, refuse(InvalidProof, ErrTooLarge, "%d proofs, at most %d", len(p.Tokens), most)
	case len(support.Algorithms) == 0:
		return nil, fmt.Errorf("oid4vci: proof type %s without algorithms", p.Type)
	}
	c := proofChecker{want: want, support: support, attestations: map[string]*KeyAttestation{}}
	for _, text := range p.Tokens {
		var err error
		if p.Type == AttestationProof {
			err = c.attestation(text, false)
		} else {
			err = c.jwt(text)
		}
		if err != nil {
			return nil, err
		}
	}
	for _, k := range c.signed {
		c.key(k)
	}
	for _, a := range c.proven.Attestations {
		for _, k := range a.Keys {
			c.key(k)
		}
	}
	if len(c.proven.Keys) > MaxBatch {
		return nil, refuse(InvalidProof, ErrTooLarge, "%d keys, at most %d", len(c.proven.Keys), MaxBatch)
	}
	return &c.proven, nil
}

// A proofChecker goes through the proofs of one request.
type proofChecker struct {
	want         ProofExpect
	support      ProofSupport
	signed       []keys.PublicKey // keys that signed a proof
	attestations map[string]*KeyAttestation
	proven       Proven
}

func (c *proofChecker) nonce(n string) {
	if n != "" && !slices.Contains(c.proven.Nonces, n) {
		c.proven.Nonces = append(c.proven.Nonces, n)
	}
}

func (c *proofChecker) key(k keys.PublicKey) {
	if !slices.ContainsFunc(c.proven.Keys, k.Equal) {
		c.proven.Keys = append(c.proven.Keys, k)
	}
}

// jwt checks a proof of type jwt (appendices F.1 and F.4).
func (c *proofChecker) jwt(text string) error {
	// Exactly one of jwk, kid and x5c says which key signed.
	look, err := jose.Inspect(text, jose.MaxToken)
	if err != nil {
		return refuse(InvalidProof, reasonOf(err), "key proof: %v", err)
	}
	own := look.Key != nil
	if n := count(own) + count(look.KeyID != "") + count(len(look.X5C) > 0); n != 1 {
		return refuse(InvalidProof, ErrKey, "a key proof has one of jwk, kid and x5c")
	}
	t, err := readToken(text, ProofTyp, own, jose.MaxToken, InvalidProof)
	if err != nil {
		return err
	}
	if t.Unsigned() || !slices.Contains(c.support.Algorithms, t.Algorithm) {
		return refuse(InvalidProof, ErrAlgorithm, "a key proof with an algorithm that was not offered")
	}
	var attested *KeyAttestation
	if t.KeyAttestation != "" {
		if err := c.attestation(t.KeyAttestation, true); err != nil {
			return err
		}
		attested = c.attestations[t.KeyAttestation]
	} else if c.support.Attestation != nil {
		return refuse(InvalidProof, ErrAttestation, "a key proof without the key attestation that is needed")
	}
	key, err := c.signer(t, attested)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(c.signed, key.Equal) {
		return refuse(InvalidProof, ErrRepeated, "two key proofs by one key")
	}
	c.signed = append(c.signed, key)
	return c.says(t)
}

// attestation checks a key attestation, once: alone (appendix F.3), or in the header
// of a jwt proof.
func (c *proofChecker) attestation(text string, inProof bool) error {
	if c.attestations[text] != nil {
		return nil
	}
	if c.want.Attesters == nil {
		return refuse(InvalidProof, ErrUntrusted, "key attestations are not taken here")
	}
	a, err := checkKeyAttestation(text, inProof, c.want, c.support)
	if err != nil {
		return err
	}
	c.attestations[text] = a
	c.proven.Attestations = append(c.proven.Attestations, a)
	c.nonce(a.Nonce)
	return nil
}

// signer verifies the signature and returns the key that made it.
func (c *proofChecker) signer(t *token, attested *KeyAttestation) (keys.PublicKey, error) {
	var candidates []keys.PublicKey
	switch {
	case t.Key != nil:
		candidates = []keys.PublicKey{*t.Key}
	case len(t.X5C) > 0:
		key, err := certificateKey(t.X5C[0])
		if err != nil {
			return keys.PublicKey{}, err
		}
		candidates = []keys.PublicKey{key}
	case attested != nil:
		// A kid may be a name that only the wallet knows; what counts is below.
		candidates = attested.Keys
	case c.want.KeyByID == nil:
		return keys.PublicKey{}, refuse(InvalidProof, ErrKey, "a key proof with a kid that says nothing here")
	default:
		key, err := c.want.KeyByID(t.KeyID)
		if err != nil {
			return keys.PublicKey{}, fmt.Errorf("oid4vci: find the key of a key proof: %w", err)
		}
		if key.IsZero() {
			return keys.PublicKey{}, refuse(InvalidProof, ErrKey, "a key proof with a kid that names no key")
		}
		candidates = []keys.PublicKey{key}
	}
	var first error
	for _, key := range candidates {
		err := t.verify(key, c.support.Algorithms)
		if err == nil {
			// Appendix D.1: the key that signs is one of those attested.
			if attested != nil && !slices.ContainsFunc(attested.Keys, key.Equal) {
				return keys.PublicKey{}, refuse(InvalidProof, ErrAttestation, "the key attestation does not name the key of the proof")
			}
			return key, nil
		}
		if first == nil {
			first = err
		}
	}
	return keys.PublicKey{}, first
}

// says checks the claims of a key proof.
func (c *proofChecker) says(t *token) error {
	if err := t.audience(c.want.Issuer); err != nil {
		return err
	}
	if _, err := t.issuedAt(c.want.Now, c.want.MaxAge); err != nil {
		return err
	}
	if err := t.checkTimes(c.want.Now); err != nil {
		return err
	}
	iss, nonce := t.claims.text("iss", maxURL), t.claims.text("nonce", maxJTI)
	switch {
	case t.claims.err != nil:
		return t.claims.err
	case iss != c.want.ClientID && iss != "":
		return refuse(InvalidProof, ErrConflict, "iss of a key proof is not the client of the access token")
	case c.want.NeedNonce && nonce == "":
		return refuse(InvalidProof, ErrNoNonce, "a key proof without nonce")
	}
	c.nonce(nonce)
	return nil
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// A ProofClaims is what a wallet signs to prove one key.
type ProofClaims struct {
	// Issuer is the credential issuer identifier.
	Issuer string
	// Nonce is from the nonce endpoint; "" if the issuer has none.
	Nonce string
	// Now is the time, in whole seconds.
	Now time.Time
	// ClientID is that of the token request; "" if it was anonymous.
	ClientID string
	// KeyAttestation is one that names the key. Optional.
	KeyAttestation string
}

// MakeProof makes a key proof of type jwt, with the key in it.
func MakeProof(rnd io.Reader, s keys.Signer, p ProofClaims) (string, error) {
	if p.Issuer == "" || p.Now.IsZero() {
		return "", errors.New("oid4vci: ProofClaims.Issuer or Now is not set")
	}
	claims := map[string]any{"aud": p.Issuer, "iat": p.Now.Unix()}
	put(claims, "nonce", p.Nonce)
	put(claims, "iss", p.ClientID)
	key := s.Key().Public
	return sign(rnd, s, jose.Header{Type: ProofTyp, Key: &key, KeyAttestation: p.KeyAttestation}, claims)
}
