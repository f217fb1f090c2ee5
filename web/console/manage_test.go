package console_test

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanad-id/sanad/batchwork"
	"github.com/sanad-id/sanad/figures"
	"github.com/sanad-id/sanad/internal/officetest"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/registry/csvfile"
	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/web/console"
)

// managed is what the managers' pages rest on, over the shop's issuer.
type managed struct {
	s      *shop
	source string // path of a CSV file
	counts []figures.Count
	shown  atomic.Int32 // publications
}

func (m *managed) Sources() []console.SourceInfo {
	return []console.SourceInfo{{Name: "farmers", IDColumn: "id"}, {Name: "births", Database: true, Table: "birth", IDColumn: "no"}, {Name: "deaths", Database: true, Table: "death", IDColumn: "no"}}
}

func (m *managed) OpenSource(_ context.Context, name string, _ *programme.Programme) (batchwork.Table, error) {
	if name == "deaths" {
		return nil, &batchwork.SourceError{Why: batchwork.WrongSource, Err: fmt.Errorf(`no id column: "no"; "death" has "number"`)}
	}
	if name != "farmers" {
		return nil, fmt.Errorf("no source %q", name)
	}
	return csvfile.Open(m.source, csvfile.Options{IDColumn: "id"})
}

func (m *managed) Outlook(ctx context.Context, most int) (issuance.Outlook, error) {
	return m.s.office.Service.Outlook(ctx, most)
}

func (m *managed) Publish(context.Context, string) error {
	m.s.office.Publish()
	m.shown.Add(1)
	return nil
}

func (m *managed) Keys(ctx context.Context) ([]keys.Key, error) { return m.s.office.Keys.Keys(ctx) }

func (m *managed) PlanKey(ctx context.Context, p keys.Purpose, emergency bool) (keys.Rotation, error) {
	all, err := m.s.office.Keys.Keys(ctx)
	if err != nil {
		return keys.Rotation{}, err
	}
	return keys.PlanRotation(all, p, m.s.office.Clock.Now(), margin(emergency))
}

func (m *managed) RotateKey(ctx context.Context, p keys.Purpose, emergency bool, actor string) (keys.Rotation, error) {
	return m.s.office.Service.RotateKey(ctx, keys.Spec{Purpose: p}, margin(emergency), actor)
}

func (m *managed) CompromiseKey(ctx context.Context, id keys.ID, since time.Time, actor string) (keys.Key, error) {
	return m.s.office.Service.CompromiseKey(ctx, id, since, actor)
}

// margin is how long a new key waits.
func margin(emergency bool) time.Duration {
	if emergency {
		return 0
	}
	return time.Hour
}

func (m *managed) Figures(_ context.Context, from, to string) ([]figures.Count, error) {
	var some []figures.Count
	for _, c := range m.counts {
		if c.Day >= from && c.Day <= to {
			some = append(some, c)
		}
	}
	return some, nil
}

func newManaged(t *testing.T, change ...func(*console.Config)) *managed {
	t.Helper()
	m := &managed{source: filepath.Join(t.TempDir(), "farmers.csv")}
	if err := os.WriteFile(m.source, []byte(farmers(12, "N1", 3, 4)), 0o600); err != nil {
		t.Fatal(err)
	}
	m.s = newShop(t, append(change, func(c *console.Config) {
		c.Manage.Sources, c.Manage.Trust, c.Manage.Keys, c.Manage.Figures = m, m, m, m
	})...)
	return m
}

var anchor = regexp.MustCompile(`href="(/console/(?:programme|key)-changes/[^"]+)"`)

