package console

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sanad-id/sanad/batchwork"
	"github.com/sanad-id/sanad/internal/safecsv"
	"github.com/sanad-id/sanad/staff"
)

// downloadBatch hands out a file of a job, which the audit log knows.
func (c *Console) downloadBatch(w http.ResponseWriter, r *request, name string, serve func(http.ResponseWriter, *request, batchwork.Job) error) error {
	j, err := c.job(r)
	if err != nil {
		return err
	}
	if err := r.must(c.stateOf(j)); err != nil {
		return err
	}
	if !j.Erased.IsZero() {
		return errNotFound
	}
	err = c.act(r, deed{Action: staff.DownloadBatch, Subject: j.ID + "/" + name}, func(context.Context) error { return serve(w, r, j) })
	if errors.Is(err, batchwork.ErrErased) {
		return errNotFound
	}
	return err
}

// sending is an answer that is written piece by piece, each in its time.
type sending struct {
	w       io.Writer
	control *http.ResponseController
}

func newSending(w http.ResponseWriter) sending {
	return sending{w, http.NewResponseController(w)}
}

func (s sending) Write(b []byte) (int, error) {
	_ = s.control.SetWriteDeadline(time.Now().Add(time.Minute)) // without it, the usual time
	return s.w.Write(b)
}

// sent ends an answer that was begun: what goes wrong now is not told any more, and half
// a file must not pass for a whole one.
func sent(err error) error {
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}

func (c *Console) downloadFaults(w http.ResponseWriter, r *request, j batchwork.Job) error {
	return c.downloadLines(w, r, j, "faults", c.cfg.Manage.Batches.Folder().Faults)
}

func (c *Console) downloadNotes(w http.ResponseWriter, r *request, j batchwork.Job) error {
	return c.downloadLines(w, r, j, "notes", c.cfg.Manage.Batches.Folder().Notes)
}

// downloadLines writes faults or notes with reasons in the language of the page.
func (c *Console) downloadLines(w http.ResponseWriter, r *request, j batchwork.Job, name string, lines func(string, func(batchwork.FaultLine) error) error) error {
	if j.CheckedAt.IsZero() {
		return errNotFound
	}
	begun := false
	out := bufio.NewWriterSize(newSending(w), 32<<10)
	begin := func() error {
		begun = true
		download(w, "text/csv; charset=utf-8", "batch-"+strings.ToLower(j.ID[:8])+"-"+name+".csv")
		// A spreadsheet takes a file for UTF-8 if it begins so.
		_, err := out.Write(safecsv.AppendRow([]byte("\ufeff"), "row", "line", "record_id", "column", "reason", "code", "detail", "outcome"))
		return err
	}
	reasons := map[string]string{}
	err := lines(j.ID, func(l batchwork.FaultLine) error {
		if !begun {
			if err := begin(); err != nil {
				return err
			}
		}
		if reasons[l.Code] == "" {
			reasons[l.Code] = reasonText(r.Lang, l.Code)
		}
		outcome := "refused"
		switch {
		case l.Skipped:
			outcome = "skipped"
		case name == "notes":
			outcome = "noted"
		}
		line := ""
		if l.Line > 0 {
			line = strconv.FormatInt(l.Line, 10)
		}
		_, err := out.Write(safecsv.AppendRow(nil, strconv.FormatInt(l.Row, 10), line, l.Record, l.Column, reasons[l.Code], l.Code, l.Detail, outcome))
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

func (c *Console) downloadManifest(w http.ResponseWriter, _ *request, j batchwork.Job) error {
	if j.Batch == "" {
		return errNotFound
	}
	download(w, "text/csv; charset=utf-8", "batch-"+strings.ToLower(j.ID[:8])+"-manifest.csv")
	return sent(c.cfg.Manage.Batches.Folder().Manifest(j.ID, newSending(w)))
}

func (c *Console) downloadFiles(w http.ResponseWriter, r *request, j batchwork.Job) error {
	if j.Batch == "" {
		return errNotFound
	}
	download(w, "application/zip", "batch-"+strings.ToLower(j.ID[:8])+".zip")
	return sent(c.cfg.Manage.Batches.Folder().Zip(r.Context(), j.ID, newSending(w)))
}
