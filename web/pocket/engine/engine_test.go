package engine_test

import (
	"crypto"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
	"github.com/sanad-id/sanad/verification"
	"github.com/sanad-id/sanad/wallet"
	"github.com/sanad-id/sanad/web/pocket/engine"
)

// TestAccept: what the person reads before, the code, what is kept, and that it is there
// in another life of the page.
func TestAccept(t *testing.T) {
	w := newWorld(t)
	e := w.trusting()
	if _, err := e.Accept(t.Context(), "x", true); engine.Explain(err, en).Code != "gone" {
		t.Errorf("accepting nothing: %v", err)
	}
	o := must[*engine.Offer](t)(e.Offer(t.Context(), "https://issuer.example/pocket/#offer="+strings.SplitN(w.link(), "?", 2)[1], fr))
	if !o.Issuer.Known || o.Issuer.Name != "Bureau" || !strings.Contains(o.Issuer.Vouched, "XA") || len(o.Cards) != 1 || o.Cards[0].Name != "Card" ||
		!slices.Equal(o.Cards[0].Claims, []string{"Full name"}) || o.Code == nil || o.Code.Length != 6 || !o.Code.Numeric || o.Code.Hint != "on the letter" {
		t.Errorf("offer: %+v %+v", o, o.Code)
	}
	if _, err := e.Accept(t.Context(), "111111", false); engine.Explain(err, en).Code != "wrong_code" {
		t.Errorf("a wrong code: %v", err)
	}
	if len(w.memory["held"])+len(w.memory["pending"])+w.nonces != 0 {
		t.Error("something was asked for or kept without a token")
	}
	got := must[*engine.Accepted](t)(e.Accept(t.Context(), " 493-536 ", false))
	if len(got.Cards) != 1 || len(w.memory["held"]) != 1 || len(w.memory["pending"]) != 0 {
		t.Fatalf("accepted: %+v, %d held", got, len(w.memory["held"]))
	}
	for _, b := range w.memory["held"] {
		for _, key := range w.ring.keys {
			if private, err := key.Bytes(); err != nil || strings.Contains(string(b), string(private)) {
				t.Error("a private key is in memory")
			}
		}
	}
	w.away = true
	again := w.phone()
	h := must[*engine.Home](t)(again.Home(fr))
	if len(h.Cards) != 1 || h.Cards[0].Name != "Carte d’agriculteur" || h.Cards[0].Issuer != "Bureau" || h.Cards[0].State != "good" || !h.Cards[0].Live ||
		!strings.Contains(h.Cards[0].Sentence, "2027") || !h.Known {
		t.Errorf("home: %+v", h)
	}
	v := must[*engine.View](t)(again.View(got.Cards[0], fr))
	var lines []string
	for _, c := range v.Claims {
		line := c.Label + ": " + c.Value
		if c.Optional {
			line += "?"
		}
		lines = append(lines, line)
	}
	if want := []string{"Nom: Amina Juma", "Né le: 2 janvier 1990?", "Culture: Riz?"}; !slices.Equal(lines, want) {
		t.Errorf("claims %q, want %q", lines, want)
	}
	if _, err := again.Offer(t.Context(), w.link(), en); engine.Explain(err, en).Code != "no_answer" {
		t.Errorf("an offer without a network: %v", err)
	}
}

