package issuer_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/api/issuer"
	"github.com/sanad-id/sanad/internal/published"
	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
	"github.com/sanad-id/sanad/oid4vci"
)

// TestTokenRefuses spoils one thing at a time in a token request. The offer works
// afterwards, so that no row burns it.
func TestTokenRefuses(t *testing.T) {
	b := newBed(t, engines[0])
	w := b.wallet()
	made := b.offer(1, func(r *issuer.OfferRequest) { r.TxCode = sixDigits })
	bare := b.offer(2)
	o, two := w.accept(made.Link), w.accept(bare.Link)
	w.cNonce() // and with it a nonce for DPoP
	stranger := keystest.Signer(t, keys.Holder, keys.ES256, "stranger")
	proof := func(change func(*oid4vci.DPoPRequest)) func(oid4vci.DPoPRequest) string {
		return func(r oid4vci.DPoPRequest) string {
			change(&r)
			text, err := oid4vci.MakeDPoP(rand.Reader, w.dpop, r)
			b.must(err)
			return text
		}
	}
	var replayed string
	tests := []struct {
		name  string
		spoil func(p *post, form url.Values)
		want  oid4vci.Code
		then  int
	}{
		{"VCI-04 no transaction code", func(_ *post, f url.Values) { f.Del("tx_code") }, oid4vci.InvalidRequest, 400},
		{"VCI-04 a transaction code that nobody asked for", func(_ *post, f url.Values) { f.Set("pre-authorized_code", string(two.PreAuthorized.Code)) }, oid4vci.InvalidRequest, 400},
		{"VCI-03 a wrong transaction code", func(_ *post, f url.Values) { f.Set("tx_code", flip(made.TxCode)) }, oid4vci.InvalidGrant, 400},
		{"a code that never was", func(_ *post, f url.Values) { f.Set("pre-authorized_code", "none") }, oid4vci.InvalidGrant, 400},
		{"a parameter twice", func(_ *post, f url.Values) { f.Add("tx_code", made.TxCode) }, oid4vci.InvalidRequest, 400},
		{"another grant", func(_ *post, f url.Values) { f.Set("grant_type", "password") }, oid4vci.UnsupportedGrantType, 400},
		{"VCI-09 another credential", func(_ *post, f url.Values) {
			f.Set("authorization_details", `[{"type":"openid_credential","credential_configuration_id":"passport.wallet"}]`)
		}, oid4vci.InvalidAuthorizationDetails, 400},
		{"OA-07 no DPoP proof", func(p *post, _ url.Values) { p.noDPoP = true }, oid4vci.InvalidDPoPProof, 400},
		{"OA-07 two DPoP proofs", func(p *post, _ url.Values) {
			text, err := oid4vci.MakeDPoP(rand.Reader, stranger, oid4vci.DPoPRequest{Method: "POST", URL: b.url + "/oauth/token", Now: b.clock.Now(), Nonce: w.nonce})
			b.must(err)
			p.header.Add(oid4vci.DPoPHeader, text)
		}, oid4vci.InvalidDPoPProof, 400},
		{"OA-07 a proof for another method", func(p *post, _ url.Values) { p.proof = proof(func(r *oid4vci.DPoPRequest) { r.Method = "GET" }) }, oid4vci.InvalidDPoPProof, 400},
		{"OA-07 a proof for another address", func(p *post, _ url.Values) {
			p.proof = proof(func(r *oid4vci.DPoPRequest) { r.URL = b.url + "/oauth/par" })
		}, oid4vci.InvalidDPoPProof, 400},
		{"OA-07 an old proof", func(p *post, _ url.Values) {
			p.proof = proof(func(r *oid4vci.DPoPRequest) { r.Now = r.Now.Add(-10 * time.Minute) })
		}, oid4vci.InvalidDPoPProof, 400},
		{"OA-07 a proof without nonce", func(p *post, _ url.Values) { p.proof = proof(func(r *oid4vci.DPoPRequest) { r.Nonce = "" }) }, oid4vci.UseDPoPNonce, 400},
		{"OA-07 a proof with a nonce that we did not make", func(p *post, _ url.Values) { p.proof = proof(func(r *oid4vci.DPoPRequest) { r.Nonce = flip(r.Nonce) }) }, oid4vci.UseDPoPNonce, 400},
		{"OA-07 a proof with a nonce for holders' keys", func(p *post, _ url.Values) {
			n := w.cNonce()
			p.proof = proof(func(r *oid4vci.DPoPRequest) { r.Nonce = n })
		}, oid4vci.UseDPoPNonce, 400},
		{"OA-07 the same proof twice", func(p *post, f url.Values) {
			p.proof = func(r oid4vci.DPoPRequest) string {
				text, err := oid4vci.MakeDPoP(rand.Reader, w.dpop, r)
				b.must(err)
				replayed = text
				return text
			}
			p.body = []byte(url.Values{"grant_type": f["grant_type"], "pre-authorized_code": {"none"}}.Encode())
			w.sendOnce(*p)
			p.proof = func(oid4vci.DPoPRequest) string { return replayed }
		}, oid4vci.InvalidDPoPProof, 400},
		{"OA-12 secrets in the address", func(p *post, f url.Values) { p.path += "?" + f.Encode() }, oid4vci.InvalidRequest, 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			form := redeem(o, made.TxCode)
			p := formPost("/oauth/token", form)
			tt.spoil(&p, form)
			p.body = []byte(form.Encode())
			a := w.send(p)
			if a.status != tt.then || a.code() != tt.want {
				t.Errorf("%v, want %d %s", a, tt.then, tt.want)
			}
		})
	}
	// RFC 6749 section 5.2: what cannot be read is refused in the same words.
	for name, body := range map[string]string{"no form": "grant_type=%zz", "too many parameters": strings.Repeat("a&", 64)} {
		for _, path := range []string{"/oauth/token", "/oauth/par"} {
			p := formPost(path, nil)
			p.body = []byte(body)
			if a := w.send(p); a.status != 400 || a.code() != oid4vci.InvalidRequest || a.header.Get("Content-Type") != oid4vci.JSONType || !strings.HasPrefix(string(a.body), `{"error":"invalid_request"`) {
				t.Errorf("%s at %s: %v", name, path, a)
			}
		}
	}
	if a := w.get("/oauth/token?" + redeem(o, made.TxCode).Encode()); a.status != http.StatusMethodNotAllowed && a.status != http.StatusBadRequest {
		t.Errorf("OA-12 by GET: %v", a)
	}
	if strings.Contains(b.logs.String(), string(o.PreAuthorized.Code)) {
		t.Error("OA-12 a code is in the log")
	}
	w.signIn(made)
	if a := w.send(formPost("/oauth/token", redeem(o, made.TxCode))); a.code() != oid4vci.InvalidGrant {
		t.Errorf("VCI-01 a code again: %v", a)
	}
	b.clock.add(25 * time.Hour)
	w.nonce = ""
	if a := w.send(formPost("/oauth/token", redeem(two, ""))); a.code() != oid4vci.InvalidGrant {
		t.Errorf("VCI-05 a code that has expired: %v", a)
	}
	b.clock.add(-25 * time.Hour)
	w.nonce = ""
	if a := w.send(formPost("/oauth/token", redeem(two, ""))); a.code() != oid4vci.InvalidGrant {
		t.Errorf("VCI-05 the same with the clock set back: %v", a)
	}
	l, err := oid4vci.Reader{LoopbackHTTP: true}.OfferLink(bare.Link)
	b.must(err)
	if ref, err := strict.DecodeBase64URL(path.Base(l.URI)); err != nil || len(ref) < 16 {
		t.Errorf("VCI-15 the link of an offer has %d bytes to guess", len(ref))
	}
	b.clock.add(25 * time.Hour)
	guessed, expired := w.get("/offer/"+strings.Repeat("x", 43)), w.get(l.URI)
	told := func(a answer) string { return strings.ReplaceAll(string(a.body), a.header.Get("X-Request-Id"), "") }
	if guessed.status != http.StatusNotFound || expired.status != http.StatusNotFound || told(guessed) != told(expired) {
		t.Errorf("VCI-15 a guessed offer: %v; one that has expired: %v", guessed, expired)
	}
}

