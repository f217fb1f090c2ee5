package wallet_test

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
	"github.com/sanad-id/sanad/oid4vci"
	"github.com/sanad-id/sanad/trust"
	"github.com/sanad-id/sanad/wallet"
)

// TestAccept runs the pre-authorised flow from the link to three copies that are kept.
func TestAccept(t *testing.T) {
	for name, change := range map[string]func(*world){
		"by certificate": func(w *world) { w.sign = true },
		"tx_code":        func(w *world) { w.txCode = "493536"; w.offer.PreAuthorized.TxCode = &oid4vci.TxCodeInput{Length: 6} },
		"not encrypted":  func(w *world) { w.meta.RequestEncryption, w.meta.ResponseEncryption = nil, nil },
		"DPoP nonce":     func(w *world) { w.dpop = []string{"n-1"} },
		"nonce too old":  func(w *world) { w.spoil["nonce"] = func(*wallet.Answer) {} },
		"named client":   func(w *world) { w.server.Anonymous = false },
		"by certificate x5c": func(w *world) {
			token := w.token
			w.token = func(i int, holder keys.PublicKey) sdjwt.Token {
				x := token(i, holder)
				x.X5C = [][]byte{w.certificate(w.signer, "Office", issuerURL)}
				return x
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			change(w)
			a, kept := w.agent(nil)
			p, err := a.Offer(t.Context(), w.link())
			if err != nil {
				t.Fatal(err)
			}
			if w.sign && (p.Issuer.Vouched != wallet.ByCertificate || p.Issuer.Anchor != "National root" || p.Issuer.Names["en"] != "Ministry of licences") ||
				!w.sign && p.Issuer.Vouched != wallet.ByNobody || p.Issuer.Said["en"] != "Licence office" {
				t.Errorf("issuer: %+v", p.Issuer)
			}
			if len(p.Credentials) != 1 || p.Credentials[0].Names["en"] != "Licence" || len(p.Credentials[0].Claims) != 2 || (p.TxCode != nil) != (w.txCode != "") {
				t.Errorf("proposal: %+v", p)
			}
			g, err := a.Redeem(t.Context(), p, string(w.txCode))
			if err != nil {
				t.Fatal(err)
			}
			got, later, err := a.Fetch(t.Context(), g)
			if err != nil || len(later) != 0 || (w.client != "") != (name == "named client") {
				t.Fatalf("Fetch for client %q: %v, %v", w.client, later, err)
			}
			held, err := kept.Held()
			if err != nil || len(held) != 1 || len(held[0].Copies) != 3 || held[0].ID != got[0].ID {
				t.Fatalf("kept: %v, %v", held, err)
			}
			h := held[0]
			if h.Names["en"] != "Licence" || h.Names["fr"] != "Permis" || h.Labels["name"]["fr"] != "Nom" || h.Labels["name"]["en"] != "Full name" || h.Type != typeURL {
				t.Errorf("kept: %+v %+v", h.Names, h.Labels)
			}
			if pending, err := kept.Pending(); err != nil || len(pending) != 0 {
				t.Errorf("pending: %v, %v", pending, err)
			}
			if !slices.Equal(w.events, []oid4vci.Event{oid4vci.CredentialAccepted}) {
				t.Errorf("the issuer heard %v", w.events)
			}
			log, err := kept.Log()
			if err != nil || len(log) != 1 || log[0].Deed != wallet.Accepted || log[0].Party != issuerURL {
				t.Errorf("log: %+v, %v", log, err)
			}
			// What an issuer that nobody vouches for calls itself is asked about, and not kept.
			if want := name == "by certificate"; (len(h.IssuerNames) > 0) != want || (log[0].Name != "") != want {
				t.Errorf("the issuer is kept as %v and stands in the log as %q", h.IssuerNames, log[0].Name)
			}
		})
	}
}

// TestLongDescriptions: an issuer that describes its credential at more length than a wallet
// keeps does not get it in, and what the wallet holds stays as it was.
func TestLongDescriptions(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"now", "later"} {
		w := newWorld(t)
		a, kept := w.holding()
		for i := range 200 {
			c := oid4vci.Claim{Path: []any{fmt.Sprint("c", i)}, Display: []oid4vci.Display{{Locale: "en", Name: strings.Repeat("<", 4000)}}}
			w.meta.Configurations[0].Claims = append(w.meta.Configurations[0].Claims, c)
		}
		if when == "later" {
			w.deferred = 1
		}
		got, later, err := w.accept(a)
		if r := reasonOf(err); r != wallet.BadMessage || len(got) != 0 || len(later) != 0 {
			t.Errorf("%s: %d came, %d come later, %v; want %s", when, len(got), len(later), err, wallet.BadMessage)
		}
		if held, err := kept.Held(); err != nil || len(held) != 1 {
			t.Errorf("%s: %d held, %v", when, len(held), err)
		}
		if pending, err := kept.Pending(); err != nil || len(pending) != 0 {
			t.Errorf("%s: %d pending, %v", when, len(pending), err)
		}
	}
}

