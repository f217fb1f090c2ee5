package issuer_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"maps"
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
	"github.com/sanad-id/sanad/programme"
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
				if a.header.Get(oid4vci.DPoPNonceHeader) == "" {
					t.Error("a challenge without a nonce for DPoP (client attestation draft-11 section 6.3)")
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
				if a.status != http.StatusBadRequest || a.code() != oid4vci.UseAttestationChallenge || another == "" {
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
		people: &web.Rate{Requests: 40, Per: time.Minute, Burst: 4}, // a step takes less than it takes until another is allowed, also on a busy machine
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
			time.Sleep(100 * time.Millisecond)
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

// logoProgrammes are programmes with a logo: a file, a file that is gone, an address.
var logoProgrammes = map[string]string{
	"drawn":     "logo: {file: drawn.png, alt_text: {en: A seal, fr: Un sceau, ar: ختم}}",
	"gone":      "logo: {file: gone.svg}",
	"elsewhere": "logo: {uri: https://pictures.example/seal.svg}",
}

// TestLogos: each credential is shown to wallets with the logo of its programme, in plain
// and in signed metadata; a logo that cannot be read keeps nothing else away.
func TestLogos(t *testing.T) {
	b := newBed(t, engines[0], func(c *issuer.Config) {
		c.Picture = func(p *programme.Programme) (issuer.Document, error) {
			if p.ID != "drawn" {
				return issuer.Document{}, errors.New("it is gone")
			}
			return issuer.Picture(pngOf(t, 8, 8))
		}
	})
	for id, logo := range logoProgrammes {
		text := strings.NewReplacer("id: licence", "id: "+id, "xa:licence", "xa:"+id, "languages: [en, fr, ar]", "languages: [en, fr, ar]\n"+logo).Replace(licence)
		_, err := b.offices[0].service.AddProgramme(t.Context(), []byte(text), "tester")
		b.must(err)
	}
	w := b.wallet()
	logos := func(m *oid4vci.IssuerMetadata) map[string]string {
		found := map[string]string{}
		for _, c := range m.Configurations {
			for _, d := range c.Display {
				if d.Logo != nil {
					found[c.ID+" "+d.Locale] = d.Logo.URI + " " + d.Logo.AltText
				}
			}
		}
		return found
	}
	drawn, elsewhere := b.url+"/logo/drawn", "https://pictures.example/seal.svg"
	want := map[string]string{
		"drawn.wallet en": drawn + " A seal", "drawn.wallet fr": drawn + " Un sceau", "drawn.wallet ar": drawn + " ختم",
		"elsewhere.wallet en": elsewhere + " Licence", "elsewhere.wallet fr": elsewhere + " Permis", "elsewhere.wallet ar": elsewhere + " رخصة",
	}
	if got := logos(w.metadata()); !maps.Equal(got, want) {
		t.Errorf("the metadata have\n%v\nwant\n%v", got, want)
	}
	signed := w.get("/.well-known/openid-credential-issuer", "Accept", oid4vci.JWTType)
	m, err := (oid4vci.Reader{LoopbackHTTP: true}).SignedIssuerMetadata(string(signed.body), b.url, b.clock.Now(), func(oid4vci.SignerHint) ([]keys.PublicKey, error) {
		all, err := b.keys.Keys(t.Context())
		b.must(err)
		k, err := keys.SigningKey(all, keys.Metadata, b.clock.Now())
		return []keys.PublicKey{k.Public}, err
	})
	b.must(err)
	if got := logos(m); !maps.Equal(got, want) {
		t.Errorf("the signed metadata have\n%v\nwant\n%v", got, want)
	}
	a := w.get("/logo/drawn")
	if a.status != http.StatusOK || a.header.Get("Content-Type") != "image/png" || !bytes.Equal(a.body, pngOf(t, 8, 8)) || a.header.Get("X-Content-Type-Options") != "nosniff" ||
		!strings.HasPrefix(a.header.Get("Content-Security-Policy"), "default-src 'none'") || a.header.Get("ETag") == "" {
		t.Errorf("the picture: %d, %v", a.status, a.header)
	}
	for _, id := range []string{"gone", "elsewhere", "licence", "nothing", "..%2fissuer.yaml"} {
		if a := w.get("/logo/" + id); a.status != http.StatusNotFound {
			t.Errorf("/logo/%s: %d", id, a.status)
		}
	}
	if !strings.Contains(b.logs.String(), "a programme is served without its logo") {
		t.Error("nobody is told of the logo that is gone")
	}
}

// pngOf is a picture of one colour.
func pngOf(t *testing.T, width, height int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, width, height))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestPictureRefuses spoils one thing at a time in a picture.
func TestPictureRefuses(t *testing.T) {
	const good = `<?xml version="1.0" encoding="UTF-8"?><svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 8 8">` +
		`<style>circle { fill: url(#shade) }</style><defs><linearGradient id="shade"/></defs><circle r="4" style="fill:url('#shade')"/><use xlink:href="#shade"/>` +
		`<image href="data:image/png;base64,AA=="/></svg>`
	svg := func(old, now string) []byte {
		if !strings.Contains(good, old) {
			t.Fatalf("the picture has no %s", old)
		}
		return []byte(strings.Replace(good, old, now, 1))
	}
	dot := pngOf(t, 8, 8)
	for want, b := range map[string][]byte{"image/svg+xml": []byte(good), "image/png": dot} {
		if d, err := issuer.Picture(b); err != nil || d.Type != want || !bytes.Equal(d.Content, b) {
			t.Errorf("%s: %q, %v", want, d.Type, err)
		}
	}
	for _, tt := range []struct {
		name    string
		picture []byte
		want    string
	}{
		{"nothing", nil, "neither an SVG nor a PNG"},
		{"a JPEG", []byte("\xff\xd8\xff\xe0"), "neither an SVG nor a PNG"},
		{"a page", []byte("<html><body></body></html>"), "neither an SVG nor a PNG"},
		{"a page with a picture", []byte("<html>" + good[38:] + "</html>"), `begins with "html"`},
		{"too large", append(bytes.Clone(dot), make([]byte, issuer.MaxPicture)...), "more than 65536 bytes"},
		{"a PNG too wide", pngOf(t, 2049, 1), "2049 by 1 pixels"},
		{"a PNG too high", pngOf(t, 1, 2049), "1 by 2049 pixels"},
		{"a PNG cut off", dot[:len(dot)-1], "cut off"},
		{"a PNG with something behind it", append(bytes.Clone(dot), "<script>"...), "cut off, or something follows"},
		{"a PNG that is none", []byte("\x89PNG\r\n\x1a\nnothing"), "unexpected EOF"},
		{"an SVG cut off", []byte(good[:len(good)-1]), "XML syntax error"},
		{"an SVG of another namespace", svg("www.w3.org/2000/svg", "a.example/"), "not with svg of"},
		{"an SVG with a DOCTYPE", svg("<svg", `<!DOCTYPE svg [<!ENTITY a "b">]><svg`), "remove its DOCTYPE"},
		{"an SVG with a style sheet of elsewhere", svg("<svg", `<?xml-stylesheet href="https://a.example/x.css"?><svg`), "remove its <?xml-stylesheet?>"},
		{"an SVG in another encoding", svg("UTF-8", "UTF-16"), "encoding"},
		{"an SVG with a script", svg("<style>", "<script>alert(1)</script><style>"), "the element script"},
		{"an SVG with a page in it", svg("<style>", "<foreignObject/><style>"), "the element foreignObject"},
		{"an SVG with a handler", svg(`r="4"`, `r="4" onload="alert(1)"`), "the attribute onload"},
		{"an SVG with a picture of elsewhere", svg("data:image/png;base64,AA==", "https://a.example/p.png"), `refers to "https://a.example/p.png"`},
		{"an SVG with an SVG in it", svg("data:image/png;", "data:image/svg+xml;"), "refers to"},
		{"an SVG with a link that runs", svg(`xlink:href="#shade"`, `xlink:href=" JavaScript:alert(1)"`), "refers to"},
		{"an SVG with style of elsewhere", svg("circle {", "@import 'https://a.example/x.css'; circle {"), "@import"},
		{"an SVG with style of elsewhere, disguised", svg("circle {", `@\69mport 'https://a.example/x.css'; circle {`), "escapes"},
		{"an SVG with a shade of elsewhere", svg("url(#shade)", "URL( 'https://a.example/x.svg#shade')"), "another file"},
		{"an SVG with a second shade of elsewhere", svg("url('#shade')", "url('#shade');stroke:url(//a.example/x)"), "another file"},
	} {
		if _, err := issuer.Picture(tt.picture); !errors.Is(err, issuer.ErrPicture) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}