// flip changes the first character of a text.
func flip(s string) string {
	c := byte('1')
	if s[0] == c {
		c = '2'
	}
	return string(c) + s[1:]
}

// TestCredentialRefuses spoils one thing at a time in a credential request. Nothing is
// issued by any row.
func TestCredentialRefuses(t *testing.T) {
	b := newBed(t, engines[0], func(c *issuer.Config) { c.Bearer = true })
	w := b.wallet()
	w.signIn(b.offer(1))
	other := b.wallet()
	other.signIn(b.offer(2))
	tests := []struct {
		name  string
		spoil func(r *oid4vci.CredentialRequest, p *post)
		want  oid4vci.Code
		then  int
	}{
		{"no proofs", func(r *oid4vci.CredentialRequest, _ *post) { r.Proofs = oid4vci.Proofs{} }, oid4vci.InvalidProof, 400},
		{"VCI-06 a nonce that we did not make", func(r *oid4vci.CredentialRequest, _ *post) { r.Proofs.Tokens[0] = w.proofWith(flip(w.cNonce())) }, oid4vci.InvalidNonce, 400},
		{"VCI-06 an altered proof", func(r *oid4vci.CredentialRequest, _ *post) {
			parts := strings.Split(r.Proofs.Tokens[0], ".")
			r.Proofs.Tokens[0] = parts[0] + "." + parts[1] + "." + flip(parts[2])
		}, oid4vci.InvalidProof, 400},
		{"VCI-06 a proof for another issuer", func(r *oid4vci.CredentialRequest, _ *post) {
			r.Proofs.Tokens[0] = w.proofFor("https://other.example", w.cNonce())
		}, oid4vci.InvalidProof, 400},
		{"VCI-06 a nonce for DPoP", func(r *oid4vci.CredentialRequest, _ *post) { w.cNonce(); r.Proofs.Tokens[0] = w.proofWith(w.nonce) }, oid4vci.InvalidNonce, 400},
		{"VCI-06 an old proof", func(r *oid4vci.CredentialRequest, _ *post) {
			r.Proofs.Tokens[0] = w.proofAt(b.clock.Now().Add(-6*time.Minute), w.url, w.cNonce())
		}, oid4vci.InvalidProof, 400},
		{"VCI-06 no nonce", func(r *oid4vci.CredentialRequest, _ *post) { r.Proofs.Tokens[0] = w.proofWith("") }, oid4vci.InvalidProof, 400},
		{"VCI-09 another configuration", func(r *oid4vci.CredentialRequest, _ *post) { r.Configuration = "passport.wallet" }, oid4vci.UnknownCredentialConfiguration, 400},
		{"by an identifier that was not given", func(r *oid4vci.CredentialRequest, _ *post) { r.Configuration, r.Identifier = "", configuration+".1" }, oid4vci.InvalidCredentialRequest, 400},
		{"VCI-20 more keys than copies", func(r *oid4vci.CredentialRequest, _ *post) { *r = w.request(9) }, oid4vci.InvalidProof, 400},
		{"no token", func(_ *oid4vci.CredentialRequest, p *post) { p.token = ""; p.noDPoP = true }, oid4vci.InvalidToken, 401},
		{"a token that never was", func(_ *oid4vci.CredentialRequest, p *post) { p.token = "none" }, oid4vci.InvalidToken, 401},
		{"OA-08 a bound token as Bearer", func(_ *oid4vci.CredentialRequest, p *post) { p.scheme = "Bearer" }, oid4vci.InvalidToken, 401},
		{"OA-07 no proof", func(_ *oid4vci.CredentialRequest, p *post) { p.noDPoP = true }, oid4vci.InvalidDPoPProof, 401},
		{"OA-07 somebody else's token", func(_ *oid4vci.CredentialRequest, p *post) { p.token = other.token.AccessToken }, oid4vci.InvalidToken, 401},
		{"OA-07 a proof for another token", func(_ *oid4vci.CredentialRequest, p *post) {
			p.proof = func(r oid4vci.DPoPRequest) string {
				r.AccessToken = other.token.AccessToken
				text, err := oid4vci.MakeDPoP(rand.Reader, w.dpop, r)
				b.must(err)
				return text
			}
		}, oid4vci.InvalidDPoPProof, 401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := w.request(1)
			var p post
			tt.spoil(&r, &p)
			asked := w.ask(r)
			if p.token != "" || p.noDPoP {
				asked.token = p.token
				if p.noDPoP && tt.want == oid4vci.InvalidDPoPProof {
					asked.token = w.token.AccessToken
				}
			}
			asked.scheme, asked.proof, asked.noDPoP = p.scheme, p.proof, p.noDPoP
			a := w.send(asked)
			if a.status != tt.then || a.code() != tt.want {
				t.Errorf("%v, want %d %s", a, tt.then, tt.want)
			}
			challenge := a.header.Get("WWW-Authenticate")
			// RFC 6750 section 3.1: who brought nothing is told no error.
			if a.status == 401 && (!strings.HasPrefix(challenge, "DPoP ") || strings.Contains(challenge, "error=") != (tt.name != "no token")) {
				t.Errorf("WWW-Authenticate %q", challenge)
			}
		})
	}
	// The clock of the server that made the nonce, or of the one that reads it, was put back.
	for name, after := range map[string]time.Duration{"has ended": 6 * time.Minute, "would last longer than any": -time.Hour} {
		n := w.cNonce()
		b.clock.add(after)
		w.nonce = ""
		r := w.request(1)
		r.Proofs.Tokens[0] = w.proofWith(n)
		if a := w.send(w.ask(r)); a.status != 400 || a.code() != oid4vci.InvalidNonce {
			t.Errorf("VCI-06 a nonce that %s: %v", name, a)
		}
		b.clock.add(-after)
		w.nonce = ""
	}
	if n := len(b.credentials()); n != 0 {
		t.Fatalf("%d credentials were issued", n)
	}
	r := w.request(1)
	w.check(w.read(w.send(w.ask(r)), 1), 1, 1)
	if a := w.send(w.ask(r)); a.code() != oid4vci.InvalidNonce {
		t.Errorf("VCI-07 the same proof again: %v", a)
	}
	w.usedUp()
	body, err := oid4vci.Notification{ID: "none", Event: oid4vci.CredentialAccepted}.JSON()
	b.must(err)
	if a := w.send(post{path: "/oid4vci/notification", media: oid4vci.JSONType, body: body, token: w.token.AccessToken}); a.code() != oid4vci.InvalidNotificationID {
		t.Errorf("VCI-13 a notification for nothing: %v", a)
	}
	c := other.fetch(1)
	stolen := other.ask(other.request(1))
	stolen.token = oid4vci.Secret(c.Credentials[0])
	if a := other.send(stolen); a.status != 401 || a.code() != oid4vci.InvalidToken {
		t.Errorf("VP-20 a credential as a token: %v", a)
	}
	body, err = oid4vci.Notification{ID: c.NotificationID, Event: oid4vci.CredentialDeleted}.JSON()
	b.must(err)
	if a := w.send(post{path: "/oid4vci/notification", media: oid4vci.JSONType, body: body, token: w.token.AccessToken}); a.code() != oid4vci.InvalidNotificationID || b.happened("notification_deleted") != 0 {
		t.Errorf("VCI-13 a notification for somebody else's credential: %v", a)
	}
	nobody := b.wallet()
	nobody.signIn(b.offer(9_000_001))
	if a := nobody.send(nobody.ask(nobody.request(1))); a.code() != oid4vci.CredentialRequestDenied {
		t.Errorf("a record that is gone: %v", a)
	}
	b.clock.add(11 * time.Minute)
	w.nonce = ""
	if a := w.send(w.ask(w.request(1))); a.code() != oid4vci.InvalidToken || a.status != 401 {
		t.Errorf("VCI-09 an expired token: %v", a)
	}
}

