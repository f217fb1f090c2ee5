package chrometest_test

import (
	"fmt"
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
)

// good is a page without fault. Each row of TestChecks spoils one thing in it.
const good = `<!doctype html>
<html lang="en" dir="ltr"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Records</title><link rel="icon" href="data:,"><style>
body { margin: 0; font: 1rem/1.5 sans-serif; color: #111; background: #fff; }
main { padding: 1rem; } button, input { font: inherit; min-height: 44px; box-sizing: border-box; max-width: 100%; }
:focus-visible { outline: 3px solid #a40; }
</style></head><body><main><h1>Records</h1>
<p>One of <bdi>عمر</bdi> and <a href="/b">another</a>.</p>
<form method="post"><label for="name">Name</label> <input id="name" name="name"> <button>Search</button></form>
</main></body></html>`

func serve(t *testing.T, page *string) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		switch {
		case r.Method == http.MethodPost:
			fmt.Fprintf(w, "<title>t</title><h1>found %q in %s</h1>", r.FormValue("name"), r.Header.Get("Accept-Language"))
		case r.URL.Path == "/":
			fmt.Fprint(w, *page)
		case r.URL.Path == "/b":
			http.SetCookie(w, &http.Cookie{Name: "c", Value: "1"})
			w.WriteHeader(http.StatusConflict)
			fmt.Fprint(w, "<title>b</title><h1>B</h1><script>document.querySelector('h1').textContent += ' ' + new Date().getFullYear()</script>")
		case r.URL.Path == "/file":
			c, _ := r.Cookie("c")
			fmt.Fprint(w, c)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(srv.Close)
	return strings.Replace(srv.URL, "127.0.0.1", "localhost", 1)
}

// recorder takes the errors of a check.
type recorder struct {
	testing.TB
	errors []string
}

func (r *recorder) Helper() {}
func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func TestChecks(t *testing.T) {
	page := good
	address := serve(t, &page)
	r := &recorder{TB: t}
	p := chrometest.New(r)
	en := i18n.For("en")
	narrow := func(check func() []string) func() []string {
		return func() []string {
			p.Size(320, 800)
			return check()
		}
	}
	layout, targets, keyboard, axe, browser := narrow(p.Layout), narrow(p.Targets), narrow(p.Keyboard), narrow(p.Axe), p.Complaints
	words := func() []string { return p.Words(en) }
	all := func() []string {
		p.Check("page", en)
		return r.errors
	}
	settings := func() []string {
		p.CheckSettings("page", en)
		return r.errors
	}
	for _, tt := range []struct {
		name, old, with, want string
		check                 func() []string
	}{
		{"nothing spoiled", "", "", "", all},
		{"nothing spoiled, with settings", "", "", "", settings},
		{"a button like text", "<button>", `<button style="border: 0">`, "has no border", settings},
		{"what moves though nothing should", "<p>One", `<style>@keyframes k { to { opacity: .5 } }</style><p style="animation: k 1s infinite">One`, "moves", settings},
		{"what would move", "<p>One", `<p style="transition: color 1s">One`, "would move", settings},
		{"too wide at 400 %", "<p>One", `<style>@media (max-height: 300px) { p { width: 400px } }</style><p>One`, "400 %", settings},
		{"too wide", "<p>One", `<p style="width: 400px">One`, "in a window of 320", layout},
		{"a word too long", "<p>One", `<div style="width: 5rem">Unternehmensregisterauszug</div><p>One`, "sticks out of its box", layout},
		{"text cut off", "<p>One", `<div style="width: 5rem; overflow: hidden; white-space: nowrap">A longer sentence</div><p>One`, "is cut off", layout},
		{"a small button", "<button>", `<button style="min-height: 0; height: 30px">`, "30 px high", targets},
		{"another language", `lang="en"`, `lang="fr"`, "its language", words},
		{"another direction", `dir="ltr"`, `dir="rtl"`, "runs rtl", words},
		{"two headings", "<p>One", "<h1>Two</h1><p>One", "2 headings", words},
		{"a key", ">another<", ">console.queue.title<", "missing or has a hole", words},
		{"a hole", ">another<", ">another {name}<", "missing or has a hole", words},
		{"tags in the title", "<title>Records", "<title>&lt;bdi&gt;Records&lt;/bdi&gt;", "missing or has a hole", words},
		{"a name not set apart", "bdi", "span", "nothing keeps it apart", words},
		{"no visible focus", ":focus-visible { outline: 3px solid #a40; }", ":focus-visible { outline: none }", "one does not see", keyboard},
		{"not reached by Tab", "<p>One", `<iframe srcdoc="" title="x" hidden></iframe><div onkeydown="event.preventDefault()"><button onkeydown="event.preventDefault()">Stay</button></div><p>One`, "Tab does not reach", keyboard},
		{"another order", `id="name"`, `id="name" tabindex="2"`, "Tab goes to", keyboard},
		{"covered", "<p>One", `<div style="position: fixed; inset: 0; background: #eee; opacity: .99; pointer-events: auto">x</div><p>One`, "lies under", keyboard},
		{"a picture without words", "<p>One", `<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=" width="9" height="9"><p>One`, "axe image-alt", axe},
		{"grey on grey", "color: #111", "color: #999", "axe color-contrast", axe},
		{"grey on grey by night", ":focus-visible", "@media (prefers-color-scheme: dark) { body { color: #888 } } :focus-visible", "1280 px dark: axe color-contrast", all},
		{"something from afar", "<p>One", `<img src="https://example.org/x.png" alt="x"><p>One`, "asks another host", all},
		{"a script that fails", "<p>One", `<script>nothing()</script><p>One`, "nothing is not defined", browser},
		{"against the policy", `<meta charset="utf-8">`, `<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="script-src 'none'"><script>1</script>`, "Content Security Policy", browser},
		{"something missing", "<p>One", `<img src="/none.png" alt="x"><p>One`, "404", browser},
	} {
		t.Run(tt.name, func(t *testing.T) {
			page = good
			if tt.old != "" {
				page = strings.Replace(good, tt.old, tt.with, 1)
				if page == good && tt.old != tt.with {
					t.Fatal("nothing was spoiled")
				}
			}
			r.errors = nil
			p.Open(address)
			found := tt.check()
			p.Complaints()
			switch {
			case tt.want == "" && len(found) > 0:
				t.Errorf("found %q", found)
			case tt.want != "" && !slices.ContainsFunc(found, func(s string) bool { return strings.Contains(s, tt.want) }):
				t.Errorf("found %q, want one with %q", found, tt.want)
			}
		})
	}
}

