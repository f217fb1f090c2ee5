package interop_test

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
	"github.com/sanad-id/sanad/oid4vci"
)

var es256 = []keys.Algorithm{keys.ES256}

// issuerMetadata is that of an issuer with everything, at an address.
func issuerMetadata(t testing.TB, at string) oid4vci.IssuerMetadata {
	t.Helper()
	key, err := jose.NewDecryptionKey("enc-1")
	if err != nil {
		t.Fatal(err)
	}
	both := []jose.Encryption{jose.A128GCM, jose.A256GCM}
	return oid4vci.IssuerMetadata{
		Issuer: at, CredentialEndpoint: at + "/oid4vci/credential", NonceEndpoint: at + "/oid4vci/nonce", DeferredEndpoint: at + "/oid4vci/deferred",
		NotificationEndpoint: at + "/oid4vci/notification", BatchSize: 5,
		RequestEncryption:  &oid4vci.RequestEncryption{Keys: []jose.EncryptionKey{key.Public()}, Encryptions: both},
		ResponseEncryption: &oid4vci.ResponseEncryption{Encryptions: both},
		Display:            []oid4vci.Display{{Locale: "en", Name: "Civil registry"}, {Locale: "ar", Name: "السجل المدني"}},
		Configurations: []oid4vci.Configuration{{
			ID: "birth", Format: oid4vci.SDJWTFormat, Type: vct, Scope: "birth", SigningAlgorithms: []string{"ES256"}, Bindings: []string{oid4vci.JWKBinding},
			Proofs: map[oid4vci.ProofType]oid4vci.ProofSupport{oid4vci.JWTProof: {Algorithms: es256}, oid4vci.AttestationProof: {
				Algorithms: es256, Attestation: &oid4vci.AttestationNeeds{KeyStorage: []string{"iso_18045_high"}}}},
			Display: []oid4vci.Display{{Locale: "en", Name: "Birth certificate"}},
			Claims:  []oid4vci.Claim{{Path: []any{"given_name"}, Mandatory: true, Display: []oid4vci.Display{{Locale: "en", Name: "Given name"}}}, {Path: []any{"languages", nil}}},
		}},
	}
}

func serverMetadata(at string) oid4vci.ServerMetadata {
	return oid4vci.ServerMetadata{
		Issuer: at, TokenEndpoint: at + "/oauth/token", AuthorizationEndpoint: at + "/oauth/authorize", PAREndpoint: at + "/oauth/par", RequirePAR: true,
		GrantTypes: []oid4vci.GrantType{oid4vci.AuthorizationCode, oid4vci.PreAuthorizedCode, oid4vci.RefreshToken}, ChallengeMethods: []string{oid4vci.S256},
		ClientAuth: []string{oid4vci.AttestClient, oid4vci.NoClientAuth}, DPoPAlgorithms: es256, AttestationAlgorithms: es256, PoPAlgorithms: es256,
		Scopes: []string{"birth"}, DetailTypes: []string{oid4vci.DetailType}, IssParameter: true, Anonymous: true,
	}
}

