package console_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/batchwork"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/loadtest"
	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/web/console"
	"github.com/sanad-id/sanad/work"
)

// notingOffice is a deskOffice that writes into the issuer's audit log.
type notingOffice struct{ deskOffice }

// noteKinds are the kinds of entries by how far a deed has come.
var noteKinds = map[work.Phase]audit.Kind{work.Intended: audit.OperatorIntended, work.Ended: audit.OperatorDone, work.Broken: audit.OperatorFailed}

func (o notingOffice) Note(ctx context.Context, n work.Note) error {
	return o.Service.Note(ctx, issuance.Note{Kind: noteKinds[n.Phase], Actor: n.Actor, Action: "work." + string(n.Deed), Subject: n.Item, Digest: n.Digest})
}

// A rush is an office in which everybody works at once.
type rush struct {
	*shop
	work    *work.Desk
	refused loadtest.Refusals
	later   atomic.Int64 // answers that something is out of reach

	clerks, deciders [2]*browser
	leaving          *leaving

	mu      sync.Mutex
	revoked map[int]bool // by person: their revocation was acknowledged
	jobs    []string     // batches that were acknowledged
}

// leaving is a store of jobs at which those who upload a file go away: when it is there and
// its job not yet.
type leaving struct {
	batchwork.Store
	t    *testing.T
	away sync.Map // by the name of the file, what takes its client away
	gone atomic.Int64
}

// AddJob implements [batchwork.Store].
func (l *leaving) AddJob(ctx context.Context, j batchwork.Job) error {
	if leave, ok := l.away.Load(j.Name); ok {
		l.gone.Add(1)
		leave.(context.CancelFunc)()
		select {
		case <-ctx.Done():
		case <-time.After(time.Minute):
			l.t.Error("P30 the server does not notice that its client is gone")
		}
	}
	return l.Store.AddJob(ctx, j)
}

// applicant is the record of person n.
func applicant(n int) string { return fmt.Sprintf("R-%06d", n) }

// newRush makes the office, with a registry of so many people and few places.
func newRush(t *testing.T, people, places int) *rush {
	t.Helper()
	var rows strings.Builder
	rows.WriteString("id,name,local,language,born,district\n")
	for n := range people {
		fmt.Fprintf(&rows, "%s,Person %d,,,2019-04-18,N1\n", applicant(n), n)
	}
	s := &shop{path: filepath.Join(t.TempDir(), "batches")}
	r := &rush{shop: s, revoked: map[int]bool{}, leaving: &leaving{t: t}}
	s.jobs = func(jobs batchwork.Store) batchwork.Store {
		r.leaving.Store = jobs
		return r.leaving
	}
	s.bed, r.work, s.office = newWorkBedOf(t, rows.String(), func(c *console.Config) { s.batches(t, 1000)(c) }, func(w *work.Config) {
		o := w.Issuer.(deskOffice)
		s.office, w.Issuer = o.o, notingOffice{o}
	})
	s.serve(slog.New(slog.DiscardHandler), places)
	s.start()
	for i := range r.clerks {
		r.clerks[i], r.deciders[i] = r.patient(s.as("north", staff.Clerk)), r.patient(s.as("north", staff.Head))
	}
	return r
}

// patient has a browser come again when it is told to.
func (r *rush) patient(w *browser) *browser {
	w.client.Timeout = 5 * time.Minute
	w.client.Transport = loadtest.Patient{Refused: &r.refused, Check: func(status int, h http.Header, body []byte) {
		if err := loadtest.CheckRefusal(status, h, body, "<html", "Person"); err != nil {
			r.t.Errorf("P30: %v", err)
		}
	}}
	return w
}

// again asks until the answer is another one than 503. Unsure says that it was 503 once
// although the request was let in; nobody knows what came of that.
func (r *rush) again(ask func() answer) (a answer, unsure bool) {
	r.t.Helper()
	for a = ask(); a.status == http.StatusServiceUnavailable; a = ask() {
		if a.header.Get("Retry-After") == "" || a.header.Get("Cache-Control") != "no-store" {
			r.t.Errorf("P30: %d, want Retry-After", a.status)
		}
		unsure = true
		r.later.Add(1)
		time.Sleep(loadtest.Pause(0))
	}
	return a, unsure
}

// breakOff posts and goes away at any moment.
func (w *browser) breakOff(path, media, body string) {
	ctx, cancel := context.WithTimeout(w.b.t.Context(), time.Duration(rand.IntN(6000))*time.Microsecond)
	defer cancel()
	w.until(ctx, path, media, body)
}

