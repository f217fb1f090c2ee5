package console_test

import (
	"context"
	"encoding/csv"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/batchwork"
	"github.com/sanad-id/sanad/staff"
)

// issue goes from an upload to issued certificates, as two people do.
func (s *shop) issue(clerk, head *browser, text string) string {
	s.t.Helper()
	id := s.begin(clerk, text)
	s.await(id, batchwork.Checked)
	wantStatus(s.t, clerk.post("/batches/"+id+"/propose"), http.StatusSeeOther)
	shown := wantStatus(s.t, head.get("/batches/"+id), http.StatusOK)
	wantStatus(s.t, head.post("/batches/"+id+"/approve", "digest", shown.digest(s.t)), http.StatusSeeOther)
	s.await(id, batchwork.Finished)
	return id
}

// awaitPrint waits for the print of a job.
func (s *shop) awaitPrint(id string) batchwork.Job {
	s.t.Helper()
	for end := time.Now().Add(time.Duration(count(60, 1800)) * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if j := s.job(id); !j.Print.Pending() {
			return j
		} else if time.Now().After(end) {
			s.t.Fatalf("the print is not made: %+v", j.Print)
		}
	}
}

// TestBatchToItsPrint is acceptance check 3 of the console and the end of it: a list of
// which 37 records are faulty is issued for, the 37 are named, and the print has a page
// for each certificate. What the pages take meanwhile is reported.
func TestBatchToItsPrint(t *testing.T) {
	records := count(60, 10_000)
	s := newShopFor(t, int64(records))
	s.start()
	clerk, head := s.as("north", staff.Clerk), s.as("north", staff.Head)
	var faulty []int
	for i := range 37 {
		faulty = append(faulty, 3+i*records/40)
	}
	pages := s.watch(s.as("north", staff.Clerk))
	began := time.Now()
	id := s.issue(clerk, head, farmers(records, "N1", faulty...))
	issued := time.Since(began)
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(clerk.get("/batches/"+id+"/faults.csv").body, "\ufeff"))).ReadAll()
	if err != nil || len(rows) != 38 {
		t.Fatalf("the list of faults has %d rows, want 38: %v", len(rows), err)
	}
	for i, row := range rows[1:] {
		if row[0] != fmt.Sprint(faulty[i]) || row[3] != "name" || row[4] != "A value is missing that the certificate needs" {
			t.Errorf("fault %d: %q, want row %d", i, row, faulty[i])
		}
	}

	page := wantStatus(t, clerk.get("/batches/"+id), http.StatusOK)
	if !strings.Contains(page.body, `action="/console/batches/`+id+`/print"`) || strings.Contains(page.body, "certificates.pdf") {
		t.Fatalf("a finished batch does not offer its print\n%s", page.body)
	}
	wantStatus(t, clerk.get("/batches/"+id+"/certificates.pdf"), http.StatusNotFound)
	wantStatus(t, clerk.post("/batches/"+id+"/print", "layout", "card"), http.StatusSeeOther)
	j := s.awaitPrint(id)
	printed := time.Since(began) - issued
	good := int64(records - 37)
	if p := j.Print; p.State != batchwork.Printable || p.Certificates != good || p.Refused != 0 || p.Pages < good || p.Layout != "card" || p.By != clerk.Operator.ID {
		t.Fatalf("the print: %+v, want %d certificates", p, good)
	}
	t.Logf("%d records: issued in %.1f s, printed in %.1f s into %d bytes; %s", records, issued.Seconds(), printed.Seconds(), j.Print.Bytes, pages())

	page = wantStatus(t, head.get("/batches/"+id), http.StatusOK)
	if !strings.Contains(page.body, "Print-ready PDF") || !strings.Contains(page.body, "certificates.pdf") {
		t.Error("the page does not offer the print")
	}
	file := wantStatus(t, head.get("/batches/"+id+"/certificates.pdf"), http.StatusOK)
	if int64(len(file.body)) != j.Print.Bytes || !strings.HasPrefix(file.body, "%PDF-1.7") || !strings.HasSuffix(file.body, "%%EOF\n") {
		t.Errorf("no PDF file of %d bytes", len(file.body))
	}
	if n := int64(strings.Count(file.body, "/Type /Page\n") + strings.Count(file.body, "/Type /Page ") + strings.Count(file.body, "/Type /Page/")); n != 0 && n != j.Print.Pages {
		t.Errorf("%d pages in the file, want %d", n, j.Print.Pages)
	}
	if d := file.header.Get("Content-Disposition"); !strings.HasPrefix(d, `attachment; filename="batch-`) || file.header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers: %v", file.header)
	}
	// Whoever was cut off goes on, and that is a download, too.
	head.Header.Set("Range", "bytes=100-199")
	if part := wantStatus(t, head.get("/batches/"+id+"/certificates.pdf"), http.StatusPartialContent); part.body != file.body[100:200] {
		t.Error("a part is not that of the file")
	}
	head.Header.Del("Range")
	if n := s.downloads(head.Operator.ID, id+"/certificates.pdf"); n != 2 {
		t.Errorf("the audit log knows %d downloads of the print, want 2", n)
	}
	if n := s.downloads(clerk.Operator.ID, id+"/print"); n != 1 {
		t.Errorf("the audit log knows %d times that a print was asked for, want 1", n)
	}
}