// document is a message of ours as the peer takes it.
func document(t testing.TB, m interface{ JSON() ([]byte, error) }) json.RawMessage {
	t.Helper()
	b, err := m.JSON()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func flat(form url.Values) map[string]string {
	m := map[string]string{}
	for name, all := range form {
		m[name] = all[0]
	}
	return m
}

// TestOurWalletMessages has @openid4vc's issuer and authorization server judge what our
// wallet side makes.
func TestOurWalletMessages(t *testing.T) {
	p := startPeer(t, "vci.mjs")
	now := time.Now().Truncate(time.Second)
	holder := func(name string) keys.Signer { return keystest.Signer(t, keys.Holder, keys.ES256, name) }
	meta := document(t, issuerMetadata(t, issuerURL))
	p.call("checkMetadata", map[string]any{"metadata": meta}, nil)
	p.call("checkServerMetadata", map[string]any{"metadata": document(t, serverMetadata(issuerURL))}, nil)

	t.Run("DPoP", func(t *testing.T) {
		endpoint := issuerURL + "/oid4vci/credential"
		proof, err := oid4vci.MakeDPoP(rand.Reader, holder("session"), oid4vci.DPoPRequest{Method: "POST", URL: endpoint, Now: now, Nonce: "n-1", AccessToken: "token-1"})
		if err != nil {
			t.Fatal(err)
		}
		args := map[string]any{"jwt": proof, "method": "POST", "url": endpoint + "?q=1", "accessToken": "token-1", "nonce": "n-1", "now": now.Unix()}
		var got struct {
			Thumbprint string `json:"jwkThumbprint"`
		}
		p.call("checkDpop", args, &got)
		if got.Thumbprint != holder("session").Key().Public.JWKThumbprint() {
			t.Errorf("they find the key %s", got.Thumbprint)
		}
		args["accessToken"] = "token-2"
		if p.ask("checkDpop", args, nil) == "" {
			t.Error("they took it with another token")
		}
	})
	t.Run("key proof", func(t *testing.T) {
		proof, err := oid4vci.MakeProof(rand.Reader, holder("copy"), oid4vci.ProofClaims{Issuer: issuerURL, Nonce: "nonce-1", Now: now, ClientID: "wallet-1"})
		if err != nil {
			t.Fatal(err)
		}
		args := map[string]any{"jwt": proof, "nonce": "nonce-1", "clientId": "wallet-1", "metadata": meta, "now": now.Unix()}
		p.call("checkProof", args, nil)
		args["nonce"] = "nonce-2"
		if p.ask("checkProof", args, nil) == "" {
			t.Error("they took it with another nonce")
		}
	})
	t.Run("client attestation", func(t *testing.T) {
		provider, instance := holder("provider"), holder("instance")
		p.call("know", map[string]any{"jwk": json.RawMessage(provider.Key().Public.BareJWK())}, nil)
		attestation, err := oid4vci.MakeClientAttestation(rand.Reader, provider, nil, oid4vci.AttestationToken{Issuer: "https://provider.example", ClientID: "wallet-1",
			Key: instance.Key().Public, IssuedAt: now, Expires: now.Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		pop, err := oid4vci.MakeClientAttestationPoP(rand.Reader, instance, issuerURL, "wallet-1", "", now)
		if err != nil {
			t.Fatal(err)
		}
		args := map[string]any{"jwt": attestation, "pop": pop, "authorizationServer": issuerURL, "now": now.Unix()}
		p.call("checkAttestation", args, nil)
		args["authorizationServer"] = "https://other.example"
		if p.ask("checkAttestation", args, nil) == "" {
			t.Error("they took it for another server")
		}
	})
	t.Run("key attestation", func(t *testing.T) {
		attester := holder("attester")
		p.call("know", map[string]any{"jwk": json.RawMessage(attester.Key().Public.BareJWK())}, nil)
		jwt, err := oid4vci.MakeKeyAttestation(rand.Reader, attester, nil, oid4vci.KeyAttestationToken{Keys: []keys.PublicKey{holder("a").Key().Public, holder("copy").Key().Public},
			KeyStorage: []string{"iso_18045_high"}, Nonce: "nonce-1", IssuedAt: now, Expires: now.Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		p.call("checkKeyAttestation", map[string]any{"jwt": jwt, "nonce": "nonce-1", "metadata": meta, "now": now.Unix()}, nil)
		proof, err := oid4vci.MakeProof(rand.Reader, holder("copy"), oid4vci.ProofClaims{Issuer: issuerURL, Nonce: "nonce-1", Now: now, KeyAttestation: jwt})
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Attested []any `json:"attested"`
		}
		p.call("checkProof", map[string]any{"jwt": proof, "nonce": "nonce-1", "metadata": meta, "now": now.Unix()}, &got)
		if len(got.Attested) != 2 {
			t.Errorf("they find %d attested keys", len(got.Attested))
		}
	})
	t.Run("requests", func(t *testing.T) {
		form, err := oid4vci.TokenRequest{Grant: oid4vci.PreAuthorizedCode, PreAuthorizedCode: "code-1", TxCode: "123456"}.Form()
		if err != nil {
			t.Fatal(err)
		}
		var grant map[string]any
		p.call("checkToken", map[string]any{"form": flat(form)}, &grant)
		if grant["preAuthorizedCode"] != "code-1" || grant["txCode"] != "123456" {
			t.Errorf("they read %v", grant)
		}
		form, err = oid4vci.AuthorizationRequest{ClientID: "wallet-1", RedirectURI: "https://wallet.example/cb", State: "s", Scopes: []string{"birth"},
			Challenge: oid4vci.PKCEChallenge("v"), IssuerState: "i"}.Form()
		if err != nil {
			t.Fatal(err)
		}
		var pushed map[string]any
		p.call("checkPushed", map[string]any{"form": flat(form)}, &pushed)
		if pushed["scope"] != "birth" || pushed["issuer_state"] != "i" || pushed["code_challenge_method"] != "S256" {
			t.Errorf("they read %v", pushed)
		}
		for _, r := range []oid4vci.CredentialRequest{{Configuration: "birth"}, {Identifier: "birth#1"}} {
			r.Proofs = oid4vci.Proofs{Type: oid4vci.JWTProof, Tokens: []string{"a.b.c", "d.e.f"}}
			_, body, err := r.Encode(nil)
			if err != nil {
				t.Fatal(err)
			}
			var got struct {
				Configuration string              `json:"credentialConfigurationId"`
				Identifier    string              `json:"credentialIdentifier"`
				Proofs        map[string][]string `json:"proofs"`
			}
			p.call("checkCredentialRequest", map[string]any{"request": json.RawMessage(body), "metadata": meta}, &got)
			if got.Configuration != r.Configuration || got.Identifier != r.Identifier || len(got.Proofs["jwt"]) != 2 {
				t.Errorf("they read %+v", got)
			}
		}
	})
}

// TestTheirIssuerMessages reads what @openid4vc's issuer makes with our wallet side.
func TestTheirIssuerMessages(t *testing.T) {
	p := startPeer(t, "vci.mjs")
	now := time.Now()
	plain := issuerMetadata(t, issuerURL)
	plain.RequestEncryption, plain.ResponseEncryption = nil, nil
	meta := document(t, plain)
	var reader oid4vci.Reader
	var link string
	p.call("offer", map[string]any{"metadata": meta, "configurationIds": []string{"birth"}, "code": "code-1"}, &link)
	got, err := reader.OfferLink(link)
	if err != nil || got.Offer == nil || got.Offer.PreAuthorized.Code != "code-1" || got.Offer.PreAuthorized.TxCode.Length != 6 || got.Offer.Issuer != issuerURL {
		t.Errorf("their offer %s: %v, %v", link, got, err)
	}
	var made json.RawMessage
	p.call("checkMetadata", map[string]any{"metadata": meta}, &made)
	m, err := reader.IssuerMetadata(made, issuerURL)
	if err != nil || len(m.Configurations) != 1 || m.Configurations[0].Type != vct || len(m.Configurations[0].Claims) != 2 || m.BatchSize != 5 {
		t.Errorf("their metadata: %+v, %v", m, err)
	}
	p.call("checkServerMetadata", map[string]any{"metadata": document(t, serverMetadata(issuerURL))}, &made)
	s, err := reader.ServerMetadata(made, issuerURL)
	if err != nil || s.CheckCodeFlow() != nil {
		t.Errorf("their server metadata: %+v, %v", s, err)
	}
	p.call("nonceResponse", map[string]any{"nonce": "nonce-1"}, &made)
	if n, err := oid4vci.ReadNonceResponse(200, made); err != nil || n != "nonce-1" {
		t.Errorf("their nonce: %s, %v", n, err)
	}
	p.call("credentialResponse", map[string]any{"credentials": []string{"a~", "b~"}, "notificationId": "n-1"}, &made)
	c, err := oid4vci.ResponseExpect{Keys: 2}.CredentialResponse(200, oid4vci.JSONType, made)
	if err != nil || len(c.Credentials) != 2 || c.NotificationID != "n-1" {
		t.Errorf("their credentials: %+v, %v", c, err)
	}
	// Signed metadata: their key in the header says nothing to us, and a wallet of ours
	// does not take it (VCI-21).
	var token string
	p.call("signedMetadata", map[string]any{"metadata": meta}, &token)
	key, _ := theirKey(p, "metadata")
	_, err = reader.SignedIssuerMetadata(token, issuerURL, now, func(oid4vci.SignerHint) ([]keys.PublicKey, error) { return []keys.PublicKey{key}, nil })
	if !errors.Is(err, oid4vci.ErrHeader) {
		t.Errorf("their signed metadata, with a key in the header: %v, want %v", err, oid4vci.ErrHeader)
	}
	// A key attestation alone, with a key in its header: not taken either, since keys of
	// attesters come from trust data.
	p.call("keyAttestation", map[string]any{"keys": []string{"a", "b"}, "nonce": "nonce-1"}, &token)
	attester, _ := theirKey(p, "attester")
	_, err = oid4vci.CheckProofs(oid4vci.Proofs{Type: oid4vci.AttestationProof, Tokens: []string{token}}, oid4vci.ProofExpect{
		Issuer: issuerURL, Types: plain.Configurations[0].Proofs, BatchSize: 2, Now: now, MaxAge: time.Minute, NeedNonce: true,
		Attesters: func(oid4vci.SignerHint) ([]keys.PublicKey, error) { return []keys.PublicKey{attester}, nil }})
	if !errors.Is(err, oid4vci.ErrHeader) || !strings.Contains(err.Error(), "jwk") {
		t.Errorf("their key attestation: %v, want %v", err, oid4vci.ErrHeader)
	}
}
