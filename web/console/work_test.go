package console_test

import (
	"context"
	"encoding/base64"
	"html"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/internal/officetest"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/registry/csvfile"
	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/web/console"
	"github.com/sanad-id/sanad/work"
)

// births is the programme of these tests.
const births = `
id: births
version: 1
type: urn:xa:birth:1
labels: {en: Birth certificate, bn: জন্ম সনদ}
languages: [en, bn]
records: {id_column: id}
validity: {for: 5y}
status: {suspend: true}
freshness: {fresh_for: 7d, old_after: 30d}
person_check: other_id
photo: {policy: none}
claims:
  - {name: number, labels: {en: Number, bn: নম্বর}, type: text, person: id, from: id, required: true}
  - {name: name, labels: {en: Name, bn: নাম}, type: text, person: fullName, from: name, required: true}
  - {name: local_name, labels: {en: Local name, bn: স্থানীয় নাম}, type: text, person: secondaryFullName, from: local}
  - {name: local_language, labels: {en: Its language, bn: ভাষা}, type: language, person: secondaryLanguage, from: language, only_with: local_name}
  - {name: born, labels: {en: Date of birth, bn: জন্ম তারিখ}, type: date, person: dateOfBirth, from: born}
  - {name: district, labels: {en: District, bn: জেলা}, type: text, key: 1, from: district}
forms:
  qr: {level: M, max_version: 20}
  wallet: {kind: sd-jwt, vct: "urn:xa:birth-wallet:1", copies: 2}
`

// register is the registry of these tests: the north has N1, the south S1.
const register = "id,name,local,language,born,district\n" +
	"B-1,Mohammed Rahman,মোহাম্মদ রহমান,ben,2019-04-18,N1\n" +
	"B-2,Muhammad Rohman,,,2019-04-18,N1\n" +
	"B-3,Ayesha <b>Khatun</b>,,,2020-01-01,N1\n" +
	"S-1,Mohammed Rahman,,,2019-04-18,S1\n" +
	"B-4,,,,2020-01-01,N1\n"

// deskOffice is an issuer as a desk needs it.
type deskOffice struct {
	*issuance.Service
	o *officetest.Office
}

func (d deskOffice) Pseudonym(_ context.Context, p, r string) (issuance.Pseudonym, error) {
	return d.Service.Pseudonym(p, r), nil
}

func (d deskOffice) Credentials(ctx context.Context, p, r string) (all []issuance.Credential, err error) {
	for c, err := range d.o.DB.Find(ctx, issuance.Query{Programme: p, Record: d.Service.Pseudonym(p, r)}) {
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

func (d deskOffice) Note(context.Context, work.Note) error { return nil }

// offerDesk makes offers.
type offerDesk struct{}

func (offerDesk) Offer(context.Context, work.OfferRequest) (work.Offer, error) {
	return work.Offer{Link: "openid-credential-offer://?credential_offer_uri=https%3A%2F%2Fexample.org%2Fo", Code: "493027", Expires: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)}, nil
}

// newWorkBed is newBed with work on records, and the desk that does it.
func newWorkBed(t *testing.T, change ...func(*work.Config)) (*bed, *work.Desk, *officetest.Office) {
	t.Helper()
	return newWorkBedAt(t, func(*console.Config) {}, change...)
}

// newWorkBedAt is newWorkBed with changes to the settings of the console.
func newWorkBedAt(t *testing.T, set func(*console.Config), change ...func(*work.Config)) (*bed, *work.Desk, *officetest.Office) {
	t.Helper()
	return newWorkBedOf(t, register, set, change...)
}

// newWorkBedOf is newWorkBedAt with this registry.
func newWorkBedOf(t *testing.T, register string, set func(*console.Config), change ...func(*work.Config)) (*bed, *work.Desk, *officetest.Office) {
	t.Helper()
	o := officetest.New(t, officetest.Options{ListSize: 1 << 12})
	if _, err := o.Service.AddProgramme(t.Context(), []byte(births), "tester"); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "births.csv")
	if err := os.WriteFile(path, []byte(register), 0o600); err != nil {
		t.Fatal(err)
	}
	src, err := csvfile.Open(path, csvfile.Options{IDColumn: "id"})
	if err != nil {
		t.Fatal(err)
	}
	var d *work.Desk
	b := newBed(t, func(c *console.Config) {
		w := work.Config{
			Store: c.Desk, Index: c.Desk, Issuer: deskOffice{o.Service, o}, Secret: o.Keys.Secret, Now: o.Clock.Now, Offices: c.Desk.Offices, Office: c.Desk.Office, Offers: offerDesk{},
			Source: func(_ context.Context, id string) (registry.Source, func(), error) {
				if id != "births" {
					return nil, nil, work.ErrNoSource
				}
				return src, func() {}, nil
			},
		}
		for _, f := range change {
			f(&w)
		}
		if d, err = work.New(w); err != nil {
			t.Fatal(err)
		}
		c.Work = d
		c.Paper = testPaper{o, testPrinter()}
		set(c)
	})
	o.Clock.Add(b.clock().Sub(o.Clock.Now())) // one time for all
	if err := d.Refresh(t.Context(), "births", nil); err != nil {
		t.Fatal(err)
	}
	return b, d, o
}

