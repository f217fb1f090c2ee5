package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"image/png"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/internal/chrometest"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
	"github.com/sanad-id/sanad/qr"
	"github.com/sanad-id/sanad/qr/image"
	"github.com/sanad-id/sanad/trust"
	"github.com/sanad-id/sanad/verification"
	"github.com/sanad-id/sanad/web/pocket"
)

// pocketProgramme has a card with a code beside it.
const pocketProgramme = `
id: card
version: 1
type: urn:xa:card:1
labels: {en: Farmer card, ar: بطاقة مزارع}
languages: [en, ar]
records: {id_column: id}
validity: {for: 5y}
status: {suspend: true}
freshness: {fresh_for: 7d, old_after: 30d}
person_check: other_id
photo: {policy: none}
claims:
  - {name: name, labels: {en: Name, ar: الاسم}, type: text, person: fullName, from: name, required: true}
  - {name: born, labels: {en: Date of birth, ar: تاريخ الميلاد}, type: date, person: dateOfBirth, from: born}
  - {name: village, labels: {en: Village, ar: القرية}, type: text, key: 1, from: village}
forms:
  qr: {level: M, max_version: 20}
  card: {kind: cwt, disclosure: {born: hidden, village: hidden}, copies: 3}
`

// A pocketBed is an office that serves the page, and a bank that asks.
type pocketBed struct {
	*staffBed
	at   string
	bank keys.Signer
	stop func()
}

