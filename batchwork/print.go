package batchwork

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/sanad-id/sanad/internal/durable"
	"github.com/sanad-id/sanad/internal/safecsv"
	"github.com/sanad-id/sanad/programme"
)

// ErrUnprintable: the certificates of a job cannot be printed in this layout.
var ErrUnprintable = errors.New("batchwork: nothing of it can be printed")

// A PrintState is where the print of a job stands.
type PrintState string

// The states of a print.
const (
	NoPrint    PrintState = ""
	Printing   PrintState = "printing"    // asked for, or being made
	Printable  PrintState = "ready"       // there, to be fetched
	PrintFails PrintState = "unprintable" // not made, for a reason that lasts
)

// A Print is the file of all certificates of a job that is over. It is made in the
// background, as often as somebody asks, and erased with the other files.
type Print struct {
	State PrintState `json:"state"`
	Why   Why        `json:"why,omitempty"`
	// Layout is the name of the layout, empty for the usual one of the programme.
	Layout string `json:"layout,omitempty"`
	// By is who asked for it.
	By    string    `json:"by"`
	Asked time.Time `json:"asked"`
	Ready time.Time `json:"ready,omitzero"`
	// Done is how many certificates are in the file so far.
	Done int64 `json:"done"`
	Printed
	// File names the file in the folder of the job, Bytes is its size.
	File  string `json:"file,omitempty"`
	Bytes int64  `json:"bytes"`
}

// Pending reports whether the file is still to be made.
func (p Print) Pending() bool { return p.State == Printing }

// Printed is what became of the certificates: those on so many pages, those that are
// not in the file, and places that are not as they should be.
type Printed struct {
	Certificates int64 `json:"certificates"`
	Pages        int64 `json:"pages"`
	Refused      int64 `json:"refused"`
	Notes        int64 `json:"notes"`
}

// A PrintOrder says what is printed.
type PrintOrder struct {
	Job       Job
	Programme *programme.Programme
	// Folders hold the files of codes, one folder or one of each process that took part.
	Folders []string
	// Progress takes the number of certificates so far, now and then.
	Progress func(done int64)
	// Noted takes what is not on paper as it should be: what, and where.
	Noted func(credential, what, where string)
}

// CanPrint reports whether a print can be asked for.
func (j Job) CanPrint() bool {
	return j.State.Over() && j.Batch != "" && j.Done.Good > 0 && j.Erased.IsZero() && !j.Print.Pending()
}

// AskPrint returns the job with a print that is to be made. It takes the place of the
// one that there is.
func (j Job) AskPrint(layout, operator string, now time.Time) (Job, error) {
	if !j.CanPrint() {
		return j, fmt.Errorf("%w: print when it is %s", ErrState, j.State)
	}
	j.Print = Print{State: Printing, Layout: layout, By: operator, Asked: now}
	return j, nil
}

// printPrefix begins the names of prints in the folder of a job, which end in .pdf, and
// of what is amiss with them, which end in .csv. Each try has a name of its own, so
// that of two processes that believe that the work is theirs none spoils the other's.
const printPrefix = "print-"

// maxPrintNotes bounds the list of notes of one print; their number goes on.
const maxPrintNotes = 20_000

