package wallet_test

import (
	"crypto/rand"
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/internal/cose"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
	"github.com/sanad-id/sanad/oid4vci"
	"github.com/sanad-id/sanad/qr"
	"github.com/sanad-id/sanad/trust"
	"github.com/sanad-id/sanad/verification"
	"github.com/sanad-id/sanad/wallet"
)

const (
	cardType = "urn:xa:card:1"
	bank     = "bank.xa-12"
)

// A cardWorld is a world whose issuer hands out cards, and a trust bundle that knows it
// and a bank.
type cardWorld struct {
	*world
	bundle *trust.Bundle
	asker  keys.Signer
	// card is what is handed out for a key, after what is done to the token.
	card  func(copy int, holder keys.PublicKey) cwt.Token
	after func(copy int, token []byte) []byte
}

func newCardWorld(t testing.TB, change ...func(*trust.Content)) *cardWorld {
	t.Helper()
	w := &cardWorld{world: newWorld(t), asker: keystest.Signer(t, keys.Request, keys.ES256, "bank")}
	root, signs := keystest.Signer(t, keys.TrustRoot, keys.ES256, "trust root"), keystest.Signer(t, keys.TrustBundle, keys.ES256, "trust bundle")
	chain, err := trust.SignRoot(rand.Reader, nil, trust.Root{
		Version: 1, Issued: now.AddDate(0, -1, 0), Expires: now.AddDate(5, 0, 0), Keys: []keys.PublicKey{root.Key().Public}, Threshold: 1,
		BundleKeys: []keys.PublicKey{signs.Key().Public}, BundleThreshold: 1,
	}, []keys.Signer{root}, now)
	if err != nil {
		t.Fatal(err)
	}
	en := func(s string) map[string]string { return map[string]string{"en": s} }
	issuer := trust.NewIssuerKey(w.signer.Key(), []string{cardType}, nil)
	issuer.ValidFrom = now.AddDate(0, -1, 0)
	c := trust.Content{
		Roots: chain, Version: 1, AsOf: now.Add(-time.Hour), RefreshBy: now.AddDate(0, 1, 0), OldAfter: now.AddDate(0, 2, 0), Jurisdiction: "XA",
		Issuers: []trust.Issuer{{ID: "office.xa", URL: issuerURL, Names: en("Office"), Keys: []trust.IssuerKey{issuer}}},
		Types: []credential.Type{{ID: cardType, Labels: en("Card"), Person: true, PersonCheck: "other_id", FreshFor: time.Hour, OldAfter: 24 * time.Hour, Fields: []credential.TypeField{
			{Key: 4, Name: "full_name", Labels: en("Name"), Person: true, Kind: "text"},
			{Key: 8, Name: "birth_date", Labels: en("Born"), Person: true, Kind: "date"},
			{Key: 1, Name: "village", Labels: en("Village"), Kind: "text"},
		}}},
		Verifiers: []trust.Verifier{{
			ID: bank, Names: en("Bank, branch 12"), Keys: []keys.PublicKey{w.asker.Key().Public},
			Asks: []trust.Asked{{Type: cardType, Claims: []string{"full_name", "birth_date"}}},
		}},
		Algorithms: []keys.Algorithm{keys.ES256},
	}
	for _, f := range change {
		f(&c)
	}
	file, err := c.Sign(rand.Reader, []keys.Signer{signs}, c.AsOf)
	if err != nil {
		t.Fatal(err)
	}
	if w.bundle, err = trust.Open(file); err != nil {
		t.Fatal(err)
	}
	w.meta.Configurations[0].Format, w.meta.Configurations[0].Type = oid4vci.CWTFormat, cardType
	w.card = func(_ int, holder keys.PublicKey) cwt.Token {
		return cwt.Token{
			Issuer: "office.xa", Type: cardType, IssuedAt: now.Add(-time.Minute), Expires: now.AddDate(1, 0, 0), Holder: &holder,
			Person: map[int64]any{4: "Amina Juma", 8: cwt.Hidden{Value: "19900102"}}, Fields: map[int64]any{1: cwt.Hidden{Value: "Uhuru"}},
		}
	}
	w.after = func(_ int, b []byte) []byte { return b }
	w.forge = func(i int, text string) string {
		p, err := sdjwt.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		d, err := cwt.NewDraft(w.card(i, *p.Credential.Holder), w.signer.Key().Public)
		if err != nil {
			t.Fatal(err)
		}
		b, err := d.Sign(rand.Reader, w.signer, now)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(w.after(i, b))
	}
	return w
}

func (w *cardWorld) agent() (*wallet.Agent, *wallet.Wallet) {
	return w.world.agent(func(c *wallet.Config) { c.Trust, c.Roots = w.bundle, nil })
}