// TestProgrammeChangeNeedsTwo: a change is shown as what it changes, agreed by another
// person, and taken into use once.
func TestProgrammeChangeNeedsTwo(t *testing.T) {
	m := newManaged(t)
	admin, head := m.s.as("north", staff.Administrator), m.s.as("north", staff.Head)
	page := admin.get("/programmes/farmer-card")
	for _, want := range []string{"Farmer card", "version <bdi>1</bdi>", "urn:xa:farmer-wallet:1", `lang="en"`} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the page of a programme lacks %q", want)
		}
	}
	for _, tt := range []struct{ name, text, says string }{
		{"not a programme", "id: [", "The file has faults"},
		{"a fault in it", strings.Replace(officetest.CardTwo(), "type: text", "type: poem", 1), "The file has faults"},
		{"the same version", officetest.Card, "Raise the version to at least 2"},
	} {
		a := admin.post("/programmes/propose", "text", tt.text)
		if a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, tt.says) || !strings.Contains(a.body, "</textarea>") {
			t.Errorf("%s: %d, want what was typed and %q", tt.name, a.status, tt.says)
		}
	}
	a := admin.post("/programmes/propose", "text", officetest.CardTwo())
	if a.status != http.StatusSeeOther || !strings.HasPrefix(a.to(), "/console/programme-changes/") {
		t.Fatalf("propose: %d to %q\n%s", a.status, a.to(), a.body)
	}
	shown := head.get(a.to())
	for _, want := range []string{`class="added">&#43; version: 2`, `class="gone">- version: 1`, "Card of a farmer"} {
		if !strings.Contains(shown.body, want) {
			t.Errorf("what changes lacks %q", want)
		}
	}
	digest := shown.digest(t)
	for _, tt := range []struct {
		name   string
		w      *browser
		path   string
		digest string
		status int
	}{
		{"who asked agrees", admin, "/approve", digest, http.StatusForbidden},
		{"an auditor agrees", m.s.as("north", staff.Auditor), "/approve", digest, http.StatusForbidden},
		{"another office agrees", m.s.as("south", staff.Head), "/approve", digest, http.StatusNotFound},
		{"to something else", head, "/approve", strings.Repeat("00", 32), http.StatusConflict},
		{"before anybody agreed", admin, "/use", digest, http.StatusConflict},
	} {
		if a := tt.w.post(a.to()+tt.path, "digest", tt.digest); a.status != tt.status {
			t.Errorf("%s: %d, want %d", tt.name, a.status, tt.status)
		}
	}
	if a := head.post(a.to()+"/approve", "digest", digest); a.status != http.StatusSeeOther {
		t.Fatalf("a good agreement: %d\n%s", a.status, a.body)
	}
	if p, err := m.s.office.Service.Programme(t.Context(), "farmer-card", 0); err != nil || p.Version != 1 {
		t.Errorf("in use before it is carried out: %v, %v", p, err)
	}
	if a := head.post(a.to()+"/use", "digest", digest); a.status != http.StatusForbidden {
		t.Errorf("a head takes it into use: %d", a.status)
	}
	if a := admin.post(a.to()+"/use", "digest", digest); a.status != http.StatusSeeOther {
		t.Fatalf("carry it out: %d\n%s", a.status, a.body)
	}
	if p, err := m.s.office.Service.Programme(t.Context(), "farmer-card", 0); err != nil || p.Version != 2 {
		t.Errorf("in use afterwards: %v, %v", p, err)
	}
	if a := admin.post(a.to()+"/use", "digest", digest); a.status != http.StatusConflict {
		t.Errorf("carried out twice: %d", a.status)
	}
}

