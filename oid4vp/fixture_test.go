package oid4vp_test

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/chain"
	"github.com/sanad-id/sanad/keys/keystest"
	"github.com/sanad-id/sanad/oid4vp"
)

var now = time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)

const (
	library   = "verifier.example"
	response  = "https://verifier.example/response/7"
	fetchFrom = "https://verifier.example/request/7"
	identity  = "https://credentials.example.com/identity_credential"
)

// A scene is a verifier with a certificate, a request of it, a wallet with one
// credential, and what that wallet expects.
type scene struct {
	request   *oid4vp.Request
	signature oid4vp.Signature
	decrypt   *jose.DecryptionKey
	want      oid4vp.Expect
	issuer    keys.Signer
	holder    keys.Signer
	issued    string
	root      *x509.Certificate
	leaf      []byte
}

func newScene(t testing.TB) *scene {
	t.Helper()
	s := &scene{
		issuer: keystest.Signer(t, keys.Credential, keys.ES256, "issuer"),
		holder: keystest.Signer(t, keys.Holder, keys.ES256, "holder"),
	}
	signer := keystest.Signer(t, keys.Request, keys.ES256, "library")
	s.root = root(t)
	s.leaf = certificate(t, s.root, signer, "City library", "https://"+library)
	s.signature = oid4vp.Signature{Signer: signer, X5C: [][]byte{s.leaf}}
	decrypt, err := jose.NewDecryptionKey("request 7")
	if err != nil {
		t.Fatal(err)
	}
	s.decrypt = decrypt
	s.request = &oid4vp.Request{
		Client:       oid4vp.Client{ID: oid4vp.NewX509Hash(s.leaf)},
		ResponseMode: oid4vp.DirectPostJWT, ResponseURI: response,
		Nonce: secret(t), State: secret(t),
		Query: &oid4vp.Query{Credentials: []oid4vp.CredentialQuery{{
			ID: "card", Format: credential.FormatSDJWT, Types: []string{identity},
			Claims: []oid4vp.ClaimQuery{{Path: sdjwt.Path{"given_name"}}, {Path: sdjwt.Path{"address", "street_address"}}},
		}}},
		Metadata: &oid4vp.ClientMetadata{
			Keys: []jose.EncryptionKey{decrypt.Public()}, Encryptions: oid4vp.AllEncryptions(), Formats: oid4vp.SDJWTFormat(),
		},
		Policy: &oid4vp.Policy{
			Name: map[string]string{"en": "City library"}, Purpose: map[string]string{"en": "To make your library card."},
			Retention: 48 * time.Hour, Reference: "library-card/3",
		},
		IssuedAt: now, Expires: now.Add(5 * time.Minute),
	}
	s.want = oid4vp.Expect{Now: now, Chains: oid4vp.Roots{s.root}}
	s.issued = s.issue(t, nil)
	return s
}

