package console_test

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/batchwork"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/web/console"
)

var revocationPath = regexp.MustCompile(`^/console/revocations/([A-Z2-7]{26})$`)

// sendRevocation sends the form of a revocation, with a list unless it is empty.
func (w *browser) sendRevocation(list string, pairs ...string) answer {
	w.b.t.Helper()
	return w.uploadTo("/revocations", list, pairs...)
}

// revoke begins a revocation of a list and returns its id.
func (s *shop) revoke(w *browser, list string) string {
	s.t.Helper()
	a := w.sendRevocation(list, "programme", "farmer-card", "what", "list", "reason", "lost")
	m := revocationPath.FindStringSubmatch(a.to())
	if a.status != http.StatusSeeOther || m == nil {
		s.t.Fatalf("the form: %d to %q\n%s", a.status, a.to(), a.body)
	}
	return m[1]
}

// ids are those of what is issued.
func (s *shop) ids() (all []string) {
	s.t.Helper()
	for c, err := range s.office.DB.Find(s.t.Context(), issuance.Query{}) {
		must(s.t, err)
		all = append(all, c.ID)
	}
	return all
}

// revoked counts what is revoked.
func (s *shop) revoked() (n int) {
	s.t.Helper()
	for c, err := range s.office.DB.Find(s.t.Context(), issuance.Query{State: issuance.Revoked}) {
		must(s.t, err)
		if c.Reason == issuance.Lost {
			n++
		}
	}
	return n
}

// registerOf writes the registry of the programme, with rows for several offices.
func (s *shop) registerOf(text string) {
	s.t.Helper()
	s.register = filepath.Join(s.t.TempDir(), "register.csv")
	must(s.t, os.WriteFile(s.register, []byte(text), 0o600))
}

// TestRevokeManyInTheConsole goes the whole way as two people do, without scripts.
func TestRevokeManyInTheConsole(t *testing.T) {
	s := newShop(t)
	s.start()
	s.registerOf(farmers(6, "N1"))
	clerk, head := s.as("north", staff.Clerk), s.as("north", staff.Head)
	batch := s.issue(clerk, head, farmers(6, "N1"))
	ids := s.ids()
	id := s.revoke(clerk, ids[0]+"\n"+issuance.DocumentNumber(ids[1])+"\nNOSUCH\n")
	s.await(id, batchwork.Checked)
	page := wantStatus(t, clerk.get("/revocations/"+id), http.StatusOK)
	for _, want := range []string{
		console.OnPaper(ids[0]), ids[1], "Ask to revoke <bdi>2</bdi>", "Neither the number of a certificate nor its id", "affected.csv", "Lost",
	} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the page of a list lacks %q\n%s", want, page.body)
		}
	}
	list := wantStatus(t, clerk.get("/revocations/"+id+"/affected.csv"), http.StatusOK)
	if strings.Count(list.body, "\n") != 3 || !strings.Contains(list.body, ids[0]) {
		t.Errorf("the list: %q", list.body)
	}
	wantStatus(t, clerk.post("/revocations/"+id+"/propose"), http.StatusSeeOther)
	shown := wantStatus(t, head.get("/revocations/"+id), http.StatusOK)
	wantStatus(t, head.post("/revocations/"+id+"/approve", "digest", shown.digest(t)), http.StatusSeeOther)
	page = wantStatus(t, clerk.get("/revocations/"+id), http.StatusOK)
	if !strings.Contains(page.body, "About 10 minutes left") || !strings.Contains(page.body, id+"/undo") || strings.Contains(page.body, id+"/now") {
		t.Errorf("a clerk is not shown that it can be undone, or may have it done at once\n%s", page.body)
	}
	// The page follows the time that is left, with scripts and without.
	if !strings.Contains(page.body, `http-equiv="refresh" content="30"`) || !strings.Contains(page.body, "/events?seen=running-waiting") {
		t.Errorf("a page that waits does not follow\n%s", page.body)
	}
	if s.revoked() != 0 {
		t.Fatal("revoked before its time")
	}
	// A clerk may not have it done at once; the head may.
	wantStatus(t, clerk.post("/revocations/"+id+"/now"), http.StatusForbidden)
	wantStatus(t, head.post("/revocations/"+id+"/now"), http.StatusSeeOther)
	s.await(id, batchwork.Finished)
	if body := clerk.get("/revocations/" + id + "/events?seen=running-waiting").body; !strings.Contains(body, "event: moved\n") {
		t.Errorf("a page that waited is not drawn anew:\n%s", body)
	}
	if a := clerk.get("/revocations/" + id); strings.Contains(a.body, `http-equiv="refresh"`) {
		t.Error("a page that waits for nothing loads itself again")
	}
	if n := s.revoked(); n != 2 {
		t.Errorf("%d are revoked, want 2", n)
	}
	wantStatus(t, clerk.post("/revocations/"+id+"/undo"), http.StatusForbidden) // it is over

	// By a batch of the office, and undone in time.
	form := wantStatus(t, clerk.get("/revocations/new?batch="+batch), http.StatusOK)
	if !strings.Contains(form.body, `value="`+batch+`" selected`) {
		t.Error("the form does not name the batch that the address names")
	}
	a := clerk.sendRevocation("", "programme", "farmer-card", "what", "batch", "batch", batch, "reason", "issued_in_error")
	m := revocationPath.FindStringSubmatch(wantStatus(t, a, http.StatusSeeOther).to())
	if j := s.await(m[1], batchwork.Checked); j.Dry.Good != 4 || j.Revoke.Batch == "" {
		t.Errorf("of a batch: %+v", j)
	}
	wantStatus(t, clerk.post("/revocations/"+m[1]+"/propose"), http.StatusSeeOther)
	shown = wantStatus(t, head.get("/revocations/"+m[1]), http.StatusOK)
	wantStatus(t, head.post("/revocations/"+m[1]+"/approve", "digest", shown.digest(t)), http.StatusSeeOther)
	wantStatus(t, clerk.post("/revocations/"+m[1]+"/undo"), http.StatusSeeOther)
	s.later(time.Hour)
	if j := s.job(m[1]); j.State != batchwork.Cancelled || s.revoked() != 2 {
		t.Errorf("after it was undone: %s, %d revoked", j.State, s.revoked())
	}
	clerk = s.browserOf(clerk.Operator) // the session is over, too
	for _, lang := range []string{"bn", "fr", "pt", "sw", "ar"} {
		clerk.Header.Set("Accept-Language", lang)
		for _, path := range []string{"/revocations", "/revocations/new", "/revocations/" + id} {
			if a := clerk.get(path); a.status != 200 || strings.Contains(a.body, "manage.") || strings.Contains(a.body, "{") {
				t.Errorf("%s in %s: %d, or a key or a hole is left", path, lang, a.status)
			}
		}
	}
}

