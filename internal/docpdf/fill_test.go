package docpdf_test

import (
	"crypto/rand"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/internal/docpdf"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/qr"
)

const licences = `
id: licence
version: 1
type: urn:xa:licence:1
labels: {en: Licence}
records: {id_column: id}
validity: {for: 5y}
freshness: {fresh_for: 7d, old_after: 30d}
code_lists:
  harbour: [{code: "3", labels: {en: North harbour}}]
claims:
  - {name: number, labels: {en: Number}, type: text, person: id, from: id, required: true}
  - {name: name, labels: {en: Name}, type: text, person: fullName, from: name, required: true}
  - {name: local, labels: {en: Local name}, type: text, person: secondaryFullName, from: local}
  - {name: language, labels: {en: Language}, type: language, person: secondaryLanguage, from: language}
  - {name: harbour, labels: {en: Harbour}, type: code, code_list: harbour, key: 1, from: harbour}
forms:
  qr: {level: M}
  strip: {level: M, max_version: 11, claims: [number]}
`

// sign makes the text of a code.
func sign(t *testing.T, signer keys.Signer, token cwt.Token) string {
	t.Helper()
	draft, err := cwt.NewDraft(token, signer.Key().Public)
	if err != nil {
		t.Fatal(err)
	}
	b, err := draft.Sign(rand.Reader, signer, token.IssuedAt)
	if err != nil {
		t.Fatal(err)
	}
	text, err := qr.Encode(b)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestFill: a certificate says what its codes say, in the words of the programme.
func TestFill(t *testing.T) {
	p, err := programme.Parse([]byte(licences))
	if err != nil {
		t.Fatal(err)
	}
	signer := keystest.Signer(t, keys.Credential, keys.ES256, "printer")
	issued := time.Date(2026, 11, 12, 9, 0, 0, 0, time.UTC)
	main := cwt.Token{
		Issuer: "xa", Type: p.Type, IssuedAt: issued, Expires: issued.AddDate(5, 0, 0), Status: &credential.StatusRef{URI: "https://x.example/status/a", Index: 1},
		Person: map[int64]any{1: "L-1", 4: "Ana Vega", 19: "انا فيغا", 20: "ara"}, Fields: map[int64]any{1: "3"},
	}
	narrow := main
	narrow.Person, narrow.Fields, narrow.Status = map[int64]any{1: "L-1"}, nil, &credential.StatusRef{URI: "https://x.example/status/a", Index: 2}
	good := []docpdf.Signed{{Form: "qr", Text: sign(t, signer, main)}, {Form: "strip", Text: sign(t, signer, narrow)}}
	c, err := docpdf.Fill(p, good)
	if err != nil {
		t.Fatal(err)
	}
	if !c.Issued.Equal(issued) || !c.Expires.Equal(main.Expires) || len(c.Codes) != 2 || c.Codes[0].Text != good[0].Text {
		t.Errorf("dates or codes are not those that were signed: %v to %v, %d codes", c.Issued, c.Expires, len(c.Codes))
	}
	var says []any
	for _, claim := range c.Claims {
		says = append(says, claim.Name, claim.Value)
	}
	if want := []any{"number", "L-1", "name", "Ana Vega", "local", "انا فيغا", "language", "ara", "harbour", "3"}; !slices.Equal(says, want) {
		t.Errorf("the paper says %v, want %v", says, want)
	}
	if c.Claims[1].Language != "" || c.Claims[2].Language != "ar" {
		t.Errorf("the names are in %q and %q, want unknown and ar", c.Claims[1].Language, c.Claims[2].Language)
	}
	if got := c.Claims[4].Words["3"]["en"]; got != "North harbour" {
		t.Errorf("a code is called %q", got)
	}
	if !slices.Equal(c.Codes[1].Claims, []string{"number"}) {
		t.Errorf("the strip says %v, want the number alone", c.Codes[1].Claims)
	}
	// Files come in the order of their names, ID-strip.txt before ID.txt.
	turned, err := docpdf.Fill(p, []docpdf.Signed{good[1], good[0]})
	if err != nil || turned.Codes[0].Form != "qr" || turned.Codes[1].Form != "strip" || !turned.Issued.Equal(issued) {
		t.Errorf("the strip first: %v, the main code is %q", err, turned.Codes[0].Form)
	}
	other := main
	other.Type = "urn:xa:other:1"
	for _, tt := range []struct {
		name  string
		codes []docpdf.Signed
	}{
		{"no code", nil},
		{"five codes", slices.Repeat(good[:1], 5)},
		{"a form that the programme does not have", []docpdf.Signed{{Form: "card", Text: good[0].Text}}},
		{"text that is no code", []docpdf.Signed{{Form: "qr", Text: "HELLO"}}},
		{"a code cut short", []docpdf.Signed{{Form: "qr", Text: good[0].Text[:60]}}},
		{"a code of another programme", []docpdf.Signed{{Form: "qr", Text: sign(t, signer, other)}}},
	} {
		if _, err := docpdf.Fill(p, tt.codes); !errors.Is(err, docpdf.ErrCertificate) {
			t.Errorf("%s: %v, want ErrCertificate", tt.name, err)
		}
	}
}
