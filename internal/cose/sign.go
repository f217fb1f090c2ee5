package cose

import (
	"fmt"
	"io"

	"github.com/sanad-id/sanad/internal/cbor"
	"github.com/sanad-id/sanad/keys"
)

// sigStructure is what one signature of a COSE_Sign message covers
// (RFC 9052 section 4.4).
type sigStructure struct {
	_             struct{} `cbor:",toarray"`
	Context       string
	Protected     []byte
	SignProtected []byte
	External      []byte // always empty here
	Payload       []byte
}

// signMessage is a COSE_Sign message (RFC 9052 section 4.1) as we write it.
type signMessage struct {
	_           struct{} `cbor:",toarray"`
	Protected   []byte
	Unprotected struct{}
	Payload     []byte
	Signatures  []signature
}

type signature struct {
	_           struct{} `cbor:",toarray"`
	Protected   []byte
	Unprotected struct{}
	Signature   []byte
}

// maxSignatures is the most signatures of one message.
const maxSignatures = 64

// Sign returns a COSE_Sign message with tag 98: one payload of this content type
// and a signature by each signer, with its key id. It asks for no purpose.
func Sign(rnd io.Reader, signers []keys.Signer, contentType string, payload []byte) ([]byte, error) {
	if len(signers) == 0 || len(signers) > maxSignatures {
		return nil, fmt.Errorf("cose: sign: %d signers, want 1 to %d", len(signers), maxSignatures)
	}
	protected, err := Header{ContentType: contentType}.encode("")
	if err != nil {
		return nil, err
	}
	m := signMessage{Protected: protected, Payload: payload}
	for _, s := range signers {
		pub := s.Key().Public
		id := pub.ID()
		part, err := Header{KeyID: id.Bytes()}.encode(pub.Algorithm())
		if err != nil {
			return nil, err
		}
		message, err := partToBeSigned(protected, part, payload)
		if err != nil {
			return nil, err
		}
		sig, err := sign(rnd, s, pub.Algorithm(), message)
		if err != nil {
			return nil, err
		}
		m.Signatures = append(m.Signatures, signature{Protected: part, Signature: sig})
	}
	return cbor.Marshal(cbor.Tag{Number: tagSign, Content: m})
}

func partToBeSigned(protected, part, payload []byte) ([]byte, error) {
	return cbor.Marshal(sigStructure{
		Context: "Signature", Protected: signedForm(protected), SignProtected: signedForm(part), Payload: payload,
	})
}

// A SignMessage is a COSE_Sign message that was read and not yet verified.
type SignMessage struct {
	// ContentType is the media type of the payload.
	ContentType string
	// Payload is part of the bytes that were parsed.
	Payload []byte
	// Signatures are in the order of the message. Several may name one key.
	Signatures []SignatureInfo

	encoded []byte // the protected header as it came
	parts   []part
}

// A SignatureInfo is what one signature of a message says of itself.
type SignatureInfo struct {
	// KeyID is a hint that finds candidates for the key.
	KeyID []byte
	// Algorithm is "" if it is one that we do not carry.
	Algorithm keys.Algorithm
}

type part struct {
	Headers
	encoded   []byte // its protected header as it came
	signature []byte
}

// ParseSign reads a COSE_Sign message with tag 98, within the limits of a trust
// bundle. The message shares the memory of b, which must not be changed.
func ParseSign(b []byte) (*SignMessage, error) {
	limits := cbor.Bundle
	c, err := limits.Cursor(b)
	if err != nil {
		return nil, explain("message", err)
	}
	if err := readTags(&c, tagSign); err != nil {
		return nil, err
	}
	if n := c.Array(); c.Err() == nil && n != 4 {
		return nil, fmt.Errorf("%w: %d parts, a COSE_Sign message has 4", ErrMalformed, n)
	}
	m := &SignMessage{encoded: c.Bytes()}
	var body Headers
	if err := body.read(m.encoded, &c, limits); err != nil {
		return nil, err
	}
	m.ContentType = body.Protected.ContentType
	m.Payload = c.Bytes()
	n := c.Array()
	if c.Err() == nil && (n == 0 || n > maxSignatures) {
		return nil, fmt.Errorf("%w: %d signatures, want 1 to %d", ErrMalformed, n, maxSignatures)
	}
	for range n {
		if err := m.readPart(&c, limits); err != nil {
			return nil, err
		}
	}
	if err := c.Done(); err != nil {
		return nil, explain("message", err)
	}
	return m, nil
}

func (m *SignMessage) readPart(c *cbor.Cursor, limits cbor.Limits) error {
	if n := c.Array(); c.Err() == nil && n != 3 {
		return fmt.Errorf("%w: a signature of %d parts, want 3", ErrMalformed, n)
	}
	p := part{encoded: c.Bytes()}
	if err := p.read(p.encoded, c, limits); err != nil {
		return err
	}
	p.signature = c.Bytes()
	m.parts = append(m.parts, p)
	m.Signatures = append(m.Signatures, SignatureInfo{KeyID: p.KeyID(), Algorithm: p.Protected.Algorithm})
	return nil
}

// VerifySignature checks the signature with this index by pub. Alg is the
// algorithm that the caller expects; it must be that of the header and that of
// the key.
func (m *SignMessage) VerifySignature(i int, alg keys.Algorithm, pub keys.PublicKey) error {
	p := &m.parts[i]
	message, err := partToBeSigned(m.encoded, p.encoded, m.Payload)
	if err != nil {
		return err
	}
	return p.verify(alg, pub, message, p.signature)
}