// TestAcceptRefuses: one spoiled thing a row; nothing is kept.
func TestAcceptRefuses(t *testing.T) {
	token := func(w *world, change func(*cwt.Token)) {
		put := w.put
		w.put = func(holder keys.PublicKey) cwt.Token {
			x := put(holder)
			change(&x)
			return x
		}
	}
	for _, tt := range []struct {
		name  string
		spoil func(w *world)
		code  string
	}{
		{"nothing", func(*world) {}, ""},
		{"VCI-18 another key", func(w *world) {
			token(w, func(x *cwt.Token) {
				p := keystest.Signer(t, keys.Holder, keys.ES256, "somebody").Key().Public
				x.Holder = &p
			})
		}, "other_key"},
		{"VCI-18 another type", func(w *world) { token(w, func(x *cwt.Token) { x.Type = "urn:xa:other:1" }) }, "other_type"},
		{"another office in it", func(w *world) { token(w, func(x *cwt.Token) { x.Issuer = "other.xa" }) }, "other_credential_issuer"},
		{"expired", func(w *world) { token(w, func(x *cwt.Token) { x.Expires = start.Add(-30 * time.Second) }) }, "bad_dates"},
		{"signed by another key", func(w *world) { w.office = keystest.Signer(t, keys.Credential, keys.ES256, "thief") }, "bad_signature"},
		{"no card is offered", func(w *world) { w.sdjwt = true }, "not_usable"},
		{"the device signs with another key", func(w *world) { w.ring.spoil = func(b []byte) []byte { b[40] ^= 1; return b } }, "internal"},
		{"the device signs nothing", func(w *world) { w.ring.spoil = func([]byte) []byte { return nil } }, "internal"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			e := w.trusting()
			tt.spoil(w)
			_, err := e.Offer(t.Context(), w.link(), en)
			if err == nil {
				_, err = e.Accept(t.Context(), string(w.txCode), false)
			}
			code := ""
			if err != nil {
				code = engine.Explain(err, en).Code
			}
			if code != tt.code {
				t.Errorf("%v, want %q", err, tt.code)
			}
			if held := len(w.memory["held"]); (held == 1) != (tt.code == "") {
				t.Errorf("%d cards are kept", held)
			}
		})
	}
}

// TestUnknown: nobody vouches, and the person has to know better.
func TestUnknown(t *testing.T) {
	w := newWorld(t)
	e := w.phone()
	o := must[*engine.Offer](t)(e.Offer(t.Context(), w.link(), en))
	if o.Issuer.Known || o.Issuer.Name != issuerURL || !strings.Contains(o.Issuer.Vouched, "The finest office") {
		t.Errorf("offer: %+v", o.Issuer)
	}
	if _, err := e.Accept(t.Context(), string(w.txCode), false); engine.Explain(err, en).Code != "unknown" {
		t.Errorf("accepted from somebody unknown: %v", err)
	}
	if slices.Contains(w.asked, "/token") {
		t.Error("the unknown office got the code")
	}
	if _, err := e.Trust(w.bundle, strings.Repeat("00000 ", 6)); err == nil {
		t.Error("a bundle was taken without its fingerprint")
	}
}

// TestLive: a code is good now and for the verifier, and not two minutes later; what is
// shown is counted and noted before.
func TestLive(t *testing.T) {
	w := newWorld(t)
	e, id := w.holding()
	w.away = true
	shown := must[*engine.Shown](t)(e.Show(engine.Show{ID: id, Mode: "live", Claims: []string{"crop"}}, en))
	if shown.Redraw != 25 || shown.Ends != 60 || shown.SVG == "" || !strings.Contains(shown.Sentence, "minute") {
		t.Errorf("shown: %+v", shown)
	}
	r := w.judge(shown.Text, verification.Counter{})
	if r.Verdict != verification.Valid {
		t.Errorf("live: %s %+v", r.Verdict, r.Checks)
	}
	var names []string
	for _, c := range r.Claims {
		names = append(names, c.Name)
	}
	if slices.Contains(names, "birth_date") || !slices.Contains(names, "crop") {
		t.Errorf("shown are %v", names)
	}
	w.now = w.now.Add(25 * time.Second)
	next := must[*engine.Shown](t)(e.Redraw())
	if next.Text == shown.Text || w.judge(next.Text, verification.Counter{}).Verdict != verification.Valid {
		t.Error("the next code is not a new good one")
	}
	w.now = w.now.Add(2 * time.Minute)
	for _, old := range []string{shown.Text, next.Text} {
		if r := w.judge(old, verification.Counter{}); r.Verdict != verification.Invalid {
			t.Errorf("a picture of two minutes ago: %s", r.Verdict)
		}
	}
	e.Stop()
	if _, err := e.Redraw(); engine.Explain(err, en).Code != "gone" {
		t.Errorf("drawn after the end: %v", err)
	}
	v := must[*engine.View](t)(e.View(id, en))
	log := must[[]engine.Line](t)(e.Log(en))
	if v.Fresh != 1 || len(log) != 2 || !strings.Contains(log[0].What, "live code") || !strings.Contains(log[1].What, "received from Office") {
		t.Errorf("%d fresh, log %+v", v.Fresh, log)
	}
	// Without its key it is a card to look at.
	clear(w.ring.keys)
	if _, err := e.Show(engine.Show{ID: id, Mode: "live"}, en); err == nil {
		t.Error("live without the key")
	}
	if got := len(must[[]engine.Line](t)(e.Log(en))); got != 2 {
		t.Errorf("what was not shown is in the log: %d lines", got)
	}
	plain := must[*engine.Shown](t)(e.Show(engine.Show{ID: id, Mode: "static"}, en))
	if r := w.judge(plain.Text, verification.Counter{}); plain.Redraw != 0 || r.Verdict != verification.CheckNeeded {
		t.Errorf("plain: %s", r.Verdict)
	}
}

