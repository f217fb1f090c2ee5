package cwt

import (
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

// typQuestion is the content format of a question, from the range for experiments
// (RFC 7252 section 12.3). It keeps a question from ever being taken for a credential,
// and a credential for a question.
const typQuestion = 65107

const (
	// MinNonce is the fewest bytes of the nonce of a question.
	MinNonce = 12
	// maxAsked is the most claims of a question.
	maxAsked = 64
	// maxPurpose is the most letters of its purpose.
	maxPurpose = 80
)

// A Question asks whoever stands before a verifier for a live code. One with a nonce
// is a challenge on a screen, asked once; one without hangs on the wall as a poster.
// What it says is on the word of whoever signed it.
type Question struct {
	// Verifier is the id of the verifier in the trust bundle.
	Verifier string
	// IssuedAt must be set. Expires is the last moment of a poster, and zero for a
	// challenge, which is over when its verifier says so.
	IssuedAt, Expires time.Time
	// Nonce is what the answer must hold; nil for a poster.
	Nonce []byte
	// Type is the credential type that is asked for.
	Type string
	// Person and Fields are the claims that are asked for, by the keys of Claim 169 and
	// of the type. None at all asks for nothing that can be left out.
	Person, Fields []int64
	// Purpose is why, in a few words. Optional.
	Purpose string
}

// Poster reports whether the question hangs on the wall.
func (q Question) Poster() bool { return len(q.Nonce) == 0 }

type questionClaims struct {
	Verifier string `cbor:"1,keyasint"`
	Expires  int64  `cbor:"4,keyasint,omitempty"`
	IssuedAt int64  `cbor:"6,keyasint"`
	Nonce    []byte `cbor:"39,keyasint,omitempty"`
	Asked    asked  `cbor:"-65539,keyasint"`
}

type asked struct {
	Type    string  `cbor:"1,keyasint"`
	Person  []int64 `cbor:"2,keyasint,omitempty"`
	Fields  []int64 `cbor:"3,keyasint,omitempty"`
	Purpose string  `cbor:"4,keyasint,omitempty"`
}

// Ask signs a question with a request key.
func Ask(rnd io.Reader, q Question, s keys.Signer) ([]byte, error) {
	if err := keys.CheckSigner(s, keys.Request, q.IssuedAt); err != nil {
		return nil, err
	}
	d, err := DraftQuestion(q, s.Key().Public)
	if err != nil {
		return nil, err
	}
	return d.cose.Sign(rnd, s)
}

// A QuestionDraft is a question before its signature.
type QuestionDraft struct{ cose *cose.Draft }

// ToBeSigned returns the exact bytes that the signature will cover. They must not be
// changed.
func (d *QuestionDraft) ToBeSigned() []byte { return d.cose.ToBeSigned() }

// Signed returns the question with the signature of a key that no [keys.Signer] holds,
// such as one in a browser. It must be that of the draft.
func (d *QuestionDraft) Signed(signature []byte) ([]byte, error) { return d.cose.Signed(signature) }

// DraftQuestion fixes the bytes that the request key pub shall sign. Whether that key may
// ask is for whoever is asked to judge.
func DraftQuestion(q Question, pub keys.PublicKey) (*QuestionDraft, error) {
	if err := q.lint(); err != nil {
		return nil, fmt.Errorf("cwt: question: %w", err)
	}
	c := questionClaims{
		Verifier: q.Verifier, IssuedAt: q.IssuedAt.Unix(), Nonce: q.Nonce, Asked: asked{q.Type, q.Person, q.Fields, q.Purpose},
	}
	if !q.Expires.IsZero() {
		c.Expires = q.Expires.Unix()
	}
	payload, err := cbor.Marshal(c)
	if err != nil {
		return nil, err
	}
	id := pub.ID()
	d, err := cose.NewDraft(pub, cose.Header{KeyID: id.Bytes(), Type: int64(typQuestion)}, payload)
	if err != nil {
		return nil, err
	}
	return &QuestionDraft{d}, nil
}

// lint refuses a question that nobody could answer, or should.
func (q Question) lint() error {
	for _, named := range []struct{ what, text string }{{"verifier", q.Verifier}, {"type", q.Type}} {
		if err := lintText(named.text); err != nil {
			return fmt.Errorf("%s: %w", named.what, err)
		}
	}
	if q.Verifier == AudienceInPerson {
		return errors.New("verifier: the name for nobody in particular")
	}
	if q.Purpose != "" {
		if err := lintText(q.Purpose); err != nil || len([]rune(q.Purpose)) > maxPurpose {
			return fmt.Errorf("purpose: more than %d letters, or some that mislead", maxPurpose)
		}
	}
	for _, at := range []time.Time{q.IssuedAt, q.Expires} {
		if !at.IsZero() && (at.Nanosecond() != 0 || at.Unix() <= 0 || at.After(lastSecond)) {
			return errors.New("a time that is not a whole second of the years 1970 to 9999")
		}
	}
	switch {
	case q.IssuedAt.IsZero():
		return errors.New("no time")
	case q.Poster() && !q.Expires.After(q.IssuedAt):
		return errors.New("a poster that does not end after it begins")
	case !q.Poster() && !q.Expires.IsZero():
		return errors.New("a challenge with an end of its own")
	case !q.Poster() && (len(q.Nonce) < MinNonce || len(q.Nonce) > MaxNonce):
		return fmt.Errorf("a nonce of %d bytes, not of %d to %d", len(q.Nonce), MinNonce, MaxNonce)
	case len(q.Person)+len(q.Fields) > maxAsked:
		return fmt.Errorf("%d claims, at most %d", len(q.Person)+len(q.Fields), maxAsked)
	}
	for _, list := range [][]int64{q.Person, q.Fields} {
		for i, key := range list {
			if key < 1 || slices.Contains(list[:i], key) {
				return errors.New("a claim that is none, or twice")
			}
		}
	}
	return nil
}

// An AskedQuestion is a question as it came, signed by nobody knows whom.
type AskedQuestion struct {
	Question
	// KeyID is the hint that finds the key.
	KeyID []byte

	message *cose.Sign1Message
}

// ParseQuestion reads a question. One that cannot be read is a
// [*credential.RejectedError].
func ParseQuestion(b []byte) (*AskedQuestion, error) {
	m, err := cose.ParseSign1(b)
	if err != nil {
		return nil, reject(err)
	}
	if m.Protected.Type != int64(typQuestion) {
		return nil, credential.Reject(credential.UnsupportedFormat, "not a question of a verifier")
	}
	var c questionClaims
	if err := limits.Unmarshal(m.Payload, &c); err != nil {
		return nil, reject(err)
	}
	q := Question{
		Verifier: c.Verifier, Nonce: c.Nonce, Type: c.Asked.Type, Person: c.Asked.Person, Fields: c.Asked.Fields, Purpose: c.Asked.Purpose,
		IssuedAt: time.Unix(c.IssuedAt, 0).UTC(),
	}
	if c.Expires != 0 {
		q.Expires = time.Unix(c.Expires, 0).UTC()
	}
	if err := q.lint(); err != nil {
		return nil, malformed("%v", err)
	}
	return &AskedQuestion{Question: q, KeyID: m.KeyID(), message: m}, nil
}

// Verify checks that one of these keys, those of the verifier that the question names,
// signed it. A refusal is a [*credential.RejectedError].
func (q *AskedQuestion) Verify(of []keys.PublicKey) error {
	alg, err := q.message.Algorithm()
	if err != nil {
		return reject(err)
	}
	if len(of) > maxTries {
		of = slices.DeleteFunc(slices.Clone(of), func(k keys.PublicKey) bool {
			id := k.ID()
			return len(q.KeyID) > 0 && !slices.Equal(id.Bytes(), q.KeyID)
		})
	}
	if len(of) == 0 {
		return credential.Reject(credential.UnknownIssuer, "no key known for this verifier")
	}
	for _, key := range of[:min(len(of), maxTries)] {
		if key.Algorithm() == alg && q.message.Verify(alg, key) == nil {
			return nil
		}
	}
	return credential.Reject(credential.BadSignature, "no key of the verifier signed the question")
}
