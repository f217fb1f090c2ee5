package oid4vci_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"net/url"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/oid4vci"
)

func certificateKey(t testing.TB, der []byte) keys.PublicKey {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	key, err := keys.PublicKeyOf(c.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// FuzzOffer sees that what is read can be written and says the same again, and that no
// address leads anywhere but to https.
func FuzzOffer(f *testing.F) {
	f.Add(goodOffer)
	f.Add("openid-credential-offer://?credential_offer=" + url.QueryEscape(goodOffer))
	f.Add("openid-credential-offer://?credential_offer_uri=https%3A%2F%2Fa.example%2F")
	boundtest.Fuzz(f, func(t *testing.T, s string) {
		var r oid4vci.Reader
		o, err := r.Offer([]byte(s))
		if link, linkErr := r.OfferLink(s); linkErr == nil {
			if link.Offer == nil && r.CheckIdentifier(link.URI) != nil && !bytes.HasPrefix([]byte(link.URI), []byte("https://")) {
				t.Fatalf("an offer is fetched from %q", link.URI)
			}
			if link.Offer != nil {
				o, err = link.Offer, nil
			}
		}
		if err != nil {
			return
		}
		if err := r.CheckIdentifier(o.Issuer); err != nil {
			t.Fatalf("an offer of %q: %v", o.Issuer, err)
		}
		b, err := o.JSON()
		if err != nil {
			return // larger than we write
		}
		again, err := r.Offer(b)
		if err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		if b2, err := again.JSON(); err != nil || !bytes.Equal(b, b2) {
			t.Fatalf("%s\n%s\n%v", b, b2, err)
		}
	})
}

// FuzzMetadata sees that metadata name the issuer that was asked, byte for byte.
func FuzzMetadata(f *testing.F) {
	m, _ := metadata(f)
	for _, make := range []func() ([]byte, error){m.JSON, serverMetadata().JSON} {
		b, err := make()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	boundtest.FuzzParses(f, 2, func(t *testing.T, b []byte) {
		if m, err := (oid4vci.Reader{}).IssuerMetadata(b, issuer); err == nil {
			if m.Issuer != issuer || len(m.CredentialEndpoint) < 9 || m.CredentialEndpoint[:8] != "https://" {
				t.Fatalf("took metadata of %q with the endpoint %q", m.Issuer, m.CredentialEndpoint)
			}
			for _, c := range m.Configurations {
				if c.ID == "" || c.Format == oid4vci.SDJWTFormat && c.Type == "" {
					t.Fatalf("took %+v", c)
				}
			}
		}
		if m, err := (oid4vci.Reader{}).ServerMetadata(b, issuer); err == nil && (m.Issuer != issuer || m.TokenEndpoint == "") {
			t.Fatalf("took metadata of %q", m.Issuer)
		}
	})
}

// FuzzForms sees that a request that is taken is whole and can be written again.
func FuzzForms(f *testing.F) {
	f.Add("response_type=code&client_id=c&redirect_uri=https://a.example/cb&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256&scope=a")
	f.Add("grant_type=urn:ietf:params:oauth:grant-type:pre-authorized_code&pre-authorized_code=c&tx_code=1")
	f.Add("grant_type=refresh_token&refresh_token=r")
	f.Add(`code=c&state=s&iss=https://issuer.example&authorization_details=[{"type":"openid_credential","credential_configuration_id":"a"}]`)
	boundtest.Fuzz(f, func(t *testing.T, s string) {
		v, err := url.ParseQuery(s)
		if err != nil {
			return
		}
		if r, err := oid4vci.ParsePushedRequest(v); err == nil {
			if r.Challenge == "" || len(r.Scopes)+len(r.Details) == 0 || oid4vci.CheckRedirectURI(r.RedirectURI, nil) != nil {
				t.Fatalf("took %+v", r)
			}
			form, err := r.Form()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := oid4vci.ParsePushedRequest(form); err != nil {
				t.Fatalf("%v: %v", form, err)
			}
		}
		if r, err := oid4vci.ParseTokenRequest(v); err == nil {
			n := 0
			for _, secret := range []oid4vci.Secret{r.Code, r.PreAuthorizedCode, r.RefreshToken} {
				if secret != "" {
					n++
				}
			}
			if n != 1 {
				t.Fatalf("took a request with %d grants", n)
			}
			if _, err := r.Form(); err != nil {
				t.Fatal(err)
			}
		}
		if code, err := oid4vci.ReadAuthorizationResponse(v, issuer, "s"); err == nil && (code == "" || v.Get("iss") != issuer || v.Get("state") != "s") {
			t.Fatalf("took %q", s)
		}
	})
}

// FuzzTokens sees that no token is taken that nobody signed.
func FuzzTokens(f *testing.F) {
	s := holder(f, "copy 1")
	proof, err := oid4vci.MakeProof(rand.Reader, s, oid4vci.ProofClaims{Issuer: issuer, Nonce: "n", Now: now})
	if err != nil {
		f.Fatal(err)
	}
	dpop, err := oid4vci.MakeDPoP(rand.Reader, s, oid4vci.DPoPRequest{Method: "POST", URL: tokenURL, Now: now})
	if err != nil {
		f.Fatal(err)
	}
	attestation, err := oid4vci.MakeClientAttestation(rand.Reader, s, nil, oid4vci.AttestationToken{ClientID: client, Key: s.Key().Public, IssuedAt: now, Expires: now.Add(time.Hour)})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{proof, dpop, attestation} {
		f.Add(seed)
	}
	boundtest.Fuzz(f, func(t *testing.T, text string) {
		es256 := []keys.Algorithm{keys.ES256, keys.ES384, keys.EdDSA}
		d, err := oid4vci.CheckDPoP([]string{text}, oid4vci.DPoPExpect{Method: "POST", URL: tokenURL, Now: now, MaxAge: time.Minute, Algorithms: es256, At: oid4vci.AuthorizationServer})
		if err == nil && !signedBy(t, text, d.Key) {
			t.Fatal("took a DPoP proof that its key did not sign")
		}
		types := map[oid4vci.ProofType]oid4vci.ProofSupport{oid4vci.JWTProof: {Algorithms: es256}, oid4vci.AttestationProof: {Algorithms: es256}}
		want := oid4vci.ProofExpect{Issuer: issuer, Types: types, Now: now, MaxAge: time.Minute, NeedNonce: true, Attesters: noOne}
		p, err := oid4vci.CheckProofs(oid4vci.Proofs{Type: oid4vci.JWTProof, Tokens: []string{text}}, want)
		if err == nil && (len(p.Keys) != 1 || len(p.Nonces) != 1 || !signedBy(t, text, p.Keys[0])) {
			t.Fatal("took a key proof that its key did not sign")
		}
		if _, err := oid4vci.CheckProofs(oid4vci.Proofs{Type: oid4vci.AttestationProof, Tokens: []string{text}}, want); err == nil {
			t.Fatal("took a key attestation with no one to trust")
		}
		if _, err := oid4vci.CheckClientAttestation([]string{text}, []string{text}, nil, oid4vci.AttestationExpect{
			Audience: issuer, Now: now, MaxAge: time.Minute, Algorithms: es256, Attesters: noOne}); err == nil {
			t.Fatal("took a client attestation with no one to trust")
		}
	})
}

// signedBy checks a signature by the standard library's words alone.
func signedBy(t testing.TB, token string, key keys.PublicKey) bool {
	t.Helper()
	m, err := jose.Parse(token, jose.Expect{Types: []string{oid4vci.ProofTyp, oid4vci.DPoPTyp}, OwnKey: true})
	return err == nil && m.Verify(key.Algorithm(), key) == nil
}

// FuzzCredentialMessages sees that a request or response that is taken says one thing.
func FuzzCredentialMessages(f *testing.F) {
	for _, s := range []string{
		`{"credential_configuration_id":"birth","proofs":{"jwt":["a.b.c"]}}`, `{"credential_identifier":"b","proofs":{"attestation":["a.b.c"]}}`,
		`{"credentials":[{"credential":"a~"}],"notification_id":"n"}`, `{"transaction_id":"t","interval":5}`, `{"notification_id":"n","event":"credential_accepted"}`,
		`{"c_nonce":"n"}`, `{"access_token":"a","token_type":"DPoP","expires_in":5}`, `{"request_uri":"urn:x","expires_in":60}`, `{"error":"invalid_proof"}`,
	} {
		f.Add([]byte(s))
	}
	boundtest.Fuzz(f, func(t *testing.T, b []byte) {
		var none oid4vci.RequestExpect
		if r, err := none.CredentialRequest(oid4vci.JSONType, b); err == nil {
			if (r.Identifier == "") == (r.Configuration == "") || r.Response != nil || len(r.Proofs.Tokens) > oid4vci.MaxBatch {
				t.Fatalf("took %+v", r)
			}
			if contentType, again, err := r.Encode(nil); err != nil || contentType != oid4vci.JSONType {
				t.Fatalf("cannot be written again: %v", err)
			} else if _, err := none.CredentialRequest(contentType, again); err != nil {
				t.Fatalf("%s: %v", again, err)
			}
		}
		for _, status := range []int{200, 202} {
			r, err := oid4vci.ResponseExpect{Keys: 2}.CredentialResponse(status, oid4vci.JSONType, b)
			if err == nil && (len(r.Credentials) > 0) != (status == 200 && r.TransactionID == "") {
				t.Fatalf("took %+v with %d", r, status)
			}
		}
		if r, err := oid4vci.ReadTokenResponse(200, b, oid4vci.DPoPToken); err == nil && (r.AccessToken == "" || r.Type != oid4vci.DPoPToken) {
			t.Fatal("took a response without a token")
		}
		_, _ = none.DeferredRequest(oid4vci.JSONType, b)
		_, _ = oid4vci.ReadNotification(oid4vci.JSONType, b)
		_, _ = oid4vci.ReadNonceResponse(200, b)
		_, _ = oid4vci.ReadPushedResponse(201, b)
		if e := oid4vci.ReadError(400, b); e.Code == "" || len(e.Description) > 300 {
			t.Fatalf("read %+v", e)
		}
	})
}

// FuzzAuthorization: a token is taken from one header of its own type, whatever the letters
// of the type, and is the same when it is shown again.
func FuzzAuthorization(f *testing.F) {
	for _, seed := range []string{"DPoP abc", "dpop  abc ", "Bearer abc", "DPoP", "DPoP ", "DPoP a b", "DPoP \x00", "Bearer abc, DPoP def", ""} {
		f.Add(seed, false)
	}
	f.Add("DPoP abc", true)
	boundtest.Fuzz(f, func(t *testing.T, header string, twice bool) {
		headers := []string{header}
		if twice {
			headers = append(headers, header)
		}
		taken := 0
		for _, kind := range []oid4vci.TokenType{oid4vci.DPoPToken, oid4vci.BearerToken} {
			secret, err := oid4vci.ParseAuthorization(headers, kind)
			if err != nil {
				if secret != "" {
					t.Fatalf("%q is refused and gives a token", header)
				}
				continue
			}
			taken++
			again, err := oid4vci.ParseAuthorization([]string{string(kind) + " " + string(secret)}, kind)
			if twice || secret == "" || err != nil || again != secret {
				t.Fatalf("%q (twice: %t): %q, %q, %v", header, twice, string(secret), string(again), err)
			}
		}
		if taken > 1 {
			t.Fatalf("%q is of both types", header)
		}
	})
}