// TestProgrammeCheckShowsNoValues: numbers and reasons, nothing of a person.
func TestProgrammeCheckShowsNoValues(t *testing.T) {
	m := newManaged(t)
	a := m.s.as("north", staff.Head).post("/programmes/farmer-card/check", "source", "farmers")
	if a.status != http.StatusOK || !strings.Contains(a.body, "Of <bdi>12</bdi> records <bdi>10</bdi> can be issued and <bdi>2</bdi> cannot.") ||
		!strings.Contains(a.body, "A value is missing that the certificate needs") {
		t.Errorf("%d\n%s", a.status, a.body)
	}
	if strings.Contains(a.body, "Canary") {
		t.Error("the page shows a value of a record")
	}
	if a := m.s.as("north", staff.Head).post("/programmes/farmer-card/check", "source", "../../etc/passwd"); a.status != http.StatusUnprocessableEntity {
		t.Errorf("a source that is not there: %d", a.status)
	}
	found := m.s.as("north", staff.Administrator).post("/sources/check", "source", "farmers")
	if found.status != http.StatusOK || !strings.Contains(found.body, "<bdi>12</bdi> records") || !strings.Contains(found.body, "district") || strings.Contains(found.body, "Canary") {
		t.Errorf("a source: %d\n%s", found.status, found.body)
	}
	if a := m.s.as("north", staff.Auditor).post("/sources/check", "source", "farmers"); a.status != http.StatusForbidden {
		t.Errorf("an auditor has a source read: %d", a.status)
	}
	if a := m.s.as("north", staff.Head).post("/sources/check", "source", "births"); a.status != http.StatusServiceUnavailable {
		t.Errorf("a source that does not answer: %d", a.status)
	}
	for _, check := range []string{"/sources/check", "/programmes/farmer-card/check"} {
		a := m.s.as("north", staff.Head).post(check, "source", "deaths")
		if !strings.Contains(a.body, "is not as the settings describe it") {
			t.Errorf("%s of a source that is not what the settings say: %d\n%s", check, a.status, a.body)
		}
		if named := strings.Contains(a.body, "has &#34;number&#34;"); named != (check == "/sources/check") {
			t.Errorf("%s says which columns there are: %v", check, named)
		}
	}
}

// TestKeyRotationNeedsTwo: both steps of a rotation, each agreed by another person, and
// no secret on any page.
func TestKeyRotationNeedsTwo(t *testing.T) {
	m := newManaged(t)
	m.s.office.Publish()
	admin, head := m.s.as("north", staff.Administrator), m.s.as("north", staff.Head)
	count := func() (planned, active, retired int) {
		all, err := m.s.office.Keys.Keys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range all {
			if k.Purpose != keys.Credential {
				continue
			}
			switch k.State {
			case keys.Planned:
				planned++
			case keys.Active:
				active++
			case keys.Retired:
				retired++
			}
		}
		return planned, active, retired
	}
	step := func(spoil func()) int {
		t.Helper()
		a := admin.post("/keys/propose", "purpose", "credential")
		if a.status != http.StatusSeeOther || !strings.HasPrefix(a.to(), "/console/key-changes/") {
			t.Fatalf("propose: %d to %q\n%s", a.status, a.to(), a.body)
		}
		if open := head.get("/keys"); !strings.Contains(open.body, a.to()) || anchor.FindString(open.body) == "" {
			t.Error("the list of keys does not lead to the request")
		}
		digest := head.get(a.to()).digest(t)
		if a := admin.post(a.to()+"/approve", "digest", digest); a.status != http.StatusForbidden {
			t.Errorf("who asked agrees: %d", a.status)
		}
		if a := head.post(a.to()+"/approve", "digest", digest); a.status != http.StatusSeeOther {
			t.Fatalf("agree: %d\n%s", a.status, a.body)
		}
		spoil()
		return admin.post(a.to()+"/use", "digest", digest).status
	}
	if got := step(func() {}); got != http.StatusSeeOther {
		t.Errorf("make a key: %d", got)
	}
	if p, a, r := count(); p != 1 || a != 1 || r != 0 {
		t.Errorf("after the first step: %d planned, %d active, %d retired", p, a, r)
	}
	if a := admin.post("/keys/propose", "purpose", "credential"); a.status != http.StatusConflict {
		t.Errorf("the second step before verifiers know the key: %d", a.status)
	}
	m.s.office.Publish()
	m.s.office.Clock.Add(2 * time.Hour)
	if got := step(func() {}); got != http.StatusSeeOther {
		t.Errorf("let it sign: %d", got)
	}
	if p, a, r := count(); p != 0 || a != 1 || r != 1 {
		t.Errorf("after the second step: %d planned, %d active, %d retired", p, a, r)
	}
	// What was agreed is not what would be done: somebody was faster.
	got := step(func() {
		if _, err := m.RotateKey(t.Context(), keys.Credential, false, "somebody"); err != nil {
			t.Fatal(err)
		}
	})
	if got != http.StatusConflict {
		t.Errorf("a step that is not the next one any more: %d", got)
	}
	if a := admin.post("/keys/propose", "purpose", "trust_root"); a.status != http.StatusNotFound {
		t.Errorf("a root: %d", a.status)
	}
	if a := m.s.as("north", staff.Clerk).get("/keys"); a.status != http.StatusForbidden {
		t.Errorf("a clerk sees the keys: %d", a.status)
	}
}

