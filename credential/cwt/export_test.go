package cwt

import (
	"io"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/internal/cbor"
)

// FaceOf is face, for the vectors, which are not signed.
func FaceOf(person credential.Claims) *credential.Face { return face(person) }

// OpenClaims are the claims with what was disclosed in its place.
func (p *Parsed) OpenClaims() cbor.RawMessage { return p.claims }

// ToBeSigned is what the outermost signature covers.
func (p *Parsed) ToBeSigned() []byte {
	if p.binding != nil {
		return p.binding.ToBeSigned()
	}
	return p.message.ToBeSigned()
}

// Conceal is what an issuer makes of claims of its own choice.
func Conceal(rnd io.Reader, claims map[int64]any) (map[any]any, [][]byte, error) {
	c := concealer{rnd: rnd}
	m := object(&c, claims)
	return m, c.disclosures, c.err
}
