package oid4vci_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
	"github.com/sanad-id/sanad/oid4vci"
)

// A dpopCase is a proof at a resource server that is good until a row spoils it.
type dpopCase struct {
	t       testing.TB
	signer  keys.Signer
	header  jose.Header
	claims  map[string]any
	text    string // in place of what is signed
	headers func(proof string) []string
	want    oid4vci.DPoPExpect
}

func goodDPoP(t testing.TB) *dpopCase {
	s := holder(t, "session")
	key := s.Key().Public
	probe := oid4vci.DPoPRequest{Method: "POST", URL: issuer + "/oid4vci/credential", Now: now, AccessToken: "token-1", Nonce: "n-1"}
	// The hash of the token is taken from a proof of our own.
	made, err := oid4vci.MakeDPoP(rand.Reader, s, probe)
	if err != nil {
		t.Fatal(err)
	}
	return &dpopCase{
		t: t, signer: s, header: jose.Header{Type: oid4vci.DPoPTyp, Key: &key}, claims: claimsOf(t, made),
		headers: func(proof string) []string { return []string{proof} },
		want: oid4vci.DPoPExpect{
			Method: "POST", URL: probe.URL, Now: now, MaxAge: time.Minute, Algorithms: []keys.Algorithm{keys.ES256},
			At: oid4vci.ResourceServer, AccessToken: "token-1", Key: key.JWKThumbprint(), NeedNonce: true,
		},
	}
}

func (c *dpopCase) check() (*oid4vci.DPoP, error) {
	text := c.text
	if text == "" {
		text = signed(c.t, c.signer, c.header, c.claims)
	}
	return oid4vci.CheckDPoP(c.headers(text), c.want)
}

