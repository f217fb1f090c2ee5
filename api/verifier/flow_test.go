package verifier_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sanad-id/sanad/api/verifier"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/internal/jose"
	"github.com/sanad-id/sanad/internal/pgtest"
	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/oid4vp"
	"github.com/sanad-id/sanad/qr/image"
	"github.com/sanad-id/sanad/store/once"
	"github.com/sanad-id/sanad/verification"
)

// claims are the values of one presentation by the name of the claim.
func claims(p verifier.Presentation) map[string]any {
	m := map[string]any{}
	for _, c := range p.Claims {
		m[c.Path[0].(string)] = c.Value
	}
	return m
}

// TestCrossDevice: a code is shown, a wallet answers, the relying party asks.
func TestCrossDevice(t *testing.T) {
	s := newScene(t)
	c := s.create(t, object{"policy": "card", "receipt": true})
	if status, result := s.state(t, c.ID); status != "waiting" || result != nil {
		t.Fatalf("%s %+v, want waiting", status, result)
	}
	png, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(c.QR, "data:image/png;base64,"))
	if err != nil {
		t.Fatal(err)
	}
	if texts, err := image.Read(png); err != nil || len(texts) != 1 || texts[0] != c.Link {
		t.Errorf("the code says %q, %v, want the link %q", texts, err, c.Link)
	}
	r := s.open(t, c.Link)
	if p := r.Policy; p == nil || p.Purpose["en"] != "To lend you books." || p.Name["en"] != "City library" || p.Reference != "card/3" || p.Retention != 0 {
		t.Errorf("the holder is told %+v", r.Policy)
	}
	if life := r.Expires.Sub(r.IssuedAt); life > oid4vp.MaxLife || life <= 0 || r.ResponseMode != oid4vp.DirectPostJWT {
		t.Errorf("VP-14: the request lives %v, answered by %s", life, r.ResponseMode)
	}
	g := s.post(t, r, s.present(t, r))
	if reply, err := oid4vp.ParseReply(g.body, true); err != nil || g.status != http.StatusOK || reply.RedirectURI != "" {
		t.Fatalf("respond: %d %s", g.status, g.body)
	}
	status, result := s.state(t, c.ID)
	if status != "answered" || result == nil || result.Verdict != verification.Valid || len(result.Reasons) != 0 || len(result.Presentations) != 1 {
		t.Fatalf("%s %+v", status, result)
	}
	if !result.CrossDevice {
		t.Error("VP-14: it is not said that nobody knows who was shown the code")
	}
	link, err := url.Parse(c.Link)
	if err != nil {
		t.Fatal(err)
	}
	// What others see of a request brings nobody its result.
	for what, public := range map[string]string{"handle": c.Handle, "request": path.Base(link.Query().Get("request_uri")), "response": path.Base(r.ResponseURI)} {
		for _, g := range []got{s.relying(t, "GET", "/requests/"+public, nil), s.relying(t, "POST", "/requests/"+public+"/result", object{"response_code": "", "browser": ""})} {
			if g.status != http.StatusNotFound {
				t.Errorf("VP-14: the result by the %s: %d %s", what, g.status, g.body)
			}
		}
	}
	if got := claims(result.Presentations[0]); got["full_name"] != person || got["crop"] != float64(3) || len(got) != 2 {
		t.Errorf("claims %v", got)
	}
	if result.Token != nil {
		t.Error("what was presented is kept although the policy says nothing of it")
	}
	if b := s.relying(t, "GET", "/requests/"+c.ID, nil).body; strings.Contains(string(b), "Dhaka") || strings.Contains(string(b), "CANARY") {
		t.Errorf("more than was asked for: %s", b)
	}
	s.checkReceipt(t, c, result)
	// The result is forgotten.
	s.clock.Store(int64(16 * time.Minute))
	if g := s.relying(t, "GET", "/requests/"+c.ID, nil); g.status != http.StatusGone || g.code() != "expired" {
		t.Errorf("after its time: %d %s", g.status, g.body)
	}
}

