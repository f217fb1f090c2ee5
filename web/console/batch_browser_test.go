package console_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/batchwork"
	"github.com/sanad-id/sanad/internal/chrometest"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/staff"
)

// TestBatchInBrowser has two people issue for a list: one uploads it, reads what is
// wrong with it and asks, the other agrees, by keyboard and with scripts off; the first
// sees how far it is while it runs.
func TestBatchInBrowser(t *testing.T) {
	clerk := chrometest.New(t)
	set, tell := newFront(t)
	s := newShop(t, set)
	tell(s.bed)
	s.start()
	person, head := s.person("north", staff.Clerk), s.person("north", staff.Head)
	s.signInAt(clerk, person)
	en := i18n.For("en")

	s.judge(clerk, "no batches", "/batches", http.StatusOK)
	s.judge(clerk, "new batch", "/batches/new", http.StatusOK)
	clerk.Focus("main form button")
	clerk.PressAndFollow(chrometest.Enter)
	clerk.Check("a batch of nothing", en)
	if clerk.Text(".summary h2") != en.Text("console.form.summary", nil) || !strings.HasPrefix(chrometest.Eval[string](clerk, "document.title"), en.Text("console.error_prefix", nil)) {
		t.Error("the page of a form with mistakes does not say so")
	}

	useless := s.begin(s.browserOf(person), strings.Replace(farmers(3, "N1"), "id,", "number,", 1))
	s.await(useless, batchwork.Unusable)
	s.judge(clerk, "batch that cannot be used", "/batches/"+useless, http.StatusOK)
	clerk.Open(s.front + "/batches/new")

	list := filepath.Join(t.TempDir(), "farmers.csv")
	if err := os.WriteFile(list, []byte(farmers(100, "N1", 7, 33)), 0o600); err != nil {
		t.Fatal(err)
	}
	clerk.Scripts(false)
	clerk.Open(s.front + "/batches/new")
	clerk.Choose("#f-programme", "farmer-card")
	clerk.Upload("#f-file", list)
	clerk.Focus("main form button")
	clerk.PressAndFollow(chrometest.Enter)
	path := strings.TrimPrefix(clerk.URL().Path, "/console")
	id := filepath.Base(path)
	s.await(id, batchwork.Checked)
	clerk.Open(s.front + path)
	clerk.Focus(fmt.Sprintf(`form[action="/console%s/propose"] button`, path))
	clerk.PressAndFollow(chrometest.Enter)
	clerk.Scripts(true)
	s.judge(clerk, "batch that waits", path, http.StatusOK)

	second := chrometest.New(t)
	s.signInAt(second, head)
	s.judge(second, "batch to agree to", path, http.StatusOK)
	clerk.Open(s.front + path)
	second.Scripts(false)
	second.Open(s.front + path)
	second.Focus(fmt.Sprintf(`form[action="/console%s/approve"] button`, path))
	second.PressAndFollow(chrometest.Enter)

	// Progress comes by itself, and so does the end of it.
	clerk.Open(s.front + path)
	// The batch is small and may have ended before anybody looks.
	before := chrometest.Eval[string](clerk, `document.querySelector('[data-live] [data-field="text"]')?.innerText ?? ""`)
	clerk.Until("progress", `document.querySelector('[data-live] [data-field="text"]')?.innerText !== `+fmt.Sprintf("%q", before))
	clerk.Until("the end", fmt.Sprintf(`document.querySelector('a[href="/console%s/manifest.csv"]') !== null && document.querySelector("[data-live]") === null`, path))
	clerk.Focus(fmt.Sprintf(`form[action="/console%s/print"] button`, path))
	clerk.PressAndFollow(chrometest.Enter)
	clerk.Until("the print", fmt.Sprintf(`document.querySelector('a[href="/console%s/certificates.pdf"]') !== null && document.querySelector("[data-live]") === null`, path))
	s.judge(clerk, "batch with its print", path, http.StatusOK)
	s.judge(clerk, "batches", "/batches", http.StatusOK)
	if res, b := clerk.Fetch("/console" + path + "/manifest.csv"); res.StatusCode != http.StatusOK || strings.Count(string(b), "\n") < 100 {
		t.Errorf("the manifest: %d, %d lines", res.StatusCode, strings.Count(string(b), "\n"))
	}
}

// TestRevocationInBrowser has two people revoke by list, the second with scripts off.
func TestRevocationInBrowser(t *testing.T) {
	clerk := chrometest.New(t)
	set, tell := newFront(t)
	s := newShop(t, set)
	tell(s.bed)
	s.start()
	s.registerOf(farmers(5, "N1"))
	person, head := s.person("north", staff.Clerk), s.person("north", staff.Head)
	s.issue(s.browserOf(person), s.browserOf(head), farmers(5, "N1"))
	s.signInAt(clerk, person)
	s.judge(clerk, "revocation form", "/revocations/new", http.StatusOK)
	list := filepath.Join(t.TempDir(), "lost.csv")
	if err := os.WriteFile(list, []byte(strings.Join(append(s.ids()[:3], "NOSUCH"), "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	clerk.Upload("#f-file", list)
	clerk.Focus("#f-reason") // the first of them
	clerk.Press(chrometest.Space)
	clerk.Focus("main form button")
	clerk.PressAndFollow(chrometest.Enter)
	path := strings.TrimPrefix(clerk.URL().Path, "/console")
	s.await(filepath.Base(path), batchwork.Checked)
	clerk.Open(s.front + path)
	clerk.Focus(fmt.Sprintf(`form[action="/console%s/propose"] button`, path))
	clerk.PressAndFollow(chrometest.Enter)

	second := chrometest.New(t)
	s.signInAt(second, head)
	second.Scripts(false)
	second.Open(s.front + path)
	second.Focus(fmt.Sprintf(`form[action="/console%s/approve"] button`, path))
	second.PressAndFollow(chrometest.Enter)
	second.Scripts(true)
	s.judge(second, "revocation that waits", path, http.StatusOK)
	second.Open(s.front + path)
	second.Focus(fmt.Sprintf(`form[action="/console%s/now"] button`, path))
	second.PressAndFollow(chrometest.Enter)
	s.await(filepath.Base(path), batchwork.Finished)
	s.judge(clerk, "revocations", "/revocations", http.StatusOK)
	if j := s.job(filepath.Base(path)); j.Done.Good != 3 || j.Dry.Faulty != 1 {
		t.Errorf("%+v are revoked, want 3", j.Done)
	}
}
