package interop_test

import (
	"bytes"
	"crypto/rand"
	"encoding/csv"
	"encoding/json"
	"fmt"
	stdimage "image"
	"image/draw"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/chrometest"
	"github.com/sanad-id/sanad/qr/image"
	"github.com/sanad-id/sanad/web/pocket"
)

// card is a programme with a card for codes on a phone's screen.
const card = `
id: card
version: 1
type: urn:xa:card:1
labels: {en: Resident card, fr: Carte, ar: بطاقة}
languages: [en, fr, ar]
records: {id_column: id}
validity: {for: 5y}
freshness: {fresh_for: 7d, old_after: 30d}
person_check: other_id
photo: {policy: none}
claims:
  - {name: name, labels: {en: Name, fr: Nom, ar: الاسم}, type: text, person: fullName, from: name, required: true}
  - {name: village, labels: {en: Village, fr: Village, ar: القرية}, type: text, key: 1, from: village}
forms:
  qr: {level: M, max_version: 20}
  card: {kind: cwt, disclosure: {name: always}}
`

// command runs a program of ours, which must end with this status, and returns what it
// prints.
func command(t *testing.T, want int, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program(t, name), args...)
	cmd.Env = append(os.Environ(), "LC_ALL=en", "XDG_CONFIG_HOME="+filepath.Join(t.TempDir(), "none"))
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != want {
		t.Fatalf("%s %s: %v, want exit status %d\n%s%s", name, strings.Join(args, " "), err, want, out.Bytes(), errs.Bytes())
	}
	return out.Bytes()
}

// A phone is a phone-sized page of the scanner, which was visited once, and whose web
// server is gone.
type phone struct {
	*testing.T
	*chrometest.Page
}