// TestCopy: made out to somebody until a day, and no longer than the card.
func TestCopy(t *testing.T) {
	w := newWorld(t)
	e, id := w.holding()
	shown := must[*engine.Shown](t)(e.Show(engine.Show{ID: id, Mode: "copy", For: " Janata Bank ", Until: "2026-12-31"}, en))
	if !strings.Contains(shown.Sentence, "Janata Bank") || !strings.Contains(shown.Sentence, "31 December 2026") || shown.Redraw != 0 {
		t.Errorf("copy: %+v", shown)
	}
	w.now = w.now.AddDate(0, 1, 0)
	if r := w.judge(shown.Text, verification.Counter{Names: []string{"janata bank"}}); r.Verdict == verification.Invalid {
		t.Errorf("for its recipient: %s %+v", r.Verdict, r.Checks)
	}
	if r := w.judge(shown.Text, verification.Counter{Names: []string{"Sonali Bank"}}); r.Verdict != verification.Invalid {
		t.Errorf("for another one: %s", r.Verdict)
	}
	w.now = start
	long := must[*engine.Shown](t)(e.Show(engine.Show{ID: id, Mode: "copy", For: "Janata Bank", Until: "2031-01-01"}, en))
	if !strings.Contains(long.Sentence, "22 November 2027") && !strings.Contains(long.Sentence, "21 November 2027") {
		t.Errorf("longer than the card: %s", long.Sentence)
	}
	for name, s := range map[string]engine.Show{
		"nobody": {Mode: "copy", Until: "2026-12-31"}, "no day": {Mode: "copy", For: "x", Until: "soon"}, "a day that is over": {Mode: "copy", For: "x", Until: "2026-11-20"},
		"another way": {Mode: "loud"}, "a claim that is not there": {Mode: "static", Claims: []string{"salary"}},
	} {
		s.ID = id
		if got, err := e.Show(s, en); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if _, err := e.Show(engine.Show{ID: "none", Mode: "live"}, en); engine.Explain(err, en).Code != "gone" {
		t.Errorf("no card: %v", err)
	}
}

// TestQuestion: a poster and a question, with the facts that the person decides by.
func TestQuestion(t *testing.T) {
	w := newWorld(t)
	e, _ := w.holding()
	w.away = true
	question := cwt.Question{Verifier: bank, IssuedAt: start, Nonce: []byte("0123456789abcdef"), Type: cardType, Person: []int64{4, 8}, Purpose: "Opening an account"}
	poster := question
	poster.Nonce, poster.IssuedAt, poster.Expires = nil, start.AddDate(0, -1, 0), start.AddDate(0, 6, 0)
	for name, q := range map[string]cwt.Question{"question": question, "poster": poster} {
		a := must[*engine.Asking](t)(e.Question(w.question(q, w.bank), fr))
		if !a.Verifier.Known || a.Verifier.Name != "Banque, agence 12" || a.Purpose != "Opening an account" || a.Card != "Carte d’agriculteur" || a.Kept == "" ||
			a.Poster != q.Poster() || len(a.Claims) != 2 || a.Claims[1].Value != "2 janvier 1990" || len(a.Always) != 0 {
			t.Errorf("%s: %+v", name, a)
		}
		shown := must[*engine.Shown](t)(e.Answer(false, en))
		k := verification.Counter{ID: bank, Poster: true}
		if !q.Poster() {
			k = verification.Counter{ID: bank, Nonce: q.Nonce, Asked: start}
		}
		if r := w.judge(shown.Text, k); r.Verdict != verification.Valid {
			t.Errorf("%s: %s %+v", name, r.Verdict, r.Checks)
		}
		if r := w.judge(shown.Text, verification.Counter{ID: "shop.xa-3", Poster: true}); r.Verdict == verification.Valid {
			t.Errorf("%s: good at another counter", name)
		}
		_, again := e.Redraw()
		if _, once := e.Answer(false, en); (again == nil) != q.Poster() || (once == nil) != q.Poster() {
			t.Errorf("%s: drawn again %v, answered again %v", name, again, once)
		}
	}
	log := must[[]engine.Line](t)(e.Log(en))
	if !strings.Contains(log[0].What, "Bank, branch 12") || log[0].Why != "Opening an account" {
		t.Errorf("log: %+v", log[0])
	}

	thief := keystest.Signer(t, keys.Request, keys.ES256, "thief")
	over, old, stranger := question, question, question
	over.Fields = []int64{1}
	old.IssuedAt = start.Add(-time.Hour)
	stranger.Verifier = "shop.xa-3"
	for _, tt := range []struct {
		name, text, code string
	}{
		{"by another key", w.question(question, thief), "forged_request"},
		{"for more than is registered", w.question(over, w.bank), "over_asking"},
		{"of an hour ago", w.question(old, w.bank), "old_request"},
		{"no question", "HELLO", "bad_link"},
	} {
		if _, err := e.Question(tt.text, en); engine.Explain(err, en).Code != tt.code {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.code)
		}
		if _, err := e.Answer(true, en); engine.Explain(err, en).Code != "gone" {
			t.Errorf("%s: answered: %v", tt.name, err)
		}
	}
	a := must[*engine.Asking](t)(e.Question(w.question(stranger, thief), en))
	if a.Verifier.Known || a.Verifier.Name != "shop.xa-3" {
		t.Errorf("a stranger: %+v", a.Verifier)
	}
	if _, err := e.Answer(false, en); engine.Explain(err, en).Code != "unknown" {
		t.Errorf("a stranger got an answer: %v", err)
	}
}

