package issuer_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/api/issuer"
	"github.com/sanad-id/sanad/internal/fetch"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/internal/oidctest"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
	"github.com/sanad-id/sanad/oid4vci"
)

// A provider is an OpenID provider at which everybody signs in as one person.
type provider struct {
	*httptest.Server
	t      testing.TB
	bed    *bed
	there  *oidctest.Provider
	change func(claims map[string]any)
}

func newProvider(t testing.TB) *provider {
	t.Helper()
	p := &provider{t: t, change: func(map[string]any) {}}
	p.there = oidctest.New(oidctest.Config{
		Client: oidctest.Client{ID: "office", Secret: "secret"}, Key: keystest.Signer(t, keys.Holder, keys.ES256, "provider"), Claim: "registry_id",
		People: []oidctest.Person{{Record: recordID(7)}}, Now: func() time.Time { return p.bed.clock.Now() }, Change: func(c map[string]any) { p.change(c) },
	})
	p.Server = httptest.NewServer(p.there)
	t.Cleanup(p.Close)
	p.there.Issuer = p.URL
	return p
}

// login has holders sign in there.
func (p *provider) login(c *issuer.Config) {
	p.there.Client.Redirect = issuer.CallbackURL(c.Issuer)
	u, err := issuer.NewUpstream(issuer.UpstreamConfig{
		Issuer: p.URL, ClientID: "office", ClientSecret: "secret", Redirect: p.there.Client.Redirect, RecordClaim: "registry_id", Fetch: fetch.New(fetch.Config{LocalHosts: []string{"127.0.0.1"}}),
	})
	if err != nil {
		p.t.Fatal(err)
	}
	c.Login = u
}

// signIn goes from a pushed request to where the browser ends up.
func (p *provider) signIn(b *bed, change ...func(*oid4vci.AuthorizationRequest)) (*authorization, answer) {
	b.Helper()
	z, a := b.wallet().push(change...)
	if a.status != http.StatusCreated {
		b.Fatalf("pushed request: %v", a)
	}
	z.visit()
	if !z.offersProvider() {
		b.Fatal("the login page has no way to the provider")
	}
	return z, p.through(z)
}

// offersProvider reports whether the login page has a way to the provider.
func (z *authorization) offersProvider() bool {
	z.Helper()
	return strings.Contains(string(z.get(z.page).body), "/oauth/upstream/")
}

// through goes to the provider and back, whatever the page offers.
func (p *provider) through(z *authorization) answer {
	b := z.bed
	b.Helper()
	away := z.submit(strings.Replace(z.page, "/oauth/login/", "/oauth/upstream/", 1), url.Values{})
	if away.status != http.StatusSeeOther || !strings.HasPrefix(away.header.Get("Location"), p.URL+"/authorize?") {
		b.Fatalf("to the provider: %v %v", away, away.header)
	}
	backAgain := z.get(away.header.Get("Location"))
	return z.get(backAgain.header.Get("Location"))
}

