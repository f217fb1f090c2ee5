package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/qr/image"
	"github.com/sanad-id/sanad/store"
)

func (p *program) batchCommand() *cobra.Command {
	var o order
	var on paperOrder
	var pdf, profile, join string
	var shared bool
	c := &cobra.Command{
		Use: "batch --programme P --out OUT", Short: "Issue for every record of a source", Args: cobra.NoArgs,
		Long: `Issues one credential for every record of a source and writes the codes into OUT, with manifest.csv beside them:
record_id,credential_id,status_uri,status_index,file,error. Values that the programme allows to be left out or simplified are listed in
notes.csv.

A record that cannot be issued for does not stop the rest: its row in the manifest names line, column, claim and what is wrong. The batch can
be stopped (Ctrl-C, even kill -9) and goes on where it was when the same command is given again. Records that hold a credential of the
programme already are skipped, or superseded with --supersede.

Several machines on one PostgreSQL work on one batch: the first begins it with --shared and prints its id, the others take part with
--join ID. Each has the same settings, keystore, source and flags, and a folder of its own: its manifest.csv lists what this machine has
done and nothing else, so that the manifests of all folders together are the batch. A machine that dies is no loss to the batch, since
others do what it had begun; what it had finished stands in its folder, and the same command there completes that.

For more than a million records --form csv writes the codes of 500 records at a time into one file, codes-NUMBER.csv, with the columns
credential_id, form and text.

Exit status: 0 all issued, 3 finished with some records refused, 4 stopped half-way.`,
		Example: `  issuer batch --dir office --programme birth-certificate --source births.csv --out certificates
  issuer batch --dir office --programme farmer-card --source farmers --out cards --form svg --form text
  issuer batch --dir office --programme birth-certificate --source births.csv --out certificates --pdf births.pdf
  issuer batch --programme farmer-card --source farmers --out part-1 --form csv --shared
  issuer batch --programme farmer-card --source farmers --out part-2 --form csv --join 01KA…`,
		RunE: p.office(readWrite, func(cmd *cobra.Command, app *app, _ []string) error {
			stop, err := startProfile(profile)
			if err != nil {
				return err
			}
			defer stop()
			tightMemory()
			supply, err := o.open(cmd, app)
			if err != nil {
				return err
			}
			var paper *paper
			if pdf != "" {
				if paper, err = app.paper(supply.programme, on); err != nil {
					return err
				}
				// The file is printed from the codes of the folder, so that a batch that was
				// interrupted loses nothing.
				if !cmd.Flags().Changed("form") {
					supply.kinds = nil
				}
				if !slices.Contains(supply.kinds, issuance.FileCSV) {
					supply.kinds = append(supply.kinds, issuance.FileCSV)
				}
			}
			request := issuance.BatchRequest{
				Programme: supply.programme.ID, Source: supply.source, Folder: o.out, Kinds: supply.kinds, Draw: draw, Supersede: o.supersede,
				Actor: app.actor, Sync: syncFolder, Chunk: chunk, Shared: shared, Join: join,
			}
			if shared || join != "" {
				request.Begun = func(id string) { cli.Say(cmd, "this is batch %s; other machines take part with --join %s", id, id) }
			}
			notes := newNotes(o.out)
			request.Notes = notes.add
			bar := newProgress(cmd, supply.source)
			request.Total, request.Progress = bar.total, bar.report
			// What the passphrase of the keystore took, 64 MB, is not needed again.
			debug.FreeOSMemory()
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors(app.cfg.Store)))
			result, err := app.service.RunBatch(cmd.Context(), request)
			bar.done()
			if err := errors.Join(err, notes.close()); err != nil {
				return explainBatch(err)
			}
			err = p.batchResult(cmd, result, o.out, notes.count)
			if pdf == "" || result.Outcome == issuance.Stopped {
				return err
			}
			if result.Batch.Issued == 0 {
				cli.Say(cmd, "nothing was issued, so there is nothing to print")
				return err
			}
			prog, e := app.service.Programme(cmd.Context(), result.Batch.Programme, result.Batch.Version)
			if e != nil {
				return e
			}
			printed, e := paper.batch(cmd.Context(), prog, o.out, pdf, bar.printed)
			if e != nil {
				return cli.Hint(e, "everything is issued; `issuer print --programme %s --pdf %s %s` prints it", supply.programme.ID, pdf, o.out)
			}
			return errors.Join(err, p.says(cmd, printed, pdf))
		}),
	}
	o.flags(c, issuance.FileText, issuance.FilePNG, issuance.FileSVG, issuance.FileCSV)
	on.flags(c)
	c.Flags().StringVar(&pdf, "pdf", "", "print all certificates into one `FILE` when the batch is done; without --form the folder gets their codes as csv")
	c.Flags().BoolVar(&shared, "shared", false, "begin a batch that other machines can join, or go on with this folder's part of it")
	c.Flags().StringVar(&join, "join", "", "take part in the shared batch with this `ID`")
	c.MarkFlagsMutuallyExclusive("shared", "join")
	c.Flags().StringVar(&profile, "cpu-profile", "", "write a CPU profile into `FILE`, for bench")
	_ = c.Flags().MarkHidden("cpu-profile")
	return c
}

