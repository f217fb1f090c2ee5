package console_test

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"mime/multipart"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/batchwork"
	"github.com/sanad-id/sanad/internal/docpdf"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/internal/officetest"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/registry/csvfile"
	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/store"
	"github.com/sanad-id/sanad/web/console"
)

// A shop is a console over a real issuer, with batches.
type shop struct {
	*bed
	office *officetest.Office
	runner *batchwork.Runner
	path   string
	// register is the registry of the programme.
	register string
	// jobs stands before the store of jobs; optional.
	jobs func(batchwork.Store) batchwork.Store
}

// shopRevoker is the issuer as revocations need it.
type shopRevoker struct {
	*issuance.Service
	db *store.DB
}

func (r shopRevoker) Find(ctx context.Context, q issuance.Query) iter.Seq2[issuance.Credential, error] {
	return r.db.Find(ctx, q)
}

// newShop makes one. Nothing is done in the background before start.
func newShop(t *testing.T, change ...func(*console.Config)) *shop {
	t.Helper()
	return newShopFor(t, 1000, change...)
}

// newShopFor makes one that takes files of so many records.
func newShopFor(t *testing.T, records int64, change ...func(*console.Config)) *shop {
	t.Helper()
	s := &shop{office: officetest.New(t, officetest.Options{ListSize: max(1<<12, uint64(records)*4)}), path: filepath.Join(t.TempDir(), "batches")}
	s.bed = newBed(t, append([]func(*console.Config){s.batches(t, records)}, change...)...)
	return s
}

