package jose

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/keys"
)

// A Draft is a token before its signature.
type Draft struct {
	pub        keys.PublicKey
	toBeSigned []byte
}

// NewDraft fixes the bytes that the key pub shall sign: header and payload.
func NewDraft(pub keys.PublicKey, h Header, payload []byte) (*Draft, error) {
	alg := pub.Algorithm()
	if alg == "" || h.Algorithm != "" && h.Algorithm != alg {
		return nil, fmt.Errorf("%w: a key for %q and a header of %q", ErrAlgorithm, alg, h.Algorithm)
	}
	header, err := h.encode(alg)
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, (len(header)+len(payload))*4/3+8)
	b = append(strict.AppendBase64URL(b, header), '.')
	return &Draft{pub: pub, toBeSigned: strict.AppendBase64URL(b, payload)}, nil
}

// ToBeSigned returns the exact bytes that the signature will cover (RFC 7515
// section 5.1 step 8). They must not be changed.
func (d *Draft) ToBeSigned() []byte { return d.toBeSigned }

// Sign signs and returns the token. The signer must be that of the key the draft
// was made for. Sign asks for no purpose and does not check the signature it was
// given.
func (d *Draft) Sign(rnd io.Reader, s keys.Signer) ([]byte, error) {
	sig, err := d.Signature(rnd, s)
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, len(d.toBeSigned)+1+len(sig))
	return append(append(append(b, d.toBeSigned...), '.'), sig...), nil
}

// Signature is Sign that returns what comes after [Draft.ToBeSigned] and a point.
func (d *Draft) Signature(rnd io.Reader, s keys.Signer) (string, error) {
	if !s.Key().Public.Equal(d.pub) {
		return "", fmt.Errorf("jose: sign: a draft for %v, a signer of %v", d.pub, s.Key().Public)
	}
	sig, err := sign(rnd, s, d.pub.Algorithm(), d.toBeSigned)
	if err != nil {
		return "", err
	}
	return strict.Base64URL(sig), nil
}

// Sign is NewDraft and Sign in one step.
func Sign(rnd io.Reader, s keys.Signer, h Header, payload []byte) ([]byte, error) {
	d, err := NewDraft(s.Key().Public, h, payload)
	if err != nil {
		return nil, err
	}
	return d.Sign(rnd, s)
}

// Expect is what a reader requires of a token before it looks at the signature.
type Expect struct {
	// Types are the values of typ that will do; one of them must stand there
	// exactly. Parse reports an empty list as an error, so that no token is taken
	// for one of another kind.
	Types []string
	// OwnKey says that the protocol has the signer state its key in the header.
	// Without it such a header is refused, and with it one is required.
	OwnKey bool
	// MaxBytes is how large the token may be; zero means [MaxToken].
	MaxBytes int
}

// A Message is a token that was read and not yet verified.
type Message struct {
	Header
	// RawAlgorithm is the algorithm as the header names it, also one that we do not
	// carry.
	RawAlgorithm string
	Payload      []byte
	Signature    []byte

	toBeSigned string
	looked     bool // by Inspect: may not be verified
}

// Parse reads a compact JWS. An empty signature is no error here; see
// [Message.Verify].
func Parse(token string, want Expect) (*Message, error) {
	if len(want.Types) == 0 {
		return nil, errors.New("jose: Expect.Types is not set")
	}
	m, err := parse(token, want)
	if err != nil {
		return nil, err
	}
	// RFC 8725 section 3.11: a token says what it is.
	if !knownType(m.Type, want.Types) {
		return nil, fmt.Errorf("%w: %s", ErrType, cut(m.Type))
	}
	if want.OwnKey && m.Key == nil {
		return nil, fmt.Errorf("%w: no jwk in the header", ErrMalformed)
	}
	return m, nil
}

// Inspect reads a token of any type for people who look into one. Its result
// never verifies.
func Inspect(token string, maxBytes int) (*Message, error) {
	m, err := parse(token, Expect{OwnKey: true, MaxBytes: maxBytes})
	if err != nil {
		return nil, err
	}
	m.looked = true
	return m, nil
}

func parse(token string, want Expect) (*Message, error) {
	most := want.MaxBytes
	if most <= 0 {
		most = MaxToken
	}
	if len(token) > most {
		return nil, fmt.Errorf("%w: a token of %d bytes, at most %d", ErrTooLarge, len(token), most)
	}
	header, rest, _ := strings.Cut(token, ".")
	payload, signature, ok := strings.Cut(rest, ".")
	if !ok || strings.IndexByte(signature, '.') >= 0 {
		if strings.Count(token, ".") == 4 {
			return nil, fmt.Errorf("%w: five parts", ErrEncrypted)
		}
		return nil, fmt.Errorf("%w: not the three parts of a compact token", ErrMalformed)
	}
	h, err := parseHeader(header, want.OwnKey)
	if err != nil {
		return nil, err
	}
	m := &Message{Header: h.Header, RawAlgorithm: h.algorithm, toBeSigned: token[:len(header)+1+len(payload)]}
	if m.Payload, err = strict.DecodeBase64URL(payload); err != nil {
		return nil, fmt.Errorf("%w: payload: %v", ErrMalformed, err)
	}
	if m.Signature, err = strict.DecodeBase64URL(signature); err != nil {
		return nil, fmt.Errorf("%w: signature: %v", ErrMalformed, err)
	}
	return m, nil
}

// Unsigned reports whether the signature is empty.
func (m *Message) Unsigned() bool { return len(m.Signature) == 0 }

// ToBeSigned returns the bytes that the signature covers, as they came.
func (m *Message) ToBeSigned() []byte { return []byte(m.toBeSigned) }

// Verify checks the signature by pub. Alg is the algorithm that the caller
// expects; it must be that of the header and that of the key.
func (m *Message) Verify(alg keys.Algorithm, pub keys.PublicKey) error {
	switch {
	case m.looked:
		return errors.New("jose: a token from Inspect cannot be verified")
	case m.Unsigned():
		return ErrUnsigned
	case m.Algorithm == "":
		return fmt.Errorf("%w: %s", ErrUnsupportedAlgorithm, cut(m.RawAlgorithm))
	case m.Algorithm != alg:
		return fmt.Errorf("%w: the header names %s, expected %q", ErrAlgorithm, m.Algorithm, alg)
	}
	return verify(alg, pub, m.ToBeSigned(), m.Signature)
}
