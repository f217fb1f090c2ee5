package scanner

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
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
		if err := Export(dir, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range append(kept(t, page), "ours.txt", "sw.js") {
		if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			t.Error(err)
		}
	}
	if err := Export(filepath.Join(t.TempDir(), "x"), []byte("no bundle")); err == nil {
		t.Error("exported with a bundle that is none")
	}
}

// TestSizes holds the page to its budgets (qr-and-offline section 5): what a telephone
// loads once is at most 2.5 MB, of which the verifier takes at most 2.0 MB.
func TestSizes(t *testing.T) {
	page := built(t)
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
	serve := page.Handler(policy, (&maker{bundle: func() []byte { return nil }, deltas: new(deltas)}).file)
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
