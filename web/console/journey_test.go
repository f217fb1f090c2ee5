package console_test

import (
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/chrometest"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/staff"
)

// A person works at an office's console, in a browser with a passkey.
type person struct {
	*office
	*chrometest.Page
	name string
	// pages and presses are how many pages were loaded, and how often a link, a button or
	// the passkey was used, on the way; looking at a page again to judge it does not count.
	pages, presses int
}

// join has somebody open an invitation, made on the command line, and register a
// passkey. From then on the person works without scripts.
func (o *office) join(name, at string, roles ...staff.Role) *person {
	o.Helper()
	args := []string{"staff", "invite", "--dir", o.dir, "--name", name, "--office", at}
	for _, r := range roles {
		args = append(args, "--role", string(r))
	}
	link := strings.TrimSpace(o.run("issuer", args...))
	p := &person{office: o, Page: chrometest.New(o.T), name: name}
	p.Passkeys()
	if status := p.Page.Open(link); status != http.StatusOK {
		o.Fatalf("the invitation of %s: %d", name, status)
	}
	p.Page.Focus("input[name=name]")
	p.Type("office computer")
	p.PressAndFollow(chrometest.Enter)
	p.Page.Wait("#passkeys")
	p.Scripts(false)
	return p
}

// open goes to a page of the console.
func (p *person) open(path string) int {
	p.Helper()
	return p.Page.Open(p.url + "/console" + path)
}

// at is where the person is, below the console.
func (p *person) at() string {
	p.Helper()
	return strings.TrimPrefix(p.Page.URL().Path, "/console")
}

// do presses a button or follows a link by keyboard. If the passkey is asked for again
// it is used, with scripts on, and what was asked for happens.
func (p *person) do(selector string) {
	p.Helper()
	p.Page.Focus(selector)
	p.PressAndFollow(chrometest.Enter)
	p.pages, p.presses = p.pages+1, p.presses+1
	const again = `form[data-then="submit"]`
	if !p.Has(again) {
		return
	}
	// The question stands on a page that knows what was typed. Its script begins with
	// the page, so that it is asked for once more.
	p.Scripts(true)
	p.Back()
	p.Page.Focus(selector)
	p.PressAndFollow(chrometest.Enter)
	p.Page.Focus(again + " button")
	p.PressAndFollow(chrometest.Enter)
	p.pages, p.presses = p.pages+2, p.presses+2 // the button, and the device
	p.Scripts(false)
}

// judge looks at the page that stands at a path, as this person sees it. The same pages
// are judged in full by the tests of each part.
func (p *person) judge(route, path string) {
	p.Helper()
	folder, tags := os.Getenv("SANAD_SCREENSHOTS"), []string{"ar", "en"}
	if folder != "" || count(0, 1) == 1 {
		tags = []string{"bn", "ar", "en"}
	}
	for _, tag := range tags {
		l := i18n.For(tag)
		p.Language(tag)
		if status := p.open(path); status != http.StatusOK {
			p.Errorf("%s (%s): %d", route, tag, status)
			continue
		}
		p.Glance(route, l)
		if folder != "" {
			p.Size(1000, 760)
			p.Picture(filepath.Join(folder, strings.ReplaceAll(route, "_", "-")+"-"+tag+".png"))
		}
	}
	p.Size(1280, 800)
}