// statement opens what the server signed.
func (s *scene) statement(t *testing.T, text, typ string) strict.Value {
	t.Helper()
	m, err := jose.Parse(text, jose.Expect{Types: []string{typ}})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Verify(keys.ES256, s.signature.Signer.Key().Public); err != nil {
		t.Fatal(err)
	}
	v, err := strict.Limits{Bytes: 1 << 16, Depth: 4, Items: 100}.Object(m.Payload)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (s *scene) checkReceipt(t *testing.T, c verifier.Created, result *verifier.Result) {
	t.Helper()
	v := s.statement(t, result.Receipt, "sanad-receipt+jwt")
	for name, want := range map[string]string{"digest": result.Digest, "verdict": "valid", "jti": c.Handle, "policy": "card", "iss": s.service.URL} {
		if got, _ := v.Get(name).Text(); got != want || want == "" {
			t.Errorf("receipt: %s is %q, want %q", name, got, want)
		}
	}
	if strings.Contains(string(mustJSON(t, v)), person) {
		t.Error("the receipt names a person")
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := strict.AppendJSON(nil, v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestSameDevice: the browser comes back with a code, and only it gets the result.
func TestSameDevice(t *testing.T) {
	s := newScene(t)
	c := s.create(t, object{"policy": "card", "return_to": "https://library.example/done", "browser": browser})
	g := s.respond(t, c.Link)
	reply, err := oid4vp.ParseReply(g.body, true)
	if err != nil || g.status != http.StatusOK || !strings.HasPrefix(reply.RedirectURI, "https://library.example/done?") {
		t.Fatalf("respond: %d %s", g.status, g.body)
	}
	u, err := url.Parse(reply.RedirectURI)
	if err != nil {
		t.Fatal(err)
	}
	code := u.Query().Get("response_code")
	if raw, err := base64.RawURLEncoding.DecodeString(code); err != nil || len(raw) < 16 {
		t.Errorf("VP-03: the code %q has fewer than 128 bits", code)
	}
	if status, result := s.state(t, c.ID); status != "answered" || result != nil {
		t.Errorf("VP-03: without the code: %s %+v", status, result)
	}
	other := s.create(t, object{"policy": "card", "return_to": "https://library.example/done", "browser": browser})
	exchange := func(id, code, browser string) got {
		t.Helper()
		return s.relying(t, "POST", "/requests/"+id+"/result", object{"response_code": code, "browser": browser})
	}
	for name, g := range map[string]got{
		"VP-03 another browser":     exchange(c.ID, code, "session cookie digest 2"),
		"VP-03 a guessed code":      exchange(c.ID, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", browser),
		"VP-03 no code":             exchange(c.ID, "", browser),
		"VP-03 a code of another":   exchange(other.ID, code, browser),
		"VP-03 somebody else's end": s.relying(t, "POST", "/requests/"+s.create(t, object{"policy": "card"}).ID+"/result", object{"response_code": code, "browser": ""}),
	} {
		if g.status != http.StatusForbidden || g.code() != "wrong_code" {
			t.Errorf("%s: %d %s", name, g.status, g.body)
		}
	}
	g = exchange(c.ID, code, browser)
	if result := decode[verifier.Result](t, noReports(t, g.body)); g.status != http.StatusOK || result.Verdict != verification.Valid || result.CrossDevice {
		t.Errorf("the right code: %d %s", g.status, g.body)
	}
	if g := exchange(c.ID, code, browser); g.status != http.StatusForbidden {
		t.Errorf("VP-03 the code again: %d", g.status)
	}
}

// TestUnsigned: the link has the whole request, and nobody knows who made it.
func TestUnsigned(t *testing.T) {
	s := newScene(t)
	c := s.create(t, object{"policy": "strange"})
	if g := s.respond(t, c.Link); g.status != http.StatusOK {
		t.Fatalf("%d %s", g.status, g.body)
	}
	if status, result := s.state(t, c.ID); status != "answered" || result.Verdict != verification.Valid {
		t.Errorf("%s %+v", status, result)
	}
}

// ofOldType is a credential as drafts before November 2024 had it: its typ is another.
func ofOldType(t testing.TB, text string, signer keys.Signer) string {
	t.Helper()
	jwt, rest, _ := strings.Cut(text, "~")
	m, err := jose.Parse(jwt, jose.Expect{Types: []string{sdjwt.Typ}, MaxBytes: sdjwt.MaxSize})
	if err != nil {
		t.Fatal(err)
	}
	old, err := jose.Sign(rand.Reader, signer, jose.Header{Type: sdjwt.OldTyp, KeyID: m.KeyID}, m.Payload)
	if err != nil {
		t.Fatal(err)
	}
	return string(old) + "~" + rest
}

// TestOldType: credentials of drafts are read where the operator says so, as copies and as
// answers of wallets; elsewhere they are refused (SDJ-12).
func TestOldType(t *testing.T) {
	for _, tt := range []struct {
		accepted bool
		copied   verification.Verdict
		status   int
	}{{false, verification.Invalid, http.StatusBadRequest}, {true, verification.CheckNeeded, http.StatusOK}} {
		t.Run(fmt.Sprint(tt.accepted), func(t *testing.T) {
			s := newScene(t)
			s.service.OldType, s.oldType = tt.accepted, true
			text := ofOldType(t, issue(t, s.token, s.signer), s.signer)
			g := s.call(t, "POST", "/verify", "text/plain", []byte(text), "Authorization", "Bearer "+apiKey)
			if r := decode[struct{ Verdict verification.Verdict }](t, g.body); r.Verdict != tt.copied {
				t.Errorf("a copy is %s, want %s\n%s", r.Verdict, tt.copied, g.body)
			}
			c := s.create(t, object{"policy": "strange"})
			if g := s.respond(t, c.Link); g.status != tt.status {
				t.Fatalf("shown by its holder: %d %s", g.status, g.body)
			}
			if status, result := s.state(t, c.ID); tt.accepted && (status != "answered" || result.Verdict != verification.Valid) {
				t.Errorf("shown by its holder: %s %+v", status, result)
			}
		})
	}
}

// TestTwice: an honest wallet may read a request twice (VP-18); it may be answered once.
func TestTwice(t *testing.T) {
	s := newScene(t)
	c := s.create(t, object{"policy": "card"})
	s.open(t, c.Link)
	r := s.open(t, c.Link)
	form := s.present(t, r)
	if g := s.post(t, r, form); g.status != http.StatusOK {
		t.Fatalf("%d %s", g.status, g.body)
	}
	if g := s.post(t, r, form); g.status != http.StatusGone || g.code() != "already_answered" {
		t.Errorf("the same answer again: %d %s", g.status, g.body)
	}
}

// TestAnsweredElsewhere: a server that remembers a request says of every answer that
// another one, or nobody, may take it any more.
func TestAnsweredElsewhere(t *testing.T) {
	s := newScene(t)
	for name, form := range map[string]func(r *oid4vp.Request) url.Values{
		"a good answer":             func(r *oid4vp.Request) url.Values { return s.present(t, r) },
		"one that cannot be read":   func(*oid4vp.Request) url.Values { return url.Values{"response": {"none"}} },
		"one in the clear":          func(*oid4vp.Request) url.Values { return url.Values{"vp_token": {"{}"}, "state": {"none"}} },
		"one that is for no policy": func(*oid4vp.Request) url.Values { return url.Values{} },
	} {
		answered := s.open(t, s.create(t, object{"policy": "card"}).Link)
		response := answered.ResponseURI[strings.LastIndex(answered.ResponseURI, "/")+1:]
		if _, err := s.db.Take(t.Context(), s.now(), once.KeyOf(once.Response, response)); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if g := s.post(t, answered, form(answered)); g.status != http.StatusGone || g.code() != "already_answered" {
				t.Errorf("%s, answered elsewhere: %d %s", name, g.status, g.body)
			}
		}
	}
	late := s.open(t, s.create(t, object{"policy": "card"}).Link)
	form := s.present(t, late)
	s.clock.Add(int64(6 * time.Minute))
	if g := s.post(t, late, form); g.status != http.StatusGone || g.code() != "expired" {
		t.Errorf("too late: %d %s", g.status, g.body)
	}
	s.clock.Store(0)
	// What cannot be read leaves a request open.
	open := s.open(t, s.create(t, object{"policy": "card"}).Link)
	if g := s.post(t, open, url.Values{"response": {"none"}}); g.status != http.StatusBadRequest {
		t.Errorf("one that cannot be read: %d %s", g.status, g.body)
	}
	if g := s.post(t, open, s.present(t, open)); g.status != http.StatusOK {
		t.Errorf("a good one after it: %d %s", g.status, g.body)
	}
}

// TestLess: a request may ask for less than its policy, and never for more.
func TestLess(t *testing.T) {
	s := newScene(t)
	c := s.create(t, object{"policy": "card", "claims": object{"farmer": []string{"full_name"}}})
	r := s.open(t, c.Link)
	if n := len(r.Query.Credentials[0].Claims); n != 1 {
		t.Errorf("%d claims are asked for, want 1", n)
	}
	s.post(t, r, s.present(t, r))
	if _, result := s.state(t, c.ID); result == nil || len(result.Presentations[0].Claims) != 1 {
		t.Errorf("%+v", result)
	}
	for _, tt := range []struct {
		name   string
		body   object
		status int
		code   string
	}{
		{"a claim that the policy does not name", object{"policy": "card", "claims": object{"farmer": []string{"phone"}}}, 403, "over_asking"},
		{"one more than the policy names", object{"policy": "card", "claims": object{"farmer": []string{"full_name", "phone"}}}, 403, "over_asking"},
		{"a credential that the policy does not name", object{"policy": "card", "claims": object{"diploma": []string{"subject"}}}, 403, "over_asking"},
		{"transaction data that the policy does not name", object{"policy": "card", "transaction_data": []object{{"type": "x", "fields": object{}}}}, 403, "over_asking"},
		{"a field that the policy does not name", object{"policy": "pay", "transaction_data": []object{{"type": "urn:xa:payment:1", "fields": object{"amount": "1", "payee": "x", "more": "y"}}}}, 403, "over_asking"},
		{"a field less", object{"policy": "pay", "transaction_data": []object{{"type": "urn:xa:payment:1", "fields": object{"amount": "1"}}}}, 400, "transaction_data"},
		{"no transaction data", object{"policy": "pay"}, 400, "transaction_data"},
		{"a query of its own", object{"policy": "card", "query": object{}}, 400, "bad_request"},
		{"another policy", object{"policy": "nothing"}, 404, "unknown_policy"},
		{"no policy", object{}, 404, "unknown_policy"},
		{"another page", object{"policy": "card", "return_to": "https://evil.example/", "browser": browser}, 403, "return_to"},
		{"a page without browser", object{"policy": "card", "return_to": "https://library.example/done"}, 400, "browser"},
		{"a browser without page", object{"policy": "card", "browser": browser}, 403, "return_to"},
		{"claims that are none", object{"policy": "card", "claims": []string{"full_name"}}, 400, "bad_request"},
		{"the same claim twice", object{"policy": "card", "claims": object{"farmer": []string{"full_name", "full_name"}}}, 400, "bad_request"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if g := s.relying(t, "POST", "/requests", tt.body); g.status != tt.status || g.code() != tt.code {
				t.Errorf("%d %s, want %d %s", g.status, g.body, tt.status, tt.code)
			}
		})
	}
}

// TestAnswers spoils one thing at a time in an answer that is good otherwise. Each has
// a verdict and a reason of its own.
func TestAnswers(t *testing.T) {
	for _, tt := range []struct {
		name    string
		policy  string // card if empty
		spoil   func(t *testing.T, s *scene)
		verdict verification.Verdict
		reason  string
	}{
		{"nothing spoiled", "", func(*testing.T, *scene) {}, "valid", ""},
		{"VP-02 for another verifier", "", func(_ *testing.T, s *scene) { s.proof = func(p *sdjwt.Proof) { p.Audience = "x509_hash:other" } }, "invalid", "wrong_audience"},
		{"VP-02 without the prefix", "", func(_ *testing.T, s *scene) {
			s.proof = func(p *sdjwt.Proof) { p.Audience = strings.TrimPrefix(p.Audience, "x509_hash:") }
		}, "invalid", "wrong_audience"},
		{"VP-01 another nonce", "", func(_ *testing.T, s *scene) { s.proof = func(p *sdjwt.Proof) { p.Nonce = "n-2" } }, "invalid", "wrong_nonce"},
		{"KB-06 signed before the request", "", func(_ *testing.T, s *scene) { s.proof = func(p *sdjwt.Proof) { p.IssuedAt = now.Add(-time.Hour) } }, "invalid", "holder_proof_old"},
		{"VP-11 no proof by the holder", "", func(_ *testing.T, s *scene) { s.proof = func(p *sdjwt.Proof) { p.Audience = "" } }, "invalid", "holder_proof_missing"},
		{"KB-03 a proof that the holder did not sign", "", func(_ *testing.T, s *scene) {
			s.shown = func(text string) string { return text[:len(text)-4] + "AAAA" }
		}, "invalid", "holder_proof_bad"},
		{"SIG-05 a key that was disclosed", "", func(t *testing.T, s *scene) { s.disclosed(t, s.holder) }, "invalid", "holder_proof_bad"},
		{"SIG-05 one of two keys that was disclosed", "both", func(t *testing.T, s *scene) {
			s.alsoDiploma(t, newSigner(t, keys.Holder))
			s.disclosed(t, s.alsoHolders[0])
		}, "invalid", "holder_proof_bad"},
		{"SIG-05 another key that was disclosed", "", func(t *testing.T, s *scene) { s.disclosed(t, newSigner(t, keys.Holder)) }, "valid", ""},
		{"SIG-05 the private key in cnf", "", func(t *testing.T, s *scene) {
			s.shown = func(text string) string { return privateCnf(t, text, s.signer, "AAAA") }
		}, "invalid", "malformed"},
		{"altered", "", func(_ *testing.T, s *scene) { s.shown = alter }, "invalid", "bad_signature"},
		{"expired", "", func(_ *testing.T, s *scene) { s.token.Expires = now.Add(-time.Second) }, "invalid", "expired"},
		{"revoked", "", func(_ *testing.T, s *scene) { s.token.Status.Index = revoked }, "invalid", "revoked"},
		{"an issuer that nobody knows", "", func(t *testing.T, s *scene) { s.signer = newSigner(t, keys.Credential) }, "undetermined", "unknown_issuer"},
		{"an issuer of other types", "", func(_ *testing.T, s *scene) { s.signer, s.token.Issuer = s.teacher, school }, "invalid", "not_authorised"},
		{"VP-10 a claim is missing", "", func(_ *testing.T, s *scene) {
			s.choices = func(c []oid4vp.Choice) []oid4vp.Choice { c[0].Claims = c[0].Claims[:1]; return c }
		}, "invalid", "missing_claim"},
		{"VP-10 another value", "", func(_ *testing.T, s *scene) {
			s.token.Claims["crop"] = sdjwt.Hidden{Value: 9}
			s.choices = func([]oid4vp.Choice) []oid4vp.Choice { return []oid4vp.Choice{show("farmer", "full_name", "crop")} }
		}, "invalid", "wrong_value"},
		{"VP-10 another type", "", func(_ *testing.T, s *scene) {
			s.signer, s.token.Issuer, s.token.Type = s.teacher, school, diploma
			s.choices = func([]oid4vp.Choice) []oid4vp.Choice { return []oid4vp.Choice{show("farmer", "full_name", "crop")} }
		}, "invalid", "wrong_type"},
		{"VP-10 an issuer that the policy does not take", "open", func(_ *testing.T, s *scene) {
			s.content.Issuers[1].Keys[0].Types = []string{farmer}
			s.signer, s.token.Issuer = s.teacher, school
		}, "invalid", "issuer_not_accepted"},
		{"status older than the policy wants", "open", func(*testing.T, *scene) {}, "check_needed", "status_older_than_policy"},
		{"VP-10 one of two", "both", func(_ *testing.T, s *scene) {
			s.choices = func([]oid4vp.Choice) []oid4vp.Choice { return []oid4vp.Choice{show("farmer", "full_name")} }
		}, "invalid", "query_not_answered"},
		{"two of one person", "both", func(t *testing.T, s *scene) { s.alsoDiploma(t, s.holder) }, "valid", ""},
		{"VP-15 two people", "both", func(t *testing.T, s *scene) {
			s.alsoDiploma(t, newSigner(t, keys.Holder))
		}, "check_needed", "same_person_not_proven"},
		{"VP-19 one of two is altered", "both", func(t *testing.T, s *scene) {
			s.alsoDiploma(t, s.holder)
			s.answer = func(_ *oid4vp.Request, token oid4vp.VPToken) { token["diploma"][0] = alter(token["diploma"][0]) }
		}, "invalid", "bad_signature"},
		{"transaction data", "pay", func(*testing.T, *scene) {}, "valid", ""},
		{"VP-12 transaction data that were not signed for", "pay", func(_ *testing.T, s *scene) { s.proof = func(p *sdjwt.Proof) { p.Claims = nil } }, "invalid", "transaction_not_authorised"},
		{"VP-12 other transaction data", "pay", func(t *testing.T, s *scene) {
			d, err := oid4vp.NewTransactionData("urn:xa:payment:1", []string{"farmer"}, map[string]any{"amount": "1", "payee": "somebody else"})
			if err != nil {
				t.Fatal(err)
			}
			s.proof = func(p *sdjwt.Proof) { p.Claims = oid4vp.TransactionClaims([]oid4vp.TransactionData{d}) }
		}, "invalid", "transaction_not_authorised"},
		{"VP-17 no trust bundle", "", func(_ *testing.T, s *scene) { s.bundle.Store(nil); s.problem = "the file cannot be read" }, "undetermined", "no_trust"},
		{"VP-17 a trust bundle that is too old", "", func(_ *testing.T, s *scene) { s.clock.Store(int64(70 * 24 * time.Hour)) }, "check_needed", "trust_old"},
		{"VP-17 the roots have ended", "", func(_ *testing.T, s *scene) {
			s.clock.Store(int64(9 * 365 * 24 * time.Hour))
			s.token.Expires = now.AddDate(20, 0, 0)
		}, "undetermined", "trust_expired"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t)
			tt.spoil(t, s)
			if s.bundle.Load() != nil {
				s.reload(t)
			}
			body := object{"policy": "card"}
			if tt.policy != "" {
				body["policy"] = tt.policy
			}
			if tt.policy == "pay" {
				body["transaction_data"] = []object{{"type": "urn:xa:payment:1", "fields": object{"amount": "1", "payee": "library"}}}
			}
			c := s.create(t, body)
			g := s.respond(t, c.Link)
			status, result := s.state(t, c.ID)
			if status != "answered" || result == nil {
				t.Fatalf("%s after %d %s", status, g.status, g.body)
			}
			if result.Verdict != tt.verdict || tt.reason != "" && !slices.Contains(result.Reasons, tt.reason) || tt.reason == "" && len(result.Reasons) > 0 {
				t.Errorf("%s %q, want %s %q", result.Verdict, result.Reasons, tt.verdict, tt.reason)
			}
			refused := g.status == http.StatusBadRequest && g.code() == "invalid_request"
			if refused != (tt.verdict == "invalid") || tt.reason != "" && strings.Contains(string(g.body), tt.reason) {
				t.Errorf("OUT-10: the wallet learns %d %s", g.status, g.body)
			}
			for _, p := range result.Presentations {
				if p.Verdict == verification.Invalid && len(p.Claims) > 0 {
					t.Errorf("claims of a credential that is invalid: %v", p.Claims)
				}
			}
		})
	}
}

// show is a choice of claims that the query would not allow.
func show(query string, names ...string) oid4vp.Choice {
	c := oid4vp.Choice{Query: query, Candidate: oid4vp.Candidate{ClaimSet: -1, Bind: true}}
	for _, n := range names {
		c.Claims = append(c.Claims, oid4vp.FoundClaim{Paths: []sdjwt.Path{{n}}})
	}
	return c
}

// alter changes a byte of the issuer's signature.
func alter(text string) string {
	end := strings.IndexByte(text, '~')
	i := end - 20
	b := []byte(text)
	if b[i] == 'A' {
		b[i] = 'B'
	} else {
		b[i] = 'A'
	}
	return string(b)
}

func (s *scene) alsoDiploma(t *testing.T, holder keys.Signer) {
	t.Helper()
	pub := holder.Key().Public
	s.alsoHolders = append(s.alsoHolders, holder)
	s.also = append(s.also, issue(t, sdjwt.Token{
		Issuer: school, Type: diploma, IssuedAt: asOf.AddDate(0, -1, 0), Expires: asOf.AddDate(3, 0, 0), Holder: &pub,
		Claims: map[string]any{"subject": sdjwt.Hidden{Value: "Botany"}},
	}, s.teacher))
}

// TestMessages are answers that are none: the request goes on.
func TestMessages(t *testing.T) {
	s := newScene(t)
	other := s.open(t, s.create(t, object{"policy": "card"}).Link)
	replayed := s.present(t, other)
	for _, tt := range []struct {
		name   string
		form   func(form url.Values, r *oid4vp.Request) url.Values
		status int
		code   string
	}{
		{"VP-08 not encrypted", func(_ url.Values, r *oid4vp.Request) url.Values {
			r.ResponseMode = oid4vp.DirectPost
			return s.present(t, r)
		}, 400, "invalid_request"},
		{"VP-01, VP-09 the answer to another request", func(url.Values, *oid4vp.Request) url.Values { return replayed }, 400, "invalid_request"},
		{"VP-09 encrypted to another's key", func(_ url.Values, r *oid4vp.Request) url.Values {
			r.Metadata = other.Metadata
			return s.present(t, r)
		}, 400, "invalid_request"},
		{"VP-11 another state", func(_ url.Values, r *oid4vp.Request) url.Values {
			r.State = other.State
			return s.present(t, r)
		}, 400, "invalid_request"},
		{"an id that was not asked for", func(_ url.Values, r *oid4vp.Request) url.Values {
			r.Query = &oid4vp.Query{Credentials: []oid4vp.CredentialQuery{{ID: "other"}}}
			form, err := r.Respond(oid4vp.VPToken{"other": {"x~"}})
			if err != nil {
				t.Fatal(err)
			}
			return form
		}, 400, "invalid_request"},
		{"VP-13 several where one was asked for", func(_ url.Values, r *oid4vp.Request) url.Values {
			r.Query = &oid4vp.Query{Credentials: []oid4vp.CredentialQuery{{ID: "farmer", Multiple: true}}}
			form, err := r.Respond(oid4vp.VPToken{"farmer": slices.Repeat([]string{"x~"}, 60)})
			if err != nil {
				t.Fatal(err)
			}
			return form
		}, 400, "invalid_request"},
		{"JSON-06 a parameter twice", func(form url.Values, _ *oid4vp.Request) url.Values {
			form.Add("response", form.Get("response"))
			return form
		}, 400, "bad_form"},
		{"nothing", func(url.Values, *oid4vp.Request) url.Values { return url.Values{} }, 400, "invalid_request"},
		{"VP-13 three megabytes", func(url.Values, *oid4vp.Request) url.Values {
			return url.Values{"response": {strings.Repeat("A", 3<<20)}}
		}, 413, "too_large"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := s.create(t, object{"policy": "card"})
			r := s.open(t, c.Link)
			changed := *r
			form := tt.form(s.present(t, r), &changed)
			judged := false
			s.judging = func() { judged = true }
			g := s.post(t, r, form)
			s.judging = nil
			if g.status != tt.status || g.code() != tt.code || judged {
				t.Errorf("%d %s, want %d %s before any presentation is looked at", g.status, g.body, tt.status, tt.code)
			}
			if status, _ := s.state(t, c.ID); status != "waiting" {
				t.Errorf("afterwards it is %s", status)
			}
			if g := s.post(t, r, s.present(t, r)); g.status != http.StatusOK {
				t.Errorf("and the good answer: %d %s", g.status, g.body)
			}
		})
	}
}