// startProfile writes a CPU profile into a file until it is told to stop.
func startProfile(path string) (stop func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close() // it is read by whoever asked for it
	}, nil
}

// pngScale is the number of pixels a module: five printer dots at 300 dpi are
// 0.42 mm, and a picture of twice that survives being pasted into a document.
const pngScale = 8

// draw makes the file of a code.
func draw(k issuance.FileKind, f programme.Form, text string) ([]byte, error) {
	code, err := image.Draw(text, image.Level(f.Level))
	if err != nil {
		return nil, err
	}
	if k == issuance.FileSVG {
		return code.SVG(), nil
	}
	return code.PNG(pngScale)
}

// explainBatch adds to an error of a batch what a person can do.
func explainBatch(err error) error {
	switch {
	case errors.Is(err, issuance.ErrOtherBatch):
		return cli.Hint(err, "give this batch a folder of its own with --out, or repeat the command that began the other one")
	case errors.Is(err, issuance.ErrSourceChanged):
		return cli.Hint(err, "what it has signed stands in manifest.csv of its folder; put the old file back to finish this batch, or start another one with a new --out: records that hold a credential are skipped there")
	case errors.Is(err, issuance.ErrGivenUp):
		return cli.Hint(err, "it was under way when `issuer restore confirm` closed it. What it issued stays valid, and stands in manifest.csv of its folders; give the command again with a new --out (and with --shared in place of --join), which skips these records and issues for the rest")
	case errors.Is(err, issuance.ErrNotShared):
		return cli.Hint(err, "begin it with --shared, from a source that can be read in parts")
	case errors.Is(err, issuance.ErrFolder):
		return cli.Hint(err, "is another batch writing there?")
	case full(err):
		return cli.Hint(err, "everything so far is kept; make room on the disk, then give the same command again to go on")
	case errors.Is(err, store.ErrOutcomeUnknown), store.LostConnection(err):
		return cli.Hint(err, "everything so far is kept; when the database answers again, give the same command again to go on")
	}
	return explain(err)
}

// tightMemory keeps what a batch takes within docs/decisions/0050: the heap is collected when
// it is three fifths larger than what is alive, in place of twice as large, and SQLite's
// pages get memory without waste. Whoever sets GOGC decides instead.
func tightMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(60)
	}
	_ = store.ReserveMemory() // if it is too late pages take what they take
}

// processors is on how many of Go's processors a batch runs. One more than there are cores
// lets who comes back from the disk go on at once, while the cores sign; more only make those who
// sign and who writes stand in each other's way. Who waits for a server needs more of
// them, since several stages do.
func processors(location string) int {
	cores := runtime.GOMAXPROCS(0)
	if store.IsPostgres(location) {
		return 2*cores + 2
	}
	return cores + 1
}