// holding is an agent with a card.
func (w *cardWorld) holding() (*wallet.Agent, *wallet.Held) {
	w.t.Helper()
	a, _ := w.agent()
	held, pending, err := w.accept(a)
	if err != nil || len(held) != 1 || len(pending) != 0 {
		w.t.Fatalf("accept: %d held, %d pending, %v", len(held), len(pending), err)
	}
	return a, &held[0]
}

// judge is what a verifier says of a code.
func (w *cardWorld) judge(code string, at time.Time, k verification.Counter) verification.Report {
	w.t.Helper()
	c, err := verification.New(verification.Config{COSE: cards{}, Trust: w.bundle, Counter: k, Now: func() time.Time { return at }})
	if err != nil {
		w.t.Fatal(err)
	}
	return c.Check([]byte(code))
}

type cards struct{}

func (cards) Verify(message []byte, keys verification.IssuerKeys) (*credential.Verified, error) {
	return cwt.Verify(message, cwt.Expect{Keys: keys})
}

func TestCards(t *testing.T) {
	w := newCardWorld(t)
	a, h := w.holding()
	if !h.Card() || h.Type != cardType || len(h.Copies) != 3 || h.Labels["village"]["en"] != "Village" {
		t.Errorf("%+v", h)
	}
	claims, err := h.CardClaims(0)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range claims {
		text := c.Name
		if c.Optional {
			text += "?"
		}
		got = append(got, text)
	}
	if want := []string{"full_name", "birth_date?", "village?"}; !slices.Equal(got, want) {
		t.Errorf("claims %v, want %v", got, want)
	}
	said, err := h.Says(0)
	if err != nil || said.Issuer != "office.xa" || len(said.Fields) != 3 || said.Expires.IsZero() {
		t.Errorf("%+v, %v", said, err)
	}

	// L0: a minute, and what was chosen.
	live := func(claims []string, p cwt.Proof) string {
		t.Helper()
		code, err := a.LiveCode(h, 1, claims, p)
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	code := live([]string{"village"}, cwt.Proof{Audience: cwt.AudienceInPerson, IssuedAt: now})
	r := w.judge(code, now.Add(30*time.Second), verification.Counter{})
	if r.Verdict != verification.Valid || r.Mode != verification.ModeRotating || r.Age != 30*time.Second || names(r) != "full_name village" {
		t.Errorf("live: %s, %s, %v, %q, %v", r.Verdict, r.Mode, r.Age, names(r), r.Reasons())
	}
	if r = w.judge(code, now.Add(2*time.Minute), verification.Counter{}); r.Verdict != verification.Invalid {
		t.Errorf("a screenshot after two minutes: %s", r.Verdict)
	}

	// On its own: a copy that anyone may have.
	alone, err := h.Code(0, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r = w.judge(alone, now, verification.Counter{}); r.Verdict != verification.CheckNeeded || names(r) != "full_name" {
		t.Errorf("alone: %s with %q", r.Verdict, names(r))
	}

	// Made out to somebody.
	made := live(nil, cwt.Proof{Audience: "Janata Bank", IssuedAt: now, Expires: now.AddDate(0, 1, 0)})
	if r = w.judge(made, now.AddDate(0, 0, 3), verification.Counter{Names: []string{"Janata Bank"}}); r.Verdict != verification.Valid || r.For != "Janata Bank" {
		t.Errorf("copy: %s for %q, %v", r.Verdict, r.For, r.Reasons())
	}
	if r = w.judge(made, now.AddDate(0, 0, 3), verification.Counter{Names: []string{"Sonali Bank"}}); r.Verdict != verification.Invalid {
		t.Errorf("copy at another bank: %s", r.Verdict)
	}

	if _, err := a.LiveCode(h, 0, []string{"salary"}, cwt.Proof{Audience: "x", IssuedAt: now}); reasonOf(err) != wallet.BadChoice {
		t.Errorf("a claim that there is not: %v", err)
	}
	if _, err := a.LiveCode(h, 0, nil, cwt.Proof{Audience: "x", IssuedAt: now.AddDate(2, 0, 0)}); reasonOf(err) != wallet.BadDates {
		t.Errorf("a card that is over: %v", err)
	}
	other := wallet.Held{Format: oid4vci.SDJWTFormat, Copies: []wallet.Copy{{}}}
	if _, err := other.Code(0, nil); reasonOf(err) != wallet.NotACard {
		t.Errorf("an SD-JWT VC: %v", err)
	}
}

// names are those of the claims that a report shows.
func names(r verification.Report) string {
	var all []string
	for _, c := range r.Claims {
		all = append(all, c.Name)
	}
	return strings.Join(all, " ")
}

func (w *cardWorld) ask(q cwt.Question) string {
	w.t.Helper()
	b, err := cwt.Ask(rand.Reader, q, w.asker)
	if err != nil {
		w.t.Fatal(err)
	}
	text, err := qr.Encode(b)
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

func bankQuestion() cwt.Question {
	return cwt.Question{Verifier: bank, IssuedAt: now, Nonce: []byte("123456789012"), Type: cardType, Person: []int64{4, 8}, Purpose: "Opening an account"}
}

func bankPoster() cwt.Question {
	q := bankQuestion()
	q.Nonce, q.IssuedAt, q.Expires = nil, now.AddDate(0, -2, 0), now.AddDate(0, 10, 0)
	return q
}

func TestQuestions(t *testing.T) {
	for name, q := range map[string]cwt.Question{"question": bankQuestion(), "poster": bankPoster()} {
		w := newCardWorld(t)
		if q.Poster() {
			w.asker = keystest.Signer(t, keys.Request, keys.ES256, "bank")
		}
		a, _ := w.holding()
		asking, err := a.Question(w.ask(q))
		if err != nil {
			t.Fatal(err)
		}
		if asking.Verifier.Vouched != wallet.ByBundle || asking.Verifier.Names["en"] != "Bank, branch 12" || asking.Purpose != "Opening an account" || asking.Poster != q.Poster() ||
			!slices.Equal(asking.Names(), []string{"full_name", "birth_date"}) {
			t.Errorf("%s: %+v", name, asking)
		}
		code, err := a.LiveCode(asking.Card, asking.Copy, asking.Names(), asking.Proof(now.Add(5*time.Second)))
		if err != nil {
			t.Fatal(err)
		}
		k := verification.Counter{ID: bank, Poster: q.Poster()}
		if !q.Poster() {
			k.Nonce, k.Asked = q.Nonce, now
		}
		r := w.judge(code, now.Add(20*time.Second), k)
		if r.Verdict != verification.Valid || names(r) != "full_name birth_date" {
			t.Errorf("%s: %s with %q: %v", name, r.Verdict, names(r), r.Reasons())
		}
		if r := w.judge(code, now.Add(20*time.Second), verification.Counter{ID: "bank.xa-13"}); r.Verdict != verification.Invalid {
			t.Errorf("%s, at another counter: %s", name, r.Verdict)
		}
	}
}

// TestQuestionRefuses spoils one thing at a time in a question that is good otherwise.
func TestQuestionRefuses(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(*cardWorld, *cwt.Question) string // "" to ask it
		want  wallet.Refusal
	}{
		{"nothing spoiled", func(*cardWorld, *cwt.Question) string { return "" }, ""},
		{"a web address", func(*cardWorld, *cwt.Question) string { return "https://bank.example" }, wallet.BadLink},
		{"a card in place of a question", func(w *cardWorld, _ *cwt.Question) string {
			_, h := w.holding()
			code, err := h.Code(0, nil)
			if err != nil {
				w.t.Fatal(err)
			}
			return code
		}, wallet.BadLink},
		{"by another key", func(w *cardWorld, _ *cwt.Question) string {
			w.asker = keystest.Signer(w.t, keys.Request, keys.ES256, "stranger")
			return ""
		}, wallet.ForgedRequest},
		{"asked eight minutes ago", func(w *cardWorld, _ *cwt.Question) string { w.now = now.Add(8 * time.Minute); return "" }, wallet.OldRequest},
		{"the phone is six minutes behind", func(w *cardWorld, _ *cwt.Question) string { w.now = now.Add(-6 * time.Minute); return "" }, wallet.OldRequest},
		{"a poster that is over", func(w *cardWorld, q *cwt.Question) string {
			*q = bankPoster()
			q.Expires = now
			return ""
		}, wallet.OldRequest},
		{"a claim that the bank may not ask for", func(_ *cardWorld, q *cwt.Question) string { q.Fields = []int64{1}; return "" }, wallet.OverAsking},
		{"a claim that nobody describes", func(_ *cardWorld, q *cwt.Question) string { q.Person = []int64{13}; return "" }, wallet.OverAsking},
		{"a type that the bank may not ask for", func(_ *cardWorld, q *cwt.Question) string { q.Type = "urn:xa:other:1"; return "" }, wallet.OverAsking},
		{"a verifier that nobody registered", func(_ *cardWorld, q *cwt.Question) string { q.Verifier = "shop"; q.Type = "urn:xa:other:1"; return "" }, wallet.NothingToShow},
		{"the card is over", func(w *cardWorld, q *cwt.Question) string {
			w.now = now.AddDate(1, 0, 1)
			q.IssuedAt = w.now
			return ""
		}, wallet.NothingToShow},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newCardWorld(t)
			a, _ := w.holding()
			q := bankQuestion()
			text := tt.spoil(w, &q)
			if text == "" {
				text = w.ask(q)
			}
			if _, err := a.Question(text); reasonOf(err) != tt.want || tt.want == "" && err != nil {
				t.Errorf("Question: %v, want %q", err, tt.want)
			}
		})
	}
	// Who is not registered is shown as unknown, never under a name.
	w := newCardWorld(t)
	a, _ := w.holding()
	q := bankQuestion()
	q.Verifier = "shop"
	if asking, err := a.Question(w.ask(q)); err != nil || asking.Verifier.Vouched != wallet.ByNobody || len(asking.Verifier.Names) > 0 {
		t.Errorf("%+v, %v", asking, err)
	}
}

