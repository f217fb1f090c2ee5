package oid4vp_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/oid4vp"
)

// TestFlow is a request from link to verdict, in every shape that we send.
func TestFlow(t *testing.T) {
	did := "did:web:verifier.example"
	for name, change := range map[string]func(t *testing.T, s *scene){
		"x509_hash, encrypted": func(*testing.T, *scene) {},
		"x509_san_dns": func(_ *testing.T, s *scene) {
			s.request.Client.ID = oid4vp.ClientID{Prefix: oid4vp.X509SANDNS, Name: library}
		},
		"plain":         func(_ *testing.T, s *scene) { s.request.ResponseMode, s.want.Plain = oid4vp.DirectPost, true },
		"without state": func(_ *testing.T, s *scene) { s.request.State = "" },
		"wallet nonce":  func(_ *testing.T, s *scene) { s.request.WalletNonce, s.want.WalletNonce = "n$1", "n$1" },
		"DID": func(_ *testing.T, s *scene) {
			s.request.Client.ID = oid4vp.ClientID{Prefix: oid4vp.DecentralizedIdentifier, Name: did}
			s.signature.KeyID, s.signature.X5C = did+"#1", nil
			s.want.DIDs = dids{did + "#1": {Key: s.signature.Signer.Key().Public, Anchor: "did:web", Hosts: []string{library}}}
		},
		"registered": func(_ *testing.T, s *scene) {
			s.request.Client.ID = oid4vp.ClientID{Prefix: oid4vp.PreRegistered, Name: "library"}
			s.want.Clients = clients{"library": {
				Vouched: oid4vp.Vouched{Anchor: "the wallet's register", URIs: []string{response}},
				Keys:    []keys.PublicKey{s.signature.Signer.Key().Public}, Metadata: s.request.Metadata,
			}}
			s.request.Metadata = nil
		},
		"unsigned": func(_ *testing.T, s *scene) {
			s.request.Client.ID = oid4vp.ClientID{Prefix: oid4vp.RedirectURI, Name: response}
			s.want.Unsigned = true
		},
		"no proof asked for": func(_ *testing.T, s *scene) { s.request.Query.Credentials[0].Unbound = true },
		"transaction data": func(t *testing.T, s *scene) {
			d, err := oid4vp.NewTransactionData("urn:example:loan", []string{"card"}, map[string]any{"book": "17"})
			if err != nil {
				t.Fatal(err)
			}
			s.request.TransactionData = []oid4vp.TransactionData{d}
			s.want.TransactionTypes = map[string]oid4vp.TransactionType{"urn:example:loan": func(map[string]any) error { return nil }}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			change(t, s)
			r := s.received(t)
			if !slices.Equal(r.Query.Credentials[0].Types, []string{identity}) || r.Nonce != s.request.Nonce || r.Client.ID != s.request.Client.ID {
				t.Fatalf("received %+v", r)
			}
			got, err := oid4vp.ParseResponse(s.respond(t, r), s.expected())
			if err != nil || got.Refusal != nil {
				t.Fatalf("ParseResponse: %+v, %v", got, err)
			}
			s.judge(t, got.Token)
		})
	}
}

// received is the request as the wallet gets it, whichever way.
func (s *scene) received(t *testing.T) *oid4vp.Request {
	t.Helper()
	if !s.request.Client.ID.Signed() {
		out, err := s.request.Unsigned()
		if err != nil {
			t.Fatal(err)
		}
		in, err := oid4vp.ParseInvocation(out.URL("https://wallet.example/open"))
		if err != nil {
			t.Fatal(err)
		}
		r, err := in.Open(t.Context(), "", s.want)
		if err != nil {
			t.Fatal(err)
		}
		if r.Policy != nil || r.Client.Anchor != "" {
			t.Errorf("an unsigned request with a word to rely on: %+v", r)
		}
		return r
	}
	r, err := s.open(t)
	if err != nil {
		t.Fatal(err)
	}
	if r.Policy == nil || r.Policy.Retention != 48*time.Hour || !maps.Equal(r.Policy.Purpose, s.request.Policy.Purpose) {
		t.Errorf("policy: %+v", r.Policy)
	}
	if strings.HasPrefix(string(r.Client.ID.Prefix), "x509") && (r.Client.Subject != "City library" || r.Client.Anchor != "National root") {
		t.Errorf("client: %+v", r.Client)
	}
	if !r.Client.Key.Equal(s.signature.Signer.Key().Public) || r.Client.Anchor == "" || !r.Expires.Equal(s.request.Expires) {
		t.Errorf("client: %+v until %v", r.Client, r.Expires)
	}
	return r
}

