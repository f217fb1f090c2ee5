package cwt_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/internal/cbor"
	"github.com/sanad-id/sanad/internal/cose"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/qr"
)

func challenge() cwt.Question {
	return cwt.Question{Verifier: "bank.xa-12", IssuedAt: issuedAt, Nonce: []byte("123456789012"), Type: "urn:xx:farmer:1", Person: []int64{4, 8}, Fields: []int64{1}}
}

func posterQuestion() cwt.Question {
	return cwt.Question{
		Verifier: "bank.xa-12", IssuedAt: issuedAt, Expires: issuedAt.AddDate(1, 0, 0), Type: "urn:xx:farmer:1",
		Person: []int64{4, 8}, Purpose: "Opening an account",
	}
}

func TestQuestions(t *testing.T) {
	s := newSignerFor(t, keys.ES256, keys.Request)
	for name, q := range map[string]cwt.Question{"challenge": challenge(), "poster": posterQuestion()} {
		b := must(cwt.Ask(rand.Reader, q, s))
		got, err := cwt.ParseQuestion(b)
		if err != nil {
			t.Fatal(err)
		}
		if !cmp.Equal(got.Question, q) || got.Poster() != (name == "poster") {
			t.Errorf("%s: %s", name, cmp.Diff(q, got.Question))
		}
		if err := got.Verify([]keys.PublicKey{newSigner(t, keys.ES256).Key().Public, s.Key().Public}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		rejected(t, got.Verify([]keys.PublicKey{newSigner(t, keys.ES256).Key().Public}), credential.BadSignature)
		rejected(t, got.Verify(nil), credential.UnknownIssuer)

		// V5 to V8 at level L (qr-and-offline 3.3).
		text := must(qr.Encode(b))
		v := version(capacityL, len(text))
		t.Logf("%s: %d bytes, %d characters: V%d-L", name, len(b), len(text), v)
		if v > 8 {
			t.Errorf("%s: V%d-L, at most 8", name, v)
		}

		// Never a credential, and never what a holder signs.
		if _, err := cwt.Verify(b, cwt.Expect{Keys: anyKey{s.Key().Public}}); err == nil {
			t.Errorf("%s: verifies as a credential", name)
		} else {
			rejected(t, err, credential.UnsupportedFormat)
		}
	}
	f := goodShown(t)
	for name, b := range map[string][]byte{"live code": f.bytes(t), "card": f.inner(t), "paper": mustSign(t, person(), f.issuer)} {
		_, err := cwt.ParseQuestion(b)
		if rejected(t, err, credential.UnsupportedFormat); t.Failed() {
			t.Errorf("%s is taken for a question", name)
		}
	}
}

// TestParseQuestionRefuses spoils one thing at a time in a challenge, or in a poster,
// that is good otherwise and signed as it stands.
func TestParseQuestionRefuses(t *testing.T) {
	s := newSignerFor(t, keys.ES256, keys.Request)
	asked := func(c map[any]any) map[any]any { return c[-65539].(map[any]any) }
	toPoster := func(c map[any]any) { delete(c, 39); c[4] = issuedAt.AddDate(1, 0, 0).Unix() }
	tests := []struct {
		name  string
		spoil func(map[any]any)
		want  credential.Reason
	}{
		{"nothing spoiled", func(map[any]any) {}, ""},
		{"a poster", toPoster, ""},
		{"claims nobody knows", func(c map[any]any) { c[1000] = "x" }, ""},
		{"of nobody", func(c map[any]any) { delete(c, 1) }, credential.Malformed},
		{"of nobody in particular", func(c map[any]any) { c[1] = cwt.AudienceInPerson }, credential.Malformed},
		{"a name that misleads", func(c map[any]any) { c[1] = "bank\u202e" }, credential.Malformed},
		{"name is a number", func(c map[any]any) { c[1] = 7 }, credential.Malformed},
		{"no time", func(c map[any]any) { delete(c, 6) }, credential.Malformed},
		{"a time before 1970", func(c map[any]any) { c[6] = -5 }, credential.Malformed},
		{"a time after the year 9999", func(c map[any]any) { c[6] = int64(1) << 50 }, credential.Malformed},
		{"short nonce", func(c map[any]any) { c[39] = make([]byte, 11) }, credential.Malformed},
		{"long nonce", func(c map[any]any) { c[39] = make([]byte, 65) }, credential.Malformed},
		{"challenge with an end", func(c map[any]any) { c[4] = issuedAt.AddDate(1, 0, 0).Unix() }, credential.Malformed},
		{"poster without an end", func(c map[any]any) { delete(c, 39) }, credential.Malformed},
		{"poster that ends when it begins", func(c map[any]any) { toPoster(c); c[4] = c[6] }, credential.Malformed},
		{"asks for nothing", func(c map[any]any) { delete(c, -65539) }, credential.Malformed},
		{"no type", func(c map[any]any) { delete(asked(c), 1) }, credential.Malformed},
		{"claim 0", func(c map[any]any) { asked(c)[2] = []int{0} }, credential.Malformed},
		{"claim twice", func(c map[any]any) { asked(c)[3] = []int{4, 4} }, credential.Malformed},
		{"claim is a text", func(c map[any]any) { asked(c)[2] = []string{"4"} }, credential.Malformed},
		{"65 claims", func(c map[any]any) {
			var many []int
			for i := range 65 {
				many = append(many, i+1)
			}
			asked(c)[2] = many
		}, credential.Malformed},
		{"purpose of 81 letters", func(c map[any]any) { asked(c)[4] = string(bytes.Repeat([]byte("a"), 81)) }, credential.Malformed},
		{"purpose that misleads", func(c map[any]any) { asked(c)[4] = "for\nfree" }, credential.Malformed},
		{"over 16 KiB", func(c map[any]any) { c[1000] = make([]byte, 17<<10) }, credential.TooLarge},
		{"CBOR-01 nested deeper than 8", func(c map[any]any) { c[1000] = nest(9) }, credential.TooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			claims := map[any]any{1: "bank.xa-12", 6: issuedAt.Unix(), 39: []byte("123456789012"), -65539: map[any]any{1: "urn:xx:farmer:1", 2: []int{4}}}
			tt.spoil(claims)
			payload, err := cbor.Marshal(claims)
			if err != nil {
				t.Fatal(err)
			}
			_, err = cwt.ParseQuestion(must(cose.Sign1(rand.Reader, s, cose.Header{Type: int64(65107)}, payload)))
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			rejected(t, err, tt.want)
		})
	}
	for _, bad := range []keys.Signer{newSigner(t, keys.ES256), newSignerFor(t, keys.ES256, keys.Holder), nil} {
		if _, err := cwt.Ask(rand.Reader, challenge(), bad); err == nil {
			t.Error("a question signed by a key for something else")
		}
	}
	late := challenge()
	late.IssuedAt = issuedAt.Add(time.Second / 2)
	if _, err := cwt.Ask(rand.Reader, late, s); err == nil {
		t.Error("half a second was signed")
	}
}

