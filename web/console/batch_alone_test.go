package console_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/batchwork"
	"github.com/sanad-id/sanad/internal/officetest"
	"github.com/sanad-id/sanad/staff"
)

// TestBatchOfOnePerson: where the programme says so one person decides, bound to what
// was shown; otherwise nobody does alone, whatever is asked for.
func TestBatchOfOnePerson(t *testing.T) {
	s := newShop(t)
	s.start()
	clerk := s.as("north", staff.Clerk)
	checked := func() string {
		id := s.begin(clerk, farmers(3, "N1"))
		s.await(id, batchwork.Checked)
		return id
	}
	id := checked()
	page := wantStatus(t, clerk.get("/batches/"+id), http.StatusOK)
	if strings.Contains(page.body, "/issue\"") {
		t.Error("one person is offered what takes two")
	}
	terms := s.job(id).Terms().Hash()
	wantStatus(t, clerk.post("/batches/"+id+"/issue", "digest", terms), http.StatusConflict)
	if j := s.job(id); j.State != batchwork.Checked {
		t.Fatalf("one person has started what takes two: %s", j.State)
	}

	text := strings.Replace(officetest.CardTwo(), "\nclaims:", "\napproval: one\nclaims:", 1)
	if _, err := s.office.Service.AddProgramme(t.Context(), []byte(text), "tester"); err != nil {
		t.Fatal(err)
	}
	id = checked()
	page = wantStatus(t, clerk.get("/batches/"+id), http.StatusOK)
	if !strings.Contains(page.body, "Issue <bdi>3</bdi> now") || strings.Contains(page.body, "/propose\"") {
		t.Error("one person is not offered what takes one")
	}
	digest := page.digest(t)
	for _, tt := range []struct {
		name, digest string
		by           *browser
		status       int
	}{
		{"by an auditor", digest, s.as("north", staff.Auditor), http.StatusForbidden},
		{"by another office", digest, s.as("south", staff.Clerk), http.StatusNotFound},
		{"of something else", strings.Repeat("ab", 32), clerk, http.StatusConflict},
		{"of nothing", "", clerk, http.StatusConflict},
	} {
		if a := tt.by.post("/batches/"+id+"/issue", "digest", tt.digest); a.status != tt.status || s.job(id).State != batchwork.Checked {
			t.Errorf("%s: %d, want %d; it is %s", tt.name, a.status, tt.status, s.job(id).State)
		}
	}
	wantStatus(t, clerk.post("/batches/"+id+"/issue", "digest", digest), http.StatusSeeOther)
	if j := s.await(id, batchwork.Finished); j.Done.Good != 3 || j.Approver != "" || j.Requester != clerk.Operator.ID {
		t.Errorf("finished: %+v", j)
	}
	// A revocation of many takes two whatever the programme says.
	if _, err := (batchwork.Job{Kind: batchwork.Revoking, State: batchwork.Checked, Dry: batchwork.Counts{Good: 1}}).Do(batchwork.Alone, "op-1", s.clock()); err == nil {
		t.Error("one person revokes many")
	}
}
