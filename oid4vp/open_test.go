package oid4vp_test

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/chain"
	"github.com/sanad-id/sanad/keys/keystest"
	"github.com/sanad-id/sanad/oid4vp"
)

// A forger changes a good request and has it signed again.
type forger struct {
	*scene
	link    url.Values     // of the invocation
	payload map[string]any // of the request object
	header  jose.Header
	signer  keys.Signer
	// object replaces the signed object if it is not "".
	object string
}

func newForger(t testing.TB, s *scene) *forger {
	t.Helper()
	f := &forger{scene: s, signer: s.signature.Signer}
	f.header = jose.Header{Type: oid4vp.RequestType, X5C: s.signature.X5C, KeyID: s.signature.KeyID}
	f.link = url.Values{"client_id": {s.request.Client.ID.String()}, "request_uri": {fetchFrom}, "request_uri_method": {"post"}}
	part := strings.Split(s.object(t), ".")[1]
	b, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &f.payload); err != nil {
		t.Fatal(err)
	}
	return f
}

// open has the wallet open what the forger made.
func (f *forger) open(t testing.TB) (*oid4vp.Request, error) {
	t.Helper()
	i, err := oid4vp.ParseInvocation("openid4vp://?" + f.link.Encode())
	if err != nil {
		return nil, err
	}
	object := f.object
	if object == "" {
		b, err := json.Marshal(f.payload)
		if err != nil {
			t.Fatal(err)
		}
		token, err := jose.Sign(rand.Reader, f.signer, f.header, b)
		if err != nil {
			t.Fatal(err)
		}
		object = string(token)
	}
	return i.Open(t.Context(), object, f.want)
}

// sub is an object inside of the payload.
func (f *forger) sub(names ...string) map[string]any {
	m := f.payload
	for _, n := range names {
		m = m[n].(map[string]any)
	}
	return m
}

// leaf gives the forger a certificate under the root, for its own key.
func (f *forger) leaf(t testing.TB, name, address string) {
	f.signer = keystest.Signer(t, keys.Request, keys.ES256, "mallory")
	f.header.X5C = [][]byte{certificate(t, f.root, f.signer, name, address)}
}

// alsoNamed gives the forger's certificate one more DNS name.
func (f *forger) alsoNamed(t testing.TB, name string) {
	t.Helper()
	one, err := x509.ParseCertificate(f.header.X5C[0])
	if err != nil {
		t.Fatal(err)
	}
	two := &x509.Certificate{
		SerialNumber: one.SerialNumber, Subject: one.Subject, NotBefore: one.NotBefore, NotAfter: one.NotAfter, KeyUsage: one.KeyUsage,
		ExtKeyUsage: one.ExtKeyUsage, UnknownExtKeyUsage: one.UnknownExtKeyUsage, BasicConstraintsValid: one.BasicConstraintsValid,
		DNSNames: append(one.DNSNames, name), URIs: one.URIs, CRLDistributionPoints: one.CRLDistributionPoints,
	}
	der, err := x509.CreateCertificate(rand.Reader, two, f.root, one.PublicKey, keystest.Signer(t, keys.CertificateRoot, keys.ES256, "root"))
	if err != nil {
		t.Fatal(err)
	}
	f.header.X5C = [][]byte{der}
}

// client renames the client everywhere.
func (f *forger) client(id string) {
	f.link.Set("client_id", id)
	f.payload["client_id"] = id
	delete(f.payload, "verifier_info")
}

const did = "did:web:verifier.example"