// batches has a console do batches of so many records at most.
func (s *shop) batches(t *testing.T, records int64) func(c *console.Config) {
	t.Helper()
	folder, err := batchwork.OpenFolder(s.path)
	if err != nil {
		t.Fatal(err)
	}
	return func(c *console.Config) {
		jobs := batchwork.Store(c.Desk)
		if s.jobs != nil {
			jobs = s.jobs(jobs)
		}
		s.runner, err = batchwork.NewRunner(batchwork.Config{
			Store: jobs, Folder: folder, Worker: "one", Node: "one", Poll: 20 * time.Millisecond, Chunk: 20,
			Log: slog.New(slog.DiscardHandler), Limits: batchwork.Limits{Bytes: 64 * records, FileRecords: records}, Print: s.print,
			Sync: func(string) error { return nil }, Now: c.Now,
			Issuer: func(_ context.Context, do func(batchwork.Issuer) error) error { return do(s.office.Service) },
			Draw:   func(issuance.FileKind, programme.Form, string) ([]byte, error) { return []byte("<svg/>"), nil },
			Share: func(ctx context.Context, j batchwork.Job) (batchwork.Share, error) {
				o, err := c.Desk.Office(ctx, j.Office)
				return batchwork.Share{Name: o.ID, Sees: func(r registry.Record) bool { return o.Sees(j.Programme, r.Value) }}, err
			},
			Revoker: func(_ context.Context, do func(batchwork.Revoker) error) error {
				return do(shopRevoker{s.office.Service, s.office.DB})
			},
			Registry: func(ctx context.Context, j batchwork.Job) (registry.Source, func(), error) {
				src, err := csvfile.Open(s.register, csvfile.Options{IDColumn: "id"})
				return src, func() {}, err
			},
			Open: func(_ context.Context, _ batchwork.Job, path string, p *programme.Programme) (batchwork.Table, error) {
				src, err := csvfile.Open(path, csvfile.Options{IDColumn: p.Records.IDColumn})
				if e, ok := errors.AsType[*csvfile.IDColumnError](err); ok {
					return nil, &batchwork.SourceError{Why: batchwork.NoIDColumn, Err: err, Columns: batchwork.Columns{Lacks: []string{e.Column}, Has: e.Has}}
				}
				if err != nil {
					return nil, &batchwork.SourceError{Why: batchwork.Unreadable, Err: err}
				}
				return src, nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		c.Audit = s.office.Service
		c.Manage = console.Manage{Batches: s.runner, Programmes: s.office.Service}
		c.Paper = testPaper{s.office, testPrinter()}
	}
}

// start lets the runner run.
func (s *shop) start() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.runner.Run(ctx)
	}()
	s.t.Cleanup(func() {
		cancel()
		<-done
	})
}

// print prints as an office does that has no settings for it.
func (s *shop) print(ctx context.Context, o batchwork.PrintOrder, to io.Writer) (done batchwork.Printed, err error) {
	layout, _ := docpdf.LayoutNamed(cmp.Or(o.Job.Print.Layout, "sheet"))
	printed, err := testPrinter().Batch(ctx, to, docpdf.Batch{
		Folder: o.Folders[0], More: o.Folders[1:], Programme: o.Programme,
		Complete: func(id string, c *docpdf.Certificate) {
			c.Layout, c.Languages, c.Number = layout, []i18n.Language{i18n.For("en")}, issuance.DocumentNumber(id)
			c.Issuer = map[string]string{"en": "Civil Registry"}
		},
		Progress: func(n int) { o.Progress(int64(n)) }, Noted: func(id string, n docpdf.Note) { o.Noted(id, n.What, n.Where) },
	})
	return batchwork.Printed{Certificates: int64(printed.Certificates), Pages: int64(printed.Pages), Refused: int64(printed.Refused), Notes: int64(printed.Notes)}, err
}

// upload sends a file as the form of a browser does.
func (w *browser) upload(text string, pairs ...string) answer {
	w.b.t.Helper()
	return w.uploadTo("/batches", text, pairs...)
}

// uploadTo sends a form with a file, which is not chosen if it is empty.
func (w *browser) uploadTo(path, text string, pairs ...string) answer {
	w.b.t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	for i := 0; i+1 < len(pairs); i += 2 {
		_ = m.WriteField(pairs[i], pairs[i+1])
	}
	f, err := m.CreateFormFile("file", `C:\lists\farmers.csv`)
	if err != nil {
		w.b.t.Fatal(err)
	}
	_, _ = io.WriteString(f, text)
	_ = m.Close()
	return w.do(http.MethodPost, path, m.FormDataContentType(), b.Bytes())
}

// farmers is a file of n records of the district, of which some lack a name.
func farmers(n int, district string, nameless ...int) string {
	var s strings.Builder
	s.WriteString("id,name,village,district\n")
	for i := 1; i <= n; i++ {
		name := fmt.Sprintf("Nurjahan Canary %d", i)
		for _, bad := range nameless {
			if bad == i {
				name = ""
			}
		}
		fmt.Fprintf(&s, "F%07d,%s,Jessore,%s\n", i, name, district)
	}
	return s.String()
}

func (s *shop) job(id string) batchwork.Job {
	s.t.Helper()
	j, err := s.desk.Job(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return j
}

func (s *shop) await(id string, state batchwork.State) batchwork.Job {
	s.t.Helper()
	for end := time.Now().Add(time.Duration(count(40, 1800)) * time.Second); ; time.Sleep(10 * time.Millisecond) {
		j := s.job(id)
		if j.State == state {
			return j
		}
		if time.Now().After(end) {
			s.t.Fatalf("the job does not become %s: %+v", state, j)
		}
	}
}

var batchPath = regexp.MustCompile(`^/console/batches/([A-Z2-7]{26})$`)

// begin uploads a good file and returns the id of its job.
func (s *shop) begin(w *browser, text string) string {
	s.t.Helper()
	a := w.upload(text, "programme", "farmer-card", "source", "", "kind", "svg")
	m := batchPath.FindStringSubmatch(a.to())
	if a.status != http.StatusSeeOther || m == nil {
		s.t.Fatalf("upload: %d to %q\n%s", a.status, a.to(), a.body)
	}
	return m[1]
}

var digestField = regexp.MustCompile(`name="digest" value="([0-9a-f]{64})"`)

func (a answer) digest(t *testing.T) string {
	t.Helper()
	m := digestField.FindStringSubmatch(a.body)
	if m == nil {
		t.Fatalf("no digest in %d\n%s", a.status, a.body)
	}
	return m[1]
}

// TestBatchInTheConsole goes the whole way as two people do, without scripts: upload,
// faults, agreement, issue, downloads.
func TestBatchInTheConsole(t *testing.T) {
	s := newShop(t)
	s.start()
	clerk, head := s.as("north", staff.Clerk), s.as("north", staff.Head)
	id := s.begin(clerk, farmers(60, "N1", 7, 33))
	s.await(id, batchwork.Checked)
	page := clerk.get("/batches/" + id)
	for _, want := range []string{"A value is missing that the certificate needs", "F0000007", "Ask to issue <bdi>58</bdi>", "farmers.csv", "faults.csv"} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the page of a checked batch lacks %q", want)
		}
	}
	if strings.Contains(page.body, "Canary") || strings.Contains(page.body, `C:\`) {
		t.Error("the page shows a value of a record, or a path")
	}
	faults := clerk.get("/batches/" + id + "/faults.csv")
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(faults.body, "\ufeff"))).ReadAll()
	if err != nil || len(rows) != 3 || rows[1][0] != "7" || rows[1][1] != "8" || rows[1][3] != "name" || rows[1][5] != "missing" || rows[2][0] != "33" {
		t.Errorf("the list of faults: %q, %v", rows, err)
	}
	if got := faults.header.Get("Content-Disposition"); !regexp.MustCompile(`^attachment; filename="batch-[a-z2-7]{8}-faults\.csv"$`).MatchString(got) {
		t.Errorf("OUT-04: the download is called %q", got)
	}
	if got := faults.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("OUT-07: the download may be kept: %q", got)
	}
	if a := clerk.post("/batches/" + id + "/propose"); a.status != http.StatusSeeOther {
		t.Fatalf("propose: %d\n%s", a.status, a.body)
	}
	shown := head.get("/batches/" + id)
	if !strings.Contains(shown.body, "Agree and issue <bdi>58</bdi>") {
		t.Error("the head is not asked")
	}
	if a := head.post("/batches/"+id+"/approve", "digest", shown.digest(t)); a.status != http.StatusSeeOther {
		t.Fatalf("approve: %d\n%s", a.status, a.body)
	}
	j := s.await(id, batchwork.Finished)
	if j.Done.Good != 58 || j.Approver != head.Operator.ID || j.Requester != clerk.Operator.ID {
		t.Errorf("finished: %+v", j)
	}
	manifest := clerk.get("/batches/" + id + "/manifest.csv")
	if rows, err := csv.NewReader(strings.NewReader(manifest.body)).ReadAll(); err != nil || len(rows) < 60 {
		t.Errorf("the manifest has %d rows, %v", len(rows), err)
	}
	packed := clerk.get("/batches/" + id + "/files.zip")
	z, err := zip.NewReader(strings.NewReader(packed.body), int64(len(packed.body)))
	if err != nil || len(z.File) < 58 {
		t.Errorf("the archive: %v", err)
	}
	s.checkAudited(id, clerk.Operator.ID, head.Operator.ID)
	for _, lang := range []string{"bn", "ar"} {
		clerk.Header.Set("Accept-Language", lang)
		for _, path := range []string{"/batches", "/batches/new", "/batches/" + id} {
			if a := clerk.get(path); a.status != 200 || strings.Contains(a.body, "manage.") || strings.Contains(a.body, "{") {
				t.Errorf("%s in %s: %d, or a key or a hole is left", path, lang, a.status)
			}
		}
	}
	if strings.Contains(s.log.String(), "Canary") {
		t.Error("the log holds a value of a record")
	}
}

// checkAudited looks for every deed of the two people, before and after.
func (s *shop) checkAudited(job string, clerk, head string) {
	s.t.Helper()
	size, err := s.office.DB.AuditSize(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	var got []string
	for line, err := range s.office.DB.AuditEntries(s.t.Context(), size) {
		if err != nil {
			s.t.Fatal(err)
		}
		if bytes.Contains(line, []byte("Canary")) {
			s.t.Error("the audit log holds a value of a record")
		}
		_, e, err := audit.ParseEntry(line)
		if err != nil {
			s.t.Fatal(err)
		}
		if e.Kind == audit.OperatorIntended || e.Kind == audit.OperatorDone {
			who := map[string]string{clerk: "clerk", head: "head"}[e.Actor]
			got = append(got, who+" "+e.Reason+" "+strings.TrimPrefix(string(e.Kind), "operator.")+strings.TrimPrefix(e.Detail, job))
		}
	}
	for _, want := range []string{
		"clerk batch.propose", "clerk batch.download", "head batch.approve",
	} {
		intended, done := 0, 0
		for _, g := range got {
			if strings.HasPrefix(g, want+" intended") {
				intended++
			}
			if strings.HasPrefix(g, want+" done") {
				done++
			}
		}
		if intended == 0 || intended != done {
			s.t.Errorf("%s: %d intended and %d done in %q", want, intended, done, got)
		}
	}
}

// TestBatchOfAnotherOffice: to another office a batch is not there, whatever it asks
// for, and records of another office are not issued for (ATT IDOR).
func TestBatchOfAnotherOffice(t *testing.T) {
	s := newShop(t)
	s.start()
	clerk := s.as("north", staff.Clerk)
	id := s.begin(clerk, farmers(4, "S1"))
	if j := s.await(id, batchwork.Checked); j.Dry.Faulty != 4 {
		t.Errorf("records of another district: %+v", j.Dry)
	}
	good := s.begin(clerk, farmers(4, "N2"))
	if j := s.await(good, batchwork.Checked); j.Dry.Good != 4 {
		t.Errorf("records of the own district: %+v", j.Dry)
	}
	stranger := s.as("south", staff.Head)
	nothing := stranger.get("/batches/AAAAAAAAAAAAAAAAAAAAAAAAAA")
	for _, path := range []string{"", "/events", "/faults.csv", "/notes.csv", "/manifest.csv", "/files.zip", "/certificates.pdf", "/print-notes.csv"} {
		if a := stranger.get("/batches/" + good + path); a.status != http.StatusNotFound || withoutID(a.body) != withoutID(nothing.body) {
			t.Errorf("GET %s: %d, and not what is said of a batch that is not there", path, a.status)
		}
	}
	for _, d := range []string{"recheck", "propose", "decline", "approve", "pause", "resume", "cancel", "print"} {
		if a := stranger.post("/batches/"+good+"/"+d, "digest", strings.Repeat("0", 64)); a.status != http.StatusNotFound {
			t.Errorf("POST %s: %d, want 404", d, a.status)
		}
	}
	if a := stranger.get("/batches"); strings.Contains(a.body, good) {
		t.Error("the batch is in the list of another office")
	}
	if j := s.job(good); j.State != batchwork.Checked {
		t.Errorf("a stranger has moved it: %+v", j)
	}
}

var requestIDs = regexp.MustCompile(`<bdi>[A-Za-z0-9_-]{16,}</bdi>|value="/console[^"]*"`)

func withoutID(page string) string { return requestIDs.ReplaceAllString(page, "") }

// TestBatchApprovalRefuses spoils one thing at a time of a good approval (four eyes).
func TestBatchApprovalRefuses(t *testing.T) {
	s := newShop(t)
	clerk, approver := s.as("north", staff.Clerk, staff.Approver), s.as("north", staff.Approver)
	ready := func() (string, string) {
		id := s.begin(clerk, farmers(3, "N1"))
		j := s.job(id)
		j.Dry, j.Version, j.Fingerprint = batchwork.Counts{Records: 3, Good: 3}, 1, "sha256:x"
		j, err := j.Do(batchwork.Find, "", s.clock())
		if err == nil {
			_, err = s.desk.SaveJob(t.Context(), j)
		}
		if err != nil {
			t.Fatal(err)
		}
		if a := clerk.post("/batches/" + id + "/propose"); a.status != http.StatusSeeOther {
			t.Fatalf("propose: %d\n%s", a.status, a.body)
		}
		return id, approver.get("/batches/" + id).digest(t)
	}
	tests := []struct {
		name   string
		by     *browser
		spoil  func(id string, digest *string)
		status int
	}{
		{"by who asked", clerk, func(string, *string) {}, http.StatusForbidden},
		{"by a clerk", s.as("north", staff.Clerk), func(string, *string) {}, http.StatusForbidden},
		{"by an auditor", s.as("north", staff.Auditor), func(string, *string) {}, http.StatusForbidden},
		{"of something else", approver, func(_ string, d *string) { *d = strings.Repeat("ab", 32) }, http.StatusConflict},
		{"of nothing", approver, func(_ string, d *string) { *d = "" }, http.StatusConflict},
		{"the counts were changed", approver, func(id string, _ *string) {
			j := s.job(id)
			j.Dry.Good = 2
			if _, err := s.desk.SaveJob(t.Context(), j); err != nil {
				t.Fatal(err)
			}
		}, http.StatusConflict},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			id, digest := ready()
			tt.spoil(id, &digest)
			if a := tt.by.post("/batches/"+id+"/approve", "digest", digest); a.status != tt.status {
				t.Errorf("%d, want %d", a.status, tt.status)
			}
			if j := s.job(id); j.State != batchwork.Proposed {
				t.Errorf("the job is %s", j.State)
			}
		})
	}
	t.Run("twice", func(t *testing.T) {
		id, digest := ready()
		if a := approver.post("/batches/"+id+"/approve", "digest", digest); a.status != http.StatusSeeOther {
			t.Fatalf("a good approval: %d\n%s", a.status, a.body)
		}
		if a := approver.post("/batches/"+id+"/approve", "digest", digest); a.status != http.StatusForbidden && a.status != http.StatusConflict {
			t.Errorf("the second time: %d", a.status)
		}
	})
}

