//go:build unix

package batchwork_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/sanad-id/sanad/batchwork"
	"github.com/sanad-id/sanad/internal/officetest"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/store"
	"github.com/sanad-id/sanad/store/desk"
)

// childEnv makes the test binary play the server that is killed.
const childEnv = "SANAD_BATCHWORK_CHILD"

// A server is an issuer with a runner, on files that outlive it.
type server struct {
	Dir   string
	Point string // where it kills itself, of either package
	Nth   int

	db     *store.DB
	people *desk.DB
	runner *batchwork.Runner
}

func TestMain(m *testing.M) {
	text := os.Getenv(childEnv)
	if text == "" {
		os.Exit(m.Run())
	}
	var s server
	err := json.Unmarshal([]byte(text), &s)
	if err == nil {
		err = s.open(context.Background(), "child")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	s.runner.Run(context.Background())
}

// crash kills the process at its point, as kill -9 does.
func (s *server) crash(p string) {
	if s.Point != p {
		return
	}
	if s.Nth--; s.Nth == 0 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

func (s *server) open(ctx context.Context, worker string) error {
	ks, err := keys.OpenFile(filepath.Join(s.Dir, "keystore.sanad"), []byte("a passphrase for tests"))
	if err != nil {
		return err
	}
	began := time.Now()
	now := func() time.Time { return officetest.Start.Add(time.Since(began)) }
	if s.db, err = store.Open(ctx, filepath.Join(s.Dir, "issuer.db"), store.Options{Instance: "xa-office " + ks.Identity(), Now: now}); err != nil {
		return err
	}
	service, err := issuance.New(issuance.Config{
		Issuer: "xa-office", URL: "https://example.org", StatusBase: "https://example.org/status/", Store: s.db, Keys: ks, Secret: ks.Secret, Now: now,
		ListSize: 1 << 12, Crash: func(p issuance.Point) { s.crash("issuance " + string(p)) },
	})
	if err != nil {
		return err
	}
	if _, err := service.Sweep(ctx); err != nil {
		return err
	}
	if s.people, err = desk.Open(ctx, filepath.Join(s.Dir, "desk.db"), desk.Options{}); err != nil {
		return err
	}
	folder, err := batchwork.OpenFolder(filepath.Join(s.Dir, "batches"))
	if err != nil {
		return err
	}
	s.runner, err = batchwork.NewRunner(batchwork.Config{
		Store: s.people, Folder: folder, Worker: worker, Node: "one", Open: open, Chunk: 20, Poll: 20 * time.Millisecond, Term: time.Second,
		Log: slog.New(slog.DiscardHandler), Sync: func(string) error { return nil },
		Issuer: func(_ context.Context, do func(batchwork.Issuer) error) error { return do(service) },
		Crash:  func(p batchwork.Point) { s.crash(string(p)) }, Print: printList(folder),
	})
	return err
}

// TestKilledServerGoesOn kills a server at each point of its work on a batch, and in the
// middle of issuing. The next server finishes it by itself: nothing is issued twice,
// nothing is missing, nothing is left over.
func TestKilledServerGoesOn(t *testing.T) {
	const n = 90
	points := []string{
		string(batchwork.PointTried), string(batchwork.PointBegun), string(batchwork.PointNamed), "issuance " + string(issuance.PointSpooled),
		"issuance " + string(issuance.PointMarked), string(batchwork.PointIssued),
		string(batchwork.PointPrinted),
	}
	if !soak {
		points = []string{points[1], points[4], points[5], points[6]} // package issuance kills itself at its own every night, too
	}
	for _, point := range points {
		t.Run(point, func(t *testing.T) {
			b := newBed(t, nil)
			b.office.Close() // its files stay
			people, err := desk.Open(t.Context(), filepath.Join(b.office.Dir, "desk.db"), desk.Options{})
			b.must(err)
			b.store, b.path = people, filepath.Join(b.office.Dir, "batches")
			b.folder, err = batchwork.OpenFolder(b.path)
			b.must(err)
			j := b.upload(table(n, map[int]string{4: "missing", 50: "columns"}))
			first := server{Dir: b.office.Dir, Point: point, Nth: 1}
			if point != string(batchwork.PointTried) {
				first.checked(b, j.ID)
			}
			if point == string(batchwork.PointPrinted) {
				first.finished(b, j.ID)
			}
			first.killed(t)

			second := server{Dir: b.office.Dir}
			b.must(second.open(t.Context(), "second"))
			defer second.db.Close()
			defer second.people.Close()
			b.office.DB = second.db
			b.start(second.runner)
			if point == string(batchwork.PointTried) {
				b.awaitState(j.ID, batchwork.Checked)
				b.do(j.ID, batchwork.Propose, "op-1")
				b.do(j.ID, batchwork.Approve, "op-2")
			}
			j = b.awaitState(j.ID, batchwork.Finished)
			b.idle = true
			if got := b.active(); got != n-2 || j.Done.Good != n-2 || j.Done.Faulty != 2 || j.Batch == "" {
				t.Errorf("%d credentials, want %d; %+v", got, n-2, j)
			}
			b.checkFiles(j, n, map[int]string{4: "missing", 50: "columns"})
			if point == string(batchwork.PointPrinted) {
				if j = b.awaitPrint(j.ID, batchwork.Printable); j.Print.Certificates != n-2 || len(b.text(j)) == 0 {
					t.Errorf("the print: %+v", j.Print)
				}
				b.await(j.ID, "one print", func(batchwork.Job) bool { return len(b.prints(j.ID)) == 2 })
			}
			batches := map[string]bool{}
			for c, err := range second.db.Find(t.Context(), issuance.Query{}) {
				b.must(err)
				batches[c.Batch] = true
			}
			if len(batches) != 1 {
				t.Errorf("the credentials are of %d batches", len(batches))
			}
			b.office.DB = nil // second closes it
		})
	}
}

// checked brings a job to where it runs, with a server that is not killed.
func (s *server) checked(b *bed, id string) {
	b.Helper()
	quiet := server{Dir: s.Dir}
	b.must(quiet.open(context.Background(), "quiet"))
	stop := b.start(quiet.runner)
	b.awaitState(id, batchwork.Checked)
	stop()
	b.must(quiet.db.Close())
	b.must(quiet.people.Close())
	b.do(id, batchwork.Propose, "op-1")
	b.do(id, batchwork.Approve, "op-2")
}

// finished brings a job that runs to where its print is to be made.
func (s *server) finished(b *bed, id string) {
	b.Helper()
	quiet := server{Dir: s.Dir}
	b.must(quiet.open(context.Background(), "quiet"))
	stop := b.start(quiet.runner)
	b.awaitState(id, batchwork.Finished)
	stop()
	b.must(quiet.db.Close())
	b.must(quiet.people.Close())
	b.ask(id, "")
}

// killed runs the server in a child until it kills itself.
func (s *server) killed(t *testing.T) {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	out, err := cmd.CombinedOutput()
	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !status.Signaled() || status.Signal() != syscall.SIGKILL || ctx.Err() != nil {
		t.Fatalf("the child was not killed by itself: %v\n%s", err, out)
	}
}