// TestRefused: a wallet may say no, unencrypted (VP-08), and that ends the request.
func TestRefused(t *testing.T) {
	s := newScene(t)
	c := s.create(t, object{"policy": "card"})
	r := s.open(t, c.Link)
	if g := s.post(t, r, r.Refuse(&oid4vp.Error{Code: oid4vp.AccessDenied})); g.status != http.StatusOK {
		t.Errorf("%d %s", g.status, g.body)
	}
	if status, result := s.state(t, c.ID); status != "refused" || result.Refused != oid4vp.AccessDenied || result.Verdict == verification.Valid {
		t.Errorf("%s %+v", status, result)
	}
	if g := s.post(t, r, s.present(t, r)); g.status != http.StatusGone {
		t.Errorf("an answer after the refusal: %d", g.status)
	}
}

// TestExpired: nothing works after the time of a request.
func TestExpired(t *testing.T) {
	s := newScene(t)
	c := s.create(t, object{"policy": "card"})
	r := s.open(t, c.Link)
	form := s.present(t, r)
	i, err := oid4vp.ParseInvocation(c.Link)
	if err != nil {
		t.Fatal(err)
	}
	s.clock.Store(int64(oid4vp.MaxLife))
	if g := s.post(t, r, form); g.status != http.StatusGone || g.code() != "expired" {
		t.Errorf("answer: %d %s", g.status, g.body)
	}
	if g := s.call(t, "GET", i.RequestURI, "", nil); g.status != http.StatusGone || g.code() != "expired" {
		t.Errorf("request object: %d %s", g.status, g.body)
	}
	if status, _ := s.state(t, c.ID); status != "expired" {
		t.Errorf("state %s", status)
	}
}