// TestBatchUploadRefuses: what is wrong with an upload is said beside its field, and
// nothing is kept.
func TestBatchUploadRefuses(t *testing.T) {
	s := newShop(t)
	clerk := s.as("north", staff.Clerk)
	good := []string{"programme", "farmer-card", "source", ""}
	tests := []struct {
		name, text string
		pairs      []string
		status     int
		says       string
	}{
		{"no file", "", good, http.StatusUnprocessableEntity, "Choose a file that is not empty"},
		{"a programme that is not there", farmers(1, "N1"), []string{"programme", "nothing", "source", ""}, http.StatusUnprocessableEntity, "Choose one"},
		{"a source that is not there", farmers(1, "N1"), []string{"programme", "farmer-card", "source", "/etc/passwd"}, http.StatusUnprocessableEntity, "Choose one"},
		{"more bytes than may be", strings.Repeat("x", 70_000), good, http.StatusUnprocessableEntity, "too large"},
		{"a hole in a field", farmers(1, "N1"), []string{"programme", "farmer-card\x00", "source", ""}, http.StatusBadRequest, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := clerk.upload(tt.text, tt.pairs...)
			if a.status != tt.status || !strings.Contains(a.body, tt.says) {
				t.Errorf("%d, want %d and %q\n%s", a.status, tt.status, tt.says, a.body)
			}
		})
	}
	if a := clerk.do(http.MethodPost, "/batches", "application/x-www-form-urlencoded", []byte("programme=farmer-card")); a.status != http.StatusUnsupportedMediaType {
		t.Errorf("a form without a file: %d", a.status)
	}
	jobs, err := s.desk.Jobs(t.Context(), batchwork.Query{})
	if err != nil || len(jobs) != 0 {
		t.Errorf("refused uploads are kept: %v, %v", jobs, err)
	}
	if a := s.as("north", staff.Auditor).upload(farmers(1, "N1"), good...); a.status != http.StatusForbidden {
		t.Errorf("an auditor uploads: %d", a.status)
	}
}