// TestProfiles: each person sees their own, and what is deleted is gone.
func TestProfiles(t *testing.T) {
	w := newWorld(t)
	e, id := w.holding()
	if err := e.AddProfile("  Grandmother "); err != nil {
		t.Fatal(err)
	}
	h := must[*engine.Home](t)(e.Home(en))
	if len(h.Cards) != 0 || len(h.Profiles) != 2 || h.Profiles[0].Name != "Me" || h.Profiles[1].Name != "Grandmother" || h.Profile != h.Profiles[1].ID {
		t.Errorf("home of another: %+v", h)
	}
	if _, err := e.View(id, en); engine.Explain(err, en).Code != "gone" {
		t.Errorf("somebody else's card: %v", err)
	}
	for _, name := range []string{"", " ", strings.Repeat("x", 200)} {
		if err := e.AddProfile(name); err == nil {
			t.Errorf("a profile called %q", name)
		}
	}
	if err := e.UseProfile("nobody"); err == nil {
		t.Error("a profile that is not there")
	}
	if err := e.UseProfile(""); err != nil {
		t.Fatal(err)
	}
	if err := e.NameProfile("Amina"); err != nil {
		t.Fatal(err)
	}
	if h := must[*engine.Home](t)(e.Home(en)); len(h.Cards) != 1 || h.Profiles[0].Name != "Amina" {
		t.Errorf("home: %+v", h)
	}
	if err := e.Delete(id); err != nil {
		t.Fatal(err)
	}
	if h := must[*engine.Home](t)(e.Home(en)); len(h.Cards) != 0 {
		t.Errorf("deleted: %+v", h)
	}
	if log := must[[]engine.Line](t)(e.Log(en)); !strings.Contains(log[0].What, "deleted") {
		t.Errorf("log: %+v", log)
	}
	if err := e.DeleteProfile(); err != nil || len(w.memory["held"])+len(w.memory["log"]) != 0 {
		t.Errorf("deleted profile: %v, %d lines", err, len(w.memory["log"]))
	}
}

