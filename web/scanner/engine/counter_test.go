package engine_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/qr"
	"github.com/sanad-id/sanad/trust"
	"github.com/sanad-id/sanad/verification"
	"github.com/sanad-id/sanad/web/scanner/engine"
)

const bank = "bank.xx-1"

var en = i18n.For("en")

// An office is a page at a counter, with the cards of people who come.
type office struct {
	*country
	*engine.Engine
	now     time.Time
	holder  keys.Signer
	page    *ecdsa.PrivateKey // the browser's
	foreign keys.Signer       // signs posters that nobody answers for
}

func newOffice(t *testing.T) *office {
	t.Helper()
	c := newCountry(t)
	o := &office{country: &c, now: asOf.AddDate(0, 0, 1).Add(4 * time.Hour), holder: newSigner(t, keys.Holder), foreign: newSigner(t, keys.Request)}
	o.page = must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	o.Engine = engine.New(func() time.Time { return o.now })
	public := must[keys.PublicKey](t)(keys.NewPublicKey(keys.ES256, o.page.Public()))
	file := o.listing(t, []trust.Verifier{
		{ID: bank, Names: map[string]string{"en": "Bank", "ar": "مصرف"}, Asks: []trust.Asked{{Type: licence, Claims: []string{"trade"}}}, Keys: []keys.PublicKey{o.registrar.Key().Public, public}},
		{ID: "shop", Names: map[string]string{"en": "Shop"}, Keys: []keys.PublicKey{o.registrar.Key().Public}},
	})
	if done := o.Import(file, o.fingerprint, en); !done.Done {
		t.Fatalf("import: %+v", done)
	}
	return o
}

// card is the code of a card in a slot, shown with its holder's key unless it is paper.
func (o *office) card(t *testing.T, slot uint64, p *cwt.Proof) []byte {
	t.Helper()
	token := cwt.Token{
		Issuer: "xx", Type: licence, IssuedAt: asOf.AddDate(0, 0, -3), Expires: asOf.AddDate(1, 0, 0), Status: &credential.StatusRef{URI: list, Index: slot},
		Fields: map[int64]any{1: "Baker"},
	}
	if p != nil {
		public := o.holder.Key().Public
		token.Holder = &public
	}
	b := must[[]byte](t)(must[*cwt.Draft](t)(cwt.NewDraft(token, o.issuer.Key().Public)).Sign(rand.Reader, o.issuer, asOf))
	if p != nil {
		b = must[[]byte](t)(cwt.Bind(rand.Reader, b, *p, o.holder))
	}
	return []byte(must[string](t)(qr.Encode(b)))
}

func (o *office) live(t *testing.T, audience string, ago time.Duration) []byte {
	t.Helper()
	return o.card(t, 5, &cwt.Proof{Audience: audience, IssuedAt: o.now.Add(-ago).Truncate(time.Second)})
}

func (o *office) judge(t *testing.T, code []byte) engine.Checked {
	t.Helper()
	return must[engine.Checked](t)(o.Check(code, en, false))
}

func (o *office) set(t *testing.T, c engine.Counter) {
	t.Helper()
	if done := o.SetCounter(c, en); !done.Done {
		t.Fatalf("set: %+v", done)
	}
}

// ask opens a question and returns it as a phone reads it.
func (o *office) ask(t *testing.T) *cwt.AskedQuestion {
	t.Helper()
	d := must[engine.Draft](t)(o.Draft(must[[]byte](t)(o.page.PublicKey.Bytes())))
	if !d.Listed {
		t.Error("the key of the page is listed, and the page does not know")
	}
	sum := sha256.Sum256(d.ToBeSigned)
	r, s, err := ecdsa.Sign(rand.Reader, o.page, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	code := must[engine.Drawing](t)(o.Question(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)))
	if code.Seconds != 120 || code.Side < 30 || !strings.HasPrefix(code.Path, "M4 4h7") {
		t.Errorf("drawn: %d s, side %d, %.20s", code.Seconds, code.Side, code.Path)
	}
	return must[*cwt.AskedQuestion](t)(cwt.ParseQuestion(must[[]byte](t)(qr.Decode(code.Text))))
}