// OpenPrint opens the print of a job, and [ErrErased] if there is none.
func (f *Folder) OpenPrint(j Job) (*os.File, error) {
	if j.Print.State != Printable {
		return nil, ErrErased
	}
	file, err := os.Open(f.of(j.ID, filepath.Base(j.Print.File)+".pdf"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrErased
	}
	return file, err
}

// PrintNotes calls do with every place of the print that is not as it should be.
func (f *Folder) PrintNotes(j Job, do func(credential, what, where string) error) error {
	if j.Print.State != Printable {
		return ErrErased
	}
	err := eachRow(f.of(j.ID, filepath.Base(j.Print.File)+".csv"), 3, func(row []string) error { return do(row[0], row[1], row[2]) })
	if errors.Is(err, fs.ErrNotExist) {
		return ErrErased
	}
	return err
}

// removePrints removes every print of a job but that of this name.
func (f *Folder) removePrints(job, keep string) error {
	names, err := filepath.Glob(f.of(job, printPrefix+"*"))
	if err != nil {
		return err
	}
	for _, name := range names {
		if base := filepath.Base(name); base != keep+".pdf" && base != keep+".csv" {
			err = errors.Join(err, os.Remove(name))
		}
	}
	return err
}

// Prints reports whether the runner can print.
func (r *Runner) Prints() bool { return r.cfg.Print != nil }

// print makes the print of a job. Whoever does so after a crash begins anew and makes
// the same file.
func (r *Runner) print(ctx context.Context, j Job) error {
	file := printPrefix + rand.Text()
	done, size, err := r.printFile(ctx, j, file)
	if ctx.Err() != nil {
		return nil // stopped; the next one begins anew
	}
	if err != nil {
		why, lasting := reason(err)
		if !lasting {
			return errors.Join(err, r.settlePrint(ctx, j, func(p *Print) { p.Why = why }))
		}
		return errors.Join(err, r.settlePrint(ctx, j, func(p *Print) { p.State, p.Why = PrintFails, why }))
	}
	r.cfg.Crash(PointPrinted)
	err = r.settlePrint(ctx, j, func(p *Print) {
		p.State, p.Why, p.Ready, p.Done, p.Printed, p.File, p.Bytes = Printable, NoReason, r.now(), done.Certificates, done, file, size
	})
	if err != nil {
		return err
	}
	// Not with the context of the work: that ends as soon as it is seen to be done.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	now, err := r.cfg.Store.Job(ctx, j.ID)
	if err != nil || now.Print.Pending() {
		return err // what is left over goes with the next print, or with the job
	}
	return r.cfg.Folder.removePrints(j.ID, now.Print.File)
}

// errOtherPrint: the print of the job is another one by now, or none.
var errOtherPrint = errors.New("batchwork: internal error: another print")

// settlePrint changes the print that j asks for, if it still does.
func (r *Runner) settlePrint(ctx context.Context, j Job, set func(*Print)) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_, err := change(ctx, r.cfg.Store, j.ID, func(now Job) (Job, error) {
		if !now.Print.Pending() || !now.Print.Asked.Equal(j.Print.Asked) {
			return now, errOtherPrint
		}
		set(&now.Print)
		return now, nil
	})
	if errors.Is(err, errOtherPrint) {
		return nil
	}
	return err
}

// printFile writes the file and, beside it, what is not as it should be.
func (r *Runner) printFile(ctx context.Context, j Job, file string) (done Printed, size int64, err error) {
	order := PrintOrder{Job: j}
	err = r.cfg.Issuer(ctx, func(s Issuer) (err error) {
		order.Programme, err = s.Programme(ctx, j.Programme, j.Version)
		return err
	})
	if err != nil {
		return done, 0, err
	}
	if order.Folders, err = r.cfg.Folder.parts(j.ID); err == nil && len(order.Folders) == 0 {
		err = ErrErased
	}
	if err != nil {
		return done, 0, err
	}
	var last time.Time
	order.Progress = func(n int64) {
		if now := time.Now(); now.Sub(last) >= 500*time.Millisecond {
			last = now
			_ = r.settlePrint(ctx, j, func(p *Print) { p.Done, p.Why = n, NoReason }) // the next report says it again
		}
	}
	rows := 0
	err = durable.ReplaceFunc(r.cfg.Folder.of(j.ID, file+".csv"), 0o600, func(w io.Writer) error {
		_, noteErr := w.Write(safecsv.AppendRow(nil, "credential_id", "note", "where"))
		order.Noted = func(credential, what, where string) {
			if rows++; rows <= maxPrintNotes && noteErr == nil {
				_, noteErr = w.Write(safecsv.AppendRow(nil, credential, what, where))
			}
		}
		err := durable.ReplaceFunc(r.cfg.Folder.of(j.ID, file+".pdf"), 0o600, func(w io.Writer) (err error) {
			counted := &counter{w: w}
			done, err = r.cfg.Print(ctx, order, counted)
			size = counted.n
			return err
		})
		return errors.Join(err, noteErr)
	})
	return done, size, err
}

// A counter counts what is written.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}