// TestSignInNamesTheIssuer: VCI-17. An authorization server that the metadata name, and that may be
// another issuer's as well, is told for which issuer the person signs in.
func TestSignInNamesTheIssuer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		change    func(*world)
		resource  string
		locations []string
	}{
		{"the issuer is the server", func(*world) {}, "", nil},
		{"a server that is named, by scope", func(w *world) { w.meta.Servers = []string{issuerURL} }, issuerURL, nil},
		{"a server that is named, without scope", func(w *world) {
			w.meta.Servers, w.meta.Configurations[0].Scope = []string{issuerURL}, ""
		}, "", []string{issuerURL}},
	} {
		w := newWorld(t)
		w.offer.PreAuthorized, w.offer.AuthorizationCode = nil, &oid4vci.AuthorizationCodeGrant{}
		tt.change(w)
		a, _ := w.agent(nil)
		p, err := a.Offer(t.Context(), w.link())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.SignIn(t.Context(), p, back); err != nil {
			t.Fatal(err)
		}
		var locations []string
		for _, d := range w.pushed.Details {
			locations = append(locations, d.Locations...)
		}
		if w.pushed.Resource != tt.resource || !slices.Equal(locations, tt.locations) {
			t.Errorf("%s: resource %q, locations %q; want %q, %q", tt.name, w.pushed.Resource, locations, tt.resource, tt.locations)
		}
	}
}

// TestSignIn runs the authorization code flow.
func TestSignIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.offer.PreAuthorized, w.offer.AuthorizationCode = nil, &oid4vci.AuthorizationCodeGrant{IssuerState: "claim-1"}
	w.dpop = []string{"n-1"}
	begin := func(a *wallet.Agent) *wallet.SignIn {
		p, err := a.Offer(t.Context(), w.link())
		if err != nil || p.PreAuthorized || !p.SignIn {
			t.Fatalf("Offer: %+v, %v", p, err)
		}
		in, err := a.SignIn(t.Context(), p, back)
		if err != nil {
			t.Fatal(err)
		}
		return in
	}
	a, _ := w.agent(nil)
	in := begin(a)
	if w.pushed.IssuerState != "claim-1" || !slices.Equal(w.pushed.Scopes, []string{"licence"}) || w.pushed.DPoPKey == "" ||
		!strings.HasPrefix(in.URL, issuerURL+"/authorize?") || strings.Contains(in.URL, "claim-1") {
		t.Fatalf("pushed %+v, then %s", w.pushed, in.URL)
	}
	for name, query := range map[string]url.Values{
		"another server (OA-04)": {"code": {"code-2"}, "state": {w.pushed.State}, "iss": {"https://evil.example"}},
		"no server":              {"code": {"code-2"}, "state": {w.pushed.State}},
		"another request":        {"code": {"code-2"}, "state": {"other"}, "iss": {issuerURL}},
	} {
		before := len(w.seen)
		if _, err := a.Finish(t.Context(), in, query); reasonOf(err) != wallet.OtherAnswer || len(w.seen) != before {
			t.Errorf("%s: %v", name, err)
		}
		if ours := in.Answers(query); ours != (name != "another request") {
			t.Errorf("%s: answers this one: %v", name, ours)
		}
	}
	if _, err := a.Finish(t.Context(), in, url.Values{"error": {"access_denied"}, "state": {w.pushed.State}, "iss": {issuerURL}}); reasonOf(err) != wallet.PeerRefused {
		t.Errorf("Finish: %v", err)
	}
	g, err := a.Finish(t.Context(), in, url.Values{"code": {"code-2"}, "state": {w.pushed.State}, "iss": {issuerURL}})
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := a.Fetch(t.Context(), g)
	if err != nil || len(got) != 1 || len(got[0].Copies) != 3 || w.client != wallet.DefaultClientID {
		t.Fatalf("Fetch: %v, %v", got, err)
	}
}

