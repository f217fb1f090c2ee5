package trust

import (
	"crypto/rand"

	"github.com/sanad-id/sanad/internal/cose"
	"github.com/sanad-id/sanad/keys"
)

// Seams for tests that forge what the writers here would refuse to write.
var (
	Inflate = inflate
	Deflate = deflate
)

// Content types and the delta's kind.
const (
	ContentTypeBundle = contentTypeBundle
	ContentTypeRoot   = contentTypeRoot
)

// Payload is the content as it would be signed.
func (c Content) Payload() ([]byte, error) { return c.marshal() }

// Payload is the root as it would be signed.
func (r Root) Payload() ([]byte, error) { return r.marshal() }

// SignPartAs signs the content of a part once more, as something of this content type.
func SignPartAs(contentType string, part []byte, s keys.Signer) ([]byte, error) {
	_, m, err := parseContribution(part)
	if err != nil {
		return nil, err
	}
	signed, err := cose.Sign1(rand.Reader, s, cose.Header{KeyID: s.Key().ID().Bytes(), ContentType: contentType}, m.Payload)
	if err != nil {
		return nil, err
	}
	return deflate(signed)
}

// SignPayload signs anything as a trust file, without a look at it.
func SignPayload(contentType string, payload []byte, signers ...keys.Signer) ([]byte, error) {
	signed, err := cose.Sign(rand.Reader, signers, contentType, payload)
	if err != nil {
		return nil, err
	}
	if contentType == contentTypeRoot {
		return signed, nil
	}
	return deflate(signed)
}