// FuzzQuestion: what can be read is fit to be asked again, and says the same.
func FuzzQuestion(f *testing.F) {
	s := newSignerFor(f, keys.ES256, keys.Request)
	f.Add(must(cwt.Ask(rand.Reader, challenge(), s)))
	f.Add(must(cwt.Ask(rand.Reader, posterQuestion(), s)))
	boundtest.Fuzz(f, func(t *testing.T, b []byte) {
		q, err := cwt.ParseQuestion(b)
		if err != nil {
			if _, ok := errors.AsType[*credential.RejectedError](err); !ok {
				t.Fatalf("ParseQuestion: %v, want a rejection", err)
			}
			return
		}
		if q.IssuedAt.Before(issuedAt) || q.IssuedAt.After(issuedAt.AddDate(0, 11, 0)) {
			return // outside of the key's time
		}
		again, err := cwt.Ask(rand.Reader, q.Question, s)
		if err != nil {
			t.Fatalf("Ask %+v: %v", q.Question, err)
		}
		if same, err := cwt.ParseQuestion(again); err != nil || !cmp.Equal(same.Question, q.Question) {
			t.Fatalf("%v: %s", err, cmp.Diff(q.Question, same.Question))
		}
	})
}

// TestQuestionSignedElsewhere: a browser signs what a draft says, with a key that it gives
// to nobody; what another key signed is not taken.
func TestQuestionSignedElsewhere(t *testing.T) {
	secret := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	public := must(keys.NewPublicKey(keys.ES256, secret.Public()))
	d := must(cwt.DraftQuestion(challenge(), public))
	sum := sha256.Sum256(d.ToBeSigned())
	sign := func(secret *ecdsa.PrivateKey) []byte {
		r, s, err := ecdsa.Sign(rand.Reader, secret, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
	b := must(d.Signed(sign(secret)))
	q := must(cwt.ParseQuestion(b))
	if err := q.Verify([]keys.PublicKey{public}); err != nil || !cmp.Equal(q.Question, challenge()) {
		t.Errorf("%v, %s", err, cmp.Diff(challenge(), q.Question))
	}
	good := sign(secret)
	for name, signature := range map[string][]byte{
		"nothing": nil, "half of it": good[:32], "a byte more": append(bytes.Clone(good), 0), "of another key": sign(must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))),
	} {
		if _, err := d.Signed(signature); err == nil {
			t.Errorf("%s was taken for the signature", name)
		}
	}
	wrong := challenge()
	wrong.Nonce = wrong.Nonce[:3]
	if _, err := cwt.DraftQuestion(wrong, public); err == nil {
		t.Error("a question that nobody could answer was drafted")
	}
}
