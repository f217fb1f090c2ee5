package verification_test

import (
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/qr"
	"github.com/sanad-id/sanad/verification"
)

// sdjwts is credential/sdjwt as programs wire it.
type sdjwts struct{ want sdjwt.Expect }

func (s sdjwts) Verify(message []byte, keys verification.IssuerKeys) (*credential.Verified, error) {
	want := s.want
	want.Keys, want.LeaveDates = keys, true
	return sdjwt.Verify(string(message), want)
}

// A phone is a scene whose credential is an SD-JWT.
type phone struct {
	*scene
	token  sdjwt.Token
	holder keys.Signer
	choose []sdjwt.Path
	proof  *sdjwt.Proof
	want   sdjwt.Expect
}

func newPhone(t *testing.T) *phone {
	p := &phone{scene: newScene(t), holder: newSigner(t, keys.Holder, start)}
	pub := p.holder.Key().Public
	h := func(v any) any { return sdjwt.Hidden{Value: v} }
	p.token = sdjwt.Token{
		Issuer: ministry, Type: farmer, IssuedAt: issued, Expires: asOf.AddDate(3, 0, 0), Holder: &pub,
		Status: &credential.StatusRef{URI: list1, Index: 3},
		Claims: map[string]any{"full_name": h("Rahima Begum"), "crop": h(3), "district": "Jessore", "unlisted": h(map[string]any{"a": 1})},
	}
	p.choose = []sdjwt.Path{{"full_name"}, {"crop"}, {"unlisted"}}
	p.proof = &sdjwt.Proof{Audience: "x509_hash:gate", Nonce: "n-1", IssuedAt: now}
	p.want = sdjwt.Expect{Now: now, Binding: sdjwt.BindingRequired, Audience: "x509_hash:gate", Nonce: "n-1", MaxAge: time.Minute}
	return p
}

// walkIn asks for no proof.
func (p *phone) walkIn() {
	p.proof, p.want = nil, sdjwt.Expect{Now: now, Binding: sdjwt.BindingRefused}
}

func (p *phone) show(t *testing.T) verification.Report {
	t.Helper()
	d, err := sdjwt.NewDraft(nil, p.token, p.signer.Key().Public)
	if err != nil {
		t.Fatal(err)
	}
	text, err := d.Sign(rand.Reader, p.signer, asOf)
	if err == nil {
		text, err = sdjwt.Present(text, p.choose...)
	}
	if err == nil && p.proof != nil {
		text, err = sdjwt.Bind(rand.Reader, text, *p.proof, p.holder)
	}
	if err != nil {
		t.Fatal(err)
	}
	if p.conf.SDJWT == nil {
		p.conf.SDJWT = sdjwts{p.want}
	}
	p.input = []byte(text + "\n")
	return p.check(t)
}

