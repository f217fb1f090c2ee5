package pocket

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
		t.Skip("built without the pocket page; `make web` makes it")
	}
	if err != nil {
		t.Fatal(err)
	}
	return page
}

// list is a list of names in the service worker.
func list(t *testing.T, page *webpage.Files, name string) []string {
	t.Helper()
	b, err := page.Read("sw.js")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`const ` + name + ` = \[(.*)\];`).FindStringSubmatch(string(b))
	if found == nil || strings.Contains(string(b), "@") {
		t.Fatalf("the service worker has no list %s:\n%s", name, b)
	}
	return strings.Split(strings.ReplaceAll(strings.ReplaceAll(found[1], `"`, ""), " ", ""), ",")
}

// TestSizes holds the page to its budget: what a telephone loads before the page can be
// used is at most 2.5 MB. What reads codes with the camera comes after that, at most 0.5.
func TestSizes(t *testing.T) {
	page := built(t)
	after := list(t, page, "later")
	first, later := 0, 0
	for _, name := range list(t, page, "files") {
		b, err := page.Compressed(name)
		if err != nil {
			b, err = page.Read(name)
		}
		if err != nil && name != "./" && name != settingsFile {
			t.Error(err)
		}
		if slices.Contains(after, name) {
			later += len(b)
		} else {
			first += len(b)
		}
	}
	if first > 2_500_000 || first < 1_000_000 {
		t.Errorf("the first load takes %d bytes, at most 2500000", first)
	}
	if later > 500_000 || later < 100_000 {
		t.Errorf("what comes later takes %d bytes, at most 500000", later)
	}
	t.Logf("first load %d bytes, %d later", first, later)
}

// TestLanguages: the page offers the languages that there are, and every sentence that it
// or the engine says is there and said by somebody.
func TestLanguages(t *testing.T) {
	var text strings.Builder
	for _, name := range []string{"page/app.js", "page/index.html", "engine/engine.go", "engine/show.go", "engine/memory.go", "engine/export.go"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(b)
	}
	all := text.String()
	for _, l := range i18n.Languages() {
		if want := `["` + l.Tag() + `", "` + l.Name() + `", "` + l.Direction() + `"]`; !strings.Contains(all, want) {
			t.Errorf("app.js lacks %s", want)
		}
	}
	keys := i18n.Keys("pocket")
	for _, m := range regexp.MustCompile(`data-say="([^"]+)"|\bsay\("([^"]+)"|head\("([^"]+)"\)|"pocket\.([a-z_.]+[a-z])"`).FindAllStringSubmatch(all, -1) {
		if key := "pocket." + m[1] + m[2] + m[3] + m[4]; !slices.Contains(keys, key) {
			t.Errorf("there is no sentence %s", key)
		}
	}
	// Keys that are put together: of what is left after these beginnings the engine's
	// tests say each.
	made := []string{"advice.", "problem.", "state.", "shown.", "log."}
	for _, key := range keys {
		name := strings.TrimPrefix(key, "pocket.")
		whole := strings.Contains(all, `"`+name+`"`) || strings.Contains(all, `"`+key+`"`)
		if !whole && !slices.ContainsFunc(made, func(begin string) bool {
			return strings.HasPrefix(name, begin) && strings.Contains(all, `"`+strings.TrimPrefix(name, begin)+`"`)
		}) && name != "log.accepted" && name != "log.presented" && name != "log.refused" && name != "log.deleted" && name != "problem.internal" {
			t.Errorf("nobody says %s", key)
		}
	}
}

// TestRoutes: every file has its media type and a policy that lets the page ask its own
// server only, and there is no way out of the folder.
func TestRoutes(t *testing.T) {
	page := built(t)
	serve := page.Handler(policy(own)+framed, made(page, func() []byte { return nil }))
	get := func(name string) (*httptest.ResponseRecorder, error) {
		r := httptest.NewRequest(http.MethodGet, "/pocket/x", nil)
		r.SetPathValue("file", name)
		r.Header.Set("Accept-Encoding", "gzip")
		w := httptest.NewRecorder()
		return w, serve(w, r)
	}
	for name, media := range map[string]string{
		"": "text/html", "app.js": "text/javascript", "keep.js": "text/javascript", "pocket.wasm": "application/wasm", "style.css": "text/css",
		"settings.json": "application/json", "manifest.webmanifest": "application/manifest+json", "words/bn.json": "application/json", "icon.svg": "image/svg+xml",
	} {
		w, err := get(name)
		policy := w.Header().Get("Content-Security-Policy")
		if err != nil || w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), media) || w.Header().Get("ETag") == "" ||
			!strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "connect-src 'self';") || strings.Contains(policy, "unsafe-inline") ||
			!strings.Contains(w.Header().Get("Permissions-Policy"), "camera=(self)") {
			t.Errorf("%q: %v, %d, %v", name, err, w.Code, w.Header())
		}
		if name == "pocket.wasm" && w.Header().Get("Content-Encoding") != "gzip" {
			t.Error("the engine is sent uncompressed")
		}
		if name == "" && (strings.Contains(w.Body.String(), asks) || !strings.Contains(w.Body.String(), "connect-src &#39;self&#39;;")) {
			t.Errorf("the page itself has another policy: %.600s", w.Body)
		}
	}
	for _, name := range []string{"..", "../pocket.go", "words", "words/../app.js", "README", "pocket.wasm.gz", "bundle.trust", "nothing"} {
		if w, err := get(name); err == nil {
			t.Errorf("%q: %d", name, w.Code)
		}
	}
}

// TestExport: an exported folder has all that the service worker asks for, may ask the
// issuers that were named and nobody else, and leaves what else is in the folder.
func TestExport(t *testing.T) {
	page := built(t)
	dir := t.TempDir()
	other := filepath.Join(dir, "ours.txt")
	if err := os.WriteFile(other, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := Export(dir, ExportOptions{Issuers: []string{"https://registry.example/office", "https://other.example:8443"}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range append(list(t, page, "files"), "ours.txt", "sw.js") {
		if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			t.Error(err)
		}
	}
	index, err := os.ReadFile(filepath.Join(dir, "index.html"))
	if err != nil || !strings.Contains(string(index), "connect-src &#39;self&#39; https://registry.example https://other.example:8443;") {
		t.Errorf("%v: %.700s", err, index)
	}
	for name, o := range map[string]ExportOptions{
		"no bundle": {Trust: []byte("no bundle")}, "http": {Issuers: []string{"http://registry.example"}}, "a policy": {Issuers: []string{"https://x; script-src *"}},
		"everybody": {Issuers: []string{"https://*"}}, "nobody": {Issuers: []string{""}},
	} {
		if err := Export(filepath.Join(t.TempDir(), "x"), o); err == nil {
			t.Errorf("exported with %s", name)
		}
	}
}

func TestLink(t *testing.T) {
	got := Link("https://registry.example/pocket/", "openid-credential-offer://?credential_offer_uri=https%3A%2F%2Fregistry.example%2Foffer%2F1")
	if want := "https://registry.example/pocket/#offer=credential_offer_uri=https%3A%2F%2Fregistry.example%2Foffer%2F1"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