func newPhone(t *testing.T, bundle string) *phone {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "page")
	cmd := exec.CommandContext(t.Context(), program(t, "verifier"), "scanner", "export", "--trust", bundle, dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		if bytes.Contains(out, []byte("without the scanner page")) && os.Getenv("SANAD_REQUIRE_NPM") != "1" {
			t.Skip("built without the scanner page; `make web` makes it")
		}
		t.Fatalf("%v\n%s", err, out)
	}
	script := filepath.Join(dir, "judge.js")
	b, err := os.ReadFile(script)
	if err == nil {
		err = os.WriteFile(script, append([]byte(chrometest.WorkerClock), b...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer server.Close()
	p := &phone{t, chrometest.New(t)}
	p.Size(360, 740)
	p.Clock(time.Now())
	p.Open(server.URL + "/")
	p.Wait("body[data-offline=ready]")
	p.WaitText("Lists of")
	server.Close()
	p.Open(server.URL + "/") // a cold start without a network
	p.Wait("#start:not(:disabled)")
	p.WaitText("Lists of")
	return p
}

// hold holds a sheet before the camera and returns how long it took from the first
// frame to the verdict, which must say these words.
func (p *phone) hold(sheet stdimage.Image, verdict string, words ...string) time.Duration {
	p.T.Helper()
	p.Camera(chrometest.Scene(sheet, 6, 1), chrometest.Scene(sheet, 6, 2))
	chrometest.Eval[bool](p.Page, `(() => {
		const result = document.querySelector("#result");
		globalThis.took = new Promise((resolve) => {
			let first;
			document.querySelector("#video").requestVideoFrameCallback((now) => { first = now; });
			new MutationObserver((_, o) => {
				if (result.hidden) return;
				o.disconnect();
				resolve(performance.now() - first);
			}).observe(result, { attributes: true });
		});
		return true;
	})()`)
	p.Click("#start")
	p.Wait("#result:not([hidden]) [data-verdict]")
	took := time.Duration(chrometest.Eval[float64](p.Page, "took")) * time.Millisecond
	shown := p.Text("#result")
	if got := p.Attribute("#verdict", "data-verdict"); got != verdict {
		p.T.Fatalf("%s, want %s\n%s", got, verdict, shown)
	}
	for _, w := range words {
		if !strings.Contains(shown, w) {
			p.T.Errorf("%q is not in\n%s", w, shown)
		}
	}
	chrometest.Eval[bool](p.Page, `document.querySelector("#next").click(), document.querySelector("#stop").click(), true`) // at once, or the camera sees it again
	return took
}

// code is the picture of a code.
func code(t *testing.T, text string, level image.Level) stdimage.Image {
	t.Helper()
	c, err := image.Draw(text, level)
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.PNG(8)
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return picture
}

// printed is the part of the first page of a PDF around its code, as a phone near the
// paper sees it: where black and white change most often.
func printed(t *testing.T, pdf string) stdimage.Image {
	t.Helper()
	if _, err := exec.LookPath("pdftoppm"); err != nil {
		t.Skip("no pdftoppm (poppler-utils; scripts/setup-test.sh)")
	}
	const dpi, window, step = 300, 560, 16 // 47 mm
	page := strings.TrimSuffix(pdf, ".pdf")
	if out, err := exec.CommandContext(t.Context(), "pdftoppm", "-r", fmt.Sprint(dpi), "-f", "1", "-l", "1", "-gray", "-png", "-singlefile", pdf, page).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b, err := os.ReadFile(page + ".png")
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	gray := stdimage.NewGray(picture.Bounds())
	draw.Draw(gray, gray.Rect, picture, picture.Bounds().Min, draw.Src)
	changes := map[stdimage.Point]int{} // by squares of step pixels
	for y := 0; y < gray.Rect.Dy(); y++ {
		for x := 1; x < gray.Rect.Dx(); x++ {
			if a, b := gray.Pix[y*gray.Stride+x-1], gray.Pix[y*gray.Stride+x]; (a < 128) != (b < 128) {
				changes[stdimage.Pt(x/step, y/step)]++
			}
		}
	}
	best, at := 0, stdimage.Point{}
	for y := range gray.Rect.Dy()/step - window/step {
		for x := range gray.Rect.Dx()/step - window/step {
			n := 0
			for dy := range window / step {
				for dx := range window / step {
					n += changes[stdimage.Pt(x+dx, y+dy)]
				}
			}
			if n > best {
				best, at = n, stdimage.Pt(x*step, y*step)
			}
		}
	}
	around := stdimage.Rect(at.X, at.Y, at.X+window, at.Y+window).Inset(-56)
	return gray.SubImage(around)
}

// newPocket is the pocket page on another phone, which has taken an offer and shows the
// card.
func newPocket(t *testing.T, o *office, offered string) *chrometest.Page {
	t.Helper()
	p := chrometest.New(t)
	p.Size(360, 740)
	p.Open(pocket.Link(o.url+pocket.Path, offered))
	p.Wait("body[data-view=offer]")
	p.WaitText("Known by the trust list")
	p.Click("#yes")
	p.Wait("body[data-view=card]")
	p.Wait("body[data-offline]")
	return p
}

// screenshot is one of the code that the pocket page shows of its card, with nothing
// but the name.
func screenshot(p *chrometest.Page) stdimage.Image {
	if !p.Has("body[data-view=card]") {
		p.Click("#cards button")
		p.Wait("body[data-view=card]")
	}
	p.Click("#live")
	p.Wait("#code-box svg")
	shot := p.Shot("#code-box")
	p.Click("#done")
	p.Wait("body[data-view=home]")
	return shot
}

// TestDoneWhen is what the scanner is for: a phone without a network, a certificate
// that the registrar's desk has printed, and cards on two other phones: one of a program,
// one of the pocket page.
func TestDoneWhen(t *testing.T) {
	if testing.Short() {
		t.Skip("no browser in -short")
	}
	o := newOffice(t, "  pocket: on\n", map[string]string{"card.yaml": card})
	at := func(name string) string { return filepath.Join(o.dir, name) }
	o.issuer("programme", "add", "--dir", o.dir, at("card.yaml"))
	o.issuer("programme", "add", "--dir", o.dir, filepath.Join("..", "examples", "programmes", "birth-certificate.yaml"))
	births, err := os.ReadFile(filepath.Join("..", "examples", "data", "births.csv"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfterN(string(births), "\n", 3)
	if err := os.WriteFile(at("births.csv"), []byte(lines[0]+lines[1]), 0o600); err != nil {
		t.Fatal(err)
	}
	o.issuer("batch", "--dir", o.dir, "--programme", "birth-certificate", "--source", at("births.csv"), "--out", at("births"), "--form", "csv", "--pdf", at("births.pdf"))
	sheet := printed(t, at("births.pdf"))

	// A wallet takes the card.
	if err := os.WriteFile(at("pass"), []byte(rand.Text()), 0o600); err != nil {
		t.Fatal(err)
	}
	wallet := func(args ...string) []byte {
		t.Helper()
		return command(t, 0, "wallet-cli", append([]string{"--dir", at("wallet"), "--passphrase-file", at("pass"), "--dev-http", "--lang", "en"}, args...)...)
	}
	var made struct {
		Fingerprint string `json:"root_fingerprint"`
	}
	export := func(name string) string {
		t.Helper()
		if b := o.issuer("trust", "export", "--dir", o.dir, "--out", at(name), "--json"); json.Unmarshal(b, &made) != nil || made.Fingerprint == "" {
			t.Fatalf("trust export: %s", b)
		}
		return at(name)
	}
	export("first.trust")
	wallet("init")
	wallet("trust", "import", "--fingerprint", made.Fingerprint, at("first.trust"))
	offerCard := func(record string) string {
		t.Helper()
		var offered offer
		if b := o.issuer("offer", "--dir", o.dir, "--programme", "card", "--record", record, "--json"); json.Unmarshal(b, &offered) != nil || offered.Offer == "" {
			t.Fatalf("offer: %s", b)
		}
		return offered.Offer
	}
	wallet("accept", "--yes", offerCard("REC0000001"))
	var held struct {
		Credentials []struct {
			ID string `json:"id"`
		} `json:"credentials"`
	}
	if b := wallet("list", "--json"); json.Unmarshal(b, &held) != nil || len(held.Credentials) != 1 {
		t.Fatalf("list: %s", b)
	}

	// A browser takes another one.
	o.issuer("status", "publish", "--dir", o.dir, "--out", at("public"))
	page := newPocket(t, o, offerCard("REC0000002"))

	// The page knows what the office has published until now. From here on nobody has a
	// network.
	p := newPhone(t, export("office.trust"))
	o.stop()
	page.Open(o.url + pocket.Path)
	page.Wait("body[data-ready=yes]")
	took := map[string]time.Duration{"printed": p.hold(sheet, "valid", "Ashok Abdul Akhtar", "অশোক আবদুল আখতার", "Kestara", "Checked against lists of", "Anyone can have a copy")}

	wallet("qr", held.Credentials[0].ID, "--live", "--claims", "village", "--out", at("live.txt"))
	text, err := os.ReadFile(at("live.txt"))
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	live := code(t, strings.TrimSpace(string(text)), image.L)
	p.Clock(began) // as the phone that shows it, also if this machine is slow
	took["live"] = p.hold(live, "valid", "Amina Osman", "Shown from the holder's phone")
	p.Clock(began.Add(2*time.Minute + 5*time.Second))
	p.hold(live, "invalid", "too long ago")

	began = time.Now()
	screen := screenshot(page)
	p.Clock(began)
	took["pocket"] = p.hold(screen, "valid", "Juma Mwangi", "Shown from the holder's phone")
	p.Clock(began.Add(2*time.Minute + 5*time.Second))
	p.hold(screen, "invalid", "too long ago")
	p.Clock(time.Now())
	t.Logf("from the first frame to the verdict: %v", took)

	// The certificate and the card are revoked. The page learns it from the next lists, which reach it as
	// a file, for the network is off; and says as of when it knows.
	list, err := os.ReadFile(at("births/manifest.csv"))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(list)).ReadAll()
	if err != nil || len(rows) < 2 {
		t.Fatalf("manifest: %v, %v", rows, err)
	}
	id := ""
	for i, name := range rows[0] {
		if name == "credential_id" {
			id = rows[1][i]
		}
	}
	o.issuer("revoke", "--dir", o.dir, id, "--reason", "issued_in_error")
	var copies []struct {
		ID string `json:"credential_id"`
	}
	if b := o.issuer("status", "--dir", o.dir, "--programme", "card", "--record", "REC0000002", "--json"); json.Unmarshal(b, &copies) != nil || len(copies) == 0 {
		t.Fatalf("status: %s", b)
	}
	for _, c := range copies {
		o.issuer("revoke", "--dir", o.dir, c.ID, "--reason", "lost")
	}
	p.hold(sheet, "valid")
	p.Click("#knowledge")
	p.Upload("#bundle", export("next.trust"))
	p.WaitText("The lists are up to date now.")
	p.Click("#close")
	since := "Checked against lists of " + time.Now().UTC().Format("2 January 2006")
	p.hold(sheet, "invalid", "The issuer has revoked it.", since)
	screen = screenshot(page)
	p.Clock(time.Now())
	p.hold(screen, "invalid", "The issuer has revoked it.", since)
}
