package interop_test

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	apiverifier "github.com/sanad-id/sanad/api/verifier"
	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/chain"
	"github.com/sanad-id/sanad/keys/keystest"
	"github.com/sanad-id/sanad/oid4vp"
)

const (
	verifierHost = "verifier.example"
	responseURI  = "https://verifier.example/response/7"
	requestURI   = "https://verifier.example/request/7"
	verifierDID  = "did:web:verifier.example"
)

// A gate is a verifier, ours or theirs, with a certificate under a national root.
type gate struct {
	*peer
	now     time.Time
	root    *x509.Certificate
	issuer  keys.Signer
	holder  keys.PublicKey // of the wallet
	issued  string
	request *oid4vp.Request
	decrypt *jose.DecryptionKey
	roots   []apiverifier.IssuerRoot // whose certificates the server believes
	lists   apiverifier.ListSource   // of their issuers
}

// newGate makes a request of ours and, for the key of this wallet, a credential.
func newGate(t *testing.T, p *peer, holder keys.PublicKey) *gate {
	g := &gate{peer: p, now: time.Now().Truncate(time.Second), issuer: keystest.Signer(t, keys.Credential, keys.ES256, "issuer"), holder: holder}
	authority := keystest.Signer(t, keys.CertificateRoot, keys.ES256, "root")
	der, err := chain.NewRoot(rand.Reader, authority, chain.Name{Organization: "National root", Country: "XA"}, g.now.AddDate(-1, 0, 0), g.now.AddDate(9, 0, 0))
	if err == nil {
		g.root, err = chain.ParseRoot(der)
	}
	if err != nil {
		t.Fatal(err)
	}
	hide := func(v any) any { return sdjwt.Hidden{Value: v} }
	d, err := sdjwt.NewDraft(nil, sdjwt.Token{
		Issuer: issuerURL, Type: vct, IssuedAt: g.now.AddDate(0, -1, 0), Expires: g.now.AddDate(1, 0, 0), Holder: &holder,
		X5C: [][]byte{g.certificate(t, g.issuer.Key().Public, "Registry", issuerURL)},
		Claims: map[string]any{
			"given_name": hide("Arthur"), "family_name": hide("Dent"), "nationalities": []any{hide("British"), hide("Betelgeusian")},
			"address": hide(map[string]any{"locality": hide("Milliways"), "street": hide("42 Market Street")}),
		},
	}, g.issuer.Key().Public)
	if err == nil {
		g.issued, err = d.Sign(rand.Reader, g.issuer, g.now)
	}
	if err != nil {
		t.Fatal(err)
	}
	if g.decrypt, err = jose.NewDecryptionKey("request 7"); err != nil {
		t.Fatal(err)
	}
	g.request = &oid4vp.Request{
		ResponseMode: oid4vp.DirectPostJWT, ResponseURI: responseURI, Nonce: secret(t), State: secret(t),
		IssuedAt: g.now, Expires: g.now.Add(oid4vp.MaxLife),
		Query: &oid4vp.Query{Credentials: []oid4vp.CredentialQuery{{
			ID: "birth", Format: credential.FormatSDJWT, Types: []string{vct},
			Claims: []oid4vp.ClaimQuery{{Path: sdjwt.Path{"given_name"}}, {Path: sdjwt.Path{"address", "locality"}}},
		}}},
		Metadata: &oid4vp.ClientMetadata{
			Keys: []jose.EncryptionKey{g.decrypt.Public()}, Encryptions: oid4vp.AllEncryptions(), Formats: oid4vp.SDJWTFormat(),
		},
		Policy: &oid4vp.Policy{Purpose: map[string]string{"en": "To make your library card."}},
	}
	return g
}