// usedUp: what a refused request has brought does not work again, and that it was used
// before is said first; what nobody looked at is as good as new.
func (w *wallet) usedUp() {
	w.Helper()
	fixed := func(p post) post {
		var proof string
		p.proof = func(d oid4vci.DPoPRequest) string {
			if proof == "" {
				var err error
				proof, err = oid4vci.MakeDPoP(rand.Reader, w.dpop, d)
				w.must(err)
			}
			return proof
		}
		return p
	}
	r := w.request(2)
	malformed := fixed(w.ask(r))
	good := malformed.body
	malformed.body = []byte("{")
	if a := w.sendOnce(malformed); a.code() != oid4vci.InvalidCredentialRequest {
		w.Errorf("a request that is no JSON: %v", a)
	}
	malformed.body = good
	if a := w.sendOnce(malformed); a.code() != oid4vci.InvalidDPoPProof {
		w.Errorf("OA-07 the DPoP proof of a refused request with a good one: %v", a)
	}
	malformed.body = []byte("{")
	if a := w.sendOnce(malformed); a.code() != oid4vci.InvalidDPoPProof {
		w.Errorf("OA-07 the DPoP proof of a refused request with another one: %v", a)
	}
	// The nonce was not looked at. For these keys the token brings nothing: it is used up.
	for _, want := range []oid4vci.Code{oid4vci.CredentialRequestDenied, oid4vci.InvalidNonce} {
		if a := w.send(w.ask(r)); a.code() != want {
			w.Errorf("VCI-07 a proof of other keys: %v, want %s", a, want)
		}
	}
	used := fixed(w.ask(r)) // with a nonce that was used
	for _, want := range []oid4vci.Code{oid4vci.InvalidNonce, oid4vci.InvalidDPoPProof} {
		if a := w.sendOnce(used); a.code() != want {
			w.Errorf("OA-07 a DPoP proof with a proof of a key that was used: %v, want %s", a, want)
		}
	}
}