// TestUpstreamLogin signs in at a provider of our own.
func TestUpstreamLogin(t *testing.T) {
	p := newProvider(t)
	b := newBed(t, engines[1], p.login)
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

// stateOf is the issuer_state of an offer.
func (b *bed) stateOf(made *issuer.OfferMade) func(*oid4vci.AuthorizationRequest) {
	b.Helper()
	o := b.wallet().accept(made.Link)
	if o.AuthorizationCode == nil || o.AuthorizationCode.IssuerState == "" {
		b.Fatalf("an offer to sign in without issuer_state: %+v", o)
	}
	return func(r *oid4vci.AuthorizationRequest) { r.IssuerState = o.AuthorizationCode.IssuerState }
}

// TestLoginPageShowsWhatWorks: a claim code is asked for where the offer has one, or where
// there is no offer.
func TestLoginPageShowsWhatWorks(t *testing.T) {
	p := newProvider(t)
	b := newBed(t, engines[0], p.login)
	for _, tt := range []struct {
		name   string
		change []func(*oid4vci.AuthorizationRequest)
		asks   bool
	}{
		{"an offer to sign in at the provider", []func(*oid4vci.AuthorizationRequest){b.stateOf(b.offer(7, func(r *issuer.OfferRequest) { r.Login = true }))}, false},
		{"an offer with a claim code", []func(*oid4vci.AuthorizationRequest){b.stateOf(b.offer(7, func(r *issuer.OfferRequest) { r.ClaimCode = true }))}, true},
		{"no offer", nil, true},
	} {
		z, a := b.wallet().push(tt.change...)
		if z.visit(); a.status != http.StatusCreated || !z.offersProvider() {
			t.Errorf("%s: %v, or no way to the provider", tt.name, a)
		}
		if asks := strings.Contains(string(z.get(z.page).body), `name="code"`); asks != tt.asks {
			t.Errorf("%s: a code is asked for: %v, want %v", tt.name, asks, tt.asks)
		}
	}
}

// TestLoginPageSaysWhereItGoes: where any wallet may ask, its host is what tells the holder's own
// from somebody else's, whatever it calls itself.
func TestLoginPageSaysWhereItGoes(t *testing.T) {
	b := newBed(t, engines[0])
	app := i18n.For("en").Text("login.app", nil)
	for uri, want := range map[string]string{
		back:                                 ">wallet.example<",
		"https://wallet.example.evil.test/a": ">wallet.example.evil.test<",
		"https://evil.test:8443/?https://wallet.example": ">evil.test:8443<",
		"http://127.0.0.1:4711/back":                     app,
		"org.example.wallet:/back":                       app,
	} {
		z, a := b.wallet().push(func(r *oid4vci.AuthorizationRequest) { r.RedirectURI = uri })
		if a.status != http.StatusCreated {
			t.Errorf("%s: %v", uri, a)
			continue
		}
		z.visit()
		if got := string(z.get(z.page, "Accept-Language", "en").body); !strings.Contains(got, want) || want != app && strings.Contains(got, app) {
			t.Errorf("%s: the page lacks %s:\n%s", uri, want, got)
		}
	}
}

// TestLoginIsHeldToItsOffer: who signs in at the provider with an offer is the one it is for, and
// gets what was offered, once, whichever way the holder signs in. Everybody here is person 7.
func TestLoginIsHeldToItsOffer(t *testing.T) {
	p := newProvider(t)
	b := newBed(t, engines[0], p.login)
	p.bed = b
	signIn := func(made *issuer.OfferMade) (*authorization, error) {
		t.Helper()
		z, a := p.signIn(b, b.stateOf(made))
		code, err := z.code(a)
		if err == nil {
			z.tokens(z.send(formPost("/oauth/token", z.tokenForm(code))))
		}
		return z, err
	}
	login := func(r *issuer.OfferRequest) { r.Login = true }
	old, err := signIn(b.offer(7, login))
	b.must(err)
	old.check(old.fetch(1), 7, 1)

	others := b.offer(8, login)
	othersState := b.stateOf(others)
	for range 2 {
		if _, err := signIn(others); err == nil || !strings.Contains(err.Error(), string(oid4vci.AccessDenied)) {
			t.Errorf("the offer of somebody else: %v, want %s", err, oid4vci.AccessDenied)
		}
	}
	p.change = func(c map[string]any) { c["registry_id"] = recordID(8) }
	z, err := signIn(others) // which nobody has used up
	b.must(err)
	z.check(z.fetch(1), 8, 1)
	if _, a := b.wallet().push(othersState); a.code() != oid4vci.InvalidRequest {
		t.Errorf("an offer that was used: %v, want %s", a, oid4vci.InvalidRequest)
	}
	if _, a := b.wallet().push(func(r *oid4vci.AuthorizationRequest) { r.IssuerState = "of-an-attacker" }); a.code() != oid4vci.InvalidRequest {
		t.Errorf("an issuer_state that is not ours: %v, want %s", a, oid4vci.InvalidRequest)
	}

	// The phone was lost: the new one's copies end the old one's, by a login and by the provider
	// in place of a claim code.
	p.change = func(map[string]any) {}
	for i, way := range []func(*issuer.OfferRequest){login, func(r *issuer.OfferRequest) { r.ClaimCode = true }} {
		made := b.offer(7, way, func(r *issuer.OfferRequest) { r.Supersede = true })
		z, err := signIn(made)
		b.must(err)
		z.check(z.fetch(1), 7, 1)
		if n := b.usable(7); n != 1 {
			t.Errorf("%d usable credentials after phone %d, want 1", n, i+2)
		}
		if made.ClaimCode == "" {
			continue
		}
		late, _ := b.wallet().push()
		late.visit()
		if a := late.submit(late.page, url.Values{"code": {made.ClaimCode}}); a.status != http.StatusBadRequest {
			t.Errorf("the claim code of an offer that was used by signing in: %v", a)
		}
	}
	if n := len(b.credentials()); n != 4 {
		t.Errorf("%d credentials on record, want 4: two were superseded", n)
	}
	if strings.Contains(b.logs.String(), recordID(7)) || strings.Contains(b.logs.String(), recordID(8)) {
		t.Error("P22 a record is in the log")
	}
}

// TestClaimCodeEndsItsOffer: after the claim code was used nobody signs in with the same offer.
func TestClaimCodeEndsItsOffer(t *testing.T) {
	b := newBed(t, engines[0])
	z, made := b.claim(1)
	state := b.stateOf(made)
	_, err := z.code(z.submit(z.page, url.Values{"code": {made.ClaimCode}}))
	b.must(err)
	if _, a := b.wallet().push(state); a.code() != oid4vci.InvalidRequest {
		t.Errorf("the offer again: %v, want %s", a, oid4vci.InvalidRequest)
	}
}

// permit is a programme whose registry gives the ids of the other one's persons to others.
var permit = strings.NewReplacer("id: licence", "id: permit", "urn:xa:licence:1", "urn:xa:permit:1").Replace(licence)

// TestLoginIsForItsProgrammes: the id that the provider brings is a record's in the programmes
// that the settings name, and nobody gets anything else by it.
func TestLoginIsForItsProgrammes(t *testing.T) {
	p := newProvider(t)
	var b *bed
	try := func(what string, want oid4vci.Code, scopes []string, change ...func(*oid4vci.AuthorizationRequest)) *authorization {
		t.Helper()
		z, a := b.wallet().push(append(change, func(r *oid4vci.AuthorizationRequest) { r.Scopes = scopes })...)
		if a.status != http.StatusCreated {
			t.Fatalf("%s: pushed request: %v", what, a)
		}
		z.visit()
		if got := z.offersProvider(); got != (want == "") {
			t.Errorf("%s: the page offers to sign in: %v", what, got)
		}
		code, err := z.code(p.through(z))
		if want != "" {
			if err == nil || !strings.Contains(err.Error(), string(want)) {
				t.Errorf("%s: %v, want %s", what, err, want)
			}
			return nil
		}
		b.must(err)
		z.tokens(z.send(formPost("/oauth/token", z.tokenForm(code))))
		return z
	}
	here, there, both := []string{configuration}, []string{"permit.wallet"}, []string{"permit.wallet", configuration}
	offer := func(programme string, claim bool) (*issuer.OfferMade, error) {
		return b.servers[0].Offer(t.Context(), issuer.OfferRequest{Programme: programme, Record: recordID(7), Actor: "counter", Login: !claim, ClaimCode: claim})
	}

	b = newBed(t, engines[0], p.login, func(c *issuer.Config) { c.LoginProgrammes = []string{"licence"} })
	p.bed = b
	_, err := b.offices[0].service.AddProgramme(t.Context(), []byte(permit), "tester")
	b.must(err)
	z := try("the programme that is named", "", here)
	z.check(z.fetch(1), 7, 1)
	try("another programme", oid4vci.InvalidScope, there)
	z = try("both", "", both)
	r := z.request(1)
	r.Configuration = "permit.wallet"
	if a := z.send(z.ask(r)); a.status == http.StatusOK {
		t.Errorf("a credential of the other programme: %v", a)
	}
	z.check(z.fetch(1), 7, 1)
	if _, err := offer("permit", false); !errors.Is(err, issuer.ErrNoLogin) {
		t.Errorf("Offer: %v, want ErrNoLogin", err)
	}
	made, err := offer("permit", true)
	b.must(err)
	l, err := oid4vci.Reader{LoopbackHTTP: true}.OfferLink(made.Link)
	b.must(err)
	o, err := oid4vci.Reader{LoopbackHTTP: true}.Offer(b.wallet().get(l.URI).body)
	b.must(err)
	try("an offer of another programme", oid4vci.AccessDenied, there, func(r *oid4vci.AuthorizationRequest) { r.IssuerState = o.AuthorizationCode.IssuerState })

	// Named none: the only programme, until there is another one.
	b = newBed(t, engines[0], p.login)
	p.bed = b
	try("the only programme", "", here)
	_, err = b.offices[0].service.AddProgramme(t.Context(), []byte(permit), "tester")
	b.must(err)
	b.clock.add(time.Minute)
	try("one of two, and none is named", oid4vci.AccessDenied, here)
	if _, err := offer("licence", false); !errors.Is(err, issuer.ErrNoLogin) {
		t.Errorf("Offer: %v, want ErrNoLogin", err)
	}
}
