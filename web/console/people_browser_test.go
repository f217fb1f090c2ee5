package console_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/chrometest"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/web/console"
)

// TestPasskeyInBrowser goes from an invitation to signing in again with the virtual
// authenticator of a real browser, by keyboard; then to a second passkey on another
// device, and, when both are lost, to a link from two supervisors.
func TestPasskeyInBrowser(t *testing.T) {
	b := newBrowserBed(t)
	p := chrometest.New(t)
	keys := p.Passkeys()
	en := i18n.For("en")
	op, secret := b.invite("north", staff.InviteLink, staff.Clerk)
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

	// Another device becomes a second passkey, and signs in alone.
	keys.Lose()
	spare := p.Passkeys()
	p.Focus("input[name=name]")
	p.Type("Blue key")
	p.PressAndFollow(chrometest.Enter)
	p.Wait("#passkeys + table tbody tr:nth-child(2)")
	if all, err := b.desk.Passkeys(t.Context(), op.ID); err != nil || len(all) != 2 || spare.Count() != 1 {
		t.Fatalf("%d passkeys, %d of them on the second device, %v", len(all), spare.Count(), err)
	}
	b.later(time.Minute)
	p.Focus("details:nth-of-type(2) > summary")
	p.PressAndWait(chrometest.Enter, "details[open]")
	do(p, `form[action="/console/sign-out"] button`)
	p.Open(b.front + "/sign-in?next=/console/account")
	do(p, "main button")
	all, err := b.desk.Passkeys(t.Context(), op.ID)
	used := 0
	for _, k := range all {
		if (k.Name == "Blue key") != k.Used.Equal(b.clock()) {
			t.Errorf("%s was used at %s", k.Name, k.Used)
		}
		used++
	}
	if err != nil || used != 2 || p.URL().Path != "/console/account" {
		t.Fatalf("the second passkey signed nobody in: %s, %v", p.URL(), err)
	}

	// Both are lost: two supervisors give a link, and one of them alone does not.
	spare.Lose()
	first, second := b.page(staff.Head), b.page(staff.Head)
	first.Open(b.front + "/people/" + op.ID)
	do(first, `form[action$="/recover"] button`)
	at := first.URL().String()
	if first.Has(`form[action$="/approve"]`) || first.Has(`form[action$="/use"]`) {
		t.Error("P24 one supervisor alone can go on")
	}
	second.Open(at)
	do(second, `form[action$="/approve"] button`)
	first.Open(at)
	do(first, `form[action$="/use"] button`)
	last := p.Passkeys()
	p.Open(first.Text("main pre"))
	p.Focus("input[name=name]")
	p.Type("New phone")
	p.PressAndFollow(chrometest.Enter)
	p.Wait("#passkeys")
	if all, err = b.desk.Passkeys(t.Context(), op.ID); err != nil || len(all) != 1 || all[0].Name != "New phone" || last.Count() != 1 {
		t.Errorf("after the recovery there are %d passkeys, %v", len(all), err)
	}
}

// TestTwoAdministratorsInBrowser has two administrators invite a colleague and change an office, by
// keyboard and with scripts off.
func TestTwoAdministratorsInBrowser(t *testing.T) {
	b := newBrowserBed(t)
	first, second := b.page(staff.Administrator), b.page(staff.Administrator)
	b.judge(first, "restore card", "/account/restore-card", http.StatusOK)
	do(first, `form[action$="/restore-card"] button`)
	first.Check("restore card that was made", i18n.For("en"))
	if code, err := staff.ParseCardCode(first.Text("main pre")); err != nil || code.ID() == "" {
		t.Errorf("the code on the page: %v", err)
	}
	b.judge(first, "people", "/people", http.StatusOK)
	b.judge(first, "invite", "/people/new", http.StatusOK)
	b.judge(first, "person", "/people/"+b.person("north", staff.Clerk).ID, http.StatusOK)
	b.judge(first, "offices", "/offices", http.StatusOK)
	b.judge(first, "new office", "/offices/new", http.StatusOK)

	first.Scripts(false)
	second.Scripts(false)
	first.Open(b.front + "/people/new")
	first.Focus("#f-name")
	first.Type("رحيم Uddin")
	first.Choose("#f-office", "south")
	first.Focus("input[name=roles][value=clerk]")
	first.Press(chrometest.Space)
	do(first, "main form button")
	at := strings.TrimPrefix(first.URL().Path, console.Base)
	first.Scripts(true)
	b.judge(first, "proposal", at, http.StatusOK)
	first.Scripts(false)
	second.Open(b.front + at)
	do(second, `form[action$="/approve"] button`)
	first.Open(b.front + at)
	do(first, `form[action$="/use"] button`)
	if link := first.Text("main pre"); !strings.HasPrefix(link, b.front+"/invitation/") {
		t.Errorf("the link is %q", link)
	}

	first.Open(b.front + "/offices/new")
	first.Focus("#f-id")
	first.Type("west")
	first.Focus("#f-name")
	first.Type("Western office")
	do(first, "main form button")
	at = strings.TrimPrefix(first.URL().Path, console.Base)
	first.Scripts(true)
	b.judge(first, "proposal of an office", at, http.StatusOK)
}