// TestBearer: OA-08. Where the settings take wallets without DPoP at all, a token that anybody
// could use lives for five minutes, is renewed by nobody, comes of a pre-authorized code only,
// and is no bound one.
func TestBearer(t *testing.T) {
	b := newBed(t, engines[0], func(c *issuer.Config) { c.Bearer = true })
	w := b.wallet()
	bare := func(p post) answer { p.noDPoP = true; return w.send(p) }
	a := bare(formPost("/oauth/token", redeem(w.accept(b.offer(1).Link), "")))
	token, err := oid4vci.ReadTokenResponse(a.status, a.body, oid4vci.BearerToken)
	b.must(err)
	if token.Lifetime <= 0 || token.Lifetime > 5*time.Minute || token.RefreshToken != "" {
		t.Errorf("OA-08 a token for everybody: %+v", token)
	}
	w.token = token
	p := w.ask(w.request(1))
	if a := w.send(p); a.status != 401 || a.code() != oid4vci.InvalidToken {
		t.Errorf("OA-08 a token for everybody, shown as a bound one: %v", a)
	}
	p.scheme = "Bearer"
	w.check(w.read(bare(p), 1), 1, 1)
	b.clock.add(token.Lifetime + time.Second)
	if a := bare(p); a.status != 401 || a.code() != oid4vci.InvalidToken {
		t.Errorf("OA-08 a token for everybody, too late: %v", a)
	}

	made := b.offer(2, func(r *issuer.OfferRequest) { r.ClaimCode = true })
	z := &authorization{wallet: w, verifier: oid4vci.Secret(strings.Repeat("v", 43))}
	w.id = "wallet.example"
	form, err := oid4vci.AuthorizationRequest{
		ClientID: w.id, RedirectURI: back, State: "state-1", Scopes: []string{configuration}, Challenge: oid4vci.PKCEChallenge(z.verifier),
		IssuerState: w.accept(made.Link).AuthorizationCode.IssuerState,
	}.Form()
	b.must(err)
	a = bare(formPost("/oauth/par", form))
	pushed, err := oid4vci.ReadPushedResponse(a.status, a.body)
	b.must(err)
	z.requestURI = pushed.RequestURI
	z.visit()
	code, err := z.code(z.submit(z.page, url.Values{"code": {made.ClaimCode}}))
	b.must(err)
	if a := bare(formPost("/oauth/token", z.tokenForm(code))); a.status != 400 || a.code() != oid4vci.InvalidDPoPProof {
		t.Errorf("OA-08 an authorization code without DPoP: %v", a)
	}
	z.tokens(z.send(formPost("/oauth/token", z.tokenForm(code))))
}

// proofWith is a key proof with this nonce.
func (w *wallet) proofWith(nonce string) string {
	w.Helper()
	return w.proofFor(w.url, nonce)
}

func (w *wallet) proofFor(issuer, nonce string) string {
	w.Helper()
	return w.proofAt(w.clock.Now(), issuer, nonce)
}

func (w *wallet) proofAt(now time.Time, issuer, nonce string) string {
	w.Helper()
	p, err := oid4vci.MakeProof(rand.Reader, w.holder(0), oid4vci.ProofClaims{Issuer: issuer, Nonce: nonce, Now: now})
	w.must(err)
	return p
}