func (g *gate) certificate(t *testing.T, key keys.PublicKey, name, address string) []byte {
	t.Helper()
	authority := keystest.Signer(t, keys.CertificateRoot, keys.ES256, "root")
	subject := chain.Subject{Name: chain.Name{Organization: name}, Address: address, Key: key}
	der, err := chain.Issue(rand.Reader, g.root, authority, subject, g.now.AddDate(0, -1, 0), g.now.AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func secret(t *testing.T) string {
	t.Helper()
	s, err := oid4vp.NewSecret(nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A resolved request is what a wallet of theirs reads.
type resolved struct {
	Client       struct{ Prefix, Effective string }
	Payload      map[string]any
	Query        json.RawMessage
	Transactions []map[string]any
	Version      int
	Fetched      []struct{ URL, Method, Body string }
}

// frame is a disclosure frame of @sd-jwt for the claims that every wallet here
// discloses.
var frame = map[string]any{"given_name": true, "address": map[string]any{"locality": true}}

// TestTheirWallet: their wallet reads our requests and we read its responses, by
// each way to name a verifier.
func TestTheirWallet(t *testing.T) {
	p := startPeer(t, "vp.mjs")
	holder, _ := theirKey(p, "holder")
	signer := keystest.Signer(t, keys.Request, keys.ES256, "library")
	for name, change := range map[string]func(g *gate, s *oid4vp.Signature){
		"x509_hash, encrypted with A128GCM": func(*gate, *oid4vp.Signature) {},
		"x509_san_dns": func(g *gate, _ *oid4vp.Signature) {
			g.request.Client.ID = oid4vp.ClientID{Prefix: oid4vp.X509SANDNS, Name: verifierHost}
		},
		"a DID": func(g *gate, s *oid4vp.Signature) {
			g.request.Client.ID = oid4vp.ClientID{Prefix: oid4vp.DecentralizedIdentifier, Name: verifierDID}
			s.X5C, s.KeyID = nil, verifierDID+"#1"
		},
		"a redirect URI, unsigned": func(g *gate, _ *oid4vp.Signature) {
			g.request.Client.ID = oid4vp.ClientID{Prefix: oid4vp.RedirectURI, Name: responseURI}
		},
		"in the clear": func(g *gate, _ *oid4vp.Signature) { g.request.ResponseMode = oid4vp.DirectPost },
		"transaction data": func(g *gate, _ *oid4vp.Signature) {
			d, err := oid4vp.NewTransactionData("urn:example:loan", []string{"birth"}, map[string]any{"book": "17"})
			if err != nil {
				t.Fatal(err)
			}
			g.request.TransactionData = []oid4vp.TransactionData{d}
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, p, holder)
			leaf := g.certificate(t, signer.Key().Public, "City library", "https://"+verifierHost)
			g.request.Client.ID = oid4vp.NewX509Hash(leaf)
			s := oid4vp.Signature{Signer: signer, X5C: [][]byte{leaf}}
			change(g, &s)
			got := g.resolve(t, s)
			query, err := g.request.Query.JSON()
			if err != nil || !sameJSON(t, query, got.Query) || got.Version != 100 || got.Client.Effective != g.request.Client.ID.String() {
				t.Fatalf("resolved %+v, %v", got, err)
			}
			if len(got.Transactions) != len(g.request.TransactionData) || len(got.Transactions) == 1 && got.Transactions[0]["book"] != "17" {
				t.Errorf("transactions %v", got.Transactions)
			}
			kb := map[string]any{"aud": got.Client.Effective, "nonce": got.Payload["nonce"], "iat": g.now.Unix()}
			maps.Copy(kb, oid4vp.TransactionClaims(g.request.TransactionData))
			var shown string
			p.call("present", map[string]any{"token": g.issued, "frame": frame, "kb": kb}, &shown)
			var form map[string]string
			p.call("respond", map[string]any{"payload": got.Payload, "token": map[string]any{"birth": []any{shown}}, "enc": "A128GCM"}, &form)
			g.judge(t, values(form))
			// What their wallet sent is of no use for another request.
			g.request.State = secret(t)
			if got, err := oid4vp.ParseResponse(values(form), g.expected()); !errors.Is(err, oid4vp.ErrState) {
				t.Errorf("VP-01: %+v, %v", got, err)
			}
		})
	}
}

// resolve has their wallet read our request.
func (g *gate) resolve(t *testing.T, s oid4vp.Signature) resolved {
	t.Helper()
	i := &oid4vp.Invocation{ClientID: g.request.Client.ID, RequestURI: requestURI, Method: oid4vp.Post}
	args := map[string]any{"dids": map[string]json.RawMessage{verifierDID + "#1": s.Signer.Key().Public.BareJWK()}}
	var err error
	if g.request.Client.ID.Signed() {
		if args["object"], err = g.request.Sign(rand.Reader, s); err != nil {
			t.Fatal(err)
		}
	} else if i, err = g.request.Unsigned(); err != nil {
		t.Fatal(err)
	}
	args["link"] = i.URL(oid4vp.Scheme)
	args["metadata"] = map[string]any{"vp_formats_supported": map[string]any{"dc+sd-jwt": map[string]any{"sd-jwt_alg_values": []string{"ES256"}, "kb-jwt_alg_values": []string{"ES256"}}}}
	var got resolved
	g.call("resolve", args, &got)
	if !g.request.Client.ID.Signed() {
		return got
	}
	if len(got.Fetched) != 1 || got.Fetched[0].Method != "post" && got.Fetched[0].Method != "POST" {
		t.Fatalf("fetched %+v", got.Fetched)
	}
	// Version 0.4.6 posts the members of the metadata and not wallet_metadata (section
	// 5.10): parameters that we do not know, so that it said nothing.
	body, err := url.ParseQuery(got.Fetched[0].Body)
	if err != nil {
		t.Fatal(err)
	}
	if m, nonce, err := oid4vp.ParseRequestForm(body); err != nil || m != nil || nonce != "" || !body.Has("vp_formats_supported") {
		t.Errorf("posted %s: %+v, %q, %v", got.Fetched[0].Body, m, nonce, err)
	}
	return got
}

func (g *gate) expected() oid4vp.ExpectResponse {
	e := oid4vp.ExpectResponse{Mode: g.request.ResponseMode, State: g.request.State}
	if e.Mode == oid4vp.DirectPostJWT {
		e.Key = g.decrypt
	}
	return e
}

// judge is our verifier.
func (g *gate) judge(t *testing.T, form url.Values) {
	t.Helper()
	got, err := oid4vp.ParseResponse(form, g.expected())
	if err != nil || got.Token.Count() != 1 {
		t.Fatalf("ParseResponse: %+v, %v", got, err)
	}
	text := got.Token["birth"][0]
	v, err := sdjwt.Verify(text, sdjwt.Expect{
		Keys: oneKey{g.issuer.Key().Public}, Now: g.now, Binding: sdjwt.BindingRequired, Audience: g.request.Client.ID.String(), Nonce: g.request.Nonce, MaxAge: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	if names := claimNames(v); !slices.Equal(names, []string{"address", "given_name", "nationalities"}) {
		t.Errorf("shown: %v", names)
	}
	parsed, err := sdjwt.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	c, err := oid4vp.ShownSDJWT(parsed)
	if err != nil {
		t.Fatal(err)
	}
	a, err := g.request.Query.Answered([]oid4vp.Presented{{Query: "birth", Credential: c}})
	if err != nil || !a.Complete {
		t.Errorf("Answered: %+v, %v", a, err)
	}
	if err := g.request.Authorised(got.Token); err != nil {
		t.Error(err)
	}
}

// TestTheirWalletRefuses what ours refuses: the two agree on who asks.
func TestTheirWalletRefuses(t *testing.T) {
	p := startPeer(t, "vp.mjs")
	holder, _ := theirKey(p, "holder")
	signer := keystest.Signer(t, keys.Request, keys.ES256, "library")
	g := newGate(t, p, holder)
	leaf := g.certificate(t, signer.Key().Public, "City library", "https://"+verifierHost)
	g.request.Client.ID = oid4vp.NewX509Hash(leaf)
	object, err := g.request.Sign(rand.Reader, oid4vp.Signature{Signer: signer, X5C: [][]byte{leaf}})
	if err != nil {
		t.Fatal(err)
	}
	id := g.request.Client.ID.String()
	for name, tt := range map[string]struct{ client, object string }{
		"VP-06 another client in the link":      {"x509_san_dns:" + verifierHost, object},
		"VP-05 a client that cannot sign":       {"redirect_uri:" + responseURI, object},
		"JWS-02 another signature":              {id, object[:len(object)-8] + "AAAAAAAA"},
		"JWS-10 no token":                       {id, "x"},
		"VP-05 the hash of another certificate": {"x509_hash:Uvo3HtuIxuhC92rShpgqcT3YXwrqRxWEviRiA0OZszk", object},
	} {
		link := "openid4vp://?" + url.Values{"client_id": {tt.client}, "request_uri": {requestURI}}.Encode()
		theirs := p.ask("resolve", map[string]any{"link": link, "object": tt.object}, nil)
		i, err := oid4vp.ParseInvocation(link)
		if err != nil {
			t.Fatal(err)
		}
		_, err = i.Open(t.Context(), tt.object, oid4vp.Expect{Now: g.now, Chains: oid4vp.Roots{g.root}})
		if theirs == "" || err == nil {
			t.Errorf("%s: ours %v, theirs %q", name, err, theirs)
		}
	}
}

// TestTheirVerifier: our wallet reads their requests, and their verifier our
// responses.
func TestTheirVerifier(t *testing.T) {
	p := startPeer(t, "vp.mjs")
	verifier, _ := theirKey(p, "verifier")
	holder := keystest.Signer(t, keys.Holder, keys.ES256, "holder")
	for _, tt := range []struct {
		name string
		mode oid4vp.ResponseMode
		more map[string]any // members of the request
		did  bool
	}{
		{name: "x509_hash, encrypted", mode: oid4vp.DirectPostJWT},
		{name: "a DID, in the clear", mode: oid4vp.DirectPost, did: true},
		{name: "transaction data", mode: oid4vp.DirectPostJWT, more: map[string]any{
			// {"type":"urn:example:loan","credential_ids":["birth"],"book":"17"}
			"transaction_data": []string{base64.RawURLEncoding.EncodeToString([]byte(`{"type":"urn:example:loan","credential_ids":["birth"],"book":"17"}`))},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGate(t, p, holder.Key().Public)
			leaf := g.certificate(t, verifier, "Their shop", "https://"+verifierHost)
			payload := map[string]any{
				"response_type": "vp_token", "response_mode": string(tt.mode), "response_uri": responseURI, "client_id": oid4vp.NewX509Hash(leaf).String(),
				"nonce": secret(t), "state": secret(t),
				"dcql_query": map[string]any{"credentials": []any{map[string]any{
					"id": "birth", "format": "dc+sd-jwt", "meta": map[string]any{"vct_values": []string{vct}},
					"claims": []any{map[string]any{"path": []any{"given_name"}}, map[string]any{"path": []any{"address", "locality"}}},
				}}},
				"client_metadata": map[string]any{
					"vp_formats_supported":                    map[string]any{"dc+sd-jwt": map[string]any{"sd-jwt_alg_values": []string{"ES256"}, "kb-jwt_alg_values": []string{"ES256"}}},
					"encrypted_response_enc_values_supported": []string{"A128GCM", "A256GCM"},
				},
			}
			maps.Copy(payload, tt.more)
			args := map[string]any{"payload": payload, "requestUri": requestURI, "aud": oid4vp.StaticAudience, "x5c": []string{base64.StdEncoding.EncodeToString(leaf)}}
			want := oid4vp.Expect{
				Now: g.now, Chains: oid4vp.Roots{g.root}, Plain: true, DIDs: oneMethod{verifier},
				TransactionTypes: map[string]oid4vp.TransactionType{"urn:example:loan": func(map[string]any) error { return nil }},
			}
			if tt.did {
				payload["client_id"], args["did"] = "decentralized_identifier:"+verifierDID, verifierDID+"#1"
				delete(args, "x5c")
			}
			var sent struct {
				Link, Object string
				Payload      json.RawMessage
			}
			p.call("request", args, &sent)
			i, err := oid4vp.ParseInvocation(sent.Link)
			if err != nil {
				t.Fatal(err)
			}
			r, err := i.Open(t.Context(), sent.Object, want)
			if err != nil || r.Nonce != payload["nonce"] || r.Client.ID.String() != payload["client_id"] || len(r.TransactionData) != len(tt.more) {
				t.Fatalf("Open: %+v, %v", r, err)
			}
			if !tt.did && (r.Client.Subject != "Their shop" || r.Client.Anchor != "National root") {
				t.Errorf("client %+v", r.Client)
			}
			token := g.answer(t, r, holder)
			form, err := r.Respond(token)
			if err != nil {
				t.Fatal(err)
			}
			flat := map[string]string{}
			for name := range form {
				flat[name] = form.Get(name)
			}
			received := map[string]any{"payload": sent.Payload, "form": flat}
			if tt.more != nil {
				claims := oid4vp.TransactionClaims(r.TransactionData)
				received["hashes"] = map[string]any{"birth": []any{claims}}
			}
			var got struct {
				Presentations map[string][]string
				Nonce         string
				Transactions  []string
			}
			p.call("received", received, &got)
			if !reflect.DeepEqual(oid4vp.VPToken(got.Presentations), token) || got.Nonce != r.Nonce || tt.more != nil && !slices.Equal(got.Transactions, []string{"birth"}) {
				t.Errorf("received %+v", got)
			}
			var verified struct{ Payload, KB map[string]any }
			p.call("verify", map[string]any{
				"token": got.Presentations["birth"][0], "issuer": json.RawMessage(g.issuer.Key().Public.BareJWK()), "nonce": r.Nonce, "now": g.now.Unix(),
			}, &verified)
			if verified.Payload["given_name"] != "Arthur" || verified.Payload["family_name"] != nil || verified.KB["aud"] != r.Client.ID.String() {
				t.Errorf("verified %+v", verified)
			}
		})
	}
}

// answer is our wallet: the least that answers.
func (g *gate) answer(t *testing.T, r *oid4vp.Request, holder keys.Signer) oid4vp.VPToken {
	t.Helper()
	parsed, err := sdjwt.Parse(g.issued)
	if err != nil {
		t.Fatal(err)
	}
	held, err := oid4vp.HeldSDJWT(parsed)
	if err != nil {
		t.Fatal(err)
	}
	choices, err := r.Query.Match([]oid4vp.Credential{held}).Default()
	if err != nil {
		t.Fatal(err)
	}
	data, err := r.Authorise(choices)
	if err != nil {
		t.Fatal(err)
	}
	text, err := sdjwt.Present(g.issued, choices[0].Disclose()...)
	if err == nil {
		text, err = sdjwt.Bind(rand.Reader, text, r.Proof(g.now, data[0]), holder)
	}
	if err != nil {
		t.Fatal(err)
	}
	return oid4vp.VPToken{"birth": {text}}
}

// TestTheirAudience: without an audience of the caller's, version 0.4.6 names its own
// request URI, as drafts of JAR did. Section 5.8 has https://self-issued.me/v2.
func TestTheirAudience(t *testing.T) {
	p := startPeer(t, "vp.mjs")
	verifier, _ := theirKey(p, "verifier")
	g := newGate(t, p, verifier)
	leaf := g.certificate(t, verifier, "Their shop", "https://"+verifierHost)
	query, err := g.request.Query.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var sent struct{ Link, Object string }
	p.call("request", map[string]any{
		"payload": map[string]any{
			"response_type": "vp_token", "response_mode": "direct_post.jwt", "response_uri": responseURI, "client_id": oid4vp.NewX509Hash(leaf).String(),
			"nonce": secret(t), "dcql_query": json.RawMessage(query), "client_metadata": map[string]any{"vp_formats_supported": map[string]any{"dc+sd-jwt": map[string]any{}}},
		},
		"requestUri": requestURI, "x5c": []string{base64.StdEncoding.EncodeToString(leaf)},
	}, &sent)
	i, err := oid4vp.ParseInvocation(sent.Link)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := i.Open(t.Context(), sent.Object, oid4vp.Expect{Now: g.now, Chains: oid4vp.Roots{g.root}}); !errors.Is(err, oid4vp.ErrAudience) {
		t.Errorf("Open: %+v, %v", r, err)
	}
}

// oneMethod is the key of every verification method of the DID of the verifier.
type oneMethod struct{ key keys.PublicKey }

func (o oneMethod) Method(_ context.Context, did, _ string) (oid4vp.Vouched, error) {
	if did != verifierDID {
		return oid4vp.Vouched{}, errors.New("no such DID")
	}
	return oid4vp.Vouched{Key: o.key, Anchor: "did:web", Hosts: []string{verifierHost}}, nil
}

func values(form map[string]string) url.Values {
	v := url.Values{}
	for name, s := range form {
		v.Set(name, s)
	}
	return v
}

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y any
	if err := errors.Join(json.Unmarshal(a, &x), json.Unmarshal(b, &y)); err != nil {
		t.Fatal(err)
	}
	return reflect.DeepEqual(x, y)
}

// TestTheirWalletOverHTTP: the whole exchange over a line, with media types, statuses
// and the reply as they travel.
func TestTheirWalletOverHTTP(t *testing.T) {
	p := startPeer(t, "vp.mjs")
	holder, _ := theirKey(p, "holder")
	signer := keystest.Signer(t, keys.Request, keys.ES256, "library")
	g := newGate(t, p, holder)
	leaf := g.certificate(t, signer.Key().Public, "City library", "https://"+verifierHost)
	g.request.Client.ID = oid4vp.NewX509Hash(leaf)
	done, err := oid4vp.WithResponseCode("https://"+verifierHost+"/done", secret(t))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/request", func(w http.ResponseWriter, r *http.Request) {
		// HTTP field values are told apart without their parameters.
		if err := r.ParseForm(); err != nil || r.Method != http.MethodPost || !strings.HasPrefix(r.Header.Get("Accept"), oid4vp.RequestMediaType) {
			t.Errorf("%s for %q: %v", r.Method, r.Header.Get("Accept"), err)
		}
		object, err := g.request.Sign(rand.Reader, oid4vp.Signature{Signer: signer, X5C: [][]byte{leaf}})
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", oid4vp.RequestMediaType)
		_, _ = io.WriteString(w, object)
	})
	var posted url.Values
	mux.HandleFunc("/response", func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil || r.Method != http.MethodPost || !strings.HasPrefix(r.Header.Get("Content-Type"), oid4vp.FormMediaType) {
			t.Errorf("%s of %q: %v", r.Method, r.Header.Get("Content-Type"), err)
		}
		posted = r.PostForm
		w.Header().Set("Content-Type", oid4vp.ReplyMediaType)
		_, _ = w.Write(oid4vp.Reply{RedirectURI: done}.JSON())
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	g.request.ResponseURI = server.URL + "/response"

	i := &oid4vp.Invocation{ClientID: g.request.Client.ID, RequestURI: server.URL + "/request", Method: oid4vp.Post}
	var got resolved
	p.call("resolve", map[string]any{
		"link": i.URL("https://wallet.example/open"), "loopback": true,
		"metadata": map[string]any{"vp_formats_supported": map[string]any{"dc+sd-jwt": map[string]any{}}},
	}, &got)
	var shown string
	p.call("present", map[string]any{
		"token": g.issued, "frame": frame, "kb": map[string]any{"aud": got.Client.Effective, "nonce": got.Payload["nonce"], "iat": g.now.Unix()},
	}, &shown)
	var answer struct {
		Status     int
		Type, Body string
	}
	p.call("respond", map[string]any{"payload": got.Payload, "token": map[string]any{"birth": []any{shown}}, "enc": "A256GCM", "send": true}, &answer)
	reply, err := oid4vp.ParseReply([]byte(answer.Body), false)
	if answer.Status != http.StatusOK || !strings.HasPrefix(answer.Type, oid4vp.ReplyMediaType) || err != nil || reply.RedirectURI != done {
		t.Fatalf("answered %+v: %v", answer, err)
	}
	g.judge(t, posted)
}
