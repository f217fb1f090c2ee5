package issuer_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/api/issuer"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/oid4vci"
	"github.com/sanad-id/sanad/oid4vp"
)

var sixDigits = &oid4vci.TxCodeRule{Mode: oid4vci.Numeric, Length: 6}

// check verifies copies as a wallet does, and that they are about person n.
func (w *wallet) check(c *oid4vci.CredentialResponse, n, copies int) {
	w.Helper()
	if len(c.Credentials) != copies {
		w.Fatalf("%d credentials, want %d", len(c.Credentials), copies)
	}
	for i, token := range c.Credentials {
		v, err := sdjwt.Verify(token, sdjwt.Expect{Keys: everyKey{w.keys}, Now: w.clock.Now(), Binding: sdjwt.BindingRefused})
		w.must(err)
		if v.Holder == nil || !v.Holder.Equal(w.holder(i).Key().Public) {
			w.Errorf("copy %d is bound to another key", i)
		}
		p, err := sdjwt.Parse(token)
		w.must(err)
		if _, err := json.Marshal(p); err != nil {
			w.Fatal(err)
		}
		if !disclosed(token, canary(n)) {
			w.Errorf("copy %d is not about person %d", i, n)
		}
	}
}

// disclosed reports whether one of the disclosures of a token holds a text.
func disclosed(token, text string) bool {
	for _, d := range strings.Split(token, "~")[1:] {
		if b, err := strict.DecodeBase64URL(d); err == nil && bytes.Contains(b, []byte(text)) {
			return true
		}
	}
	return false
}

// everyKey trusts the keys of a keystore for everything.
type everyKey struct{ file *keys.File }

func (e everyKey) KeysFor(string, []byte) []keys.PublicKey {
	all, err := e.file.Keys(context.Background())
	if err != nil {
		panic(err)
	}
	var list []keys.PublicKey
	for _, k := range all {
		list = append(list, k.Public)
	}
	return list
}

// TestPreAuthorizedFlow goes from an offer to copies for three keys, each request to
// another replica.
func TestPreAuthorizedFlow(t *testing.T) {
	everywhere(t, func(t *testing.T, e engine) {
		b := newBed(t, e)
		w := b.wallet()
		made := b.offer(1, func(r *issuer.OfferRequest) { r.TxCode = sixDigits })
		if len(made.TxCode) != 6 || made.ClaimCode != "" || !strings.HasPrefix(made.Link, "openid-credential-offer://?credential_offer_uri=") {
			t.Errorf("the offer is %+v", made)
		}
		o := w.accept(made.Link)
		if o.PreAuthorized == nil || o.PreAuthorized.TxCode == nil || o.PreAuthorized.TxCode.Length != 6 {
			t.Fatalf("the offer is %+v", o)
		}
		w.signIn(made)
		if w.token.Details != nil || w.token.RefreshToken == "" || w.token.Lifetime != 10*time.Minute {
			t.Errorf("token response %+v", w.token)
		}
		c := w.fetch(3)
		w.check(c, 1, 3)
		if all := b.credentials(); len(all) != 1 || all[0].State != issuance.Active || len(all[0].Forms) != 3 {
			t.Errorf("on record: %+v", all)
		}
		for _, event := range []oid4vci.Event{oid4vci.CredentialAccepted, oid4vci.CredentialAccepted} {
			body, err := oid4vci.Notification{ID: c.NotificationID, Event: event}.JSON()
			b.must(err)
			if a := w.send(post{path: "/oid4vci/notification", media: oid4vci.JSONType, body: body, token: w.token.AccessToken}); a.status != http.StatusNoContent {
				t.Errorf("notification: %v", a)
			}
		}
		if b.happened("notification_accepted") != 2 {
			t.Error("notifications are not counted")
		}
	})
}

