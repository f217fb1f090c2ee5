package wallet_test

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/chain"
	"github.com/sanad-id/sanad/keys/keystest"
	"github.com/sanad-id/sanad/oid4vci"
	"github.com/sanad-id/sanad/oid4vp"
	"github.com/sanad-id/sanad/wallet"
)

var now = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

const (
	issuerURL = "https://issuer.example"
	typeURL   = "https://issuer.example/type/licence"
	back      = "http://127.0.0.1:9/back"
	library   = "verifier.example"
	reply     = "https://verifier.example/response/7"
)

var es256 = []keys.Algorithm{keys.ES256}

// A world is an issuer and a verifier, made of the other sides of the protocols, that
// answer a wallet. Fields are what a test changes before it asks.
type world struct {
	t    testing.TB
	now  time.Time
	root *x509.Certificate
	// spoil changes the answer to requests of this path, and seen holds every request.
	spoil map[string]func(*wallet.Answer)
	seen  []wallet.Request

	// The issuer.
	meta     oid4vci.IssuerMetadata
	server   oid4vci.ServerMetadata
	offer    oid4vci.Offer
	txCode   oid4vci.Secret
	decrypt  *jose.DecryptionKey
	signer   keys.Signer
	sign     bool // metadata are signed
	document string
	token    func(copy int, holder keys.PublicKey) sdjwt.Token
	forge    func(copy int, text string) string
	deferred int      // how often it is not ready
	dpop     []string // nonces that it asks for, one after the other
	nonce    int
	pushed   *oid4vci.AuthorizationRequest
	events   []oid4vci.Event
	waiting  map[string][]keys.PublicKey // by transaction
	access   string                      // the access token that works
	refresh  string                      // the refresh token that was not used yet
	tries    int
	client   string // of the token request
	list     *status.List

	// The verifier.
	request   *oid4vp.Request
	signature oid4vp.Signature
	answerKey *jose.DecryptionKey
	method    oid4vp.Method
	linked    oid4vp.ClientID // the client of the link; the request's if zero
	object    func(string) string
	response  *oid4vp.Response
	next      string
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{
		t: t, now: now, spoil: map[string]func(*wallet.Answer){}, signer: keystest.Signer(t, keys.Credential, keys.ES256, "issuer"),
		document: `{"vct":"` + typeURL + `","display":[{"locale":"fr","name":"Permis"}],"claims":[{"path":["name"],"mandatory":true,"display":[{"locale":"fr","label":"Nom"}]}]}`,
		waiting:  map[string][]keys.PublicKey{}, access: "token-1", refresh: "refresh-1",
		forge: func(_ int, text string) string { return text }, object: func(s string) string { return s }, method: oid4vp.Post,
	}
	der, err := chain.NewRoot(rand.Reader, keystest.Signer(t, keys.CertificateRoot, keys.ES256, "root"), chain.Name{Organization: "National root", Country: "XA"}, now.AddDate(-1, 0, 0), now.AddDate(9, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	if w.root, err = chain.ParseRoot(der); err != nil {
		t.Fatal(err)
	}
	if w.decrypt, err = jose.NewDecryptionKey("enc-1"); err != nil {
		t.Fatal(err)
	}
	both := []jose.Encryption{jose.A128GCM, jose.A256GCM}
	w.meta = oid4vci.IssuerMetadata{
		Issuer: issuerURL, CredentialEndpoint: issuerURL + "/credential", NonceEndpoint: issuerURL + "/nonce", DeferredEndpoint: issuerURL + "/deferred",
		NotificationEndpoint: issuerURL + "/notification", BatchSize: 3,
		RequestEncryption:  &oid4vci.RequestEncryption{Keys: []jose.EncryptionKey{w.decrypt.Public()}, Encryptions: both, Required: true},
		ResponseEncryption: &oid4vci.ResponseEncryption{Encryptions: both, Required: true},
		Display:            []oid4vci.Display{{Locale: "en", Name: "Licence office"}},
		Configurations: []oid4vci.Configuration{{
			ID: "licence", Format: oid4vci.SDJWTFormat, Type: typeURL, Scope: "licence", SigningAlgorithms: []string{"ES256"}, Bindings: []string{oid4vci.JWKBinding},
			Proofs:  map[oid4vci.ProofType]oid4vci.ProofSupport{oid4vci.JWTProof: {Algorithms: es256}},
			Display: []oid4vci.Display{{Locale: "en", Name: "Licence"}},
			Claims:  []oid4vci.Claim{{Path: []any{"name"}, Mandatory: true, Display: []oid4vci.Display{{Locale: "en", Name: "Full name"}}}, {Path: []any{"village"}}},
		}},
	}
	w.server = oid4vci.ServerMetadata{
		Issuer: issuerURL, TokenEndpoint: issuerURL + "/token", AuthorizationEndpoint: issuerURL + "/authorize", PAREndpoint: issuerURL + "/par", RequirePAR: true,
		GrantTypes: []oid4vci.GrantType{oid4vci.AuthorizationCode, oid4vci.PreAuthorizedCode}, ChallengeMethods: []string{oid4vci.S256},
		ClientAuth: []string{oid4vci.NoClientAuth}, DPoPAlgorithms: es256, IssParameter: true, Anonymous: true,
	}
	w.offer = oid4vci.Offer{Issuer: issuerURL, Configurations: []string{"licence"}, PreAuthorized: &oid4vci.PreAuthorizedGrant{Code: "code-1"}}
	w.token = func(_ int, holder keys.PublicKey) sdjwt.Token {
		h := func(v any) any { return sdjwt.Hidden{Value: v} }
		return sdjwt.Token{
			Issuer: issuerURL, Type: typeURL, TypeIntegrity: sdjwt.Integrity([]byte(w.document)), IssuedAt: now, Expires: now.AddDate(1, 0, 0), Holder: &holder,
			Claims: map[string]any{
				"name": h("Amina Juma"), "village": h("Uhuru"), "class": h("B"), "number": h("L-17"), "born": h("1990-01-02"),
				"height": h(171), "photo": h("none"), "donor": h(true), "limits": h("glasses"), "issued_at_office": h("Jessore"),
			},
		}
	}
	w.verifier()
	return w
}

func (w *world) certificate(s keys.Signer, name, address string) []byte {
	return w.certificateAt(s, name, address, now)
}

func (w *world) certificateAt(s keys.Signer, name, address string, at time.Time) []byte {
	w.t.Helper()
	der, err := chain.Issue(rand.Reader, w.root, keystest.Signer(w.t, keys.CertificateRoot, keys.ES256, "root"),
		chain.Subject{Name: chain.Name{Organization: name}, Address: address, Key: s.Key().Public}, at.AddDate(0, -1, 0), at.AddDate(1, 0, 0))
	if err != nil {
		w.t.Fatal(err)
	}
	return der
}

func (w *world) verifier() {
	signer := keystest.Signer(w.t, keys.Request, keys.ES256, "library")
	leaf := w.certificate(signer, "City library", "https://"+library)
	w.signature = oid4vp.Signature{Signer: signer, X5C: [][]byte{leaf}}
	var err error
	if w.answerKey, err = jose.NewDecryptionKey("request 7"); err != nil {
		w.t.Fatal(err)
	}
	w.request = &oid4vp.Request{
		Client: oid4vp.Client{ID: oid4vp.NewX509Hash(leaf)}, ResponseMode: oid4vp.DirectPostJWT, ResponseURI: reply, Nonce: strings.Repeat("nonce-7-", 6), State: strings.Repeat("state-7-", 6),
		Query: &oid4vp.Query{Credentials: []oid4vp.CredentialQuery{{
			ID: "card", Format: credential.FormatSDJWT, Types: []string{typeURL},
			Claims:    []oid4vp.ClaimQuery{{ID: "a", Path: sdjwt.Path{"name"}}, {ID: "b", Path: sdjwt.Path{"class"}}, {ID: "c", Path: sdjwt.Path{"village"}}},
			ClaimSets: [][]string{{"a", "b", "c"}, {"a", "b"}},
		}}},
		Metadata: &oid4vp.ClientMetadata{Keys: []jose.EncryptionKey{w.answerKey.Public()}, Encryptions: oid4vp.AllEncryptions(), Formats: oid4vp.SDJWTFormat()},
		Policy:   &oid4vp.Policy{Name: map[string]string{"en": "City library"}, Purpose: map[string]string{"en": "To make your library card."}, Retention: 48 * time.Hour},
		IssuedAt: now, Expires: now.Add(5 * time.Minute),
	}
	w.next = "https://verifier.example/done?response_code=1"
}

// agent is a wallet that trusts the root, with what config changes.
func (w *world) agent(config func(*wallet.Config)) (*wallet.Agent, *wallet.Wallet) {
	w.t.Helper()
	dir := filepath.Join(memoryDir(w.t), "w")
	kept, err := wallet.Create(dir, []byte("correct horse battery"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = kept.Close() })
	c := wallet.Config{Wallet: kept, Sender: w, Roots: []*x509.Certificate{w.root}, UnknownIssuers: true, Copies: 3, Now: func() time.Time { return w.now }}
	if config != nil {
		config(&c)
	}
	a, err := wallet.NewAgent(c)
	if err != nil {
		w.t.Fatal(err)
	}
	return a, kept
}

// memoryDir is a folder in memory where the system has one: these tests are not about
// the disk, and a wallet waits for it often.
func memoryDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "sanad-wallet-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// link is the offer by reference.
func (w *world) link() string {
	link, err := oid4vci.ReferenceLink(oid4vci.OfferScheme, issuerURL+"/offer/1")
	if err != nil {
		w.t.Fatal(err)
	}
	return link
}

// accept has the agent take the offer.
func (w *world) accept(a *wallet.Agent) ([]wallet.Held, []wallet.Pending, error) {
	ctx := w.t.Context()
	p, err := a.Offer(ctx, w.link())
	if err != nil {
		return nil, nil, err
	}
	g, err := a.Redeem(ctx, p, string(w.txCode))
	if err != nil {
		return nil, nil, err
	}
	return a.Fetch(ctx, g)
}

// requestLink calls the wallet.
func (w *world) requestLink() string {
	client := w.linked
	if client == (oid4vp.ClientID{}) {
		client = w.request.Client.ID
	}
	i := oid4vp.Invocation{ClientID: client, RequestURI: "https://" + library + "/request/7", Method: w.method}
	return i.URL(oid4vp.Scheme)
}

// Send implements [wallet.Sender].
func (w *world) Send(_ context.Context, r wallet.Request) (wallet.Answer, error) {
	u, err := url.Parse(r.Address)
	if err != nil {
		return wallet.Answer{}, err
	}
	w.seen = append(w.seen, r)
	answer := w.answer(u, r)
	if spoil := w.spoil[u.Path]; spoil != nil {
		spoil(&answer)
		if answer.Status == 0 {
			return answer, errors.New("connection refused")
		}
	}
	return answer, nil
}

func (w *world) json(b []byte, err error) wallet.Answer {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	return wallet.Answer{Status: 200, Type: oid4vci.JSONType, Body: b}
}

// failed is the error of a server.
func failed(err error, at oid4vci.Server) wallet.Answer {
	e := &oid4vci.Error{}
	if !errors.As(err, &e) {
		return wallet.Answer{Status: 500, Body: []byte(err.Error())}
	}
	return wallet.Answer{Status: e.Status(at), Type: oid4vci.JSONType, Body: e.JSON(), Header: map[string][]string{}}
}

func (w *world) answer(u *url.URL, r wallet.Request) wallet.Answer {
	form, _ := url.ParseQuery(string(r.Body))
	switch u.Path {
	case "/offer/1":
		return w.json(w.offer.JSON())
	case "/.well-known/openid-credential-issuer":
		if w.sign && strings.Contains(r.Accept, oid4vci.JWTType) {
			s := keystest.Signer(w.t, keys.Metadata, keys.ES256, "metadata")
			token, err := oid4vci.SignMetadata(rand.Reader, s, [][]byte{w.certificate(s, "Ministry of licences", issuerURL)}, w.meta, now, time.Time{})
			a := w.json([]byte(token), err)
			a.Type = oid4vci.JWTType
			return a
		}
		return w.json(w.meta.JSON())
	case "/.well-known/oauth-authorization-server":
		return w.json(w.server.JSON())
	case "/.well-known/jwt-vc-issuer":
		return w.json(sdjwt.IssuerMetadata(issuerURL, []keys.Key{w.signer.Key()}, now))
	case "/type/licence":
		return w.json([]byte(w.document), nil)
	case "/jwks.json":
		return w.json(keys.JWKS([]keys.Key{keystest.Signer(w.t, keys.StatusList, keys.ES256, "status").Key()}), nil)
	case "/status/1":
		token, err := status.SignJWT(rand.Reader, keystest.Signer(w.t, keys.StatusList, keys.ES256, "status"), status.TokenInfo{
			URI: issuerURL + "/status/1", IssuedAt: w.now, Expires: w.now.Add(time.Hour), TTL: time.Minute, List: w.list,
		}, w.now, jose.Tokens{})
		a := w.json(token, err)
		a.Type = status.MediaTypeJWT
		return a
	case "/par":
		return w.par(r, form)
	case "/token":
		return w.tokens(r, form)
	case "/nonce":
		w.nonce++
		return w.json(oid4vci.NonceResponse("nonce-" + string(rune('0'+w.nonce))))
	case "/credential", "/deferred":
		return w.credential(u.Path, r)
	case "/notification":
		n, err := oid4vci.ReadNotification(r.Type, r.Body)
		if err != nil {
			return failed(err, oid4vci.ResourceServer)
		}
		w.events = append(w.events, n.Event)
		return wallet.Answer{Status: 204}
	case "/request/7":
		return w.requestObject(r, form)
	case "/response/7":
		got, err := oid4vp.ParseResponse(form, oid4vp.ExpectResponse{Mode: w.request.ResponseMode, State: w.request.State, Key: w.answerKey})
		if err != nil {
			return wallet.Answer{Status: 400}
		}
		w.response = got
		return w.json(oid4vp.Reply{RedirectURI: w.next}.JSON(), nil)
	}
	return wallet.Answer{Status: 404}
}

// proven checks the DPoP proof of a request, and asks for nonces as long as there are
// some to ask for.
func (w *world) proven(r wallet.Request, at oid4vci.Server, token oid4vci.Secret) *wallet.Answer {
	want := oid4vci.DPoPExpect{Method: "POST", URL: r.Address, Now: w.now, MaxAge: time.Minute, Algorithms: es256, At: at, AccessToken: token}
	if at == oid4vci.ResourceServer {
		d, err := oid4vci.CheckDPoP([]string{r.Header[oid4vci.DPoPHeader]}, oid4vci.DPoPExpect{Method: "POST", URL: r.Address, Now: w.now, MaxAge: time.Minute, Algorithms: es256, At: oid4vci.AuthorizationServer})
		if err != nil {
			a := failed(err, at)
			return &a
		}
		want.Key = d.Thumbprint
	}
	d, err := oid4vci.CheckDPoP([]string{r.Header[oid4vci.DPoPHeader]}, want)
	if err != nil {
		a := failed(err, at)
		return &a
	}
	if len(w.dpop) > 0 && d.Nonce != w.dpop[0] {
		a := failed(oid4vci.NeedDPoPNonce(), at)
		a.Header[oid4vci.DPoPNonceHeader] = []string{w.dpop[0]}
		return &a
	}
	return nil
}

func (w *world) par(r wallet.Request, form url.Values) wallet.Answer {
	if a := w.proven(r, oid4vci.AuthorizationServer, ""); a != nil {
		return *a
	}
	request, err := oid4vci.ParsePushedRequest(form)
	if err != nil {
		return failed(err, oid4vci.AuthorizationServer)
	}
	w.pushed = request
	a := w.json(oid4vci.PushedResponse{RequestURI: "urn:ietf:params:oauth:request_uri:1", Lifetime: time.Minute}.JSON())
	a.Status = 201
	return a
}

func (w *world) tokens(r wallet.Request, form url.Values) wallet.Answer {
	if a := w.proven(r, oid4vci.AuthorizationServer, ""); a != nil {
		return *a
	}
	request, err := oid4vci.ParseTokenRequest(form)
	if err == nil && request.Grant == oid4vci.PreAuthorizedCode {
		if err = request.CheckTxCode(w.txCode != ""); err == nil && (request.PreAuthorizedCode != "code-1" || request.TxCode != w.txCode) {
			err = oid4vci.WrongGrant()
		}
	} else if err == nil && request.Grant == oid4vci.RefreshToken {
		// One that was used before would be in two hands (OA-09).
		if string(request.RefreshToken) != w.refresh || request.ClientID != w.client {
			w.t.Errorf("the wallet shows the refresh token %q of %q", string(request.RefreshToken), request.ClientID)
			err = oid4vci.WrongGrant()
		}
		w.access, w.refresh = "new-"+w.access, "new-"+w.refresh
	} else if err == nil {
		if err = oid4vci.CheckVerifier(w.pushed.Challenge, request.Verifier); err == nil && request.Code != "code-2" {
			err = oid4vci.WrongGrant()
		}
	}
	if err != nil {
		return failed(err, oid4vci.AuthorizationServer)
	}
	w.client = request.ClientID
	response := oid4vci.TokenResponse{AccessToken: oid4vci.Secret(w.access), Type: oid4vci.DPoPToken, Lifetime: 5 * time.Minute, RefreshToken: oid4vci.Secret(w.refresh)}
	for _, id := range w.offer.Configurations {
		response.Details = append(response.Details, oid4vci.AuthorizationDetail{Configuration: id, Identifiers: []string{id + "#1"}})
	}
	return w.json(response.JSON())
}

// credential answers the credential and the deferred endpoint.
func (w *world) credential(path string, r wallet.Request) wallet.Answer {
	token, err := oid4vci.ParseAuthorization([]string{r.Header["Authorization"]}, oid4vci.DPoPToken)
	if err != nil {
		return failed(err, oid4vci.ResourceServer)
	}
	if string(token) != w.access {
		return failed(oid4vci.NewError(oid4vci.InvalidToken, nil, "the access token has ended"), oid4vci.ResourceServer)
	}
	if a := w.proven(r, oid4vci.ResourceServer, token); a != nil {
		return *a
	}
	expect := oid4vci.RequestExpect{Keys: []*jose.DecryptionKey{w.decrypt}, Encryptions: oid4vp.AllEncryptions(), ResponseEncryptions: oid4vp.AllEncryptions()}
	var to *oid4vci.ResponseKey
	var id string
	var holders []keys.PublicKey
	if path == "/deferred" {
		d, err := expect.DeferredRequest(r.Type, r.Body)
		if err != nil {
			return failed(err, oid4vci.ResourceServer)
		}
		id, to = string(d.TransactionID), d.Response
		var ok bool
		if holders, ok = w.waiting[id]; !ok {
			return failed(oid4vci.UnknownTransaction(), oid4vci.ResourceServer)
		}
	} else {
		c, err := expect.CredentialRequest(r.Type, r.Body)
		if err != nil {
			return failed(err, oid4vci.ResourceServer)
		}
		w.tries++
		proven, err := oid4vci.CheckProofs(c.Proofs, oid4vci.ProofExpect{Issuer: issuerURL, Types: w.meta.Configurations[0].Proofs, BatchSize: 3, Now: w.now, MaxAge: time.Minute, NeedNonce: true, ClientID: w.client})
		if err != nil {
			return failed(err, oid4vci.ResourceServer)
		}
		if want := "nonce-" + string(rune('0'+w.nonce)); len(proven.Nonces) != 1 || proven.Nonces[0] != want || w.spoil["nonce"] != nil && w.tries == 1 {
			return failed(oid4vci.WrongNonce(), oid4vci.ResourceServer)
		}
		id, holders, to = fmt.Sprint("transaction-", w.tries), proven.Keys, c.Response
		w.waiting[id] = holders
	}
	response := oid4vci.CredentialResponse{TransactionID: oid4vci.Secret(id), Interval: time.Minute}
	if w.deferred == 0 {
		delete(w.waiting, id)
		response = oid4vci.CredentialResponse{NotificationID: "notification-1"}
		for i, holder := range holders {
			response.Credentials = append(response.Credentials, w.forge(i, w.issue(w.token(i, holder))))
		}
	} else {
		w.deferred--
	}
	status, contentType, body, err := response.Encode(to)
	if err != nil {
		w.t.Fatal(err)
	}
	return wallet.Answer{Status: status, Type: contentType, Body: body}
}

// issue signs a credential.
func (w *world) issue(token sdjwt.Token) string {
	w.t.Helper()
	d, err := sdjwt.NewDraft(nil, token, w.signer.Key().Public)
	if err != nil {
		w.t.Fatal(err)
	}
	text, err := d.Sign(rand.Reader, w.signer, now)
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

func (w *world) requestObject(r wallet.Request, form url.Values) wallet.Answer {
	request := *w.request
	if w.method == oid4vp.Post {
		metadata, nonce, err := oid4vp.ParseRequestForm(form)
		if err != nil || metadata == nil || nonce == "" || r.Type != oid4vp.FormMediaType {
			w.t.Errorf("the wallet posted %q: %v", form, err)
		}
		request.WalletNonce = nonce
	}
	token, err := request.Sign(rand.Reader, w.signature)
	a := w.json([]byte(w.object(token)), err)
	a.Type = oid4vp.RequestMediaType
	return a
}
