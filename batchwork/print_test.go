package batchwork_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanad-id/sanad/batchwork"
)

// printList stands for a printer: a line for each code, in the order of the folders.
func printList(folder *batchwork.Folder) func(context.Context, batchwork.PrintOrder, io.Writer) (batchwork.Printed, error) {
	return func(_ context.Context, o batchwork.PrintOrder, w io.Writer) (done batchwork.Printed, err error) {
		last := ""
		err = folder.EachCode(o.Job.ID, func(credential, form, text string) error {
			if credential != last {
				last = credential
				done.Certificates++
				o.Progress(done.Certificates)
			}
			_, err := fmt.Fprintln(w, credential, form, text)
			return err
		})
		o.Noted(last, "clipped", "name")
		done.Pages, done.Notes = done.Certificates, 1
		return done, err
	}
}

// finished is a job of n records that has run.
func (b *bed) finished(n int) batchwork.Job {
	b.Helper()
	j := b.upload(table(n, nil))
	stop := b.start(b.runner("issues", func(c *batchwork.Config) { c.Now = b.office.Clock.Now }))
	b.awaitState(j.ID, batchwork.Checked)
	b.do(j.ID, batchwork.Propose, "op-1")
	b.do(j.ID, batchwork.Approve, "op-2")
	j = b.awaitState(j.ID, batchwork.Finished)
	stop()
	return j
}

// ask asks for a print.
func (b *bed) ask(id, layout string) batchwork.Job {
	b.Helper()
	j, err := batchwork.Change(b.Context(), b.store, id, func(j batchwork.Job) (batchwork.Job, error) {
		return j.AskPrint(layout, "op-1", b.office.Clock.Now())
	})
	b.must(err)
	return j
}

func (b *bed) awaitPrint(id string, s batchwork.PrintState) batchwork.Job {
	b.Helper()
	return b.await(id, "print "+string(s), func(j batchwork.Job) bool { return j.Print.State == s })
}

// prints are the names of prints in the folder of a job.
func (b *bed) prints(id string) []string {
	b.Helper()
	names, err := filepath.Glob(filepath.Join(b.path, id, "print-*"))
	b.must(err)
	return names
}

// TestPrint: the print of a batch is made in the background, again if somebody asks, and
// goes with the files.
func TestPrint(t *testing.T) {
	b := newBed(t, newMemory())
	j := b.finished(25)
	clock := func(c *batchwork.Config) { c.Now, c.Print = b.office.Clock.Now, printList(b.folder) }

	// Nobody prints who cannot; the job waits for one who can.
	j = b.ask(j.ID, "card")
	if _, err := j.AskPrint("card", "op-2", b.office.Clock.Now()); !errors.Is(err, batchwork.ErrState) {
		t.Errorf("asked for twice at once: %v", err)
	}
	if _, err := b.folder.OpenPrint(j); !errors.Is(err, batchwork.ErrErased) {
		t.Errorf("there is a print before it is made: %v", err)
	}
	stop := b.start(b.runner("one", clock))
	j = b.awaitPrint(j.ID, batchwork.Printable)
	want := batchwork.Printed{Certificates: 25, Pages: 25, Notes: 1}
	if p := j.Print; p.Printed != want || p.Done != 25 || p.Layout != "card" || p.By != "op-1" || p.Ready.IsZero() || j.State != batchwork.Finished {
		t.Errorf("the print: %+v, want %+v", p, want)
	}
	first := b.text(j)
	if n := strings.Count(first, "\n"); n != 50 || int64(len(first)) != j.Print.Bytes {
		t.Errorf("%d lines and %d bytes, want 50 and %d", n, len(first), j.Print.Bytes)
	}
	notes := 0
	b.must(b.folder.PrintNotes(j, func(_, what, where string) error {
		notes++
		if what != "clipped" || where != "name" {
			t.Errorf("note %q %q", what, where)
		}
		return nil
	}))
	if notes != 1 {
		t.Errorf("%d notes, want 1", notes)
	}

	// Another one takes its place.
	j = b.ask(j.ID, "")
	j = b.await(j.ID, "the second print", func(now batchwork.Job) bool { return now.Print.State == batchwork.Printable && now.Print.Layout == "" })
	if b.text(j) != first {
		t.Error("the same codes make another file")
	}
	b.await(j.ID, "one print", func(batchwork.Job) bool { return len(b.prints(j.ID)) == 2 })
	stop()

	// What is kept is kept until its time is up, and not longer.
	r := b.runner("two", clock)
	b.office.Clock.Add(31 * 24 * time.Hour)
	b.must(r.Sweep(t.Context()))
	j, err := b.store.Job(t.Context(), j.ID)
	b.must(err)
	if j.Erased.IsZero() || j.Print != (batchwork.Print{}) || len(b.prints(j.ID)) > 0 {
		t.Errorf("after its time: %+v, files %v", j.Print, b.prints(j.ID))
	}
	if _, err := j.AskPrint("", "op-1", b.office.Clock.Now()); !errors.Is(err, batchwork.ErrState) {
		t.Errorf("a print of what is erased: %v", err)
	}
}

