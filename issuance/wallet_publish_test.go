package issuance_test

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
	"github.com/sanad-id/sanad/trust"
	"github.com/sanad-id/sanad/verification"
)

// gate is a verifier's request: who asks, and with which nonce.
type gate struct{ now time.Time }

const audience, nonce = "x509_hash:gate", "n-1"

func (g gate) Verify(message []byte, keys verification.IssuerKeys) (*credential.Verified, error) {
	return sdjwt.Verify(string(message), sdjwt.Expect{
		Keys: keys, Now: g.now, Binding: sdjwt.BindingRequired, Audience: audience, Nonce: nonce, MaxAge: time.Minute, LeaveDates: true,
	})
}

// shown is what a verifier with this bundle says of a copy that the holder shows.
func (b *bed) shown(bundle *trust.Bundle, token, holder string) verification.Report {
	b.Helper()
	shown, err := sdjwt.Present(token, sdjwt.Path{"name"})
	if err == nil {
		proof := sdjwt.Proof{Audience: audience, Nonce: nonce, IssuedAt: b.clock.Now()}
		shown, err = sdjwt.Bind(rand.Reader, shown, proof, keystest.Signer(b, keys.Holder, keys.ES256, holder))
	}
	if err != nil {
		b.Fatal(err)
	}
	g := gate{b.clock.Now()}
	c, err := verification.New(verification.Config{COSE: g, SDJWT: g, Trust: bundle, Now: b.clock.Now})
	if err != nil {
		b.Fatal(err)
	}
	return c.Check([]byte(shown))
}

// One credential, from its delivery to a verifier's verdict, before and after it is
// revoked, with nothing but what is published.
func TestWalletIsJudged(t *testing.T) {
	b := newWalletBed(t, newMemory())
	i := b.deliver(delivery(t, 1, 0, 2))
	bundle := b.publish()
	r := b.shown(bundle, i.Forms[1].Text, "holder 1")
	if r.Verdict != verification.Valid {
		t.Fatalf("%s for %v: %+v", r.Verdict, r.Reasons(), r.Checks)
	}
	if r.Type != "https://registry.example.org/type/licence/1" || r.TypeLabels["fr"] != "Permis" || r.IssuerNames["en"] != "Office of Records" {
		t.Errorf("type %q (%v) of %v", r.Type, r.TypeLabels, r.IssuerNames)
	}
	var names []string
	for _, c := range r.Claims {
		names = append(names, c.Name)
		if c.Labels["en"] == "" {
			t.Errorf("the claim %s has no label", c.Name)
		}
	}
	if strings.Join(names, " ") != "name village" {
		t.Errorf("shows %v", names)
	}
	if _, err := b.service.Revoke(t.Context(), i.Credential.ID, issuance.Lost, "tester"); err != nil {
		t.Fatal(err)
	}
	bundle = b.publish()
	for j, holder := range []string{"holder 0", "holder 1"} {
		r := b.shown(bundle, i.Forms[j].Text, holder)
		if r.Verdict != verification.Invalid || r.Reasons()[0] != credential.Revoked {
			t.Errorf("copy %d after the revocation: %s for %v", j, r.Verdict, r.Reasons())
		}
	}
}

// JWS-19: a wallet form that names an issuer whom its key does not belong to.
func TestWalletOfAnotherIssuer(t *testing.T) {
	b := newWalletBed(t, newMemory())
	b.deliver(delivery(t, 1, 0, 1))
	bundle := b.publish()
	b.service = b.open(func(c *issuance.Config) { c.URL = "https://another.example.org" })
	i := b.deliver(delivery(t, 2, 0, 1))
	if r := b.shown(bundle, i.Forms[0].Text, "holder 0"); r.Verdict == verification.Valid || r.Verdict == verification.CheckNeeded {
		t.Errorf("JWS-19: %s", r.Verdict)
	}
}