// TestExport: the file is locked, and what it brings elsewhere can be shown as a plain
// code and no more.
func TestExport(t *testing.T) {
	w := newWorld(t)
	e, id := w.holding()
	if _, err := e.Export("short"); engine.Explain(err, en).Code != "passphrase" {
		t.Errorf("a short passphrase: %v", err)
	}
	file := must[string](t)(e.Export("correct horse"))
	if strings.Contains(file, "office.xa") || strings.Contains(file, id) {
		t.Errorf("the file is open: %.200s", file)
	}
	// Another person of the same phone gets nothing of the first out of their file.
	first := must[[]engine.Line](t)(e.Log(en))
	if err := e.AddProfile("Second"); err != nil {
		t.Fatal(err)
	}
	if got := must[*engine.Imported](t)(e.Import(file, "correct horse")); got.Cards != 0 || len(must[[]engine.Line](t)(e.Log(en))) != 0 {
		t.Errorf("%d cards of another profile", got.Cards)
	}
	if err := e.UseProfile(""); err != nil || len(must[[]engine.Line](t)(e.Log(en))) != len(first) || len(first) == 0 {
		t.Errorf("the log of the first has %d lines, %v", len(first), err)
	}
	other := newWorld(t)
	o := other.trusting()
	if _, err := o.Import(file, "wrong horse!"); engine.Explain(err, en).Code != "passphrase" {
		t.Errorf("another passphrase: %v", err)
	}
	for name, f := range map[string]string{
		"nothing": "", "no JSON": "hello", "half": file[:len(file)/2], "changed": strings.Replace(file, `"sealed":"`, `"sealed":"AAAA`, 1),
		"endless": strings.Replace(file, `"iterations":1000`, `"iterations":100000000`, 1), "of the future": strings.Replace(file, `export":1`, `export":2`, 1),
	} {
		if _, err := o.Import(f, "correct horse"); err == nil {
			t.Errorf("%s was imported", name)
		}
	}
	for want := 1; want >= 0; want-- { // the second time it is there
		if got := must[*engine.Imported](t)(o.Import(file, "correct horse")); got.Cards != want {
			t.Errorf("%d cards, want %d", got.Cards, want)
		}
	}
	h := must[*engine.Home](t)(o.Home(en))
	if len(h.Cards) != 1 || h.Cards[0].Live || h.Cards[0].State != "no_key" {
		t.Errorf("imported: %+v", h.Cards)
	}
	if _, err := o.Show(engine.Show{ID: id, Mode: "live"}, en); err == nil {
		t.Error("live on another phone")
	}
	plain := must[*engine.Shown](t)(o.Show(engine.Show{ID: id, Mode: "static"}, en))
	if r := other.judge(plain.Text, verification.Counter{}); r.Verdict != verification.CheckNeeded {
		t.Errorf("plain: %s", r.Verdict)
	}
}