// TestBatchSaysHowFilesAreWritten: who uploads a file that is written otherwise, or lacks a
// column, is told which one, which there are, and what to do.
func TestBatchSaysHowFilesAreWritten(t *testing.T) {
	const lacks, how = "Column that is missing", "In a spreadsheet, save it as “CSV UTF-8”"
	s := newShop(t)
	s.start()
	clerk, auditor := s.as("north", staff.Clerk), s.as("north", staff.Auditor)
	many := "name" + strings.Repeat(",x", 70)
	for i := range 70 {
		many = strings.Replace(many, ",x", fmt.Sprintf(",c%02d", i), 1)
	}
	for _, tt := range []struct {
		name, text string
		state      batchwork.State
		want, not  []string
	}{
		{"a good file", farmers(3, "N1"), batchwork.Checked, nil, []string{lacks, how}},
		{"a fault that is none of the file", farmers(3, "N1", 2), batchwork.Checked, nil, []string{lacks, how}},
		{"another id column", strings.Replace(farmers(3, "N1"), "id,", "number,", 1), batchwork.Unusable,
			[]string{lacks, `<code dir="auto">id</code>`, `<code dir="auto">number</code> · <code dir="auto">name</code> · <code dir="auto">village</code>`, how}, nil},
		{"another delimiter", strings.ReplaceAll(farmers(3, "N1"), ",", "#"), batchwork.Unusable, []string{lacks, `<code dir="auto">id#name#village#district</code>`, how}, nil},
		{"no column of the programme", "id,colour\nF0000001,red\n", batchwork.Unusable, []string{lacks, `<code dir="auto">name</code>`, `<code dir="auto">colour</code>`, how}, nil},
		{"many columns", many + "\n1\n", batchwork.Unusable, []string{`<code dir="auto">c58</code>`, "and <bdi>11</bdi> more"}, []string{"c59"}},
		{"another encoding", strings.Replace(farmers(3, "N1"), "Canary 2", "Canary \xe9", 1), batchwork.Checked, []string{how}, []string{lacks}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id := s.begin(clerk, tt.text)
			s.await(id, tt.state)
			page := wantStatus(t, clerk.get("/batches/"+id), 200)
			for _, want := range tt.want {
				if !strings.Contains(page.body, want) {
					t.Errorf("the page does not say %q:\n%s", want, page.body)
				}
			}
			for _, not := range tt.not {
				if strings.Contains(page.body, not) {
					t.Errorf("the page says %q", not)
				}
			}
			if page := wantStatus(t, auditor.get("/batches/"+id), 200); strings.Contains(page.body, lacks) {
				t.Error("who may not have the file sees its columns")
			}
		})
	}
}

