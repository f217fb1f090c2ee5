package cwt

import (
	"errors"
	"fmt"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/internal/cose"
	"github.com/sanad-id/sanad/keys"
)

// IssuerKeys finds the keys that may have signed a token. Package trust
// implements it. It may be asked from several goroutines at once.
type IssuerKeys interface {
	// KeysFor returns the keys of this issuer that match the hint kid, all of
	// them if kid is nil. Unknown issuers and keys give none. The order is that in
	// which keys are tried.
	KeysFor(issuer string, kid []byte) []keys.PublicKey
}

// Expect is what a verifier requires of a token. Every field must be set.
type Expect struct {
	// Keys is whom the verifier trusts.
	Keys IssuerKeys
}

// maxTries is how many keys are tried on one token. More than one candidate is
// rare, and a limit keeps a token without kid from costing as much as an issuer
// has keys.
const maxTries = 8

// Verify checks a token as RFC 8392 section 7.2 sets out and returns what it
// says. A refusal is a [*credential.RejectedError]. It judges signatures and
// encoding only: dates, status and whether the key may sign this type are left to
// package verification.
//
// A token that comes in a key-binding token is checked as SD-CWT section 9 has it,
// but for the audience, the nonce and the moment of the proof, which are in
// [credential.Verified.KeyBinding]. Whoever does not look at them holds a copy like
// any other.
func Verify(token []byte, want Expect) (*credential.Verified, error) {
	if want.Keys == nil {
		return nil, errors.New("cwt: Expect.Keys is not set")
	}
	// Section 7.2 steps 1 to 6 and 8: one valid CBOR item, a COSE_Sign1 message,
	// whose payload is a map of claims.
	p, err := parseMessage(token, false)
	if err != nil {
		return nil, err
	}
	if !p.Signed {
		return nil, credential.Reject(credential.Unsigned, "the signature is empty")
	}
	// RFC 9052 section 3.1: the algorithm stands in the protected header.
	if _, err := p.message.Algorithm(); err != nil {
		return nil, reject(err)
	}
	// Section 7.2 step 7: the signature, by a key that we trust.
	key, err := p.checkSignature(want.Keys)
	if err != nil {
		return nil, err
	}
	// What the issuer did sign, and we cannot honour.
	if p.cannot != nil {
		return nil, p.cannot
	}
	// And then the holder's.
	if p.binding != nil {
		if err := p.checkBinding(); err != nil {
			return nil, err
		}
	}
	return p.verified(key), nil
}

// checkSignature returns the key that verifies the token.
func (p *Parsed) checkSignature(trusted IssuerKeys) (keys.PublicKey, error) {
	candidates := p.candidates(trusted)
	if len(candidates) == 0 {
		return keys.PublicKey{}, credential.Reject(credential.UnknownIssuer, "no key known for this issuer and kid")
	}
	tries := 0
	for _, key := range candidates {
		if key.Algorithm() != p.Algorithm {
			continue
		}
		if tries++; tries > maxTries {
			return keys.PublicKey{}, credential.Reject(credential.UnknownIssuer, "the token fits more than %d keys", maxTries)
		}
		err := p.message.Verify(p.Algorithm, key)
		if err == nil {
			return key, nil
		}
		if !errors.Is(err, cose.ErrSignature) {
			return keys.PublicKey{}, fmt.Errorf("cwt: verify: %w", err)
		}
	}
	return keys.PublicKey{}, credential.Reject(credential.BadSignature, "no key of the issuer verifies the signature")
}

// candidates are the keys that the kid leads to, and otherwise the one that the
// certificate in the header is for, if it is a key that we trust. The header is
// never more than a hint: a key comes from the trust data or not at all.
func (p *Parsed) candidates(trusted IssuerKeys) []keys.PublicKey {
	kid := p.KeyID
	if len(kid) == 0 {
		kid = nil
	}
	found := trusted.KeysFor(p.Issuer, kid)
	if len(found) > 0 || kid == nil || len(p.X5Chain) == 0 {
		return found
	}
	certified, err := certificateKey(p.X5Chain[0])
	if err != nil {
		return nil
	}
	for _, key := range trusted.KeysFor(p.Issuer, nil) {
		if key.Equal(certified) {
			return []keys.PublicKey{key}
		}
	}
	return nil
}

// verified is what the token says, in one spelling.
func (p *Parsed) verified(key keys.PublicKey) *credential.Verified {
	v := &credential.Verified{
		Format: p.Format, Type: p.Type, Issuer: p.Issuer, Key: key, KeyID: p.KeyID,
		IssuedAt: p.IssuedAt, NotBefore: p.NotBefore, Expires: p.Expires,
		Status: p.Status, Holder: p.Holder, KeyBinding: p.KeyBinding, Withheld: p.Withheld,
		Person: p.Person, Fields: p.Fields, Health: p.Health,
	}
	v.Face = face(p.Person)
	oneSpelling(v.Person)
	return v
}