// TestKeys: who may ask.
func TestKeys(t *testing.T) {
	s := newScene(t)
	c := s.create(t, object{"policy": "card"})
	r := s.open(t, c.Link)
	var shown string // which the verifier will take for good
	s.answer = func(_ *oid4vp.Request, token oid4vp.VPToken) { shown = token["farmer"][0] }
	form := s.present(t, r)
	for name, header := range map[string][]string{
		"no key": nil, "another key": {"Authorization", "Bearer other"}, "another scheme": {"Authorization", "Basic " + apiKey},
		"VP-20 an answer": {"Authorization", "Bearer " + form.Get("response")}, "VP-20 a presentation": {"Authorization", "Bearer " + shown},
		"an empty key": {"Authorization", "Bearer "},
	} {
		for _, route := range [][2]string{{"POST", "/requests"}, {"GET", "/requests/" + c.ID}, {"GET", "/requests/" + c.ID + "/events"}, {"POST", "/requests/" + c.ID + "/result"}, {"POST", "/verify"}} {
			media, body := "", []byte(nil)
			if route[0] == "POST" {
				media, body = "application/json", []byte(`{"policy":"card"}`)
			}
			if route[1] == "/verify" {
				media = "text/plain"
			}
			if g := s.call(t, route[0], route[1], media, body, header...); g.status != http.StatusUnauthorized || g.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s: %s %s: %d", name, route[0], route[1], g.status)
			}
		}
	}
	// Another relying party on the same store sees nothing, and has its own policies.
	s.serve(t, verifier.APIKey{Name: "bank", Digest: sha256.Sum256([]byte(apiKey)), Policies: []string{"open"}})
	if g := s.relying(t, "GET", "/requests/"+c.ID, nil); g.status != http.StatusNotFound {
		t.Errorf("another's request: %d", g.status)
	}
	if g := s.relying(t, "POST", "/requests", object{"policy": "card"}); g.status != http.StatusNotFound {
		t.Errorf("another's policy: %d", g.status)
	}
	// Without keys the routes are on the private port only.
	s.serve(t)
	if g := s.call(t, "POST", "/requests", "application/json", []byte(`{"policy":"card"}`)); g.status != http.StatusNotFound {
		t.Errorf("without keys, public: %d", g.status)
	}
	if g := s.call(t, "POST", s.server.PrivateURL()+"/requests", "application/json", []byte(`{"policy":"card"}`)); g.status != http.StatusCreated {
		t.Errorf("without keys, private: %d %s", g.status, g.body)
	}
}