// TestAuthorizationRefuses spoils the authorization code flow.
func TestAuthorizationRefuses(t *testing.T) {
	b := newBed(t, engines[0], func(c *issuer.Config) {
		c.AnyClient = false
		c.Clients = []issuer.Client{{ID: "wallet.example", RedirectURIs: []string{back}}}
	})
	for _, uri := range []string{back + "/", back + "?x=1", "https://WALLET.example/cb", "https://wallet.example:444/cb", "https://u@wallet.example/cb", "https://evil.example/cb"} {
		_, a := b.wallet().push(func(r *oid4vci.AuthorizationRequest) { r.RedirectURI = uri })
		if a.status != 400 || a.code() != oid4vci.InvalidRequest {
			t.Errorf("OA-01 %s: %v", uri, a)
		}
	}
	for resource, want := range map[string]oid4vci.Code{b.url: "", b.url + "/": oid4vci.InvalidTarget, "https://other.example": oid4vci.InvalidTarget} {
		if _, a := b.wallet().push(func(r *oid4vci.AuthorizationRequest) { r.Resource = resource }); a.code() != want {
			t.Errorf("resource %s: %v, want %q", resource, a, want) // RFC 8707 section 2
		}
	}
	// RFC 9449 section 10.1: dpop_jkt and the proof name one key.
	foreign := keystest.Key(t, keys.Holder, keys.ES256, "foreign").Public.JWKThumbprint()
	if _, a := b.wallet().push(func(r *oid4vci.AuthorizationRequest) { r.DPoPKey = foreign }); a.code() != oid4vci.InvalidDPoPProof {
		t.Errorf("a code bound to another key than that of the proof: %v", a)
	}
	if _, a := b.wallet().push(func(r *oid4vci.AuthorizationRequest) { r.ClientID = "other.example" }); a.code() != oid4vci.InvalidClient {
		t.Errorf("a client that nobody knows: %v", a)
	}
	if _, a := b.wallet().push(func(r *oid4vci.AuthorizationRequest) { r.Scopes = []string{"passport"} }); a.code() != oid4vci.InvalidScope {
		t.Errorf("a scope that there is not: %v", a)
	}

	z, made := b.claim(1)
	again := *z
	if a := again.visit(); a.status != 400 {
		t.Errorf("OA-05 a pushed request again: %v", a)
	}
	looked, _ := b.wallet().push()
	to, err := oid4vci.AuthorizationURL(z.url+"/oauth/authorize", looked.id, looked.requestURI)
	b.must(err)
	head, err := http.NewRequest(http.MethodHead, to, nil)
	b.must(err)
	if a := looked.do(head); a.status != http.StatusMethodNotAllowed {
		t.Errorf("OA-05 a look at a pushed request: %v", a)
	}
	if a := looked.visit(); a.status != http.StatusSeeOther {
		t.Errorf("OA-05 a pushed request after a look at it: %v", a)
	}
	late, _ := b.wallet().push()
	b.clock.add(2 * time.Minute)
	if a := late.visit(); a.status != 400 {
		t.Errorf("OA-05 a pushed request that has expired: %v", a)
	}
	b.clock.add(-2 * time.Minute)
	strange, _ := b.wallet().push()
	strange.id = "other.example"
	if a := strange.visit(); a.status != 400 {
		t.Errorf("OA-05 the pushed request of another client: %v", a)
	}
	form := url.Values{"code": {made.ClaimCode}}
	if a := z.submit(z.page, form, "Sec-Fetch-Site", "cross-site"); a.status != http.StatusForbidden {
		t.Errorf("a form of another website: %v", a)
	}
	thief := &authorization{wallet: b.wallet()}
	if a := thief.submit(z.page, form); a.status != 400 {
		t.Errorf("the login page in another browser: %v", a)
	}
	page, err := url.Parse(z.page)
	b.must(err)
	own := z.client.Jar.Cookies(page)
	if len(own) != 1 {
		t.Fatalf("the browser has %d cookies, want that of the login", len(own))
	}
	for name, value := range map[string]string{"another value": strings.Repeat("A", len(own[0].Value)), "half of it": own[0].Value[:len(own[0].Value)/2], "nothing": ""} {
		if a := thief.submit(z.page, form, "Cookie", own[0].Name+"="+value); a.status != 400 {
			t.Errorf("the login page in another browser, with %s in its cookie: %v", name, a)
		}
	}
	other, second := b.claim(2)
	if a := z.submit(z.page, url.Values{"code": {second.ClaimCode}}); a.status != 400 {
		t.Errorf("the claim code of another offer: %v", a)
	}
	if _, err := other.code(other.submit(other.page, url.Values{"code": {second.ClaimCode}})); err != nil {
		t.Errorf("that claim code at its own offer: %v", err)
	}
	code, err := z.code(z.submit(z.page, form))
	b.must(err)
	for name, change := range map[string]func(url.Values){
		"OA-02 a wrong verifier": func(f url.Values) { f.Set("code_verifier", strings.Repeat("a", 43)) },
		"OA-02 another client":   func(f url.Values) { f.Set("client_id", "other.example") },
		"another address":        func(f url.Values) { f.Set("redirect_uri", "https://wallet.example/other") },
		"a code that never was":  func(f url.Values) { f.Set("code", "none") },
	} {
		f := z.tokenForm(code)
		change(f)
		if a := z.send(formPost("/oauth/token", f)); a.code() != oid4vci.InvalidGrant {
			t.Errorf("%s: %v", name, a)
		}
	}
	thief.id, thief.verifier = z.id, z.verifier
	if a := thief.send(formPost("/oauth/token", z.tokenForm(code))); a.code() != oid4vci.InvalidGrant {
		t.Errorf("a code with another DPoP key: %v", a)
	}
	z.tokens(z.send(formPost("/oauth/token", z.tokenForm(code))))
	if a := z.send(formPost("/oauth/token", z.tokenForm(code))); a.code() != oid4vci.InvalidGrant {
		t.Errorf("OA-03 a code again: %v", a)
	}
	if a := z.send(z.ask(z.request(1))); a.code() != oid4vci.InvalidToken {
		t.Errorf("OA-03 the token of a code that came twice: %v", a)
	}
	if n := len(b.credentials()); n != 0 {
		t.Errorf("%d credentials were issued", n)
	}

	z, made = b.claim(2)
	for range 5 {
		if a := z.submit(z.page, url.Values{"code": {"3333-3333-3333"}}); a.status != 400 {
			t.Errorf("P11 a wrong claim code: %v", a)
		}
	}
	if _, err := z.code(z.submit(z.page, url.Values{"code": {made.ClaimCode}})); err == nil || !strings.Contains(err.Error(), string(oid4vci.AccessDenied)) {
		t.Errorf("P11 the right claim code too late: %v", err)
	}
	z, _ = b.claim(3)
	if _, err := z.code(z.submit(z.page, url.Values{"cancel": {"1"}})); err == nil || !strings.Contains(err.Error(), string(oid4vci.AccessDenied)) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestRefreshReplay: a refresh token that comes twice ends what it belongs to (OA-09).
func TestRefreshReplay(t *testing.T) {
	everywhere(t, func(t *testing.T, e engine) {
		b := newBed(t, e)
		w := b.wallet()
		w.signIn(b.offer(1))
		first := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {string(w.token.RefreshToken)}}
		thief := b.wallet()
		if a := thief.send(formPost("/oauth/token", first)); a.code() != oid4vci.InvalidGrant {
			t.Errorf("a refresh token with another key: %v", a)
		}
		named := url.Values{"client_id": {"other.example"}}
		maps.Copy(named, first)
		if a := w.send(formPost("/oauth/token", named)); a.code() != oid4vci.InvalidGrant {
			t.Errorf("a refresh token by another client: %v", a)
		}
		w.tokens(w.send(formPost("/oauth/token", first)))
		if a := w.send(formPost("/oauth/token", first)); a.code() != oid4vci.InvalidGrant {
			t.Errorf("OA-09 a refresh token again: %v", a)
		}
		if a := w.send(w.ask(w.request(1))); a.code() != oid4vci.InvalidToken {
			t.Errorf("OA-09 an access token of the family: %v", a)
		}
		if a := w.send(formPost("/oauth/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {string(w.token.RefreshToken)}})); a.code() != oid4vci.InvalidGrant {
			t.Errorf("OA-09 the newest refresh token of the family: %v", a)
		}
	})
}

// TestGrantLifetime: a wallet renews its tokens for as long as the settings say, from when it
// redeemed its code, whatever else takes longer.
func TestGrantLifetime(t *testing.T) {
	const life = 2 * time.Hour // less than a registry is waited for
	b := newBed(t, engines[0], func(c *issuer.Config) { c.Lifetimes.Refresh = life })
	w := b.wallet()
	w.signIn(b.offer(1))
	for _, after := range []time.Duration{time.Hour, 50 * time.Minute} {
		b.clock.add(after)
		w.nonce = ""
		w.refresh()
		w.fetch(1)
	}
	b.clock.add(11 * time.Minute)
	w.nonce = ""
	if a := w.send(formPost("/oauth/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {string(w.token.RefreshToken)}})); a.code() != oid4vci.InvalidGrant {
		t.Errorf("after %v: %v", life, a)
	}
}

// TestGrantEndsMeanwhile: a token knows its grant, and yet the grant is asked about whenever
// the token is shown, before anything is used up.
func TestGrantEndsMeanwhile(t *testing.T) {
	everywhere(t, func(t *testing.T, e engine) {
		b := newBed(t, e)
		w := b.wallet()
		w.signIn(b.offer(1))
		first := w.token
		c := w.fetch(1)
		note, err := oid4vci.Notification{ID: c.NotificationID, Event: oid4vci.CredentialAccepted}.JSON()
		b.must(err)
		refresh := formPost("/oauth/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {string(w.token.RefreshToken)}})
		w.refresh()
		second := w.token
		// Each delivery writes into the grant what it brought, so that the other token's
		// copy of it is not what is stored any more.
		for _, token := range []*oid4vci.TokenResponse{second, first, second} {
			w.token = token
			w.check(w.fetch(1), 1, 1)
		}
		if a := w.send(refresh); a.code() != oid4vci.InvalidGrant { // ends the grant
			t.Fatalf("OA-09 a refresh token again: %v", a)
		}
		before := len(b.credentials())
		for name, token := range map[string]*oid4vci.TokenResponse{"the first": first, "the second": second} {
			w.token = token
			good := w.ask(w.request(1))
			broken := good
			broken.body = []byte("{")
			for _, p := range []post{good, broken, {path: "/oid4vci/notification", media: oid4vci.JSONType, body: note, token: token.AccessToken}} {
				if a := w.send(p); a.status != 401 || a.code() != oid4vci.InvalidToken {
					t.Errorf("OA-09 %s token at %s after its grant has ended: %v", name, p.path, a)
				}
			}
		}
		if n := len(b.credentials()); n != before {
			t.Errorf("%d credentials more", n-before)
		}
		// What came with them is as good as new: its nonce was not used up.
		w.signIn(b.offer(2))
		r := w.request(1)
		w.token, second = second, w.token
		if a := w.send(w.ask(r)); a.code() != oid4vci.InvalidToken {
			t.Errorf("a token whose grant has ended: %v", a)
		}
		w.token = second
		w.check(w.read(w.send(w.ask(r)), 1), 2, 1)
	})
}

// TestSupersede: a new phone's offer ends the old phone's credential, once.
func TestSupersede(t *testing.T) {
	b := newBed(t, engines[0])
	old := b.wallet()
	old.signIn(b.offer(1))
	old.fetch(1)
	w := b.wallet()
	w.signIn(b.offer(1, func(r *issuer.OfferRequest) { r.Supersede = true }))
	w.fetch(1)
	w.fetch(1) // the answer was lost
	states := map[issuance.State]int{}
	for _, c := range b.credentials() {
		if c.PartOf == "" {
			states[c.State]++
		}
	}
	if states[issuance.Active] != 1 || states[issuance.Revoked] != 1 {
		t.Errorf("credentials by state: %v, want the old one revoked and one active", states)
	}
}

// refresh renews the tokens of a wallet.
func (w *wallet) refresh() {
	w.Helper()
	w.tokens(w.send(formPost("/oauth/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {string(w.token.RefreshToken)}})))
}

// TestEndedGrant: who may fetch a credential may renew its copies, until it is revoked or
// another phone's takes its place. A new offer works as always.
func TestEndedGrant(t *testing.T) {
	everywhere(t, func(t *testing.T, e engine) {
		for _, tt := range []struct {
			name string
			end  func(b *bed, id string)
		}{
			{"revoked", func(b *bed, id string) {
				_, err := b.offices[0].service.Revoke(t.Context(), id, issuance.Lost, "tester")
				b.must(err)
			}},
			{"revoked, and issued again to another phone", func(b *bed, id string) {
				_, err := b.offices[0].service.Revoke(t.Context(), id, issuance.Lost, "tester")
				b.must(err)
				w := b.wallet()
				w.signIn(b.offer(1))
				w.fetch(1)
			}},
			{"superseded by another phone", func(b *bed, _ string) {
				w := b.wallet()
				w.signIn(b.offer(1, func(r *issuer.OfferRequest) { r.Supersede = true }))
				w.fetch(1)
				w.refresh()
				w.fetch(1) // its own grant goes on
			}},
		} {
			t.Run(tt.name, func(t *testing.T) {
				b := newBed(t, e)
				w := b.wallet()
				w.signIn(b.offer(1))
				w.fetch(1)
				w.refresh()
				w.fetch(2)
				var id string
				for _, c := range b.credentials() {
					if c.PartOf == "" {
						id = c.ID
					}
				}
				tt.end(b, id)
				before := len(b.credentials())
				w.refresh()
				if a := w.send(w.ask(w.request(1))); a.code() != oid4vci.CredentialRequestDenied {
					t.Errorf("the old phone: %v", a)
				}
				if n := len(b.credentials()); n != before {
					t.Errorf("%d credentials more", n-before)
				}
				w.signIn(b.offer(1, func(r *issuer.OfferRequest) { r.Supersede = true }))
				w.fetch(1)
			})
		}
	})
}

// TestP08AuditFirst: while the audit log cannot be written nothing is changed by any
// endpoint, what is public is served, and afterwards everything works as if nothing had
// happened.
func TestP08AuditFirst(t *testing.T) {
	b := newBed(t, engines[0])
	w := b.wallet()
	made := b.offer(1)
	o := w.accept(made.Link)
	signed := b.wallet()
	signed.signIn(b.offer(2))
	request := signed.request(1)
	z, claim := b.claim(3)
	pushed, _ := b.wallet().push()
	broken := errors.New("no space left on the journal's disk")
	for _, o := range b.offices {
		o.audit.Store(&broken)
	}
	deferral, body, err := oid4vci.DeferredRequest{TransactionID: "t"}.Encode(nil)
	b.must(err)
	for name, try := range map[string]func() answer{
		"token":      func() answer { return w.send(formPost("/oauth/token", redeem(o, ""))) },
		"par":        func() answer { _, a := b.wallet().push(); return a },
		"authorize":  func() answer { return pushed.visit() },
		"login":      func() answer { return z.submit(z.page, url.Values{"code": {claim.ClaimCode}}) },
		"credential": func() answer { return signed.send(signed.ask(request)) },
		"deferred": func() answer {
			return signed.send(post{path: "/oid4vci/deferred", media: deferral, body: body, token: signed.token.AccessToken})
		},
	} {
		if a := try(); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || strings.Contains(string(a.body), "journal") {
			t.Errorf("P08 %s: %v, want 503", name, a)
		}
	}
	if _, err := b.servers[0].Offer(t.Context(), issuer.OfferRequest{Programme: "licence", Record: recordID(4), Actor: "counter"}); !errors.Is(err, broken) {
		t.Errorf("P08 offer: %v", err)
	}
	for _, path := range []string{"/.well-known/openid-credential-issuer", "/.well-known/oauth-authorization-server", "/jwks.json", "/type/urn:xa:licence:1"} {
		if a := w.get(path); a.status != http.StatusOK {
			t.Errorf("P08 %s is not read: %v", path, a)
		}
	}
	if n := len(b.credentials()); n != 0 {
		t.Errorf("P08 %d credentials were issued", n)
	}
	for _, o := range b.offices {
		o.audit.Store(nil)
	}
	w.tokens(w.send(formPost("/oauth/token", redeem(o, ""))))
	signed.check(signed.read(signed.send(signed.ask(request)), 1), 2, 1)
	if a := pushed.visit(); a.status != http.StatusSeeOther {
		t.Errorf("P08 the pushed request afterwards: %v", a)
	}
	if _, err := z.code(z.submit(z.page, url.Values{"code": {claim.ClaimCode}})); err != nil {
		t.Errorf("P08 the claim code afterwards: %v", err)
	}
}

// publish fills a folder with files that say their names, and a file that is not
// published.
func publish(t *testing.T, folder string, issued time.Time) {
	t.Helper()
	var files []published.File
	for name, content := range map[string]string{"a1.cwt": "cwt list", "a1.jwt": "jwt list", "xa.trust": "bundle", "b2.cwt": "not in the index"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, published.File{File: name, IssuedAt: issued, Bytes: len(content), SHA256: published.Digest([]byte(content))})
	}
	files = append(files, published.File{File: "../secret", IssuedAt: issued})
	x := published.Index{Checked: issued}
	for _, f := range files {
		switch f.File {
		case "b2.cwt":
		case "xa.trust":
			x.Trust = &f
		default:
			x.Lists = append(x.Lists, f)
		}
	}
	if err := x.Write(folder); err != nil {
		t.Fatal(err)
	}
}

// TestDamagedFilesAreNotServed spoils one thing a row. Damaged bytes are never handed
// out: the answer says that it will be there later, and it is counted and logged.
func TestDamagedFilesAreNotServed(t *testing.T) {
	folder := t.TempDir()
	b := newBed(t, engines[0], func(c *issuer.Config) { c.Published = folder })
	w := b.wallet()
	write := func(name, content string) func() error {
		return func() error { return os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600) }
	}
	tests := []struct {
		name  string
		spoil func() error
		lost  []string // paths that are answered with 503; the others as ever
	}{
		{"nothing", func() error { return nil }, nil},
		{"a list", write("a1.cwt", "cwt lost"), []string{"/status/a1"}},
		{"a list cut off", write("a1.cwt", ""), []string{"/status/a1"}},
		{"a list removed", func() error { return os.Remove(filepath.Join(folder, "a1.cwt")) }, []string{"/status/a1"}},
		{"the bundle", write("xa.trust", "bundled"), []string{"/trust/bundle.trust"}},
		{"the index", write("index.json", "garbage"), []string{"/status/a1", "/trust/bundle.trust"}},
		{"the index emptied", write("index.json", "{}"), []string{"/status/a1", "/trust/bundle.trust"}},
		{"digests taken out of the index", write("index.json", `{"lists":[{"file":"a1.cwt"}],"trust":{"file":"xa.trust"}}`), []string{"/status/a1", "/trust/bundle.trust"}},
		{"a round at work", func() error {
			x, err := published.Read(folder)
			x.Next = []published.File{{File: "a1.cwt", Number: 2, SHA256: published.Digest([]byte("next cwt list"))}}
			return errors.Join(err, x.Write(folder), write("a1.cwt", "next cwt list")())
		}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			publish(t, folder, time.Date(2026, 11, 22, 1, 2, 3, 0, time.UTC))
			if err := tt.spoil(); err != nil {
				t.Fatal(err)
			}
			before, logged := b.happened("published_damaged"), strings.Count(b.logs.String(), "the published folder is damaged")
			for _, path := range []string{"/status/a1", "/trust/bundle.trust"} {
				a := w.get(path)
				switch lost := slices.Contains(tt.lost, path); {
				case lost && (a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || a.header.Get("Cache-Control") != "no-store"):
					t.Errorf("%s: %v %v, want 503", path, a, a.header)
				case !lost && (a.status != http.StatusOK || !strings.Contains(string(a.body), "list") && string(a.body) != "bundle"):
					t.Errorf("%s: %v, want it as published", path, a)
				}
			}
			if n := b.happened("published_damaged") - before; n != len(tt.lost) {
				t.Errorf("counted %d times, want %d", n, len(tt.lost))
			}
			if n := strings.Count(b.logs.String(), "the published folder is damaged") - logged; n != len(tt.lost) {
				t.Errorf("logged %d times, want %d", n, len(tt.lost))
			}
		})
	}
}

// TestP29ReadsOutliveWrites: with the database gone everything public is served as it
// was, with its date.
func TestP29ReadsOutliveWrites(t *testing.T) {
	folder := t.TempDir()
	issued := time.Date(2026, 11, 22, 1, 2, 3, 0, time.UTC)
	publish(t, folder, issued)
	b := newBed(t, engines[0], func(c *issuer.Config) { c.Published = folder })
	w := b.wallet()
	if a := w.get("/.well-known/openid-credential-issuer"); a.status != http.StatusOK {
		t.Fatalf("metadata: %v", a)
	}
	w.get("/type/urn:xa:licence:1")
	b.must(b.offices[0].db.Close())
	b.must(b.values[0].Close())
	b.clock.add(24 * time.Hour)
	for _, tt := range []struct{ path, accept, media, body string }{
		{"/.well-known/openid-credential-issuer", "", oid4vci.JSONType, ""}, {"/.well-known/oauth-authorization-server", "", oid4vci.JSONType, ""},
		{"/jwks.json", "", "application/jwk-set+json", ""}, {"/type/urn:xa:licence:1", "", oid4vci.JSONType, ""},
		{"/status/a1", "", "application/statuslist+cwt", "cwt list"}, {"/status/a1", "application/statuslist+jwt", "application/statuslist+jwt", "jwt list"},
		{"/trust/bundle.trust", "", "application/octet-stream", "bundle"},
	} {
		a := w.get(tt.path, "Accept", tt.accept)
		if a.status != http.StatusOK || a.header.Get("Content-Type") != tt.media || tt.body != "" && string(a.body) != tt.body || a.header.Get("Cache-Control") != "public, max-age=60" || a.header.Get("ETag") == "" {
			t.Errorf("P29 %s: %v %v", tt.path, a, a.header)
		}
		if tt.body != "" && a.header.Get("Last-Modified") != issued.Format(http.TimeFormat) {
			t.Errorf("P29 %s is of %s", tt.path, a.header.Get("Last-Modified"))
		}
	}
	for _, path := range []string{"/status/b2", "/status/none", "/status/..%2Fsecret"} {
		if a := w.get(path); a.status != http.StatusNotFound {
			t.Errorf("%s: %v", path, a)
		}
	}
	if a := w.get("/status/a1?time=1760000000"); a.status != http.StatusNotImplemented || strings.Contains(string(a.body), "cwt list") {
		t.Errorf("ST-15 the list of another time: %v", a)
	}
	if a := w.get("/status/a1?x=1"); a.status != http.StatusBadRequest {
		t.Errorf("a list with another query: %v", a)
	}
	if a := w.send(formPost("/oauth/token", url.Values{"grant_type": {string(oid4vci.PreAuthorizedCode)}, "pre-authorized_code": {"c"}})); a.status != http.StatusServiceUnavailable {
		t.Errorf("P29 a write: %v, want 503", a)
	}
}

// TestP29ColdStart: a server that starts while the database is away serves keys by the
// keystore, and metadata and types by what was kept of the programmes; what it does not have
// it asks to come again for.
func TestP29ColdStart(t *testing.T) {
	kept := filepath.Join(t.TempDir(), "programmes.json")
	var missing error
	documents := func(b **bed) func(*issuer.Config) {
		return func(c *issuer.Config) {
			c.Keys = func(ctx context.Context) (map[string]issuer.Document, error) {
				all, err := (*b).keys.Keys(ctx)
				if err != nil {
					return nil, err
				}
				return map[string]issuer.Document{
					issuer.PathJWKS: {Type: "application/jwk-set+json", Content: keys.JWKS(keys.Verifying(all, (*b).clock.Now(), keys.Credential))},
				}, missing
			}
		}
	}
	keep := func(c *issuer.Config) { c.Kept = kept }
	var b *bed
	ofKeys := documents(&b)
	b = newBed(t, engines[0], ofKeys, keep)
	w := b.wallet()
	const metadata, typ = "/.well-known/openid-credential-issuer", "/type/urn:xa:licence:1"
	paths := []string{metadata, "/.well-known/oauth-authorization-server", typ}
	before := map[string]answer{}
	for _, path := range paths {
		if before[path] = w.get(path); before[path].status != http.StatusOK {
			t.Fatalf("%s: %v", path, before[path])
		}
	}
	known := b.offer(1).Link
	b.must(b.offices[0].db.Close())
	b.must(b.values[0].Close())
	b.clock.add(25 * time.Hour)
	cold := func(change ...func(*issuer.Config)) string {
		return b.serve(b.offices[0], b.values[0], change).String()
	}
	at := cold(ofKeys, keep)
	for _, path := range paths {
		a := w.get(at + path)
		if a.status != http.StatusOK || !bytes.Equal(a.body, before[path].body) || a.header.Get("Last-Modified") != before[path].header.Get("Last-Modified") {
			t.Errorf("P29 %s after a cold start: %v %v, before: %v", path, a, a.header, before[path].header)
		}
	}
	all, err := b.keys.Keys(t.Context())
	b.must(err)
	trusted := func(oid4vci.SignerHint) (found []keys.PublicKey, _ error) {
		for _, k := range all {
			if k.Purpose == keys.Metadata {
				found = append(found, k.Public)
			}
		}
		return found, nil
	}
	a := w.get(at+metadata, "Accept", oid4vci.JWTType)
	if m, err := (oid4vci.Reader{LoopbackHTTP: true}).SignedIssuerMetadata(string(a.body), b.url, b.clock.Now(), trusted); err != nil || len(m.Configurations) != 1 {
		t.Errorf("P29 signed metadata after a cold start: %v, %v", a, err)
	}
	jwks := w.get(at + "/jwks.json")
	if jwks.status != http.StatusOK || !bytes.Contains(jwks.body, []byte(`"kid"`)) {
		t.Errorf("P29 keys after a cold start: %v", jwks)
	}
	l, err := (oid4vci.Reader{LoopbackHTTP: true}).OfferLink(known)
	b.must(err)
	if a := w.get(at + strings.TrimPrefix(l.URI, b.url)); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("P29 an offer: %v", a)
	}

	// A key that was stolen goes although the database is away.
	for _, k := range all {
		if k.Purpose == keys.Credential {
			stolen, err := k.Compromise(b.clock.Now())
			b.must(err)
			b.must(b.keys.Update(t.Context(), stolen))
		}
	}
	b.clock.add(time.Minute)
	if a := w.get(at + "/jwks.json"); a.status != http.StatusOK || bytes.Contains(a.body, []byte(`"kid"`)) {
		t.Errorf("P29 keys after a theft: %v", a)
	}

	// What cannot be made leaves the rest alone, and nothing older takes its place.
	missing = errors.New("did.json: 129 keys")
	at = cold(ofKeys)
	for path, want := range map[string]int{"/jwks.json": 200, "/.well-known/did.json": 503, "/.well-known/jwt-vc-issuer": 503, metadata: 503, typ: 503} {
		if a := w.get(at + path); a.status != want || (a.header.Get("Retry-After") != "") != (want == 503) {
			t.Errorf("P29 %s of a server that knows nothing: %v %v, want %d", path, a, a.header, want)
		}
	}
	b.must(os.WriteFile(kept, []byte(`{"programmes": ["nonsense"]}`), 0o600))
	if a := w.get(cold(ofKeys, keep) + metadata); a.status != http.StatusServiceUnavailable {
		t.Errorf("P29 metadata of a damaged file: %v", a)
	}
}

// TestOfferNeedsClient: no offer is made that has holders sign in where no wallet may do that.
func TestOfferNeedsClient(t *testing.T) {
	b := newBed(t, engines[0], func(c *issuer.Config) { c.AnyClient = false })
	for name, r := range map[string]issuer.OfferRequest{"claim code": {ClaimCode: true}, "login": {Login: true}} {
		r.Programme, r.Record, r.Actor = "licence", recordID(1), "counter"
		if _, err := b.servers[0].Offer(t.Context(), r); !errors.Is(err, issuer.ErrNoClient) {
			t.Errorf("%s: %v, want ErrNoClient", name, err)
		}
	}
	w := b.wallet()
	w.signIn(b.offer(1)) // which needs none
	w.check(w.fetch(1), 1, 1)
}