// TestJourney is a day at an office, with the programs themselves: people join by
// passkey; a record is found, looked at, asked for, agreed to by somebody else, issued,
// printed, offered to a wallet that takes it, and revoked; what a verifier says changes.
// All by keyboard, and with scripts off but for passkeys. On the way the main
// pages are judged.
func TestJourney(t *testing.T) {
	chrometest.New(t) // skips where there is no browser
	o := newOffice(t)
	clerk := o.join("Nasrin Ahmed", "north", staff.Clerk)
	head := o.join("عمر الفاروق", "north", staff.Head)
	other := o.join("Sharmin Mia", "south", staff.Clerk, staff.Approver)

	// Find.
	clerk.judge("home", "/")
	clerk.judge("queues", "/queues")
	clerk.judge("search", "/search")
	begun := time.Now() // what is judged on the way counts, too
	clerk.pages, clerk.presses, head.pages, head.presses = 1, 1, 0, 0
	clerk.Page.Focus("#f-text")
	clerk.Type("mahbub aktar") // not as in the register
	clerk.PressAndFollow(chrometest.Enter)
	clerk.pages, clerk.presses = clerk.pages+1, clerk.presses+1
	if !strings.Contains(clerk.Text("main"), "মাহবুব") {
		t.Errorf("the search does not find the record: %s", clerk.Text("main"))
	}
	if text := clerk.Text("main table"); !regexp.MustCompile(`\d (January|February|March|April|May|June|July|August|September|October|November|December) \d{4}`).MatchString(text) ||
		regexp.MustCompile(`\d{4}-\d\d-\d\d`).MatchString(text) || strings.Contains(text, "·") {
		t.Errorf("dates or names are not as people write them: %s", text)
	}
	clerk.do(`main table a`)
	record := clerk.at()

	// Look at it, and ask for it. Another office has no such record.
	clerk.judge("record", record)
	// A code that no list has a name for is called as the programme says, here, on paper
	// and by verifiers.
	named := func(text string) bool {
		return strings.Contains(strings.ReplaceAll(text, "Registry of Kestara", ""), "Kestara") && !regexp.MustCompile(`\bXA(\s|$)`).MatchString(text)
	}
	if text := clerk.Text("main"); !named(text) {
		t.Errorf("the record shows the country as a code: %s", text)
	}
	if status := other.open(record); status != http.StatusNotFound {
		t.Errorf("another office gets %d for a record of this one", status)
	}
	clerk.do(`form[action$="/ask"] button[type=submit]`)
	item := clerk.at()
	clerk.judge("item", item)
	if status := other.open(item); status != http.StatusNotFound {
		t.Errorf("another office gets %d for an item of this one", status)
	}

	// Agree.
	head.judge("queue", "/queues/approve")
	head.do(`main table a`)
	if head.at() != item {
		t.Errorf("the queue leads to %s, want %s", head.at(), item)
	}
	head.judge("item", item)
	head.do(`form[action$="/approve"] button`)
	clerk.open(item)
	if clerk.Has(`form[action$="/issue"]`) {
		clerk.do(`form[action$="/issue"] button`)
		clerk.open(item)
	}

	// Print and hand over.
	clerk.judge("item", item)
	fingerprint := o.publish()
	res, pdf := clerk.Fetch("/console" + item + "/print.pdf")
	if res.StatusCode != http.StatusOK || !strings.HasPrefix(string(pdf), "%PDF-") {
		t.Fatalf("print: %d %.100q", res.StatusCode, pdf)
	}
	code := o.picture(pdf)
	if status, out, talk := o.try("verifier", "check", "--trust", o.trust(), code); status != 0 || !named(out) {
		t.Errorf("the print is checked with status %d\n%s%s", status, out, talk)
	}
	if text, err := exec.Command("pdftotext", strings.TrimSuffix(code, ".png")+".pdf", "-").CombinedOutput(); err != nil || !named(string(text)) {
		t.Errorf("the print does not name the country: %v\n%s", err, text)
	}
	clerk.do(`form[action$="/offer"] button`)
	t.Logf("from the search to the certificate and the offer: clerk %d pages and %d presses, head %d and %d; %.0f s with %d pages judged on the way",
		clerk.pages+2, clerk.presses+2, head.pages+1, head.presses+1, time.Since(begun).Seconds(), 3*5)
	o.accept(fingerprint, clerk.Text("main code"), clerk.Text(".figure.code"))

	clerk.open(item)
	clerk.do(`form[action$="/printed"] button`)

	// Revoke; the head does not let it wait.
	clerk.open(record)
	clerk.do(`a[href$="/revoke"]`)
	clerk.judge("change_revoke", clerk.at())
	clerk.Page.Focus(`input[name=reason]`)
	clerk.Press(chrometest.Space)
	clerk.do(`form button.danger`)
	clerk.judge("item", clerk.at())
	head.open(clerk.at())
	head.do(`form[action$="/now"] button`)
	o.publish()
	if status, out, talk := o.try("verifier", "check", "--trust", o.trust(), code); status != 20 {
		t.Errorf("after the revocation the print is checked with status %d, want 20\n%s%s", status, out, talk)
	}
	clerk.judge("record", record)

	// All of it stands in the audit log, in order.
	log := filepath.Join(t.TempDir(), "log")
	o.run("issuer", "audit", "export", "--dir", o.dir, "--out", log)
	o.run("issuer", "audit", "verify", log)
}

// publish brings the public's data up to date and returns the fingerprint of their root.
func (o *office) publish() string {
	o.Helper()
	out := o.run("issuer", "trust", "export", "--dir", o.dir, "--out", o.trust())
	m := regexp.MustCompile(`(?m)^root fingerprint *(.*)$`).FindStringSubmatch(out)
	if m == nil {
		o.Fatalf("no fingerprint in %s", out)
	}
	return m[1]
}

func (o *office) trust() string { return filepath.Join(filepath.Dir(o.dir), "office.trust") }

// picture is the first page of a print above the strip, as a scanner reads it.
func (o *office) picture(pdf []byte) string {
	o.Helper()
	path := filepath.Join(o.TempDir(), "print")
	if err := os.WriteFile(path+".pdf", pdf, 0o600); err != nil {
		o.Fatal(err)
	}
	out, err := exec.Command("pdftoppm", "-r", "200", "-x", "0", "-y", "0", "-W", "1654", "-H", "1740", "-png", "-singlefile", path+".pdf", path).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		o.Skip("pdftoppm is not installed; scripts/setup-test.sh does it")
	} else if err != nil {
		o.Fatalf("pdftoppm: %v\n%s", err, out)
	}
	return path + ".png"
}

// accept has a wallet take an offer.
func (o *office) accept(fingerprint, link, code string) {
	o.Helper()
	dir := o.TempDir()
	for name, text := range map[string]string{"pass": "a passphrase for tests\n", "code": code + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			o.Fatal(err)
		}
	}
	wallet := func(args ...string) {
		o.Helper()
		o.run("wallet-cli", append([]string{"--dir", filepath.Join(dir, "phone"), "--passphrase-file", filepath.Join(dir, "pass"), "--dev-http"}, args...)...)
	}
	wallet("init")
	wallet("trust", "import", "--fingerprint", fingerprint, o.trust())
	wallet("accept", "--yes", "--tx-code-file", filepath.Join(dir, "code"), link)
}