var openRows = []struct {
	id, name string
	spoil    func(t *testing.T, f *forger)
	code     oid4vp.Code
	want     error
}{
	{"VP-04", "response_uri elsewhere", func(_ *testing.T, f *forger) { f.payload["response_uri"] = "https://evil.example/response/7" }, oid4vp.InvalidRequest, oid4vp.ErrURI},
	{"VP-04", "response_uri below", func(_ *testing.T, f *forger) { f.payload["response_uri"] = "https://a.verifier.example/response/7" }, oid4vp.InvalidRequest, oid4vp.ErrURI},
	{"VP-04", "response_uri with a name that ends so", func(_ *testing.T, f *forger) { f.payload["response_uri"] = "https://evilverifier.example/" }, oid4vp.InvalidRequest, oid4vp.ErrURI},
	{"VP-04", "response_uri with the client as user", func(_ *testing.T, f *forger) { f.payload["response_uri"] = "https://verifier.example@evil.example/" }, oid4vp.InvalidRequest, oid4vp.ErrURI},
	{"VP-04", "response_uri over http", func(_ *testing.T, f *forger) { f.payload["response_uri"] = "http://verifier.example/" }, oid4vp.InvalidRequest, oid4vp.ErrURI},
	{"VP-04", "response_uri over http on loopback", func(_ *testing.T, f *forger) { f.payload["response_uri"] = "http://127.0.0.1/" }, oid4vp.InvalidRequest, oid4vp.ErrURI},
	{"VP-04", "response_uri with a fragment", func(_ *testing.T, f *forger) { f.payload["response_uri"] = response + "#x" }, oid4vp.InvalidRequest, oid4vp.ErrURI},
	{"VP-04", "response_uri with an empty fragment", func(_ *testing.T, f *forger) { f.payload["response_uri"] = response + "#" }, oid4vp.InvalidRequest, oid4vp.ErrURI},
	{"VP-04", "response_uri with a user", func(_ *testing.T, f *forger) { f.payload["response_uri"] = "https://a@verifier.example/response/7" }, oid4vp.InvalidRequest, oid4vp.ErrURI},
	{"VP-04", "response_uri with a backslash", func(_ *testing.T, f *forger) { f.payload["response_uri"] = `https://verifier.example/\response` }, oid4vp.InvalidRequest, oid4vp.ErrURI},
	{"VP-04", "response_uri with a space", func(_ *testing.T, f *forger) { f.payload["response_uri"] = "https://verifier.example/response 7" }, oid4vp.InvalidRequest, oid4vp.ErrURI},
	{"VP-04", "response_uri with a letter beyond ASCII", func(_ *testing.T, f *forger) { f.payload["response_uri"] = "https://verifier.example/\u00fc" }, oid4vp.InvalidRequest, oid4vp.ErrURI},
	{"VP-04", "response_uri without end", func(_ *testing.T, f *forger) { f.payload["response_uri"] = response + strings.Repeat("a", 2048) }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"VP-04", "response_uri of another scheme", func(_ *testing.T, f *forger) { f.payload["response_uri"] = "ftp://verifier.example/response/7" }, oid4vp.InvalidRequest, oid4vp.ErrURI},
	{"VP-04", "response_uri a number", func(_ *testing.T, f *forger) { f.payload["response_uri"] = 7 }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"VP-04", "no response_uri", func(_ *testing.T, f *forger) { delete(f.payload, "response_uri") }, oid4vp.InvalidRequest, oid4vp.ErrURI},
	{"VP-04", "redirect_uri beside response_uri", func(_ *testing.T, f *forger) { f.payload["redirect_uri"] = response }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"VP-04", "request_uri elsewhere", func(_ *testing.T, f *forger) { f.link.Set("request_uri", "https://evil.example/request/7") }, oid4vp.InvalidRequest, oid4vp.ErrURI},
	{"VP-04", "request_uri over http", func(_ *testing.T, f *forger) { f.link.Set("request_uri", "http://verifier.example/request/7") }, oid4vp.InvalidRequest, oid4vp.ErrURI},
	{"VP-04", "request_uri over http on loopback", func(_ *testing.T, f *forger) { f.link.Set("request_uri", "http://localhost/request/7") }, oid4vp.InvalidRequest, oid4vp.ErrURI},
	{"VP-04", "response_uri of another registered client", func(t *testing.T, f *forger) {
		f.registered(t)
		f.payload["response_uri"] = response + "/more"
	}, oid4vp.InvalidRequest, oid4vp.ErrURI},
	{"VP-04", "response_uri at another name of the certificate", func(t *testing.T, f *forger) {
		f.alsoNamed(t, "evil.example")
		f.client("x509_san_dns:" + library)
		if _, err := f.open(t); err != nil {
			t.Fatalf("before it is spoiled: %v", err)
		}
		f.payload["response_uri"] = "https://evil.example/response/7"
	}, oid4vp.InvalidRequest, oid4vp.ErrURI},
	{"VP-04", "a DID without host", func(_ *testing.T, f *forger) { f.did(oid4vp.Vouched{Key: f.signer.Key().Public}) }, oid4vp.InvalidRequest, oid4vp.ErrURI},

	{"VP-04", "another response_uri than that of the client_id", func(t *testing.T, f *forger) {
		f.want.Unsigned = true
		f.request.Client.ID = oid4vp.ClientID{Prefix: oid4vp.RedirectURI, Name: response}
		i, err := f.request.Unsigned()
		if err != nil {
			t.Fatal(err)
		}
		_, query, _ := strings.Cut(i.URL(oid4vp.Scheme), "?")
		if f.link, err = url.ParseQuery(query); err != nil {
			t.Fatal(err)
		}
		if _, err := f.open(t); err != nil {
			t.Fatalf("before it is spoiled: %v", err)
		}
		f.link.Set("response_uri", "https://evil.example/response/7")
	}, oid4vp.InvalidRequest, oid4vp.ErrURI},
	{"VP-05", "x509_san_dns without signature", func(_ *testing.T, f *forger) {
		f.link = url.Values{"client_id": {"x509_san_dns:" + library}, "response_type": {"vp_token"}, "nonce": {"n"}}
		f.want.Unsigned = true
	}, oid4vp.InvalidRequest, oid4vp.ErrSignature},
	{"VP-05", "x509_hash without signature", func(_ *testing.T, f *forger) { f.link.Del("request_uri"); f.link.Del("request_uri_method") }, oid4vp.InvalidRequest, oid4vp.ErrSignature},
	{"VP-05", "redirect_uri with signature", func(_ *testing.T, f *forger) { f.client("redirect_uri:" + response); f.want.Unsigned = true }, oid4vp.InvalidRequest, oid4vp.ErrClient},
	{"VP-05", "redirect_uri where signatures are wanted", func(_ *testing.T, f *forger) {
		f.link = url.Values{"client_id": {"redirect_uri:" + response}, "response_type": {"vp_token"}, "nonce": {"n"}}
	}, oid4vp.InvalidRequest, oid4vp.ErrSignature},
	{"VP-05", "origin", func(_ *testing.T, f *forger) { f.client("origin:https://verifier.example") }, oid4vp.InvalidRequest, oid4vp.ErrClient},
	{"VP-05", "the hash of another certificate", func(t *testing.T, f *forger) { f.leaf(t, "City library", "https://verifier.example") }, oid4vp.InvalidRequest, oid4vp.ErrClient},
	{"VP-05", "the DNS name of another certificate", func(t *testing.T, f *forger) {
		f.leaf(t, "Mallory", "https://evil.example")
		f.client("x509_san_dns:verifier.example")
	}, oid4vp.InvalidRequest, oid4vp.ErrClient},
	{"VP-05", "a name below that of the certificate", func(_ *testing.T, f *forger) { f.client("x509_san_dns:a.verifier.example") }, oid4vp.InvalidRequest, oid4vp.ErrClient},
	{"VP-05", "no x5c", func(_ *testing.T, f *forger) { f.header.X5C = nil }, oid4vp.InvalidRequest, oid4vp.ErrSignature},
	{"VP-05", "a registered client that is a stranger", func(t *testing.T, f *forger) { f.registered(t); f.client("bookshop") }, oid4vp.InvalidClient, oid4vp.ErrClient},
	{"VP-05", "a registered client and another key", func(t *testing.T, f *forger) {
		f.registered(t)
		f.signer = keystest.Signer(t, keys.Request, keys.ES256, "mallory")
	}, oid4vp.InvalidRequest, oid4vp.ErrSignature},
	{"VP-05", "a registered client with metadata", func(t *testing.T, f *forger) {
		metadata := f.payload["client_metadata"]
		f.registered(t)
		f.payload["client_metadata"] = metadata
	}, oid4vp.InvalidClient, oid4vp.ErrClient},
	{"VP-05", "certificates where there are no roots", func(_ *testing.T, f *forger) { f.want.Chains = nil }, oid4vp.InvalidRequest, oid4vp.ErrNotSupported},
	{"VP-05", "a DID where none is resolved", func(_ *testing.T, f *forger) { f.did(oid4vp.Vouched{}); f.want.DIDs = nil }, oid4vp.InvalidRequest, oid4vp.ErrNotSupported},
	{"VP-05", "registered where nobody is", func(t *testing.T, f *forger) { f.registered(t); f.want.Clients = nil }, oid4vp.InvalidRequest, oid4vp.ErrNotSupported},
	{"DID-05", "the key of another DID", func(_ *testing.T, f *forger) {
		f.did(oid4vp.Vouched{Key: f.signer.Key().Public})
		f.header.KeyID = "did:web:evil.example#1"
		f.want.DIDs = dids{f.header.KeyID: {Key: f.signer.Key().Public, Hosts: []string{library}}}
	}, oid4vp.InvalidRequest, oid4vp.ErrClient},
	{"DID-05", "a key that is not in the document", func(_ *testing.T, f *forger) { f.did(oid4vp.Vouched{}); f.header.KeyID = did + "#2" }, oid4vp.InvalidRequest, oid4vp.ErrSignature},
	{"DID-05", "no kid", func(_ *testing.T, f *forger) { f.did(oid4vp.Vouched{}); f.header.KeyID = "" }, oid4vp.InvalidRequest, oid4vp.ErrClient},
	{"DID-05", "another key than that of the kid", func(t *testing.T, f *forger) {
		f.did(oid4vp.Vouched{Key: keystest.Key(t, keys.Request, keys.ES256, "mallory").Public, Hosts: []string{library}})
	}, oid4vp.InvalidRequest, oid4vp.ErrSignature},

	{"JWS-18", "under another root", func(_ *testing.T, f *forger) { f.want.Chains = oid4vp.Roots{} }, oid4vp.InvalidRequest, oid4vp.ErrSignature},
	{"JWS-18", "the root in x5c", func(_ *testing.T, f *forger) { f.header.X5C = append(f.header.X5C, f.root.Raw) }, oid4vp.InvalidRequest, chain.ErrAnchor},
	{"JWS-18", "a certificate that has expired", func(_ *testing.T, f *forger) {
		f.want.Now = now.AddDate(2, 0, 0)
		delete(f.payload, "exp")
	}, oid4vp.InvalidRequest, chain.ErrExpired},
	{"JWS-02", "signed by another key than that of the certificate", func(t *testing.T, f *forger) {
		f.signer = keystest.Signer(t, keys.Request, keys.ES256, "mallory")
	}, oid4vp.InvalidRequest, oid4vp.ErrSignature},
	{"JWS-02", "another payload", func(t *testing.T, f *forger) {
		parts := strings.Split(f.scene.object(t), ".")
		f.payload["nonce"] = "other"
		b, err := json.Marshal(f.payload)
		if err != nil {
			t.Fatal(err)
		}
		f.object = parts[0] + "." + base64.RawURLEncoding.EncodeToString(b) + "." + parts[2]
	}, oid4vp.InvalidRequest, oid4vp.ErrSignature},
	{"JWS-01", "no signature", func(t *testing.T, f *forger) {
		good := f.scene.object(t)
		f.object = good[:strings.LastIndexByte(good, '.')+1]
	}, oid4vp.InvalidRequest, oid4vp.ErrSignature},
	{"JWS-01", "alg none", func(t *testing.T, f *forger) {
		parts := strings.Split(f.scene.object(t), ".")
		f.object = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"oauth-authz-req+jwt"}`)) + "." + parts[1] + "."
	}, oid4vp.InvalidRequest, oid4vp.ErrSignature},
	{"JWS-08", "typ JWT", func(_ *testing.T, f *forger) { f.header.Type = "JWT" }, oid4vp.InvalidRequestObject, oid4vp.ErrMalformed},
	{"JWS-08", "typ of a credential", func(_ *testing.T, f *forger) { f.header.Type = "dc+sd-jwt" }, oid4vp.InvalidRequestObject, oid4vp.ErrMalformed},
	{"JWS-08", "typ in other letters", func(_ *testing.T, f *forger) { f.header.Type = "OAuth-authz-req+JWT" }, oid4vp.InvalidRequestObject, oid4vp.ErrMalformed},
	{"JWS-10", "no token", func(_ *testing.T, f *forger) { f.object = "{}" }, oid4vp.InvalidRequestObject, oid4vp.ErrMalformed},
	{"JWS-10", "an encrypted token", func(_ *testing.T, f *forger) { f.object = "a.b.c.d.e" }, oid4vp.InvalidRequestObject, oid4vp.ErrMalformed},
	{"VP-13", "50 MB", func(_ *testing.T, f *forger) { f.object = strings.Repeat("a", 50<<20) }, oid4vp.InvalidRequestObject, oid4vp.ErrTooLarge},
	{"JSON-01", "a member twice", func(t *testing.T, f *forger) {
		b, err := json.Marshal(f.payload)
		if err != nil {
			t.Fatal(err)
		}
		token, err := jose.Sign(rand.Reader, f.signer, f.header, append([]byte(`{"nonce":"x",`), b[1:]...))
		if err != nil {
			t.Fatal(err)
		}
		f.object = string(token)
	}, oid4vp.InvalidRequest, oid4vp.ErrMalformed},

	{"VP-06", "another client in the link", func(_ *testing.T, f *forger) { f.link.Set("client_id", "x509_san_dns:"+library) }, oid4vp.InvalidRequest, oid4vp.ErrClient},
	{"VP-06", "another client in the object", func(_ *testing.T, f *forger) { f.payload["client_id"] = "x509_san_dns:" + library }, oid4vp.InvalidRequest, oid4vp.ErrClient},
	{"VP-06", "the client without its prefix", func(_ *testing.T, f *forger) { f.payload["client_id"] = f.request.Client.ID.Name }, oid4vp.InvalidRequest, oid4vp.ErrClient},
	{"VP-06", "no client in the object", func(_ *testing.T, f *forger) { delete(f.payload, "client_id") }, oid4vp.InvalidRequest, oid4vp.ErrClient},
	{"VP-06", "no client in the link", func(_ *testing.T, f *forger) { f.link.Del("client_id") }, oid4vp.InvalidRequest, oid4vp.ErrClient},
	{"VP-06", "no wallet_nonce", func(_ *testing.T, f *forger) { f.want.WalletNonce = "mine" }, oid4vp.InvalidRequest, oid4vp.ErrNonce},
	{"VP-06", "another wallet_nonce", func(_ *testing.T, f *forger) { f.want.WalletNonce = "mine"; f.payload["wallet_nonce"] = "other" }, oid4vp.InvalidRequest, oid4vp.ErrNonce},
	{"VP-06", "another audience", func(_ *testing.T, f *forger) { f.payload["aud"] = "https://other.example" }, oid4vp.InvalidRequestObject, oid4vp.ErrAudience},
	{"VP-06", "the audience of the draft", func(_ *testing.T, f *forger) { f.payload["aud"] = fetchFrom }, oid4vp.InvalidRequestObject, oid4vp.ErrAudience},
	{"VP-06", "an audience with a slash", func(_ *testing.T, f *forger) { f.payload["aud"] = oid4vp.StaticAudience + "/" }, oid4vp.InvalidRequestObject, oid4vp.ErrAudience},
	{"VP-06", "no audience", func(_ *testing.T, f *forger) { delete(f.payload, "aud") }, oid4vp.InvalidRequestObject, oid4vp.ErrAudience},
	{"VP-06", "no audience and no issuer", func(_ *testing.T, f *forger) { f.payload["aud"] = "" }, oid4vp.InvalidRequestObject, oid4vp.ErrAudience},
	{"VP-06", "audiences without ours", func(_ *testing.T, f *forger) { f.payload["aud"] = []string{"a", "b"} }, oid4vp.InvalidRequestObject, oid4vp.ErrAudience},
	{"VP-14", "expired", func(_ *testing.T, f *forger) { f.payload["exp"] = now.Unix() }, oid4vp.InvalidRequestObject, oid4vp.ErrTime},
	{"VP-14", "exp a text", func(_ *testing.T, f *forger) { f.payload["exp"] = "tomorrow" }, oid4vp.InvalidRequestObject, oid4vp.ErrMalformed},
	{"VP-14", "issued in the future", func(_ *testing.T, f *forger) { f.payload["iat"] = now.Add(2 * time.Minute).Unix() }, oid4vp.InvalidRequestObject, oid4vp.ErrTime},
	{"VP-14", "not yet valid", func(_ *testing.T, f *forger) { f.payload["nbf"] = now.Add(2 * time.Minute).Unix() }, oid4vp.InvalidRequestObject, oid4vp.ErrTime},

	{"OA-11", "a request in the request", func(_ *testing.T, f *forger) { f.payload["request"] = "a.b.c" }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"OA-11", "a request_uri in the request", func(_ *testing.T, f *forger) { f.payload["request_uri"] = fetchFrom }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"OA-11", "request and request_uri", func(_ *testing.T, f *forger) { f.link.Set("request", "a.b.c") }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"OA-11", "a parameter twice", func(_ *testing.T, f *forger) { f.link.Add("client_id", "library") }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"5.1", "another request_uri_method", func(_ *testing.T, f *forger) { f.link.Set("request_uri_method", "POST") }, oid4vp.InvalidRequestURIMethod, oid4vp.ErrNotSupported},
	{"5.1", "request_uri_method alone", func(_ *testing.T, f *forger) { f.link.Del("request_uri") }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"5.1", "no query", func(_ *testing.T, f *forger) { delete(f.payload, "dcql_query") }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"5.1", "query and scope", func(_ *testing.T, f *forger) { f.payload["scope"] = "card" }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"8.5", "an unknown scope", func(_ *testing.T, f *forger) { delete(f.payload, "dcql_query"); f.payload["scope"] = "card" }, oid4vp.InvalidScope, oid4vp.ErrNotSupported},
	{"5.1", "a query as text", func(_ *testing.T, f *forger) { f.payload["dcql_query"] = `{"credentials":[]}` }, oid4vp.InvalidRequest, oid4vp.ErrQuery},
	{"5.1", "a bad query", func(_ *testing.T, f *forger) { f.sub("dcql_query")["credentials"] = []any{} }, oid4vp.InvalidRequest, oid4vp.ErrQuery},
	{"5.2", "no nonce", func(_ *testing.T, f *forger) { delete(f.payload, "nonce") }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"5.2", "a nonce with a space", func(_ *testing.T, f *forger) { f.payload["nonce"] = "n 1" }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"5.2", "a long nonce", func(_ *testing.T, f *forger) { f.payload["nonce"] = strings.Repeat("n", 513) }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"5.2", "a state with a plus", func(_ *testing.T, f *forger) { f.payload["state"] = "a+b" }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"5.2", "no response_mode", func(_ *testing.T, f *forger) { delete(f.payload, "response_mode") }, oid4vp.InvalidRequest, oid4vp.ErrNotSupported},
	{"5.2", "response_mode fragment", func(_ *testing.T, f *forger) { f.payload["response_mode"] = "fragment" }, oid4vp.InvalidRequest, oid4vp.ErrNotSupported},
	{"5.6", "no response_type", func(_ *testing.T, f *forger) { delete(f.payload, "response_type") }, oid4vp.UnsupportedResponseType, oid4vp.ErrNotSupported},
	{"5.6", "response_type code", func(_ *testing.T, f *forger) { f.payload["response_type"] = "code" }, oid4vp.UnsupportedResponseType, oid4vp.ErrNotSupported},
	{"5.6", "an ID token, too", func(_ *testing.T, f *forger) { f.payload["response_type"] = "vp_token id_token" }, oid4vp.UnsupportedResponseType, oid4vp.ErrNotSupported},
	{"VP-11", "no state, although no proof is asked for", func(_ *testing.T, f *forger) {
		delete(f.payload, "state")
		f.sub("dcql_query")["credentials"].([]any)[0].(map[string]any)["require_cryptographic_holder_binding"] = false
	}, oid4vp.InvalidRequest, oid4vp.ErrMalformed},

	{"HAIP-5.1", "a response in the clear", func(_ *testing.T, f *forger) { f.payload["response_mode"] = "direct_post" }, oid4vp.InvalidRequest, oid4vp.ErrEncryption},
	{"8.3", "no key to encrypt for", func(_ *testing.T, f *forger) { delete(f.sub("client_metadata"), "jwks") }, oid4vp.InvalidRequest, oid4vp.ErrEncryption},
	{"8.3", "no encryption that is supported", func(_ *testing.T, f *forger) {
		f.sub("client_metadata")["encrypted_response_enc_values_supported"] = []any{"A128CBC-HS256"}
	}, oid4vp.InvalidRequest, oid4vp.ErrEncryption},
	{"8.3", "a key without alg", func(_ *testing.T, f *forger) { delete(f.jwk(), "alg") }, oid4vp.InvalidRequest, oid4vp.ErrEncryption},
	{"8.3", "a key for something else", func(_ *testing.T, f *forger) { f.jwk()["use"] = "sig" }, oid4vp.InvalidRequest, oid4vp.ErrEncryption},
	{"8.3", "a key for another alg", func(_ *testing.T, f *forger) { f.jwk()["alg"] = "ECDH-ES+A128KW" }, oid4vp.InvalidRequest, oid4vp.ErrEncryption},
	{"5.1", "a key without kid", func(_ *testing.T, f *forger) { delete(f.jwk(), "kid") }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"5.1", "a kid twice", func(_ *testing.T, f *forger) { f.sub("client_metadata", "jwks")["keys"] = []any{f.jwk(), f.jwk()} }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"JWS-14", "a key off the curve", func(_ *testing.T, f *forger) { f.jwk()["x"] = strings.Repeat("A", 43) }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"JWS-14", "a private key", func(_ *testing.T, f *forger) { f.jwk()["d"] = strings.Repeat("A", 43) }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"5.1", "no set of keys", func(_ *testing.T, f *forger) { f.sub("client_metadata")["jwks"] = []any{} }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"5.1", "a key that is a text", func(_ *testing.T, f *forger) { f.sub("client_metadata", "jwks")["keys"] = []any{"x"} }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"JWS-14", "a symmetric key beside", func(_ *testing.T, f *forger) {
		f.sub("client_metadata", "jwks")["keys"] = []any{f.jwk(), map[string]any{"kty": "oct", "k": "AAAA", "kid": "s", "alg": "dir"}}
	}, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"VP-13", "17 keys", func(_ *testing.T, f *forger) { f.sub("client_metadata", "jwks")["keys"] = make([]any, 17) }, oid4vp.InvalidRequest, oid4vp.ErrTooLarge},
	{"5.1", "encryptions empty", func(_ *testing.T, f *forger) {
		f.sub("client_metadata")["encrypted_response_enc_values_supported"] = []any{}
	}, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"5.1", "no client_metadata", func(_ *testing.T, f *forger) { delete(f.payload, "client_metadata") }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"5.1", "client_metadata a list", func(_ *testing.T, f *forger) { f.payload["client_metadata"] = []any{} }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"11.1", "no formats", func(_ *testing.T, f *forger) { delete(f.sub("client_metadata"), "vp_formats_supported") }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"11.1", "formats empty", func(_ *testing.T, f *forger) { f.sub("client_metadata")["vp_formats_supported"] = map[string]any{} }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"11.1", "a format that is a text", func(_ *testing.T, f *forger) {
		f.sub("client_metadata", "vp_formats_supported")["mso_mdoc"] = "x"
	}, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"8.5", "formats without ours", func(_ *testing.T, f *forger) {
		f.sub("client_metadata")["vp_formats_supported"] = map[string]any{"mso_mdoc": map[string]any{}}
	}, oid4vp.FormatsNotSupported, oid4vp.ErrNotSupported},
	{"B.3.4", "algorithms empty", func(_ *testing.T, f *forger) {
		f.sub("client_metadata", "vp_formats_supported", "dc+sd-jwt")["kb-jwt_alg_values"] = []any{}
	}, oid4vp.InvalidRequest, oid4vp.ErrMalformed},

	{"5.1", "verifier_info empty", func(_ *testing.T, f *forger) { f.payload["verifier_info"] = []any{} }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"5.1", "an info without data", func(_ *testing.T, f *forger) { f.payload["verifier_info"] = []any{map[string]any{"format": "jwt"}} }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"5.1", "an info about a credential that is not asked for", func(_ *testing.T, f *forger) { f.info()["credential_ids"] = []any{"other"} }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"5.11", "the policy of another client", func(_ *testing.T, f *forger) { f.policy()["client_id"] = "x509_san_dns:" + library }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"5.11", "a policy without purpose", func(_ *testing.T, f *forger) { delete(f.policy(), "purpose") }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"5.11", "a policy with an empty purpose", func(_ *testing.T, f *forger) { f.policy()["purpose"] = map[string]any{"en": ""} }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"5.11", "a policy without retention", func(_ *testing.T, f *forger) { delete(f.policy(), "retention_days") }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"5.11", "a policy that keeps a part of a day", func(_ *testing.T, f *forger) { f.policy()["retention_days"] = 0.5 }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"5.11", "a policy that keeps for less than nothing", func(_ *testing.T, f *forger) { f.policy()["retention_days"] = -1 }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"5.11", "a policy that keeps for more than a century", func(_ *testing.T, f *forger) { f.policy()["retention_days"] = 36501 }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"5.11", "a policy whose reference is a number", func(_ *testing.T, f *forger) { f.policy()["reference"] = 7 }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"VP-13", "a policy whose reference has no end", func(_ *testing.T, f *forger) { f.policy()["reference"] = strings.Repeat("a", 2000) }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"5.11", "a policy whose purpose is one text", func(_ *testing.T, f *forger) { f.policy()["purpose"] = "loan" }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"5.11", "a policy whose name is a number", func(_ *testing.T, f *forger) { f.policy()["name"] = map[string]any{"en": 7} }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"5.11", "a policy with a purpose in no language", func(_ *testing.T, f *forger) { f.policy()["purpose"] = map[string]any{"": "loan"} }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"VP-13", "a policy with a purpose in a language without end", func(_ *testing.T, f *forger) {
		f.policy()["purpose"] = map[string]any{strings.Repeat("a", 65): "loan"}
	}, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"VP-13", "a policy with a purpose without end", func(_ *testing.T, f *forger) {
		f.policy()["purpose"] = map[string]any{"en": strings.Repeat("a", 1001)}
	}, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"VP-13", "a policy with a purpose in 65 languages", func(_ *testing.T, f *forger) {
		texts := map[string]any{}
		for i := range 65 {
			texts[fmt.Sprint("x", i)] = "loan"
		}
		f.policy()["purpose"] = texts
	}, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"5.1", "an info that is a text", func(_ *testing.T, f *forger) { f.payload["verifier_info"] = []any{"jwt"} }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"5.1", "an info without format", func(_ *testing.T, f *forger) { delete(f.info(), "format") }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"5.1", "an info of an empty format", func(_ *testing.T, f *forger) { f.info()["format"] = "" }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"5.11", "two policies", func(_ *testing.T, f *forger) { f.payload["verifier_info"] = []any{f.info(), f.info()} }, oid4vp.InvalidRequest, oid4vp.ErrMalformed},
	{"VP-13", "17 infos", func(_ *testing.T, f *forger) { f.payload["verifier_info"] = make([]any, 17) }, oid4vp.InvalidRequest, oid4vp.ErrTooLarge},

	{"VP-12", "transaction data that nobody understands", func(_ *testing.T, f *forger) { f.transaction(`{"type":"urn:other","credential_ids":["card"]}`) }, oid4vp.InvalidTransactionData, oid4vp.ErrTransactionData},
	{"VP-12", "a field that the type does not have", func(_ *testing.T, f *forger) { f.transaction(`{"type":"urn:loan","credential_ids":["card"],"bad":1}`) }, oid4vp.InvalidTransactionData, oid4vp.ErrTransactionData},
	{"VP-12", "no type", func(_ *testing.T, f *forger) { f.transaction(`{"credential_ids":["card"]}`) }, oid4vp.InvalidTransactionData, oid4vp.ErrTransactionData},
	{"VP-12", "no credential", func(_ *testing.T, f *forger) { f.transaction(`{"type":"urn:loan"}`) }, oid4vp.InvalidTransactionData, oid4vp.ErrTransactionData},
	{"VP-12", "credentials empty", func(_ *testing.T, f *forger) { f.transaction(`{"type":"urn:loan","credential_ids":[]}`) }, oid4vp.InvalidTransactionData, oid4vp.ErrTransactionData},
	{"VP-12", "a credential that is not asked for", func(_ *testing.T, f *forger) { f.transaction(`{"type":"urn:loan","credential_ids":["other"]}`) }, oid4vp.InvalidTransactionData, oid4vp.ErrTransactionData},
	{"VP-12", "another hash", func(_ *testing.T, f *forger) {
		f.transaction(`{"type":"urn:loan","credential_ids":["card"],"transaction_data_hashes_alg":["sha3-256"]}`)
	}, oid4vp.InvalidTransactionData, oid4vp.ErrTransactionData},
	{"VP-12", "no JSON", func(_ *testing.T, f *forger) { f.transaction(`{`) }, oid4vp.InvalidTransactionData, oid4vp.ErrTransactionData},
	{"VP-12", "no base64url", func(_ *testing.T, f *forger) { f.payload["transaction_data"] = []any{"e30="} }, oid4vp.InvalidTransactionData, oid4vp.ErrTransactionData},
	{"VP-12", "no text", func(_ *testing.T, f *forger) { f.payload["transaction_data"] = []any{map[string]any{}} }, oid4vp.InvalidTransactionData, oid4vp.ErrTransactionData},
	{"VP-12", "transaction data empty", func(_ *testing.T, f *forger) { f.payload["transaction_data"] = []any{} }, oid4vp.InvalidTransactionData, oid4vp.ErrTransactionData},
	{"VP-12", "twice the same", func(_ *testing.T, f *forger) {
		f.transaction(`{"type":"urn:loan","credential_ids":["card"]}`)
		one := f.payload["transaction_data"].([]any)[0]
		f.payload["transaction_data"] = []any{one, one}
	}, oid4vp.InvalidTransactionData, oid4vp.ErrTransactionData},
	{"VP-12", "a credential that needs no proof", func(_ *testing.T, f *forger) {
		f.transaction(`{"type":"urn:loan","credential_ids":["card"]}`)
		f.sub("dcql_query")["credentials"].([]any)[0].(map[string]any)["require_cryptographic_holder_binding"] = false
	}, oid4vp.InvalidTransactionData, oid4vp.ErrTransactionData},
	{"VP-13", "17 pieces of transaction data", func(_ *testing.T, f *forger) { f.payload["transaction_data"] = make([]any, 17) }, oid4vp.InvalidRequest, oid4vp.ErrTooLarge},
}

func (f *forger) jwk() map[string]any {
	return f.sub("client_metadata", "jwks")["keys"].([]any)[0].(map[string]any)
}

func (f *forger) info() map[string]any { return f.payload["verifier_info"].([]any)[0].(map[string]any) }

func (f *forger) policy() map[string]any { return f.info()["data"].(map[string]any) }

func (f *forger) transaction(text string) {
	f.payload["transaction_data"] = []any{base64.RawURLEncoding.EncodeToString([]byte(text))}
	f.want.TransactionTypes = map[string]oid4vp.TransactionType{"urn:loan": func(fields map[string]any) error {
		if len(fields) > 0 {
			return errors.New("unknown fields")
		}
		return nil
	}}
}

// did makes the client one with a DID.
func (f *forger) did(v oid4vp.Vouched) {
	f.client("decentralized_identifier:" + did)
	f.header.X5C, f.header.KeyID = nil, did+"#1"
	f.want.DIDs = dids{did + "#1": v}
}

// registered makes the client one that the wallet knows.
func (f *forger) registered(t *testing.T) {
	t.Helper()
	f.client("library")
	f.header.X5C = nil
	delete(f.payload, "client_metadata")
	f.want.Clients = clients{"library": {
		Vouched: oid4vp.Vouched{URIs: []string{response}}, Keys: []keys.PublicKey{f.signer.Key().Public}, Metadata: f.request.Metadata,
	}}
}

func TestOpenRefuses(t *testing.T) {
	s := newScene(t)
	for _, tt := range openRows {
		t.Run(tt.id+" "+tt.name, func(t *testing.T) {
			own, request := *s, *s.request
			own.request = &request
			f := newForger(t, &own)
			if _, err := f.open(t); err != nil {
				t.Fatalf("before it is spoiled: %v", err)
			}
			tt.spoil(t, f)
			r, err := f.open(t)
			var e *oid4vp.Error
			if !errors.As(err, &e) || e.Code != tt.code || !errors.Is(err, tt.want) || r != nil {
				t.Fatalf("Open: %v, want %s and %v", err, tt.code, tt.want)
			}
			// Sections 5.1, 8.2 and 8.5: an error is returned, and to nobody but the client.
			must := tt.id == "VP-12" || tt.id == "8.5" || tt.name == "redirect_uri beside response_uri"
			unsure := tt.code != oid4vp.InvalidClient && slices.ContainsFunc([]error{
				oid4vp.ErrURI, oid4vp.ErrClient, oid4vp.ErrSignature, oid4vp.ErrAudience, oid4vp.ErrTime, oid4vp.ErrNonce,
			}, func(reason error) bool { return errors.Is(err, reason) })
			state, _ := f.payload["state"].(string)
			if e.Request == nil && must || e.Request != nil && (unsure || e.Request.ResponseURI != response || e.Request.State != state) {
				t.Errorf("the verifier would be told with %v", e.Request)
			}
		})
	}
}

// TestRefusalsGoNowhereElse spoils two things at a time: a request that cannot be read is
// refused to its client, and if its address, state or wallet_nonce is not that client's, to
// nobody (section 8.5; corpus VP-04).
func TestRefusalsGoNowhereElse(t *testing.T) {
	for name, spoil := range map[string]func(f *forger){
		"":                          func(*forger) {}, // the client itself is told
		"response_uri elsewhere":    func(f *forger) { f.payload["response_uri"] = "https://evil.example/response/7" },
		"response_uri over http":    func(f *forger) { f.payload["response_uri"] = "http://verifier.example/response/7" },
		"response_uri a number":     func(f *forger) { f.payload["response_uri"] = 7 },
		"request_uri elsewhere":     func(f *forger) { f.link.Set("request_uri", "https://evil.example/request/7") },
		"another response mode":     func(f *forger) { f.payload["response_mode"] = "fragment" },
		"no response mode":          func(f *forger) { delete(f.payload, "response_mode") },
		"a state that is none":      func(f *forger) { f.payload["state"] = "a b" },
		"an empty state":            func(f *forger) { f.payload["state"] = "" },
		"a state that is a number":  func(f *forger) { f.payload["state"] = 7 },
		"an old wallet_nonce":       func(f *forger) { f.payload["wallet_nonce"] = "old" },
		"no wallet_nonce of theirs": func(f *forger) { delete(f.payload, "wallet_nonce") },
	} {
		f := newForger(t, newScene(t))
		f.want.WalletNonce = "wallet-nonce-1"
		f.payload["wallet_nonce"] = "wallet-nonce-1"
		if _, err := f.open(t); err != nil {
			t.Fatalf("before it is spoiled: %v", err)
		}
		f.payload["dcql_query"] = map[string]any{}
		spoil(f)
		_, err := f.open(t)
		var e *oid4vp.Error
		if !errors.As(err, &e) {
			t.Fatalf("%s: %v, want a refusal", name, err)
		}
		if told := e.Request != nil; told != (name == "") {
			t.Errorf("VP-04 %q: %v, told with %+v", name, err, e.Request)
		}
	}
}

// TestOpenTakes: what looks odd and is allowed.
func TestOpenTakes(t *testing.T) {
	s := newScene(t)
	for _, tt := range []struct {
		id, name string
		change   func(t *testing.T, f *forger)
		check    func(r *oid4vp.Request) bool
	}{
		{"OA-11", "parameters outside that contradict", func(_ *testing.T, f *forger) {
			f.link.Set("nonce", "other")
			f.link.Set("response_uri", "https://evil.example/")
			f.link.Set("dcql_query", "{")
		}, func(r *oid4vp.Request) bool { return r.Nonce == s.request.Nonce && r.ResponseURI == response }},
		{"5", "an iss", func(_ *testing.T, f *forger) { f.payload["iss"] = "https://evil.example" }, nil},
		{"5", "unknown parameters", func(_ *testing.T, f *forger) { f.payload["x"] = map[string]any{"y": 1}; f.link.Set("z", "1") }, nil},
		{"5.8", "one audience of two", func(_ *testing.T, f *forger) { f.payload["aud"] = []string{"https://a.example", oid4vp.StaticAudience} }, nil},
		{"5.8", "the wallet's own name", func(_ *testing.T, f *forger) {
			f.payload["aud"], f.want.Issuer = "https://wallet.example", "https://wallet.example"
		}, nil},
		{"5.10", "fetched by GET", func(_ *testing.T, f *forger) { f.link.Del("request_uri_method") }, nil},
		{"5.10", "a wallet_nonce that nobody sent", func(_ *testing.T, f *forger) { f.payload["wallet_nonce"] = "x" }, func(r *oid4vp.Request) bool { return r.WalletNonce == "" }},
		{"VP-18", "by value", func(t *testing.T, f *forger) {
			f.link = url.Values{"client_id": {f.request.Client.ID.String()}, "request": {f.scene.object(t)}}
		}, nil},
		{"5.1", "keys of other kinds", func(_ *testing.T, f *forger) {
			other := map[string]any{"kty": "OKP", "kid": "jc", "use": "enc", "crv": "X25519", "alg": "ECDH-ES", "x": "WPX7wnwq10hFNK9aDSyG1QlLswE_CJY14LdhcFUIVVc"}
			f.sub("client_metadata", "jwks")["keys"] = []any{other, f.jwk()}
		}, func(r *oid4vp.Request) bool { return len(r.Metadata.Keys) == 1 }},
		{"5.1", "formats that are not known", func(_ *testing.T, f *forger) {
			f.sub("client_metadata", "vp_formats_supported")["mso_mdoc"] = map[string]any{"issuerauth_alg_values": []int{-9}}
		}, nil},
		{"5.11", "infos of formats that are not known", func(_ *testing.T, f *forger) {
			f.payload["verifier_info"] = []any{map[string]any{"format": "jwt", "data": "a.b.c", "credential_ids": []any{"card"}}, f.info()}
		}, func(r *oid4vp.Request) bool {
			return len(r.Infos) == 2 && r.Infos[0].Data == "a.b.c" && r.Policy != nil
		}},
		{"5.5", "a scope that is known", func(_ *testing.T, f *forger) {
			f.payload["scope"], f.want.Scopes = "card", map[string]*oid4vp.Query{"card": f.request.Query}
			delete(f.payload, "dcql_query")
		}, func(r *oid4vp.Request) bool { return r.Query == s.request.Query }},
		{"VP-14", "no dates", func(_ *testing.T, f *forger) { delete(f.payload, "exp"); delete(f.payload, "iat") }, func(r *oid4vp.Request) bool { return r.Expires.IsZero() }},
		{"VP-14", "a clock that is ahead", func(_ *testing.T, f *forger) { f.payload["iat"] = now.Add(time.Minute).Unix() }, nil},
		{"VP-04", "loopback in development", func(_ *testing.T, f *forger) {
			f.did(oid4vp.Vouched{Key: f.signer.Key().Public, Hosts: []string{"127.0.0.1"}})
			f.payload["response_uri"], f.want.DevHTTP = "http://127.0.0.1:8443/response/7", true
			f.link.Set("request_uri", "http://127.0.0.1:8443/request/7")
		}, nil},
		{"VP-04", "a client without hosts, where that will do", func(_ *testing.T, f *forger) {
			f.did(oid4vp.Vouched{Key: f.signer.Key().Public})
			f.want.AnyResponseURI = true
		}, nil},
		{"VP-04", "a registered client", func(t *testing.T, f *forger) { f.registered(t) }, func(r *oid4vp.Request) bool { return len(r.Metadata.Keys) == 1 }},
	} {
		t.Run(tt.id+" "+tt.name, func(t *testing.T) {
			own := *s
			f := newForger(t, &own)
			tt.change(t, f)
			r, err := f.open(t)
			if err != nil || tt.check != nil && !tt.check(r) {
				t.Errorf("Open: %+v, %v", r, err)
			}
		})
	}
}

// TestOpenMistakes are mistakes of the caller, and a caller who has gone.
func TestOpenMistakes(t *testing.T) {
	s := newScene(t)
	var e *oid4vp.Error
	if _, err := s.invocation(t).Open(t.Context(), s.object(t), oid4vp.Expect{}); err == nil || errors.As(err, &e) {
		t.Errorf("no time: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.want.Chains = oid4vp.Roots{}
	if _, err := s.invocation(t).Open(ctx, s.object(t), s.want); !errors.Is(err, context.Canceled) || errors.As(err, &e) {
		t.Errorf("gone: %v", err)
	}
}

// TestSignRefuses: a verifier does not send what a wallet would refuse, nor what is
// weak.
func TestSignRefuses(t *testing.T) {
	good := newScene(t)
	for name, spoil := range map[string]func(t *testing.T, s *scene){
		"no signer":           func(_ *testing.T, s *scene) { s.signature.Signer = nil },
		"KEY-08 another key":  func(t *testing.T, s *scene) { s.signature.Signer = s.issuer },
		"no certificate":      func(_ *testing.T, s *scene) { s.signature.X5C = nil },
		"another certificate": func(t *testing.T, s *scene) { s.signature.X5C = [][]byte{s.root.Raw} },
		"no chain for a name": func(_ *testing.T, s *scene) {
			s.request.Client.ID = oid4vp.ClientID{Prefix: oid4vp.X509SANDNS, Name: library}
			s.signature.X5C = nil
		},
		"no key of the DID": func(_ *testing.T, s *scene) {
			s.request.Client.ID = oid4vp.ClientID{Prefix: oid4vp.DecentralizedIdentifier, Name: did}
		},
		"a redirect URI": func(_ *testing.T, s *scene) {
			s.request.Client.ID = oid4vp.ClientID{Prefix: oid4vp.RedirectURI, Name: response}
		},
		"no client": func(_ *testing.T, s *scene) { s.request.Client.ID = oid4vp.ClientID{} },
		"origin": func(_ *testing.T, s *scene) {
			s.request.Client.ID = oid4vp.ClientID{Prefix: "origin", Name: "https://a.example"}
		},
		"VP-14 no end":         func(_ *testing.T, s *scene) { s.request.Expires = time.Time{} },
		"VP-14 a long life":    func(_ *testing.T, s *scene) { s.request.Expires = now.Add(oid4vp.MaxLife + time.Second) },
		"VP-14 no life":        func(_ *testing.T, s *scene) { s.request.Expires = now },
		"no nonce":             func(_ *testing.T, s *scene) { s.request.Nonce = "" },
		"a weak nonce":         func(_ *testing.T, s *scene) { s.request.Nonce = "n-0S6_WzA2Mj" },
		"a weak state":         func(_ *testing.T, s *scene) { s.request.State = "1" },
		"no mode":              func(_ *testing.T, s *scene) { s.request.ResponseMode = "" },
		"no address":           func(_ *testing.T, s *scene) { s.request.ResponseURI = "" },
		"an address over http": func(_ *testing.T, s *scene) { s.request.ResponseURI = "http://verifier.example/" },
		"no query":             func(_ *testing.T, s *scene) { s.request.Query = nil },
		"query and scope":      func(_ *testing.T, s *scene) { s.request.Scope = "card" },
		"a query for a format that is not carried": func(t *testing.T, s *scene) {
			s.request.Query = query(t, `{"credentials":[{"id":"card","format":"mso_mdoc","meta":{"doctype_value":"d"}}]}`)
		},
		"VP-11 no state, although no proof is asked for": func(t *testing.T, s *scene) {
			s.request.Query, s.request.State = ask(t, `"require_cryptographic_holder_binding":false`), ""
		},
		"no metadata": func(_ *testing.T, s *scene) { s.request.Metadata = nil },
		"no formats": func(_ *testing.T, s *scene) {
			s.request.Metadata = &oid4vp.ClientMetadata{Keys: s.request.Metadata.Keys}
		},
		"no key": func(_ *testing.T, s *scene) {
			s.request.Metadata = &oid4vp.ClientMetadata{Formats: oid4vp.SDJWTFormat()}
		},
		"a policy without words": func(_ *testing.T, s *scene) { s.request.Policy = &oid4vp.Policy{} },
		"a policy of hours": func(_ *testing.T, s *scene) {
			s.request.Policy = &oid4vp.Policy{Purpose: map[string]string{"en": "x"}, Retention: time.Hour}
		},
		"a policy that is no text": func(_ *testing.T, s *scene) {
			s.request.Policy = &oid4vp.Policy{Purpose: map[string]string{"en": "\xff"}}
		},
		"VP-12 a credential that is not asked for": func(t *testing.T, s *scene) {
			d, err := oid4vp.NewTransactionData("urn:loan", []string{"other"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			s.request.TransactionData = []oid4vp.TransactionData{d}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, r := *good, *good.request
			s.request = &r
			if _, err := s.request.Sign(rand.Reader, s.signature); err != nil {
				t.Fatalf("before it is spoiled: %v", err)
			}
			spoil(t, &s)
			if token, err := s.request.Sign(rand.Reader, s.signature); err == nil || token != "" {
				t.Errorf("signed %s", token)
			}
		})
	}
	if i, err := good.request.Unsigned(); err == nil {
		t.Errorf("a client that must sign sent %v", i)
	}
}

// TestRequestForm is what a wallet posts to the request URI.
func TestRequestForm(t *testing.T) {
	i := newScene(t).invocation(t)
	sent := &oid4vp.WalletMetadata{Formats: oid4vp.SDJWTFormat(), Prefixes: []oid4vp.Prefix{oid4vp.X509Hash}, Algorithms: []string{"ES256"}}
	form, err := i.Form(sent, "n$1")
	if err != nil {
		t.Fatal(err)
	}
	form.Set("x", "unknown parameters are passed over")
	m, nonce, err := oid4vp.ParseRequestForm(form)
	if err != nil || nonce != "n$1" || !m.Serves(i.ClientID, keys.ES256) {
		t.Fatalf("ParseRequestForm: %+v, %q, %v", m, nonce, err)
	}
	if m.Serves(oid4vp.ClientID{Prefix: oid4vp.RedirectURI}, keys.ES256) || m.Serves(i.ClientID, keys.EdDSA) {
		t.Error("serves what the wallet does not read")
	}
	ours := m.Formats["dc+sd-jwt"]
	if !ours.Takes("ES384", "EdDSA") || !ours.Takes("Ed25519", "") || ours.Takes("RS256", "") || ours.Takes("ES256", "HS256") || !(oid4vp.FormatSupport{}).Takes("RS256", "RS256") {
		t.Errorf("takes %+v", ours)
	}
	if (oid4vp.FormatSupport{Issuer: []string{"EdDSA"}}).Takes("ES256", "") || !(oid4vp.FormatSupport{Issuer: []string{"EdDSA"}}).Takes("EdDSA", "") {
		t.Error("EdDSA by its old name")
	}
	if m, nonce, err := oid4vp.ParseRequestForm(url.Values{}); err != nil || m != nil || nonce != "" {
		t.Errorf("nothing: %+v, %q, %v", m, nonce, err)
	}
	const metadata = `{"vp_formats_supported":{"dc+sd-jwt":{"sd-jwt_alg_values": ["ES256"],"kb-jwt_alg_values": ["ES256"]}}}`
	m, nonce, err = oid4vp.ParseRequestForm(url.Values{"wallet_metadata": {metadata}, "wallet_nonce": {"qPmxiNFCR3QTm19POc8u"}}) // the example of section 5.10
	if err != nil || nonce != "qPmxiNFCR3QTm19POc8u" || !m.Formats["dc+sd-jwt"].Takes("ES256", "ES256") || m.Formats["dc+sd-jwt"].Takes("ES384", "ES256") || !m.Serves(i.ClientID, keys.EdDSA) {
		t.Errorf("the example: %+v, %q, %v", m, nonce, err)
	}
	if m, _, err := oid4vp.ParseRequestForm(url.Values{"wallet_metadata": {string(vector(t, "inline", "33-openid4vp-scheme.json"))}}); err != nil || len(m.Formats) != 2 || m.Serves(i.ClientID, keys.ES384) {
		t.Errorf("the wallet of section 13.1.2: %+v, %v", m, err)
	}
	for name, form := range map[string]url.Values{
		"a nonce twice":              {"wallet_nonce": {"a", "b"}},
		"an empty nonce":             {"wallet_nonce": {""}},
		"a long nonce":               {"wallet_nonce": {strings.Repeat("n", 513)}},
		"a nonce with a line break":  {"wallet_nonce": {"a\nb"}},
		"metadata that are no JSON":  {"wallet_metadata": {"x"}},
		"metadata that are a list":   {"wallet_metadata": {"[]"}},
		"metadata without formats":   {"wallet_metadata": {"{}"}},
		"metadata twice":             {"wallet_metadata": {metadata, metadata}},
		"large metadata":             {"wallet_metadata": {`{"x":"` + strings.Repeat("a", 40<<10) + `"}`}},
		"prefixes that are no texts": {"wallet_metadata": {`{"vp_formats_supported":{"a":{}},"client_id_prefixes_supported":[1]}`}},
		"algorithms empty":           {"wallet_metadata": {`{"vp_formats_supported":{"a":{}},"request_object_signing_alg_values_supported":[]}`}},
	} {
		if m, nonce, err := oid4vp.ParseRequestForm(form); err == nil {
			t.Errorf("%s: %+v, %q", name, m, nonce)
		}
	}
}

// TestInvocationURL: a link is the same whatever calls the wallet.
func TestInvocationURL(t *testing.T) {
	s := newScene(t)
	i := oid4vp.Invocation{ClientID: s.request.Client.ID, RequestURI: fetchFrom, Method: oid4vp.Post}
	for _, base := range []string{oid4vp.Scheme, oid4vp.HAIPScheme, "openid4vp://authorize", "https://wallet.example/open", "https://wallet.example/open?lang=bn"} {
		got, err := oid4vp.ParseInvocation(i.URL(base))
		if err != nil || got.ClientID != i.ClientID || got.RequestURI != i.RequestURI || got.Method != i.Method {
			t.Errorf("%s: %+v, %v", i.URL(base), got, err)
		}
	}
	for _, link := range []string{"", "openid4vp://", "openid4vp://?", "openid4vp://?%zz", "openid4vp://?a=1;b=2", "?" + strings.Repeat("a", 64<<10)} {
		if got, err := oid4vp.ParseInvocation(link); err == nil {
			t.Errorf("%.20q: %+v", link, got)
		}
	}
	// The examples of sections 5.4 and 8.2.
	for link, want := range map[string]error{
		"https://w.example/authorize?client_id=x509_san_dns%3Aclient.example.org&request_uri=https%3A%2F%2Fclient.example.org%2Frequest%2Fvapof4ql2i7m41m68uep&request_uri_method=post": nil,
		"https://w.example/authorize?client_id=redirect_uri%3Ahttps%3A%2F%2Fclient.example.org%2Fcb&request=eyJrd":                                                                      nil,
		// An address as client identifier: not one of the prefixes (section 5.9.2).
		"https://wallet.example.com?client_id=https%3A%2F%2Fclient.example.org%2Fcb&request_uri=https%3A%2F%2Fclient.example.org%2F567545564": oid4vp.ErrClient,
	} {
		if _, err := oid4vp.ParseInvocation(link); !errors.Is(err, want) {
			t.Errorf("%s: %v", link, err)
		}
	}
}
