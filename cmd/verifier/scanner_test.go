package main

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/chrometest"
	"github.com/sanad-id/sanad/internal/docpdf"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/qr"
	"github.com/sanad-id/sanad/qr/image"
	"github.com/sanad-id/sanad/trust"
)

// A counter is a scanner page that `verifier scanner export` has written, on a web
// server that knows nothing of it, with two lists and two certificates.
type counter struct {
	dir            string // of the page
	files          string // of what is shown to it
	server         *httptest.Server
	older, newer   []byte
	good, withdraw string // texts of codes; the second is revoked by newer
}

// inMoreWords has the farmer card in the languages of the pictures, too.
func inMoreWords(c trust.Content) {
	farmer := c.Types[0]
	all := []map[string]string{c.Issuers[0].Names, farmer.Labels}
	for _, f := range farmer.Fields {
		all = append(all, f.Labels)
		all = slices.AppendSeq(all, maps.Values(f.Values))
	}
	bnAr := map[string][2]string{
		"Ministry of Agriculture": {"কৃষি মন্ত্রণালয়", "وزارة الزراعة"}, "Farmer card": {"কৃষক কার্ড", "بطاقة مزارع"}, "Name": {"নাম", "الاسم"},
		"Born": {"জন্ম তারিখ", "تاريخ الميلاد"}, "Crop": {"ফসল", "المحصول"}, "Rice": {"ধান", "أرز"}, "Household": {"পরিবার", "الأسرة"},
	}
	for _, words := range all {
		more := bnAr[words["en"]]
		words["bn"], words["ar"] = more[0], more[1]
	}
}

func newCounter(t *testing.T) *counter {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	root, bundle, issuer := newSigner(t, keys.TrustRoot), newSigner(t, keys.TrustBundle), newSigner(t, keys.Credential)
	c := content(t, root, bundle, issuer)
	inMoreWords(c)
	c.AsOf, c.RefreshBy, c.OldAfter = now.Add(-time.Hour), now.AddDate(0, 0, 10), now.AddDate(0, 0, 60)
	c.Status = listOf(t, c.AsOf, map[uint64]byte{1: status.Invalid})
	sign := func(c trust.Content) []byte {
		return must[[]byte](t)(c.Sign(rand.Reader, []keys.Signer{bundle}, c.AsOf))
	}
	k := &counter{dir: filepath.Join(t.TempDir(), "page"), files: t.TempDir(), older: sign(c)}
	next := must[*trust.Bundle](t)(trust.Open(k.older)).Next(now.Add(-time.Minute))
	next.Status = listOf(t, next.AsOf, map[uint64]byte{1: status.Invalid, 3: status.Invalid})
	k.newer = sign(next)
	code := func(slot uint64) string {
		d := must[*cwt.Draft](t)(cwt.NewDraft(cwt.Token{
			Issuer: "agri.xa", Type: farmer, IssuedAt: now.AddDate(0, -1, 0), Expires: now.AddDate(1, 0, 0),
			Status: &credential.StatusRef{URI: lists, Index: slot},
			Person: map[int64]any{4: "Rahima Begum", 8: "19840418"}, Fields: map[int64]any{1: 3, 2: "Household 77"},
		}, issuer.Key().Public))
		return must[string](t)(qr.Encode(must[[]byte](t)(d.Sign(rand.Reader, issuer, now))))
	}
	k.good, k.withdraw = code(5), code(3)
	k.write(t, "older.trust", k.older)
	for name, text := range map[string]string{"good.png": k.good, "withdrawn.png": k.withdraw} {
		k.write(t, name, must[[]byte](t)(must[*image.Code](t)(image.Draw(text, image.M)).PNG(6)))
	}
	k.export(t, k.write(t, "now.trust", k.older))
	k.server = httptest.NewServer(http.FileServer(http.Dir(k.dir)))
	t.Cleanup(k.server.Close)
	return k
}