func (o *office) answer(t *testing.T, q *cwt.AskedQuestion) []byte {
	t.Helper()
	return o.card(t, 5, &cwt.Proof{Audience: q.Verifier, IssuedAt: o.now.Truncate(time.Second), Nonce: q.Nonce})
}

// TestLiveCodes: what a page says of live codes, by what its counter asks.
func TestLiveCodes(t *testing.T) {
	poster := engine.Counter{Verifier: bank, Asks: engine.AsksPoster}
	question := engine.Counter{Verifier: bank, Asks: engine.AsksQuestion, Type: licence, Claims: []string{"trade"}, Purpose: "A loan"}
	for _, tt := range []struct {
		name    string
		counter engine.Counter
		code    func(*testing.T, *office) []byte
		verdict verification.Verdict
		reason  credential.Reason
		says    string
	}{
		{"L0", engine.Counter{}, func(t *testing.T, o *office) []byte { return o.live(t, "in-person", 10*time.Second) }, "valid", "", "Shown from the holder's phone 10 s ago."},
		{"L0 a screenshot of two minutes ago", engine.Counter{}, func(t *testing.T, o *office) []byte { return o.live(t, "in-person", 2*time.Minute) }, "invalid", credential.HolderProofOld, ""},
		{"L0 at a counter that takes everything", engine.Counter{Verifier: bank}, func(t *testing.T, o *office) []byte { return o.live(t, "in-person", time.Second) }, "valid", "", "1 s ago"},
		{"L0 where a poster hangs", poster, func(t *testing.T, o *office) []byte { return o.live(t, "in-person", 0) }, "invalid", credential.WrongAudience, ""},
		{"L1", poster, func(t *testing.T, o *office) []byte { return o.live(t, bank, 3*time.Second) }, "valid", "", "for this counter"},
		{"L1 for another counter", poster, func(t *testing.T, o *office) []byte { return o.live(t, "shop", 3*time.Second) }, "invalid", credential.WrongAudience, ""},
		{"L1 a screenshot", poster, func(t *testing.T, o *office) []byte { return o.live(t, bank, 2*time.Minute) }, "invalid", credential.HolderProofOld, ""},
		{"paper where a poster hangs", poster, func(t *testing.T, o *office) []byte { return o.card(t, 5, nil) }, "invalid", credential.HolderProofMissing, ""},
		{"paper", engine.Counter{}, func(t *testing.T, o *office) []byte { return o.card(t, 5, nil) }, "valid", "", ""},
		{"L2", question, func(t *testing.T, o *office) []byte {
			q := o.ask(t)
			if q.Type != licence || len(q.Fields) != 1 || q.Purpose != "A loan" || q.Verify(o.bank(t)) != nil {
				t.Errorf("asked: %+v", q.Question)
			}
			o.now = o.now.Add(30 * time.Second)
			return o.answer(t, q)
		}, "valid", "", "Answered your question just now"},
		{"L2 after two minutes", question, func(t *testing.T, o *office) []byte {
			code := o.answer(t, o.ask(t))
			o.now = o.now.Add(2*time.Minute + time.Second)
			return code
		}, "invalid", credential.HolderProofOld, ""},
		{"L2 the answer to the question before", question, func(t *testing.T, o *office) []byte {
			code := o.answer(t, o.ask(t))
			o.ask(t)
			return code
		}, "invalid", credential.WrongNonce, ""},
		{"L2 nothing was asked", question, func(t *testing.T, o *office) []byte { return o.live(t, bank, 0) }, "invalid", credential.WrongNonce, ""},
		{"L2 paper", question, func(t *testing.T, o *office) []byte { o.ask(t); return o.card(t, 5, nil) }, "invalid", credential.HolderProofMissing, ""},
		{"a copy made out to the office by a name in the lists", engine.Counter{Verifier: bank}, func(t *testing.T, o *office) []byte {
			return o.card(t, 5, &cwt.Proof{Audience: "Bank", IssuedAt: o.now.Add(-time.Hour).Truncate(time.Second), Expires: o.now.AddDate(0, 0, 9).Truncate(time.Second)})
		}, "valid", "", "A copy made out to Bank"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOffice(t)
			o.set(t, tt.counter)
			got := o.judge(t, tt.code(t, o))
			if got.Report.Verdict != tt.verdict || tt.reason != "" && !slices.Contains(got.Report.Reasons(), tt.reason) {
				t.Errorf("%s for %v, want %s for %q", got.Report.Verdict, got.Report.Reasons(), tt.verdict, tt.reason)
			}
			if notes := strings.Join(got.Page.Notes, " "); !strings.Contains(notes, tt.says) {
				t.Errorf("notes %q lack %q", notes, tt.says)
			}
		})
	}
}