// TestBulkImport: WA-15. A list too long, with formulas, with the same person twice, and half
// of it bad: it is bounded, nothing is issued before somebody has agreed to exactly what
// can be, and each row that cannot is named, in a file that no spreadsheet runs.
func TestBulkImport(t *testing.T) {
	s := newShop(t) // takes 1000 records, 64 000 bytes
	s.start()
	clerk, head := s.as("north", staff.Clerk), s.as("north", staff.Head)
	issued := func() (n int) {
		t.Helper()
		for _, err := range s.office.DB.Find(t.Context(), issuance.Query{}) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		return n
	}

	// Ten million rows do not get beyond the first 64 000 bytes; of short rows a thousand
	// and one are too many.
	endless := &endlessRows{}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+console.Base+"/batches", endless.form())
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", endless.media)
	r.Header.Set("Origin", origin)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	res, err := clerk.client.Do(r)
	if err == nil {
		if _ = res.Body.Close(); res.StatusCode != http.StatusUnprocessableEntity && res.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("WA-15 ten million rows: %d", res.StatusCode)
		}
	}
	if rows := endless.rows.Load(); rows > 2_000_000 {
		t.Errorf("WA-15 %d of ten million rows were read", rows)
	}
	var short strings.Builder
	short.WriteString("id,name,village,district\n")
	for i := range 1001 {
		fmt.Fprintf(&short, "F%d,N,J,N1\n", i)
	}
	if j := s.await(s.begin(clerk, short.String()), batchwork.Unusable); j.Why != batchwork.TooManyRecords {
		t.Errorf("WA-15 a row too many: %q", j.Why)
	}

	// Every second row is bad, in one of four ways; an id begins as a formula.
	var list strings.Builder
	list.WriteString("id,name,village,district\n")
	good := 0
	for i := 1; i <= 40; i++ {
		name, id := fmt.Sprintf("=HYPERLINK(%d)", i), fmt.Sprintf("F%07d", i)
		switch i % 8 {
		case 1: // no name
			name = ""
		case 3: // somebody else's
			fmt.Fprintf(&list, "%s,%s,Jessore,S1\n", id, name)
			continue
		case 5: // the record before once more
			id = fmt.Sprintf("F%07d", i-1)
		case 7:
			id, name = fmt.Sprintf("=cmd|' /C calc'!A%d", i), ""
		default:
			good++
		}
		fmt.Fprintf(&list, "%s,%s,Jessore,N1\n", id, name)
	}
	id := s.begin(clerk, list.String())
	j := s.await(id, batchwork.Checked)
	if j.Dry.Records != 40 || j.Dry.Good != int64(good) || j.Dry.Faulty+j.Dry.Skipped != int64(40-good) {
		t.Errorf("WA-15 the dry run: %+v, want %d good of 40", j.Dry, good)
	}
	page := wantStatus(t, clerk.get("/batches/"+id), http.StatusOK).body
	file := wantStatus(t, clerk.get("/batches/"+id+"/faults.csv"), http.StatusOK).body
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(file, "\ufeff"))).ReadAll()
	if err != nil || len(rows) < 1+40-good {
		t.Errorf("WA-15 the report has %d rows, %v, want one for each of %d", len(rows), err, 40-good)
	}
	for _, row := range rows {
		for _, cell := range row {
			if strings.IndexAny(cell, "=+-@\t\r") == 0 {
				t.Errorf("WA-15 OUT-01 the report has the cell %q", cell)
			}
		}
	}
	if strings.Contains(page, "HYPERLINK") || strings.Contains(file, "HYPERLINK") {
		t.Error("WA-15 a report quotes a name")
	}
	if n := issued(); n != 0 {
		t.Fatalf("WA-15 %d issued before anybody agreed", n)
	}
	wantStatus(t, clerk.post("/batches/"+id+"/propose"), http.StatusSeeOther)
	shown := wantStatus(t, head.get("/batches/"+id), http.StatusOK)
	wantStatus(t, head.post("/batches/"+id+"/approve", "digest", shown.digest(t)), http.StatusSeeOther)
	if s.await(id, batchwork.Finished); issued() != good {
		t.Errorf("WA-15 %d issued, want %d", issued(), good)
	}
}

