package batchwork_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/batchwork"
	"github.com/sanad-id/sanad/internal/officetest"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/registry/csvfile"
)

// soak says that this is the nightly run.
var soak = os.Getenv("SANAD_SOAK") != ""

// count is how often to try something: per change and in the nightly run.
func count(change, night int) int {
	if soak {
		return night
	}
	return change
}

// A bed is an issuer with its database, a store of jobs, and a folder.
type bed struct {
	testing.TB
	office *officetest.Office
	store  batchwork.Store
	folder *batchwork.Folder
	path   string
	// issuer stands between the runners and the issuer; nil for nothing.
	issuer func(batchwork.Issuer) batchwork.Issuer
	idle   bool // nobody works: no credential may be left intended
}

func newBed(t testing.TB, store batchwork.Store) *bed {
	t.Helper()
	b := &bed{TB: t, office: officetest.New(t, officetest.Options{ListSize: 1 << 14}), store: store, path: filepath.Join(t.TempDir(), "batches")}
	var err error
	b.folder, err = batchwork.OpenFolder(b.path)
	b.must(err)
	return b
}

func (b *bed) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// open reads an upload as a CSV file, as the program does.
func open(_ context.Context, _ batchwork.Job, path string, p *programme.Programme) (batchwork.Table, error) {
	src, err := csvfile.Open(path, csvfile.Options{IDColumn: p.Records.IDColumn})
	if e, ok := errors.AsType[*csvfile.IDColumnError](err); ok {
		return nil, &batchwork.SourceError{Why: batchwork.NoIDColumn, Err: err, Columns: batchwork.Columns{Lacks: []string{e.Column}, Has: e.Has}}
	}
	if err != nil {
		return nil, &batchwork.SourceError{Why: batchwork.Unreadable, Err: err}
	}
	return src, nil
}

// runner makes a runner with this name.
func (b *bed) runner(worker string, change ...func(*batchwork.Config)) *batchwork.Runner {
	b.Helper()
	c := batchwork.Config{
		Store: b.store, Folder: b.folder, Worker: worker, Node: worker, Open: open, Chunk: 20, Poll: 20 * time.Millisecond, Term: time.Second,
		Sync: func(string) error { return nil }, Log: slog.New(slog.NewTextHandler(b.Output(), nil)),
		Issuer: func(_ context.Context, do func(batchwork.Issuer) error) error {
			var s batchwork.Issuer = b.office.Service
			if b.issuer != nil {
				s = b.issuer(s)
			}
			return do(s)
		},
	}
	for _, f := range change {
		f(&c)
	}
	r, err := batchwork.NewRunner(c)
	b.must(err)
	return r
}

// start lets a runner run until stop, or the end of the test.
func (b *bed) start(r *batchwork.Runner) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-done
	}
	b.Cleanup(stop)
	return stop
}

// table is a CSV file of n records, of which some are faulty in a way that goes round.
func table(n int, faulty map[int]string) string {
	var s strings.Builder
	s.WriteString("id,name,village\n")
	for i := 1; i <= n; i++ {
		name, village := fmt.Sprintf("Nurjahan Canary %d", i), "Jessore Sadar"
		switch faulty[i] {
		case programme.CodeMissing:
			name = ""
		case programme.CodeControl:
			village = "Jes\x07sore"
		case programme.CodeTooLong:
			name = strings.Repeat("Nurjahan ", 200)
		case "columns":
			fmt.Fprintf(&s, "F%07d,%s\n", i, name)
			continue
		}
		fmt.Fprintf(&s, "F%07d,%s,%s\n", i, name, village)
	}
	return s.String()
}

// upload makes a job of a file.
func (b *bed) upload(text string) batchwork.Job {
	b.Helper()
	j, err := batchwork.New(batchwork.Order{
		Office: "north", Programme: "farmer-card", Requester: "op-1", Name: "farmers.csv", Kinds: []issuance.FileKind{issuance.FileText, issuance.FileCSV},
	}, b.office.Clock.Now())
	b.must(err)
	j, err = b.folder.Receive(j, strings.NewReader(text), 1<<20)
	b.must(err)
	b.must(b.store.AddJob(b.Context(), j))
	return j
}

// await waits until the job is as it should be.
func (b *bed) await(id string, what string, is func(batchwork.Job) bool) batchwork.Job {
	b.Helper()
	end := time.Now().Add(40 * time.Second)
	for {
		j, err := b.store.Job(b.Context(), id)
		b.must(err)
		if is(j) {
			return j
		}
		if time.Now().After(end) {
			b.Fatalf("the job does not come to %s: %+v", what, j)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (b *bed) awaitState(id string, s batchwork.State) batchwork.Job {
	b.Helper()
	return b.await(id, string(s), func(j batchwork.Job) bool { return j.State == s })
}

// do does a deed of an operator.
func (b *bed) do(id string, d batchwork.Deed, operator string) batchwork.Job {
	b.Helper()
	j, err := batchwork.Change(b.Context(), b.store, id, func(j batchwork.Job) (batchwork.Job, error) {
		return j.Do(d, operator, b.office.Clock.Now())
	})
	b.must(err)
	return j
}

// active counts the credentials in force. When nobody works none may be left intended.
func (b *bed) active() int {
	b.Helper()
	n := 0
	for c, err := range b.office.DB.Find(context.Background(), issuance.Query{}) {
		b.must(err)
		switch c.State {
		case issuance.Intended:
			if b.idle {
				b.Errorf("%s is left intended", c.ID)
			}
		case issuance.Active:
			n++
		}
	}
	return n
}