// TestDeferred has the issuer put the wallet off twice: the keys are kept meanwhile.
func TestDeferred(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deferred = 2
	a, kept := w.agent(nil)
	got, later, err := w.accept(a)
	if err != nil || len(got) != 0 || len(later) != 1 {
		t.Fatalf("accept: %v, %v, %v", got, later, err)
	}
	poll := func() *wallet.Held {
		t.Helper()
		pending, err := kept.Pending()
		if err != nil || len(pending) != 1 || len(pending[0].Copies) != 3 {
			t.Fatalf("pending: %v, %v", pending, err)
		}
		h, err := a.Poll(t.Context(), pending[0])
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	before := len(w.seen)
	if h := poll(); h != nil || len(w.seen) != before {
		t.Errorf("asked before its time")
	}
	w.now = w.now.Add(time.Minute)
	if h := poll(); h != nil {
		t.Errorf("got %v", h)
	}
	w.now = w.now.Add(time.Minute)
	h := poll()
	if h == nil || len(h.Copies) != 3 {
		t.Fatalf("got %v", h)
	}
	if pending, err := kept.Pending(); err != nil || len(pending) != 0 {
		t.Errorf("pending: %v, %v", pending, err)
	}
}

// TestDeferredToken: access tokens end long before an office has to be ready. What one
// grant brings shares the refresh token, which works once.
func TestDeferredToken(t *testing.T) {
	for name, change := range map[string]func(*world){
		"error in the body": func(*world) {},
		"error in the header": func(w *world) {
			w.spoil["/deferred"] = func(a *wallet.Answer) {
				if a.Status == 401 {
					a.Body, a.Header["WWW-Authenticate"] = nil, []string{`DPoP algs="ES256", error="invalid_token"`}
				}
			}
		},
		"named client": func(w *world) { w.server.Anonymous = false },
		"DPoP nonce":   func(w *world) { w.dpop = []string{"n-1"} },
		"a server by name": func(w *world) {
			w.meta.Servers = []string{issuerURL}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			change(w)
			other := w.meta.Configurations[0]
			other.ID = "permit"
			w.meta.Configurations = append(w.meta.Configurations, other)
			w.offer.Configurations = []string{"licence", "permit"}
			w.deferred = 4
			a, kept := w.agent(nil)
			_, later, err := w.accept(a)
			if err != nil || len(later) != 2 {
				t.Fatalf("accept: %v, %v", later, err)
			}
			for day := range 2 {
				w.now, w.access = w.now.Add(24*time.Hour), fmt.Sprint("token-of-day-", day)
				for i, one := range later { // as they were on the first day
					if h, err := a.Poll(t.Context(), one); err != nil || (h != nil) != (day == 1) {
						t.Fatalf("day %d, credential %d: %v, %v", day, i, h, err)
					}
				}
			}
			held, err := kept.Held()
			if err != nil || len(held) != 2 || len(held[0].Copies) != 3 {
				t.Errorf("held: %d, %v", len(held), err)
			}
			if pending, err := kept.Pending(); err != nil || len(pending) != 0 {
				t.Errorf("pending: %v, %v", pending, err)
			}
		})
	}
}

// keysOf are the keys of copies, as the keyring knows them.
func keysOf(copies []wallet.Copy) []string {
	var all []string
	for _, c := range copies {
		all = append(all, string(c.Key))
	}
	return all
}

