package console

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sanad-id/sanad/batchwork"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/internal/safecsv"
	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/programme"
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
		post("batch_pause", "/batches/{id}/pause", staff.RunBatch, c.batchDeed(batchwork.Pause)),
		post("batch_resume", "/batches/{id}/resume", staff.RunBatch, c.batchDeed(batchwork.Resume)),
		post("batch_cancel", "/batches/{id}/cancel", staff.RunBatch, c.batchDeed(batchwork.Cancel)),
	}
	for _, d := range []struct {
		name, file string
		serve      func(http.ResponseWriter, *request, batchwork.Job) error
	}{
		{"batch_faults", "faults.csv", c.downloadFaults}, {"batch_notes", "notes.csv", c.downloadNotes}, {"batch_manifest", "manifest.csv", c.downloadManifest},
		{"batch_files", "files.zip", c.downloadFiles},
	} {
		row := get(d.name, "/batches/{id}/"+d.file, staff.DownloadBatch, func(w http.ResponseWriter, r *request) error {
			return c.downloadBatch(w, r, d.file, d.serve)
		})
		row.Stream, row.Timeout = true, downloadTime
		all = append(all, row)
	}
	return all
}

// job is the one in the address, if it is of the operator's office.
func (c *Console) job(r *request) (batchwork.Job, error) {
	id := r.PathValue("id")
	if !batchwork.ValidID(id) {
		return batchwork.Job{}, errNotFound
	}
	j, err := c.cfg.Manage.Batches.Store().Job(r.Context(), id)
	if errors.Is(err, batchwork.ErrNoJob) || err == nil && j.Office != r.Office.ID {
		return batchwork.Job{}, errNotFound
	}
	return j, away("batches", err)
}

