package console

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/sanad-id/sanad/batchwork"
	"github.com/sanad-id/sanad/internal/docpdf"
	"github.com/sanad-id/sanad/internal/safecsv"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/staff"
)

// A batchPrint is the print of a batch on its page.
type batchPrint struct {
	// May says that one can be asked for now.
	May     bool
	Layouts []option
	// Layout is what people call that of the print, Size how large its file is.
	Layout, Size string
	Trouble      string
}

// batchPrint is what can be done about the print of a job, nil if nothing ever can.
func (c *Console) batchPrint(r *request, j batchwork.Job) (*batchPrint, error) {
	if !c.cfg.Manage.Batches.Prints() || !r.May(staff.DownloadBatch, c.stateOf(j)) || !j.CanPrint() && !j.Print.Pending() {
		return nil, nil
	}
	v := &batchPrint{May: j.CanPrint(), Size: bytesText(r.Lang, max(j.Print.Bytes, 1<<20)), Layout: j.Print.Layout}
	if j.Print.State == batchwork.PrintFails {
		v.Trouble = r.Lang.Text("manage.why."+string(j.Print.Why), nil)
	}
	if c.cfg.Paper == nil {
		return v, nil
	}
	layouts, err := c.cfg.Paper.Layouts(r.Context(), j.Programme)
	if err != nil {
		if errors.Is(err, issuance.ErrNoProgramme) {
			return v, nil
		}
		return nil, away("paper", err)
	}
	for i, l := range layouts {
		v.Layouts = append(v.Layouts, option{Value: l.Name, Label: layoutName(r.Lang, l)})
		if l.Name == j.Print.Layout || i == 0 && j.Print.Layout == "" {
			v.Layout = layoutName(r.Lang, l)
		}
	}
	return v, nil
}

// printBatch asks for the print of a job.
func (c *Console) printBatch(w http.ResponseWriter, r *request) error {
	j, err := c.job(r)
	if err != nil {
		return err
	}
	if err := r.must(c.stateOf(j)); err != nil {
		return err
	}
	f, err := r.readForm()
	if err != nil {
		return err
	}
	v, err := c.batchPrint(r, j)
	switch {
	case err != nil:
		return err
	case v == nil || !v.May:
		return batchwork.ErrState
	}
	if err := c.putDown(r.Context(), j.ID); err != nil {
		return err
	}
	layout := f.Get("layout")
	if layout != "" && !hasOption(v.Layouts, layout) {
		return errNotFound
	}
	err = c.act(r, deed{Action: staff.DownloadBatch, Subject: j.ID + "/print"}, func(ctx context.Context) error {
		_, err := batchwork.Change(ctx, c.cfg.Manage.Batches.Store(), j.ID, func(now batchwork.Job) (batchwork.Job, error) {
			return now.AskPrint(layout, r.Operator.ID, c.now())
		})
		return err
	})
	if err != nil {
		return err
	}
	c.cfg.Manage.Batches.Kick()
	return c.seeOther(w, r, "/batches/"+j.ID, "manage.batch.done.print")
}

// patience is how long a request waits for others to put a job down.
const patience = 10 * time.Second

// putDown waits until nobody works on a job that is over, which is a moment after it is:
// whoever reads that it is finished and asks for its print at once is not refused.
func (c *Console) putDown(ctx context.Context, id string) error {
	for end := time.Now().Add(patience); ; {
		working, err := c.cfg.Manage.Batches.Store().Leased(ctx, id, c.now())
		switch {
		case err != nil:
			return away("batches", err)
		case !working:
			return nil
		case time.Now().After(end):
			return batchwork.ErrState
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// downloadPrint sends the print. Who was cut off may go on where he was.
func (c *Console) downloadPrint(w http.ResponseWriter, r *request, j batchwork.Job) error {
	file, err := c.cfg.Manage.Batches.Folder().OpenPrint(j)
	if err != nil {
		return err
	}
	defer file.Close()
	download(w, "application/pdf", "batch-"+strings.ToLower(j.ID[:8])+".pdf")
	http.ServeContent(sendingWriter{w, newSending(w)}, r.Request, "", j.Print.Ready, file)
	return nil
}

// sendingWriter is a ResponseWriter that writes in its time.
type sendingWriter struct {
	http.ResponseWriter
	sending
}

func (s sendingWriter) Write(b []byte) (int, error) { return s.sending.Write(b) }

// downloadPrintNotes lists what is not on paper as it should be.
func (c *Console) downloadPrintNotes(w http.ResponseWriter, r *request, j batchwork.Job) error {
	begun := false
	out := bufio.NewWriterSize(newSending(w), 32<<10)
	begin := func() error {
		begun = true
		download(w, "text/csv; charset=utf-8", "batch-"+strings.ToLower(j.ID[:8])+"-print-notes.csv")
		_, err := out.Write(safecsv.AppendRow([]byte("\ufeff"), "credential_id", "document_number", "note", "reason", "where"))
		return err
	}
	err := c.cfg.Manage.Batches.Folder().PrintNotes(j, func(credential, what, where string) error {
		if !begun {
			if err := begin(); err != nil {
				return err
			}
		}
		number := ""
		if issuance.ValidID(credential) {
			number = issuance.DocumentNumber(credential)
		}
		_, err := out.Write(safecsv.AppendRow(nil, credential, number, what, r.Lang.Text("manage.note."+noteWord(what), nil), where))
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

// noteWord is the key of a note in words.
func noteWord(what string) string {
	switch what {
	case docpdf.Clipped, docpdf.Missing, docpdf.NoPhoto, docpdf.LeftOut, docpdf.NotPrinted:
		return what
	}
	return "else"
}