// TestNoAnswer: a server that does not answer, or says that it cannot now, has decided
// nothing. The keys stay, and who asks again asks with the same.
func TestNoAnswer(t *testing.T) {
	status := func(code int) func(*wallet.Answer) {
		return func(a *wallet.Answer) { *a = wallet.Answer{Status: code, Type: oid4vci.JSONType} }
	}
	for _, tt := range []struct {
		name, path string
		deferred   int
		answer     func(*wallet.Answer)
	}{
		{"the answer with the credential is lost", "/credential", 0, status(0)},
		{"the credential endpoint is broken", "/credential", 0, status(500)},
		{"the credential endpoint is overloaded", "/credential", 0, status(429)},
		{"it says so with a code", "/credential", 0, func(a *wallet.Answer) {
			*a = failed(oid4vci.NewError(oid4vci.TemporarilyUnavailable, nil, ""), oid4vci.ResourceServer)
		}},
		{"the nonce endpoint is broken", "/nonce", 0, status(502)},
		{"the description of the type is away", "/type/licence", 0, status(503)},
		{"the keys of the issuer are away", "/.well-known/jwt-vc-issuer", 0, status(0)},
		{"the deferred endpoint is broken", "/deferred", 1, status(500)},
		{"the deferred endpoint is overloaded", "/deferred", 1, status(429)},
		{"the answer of the deferred endpoint is lost, and the transaction with it", "/deferred", 1, status(0)},
		{"what came later cannot be checked", "/type/licence", 1, status(503)},
		{"the metadata are away", "/.well-known/openid-credential-issuer", 1, status(503)},
		{"somebody else answers, such as the page of a hotel", "/deferred", 2, func(a *wallet.Answer) {
			*a = wallet.Answer{Status: 200, Type: "text/html", Body: []byte("<html>Welcome")}
		}},
		{"nobody is there", "/deferred", 10, status(404)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.deferred = tt.deferred
			a, kept := w.agent(nil)
			if tt.deferred == 0 {
				w.spoil[tt.path] = tt.answer
			}
			got, later, err := w.accept(a)
			if len(got) != 0 || len(later) != 1 || tt.deferred == 0 && !errors.Is(err, wallet.ErrNoAnswer) || reasonOf(err) != "" {
				t.Fatalf("accept: %v, %v, %v", got, later, err)
			}
			wanted := keysOf(later[0].Copies)
			waits := func() wallet.Pending {
				t.Helper()
				pending, err := kept.Pending()
				if err != nil || len(pending) != 1 || !slices.Equal(keysOf(pending[0].Copies), wanted) {
					t.Fatalf("pending: %v, %v", pending, err)
				}
				return pending[0]
			}
			for range 2 {
				w.spoil[tt.path] = tt.answer
				w.now = w.now.Add(time.Minute)
				if h, err := a.Poll(t.Context(), waits()); h != nil || err == nil {
					t.Fatalf("Poll: %v, %v, want that there was no answer", h, err)
				}
			}
			delete(w.spoil, tt.path)
			w.deferred, w.now = 0, w.now.Add(time.Minute)
			h, err := a.Poll(t.Context(), waits())
			if err != nil || h == nil || !slices.Equal(keysOf(h.Copies), wanted) {
				t.Fatalf("Poll: %v, %v", h, err)
			}
			if !slices.Equal(w.events, []oid4vci.Event{oid4vci.CredentialAccepted}) {
				t.Errorf("the issuer heard %v", w.events)
			}
			if pending, err := kept.Pending(); err != nil || len(pending) != 0 {
				t.Errorf("pending: %v, %v", pending, err)
			}
		})
	}
}

// TestGivenUp: what ends the wait for a credential, and what does not.
func TestGivenUp(t *testing.T) {
	says := func(code oid4vci.Code) func(*world) {
		return func(w *world) {
			w.spoil["/deferred"] = func(a *wallet.Answer) { *a = failed(oid4vci.NewError(code, nil, ""), oid4vci.ResourceServer) }
		}
	}
	for _, tt := range []struct {
		name  string
		spoil func(*world)
		want  wallet.Refusal
		over  bool
	}{
		{"denied", says(oid4vci.CredentialRequestDenied), wallet.PeerRefused, true},
		{"a transaction that the issuer does not know", says(oid4vci.InvalidTransactionID), wallet.PeerRefused, true},
		{"another error of the request", says(oid4vci.InvalidCredentialRequest), wallet.PeerRefused, false},
		{"the grant has ended", func(w *world) {
			w.access = "another"
			w.spoil["/token"] = func(a *wallet.Answer) { *a = failed(oid4vci.WrongGrant(), oid4vci.AuthorizationServer) }
		}, wallet.PeerRefused, false},
		{"what comes is of another type", func(w *world) {
			w.deferred = 0
			good := w.token
			w.token = func(i int, holder keys.PublicKey) sdjwt.Token {
				x := good(i, holder)
				x.Type, x.TypeIntegrity = "urn:other", ""
				return x
			}
		}, wallet.OtherType, true},
		{"still not ready after three months", func(w *world) { w.now = w.now.AddDate(0, 0, 91) }, wallet.PeerRefused, true},
		{"no answer after three months", func(w *world) {
			w.now = w.now.AddDate(0, 0, 91)
			w.spoil["/deferred"] = func(a *wallet.Answer) { a.Status = 0 }
		}, "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.deferred = 10
			a, kept := w.agent(nil)
			_, later, err := w.accept(a)
			if err != nil || len(later) != 1 {
				t.Fatalf("accept: %v, %v", later, err)
			}
			w.now = w.now.Add(time.Minute)
			tt.spoil(w)
			if h, err := a.Poll(t.Context(), later[0]); h != nil || err == nil || reasonOf(err) != tt.want {
				t.Errorf("Poll: %v, %v, want %q", h, err, tt.want)
			}
			if pending, err := kept.Pending(); err != nil || (len(pending) == 0) != tt.over {
				t.Errorf("pending: %v, %v", pending, err)
			}
		})
	}
}

