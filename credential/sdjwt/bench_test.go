package sdjwt_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"testing"

	"github.com/sanad-id/sanad/credential/sdjwt"
)

// tenClaims is the credential of the measures P1 and P2.
func tenClaims(t testing.TB) sdjwt.Token {
	token := goodToken(t)
	h := func(v any) any { return sdjwt.Hidden{Value: v} }
	token.Claims = map[string]any{
		"given_name": h("Juma"), "family_name": h("Mwangi Kamau"), "birthdate": h("1984-04-18"), "farmer_id": h("F-1234567"),
		"crop": h("Maize"), "farm_size": h(2.5), "county": h("Nakuru"), "ward": h("Bahati"), "organic": h(true), "registered": h("2026-11-12"),
	}
	return token
}

// BenchmarkRawSign is the baseline of BenchmarkIssue (P1).
func BenchmarkRawSign(b *testing.B) {
	k, digest := rawKey(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ecdsa.SignASN1(rand.Reader, k, digest[:]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRawVerify is the baseline of BenchmarkVerify (P2).
func BenchmarkRawVerify(b *testing.B) {
	k, digest := rawKey(b)
	sig, err := ecdsa.SignASN1(rand.Reader, k, digest[:])
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !ecdsa.VerifyASN1(&k.PublicKey, digest[:], sig) {
			b.Fatal("does not verify")
		}
	}
}

func rawKey(b *testing.B) (*ecdsa.PrivateKey, [32]byte) {
	b.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	return k, sha256.Sum256([]byte("a message"))
}

// BenchmarkIssue makes one credential of ten hidden claims: P1.
func BenchmarkIssue(b *testing.B) {
	s, token := issuerSigner(b), tenClaims(b)
	pub := s.Key().Public
	b.ReportAllocs()
	for b.Loop() {
		d, err := sdjwt.NewDraft(nil, token, pub)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := d.Sign(rand.Reader, s, issuedAt); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerify verifies it with all claims shown and the holder's proof: P2 and
// P17.
func BenchmarkVerify(b *testing.B) {
	presented, want := tenShown(b)
	b.ReportAllocs()
	b.SetBytes(int64(len(presented)))
	for b.Loop() {
		if _, err := sdjwt.Verify(presented, want); err != nil {
			b.Fatal(err)
		}
	}
}

func tenShown(t testing.TB) (string, sdjwt.Expect) {
	t.Helper()
	s := issuerSigner(t)
	d, err := sdjwt.NewDraft(nil, tenClaims(t), s.Key().Public)
	if err != nil {
		t.Fatal(err)
	}
	issued, err := d.Sign(rand.Reader, s, issuedAt)
	if err != nil {
		t.Fatal(err)
	}
	presented, err := sdjwt.Bind(rand.Reader, issued, sdjwt.Proof{Audience: audience, Nonce: nonce, IssuedAt: issuedAt}, holderSigner(t))
	if err != nil {
		t.Fatal(err)
	}
	return presented, goodFixture(t).want
}