// lateStore takes long to say that a print was saved, and reads nothing for who was told to
// stop.
type lateStore struct{ *memory }

func (s lateStore) SaveJob(ctx context.Context, j batchwork.Job) (batchwork.Job, error) {
	j, err := s.memory.SaveJob(ctx, j)
	if j.Print.State == batchwork.Printable {
		time.Sleep(10 * 20 * time.Millisecond) // of the runner's looks at the job
	}
	return j, err
}

func (s lateStore) Job(ctx context.Context, id string) (batchwork.Job, error) {
	if err := ctx.Err(); err != nil {
		return batchwork.Job{}, err
	}
	return s.memory.Job(ctx, id)
}

// TestPrintBeforeGoes: a print is removed when the next one is there, also if the runner sees
// its job done before it is told that it has saved that.
func TestPrintBeforeGoes(t *testing.T) {
	b := newBed(t, lateStore{newMemory()})
	j := b.finished(3)
	defer b.start(b.runner("one", func(c *batchwork.Config) { c.Now, c.Print = b.office.Clock.Now, printList(b.folder) }))()
	for _, layout := range []string{"card", "sheet"} {
		b.ask(j.ID, layout)
		b.await(j.ID, layout, func(now batchwork.Job) bool {
			return now.Print.State == batchwork.Printable && now.Print.Layout == layout
		})
	}
	b.await(j.ID, "one print", func(batchwork.Job) bool { return len(b.prints(j.ID)) == 2 })
}

// text is what a print holds.
func (b *bed) text(j batchwork.Job) string {
	b.Helper()
	f, err := b.folder.OpenPrint(j)
	b.must(err)
	defer f.Close()
	all, err := io.ReadAll(f)
	b.must(err)
	return string(all)
}