// endlessRows is a form with a file of ten million rows, which counts those that are read.
type endlessRows struct {
	rows  atomic.Int64
	media string
}

func (e *endlessRows) form() io.Reader {
	const boundary = "rows"
	e.media = "multipart/form-data; boundary=" + boundary
	head := "--" + boundary + "\r\nContent-Disposition: form-data; name=\"programme\"\r\n\r\nfarmer-card\r\n--" + boundary +
		"\r\nContent-Disposition: form-data; name=\"source\"\r\n\r\n\r\n--" + boundary +
		"\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.csv\"\r\nContent-Type: text/csv\r\n\r\nid,name,village,district\n"
	return io.MultiReader(strings.NewReader(head), e, strings.NewReader("\r\n--"+boundary+"--\r\n"))
}

// Read implements [io.Reader].
func (e *endlessRows) Read(b []byte) (int, error) {
	n := e.rows.Load()
	if n >= 10_000_000 {
		return 0, io.EOF
	}
	row := fmt.Sprintf("F%07d,Nurjahan,Jessore,N1\n", n)
	if len(b) < len(row) {
		return copy(b, row), io.EOF
	}
	at := 0
	for ; len(b)-at >= len(row) && n < 10_000_000; n++ {
		at += copy(b[at:], row)
	}
	e.rows.Store(n)
	return at, nil
}

