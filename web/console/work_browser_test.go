package console_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/internal/chrometest"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/staff"
)

// do presses a button or follows a link by keyboard.
func do(p *chrometest.Page, selector string) {
	p.Focus(selector)
	p.PressAndFollow(chrometest.Enter)
}

// TestWorkInBrowser is a day at the desk by keyboard and with scripts off: find, look,
// ask, agree as somebody else, hand over, revoke and undo. Every page of it is judged.
func TestWorkInBrowser(t *testing.T) {
	clerk, head := chrometest.New(t), chrometest.New(t)
	set, tell := newFront(t)
	b, d, _ := newWorkBedAt(t, set)
	tell(b)
	b.signInAt(clerk, b.person("north", staff.Clerk))
	b.signInAt(head, b.person("north", staff.Head))
	en, ar := i18n.For("en"), i18n.For("ar")
	// judge looks at the page at a path with scripts on, and leaves them off.
	judge := func(p *chrometest.Page, name, path string) {
		t.Helper()
		p.Scripts(true)
		b.judge(p, name, strings.TrimPrefix(path, "/console"), http.StatusOK)
		p.Scripts(false)
		p.Open(b.front + strings.TrimPrefix(path, "/console"))
	}

	judge(clerk, "queues", "/queues")
	judge(clerk, "empty queue", "/queues/problems")
	judge(clerk, "search", "/search")
	do(clerk, "main form button")
	if got := clerk.Text(".summary h2"); got != en.Text("console.form.summary", nil) {
		t.Errorf("a search for nothing: %q", got)
	}
	clerk.Focus("#f-text")
	clerk.Type("mohamed rahman")
	clerk.PressAndFollow(chrometest.Enter)
	clerk.Scripts(true)
	for _, tag := range []string{"en", "ar"} {
		// The answer to a form is judged where it stands: it has no address.
		clerk.Language(tag)
		clerk.Open(b.front + "/search")
		clerk.Fill("#f-text", "mohamed rahman")
		clerk.PressAndFollow(chrometest.Enter)
		clerk.Check("found", i18n.For(tag))
	}
	clerk.Language("en")
	clerk.Scripts(false)
	clerk.Open(b.front + "/search")
	clerk.Focus("#f-text")
	clerk.Type("mohamed rahman")
	clerk.PressAndFollow(chrometest.Enter)
	do(clerk, "main table a")
	record := clerk.URL().Path
	judge(clerk, "record", record)
	do(clerk, `form[action$="/ask"] button[type=submit]`)
	item := clerk.URL().Path
	judge(clerk, "item that waits", item)

	judge(head, "queue", "/queues/approve")
	do(head, "main table a")
	if head.URL().Path != item {
		t.Fatalf("the queue leads to %s, want %s", head.URL().Path, item)
	}
	judge(head, "item to agree to", item)
	do(head, `form[action$="/return"] button:not([formaction])`)
	if got := head.Text(".field .error"); !strings.Contains(got, en.Text("console.form.empty", nil)) {
		t.Errorf("sent back without a word: %q", got)
	}
	head.Open(b.front + strings.TrimPrefix(item, "/console"))
	do(head, `form[action$="/approve"] button`)
	judge(clerk, "item that is signed", item)
	judge(clerk, "print", item+"/print")
	judge(clerk, "print_view", item+"/print/view")
	judge(clerk, "print check", "/print-check")
	for _, l := range []i18n.Language{ar, en} {
		clerk.Scripts(true)
		clerk.Language(l.Tag())
		clerk.Open(b.front + strings.TrimPrefix(item, "/console"))
		do(clerk, `form[action$="/offer"] button`)
		clerk.Check("offer", l)
	}
	clerk.Scripts(false)
	clerk.Open(b.front + strings.TrimPrefix(item, "/console"))
	do(clerk, `form[action$="/printed"] button`)

	// Each change has its page; one is ordered, and taken back.
	judge(clerk, "record with a certificate", record)
	for _, kind := range []string{"suspend", "revoke"} {
		clerk.Open(b.front + strings.TrimPrefix(record, "/console"))
		do(clerk, `main a[href$="/`+kind+`"]`)
		judge(clerk, kind, clerk.URL().Path)
	}
	do(clerk, "main form button")
	if got := clerk.Text(".summary h2"); got != en.Text("console.form.summary", nil) {
		t.Errorf("revoked without a reason: %q", got)
	}
	clerk.Focus("input[name=reason]")
	clerk.Press(chrometest.Space)
	do(clerk, "main form button")
	change := clerk.URL().Path
	judge(clerk, "change that waits", change)
	do(clerk, `form[action$="/undo"] button`)
	clerk.Open(b.front + strings.TrimPrefix(record, "/console"))
	do(clerk, `main a[href$="/suspend"]`)
	clerk.Focus("input[name=reason]")
	clerk.Press(chrometest.Space)
	do(clerk, "main form button")
	head.Open(b.front + strings.TrimPrefix(clerk.URL().Path, "/console"))
	do(head, `form[action$="/now"] button`)
	head.Open(b.front + strings.TrimPrefix(record, "/console"))
	do(head, `main a[href$="/resume"]`)
	judge(head, "resume", head.URL().Path)
	judge(clerk, "record of which nothing can be made", "/records/"+d.Ref("births", "B-4"))
}
