package console

import (
	"bufio"
	"context"
	"errors"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/batchwork"
	"github.com/sanad-id/sanad/internal/safecsv"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/staff"
)

// shownAffected is how many certificates of a revocation a page lists; the file has all.
const shownAffected = 50

// revocationRoutes are the pages on which many certificates are revoked. To make the
// list changes nothing and is done as for a batch; to ask, to agree and to carry it out
// are actions of their own.
func (c *Console) revocationRoutes() []route {
	if c.cfg.Manage.Batches == nil || !c.cfg.Manage.Batches.Revokes() {
		return nil
	}
	upload := post("revocation_new", "/revocations", staff.ProposeBatch, c.makeRevocation)
	upload.MaxBody = c.cfg.Manage.Batches.Limits().Bytes + maxForm
	upload.Media, upload.Timeout = []string{"multipart/form-data"}, uploadTime
	live := get("revocation_events", "/revocations/{id}/events", staff.ViewBatch, c.batchEvents)
	live.Stream, live.Timeout = true, liveTime
	all := []route{
		get("revocations", "/revocations", staff.ViewBatch, c.revocations).in("manage.nav.revocations"),
		get("revocation_form", "/revocations/new", staff.ProposeBatch, c.newRevocation),
		upload,
		get("revocation", "/revocations/{id}", staff.ViewBatch, c.revocation),
		live,
		post("revocation_recheck", "/revocations/{id}/recheck", staff.ProposeBatch, c.batchDeed(batchwork.Recheck)),
		post("revocation_propose", "/revocations/{id}/propose", staff.ProposeRevokes, c.proposeBatch),
		post("revocation_decline", "/revocations/{id}/decline", staff.ProposeRevokes, c.declineBatch),
		post("revocation_approve", "/revocations/{id}/approve", staff.ApproveRevokes, c.approveBatch),
		post("revocation_undo", "/revocations/{id}/undo", staff.UndoChange, c.undoRevocation),
		post("revocation_now", "/revocations/{id}/now", staff.ChangeNow, c.hurryRevocation),
		post("revocation_pause", "/revocations/{id}/pause", staff.RevokeMany, c.batchDeed(batchwork.Pause)),
		post("revocation_resume", "/revocations/{id}/resume", staff.RevokeMany, c.batchDeed(batchwork.Resume)),
		post("revocation_cancel", "/revocations/{id}/cancel", staff.RevokeMany, c.batchDeed(batchwork.Cancel)),
	}
	for _, d := range []struct {
		name, file string
		serve      func(http.ResponseWriter, *request, batchwork.Job) error
	}{{"revocation_faults", "faults.csv", c.downloadFaults}, {"revocation_list", "affected.csv", c.downloadAffected}} {
		row := get(d.name, "/revocations/{id}/"+d.file, staff.DownloadBatch, func(w http.ResponseWriter, r *request) error {
			return c.downloadBatch(w, r, d.file, d.serve)
		})
		row.Stream, row.Timeout = true, downloadTime
		all = append(all, row)
	}
	return all
}

// revocations lists those of the office.
func (c *Console) revocations(w http.ResponseWriter, r *request) error {
	jobs, err := c.cfg.Manage.Batches.Store().Jobs(r.Context(), batchwork.Query{Office: r.Office.ID, Kinds: []batchwork.Kind{batchwork.Revoking}, Limit: 100})
	if err != nil {
		return away("batches", err)
	}
	labels, _, err := c.labels(r)
	if err != nil {
		return err
	}
	rows := make([]revocationRow, len(jobs))
	for i, j := range jobs {
		rows[i] = c.revocationRow(r, j, labels)
	}
	return c.render(w, r, http.StatusOK, "revocations", rows)
}

// A revocationRow is a revocation in a list.
type revocationRow struct {
	batchRow
	ReasonKey string
	// Waits says that it can be undone.
	Waits bool
}

func (c *Console) revocationRow(r *request, j batchwork.Job, labels map[string]string) revocationRow {
	return revocationRow{c.batchRow(r, j, labels), reasonOf(j.Revoke.Reason), j.Waits(c.now())}
}

// Ways to say what is revoked.
const (
	whatBatch = "batch"
	whatTime  = "time"
	whatList  = "list"
)

// revocationForm is the page on which a revocation is begun.
type revocationForm struct {
	Programmes, Whats, Batches, Reasons []option
	MaxBytes                            string
	MaxRecords                          int64
	jobs                                []batchwork.Job
}

