package issuer_test

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/sanad-id/sanad/api/issuer"
	"github.com/sanad-id/sanad/internal/fetch"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
	"github.com/sanad-id/sanad/oid4vci"
)

// A provider is an OpenID provider at which everybody signs in as one person.
type provider struct {
	*httptest.Server
	t   testing.TB
	bed *bed
	key keys.Signer

	mu     sync.Mutex
	codes  map[string]url.Values // the authorization request of each code
	change func(claims map[string]any)
}

func newProvider(t testing.TB) *provider {
	t.Helper()
	p := &provider{t: t, key: keystest.Signer(t, keys.Holder, keys.ES256, "provider"), codes: map[string]url.Values{}, change: func(map[string]any) {}}
	mux := http.NewServeMux()
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	answer := func(w http.ResponseWriter, status int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, map[string]any{
			"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
			"id_token_signing_alg_values_supported": []string{"ES256"},
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(keys.JWKS([]keys.Key{p.key.Key()}))
	})
	mux.HandleFunc("GET /authorize", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		code := rand.Text()
		p.mu.Lock()
		p.codes[code] = q
		p.mu.Unlock()
		http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"state": {q.Get("state")}, "code": {code}}.Encode(), http.StatusSeeOther)
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		q, ok := p.codes[r.FormValue("code")]
		delete(p.codes, r.FormValue("code"))
		p.mu.Unlock()
		if !ok || oid4vci.CheckVerifier(q.Get("code_challenge"), oid4vci.Secret(r.FormValue("code_verifier"))) != nil {
			answer(w, 400, map[string]any{"error": "invalid_grant"})
			return
		}
		now := p.bed.clock.Now()
		claims := map[string]any{
			"iss": p.URL, "aud": q.Get("client_id"), "sub": "s-1", "nonce": q.Get("nonce"), "iat": now.Unix(), "exp": now.Unix() + 300, "registry_id": recordID(7),
		}
		p.change(claims)
		payload, err := json.Marshal(claims)
		if err == nil {
			var token []byte
			token, err = jose.Sign(rand.Reader, p.key, jose.Header{Type: "JWT", KeyID: p.key.Key().ID().String()}, payload)
			answer(w, 200, map[string]any{"access_token": "a", "token_type": "Bearer", "id_token": string(token)})
		}
		if err != nil {
			t.Error(err)
		}
	})
	return p
}

// signIn goes from a pushed request to where the browser ends up.
func (p *provider) signIn(b *bed) (*authorization, answer) {
	b.Helper()
	z, a := b.wallet().push()
	if a.status != http.StatusCreated {
		b.Fatalf("pushed request: %v", a)
	}
	z.visit()
	if page := z.get(z.page); !strings.Contains(string(page.body), "/oauth/upstream/") {
		b.Fatalf("the login page has no way to the provider: %v", page)
	}
	away := z.submit(strings.Replace(z.page, "/oauth/login/", "/oauth/upstream/", 1), url.Values{})
	if away.status != http.StatusSeeOther || !strings.HasPrefix(away.header.Get("Location"), p.URL+"/authorize?") {
		b.Fatalf("to the provider: %v %v", away, away.header)
	}
	backAgain := z.get(away.header.Get("Location"))
	return z, z.get(backAgain.header.Get("Location"))
}

// TestUpstreamLogin signs in at a provider of our own.
func TestUpstreamLogin(t *testing.T) {
	p := newProvider(t)
	b := newBed(t, engines[1], func(c *issuer.Config) {
		u, err := issuer.NewUpstream(issuer.UpstreamConfig{
			Issuer: p.URL, ClientID: "office", ClientSecret: "secret", Redirect: issuer.CallbackURL(c.Issuer), RecordClaim: "registry_id", Fetch: fetch.New(fetch.Config{LocalHosts: []string{"127.0.0.1"}}),
		})
		if err != nil {
			t.Fatal(err)
		}
		c.Login = u
	})
	p.bed = b
	z, a := p.signIn(b)
	code, err := z.code(a)
	b.must(err)
	z.tokens(z.send(formPost("/oauth/token", z.tokenForm(code))))
	z.check(z.fetch(1), 7, 1)

	for name, change := range map[string]func(map[string]any){
		"another nonce":            func(c map[string]any) { c["nonce"] = "n" },
		"no nonce":                 func(c map[string]any) { delete(c, "nonce") },
		"another audience":         func(c map[string]any) { c["aud"] = "bank" },
		"another issuer":           func(c map[string]any) { c["iss"] = "https://evil.example" },
		"an ID token of old":       func(c map[string]any) { c["exp"] = 1 },
		"no record":                func(c map[string]any) { delete(c, "registry_id") },
		"a record that is no text": func(c map[string]any) { c["registry_id"] = 7 },
	} {
		p.change = change
		z, a := p.signIn(b)
		if _, err := z.code(a); err == nil || !strings.Contains(err.Error(), string(oid4vci.AccessDenied)) {
			t.Errorf("%s: %v, want %s", name, err, oid4vci.AccessDenied)
		}
	}
	if a := b.wallet().get("/oauth/callback?state=none&code=c"); a.status != http.StatusBadRequest {
		t.Errorf("a callback out of nowhere: %v", a)
	}
	if strings.Contains(b.logs.String(), recordID(7)) {
		t.Error("P22 the record is in the log")
	}
}
