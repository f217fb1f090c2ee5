package sdjwt_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
)

var issuedAt = time.Date(2026, 11, 12, 8, 30, 0, 0, time.UTC)

const (
	issuerName = "https://agri.gov.example"
	vct        = "urn:xx:farmer:1"
	audience   = "x509_hash:Uvo3HtuIxuhC92rShpgqcT3YXwrqRxWEviRiA0OZszk"
	nonce      = "n-0S6_WzA2Mj"
)

func issuerSigner(t testing.TB) keys.Signer {
	return keystest.Signer(t, keys.Credential, keys.ES256, "issuer")
}

func holderSigner(t testing.TB) keys.Signer {
	return keystest.Signer(t, keys.Holder, keys.ES256, "holder")
}

func someKey(t testing.TB) keys.PublicKey {
	return keystest.Key(t, keys.Credential, keys.ES256, "somebody").Public
}

// anyKey answers every question with the same keys.
type anyKey []keys.PublicKey

// KeysFor implements sdjwt.IssuerKeys.
func (a anyKey) KeysFor(string, []byte) []keys.PublicKey { return a }

// issuers is a trust list of one issuer.
type issuers struct {
	name string
	keys []keys.PublicKey
}

// KeysFor implements sdjwt.IssuerKeys.
func (i issuers) KeysFor(issuer string, kid []byte) []keys.PublicKey {
	var found []keys.PublicKey
	for _, k := range i.keys {
		id := k.ID()
		if issuer == i.name && (kid == nil || string(kid) == string(id.Bytes())) {
			found = append(found, k)
		}
	}
	return found
}

func rejected(t testing.TB, err error, want credential.Reason) {
	t.Helper()
	if got, ok := errors.AsType[*credential.RejectedError](err); !ok || got.Reason != want {
		t.Errorf("got %v, want a rejection for %s", err, want)
	}
}

// goodToken is a farmer with claims at every depth.
func goodToken(t testing.TB) sdjwt.Token {
	holder := holderSigner(t).Key().Public
	type m = map[string]any
	return sdjwt.Token{
		Issuer: issuerName, Type: vct, IssuedAt: issuedAt, Expires: issuedAt.AddDate(3, 0, 0), Holder: &holder,
		Status: &credential.StatusRef{URI: "https://status.agri.gov.example/1", Index: 77},
		Claims: m{
			"given_name":  sdjwt.Hidden{Value: "Juma"},
			"family_name": sdjwt.Hidden{Value: "Mwangi"},
			"country":     "XX",
			"address": sdjwt.Hidden{Value: m{
				"region": "Nakuru", "ward": sdjwt.Hidden{Value: "Bahati"}, "point": sdjwt.Hidden{Value: m{"lat": sdjwt.Hidden{Value: -0.25}, "lon": 36.5}},
			}},
			"crops": []any{sdjwt.Hidden{Value: "maize"}, "beans", sdjwt.Hidden{Value: m{"name": sdjwt.Hidden{Value: "tea"}, "acres": 2}}},
		},
	}
}

func issue(t testing.TB, token sdjwt.Token) string {
	t.Helper()
	s := issuerSigner(t)
	d, err := sdjwt.NewDraft(nil, token, s.Key().Public)
	if err != nil {
		t.Fatal(err)
	}
	issued, err := d.Sign(rand.Reader, s, issuedAt)
	if err != nil {
		t.Fatal(err)
	}
	if err := sdjwt.Check(issued, s.Key().Public, d.Hash()); err != nil {
		t.Fatal(err)
	}
	return issued
}

// A fixture is a presentation that is good, and what a verifier wants of it.
type fixture struct {
	t testing.TB
	// header, payload and disclosures make the credential, binding the proof.
	header, payload map[string]any
	disclosures     []string
	kbHeader, kb    map[string]any
	issuer, holder  keys.Signer
	// last changes the whole text at the end.
	last func(string) string
	want sdjwt.Expect
}

