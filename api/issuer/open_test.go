package issuer_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/api/issuer"
	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
	"github.com/sanad-id/sanad/oid4vci"
)

// everything switches on what some issuers do without.
func everything(b *bed) func(*issuer.Config) {
	return func(c *issuer.Config) {
		c.Attestation.Attesters = func(oid4vci.SignerHint) ([]keys.PublicKey, error) {
			return []keys.PublicKey{keystest.Signer(b, keys.Holder, keys.ES256, "provider").Key().Public}, nil
		}
		c.Login, c.Published, c.Logo = noLogin{}, b.TempDir(), issuer.Document{Type: "image/svg+xml", Content: []byte(`<svg xmlns="http://www.w3.org/2000/svg"/>`)}
	}
}

type noLogin struct{ issuer.Login }

// TestOpenAPI holds the description against the table of routes, both ways.
func TestOpenAPI(t *testing.T) {
	text, err := issuer.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	var described, served []string
	for path, item := range doc.Paths {
		for method, raw := range item {
			if method == "parameters" {
				continue
			}
			var op struct {
				OperationID string
				RequestBody struct {
					Ref     string `json:"$ref"`
					Content map[string]any
				}
				Responses map[string]any
			}
			if err := json.Unmarshal(raw, &op); err != nil {
				t.Fatalf("%s %s: %v", method, path, err)
			}
			var media []string
			for m := range op.RequestBody.Content {
				media = append(media, m)
			}
			if op.RequestBody.Ref == "#/components/requestBodies/Credential" {
				media = []string{"application/json", "application/jwt"}
			}
			slices.Sort(media)
			described = append(described, strings.Join([]string{strings.ToUpper(method), path, op.OperationID, strings.Join(media, " ")}, " "))
			if len(op.Responses) == 0 {
				t.Errorf("%s %s has no answers", method, path)
			}
		}
	}
	b := &bed{TB: t, clock: &clock{}, registry: &register{}, logs: &lockedBuffer{}, events: map[string]int{}}
	b.start(engines[0], everything(b))
	for _, r := range b.servers[0].Routes() {
		served = append(served, strings.Join([]string{r.Method, r.Pattern, r.Name, strings.Join(slices.Sorted(slices.Values(r.Media)), " ")}, " "))
	}
	slices.Sort(described)
	slices.Sort(served)
	if !slices.Equal(described, served) {
		t.Errorf("described:\n%s\nserved:\n%s", strings.Join(described, "\n"), strings.Join(served, "\n"))
	}
	w := b.wallet()
	if a := w.get("/openapi.json"); a.status != http.StatusOK || !bytes.Equal(a.body, text) {
		t.Errorf("served: %d", a.status)
	}
	a := w.get("/logo")
	if a.status != http.StatusOK || a.header.Get("Content-Type") != "image/svg+xml" || !strings.Contains(a.header.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("the logo: %d, %v", a.status, a.header)
	}
	for _, d := range w.metadata().Display {
		if d.Logo == nil || d.Logo.URI != b.url+"/logo" || d.Logo.AltText == "" {
			t.Errorf("the metadata have the logo %+v for %s", d.Logo, d.Locale)
		}
	}
}

