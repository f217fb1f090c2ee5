// Package oidctest is an OpenID provider for tests and for the demo (OpenID Connect Core 1.0: the
// code flow, with PKCE of RFC 7636). Who signs in says who it is and is believed, so that it is
// of no use for anything else. Start at [New]; examples/login-provider is a program around it.
//
// It leaves everything else of a provider to real ones: passwords, sessions, consent, userinfo.
package oidctest

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/keys"
)

// A Client is who may have people sign in here.
type Client struct{ ID, Secret, Redirect string }

// A Person is somebody who can sign in.
type Person struct {
	// Record is what the claim says of the person: the id of a record of a registry.
	Record string
	// Name is shown on the page.
	Name string
}

// Config is what a provider is made of. Every field must be set unless it says otherwise.
type Config struct {
	// Issuer is its address, http or https, without a / at the end.
	Issuer string
	Client Client
	// Key signs ID tokens.
	Key keys.Signer
	// Claim is the claim of ID tokens that is the person's Record.
	Claim string
	// People are offered on a page. If there is one it is that person who signs in, without a page.
	People []Person
	// Now is the clock. Optional.
	Now func() time.Time
	// Change may spoil the claims of an ID token. Optional.
	Change func(claims map[string]any)
}

// codeLife is for how long a code works.
const codeLife = time.Minute

// A Provider answers HTTP. It keeps what is open in memory.
type Provider struct {
	Config
	http.Handler

	mu    sync.Mutex
	codes map[string]grant
}

// grant is what a code stands for.
type grant struct {
	challenge, nonce string
	person           Person
	expires          time.Time
}

// New returns a provider. Its Config may be changed while it answers nothing.
func New(c Config) *Provider {
	if c.Now == nil {
		c.Now = time.Now
	}
	p := &Provider{Config: c, codes: map[string]grant{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.metadata)
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/jwk-set+json")
		_, _ = w.Write(keys.JWKS([]keys.Key{p.Key.Key()}))
	})
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	p.Handler = mux
	return p
}

// metadata is that of OpenID Connect Discovery 1.0 section 3.
func (p *Provider) metadata(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{
		"issuer": p.Issuer, "authorization_endpoint": p.Issuer + "/authorize", "token_endpoint": p.Issuer + "/token", "jwks_uri": p.Issuer + "/keys",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{string(p.Key.Key().Public.Algorithm())}, "code_challenge_methods_supported": []string{"S256"},
	})
}

// page asks who signs in: each person is a link to the same request with that answer.
var page = template.Must(template.New("").Parse(`<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Sign in</title><style>body{font:1.1rem system-ui;max-width:30rem;margin:2rem auto;padding:0 1rem}a{display:block;padding:.8rem;margin:.5rem 0;border:1px solid;border-radius:6px}</style>
<h1>Who are you?</h1><p>This provider is for trials: it believes everybody.</p>
{{range .}}<a href="/authorize?{{.Query}}">{{.Name}} ({{.Record}})</a>{{end}}</html>`))

// authorize takes a request (section 3.1.2) and sends the browser back with a code.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("client_id") != p.Client.ID || q.Get("redirect_uri") != p.Client.Redirect {
		http.Error(w, "this client, or its redirect_uri, is not known here", http.StatusBadRequest)
		return
	}
	back := url.Values{"state": {q.Get("state")}}
	at := slices.IndexFunc(p.People, func(one Person) bool { return one.Record == q.Get("as") })
	switch {
	case q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" || q.Get("code_challenge") == "":
		back.Set("error", "invalid_request")
	case len(p.People) == 1:
		back.Set("code", p.grant(q, p.People[0]))
	case at >= 0:
		back.Set("code", p.grant(q, p.People[at]))
	case q.Has("as"):
		back.Set("error", "access_denied")
	default:
		type link struct {
			Person
			Query template.URL
		}
		var links []link
		for _, one := range p.People {
			asked := maps.Clone(q)
			asked.Set("as", one.Record)
			links = append(links, link{one, template.URL(asked.Encode())}) // of url.Values.Encode, which escapes
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = page.Execute(w, links)
		return
	}
	http.Redirect(w, r, p.Client.Redirect+"?"+back.Encode(), http.StatusSeeOther)
}

// grant makes a code.
func (p *Provider) grant(q url.Values, who Person) string {
	code := rand.Text()
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.Now()
	maps.DeleteFunc(p.codes, func(_ string, g grant) bool { return now.After(g.expires) })
	p.codes[code] = grant{q.Get("code_challenge"), q.Get("nonce"), who, now.Add(codeLife)}
	return code
}

// token gives an ID token for a code (section 3.1.3), once.
func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	id, secret, basic := r.BasicAuth()
	if !basic {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	if id != p.Client.ID || subtle.ConstantTimeCompare([]byte(secret), []byte(p.Client.Secret)) != 1 {
		answer(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	}
	g, err := p.take(r.PostFormValue("code"), r.PostFormValue("code_verifier"))
	if err != nil || r.PostFormValue("grant_type") != "authorization_code" || r.PostFormValue("redirect_uri") != p.Client.Redirect {
		answer(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
		return
	}
	now := p.Now()
	claims := map[string]any{
		"iss": p.Issuer, "aud": p.Client.ID, "sub": "person-" + g.person.Record, "nonce": g.nonce, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), p.Claim: g.person.Record,
	}
	if p.Change != nil {
		p.Change(claims)
	}
	payload, err := json.Marshal(claims)
	var idToken []byte
	if err == nil {
		idToken, err = jose.Sign(rand.Reader, p.Key, jose.Header{Type: "JWT", KeyID: p.Key.Key().ID().String()}, payload)
	}
	if err != nil {
		answer(w, http.StatusInternalServerError, map[string]any{"error": "server_error"})
		return
	}
	answer(w, http.StatusOK, map[string]any{"access_token": rand.Text(), "token_type": "Bearer", "expires_in": 60, "id_token": string(idToken)})
}

// take uses a code up.
func (p *Provider) take(code, verifier string) (grant, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g, ok := p.codes[code]
	delete(p.codes, code)
	sum := sha256.Sum256([]byte(verifier))
	if !ok || p.Now().After(g.expires) || base64.RawURLEncoding.EncodeToString(sum[:]) != g.challenge {
		return grant{}, errors.New("oidctest: no such code, or not for this client")
	}
	return g, nil
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
