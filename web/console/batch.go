package console

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/batchwork"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/staff"
)

const (
	// uploadTime is how long an upload may take on a slow line, downloadTime how long a
	// download.
	uploadTime   = 15 * time.Minute
	downloadTime = time.Hour
	// liveTime is how long one stream of progress lasts. The page begins another.
	liveTime = 10 * time.Minute
	// shownFaults is how many faults a page lists; the file has all.
	shownFaults = 100
)

// batchRoutes are the pages of batches.
func (c *Console) batchRoutes() []route {
	if c.cfg.Manage.Batches == nil {
		return nil
	}
	upload := post("batch_new", "/batches", staff.ProposeBatch, c.makeBatch)
	upload.MaxBody = c.cfg.Manage.Batches.Limits().Bytes + maxForm
	upload.Media, upload.Timeout = []string{"multipart/form-data"}, uploadTime
	live := get("batch_events", "/batches/{id}/events", staff.ViewBatch, c.batchEvents)
	live.Stream, live.Timeout = true, liveTime
	all := []route{
		get("batches", "/batches", staff.ViewBatch, c.batches).in("manage.nav.batches"),
		get("batch_form", "/batches/new", staff.ProposeBatch, c.newBatch),
		upload,
		get("batch", "/batches/{id}", staff.ViewBatch, c.batch),
		live,
		post("batch_recheck", "/batches/{id}/recheck", staff.ProposeBatch, c.batchDeed(batchwork.Recheck)),
		post("batch_propose", "/batches/{id}/propose", staff.ProposeBatch, c.proposeBatch),
		post("batch_decline", "/batches/{id}/decline", staff.ProposeBatch, c.declineBatch),
		post("batch_approve", "/batches/{id}/approve", staff.ApproveBatch, c.approveBatch),
		post("batch_alone", "/batches/{id}/issue", staff.RunBatch, c.issueBatch),
		post("batch_pause", "/batches/{id}/pause", staff.RunBatch, c.batchDeed(batchwork.Pause)),
		post("batch_resume", "/batches/{id}/resume", staff.RunBatch, c.batchDeed(batchwork.Resume)),
		post("batch_print", "/batches/{id}/print", staff.DownloadBatch, c.printBatch),
		post("batch_cancel", "/batches/{id}/cancel", staff.RunBatch, c.batchDeed(batchwork.Cancel)),
	}
	for _, d := range []struct {
		name, file string
		serve      func(http.ResponseWriter, *request, batchwork.Job) error
	}{
		{"batch_faults", "faults.csv", c.downloadFaults}, {"batch_notes", "notes.csv", c.downloadNotes}, {"batch_manifest", "manifest.csv", c.downloadManifest},
		{"batch_files", "files.zip", c.downloadFiles}, {"batch_pdf", "certificates.pdf", c.downloadPrint}, {"batch_print_notes", "print-notes.csv", c.downloadPrintNotes},
	} {
		row := get(d.name, "/batches/{id}/"+d.file, staff.DownloadBatch, func(w http.ResponseWriter, r *request) error {
			return c.downloadBatch(w, r, d.file, d.serve)
		})
		row.Stream, row.Timeout = true, downloadTime
		all = append(all, row)
	}
	return all
}

// homes are where the pages of a kind of jobs are, below [Base].
var homes = map[batchwork.Kind]string{batchwork.Issuing: "/batches/", batchwork.Revoking: "/revocations/"}

// kindAt is the kind of jobs that an address is about.
func kindAt(r *request) batchwork.Kind {
	if strings.HasPrefix(r.URL.Path, Base+homes[batchwork.Revoking]) {
		return batchwork.Revoking
	}
	return batchwork.Issuing
}

// A jobRule names the actions on a kind of jobs.
type jobRule struct{ Propose, Approve, Run staff.Action }

var jobRules = map[batchwork.Kind]jobRule{
	batchwork.Issuing:  {staff.ProposeBatch, staff.ApproveBatch, staff.RunBatch},
	batchwork.Revoking: {staff.ProposeRevokes, staff.ApproveRevokes, staff.RevokeMany},
}

// job is the one in the address, if it is of the operator's office.
func (c *Console) job(r *request) (batchwork.Job, error) {
	id := r.PathValue("id")
	if !batchwork.ValidID(id) {
		return batchwork.Job{}, errNotFound
	}
	j, err := c.cfg.Manage.Batches.Store().Job(r.Context(), id)
	if errors.Is(err, batchwork.ErrNoJob) || err == nil && (j.Office != r.Office.ID || j.Kind != kindAt(r)) {
		return batchwork.Job{}, errNotFound
	}
	return j, away("batches", err)
}