// downloads counts what the audit log says that somebody did to a subject.
func (s *shop) downloads(actor, subject string) (n int) {
	s.t.Helper()
	size, err := s.office.DB.AuditSize(s.t.Context())
	must(s.t, err)
	for line, err := range s.office.DB.AuditEntries(s.t.Context(), size) {
		must(s.t, err)
		_, e, err := audit.ParseEntry(line)
		must(s.t, err)
		if e.Kind == audit.OperatorIntended && e.Actor == actor && e.Reason == string(staff.DownloadBatch) && e.Detail == subject {
			n++
		}
	}
	return n
}

// watch opens pages again and again until the function is called that it returns, which
// says how long that took.
func (s *shop) watch(w *browser) (report func() string) {
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan struct{})
	var took []time.Duration
	var heap uint64
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			for _, path := range []string{"/batches", "/batches/new", "/account"} {
				began := time.Now()
				if a := w.get(path); a.status != http.StatusOK {
					s.t.Errorf("%s while a batch runs: %d", path, a.status)
				}
				took = append(took, time.Since(began))
			}
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			heap = max(heap, m.HeapInuse)
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	s.t.Cleanup(func() {
		cancel()
		<-done
	})
	return func() string {
		cancel()
		<-done
		slices.Sort(took)
		at := func(share float64) time.Duration {
			return took[int(share*float64(len(took)-1))].Round(100 * time.Microsecond)
		}
		return fmt.Sprintf("%d pages meanwhile, p50 %v, p99 %v, longest %v; heap at most %d MB", len(took), at(0.5), at(0.99), at(1), heap>>20)
	}
}

// TestBatchPrintRefuses spoils one thing at a time of asking for a print, or of fetching
// one.
func TestBatchPrintRefuses(t *testing.T) {
	s := newShop(t)
	s.start()
	clerk, head, south, auditor := s.as("north", staff.Clerk), s.as("north", staff.Head), s.as("south", staff.Head), s.as("north", staff.Auditor)
	id := s.issue(clerk, head, farmers(3, "N1"))
	fresh := s.begin(clerk, farmers(2, "N1"))
	s.await(fresh, batchwork.Checked)
	for _, tt := range []struct {
		name   string
		by     *browser
		id     string
		pairs  []string
		status int
	}{
		{"of another office", south, id, nil, http.StatusNotFound},
		{"by an auditor", auditor, id, nil, http.StatusForbidden},
		{"by nobody", s.visitor(), id, nil, http.StatusSeeOther},
		{"in a layout that there is not", clerk, id, []string{"layout", "../../etc/passwd"}, http.StatusNotFound},
		{"in a layout that the programme has no codes for", clerk, id, []string{"layout", "strip"}, http.StatusNotFound},
		{"of what was only checked", clerk, fresh, nil, http.StatusConflict},
		{"of what is not there", clerk, strings.Repeat("A", 26), nil, http.StatusNotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if a := tt.by.post("/batches/"+tt.id+"/print", tt.pairs...); a.status != tt.status {
				t.Errorf("%d, want %d", a.status, tt.status)
			}
			if p := s.job(id).Print; p != (batchwork.Print{}) {
				t.Errorf("it is made: %+v", p)
			}
		})
	}
	wantStatus(t, clerk.post("/batches/"+id+"/print"), http.StatusSeeOther)
	s.awaitPrint(id)
	for name, w := range map[string]*browser{"another office": south, "an auditor": auditor, "nobody": s.visitor()} {
		for _, file := range []string{"/certificates.pdf", "/print-notes.csv"} {
			if a := w.get("/batches/" + id + file); a.status == http.StatusOK || strings.Contains(a.body, "%PDF") {
				t.Errorf("%s gets %s: %d", name, file, a.status)
			}
		}
	}
	// If the audit log cannot be written nothing is handed out.
	wantStatus(t, clerk.get("/batches/"+id+"/print-notes.csv"), http.StatusOK)
	// What is erased is gone.
	j := s.job(id)
	must(t, s.runner.Folder().Erase(id))
	j.Erased, j.Print = s.clock(), batchwork.Print{}
	_, err := s.desk.SaveJob(t.Context(), j)
	must(t, err)
	wantStatus(t, clerk.get("/batches/"+id+"/certificates.pdf"), http.StatusNotFound)
	wantStatus(t, clerk.post("/batches/"+id+"/print"), http.StatusConflict)
}

