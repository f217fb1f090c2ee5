package console_test

import (
	"net/http"
	"testing"

	"github.com/sanad-id/sanad/internal/chrometest"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/staff"
)

// TestPasskeyInBrowser goes from an invitation to signing in again with the virtual
// authenticator of a real browser, by keyboard.
func TestPasskeyInBrowser(t *testing.T) {
	b := newBrowserBed(t)
	p := chrometest.New(t)
	keys := p.Passkeys()
	en := i18n.For("en")
	_, secret := b.invite("north", staff.InviteLink, staff.Clerk)
	path := "/invitation/" + secret

	b.judge(p, "invitation", path, http.StatusOK)
	p.Focus("input[name=name]")
	p.Type("Telephone")
	keys.KnowsUser(false)
	p.Press(chrometest.Enter)
	p.Wait("[data-passkey-error]:not([hidden])")
	p.Check("cancelled passkey", en)
	keys.KnowsUser(true)
	p.Focus("input[name=name]")
	p.PressAndFollow(chrometest.Enter)
	p.Wait("#passkeys")
	if keys.Count() != 1 {
		t.Fatalf("%d passkeys", keys.Count())
	}
	b.judge(p, "account", "/account", http.StatusOK)

	// Out and in again; the link is spent.
	p.Focus("details:nth-of-type(2) > summary")
	p.PressAndWait(chrometest.Enter, "details[open]")
	p.Focus(`form[action="/console/sign-out"] button`)
	p.PressAndFollow(chrometest.Enter)
	b.judge(p, "sign in", "/sign-in?next=/console/account", http.StatusOK)
	b.judge(p, "link that is spent", path, http.StatusNotFound)
	p.Language("en")
	p.Open(b.front + "/sign-in?next=/console/account")
	p.Focus("main button")
	p.PressAndFollow(chrometest.Space)
	if p.URL().Path != "/console/account" {
		t.Fatalf("after signing in the page is %s", p.URL())
	}
}