// TestBatchEvents: progress arrives as it happens, and the stream ends with the state.
func TestBatchEvents(t *testing.T) {
	s := newShop(t)
	clerk := s.as("north", staff.Clerk)
	id := s.begin(clerk, farmers(5, "N1"))
	got := make(chan string, 1)
	go func() { got <- clerk.get("/batches/" + id + "/events").body }()
	time.Sleep(100 * time.Millisecond)
	s.start()
	select {
	case body := <-got:
		for _, want := range []string{"event: progress\ndata: {", `"state":"checking"`, "event: moved\ndata: {", `"state":"checked"`} {
			if !strings.Contains(body, want) {
				t.Errorf("the stream lacks %q:\n%s", want, body)
			}
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the stream does not end")
	}
	// What ended between the page and its question has moved at once.
	if body := clerk.get("/batches/" + id + "/events?seen=checking").body; !strings.Contains(body, "event: moved\n") {
		t.Errorf("a page that was drawn before the end is not drawn anew:\n%s", body)
	}
	// Without scripts the page asks again by itself, as long as something happens.
	for state, want := range map[batchwork.State]bool{batchwork.Checking: true, batchwork.Checked: false} {
		j := s.job(id)
		if j.State != state {
			j2 := s.begin(clerk, farmers(2, "N1"))
			if a := clerk.get("/batches/" + j2); strings.Contains(a.body, `http-equiv="refresh"`) != want && s.job(j2).State == state {
				t.Errorf("a page of a batch that is %s: refresh %t", state, !want)
			}
			continue
		}
		if a := clerk.get("/batches/" + id); strings.Contains(a.body, `http-equiv="refresh"`) != want {
			t.Errorf("the page of a batch that is %s: refresh %t", state, !want)
		}
	}
}