// batchResult prints the outcome and turns it into the exit status.
func (p *program) batchResult(cmd *cobra.Command, r issuance.Result, out string, notes int) error {
	manifest := filepath.Join(out, "manifest.csv")
	view := map[string]any{
		"outcome": r.Outcome, "batch": r.Batch.ID, "records": r.Batch.Rows, "issued": r.Batch.Issued, "failed": r.Batch.Failed,
		"skipped": r.Batch.Skipped, "resumed": r.Resumed, "already_finished": r.Already, "leftovers_revoked": r.Leftovers, "manifest": manifest, "notes": notes,
		"shared": r.Batch.Shared != "", "records_here": r.Here,
	}
	err := p.Print(cmd, view, func(w io.Writer) {
		if r.Already {
			fmt.Fprintln(w, "this batch was finished before; nothing was done")
		}
		fmt.Fprintf(w, "%d records: %d issued", r.Batch.Rows, r.Batch.Issued)
		if r.Batch.Skipped > 0 {
			fmt.Fprintf(w, ", %d skipped (they hold a credential already, stand twice, or are not eligible: the column error says which)", r.Batch.Skipped)
		}
		if r.Batch.Failed > 0 {
			fmt.Fprintf(w, ", %d refused", r.Batch.Failed)
		}
		if r.Batch.Shared != "" {
			fmt.Fprintf(w, " in batch %s, %d of them dealt with here", r.Batch.ID, r.Here)
		}
		fmt.Fprintf(w, "\nsee %s\n", manifest)
		if notes > 0 {
			fmt.Fprintf(w, "%d values were left out or simplified, as the programme allows: see %s\n", notes, filepath.Join(out, notesName))
		}
	})
	if err != nil {
		return err
	}
	if r.Leftovers > 0 {
		cli.Say(cmd, "%d credentials that an interrupted run left unfinished were revoked and issued anew", r.Leftovers)
	}
	switch r.Outcome {
	case issuance.Partial:
		cli.Say(cmd, "next: the column error of %s says what is wrong in which line", manifest)
		return cli.Exit(exitPartial)
	case issuance.Stopped:
		if r.Batch.Shared != "" {
			cli.Say(cmd, "stopped here; other machines go on. next: give the same command again to take part again")
			return cli.Exit(exitStopped)
		}
		cli.Say(cmd, "stopped; everything so far is kept. next: give the same command again to go on")
		return cli.Exit(exitStopped)
	}
	cli.Say(cmd, "next: `issuer trust export` makes the file that verifiers need")
	return nil
}

// progress shows how far a batch is: a bar on a terminal, a line now and then
// elsewhere.
type progress struct {
	cmd   *cobra.Command
	bar   *progressbar.ProgressBar
	total int64
	last  time.Time
	start time.Time
}

func newProgress(cmd *cobra.Command, src recordCounter) *progress {
	b := &progress{cmd: cmd, start: time.Now(), last: time.Now()}
	if !cli.IsTerminal(cmd.ErrOrStderr()) {
		return b
	}
	if n, err := countRecords(cmd.Context(), src); err == nil {
		b.total = n
	}
	total := b.total
	if total == 0 {
		total = -1
	}
	b.bar = progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(cmd.ErrOrStderr()), progressbar.OptionShowCount(), progressbar.OptionShowIts(),
		progressbar.OptionSetItsString("records"), progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish(),
		progressbar.OptionSetDescription("issuing"), progressbar.OptionThrottle(100*time.Millisecond))
	return b
}

// report is called after every chunk.
func (b *progress) report(p issuance.Progress) {
	if b.bar != nil {
		_ = b.bar.Set64(p.Done) // a bar that cannot be drawn stops nothing
		return
	}
	if time.Since(b.last) < 10*time.Second {
		return
	}
	b.last = time.Now()
	line := fmt.Sprintf("%d records done, %d refused, %.0f records a second", p.Done, p.Failed, p.Rate)
	if p.Remaining > 0 {
		line += ", " + p.Remaining.Round(time.Second).String() + " to go"
	}
	cli.Say(b.cmd, "%s", line)
}

// printed is called while certificates are printed.
func (b *progress) printed(n int) {
	if time.Since(b.last) < 10*time.Second {
		return
	}
	b.last = time.Now()
	cli.Say(b.cmd, "%d certificates printed", n)
}

func (b *progress) done() {
	if b.bar != nil {
		_ = b.bar.Finish()
	}
}

// oneLine keeps an error text on its line of a list.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