// field is the value of a hidden field of a page.
func field(t *testing.T, body, name string) string {
	t.Helper()
	m := regexp.MustCompile(`name="` + name + `" value="([^"]*)"`).FindStringSubmatch(body)
	if m == nil {
		t.Fatalf("the page has no field %s:\n%s", name, body)
	}
	return html.UnescapeString(m[1])
}

// link is the first address of a page that begins so.
func link(t *testing.T, body, prefix string) string {
	t.Helper()
	m := regexp.MustCompile(`(?:href|action)="(` + regexp.QuoteMeta(prefix) + `[^"]*)"`).FindStringSubmatch(body)
	if m == nil {
		t.Fatalf("the page has no link to %s:\n%s", prefix, body)
	}
	return html.UnescapeString(m[1])
}

func wantStatus(t *testing.T, a answer, status int) answer {
	t.Helper()
	if a.status != status {
		t.Fatalf("status %d, want %d\n%s", a.status, status, a.body)
	}
	return a
}

var requestID = regexp.MustCompile(`"request_id":"[^"]*"`)

// TestWorkDay: find, check, ask, agree, sign, print, hand over, revoke, undo - over HTTP,
// without a script.
func TestWorkDay(t *testing.T) {
	b, d, o := newWorkBed(t)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(b.log)
		}
	})
	clerk, approver := b.as("north", staff.Clerk), b.as("north", staff.Approver)
	found := wantStatus(t, clerk.post("/search", "text", "mohamed rahman"), 200)
	if strings.Count(found.body, "/console/records/") != 2 || strings.Contains(found.body, "S-1") {
		t.Errorf("the search found something else:\n%s", found.body)
	}
	record := link(t, found.body, "/console/records/")
	page := wantStatus(t, clerk.get(record), 200)
	for _, want := range []string{"Mohammed Rahman", `lang="bn"`, "18 April 2019", "data:image/svg", "Specimen"} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the record page lacks %q", want)
		}
	}
	if !strings.Contains(page.body, "The same person twice?") {
		t.Error("no warning for a record with the same name and date of birth")
	}
	wantStatus(t, clerk.post(record+"/take"), 303)
	page = wantStatus(t, clerk.get(record), 200)
	asked := wantStatus(t, clerk.post(record+"/ask", "shown", field(t, page.body, "shown")), 303)
	item := asked.to()
	if !strings.HasPrefix(item, "/console/items/wk-") {
		t.Fatalf("asking leads to %s", item)
	}
	// The clerk may not agree, another office sees nothing, the second person does.
	page = wantStatus(t, clerk.get(item), 200)
	if strings.Contains(page.body, "/approve") {
		t.Error("the clerk is offered to agree")
	}
	wantStatus(t, clerk.post(item+"/approve", "shown", "x"), 403)
	south := b.as("south", staff.Clerk, staff.Approver)
	for _, path := range []string{item, record} {
		wantStatus(t, south.get(path), 404)
	}
	for _, deed := range []string{"approve", "return", "refuse", "withdraw", "issue", "recheck", "printed", "offer", "undo"} {
		if a := south.post(item+"/"+deed, "shown", base64.RawURLEncoding.EncodeToString(make([]byte, 32)), "comment", "no"); a.status != 404 {
			t.Errorf("another office, %s: %d", deed, a.status)
		}
	}
	queue := wantStatus(t, approver.get("/queues/approve"), 200)
	if !strings.Contains(queue.body, "Work (1)") {
		t.Error("the navigation does not say that something waits")
	}
	if link(t, queue.body, "/console/items/") != item {
		t.Error("the item is not in the queue")
	}
	page = wantStatus(t, approver.get(item), 200)
	changed := wantStatus(t, approver.post(item+"/approve", "shown", base64.RawURLEncoding.EncodeToString(make([]byte, 32))), 409)
	if !strings.Contains(changed.body, `href="`+item+`">Look at it again`) {
		t.Errorf("who is told to look again is not led there:\n%s", changed.body)
	}
	wantStatus(t, approver.post(item+"/approve", "shown", field(t, page.body, "shown")), 303)
	page = wantStatus(t, clerk.get(item), 200)
	if !strings.Contains(page.body, "signed, to be printed") {
		t.Errorf("it is not signed:\n%s", page.body)
	}
	wantStatus(t, approver.post(item+"/approve", "shown", base64.RawURLEncoding.EncodeToString(make([]byte, 32))), 409)
	offer := wantStatus(t, clerk.post(item+"/offer", "form", "wallet", "code", "1"), 200)
	if !strings.Contains(offer.body, `href="openid-credential-offer://`) || !strings.Contains(offer.body, "493027") || offer.header.Get("Cache-Control") != "no-store" {
		t.Errorf("the offer: %s\n%s", offer.header.Get("Cache-Control"), offer.body)
	}
	wantStatus(t, clerk.post(item+"/printed"), 303)
	wantStatus(t, clerk.post(item+"/printed"), 409)
	// Revoke, and undo.
	page = wantStatus(t, clerk.get(record), 200)
	change := link(t, page.body, record)
	for _, l := range regexp.MustCompile(`href="([^"]*/revoke)"`).FindAllStringSubmatch(page.body, -1) {
		change = l[1]
	}
	wantStatus(t, clerk.get(change), 200)
	wantStatus(t, clerk.post(change), 422)
	wantStatus(t, south.post(change, "reason", "lost"), 404)
	ordered := wantStatus(t, clerk.post(change, "reason", "lost"), 303)
	page = wantStatus(t, clerk.get(ordered.to()), 200)
	if !strings.Contains(page.body, "10:00") || !strings.Contains(page.body, `data-countdown="600"`) || !strings.Contains(page.body, `http-equiv="refresh" content="605"`) {
		t.Errorf("no countdown, or nothing at its end:\n%s", page.body)
	}
	wantStatus(t, clerk.post(ordered.to()+"/now"), 403)
	wantStatus(t, clerk.post(ordered.to()+"/undo"), 303)
	wantStatus(t, clerk.post(ordered.to()+"/undo"), 409)
	wantStatus(t, clerk.post(change, "reason", "lost"), 303)
	o.Clock.Add(work.DefaultUndo)
	if n, err := d.RunDue(t.Context()); n != 1 || err != nil {
		t.Fatalf("%d done, %v", n, err)
	}
	page = wantStatus(t, clerk.get(record), 200)
	if !strings.Contains(page.body, "Lost or stolen") || !strings.Contains(page.body, "revoked") {
		t.Errorf("not revoked:\n%s", page.body)
	}
	log := requestID.ReplaceAllString(b.log.String(), "") // whose letters are by chance
	if strings.Contains(log, "Rahman") || strings.Contains(log, "B-1") || strings.Contains(log, "mohamed") {
		t.Error("the log names somebody")
	}
}