// TestOnce (P10): of 64 answers at once one counts, and of 64 uses of a response code
// one; on all stores.
func TestOnce(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { testOnce(t, newScene(t)) })
	t.Run("PostgreSQL", func(t *testing.T) {
		owner, _ := pgtest.New(t)
		testOnce(t, newSceneOn(t, owner))
	})
	t.Run("memory", func(t *testing.T) { testOnce(t, newSceneOn(t, once.Memory)) })
}

func testOnce(t *testing.T, s *scene) {
	for range count(1, 150) {
		c := s.create(t, object{"policy": "card", "return_to": "https://library.example/done", "browser": browser})
		r := s.open(t, c.Link)
		form := s.present(t, r).Encode()
		parallel := func(f func() got) (won []got, lost map[int]int) {
			lost = map[int]int{}
			var mu sync.Mutex
			var wg sync.WaitGroup
			for range 64 {
				wg.Go(func() {
					g := f()
					mu.Lock()
					defer mu.Unlock()
					if g.status == http.StatusOK {
						won = append(won, g)
					} else {
						lost[g.status]++
					}
				})
			}
			wg.Wait()
			return won, lost
		}
		won, lost := parallel(func() got { return s.call(t, "POST", r.ResponseURI, "application/x-www-form-urlencoded", []byte(form)) })
		if len(won) != 1 || lost[http.StatusGone] != 63 {
			t.Fatalf("%d of 64 answers counted, the others %v", len(won), lost)
		}
		reply, err := oid4vp.ParseReply(won[0].body, true)
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(reply.RedirectURI)
		if err != nil {
			t.Fatal(err)
		}
		body := object{"response_code": u.Query().Get("response_code"), "browser": browser}
		won, lost = parallel(func() got { return s.relying(t, "POST", "/requests/"+c.ID+"/result", body) })
		if len(won) != 1 || lost[http.StatusForbidden] != 63 {
			t.Fatalf("%d of 64 uses of the code counted, the others %v", len(won), lost)
		}
	}
}

