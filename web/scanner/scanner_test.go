package scanner

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/internal/webpage"
)

// built skips a test where the page was not made, and fails where it must be.
func built(t *testing.T) *webpage.Files {
	t.Helper()
	page, err := files()
	if errors.Is(err, ErrNotBuilt) && os.Getenv("SANAD_REQUIRE_NPM") != "1" {
		t.Skip("built without the scanner page; `make web` makes it")
	}
	if err != nil {
		t.Fatal(err)
	}
	return page
}

// kept are the files that the service worker fetches once.
func kept(t *testing.T, page *webpage.Files) []string {
	t.Helper()
	b, err := page.Read("sw.js")
	if err != nil {
		t.Fatal(err)
	}
	list := regexp.MustCompile(`const files = \[(.*)\];`).FindStringSubmatch(string(b))
	if list == nil || strings.Contains(string(b), "@") {
		t.Fatalf("the service worker has no list of files:\n%s", b)
	}
	return strings.Split(strings.ReplaceAll(list[1], `"`, ""), ",")
}

// TestExport: an exported folder has all that the service worker asks for, and an
// export over an older one leaves what else is there.
func TestExport(t *testing.T) {
	page := built(t)
	dir := t.TempDir()
	other := filepath.Join(dir, "ours.txt")
	if err := os.WriteFile(other, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := Export(dir, ExportOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range append(kept(t, page), "ours.txt", "sw.js") {
		if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			t.Error(err)
		}
	}
	for name, o := range map[string]ExportOptions{
		"no bundle": {Trust: []byte("no bundle")}, "http": {Tallies: "http://verifier.example"}, "a policy": {Tallies: "https://x; script-src *"},
		"everybody": {Tallies: "https://*"}, "nobody": {Tallies: "https://"}, "a name": {Tallies: "https://me@verifier.example"}, "a query": {Tallies: "https://verifier.example/?a=1"},
	} {
		if err := Export(filepath.Join(t.TempDir(), "x"), o); err == nil {
			t.Errorf("exported with %s", name)
		}
	}
}

// TestExportTallies: a page that uploads elsewhere may ask that server and nobody else, and
// browsers that have the page already take the change.
func TestExportTallies(t *testing.T) {
	built(t)
	read := func(dir, name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	plain, with, again := t.TempDir(), t.TempDir(), t.TempDir()
	for dir, o := range map[string]ExportOptions{plain: {}, with: {Tallies: "https://verifier.example:8443/office/"}, again: {Tallies: "https://verifier.example:8443/office/"}} {
		if err := Export(dir, o); err != nil {
			t.Fatal(err)
		}
	}
	if page := read(plain, "index.html"); !strings.Contains(page, "connect-src 'self';") || strings.Contains(page, asks) || strings.Contains(read(plain, "settings.json"), "tallies") {
		t.Errorf("a page that uploads nothing: %.700s", page)
	}
	if page := read(with, "index.html"); !strings.Contains(page, "connect-src 'self' https://verifier.example:8443;") {
		t.Errorf("a page that uploads: %.700s", page)
	}
	if s := read(with, "settings.json"); !strings.Contains(s, `"tallies":"https://verifier.example:8443/office/tallies"`) {
		t.Errorf("settings: %s", s)
	}
	if read(plain, "sw.js") == read(with, "sw.js") || read(with, "sw.js") != read(again, "sw.js") {
		t.Error("the service worker does not change with the page, or changes without it")
	}
}

// TestSizes holds the page to its budgets (qr-and-offline section 5): what a telephone
// loads once is at most 2.5 MB, of which the verifier takes at most 2.0 MB.
func TestSizes(t *testing.T) {
	page := built(t)
	if _, err := exec.LookPath("libdeflate-gzip"); err != nil {
		t.Skip("no libdeflate-gzip: the page is compressed less well than where it is published from")
	}
	total := 0
	for _, name := range kept(t, page) {
		b, err := page.Compressed(name)
		if err != nil {
			b, err = page.Read(name)
		}
		if err != nil && name != "./" && name != settingsFile {
			t.Error(err)
		}
		if name == "sanad.wasm" && len(b) > 2_000_000 {
			t.Errorf("%s takes %d bytes compressed, at most %d", name, len(b), 2_000_000)
		}
		total += len(b)
	}
	if total > 2_500_000 || total < 1_000_000 {
		t.Errorf("the first load takes %d bytes, at most 2500000", total)
	}
	t.Logf("first load %d bytes", total)
}

// TestLanguages: the page offers the languages that there are, written in their
// direction.
func TestLanguages(t *testing.T) {
	var b []byte
	modules, err := filepath.Glob("page/*.js")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range modules {
		module, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		b = append(b, module...)
	}
	for _, l := range i18n.Languages() {
		if want := `["` + l.Tag() + `", "` + l.Name() + `", "` + l.Direction() + `"]`; !strings.Contains(string(b), want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	page, err := os.ReadFile("page/index.html")
	if err != nil {
		t.Fatal(err)
	}
	keys := i18n.Keys("scan")
	for _, m := range regexp.MustCompile(`data-say="([^"]+)"|say\("([^"]+)"[),]`).FindAllStringSubmatch(string(page)+string(b), -1) {
		if key := "scan." + m[1] + m[2]; !slices.Contains(keys, key) {
			t.Errorf("there is no sentence %s", key)
		}
	}
	for _, key := range keys {
		name := strings.TrimPrefix(key, "scan.")
		if !strings.Contains(string(page)+string(b), `"`+name+`"`) {
			t.Errorf("nobody says %s", key)
		}
	}
}

// TestRoutes: every file has its media type and a policy, and there is no way out of
// the folder.
func TestRoutes(t *testing.T) {
	page := built(t)
	serve := page.Handler(policy, (&maker{page: page, bundle: func() []byte { return nil }, deltas: new(deltas)}).file)
	get := func(name string) (*httptest.ResponseRecorder, error) {
		r := httptest.NewRequest(http.MethodGet, "/scanner/x", nil)
		r.SetPathValue("file", name)
		r.Header.Set("Accept-Encoding", "gzip")
		w := httptest.NewRecorder()
		return w, serve(w, r)
	}
	for name, media := range map[string]string{
		"": "text/html", "app.js": "text/javascript", "sanad.wasm": "application/wasm", "style.css": "text/css", "settings.json": "application/json",
		"manifest.webmanifest": "application/manifest+json", "words/bn.json": "application/json", "icon.svg": "image/svg+xml",
	} {
		w, err := get(name)
		if err != nil || w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), media) || w.Header().Get("ETag") == "" ||
			!strings.Contains(w.Header().Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%q: %v, %d, %v", name, err, w.Code, w.Header())
		}
		if name == "" && !strings.Contains(w.Body.String(), "connect-src 'self';") {
			t.Errorf("the page itself has another policy: %.700s", w.Body)
		}
		if name == "sanad.wasm" && w.Header().Get("Content-Encoding") != "gzip" {
			t.Error("the verifier is sent uncompressed")
		}
	}
	for _, name := range []string{"..", "../scanner.go", "words", "words/../app.js", "README", "sanad.wasm.gz", "bundle.trust", "nothing"} {
		if w, err := get(name); err == nil {
			t.Errorf("%q: %d", name, w.Code)
		}
	}
}