func goodFixture(t testing.TB) *fixture {
	f := &fixture{t: t, issuer: issuerSigner(t), holder: holderSigner(t), last: func(s string) string { return s }}
	f.header = map[string]any{"alg": "ES256", "typ": sdjwt.Typ, "kid": f.issuer.Key().Public.ID().String()}
	f.payload = map[string]any{
		"iss": issuerName, "vct": vct, "iat": issuedAt.Unix(), "exp": issuedAt.AddDate(3, 0, 0).Unix(), "_sd_alg": "sha-256",
		"status": map[string]any{"status_list": map[string]any{"idx": 77, "uri": "https://status.agri.gov.example/1"}},
		"cnf":    map[string]any{"jwk": jwk(t, f.holder.Key().Public)},
		"open":   "yes", "list": []any{"plain"},
		"_sd": []any{},
	}
	f.hide("given_name", "Juma")
	f.hide("family_name", "Mwangi")
	f.kbHeader = map[string]any{"alg": "ES256", "typ": sdjwt.BindingTyp}
	f.kb = map[string]any{"iat": issuedAt.Unix(), "aud": audience, "nonce": nonce}
	f.want = sdjwt.Expect{
		Keys: issuers{issuerName, []keys.PublicKey{f.issuer.Key().Public}}, Now: issuedAt.Add(10 * time.Second),
		Binding: sdjwt.BindingRequired, Audience: audience, Nonce: nonce, MaxAge: time.Minute,
	}
	return f
}

func jwk(t testing.TB, pub keys.PublicKey) map[string]any {
	v, err := strict.Limits{Bytes: 1000, Depth: 3, Items: 20}.Object(pub.JWK())
	if err != nil {
		t.Fatal(err)
	}
	return v.Any().(map[string]any)
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// raw is JSON that a fixture takes as it stands.
type raw string

func (f *fixture) json(v any) []byte {
	if m, ok := v.(map[string]any); ok && m["raw"] != nil {
		return []byte(m["raw"].(raw))
	}
	b, err := strict.AppendJSON(nil, v)
	if err != nil {
		f.t.Fatal(err)
	}
	return b
}

// disclosure is the text of a disclosure of these elements.
func (f *fixture) disclosure(elements ...any) string { return b64(f.json(elements)) }

// hide adds a disclosure to the top level and its digest.
func (f *fixture) hide(name string, value any) string {
	text := f.disclosure("salt "+name, name, value)
	f.disclosures = append(f.disclosures, text)
	f.digest(text)
	return text
}

// digest adds the digest of a disclosure to the top level.
func (f *fixture) digest(text string) {
	f.payload["_sd"] = append(f.payload["_sd"].([]any), sdjwt.Digest("sha-256", text))
}

// token signs any header and payload.
func (f *fixture) token(s keys.Signer, header, payload map[string]any) string {
	message := b64(f.json(header)) + "." + b64(f.json(payload))
	return message + "." + b64(signature(f.t, s, message))
}

// signature borrows that of a token made by package jose.
func signature(t testing.TB, s keys.Signer, message string) []byte {
	t.Helper()
	sum := sha256.Sum256([]byte(message))
	der, err := s.Sign(rand.Reader, sum[:], s.Key().Public.Algorithm().Hash())
	if err != nil {
		t.Fatal(err)
	}
	return fixed(t, der)
}

// text is the presentation.
func (f *fixture) text() string {
	shown := f.token(f.issuer, f.header, f.payload) + "~"
	for _, d := range f.disclosures {
		shown += d + "~"
	}
	if f.kb == nil {
		return f.last(shown)
	}
	kb := maps.Clone(f.kb)
	if _, set := kb["sd_hash"]; !set && kb["raw"] == nil {
		kb["sd_hash"] = sdjwt.Digest("sha-256", shown)
	}
	return f.last(shown + f.token(f.holder, f.kbHeader, kb))
}

// verify is Verify, which VerifyParsed must be, too: it returns what Parse does beside it.
func (f *fixture) verify() (*credential.Verified, error) {
	f.t.Helper()
	text := f.text()
	v, err := sdjwt.Verify(text, f.want)
	both, parsed, bothErr := sdjwt.VerifyParsed(text, f.want)
	if fmt.Sprint(bothErr) != fmt.Sprint(err) || !reflect.DeepEqual(both, v) {
		f.t.Errorf("VerifyParsed: %+v, %v; Verify: %+v, %v", both, bothErr, v, err)
	}
	if err != nil {
		if parsed != nil {
			f.t.Error("VerifyParsed returns what was refused")
		}
		return v, err
	}
	alone, parseErr := sdjwt.Parse(text)
	if parseErr != nil || !reflect.DeepEqual(parsed, alone) {
		f.t.Errorf("VerifyParsed: %+v; Parse: %+v, %v", parsed, alone, parseErr)
	}
	return v, err
}