func TestActions(t *testing.T) {
	page := good
	address := serve(t, &page)
	p := chrometest.New(t)
	p.Clock(time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC))
	p.Language("bn")
	if got := p.Open(address); got != http.StatusOK {
		t.Errorf("Open: %d", got)
	}
	// By keyboard alone.
	p.Focus("#name")
	p.Type("Ada")
	p.PressAndFollow(chrometest.Enter)
	if got, want := p.Text("h1"), `found "Ada" in bn`; got != want {
		t.Errorf("after Enter: %q, want %q", got, want)
	}
	// By mouse.
	p.Open(address)
	p.Fill("#name", "x")
	p.Fill("#name", "Grace")
	p.Follow(p.Named("Search"))
	p.WaitText("Grace")
	if got := p.Open(address + "/b"); got != http.StatusConflict {
		t.Errorf("Open: %d, want 409", got)
	}
	if got := p.Text("h1"); got != "B 2031" {
		t.Errorf("the page's clock: %q", got)
	}
	if res, b := p.Fetch("/file"); res.StatusCode != http.StatusOK || string(b) != "c=1" {
		t.Errorf("Fetch: %d %q, want the cookie", res.StatusCode, b)
	}
	p.Scripts(false)
	p.Open(address + "/b")
	if got := p.Text("h1"); got != "B" {
		t.Errorf("with scripts off: %q", got)
	}
	if other := chrometest.New(t); other.Open(address+"/file") == 0 || other.Text("body") != "" {
		t.Errorf("another page shares cookies: %q", other.Text("body"))
	}
	path := filepath.Join(t.TempDir(), "x.png")
	p.Size(320, 500)
	p.Picture(path)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if img, err := png.Decode(f); err != nil || img.Bounds().Dx() != 320 || img.Bounds().Dy() != 500 {
		t.Errorf("Picture: %v", err)
	}
}

func TestPasskeys(t *testing.T) {
	page := good
	address := serve(t, &page)
	p := chrometest.New(t)
	p.Open(address)
	keys := p.Passkeys()
	const create = `navigator.credentials.create({publicKey: {challenge: new Uint8Array(32), rp: {id: "localhost", name: "x"},
		user: {id: new Uint8Array(8), name: "a", displayName: "a"}, pubKeyCredParams: [{type: "public-key", alg: -7}],
		authenticatorSelection: {residentKey: "required", userVerification: "required"}}}).then(c => c.type, e => e.name)`
	const get = `navigator.credentials.get({publicKey: {challenge: new Uint8Array(32), rpId: "localhost", userVerification: "required"}}).then(c => c.type, e => e.name)`
	if got := chrometest.Eval[string](p, create); got != "public-key" || keys.Count() != 1 {
		t.Fatalf("create: %s, %d passkeys", got, keys.Count())
	}
	if got := chrometest.Eval[string](p, get); got != "public-key" {
		t.Errorf("get: %s", got)
	}
	keys.KnowsUser(false)
	if got := chrometest.Eval[string](p, get); got != "NotAllowedError" {
		t.Errorf("get by a stranger: %s", got)
	}
	q := chrometest.New(t)
	q.Open(address)
	keys.CopyTo(q.Passkeys())
	if got := chrometest.Eval[string](q, get); got != "public-key" {
		t.Errorf("get by the copy: %s", got)
	}
}