// TestRevokeManyRefuses spoils one thing at a time of asking, agreeing and looking.
func TestRevokeManyRefuses(t *testing.T) {
	s := newShop(t)
	s.start()
	s.registerOf(farmers(3, "N1"))
	clerk, both, approver := s.as("north", staff.Clerk), s.as("north", staff.Clerk, staff.Approver), s.as("north", staff.Approver)
	south, auditor := s.as("south", staff.Head), s.as("north", staff.Auditor)
	batch := s.issue(clerk, s.as("north", staff.Head), farmers(3, "N1"))
	ids := s.ids()
	good := []string{"programme", "farmer-card", "what", "list", "reason", "lost"}
	with := func(name, value string) []string {
		all := append([]string{}, good...)
		for i := 0; i < len(all); i += 2 {
			if all[i] == name {
				all[i+1] = value
				return all
			}
		}
		return append(all, name, value)
	}
	for _, tt := range []struct {
		name, list string
		by         *browser
		pairs      []string
		status     int
		says       string
	}{
		{"no reason", ids[0], clerk, with("reason", ""), http.StatusUnprocessableEntity, "reason"},
		{"a reason of the program", ids[0], clerk, with("reason", "leftover"), http.StatusUnprocessableEntity, "reason"},
		{"no programme", ids[0], clerk, with("programme", "nothing"), http.StatusUnprocessableEntity, "Choose one"},
		{"no way to choose", ids[0], clerk, with("what", "all"), http.StatusUnprocessableEntity, "Choose one"},
		{"no list", "", clerk, good, http.StatusUnprocessableEntity, "Choose a file that is not empty"},
		{"a batch that is not there", "", clerk, append(with("what", "batch"), "batch", strings.Repeat("A", 26)), http.StatusUnprocessableEntity, "Choose one"},
		{"a batch of another office", "", south, append(with("what", "batch"), "batch", batch), http.StatusUnprocessableEntity, "Choose one"},
		{"days the wrong way round", "", clerk, append(with("what", "time"), "from", "2026-11-22", "to", "2026-11-21"), http.StatusUnprocessableEntity, "before the first"},
		{"a day that is none", "", clerk, append(with("what", "time"), "from", "22.11.2026"), http.StatusUnprocessableEntity, "not a day"},
		{"by an auditor", ids[0], auditor, good, http.StatusForbidden, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if a := tt.by.sendRevocation(tt.list, tt.pairs...); a.status != tt.status || !strings.Contains(a.body, tt.says) {
				t.Errorf("%d, want %d and %q", a.status, tt.status, tt.says)
			}
		})
	}

	// Another office's certificates are told from nothing that does not exist.
	theirs := s.revoke(south, ids[0]+"\n"+ids[1]+"\n01ARZ3NDEKTSV4RRFFQ69G5FAV\n")
	j := s.await(theirs, batchwork.Checked)
	if j.Dry.Good != 0 || j.Dry.Faulty != 3 {
		t.Errorf("IDOR: the south's list of the north's certificates: %+v", j.Dry)
	}
	page := wantStatus(t, south.get("/revocations/"+theirs), http.StatusOK)
	if n := strings.Count(page.body, "Your office has no such certificate"); n != 3 {
		t.Errorf("%d of 3 lines say that there is no such certificate", n)
	}
	wantStatus(t, south.post("/revocations/"+theirs+"/propose"), http.StatusConflict)

	ready := func() (id, digest string) {
		id = s.revoke(both, ids[0])
		s.await(id, batchwork.Checked)
		wantStatus(t, both.post("/revocations/"+id+"/propose"), http.StatusSeeOther)
		return id, wantStatus(t, approver.get("/revocations/"+id), http.StatusOK).digest(t)
	}
	for _, tt := range []struct {
		name   string
		by     *browser
		spoil  func(id string, digest *string)
		status int
	}{
		{"by who asked", both, nil, http.StatusForbidden},
		{"by a clerk", clerk, nil, http.StatusForbidden},
		{"by an auditor", auditor, nil, http.StatusForbidden},
		{"by another office", south, nil, http.StatusNotFound},
		{"of something else", approver, func(_ string, d *string) { *d = strings.Repeat("ab", 32) }, http.StatusConflict},
		{"the list was made anew", approver, func(id string, _ *string) {
			j := s.job(id)
			j.Fingerprint = "sha256:other"
			_, err := s.desk.SaveJob(t.Context(), j)
			must(t, err)
		}, http.StatusConflict},
		{"a day later", approver, func(string, *string) { s.later(25 * time.Hour) }, http.StatusConflict},
	} {
		t.Run("agreed "+tt.name, func(t *testing.T) {
			id, digest := ready()
			if tt.spoil != nil {
				tt.spoil(id, &digest)
			}
			by := tt.by
			if tt.name == "a day later" {
				by = s.browserOf(tt.by.Operator) // the session is over, too
			}
			if a := by.post("/revocations/"+id+"/approve", "digest", digest); a.status != tt.status {
				t.Errorf("%d, want %d", a.status, tt.status)
			}
			if j := s.job(id); j.State != batchwork.Proposed {
				t.Errorf("it is %s", j.State)
			}
		})
	}
	id, digest := ready2(t, s, ids[0])
	for _, path := range []string{"", "/events", "/affected.csv", "/faults.csv"} {
		if a := s.browserOf(south.Operator).get("/revocations/" + id + path); a.status != http.StatusNotFound {
			t.Errorf("GET %s by another office: %d", path, a.status)
		}
	}
	for _, word := range []string{"recheck", "propose", "decline", "approve", "undo", "now", "pause", "resume", "cancel"} {
		if a := s.browserOf(south.Operator).post("/revocations/"+id+"/"+word, "digest", digest); a.status != http.StatusNotFound {
			t.Errorf("POST %s by another office: %d", word, a.status)
		}
	}
	// A revocation is no batch, and a batch no revocation.
	clerk = s.browserOf(clerk.Operator)
	wantStatus(t, clerk.get("/batches/"+id), http.StatusNotFound)
	wantStatus(t, clerk.get("/revocations/"+batch), http.StatusNotFound)
	if s.revoked() != 0 {
		t.Errorf("%d are revoked", s.revoked())
	}
}

// ready2 is a revocation that waits for a second person, asked for by somebody new.
func ready2(t *testing.T, s *shop, list string) (id, digest string) {
	t.Helper()
	clerk := s.as("north", staff.Clerk)
	id = s.revoke(clerk, list)
	s.await(id, batchwork.Checked)
	wantStatus(t, clerk.post("/revocations/"+id+"/propose"), http.StatusSeeOther)
	return id, wantStatus(t, s.as("north", staff.Approver).get("/revocations/"+id), http.StatusOK).digest(t)
}
