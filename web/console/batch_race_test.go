package console_test

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/batchwork"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/web/console"
)

// A meeting is an audit log before which deeds meet: each has been looked at and is not
// done yet.
type meeting struct {
	console.Audit
	before func(staff.Action) // called before a deed is noted
}

// Note implements [console.Audit].
func (m *meeting) Note(ctx context.Context, n issuance.Note) error {
	if n.Kind == audit.OperatorIntended {
		m.before(staff.Action(n.Action))
	}
	return m.Audit.Note(ctx, n)
}

// newMeeting is a shop with such an audit log.
func newMeeting(t *testing.T) (*shop, *meeting) {
	t.Helper()
	m := &meeting{before: func(staff.Action) {}}
	s := newShop(t, func(c *console.Config) { m.Audit, c.Audit = c.Audit, m })
	s.start()
	return s, m
}

// open are the proposals that somebody is asked about.
func (s *shop) open() []staff.Proposal {
	s.t.Helper()
	all, err := s.desk.Proposals(s.t.Context(), "", []staff.State{staff.Proposed})
	must(s.t, err)
	return all
}

// TestProposedByTwo: of two who propose a batch at the same moment one does, and a second
// person is asked about one proposal, that of the batch.
func TestProposedByTwo(t *testing.T) {
	s, m := newMeeting(t)
	clerks := []*browser{s.as("north", staff.Clerk), s.as("north", staff.Clerk)}
	id := s.begin(clerks[0], farmers(3, "N1"))
	s.await(id, batchwork.Checked)
	var both sync.WaitGroup
	both.Add(2)
	m.before = func(a staff.Action) {
		if a == staff.ProposeBatch {
			both.Done()
			both.Wait()
		}
	}
	got := map[int]int{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, w := range clerks {
		wg.Go(func() {
			a := w.post("/batches/" + id + "/propose")
			mu.Lock()
			defer mu.Unlock()
			got[a.status]++
		})
	}
	wg.Wait()
	if got[http.StatusSeeOther] != 1 || got[http.StatusConflict] != 1 {
		t.Errorf("the two were answered %v, want one 303 and one 409", got)
	}
	if open := s.open(); len(open) != 1 || open[0].ID != s.job(id).Proposal {
		t.Errorf("the batch has the proposal %q, and these are open: %+v", s.job(id).Proposal, open)
	}
}

// TestProposedMeanwhile: a deed that was offered before the batch was proposed is not done
// to one that is.
func TestProposedMeanwhile(t *testing.T) {
	for deed, action := range map[string]staff.Action{"recheck": staff.ProposeBatch, "cancel": staff.RunBatch} {
		t.Run(deed, func(t *testing.T) {
			s, m := newMeeting(t)
			clerk, other := s.as("north", staff.Clerk), s.as("north", staff.Clerk)
			id := s.begin(clerk, farmers(3, "N1"))
			s.await(id, batchwork.Checked)
			var met atomic.Bool
			m.before = func(a staff.Action) {
				if a == action && met.CompareAndSwap(false, true) {
					wantStatus(t, clerk.post("/batches/"+id+"/propose"), http.StatusSeeOther)
				}
			}
			wantStatus(t, other.post("/batches/"+id+"/"+deed), http.StatusConflict)
			if j := s.job(id); j.State != batchwork.Proposed || len(s.open()) != 1 {
				t.Errorf("%s when it is proposed: it is %s with %d proposals open", deed, j.State, len(s.open()))
			}
		})
	}
}