func (c *Console) revocationForm(r *request) (revocationForm, error) {
	labels, all, err := c.labels(r)
	if err != nil {
		return revocationForm{}, err
	}
	limits := c.cfg.Manage.Batches.Limits()
	f := revocationForm{MaxBytes: bytesText(r.Lang, limits.Bytes), MaxRecords: limits.FileRecords, Reasons: reasons(r)}
	for _, p := range all {
		if r.Office.Works(p.ID) {
			f.Programmes = append(f.Programmes, option{Value: p.ID, Label: labels[p.ID]})
		}
	}
	for _, what := range []string{whatList, whatTime, whatBatch} {
		f.Whats = append(f.Whats, option{
			Value: what, Label: r.Lang.Text("manage.revoke.what."+what, nil), Hint: r.Lang.Text("manage.revoke.what."+what+".hint", nil),
		})
	}
	f.jobs, err = c.cfg.Manage.Batches.Store().Jobs(r.Context(), batchwork.Query{Office: r.Office.ID, Kinds: []batchwork.Kind{batchwork.Issuing}, Limit: 100})
	if err != nil {
		return f, away("batches", err)
	}
	f.jobs = slices.DeleteFunc(f.jobs, func(j batchwork.Job) bool { return j.Batch == "" || j.Done.Good == 0 })
	f.Batches = []option{{Value: "", Label: r.Lang.Text("manage.revoke.no_batch", nil)}}
	for _, j := range f.jobs {
		f.Batches = append(f.Batches, option{Value: j.ID, Label: r.Lang.Text("manage.revoke.batch_of", map[string]string{
			"date": r.Lang.DateTime(j.Made.In(c.cfg.Zone)), "programme": c.batchRow(r, j, labels).Label, "n": r.Lang.Quantity(int(j.Done.Good)),
		})})
	}
	return f, nil
}

// newRevocation shows the form; an address may name a batch.
func (c *Console) newRevocation(w http.ResponseWriter, r *request) error {
	if err := r.must(staff.None); err != nil {
		return err
	}
	batch, err := r.query("batch")
	if err != nil {
		return err
	}
	f, err := c.revocationForm(r)
	if err != nil {
		return err
	}
	first, what := "", whatList
	if len(f.Programmes) > 0 {
		first = f.Programmes[0].Value
	}
	if batch != "" && hasOption(f.Batches, batch) {
		what = whatBatch
	}
	return c.renderForm(w, r, http.StatusOK, "revocation_new", blank("programme", first, "what", what, "batch", batch), f)
}

// makeRevocation has the list made.
func (c *Console) makeRevocation(w http.ResponseWriter, r *request) error {
	if err := r.must(staff.None); err != nil {
		return err
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(uploadTime)) // without it, the usual time
	_ = control.SetWriteDeadline(time.Now().Add(uploadTime + 30*time.Second))
	data, err := c.revocationForm(r)
	if err != nil {
		return err
	}
	f, file, err := readUpload(r)
	if err != nil {
		return err
	}
	order, what := c.revocationOrder(r, f, data, file)
	if !f.OK() {
		return c.renderForm(w, r, http.StatusOK, "revocation_new", f, data)
	}
	j, err := batchwork.NewRevocation(order, what, c.now())
	if err != nil {
		return err
	}
	if !what.List {
		file = nil
	}
	if err := c.proposeJob(r, f, j, file); err != nil {
		return err
	}
	if !f.OK() {
		return c.renderForm(w, r, http.StatusOK, "revocation_new", f, data)
	}
	return c.seeOther(w, r, homes[j.Kind]+j.ID, "")
}

// revocationOrder reads what was asked for, and says what is wrong with it.
func (c *Console) revocationOrder(r *request, f *form, data revocationForm, file *multipart.Part) (batchwork.Order, batchwork.Revocation) {
	o := batchwork.Order{Office: r.Office.ID, Requester: r.Operator.ID, Programme: f.Get("programme")}
	what := batchwork.Revocation{Reason: issuance.Reason(f.Get("reason"))}
	if !slices.Contains(issuance.Reasons(), what.Reason) {
		f.fail("reason", "work.reason.missing")
	}
	switch f.Get("what") {
	case whatBatch:
		i := slices.IndexFunc(data.jobs, func(j batchwork.Job) bool { return j.ID == f.Get("batch") })
		if i < 0 {
			f.fail("batch", "console.form.choose")
			break
		}
		o.Programme, what.Batch = data.jobs[i].Programme, data.jobs[i].Batch
	case whatTime:
		what.From = c.dayOf(f, "from", 0)
		what.To = c.dayOf(f, "to", 1)
		if !what.From.IsZero() && !what.To.IsZero() && !what.From.Before(what.To) {
			f.fail("to", "manage.revoke.days.order")
		}
	case whatList:
		if what.List = file != nil; !what.List {
			f.fail("file", "manage.batch.no_file")
			break
		}
		if o.Name = file.FileName(); o.Name == "" {
			o.Name = "upload.csv"
		}
	default:
		f.fail("what", "console.form.choose")
	}
	if !hasOption(data.Programmes, o.Programme) {
		f.fail("programme", "console.form.choose")
	}
	return o, what
}

// dayOf is the beginning of a day that was typed, or of one some days later; zero if
// there is none.
func (c *Console) dayOf(f *form, name string, later int) time.Time {
	text := f.Get(name)
	if text == "" {
		return time.Time{}
	}
	d, err := time.ParseInLocation(time.DateOnly, text, c.cfg.Zone)
	if err != nil {
		f.fail(name, "manage.revoke.days.wrong")
		return time.Time{}
	}
	return d.AddDate(0, 0, later).UTC()
}

