package console_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/staff"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestPagesOfTheFrame(t *testing.T) {
	b := newBed(t)
	w := b.as("north", staff.Clerk)
	for _, lang := range []struct{ tag, dir, hello string }{{"en", "ltr", "Hello"}, {"ar", "rtl", "مرحبًا"}, {"bn", "ltr", "স্বাগতম"}} {
		w.Header.Set("Accept-Language", lang.tag)
		a := w.get("/")
		if a.status != http.StatusOK {
			t.Fatalf("%s: status %d: %s", lang.tag, a.status, b.log)
		}
		for _, want := range []string{`lang="` + lang.tag + `" dir="` + lang.dir + `"`, lang.hello, "<bdi>Amina clerk</bdi>", `href="#main"`, `id="main"`} {
			if !strings.Contains(a.body, want) {
				t.Errorf("%s: the page lacks %q", lang.tag, want)
			}
		}
		if strings.Contains(a.body, "console.") && strings.Contains(a.body, ">console.") {
			t.Errorf("%s: a key without sentence is shown", lang.tag)
		}
	}
}

func TestWhoIsAskedForWhat(t *testing.T) {
	b := newBed(t)
	stranger := b.visitor()
	if a := stranger.get("/"); a.status != http.StatusSeeOther || a.to() != "/console/sign-in" {
		t.Errorf("a stranger gets %d to %q", a.status, a.to())
	}
	if a := stranger.get("/help"); a.status != http.StatusOK {
		t.Errorf("help for a stranger: %d", a.status)
	}
	if a := stranger.get("/no/such/page"); a.status != http.StatusNotFound || !strings.Contains(a.body, "<main") {
		t.Errorf("no such page: %d", a.status)
	}
	if a := stranger.get("/static/console.css"); a.status != http.StatusOK || a.header.Get("Content-Type") != "text/css; charset=utf-8" || len(a.body) > 20<<10 {
		t.Errorf("the style: %d, %d bytes", a.status, len(a.body))
	}
}

// TestSessionsEnd: each row ends a session that was good a moment before.
func TestSessionsEnd(t *testing.T) {
	tests := []struct {
		name string
		role staff.Role
		end  func(b *bed, w *browser)
	}{
		{"an approver does nothing for 15 minutes", staff.Approver, func(b *bed, _ *browser) { b.later(15 * time.Minute) }},
		{"a clerk does nothing for 30 minutes", staff.Clerk, func(b *bed, _ *browser) { b.later(30 * time.Minute) }},
		{"a clerk works for 12 hours", staff.Clerk, func(b *bed, w *browser) {
			for range 36 {
				b.later(20 * time.Minute)
				w.get("/")
			}
		}},
		{"suspended", staff.Clerk, func(b *bed, w *browser) {
			must(b.t, b.desk.SetStanding(b.t.Context(), w.Operator.ID, staff.Suspended))
		}},
		{"the rights changed", staff.Clerk, func(b *bed, w *browser) {
			must(b.t, b.desk.SetRoles(b.t.Context(), w.Operator.ID, "north", []staff.Role{staff.Approver}))
		}},
		{"the clock went back", staff.Clerk, func(b *bed, _ *browser) { b.later(-time.Hour) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBed(t)
			w := b.as("north", tt.role)
			b.later(14 * time.Minute)
			if a := w.get("/"); a.status != http.StatusOK {
				t.Fatalf("before: %d", a.status)
			}
			tt.end(b, w)
			if a := w.get("/"); a.status != http.StatusSeeOther {
				t.Errorf("afterwards the page is %d, want a redirect to the sign-in", a.status)
			}
		})
	}
}

// TestOtherWebsites: WA-10, a POST that another website made a browser send.
func TestOtherWebsites(t *testing.T) {
	tests := []struct {
		name   string
		header []string
		status int
	}{
		{"WA-10 another website", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, http.StatusForbidden},
		{"WA-10 another host of the same site", []string{"Sec-Fetch-Site", "same-site", "Origin", "http://other.localhost"}, http.StatusForbidden},
		{"WA-10 an old browser, another website", []string{"Sec-Fetch-Site", "", "Origin", "https://evil.example"}, http.StatusForbidden},
		{"WA-10 no word of where it comes from", []string{"Sec-Fetch-Site", "", "Origin", ""}, http.StatusForbidden},
		{"WA-10 a sandboxed frame", []string{"Sec-Fetch-Site", "", "Origin", "null"}, http.StatusForbidden},
		{"our own", []string{"Sec-Fetch-Site", "same-origin", "Origin", origin}, http.StatusSeeOther},
		{"our own, an old browser", []string{"Sec-Fetch-Site", "", "Origin", origin}, http.StatusSeeOther},
	}
	b := newBed(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := b.as("north", staff.Clerk)
			for i := 0; i < len(tt.header); i += 2 {
				w.Header[tt.header[i]] = nil
				if tt.header[i+1] != "" {
					w.Header.Set(tt.header[i], tt.header[i+1])
				}
			}
			a := w.post("/language", "lang", "bn", "back", "/console/")
			if a.status != tt.status {
				t.Errorf("status %d, want %d", a.status, tt.status)
			}
			if refused := w.cookie("sanad-language") == ""; refused != (tt.status == http.StatusForbidden) {
				t.Errorf("refused: %v", refused)
			}
		})
	}
}

func TestLanguageIsKept(t *testing.T) {
	w := newBed(t).as("north", staff.Clerk)
	for back, want := range map[string]string{
		"/console/people?x=1": "/console/people?x=1", "": "/console/", "https://evil.example/": "/console/", "//evil.example/": "/console/",
		"/console//evil.example": "/console/", "/console/\\evil": "/console/", "/console/../x": "/console/", "/other": "/console/", "/console/a\nb": "/console/",
	} {
		if a := w.post("/language", "lang", "sw", "back", back); a.to() != want {
			t.Errorf("WA-12 back to %q leads to %q, want %q", back, a.to(), want)
		}
	}
	if a := w.get("/"); !strings.Contains(a.body, `lang="sw"`) {
		t.Error("the language was not kept")
	}
}

func TestHeadersOfPages(t *testing.T) {
	w := newBed(t).as("north", staff.Clerk)
	h := w.get("/").header
	policy := h.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src http://localhost/console/static/;", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
		if !strings.Contains(policy+";", want) {
			t.Errorf("the policy lacks %q: %s", want, policy)
		}
	}
	if strings.Contains(policy, "unsafe") {
		t.Errorf("the policy is weak: %s", policy)
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin", "X-Content-Type-Options": "nosniff"} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestFaultsArePages(t *testing.T) {
	b := newBed(t)
	w := b.as("north", staff.Clerk)
	must(t, b.desk.Close())
	if a := w.get("/"); a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "Nothing was done") {
		t.Errorf("the desk is away: %d", a.status)
	}
	if a := w.get("/static/console.css"); a.status != http.StatusOK {
		t.Errorf("a static file while the sessions are away: %d", a.status)
	}
}

// TestOfficeOfItsName is about an issuer that is one office: its name stands in the
// heading once.
func TestOfficeOfItsName(t *testing.T) {
	b := newBed(t)
	for name, want := range map[string]int{"Civil Registry of Kestara": 0, "Head office": 1} {
		if err := b.desk.SaveOffice(t.Context(), staff.Office{ID: "main", Name: name}); err != nil {
			t.Fatal(err)
		}
		page := b.as("main", staff.Clerk).get("/")
		if got := strings.Count(page.body, `<span class="office">`); got != want {
			t.Errorf("%s: the heading names the office %d times beside the issuer, want %d", name, got, want)
		}
	}
}