// TestTrustPage: what the next publication changes is listed, and is not afterwards.
func TestTrustPage(t *testing.T) {
	m := newManaged(t)
	c := m.s.office.Issue("farmer-card", 1)
	m.s.office.Publish()
	m.s.office.Revoke(c.ID)
	admin := m.s.as("north", staff.Administrator)
	if a := admin.get("/trust"); a.status != 200 || !strings.Contains(a.body, console.OnPaper(c.ID)) || !strings.Contains(a.body, "Revoked") {
		t.Errorf("before: %d, the credential is not named\n%s", a.status, a.body)
	}
	if a := m.s.as("north", staff.Head).post("/trust/publish"); a.status != http.StatusForbidden || m.shown.Load() != 0 {
		t.Errorf("a head publishes: %d", a.status)
	}
	if a := admin.post("/trust/publish"); a.status != http.StatusSeeOther || m.shown.Load() != 1 {
		t.Errorf("publish: %d", a.status)
	}
	if a := admin.get("/trust"); strings.Contains(a.body, console.OnPaper(c.ID)) || !strings.Contains(a.body, "verifiers know everything already") {
		t.Error("after the publication there is still something to tell")
	}
}

// TestOverview: an office sees its own figures, charts have tables, and the file is no
// spreadsheet program.
func TestOverview(t *testing.T) {
	m := newManaged(t)
	m.counts = []figures.Count{
		{Day: "2026-11-20", Office: "north", Programme: "farmer-card", What: figures.Issued, N: 1234},
		{Day: "2026-11-21", Office: "north", Programme: "farmer-card", What: figures.Revoked, N: 7},
		{Day: "2026-11-21", Office: "north", Programme: "farmer-card", What: "revoked.lost", N: 7},
		{Day: "2026-11-21", Office: "south", Programme: "=cmd", What: figures.Issued, N: 88},
		{Day: "2026-01-01", Office: "north", Programme: "farmer-card", What: figures.Issued, N: 643},
	}
	head, admin := m.s.as("north", staff.Head), m.s.as("north", staff.Administrator)
	page := head.get("/overview")
	for _, want := range []string{"1,234", "<svg", "Farmer card", "<table", `<rect`, `<p class="ends soft"><span>`} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the overview lacks %q", want)
		}
	}
	for _, not := range []string{">88<", "643", "=cmd"} {
		if strings.Contains(page.body, not) {
			t.Errorf("the overview of the north has %q", not)
		}
	}
	if a := admin.get("/overview?from=2026-01-01&to=2026-11-22"); !strings.Contains(a.body, "1,965") {
		t.Error("the administrator's sum is not that of all offices and days")
	}
	report := head.get("/overview/report?from=2026-11-01&to=2026-11-22")
	for _, want := range []string{"1,234", "Lost or stolen", "Verifiers do not tell it", "North office"} {
		if !strings.Contains(report.body, want) {
			t.Errorf("the report lacks %q", want)
		}
	}
	for lang, want := range map[string]string{"en": "1,234", "bn": "১,২৩৪", "ar": "1,234"} {
		head.Header.Set("Accept-Language", lang)
		pdf := head.get("/overview/report.pdf?from=2026-11-01&to=2026-11-22")
		if pdf.status != http.StatusOK || !strings.HasPrefix(pdf.body, "%PDF-") || !strings.Contains(pdf.body, "/S /Figure") || !strings.Contains(pdf.body, "/Lang ("+lang+")") {
			t.Fatalf("%s: the report as a file: %d %.100q", lang, pdf.status, pdf.body)
		}
		if text := pdfText(t, pdf.body); !strings.Contains(text, want) || strings.Contains(text, "=cmd") || strings.Contains(text, "manage.") {
			t.Errorf("%s: the report says %s", lang, text)
		}
	}
	head.Header.Set("Accept-Language", "en")
	if a := head.get("/overview/report.pdf?from=yesterday"); a.status != http.StatusNotFound {
		t.Errorf("a report of no day: %d", a.status)
	}
	if a := m.s.as("north", staff.Clerk).get("/overview/report.pdf"); a.status != http.StatusForbidden {
		t.Errorf("a clerk gets the report: %d", a.status)
	}
	file := admin.get("/overview/figures.csv?from=2026-11-01&to=2026-11-22")
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(file.body, "\ufeff"))).ReadAll()
	if err != nil || len(rows) != 5 || rows[1][4] != "1234" || rows[4][2] != "'=cmd" {
		t.Errorf("OUT-01: the file of figures: %q, %v", rows, err)
	}
	for _, tt := range []struct {
		query  string
		status int
	}{{"from=yesterday", 422}, {"from=2026-11-22&to=2026-11-01", 422}, {"from=2001-01-01&to=2026-11-01", 422}, {"from=0000-00-00", 422}} {
		if a := head.get("/overview?" + tt.query); a.status != tt.status {
			t.Errorf("%s: %d, want %d", tt.query, a.status, tt.status)
		}
	}
	if a := m.s.as("north", staff.Clerk).get("/overview"); a.status != http.StatusForbidden {
		t.Errorf("a clerk sees the figures: %d", a.status)
	}
}