// TestNothingIsKept (P22, P23): neither log nor store knows the person, whatever happens.
func TestNothingIsKept(t *testing.T) {
	s := newScene(t)
	for _, policy := range []string{"card", "open"} {
		c := s.create(t, object{"policy": policy})
		s.respond(t, c.Link)
		s.state(t, c.ID)
		for range 2 {
			s.shown = alter
			s.respond(t, s.create(t, object{"policy": policy}).Link)
			s.shown = nil
		}
	}
	s.call(t, "POST", "/verify", "text/plain", []byte(issue(t, s.token, s.signer)), "Authorization", "Bearer "+apiKey)
	figures := string(s.call(t, "GET", s.server.PrivateURL()+"/metrics", "", nil).body)
	if !strings.Contains(figures, `sanad_verifier_verdicts_total{verdict="valid"} 1`) {
		t.Error("the figures do not know the verdict")
	}
	for name, text := range map[string]string{"log": s.log.String(), "figures": figures} {
		for _, canary := range []string{"Rahima", "CANARY", "Jessore", "x509_hash:", apiKey, "127.0.0.1"} {
			if strings.Contains(text, canary) {
				t.Errorf("%q in the %s", canary, name)
			}
		}
	}
	if !strings.Contains(s.log.String(), `"verdict":"valid"`) || !strings.Contains(s.log.String(), "bad_signature") {
		t.Error("the log does not know the verdicts")
	}
	files, err := filepath.Glob(s.path + "*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, canary := range []string{"Rahima", "CANARY", "Jessore"} {
			if strings.Contains(string(b), canary) || strings.Contains(string(b), base64.StdEncoding.EncodeToString([]byte(canary))[:6]) {
				t.Errorf("%q in %s", canary, filepath.Base(f))
			}
		}
	}
}