// stateOf is the state of the table of rights.
func stateOf(j batchwork.Job) staff.State {
	switch j.State {
	case batchwork.Checking, batchwork.Checked:
		return staff.Open
	case batchwork.Proposed:
		return staff.Proposed
	case batchwork.Running, batchwork.Paused, batchwork.Failed:
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
	jobs, err := c.cfg.Manage.Batches.Store().Jobs(r.Context(), batchwork.Query{Office: r.Office.ID, Limit: 100})
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

// kindsOfFiles are those that a person can choose. The texts are always made: the
// printed certificates come from them.
var kindsOfFiles = []issuance.FileKind{issuance.FileSVG, issuance.FilePNG, issuance.FileText}

// batchForm is the page on which a batch is begun.
type batchForm struct {
	Programmes, Sources, Kinds []option
	MaxBytes                   string
	MaxRecords                 int64
}

func (c *Console) batchForm(r *request) (batchForm, error) {
	labels, all, err := c.labels(r)
	if err != nil {
		return batchForm{}, err
	}
	limits := c.cfg.Manage.Batches.Limits()
	f := batchForm{MaxBytes: bytesText(r.Lang, limits.Bytes), MaxRecords: limits.FileRecords}
	for _, p := range all {
		if r.Office.Works(p.ID) {
			f.Programmes = append(f.Programmes, option{Value: p.ID, Label: labels[p.ID]})
		}
	}
	f.Sources = []option{{Value: "", Label: r.Lang.Text("manage.batch.from.file", nil)}}
	if c.cfg.Manage.Sources != nil {
		for _, s := range c.cfg.Manage.Sources.Sources() {
			f.Sources = append(f.Sources, option{Value: s.Name, Label: r.Lang.Text("manage.batch.from.source", map[string]string{"source": s.Name})})
		}
	}
	for _, k := range kindsOfFiles {
		f.Kinds = append(f.Kinds, option{Value: string(k), Label: r.Lang.Text("manage.batch.kind."+string(k), nil)})
	}
	return f, nil
}

// bytesText is a size in whole megabytes.
func bytesText(l i18n.Language, n int64) string { return l.Quantity(int(n>>20)) + " MB" }

// newBatch shows the form.
func (c *Console) newBatch(w http.ResponseWriter, r *request) error {
	if err := r.must(staff.None); err != nil {
		return err
	}
	f, err := c.batchForm(r)
	if err != nil {
		return err
	}
	first := ""
	if len(f.Programmes) > 0 {
		first = f.Programmes[0].Value
	}
	return c.renderForm(w, r, http.StatusOK, "batch_new", blank("programme", first, "source", "", "kind", string(issuance.FileSVG)), f)
}

// makeBatch takes an upload, or a source, and has it checked.
func (c *Console) makeBatch(w http.ResponseWriter, r *request) error {
	if err := r.must(staff.None); err != nil {
		return err
	}
	// A slow line gets more time than other requests.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(uploadTime)) // without it, the usual time
	_ = control.SetWriteDeadline(time.Now().Add(uploadTime + 30*time.Second))
	data, err := c.batchForm(r)
	if err != nil {
		return err
	}
	f, file, err := readUpload(r)
	if err != nil {
		return err
	}
	order := c.batchOrder(r, f, data, file != nil)
	if !f.OK() {
		return c.renderForm(w, r, http.StatusOK, "batch_new", f, data)
	}
	if order.Source == "" {
		order.Name = file.FileName()
		if order.Name == "" {
			order.Name = "upload.csv"
		}
	}
	j, err := batchwork.New(order, c.now())
	if err != nil {
		return err
	}
	err = c.act(r, deed{Action: staff.ProposeBatch, Subject: j.ID}, func(ctx context.Context) error {
		if order.Source == "" {
			if j, err = c.cfg.Manage.Batches.Folder().Receive(j, file, c.cfg.Manage.Batches.Limits().Bytes); err != nil {
				return err
			}
		}
		return away("batches", c.cfg.Manage.Batches.Store().AddJob(ctx, j))
	})
	switch {
	case errors.Is(err, batchwork.ErrTooLarge):
		f.fail("file", "manage.batch.too_large", "most", data.MaxBytes)
	case errors.Is(err, batchwork.ErrEmpty):
		f.fail("file", "manage.batch.no_file")
	case err != nil:
		return err
	}
	if !f.OK() {
		return c.renderForm(w, r, http.StatusOK, "batch_new", f, data)
	}
	c.cfg.Manage.Batches.Kick()
	return c.seeOther(w, r, "/batches/"+j.ID, "")
}

// batchOrder reads what was asked for, and says what is wrong with it.
func (c *Console) batchOrder(r *request, f *form, data batchForm, hasFile bool) batchwork.Order {
	o := batchwork.Order{Office: r.Office.ID, Requester: r.Operator.ID, Programme: f.Get("programme"), Source: f.Get("source"), Supersede: f.Get("supersede") == "yes"}
	has := func(all []option, value string) bool {
		return slices.ContainsFunc(all, func(o option) bool { return o.Value == value })
	}
	if !has(data.Programmes, o.Programme) {
		f.fail("programme", "console.form.choose")
	}
	switch {
	case !has(data.Sources, o.Source):
		f.fail("source", "console.form.choose")
	case o.Source == "" && !hasFile:
		f.fail("file", "manage.batch.no_file")
	}
	o.Kinds = []issuance.FileKind{issuance.FileCSV}
	for _, k := range f.All("kind") {
		if slices.Contains(kindsOfFiles, issuance.FileKind(k)) && !slices.Contains(o.Kinds, issuance.FileKind(k)) {
			o.Kinds = append(o.Kinds, issuance.FileKind(k))
		}
	}
	o.Alone = o.Source != "" && r.Office.Column != ""
	return o
}

// readUpload reads the fields of the form up to its file, which is left to be read. The
// form has the file at its end; nil if none was chosen.
func readUpload(r *request) (*form, *multipart.Part, error) {
	bad := func() (*form, *multipart.Part, error) {
		return nil, nil, web.Refuse(http.StatusBadRequest, "bad_form", "the body is not a form with a file")
	}
	m, err := r.MultipartReader()
	if err != nil {
		return bad()
	}
	f := blank()
	for fields := 0; ; fields++ {
		p, err := m.NextPart()
		if errors.Is(err, io.EOF) {
			return f, nil, nil
		}
		if err != nil || fields > 32 {
			return bad()
		}
		if p.FormName() == "file" {
			if p.FileName() == "" {
				continue // no file was chosen
			}
			return f, p, nil
		}
		const most = 1 << 10
		b, err := io.ReadAll(io.LimitReader(p, most+1))
		if err != nil || len(b) > most || len(p.FormName()) > 64 || !utf8.Valid(b) || strings.ContainsRune(string(b), 0) {
			return bad()
		}
		f.values.Add(p.FormName(), string(b))
	}
}

// A batchView is a job on its page.
type batchView struct {
	batchRow
	Live     liveBatch
	Faults   []faultRow
	More     int64 // faults that are not listed
	Proposal staff.Proposal
	Digest   string // of what is shown, for whoever approves
	// Own says that the operator asked for it; Late that nobody answered in time.
	Own, Late bool
	// Names of the people in it, where they still work here.
	RequesterName, ApproverName string
	// Working says that a process is at it.
	Working bool
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
	labels, _, err := c.labels(r)
	if err != nil {
		return batchView{}, err
	}
	v := batchView{batchRow: c.batchRow(r, j, labels), Live: live(r.Lang, j), Own: j.Requester == r.Operator.ID, May: map[string]bool{}}
	if v.Working, err = c.cfg.Manage.Batches.Store().Leased(r.Context(), j.ID, time.Now()); err != nil {
		return v, away("batches", err)
	}
	v.RequesterName, v.ApproverName = c.personName(r, j.Requester), c.personName(r, j.Approver)
	if j.Erased.IsZero() && j.Dry.Faulty+j.Dry.Skipped > 0 && r.May(staff.DownloadBatch, stateOf(j)) {
		if v.Faults, v.More, err = c.firstFaults(r, j); err != nil {
			return v, err
		}
	}
	if j.State == batchwork.Proposed {
		if v.Proposal, err = c.cfg.Desk.Proposal(r.Context(), j.Proposal); err != nil && !errors.Is(err, staff.ErrNoProposal) {
			return v, away("proposals", err)
		}
		v.Digest = hex.EncodeToString(v.Proposal.Digest[:])
		v.Late = err != nil || v.Proposal.State == staff.Closed || !c.now().Before(v.Proposal.Expires)
	}
	state := stateOf(j)
	v.May["propose"] = j.Can(batchwork.Propose) && j.Dry.Good > 0 && r.May(staff.ProposeBatch, state)
	v.May["recheck"] = j.Can(batchwork.Recheck) && j.State == batchwork.Checked && r.May(staff.ProposeBatch, state)
	v.May["decline"] = j.Can(batchwork.Decline) && (v.Own || r.May(staff.ApproveBatch, state))
	v.May["approve"] = j.Can(batchwork.Approve) && !v.Own && !v.Late && r.May(staff.ApproveBatch, state)
	v.May["pause"] = j.Can(batchwork.Pause) && r.May(staff.RunBatch, state)
	v.May["resume"] = j.Can(batchwork.Resume) && r.May(staff.RunBatch, state)
	v.May["cancel"] = j.Can(batchwork.Cancel) && r.May(staff.RunBatch, state)
	v.May["download"] = j.Erased.IsZero() && r.May(staff.DownloadBatch, state)
	return v, nil
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

// A liveBatch is what a page says about progress, in words.
type liveBatch struct {
	State string `json:"state"`
	// Done of Total records; Percent is -1 if nobody knows.
	Percent int    `json:"percent"`
	Text    string `json:"text"`
	Rest    string `json:"rest"`
	Trouble string `json:"trouble"`
}

func live(l i18n.Language, j batchwork.Job) liveBatch {
	v := liveBatch{State: string(j.State), Percent: -1}
	if s := j.Share(); s >= 0 {
		v.Percent = int(s * 100)
	}
	n := func(n int64) string { return l.Quantity(int(n)) }
	switch {
	case j.State == batchwork.Checking:
		v.Text = l.Text("manage.batch.live.checking", map[string]string{"n": n(j.Done.Records), "bad": n(j.Done.Faulty + j.Done.Skipped)})
	case j.State == batchwork.Running || j.State == batchwork.Paused || j.State == batchwork.Failed || j.State == batchwork.Cancelled && j.Batch != "":
		v.Text = l.Text("manage.batch.live.running", map[string]string{"n": n(j.Done.Records), "all": n(j.Dry.Records), "issued": n(j.Done.Good)})
	}
	if left := j.Remaining(); left > 0 && j.State == batchwork.Running {
		switch minutes := int((left + time.Minute - 1) / time.Minute); {
		case minutes < 120:
			v.Rest = l.Count("manage.batch.rest.minutes", minutes)
		default:
			v.Rest = l.Count("manage.batch.rest.hours", (minutes+59)/60)
		}
	}
	if j.Why != "" {
		v.Trouble = l.Text("manage.why."+string(j.Why), nil)
	}
	return v
}

// batchEvents streams the progress of a job until it is in another state, which is when
// the page is drawn anew.
func (c *Console) batchEvents(w http.ResponseWriter, r *request) error {
	j, err := c.job(r)
	if err != nil {
		return err
	}
	e, err := web.NewEvents(w)
	if err != nil {
		return nil // the browser is gone
	}
	began, last := j.State, []byte(nil)
	end := time.NewTimer(liveTime - 10*time.Second)
	defer end.Stop()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for quiet := 0; ; quiet++ {
		b, err := json.Marshal(live(r.Lang, j))
		if err != nil {
			return nil
		}
		switch {
		case j.State != began:
			_ = e.Send("moved", b) // whoever is gone asks again
			return nil
		case string(b) != string(last):
			last, quiet = b, 0
			err = e.Send("progress", b)
		case quiet%15 == 14:
			err = e.Ping()
		}
		if err != nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-end.C:
			return nil
		case <-r.Context().Done():
			return nil
		case <-web.Closing(r.Context()):
			return nil
		}
		if next, err := c.cfg.Manage.Batches.Store().Job(r.Context(), j.ID); err == nil {
			j = next
		}
	}
}

// move does a deed to a job.
func (c *Console) move(r *request, j batchwork.Job, action staff.Action, d batchwork.Deed, operator string) error {
	err := c.act(r, deed{Action: action, Subject: j.ID}, func(ctx context.Context) error {
		_, err := batchwork.Change(ctx, c.cfg.Manage.Batches.Store(), j.ID, func(now batchwork.Job) (batchwork.Job, error) {
			return now.Do(d, operator, c.now())
		})
		return err
	})
	c.cfg.Manage.Batches.Kick()
	return err
}

// batchDeed does one that needs nothing but the right to it.
func (c *Console) batchDeed(d batchwork.Deed) func(http.ResponseWriter, *request) error {
	return func(w http.ResponseWriter, r *request) error {
		j, err := c.job(r)
		if err != nil {
			return err
		}
		if err := r.must(stateOf(j)); err != nil {
			return err
		}
		if err := c.move(r, j, r.route.Action, d, r.Operator.ID); err != nil {
			return err
		}
		return c.seeOther(w, r, "/batches/"+j.ID, "manage.batch.done."+string(d))
	}
}

// proposeBatch asks a second person.
func (c *Console) proposeBatch(w http.ResponseWriter, r *request) error {
	j, err := c.job(r)
	if err != nil {
		return err
	}
	if err := r.must(stateOf(j)); err != nil {
		return err
	}
	p, err := staff.Propose(staff.RunBatch, j.ID, j.Terms().Bytes(), r.Operator, c.now())
	if err != nil {
		return err
	}
	err = c.act(r, deed{staff.ProposeBatch, j.ID, p.Digest}, func(ctx context.Context) error {
		if err := c.cfg.Desk.SaveProposal(ctx, p); err != nil {
			return away("proposals", err)
		}
		_, err := batchwork.Change(ctx, c.cfg.Manage.Batches.Store(), j.ID, func(now batchwork.Job) (batchwork.Job, error) {
			if sha256.Sum256(now.Terms().Bytes()) != p.Digest {
				return now, batchwork.ErrTerms
			}
			next, err := now.Do(batchwork.Propose, r.Operator.ID, c.now())
			next.Proposal = p.ID
			return next, err
		})
		return err
	})
	if err != nil {
		return err
	}
	return c.seeOther(w, r, "/batches/"+j.ID, "manage.batch.done.propose")
}

// declineBatch takes a proposal back, or says no to it.
func (c *Console) declineBatch(w http.ResponseWriter, r *request) error {
	j, err := c.job(r)
	if err != nil {
		return err
	}
	if j.Requester != r.Operator.ID && !r.May(staff.ApproveBatch, stateOf(j)) {
		return staff.ErrMayNot
	}
	err = c.act(r, deed{Action: staff.ProposeBatch, Subject: j.ID}, func(ctx context.Context) error {
		err := c.cfg.Desk.CloseProposal(ctx, j.Proposal, r.Operator, c.now())
		if err != nil && !errors.Is(err, staff.ErrProposalOver) && !errors.Is(err, staff.ErrNoProposal) {
			return err
		}
		_, err = batchwork.Change(ctx, c.cfg.Manage.Batches.Store(), j.ID, func(now batchwork.Job) (batchwork.Job, error) {
			return now.Do(batchwork.Decline, r.Operator.ID, c.now())
		})
		return err
	})
	if err != nil {
		return err
	}
	return c.seeOther(w, r, "/batches/"+j.ID, "manage.batch.done.decline")
}

// approveBatch is the agreement of the second person, upon which the batch runs.
func (c *Console) approveBatch(w http.ResponseWriter, r *request) error {
	j, err := c.job(r)
	if err != nil {
		return err
	}
	if err := r.must(stateOf(j)); err != nil {
		return err
	}
	f, err := r.readForm()
	if err != nil {
		return err
	}
	var shown [32]byte
	if b, err := hex.DecodeString(f.Get("digest")); err != nil || copy(shown[:], b) != len(shown) {
		return staff.ErrChangedPayload
	}
	err = c.act(r, deed{staff.ApproveBatch, j.ID, shown}, func(ctx context.Context) error { return c.agree(ctx, r, j, shown) })
	if err != nil {
		return err
	}
	c.cfg.Manage.Batches.Kick()
	return c.seeOther(w, r, "/batches/"+j.ID, "manage.batch.done.approve")
}

// agree approves the proposal and starts the batch, which happens once: a job leaves
// Proposed once. A crash between the two leaves an approved proposal, and whoever
// presses the button again starts it.
func (c *Console) agree(ctx context.Context, r *request, j batchwork.Job, shown [32]byte) error {
	p, err := c.cfg.Desk.Approve(ctx, j.Proposal, shown, r.Operator, c.now())
	if errors.Is(err, staff.ErrProposalOver) {
		if p, err = c.cfg.Desk.Proposal(ctx, j.Proposal); err == nil {
			err = p.CheckUse(r.Operator, staff.RunBatch, shown, c.now())
		}
	}
	if err != nil {
		return err
	}
	_, err = batchwork.Change(ctx, c.cfg.Manage.Batches.Store(), j.ID, func(now batchwork.Job) (batchwork.Job, error) {
		if now.Proposal != p.ID || sha256.Sum256(now.Terms().Bytes()) != p.Digest {
			return now, batchwork.ErrTerms
		}
		return now.Do(batchwork.Approve, p.Approver, c.now())
	})
	if err != nil {
		return err
	}
	_, err = c.cfg.Desk.UseProposal(ctx, p.ID, staff.RunBatch, shown, r.Operator, c.now())
	if err != nil { // it runs; the approval expires by itself
		c.cfg.Log.WarnContext(ctx, "an approval is not marked as used", "job", j.ID, "err", err)
	}
	return nil
}

// downloadBatch hands out a file of a job, which the audit log knows.
func (c *Console) downloadBatch(w http.ResponseWriter, r *request, name string, serve func(http.ResponseWriter, *request, batchwork.Job) error) error {
	j, err := c.job(r)
	if err != nil {
		return err
	}
	if err := r.must(stateOf(j)); err != nil {
		return err
	}
	if !j.Erased.IsZero() {
		return errNotFound
	}
	err = c.act(r, deed{Action: staff.DownloadBatch, Subject: j.ID + "/" + name}, func(context.Context) error { return serve(w, r, j) })
	if errors.Is(err, batchwork.ErrErased) {
		return errNotFound
	}
	return err
}

// sending is an answer that is written piece by piece, each in its time.
type sending struct {
	w       io.Writer
	control *http.ResponseController
}

func newSending(w http.ResponseWriter) sending {
	return sending{w, http.NewResponseController(w)}
}

func (s sending) Write(b []byte) (int, error) {
	_ = s.control.SetWriteDeadline(time.Now().Add(time.Minute)) // without it, the usual time
	return s.w.Write(b)
}

// sent ends an answer that was begun: what goes wrong now is not told any more, and half
// a file must not pass for a whole one.
func sent(err error) error {
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}

func (c *Console) downloadFaults(w http.ResponseWriter, r *request, j batchwork.Job) error {
	return c.downloadLines(w, r, j, "faults", c.cfg.Manage.Batches.Folder().Faults)
}

func (c *Console) downloadNotes(w http.ResponseWriter, r *request, j batchwork.Job) error {
	return c.downloadLines(w, r, j, "notes", c.cfg.Manage.Batches.Folder().Notes)
}

// downloadLines writes faults or notes with reasons in the language of the page.
func (c *Console) downloadLines(w http.ResponseWriter, r *request, j batchwork.Job, name string, lines func(string, func(batchwork.FaultLine) error) error) error {
	if j.CheckedAt.IsZero() {
		return errNotFound
	}
	begun := false
	out := bufio.NewWriterSize(newSending(w), 32<<10)
	begin := func() error {
		begun = true
		download(w, "text/csv; charset=utf-8", "batch-"+strings.ToLower(j.ID[:8])+"-"+name+".csv")
		// A spreadsheet takes a file for UTF-8 if it begins so.
		_, err := out.Write(safecsv.AppendRow([]byte("\ufeff"), "row", "line", "record_id", "column", "reason", "code", "detail", "outcome"))
		return err
	}
	reasons := map[string]string{}
	err := lines(j.ID, func(l batchwork.FaultLine) error {
		if !begun {
			if err := begin(); err != nil {
				return err
			}
		}
		if reasons[l.Code] == "" {
			reasons[l.Code] = reasonText(r.Lang, l.Code)
		}
		outcome := "refused"
		switch {
		case l.Skipped:
			outcome = "skipped"
		case name == "notes":
			outcome = "noted"
		}
		line := ""
		if l.Line > 0 {
			line = strconv.FormatInt(l.Line, 10)
		}
		_, err := out.Write(safecsv.AppendRow(nil, strconv.FormatInt(l.Row, 10), line, l.Record, l.Column, reasons[l.Code], l.Code, l.Detail, outcome))
		return err
	})
	if !begun {
		if err == nil {
			err = begin()
		}
		if err != nil {
			return err
		}
	}
	return sent(errors.Join(err, out.Flush()))
}

func (c *Console) downloadManifest(w http.ResponseWriter, _ *request, j batchwork.Job) error {
	if j.Batch == "" {
		return errNotFound
	}
	download(w, "text/csv; charset=utf-8", "batch-"+strings.ToLower(j.ID[:8])+"-manifest.csv")
	return sent(c.cfg.Manage.Batches.Folder().Manifest(j.ID, newSending(w)))
}

func (c *Console) downloadFiles(w http.ResponseWriter, r *request, j batchwork.Job) error {
	if j.Batch == "" {
		return errNotFound
	}
	download(w, "application/zip", "batch-"+strings.ToLower(j.ID[:8])+".zip")
	return sent(c.cfg.Manage.Batches.Folder().Zip(r.Context(), j.ID, newSending(w)))
}
