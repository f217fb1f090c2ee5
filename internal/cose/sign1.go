package cose

import (
	"fmt"
	"io"

	"github.com/sanad-id/sanad/internal/cbor"
	"github.com/sanad-id/sanad/keys"
)

// sign1Message is a COSE_Sign1 message (RFC 9052 section 4.2) as
// [WithUnprotected] writes it.
type sign1Message struct {
	_           struct{} `cbor:",toarray"`
	Protected   []byte
	Unprotected map[int64]any
	Payload     []byte
	Signature   []byte
}

// A Draft is a COSE_Sign1 message before its signature.
type Draft struct {
	pub        keys.PublicKey
	protected  []byte
	payload    []byte
	toBeSigned []byte
}

// NewDraft fixes the bytes that the key pub shall sign: the headers, all of them
// protected, and the payload, which must not be changed afterwards.
func NewDraft(pub keys.PublicKey, h Header, payload []byte) (*Draft, error) {
	alg := pub.Algorithm()
	if alg == "" || h.Algorithm != "" && h.Algorithm != alg {
		return nil, fmt.Errorf("%w: a key for %q and a header of %q", ErrAlgorithm, alg, h.Algorithm)
	}
	protected, err := h.encode(alg)
	if err != nil {
		return nil, err
	}
	return &Draft{pub: pub, protected: protected, payload: payload, toBeSigned: toBeSigned(protected, payload)}, nil
}

// ToBeSigned returns the exact bytes that the signature will cover
// (RFC 9052 section 4.4). They must not be changed.
func (d *Draft) ToBeSigned() []byte { return d.toBeSigned }

// Sign signs and returns the message with tag 18. The signer must be that of the
// key the draft was made for. Sign asks for no purpose and does not check the
// signature it was given.
func (d *Draft) Sign(rnd io.Reader, s keys.Signer) ([]byte, error) {
	if !s.Key().Public.Equal(d.pub) {
		return nil, fmt.Errorf("cose: sign: a draft for %v, a signer of %v", d.pub, s.Key().Public)
	}
	sig, err := sign(rnd, s, d.pub.Algorithm(), d.toBeSigned)
	if err != nil {
		return nil, err
	}
	return d.message(sig), nil
}

// message is the whole of it, with no unprotected headers.
func (d *Draft) message(signature []byte) []byte {
	b := make([]byte, 0, heads+len(d.protected)+len(d.payload)+len(signature))
	b = cbor.AppendHead(cbor.AppendHead(b, cbor.Tagged, tagSign1), cbor.Array, 4)
	b = cbor.AppendHead(cbor.AppendBytes(b, d.protected), cbor.Map, 0)
	return cbor.AppendBytes(cbor.AppendBytes(b, d.payload), signature)
}

// Signed returns the message with a signature that somebody else made over ToBeSigned:
// a browser, which gives its private keys to nobody. It returns ErrSignature unless the
// key of the draft verifies it.
func (d *Draft) Signed(signature []byte) ([]byte, error) {
	if err := verify(d.pub.Algorithm(), d.pub, d.toBeSigned, signature); err != nil {
		return nil, err
	}
	return d.message(signature), nil
}

// WithUnprotected returns the message b with these headers in place of its
// unprotected ones. What the signature covers stays to the byte.
func WithUnprotected(b []byte, headers map[int64]any) ([]byte, error) {
	m, err := ParseSign1(b)
	if err != nil {
		return nil, err
	}
	return cbor.Marshal(cbor.Tag{Number: tagSign1, Content: sign1Message{
		Protected: m.encoded, Unprotected: headers, Payload: m.Payload, Signature: m.Signature,
	}})
}

// Sign1 is NewDraft and Sign in one step.
func Sign1(rnd io.Reader, s keys.Signer, h Header, payload []byte) ([]byte, error) {
	d, err := NewDraft(s.Key().Public, h, payload)
	if err != nil {
		return nil, err
	}
	return d.Sign(rnd, s)
}

// A Sign1Message is a COSE_Sign1 message that was read and not yet verified.
type Sign1Message struct {
	Headers
	// Payload and Signature are parts of the bytes that were parsed.
	Payload   []byte
	Signature []byte

	encoded []byte // the protected header as it came
}

// ParseSign1 reads a COSE_Sign1 message with tag 18, with tag 61 before that
// (RFC 8392 section 6) or without a tag. The message shares the memory of b,
// which must not be changed. An empty signature is no error here; see
// [Sign1Message.Unsigned].
func ParseSign1(b []byte) (*Sign1Message, error) { return ParseSign1Within(b, cbor.Token) }

// ParseSign1Within is ParseSign1 with other limits than those of a code.
func ParseSign1Within(b []byte, limits cbor.Limits) (*Sign1Message, error) {
	c, err := limits.Cursor(b)
	if err != nil {
		return nil, explain("message", err)
	}
	if err := readTags(&c, tagSign1); err != nil {
		return nil, err
	}
	if n := c.Array(); c.Err() == nil && n != 4 {
		return nil, fmt.Errorf("%w: %d parts, a COSE_Sign1 message has 4", ErrMalformed, n)
	}
	m := &Sign1Message{encoded: c.Bytes()}
	if err := m.read(m.encoded, &c, limits); err != nil {
		return nil, err
	}
	// A payload of null would be supplied from elsewhere. Only bytes that come
	// with their signature are verified, so that these are the bytes used.
	m.Payload = c.Bytes()
	m.Signature = c.Bytes()
	if err := c.Done(); err != nil {
		return nil, explain("message", err)
	}
	return m, nil
}

// readTags reads the tags before a message. Want may be missing if it is 18.
func readTags(c *cbor.Cursor, want uint64) error {
	for wrapped := false; c.Kind() == cbor.Tagged; wrapped = true {
		switch tag := c.Tag(); {
		case tag == want:
			return c.Err()
		case tag == tagEncrypt0, tag == tagEncrypt:
			return fmt.Errorf("%w: tag %d", ErrEncrypted, tag)
		case tag != tagCWT || wrapped || want != tagSign1:
			return fmt.Errorf("%w: tag %d where %d is expected", ErrMalformed, tag, want)
		}
	}
	if want != tagSign1 {
		return fmt.Errorf("%w: tag %d is missing", ErrMalformed, want)
	}
	return nil
}

// Unsigned reports whether the signature is empty.
func (m *Sign1Message) Unsigned() bool { return len(m.Signature) == 0 }

// ToBeSigned returns the bytes that the signature covers, made of the protected
// header and the payload as they came.
func (m *Sign1Message) ToBeSigned() []byte { return toBeSigned(m.encoded, m.Payload) }

// Verify checks the signature by pub. Alg is the algorithm that the caller
// expects; it must be that of the header and that of the key.
func (m *Sign1Message) Verify(alg keys.Algorithm, pub keys.PublicKey) error {
	if m.Unsigned() {
		return ErrUnsigned
	}
	return m.verify(alg, pub, m.ToBeSigned(), m.Signature)
}
