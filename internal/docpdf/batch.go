package docpdf

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sanad-id/sanad/programme"
)

// A Batch says what of a folder is printed, and how.
type Batch struct {
	// Folder has the files of codes, codes-NUMBER.csv with the columns credential_id, form
	// and text, as issuance.FileCSV writes them. They are printed in the order of their
	// names.
	Folder string
	// More are folders of other machines that took part in it; optional. Numbers of files
	// are those of one batch then, and are its order.
	More []string
	// Programme is the one that they were issued under.
	Programme *programme.Programme
	// Complete sets what [Fill] leaves to the caller.
	Complete func(id string, c *Certificate)
	// Noted is called with what could not be printed as it is; optional. Note.What is
	// [NotPrinted] if the certificate is not in the file at all.
	Noted func(id string, n Note)
	// Progress is called now and then with the number of certificates so far; optional.
	Progress func(done int)
}

// NotPrinted: a certificate that is not in the file; Note.Where says why.
const NotPrinted = "not_printed"

// Printed is what became of a batch.
type Printed struct{ Certificates, Pages, Refused, Notes int }

// ErrNoCodes: the folder has no files of codes.
var ErrNoCodes = errors.New("docpdf: no files of codes")

// Batch prints the codes of a batch as one file, in memory for some pages. A
// certificate that cannot be printed is noted and left out; the same folder gives the
// same file. An error of reading or writing ends it.
func (p *Printer) Batch(ctx context.Context, w io.Writer, b Batch) (Printed, error) {
	var names []string
	for _, folder := range append([]string{b.Folder}, b.More...) {
		found, err := filepath.Glob(filepath.Join(escapeGlob(folder), "codes-*.csv"))
		if err != nil {
			return Printed{}, fmt.Errorf("find codes: %w", err)
		}
		names = append(names, found...)
	}
	if len(names) == 0 {
		return Printed{}, fmt.Errorf("%w in %s", ErrNoCodes, b.Folder)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(strings.Compare(filepath.Base(a), filepath.Base(b)), strings.Compare(a, b))
	})
	run := batchRun{printer: p, batch: b, w: w}
	for _, name := range names {
		if err := run.file(ctx, name); err != nil {
			return run.done, err
		}
	}
	if run.document == nil {
		return run.done, fmt.Errorf("%w: none of %d certificates can be printed", ErrCertificate, run.done.Refused)
	}
	run.done.Pages = run.document.Pages()
	return run.done, run.document.Close()
}

// escapeGlob takes a path as it is.
func escapeGlob(path string) string {
	var out []byte
	for i := range len(path) {
		switch path[i] {
		case '*', '?', '[', '\\':
			out = append(out, '\\')
		}
		out = append(out, path[i])
	}
	return string(out)
}

type batchRun struct {
	printer  *Printer
	batch    Batch
	w        io.Writer
	document *Document // nil before the first certificate
	done     Printed
}

// file prints one file of codes.
func (r *batchRun) file(ctx context.Context, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("read codes: %w", err)
	}
	defer f.Close()
	rows := csv.NewReader(f)
	rows.FieldsPerRecord = 3
	head, err := rows.Read()
	if err != nil || !slices.Equal(head, []string{"credential_id", "form", "text"}) {
		return fmt.Errorf("%w: %s is no file of codes", ErrNoCodes, filepath.Base(name))
	}
	id := ""
	var signed []Signed
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return r.certificate(id, signed)
		}
		if err != nil {
			return fmt.Errorf("read codes: %s: %w", filepath.Base(name), err)
		}
		if row[0] != id {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := r.certificate(id, signed); err != nil {
				return err
			}
			id, signed = row[0], nil
		}
		if len(signed) <= maxCodes {
			signed = append(signed, Signed{Form: row[1], Text: row[2]})
		}
	}
}

// certificate prints one certificate.
func (r *batchRun) certificate(id string, signed []Signed) error {
	if len(signed) == 0 {
		return nil
	}
	c, err := Fill(r.batch.Programme, signed)
	if err == nil {
		r.batch.Complete(id, &c)
		err = c.check()
	}
	if err == nil && r.document == nil {
		r.document = r.printer.Document(r.w, c.Info())
	}
	var notes []Note
	if err == nil {
		notes, err = r.document.Add(c)
	}
	if err != nil {
		if r.document != nil && r.document.err != nil {
			return r.document.err
		}
		r.done.Refused++
		r.noted(id, Note{What: NotPrinted, Where: err.Error()})
		return nil
	}
	for _, n := range notes {
		r.done.Notes++
		r.noted(id, n)
	}
	r.done.Certificates++
	if r.batch.Progress != nil && r.done.Certificates%100 == 0 {
		r.batch.Progress(r.done.Certificates)
	}
	return nil
}

func (r *batchRun) noted(id string, n Note) {
	if r.batch.Noted != nil {
		r.batch.Noted(id, n)
	}
}