// TestKeepPresentation: only a policy that says so gets what the wallet sent.
func TestKeepPresentation(t *testing.T) {
	s := newScene(t)
	c := s.create(t, object{"policy": "open"})
	s.respond(t, c.Link)
	if _, result := s.state(t, c.ID); len(result.Token["farmer"]) != 1 || !strings.Contains(result.Token["farmer"][0], "~") {
		t.Errorf("%+v", result.Token)
	}
}

// A listener is a relying party that follows a request by server-sent events.
type listener struct {
	lines *bufio.Scanner
	leave func() // it goes away
}

// listen opens the stream of events of a request.
func (s *scene) listen(t testing.TB, id string) *listener {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.server.URL()+"/requests/"+id+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+apiKey)
	res, err := s.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("events: %d %s", res.StatusCode, res.Header.Get("Content-Type"))
	}
	l := &listener{bufio.NewScanner(res.Body), func() { cancel(); _ = res.Body.Close() }}
	l.lines.Buffer(nil, 1<<20)
	t.Cleanup(l.leave)
	return l
}

// next is the status that the next event says, and what it says of the result; "end" if
// there is none any more.
func (l *listener) next(t testing.TB) (status string, result json.RawMessage) {
	t.Helper()
	event := ""
	for l.lines.Scan() {
		line := l.lines.Text()
		if name, ok := strings.CutPrefix(line, "event: "); ok {
			event = name
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			st := decode[verifier.State](t, []byte(data))
			if event != "state" {
				t.Errorf("an event %q", event)
			}
			return st.Status, st.Result
		}
	}
	if err := l.lines.Err(); err != nil {
		t.Fatalf("the stream broke off: %v", err)
	}
	return "end", nil
}

// hears expects these states, in this order and nothing between, and gives the result of the last.
func (l *listener) hears(t testing.TB, want ...string) (result json.RawMessage) {
	t.Helper()
	for _, w := range want {
		status, r := l.next(t)
		if status != w {
			t.Fatalf("the stream says %s %s, want %s", status, r, w)
		}
		if w != "end" {
			result = r
		}
	}
	return result
}

