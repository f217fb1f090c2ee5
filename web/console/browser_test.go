package console_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/internal/chrometest"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/web/console"
)

// newFront is an address that a real browser can use, known before the console is
// made. The first function goes into its settings, the second is told the bed.
func newFront(t *testing.T) (func(*console.Config), func(*bed)) {
	t.Helper()
	var b *bed
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to, err := url.Parse(b.url)
		if err != nil {
			t.Error(err)
		}
		(&httputil.ReverseProxy{
			FlushInterval: -1, Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(to); p.Out.Host = p.In.Host },
			ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
		}).ServeHTTP(w, r)
	}))
	t.Cleanup(front.CloseClientConnections)
	t.Cleanup(front.Close)
	origin := strings.Replace(front.URL, "127.0.0.1", "localhost", 1)
	return func(c *console.Config) { c.Origin = origin }, func(made *bed) {
		b = made
		b.front = origin + console.Base
	}
}

// newBrowserBed is newBed at an address that a real browser can use.
func newBrowserBed(t *testing.T, change ...func(*console.Config)) *bed {
	t.Helper()
	set, tell := newFront(t)
	b := newBed(t, append(change, set)...)
	tell(b)
	return b
}

// page is a real browser in which a new operator of the north is signed in, or nobody
// if there are no roles.
func (b *bed) page(roles ...staff.Role) *chrometest.Page {
	b.t.Helper()
	p := chrometest.New(b.t)
	if len(roles) > 0 {
		b.signInAt(p, b.person("north", roles...))
	}
	return p
}

// signInAt signs an operator in, in a real browser.
func (b *bed) signInAt(p *chrometest.Page, op staff.Operator) {
	b.t.Helper()
	cookie, err := b.SignIn(op, b.clock())
	if err != nil {
		b.t.Fatal(err)
	}
	p.Cookie(b.front+"/", cookie)
}

// judge opens a page and judges it: in full in English and in Arabic, and at night at a
// glance in a script of its own height and in a language of long words. It leaves the page
// open in English, with the focus wherever the keyboard ended.
func (b *bed) judge(p *chrometest.Page, name, path string, status int) {
	b.t.Helper()
	judged.Lock()
	judged.paths = append(judged.paths, console.Base+strings.SplitN(path, "?", 2)[0])
	judged.Unlock()
	tags := []string{"ar", "en"} // whoever goes on reads English
	if os.Getenv("SANAD_SOAK") == "1" || path == "/" {
		tags = []string{"bn", "fr", "ar", "en"}
	}
	for _, tag := range tags {
		l := i18n.For(tag)
		p.Language(tag)
		if got := p.Open(b.front + path); got != status {
			b.t.Errorf("%s: %d, want %d", name, got, status)
		}
		if tag == "en" || tag == "ar" {
			p.Check(name, l)
		} else {
			p.Glance(name, l)
		}
	}
}

func TestFrameInBrowser(t *testing.T) {
	b := newBrowserBed(t)
	p := b.page(staff.Clerk)
	b.judge(p, "home", "/", http.StatusOK)
	b.judge(p, "not found", "/no/such/page", http.StatusNotFound)
	b.judge(b.page(), "help", "/help", http.StatusOK)

	// The menus work without script, by keyboard.
	p.Scripts(false)
	p.Language("en")
	p.Open(b.front + "/help")
	p.Focus("summary")
	p.PressAndWait(chrometest.Enter, "details[open]")
	p.Focus(`button[value="ar"]`)
	p.PressAndFollow(chrometest.Enter)
	if got := p.Attribute("html", "dir"); got != "rtl" || p.URL().Path != "/console/help" {
		t.Errorf("after the choice of Arabic the page runs %s at %s", got, p.URL().Path)
	}
	p.Size(320, 800)
	p.Focus(".skip")
	p.Press(chrometest.Enter)
	if got := p.URL().Fragment; got != "main" {
		t.Errorf("the way past the navigation leads to %q", got)
	}
}