// Lists of wallet forms come in both forms, of the same slots at the same moment;
// lists of codes in CWT form only.
func TestPublishStatusForWallets(t *testing.T) {
	eachStore(t, func(t *testing.T, store issuance.Store) {
		b := newWalletBed(t, store, func(c *issuance.Config) {
			c.Chain = func(keys.ID) [][]byte { return [][]byte{[]byte("leaf")} }
		})
		k, err := b.service.FirstKey(t.Context(), keys.Spec{Purpose: keys.StatusList}, "tester")
		if err != nil {
			t.Fatal(err)
		}
		b.issue(2) // two lists of codes
		lost, kept := b.deliver(delivery(t, 1, 0, 2)).Credential, b.deliver(delivery(t, 3, 0, 2)).Credential
		if _, err := b.service.Revoke(t.Context(), lost.ID, issuance.Lost, "tester"); err != nil {
			t.Fatal(err)
		}
		r := issuance.StatusRequest{Lifetime: 7 * day, TTL: 12 * time.Hour, KeepFor: time.Hour, Actor: "tester"}
		published, err := b.service.PublishStatus(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		uri := lost.Forms[0].Slot.List
		var names []string
		jwts := map[string]string{}
		for _, p := range published {
			names = append(names, strings.Replace(p.Name, "https://example.org/status/", "", 1))
			if of, ok := issuance.IsJWT(p.Name); ok {
				jwts[of] = string(p.Content)
			}
		}
		if len(published) != 4 || len(jwts) != 1 || jwts[uri] == "" {
			t.Fatalf("published %v, want a CWT of three lists and a JWT of the wallets'", names)
		}
		want := status.Expect{URI: uri, Now: start, Keys: []keys.PublicKey{k.Public}}
		jwt, err := status.VerifyJWT(jwts[uri], want, jose.Tokens{})
		if err != nil {
			t.Fatal(err)
		}
		m, err := jose.Parse(jwts[uri], jose.Expect{Types: []string{status.TypeJWT}, MaxBytes: 1 << 20})
		if err != nil || len(m.X5C) != 1 {
			t.Errorf("HAIP: the token has %v certificates, %v", m, err)
		}
		for _, p := range published {
			if p.Name == uri {
				cwt, err := status.VerifyToken(p.Content, want)
				if err != nil || cwt.List.SHA256() != jwt.List.SHA256() || !cwt.IssuedAt.Equal(jwt.IssuedAt) || cwt.URI != jwt.URI {
					t.Errorf("the two forms of the list differ: %v", err)
				}
			}
		}
		for _, f := range lost.Forms {
			if v, err := jwt.List.Get(f.Slot.Index); v != status.Invalid || err != nil {
				t.Errorf("slot %d of a revoked copy says %d, %v", f.Slot.Index, v, err)
			}
		}
		for _, f := range kept.Forms {
			if v, err := jwt.List.Get(f.Slot.Index); v != status.Valid || err != nil {
				t.Errorf("slot %d says %d, %v", f.Slot.Index, v, err)
			}
		}
		// ST-04: one form is not taken for the other, nor for another list.
		if _, err := status.VerifyToken([]byte(jwts[uri]), want); err == nil {
			t.Error("ST-04: the JWT passes for a CWT")
		}
		want.URI = issuance.JWTName(uri)
		if _, err := status.VerifyJWT(jwts[uri], want, jose.Tokens{}); !errors.Is(err, status.ErrWrongSubject) {
			t.Errorf("ST-04: %v", err)
		}
		// What says the same stays as it is, each form by itself.
		b.clock.Add(time.Minute)
		again, err := b.service.PublishStatus(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range again {
			if p.Number != 1 || p.Digest != published[i].Digest {
				t.Errorf("%s was signed anew", p.Name)
			}
		}
		if _, err := b.service.Revoke(t.Context(), kept.ID, issuance.Lost, "tester"); err != nil {
			t.Fatal(err)
		}
		again, err = b.service.PublishStatus(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range again {
			if of, jwt := issuance.IsJWT(p.Name); (p.Digest != published[i].Digest) != (p.Name == uri || jwt && of == uri) {
				t.Errorf("after a revocation %s is number %d", p.Name, p.Number)
			}
		}
	})
}

// SDJ-14: what a vct means does not change, since credentials state its hash.
func TestTypeKeepsItsDescription(t *testing.T) {
	b := newWalletBed(t, newMemory())
	const vct = "https://registry.example.org/type/licence/1"
	first, err := b.service.TypeMetadata(t.Context(), vct)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.service.TypeMetadata(t.Context(), vct+"0"); !errors.Is(err, issuance.ErrNoForm) {
		t.Errorf("metadata of an unknown type: %v", err)
	}
	next := strings.Replace(licence, "version: 1", "version: 2", 1)
	for _, tt := range []struct {
		name, old, new string
		want           error
	}{
		{"another label", "en: Village", "en: Settlement", issuance.ErrTypeChanged},
		{"another claim to be shown always", "{village: always, plot: never}", "{birth_date: always, plot: never}", issuance.ErrTypeChanged},
		{"another programme", "id: licence", "id: other-licence", issuance.ErrTypeChanged},
		{"another label under another vct", "licence/1", "licence/2", nil},
	} {
		text := strings.Replace(next, tt.old, tt.new, 1)
		if tt.name == "another programme" || tt.want == nil {
			text = strings.Replace(text, "en: Licence", "en: Permit", 1)
		}
		if _, err := b.service.AddProgramme(t.Context(), []byte(text), "tester"); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	again, err := b.service.TypeMetadata(t.Context(), vct)
	if err != nil || string(again) != string(first) {
		t.Errorf("the description of the first type is another one now: %v", err)
	}
	if _, err := b.service.TypeMetadata(t.Context(), "https://registry.example.org/type/licence/2"); err != nil {
		t.Error(err)
	}
}