// TestEvents follows a request until its end: each state once, in order, and nothing
// after the end, whichever it is. Who comes again hears the state as it is then.
func TestEvents(t *testing.T) {
	for _, tt := range []struct {
		name string
		body object
		// ends ends the request that the wallet has opened.
		ends func(s *scene, r *oid4vp.Request) int
		want string
		told int // the answer to the wallet
		says string
	}{
		{"answered", object{"policy": "card"}, func(s *scene, r *oid4vp.Request) int { return s.post(t, r, s.present(t, r)).status }, "answered", http.StatusOK, person},
		{"answered, on one device", object{"policy": "card", "return_to": "https://library.example/done", "browser": browser}, func(s *scene, r *oid4vp.Request) int {
			return s.post(t, r, s.present(t, r)).status
		}, "answered", http.StatusOK, ""},
		{"answered with what is not accepted", object{"policy": "card"}, func(s *scene, r *oid4vp.Request) int {
			s.proof = func(p *sdjwt.Proof) { p.Nonce = "another" }
			return s.post(t, r, s.present(t, r)).status
		}, "answered", http.StatusBadRequest, "wrong_nonce"},
		{"refused", object{"policy": "card"}, func(s *scene, r *oid4vp.Request) int {
			return s.post(t, r, r.Refuse(&oid4vp.Error{Code: oid4vp.AccessDenied})).status
		}, "refused", http.StatusOK, "access_denied"},
		{"expired", object{"policy": "card"}, func(s *scene, _ *oid4vp.Request) int {
			s.clock.Store(int64(oid4vp.MaxLife))
			return 0
		}, "expired", 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t)
			c := s.create(t, tt.body)
			first, gone := s.listen(t, c.ID), s.listen(t, c.ID)
			first.hears(t, "waiting")
			gone.hears(t, "waiting")
			gone.leave()
			r := s.open(t, c.Link)
			again := s.listen(t, c.ID)
			again.hears(t, "waiting") // the wallet has the request, and nothing has become of it
			if told := tt.ends(s, r); told != tt.told {
				t.Fatalf("the wallet is told %d, want %d", told, tt.told)
			}
			for name, l := range map[string]*listener{"who was there": first, "who came again": again} {
				if result := l.hears(t, tt.want, "end"); tt.says == "" && result != nil || !strings.Contains(string(result), tt.says) {
					t.Errorf("%s hears %s, want %q", name, result, tt.says)
				}
			}
			// The end is the end: a late answer changes nothing, and so does time.
			if g := s.post(t, r, s.present(t, r)); g.status != http.StatusGone {
				t.Errorf("a late answer: %d %s", g.status, g.body)
			}
			s.listen(t, c.ID).hears(t, tt.want, "end")
			s.clock.Store(int64(oid4vp.MaxLife))
			s.listen(t, c.ID).hears(t, tt.want, "end")
		})
	}
}

// TestEventsOfLateAnswer: the time of a request ends while an answer is looked at. Who was
// told that it has expired is not told something else later.
func TestEventsOfLateAnswer(t *testing.T) {
	s := newScene(t)
	c := s.create(t, object{"policy": "card"})
	r := s.open(t, c.Link)
	form := s.present(t, r)
	l := s.listen(t, c.ID)
	l.hears(t, "waiting")
	var once sync.Once
	s.judging = func() {
		once.Do(func() {
			s.clock.Store(int64(oid4vp.MaxLife))
			l.hears(t, "expired", "end")
		})
	}
	if g := s.post(t, r, form); g.status != http.StatusGone || g.code() != "expired" {
		t.Errorf("answer: %d %s", g.status, g.body)
	}
	if status, _ := s.state(t, c.ID); status != "expired" {
		t.Errorf("after the end it is %s", status)
	}
}

// TestWebhook: it is signed, tried again, and sent once more to nobody.
func TestWebhook(t *testing.T) {
	s := newScene(t)
	s.posts.answer(0)
	c := s.create(t, object{"policy": "card"})
	s.service.Deliver(t.Context())
	if n := len(s.posts.all()); n != 0 {
		t.Fatalf("%d webhooks before there is anything to say", n)
	}
	s.respond(t, c.Link)
	s.service.Deliver(t.Context()) // nobody there
	s.service.Deliver(t.Context()) // too early to try again
	if n := len(s.posts.all()); n != 1 {
		t.Fatalf("%d webhooks, want 1", n)
	}
	s.clock.Add(int64(10 * time.Second))
	s.posts.answer(http.StatusServiceUnavailable)
	s.service.Deliver(t.Context())
	s.clock.Add(int64(10 * time.Second))
	s.posts.answer(http.StatusNoContent)
	s.service.Deliver(t.Context())
	s.clock.Add(int64(time.Minute))
	s.service.Deliver(t.Context())
	all := s.posts.all()
	if len(all) != 3 {
		t.Fatalf("%d webhooks, want 3: two that failed and one that arrived", len(all))
	}
	v := s.statement(t, all[2], "sanad-webhook+jwt")
	for name, want := range map[string]string{"jti": c.Handle, "verdict": "valid", "policy": "card", "aud": "https://library.example/hook", "iss": s.service.URL} {
		if got, _ := v.Get(name).Text(); got != want {
			t.Errorf("webhook: %s is %q, want %q", name, got, want)
		}
	}
	if strings.Contains(string(mustJSON(t, v)), "Rahima") {
		t.Error("a webhook names a person")
	}
}

// TestSeveralServers: one makes the request, another hands it out, a third takes the
// answer (they share the store and nothing else).
func TestSeveralServers(t *testing.T) {
	s := newScene(t)
	c := s.create(t, object{"policy": "card"})
	first := s.service.URL
	s.service = s.serve(t, verifier.APIKey{Name: "library", Digest: sha256.Sum256([]byte(apiKey))})
	r := s.open(t, strings.ReplaceAll(c.Link, url.QueryEscape(first), url.QueryEscape(s.service.URL)))
	if g := s.post(t, r, s.present(t, r)); g.status != http.StatusOK {
		t.Fatalf("%d %s", g.status, g.body)
	}
	if status, result := s.state(t, c.ID); status != "answered" || result.Verdict != verification.Valid {
		t.Errorf("%s %+v", status, result)
	}
}

// reload gives the server the bundle as the scene has it now.
func (s *scene) reload(t *testing.T) {
	t.Helper()
	s.bundle.Store(s.country.open(t))
}

var _ verifier.Once = (*once.DB)(nil)
