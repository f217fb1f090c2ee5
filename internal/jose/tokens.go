package jose

import (
	"io"

	"github.com/sanad-id/sanad/keys"
)

// Tokens are the signed tokens of this package for those who reach it through an
// interface of their own, such as credential/status.
type Tokens struct{}

// OpenJWS returns the payload of a token that has exactly this typ and at most
// maxBytes bytes, and the one of the keys that verifies it. If none does, the key is
// zero and there is no error. The kid is not looked at.
func (Tokens) OpenJWS(token, typ string, maxBytes int, candidates []keys.PublicKey) ([]byte, keys.PublicKey, error) {
	m, err := Parse(token, Expect{Types: []string{typ}, MaxBytes: maxBytes})
	if err != nil {
		return nil, keys.PublicKey{}, err
	}
	for _, key := range candidates {
		if key.Algorithm() == m.Algorithm && m.Verify(key.Algorithm(), key) == nil {
			return m.Payload, key, nil
		}
	}
	return nil, keys.PublicKey{}, nil
}

// SignJWS returns a token of this typ with the kid of the signer's key. Like [Sign]
// it asks for no purpose.
func (Tokens) SignJWS(rnd io.Reader, s keys.Signer, typ string, payload []byte) ([]byte, error) {
	return Sign(rnd, s, Header{Type: typ, KeyID: s.Key().ID().String()}, payload)
}