// printed is the good certificate as the desk prints it.
func (k *counter) printed(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	label := func(en string) map[string]string { return map[string]string{"en": en} }
	_, err := must[*docpdf.Printer](t)(docpdf.New(docpdf.Config{})).Render(&b, docpdf.Certificate{
		Layout: docpdf.Layouts()[0], Languages: []i18n.Language{i18n.For("en")}, Type: label("Farmer card"), Issuer: label("Ministry"), Number: "7K3M9QX2TDHV",
		Issued: time.Now(), Claims: []docpdf.Claim{{Name: "name", Labels: label("Name"), Kind: "text", Value: "Rahima Begum"}},
		Codes: []docpdf.Code{{Form: "qr", Text: k.good, Level: "M"}}, Help: "https://registry.example.org/check",
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func (k *counter) write(t *testing.T, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(k.files, name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// export runs the command; without a page in this build the test is skipped, and fails
// where npm is required.
func (k *counter) export(t *testing.T, bundle string, more ...string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status := newProgram(time.Now).run(t.Context(), append([]string{"scanner", "export", "--trust", bundle, k.dir}, more...), strings.NewReader(""), &stdout, &stderr)
	if status != 0 && strings.Contains(stderr.String(), "without the scanner page") && os.Getenv("SANAD_REQUIRE_NPM") != "1" {
		t.Skip("built without the scanner page; `make web` makes it")
	}
	if status != 0 {
		t.Fatalf("scanner export: exit status %d\n%s", status, &stderr)
	}
}

func base64File(t *testing.T, path string) string {
	t.Helper()
	return base64.StdEncoding.EncodeToString(must[[]byte](t)(os.ReadFile(path)))
}

// ready opens the page and waits until it can be used.
func (k *counter) ready(t *testing.T, p *chrometest.Page) {
	t.Helper()
	p.Open(k.server.URL + "/")
	p.Wait("body[data-ready=yes]")
	p.Wait("#start:not(:disabled)")
}

// TestScanner uses the page as people do: a picture, typing, the camera; without a
// server; with newer and with older lists; in two directions.
func TestScanner(t *testing.T) {
	k := newCounter(t)
	p := chrometest.New(t)
	k.ready(t, p)
	p.WaitText("Lists of")

	p.Upload("#file", filepath.Join(k.files, "good.png"))
	p.Wait("#verdict[data-verdict=valid]")
	for _, text := range []string{"Genuine", "Rahima Begum", "Ministry of Agriculture", "18 April 1984", "Rice"} {
		p.WaitText(text)
	}
	if strings.Contains(p.Text("#result"), "Household 77") {
		t.Error("what is sensitive was shown without being asked for")
	}
	p.Check("scanner result", i18n.For("en"))
	p.CheckSettings("scanner result", i18n.For("en"))
	speak := func(tag string) {
		p.Choose("#language", tag)
		p.Wait("html[lang=" + tag + "]")
	}
	p.Show("scanner-genuine", speak)
	p.Size(1280, 800)
	p.Click("#next")
	p.Show("scanner", speak)

	// Typed, and with the server gone: nothing is asked of it any more.
	p.Wait("body[data-offline=ready]")
	k.server.Close()
	k.ready(t, p)
	p.Fill("#text", k.withdraw)
	p.Click("#check")
	p.Wait("#verdict[data-verdict=valid]")
	p.Click("#next")
	p.Fill("#text", "https://example.org/")
	p.Click("#check")
	p.Wait("#verdict[data-verdict=undetermined]")
	p.Click("#next")

	// A printed certificate as a PDF, and one that shows no code.
	p.Upload("#file", k.write(t, "good.pdf", k.printed(t)))
	p.Wait("#verdict[data-verdict=valid]")
	p.WaitText("Rahima Begum")
	p.Click("#next")
	p.Upload("#file", k.write(t, "empty.pdf", []byte("%PDF-1.7\n1 0 obj\n<< /Length 9 >>\nstream\n0 0 m S Q\nendstream\nendobj\n%%EOF\n")))
	p.WaitText("No code of ours can be read from this PDF.")

	// Newer lists by file turn the one that was revoked, and older ones are refused.
	p.Click("#knowledge")
	p.Upload("#bundle", k.write(t, "newer.trust", k.newer))
	p.WaitText("The lists are up to date now.")
	p.Upload("#bundle", filepath.Join(k.files, "older.trust"))
	p.WaitText("older than the one in use")
	p.Click("#close")
	p.Upload("#file", filepath.Join(k.files, "withdrawn.png"))
	p.Wait("#verdict[data-verdict=invalid]")
	p.WaitText("The issuer has revoked it.")
	p.Show("scanner-revoked", speak)
	p.Click("#next")

	// The camera: a picture that moves, as the page gets it from one.
	chrometest.Eval[bool](p, `(async () => {
		const canvas = document.createElement("canvas");
		canvas.width = 1280; canvas.height = 720;
		const draw = canvas.getContext("2d");
		const code = new Image();
		code.src = "data:image/png;base64,`+base64File(t, filepath.Join(k.files, "good.png"))+`";
		await code.decode();
		let n = 0;
		setInterval(() => {
			draw.fillStyle = "#c8c2b4"; draw.fillRect(0, 0, 1280, 720);
			draw.setTransform(1, 0, 0, 1, 640, 360); draw.rotate(0.09); draw.filter = "blur(0.6px)";
			draw.drawImage(code, -300, -300 + (n++ % 2), 600, 600);
			draw.setTransform(1, 0, 0, 1, 0, 0);
		}, 40);
		navigator.mediaDevices.getUserMedia = async () => canvas.captureStream(25);
		return true;
	})()`)
	p.Click("#start")
	p.Wait("#verdict[data-verdict=valid]")
	chrometest.Eval[bool](p, `document.querySelector("#next").click(), document.querySelector("#stop").click(), true`) // at once, or the camera sees it again

	p.Choose("#language", "ar")
	p.Wait("html[dir=rtl]")
	p.Fill("#text", k.withdraw)
	p.Click("#check")
	p.Wait("#verdict[data-verdict=invalid]")
	for _, c := range p.Complaints() {
		if !strings.Contains(c, "bundle.trust") { // which it asked for in vain
			t.Error(c)
		}
	}
	p.Check("scanner result", i18n.For("ar"))
	p.CheckSettings("scanner result", i18n.For("ar"))
	p.Click("#next")
	p.Check("scanner", i18n.For("ar"))
	p.CheckSettings("scanner", i18n.For("ar"))
}

// TestScannerFirstTrust: a page that trusts nobody says so, and takes a bundle after a
// person has compared the fingerprint.
func TestScannerFirstTrust(t *testing.T) {
	k := newCounter(t)
	var stdout, stderr bytes.Buffer
	bare := filepath.Join(t.TempDir(), "bare")
	if status := newProgram(time.Now).run(t.Context(), []string{"scanner", "export", "--bare", bare}, strings.NewReader(""), &stdout, &stderr); status != 0 {
		t.Fatal(stderr.String())
	}
	server := httptest.NewServer(http.FileServer(http.Dir(bare)))
	defer server.Close()
	p := chrometest.New(t)
	p.Open(server.URL + "/")
	p.Wait("#start:not(:disabled)")
	p.WaitText("trusts nobody yet")
	p.Fill("#text", k.good)
	p.Click("#check")
	p.Wait("#verdict[data-verdict=undetermined]")
	p.Click("#next")
	p.Click("#knowledge")
	p.Upload("#bundle", filepath.Join(k.files, "older.trust"))
	p.WaitText(must[*trust.Bundle](t)(trust.Open(k.older)).Fingerprint())
	p.Click("#no")
	p.WaitText("trusts nobody yet")
	p.Click("#knowledge")
	p.Upload("#bundle", filepath.Join(k.files, "older.trust"))
	p.WaitText("Compare these six groups")
	p.Check("scanner first trust", i18n.For("en"))
	p.Click("#yes")
	p.WaitText("Lists of")
	p.Fill("#text", k.good)
	p.Click("#check")
	p.Wait("#verdict[data-verdict=valid]")
}