// pdfText is what another program reads in a file.
func pdfText(t *testing.T, file string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "pdftotext", "-raw", "-", "-")
	cmd.Stdin = strings.NewReader(file)
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("no pdftotext (poppler-utils)")
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestManagersPagesSpeak: every page in every language, with no key or hole left, and
// none for who may not.
func TestManagersPagesSpeak(t *testing.T) {
	m := newManaged(t)
	m.s.office.Issue("farmer-card", 1)
	m.s.office.Publish()
	m.counts = []figures.Count{{Day: "2026-11-20", Office: "north", Programme: "farmer-card", What: figures.Issued, N: 3}}
	admin, clerk := m.s.as("north", staff.Administrator), m.s.as("north", staff.Clerk)
	a := admin.post("/programmes/propose", "text", officetest.CardTwo())
	k := admin.post("/keys/propose", "purpose", "credential")
	left := regexp.MustCompile(`(?:manage|console|verdict)\.[a-z_]+\.?[a-z_]*[<"]|\{[a-z]+\}`)
	for _, lang := range []string{"en", "fr", "pt", "sw", "bn", "ar"} {
		admin.Header.Set("Accept-Language", lang)
		clerk.Header.Set("Accept-Language", lang)
		for _, path := range []string{
			"/overview", "/overview/report", "/programmes", "/programmes/new", "/programmes/farmer-card", "/programmes/farmer-card/change", "/sources",
			"/trust", "/keys", "/batches", "/batches/new", a.to(), k.to(),
		} {
			w := admin
			if strings.HasPrefix(path, "/batches") {
				w = clerk
			}
			page := w.get(path)
			text := page.body
			if i := strings.Index(text, "<pre"); i >= 0 { // the file of a programme
				text = text[:i]
			}
			if i := strings.Index(text, "<textarea"); i >= 0 {
				text = text[:i]
			}
			if page.status != 200 || left.MatchString(text) {
				t.Errorf("%s in %s: %d, left: %q", path, lang, page.status, left.FindAllString(text, 3))
			}
		}
	}
}
