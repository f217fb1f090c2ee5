package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
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
	"github.com/sanad-id/sanad/qr"
	"github.com/sanad-id/sanad/store/parties"
	"github.com/sanad-id/sanad/trust"
)

const bank = "bank.xa-12"

// A branch is a counter at a bank, with a person who has a card on a phone.
type branch struct {
	*counter
	bundle, issuer, registrar, holder keys.Signer
	content                           trust.Content
	verifier                          *library // takes its tallies, at another address
	upload, figures                   string   // keys of the bank there
}

func newBranch(t *testing.T) *branch {
	t.Helper()
	b := new(branch)
	root := newSigner(t, keys.TrustRoot)
	b.bundle, b.issuer, b.registrar, b.holder = newSigner(t, keys.TrustBundle), newSigner(t, keys.Credential), newSigner(t, keys.Request), newSigner(t, keys.Holder)
	now := time.Now().UTC().Truncate(time.Second)
	b.content = content(t, root, b.bundle, b.issuer)
	b.content.AsOf, b.content.RefreshBy, b.content.OldAfter = now.Add(-time.Hour), now.AddDate(0, 0, 10), now.AddDate(0, 0, 60)
	b.content.Status = listOf(t, b.content.AsOf, nil)
	b.content.Verifiers = []trust.Verifier{{
		ID: bank, Names: map[string]string{"en": "Janata Bank, branch 12", "ar": "بنك جاناتا، فرع 12"}, Asks: []trust.Asked{{Type: farmer, Claims: []string{"full_name"}}},
		Keys: []keys.PublicKey{b.registrar.Key().Public},
	}}
	b.counter = &counter{dir: filepath.Join(t.TempDir(), "page"), files: t.TempDir(), older: b.publish(t, b.content)}
	b.server = httptest.NewServer(http.FileServer(http.Dir(b.dir)))
	t.Cleanup(b.server.Close)
	b.collect(t)
	b.export(t, b.write(t, "now.trust", b.older), "--tallies", b.verifier.public)
	return b
}

// collect runs a `verifier serve` that takes tallies from the website of the page.
func (b *branch) collect(t *testing.T) {
	t.Helper()
	l := newLibraryAt(t, time.Now())
	l.vouch(t)
	settings := must[[]byte](t)(os.ReadFile(l.path("library/verifier.yaml")))
	if err := os.WriteFile(l.path("library/verifier.yaml"), fmt.Appendf(settings, "\ntally_origins: [%q]\n", b.server.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	key := func(name, scope string) string {
		var k struct{ Key string }
		if err := json.Unmarshal([]byte(l.ok(t, "api-key", "add", name, "--scope", scope, "--json")), &k); err != nil || k.Key == "" {
			t.Fatal(err)
		}
		return k.Key
	}
	b.upload, b.figures = key("bank", "tallies"), key("bank", "usage")
	l.serve(t)
	b.verifier = l
}

// call asks the verifier, as other counters and the bank's office do.
func (b *branch) call(t *testing.T, key, method, path, body string) string {
	t.Helper()
	r := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), method, b.verifier.public+path, strings.NewReader(body)))
	r.Header.Set("Authorization", "Bearer "+key)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	res := must[*http.Response](t)(http.DefaultClient.Do(r))
	defer res.Body.Close()
	answer := must[[]byte](t)(io.ReadAll(res.Body))
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %s", path, res.StatusCode, answer)
	}
	return string(answer)
}

func (b *branch) publish(t *testing.T, c trust.Content) []byte {
	t.Helper()
	return must[[]byte](t)(c.Sign(rand.Reader, []keys.Signer{b.bundle}, c.AsOf))
}

// live is a live code of a card in a slot.
func (b *branch) live(t *testing.T, slot uint64, p cwt.Proof) string {
	t.Helper()
	public, now := b.holder.Key().Public, time.Now().UTC().Truncate(time.Second)
	d := must[*cwt.Draft](t)(cwt.NewDraft(cwt.Token{
		Issuer: "agri.xa", Type: farmer, IssuedAt: now.AddDate(0, -1, 0), Expires: now.AddDate(1, 0, 0), Holder: &public,
		Status: &credential.StatusRef{URI: lists, Index: slot}, Person: map[int64]any{4: "Rahima Begum"}, Fields: map[int64]any{1: 3},
	}, b.issuer.Key().Public))
	token := must[[]byte](t)(d.Sign(rand.Reader, b.issuer, now))
	return must[string](t)(qr.Encode(must[[]byte](t)(cwt.Bind(rand.Reader, token, p, b.holder))))
}

func (b *branch) scan(p *chrometest.Page, text string) {
	p.Fill("#text", text)
	p.Click("#check")
}