// TestDPoPAccepts holds what must pass although it looks different.
func TestDPoPAccepts(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(*dpopCase)
	}{
		{"as it is", func(*dpopCase) {}},
		{"a query in the request", func(c *dpopCase) { c.want.URL += "?a=b" }},
		{"a query and a fragment in htu", func(c *dpopCase) { c.claims["htu"] = c.want.URL + "?a=b#c" }},
		{"host in capitals", func(c *dpopCase) { c.claims["htu"] = "https://ISSUER.example/oid4vci/credential" }},
		{"the default port", func(c *dpopCase) { c.claims["htu"] = "https://issuer.example:443/oid4vci/credential" }},
		{"the default port of http", func(c *dpopCase) {
			c.want.URL, c.claims["htu"] = "http://127.0.0.1/x", "http://127.0.0.1:80/x"
		}},
		{"no path for the root", func(c *dpopCase) { c.want.URL, c.claims["htu"] = issuer+"/", issuer }},
		{"all kinds of needless escapes", func(c *dpopCase) {
			c.want.URL, c.claims["htu"] = issuer+"/aZ09-._~%2F", issuer+"/%61%5A%30%39%2d%2E%5F%7e%2f"
		}},
		{"no nonce where none is needed", func(c *dpopCase) { c.want.NeedNonce = false }},
		{"an escape that is needless", func(c *dpopCase) { c.claims["htu"] = issuer + "/oid4vci/%63redential" }},
		{"a minute ahead", func(c *dpopCase) { c.claims["iat"] = now.Add(oid4vci.Leeway).Unix() }},
		{"a second before it is too old", func(c *dpopCase) { c.claims["iat"] = now.Add(time.Second - time.Minute).Unix() }},
		{"further claims", func(c *dpopCase) { c.claims["x"] = []any{1} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := goodDPoP(t)
			tt.spoil(c)
			got, err := c.check()
			if err != nil {
				t.Fatal(err)
			}
			if got.Nonce != "n-1" || got.Thumbprint != c.want.Key || !got.Until.After(now) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// TestDPoPRefuses spoils one thing at a time.
func TestDPoPRefuses(t *testing.T) {
	type spoil = func(*dpopCase)
	for _, tt := range []struct {
		name   string
		spoil  spoil
		code   oid4vci.Code
		reason error
	}{
		{"OA-07 no proof", func(c *dpopCase) { c.headers = func(string) []string { return nil } }, oid4vci.InvalidDPoPProof, oid4vci.ErrMissing},
		{"OA-07 twice", func(c *dpopCase) { c.headers = func(p string) []string { return []string{p, p} } }, oid4vci.InvalidDPoPProof, oid4vci.ErrRepeated},
		{"OA-07 two in one header", func(c *dpopCase) { c.headers = func(p string) []string { return []string{p + ", " + p} } }, oid4vci.InvalidDPoPProof, oid4vci.ErrEncryption},
		{"OA-07 another method", func(c *dpopCase) { c.claims["htm"] = "GET" }, oid4vci.InvalidDPoPProof, oid4vci.ErrTarget},
		{"OA-07 method in small letters", func(c *dpopCase) { c.claims["htm"] = "post" }, oid4vci.InvalidDPoPProof, oid4vci.ErrTarget},
		{"OA-07 another path", func(c *dpopCase) { c.claims["htu"] = tokenURL }, oid4vci.InvalidDPoPProof, oid4vci.ErrTarget},
		{"OA-07 path in capitals", func(c *dpopCase) { c.claims["htu"] = issuer + "/oid4vci/Credential" }, oid4vci.InvalidDPoPProof, oid4vci.ErrTarget},
		{"OA-07 a slash more", func(c *dpopCase) { c.claims["htu"] = c.want.URL + "/" }, oid4vci.InvalidDPoPProof, oid4vci.ErrTarget},
		{"OA-07 another host", func(c *dpopCase) { c.claims["htu"] = "https://issuer.example.evil/oid4vci/credential" }, oid4vci.InvalidDPoPProof, oid4vci.ErrTarget},
		{"OA-07 another port", func(c *dpopCase) { c.claims["htu"] = "https://issuer.example:444/oid4vci/credential" }, oid4vci.InvalidDPoPProof, oid4vci.ErrTarget},
		{"OA-07 the default port of http", func(c *dpopCase) { c.claims["htu"] = "https://issuer.example:80/oid4vci/credential" }, oid4vci.InvalidDPoPProof, oid4vci.ErrTarget},
		{"OA-07 the default port of https", func(c *dpopCase) {
			c.want.URL, c.claims["htu"] = "http://127.0.0.1/x", "http://127.0.0.1:443/x"
		}, oid4vci.InvalidDPoPProof, oid4vci.ErrTarget},
		{"OA-07 an escape that is none", func(c *dpopCase) {
			c.want.URL, c.claims["htu"] = issuer+"/a%2Fb", issuer+"/a/b"
		}, oid4vci.InvalidDPoPProof, oid4vci.ErrTarget},
		{"OA-07 htu without host", func(c *dpopCase) { c.claims["htu"] = "https:issuer.example" }, oid4vci.InvalidDPoPProof, oid4vci.ErrTarget},
		{"OA-07 http", func(c *dpopCase) { c.claims["htu"] = "http://issuer.example/oid4vci/credential" }, oid4vci.InvalidDPoPProof, oid4vci.ErrTarget},
		{"OA-07 user info", func(c *dpopCase) { c.claims["htu"] = "https://a@issuer.example/oid4vci/credential" }, oid4vci.InvalidDPoPProof, oid4vci.ErrTarget},
		{"OA-07 no htu", func(c *dpopCase) { delete(c.claims, "htu") }, oid4vci.InvalidDPoPProof, oid4vci.ErrMissing},
		{"OA-07 no htm", func(c *dpopCase) { delete(c.claims, "htm") }, oid4vci.InvalidDPoPProof, oid4vci.ErrMissing},
		{"OA-07 no jti", func(c *dpopCase) { delete(c.claims, "jti") }, oid4vci.InvalidDPoPProof, oid4vci.ErrMissing},
		{"OA-07 a jti of 1 KiB", func(c *dpopCase) { c.claims["jti"] = longText(1024) }, oid4vci.InvalidDPoPProof, oid4vci.ErrTooLarge},
		{"OA-07 no ath", func(c *dpopCase) { delete(c.claims, "ath") }, oid4vci.InvalidDPoPProof, oid4vci.ErrTarget},
		{"OA-07 ath of another token", func(c *dpopCase) { c.want.AccessToken = "token-2" }, oid4vci.InvalidDPoPProof, oid4vci.ErrTarget},
		{"OA-07 a token bound to another key", func(c *dpopCase) { c.want.Key = holder(c.t, "other").Key().Public.JWKThumbprint() }, oid4vci.InvalidToken, oid4vci.ErrKey},
		{"OA-07 too old", func(c *dpopCase) { c.claims["iat"] = now.Add(-time.Minute).Unix() }, oid4vci.InvalidDPoPProof, oid4vci.ErrTime},
		{"OA-07 of the future", func(c *dpopCase) { c.claims["iat"] = now.Add(oid4vci.Leeway + time.Second).Unix() }, oid4vci.InvalidDPoPProof, oid4vci.ErrTime},
		{"JWS-16 no iat", func(c *dpopCase) { delete(c.claims, "iat") }, oid4vci.InvalidDPoPProof, oid4vci.ErrMissing},
		{"JWS-16 iat is a text", func(c *dpopCase) { c.claims["iat"] = "now" }, oid4vci.InvalidDPoPProof, oid4vci.ErrMalformed},
		{"OA-07 no nonce", func(c *dpopCase) { delete(c.claims, "nonce") }, oid4vci.UseDPoPNonce, oid4vci.ErrNoNonce},
		{"OA-07 MAC", func(c *dpopCase) {
			c.text = raw(c.t, c.signer, `{"typ":"dpop+jwt","alg":"HS256","jwk":`+string(c.header.Key.BareJWK())+`}`, `{}`)
		}, oid4vci.InvalidDPoPProof, oid4vci.ErrHeader},
		{"JWS-01 alg none", func(c *dpopCase) {
			c.text = raw(c.t, c.signer, `{"typ":"dpop+jwt","alg":"none","jwk":`+string(c.header.Key.BareJWK())+`}`, `{}`)
		}, oid4vci.InvalidDPoPProof, oid4vci.ErrAlgorithm},
		{"JWS-03 an algorithm that is not the key's", func(c *dpopCase) {
			c.text = raw(c.t, c.signer, `{"typ":"dpop+jwt","alg":"ES384","jwk":`+string(c.header.Key.BareJWK())+`}`, `{}`)
		}, oid4vci.InvalidDPoPProof, oid4vci.ErrAlgorithm},
		{"OA-07 an algorithm that was not offered", func(c *dpopCase) {
			c.signer = keystest.Signer(c.t, keys.Holder, keys.EdDSA, "session")
			key := c.signer.Key().Public
			c.header.Key = &key
		}, oid4vci.InvalidDPoPProof, oid4vci.ErrAlgorithm},
		{"OA-07 no jwk", func(c *dpopCase) { c.header.Key = nil }, oid4vci.InvalidDPoPProof, oid4vci.ErrMalformed},
		{"SIG-05 a private jwk", func(c *dpopCase) {
			jwk := string(c.header.Key.BareJWK())
			c.text = raw(c.t, c.signer, `{"typ":"dpop+jwt","alg":"ES256","jwk":`+jwk[:len(jwk)-1]+`,"d":"AAAA"}}`, `{}`)
		}, oid4vci.InvalidDPoPProof, oid4vci.ErrPrivateKey},
		{"SIG-06 a symmetric jwk", func(c *dpopCase) {
			c.text = raw(c.t, c.signer, `{"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"oct","k":"AAAA"}}`, `{}`)
		}, oid4vci.InvalidDPoPProof, oid4vci.ErrKey},
		{"OA-07 signed by another key", func(c *dpopCase) {
			key := holder(c.t, "other").Key().Public
			c.header.Key = &key
			c.text = tampered(signed(c.t, c.signer, jose.Header{Type: oid4vci.DPoPTyp, Key: keyOf(c.signer)}, c.claims), c.header)
		}, oid4vci.InvalidDPoPProof, oid4vci.ErrSignature},
		{"JWS-08 a key proof", func(c *dpopCase) { c.header.Type = oid4vci.ProofTyp }, oid4vci.InvalidDPoPProof, oid4vci.ErrType},
		{"JWS-08 typ jwt", func(c *dpopCase) { c.header.Type = "jwt" }, oid4vci.InvalidDPoPProof, oid4vci.ErrType},
		{"JWS-07 crit", func(c *dpopCase) {
			c.text = raw(c.t, c.signer, `{"typ":"dpop+jwt","alg":"ES256","crit":["x"],"x":1,"jwk":`+string(c.header.Key.BareJWK())+`}`, `{}`)
		}, oid4vci.InvalidDPoPProof, oid4vci.ErrHeader},
		{"JSON-01 a claim twice", func(c *dpopCase) {
			c.text = raw(c.t, c.signer, `{"typ":"dpop+jwt","alg":"ES256","jwk":`+string(c.header.Key.BareJWK())+`}`, `{"jti":"a","jti":"b"}`)
		}, oid4vci.InvalidDPoPProof, oid4vci.ErrMalformed},
		{"JWS-10 many dots", func(c *dpopCase) { c.text = dots(4096) }, oid4vci.InvalidDPoPProof, oid4vci.ErrMalformed},
		{"JWS-10 too long", func(c *dpopCase) { c.text = longText(9 << 10) }, oid4vci.InvalidDPoPProof, oid4vci.ErrTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := goodDPoP(t)
			tt.spoil(c)
			_, err := c.check()
			refused(t, err, tt.code, tt.reason)
		})
	}
}

// TestDPoPExpectIsWhole sees that a forgotten expectation is no skipped check.
func TestDPoPExpectIsWhole(t *testing.T) {
	for name, spoil := range map[string]func(*oid4vci.DPoPExpect){
		"Method": func(e *oid4vci.DPoPExpect) { e.Method = "" }, "URL": func(e *oid4vci.DPoPExpect) { e.URL = "" },
		"Now": func(e *oid4vci.DPoPExpect) { e.Now = time.Time{} }, "MaxAge": func(e *oid4vci.DPoPExpect) { e.MaxAge = 0 },
		"Algorithms": func(e *oid4vci.DPoPExpect) { e.Algorithms = nil }, "At": func(e *oid4vci.DPoPExpect) { e.At = 0 },
		"AccessToken": func(e *oid4vci.DPoPExpect) { e.AccessToken = "" }, "Key": func(e *oid4vci.DPoPExpect) { e.Key = "" },
		"token at the authorization server": func(e *oid4vci.DPoPExpect) { e.At = oid4vci.AuthorizationServer },
	} {
		c := goodDPoP(t)
		spoil(&c.want)
		if _, err := c.check(); err == nil || isRefusal(err) {
			t.Errorf("without %s: %v, want an error that is the caller's fault", name, err)
		}
	}
}

// TestReplayKeyIgnoresTheSignature sees that another signature over the same proof, or
// the same jti at another moment, is still the same proof (SIG-02), and that of another
// key is not.
func TestReplayKeyIgnoresTheSignature(t *testing.T) {
	c := goodDPoP(t)
	first, err := c.check()
	if err != nil {
		t.Fatal(err)
	}
	c.claims["iat"] = now.Add(time.Second).Unix()
	second, err := c.check()
	if err != nil || first.Replay != second.Replay {
		t.Errorf("another proof with the same jti has another replay key: %v", err)
	}
	c.signer = holder(t, "other")
	c.header.Key = keyOf(c.signer)
	c.want.Key = c.header.Key.JWKThumbprint()
	other, err := c.check()
	if err != nil || first.Replay == other.Replay {
		t.Errorf("a proof of another key has the same replay key: %v", err)
	}
}

func TestParseAuthorization(t *testing.T) {
	for _, tt := range []struct {
		name    string
		headers []string
		reason  error
	}{
		{"OA-08 shown as bearer", []string{"Bearer token-1"}, oid4vci.ErrConflict},
		{"none", nil, oid4vci.ErrMissing},
		{"JSON-06 twice", []string{"DPoP token-1", "DPoP token-1"}, oid4vci.ErrRepeated},
		{"no token", []string{"DPoP"}, oid4vci.ErrMalformed},
		{"two words", []string{"DPoP a b"}, oid4vci.ErrMalformed},
		{"a control character", []string{"DPoP a\x00"}, oid4vci.ErrMalformed},
		{"16 KiB", []string{"DPoP " + longText(17<<10)}, oid4vci.ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := oid4vci.ParseAuthorization(tt.headers, oid4vci.DPoPToken)
			refused(t, err, oid4vci.InvalidToken, tt.reason)
		})
	}
	for _, h := range []string{"DPoP token-1", "dpop token-1", "DPOP  token-1"} {
		if got, err := oid4vci.ParseAuthorization([]string{h}, oid4vci.DPoPToken); err != nil || got != "token-1" {
			t.Errorf("%q: %v", h, err)
		}
	}
}
