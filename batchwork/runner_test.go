package batchwork_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanad-id/sanad/batchwork"
	"github.com/sanad-id/sanad/internal/officetest"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/registry"
)

// TestBatchFromUploadToFiles is acceptance check 3 of the console: an import with 37
// faulty records issues for the others and names the 37 by row, column and reason.
func TestBatchFromUploadToFiles(t *testing.T) {
	n, ways := count(300, 10_000), []string{programme.CodeMissing, programme.CodeControl, programme.CodeTooLong, "columns"}
	columns := map[string]string{programme.CodeMissing: "name", programme.CodeControl: "village", programme.CodeTooLong: "name", "columns": ""}
	faulty := map[int]string{}
	for i := range 37 {
		faulty[2+i*(n-4)/37] = ways[i%len(ways)]
	}
	b := newBed(t, newMemory())
	j := b.upload(table(n, faulty))
	b.start(b.runner("one"))

	j = b.awaitState(j.ID, batchwork.Checked)
	if want := (batchwork.Counts{Records: int64(n), Good: int64(n - 37), Faulty: 37}); j.Dry != want || j.Version != 1 || j.Fingerprint == "" {
		t.Fatalf("the dry run: %+v, want %+v", j, want)
	}
	if b.active() != 0 {
		t.Fatal("the dry run has issued")
	}
	found := map[int]batchwork.FaultLine{}
	b.must(b.folder.Faults(j.ID, func(l batchwork.FaultLine) error {
		found[int(l.Row)] = l
		if strings.Contains(l.Detail, "Canary") {
			t.Errorf("row %d quotes a value", l.Row)
		}
		return nil
	}))
	for row, code := range faulty {
		if l := found[row]; l.Line != int64(row+1) || l.Code != code || l.Column != columns[code] || l.Skipped || l.Detail == "" {
			t.Errorf("row %d: %+v, want %s in column %q", row, l, code, columns[code])
		}
	}
	if len(found) != 37 {
		t.Errorf("%d rows are named, want 37", len(found))
	}

	b.do(j.ID, batchwork.Propose, "op-1")
	b.do(j.ID, batchwork.Approve, "op-2")
	j = b.awaitState(j.ID, batchwork.Finished)
	if want := (batchwork.Counts{Records: int64(n), Good: int64(n - 37), Faulty: 37}); j.Done != want || j.Batch == "" || j.Ended.IsZero() {
		t.Errorf("the batch: %+v, want %+v", j, want)
	}
	if got := b.active(); got != n-37 {
		t.Errorf("%d credentials, want %d", got, n-37)
	}
	b.checkFiles(j, n, faulty)
}