// TestBareOffersAreShort: an offer that whoever finds it can take works for ten minutes, whatever
// the settings say; with a code or a login as long as they say, if that is not shorter.
func TestBareOffersAreShort(t *testing.T) {
	for _, set := range []time.Duration{time.Hour, time.Minute} {
		b := newBed(t, engines[0], func(c *issuer.Config) { c.Lifetimes.Offer = set })
		for name, tt := range map[string]struct {
			change func(*issuer.OfferRequest)
			want   time.Duration
		}{
			"bare":             {func(*issuer.OfferRequest) {}, min(set, 10*time.Minute)},
			"bare, by value":   {func(r *issuer.OfferRequest) { r.ByValue = true }, min(set, 10*time.Minute)},
			"transaction code": {func(r *issuer.OfferRequest) { r.TxCode = &oid4vci.TxCodeRule{Mode: oid4vci.Numeric, Length: 6} }, set},
			"claim code":       {func(r *issuer.OfferRequest) { r.ClaimCode = true }, set},
		} {
			before := b.clock.Now()
			got := b.offer(1, tt.change).Expires.Sub(before)
			if got < tt.want-time.Second || got > tt.want+30*time.Second { // the clock goes on meanwhile
				t.Errorf("%s, and the settings say %v: it works for %v, want %v", name, set, got, tt.want)
			}
		}
	}
	b := newBed(t, engines[0])
	o := b.wallet().accept(b.offer(1).Link)
	b.clock.add(10*time.Minute + time.Second)
	if a := b.wallet().send(formPost("/oauth/token", redeem(o, ""))); a.code() != oid4vci.InvalidGrant {
		t.Errorf("after ten minutes: %v", a)
	}
}

