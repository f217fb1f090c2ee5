package issuer_test

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/api/issuer"
	"github.com/sanad-id/sanad/oid4vci"
)

// TestWalletInBrowser: a wallet that is a website may send what the standards have it send,
// and read what it needs for its next request (Fetch standard, CORS protocol).
func TestWalletInBrowser(t *testing.T) {
	b := &bed{TB: t, clock: &clock{}, registry: &register{}, logs: &lockedBuffer{}, events: map[string]int{}}
	b.start(engines[0], everything(b))
	w := b.wallet()
	has := func(list, name string) bool {
		return slices.ContainsFunc(strings.Split(list, ","), func(s string) bool { return strings.EqualFold(strings.TrimSpace(s), name) })
	}
	for _, path := range []string{"/oauth/par", "/oauth/token", "/oauth/challenge", "/oid4vci/nonce", "/oid4vci/credential", "/oid4vci/deferred", "/oid4vci/notification"} {
		ask, err := http.NewRequest(http.MethodOptions, b.url+path, nil)
		b.must(err)
		ask.Header.Set("Origin", "https://wallet.example")
		ask.Header.Set("Access-Control-Request-Method", http.MethodPost)
		allowed := w.do(ask).header
		for _, name := range []string{"Authorization", "Content-Type", oid4vci.DPoPHeader, oid4vci.ClientAttestationHeader, oid4vci.ClientAttestationPoPHeader} {
			if !has(allowed.Get("Access-Control-Allow-Headers"), name) {
				t.Errorf("%s: a script may not send %s", path, name)
			}
		}
		p := formPost(path, nil)
		p.header.Set("Origin", "https://wallet.example")
		if strings.Contains(path, "credential") || strings.Contains(path, "deferred") || strings.Contains(path, "notification") {
			p.media, p.body = oid4vci.JSONType, []byte("{}")
		}
		answered := w.send(p).header
		if answered.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: a script may not read the answer", path)
		}
		for _, name := range []string{oid4vci.DPoPNonceHeader, oid4vci.ClientAttestationChallengeHeader, "WWW-Authenticate"} {
			if answered.Get(name) != "" && !has(answered.Get("Access-Control-Expose-Headers"), name) {
				t.Errorf("%s: a script may not read %s", path, name)
			}
		}
		if strings.HasPrefix(path, "/oauth/p") && answered.Get(oid4vci.ClientAttestationChallengeHeader) == "" {
			t.Errorf("%s: no challenge, so nothing was tested", path)
		}
	}
}

// TestServerMetadataTells: what is not served is not left to defaults that name it (RFC 8414
// section 2).
func TestServerMetadataTells(t *testing.T) {
	b := newBed(t, engines[0])
	a := b.wallet().get("/.well-known/oauth-authorization-server")
	if !strings.Contains(string(a.body), `"response_modes_supported":["query"]`) {
		t.Errorf("response modes are not told: %s", a.body)
	}
}

// TestTokensAreNotKept: RFC 6749 section 5.1, of every cache on the way.
func TestTokensAreNotKept(t *testing.T) {
	b := newBed(t, engines[0])
	w := b.wallet()
	a := w.send(formPost("/oauth/token", redeem(w.accept(b.offer(1).Link), "")))
	if a.status != http.StatusOK || a.header.Get("Cache-Control") != "no-store" || a.header.Get("Pragma") != "no-cache" {
		t.Errorf("%v with Cache-Control %q, Pragma %q", a, a.header.Get("Cache-Control"), a.header.Get("Pragma"))
	}
}

// TestMetadataAsAsked: who refuses signed metadata gets the others (RFC 9110 section 12.4.2).
func TestMetadataAsAsked(t *testing.T) {
	b := newBed(t, engines[0])
	w := b.wallet()
	for accept, want := range map[string]string{
		"": oid4vci.JSONType, "*/*": oid4vci.JSONType, oid4vci.JSONType: oid4vci.JSONType, oid4vci.JWTType: oid4vci.JWTType,
		"application/json, application/jwt;q=0": oid4vci.JSONType, "application/jwt; q=0.000": oid4vci.JSONType, "application/jwt;q=0.1": oid4vci.JWTType,
	} {
		if a := w.get("/.well-known/openid-credential-issuer", "Accept", accept); a.status != http.StatusOK || a.header.Get("Content-Type") != want {
			t.Errorf("Accept %q: %d %s, want %s", accept, a.status, a.header.Get("Content-Type"), want)
		}
	}
}

// TestOldBrowsers: a browser from before Sec-Fetch-Site says only from which website a form
// comes. That is enough to sign in, and the page lets it say so (Fetch standard, "append a
// request Origin header": under no-referrer the origin is null).
func TestOldBrowsers(t *testing.T) {
	b := newBed(t, engines[0])
	z, made := b.claim(1)
	policy := z.get(z.page).header.Get("Referrer-Policy")
	origin := map[string]string{"same-origin": b.url}[policy]
	if origin == "" {
		origin = "null"
	}
	code, err := z.code(z.submit(z.page, url.Values{"code": {made.ClaimCode}}, "Sec-Fetch-Site", "", "Origin", origin))
	if code == "" || err != nil {
		t.Errorf("under the policy %q: %v", policy, err)
	}
	z, made = b.claim(2)
	for _, origin := range []string{"null", "https://evil.example"} {
		if a := z.submit(z.page, url.Values{"code": {made.ClaimCode}}, "Sec-Fetch-Site", "", "Origin", origin); a.status != http.StatusForbidden {
			t.Errorf("a form of %s: %v", origin, a)
		}
	}
}

// TestIssuerWithPath: an issuer whose identifier has a path is found where its wallets look
// (OpenID4VCI section 12.2.2, RFC 8414 section 3.1, did:web), and serves both flows below it.
func TestIssuerWithPath(t *testing.T) {
	b := newBed(t, engines[0], func(c *issuer.Config) {
		c.Issuer += "/office"
		keys := c.Keys
		c.Keys = func(ctx context.Context) (map[string]issuer.Document, error) {
			all, err := keys(ctx)
			all[issuer.PathDID], all[issuer.PathIssuerKeys] = all[issuer.PathJWKS], all[issuer.PathJWKS]
			return all, err
		}
	})
	host := b.url
	b.url += "/office"
	w := b.wallet()
	reader := oid4vci.Reader{LoopbackHTTP: true}
	for _, name := range []string{oid4vci.IssuerWellKnown, oid4vci.ServerWellKnown} {
		at, err := oid4vci.WellKnown(b.url, name)
		b.must(err)
		a := w.get(at)
		if name == oid4vci.IssuerWellKnown {
			_, err = reader.IssuerMetadata(a.body, b.url)
		} else {
			_, err = reader.ServerMetadata(a.body, b.url)
		}
		if err != nil {
			t.Errorf("%s: %v, %v", at, a, err)
		}
	}
	for _, at := range []string{host + "/.well-known/jwt-vc-issuer/office", b.url + "/did.json", b.url + "/jwks.json", b.url + "/type/urn:xa:licence:1"} {
		if a := w.get(at); a.status != http.StatusOK {
			t.Errorf("%s: %v", at, a)
		}
	}
	w.signIn(b.offer(1))
	w.check(w.fetch(2), 1, 2)
	z, made := b.claim(2)
	code, err := z.code(z.submit(z.page, url.Values{"code": {made.ClaimCode}}))
	b.must(err)
	z.tokens(z.send(formPost("/oauth/token", z.tokenForm(code))))
	z.check(z.fetch(1), 2, 1)
}