// TestGivenUpIsPrinted: what was issued before somebody gave up is in force, so it can be
// listed and printed.
func TestGivenUpIsPrinted(t *testing.T) {
	s := newShop(t)
	clerk := s.as("north", staff.Clerk)
	id := s.begin(clerk, farmers(2, "N1"))
	j := s.job(id)
	j.State, j.Batch, j.Done, j.Version = batchwork.Cancelled, "01", batchwork.Counts{Good: 1, Records: 1}, 1
	_, err := s.desk.SaveJob(t.Context(), j)
	must(t, err)
	wantStatus(t, clerk.get("/batches/"+id+"/manifest.csv"), http.StatusOK)
	page := wantStatus(t, clerk.get("/batches/"+id), http.StatusOK)
	if !strings.Contains(page.body, "/print\"") {
		t.Error("what was issued cannot be printed")
	}
	wantStatus(t, clerk.post("/batches/"+id+"/print"), http.StatusSeeOther)
	// There is nothing in its folder: that is said, and somebody may try again.
	s.start()
	if j := s.awaitPrint(id); j.Print.State != batchwork.PrintFails || j.Print.Why != batchwork.FilesGone {
		t.Errorf("the print: %+v", j.Print)
	}
	if page := clerk.get("/batches/" + id); !strings.Contains(page.body, "not as it was left") {
		t.Error("the page does not say why")
	}
}

// TestPrintOfWhatIsJustFinished: the moment in which a batch is finished and its worker
// has not put it down yet takes the print from nobody.
func TestPrintOfWhatIsJustFinished(t *testing.T) {
	s := newShop(t)
	clerk := s.as("north", staff.Clerk)
	id := s.begin(clerk, farmers(2, "N1"))
	j := s.job(id)
	j.State, j.Batch, j.Done.Good, j.Version = batchwork.Finished, "01", 2, 1
	_, err := s.desk.SaveJob(t.Context(), j)
	must(t, err)
	held, err := s.desk.Lease(t.Context(), id, "run", "two", s.clock(), s.clock().Add(time.Minute))
	if err != nil || !held {
		t.Fatalf("lease: %t, %v", held, err)
	}
	if page := wantStatus(t, clerk.get("/batches/"+id), http.StatusOK); !strings.Contains(page.body, "/print\"") {
		t.Error("a batch that is just finished does not offer its print")
	}
	asked := make(chan answer, 1)
	go func() { asked <- clerk.post("/batches/"+id+"/print", "layout", "card") }()
	select {
	case a := <-asked:
		t.Errorf("%d while somebody works on it, want to wait", a.status)
		return
	case <-time.After(200 * time.Millisecond):
	}
	must(t, s.desk.Unlease(t.Context(), id, "run", "two"))
	wantStatus(t, <-asked, http.StatusSeeOther)
	if p := s.job(id).Print; !p.Pending() {
		t.Errorf("the print: %+v", p)
	}
}