// TestKey: a key of the device signs messages with SHA-256, and nothing else.
func TestKey(t *testing.T) {
	w := newWorld(t)
	_, s, err := w.ring.New()
	if err != nil {
		t.Fatal(err)
	}
	if err := keys.CheckSigner(s, keys.Holder, start); err != nil {
		t.Error(err)
	}
	if _, err := s.Sign(rand.Reader, make([]byte, 32), crypto.SHA256); err == nil {
		t.Error("a digest was signed")
	}
	device := s.(crypto.MessageSigner)
	if _, err := device.SignMessage(rand.Reader, []byte("m"), crypto.SHA384); err == nil {
		t.Error("signed with another hash")
	}
	if _, err := device.SignMessage(rand.Reader, []byte("m"), crypto.SHA256); err != nil {
		t.Error(err)
	}
	for name, jwk := range map[string][]byte{
		"nothing": nil, "an Ed25519 key": keystest.Signer(t, keys.Holder, keys.EdDSA, "ed").Key().Public.JWK(),
		"one of P-384": keystest.Signer(t, keys.Holder, keys.ES384, "p384").Key().Public.JWK(),
	} {
		if _, err := engine.NewKey(jwk, nil); err == nil {
			t.Errorf("%s is a key", name)
		}
	}
}

// TestSentences: every refusal that the page can meet, and every problem of its own, is
// said in each language.
func TestSentences(t *testing.T) {
	for _, l := range i18n.Languages() {
		for _, r := range wallet.Refusals() {
			p := engine.Explain(&wallet.RefusedError{Reason: r}, l)
			if p.Code != string(r) || p.Sentence == "" || strings.HasPrefix(p.Sentence, "wallet.") || strings.HasPrefix(p.Advice, "pocket.") {
				t.Errorf("%s: %+v", l, p)
			}
		}
		for code, err := range map[string]error{"no_answer": wallet.ErrNoAnswer, "too_long": engine.ErrTooLong, "internal": errors.New("x")} {
			if p := engine.Explain(err, l); p.Code != code || strings.HasPrefix(p.Sentence, "pocket.") {
				t.Errorf("%s: %+v", l, p)
			}
		}
	}
	for _, name := range []string{
		"state.good", "state.expired", "state.not_yet", "state.revoked", "state.suspended", "state.no_key", "shown.static", "shown.live", "shown.copy", "shown.poster",
		"shown.answer", "log.accepted", "log.presented", "log.refused", "log.deleted", "log.static", "log.live",
		"problem.wrong_code", "problem.unknown", "problem.gone", "problem.passphrase", "problem.not_an_export",
	} {
		if !i18n.Has("pocket." + name) {
			t.Errorf("no sentence pocket.%s", name)
		}
	}
}

// TestListed: what the lists of the bundle say about a card, and that a list with another
// mechanism beside it does not clear one (corpus ST-08).
func TestListed(t *testing.T) {
	w := newWorld(t)
	e := w.trusting()
	asOf := en.Date(start.Add(-time.Hour))
	for _, tt := range []struct {
		name        string
		ref         *credential.StatusRef
		state, date string
	}{
		{"good", &credential.StatusRef{URI: statusURL, Index: 7}, "", asOf},
		{"revoked", &credential.StatusRef{URI: statusURL, Index: revoked}, "revoked", asOf},
		{"suspended", &credential.StatusRef{URI: statusURL, Index: suspended}, "suspended", asOf},
		{"good, another mechanism", &credential.StatusRef{URI: statusURL, Index: 7, Beside: true}, "", ""},
		{"revoked, another mechanism", &credential.StatusRef{URI: statusURL, Index: revoked, Beside: true}, "revoked", asOf},
		{"a list that is not here", &credential.StatusRef{URI: statusURL + "0", Index: revoked}, "", ""},
		{"no list", nil, "", ""},
	} {
		if state, date := e.Listed(tt.ref, en); state != tt.state || date != tt.date {
			t.Errorf("%s: %q as of %q, want %q as of %q", tt.name, state, date, tt.state, tt.date)
		}
	}
	if state, date := w.phone().Listed(&credential.StatusRef{URI: statusURL, Index: revoked}, en); state != "revoked" || date != asOf {
		t.Errorf("after the page was closed: %q as of %q", state, date)
	}
}