// TestChallenge gets a challenge for a client attestation over HTTP and uses it; one that
// is not ours, or none where one must be, is answered with another to use.
func TestChallenge(t *testing.T) {
	for _, needed := range []bool{false, true} {
		t.Run(fmt.Sprint("needed ", needed), func(t *testing.T) {
			b := &bed{TB: t, clock: &clock{}, registry: &register{}, logs: &lockedBuffer{}, events: map[string]int{}}
			all := everything(b)
			b.start(engines[0], func(c *issuer.Config) {
				all(c)
				c.Attestation.Required, c.Attestation.NeedChallenge = true, needed
			})
			provider, instance := keystest.Signer(t, keys.Holder, keys.ES256, "provider"), keystest.Signer(t, keys.Holder, keys.ES256, "instance")
			w := b.wallet()
			var meta struct {
				Endpoint string `json:"challenge_endpoint"`
			}
			if err := json.Unmarshal(w.get("/.well-known/oauth-authorization-server").body, &meta); err != nil || meta.Endpoint != b.url+"/oauth/challenge" {
				t.Fatalf("the endpoint is %q, %v", meta.Endpoint, err)
			}
			fresh := func() string {
				t.Helper()
				a := w.send(post{path: "/oauth/challenge", noDPoP: true})
				c, err := oid4vci.ReadChallengeResponse(a.status, a.body)
				if err != nil || a.header.Get("Cache-Control") != "no-store" {
					t.Fatalf("challenge: %v, %v", a, err)
				}
				return c
			}
			// redeem asks for tokens with a proof of possession that has this challenge.
			redeemed := func(challenge string) answer {
				t.Helper()
				now := b.clock.Now()
				attestation, err := oid4vci.MakeClientAttestation(rand.Reader, provider, nil, oid4vci.AttestationToken{
					ClientID: "wallet.example", Key: instance.Key().Public, IssuedAt: now, Expires: now.Add(time.Hour),
				})
				b.must(err)
				pop, err := oid4vci.MakeClientAttestationPoP(rand.Reader, instance, b.url, "wallet.example", challenge, now)
				b.must(err)
				form := redeem(w.accept(b.offer(1).Link), "")
				form.Set("client_id", "wallet.example")
				p := formPost("/oauth/token", form)
				p.header.Set(oid4vci.ClientAttestationHeader, attestation)
				p.header.Set(oid4vci.ClientAttestationPoPHeader, pop)
				return w.send(p)
			}
			first, second := fresh(), fresh()
			if first == second || len(first) < 22 {
				t.Errorf("challenges %q and %q", first, second)
			}
			if a := redeemed(first); a.status != http.StatusOK {
				t.Errorf("with a challenge: %v", a)
			}
			for name, challenge := range map[string]string{"one that is not ours": strings.Repeat("A", len(first)), "a nonce for DPoP": w.nonce, "none": ""} {
				a := redeemed(challenge)
				if name == "none" && !needed {
					if a.status != http.StatusOK {
						t.Errorf("without: %v", a)
					}
					continue
				}
				another := a.header.Get(oid4vci.ClientAttestationChallengeHeader)
				if a.status != http.StatusUnauthorized || a.code() != oid4vci.UseAttestationChallenge || another == "" {
					t.Errorf("%s: %v", name, a)
				} else if a := redeemed(another); a.status != http.StatusOK {
					t.Errorf("with the challenge of the refusal: %v", a)
				}
			}
			b.clock.add(6 * time.Minute)
			if a := redeemed(second); a.code() != oid4vci.UseAttestationChallenge {
				t.Errorf("an old one: %v", a)
			}
		})
	}
}

// TestManyBehindOneAddress: a hall full of people who take their credentials at once, by
// claim code and from one address, with the limits of a server without settings.
func TestManyBehindOneAddress(t *testing.T) {
	b := (&bed{TB: t, clock: &clock{}, registry: &register{}, logs: &lockedBuffer{}, events: map[string]int{}, limited: true}).start(engines[0])
	for n := range 20 {
		z, made := b.claim(n)
		if a := z.get(z.page); a.status != http.StatusOK {
			t.Fatalf("person %d: login page: %v", n, a)
		}
		code, err := z.code(z.submit(z.page, url.Values{"code": {made.ClaimCode}}))
		b.must(err)
		z.tokens(z.send(formPost("/oauth/token", z.tokenForm(code))))
		z.fetch(1)
	}
}

// TestTooOftenUsesNothingUp: who is told to wait goes on afterwards with the same pushed
// request, login and code.
func TestTooOftenUsesNothingUp(t *testing.T) {
	b := (&bed{
		TB: t, clock: &clock{}, registry: &register{}, logs: &lockedBuffer{}, events: map[string]int{}, limited: true,
		people: &web.Rate{Requests: 600, Per: time.Minute, Burst: 4},
	}).start(engines[0])
	exhaust := func() {
		t.Helper()
		for range 50 {
			if a := b.wallet().get("/offer/nothing"); a.status == http.StatusTooManyRequests {
				return
			}
		}
		t.Fatal("the limit was never reached")
	}
	// again repeats a step until it is not refused for coming too early.
	again := func(step func() answer) answer {
		t.Helper()
		exhaust()
		refused := false
		for range 100 {
			a := step()
			if a.status != http.StatusTooManyRequests {
				if !refused {
					t.Error("the step was never refused")
				}
				return a
			}
			if refused = true; a.header.Get("Retry-After") == "" {
				t.Error("429 without Retry-After")
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Fatal("refused all the time")
		return answer{}
	}
	made := b.offer(1, func(r *issuer.OfferRequest) { r.ClaimCode = true })
	w := b.wallet()
	w.get("/.well-known/openid-credential-issuer")
	z, a := w.push()
	for a.status == http.StatusTooManyRequests {
		time.Sleep(20 * time.Millisecond)
		z, a = w.push()
	}
	if a := again(z.visit); a.status != http.StatusSeeOther {
		t.Fatalf("authorize after 429: %v", a)
	}
	a = again(func() answer { return z.submit(z.page, url.Values{"code": {made.ClaimCode}}) })
	code, err := z.code(a)
	b.must(err)
	z.tokens(again(func() answer { return z.send(formPost("/oauth/token", z.tokenForm(code))) }))
}