// stateOf is the state of the table of rights. What was issued before somebody gave up
// is done, and is handed out. A revocation waits, and is then carried out as approved.
func (c *Console) stateOf(j batchwork.Job) staff.State {
	switch j.State {
	case batchwork.Cancelled:
		if j.Batch != "" {
			return staff.Done
		}
	case batchwork.Checking, batchwork.Checked:
		return staff.Open
	case batchwork.Proposed:
		return staff.Proposed
	case batchwork.Running, batchwork.Paused, batchwork.Failed:
		switch {
		case j.Waits(c.now()):
			return staff.Waiting
		case j.Kind == batchwork.Revoking:
			return staff.Approved
		}
		return staff.Running
	case batchwork.Finished:
		return staff.Done
	}
	return staff.Closed
}

// A batchRow is a job in a list.
type batchRow struct {
	batchwork.Job
	Label string // of the programme
	Tag   string // how its state looks
}

// tags are how states look.
var tags = map[batchwork.State]string{
	batchwork.Checking: "wait", batchwork.Checked: "wait", batchwork.Unusable: "bad", batchwork.Proposed: "wait", batchwork.Running: "good",
	batchwork.Paused: "wait", batchwork.Failed: "bad", batchwork.Finished: "good",
}

func (c *Console) batchRow(r *request, j batchwork.Job, labels map[string]string) batchRow {
	label := labels[j.Programme]
	if label == "" {
		label = j.Programme
	}
	return batchRow{j, label, tags[j.State]}
}

// labels are the names of programmes in the language of the page.
func (c *Console) labels(r *request) (map[string]string, []*programme.Programme, error) {
	all, err := c.cfg.Manage.Programmes.Programmes(r.Context())
	if err != nil {
		return nil, nil, away("programmes", err)
	}
	names := map[string]string{}
	for _, p := range all {
		names[p.ID] = r.Lang.Pick(p.Labels)
	}
	return names, all, nil
}

// batches lists those of the office.
func (c *Console) batches(w http.ResponseWriter, r *request) error {
	jobs, err := c.cfg.Manage.Batches.Store().Jobs(r.Context(), batchwork.Query{Office: r.Office.ID, Kinds: []batchwork.Kind{batchwork.Issuing}, Limit: 100})
	if err != nil {
		return away("batches", err)
	}
	labels, _, err := c.labels(r)
	if err != nil {
		return err
	}
	rows := make([]batchRow, len(jobs))
	for i, j := range jobs {
		rows[i] = c.batchRow(r, j, labels)
	}
	return c.render(w, r, http.StatusOK, "batches", rows)
}

// A batchView is a job on its page.
type batchView struct {
	batchRow
	Live   liveBatch
	Seen   string
	Faults []faultRow
	// Columns are those that the source lacks and has, if it cannot be used for that. How
	// is the key of the sentence that says how a table is to be written, "" if it is.
	Columns  batchwork.Columns
	How      string
	More     int64 // faults that are not listed
	Proposal staff.Proposal
	Digest   string // of what is shown, for whoever approves
	// Own says that the operator asked for it; Late that nobody answered in time.
	Own, Late bool
	// Names of the people in it, where they still work here.
	RequesterName, ApproverName string
	// Working says that a process is at it.
	Working bool
	// Moving says that the page changes by itself.
	Moving bool
	// Printed is the print of all certificates, nil if there is none and can be none.
	Printed *batchPrint
	May     map[string]bool
}

// A faultRow is one fault in words.
type faultRow struct {
	batchwork.FaultLine
	Reason string
}

// batch shows where a job stands.
func (c *Console) batch(w http.ResponseWriter, r *request) error {
	j, err := c.job(r)
	if err != nil {
		return err
	}
	v, err := c.batchView(r, j)
	if err != nil {
		return err
	}
	return c.render(w, r, http.StatusOK, "batch", v)
}