// TestWorkOwnRequest: who asked does not decide, and is told so in words.
func TestWorkOwnRequest(t *testing.T) {
	b, d, _ := newWorkBed(t)
	both := b.as("north", staff.Clerk, staff.Approver)
	record := "/records/" + d.Ref("births", "B-1")
	page := wantStatus(t, both.get(record), 200)
	shown := field(t, page.body, "shown")
	item := wantStatus(t, both.post(record+"/ask", "shown", shown), 303).to()
	page = wantStatus(t, both.get(item), 200)
	if !strings.Contains(page.body, "Somebody else has to decide") || strings.Contains(page.body, "/approve") {
		t.Error("the page lets who asked decide")
	}
	i, err := d.Item(t.Context(), both.Operator, strings.TrimPrefix(item, "/console/items/"))
	if err != nil {
		t.Fatal(err)
	}
	a := both.post(item+"/approve", "shown", base64.RawURLEncoding.EncodeToString(i.Shown[:]))
	if a.status != http.StatusForbidden || !strings.Contains(a.body, "Somebody else has to agree") {
		t.Errorf("%d", a.status)
	}
	// Sent back with a comment that is shown as text.
	second := b.as("north", staff.Head)
	if a := second.post(item+"/return", "comment", ""); a.status != 422 || !strings.Contains(a.body, "Fill in this field") {
		t.Errorf("returned without a word: %d", a.status)
	}
	wantStatus(t, second.post(item+"/return", "comment", "<script>alert(1)</script> the date"), 303)
	page = wantStatus(t, both.get(item), 200)
	if strings.Contains(page.body, "<script>alert") || !strings.Contains(page.body, "the date") {
		t.Error("the comment is markup, or is not there")
	}
	wantStatus(t, both.post(item+"/withdraw"), 303)
}