// issue makes the wallet's credential, of these claims or the usual ones.
func (s *scene) issue(t testing.TB, claims map[string]any) string {
	t.Helper()
	h := func(v any) any { return sdjwt.Hidden{Value: v} }
	if claims == nil {
		claims = map[string]any{
			"given_name": h("Arthur"), "family_name": h("Dent"), "age": h(42), "resident": h(true), "height": h(1.8),
			"address":       h(map[string]any{"street_address": h("42 Market Street"), "locality": h("Milliways")}),
			"nationalities": []any{h("British"), h("Betelgeusian")},
			"degrees":       h([]any{map[string]any{"type": "BSc", "year": 1}, h(map[string]any{"type": "MSc"}), map[string]any{"year": 3}}),
			"card_number":   "17", // always shown
		}
	}
	pub := s.holder.Key().Public
	d, err := sdjwt.NewDraft(nil, sdjwt.Token{
		Issuer: "https://issuer.example", Type: identity, IssuedAt: now.AddDate(0, -1, 0), Expires: now.AddDate(1, 0, 0),
		Holder: &pub, Claims: claims, Decoys: 2, X5C: [][]byte{certificate(t, s.root, s.issuer, "Registry", "https://issuer.example")},
	}, s.issuer.Key().Public)
	if err != nil {
		t.Fatal(err)
	}
	text, err := d.Sign(rand.Reader, s.issuer, now)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// held is the wallet's credential as a query sees it.
func (s *scene) held(t testing.TB) oid4vp.Credential {
	t.Helper()
	return held(t, s.issued)
}

func held(t testing.TB, issued string) oid4vp.Credential {
	t.Helper()
	p, err := sdjwt.Parse(issued)
	if err != nil {
		t.Fatal(err)
	}
	c, err := oid4vp.HeldSDJWT(p)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func shown(t testing.TB, presentation string) oid4vp.Credential {
	t.Helper()
	p, err := sdjwt.Parse(presentation)
	if err != nil {
		t.Fatal(err)
	}
	c, err := oid4vp.ShownSDJWT(p)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// object signs the request.
func (s *scene) object(t testing.TB) string {
	t.Helper()
	token, err := s.request.Sign(rand.Reader, s.signature)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// invocation is the link as the wallet reads it.
func (s *scene) invocation(t testing.TB) *oid4vp.Invocation {
	t.Helper()
	out := oid4vp.Invocation{ClientID: s.request.Client.ID, RequestURI: fetchFrom, Method: oid4vp.Post}
	in, err := oid4vp.ParseInvocation(out.URL(oid4vp.Scheme))
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// open has the wallet open the request.
func (s *scene) open(t testing.TB) (*oid4vp.Request, error) {
	t.Helper()
	return s.invocation(t).Open(t.Context(), s.object(t), s.want)
}

// present makes the presentation for a choice.
func (s *scene) present(t testing.TB, r *oid4vp.Request, c oid4vp.Choice, data []oid4vp.TransactionData) string {
	t.Helper()
	text, err := sdjwt.Present(s.issued, c.Disclose()...)
	if err == nil && c.Bind {
		text, err = sdjwt.Bind(rand.Reader, text, r.Proof(now, data), s.holder)
	}
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// respond has the wallet answer with the least that will do.
func (s *scene) respond(t testing.TB, r *oid4vp.Request) url.Values {
	t.Helper()
	choices, err := r.Query.Match([]oid4vp.Credential{s.held(t)}).Default()
	if err != nil {
		t.Fatal(err)
	}
	data, err := r.Authorise(choices)
	if err != nil {
		t.Fatal(err)
	}
	token := oid4vp.VPToken{}
	for i, c := range choices {
		token[c.Query] = append(token[c.Query], s.present(t, r, c, data[i]))
	}
	form, err := r.Respond(token)
	if err != nil {
		t.Fatal(err)
	}
	return form
}

func (s *scene) expected() oid4vp.ExpectResponse {
	e := oid4vp.ExpectResponse{Mode: s.request.ResponseMode, State: s.request.State}
	if e.Mode == oid4vp.DirectPostJWT {
		e.Key = s.decrypt
	}
	return e
}

func secret(t testing.TB) string {
	t.Helper()
	s, err := oid4vp.NewSecret(nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// root is the national root.
func root(t testing.TB) *x509.Certificate {
	t.Helper()
	signer := keystest.Signer(t, keys.CertificateRoot, keys.ES256, "root")
	der, err := chain.NewRoot(rand.Reader, signer, chain.Name{Organization: "National root", Country: "XA"}, now.AddDate(-1, 0, 0), now.AddDate(9, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	cert, err := chain.ParseRoot(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// certificate is one for the key of this signer, under the root.
func certificate(t testing.TB, root *x509.Certificate, s keys.Signer, name, address string) []byte {
	t.Helper()
	subject := chain.Subject{Name: chain.Name{Organization: name}, Address: address, Key: s.Key().Public}
	der, err := chain.Issue(rand.Reader, root, keystest.Signer(t, keys.CertificateRoot, keys.ES256, "root"), subject, now.AddDate(0, -1, 0), now.AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// dids resolve verification methods by their id.
type dids map[string]oid4vp.Vouched

func (d dids) Method(_ context.Context, did, keyID string) (oid4vp.Vouched, error) {
	if v, ok := d[keyID]; ok {
		return v, nil
	}
	return oid4vp.Vouched{}, errors.New("no such method")
}

// clients are registered by their name.
type clients map[string]*oid4vp.Registered

func (c clients) Client(name string) *oid4vp.Registered { return c[name] }
