package oid4vci_test

import (
	"crypto/rand"
	"net/url"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/oid4vci"
)

// TestPreAuthorizedFlow runs the messages of the pre-authorised flow between both
// sides: what one writes the other reads.
func TestPreAuthorizedFlow(t *testing.T) {
	published, decrypt := metadata(t)
	rule := oid4vci.TxCodeRule{Mode: oid4vci.Numeric, Length: 6}
	txCode, err := rule.NewTxCode(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	offer := oid4vci.Offer{Issuer: issuer, Configurations: []string{"birth"}, PreAuthorized: &oid4vci.PreAuthorizedGrant{
		Code: "code-1", TxCode: rule.Input("on your receipt")}}
	link, err := offer.Link(oid4vci.OfferScheme)
	if err != nil {
		t.Fatal(err)
	}
	// The wallet reads the offer and who made it.
	var reader oid4vci.Reader
	got, err := reader.OfferLink(link)
	if err != nil || got.Offer == nil || !reflect.DeepEqual(*got.Offer, offer) {
		t.Fatalf("OfferLink: %+v, %v, want the offer that was made", got, err)
	}
	document, err := published.JSON()
	if err != nil {
		t.Fatal(err)
	}
	meta, err := reader.IssuerMetadata(document, got.Offer.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	again, err := meta.JSON()
	if err != nil {
		t.Fatal(err)
	}
	equalJSON(t, again, document)
	// It redeems the code with a key of its own.
	session := holder(t, "session")
	form, err := oid4vci.TokenRequest{
		Grant: oid4vci.PreAuthorizedCode, PreAuthorizedCode: got.Offer.PreAuthorized.Code,
		TxCode: got.Offer.PreAuthorized.TxCode.Clean(" " + string(txCode[:3]) + "-" + string(txCode[3:])),
	}.Form()
	if err != nil {
		t.Fatal(err)
	}
	proof, err := oid4vci.MakeDPoP(rand.Reader, session, oid4vci.DPoPRequest{Method: "POST", URL: tokenURL, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	dpop, err := oid4vci.CheckDPoP([]string{proof}, oid4vci.DPoPExpect{
		Method: "POST", URL: tokenURL, Now: now, MaxAge: time.Minute, Algorithms: []keys.Algorithm{keys.ES256}, At: oid4vci.AuthorizationServer})
	if err != nil || dpop.Thumbprint != session.Key().Public.JWKThumbprint() {
		t.Fatalf("CheckDPoP: %+v, %v", dpop, err)
	}
	request, err := oid4vci.ParseTokenRequest(form)
	if err != nil || request.PreAuthorizedCode != "code-1" || rule.Clean(request.TxCode) != txCode {
		t.Fatalf("ParseTokenRequest: %v", err)
	}
	if err := request.CheckTxCode(true); err != nil {
		t.Fatal(err)
	}
	answer, err := oid4vci.TokenResponse{AccessToken: "token-1", Type: oid4vci.DPoPToken, Lifetime: 5 * time.Minute, Details: []oid4vci.AuthorizationDetail{
		{Configuration: "birth", Identifiers: []string{"birth#1"}}}}.JSON()
	if err != nil {
		t.Fatal(err)
	}
	token, err := oid4vci.ReadTokenResponse(200, answer, oid4vci.DPoPToken)
	if err != nil || token.AccessToken != "token-1" || token.Details[0].Identifiers[0] != "birth#1" || token.Lifetime != 5*time.Minute {
		t.Fatalf("ReadTokenResponse: %v", err)
	}
	fetchTwoCopies(t, meta, decrypt, token, session)
}

// fetchTwoCopies asks for two copies with an encrypted request and response.
func fetchTwoCopies(t *testing.T, meta *oid4vci.IssuerMetadata, decrypt *jose.DecryptionKey, token *oid4vci.TokenResponse, session keys.Signer) {
	t.Helper()
	b, err := oid4vci.NonceResponse("nonce-1")
	if err != nil {
		t.Fatal(err)
	}
	nonce, err := oid4vci.ReadNonceResponse(200, b)
	if err != nil {
		t.Fatal(err)
	}
	var tokens []string
	var want []keys.PublicKey
	for _, name := range []string{"copy 1", "copy 2"} {
		s := holder(t, name)
		proof, err := oid4vci.MakeProof(rand.Reader, s, oid4vci.ProofClaims{Issuer: meta.Issuer, Nonce: nonce, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		tokens, want = append(tokens, proof), append(want, s.Key().Public)
	}
	answerKey, err := jose.NewDecryptionKey("answer")
	if err != nil {
		t.Fatal(err)
	}
	contentType, body, err := oid4vci.CredentialRequest{
		Identifier: token.Details[0].Identifiers[0], Proofs: oid4vci.Proofs{Type: oid4vci.JWTProof, Tokens: tokens},
		Response: &oid4vci.ResponseKey{Key: answerKey.Public(), Encryption: jose.A256GCM},
	}.Encode(meta.RequestEncryption)
	if err != nil || contentType != oid4vci.JWTType {
		t.Fatalf("Encode: %s, %v", contentType, err)
	}
	// The issuer: the access token with its proof, the request, the keys.
	endpoint := meta.CredentialEndpoint
	proof, err := oid4vci.MakeDPoP(rand.Reader, session, oid4vci.DPoPRequest{Method: "POST", URL: endpoint, Now: now, AccessToken: token.AccessToken})
	if err != nil {
		t.Fatal(err)
	}
	access, err := oid4vci.ParseAuthorization([]string{string(token.Authorization())}, oid4vci.DPoPToken)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := oid4vci.CheckDPoP([]string{proof}, oid4vci.DPoPExpect{
		Method: "POST", URL: endpoint, Now: now, MaxAge: time.Minute, Algorithms: []keys.Algorithm{keys.ES256}, At: oid4vci.ResourceServer,
		AccessToken: access, Key: session.Key().Public.JWKThumbprint()}); err != nil {
		t.Fatal(err)
	}
	both := []jose.Encryption{jose.A128GCM, jose.A256GCM}
	request, err := oid4vci.RequestExpect{Keys: []*jose.DecryptionKey{decrypt}, Encryptions: both, ResponseEncryptions: both}.CredentialRequest(contentType, body)
	if err != nil {
		t.Fatal(err)
	}
	id, err := oid4vci.Granted{Details: token.Details}.Configuration(request, []string{"birth"})
	if err != nil || id != "birth" {
		t.Fatalf("Configuration: %q, %v", id, err)
	}
	c, _ := meta.Configuration(id)
	proven, err := oid4vci.CheckProofs(request.Proofs, oid4vci.ProofExpect{
		Issuer: issuer, Types: c.Proofs, BatchSize: meta.BatchSize, Now: now, MaxAge: time.Minute, NeedNonce: true})
	if err != nil || !slices.EqualFunc(proven.Keys, want, keys.PublicKey.Equal) || !slices.Equal(proven.Nonces, []string{nonce}) {
		t.Fatalf("CheckProofs: %+v, %v", proven, err)
	}
	status, contentType, body, err := oid4vci.CredentialResponse{Credentials: []string{"one~", "two~"}, NotificationID: "n-1"}.Encode(request.Response)
	if err != nil || status != 200 || contentType != oid4vci.JWTType {
		t.Fatalf("Encode: %d, %s, %v", status, contentType, err)
	}
	response, err := oid4vci.ResponseExpect{Key: answerKey, Encryption: jose.A256GCM, Keys: 2}.CredentialResponse(status, contentType, body)
	if err != nil || !slices.Equal(response.Credentials, []string{"one~", "two~"}) || response.NotificationID != "n-1" {
		t.Fatalf("CredentialResponse: %+v, %v", response, err)
	}
}

// TestAuthorizationCodeFlow runs the messages that the other flow has before the token.
func TestAuthorizationCodeFlow(t *testing.T) {
	document, err := serverMetadata().JSON()
	if err != nil {
		t.Fatal(err)
	}
	server, err := oid4vci.Reader{}.ServerMetadata(document, issuer)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.CheckCodeFlow(); err != nil {
		t.Fatal(err)
	}
	verifier, err := oid4vci.NewVerifier(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	session := holder(t, "session")
	asked := oid4vci.AuthorizationRequest{
		ClientID: client, RedirectURI: back, State: "state-1", Scopes: []string{"birth"}, Challenge: oid4vci.PKCEChallenge(verifier),
		IssuerState: "claim-1", DPoPKey: session.Key().Public.JWKThumbprint(),
		Details: []oid4vci.AuthorizationDetail{{Configuration: "birth", Claims: []oid4vci.Claim{{Path: []any{"given_name"}, Mandatory: true}}}},
	}
	form, err := asked.Form()
	if err != nil {
		t.Fatal(err)
	}
	got, err := oid4vci.ParsePushedRequest(form)
	if err != nil || !reflect.DeepEqual(*got, asked) {
		t.Fatalf("ParsePushedRequest: %+v, %v", got, err)
	}
	uri, err := oid4vci.NewRequestURI(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	body, err := oid4vci.PushedResponse{RequestURI: uri, Lifetime: time.Minute}.JSON()
	if err != nil {
		t.Fatal(err)
	}
	pushed, err := oid4vci.ReadPushedResponse(201, body)
	if err != nil || pushed.RequestURI != uri || pushed.Lifetime != time.Minute {
		t.Fatalf("ReadPushedResponse: %+v, %v", pushed, err)
	}
	page, err := oid4vci.AuthorizationURL(server.AuthorizationEndpoint, client, pushed.RequestURI)
	if err != nil {
		t.Fatal(err)
	}
	id, known, err := oid4vci.ParseAuthorizationQuery(query(t, page))
	if err != nil || id != client || known != uri {
		t.Fatalf("ParseAuthorizationQuery: %s, %s, %v", id, known, err)
	}
	to, err := oid4vci.AuthorizationResponse{Code: "code-2", State: got.State, Issuer: issuer}.Redirect(got.RedirectURI)
	if err != nil {
		t.Fatal(err)
	}
	code, err := oid4vci.ReadAuthorizationResponse(query(t, to), server.Issuer, "state-1")
	if err != nil || code != "code-2" {
		t.Fatalf("ReadAuthorizationResponse: %v", err)
	}
	form, err = oid4vci.TokenRequest{Grant: oid4vci.AuthorizationCode, Code: code, RedirectURI: back, Verifier: verifier}.Form()
	if err != nil {
		t.Fatal(err)
	}
	redeem, err := oid4vci.ParseTokenRequest(form)
	if err != nil || redeem.Code != "code-2" {
		t.Fatalf("ParseTokenRequest: %v", err)
	}
	if err := oid4vci.CheckVerifier(got.Challenge, redeem.Verifier); err != nil {
		t.Fatal(err)
	}
}

func query(t testing.TB, raw string) url.Values {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

func serverMetadata() oid4vci.ServerMetadata {
	es256 := []keys.Algorithm{keys.ES256}
	return oid4vci.ServerMetadata{
		Issuer: issuer, TokenEndpoint: tokenURL, AuthorizationEndpoint: issuer + "/oauth/authorize", PAREndpoint: issuer + "/oauth/par",
		JWKSURI: issuer + "/jwks.json", RequirePAR: true, GrantTypes: []oid4vci.GrantType{oid4vci.AuthorizationCode, oid4vci.PreAuthorizedCode},
		ChallengeMethods: []string{oid4vci.S256}, ClientAuth: []string{oid4vci.AttestClient, oid4vci.NoClientAuth}, DPoPAlgorithms: es256,
		AttestationAlgorithms: es256, PoPAlgorithms: es256, Scopes: []string{"birth"}, DetailTypes: []string{oid4vci.DetailType},
		IssParameter: true, Anonymous: true,
	}
}

// TestDeferred runs a deferred issuance: asked, not ready, asked again, ready.
func TestDeferred(t *testing.T) {
	status, contentType, body, err := oid4vci.CredentialResponse{TransactionID: "t-1", Interval: time.Minute}.Encode(nil)
	if err != nil || status != 202 {
		t.Fatalf("Encode: %d, %v", status, err)
	}
	later, err := oid4vci.ResponseExpect{}.CredentialResponse(status, contentType, body)
	if err != nil || later.TransactionID != "t-1" || later.Interval != time.Minute {
		t.Fatalf("CredentialResponse: %+v, %v", later, err)
	}
	contentType, body, err = oid4vci.DeferredRequest{TransactionID: later.TransactionID}.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	asked, err := oid4vci.RequestExpect{}.DeferredRequest(contentType, body)
	if err != nil || asked.TransactionID != "t-1" || asked.Response != nil {
		t.Fatalf("DeferredRequest: %+v, %v", asked, err)
	}
	again := oid4vci.ResponseExpect{TransactionID: "t-1"}
	if _, err := again.CredentialResponse(202, oid4vci.JSONType, []byte(`{"transaction_id":"t-1","interval":5}`)); err != nil {
		t.Errorf("still not ready: %v", err)
	}
	done, err := again.CredentialResponse(200, oid4vci.JSONType, []byte(`{"credentials":[{"credential":"c~"}]}`))
	if err != nil || !slices.Equal(done.Credentials, []string{"c~"}) {
		t.Errorf("CredentialResponse: %+v, %v", done, err)
	}
}

// TestNotification runs a notification.
func TestNotification(t *testing.T) {
	want := oid4vci.Notification{ID: "n-1", Event: oid4vci.CredentialDeleted, Description: "no room"}
	b, err := want.JSON()
	if err != nil {
		t.Fatal(err)
	}
	got, err := oid4vci.ReadNotification("application/json; charset=UTF-8", b)
	if err != nil || *got != want {
		t.Errorf("ReadNotification: %+v, %v, want %+v", got, err, want)
	}
}
