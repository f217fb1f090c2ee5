package cwt_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"testing"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/qr"
)

// birthCertificate has a child and parents in two scripts, ten fields, a status
// reference and an end: the measure P16.
func birthCertificate() cwt.Token {
	return cwt.Token{
		Issuer: "jes.gov.xx", Type: "urn:xx:birth-certificate:1",
		IssuedAt: issuedAt, Expires: issuedAt.AddDate(10, 0, 0),
		Status: &credential.StatusRef{URI: "https://status.jes.gov.xx/b/7", Index: 523_456},
		Person: map[int64]any{
			1: "19-123456-7", 3: "ben", 4: "রহিম উদ্দিন আহমেদ", 8: "20261108", 9: 1, 19: "Rahim Uddin Ahmed", 20: "eng",
		},
		Fields: map[int64]any{
			1: "করিম উদ্দিন আহমেদ", 2: "Karim Uddin Ahmed", 3: "ফাতেমা বেগম", 4: "Fatema Begum", 5: "যশোর সদর",
		},
	}
}

// birthCertificateOneScript is the same in Latin script.
func birthCertificateOneScript() cwt.Token {
	t := birthCertificate()
	t.Person = map[int64]any{1: "19-123456-7", 3: "swa", 4: "Juma Mwangi Kamau", 8: "20261108", 9: 1}
	t.Fields = map[int64]any{1: "Peter Mwangi Kamau", 2: "Grace Wanjiku", 3: "Nakuru", 4: "Level 5 Hospital", 5: 20261110}
	return t
}

// farmerCard is a small token that deflate does not make smaller.
func farmerCard() cwt.Token {
	return cwt.Token{
		Issuer: "agri.xx", Type: "urn:xx:farmer:1", IssuedAt: issuedAt, Expires: issuedAt.AddDate(3, 0, 0),
		Status: &credential.StatusRef{URI: "https://s.agri.xx/1", Index: 77_123},
		Person: map[int64]any{1: "F-1234567", 3: "swa", 4: "Juma Mwangi Kamau", 8: "19840418", 9: 1},
		Fields: map[int64]any{1: "Maize", 2: 2.5, 3: "Nakuru"},
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

// BenchmarkRawSign is the baseline of BenchmarkIssueQRText.
func BenchmarkRawSign(b *testing.B) {
	k, digest := rawKey(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ecdsa.SignASN1(rand.Reader, k, digest[:]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRawVerify is the baseline of BenchmarkVerifyQRText.
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

var benchmarkTokens = map[string]func() cwt.Token{
	"birth certificate":             birthCertificate,
	"birth certificate, one script": birthCertificateOneScript,
	"farmer card":                   farmerCard,
}

// BenchmarkIssueQRText goes from the claims to the text of the code (P6).
func BenchmarkIssueQRText(b *testing.B) {
	for name, token := range benchmarkTokens {
		b.Run(name, func(b *testing.B) {
			s, t := newSigner(b, keys.ES256), token()
			b.ReportAllocs()
			for b.Loop() {
				issueText(b, t, s)
			}
		})
	}
}

func issueText(t testing.TB, token cwt.Token, s keys.Signer) string {
	t.Helper()
	text, err := qr.Encode(mustSign(t, token, s))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// BenchmarkVerifyQRText goes from the text of the code to the checked claims (P6,
// P17).
func BenchmarkVerifyQRText(b *testing.B) {
	for name, token := range benchmarkTokens {
		b.Run(name, func(b *testing.B) {
			s, t := newSigner(b, keys.ES256), token()
			text := issueText(b, t, s)
			want := cwt.Expect{Keys: issuers{t.Issuer, []keys.PublicKey{s.Key().Public}}}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := verifyText(text, want); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func verifyText(text string, want cwt.Expect) (*credential.Verified, error) {
	message, err := qr.Decode(text)
	if err != nil {
		return nil, err
	}
	return cwt.Verify(message, want)
}