// TestWorkPages: every page of the work in every language has its sentences, marks up
// nothing that a record says (OUT-02) and is kept by nobody (OUT-07).
func TestWorkPages(t *testing.T) {
	b, d, _ := newWorkBed(t)
	clerk := b.as("north", staff.Clerk)
	approver := b.as("north", staff.Approver)
	third := "/records/" + d.Ref("births", "B-3")
	shown := field(t, wantStatus(t, clerk.get(third), 200).body, "shown")
	item := wantStatus(t, clerk.post(third+"/ask", "shown", shown), 303).to()
	missing := regexp.MustCompile(`>[^<]*\bwork\.[a-z_]+(\.[a-z_]+)*|\{[a-z]+\}`)
	for _, l := range i18n.Languages() {
		for _, w := range []*browser{clerk, approver} {
			w.Header.Set("Accept-Language", l.Tag())
			for _, path := range []string{"/queues", "/queues/check", "/queues/approve", "/queues/issue", "/queues/print", "/queues/change", "/queues/problems", "/search", third, item, "/records/" + d.Ref("births", "B-4")} {
				a := w.get(path)
				if a.status != 200 || a.header.Get("Cache-Control") != "no-store" {
					t.Errorf("%s %s: %d, %s", l, path, a.status, a.header.Get("Cache-Control"))
				}
				if m := missing.FindString(a.body); m != "" {
					t.Errorf("%s %s: no sentence for %s", l, path, m)
				}
				if strings.Contains(a.body, "<b>Khatun") {
					t.Errorf("%s %s: a name is markup", l, path)
				}
			}
			a := w.post("/search", "text", "khatun ayesha")
			if a.status != 200 || strings.Contains(a.body, "<b>Khatun") || missing.MatchString(a.body) {
				t.Errorf("%s search: %d %s", l, a.status, missing.FindString(a.body))
			}
		}
	}
	for _, path := range []string{"/queues/none", "/items/wk-none", "/records/none", third + "/01KA7X2M9QZ3BV8D5T0RWHJ4EN/revoke"} {
		wantStatus(t, clerk.get(path), 404)
	}
	wantStatus(t, clerk.post("/search", "text", "   "), 422)
	for _, role := range []staff.Role{staff.Administrator} {
		w := b.as("north", role)
		for _, path := range []string{"/queues", "/search", third, item} {
			wantStatus(t, w.get(path), 403)
		}
	}
	counts := wantStatus(t, approver.get("/queues/counts.json"), 200)
	if !strings.Contains(counts.body, `"approve"`) {
		t.Errorf("counts %s", counts.body)
	}
	if !strings.HasPrefix(link(t, clerk.get("/queues").body, "/console/queues/approve"), "/console/queues/approve") {
		t.Error("no link to a queue")
	}
}

// TestSheetOfWhatWasIssued: once an item is signed its page says what was issued and when, as
// against what would be today, and no more than that if the record says something else by now.
func TestSheetOfWhatWasIssued(t *testing.T) {
	b, _, o := newWorkBed(t)
	clerk, approver := b.as("north", staff.Clerk), b.as("north", staff.Approver)
	found := wantStatus(t, clerk.post("/search", "text", "rohman"), 200)
	record := link(t, found.body, "/console/records/")
	page := wantStatus(t, clerk.get(record), 200)
	item := wantStatus(t, clerk.post(record+"/ask", "shown", field(t, page.body, "shown")), 303).to()
	page = wantStatus(t, approver.get(item), 200)
	says := func(a answer, yes, no string) {
		t.Helper()
		if !strings.Contains(a.body, yes) || strings.Contains(a.body, no) {
			t.Errorf("the page does not say %q, or says %q:\n%s", yes, no, a.body)
		}
	}
	says(page, "What would be issued", "What was issued")
	wantStatus(t, approver.post(item+"/approve", "shown", field(t, page.body, "shown")), 303)
	day := i18n.For("en").Date(o.Clock.Now())
	b.later(16 * time.Hour) // another day, and the print is still kept
	clerk = b.as("north", staff.Clerk)
	o.Clock.Add(16 * time.Hour)
	page = wantStatus(t, clerk.get(item), 200)
	says(page, "What was issued", "What would be issued")
	says(page, "<dd>"+day+"</dd>", "<dd>"+i18n.For("en").Date(o.Clock.Now())+"</dd>")

	next := strings.NewReplacer("\nversion: 1\n", "\nversion: 2\n", "from: district", "from: name").Replace(births)
	if _, err := o.Service.AddProgramme(t.Context(), []byte(next), "tester"); err != nil {
		t.Fatal(err)
	}
	page = wantStatus(t, clerk.get(item), 200)
	says(page, "changed after this was issued", "What was issued")
	says(page, "signed, to be printed", "What would be issued")
}