func TestSDJWT(t *testing.T) {
	rows := []struct {
		name    string
		spoil   func(*testing.T, *phone)
		verdict verification.Verdict
		check   verification.CheckID
		reason  credential.Reason
	}{
		{"shown and proven", func(*testing.T, *phone) {}, "valid", "holder", ""},
		{"proven, where policy asks for it", func(_ *testing.T, p *phone) { p.token.Type = pension }, "valid", "holder", ""},
		{"not bound to anybody", func(_ *testing.T, p *phone) { p.token.Holder = nil; p.walkIn() }, "valid", "holder", ""},
		{"bound, and no proof asked for", func(_ *testing.T, p *phone) { p.walkIn() }, "check_needed", "holder", credential.HolderNotProven},
		{"JWS-16 expires now", func(_ *testing.T, p *phone) { p.token.Expires = now }, "invalid", "time", credential.Expired},
		{"JWS-16 begins later", func(_ *testing.T, p *phone) { p.token.NotBefore = now.Add(time.Hour) }, "invalid", "time", credential.NotYetValid},
		{"JWS-19 in the name of another", func(_ *testing.T, p *phone) { p.token.Issuer = school }, "invalid", "issuer", credential.WrongIssuer},
		{"JWS-19 signed by another", func(_ *testing.T, p *phone) { p.signer = p.teacher }, "invalid", "issuer", credential.WrongIssuer},
		{"SDJ-13 a type the issuer may not issue", func(_ *testing.T, p *phone) { p.token.Type = diploma }, "invalid", "type", credential.NotAuthorised},
		{"SDJ-13 a type that claims to be one we trust", func(_ *testing.T, p *phone) {
			p.token.Type, p.token.Claims["aka_vcts"] = "urn:xa:new:1", []any{farmer}
		}, "undetermined", "type", credential.UnknownType},
		{"SDJ-13 a type that says it extends one we trust", func(_ *testing.T, p *phone) {
			p.token.Type, p.token.Claims["extends"] = "urn:xa:new:1", farmer
		}, "undetermined", "type", credential.UnknownType},
		{"SDJ-13 another's type that says it extends one of ours", func(_ *testing.T, p *phone) {
			p.token.Type, p.token.Claims["extends"] = diploma, farmer
		}, "invalid", "type", credential.NotAuthorised},
		{"SDJ-13 another's type that claims to be one of ours", func(_ *testing.T, p *phone) {
			p.token.Type, p.token.Claims["aka_vcts"] = diploma, []any{farmer}
		}, "invalid", "type", credential.NotAuthorised},
		{"a type that nobody described", func(_ *testing.T, p *phone) { p.token.Type = "urn:xa:new:1" }, "undetermined", "type", credential.UnknownType},
		{"a key that nobody knows", func(t *testing.T, p *phone) { p.signer = newSigner(t, keys.Credential, start) }, "undetermined", "issuer", credential.UnknownIssuer},
		{"revoked", func(_ *testing.T, p *phone) { p.token.Status.Index = revoked }, "invalid", "status", credential.Revoked},
		{"suspended", func(_ *testing.T, p *phone) { p.token.Status.Index = paused }, "invalid", "status", credential.Suspended},
		{"ST-02 beyond the list", func(_ *testing.T, p *phone) { p.token.Status.Index = 1 << 10 }, "invalid", "status", credential.StatusOutOfRange},
		{"no status, where the type has one", func(_ *testing.T, p *phone) { p.token.Status = nil }, "invalid", "status", credential.StatusMissing},
		{"KB-01 no proof", func(_ *testing.T, p *phone) { p.proof = nil }, "invalid", "holder", credential.HolderProofMissing},
		{"KB-02 another request", func(_ *testing.T, p *phone) { p.proof.Nonce = "n-2" }, "invalid", "holder", credential.WrongNonce},
		{"KB-07 another verifier", func(_ *testing.T, p *phone) { p.proof.Audience = "gate" }, "invalid", "holder", credential.WrongAudience},
		{"KB-06 too long ago", func(_ *testing.T, p *phone) { p.proof.IssuedAt = now.Add(-time.Hour) }, "invalid", "holder", credential.HolderProofOld},
		{"KB-06 in the future", func(_ *testing.T, p *phone) { p.proof.IssuedAt = now.Add(time.Hour) }, "invalid", "holder", credential.HolderProofBad},
		{"SDJ-11 a proof nobody asked for", func(_ *testing.T, p *phone) {
			proof := p.proof
			p.walkIn()
			p.proof = proof
		}, "invalid", "format", credential.Malformed},
		{"a pinned key", func(_ *testing.T, p *phone) { k := p.signer.Key().Public; p.conf.Pinned = &k }, "check_needed", "issuer", credential.IssuerNotEstablished},
		{"the wrong pinned key", func(_ *testing.T, p *phone) { k := p.teacher.Key().Public; p.conf.Pinned = &k }, "invalid", "signature", credential.BadSignature},
		{"nothing is known", func(_ *testing.T, p *phone) { p.conf.TrustProblem = "none given" }, "undetermined", "trust", credential.NoTrust},
		{"no such format here", func(_ *testing.T, p *phone) { p.conf.SDJWT = unreadable{} }, "undetermined", "format", credential.UnsupportedFormat},
	}
	for _, tt := range rows {
		t.Run(tt.name, func(t *testing.T) {
			p := newPhone(t)
			tt.spoil(t, p)
			r := p.show(t)
			if r.Verdict != tt.verdict || r.Kind != string(qr.SDJWT) {
				t.Errorf("%s, verdict %s, want %s; checks %+v", r.Kind, r.Verdict, tt.verdict, r.Checks)
			}
			if got := r.Check(tt.check); got.Reason != tt.reason {
				t.Errorf("check %s: %s %q, want reason %q", tt.check, got.Result, got.Reason, tt.reason)
			}
			if len(r.Claims) > 0 != (r.Check(verification.CheckSignature).Result == verification.Pass) {
				t.Errorf("%d claims after signature %s", len(r.Claims), r.Check(verification.CheckSignature).Result)
			}
		})
	}
}

// unreadable is a program without the format.
type unreadable struct{}

func (unreadable) Verify([]byte, verification.IssuerKeys) (*credential.Verified, error) {
	return nil, credential.Reject(credential.UnsupportedFormat, "")
}

// TestSDJWTReport looks at what a person gets to see.
func TestSDJWTReport(t *testing.T) {
	p := newPhone(t)
	r := p.show(t)
	if r.Format != credential.FormatSDJWT || r.Holder != verification.BindingKeyChallenge || r.Type != farmer || slices.Contains(r.Warnings, verification.WarnCopy) {
		t.Errorf("report: %+v", r)
	}
	want := []struct{ name, label, kind string }{{"district", "District", "text"}, {"full_name", "Name", "text"}, {"crop", "Crop", "code"}, {"unlisted", "", ""}}
	if len(r.Claims) != len(want) {
		t.Fatalf("claims: %v", r.Claims)
	}
	for i, w := range want {
		if c := r.Claims[i]; c.Name != w.name || c.Labels["en"] != w.label || c.Kind != w.kind {
			t.Errorf("claim %d: %s %v %s, want %+v", i, c.Name, c.Labels, c.Kind, w)
		}
	}
	p = newPhone(t)
	p.choose = nil
	if r = p.show(t); len(r.Claims) != 1 || r.Claims[0].Name != "district" {
		t.Errorf("nothing chosen, and %v shown", r.Claims)
	}
}

// TestWithoutSDJWT: a program without the format says so.
func TestWithoutSDJWT(t *testing.T) {
	r := newChecker(t, verification.Config{}).Check([]byte("eyJhbGciOiJFUzI1NiJ9.e30.AA~"))
	if r.Verdict != verification.Undetermined || r.Check(verification.CheckFormat).Reason != credential.UnsupportedFormat {
		t.Errorf("report: %+v", r)
	}
}
