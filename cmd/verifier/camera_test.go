package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	stdimage "image"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/chrometest"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/internal/officetest"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/qr/image"
)

// seen is what the camera sees of a code that somebody holds before it.
func seen(t *testing.T, text string, level image.Level, angle float64, seed uint64) *stdimage.Gray {
	t.Helper()
	b := must[[]byte](t)(must[*image.Code](t)(image.Draw(text, level)).PNG(8))
	return chrometest.Scene(must[stdimage.Image](t)(png.Decode(bytes.NewReader(b))), angle, seed)
}

// A scannerDesk is a scanner page on a phone in front of an office's paper: exported by the
// command, served by a web server that can be killed, with a clock that can be set.
type scannerDesk struct {
	*testing.T
	office *officetest.Office
	page   *chrometest.Page
	dir    string
	server *httptest.Server
	times  []time.Duration // from the first frame to the verdict
}

func newScannerDesk(t *testing.T, o *officetest.Office) *scannerDesk {
	t.Helper()
	d := &scannerDesk{T: t, office: o, dir: filepath.Join(t.TempDir(), "page")}
	file := filepath.Join(t.TempDir(), "office.trust")
	if err := os.WriteFile(file, o.PublishFile(), 0o600); err != nil {
		t.Fatal(err)
	}
	(&counter{dir: d.dir}).export(t, file)
	script := filepath.Join(d.dir, "judge.js")
	if err := os.WriteFile(script, append([]byte(chrometest.WorkerClock), must[[]byte](t)(os.ReadFile(script))...), 0o600); err != nil {
		t.Fatal(err)
	}
	d.server = httptest.NewServer(http.FileServer(http.Dir(d.dir)))
	t.Cleanup(d.server.Close)
	d.page = chrometest.New(t)
	d.page.Size(360, 740)
	d.page.Clock(o.Clock.Now())
	d.open()
	d.page.Wait("body[data-offline=ready]")
	return d
}

func (d *scannerDesk) open() {
	d.Helper()
	d.page.Open(d.server.URL + "/")
	d.page.Wait("#start:not(:disabled)")
}

