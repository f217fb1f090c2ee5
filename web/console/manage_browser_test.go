package console_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/figures"
	"github.com/sanad-id/sanad/internal/chrometest"
	"github.com/sanad-id/sanad/internal/officetest"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/web/console"
)

// TestManagersPagesInBrowser judges what administrators see.
func TestManagersPagesInBrowser(t *testing.T) {
	p := chrometest.New(t)
	set, tell := newFront(t)
	m := newManaged(t, set)
	tell(m.s.bed)
	m.s.office.Issue("farmer-card", 1)
	m.s.office.Publish()
	m.counts = []figures.Count{{Day: "2026-11-20", Office: "north", Programme: "farmer-card", What: figures.Issued, N: 3}}
	op := m.s.person("north", staff.Administrator)
	admin := m.s.browserOf(op)
	programme := admin.post("/programmes/propose", "text", officetest.CardTwo()).to()
	key := admin.post("/keys/propose", "purpose", "credential").to()
	stolen := admin.post("/keys/stolen", "key", m.keyIn(t, keys.Active), "since", "2026-11-20").to()
	m.s.signInAt(p, op)
	for _, path := range []string{
		"/overview", "/overview/report", "/programmes", "/programmes/new", "/programmes/farmer-card", "/programmes/farmer-card/change", "/sources", "/trust", "/keys", "/keys/stolen", programme, key, stolen,
	} {
		m.s.judge(p, path, strings.TrimPrefix(path, console.Base), http.StatusOK)
	}
}
