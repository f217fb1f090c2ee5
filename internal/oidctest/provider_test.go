package oidctest_test

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/internal/oidctest"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
)

const verifier = "a-verifier-of-at-least-forty-three-characters-"

// TestRefusals: a login that is right, and each part of it spoiled.
func TestRefusals(t *testing.T) {
	client := oidctest.Client{ID: "office", Secret: "secret", Redirect: "https://office.example/oauth/callback"}
	p := oidctest.New(oidctest.Config{
		Client: client, Key: keystest.Signer(t, keys.Holder, keys.ES256, "provider"), Claim: "registry_id",
		People: []oidctest.Person{{Record: "1", Name: "Amina <Diallo>"}, {Record: "2", Name: "Juma"}},
	})
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.Issuer = server.URL
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	body := func(r *http.Response, err error) (*http.Response, string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r, string(b)
	}
	sum := sha256.Sum256([]byte(verifier))
	asked := func() url.Values {
		return url.Values{
			"client_id": {client.ID}, "redirect_uri": {client.Redirect}, "response_type": {"code"}, "state": {"s"}, "nonce": {"n"},
			"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}, "as": {"2"},
		}
	}
	for _, tt := range []struct {
		name  string
		spoil func(ask, exchange url.Values)
		want  string // of the page, of the way back, or of the token endpoint
	}{
		{"nothing", func(_, _ url.Values) {}, `"id_token"`},
		{"nobody is chosen", func(a, _ url.Values) { a.Del("as") }, "Amina &lt;Diallo&gt;"},
		{"nobody of that name", func(a, _ url.Values) { a.Set("as", "3") }, "error=access_denied"},
		{"another client", func(a, _ url.Values) { a.Set("client_id", "other") }, "not known here"},
		{"another way back", func(a, _ url.Values) { a.Set("redirect_uri", "https://evil.example") }, "not known here"},
		{"no PKCE", func(a, _ url.Values) { a.Del("code_challenge") }, "error=invalid_request"},
		{"plain PKCE", func(a, _ url.Values) { a.Set("code_challenge_method", "plain") }, "error=invalid_request"},
		{"a token in the address", func(a, _ url.Values) { a.Set("response_type", "token") }, "error=invalid_request"},
		{"another verifier", func(_, e url.Values) { e.Set("code_verifier", "x") }, "invalid_grant"},
		{"another code", func(_, e url.Values) { e.Set("code", "x") }, "invalid_grant"},
		{"another grant", func(_, e url.Values) { e.Set("grant_type", "password") }, "invalid_grant"},
		{"another secret", func(_, e url.Values) { e.Set("client_secret", "x") }, "invalid_client"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ask, exchange := asked(), url.Values{"grant_type": {"authorization_code"}, "redirect_uri": {client.Redirect}, "code_verifier": {verifier}, "client_id": {client.ID}, "client_secret": {client.Secret}}
			tt.spoil(ask, exchange)
			r, page := body(browser.Get(server.URL + "/authorize?" + ask.Encode()))
			back := r.Header.Get("Location")
			u, err := url.Parse(back)
			if err != nil {
				t.Fatal(err)
			}
			if code := u.Query().Get("code"); code != "" {
				if !exchange.Has("code") {
					exchange.Set("code", code)
				}
				_, page = body(browser.PostForm(server.URL+"/token", exchange))
				if _, again := body(browser.PostForm(server.URL+"/token", exchange)); !strings.Contains(again, "invalid") {
					t.Errorf("the code a second time: %s", again)
				}
			}
			if !strings.Contains(back+page, tt.want) {
				t.Errorf("%s %s, want %s", back, page, tt.want)
			}
		})
	}
}