// TestTxCodeRules: an offer says of its transaction code how long it is and of what, and
// the code works as people type it; codes that could be guessed are not made.
func TestTxCodeRules(t *testing.T) {
	b := newBed(t, engines[0])
	for _, r := range []oid4vci.TxCodeRule{
		{Mode: oid4vci.Numeric, Length: 6}, {Mode: oid4vci.Numeric, Length: 10}, {Mode: oid4vci.AnyText, Length: 5}, {Mode: oid4vci.AnyText, Length: 8},
	} {
		made := b.offer(1, func(o *issuer.OfferRequest) { o.TxCode = &r })
		w := b.wallet()
		var offer struct {
			Grants map[string]struct {
				TxCode map[string]any `json:"tx_code"`
			} `json:"grants"`
		}
		l, err := url.Parse(made.Link)
		b.must(err)
		at, err := url.Parse(l.Query().Get("credential_offer_uri"))
		b.must(err)
		b.must(json.Unmarshal(w.get(at.Path).body, &offer))
		said := offer.Grants[string(oid4vci.PreAuthorizedCode)].TxCode
		if len(said) != 2 || said["input_mode"] != string(r.Mode) || said["length"] != float64(r.Length) || len(made.TxCode) != r.Length {
			t.Errorf("%+v: the offer says %v of %q", r, said, made.TxCode)
		}
		if digits := strings.Trim(made.TxCode, "0123456789") == ""; r.Mode == oid4vci.Numeric && !digits || strings.ContainsAny(made.TxCode, "BILOSUZ") {
			t.Errorf("%+v: the code is %q", r, made.TxCode)
		}
		o := w.accept(made.Link)
		if a := w.send(formPost("/oauth/token", redeem(o, flip(made.TxCode)))); a.code() != oid4vci.InvalidGrant {
			t.Errorf("%+v: a wrong code: %v", r, a)
		}
		typed := " " + strings.ToLower(made.TxCode[:3]) + "-" + made.TxCode[3:]
		if a := w.send(formPost("/oauth/token", redeem(o, typed))); a.status != http.StatusOK {
			t.Errorf("%+v: %q for %q: %v", r, typed, made.TxCode, a)
		}
	}
	for name, r := range map[string]oid4vci.TxCodeRule{
		"five digits": {Mode: oid4vci.Numeric, Length: 5}, "four characters": {Mode: oid4vci.AnyText, Length: 4}, "no mode": {Length: 8}, "another mode": {Mode: "emoji", Length: 8},
		"no length": {Mode: oid4vci.Numeric},
	} {
		before := b.happened("offer")
		_, err := b.servers[0].Offer(t.Context(), issuer.OfferRequest{Programme: "licence", Record: recordID(1), TxCode: &r})
		if !errors.Is(err, issuer.ErrWeakCode) || b.happened("offer") != before {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// nestedProgramme is licence with claims in objects.
var nestedProgramme = strings.NewReplacer("id: licence", "id: nested", "xa:licence", "xa:nested", "name: village,", "name: address.village,",
	"from: village}", "from: village}\n  - {name: address.home.number, labels: {en: House, fr: Maison, ar: بيت}, type: text, key: 2, from: id}").Replace(licence)

// TestNestedClaims: a programme with claims in objects gives wallets a credential of which
// each can be shown without the others, and describes them by their paths.
func TestNestedClaims(t *testing.T) {
	b := newBed(t, engines[0])
	_, err := b.offices[0].service.AddProgramme(t.Context(), []byte(nestedProgramme), "tester")
	b.must(err)
	w := b.wallet()
	c, ok := w.metadata().Configuration(nestedConfiguration)
	var described []string
	for _, claim := range c.Claims {
		described = append(described, sdjwt.Path(claim.Path).Text())
	}
	if want := []string{"name", "address.village", "address.home.number"}; !ok || !slices.Equal(described, want) || len(c.Claims[1].Path) != 2 {
		t.Errorf("the metadata describe %v, want %v", described, want)
	}
	w.signIn(b.offer(1, func(r *issuer.OfferRequest) { r.Programme = "nested" }))
	r := w.request(1)
	r.Configuration = nestedConfiguration
	issued := w.read(w.send(w.ask(r)), 1).Credentials[0]
	whole, err := sdjwt.Parse(issued)
	b.must(err)
	m, err := sdjwt.ResolveType("urn:xa:nested:1", "", func(vct string) ([]byte, error) { return w.get("/type/" + vct).body, nil })
	b.must(err)
	if err := m.Check(whole); err != nil {
		t.Error(err)
	}
	paths := func(p *sdjwt.Parsed) []string {
		var all []string
		for _, d := range p.Disclosures {
			all = append(all, d.Text())
		}
		slices.Sort(all)
		return all
	}
	if got, want := paths(whole), []string{"address", "address.home", "address.home.number", "address.village", "name"}; !slices.Equal(got, want) {
		t.Errorf("disclosures of %v, want %v", got, want)
	}
	// A verifier asks for the village by its path, and gets nothing else.
	q, err := oid4vp.ParseQuery([]byte(`{"credentials":[{"id":"card","format":"dc+sd-jwt","meta":{"vct_values":["urn:xa:nested:1"]},"claims":[{"path":["address","village"]}]}]}`))
	b.must(err)
	held, err := oid4vp.HeldSDJWT(whole)
	b.must(err)
	match := q.Match([]oid4vp.Credential{held})
	if !match.Possible() {
		t.Fatal("the credential does not answer")
	}
	shown, err := sdjwt.Present(issued, match.Queries[0].Candidates[0].Disclose()...)
	b.must(err)
	part, err := sdjwt.Parse(shown)
	b.must(err)
	if got, want := paths(part), []string{"address", "address.village"}; !slices.Equal(got, want) || disclosed(shown, recordID(1)) || !disclosed(shown, "Jessore Sadar") {
		t.Errorf("to show the village %v are disclosed, want %v", got, want)
	}
}

// TestDetailsAndEncryption asks by credential_identifier, encrypted both ways.
func TestDetailsAndEncryption(t *testing.T) {
	b := newBed(t, engines[0], func(c *issuer.Config) { c.EncryptionRequired = true })
	w := b.wallet()
	made := b.offer(1)
	form := redeem(w.accept(made.Link), "")
	form.Set("authorization_details", `[{"type":"openid_credential","credential_configuration_id":"`+configuration+`"}]`)
	w.tokens(w.send(formPost("/oauth/token", form)))
	if len(w.token.Details) != 1 || len(w.token.Details[0].Identifiers) != 1 {
		t.Fatalf("token response %+v", w.token)
	}
	m := w.metadata()
	mine, err := jose.NewDecryptionKey("mine")
	b.must(err)
	r := w.request(1)
	r.Configuration, r.Identifier = "", w.token.Details[0].Identifiers[0]
	plain := w.ask(r)
	if a := w.send(plain); a.code() != oid4vci.InvalidEncryptionParameters {
		t.Errorf("VCI-11 a request in the clear: %v", a)
	}
	media, body, err := r.Encode(m.RequestEncryption)
	b.must(err)
	if a := w.send(post{path: "/oid4vci/credential", media: media, body: body, token: w.token.AccessToken}); a.status != http.StatusBadRequest || a.code() != oid4vci.InvalidEncryptionParameters {
		t.Errorf("VCI-11 an encrypted request for an answer in the clear: %v", a)
	}
	r = w.request(1)
	r.Configuration, r.Identifier = "", w.token.Details[0].Identifiers[0]
	r.Response = &oid4vci.ResponseKey{Key: mine.Public(), Encryption: jose.A256GCM}
	media, body, err = r.Encode(m.RequestEncryption)
	b.must(err)
	a := w.send(post{path: "/oid4vci/credential", media: media, body: body, token: w.token.AccessToken})
	c, err := oid4vci.ResponseExpect{Key: mine, Encryption: jose.A256GCM}.CredentialResponse(a.status, a.header.Get("Content-Type"), a.body)
	if err != nil {
		t.Fatalf("credential request: %v", a)
	}
	w.check(c, 1, 1)
}

// metadata reads the issuer's metadata.
func (w *wallet) metadata() *oid4vci.IssuerMetadata {
	w.Helper()
	a := w.get("/.well-known/openid-credential-issuer")
	m, err := oid4vci.Reader{LoopbackHTTP: true}.IssuerMetadata(a.body, w.url)
	w.must(err)
	return m
}

func TestMetadata(t *testing.T) {
	b := newBed(t, engines[0])
	w := b.wallet()
	m := w.metadata()
	c, ok := m.Configuration(configuration)
	if !ok || c.Scope != configuration || c.Type != "urn:xa:licence:1" || m.BatchSize != 8 || len(c.Display) != 3 || len(c.Claims) != 2 || len(c.Claims[0].Display) != 3 {
		t.Errorf("metadata %+v", m)
	}
	a := w.get("/.well-known/oauth-authorization-server")
	s, err := oid4vci.Reader{LoopbackHTTP: true}.ServerMetadata(a.body, b.url)
	b.must(err)
	if err := s.CheckCodeFlow(); err != nil || !s.RequirePAR || !s.Anonymous {
		t.Errorf("server metadata %+v: %v", s, err)
	}
	a = w.get("/.well-known/openid-credential-issuer", "Accept", "application/jwt, application/json;q=0.5")
	all, err := b.keys.Keys(t.Context())
	b.must(err)
	trusted := func(h oid4vci.SignerHint) ([]keys.PublicKey, error) {
		var list []keys.PublicKey
		for _, k := range all {
			if k.Purpose == keys.Metadata {
				list = append(list, k.Public)
			}
		}
		return list, nil
	}
	signed, err := oid4vci.Reader{LoopbackHTTP: true}.SignedIssuerMetadata(string(a.body), b.url, b.clock.Now(), trusted)
	if err != nil || signed.CredentialEndpoint != m.CredentialEndpoint || a.header.Get("Content-Type") != oid4vci.JWTType {
		t.Errorf("signed metadata: %v, %s", err, a.header.Get("Content-Type"))
	}
	a = w.get("/type/urn:xa:licence:1")
	if _, err := sdjwt.ParseTypeMetadata(a.body); err != nil || a.status != http.StatusOK {
		t.Errorf("type metadata: %v, %v", a, err)
	}
	tag := a.header.Get("ETag")
	if again := w.get("/type/urn:xa:licence:1", "If-None-Match", `"x", `+tag); again.status != http.StatusNotModified || len(again.body) != 0 || tag == "" {
		t.Errorf("type metadata with its tag %q: %v", tag, again)
	}
	for _, path := range []string{"/type/urn:xa:licence:2", "/offer/none", "/.well-known/did.json"} {
		if a := w.get(path); a.status != http.StatusNotFound {
			t.Errorf("%s: %v", path, a)
		}
	}
	if a := w.get("/jwks.json"); a.status != http.StatusOK || a.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("keys: %v", a)
	}
}

const back = "https://wallet.example/cb"

// An authorization is a wallet's way through the authorization code flow.
type authorization struct {
	*wallet
	verifier   oid4vci.Secret
	requestURI string
	page       string // where the login page is
}

// push sends the authorization request.
func (w *wallet) push(change ...func(*oid4vci.AuthorizationRequest)) (*authorization, answer) {
	w.Helper()
	w.id = "wallet.example"
	verifier, err := oid4vci.NewVerifier(rand.Reader)
	w.must(err)
	r := oid4vci.AuthorizationRequest{
		ClientID: w.id, RedirectURI: back, State: "state-1", Scopes: []string{configuration}, Challenge: oid4vci.PKCEChallenge(verifier),
	}
	for _, f := range change {
		f(&r)
	}
	form, err := r.Form()
	w.must(err)
	a := w.send(formPost("/oauth/par", form))
	z := &authorization{wallet: w, verifier: verifier}
	if p, err := oid4vci.ReadPushedResponse(a.status, a.body); err == nil {
		z.requestURI = p.RequestURI
	}
	return z, a
}

// visit opens the authorization endpoint in the browser.
func (z *authorization) visit() answer {
	z.Helper()
	to, err := oid4vci.AuthorizationURL(z.url+"/oauth/authorize", z.id, z.requestURI)
	z.must(err)
	a := z.get(to)
	z.page = a.header.Get("Location")
	return a
}

// submit sends a form of the login page as a browser does.
func (z *authorization) submit(to string, form url.Values, header ...string) answer {
	z.Helper()
	r, err := http.NewRequest(http.MethodPost, to, strings.NewReader(form.Encode()))
	z.must(err)
	r.Header.Set("Content-Type", oid4vci.FormType)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return z.do(r)
}

// code is what the browser brings back to the wallet.
func (z *authorization) code(a answer) (oid4vci.Secret, error) {
	z.Helper()
	if a.status != http.StatusSeeOther || !strings.HasPrefix(a.header.Get("Location"), back) {
		z.Fatalf("no way back to the wallet: %v", a)
	}
	u, err := url.Parse(a.header.Get("Location"))
	z.must(err)
	return oid4vci.ReadAuthorizationResponse(u.Query(), z.url, "state-1")
}

// tokenForm is the token request for a code.
func (z *authorization) tokenForm(code oid4vci.Secret) url.Values {
	z.Helper()
	form, err := oid4vci.TokenRequest{Grant: oid4vci.AuthorizationCode, ClientID: z.id, Code: code, RedirectURI: back, Verifier: z.verifier}.Form()
	z.must(err)
	return form
}

// claim makes an offer with a claim code and brings a wallet to its login page.
func (b *bed) claim(n int) (*authorization, *issuer.OfferMade) {
	b.Helper()
	made := b.offer(n, func(r *issuer.OfferRequest) { r.ClaimCode = true })
	w := b.wallet()
	o := w.accept(made.Link)
	z, a := w.push(func(r *oid4vci.AuthorizationRequest) { r.IssuerState = o.AuthorizationCode.IssuerState })
	if a.status != http.StatusCreated {
		b.Fatalf("pushed request: %v", a)
	}
	if a := z.visit(); a.status != http.StatusSeeOther {
		b.Fatalf("authorization endpoint: %v", a)
	}
	return z, made
}

// TestClaimCodeFlow goes from an offer through the login page to a credential and a
// renewal of it.
func TestClaimCodeFlow(t *testing.T) {
	everywhere(t, func(t *testing.T, e engine) {
		b := newBed(t, e)
		z, made := b.claim(1)
		if !regexp.MustCompile(`^[3-9A-Z]{4}-[3-9A-Z]{4}-[3-9A-Z]{4}$`).MatchString(made.ClaimCode) {
			t.Errorf("the claim code is %q", made.ClaimCode)
		}
		page := z.get(z.page, "Accept-Language", "ar-EG,ar;q=0.9")
		for _, want := range []string{`lang="ar" dir="rtl"`, "مكتب الرخص", "رخصة", `action="` + z.page + `"`} {
			if !strings.Contains(string(page.body), want) {
				t.Errorf("the login page lacks %s:\n%s", want, page.body)
			}
		}
		if csp := page.header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("the page's policy is %q", csp)
		}
		wrong := z.submit(z.page, url.Values{"code": {"ACDE-FGHJ-KMNP"}})
		if wrong.status != http.StatusBadRequest || !strings.Contains(string(wrong.body), "role=\"alert\"") {
			t.Errorf("a wrong code: %v", wrong)
		}
		code, err := z.code(z.submit(z.page, url.Values{"code": {strings.ToLower(strings.ReplaceAll(made.ClaimCode, "-", " "))}}))
		b.must(err)
		z.tokens(z.send(formPost("/oauth/token", z.tokenForm(code))))
		z.check(z.fetch(2), 1, 2)
		old := z.token
		z.tokens(z.send(formPost("/oauth/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {string(old.RefreshToken)}, "client_id": {z.id}})))
		if z.token.AccessToken == old.AccessToken || z.token.RefreshToken == old.RefreshToken {
			t.Error("the tokens were not renewed")
		}
		if a := z.get(z.page); a.status != http.StatusBadRequest {
			t.Errorf("the login page afterwards: %v", a)
		}
	})
}

// TestDeferredFlow: while the registry is away wallets wait, and get what they asked for
// when it is back.
func TestDeferredFlow(t *testing.T) {
	everywhere(t, func(t *testing.T, e engine) {
		b := newBed(t, e)
		w := b.wallet()
		w.signIn(b.offer(1))
		b.registry.down.Store(true)
		first := w.fetch(2)
		if first.TransactionID == "" || first.Interval != time.Minute {
			t.Fatalf("response %+v, want a deferral", first)
		}
		media, body, err := oid4vci.DeferredRequest{TransactionID: first.TransactionID}.Encode(nil)
		b.must(err)
		later := post{path: "/oid4vci/deferred", media: media, body: body, token: w.token.AccessToken}
		if c := w.read(w.send(later), 2); c.TransactionID != first.TransactionID {
			t.Errorf("response %+v, want the same deferral", c)
		}
		b.registry.down.Store(false)
		_, body, err = oid4vci.DeferredRequest{TransactionID: oid4vci.Secret(flip(string(first.TransactionID)))}.Encode(nil)
		b.must(err)
		if a := w.send(post{path: later.path, media: media, body: body, token: later.token}); a.status != http.StatusBadRequest || a.code() != oid4vci.InvalidTransactionID {
			t.Errorf("VCI-14 a guessed transaction: %v", a)
		}
		other := b.wallet()
		other.signIn(b.offer(2))
		stolen := later
		stolen.token = other.token.AccessToken
		if a := other.send(stolen); a.code() != oid4vci.InvalidTransactionID {
			t.Errorf("VCI-14 the transaction of somebody else: %v", a)
		}
		w.check(w.read(w.send(later), 2), 1, 2)
		if a := w.send(later); a.code() != oid4vci.InvalidTransactionID {
			t.Errorf("VCI-14 a transaction that has brought its credentials: %v", a)
		}
		if n := len(b.credentials()); n != 1 {
			t.Errorf("%d credentials on record, want 1", n)
		}
	})
}

// TestDeferredExpires: a registry is waited for as long as the settings say and no longer.
// From then on the transaction is as one that never was (section 9.3), also when the registry
// is back, and nothing is issued.
func TestDeferredExpires(t *testing.T) {
	everywhere(t, func(t *testing.T, e engine) {
		const patience = 5 * time.Minute // less than an access token lasts
		b := newBed(t, e, func(c *issuer.Config) { c.Lifetimes.Deferred = patience })
		w := b.wallet()
		w.signIn(b.offer(1))
		b.registry.down.Store(true)
		began := b.clock.Now()
		first := w.fetch(2)
		media, body, err := oid4vci.DeferredRequest{TransactionID: first.TransactionID}.Encode(nil)
		b.must(err)
		later := post{path: "/oid4vci/deferred", media: media, body: body, token: w.token.AccessToken}
		b.clock.add(patience - b.clock.Now().Sub(began) - 30*time.Second)
		if c := w.read(w.send(later), 2); c.TransactionID != first.TransactionID {
			t.Errorf("just before: %+v, want the same deferral", c)
		}
		b.clock.add(time.Minute)
		for _, down := range []bool{true, false} {
			b.registry.down.Store(down)
			if a := w.send(later); a.status != http.StatusBadRequest || a.code() != oid4vci.InvalidTransactionID {
				t.Errorf("VCI-14 a transaction that has ended, with the registry away %v: %v", down, a)
			}
		}
		if n := len(b.credentials()); n != 0 {
			t.Errorf("%d credentials on record, want none", n)
		}
	})
}

// TestOfferByValue: the link alone is the offer; nothing is fetched, and it works once.
func TestOfferByValue(t *testing.T) {
	b := newBed(t, engines[0])
	made := b.offer(1, func(r *issuer.OfferRequest) { r.ByValue, r.TxCode = true, sixDigits })
	l, err := oid4vci.Reader{LoopbackHTTP: true}.OfferLink(made.Link)
	b.must(err)
	if l.Offer == nil || l.URI != "" || l.Offer.PreAuthorized.TxCode == nil {
		t.Fatalf("the link is %+v, want an offer by value", l)
	}
	w := b.wallet()
	w.signIn(made)
	w.check(w.fetch(1), 1, 1)
	if a := b.wallet().send(formPost("/oauth/token", redeem(l.Offer, made.TxCode))); a.code() != oid4vci.InvalidGrant {
		t.Errorf("the offer again: %v, want %s", a, oid4vci.InvalidGrant)
	}
}