// reasonOf is the refusal in an error.
func reasonOf(err error) wallet.Refusal {
	if e, ok := errors.AsType[*wallet.RefusedError](err); ok {
		return e.Reason
	}
	return ""
}

// TestAcceptRefuses spoils one thing at a time in an issuance that is good otherwise.
func TestAcceptRefuses(t *testing.T) {
	t.Run("SDJ-15: pictures and templates of a type", func(t *testing.T) {
		t.Parallel()
		const elsewhere = "https://tracker.example/"
		w := newWorld(t)
		w.document = strings.Replace(w.document, `"name":"Permis"`, `"name":"Permis","rendering":{"simple":{"logo":{"uri":"`+elsewhere+`logo.png"}},"svg_templates":[{"uri":"`+elsewhere+
			`card.svg"},{"uri":"data:image/svg+xml,<svg onload='alert(1)'><script>alert(2)</script><image href='`+elsewhere+`p.png'/></svg>"}]}`, 1)
		// Nor are those of the metadata fetched, the issuer's and the credential's.
		for _, list := range [][]oid4vci.Display{w.meta.Display, w.meta.Configurations[0].Display} {
			for i := range list {
				list[i].Logo, list[i].Background = &oid4vci.Image{URI: elsewhere + "seal.png", AltText: "Seal"}, &oid4vci.Image{URI: elsewhere + "back.png"}
			}
		}
		if len(w.meta.Display) == 0 || len(w.meta.Configurations[0].Display) == 0 {
			t.Fatal("nothing could have a logo")
		}
		a, kept := w.agent(nil)
		if _, _, err := w.accept(a); err != nil {
			t.Fatal(err)
		}
		for _, r := range w.seen {
			if strings.HasPrefix(r.Address, elsewhere) {
				t.Errorf("%s was asked for", r.Address)
			}
		}
		held, err := kept.Held()
		if err != nil || len(held) != 1 {
			t.Fatal(held, err)
		}
		if text := fmt.Sprintf("%+v", held[0]); strings.Contains(text, "svg") || strings.Contains(text, elsewhere) {
			t.Errorf("what is kept can be drawn: %s", text)
		}
	})
	token := func(change func(w *world, i int, x *sdjwt.Token)) func(*world) {
		return func(w *world) {
			good := w.token
			w.token = func(i int, holder keys.PublicKey) sdjwt.Token {
				x := good(i, holder)
				change(w, i, &x)
				return x
			}
		}
	}
	body := func(path, text string) func(*world) {
		return func(w *world) { w.spoil[path] = func(a *wallet.Answer) { a.Body = []byte(text) } }
	}
	const metadataPath, serverPath = "/.well-known/openid-credential-issuer", "/.well-known/oauth-authorization-server"
	tests := []struct {
		name  string
		spoil func(*world)
		want  wallet.Refusal
	}{
		{"VCI-16: an offer that leads to http", func(w *world) { w.offer.Issuer = "http://issuer.example" }, wallet.UnsafeAddress},
		{"VCI-16: with user info", func(w *world) { w.offer.Issuer = "https://a:b@issuer.example" }, wallet.UnsafeAddress},
		{"an offer that is none", body("/offer/1", `{"credential_issuer":"https://issuer.example"}`), wallet.BadLink},
		{"no offer there", func(w *world) { w.spoil["/offer/1"] = func(a *wallet.Answer) { a.Status = 404 } }, wallet.BadMessage},
		{"VCI-17: metadata of another issuer", func(w *world) { w.meta.Issuer = "https://evil.example" }, wallet.OtherIssuer},
		{"metadata that are none", body(metadataPath, `[]`), wallet.BadMessage},
		{"VCI-17: an offer that names another authorization server, which goes by that name", func(w *world) {
			w.offer.PreAuthorized.Server, w.server.Issuer = "https://other.example", "https://other.example"
		}, wallet.OtherIssuer},
		{"VCI-17: a server that calls itself by another name", func(w *world) { w.server.Issuer = "https://other.example" }, wallet.OtherIssuer},
		{"OA-02: a server without DPoP", func(w *world) { w.server.DPoPAlgorithms = nil }, wallet.WeakServer},
		{"OA-02: signing in at a server without PKCE", func(w *world) {
			w.offer.PreAuthorized, w.server.ChallengeMethods = nil, nil
		}, wallet.WeakServer},
		{"a format that the wallet cannot hold", func(w *world) {
			w.spoil[metadataPath] = func(a *wallet.Answer) {
				a.Body = []byte(strings.Replace(string(a.Body), `"dc+sd-jwt"`, `"mso_mdoc"`, 1))
			}
		}, wallet.NotUsable},
		{"a credential that the metadata do not have", func(w *world) { w.offer.Configurations = []string{"other"} }, wallet.NotUsable},
		{"keys that would have to be attested", func(w *world) {
			w.meta.Configurations[0].Proofs[oid4vci.JWTProof] = oid4vci.ProofSupport{Algorithms: es256, Attestation: &oid4vci.AttestationNeeds{KeyStorage: []string{"iso_18045_high"}}}
		}, wallet.NotUsable},
		{"a transaction code that is missing", func(w *world) { w.offer.PreAuthorized.TxCode = &oid4vci.TxCodeInput{} }, wallet.NeedsTxCode},
		{"a transaction code that nobody asked for", func(w *world) { w.txCode = "1234" }, wallet.NeedsTxCode},
		{"a transaction code with a digit missing", func(w *world) {
			w.offer.PreAuthorized.TxCode, w.txCode = &oid4vci.TxCodeInput{Length: 6}, "12345"
			w.spoil["/token"] = func(*wallet.Answer) { w.t.Error("it cost a guess") }
		}, wallet.NeedsTxCode},
		{"a code that was used", func(w *world) { w.offer.PreAuthorized.Code = "code-0" }, wallet.PeerRefused},
		{"DPoP nonces without end", func(w *world) {
			w.spoil["/token"] = func(a *wallet.Answer) {
				*a = failed(oid4vci.NeedDPoPNonce(), oid4vci.AuthorizationServer)
				a.Header[oid4vci.DPoPNonceHeader] = []string{"again"}
			}
		}, wallet.PeerRefused},
		{"a token for anybody (OA-08)", body("/token", `{"access_token":"t","token_type":"Bearer","expires_in":60}`), wallet.BadMessage},
		{"a token for another credential only", body("/token", `{"access_token":"t","token_type":"DPoP","expires_in":60,"authorization_details":[`+
			`{"type":"openid_credential","credential_configuration_id":"other","credential_identifiers":["x"]}]}`), wallet.NotUsable},
		{"put off by an issuer that cannot be asked again", func(w *world) { w.deferred, w.meta.DeferredEndpoint = 1, "" }, wallet.BadMessage},
		{"a plain answer to an encrypted request", func(w *world) {
			w.spoil["/credential"] = func(a *wallet.Answer) {
				a.Type, a.Body = oid4vci.JSONType, []byte(`{"credentials":[{"credential":"x~"}]}`)
			}
		}, wallet.BadMessage},
		{"VCI-18: one copy bound to another key", token(func(w *world, i int, x *sdjwt.Token) {
			if i == 0 {
				other := keystest.Signer(w.t, keys.Holder, keys.ES256, "thief").Key().Public
				x.Holder = &other
			}
		}), wallet.OtherKey},
		{"VCI-18: one copy bound to no key", token(func(_ *world, i int, x *sdjwt.Token) {
			if i == 0 {
				x.Holder = nil
			}
		}), wallet.OtherKey},
		{"VCI-18: two copies for one key", func(w *world) {
			good, first := w.token, keys.PublicKey{}
			w.token = func(i int, holder keys.PublicKey) sdjwt.Token {
				if i == 0 {
					first = holder
				}
				return good(i, first)
			}
		}, wallet.OtherKey},
		{"VCI-18: another type", token(func(_ *world, _ int, x *sdjwt.Token) { x.Type, x.TypeIntegrity = "urn:other", "" }), wallet.OtherType},
		{"VCI-18: another issuer", token(func(_ *world, _ int, x *sdjwt.Token) { x.Issuer = "https://other.example" }), wallet.OtherCredentialIssuer},
		{"a signature that does not fit", func(w *world) {
			w.forge = func(_ int, s string) string {
				head, rest, _ := strings.Cut(s, "~")
				return head[:len(head)-6] + "AAAAAA~" + rest
			}
		}, wallet.BadSignature},
		{"a key that the issuer does not publish", func(w *world) {
			published := w.signer.Key()
			w.signer = keystest.Signer(w.t, keys.Credential, keys.ES256, "another")
			w.spoil["/.well-known/jwt-vc-issuer"] = func(a *wallet.Answer) {
				var err error
				if a.Body, err = sdjwt.IssuerMetadata(issuerURL, []keys.Key{published}, now); err != nil {
					w.t.Fatal(err)
				}
			}
		}, wallet.BadSignature},
		{"a certificate for another address", token(func(w *world, _ int, x *sdjwt.Token) {
			x.X5C = [][]byte{w.certificate(w.signer, "Office", "https://other.example")}
		}), wallet.BadSignature},
		{"SDJ-11: with a proof by a holder", func(w *world) {
			w.forge = func(_ int, s string) string {
				bound := w.issue(w.token(0, keystest.Signer(w.t, keys.Holder, keys.ES256, "x").Key().Public))
				text, err := sdjwt.Bind(nil, bound, sdjwt.Proof{Audience: "a", Nonce: "n", IssuedAt: now}, keystest.Signer(w.t, keys.Holder, keys.ES256, "x"))
				if err != nil {
					w.t.Fatal(err)
				}
				return text
			}
		}, wallet.NotAsIssued},
		{"something else than a credential", func(w *world) { w.forge = func(int, string) string { return "x~y" } }, wallet.NotAsIssued},
		{"expired", token(func(_ *world, _ int, x *sdjwt.Token) {
			x.IssuedAt, x.Expires = now.AddDate(-1, 0, 0), now.AddDate(0, 0, -1)
		}), wallet.BadDates},
		{"of the future", token(func(_ *world, _ int, x *sdjwt.Token) { x.IssuedAt = now.Add(time.Hour) }), wallet.BadDates},
		{"SDJ-14: a description that is not the one whose hash was stated", func(w *world) {
			w.spoil["/type/licence"] = func(a *wallet.Answer) { a.Body = append(a.Body, ' ') }
		}, wallet.BadType},
		{"SDJ-14: a description of another type", token(func(w *world, _ int, x *sdjwt.Token) {
			w.document = strings.Replace(w.document, typeURL, "https://issuer.example/type/other", 1)
			x.TypeIntegrity = sdjwt.Integrity([]byte(w.document))
		}), wallet.BadType},
		{"a claim that the type demands is missing", token(func(_ *world, _ int, x *sdjwt.Token) { delete(x.Claims, "name") }), wallet.BadType},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel() // the disk is what they wait for
			w := newWorld(t)
			tt.spoil(w)
			a, kept := w.agent(nil)
			_, _, err := w.accept(a)
			if reasonOf(err) != tt.want {
				t.Errorf("accept: %v, want %s", err, tt.want)
			}
			if held, err := kept.Held(); err != nil || len(held) != 0 {
				t.Errorf("kept %d credentials, %v", len(held), err)
			}
			if pending, err := kept.Pending(); err != nil || len(pending) != 0 {
				t.Errorf("still waits for %v, %v", pending, err)
			}
			for _, r := range w.seen {
				if strings.HasPrefix(r.Address, "https://other.example") {
					t.Errorf("somebody else was asked: %s", r.Address)
				}
			}
		})
	}
	t.Run("unknown issuer", func(t *testing.T) {
		w := newWorld(t)
		a, _ := w.agent(func(c *wallet.Config) { c.UnknownIssuers = false })
		if _, _, err := w.accept(a); reasonOf(err) != wallet.UnknownIssuer {
			t.Errorf("accept: %v", err)
		}
		w.sign = true
		if _, _, err := w.accept(a); err != nil {
			t.Errorf("accept: %v with a certificate", err)
		}
	})
	t.Run("VCI-21: signed metadata under another root", func(t *testing.T) {
		w := newWorld(t)
		w.sign = true
		other := newWorldWithRoot(t)
		a, _ := w.agent(func(c *wallet.Config) { c.Roots = other })
		if _, _, err := w.accept(a); reasonOf(err) != wallet.MetadataSigner {
			t.Errorf("accept: %v", err)
		}
	})
	t.Run("each way for its own offer", func(t *testing.T) {
		w := newWorld(t)
		a, _ := w.agent(nil)
		p, err := a.Offer(t.Context(), w.link())
		if err != nil {
			t.Fatal(err)
		}
		p.SignIn = false
		if _, err := a.SignIn(t.Context(), p, back); reasonOf(err) != wallet.NotUsable {
			t.Errorf("SignIn with an offer that has a code: %v", err)
		}
		w.offer.PreAuthorized, w.offer.AuthorizationCode = nil, &oid4vci.AuthorizationCodeGrant{}
		if p, err = a.Offer(t.Context(), w.link()); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Redeem(t.Context(), p, ""); reasonOf(err) != wallet.NeedsSignIn {
			t.Errorf("Redeem of an offer without a code: %v", err)
		}
	})
	t.Run("not a link", func(t *testing.T) {
		a, _ := newWorld(t).agent(nil)
		if _, err := a.Offer(t.Context(), "openid-credential-offer://?x=1"); reasonOf(err) != wallet.BadLink {
			t.Errorf("Offer: %v", err)
		}
	})
}