// TestCounterPage is a day at a counter: a poster, live codes, entitlements that count
// once, questions on the screen, the tally and its upload to a verifier that is another
// website.
func TestCounterPage(t *testing.T) {
	b := newBranch(t)
	p := chrometest.New(t)
	p.MayAsk(strings.TrimPrefix(b.verifier.public, "http://"))
	b.ready(t, p)
	p.Wait("body[data-updated=yes]")
	// The camera of the browser shows other tests' codes.
	chrometest.Eval[bool](p, `navigator.mediaDevices.getUserMedia = async () => { throw new Error("none"); }, true`)
	now := func() time.Time { return time.Now().UTC().Truncate(time.Second) }

	// L0: fresh, the same again, and a screenshot of some minutes ago.
	code := b.live(t, 7, cwt.Proof{Audience: "in-person", IssuedAt: now()})
	b.scan(p, code)
	p.Wait("#verdict[data-verdict=valid]")
	p.WaitText("Shown from the holder's phone")
	p.Choose("#language", "fr") // told again, and not judged again
	p.WaitText("Montré sur le téléphone du titulaire")
	p.Wait("#verdict[data-verdict=valid]")
	p.Choose("#language", "en")
	p.WaitText("Shown from the holder's phone")
	p.Click("#next")
	b.scan(p, code)
	p.WaitText("This very code was accepted here a moment ago.")
	p.Click("#next")
	b.scan(p, b.live(t, 7, cwt.Proof{Audience: "in-person", IssuedAt: now().Add(-3 * time.Minute)}))
	p.Wait("#verdict[data-verdict=invalid]")
	p.Click("#next")

	// L1: the poster sets up the page.
	poster := must[[]byte](t)(cwt.Ask(rand.Reader, cwt.Question{
		Verifier: bank, IssuedAt: now().Add(-time.Minute), Expires: now().AddDate(1, 0, 0), Type: farmer, Person: []int64{4}, Purpose: "Opening an account",
	}, b.registrar))
	b.scan(p, must[string](t)(qr.Encode(poster)))
	p.WaitText("This is the poster of Janata Bank, branch 12.")
	p.Click("#found-yes")
	p.WaitText("Janata Bank, branch 12 · live codes for this counter only")
	b.scan(p, b.live(t, 7, cwt.Proof{Audience: bank, IssuedAt: now()}))
	p.Wait("#verdict[data-verdict=valid]")
	p.WaitText("for this counter.")
	p.Click("#next")
	b.scan(p, b.live(t, 7, cwt.Proof{Audience: "in-person", IssuedAt: now()}))
	p.Wait("#verdict[data-verdict=invalid]")
	p.Click("#next")

	// Entitlements that count once, and a question on the screen.
	p.Click("[aria-controls=counter]")
	p.Wait("#setup")
	p.Click("#once")
	p.Click("[name=asks][value=question]")
	p.Wait("#claims:not([hidden])")
	p.Check("scanner counter", i18n.For("en"))
	p.Click("#setup [type=submit]")
	p.WaitText("asks with a question on the screen · each entitlement once a day")
	p.Click("#once-show")
	p.Wait("#once-code path")
	p.Click("#counter .close")
	p.Click("#ask")
	p.Wait("#question-code path")
	p.WaitText("The lists do not name this page's key")
	b.listPage(t, p)
	ask := func() cwt.Proof {
		p.Click("#ask")
		p.Wait("#question-code[data-text] path")
		q := must[*cwt.AskedQuestion](t)(cwt.ParseQuestion(must[[]byte](t)(qr.Decode(p.Attribute("#question-code", "data-text")))))
		if err := q.Verify(b.content.Verifiers[0].Keys); err != nil {
			t.Error(err)
		}
		return cwt.Proof{Audience: q.Verifier, IssuedAt: now(), Nonce: q.Nonce}
	}
	proof := ask()
	p.Glance("scanner question", i18n.For("en"))
	b.scan(p, b.live(t, 9, proof))
	p.Wait("#verdict[data-verdict=valid]")
	p.WaitText("Answered your question just now")
	p.Click("#next")
	b.scan(p, b.live(t, 9, proof))
	p.Wait("#verdict[data-verdict=invalid]")
	p.Click("#next")
	b.scan(p, b.live(t, 9, ask()))
	p.Wait("#verdict[data-verdict=check_needed]")
	p.WaitText("Already seen at")
	p.Click("#next")

	// The tally, kept over a new start, sent with the key of the server; and what another
	// counter of the bank has sent before.
	p.Open(b.server.URL + "/")
	p.Wait("body[data-updated=yes]")
	p.Click("[aria-controls=tally]")
	p.WaitText("Entitlements counted: 1")
	p.Click("#send")
	p.WaitText("The server wants a key")
	if c := strings.Join(p.Complaints(), ""); !strings.Contains(c, "401") {
		t.Errorf("the server was not asked: %s", c)
	}
	p.Glance("scanner tally", i18n.For("en"))
	p.Click("[aria-controls=counter]")
	p.Wait("#counter:not([hidden]) #upload-row:not([hidden])")
	p.Fill("#upload", b.upload)
	p.Click("#setup [type=submit]")
	p.WaitText("The counter is set up.")
	day, hash := b.counted(t, p)
	b.call(t, b.upload, http.MethodPost, "/tallies",
		fmt.Sprintf(`{"id":"%s","counter":"bank.xa-13","day":%q,"scans":[],"once":[{"hash":%q,"at":"08:55"}]}`, strings.Repeat("A", 22), day, hash))
	p.Click("[aria-controls=tally]")
	p.Click("#send")
	p.WaitText("at bank.xa-13 at 08:55")
	b.reported(t, day, hash)
	p.Choose("#language", "ar")
	p.Wait("html[dir=rtl]")
	p.Check("scanner tally", i18n.For("ar"))
	p.Click("[aria-controls=counter]")
	p.Glance("scanner counter", i18n.For("ar"))
	p.Click("[aria-controls=tally]")
	p.Click("#clear")
	p.Click("#clear")
	p.Until("the tally is empty", `!document.querySelector("#none").hidden`)
	for _, c := range p.Complaints() {
		t.Error(c)
	}
}