func (o *office) bank(t *testing.T) []keys.PublicKey {
	t.Helper()
	return []keys.PublicKey{must[keys.PublicKey](t)(keys.NewPublicKey(keys.ES256, o.page.Public()))}
}

// TestTwice: a live code is accepted once, told as often as one likes, and an answered
// question is over.
func TestTwice(t *testing.T) {
	o := newOffice(t)
	code := o.live(t, "in-person", 0)
	if got := o.judge(t, code); got.Report.Verdict != verification.Valid {
		t.Fatal(got.Report.Verdict)
	}
	if page, ok := o.Tell(i18n.For("ar"), true); !ok || page.Verdict != verification.Valid {
		t.Errorf("told again: %s, %v", page.Verdict, ok)
	}
	if got := o.judge(t, code); got.Page.Why[0].Code != credential.Replayed {
		t.Errorf("shown again: %v", got.Page.Why)
	}
	o.Forget()
	if _, ok := o.Tell(en, false); ok {
		t.Error("told after it was forgotten")
	}
	o.set(t, engine.Counter{Verifier: bank, Asks: engine.AsksQuestion, Type: licence})
	q := o.ask(t)
	if got := o.judge(t, o.answer(t, q)); got.Report.Verdict != verification.Valid {
		t.Fatal(got.Report.Reasons())
	}
	if got := o.judge(t, o.answer(t, q)); got.Report.Verdict != verification.Invalid {
		t.Errorf("another answer to the same question: %s", got.Report.Verdict)
	}
}

// TestFound: a poster, a key and a trust file are recognised, and not taken for documents.
func TestFound(t *testing.T) {
	o := newOffice(t)
	poster := func(s keys.Signer, verifier string, until time.Time) []byte {
		b := must[[]byte](t)(cwt.Ask(rand.Reader, cwt.Question{Verifier: verifier, IssuedAt: asOf, Expires: until, Type: licence, Fields: []int64{1}, Purpose: "A loan"}, s))
		return []byte(must[string](t)(qr.Encode(b)))
	}
	next := must[*trust.Bundle](t)(trust.Open(o.listed)).Next(asOf.Add(time.Hour))
	delta := must[[]byte](t)(trust.MakeDelta(o.listed, o.sign(t, next)))
	later := asOf.AddDate(1, 0, 0)
	for _, tt := range []struct {
		name    string
		code    []byte
		kind    string
		applies bool
	}{
		{"a poster", poster(o.registrar, bank, later), "poster", true},
		{"a poster that somebody else signed", poster(o.foreign, bank, later), "poster", false},
		{"a poster of nobody", poster(o.registrar, "nobody", later), "poster", false},
		{"a poster that is over", poster(o.registrar, bank, asOf.Add(time.Hour)), "poster", false},
		{"a key for counting once", []byte(engine.NewOnceKey()), "once", true},
		{"a delta", []byte(must[string](t)(trust.Code(delta))), "trust", false},
		{"a card", o.card(t, 5, nil), "", false},
		{"a link", []byte("https://example.org/"), "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := o.judge(t, tt.code)
			if got.Found == nil {
				if tt.kind != "" || !got.Counted {
					t.Errorf("found nothing, counted %v", got.Counted)
				}
				return
			}
			if got.Found.Kind != tt.kind || (got.Found.Counter != nil) != tt.applies || got.Counted || got.Report.Verdict == verification.Valid {
				t.Errorf("found %+v, counted %v, %s", got.Found, got.Counted, got.Report.Verdict)
			}
			if tt.kind == "trust" {
				if done := o.Import(got.Found.File, "", en); !done.Done || !done.Changed {
					t.Errorf("import: %+v", done)
				}
			} else if got.Found.Text == "" {
				t.Error("nothing is said")
			}
			if tt.applies {
				o.set(t, *got.Found.Counter)
			}
		})
	}
	c := o.Counter(en)
	if c.Counter.Verifier != bank || c.Counter.Asks != engine.AsksPoster || !slices.Equal(c.Counter.Claims, []string{"trade"}) || c.Counter.Once == "" || !c.Registered || c.Name != "Bank" ||
		!strings.Contains(c.Summary, "Bank · live codes for this counter only · each entitlement once a day") {
		t.Errorf("set up: %+v", c)
	}
	if len(c.Verifiers) != 2 || len(c.Verifiers[0].Asks) != 1 || c.Verifiers[0].Asks[0].Claims[0].Name != "Trade" || len(c.Any) != 1 {
		t.Errorf("choices: %+v", c.Verifiers)
	}
	if code := must[engine.Drawing](t)(o.OnceCode()); code.Text != c.Counter.Once || code.Seconds != 0 {
		t.Errorf("the key's code: %+v", code)
	}
}