// until posts and goes away when ctx ends.
func (w *browser) until(ctx context.Context, path, media, body string) {
	hr, err := http.NewRequestWithContext(ctx, http.MethodPost, w.b.url+path, strings.NewReader(body))
	if err != nil {
		w.b.t.Error(err)
		return
	}
	hr.Header.Set("Origin", origin)
	hr.Header.Set("Sec-Fetch-Site", "same-origin")
	hr.Header.Set("Content-Type", media)
	if res, err := w.client.Do(hr); err == nil {
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
}

// deed posts a form in one of three ways: broken off and then again, by two people at once,
// or once more when it was done. Of all of them one counts (303) and the others are told that
// it is done (409, or 403 where the state gives nobody the right). It reports whether it was
// done; where it led is "" if that answer was lost.
func (r *rush) deed(way int, by [2]*browser, path string, pairs ...string) (to string, ok bool) {
	t := r.t
	t.Helper()
	times, perhaps := 1, 0
	switch way {
	case 0:
		form := url.Values{}
		for i := 0; i+1 < len(pairs); i += 2 {
			form.Add(pairs[i], pairs[i+1])
		}
		by[0].breakOff(path, web.MediaForm, form.Encode())
		perhaps = 1
	case 1:
		times = 2
	}
	var mu sync.Mutex
	won := 0
	send := func(w *browser) {
		a, unsure := r.again(func() answer { return w.post(path, pairs...) })
		mu.Lock()
		defer mu.Unlock()
		if unsure {
			perhaps++
		}
		switch a.status {
		case http.StatusSeeOther:
			won++
			to = a.to()
		case http.StatusConflict, http.StatusForbidden:
		default:
			t.Errorf("P30 %s: %d\n%s", path, a.status, a.body)
		}
	}
	var wg sync.WaitGroup
	for i := range times {
		wg.Go(func() { send(by[i]) })
	}
	wg.Wait()
	if way == 2 {
		send(by[0])
	}
	if won > 1 || won == 0 && perhaps == 0 {
		t.Errorf("P30 %s is done %d times, want once", path, won)
		return "", false
	}
	return to, true
}

// life is the way of person n: asked for, agreed to, signed and printed; for two in three of
// them revoked at once; and for one in four a batch beside it.
func (r *rush) life(n int) {
	t := r.t
	t.Helper()
	if n%4 == 0 {
		r.batch(n)
	}
	ref := r.work.Ref("births", applicant(n))
	record := console.Base + "/records/" + ref
	page := r.page(r.clerks[0], record)
	if _, ok := r.deed(n%3, r.clerks, record+"/ask", "shown", field(t, page.body, "shown")); !ok {
		return
	}
	item := r.open(n)
	if item == nil {
		return
	}
	path := console.Base + "/items/" + item.ID
	page = r.page(r.deciders[0], path)
	if strings.Contains(page.body, "/approve") { // else it was agreed to by one that broke off
		r.deed(n%3, r.deciders, path+"/approve", "shown", field(t, page.body, "shown"))
	}
	if item = r.open(n); item == nil || item.State != work.Signed {
		return // it is left for later
	}
	if _, ok := r.deed((n+1)%3, r.clerks, path+"/printed"); !ok || n%3 == 2 {
		return
	}
	revoke := record + "/" + item.Made + "/revoke"
	if _, ok := r.deed((n+2)%3, r.clerks, revoke, "reason", "lost"); !ok {
		return
	}
	order := r.open(n)
	if order == nil {
		t.Errorf("P05 the revocation of person %d was ordered, and there is none", n)
		return
	}
	r.mu.Lock()
	r.revoked[n] = true
	r.mu.Unlock()
	r.deed(n%3, r.deciders, console.Base+"/items/"+order.ID+"/now")
}

// page gets a page.
func (r *rush) page(w *browser, path string) answer {
	r.t.Helper()
	a := w.get(path)
	if a.status != http.StatusOK {
		r.t.Errorf("P30 %s: %d\n%s", path, a.status, a.body)
	}
	return a
}

// open is what is open about person n, which waits for nobody else.
func (r *rush) open(n int) *work.Item {
	r.t.Helper()
	c, err := r.work.Case(r.t.Context(), r.clerks[0].Operator, r.work.Ref("births", applicant(n)))
	if err != nil {
		r.t.Error(err)
		return nil
	}
	if c.Open == nil {
		r.t.Errorf("P30 nothing is open about person %d", n)
	}
	return c.Open
}

// batch uploads two records and has them issued. For one in three an upload breaks off first
// at any moment, and another one when its file is there and its job is not.
func (r *rush) batch(n int) {
	t := r.t
	t.Helper()
	text := fmt.Sprintf("id,name,village,district\nU%06d,Person A,Jessore,N1\nV%06d,Person B,Jessore,N1\n", n, n)
	if n%3 == 0 {
		media, body := twoRecords("b.csv", strings.Replace(text, "U0", "W0", 1))
		r.clerks[1].breakOff(console.Base+"/batches", media, body)
		r.lose(fmt.Sprintf("gone-%d.csv", n), strings.Replace(text, "U0", "X0", 1))
	}
	a, _ := r.again(func() answer {
		return r.clerks[0].upload(text, "programme", "farmer-card", "source", "", "kind", "svg")
	})
	m := batchPath.FindStringSubmatch(a.to())
	if a.status != http.StatusSeeOther || m == nil {
		t.Errorf("P30 an upload: %d to %q\n%s", a.status, a.to(), a.body)
		return
	}
	r.mu.Lock()
	r.jobs = append(r.jobs, m[1])
	r.mu.Unlock()
	path := console.Base + "/batches/" + m[1]
	r.await(m[1], batchwork.Checked)
	if _, ok := r.deed(n%3, r.clerks, path+"/propose"); !ok {
		return
	}
	shown := r.page(r.deciders[0], path)
	if j := r.job(m[1]); j.State == batchwork.Proposed {
		r.deed((n+1)%3, r.deciders, path+"/approve", "digest", shown.digest(t))
	}
}

// twoRecords is the form of a batch with a file.
func twoRecords(name, text string) (media, body string) {
	const boundary = "7d5f3c"
	var b strings.Builder
	for _, f := range [][2]string{{"programme", "farmer-card"}, {"source", ""}, {"kind", "svg"}} {
		fmt.Fprintf(&b, "--%s\r\nContent-Disposition: form-data; name=%q\r\n\r\n%s\r\n", boundary, f[0], f[1])
	}
	fmt.Fprintf(&b, "--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=%q\r\n\r\n%s\r\n--%s--\r\n", boundary, name, text, boundary)
	return "multipart/form-data; boundary=" + boundary, b.String()
}

// lose uploads a file that comes to no batch. What takes its client away may have to wait
// until the console lets the upload in.
func (r *rush) lose(name, text string) {
	r.t.Helper()
	media, body := twoRecords(name, text)
	ctx, leave := context.WithTimeout(r.t.Context(), 2*time.Minute)
	defer leave()
	r.leaving.away.Store(name, leave)
	for ctx.Err() == nil {
		r.clerks[1].until(ctx, console.Base+"/batches", media, body)
	}
}

// settled does what was left for later, and then holds the store to the audit log, and both
// to what was acknowledged.
func (r *rush) settled(people int) {
	t := r.t
	t.Helper()
	for _, id := range r.jobs {
		if j := r.await(id, batchwork.Finished); j.Done.Good != 2 || j.Done.Faulty != 0 {
			t.Errorf("P30 a batch of 2: %+v", j.Done)
		}
	}
	r.office.Clock.Add(time.Hour)
	for range 100 {
		if n, err := r.work.RunDue(t.Context()); err != nil {
			t.Error(err)
		} else if n == 0 {
			break
		}
	}
	lists := r.office.Lists()
	for n := range people {
		r.holds(n, lists)
	}
	r.noUploadIsLost()
	r.everyDeedEnded()
	r.office.Clean()
}

// holds wants person n to hold one credential, or to have one that is revoked, in the store
// and in the lists (P05).
func (r *rush) holds(n int, lists map[string]*status.List) {
	r.t.Helper()
	want := issuance.Active
	if r.revoked[n] {
		want = issuance.Revoked
	}
	var all []issuance.Credential
	for c, err := range r.office.DB.Find(r.t.Context(), issuance.Query{Programme: "births", Record: r.office.Service.Pseudonym("births", applicant(n))}) {
		must(r.t, err)
		all = append(all, c)
	}
	if len(all) != 1 || all[0].State != want || want == issuance.Revoked && all[0].Reason != issuance.Lost {
		r.t.Errorf("P30 person %d has %+v, want one that is %s", n, all, want)
		return
	}
	for _, f := range all[0].Forms {
		v, err := lists[f.Slot.List].Get(f.Slot.Index)
		if err != nil || (v == status.Invalid) != r.revoked[n] {
			r.t.Errorf("P05 person %d is %s, and the list says %d, %v", n, want, v, err)
		}
	}
}

// noUploadIsLost wants every job to have its file, and the files of uploads that came to no
// job to go with the next day.
func (r *rush) noUploadIsLost() {
	r.t.Helper()
	jobs, err := r.desk.Jobs(r.t.Context(), batchwork.Query{})
	must(r.t, err)
	has := map[string]bool{}
	for _, j := range jobs {
		has[j.ID] = true
		if info, err := os.Stat(filepath.Join(r.path, j.ID, "upload.csv")); err != nil || info.Size() != j.Size {
			r.t.Errorf("P30 the batch %s has no whole file: %v", j.ID, err)
		}
	}
	entries, err := os.ReadDir(r.path)
	must(r.t, err)
	lost := int64(0)
	for _, e := range entries {
		if batchwork.ValidID(e.Name()) && !has[e.Name()] {
			lost++
		}
	}
	if gone := r.leaving.gone.Load(); lost < gone || gone == 0 {
		r.t.Errorf("P30 %d uploads came to no batch, of %d whose client went away; the test tests little", lost, gone)
	}
	yesterday := time.Now().Add(-25 * time.Hour)
	for _, e := range entries {
		must(r.t, os.Chtimes(filepath.Join(r.path, e.Name()), yesterday, yesterday))
	}
	must(r.t, r.runner.Sweep(r.t.Context()))
	entries, err = os.ReadDir(r.path)
	must(r.t, err)
	left := 0
	for _, e := range entries {
		if !batchwork.ValidID(e.Name()) {
			continue
		}
		if left++; !has[e.Name()] {
			r.t.Errorf("P30 the upload %s belongs to no batch, and stays", e.Name())
		}
	}
	if left != len(jobs) {
		r.t.Errorf("P30 %d batches have files, of %d", left, len(jobs))
	}
}

// everyDeedEnded wants each intention in the audit log to have its end, and no deed about an
// item to be done twice.
func (r *rush) everyDeedEnded() {
	t := r.t
	t.Helper()
	size, err := r.office.DB.AuditSize(t.Context())
	must(t, err)
	open, done := map[string]int{}, map[string]int{}
	for line, err := range r.office.DB.AuditEntries(t.Context(), size) {
		must(t, err)
		_, e, err := audit.ParseEntry(line)
		must(t, err)
		what := e.Actor + " " + e.Reason + " " + e.Detail
		switch e.Kind {
		case audit.OperatorIntended:
			open[what]++
		case audit.OperatorDone:
			open[what]--
			if strings.HasPrefix(e.Reason, "work.") {
				done[e.Reason+" "+e.Detail]++
			}
		case audit.OperatorFailed:
			open[what]--
		}
	}
	for what, n := range open {
		if n != 0 {
			t.Errorf("P08 %s: %d intentions more than ends", what, n)
		}
	}
	for what, n := range done {
		if n != 1 {
			t.Errorf("P30 %s was done %d times", what, n)
		}
	}
	if len(done) == 0 {
		t.Error("the audit log knows no deeds; the test tests little")
	}
}

// TestP30Rush measures how many people the console serves, and then has twice as many come
// to few places, whatever has become of those before; the issuer's store is taken away for a
// moment. Deeds break off, come twice at once and once more. Each is done once or not at all,
// the audit log and the store agree, and every acknowledged revocation stands.
func TestP30Rush(t *testing.T) {
	const places = 3
	most, rounds := count(14, 200), count(1, 10)
	r := newRush(t, 3*most*rounds, places)
	over, ended := make(chan struct{}), make(chan struct{})
	go func() { // what a server does beside its requests
		defer close(ended)
		for {
			select {
			case <-over:
				return
			case <-time.After(50 * time.Millisecond):
				_, _ = r.work.RunDue(t.Context()) // what it could not do is done in the end
			}
		}
	}()
	people, rate := loadtest.Storm{
		Clients: places, Measure: time.Duration(count(100, 2000)) * time.Millisecond, For: time.Duration(count(400, 5000)) * time.Millisecond,
		Least: 3 * places, Most: most, Rounds: rounds, Deed: r.life, Exhaust: func() { r.exhaust(2 * places) },
	}.Run()
	close(over)
	<-ended
	r.settled(people)
	full := r.refused.Of(http.StatusServiceUnavailable)
	if full == 0 {
		t.Error("503 never; the test tests little")
	}
	t.Logf("P30 %d people, in the end %.0f a second, on %d places: 503 %d times at the gate and %d times behind it, %d revoked, %d batches",
		people, rate, places, full, r.later.Load(), len(r.revoked), len(r.jobs))
}

// exhaust takes the issuer's store away until so many were refused, at most for a time that
// nothing else gives up in.
func (r *rush) exhaust(refused int64) {
	r.t.Helper()
	before := r.refused.Of(http.StatusServiceUnavailable)
	defer loadtest.Exhaust(r.t, filepath.Join(r.office.Dir, "issuer.db"))()
	loadtest.Until(5*time.Second, func() bool { return r.refused.Of(http.StatusServiceUnavailable) >= before+refused })
}