// hold holds a code before the camera until there is a verdict.
func (d *scannerDesk) hold(text string, level image.Level, angle float64, want string) {
	d.Helper()
	p := d.page
	p.Camera(seen(d.T, text, level, angle, 1), seen(d.T, text, level, angle, 2))
	chrometest.Eval[bool](p, `(() => {
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
	d.times = append(d.times, time.Duration(chrometest.Eval[float64](p, "took"))*time.Millisecond)
	if got := p.Attribute("#verdict", "data-verdict"); got != want {
		d.Fatalf("the camera sees %s, want %s\n%s", got, want, p.Text("#result"))
	}
}

// next goes on to the next scan, with the camera off.
func (d *scannerDesk) next() {
	d.Helper()
	// At once, or the camera sees it again.
	chrometest.Eval[bool](d.page, `document.querySelector("#next").click(), document.querySelector("#stop").hidden || document.querySelector("#stop").click(), true`)
}

// says pastes a text, and wants this verdict with these words.
func (d *scannerDesk) says(text, verdict string, words ...string) {
	d.Helper()
	quoted := must[[]byte](d.T)(json.Marshal(text))
	chrometest.Eval[bool](d.page, fmt.Sprintf(`document.querySelector("#text").value = %s, true`, quoted))
	d.page.Click("#check")
	d.page.Wait("#result:not([hidden]) [data-verdict]")
	got, shown := d.page.Attribute("#verdict", "data-verdict"), d.page.Text("#result")
	if got != verdict {
		d.Errorf("%.20s: %s, want %s\n%s", text, got, verdict, shown)
	}
	for _, w := range words {
		if !strings.Contains(shown, w) {
			d.Errorf("%.20s: %q is not in\n%s", text, w, shown)
		}
	}
	d.page.Click("#next")
}

// TestScannerCamera: a phone-sized page reads the codes of every programme as a camera
// sees them, turns what was revoked with the next lists, and goes on when the network and
// the server are gone, with words for everything that is then in doubt (qr-and-offline
// 3.4).
func TestScannerCamera(t *testing.T) {
	o := officetest.New(t, officetest.Options{})
	examples := o.Examples()
	d := newScannerDesk(t, o)
	for i, e := range examples {
		form := slices.IndexFunc(e.Forms, func(f issuance.SignedForm) bool { return f.Form == "qr" })
		angle := []float64{5, -8, 14, 93, -33, 3, 178, -12, 40}[i%9]
		d.hold(e.Forms[form].Text, image.M, angle, "valid")
		d.page.WaitText(e.Programme.Labels["en"])
		d.page.WaitText("Checked against lists of 12 November 2026, less than an hour old")
		d.next()
	}
	t.Logf("%d codes, from the first frame to the verdict: %v", len(d.times), d.times)

	// One is revoked. The page knows it from the next lists on, and says as of when.
	code := examples[0].Forms[0].Text
	o.Revoke(examples[0].Credential.ID)
	o.Clock.Add(72 * time.Hour)
	if err := os.WriteFile(filepath.Join(d.dir, "bundle.trust"), o.PublishFile(), 0o600); err != nil {
		t.Fatal(err)
	}
	d.page.Clock(o.Clock.Now())
	d.says(code, "check_needed", "The trust data should have been updated by now.", "Checked against lists of 12 November 2026, 3 days old")
	d.page.Click("#knowledge")
	d.page.Click("#update")
	d.page.WaitText("The lists are up to date now.")
	d.page.Click("#close")
	d.hold(code, image.M, -21, "invalid")
	d.page.WaitText("The issuer has revoked it.")
	d.page.WaitText("Checked against lists of 15 November 2026")
	d.next()

	// The server is killed and the page loaded anew: it knows what it knew.
	d.server.Close()
	d.open()
	good := examples[1].Forms[0].Text
	d.says(code, "invalid", "The issuer has revoked it.", "Checked against lists of 15 November 2026")
	d.hold(good, image.M, 7, "valid")
	d.next()

	// Lists that grow old soften the verdict, with their date; clocks that cannot be right
	// are named.
	day := 24 * time.Hour
	for _, tt := range []struct {
		clock   time.Duration
		verdict string
		words   []string
	}{
		{3 * day, "check_needed", []string{"The trust data should have been updated by now.", "Checked against lists of 15 November 2026, 3 days old"}},
		{40 * day, "check_needed", []string{"The list that says whether it was revoked is old", "Checked against lists of 15 November 2026, 40 days old"}},
		{-30 * day, "check_needed", []string{"The date of this device cannot be right.", "Set the date and time of this device"}},
		{-20_000 * day, "check_needed", []string{"The date of this device cannot be right."}},
		{700 * day, "check_needed", []string{"The date of this device cannot be right.", "Checked against lists of 15 November 2026"}},
	} {
		d.page.Clock(o.Clock.Now().Add(tt.clock))
		d.says(good, tt.verdict, tt.words...)
		d.says(code, "invalid", "The issuer has revoked it.")
	}
	d.page.Clock(o.Clock.Now())
	d.says(good, "valid")

	// Codes of other kinds are named, and no link is followed.
	en := i18n.For("en")
	for text, kind := range map[string]string{
		"shc:/567629095243206034602924374044603122295953265460346029254077280433": "smart_health_card", "VC1-RSJRPWCR803A3P0098G3A3-B02": "vc_barcode",
		"mdoc:owBjMS4wAYIB2BhYS6QBAiABIVgg": "mdoc_engagement", "openid4vp://?client_id=x&request_uri=https%3A%2F%2Fx.example%2F1": "presentation_request",
		"openid-credential-offer://?credential_offer=%7B%7D": "credential_offer", "https://example.org/pay": "web_link", "tel:+8801700000000": "other_link", `{"a": 1}`: "json",
		"NZCP:/1/2KCEVIQEIVVWK6JNGEASNICZAEP2KALYDZSGSZB2O5SWEOTOPJRXALTDN53GSZBRHEXGQZLBNR2GQLTO": "other_health_pass",
	} {
		d.says(text, "undetermined", en.Text("kind."+kind, nil))
	}
	d.says("HC1:NCFOXN%TSMAHN-H", "invalid")
	for _, c := range d.page.Complaints() {
		if !strings.Contains(c, d.server.URL) { // which it asks in vain
			t.Error(c)
		}
	}
}
