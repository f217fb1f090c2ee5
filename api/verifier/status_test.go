package verifier_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/api/verifier"
	"github.com/sanad-id/sanad/internal/chrometest"
	"github.com/sanad-id/sanad/internal/i18n"
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

// TestStatusInWords: every outcome and level has a sentence in every language, also on a
// terminal.
func TestStatusInWords(t *testing.T) {
	var sources []verifier.Source
	for _, o := range verifier.UpdateOutcomes() {
		sources = append(sources, verifier.Source{Outcome: o, Tried: now})
	}
	b := newCountry(t).open(t)
	for _, l := range i18n.Languages() {
		for _, level := range verifier.Levels() {
			for _, key := range []string{"status.level.", "status.says."} {
				if !i18n.Has(key + string(level)) {
					t.Errorf("there is no sentence %s%s", key, level)
				}
			}
		}
		text := strings.Join(verifier.StatusOf(b, nil, sources, "v1", now).Lines(l), "\n")
		if strings.Contains(text, "status.") || strings.Count(text, "\n") < 40 {
			t.Errorf("%s:\n%s", l, text)
		}
	}
}

// TestStatusInBrowser judges the page in each language, and looks at it with scripts off.
func TestStatusInBrowser(t *testing.T) {
	page := chrometest.New(t)
	s := newScene(t)
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
