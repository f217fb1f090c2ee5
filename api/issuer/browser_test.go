package issuer_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/api/issuer"
	"github.com/sanad-id/sanad/internal/chrometest"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/oid4vci"
)

// TestPagesInBrowser judges what a person sees who collects a credential by claim
// code, in each language, and goes through it by keyboard with scripts off.
func TestPagesInBrowser(t *testing.T) {
	page := chrometest.New(t)
	p := newProvider(t)
	b := newBed(t, engines[0], p.login)
	p.bed = b
	// open goes to the login page as a wallet sends its user there.
	open := func() *issuer.OfferMade {
		t.Helper()
		made := b.offer(1, func(r *issuer.OfferRequest) { r.ClaimCode = true })
		w := b.wallet()
		state := w.accept(made.Link).AuthorizationCode.IssuerState
		z, _ := w.push(func(r *oid4vci.AuthorizationRequest) { r.IssuerState = state })
		to, err := oid4vci.AuthorizationURL(b.url+"/oauth/authorize", z.id, z.requestURI)
		b.must(err)
		page.Open(to)
		if !strings.Contains(page.URL().Path, "/oauth/login/") {
			t.Fatalf("the login page is %s", page.URL())
		}
		return made
	}
	for _, l := range i18n.Languages() {
		page.Language(l.Tag())
		check := page.Glance
		if l.Tag() == "en" || l.Tag() == "ar" {
			check = page.Check
		}
		open()
		check("login", l)
		page.Fill("#code", "ACDE-FGHJ-KMNP")
		page.Follow("button")
		if got, want := page.Text("[role=alert]"), l.Text("login.wrong", nil); got != want {
			t.Errorf("%s: a wrong code: %q, want %q", l, got, want)
		}
		check("wrong code", l)
		page.Open(b.url + "/oauth/login/no-such-login")
		check("over", l)
	}

	page.Scripts(false)
	made := open()
	page.Press(chrometest.Tab) // from the field, which has the focus, and back
	page.Focus("#code")
	page.Type(made.ClaimCode)
	page.PressAndFollow(chrometest.Enter)
	if i := slices.IndexFunc(page.Requests(), func(s string) bool { return strings.HasPrefix(s, back) }); i < 0 {
		t.Errorf("the browser does not go back to the wallet: it asked for %q", page.Requests())
	} else if u, err := url.Parse(page.Requests()[i]); err != nil || u.Query().Get("code") == "" {
		t.Errorf("it brings the wallet no code: %s", page.Requests()[i])
	}
}