// A revocationView is a revocation on its page.
type revocationView struct {
	batchView
	ReasonKey string
	// Waits says that it can be undone.
	Waits bool
	What  string
	// From and To are days, zero if not set.
	From, To time.Time
	Affected []affectedRow
	// Others are how many more are affected.
	Others int64
	// Again is after how many seconds a page without scripts is loaded anew.
	Again int
}

// An affectedRow is a certificate that will be revoked.
type affectedRow struct {
	ID, Number, State string
	Issued            time.Time
}

// revocation shows where one stands and what it affects.
func (c *Console) revocation(w http.ResponseWriter, r *request) error {
	j, err := c.job(r)
	if err != nil {
		return err
	}
	v := revocationView{ReasonKey: reasonOf(j.Revoke.Reason), Waits: j.Waits(c.now()), What: whatTime, From: j.Revoke.From}
	if v.batchView, err = c.batchView(r, j); err != nil {
		return err
	}
	switch {
	case j.Revoke.Batch != "":
		v.What = whatBatch
	case j.Revoke.List:
		v.What = whatList
	case !j.Revoke.To.IsZero():
		v.To = j.Revoke.To.In(c.cfg.Zone).AddDate(0, 0, -1)
	}
	v.Again = again
	if v.Waits {
		// Seldom enough to press a button, and at the end.
		v.Again = min(30, int(j.Due.Sub(c.now())/time.Second)+1)
	}
	state := c.stateOf(j)
	v.May["undo"] = v.Waits && r.May(staff.UndoChange, state)
	v.May["now"] = v.Waits && r.May(staff.ChangeNow, state)
	if v.Waits {
		v.May["pause"], v.May["cancel"] = false, false
	}
	if !j.CheckedAt.IsZero() && j.Erased.IsZero() {
		err := c.cfg.Manage.Batches.Folder().Affected(j.ID, func(id, number, issued, state string) error {
			if len(v.Affected) == shownAffected {
				return errEnough
			}
			day, _ := time.Parse(time.DateOnly, issued) // we have written it
			v.Affected = append(v.Affected, affectedRow{id, number, state, day})
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) && !errors.Is(err, batchwork.ErrErased) {
			return err
		}
		v.Others = j.Dry.Good - int64(len(v.Affected))
	}
	return c.render(w, r, http.StatusOK, "revocation", v)
}

// undoRevocation takes one back that waits.
func (c *Console) undoRevocation(w http.ResponseWriter, r *request) error {
	return c.changeWaiting(w, r, "undo", func(now batchwork.Job) (batchwork.Job, error) {
		if !now.Waits(c.now()) {
			return now, batchwork.ErrState
		}
		return now.Do(batchwork.Cancel, r.Operator.ID, c.now())
	})
}

// hurryRevocation lets one wait no longer.
func (c *Console) hurryRevocation(w http.ResponseWriter, r *request) error {
	return c.changeWaiting(w, r, "now", func(now batchwork.Job) (batchwork.Job, error) { return now.Hurry(c.now()) })
}

// changeWaiting changes a revocation that waits.
func (c *Console) changeWaiting(w http.ResponseWriter, r *request, word string, do func(batchwork.Job) (batchwork.Job, error)) error {
	j, err := c.job(r)
	if err != nil {
		return err
	}
	if err := r.must(c.stateOf(j)); err != nil {
		return err
	}
	err = c.act(r, deed{Action: r.route.Action, Subject: j.ID}, func(ctx context.Context) error {
		_, err := batchwork.Change(ctx, c.cfg.Manage.Batches.Store(), j.ID, do)
		return err
	})
	c.cfg.Manage.Batches.Kick()
	if err != nil {
		return err
	}
	return c.seeOther(w, r, homes[j.Kind]+j.ID, "manage.revoke.done."+word)
}

// doneKey is the sentence that says what a deed did.
func doneKey(j batchwork.Job, d batchwork.Deed) string {
	if j.Kind == batchwork.Revoking {
		return "manage.revoke.done." + string(d)
	}
	return "manage.batch.done." + string(d)
}

// downloadAffected is the list of what a revocation revokes.
func (c *Console) downloadAffected(w http.ResponseWriter, _ *request, j batchwork.Job) error {
	if j.CheckedAt.IsZero() {
		return errNotFound
	}
	download(w, "text/csv; charset=utf-8", "revocation-"+strings.ToLower(j.ID[:8])+".csv")
	out := bufio.NewWriterSize(newSending(w), 32<<10)
	_, err := out.Write(safecsv.AppendRow([]byte("\ufeff"), "credential_id", "document_number", "issued", "state"))
	if err == nil {
		err = c.cfg.Manage.Batches.Folder().Affected(j.ID, func(id, number, issued, state string) error {
			_, err := out.Write(safecsv.AppendRow(nil, id, number, issued, state))
			return err
		})
	}
	return sent(errors.Join(err, out.Flush()))
}
