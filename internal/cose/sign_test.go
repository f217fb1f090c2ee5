package cose_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"testing"

	gocose "github.com/veraison/go-cose"

	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/internal/cbor"
	"github.com/sanad-id/sanad/internal/cose"
	"github.com/sanad-id/sanad/keys"
)

func TestSign(t *testing.T) {
	signers := []keys.Signer{newSigner(t, keys.ES256), newSigner(t, keys.EdDSA), newSigner(t, keys.ES384)}
	payload := bytes.Repeat([]byte("payload "), 10_000)
	b, err := cose.Sign(rand.Reader, signers, "application/trust", payload)
	if err != nil {
		t.Fatal(err)
	}
	m, err := cose.ParseSign(b)
	if err != nil {
		t.Fatal(err)
	}
	if m.ContentType != "application/trust" || !bytes.Equal(m.Payload, payload) || len(m.Signatures) != 3 {
		t.Fatalf("%s, %d bytes, %d signatures", m.ContentType, len(m.Payload), len(m.Signatures))
	}
	for i, s := range signers {
		pub := s.Key().Public
		id := pub.ID()
		if info := m.Signatures[i]; info.Algorithm != pub.Algorithm() || !bytes.Equal(info.KeyID, id.Bytes()) {
			t.Errorf("signature %d: %+v", i, info)
		}
		if err := m.VerifySignature(i, pub.Algorithm(), pub); err != nil {
			t.Errorf("signature %d: %v", i, err)
		}
		wrong := (i + 1) % 3
		if err := m.VerifySignature(wrong, pub.Algorithm(), pub); !errors.Is(err, cose.ErrAlgorithm) {
			t.Errorf("signature %d by key %d: %v", wrong, i, err)
		}
		if err := m.VerifySignature(i, pub.Algorithm(), newSigner(t, pub.Algorithm()).Key().Public); !errors.Is(err, cose.ErrSignature) {
			t.Errorf("signature %d by a stranger: %v", i, err)
		}
	}
	checkWithLibrary(t, b, signers)
}

// checkWithLibrary is COSE-05 for several signatures.
func checkWithLibrary(t *testing.T, b []byte, signers []keys.Signer) {
	t.Helper()
	var lib gocose.SignMessage
	if err := lib.UnmarshalCBOR(b); err != nil {
		t.Fatal(err)
	}
	var verifiers []gocose.Verifier
	for _, s := range signers {
		v, err := gocose.NewVerifier(gocose.Algorithm(s.Key().Public.Algorithm().COSE()), s.Key().Public.Crypto())
		if err != nil {
			t.Fatal(err)
		}
		verifiers = append(verifiers, v)
	}
	if err := lib.Verify(nil, verifiers...); err != nil {
		t.Errorf("the library: %v", err)
	}
}

func TestSignWants(t *testing.T) {
	if _, err := cose.Sign(rand.Reader, nil, "a/b", nil); err == nil {
		t.Error("signed by nobody")
	}
	if _, err := cose.Sign(rand.Reader, make([]keys.Signer, 65), "a/b", nil); err == nil {
		t.Error("signed by too many")
	}
}

func TestParseSignRefuses(t *testing.T) {
	s := newSigner(t, keys.ES256)
	good, err := cose.Sign(rand.Reader, []keys.Signer{s}, "", []byte("payload"))
	if err != nil {
		t.Fatal(err)
	}
	part := []any{unhex(t, "a10126"), map[int]int{}, make([]byte, 64)}
	build := func(parts ...any) []byte { return marshal(t, cbor.Tag{Number: 98, Content: parts}) }
	tests := []struct {
		name string
		in   []byte
		want error
	}{
		{"nothing at all", nil, cose.ErrMalformed},
		{"no tag", good[2:], cose.ErrMalformed},
		{"tag 61 before", append([]byte{0xd8, 61}, good...), cose.ErrMalformed},
		{"COSE-03 one signature", mustSign1(t, s, cose.Header{}, "payload"), cose.ErrMalformed},
		{"encrypted", append([]byte{0xd8, 96}, good[2:]...), cose.ErrEncrypted},
		{"trailing byte", append(bytes.Clone(good), 0), cose.ErrMalformed},
		{"no signatures", build([]byte{}, map[int]int{}, []byte("p"), []any{}), cose.ErrMalformed},
		{"three parts", build([]byte{}, map[int]int{}, []byte("p")), cose.ErrMalformed},
		{"COSE-04 null payload", build([]byte{}, map[int]int{}, nil, []any{part}), cose.ErrMalformed},
		{"COSE-04 null signature", build([]byte{}, map[int]int{}, []byte("p"), []any{nil}), cose.ErrMalformed},
		{"signature of two parts", build([]byte{}, map[int]int{}, []byte("p"), []any{part[:2]}), cose.ErrMalformed},
		{"COSE-01 label in both buckets of the body", build(unhex(t, "a10341 61"), map[int]any{3: "a"}, []byte("p"), []any{part}), cose.ErrMalformed},
		{"COSE-01 label in both buckets of a signature", build([]byte{}, map[int]int{}, []byte("p"), []any{[]any{unhex(t, "a10126"), map[int]int{1: -7}, make([]byte, 64)}}), cose.ErrMalformed},
		{"COSE-02 unknown critical header of the body", build(unhex(t, "a2 02 81 18 63 18 63 00"), map[int]int{}, []byte("p"), []any{part}), cose.ErrCrit},
		{"COSE-02 unknown critical header of a signature", build([]byte{}, map[int]int{}, []byte("p"), []any{[]any{unhex(t, "a3 01 26 02 81 18 63 18 63 00"), map[int]int{}, make([]byte, 64)}}), cose.ErrCrit},
		{"too many signatures", build([]byte{}, map[int]int{}, []byte("p"), repeat(part, 65)), cose.ErrMalformed},
		{"too large", build([]byte{}, map[int]int{}, make([]byte, 9<<20), []any{part}), cose.ErrTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := cose.ParseSign(tt.in); !errors.Is(err, tt.want) {
				t.Errorf("ParseSign: %v, want %v", err, tt.want)
			}
		})
	}
}

func repeat(part any, n int) []any {
	var parts []any
	for range n {
		parts = append(parts, part)
	}
	return parts
}

func TestVerifySignatureRefuses(t *testing.T) {
	s := newSigner(t, keys.ES256)
	for name, want := range map[string]error{"a10126": cose.ErrUnsigned, "a0": cose.ErrUnsigned} {
		b := marshal(t, cbor.Tag{Number: 98, Content: []any{[]byte{}, map[int]int{}, []byte("p"), []any{[]any{unhex(t, name), map[int]int{}, []byte{}}}}})
		m, err := cose.ParseSign(b)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.VerifySignature(0, keys.ES256, s.Key().Public); !errors.Is(err, want) {
			t.Errorf("header %s: %v, want %v", name, err, want)
		}
	}
}

// FuzzParseSign: nothing verifies by a key that did not sign it.
func FuzzParseSign(f *testing.F) {
	b, err := cose.Sign(rand.Reader, []keys.Signer{newSigner(f, keys.ES256), newSigner(f, keys.EdDSA)}, "a/b", []byte("payload"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	stranger := newSigner(f, keys.ES256).Key().Public
	boundtest.Fuzz(f, func(t *testing.T, b []byte) {
		m, err := cose.ParseSign(b)
		if err != nil {
			return
		}
		for i := range m.Signatures {
			if m.VerifySignature(i, keys.ES256, stranger) == nil {
				t.Fatal("verified by a key that signed nothing")
			}
		}
	})
}
