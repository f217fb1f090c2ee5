package verifier_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/api/verifier"
	"github.com/sanad-id/sanad/internal/chrometest"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/keys/chain"
)

func newContext(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithCancel(t.Context())
}

// TestStatus: the page says the same to people and to programs, and no more than
// everybody may know.
func TestStatus(t *testing.T) {
	s := newScene(t)
	s.sources = []verifier.Source{
		{Address: "https://secret.office.lan/office.trust?key=CANARY", Tried: now, Succeeded: asOf, Outcome: "no_answer"},
		{Address: "https://mirror.example/x", Outcome: "updated", Tried: now, Succeeded: now},
	}
	s.clock.Add(int64(6 * 24 * time.Hour))
	g := s.call(t, "GET", "/status", "", nil, "Accept", "application/json")
	st := decode[verifier.Status](t, g.body)
	if g.status != http.StatusOK || st.Level != verifier.LevelDue || st.Bundle == nil || st.Bundle.Version != 1 || st.Release != "v1.2.3" ||
		len(st.Updates) != 2 || st.Updates[0].Outcome != "no_answer" || st.Updates[1].Source != 2 {
		t.Errorf("%d %s", g.status, g.body)
	}
	levels := map[string]verifier.Level{}
	for _, f := range st.Items {
		levels[f.What+" "+f.Subject] = f.Level
	}
	for what, want := range map[string]verifier.Level{"bundle ": "fresh", "root ": "fresh", "lists " + farmer: "due", "lists " + diploma: "due", "keys " + ministry: "fresh", "certificate ": "fresh"} {
		if levels[what] != want {
			t.Errorf("%s is %q, want %q", what, levels[what], want)
		}
	}
	for _, accept := range []string{"", "*/*", "text/html,application/xhtml+xml,*/*;q=0.8", "text/html, application/json"} {
		g := s.call(t, "GET", "/status?lang=fr", "", nil, "Accept", accept)
		body := string(g.body)
		if g.status != http.StatusOK || g.header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(body, "Une mise à jour est en retard.") ||
			!strings.Contains(body, "Farmer card") || !strings.Contains(body, "Pas de réponse") {
			t.Errorf("Accept %q: %d %.3000s", accept, g.status, body)
		}
		for _, canary := range []string{"CANARY", "office.lan", "mirror.example", s.path} {
			if strings.Contains(body, canary) {
				t.Errorf("the page says %s", canary)
			}
		}
	}
	for _, path := range []string{"/status?x=1", "/status?lang=en&x=1", "/status?lang="} {
		if g := s.call(t, "GET", path, "", nil); g.status != http.StatusBadRequest {
			t.Errorf("%s: %d", path, g.status)
		}
	}
	// Without a bundle the page says so, and not where it was looked for.
	s.bundle.Store(nil)
	s.problem = "no trust bundle was imported; `verifier --dir /srv/CANARY trust import FILE` does it"
	g = s.call(t, "GET", "/status?lang=en", "", nil)
	if g.status != http.StatusOK || !strings.Contains(string(g.body), "Something is missing") || strings.Contains(string(g.body), "CANARY") {
		t.Errorf("without a bundle: %d %.2000s", g.status, g.body)
	}
}

// TestStatusOfRoots: everybody sees under which roots issuers are known and until when, and the
// operator is told before one ends.
func TestStatusOfRoots(t *testing.T) {
	p := newStranger(t)
	s := p.scene()
	root := func() (f verifier.Freshness) {
		t.Helper()
		g := s.call(t, "GET", "/status", "", nil, "Accept", "application/json")
		for _, f := range decode[verifier.Status](t, g.body).Items {
			if f.What == verifier.OfIssuerRoot {
				return f
			}
		}
		t.Fatalf("no root: %s", g.body)
		return f
	}
	if f := root(); f.Subject != chain.Hash(p.root.Raw) || f.Names["en"] != rootName || !f.Old.Equal(p.root.NotAfter) || !f.AsOf.Equal(p.root.NotBefore) || f.Level != verifier.LevelFresh {
		t.Errorf("%+v", f)
	}
	if g := s.call(t, "GET", "/status?lang=fr", "", nil); !strings.Contains(string(g.body), "Autorité au-dessus d&#39;autres émetteurs : "+rootName) || !strings.Contains(string(g.body), chain.Hash(p.root.Raw)) {
		t.Errorf("the page: %s", g.body)
	}
	s.clock.Store(int64(p.root.NotAfter.Sub(now) - 29*24*time.Hour))
	s.service.LookAround(t.Context())
	if f := root(); f.Level != verifier.LevelSoon || !slices.Contains(s.service.Degraded(), "issuer_root soon") || !strings.Contains(s.log.String(), `"name":"`+rootName+`"`) {
		t.Errorf("%+v, degraded %q, log %s", f, s.service.Degraded(), s.log)
	}
}

// TestStatusInWords: every outcome and level has a sentence in every language, also on a
// terminal.
func TestStatusInWords(t *testing.T) {
	var sources []verifier.Source
	for _, o := range verifier.UpdateOutcomes() {
		sources = append(sources, verifier.Source{Outcome: o, Tried: now})
	}
	b, p := newCountry(t).open(t), newStranger(t)
	for _, l := range i18n.Languages() {
		for _, level := range verifier.Levels() {
			for _, key := range []string{"status.level.", "status.says."} {
				if !i18n.Has(key + string(level)) {
					t.Errorf("there is no sentence %s%s", key, level)
				}
			}
		}
		text := strings.Join(verifier.StatusOf(b, []verifier.IssuerRoot{p.settings}, nil, sources, "v1", now).Lines(l), "\n")
		if name := l.Text("status.what.issuer_root", map[string]string{"name": rootName}); !strings.Contains(text, name) || !strings.Contains(text, "SHA-256: "+chain.Hash(p.root.Raw)) {
			t.Errorf("%s: the status does not name the root: %s", l, text)
		}
		if strings.Contains(text, "status.") || strings.Count(text, "\n") < 40 {
			t.Errorf("%s:\n%s", l, text)
		}
	}
}

// TestStatusInBrowser judges the page in each language, and looks at it with scripts off.
func TestStatusInBrowser(t *testing.T) {
	page := chrometest.New(t)
	s := newStranger(t).scene()
	s.sources = []verifier.Source{{Tried: now, Succeeded: asOf, Outcome: "no_answer"}, {Outcome: "updated", Tried: now, Succeeded: now}}
	s.clock.Add(int64(6 * 24 * time.Hour))
	for _, l := range i18n.Languages() {
		page.Open(s.server.URL() + "/status?lang=" + l.Tag())
		check := page.Glance
		if l.Tag() == "en" || l.Tag() == "ar" {
			check = page.Check
		}
		check("status", l)
	}
	page.Scripts(false)
	page.Open(s.server.URL() + "/status?lang=en")
	if got, want := page.Text(".says"), i18n.For("en").Text("status.says.due", nil); got != want {
		t.Errorf("without scripts the page says %q, want %q", got, want)
	}
}
