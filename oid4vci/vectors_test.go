package oid4vci_test

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/internal/vectors"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/oid4vci"
)

// example returns an example of the specification.
func example(t testing.TB, name string) []byte {
	t.Helper()
	return vectors.Read(t, "oid4vc", "openid4vci", name)
}

// inline returns an example that is printed in the text, by the beginning of its name.
func inline(t testing.TB, begin, end string) []byte {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(vectors.Path(t, "oid4vc", "openid4vci", "inline"), begin+"*"+end))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s*%s: %v, %v", begin, end, found, err)
	}
	b, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// unwrapped is an address that the text breaks over several lines.
func unwrapped(b []byte) string {
	var s strings.Builder
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "Host:") {
			break
		}
		s.WriteString(strings.TrimSpace(line))
	}
	return strings.TrimSuffix(strings.TrimPrefix(s.String(), "GET "), " HTTP/1.1")
}

// TestExamples reads the example messages of the specification, both sides.
func TestExamples(t *testing.T) {
	var reader oid4vci.Reader
	t.Run("offers", func(t *testing.T) {
		for _, name := range []string{"examples/credential_offer_multiple_credentials.json", "examples/credential_offer_by_reference.json",
			"examples/credential_offer_authz_code.body.json", "examples/credential_offer_pre-authz_code.json"} {
			o, err := reader.Offer(example(t, name))
			if err != nil || o.PreAuthorized == nil && o.AuthorizationCode == nil {
				t.Errorf("%s: %+v, %v", name, o, err)
				continue
			}
			// Written and read again it says the same.
			b, err := o.JSON()
			if err != nil {
				t.Fatal(err)
			}
			again, err := reader.Offer(b)
			if err != nil {
				t.Fatal(err)
			}
			b2, err := again.JSON()
			if err != nil {
				t.Fatal(err)
			}
			equalJSON(t, b2, b)
		}
		o, err := reader.Offer(example(t, "examples/credential_offer_multiple_credentials.json"))
		if err != nil || o.PreAuthorized.TxCode == nil || o.PreAuthorized.TxCode.Length != 4 || len(o.Configurations) != 2 {
			t.Errorf("got %+v, %v", o, err)
		}
	})
	t.Run("links", func(t *testing.T) {
		link, err := reader.OfferLink("openid-credential-offer://?" + strings.SplitN(unwrapped(inline(t, "01-", ".http")), "?", 2)[1])
		if err != nil || link.Offer == nil || link.Offer.PreAuthorized.TxCode == nil {
			t.Errorf("by value: %+v, %v", link, err)
		}
		link, err = reader.OfferLink(unwrapped(inline(t, "02-", ".txt")))
		if err != nil || link.Offer == nil || link.Offer.PreAuthorized.TxCode.Mode != oid4vci.AnyText {
			t.Errorf("by value for an app: %+v, %v", link, err)
		}
		link, err = reader.OfferLink(unwrapped(inline(t, "04-", ".txt")))
		if err != nil || link.URI != "https://server.example.com/credential-offer/GkurKxf5T0Y-mnPFCHqWOMiZi4VS138cQO_V7PZHAdM" {
			t.Errorf("by reference: %+v, %v", link, err)
		}
	})
	t.Run("metadata", func(t *testing.T) {
		m, err := reader.IssuerMetadata(example(t, "examples/credential_issuer_metadata_sd_jwt_long.json"), "https://credential-issuer.example.com")
		if err != nil {
			t.Fatal(err)
		}
		c, ok := m.Configuration("SD_JWT_VC_example_in_OpenID4VCI")
		if !ok || c.Type != "SD_JWT_VC_example_in_OpenID4VCI" || len(c.Claims) != 13 || c.Proofs[oid4vci.JWTProof].Attestation == nil || m.BatchSize != 10 ||
			m.RequestEncryption == nil || !m.RequestEncryption.Required || m.ResponseEncryption == nil || m.Display[1].Locale != "fr-FR" {
			t.Errorf("got %+v", m)
		}
		// The other formats are read as far as they are alike.
		for _, name := range []string{"jwt_vc_json", "ldp_vc", "mso_mdoc", "sd_jwt_vc"} {
			whole := strings.Replace(string(example(t, "examples/credential_metadata_"+name+".json")), "{",
				`{"credential_issuer":"https://a.example","credential_endpoint":"https://a.example/c",`, 1)
			m, err := reader.IssuerMetadata([]byte(whole), "https://a.example")
			if err != nil || len(m.Configurations) != 1 || (m.Configurations[0].Type != "") != (name == "sd_jwt_vc") {
				t.Errorf("%s: %+v, %v", name, m, err)
			}
		}
	})
	t.Run("authorization details", func(t *testing.T) {
		for _, name := range []string{"", "_jwt_vc_json", "_ldp_vc", "_mso_doc", "_multiple_credentials", "_sd_jwt_vc", "_with_as"} {
			v := url.Values{"response_type": {"code"}, "client_id": {"c"}, "redirect_uri": {back}, "code_challenge_method": {"S256"},
				"code_challenge":        {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"},
				"authorization_details": {string(example(t, "examples/authorization_details"+name+".json"))}}
			r, err := oid4vci.ParsePushedRequest(v)
			if err != nil || len(r.Details) == 0 || r.Details[0].Configuration == "" {
				t.Errorf("%s: %+v, %v", name, r, err)
			}
		}
	})
	t.Run("authorization", func(t *testing.T) {
		id, uri, err := oid4vci.ParseAuthorizationQuery(query(t, strings.ReplaceAll(unwrapped(inline(t, "09-", ".http")), " ", "")))
		if err != nil || id != "s6BhdRkqt3" || uri != "urn:ietf:params:oauth:request_uri:6esc_11ACC5bwc014ltc14eY22c" {
			t.Errorf("got %s, %s, %v", id, uri, err)
		}
		p, err := oid4vci.ReadPushedResponse(201, inline(t, "08-", ".body.json"))
		if err != nil || p.Lifetime != time.Minute {
			t.Errorf("got %+v, %v", p, err)
		}
	})
	t.Run("token", func(t *testing.T) {
		r, err := oid4vci.ReadTokenResponse(200, inline(t, "14-", ".body.json"), oid4vci.BearerToken)
		if err != nil || len(r.Details) != 1 || len(r.Details[0].Identifiers) != 2 || r.Lifetime != 24*time.Hour {
			t.Errorf("got %+v, %v", r, err)
		}
		_, err = oid4vci.ReadTokenResponse(400, inline(t, "15-", ".body.json"), oid4vci.BearerToken)
		refused(t, err, oid4vci.InvalidRequest, oid4vci.ErrPeer)
		n, err := oid4vci.ReadNonceResponse(200, inline(t, "17-", ".body.json"))
		if err != nil || n != "wKI4LT17ac15ES9bw8ac4" {
			t.Errorf("got %s, %v", n, err)
		}
	})
	t.Run("credential", func(t *testing.T) {
		var none oid4vci.RequestExpect
		for begin, proofs := range map[string]int{"18-": 1, "19-": 2} {
			r, err := none.CredentialRequest(oid4vci.JSONType, inline(t, begin, ".body.json"))
			if err != nil || len(r.Proofs.Tokens) != proofs {
				t.Errorf("%s %+v, %v", begin, r, err)
			}
		}
		// Data Integrity proofs are not carried.
		_, err := none.CredentialRequest(oid4vci.JSONType, inline(t, "20-", ".body.json"))
		refused(t, err, oid4vci.InvalidProof, oid4vci.ErrUnsupported)
		for begin, want := range map[string]int{"21-": 1, "22-": 2} {
			r, err := oid4vci.ResponseExpect{Keys: 2}.CredentialResponse(200, oid4vci.JSONType, inline(t, begin, ".body.json"))
			if err != nil || len(r.Credentials) != want {
				t.Errorf("%s %+v, %v", begin, r, err)
			}
		}
		for _, begin := range []string{"23-", "27-"} {
			if r, err := (oid4vci.ResponseExpect{TransactionID: "8xLOxBtZp8"}).CredentialResponse(202, oid4vci.JSONType, inline(t, begin, ".body.json")); err != nil || r.Interval < time.Hour {
				t.Errorf("%s %+v, %v", begin, r, err)
			}
		}
		r, err := oid4vci.ResponseExpect{}.CredentialResponse(200, oid4vci.JSONType, example(t, "examples/credential_response_sd_jwt_vc.body.json"))
		if err != nil || !strings.Contains(r.Credentials[0], "~") {
			t.Errorf("got %+v, %v", r, err)
		}
		for begin, want := range map[string]oid4vci.Code{"24-": oid4vci.UnknownCredentialConfiguration, "28-": oid4vci.InvalidTransactionID, "32-": oid4vci.InvalidNotificationID} {
			if e := oid4vci.ReadError(400, inline(t, begin, ".body.json")); e.Code != want {
				t.Errorf("%s %v, want %s", begin, e, want)
			}
		}
		d, err := none.DeferredRequest(oid4vci.JSONType, inline(t, "25-", ".body.json"))
		if err != nil || d.TransactionID != "8xLOxBtZp8" {
			t.Errorf("got %+v, %v", d, err)
		}
		for _, begin := range []string{"29-", "30-"} {
			if n, err := oid4vci.ReadNotification(oid4vci.JSONType, inline(t, begin, ".body.json")); err != nil || n.ID != "3fwe98js" {
				t.Errorf("%s %+v, %v", begin, n, err)
			}
		}
	})
}

// leafKeys is trust in the certificate that a token itself brings, for examples only.
func leafKeys(t testing.TB) oid4vci.TrustedKeys {
	return func(h oid4vci.SignerHint) ([]keys.PublicKey, error) {
		if len(h.X5C) == 0 {
			return nil, errors.New("no certificate")
		}
		return []keys.PublicKey{certificateKey(t, h.X5C[0])}, nil
	}
}

// TestSignedExamples verifies the complete tokens of the specification.
func TestSignedExamples(t *testing.T) {
	token := func(name string) string {
		v, err := strict.Limits{Bytes: 1 << 20, Depth: 32, Items: 1 << 16}.Object(example(t, name))
		if err != nil {
			t.Fatal(err)
		}
		s, _ := v.Get("jwt").Text()
		return s
	}
	signedMetadata := token("signed-issuer-metadata.json")
	at, ok := claimsOf(t, signedMetadata)["iat"].(int64)
	if !ok {
		t.Fatal("the example has no iat")
	}
	m, err := oid4vci.Reader{}.SignedIssuerMetadata(signedMetadata, "https://credential-issuer.example.com", time.Unix(at, 0), leafKeys(t))
	if err != nil || m.CredentialEndpoint == "" || len(m.Configurations) == 0 {
		t.Errorf("signed metadata: %+v, %v", m, err)
	}
	// The attestation of a wallet, which has no iat; its proof is by a key that the
	// specification does not print, so that the combined mode stands in for it.
	attestation := token("wallet-attestation.json")
	claims := claimsOf(t, attestation)
	limits := strict.Limits{Bytes: 4096, Depth: 4, Items: 64}
	b, err := strict.AppendJSON(nil, claims["cnf"].(map[string]any)["jwk"])
	if err != nil {
		t.Fatal(err)
	}
	v, err := limits.Object(b)
	if err != nil {
		t.Fatal(err)
	}
	instance, err := jose.Key(v)
	if err != nil {
		t.Fatal(err)
	}
	a, err := oid4vci.CheckClientAttestation([]string{attestation}, nil, &oid4vci.DPoP{Key: *instance}, oid4vci.AttestationExpect{
		Audience: "https://as.example", Now: time.Unix(claims["nbf"].(int64), 0), MaxAge: time.Minute, Algorithms: []keys.Algorithm{keys.ES256}, Attesters: leafKeys(t)})
	if err != nil || a.ClientID != "https://wallet.example.com" || a.WalletName == "" {
		t.Errorf("wallet attestation: %+v, %v", a, err)
	}
}

// TestPreFinalHAIP sees that shapes of old drafts are not taken.
func TestPreFinalHAIP(t *testing.T) {
	_, err := oid4vci.RequestExpect{}.CredentialRequest(oid4vci.JSONType, vectors.Read(t, "oid4vc", "haip", "pre-final-examples", "credential_request_sd_jwt_vc.json"))
	refused(t, err, oid4vci.InvalidCredentialRequest, oid4vci.ErrMissing)
}