// TestPrintGoesOn: what fails in passing is tried again, what lasts is said, and a
// process that stops or loses its turn spoils nothing.
func TestPrintGoesOn(t *testing.T) {
	b := newBed(t, newMemory())
	id := b.finished(5).ID
	var tries atomic.Int32
	good := printList(b.folder)
	b.ask(id, "")
	stop := b.start(b.runner("fails", func(c *batchwork.Config) {
		c.Print = func(ctx context.Context, o batchwork.PrintOrder, w io.Writer) (batchwork.Printed, error) {
			if tries.Add(1) == 1 {
				return batchwork.Printed{}, io.ErrShortWrite
			}
			return good(ctx, o, w)
		}
	}))
	b.await(id, "a reason", func(j batchwork.Job) bool {
		return j.Print.Why == batchwork.Away || j.Print.State == batchwork.Printable
	})
	b.awaitPrint(id, batchwork.Printable)
	stop()
	if tries.Load() != 2 {
		t.Errorf("%d tries, want 2", tries.Load())
	}

	b.ask(id, "")
	stop = b.start(b.runner("cannot", func(c *batchwork.Config) {
		c.Print = func(context.Context, batchwork.PrintOrder, io.Writer) (batchwork.Printed, error) {
			return batchwork.Printed{}, fmt.Errorf("strip: %w", batchwork.ErrUnprintable)
		}
	}))
	if j := b.awaitPrint(id, batchwork.PrintFails); j.Print.Why != batchwork.Unprintable {
		t.Errorf("why: %q", j.Print.Why)
	}
	stop()

	// The first begins and hangs. Another one makes it; what the first then brings counts
	// no more.
	b.ask(id, "")
	begun, go1 := make(chan struct{}), make(chan struct{})
	hangs := b.runner("hangs", func(c *batchwork.Config) {
		c.Now = func() time.Time { return time.Now().Add(-time.Hour) } // its turn is over at once, and it does not know
		c.Print = func(ctx context.Context, o batchwork.PrintOrder, w io.Writer) (batchwork.Printed, error) {
			if _, err := io.WriteString(w, "half"); err != nil {
				return batchwork.Printed{}, err
			}
			close(begun)
			<-go1
			return batchwork.Printed{Certificates: 1}, nil
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		hangs.Run(ctx)
	}()
	<-begun
	stop = b.start(b.runner("takes-over", func(c *batchwork.Config) { c.Print = good }))
	j := b.awaitPrint(id, batchwork.Printable)
	close(go1)
	cancel()
	<-ended
	stop()
	j, err := b.store.Job(t.Context(), j.ID)
	b.must(err)
	if j.Print.Certificates != 5 || strings.Contains(b.text(j), "half") {
		t.Errorf("a half print took the place of a whole one: %+v", j.Print)
	}
}

// TestPrintRefuses spoils one thing at a time of a job that can be printed.
func TestPrintRefuses(t *testing.T) {
	now := time.Now()
	good := batchwork.Job{ID: "AAAAAAAAAAAAAAAAAAAAAAAAAA", State: batchwork.Finished, Batch: "b", Done: batchwork.Counts{Good: 1}}
	if _, err := good.AskPrint("", "op-1", now); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*batchwork.Job){
		"it runs":             func(j *batchwork.Job) { j.State = batchwork.Running },
		"it is paused":        func(j *batchwork.Job) { j.State = batchwork.Paused },
		"it never began":      func(j *batchwork.Job) { j.Batch = "" },
		"nothing was issued":  func(j *batchwork.Job) { j.Done.Good = 0 },
		"its files are gone":  func(j *batchwork.Job) { j.Erased = now },
		"one is being made":   func(j *batchwork.Job) { j.Print.State = batchwork.Printing },
		"it was only checked": func(j *batchwork.Job) { j.State = batchwork.Checked },
	} {
		j := good
		spoil(&j)
		if after, err := j.AskPrint("", "op-1", now); !errors.Is(err, batchwork.ErrState) || after.Print != j.Print {
			t.Errorf("%s: %v, %+v", name, err, after.Print)
		}
	}
}

// TestFolderIdentity: whoever opens a folder sees one id, however many do so at once, and
// another folder has another.
func TestFolderIdentity(t *testing.T) {
	open := func(path string) *batchwork.Folder {
		f, err := batchwork.OpenFolder(path)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	path := t.TempDir()
	ids := make(chan string, 8)
	for range cap(ids) {
		f := open(path)
		go func() {
			id, err := f.Identity()
			if err != nil {
				t.Error(err)
			}
			ids <- id
		}()
	}
	first := <-ids
	for range cap(ids) - 1 {
		if id := <-ids; id != first || !batchwork.ValidID(id) {
			t.Errorf("ids %q and %q", id, first)
		}
	}
	if id, err := open(t.TempDir()).Identity(); err != nil || id == first {
		t.Errorf("another folder: %q, %v", id, err)
	}
	if err := os.WriteFile(filepath.Join(path, "folder-id"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if id, err := open(path).Identity(); err == nil {
		t.Errorf("an empty file: %q", id)
	}
}