// TestSetCounterRefuses: each refusal has a code, and a sentence in every language.
func TestSetCounterRefuses(t *testing.T) {
	many := slices.Repeat([]string{"a"}, 9)
	for _, tt := range []struct {
		name string
		set  engine.Counter
		code string
	}{
		{"a way of asking that is none", engine.Counter{Verifier: bank, Asks: "loudly"}, "wrong"},
		{"the name for nobody", engine.Counter{Verifier: verification.InPerson, Asks: engine.AsksPoster}, "wrong"},
		{"a name without end", engine.Counter{Verifier: strings.Repeat("a", 201)}, "wrong"},
		{"too many names", engine.Counter{Names: many}, "wrong"},
		{"a purpose that misleads", engine.Counter{Verifier: bank, Asks: engine.AsksQuestion, Type: licence, Purpose: "a\u202eb"}, "wrong"},
		{"a poster of nobody", engine.Counter{Asks: engine.AsksPoster}, "no_name"},
		{"a question of nobody", engine.Counter{Asks: engine.AsksQuestion, Type: licence}, "no_name"},
		{"a question for nothing", engine.Counter{Verifier: bank, Asks: engine.AsksQuestion}, "no_type"},
		{"a question for an unknown type", engine.Counter{Verifier: bank, Asks: engine.AsksQuestion, Type: "urn:xx:no:1"}, "no_type"},
		{"a question for an unknown claim", engine.Counter{Verifier: bank, Asks: engine.AsksQuestion, Type: licence, Claims: []string{"shoes"}}, "no_type"},
		{"more than it may ask", engine.Counter{Verifier: bank, Asks: engine.AsksQuestion, Type: licence, Claims: []string{"trade", "town"}}, "over_asking"},
		{"a key that is none", engine.Counter{Once: "SANADONCE1:AAAA"}, "once_key"},
	} {
		o := newOffice(t)
		before := o.Counter(en).Counter
		for _, l := range i18n.Languages() {
			got := o.SetCounter(tt.set, l)
			if got.Done || got.Refused != tt.code || strings.Contains(got.Sentence, "scanner.") || got.Sentence == "" {
				t.Errorf("%s, %s: %+v, want %s", tt.name, l, got, tt.code)
			}
		}
		if after, _ := json.Marshal(o.Counter(en).Counter); string(after) != string(must[[]byte](t)(json.Marshal(before))) {
			t.Errorf("%s: it is set up all the same", tt.name)
		}
	}
}