// TestSaysThatKeysWouldHaveToBeAttested: the refusal of an offer for attested keys only
// (OpenID4VCI section 12.2.4) says so, since another form of the credential would not help.
func TestSaysThatKeysWouldHaveToBeAttested(t *testing.T) {
	for attested, want := range map[bool]string{false: "none of 1 credentials", true: "none of 1 credentials, for keys that somebody attests only"} {
		w := newWorld(t)
		w.meta.Configurations[0].Bindings = []string{"did:key"}
		if attested {
			w.meta.Configurations[0].Proofs[oid4vci.JWTProof] = oid4vci.ProofSupport{Algorithms: es256, Attestation: &oid4vci.AttestationNeeds{}}
		}
		a, _ := w.agent(nil)
		_, _, err := w.accept(a)
		if r, ok := errors.AsType[*wallet.RefusedError](err); !ok || r.Reason != wallet.NotUsable || r.Detail != want {
			t.Errorf("attested %t: %v", attested, err)
		}
	}
}

// TestAcceptOfKnownIssuer: VCI-18. Of an issuer that the trust bundle names the bundle says which
// names are its own and which keys may sign; what the issuer publishes itself counts for nothing.
func TestAcceptOfKnownIssuer(t *testing.T) {
	const short = "office.xa"
	iss := func(name string) func(*world, *trust.IssuerKey) {
		return func(w *world, _ *trust.IssuerKey) {
			good := w.token
			w.token = func(i int, holder keys.PublicKey) sdjwt.Token {
				x := good(i, holder)
				x.Issuer = name
				return x
			}
		}
	}
	for _, tt := range []struct {
		name  string
		spoil func(*world, *trust.IssuerKey)
		want  wallet.Refusal
	}{
		{"by its address", func(*world, *trust.IssuerKey) {}, ""},
		{"by its other name", iss(short), ""},
		{"VCI-18: by its key, in the name of another issuer", iss("https://other.example"), wallet.OtherCredentialIssuer},
		{"VCI-18: by a key that was stolen", func(_ *world, k *trust.IssuerKey) {
			k.State, k.CompromisedSince = keys.Compromised, now.AddDate(0, 0, -1)
		}, wallet.BadSignature},
		{"VCI-18: by a key for another type", func(_ *world, k *trust.IssuerKey) { k.Types = []string{typeURL + "/other"} }, wallet.BadSignature},
		{"VCI-18: by a key that is not in use yet", func(_ *world, k *trust.IssuerKey) { k.ValidFrom = now.Add(time.Second) }, wallet.BadSignature},
		{"VCI-18: by a key from the moment at which it comes into use", func(_ *world, k *trust.IssuerKey) { k.ValidFrom = now }, ""},
		{"VCI-18: by a key that went out of use", func(_ *world, k *trust.IssuerKey) { k.State, k.SignUntil = keys.Retired, now }, wallet.BadSignature},
		{"VCI-18: by a key that counts for nothing any more", func(w *world, k *trust.IssuerKey) {
			good := w.token
			w.token = func(i int, holder keys.PublicKey) sdjwt.Token {
				x := good(i, holder)
				x.IssuedAt = now.Add(-time.Hour)
				return x
			}
			k.State, k.SignUntil, k.ValidTo = keys.Retired, now.Add(-time.Minute), now
		}, wallet.BadSignature},
		{"VCI-18: by a key that only the issuer publishes", func(w *world, _ *trust.IssuerKey) {
			w.signer = keystest.Signer(w.t, keys.Credential, keys.ES256, "another")
		}, wallet.BadSignature},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			key := trust.NewIssuerKey(w.signer.Key(), []string{typeURL}, nil)
			key.ValidFrom = now.AddDate(0, -1, 0)
			tt.spoil(w, &key)
			b := w.bundle(trust.Verifier{ID: "x509_san_dns:" + library, Names: map[string]string{"en": "Library"}}, func(c *trust.Content) {
				c.Issuers = []trust.Issuer{{ID: short, URL: issuerURL, Names: map[string]string{"en": "Licence office"}, Keys: []trust.IssuerKey{key}}}
				for _, id := range key.Types {
					c.Types = append(c.Types, credential.Type{ID: id, Labels: map[string]string{"en": "Licence"}})
				}
			})
			a, kept := w.agent(func(c *wallet.Config) { c.Trust = b })
			if _, _, err := w.accept(a); reasonOf(err) != tt.want || tt.want == "" && err != nil {
				t.Errorf("accept: %v, want %q", err, tt.want)
			}
			if held, err := kept.Held(); err != nil || (len(held) == 1) != (tt.want == "") {
				t.Errorf("kept %d credentials, %v", len(held), err)
			}
		})
	}
}