// judge is the verifier's part.
func (s *scene) judge(t *testing.T, token oid4vp.VPToken) {
	t.Helper()
	var presented []oid4vp.Presented
	for id, list := range token {
		for _, p := range list {
			// Also where it need not be (HAIP section 6.1.1.1).
			want := sdjwt.Expect{
				Keys: trusted{s.issuer.Key().Public}, Now: now, Binding: sdjwt.BindingRequired, Audience: s.request.Client.ID.String(), Nonce: s.request.Nonce, MaxAge: time.Minute,
			}
			v, err := sdjwt.Verify(p, want)
			if err != nil {
				t.Fatal(err)
			}
			if len(v.Fields) != 4 { // two that were asked for, and the two that are always shown
				t.Errorf("shown: %+v", v.Fields)
			}
			presented = append(presented, oid4vp.Presented{Query: id, Credential: shown(t, p)})
		}
	}
	a, err := s.request.Query.Answered(presented)
	if err != nil || !a.Complete || len(a.Items) != 1 || len(a.Items[0].Claims) != 2 || a.Items[0].Claims[1].Values[0] != "42 Market Street" {
		t.Errorf("Answered: %+v, %v", a, err)
	}
	if err := s.request.Authorised(token); err != nil {
		t.Error(err)
	}
}

// trusted is the one key of every issuer.
type trusted struct{ key keys.PublicKey }

func (k trusted) KeysFor(string, []byte) []keys.PublicKey { return []keys.PublicKey{k.key} }

// TestRefusal is a person who declines.
func TestRefusal(t *testing.T) {
	s := newScene(t)
	r := s.received(t)
	form := r.Refuse(&oid4vp.Error{Code: oid4vp.AccessDenied, Description: "has no such credential"})
	if form.Has("error_description") {
		t.Errorf("the verifier learns %q", form.Get("error_description"))
	}
	got, err := oid4vp.ParseResponse(form, s.expected())
	if err != nil || got.Token != nil || got.Refusal == nil || got.Refusal.Code != oid4vp.AccessDenied || got.Refusal.Unwrap() != nil {
		t.Errorf("ParseResponse: %+v, %v", got, err)
	}
	// What the wallet cannot do the verifier is told, once it is established.
	f := newForger(t, s)
	f.transaction(`{"type":"urn:other","credential_ids":["card"]}`)
	_, err = f.open(t)
	var e *oid4vp.Error
	if !errors.As(err, &e) || e.Request == nil || e.Request.ResponseURI != response {
		t.Fatalf("Open: %v", err)
	}
	if got, err := oid4vp.ParseResponse(e.Request.Refuse(e), s.expected()); err != nil || got.Refusal.Code != oid4vp.InvalidTransactionData {
		t.Errorf("ParseResponse: %+v, %v", got, err)
	}
	f.payload["response_uri"] = "https://evil.example/"
	if _, err = f.open(t); !errors.As(err, &e) || e.Request != nil {
		t.Errorf("somebody else would be told: %v", err)
	}
	if _, err := r.Query.Match(nil).Default(); !errors.As(err, &e) || e.Code != oid4vp.AccessDenied {
		t.Errorf("Default of nothing: %v", err)
	}
}