// TestCardsRefused spoils one thing at a time in a card that comes.
func TestCardsRefused(t *testing.T) {
	change := func(f func(*cwt.Token)) func(*cardWorld) {
		return func(w *cardWorld) {
			good := w.card
			w.card = func(i int, holder keys.PublicKey) cwt.Token {
				x := good(i, holder)
				f(&x)
				return x
			}
		}
	}
	tests := []struct {
		name  string
		spoil func(*cardWorld)
		want  wallet.Refusal
	}{
		{"nothing spoiled", func(*cardWorld) {}, ""},
		{"of another type", change(func(x *cwt.Token) { x.Type = "urn:xa:other:1" }), wallet.OtherType},
		{"VCI-18: one of them for another key", func(w *cardWorld) {
			thief, good := keystest.Signer(t, keys.Holder, keys.ES256, "somebody").Key().Public, w.card
			w.card = func(i int, holder keys.PublicKey) cwt.Token {
				if i == 0 {
					holder = thief
				}
				return good(i, holder)
			}
		}, wallet.OtherKey},
		{"VCI-18: by a key that was not in use yet", change(func(x *cwt.Token) { x.IssuedAt = now.AddDate(0, -2, 0) }), wallet.BadSignature},
		{"two for one key", func(w *cardWorld) {
			var first keys.PublicKey
			good := w.card
			w.card = func(i int, holder keys.PublicKey) cwt.Token {
				if i == 0 {
					first = holder
				}
				return good(i, first)
			}
		}, wallet.OtherKey},
		{"of another issuer", change(func(x *cwt.Token) { x.Issuer = "other.xa" }), wallet.OtherCredentialIssuer},
		{"over already", change(func(x *cwt.Token) { x.IssuedAt, x.Expires = now.AddDate(0, 0, -20), now.Add(-time.Hour) }), wallet.BadDates},
		{"of the future", change(func(x *cwt.Token) { x.IssuedAt = now.Add(time.Hour) }), wallet.BadDates},
		{"signature changed", func(w *cardWorld) {
			w.after = func(_ int, b []byte) []byte { b[len(b)-1] ^= 1; return b }
		}, wallet.BadSignature},
		{"signed by another key", func(w *cardWorld) { w.signer = keystest.Signer(t, keys.Credential, keys.ES256, "another issuer") }, wallet.BadSignature},
		{"SDJ-11: with a proof by a holder", func(w *cardWorld) {
			holder := keystest.Signer(t, keys.Holder, keys.ES256, "somebody")
			change(func(x *cwt.Token) { k := holder.Key().Public; x.Holder = &k })(w)
			w.after = func(_ int, b []byte) []byte {
				bound, err := cwt.Bind(rand.Reader, b, cwt.Proof{Audience: "x", IssuedAt: now}, holder)
				if err != nil {
					t.Fatal(err)
				}
				return bound
			}
		}, wallet.NotAsIssued},
		{"a claim that its holder cannot see", func(w *cardWorld) {
			w.after = func(_ int, b []byte) []byte {
				less, err := cwt.Present(b, cwt.Path{int64(cwt.ClaimPerson)})
				if err != nil {
					t.Fatal(err)
				}
				return less
			}
		}, wallet.NotAsIssued},
		{"a disclosure of something else", func(w *cardWorld) {
			w.after = func(_ int, b []byte) []byte {
				other, err := cose.WithUnprotected(b, map[int64]any{17: [][]byte{{0x81, 0x40}}})
				if err != nil {
					t.Fatal(err)
				}
				return other
			}
		}, wallet.NotAsIssued},
		{"no base64url", func(w *cardWorld) { w.forge = func(int, string) string { return "d2==" } }, wallet.NotAsIssued},
		{"an SD-JWT VC in its place", func(w *cardWorld) { w.forge = func(_ int, text string) string { return text } }, wallet.NotAsIssued},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newCardWorld(t)
			tt.spoil(w)
			a, kept := w.agent()
			_, _, err := w.accept(a)
			if reasonOf(err) != tt.want || tt.want == "" && err != nil {
				t.Errorf("Fetch: %v, want %q", err, tt.want)
			}
			if all, _ := kept.Held(); tt.want != "" && len(all) > 0 {
				t.Error("it was kept")
			}
		})
	}
}