func newPocketBed(t *testing.T) *pocketBed {
	t.Helper()
	if !pocket.Built() && os.Getenv("SANAD_REQUIRE_NPM") != "1" {
		t.Skip("built without the pocket page; `make web` makes it")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &pocketBed{at: l.Addr().String(), bank: keystest.Signer(t, keys.Request, keys.ES256, "bank")}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	b.staffBed = newStaffBed(t, "http://"+b.at, "{enabled: true, origin: 'http://"+b.at+"'}")
	b.write("../records.csv", "id,name,born,village\nR1,Amina Juma,1990-01-02,Uhuru\nR2,Rahima Begum,1984-04-18,Uhuru\n")
	b.write("bank.jwk", string(b.bank.Key().Public.JWK()))
	settings := filepath.Join(b.dir, settingsName)
	text, err := os.ReadFile(settings)
	if err != nil {
		t.Fatal(err)
	}
	b.write(settingsName, strings.NewReplacer(
		"sources: {}", "sources:\n  people: {csv: ../records.csv}\nserve: {published: public}",
		"\ntrust:\n", "\ntrust:\n    verifiers: {bank.xa-12: {names: {en: \"Bank, branch 12\"}, asks: {\"urn:xa:card:1\": [name, born]}, keys: [bank.jwk]}}\n",
		"console: {enabled: true, origin: 'http://"+b.at+"'}", "console: {enabled: true, origin: 'http://localhost:8080'}",
	).Replace(string(text)))
	programme := b.write("../card.yaml", pocketProgramme)
	b.must("programme", "add", programme)
	b.publish()
	b.serve()
	return b
}

func (b *pocketBed) write(name, text string) string {
	b.t.Helper()
	path := filepath.Join(b.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return path
}

func (b *pocketBed) publish() {
	b.t.Helper()
	b.must("status", "publish", "--out", filepath.Join(b.dir, "public"))
}

// serve begins to serve, until stop or the end of the test.
func (b *pocketBed) serve() {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	done := make(chan string, 1)
	go func() {
		_, _, errs := b.run(ctx, "serve", "--dev-http", "--listen", b.at)
		done <- errs
	}()
	b.stop = func() {
		cancel()
		<-done
		b.stop = func() {}
	}
	b.t.Cleanup(func() { b.stop() })
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if c, err := net.DialTimeout("tcp", b.at, time.Second); err == nil {
			_ = c.Close()
			return
		}
		select {
		case errs := <-done:
			b.t.Fatalf("serve ended: %s", errs)
		default:
		}
		if time.Now().After(end) {
			b.t.Fatal("the office does not serve")
		}
	}
}

// offer is the address of the page with an offer in it, and the code that goes with it.
func (b *pocketBed) offer(args ...string) (address, code string) {
	b.t.Helper()
	var made struct {
		Offer  string `json:"offer"`
		TxCode string `json:"tx_code"`
	}
	out := b.must(append([]string{"offer", "--programme", "card", "--record", "R1", "--tx-code", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &made); err != nil || made.TxCode == "" {
		b.t.Fatalf("offer: %v, %s", err, out)
	}
	return pocket.Link("http://"+b.at+pocket.Path, made.Offer), made.TxCode
}

// checker verifies as the bank does.
func (b *pocketBed) checker(now func() time.Time, k verification.Counter) *verification.Checker {
	b.t.Helper()
	files, err := filepath.Glob(filepath.Join(b.dir, "public", "*.trust"))
	if err != nil || len(files) != 1 {
		b.t.Fatal(files, err)
	}
	file, err := os.ReadFile(files[0])
	if err != nil {
		b.t.Fatal(err)
	}
	bundle, err := trust.Open(file)
	if err != nil {
		b.t.Fatal(err)
	}
	c, err := verification.New(verification.Config{COSE: codesOnly{}, Trust: bundle, Now: now, Counter: k})
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

type codesOnly struct{}

func (codesOnly) Verify(message []byte, k verification.IssuerKeys) (*credential.Verified, error) {
	return cwt.Verify(message, cwt.Expect{Keys: k})
}

// ask is the text of a question of the bank.
func (b *pocketBed) ask(q cwt.Question) string {
	b.t.Helper()
	q.Verifier, q.Type, q.Purpose = "bank.xa-12", "urn:xa:card:1", "Opening an account"
	signed, err := cwt.Ask(rand.Reader, q, b.bank)
	if err != nil {
		b.t.Fatal(err)
	}
	text, err := qr.Encode(signed)
	if err != nil {
		b.t.Fatal(err)
	}
	return text
}

// picture takes a picture of a phone's screen for whoever wants to look at it.
func picture(p *chrometest.Page, name string) {
	if dir := os.Getenv("SANAD_PICTURES"); dir != "" {
		p.Size(320, 640)
		p.Picture(filepath.Join(dir, name+".png"))
	}
}

// onScreen is the text of the code that the page shows.
func onScreen(p *chrometest.Page) []byte {
	return []byte(chrometest.Eval[string](p, `document.body.dataset.code`))
}

func pocketPage(b *pocketBed, p *chrometest.Page, address string) {
	b.t.Helper()
	p.Open(address)
	p.Wait("body[data-ready=yes]")
}

// TestPocket is what somebody without an app does: takes a card with the office's code,
// shows it live, shows it without a network, answers a poster and a question.
func TestPocket(t *testing.T) {
	b := newPocketBed(t)
	p := chrometest.New(t)
	address, code := b.offer()
	pocketPage(b, p, address)
	p.Wait("body[data-view=offer]")
	for _, text := range []string{"Civil Registry", "Farmer card", "Known by the trust list"} {
		p.WaitText(text)
	}
	p.Glance("pocket offer", i18n.For("en"))
	picture(p, "offer-en")
	wrong := "000000"
	if code == wrong {
		wrong = "111111"
	}
	p.Fill("#code", wrong)
	p.Click("#yes")
	p.WaitText("did not take this code")
	p.Fill("#code", code)
	p.Click("#yes")
	p.Wait("body[data-view=card]")
	for _, text := range []string{"Amina Juma", "2 January 1990", "Uhuru", "The card is yours."} {
		p.WaitText(text)
	}
	p.Check("pocket card", i18n.For("en"))
	picture(p, "card-en")
	speak := func(tag string) {
		p.Choose("#language", tag)
		p.Wait("html[lang=" + tag + "]")
		chrometest.Eval[bool](p, "new Promise((done) => setTimeout(() => done(true), 1500))") // the cards are listed anew
	}
	p.Show("pocket-card", speak)
	p.Wait("body[data-offline=complete]")
	b.publish() // the first card has a list

	// Live, with what was chosen.
	now := time.Now()
	judge := func(text []byte, at time.Time, k verification.Counter) verification.Report {
		return b.checker(func() time.Time { return at }, k).Check(text)
	}
	p.Click(`#choose input[value=village]`)
	p.Click("#live")
	p.Wait("#code-box svg")
	first := onScreen(p)
	report := judge(first, time.Now(), verification.Counter{})
	said, _ := json.Marshal(report.Claims)
	if report.Verdict != verification.Valid || !bytes.Contains(said, []byte("Uhuru")) || bytes.Contains(said, []byte("1990")) {
		t.Errorf("live: %s %s", report.Verdict, said)
	}
	if report := judge(first, now.Add(3*time.Minute), verification.Counter{}); report.Verdict != verification.Invalid {
		t.Errorf("a picture of it after two minutes: %s", report.Verdict)
	}
	p.Glance("pocket code", i18n.For("en"))
	picture(p, "code-en")
	p.Show("pocket-code", func(tag string) {
		p.Click("#done")
		p.Wait("body[data-view=home]")
		speak(tag)
		p.Click("#cards button")
		p.Wait("body[data-view=card]")
		p.Click("#live")
		p.Wait("#code-box svg")
	})
	p.Click("#pause")
	p.WaitText("The code is hidden.")
	if chrometest.Eval[bool](p, `document.body.dataset.code !== undefined || document.querySelector("#code-box svg") !== null`) {
		t.Error("a code that is hidden is still there")
	}
	p.Click("#done")

	b.second(p)

	// The office is gone: the page, the card and its key are here.
	b.stop()
	pocketPage(b, p, "http://"+b.at+pocket.Path)
	p.Click("#cards button")
	p.Wait("body[data-view=card]")
	p.WaitText("Amina Juma")
	p.Click("#live")
	p.Wait("#code-box svg")
	second := onScreen(p)
	if report := judge(second, time.Now(), verification.Counter{}); report.Verdict != verification.Valid || bytes.Equal(first, second) {
		t.Errorf("live without the office: %s", report.Verdict)
	}
	p.Click("#done")

	// The bank's poster, and its question.
	for _, q := range []cwt.Question{
		{IssuedAt: time.Now().Add(-time.Hour).UTC().Truncate(time.Second), Expires: time.Now().AddDate(0, 6, 0).UTC().Truncate(time.Second), Person: []int64{4}},
		{IssuedAt: time.Now().UTC().Truncate(time.Second), Nonce: []byte("0123456789abcdef"), Person: []int64{4, 8}},
	} {
		k := verification.Counter{ID: "bank.xa-12", Poster: true}
		if !q.Poster() {
			k = verification.Counter{ID: "bank.xa-12", Nonce: q.Nonce, Asked: q.IssuedAt}
		}
		p.Wait("body[data-view=home]")
		p.Click("#asked")
		p.Fill("#text", b.ask(q))
		p.Click("#typed button")
		p.Wait("body[data-view=asking]")
		for _, text := range []string{"Bank, branch 12", "Opening an account", "Farmer card", "Amina Juma"} {
			p.WaitText(text)
		}
		if q.Poster() {
			for _, c := range p.Complaints() {
				if !strings.Contains(c, "bundle.trust") { // which it asked for in vain
					t.Error(c)
				}
			}
			p.Glance("pocket question", i18n.For("en"))
			picture(p, "question-en")
		}
		p.Click("#agree button[type=submit]")
		p.Wait("#code-box svg")
		text := onScreen(p)
		if report := judge(text, time.Now(), k); report.Verdict != verification.Valid {
			t.Errorf("poster %v: %s %+v", q.Poster(), report.Verdict, report.Checks)
		}
		if report := judge(text, time.Now(), verification.Counter{}); report.Verdict == verification.Valid {
			t.Errorf("poster %v: good for somebody else", q.Poster())
		}
		p.Click("#done")
	}

	// The log says what was shown to whom, and a file can be made of it all.
	p.Click("#history")
	p.Wait("body[data-view=log]")
	for _, text := range []string{"received from Civil Registry", "shown as a live code", "shown to Bank, branch 12", "Opening an account"} {
		p.WaitText(text)
	}
	if strings.Contains(p.Text("#lines"), "Amina") {
		t.Error("the log holds what is in the card")
	}
	p.Glance("pocket log", i18n.For("en"))
	picture(p, "log-en")
	p.Click("#log .back")
	p.Click("#more")
	chrometest.Eval[bool](p, `(() => { const real = URL.createObjectURL; URL.createObjectURL = (b) => { b.text().then((t) => { globalThis.saved = t; }); return real(b); }; return true; })()`)
	p.Fill("#pass", "correct horse battery")
	p.Click("#save button[type=submit]")
	p.Until("the file is made", `globalThis.saved !== undefined`)
	file := chrometest.Eval[string](p, "globalThis.saved")
	if strings.Contains(file, "Amina") || strings.Contains(file, "urn:xa") || !strings.Contains(file, "sanad_pocket_export") {
		t.Errorf("the file: %.200s", file)
	}
	p.Glance("pocket settings", i18n.For("en"))
	p.Click("#settings .back")

	// From the right, in a language of that direction.
	p.Choose("#language", "ar")
	p.Wait("html[dir=rtl]")
	p.Glance("pocket", i18n.For("ar"))
	picture(p, "home-ar")
	p.Click("#cards button")
	p.WaitText("بطاقة مزارع")
	picture(p, "card-ar")
	p.Click("#live")
	p.Wait("#code-box svg")
	picture(p, "code-ar")
	p.Check("pocket code", i18n.For("ar"))
	p.CheckSettings("pocket code", i18n.For("ar"))
	p.Click("#done")
	p.CheckSettings("pocket", i18n.For("ar"))
	p.Choose("#language", "en")
	p.Wait("html[dir=ltr]")
	p.Click("#cards button")
	p.Wait("body[data-view=card]")
	p.CheckSettings("pocket card", i18n.For("en"))
	p.Size(360, 740)
	b.again(p, b.write("../cards.json", file))
}

// second is a second card: its offer is read by the camera, the register is away so that it
// comes later, and the office revokes it.
func (b *pocketBed) second(p *chrometest.Page) {
	b.t.Helper()
	address, code := b.offer("--record", "R2")
	_, query, _ := strings.Cut(address, "#offer=")
	drawn, err := image.Draw("openid-credential-offer://?"+query, image.M)
	if err != nil {
		b.t.Fatal(err)
	}
	file, err := drawn.PNG(6)
	if err != nil {
		b.t.Fatal(err)
	}
	sheet, err := png.Decode(bytes.NewReader(file))
	if err != nil {
		b.t.Fatal(err)
	}
	p.Camera(chrometest.Scene(sheet, 5, 1), chrometest.Scene(sheet, 5, 2))
	p.Wait("body[data-view=home]")
	p.Click("#add")
	p.Click("#start")
	p.Wait("body[data-view=offer]")
	if chrometest.Eval[bool](p, `document.querySelector("#video").srcObject?.active ?? false`) {
		b.t.Error("the camera goes on")
	}
	register := filepath.Join(b.dir, "..", "records.csv")
	if err := os.Rename(register, register+".away"); err != nil {
		b.t.Fatal(err)
	}
	p.Fill("#code", code)
	p.Click("#yes")
	p.WaitText("The office will give a card later.")
	if n := chrometest.Eval[int](p, `document.querySelectorAll("#cards button").length`); n != 1 {
		b.t.Errorf("%d cards, with one to come", n)
	}
	if err := os.Rename(register+".away", register); err != nil {
		b.t.Fatal(err)
	}
	// The minute that the office wants between two questions is over.
	chrometest.Eval[bool](p, `(async () => {
		const db = await new Promise((done) => { const r = indexedDB.open("sanad-pocket"); r.onsuccess = () => done(r.result); });
		const store = db.transaction("pending", "readwrite").objectStore("pending");
		const all = (r) => new Promise((done) => { r.onsuccess = () => done(r.result); });
		const [ids, values] = [await all(store.getAllKeys()), await all(store.getAll())];
		for (const [i, id] of ids.entries()) {
			const record = JSON.parse(new TextDecoder().decode(values[i]));
			if (!record.value.not_before) throw new Error("nothing says when to ask again");
			record.value.not_before = "2026-01-01T00:00:00Z";
			store.put(new TextEncoder().encode(JSON.stringify(record)), id);
		}
		await new Promise((done) => { store.transaction.oncomplete = done; });
		db.close();
		return true;
	})()`)
	// The page asks by itself.
	p.Until("the second card", `document.querySelectorAll("#cards button").length === 2`)

	// It stands, and then it does not.
	b.publish()
	var issued []struct {
		ID string `json:"credential_id"`
	}
	out := b.must("status", "--programme", "card", "--record", "R2", "--json")
	if err := json.Unmarshal([]byte(out), &issued); err != nil || len(issued) == 0 {
		b.t.Fatalf("status: %v, %s", err, out)
	}
	chrometest.Eval[bool](p, `[...document.querySelectorAll("#cards button")].at(-1).id = "second", true`)
	p.Click("#second")
	p.Wait("body[data-view=card]")
	p.WaitText("Rahima Begum")
	p.Click("details:last-of-type summary")
	p.Click("#ask")
	p.WaitText("The office says that the card stands.")
	for _, c := range issued {
		b.must("revoke", c.ID, "--reason", "lost")
	}
	b.publish()
	p.Click("#ask")
	p.WaitText("The office has revoked it.")
	if !p.Has("#live:disabled") {
		b.t.Error("a card that is revoked may be shown live")
	}
	p.Click("#card .back")
	p.Wait("body[data-view=home]")
}

// again is the same phone after everything on it was deleted: the cards of the file can be
// read, printed and shown as plain codes, and not live.
func (b *pocketBed) again(p *chrometest.Page, file string) {
	b.t.Helper()
	p.Click("#card .back")
	p.Click("#more")
	p.Click("#clear")
	p.Click("#clearyes")
	p.WaitText("There are no cards here yet.")
	for _, pass := range []struct{ word, want string }{{"wrong horse battery", "does not open the file"}, {"correct horse battery", "Cards added: 2"}} {
		p.Click("#more")
		p.Fill("#pass", pass.word)
		p.Upload("#loaded", file)
		p.WaitText(pass.want)
		if p.Has("body[data-view=settings]") {
			p.Click("#settings .back")
		}
		p.Wait("body[data-view=home]")
	}
	p.Click("#cards button")
	p.WaitText("Amina Juma")
	p.WaitText("Its key is not on this phone")
	if !p.Has("#live:disabled") {
		b.t.Error("a card from a file may be shown live")
	}
	p.Click("#static")
	p.Wait("#code-box svg")
	plain := onScreen(p)
	if report := b.checker(time.Now, verification.Counter{}).Check(plain); report.Verdict == verification.Invalid || report.Verdict == verification.Undetermined {
		b.t.Errorf("the plain code: %s %+v", report.Verdict, report.Checks)
	}

	// On paper: the code in the size of paper, what it says, and no button.
	p.Print(true)
	for what, want := range map[string]string{
		`[...document.querySelectorAll("header, .row, .timer, .notice")].filter((e) => e.checkVisibility()).length`:                   "0",
		`Math.round(document.querySelector("#code-box svg").getBoundingClientRect().width / 96 * 25.4)`:                               "60",
		`document.querySelector("#printed").checkVisibility() && document.querySelector("#printed").innerText.includes("Amina Juma")`: "true",
	} {
		if got := chrometest.Eval[string](p, "String("+what+")"); got != want {
			b.t.Errorf("printed, %s is %s, want %s", what, got, want)
		}
	}
	var shot bytes.Buffer
	if err := png.Encode(&shot, p.Shot("#code-box")); err != nil {
		b.t.Fatal(err)
	}
	if found, err := image.Read(shot.Bytes()); err != nil || len(found) != 1 || found[0] != string(plain) {
		b.t.Errorf("the code on paper is read as %d texts, %v", len(found), err)
	}
	picture(p, "printed-en")
	p.Print(false)
	p.Click("#done")
}

// TestPocketServed: the page is served where the settings want it, with what keeps it
// from asking anybody else, and scripts of other pages may ask what wallets ask.
func TestPocketServed(t *testing.T) {
	b := newPocketBed(t)
	res, err := http.Get("http://" + b.at + pocket.Path)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if policy := res.Header.Get("Content-Security-Policy"); res.StatusCode != 200 || !strings.Contains(policy, "connect-src 'self';") || strings.Contains(policy, "unsafe-inline") {
		t.Errorf("%d %s", res.StatusCode, policy)
	}
	for _, path := range []string{"/oauth/token", "/oid4vci/nonce", "/oid4vci/credential"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, "http://"+b.at+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", "https://pocket.example")
		r.Header.Set("Access-Control-Request-Method", "POST")
		r.Header.Set("Access-Control-Request-Headers", "authorization,content-type,dpop")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusNoContent || res.Header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(res.Header.Get("Access-Control-Allow-Headers"), "DPoP") ||
			res.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %d %v", path, res.StatusCode, res.Header)
		}
	}
}