// checkFiles looks at what can be downloaded.
func (b *bed) checkFiles(j batchwork.Job, n int, faulty map[int]string) {
	b.Helper()
	var manifest bytes.Buffer
	b.must(b.folder.Manifest(j.ID, &manifest))
	rows, err := csv.NewReader(&manifest).ReadAll()
	b.must(err)
	issued, refused := map[string]string{}, 0
	for _, r := range rows[1:] {
		switch {
		case r[5] != "":
			refused++
		case issued[r[0]] != "" && issued[r[0]] != r[1]:
			b.Errorf("record %s has two credentials", r[0])
		default:
			issued[r[0]] = r[1]
		}
	}
	if len(issued) != n-len(faulty) || refused != len(faulty) {
		b.Errorf("the manifest has %d credentials and %d refusals, want %d and %d", len(issued), refused, n-len(faulty), len(faulty))
	}
	var packed bytes.Buffer
	b.must(b.folder.Zip(context.Background(), j.ID, &packed))
	z, err := zip.NewReader(bytes.NewReader(packed.Bytes()), int64(packed.Len()))
	b.must(err)
	texts := 0
	for _, f := range z.File {
		if strings.HasSuffix(f.Name, ".txt") {
			texts++
		}
		if strings.ContainsAny(f.Name, `/\`) || f.Name == "upload.csv" || f.Name == "batch.json" {
			b.Errorf("the archive has %q", f.Name)
		}
	}
	if want := 2 * (n - len(faulty)); texts != want {
		b.Errorf("the archive has %d codes, want %d", texts, want)
	}
	codes := 0
	b.must(b.folder.EachCode(j.ID, func(credential, form, text string) error {
		codes++
		if credential == "" || form == "" || text == "" {
			b.Errorf("an empty code of %q", credential)
		}
		return nil
	}))
	if codes != texts {
		b.Errorf("%d codes in files of codes, want %d", codes, texts)
	}
}

// stepping is an issuer whose batches say when they pass a number of records.
type stepping struct {
	batchwork.Issuer
	at   int64
	then func()
	done atomic.Bool
}

func (s *stepping) RunBatch(ctx context.Context, r issuance.BatchRequest) (issuance.Result, error) {
	report := r.Progress
	r.Progress = func(p issuance.Progress) {
		report(p)
		if p.Done >= s.at && s.done.CompareAndSwap(false, true) {
			s.then()
		}
	}
	return s.Issuer.RunBatch(ctx, r)
}

// approved makes a job that runs as soon as there is a runner.
func (b *bed) approved(n int) batchwork.Job {
	b.Helper()
	j := b.upload(table(n, nil))
	stop := b.start(b.runner("checker"))
	b.awaitState(j.ID, batchwork.Checked)
	stop()
	b.do(j.ID, batchwork.Propose, "op-1")
	return b.do(j.ID, batchwork.Approve, "op-2")
}

// TestPauseResumeCancel: a batch stops where somebody says, goes on where it was, and
// what was issued before it was cancelled stays.
func TestPauseResumeCancel(t *testing.T) {
	const n = 320
	b := newBed(t, newMemory())
	j := b.approved(n)
	step := &stepping{at: 30}
	b.issuer = func(s batchwork.Issuer) batchwork.Issuer { step.Issuer = s; return step }
	step.then = func() { b.do(j.ID, batchwork.Pause, "op-3") }
	b.start(b.runner("one", func(c *batchwork.Config) { c.Chunk = 5 }))
	b.awaitState(j.ID, batchwork.Paused)
	free := func() bool {
		ok, err := b.store.Leased(t.Context(), j.ID, time.Now())
		b.must(err)
		return !ok
	}
	for end := time.Now().Add(30 * time.Second); !free(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the runner does not let go of a paused job")
		}
	}
	j, err := b.store.Job(t.Context(), j.ID)
	b.must(err)
	b.idle = true
	before := b.active()
	b.idle = false
	if before < 30 || before >= n || j.Done.Good != int64(before) || j.Batch == "" {
		t.Fatalf("paused at %+v, %d credentials", j.Done, before)
	}
	time.Sleep(100 * time.Millisecond)
	if got := b.active(); got != before {
		t.Errorf("a paused batch goes on: %d after %d", got, before)
	}

	*step = stepping{at: int64(before) + 30, then: func() { b.do(j.ID, batchwork.Cancel, "op-3") }}
	b.do(j.ID, batchwork.Resume, "op-3")
	b.awaitState(j.ID, batchwork.Cancelled)
	j = b.await(j.ID, "its counts", func(j batchwork.Job) bool { return j.Done.Good == int64(b.active()) && free() })
	b.idle = true
	if got := b.active(); got <= before || got >= n {
		t.Errorf("cancelled after %d of %d, paused after %d", got, n, before)
	}
	if _, err := j.Do(batchwork.Resume, "op-3", time.Now()); !errors.Is(err, batchwork.ErrState) {
		t.Errorf("a cancelled batch resumes: %v", err)
	}
}

// TestGoesOnAfterRestart: a runner that ends in the middle leaves the batch to the next
// one, which needs no word from anybody.
func TestGoesOnAfterRestart(t *testing.T) {
	const n = 300
	b := newBed(t, newMemory())
	j := b.approved(n)
	reached := make(chan struct{})
	b.issuer = func(s batchwork.Issuer) batchwork.Issuer {
		return &stepping{Issuer: s, at: 80, then: func() { close(reached) }}
	}
	stop := b.start(b.runner("one"))
	<-reached
	stop()
	if j, _ = b.store.Job(t.Context(), j.ID); j.State != batchwork.Running || j.Done.Records >= n {
		t.Fatalf("after the first runner: %+v", j)
	}
	b.issuer, b.idle = nil, true
	b.active()
	b.start(b.runner("two"))
	j = b.awaitState(j.ID, batchwork.Finished)
	if got := b.active(); got != n || j.Done.Good != n {
		t.Errorf("%d credentials, job %+v", got, j)
	}
	b.checkFiles(j, n, nil)
}

// TestSeveralRunnersShareABatch: each works in a folder of its own, nothing is issued
// twice, and the downloads are of all of them.
func TestSeveralRunnersShareABatch(t *testing.T) {
	const n = 200
	b := newBed(t, newMemory())
	j := b.approved(n)
	shared := func(c *batchwork.Config) { c.Shared, c.Chunk = true, 10 }
	b.start(b.runner("alpha", shared))
	b.start(b.runner("beta", shared))
	j = b.awaitState(j.ID, batchwork.Finished)
	if got := b.active(); got != n || j.Done.Good != n {
		t.Errorf("%d credentials, job %+v", got, j)
	}
	b.checkFiles(j, n, nil)
	batches := map[string]bool{}
	for c, err := range b.office.DB.Find(t.Context(), issuance.Query{}) {
		b.must(err)
		batches[c.Batch] = true
	}
	if len(batches) != 1 || !batches[j.Batch] {
		t.Errorf("the credentials are of the batches %v, want %s", batches, j.Batch)
	}
}

// TestOneRunnerAtATime: where batches are not shared one runner of several issues, and
// another one takes over when its lease has run out.
func TestOneRunnerAtATime(t *testing.T) {
	b := newBed(t, newMemory())
	j := b.approved(60)
	ok, err := b.store.Lease(t.Context(), j.ID, "run", "one that is gone", b.office.Clock.Now(), b.office.Clock.Now().Add(time.Minute))
	if err != nil || !ok {
		t.Fatal(err)
	}
	var late atomic.Bool
	clock := func() time.Time {
		if late.Load() {
			return b.office.Clock.Now().Add(2 * time.Minute)
		}
		return b.office.Clock.Now()
	}
	b.start(b.runner("one", func(c *batchwork.Config) { c.Now = clock }))
	time.Sleep(200 * time.Millisecond)
	if got := b.active(); got != 0 {
		t.Fatalf("%d credentials while somebody else has the lease", got)
	}
	late.Store(true)
	b.awaitState(j.ID, batchwork.Finished)
	if got := b.active(); got != 60 {
		t.Errorf("%d credentials, want 60", got)
	}
}

// failing is an issuer that does not come to work.
type failing struct {
	batchwork.Issuer
	err error
}

func (f failing) RunBatch(context.Context, issuance.BatchRequest) (issuance.Result, error) {
	return issuance.Result{}, f.err
}

// TestWhatStopsABatch: what passes by itself is waited for, what does not ends the run,
// and each says why.
func TestWhatStopsABatch(t *testing.T) {
	tests := []struct {
		name  string
		err   error
		state batchwork.State
		why   batchwork.Why
	}{
		{"no witness for too long", issuance.ErrAuditDebt, batchwork.Running, batchwork.NoWitness},
		{"AUD-09 a witness has seen another log", issuance.ErrAuditContradicted, batchwork.Running, batchwork.Contradicted},
		{"the clock is ahead", issuance.ErrClockAhead, batchwork.Running, batchwork.ClockAhead},
		{"the clock", issuance.ErrClock, batchwork.Running, batchwork.ClockBack},
		{"a disk", errors.New("input/output error"), batchwork.Running, batchwork.Away},
		{"the programme was changed", issuance.ErrMoved, batchwork.Failed, batchwork.Moved},
		{"the source was changed", issuance.ErrSourceChanged, batchwork.Failed, batchwork.SourceChanged},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBed(t, newMemory())
			j := b.approved(5)
			b.issuer = func(s batchwork.Issuer) batchwork.Issuer { return failing{s, tt.err} }
			stop := b.start(b.runner("one"))
			j = b.await(j.ID, tt.name, func(j batchwork.Job) bool { return j.Why == tt.why })
			stop()
			if j.State != tt.state {
				t.Errorf("the job is %s, want %s", j.State, tt.state)
			}
			if b.active() != 0 {
				t.Error("something was issued")
			}
			// When the trouble is over it goes on, by itself or when somebody says so.
			b.issuer = nil
			if tt.state == batchwork.Failed {
				b.do(j.ID, batchwork.Resume, "op-3")
			}
			b.start(b.runner("two"))
			if j = b.awaitState(j.ID, batchwork.Finished); j.Why != "" || b.active() != 5 {
				t.Errorf("afterwards: %+v", j)
			}
		})
	}
}

// TestIssuesWhatWasApprovedOnly spoils one thing at a time between approval and start.
func TestIssuesWhatWasApprovedOnly(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(b *bed, j *batchwork.Job)
		why   batchwork.Why
	}{
		{"the file was replaced", func(b *bed, j *batchwork.Job) {
			b.must(os.WriteFile(b.folder.Upload(j.ID), []byte(table(6, nil)), 0o600))
		}, batchwork.SourceChanged},
		{"the programme was changed", func(b *bed, _ *batchwork.Job) {
			_, err := b.office.Service.AddProgramme(b.Context(), []byte(officetest.CardTwo()), "tester")
			b.must(err)
		}, batchwork.Moved},
		{"the job was changed behind the approval", func(_ *bed, j *batchwork.Job) { j.Supersede = true }, batchwork.Moved},
		{"nobody approved", func(_ *bed, j *batchwork.Job) { j.Approved = "" }, batchwork.Moved},
		{"the file is gone", func(b *bed, j *batchwork.Job) { b.must(os.Remove(b.folder.Upload(j.ID))) }, batchwork.FilesGone},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBed(t, newMemory())
			j := b.approved(5)
			tt.spoil(b, &j)
			j, err := b.store.SaveJob(t.Context(), j)
			b.must(err)
			b.start(b.runner("one"))
			if j = b.awaitState(j.ID, batchwork.Failed); j.Why != tt.why {
				t.Errorf("failed with %q, want %q", j.Why, tt.why)
			}
			if b.active() != 0 {
				t.Error("something was issued")
			}
		})
	}
}

// closing gives a batch up, as `issuer restore confirm` does, once it has stopped.
type closing struct {
	batchwork.Issuer
	*bed
}

// RunBatch implements [batchwork.Issuer].
func (c closing) RunBatch(ctx context.Context, r issuance.BatchRequest) (issuance.Result, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	r.Progress = func(p issuance.Progress) {
		if p.Done > 0 {
			stop()
		}
	}
	result, err := c.Issuer.RunBatch(ctx, r)
	if err != nil || result.Outcome != issuance.Stopped {
		return result, err
	}
	closed := result.Batch
	closed.GiveUp(closed.Issued, c.office.Clock.Now())
	return result, c.office.DB.Write(context.WithoutCancel(ctx), func(tx issuance.Tx) error { return tx.SaveBatch(closed) })
}

// TestGivenUpBatch: a job whose batch was closed before its end has not finished.
func TestGivenUpBatch(t *testing.T) {
	b := newBed(t, newMemory())
	b.issuer = func(s batchwork.Issuer) batchwork.Issuer { return closing{s, b} }
	j := b.approved(600)
	b.start(b.runner("one"))
	if j = b.awaitState(j.ID, batchwork.Failed); j.Why != batchwork.GivenUp || j.Done.Good == 0 || j.Done.Good == 600 {
		t.Errorf("failed with %q, want %q: %+v", j.Why, batchwork.GivenUp, j.Done)
	}
}

// TestUnusableFiles: a file that no batch can be made of is refused with a reason.
func TestUnusableFiles(t *testing.T) {
	tests := []struct {
		name, text string
		why        batchwork.Why
		columns    batchwork.Columns // that are kept for the page
	}{
		{"no table", "\x00\x01\x02\x03 not a table", batchwork.Unreadable, batchwork.Columns{}},
		{"nothing of the programme", "id,colour\n1,red\n", batchwork.NoColumns, batchwork.Columns{Lacks: []string{"name", "village"}, Has: []string{"id", "colour"}}},
		{"no id column", "number,name\n1,a\n", batchwork.NoIDColumn, batchwork.Columns{Lacks: []string{"id"}, Has: []string{"number", "name"}}},
		{"a long name", "number," + strings.Repeat("é", 40) + "\n1,a\n", batchwork.NoIDColumn, batchwork.Columns{Lacks: []string{"id"}, Has: []string{"number", strings.Repeat("é", 32) + "…"}}},
		{"no records", "id,name,village\n", batchwork.NothingToDo, batchwork.Columns{}},
		{"too many columns", "id,name" + manyColumns(30) + "\n1,a" + strings.Repeat(",", 30) + "\n", batchwork.TooManyColumns, batchwork.Columns{}},
		{"too many records", table(11, nil), batchwork.TooManyRecords, batchwork.Columns{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBed(t, newMemory())
			limits := func(c *batchwork.Config) { c.Limits = batchwork.Limits{FileRecords: 10, Columns: 20} }
			b.start(b.runner("one", limits))
			if j := b.awaitState(b.upload(table(10, nil)).ID, batchwork.Checked); j.Dry.Good != 10 {
				t.Fatalf("a good file: %+v", j)
			}
			j := b.awaitState(b.upload(tt.text).ID, batchwork.Unusable)
			if j.Why != tt.why {
				t.Errorf("refused as %q, want %q", j.Why, tt.why)
			}
			if got, err := b.folder.Columns(j.ID); err != nil || !slices.Equal(got.Lacks, tt.columns.Lacks) || !slices.Equal(got.Has, tt.columns.Has) {
				t.Errorf("kept are %+v, %v, want %+v", got, err, tt.columns)
			}
		})
	}
}

func manyColumns(n int) string {
	var s strings.Builder
	for i := range n {
		s.WriteString(",c" + string(rune('a'+i/26)) + string(rune('a'+i%26)))
	}
	return s.String()
}

// TestSweepLostUploads: an upload goes whose job was never stored, after a day, and nothing else.
func TestSweepLostUploads(t *testing.T) {
	b := newBed(t, newMemory())
	r := b.runner("one", func(*batchwork.Config) {})
	kept := b.upload(table(3, nil))
	old := time.Now().Add(-25 * time.Hour)
	lose := func(files ...string) string {
		j, err := batchwork.New(batchwork.Order{Office: "north", Requester: "op-1", Programme: "farmer-card", Name: "a.csv", Kinds: []issuance.FileKind{issuance.FileCSV}}, time.Now())
		b.must(err)
		for _, name := range files {
			b.must(os.MkdirAll(filepath.Join(b.path, j.ID), 0o700))
			b.must(os.WriteFile(filepath.Join(b.path, j.ID, name), []byte("id\n"), 0o600))
		}
		return j.ID
	}
	lost, young, begun := lose("upload.csv"), lose("upload.csv"), lose("upload.csv", "manifest.csv")
	for _, id := range []string{kept.ID, lost, begun} {
		b.must(os.Chtimes(filepath.Join(b.path, id), old, old))
	}
	b.must(r.Sweep(t.Context()))
	for id, want := range map[string]bool{kept.ID: true, lost: false, young: true, begun: true} {
		if _, err := os.Stat(filepath.Join(b.path, id)); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", map[string]string{kept.ID: "a job's", lost: "a lost one", young: "a young one", begun: "what a job has made"}[id], err == nil, want)
		}
	}
}

// TestSweepErases: files go when their time is over, and those of a batch at work stay.
func TestSweepErases(t *testing.T) {
	b := newBed(t, newMemory())
	r := b.runner("one", func(c *batchwork.Config) { c.Now, c.Keep = b.office.Clock.Now, 24*time.Hour })
	clock := func(c *batchwork.Config) { c.Now = b.office.Clock.Now }
	running := b.upload(table(3, nil))
	waiting := b.upload(table(3, nil))
	stop := b.start(b.runner("checks", clock))
	b.awaitState(waiting.ID, batchwork.Checked) // before anything is issued for the same records
	b.awaitState(running.ID, batchwork.Checked)
	stop()
	finished := b.approved(3)
	stop = b.start(b.runner("two", clock))
	b.awaitState(finished.ID, batchwork.Finished)
	stop()
	b.do(running.ID, batchwork.Propose, "op-1")
	b.do(running.ID, batchwork.Approve, "op-2")
	b.must(r.Sweep(t.Context()))
	for _, id := range []string{finished.ID, waiting.ID, running.ID} {
		if _, err := os.Stat(filepath.Join(b.path, id)); err != nil {
			t.Errorf("a young folder is gone: %v", err)
		}
	}
	b.office.Clock.Add(25 * time.Hour)
	b.must(r.Sweep(t.Context()))
	for _, want := range []struct {
		id    string
		gone  bool
		state batchwork.State
	}{{finished.ID, true, batchwork.Finished}, {waiting.ID, true, batchwork.Cancelled}, {running.ID, false, batchwork.Running}} {
		_, err := os.Stat(filepath.Join(b.path, want.id))
		j, e := b.store.Job(t.Context(), want.id)
		b.must(e)
		if gone := os.IsNotExist(err); gone != want.gone || j.State != want.state || j.Erased.IsZero() == want.gone || (j.Name == "") != want.gone {
			t.Errorf("gone %t, job %+v; want gone %t, %s", gone, j, want.gone, want.state)
		}
	}
	if err := b.folder.Manifest(finished.ID, &bytes.Buffer{}); !errors.Is(err, batchwork.ErrErased) {
		t.Errorf("the manifest of an erased job: %v", err)
	}
}

// TestAnOfficeIssuesForItsOwn: records of another office in an upload are named and not
// issued for; of a source of the settings they are not even seen.
func TestAnOfficeIssuesForItsOwn(t *testing.T) {
	const n = 30
	b := newBed(t, newMemory())
	mine := func(r registry.Record) bool { return r.Line%2 == 0 } // row 1 stands in line 2
	share := func(c *batchwork.Config) {
		c.Share = func(context.Context, batchwork.Job) (batchwork.Share, error) {
			return batchwork.Share{Sees: mine, Name: "odd rows"}, nil
		}
		c.Shared = true
		from := c.Open
		path := filepath.Join(t.TempDir(), "source.csv")
		b.must(os.WriteFile(path, []byte(table(n, nil)), 0o600))
		c.Open = func(ctx context.Context, j batchwork.Job, upload string, p *programme.Programme) (batchwork.Table, error) {
			if j.Source != "" {
				upload = path
			}
			return from(ctx, j, upload, p)
		}
	}
	b.start(b.runner("one", share))
	upload := b.awaitState(b.upload(table(n, nil)).ID, batchwork.Checked)
	if want := (batchwork.Counts{Records: n, Good: n / 2, Faulty: n / 2}); upload.Dry != want {
		t.Errorf("the upload: %+v, want %+v", upload.Dry, want)
	}
	b.must(b.folder.Faults(upload.ID, func(l batchwork.FaultLine) error {
		if l.Code != batchwork.OtherOffice || l.Row%2 != 0 {
			t.Errorf("%+v", l)
		}
		return nil
	}))
	source, err := batchwork.New(batchwork.Order{
		Office: "north", Programme: "farmer-card", Requester: "op-1", Source: "farmers", Alone: true, Kinds: []issuance.FileKind{issuance.FileText, issuance.FileCSV},
	}, b.office.Clock.Now())
	b.must(err)
	b.must(b.store.AddJob(t.Context(), source))
	source = b.awaitState(source.ID, batchwork.Checked)
	if want := (batchwork.Counts{Records: n / 2, Good: n / 2}); source.Dry != want {
		t.Errorf("the source: %+v, want %+v", source.Dry, want)
	}
	b.do(source.ID, batchwork.Propose, "op-1")
	b.do(source.ID, batchwork.Approve, "op-2")
	b.awaitState(source.ID, batchwork.Finished)
	if got := b.active(); got != n/2 {
		t.Errorf("%d credentials, want %d", got, n/2)
	}
}