// listPage publishes a bundle that lists the key of the page for the bank, and imports it.
func (b *branch) listPage(t *testing.T, p *chrometest.Page) {
	t.Helper()
	key := chrometest.Eval[string](p, `(async () => {
		const { ask, memory } = await import("./common.js");
		const pair = await memory.get("desk", "key");
		if (pair.privateKey.extractable) throw new Error("the key of the page can be read");
		return (await ask("draft", new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey)))).key;
	})()`)
	next := must[*trust.Bundle](t)(trust.Open(b.older)).Next(time.Now().UTC().Add(-time.Minute).Truncate(time.Second))
	next.Verifiers[0].Keys = append(next.Verifiers[0].Keys, must[keys.PublicKey](t)(keys.ParseJWK([]byte(key))))
	b.content = next
	// By a code, as a page gets it that is never online.
	delta := b.write(t, "listed.delta", must[[]byte](t)(trust.MakeDelta(b.older, b.publish(t, next))))
	picture := filepath.Join(b.files, "delta.png")
	var stdout, stderr bytes.Buffer
	if status := newProgram(time.Now).run(t.Context(), []string{"trust", "code", delta, "--out", picture}, strings.NewReader(""), &stdout, &stderr); status != 0 {
		t.Fatal(stderr.String())
	}
	p.Upload("#file", picture)
	p.WaitText("The lists are up to date now.")
}

// counted looks at what the page is about to send: numbers, and nothing of a person. It
// returns the day of it and what was counted once.
func (b *branch) counted(t *testing.T, p *chrometest.Page) (day, hash string) {
	t.Helper()
	type tally struct {
		Counter, Day string
		Once         []struct{ Hash string }
	}
	for _, body := range chrometest.Eval[[]string](p, `import("./common.js").then(async ({ ask }) => (await ask("pending")).map((p) => p.body))`) {
		var y tally
		if err := json.Unmarshal([]byte(body), &y); err != nil || strings.Contains(body, "Rahima") || strings.Contains(body, lists) {
			t.Errorf("%v: it sends %s", err, body)
		}
		if y.Counter == bank && len(y.Once) == 1 {
			day, hash = y.Day, y.Once[0].Hash
		}
	}
	if hash == "" {
		t.Fatal("nothing was counted once")
	}
	return day, hash
}

// reported looks at what the bank's office gets from the verifier: how many codes were
// judged at its counters, and what two of them saw.
func (b *branch) reported(t *testing.T, day, hash string) {
	t.Helper()
	var usage struct{ Rows []parties.Count }
	if err := json.Unmarshal([]byte(b.call(t, b.figures, http.MethodGet, "/usage?from="+day+"&to="+day, "")), &usage); err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, c := range usage.Rows {
		if c.Kind == "offline" && c.Party == "bank" && c.Subject == farmer {
			got[c.Verdict] += int64(c.N)
		}
	}
	if want := map[string]int64{"valid": 3, "invalid": 4, "check_needed": 1}; !maps.Equal(got, want) {
		t.Errorf("the figures say %v, want %v", got, want)
	}
	var report struct {
		Conflicts []struct{ Party, Hash, At, Counter string }
	}
	if err := json.Unmarshal([]byte(b.call(t, b.figures, http.MethodGet, "/tallies/conflicts?day="+day, "")), &report); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, c := range report.Conflicts {
		seen[c.Counter] = c.Hash == hash && c.Party == "bank"
	}
	if len(report.Conflicts) != 2 || !seen[bank] || !seen["bank.xa-13"] {
		t.Errorf("the report of conflicts: %+v", report.Conflicts)
	}
}