func (c *Console) batchView(r *request, j batchwork.Job) (batchView, error) {
	labels, all, err := c.labels(r)
	if err != nil {
		return batchView{}, err
	}
	v := batchView{batchRow: c.batchRow(r, j, labels), Live: live(r.Lang, j, c.now()), Seen: seen(j, c.now()), Own: j.Requester == r.Operator.ID, May: map[string]bool{}}
	if v.Working, err = c.cfg.Manage.Batches.Store().Leased(r.Context(), j.ID, c.now()); err != nil {
		return v, away("batches", err)
	}
	v.Moving = j.State == batchwork.Checking || j.State == batchwork.Running || j.Print.Pending()
	if v.Printed, err = c.batchPrint(r, j); err != nil {
		return v, err
	}
	v.RequesterName, v.ApproverName = c.personName(r, j.Requester), c.personName(r, j.Approver)
	if j.Erased.IsZero() && j.Dry.Faulty+j.Dry.Skipped > 0 && r.May(staff.DownloadBatch, c.stateOf(j)) {
		if v.Faults, v.More, err = c.firstFaults(r, j); err != nil {
			return v, err
		}
	}
	if j.State == batchwork.Unusable && j.Erased.IsZero() && r.Operator.MayEver(staff.ProposeBatch) {
		if v.Columns, err = c.cfg.Manage.Batches.Folder().Columns(j.ID); err != nil {
			return v, away("batches", err)
		}
	}
	v.How = howWritten(j, v.Faults)
	if j.State == batchwork.Proposed {
		if v.Proposal, err = c.cfg.Desk.Proposal(r.Context(), j.Proposal); err != nil && !errors.Is(err, staff.ErrNoProposal) {
			return v, away("proposals", err)
		}
		v.Digest = hex.EncodeToString(v.Proposal.Digest[:])
		v.Late = err != nil || v.Proposal.State == staff.Closed || !c.now().Before(v.Proposal.Expires)
	}
	state, rule := c.stateOf(j), jobRules[j.Kind]
	v.May["propose"] = j.Can(batchwork.Propose) && j.Dry.Good > 0 && r.May(rule.Propose, state)
	if v.May["propose"] && j.Kind == batchwork.Issuing && !c.needsTwo(all, j) && r.May(staff.RunBatch, state) {
		v.May["propose"], v.May["issue"] = false, true
		digest := sha256.Sum256(j.Terms().Bytes())
		v.Digest = hex.EncodeToString(digest[:])
	}
	v.May["recheck"] = j.Can(batchwork.Recheck) && j.State == batchwork.Checked && r.May(rule.Propose, state)
	v.May["decline"] = j.Can(batchwork.Decline) && (v.Own || r.May(rule.Approve, state))
	v.May["approve"] = j.Can(batchwork.Approve) && !v.Own && !v.Late && r.May(rule.Approve, state)
	v.May["pause"] = j.Can(batchwork.Pause) && r.May(rule.Run, state)
	v.May["resume"] = j.Can(batchwork.Resume) && r.May(rule.Run, state)
	v.May["cancel"] = j.Can(batchwork.Cancel) && r.May(rule.Run, state)
	v.May["revoke"] = c.cfg.Manage.Batches.Revokes() && j.State.Over() && j.Batch != "" && j.Done.Good > 0 && r.May(staff.ProposeRevokes, staff.None)
	v.May["download"] = j.Erased.IsZero() && r.May(staff.DownloadBatch, state)
	return v, nil
}

// howWritten is the key of the sentence that tells how a table is to be written, for a job
// whose source seems to be written otherwise; "" for others.
func howWritten(j batchwork.Job, faults []faultRow) string {
	cut := slices.Contains([]batchwork.Why{batchwork.Unreadable, batchwork.NoIDColumn, batchwork.NoColumns}, j.Why)
	if !cut && !slices.ContainsFunc(faults, func(f faultRow) bool {
		return slices.Contains([]string{registry.RowEncoding, registry.RowColumns, registry.RowQuote}, f.Code)
	}) {
		return ""
	}
	if j.Source != "" {
		return "manage.how.source"
	}
	return "manage.how.file"
}

// needsTwo reports whether two persons are needed for a batch: the programme says so in
// its newest version, or the settings do. A programme that is gone needs two.
func (c *Console) needsTwo(all []*programme.Programme, j batchwork.Job) bool {
	for _, p := range all {
		switch {
		case p.ID != j.Programme:
		case c.cfg.Work != nil:
			return c.cfg.Work.NeedsTwo(p)
		default:
			return p.Approval != programme.ApprovalOne
		}
	}
	return true
}

// personName is what an operator is called, or "" if nobody knows.
func (c *Console) personName(r *request, id string) string {
	if id == "" {
		return ""
	}
	op, err := c.cfg.Desk.Operator(r.Context(), id)
	if err != nil {
		return ""
	}
	return op.Name
}

var errEnough = errors.New("console: enough")

// firstFaults are the first of a job's faults, and how many more there are.
func (c *Console) firstFaults(r *request, j batchwork.Job) (all []faultRow, more int64, err error) {
	err = c.cfg.Manage.Batches.Folder().Faults(j.ID, func(l batchwork.FaultLine) error {
		if len(all) < shownFaults {
			all = append(all, faultRow{l, reasonText(r.Lang, l.Code)})
		} else {
			more++
		}
		if more > 10*shownFaults {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) || errors.Is(err, batchwork.ErrErased) {
		err = nil
	}
	return all, more, err
}

// reasonText is what a code of a fault means.
func reasonText(l i18n.Language, code string) string {
	if key := "manage.fault." + code; i18n.Has(key) {
		return l.Text(key, nil)
	}
	return code
}
