package console

import (
	"context"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sanad-id/sanad/batchwork"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/internal/web"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/staff"
)

// kindsOfFiles are those that a person can choose. The texts are always made: the
// printed certificates come from them.
var kindsOfFiles = []issuance.FileKind{issuance.FileSVG, issuance.FilePNG, issuance.FileText}

// batchForm is the page on which a batch is begun.
type batchForm struct {
	Programmes, Sources, Kinds []option
	MaxBytes                   string
	MaxRecords                 int64
}

func (c *Console) batchForm(r *request) (batchForm, error) {
	labels, all, err := c.labels(r)
	if err != nil {
		return batchForm{}, err
	}
	limits := c.cfg.Manage.Batches.Limits()
	f := batchForm{MaxBytes: bytesText(r.Lang, limits.Bytes), MaxRecords: limits.FileRecords}
	for _, p := range all {
		if r.Office.Works(p.ID) {
			f.Programmes = append(f.Programmes, option{Value: p.ID, Label: labels[p.ID]})
		}
	}
	f.Sources = []option{{Value: "", Label: r.Lang.Text("manage.batch.from.file", nil)}}
	if c.cfg.Manage.Sources != nil {
		for _, s := range c.cfg.Manage.Sources.Sources() {
			f.Sources = append(f.Sources, option{Value: s.Name, Label: r.Lang.Text("manage.batch.from.source", map[string]string{"source": s.Name})})
		}
	}
	for _, k := range kindsOfFiles {
		f.Kinds = append(f.Kinds, option{Value: string(k), Label: r.Lang.Text("manage.batch.kind."+string(k), nil)})
	}
	return f, nil
}

// bytesText is a size in whole megabytes.
func bytesText(l i18n.Language, n int64) string { return l.Quantity(int(n>>20)) + " MB" }

// newBatch shows the form.
func (c *Console) newBatch(w http.ResponseWriter, r *request) error {
	if err := r.must(staff.None); err != nil {
		return err
	}
	f, err := c.batchForm(r)
	if err != nil {
		return err
	}
	first := ""
	if len(f.Programmes) > 0 {
		first = f.Programmes[0].Value
	}
	return c.renderForm(w, r, http.StatusOK, "batch_new", blank("programme", first, "source", "", "kind", string(issuance.FileSVG)), f)
}

// makeBatch takes an upload, or a source, and has it checked.
func (c *Console) makeBatch(w http.ResponseWriter, r *request) error {
	if err := r.must(staff.None); err != nil {
		return err
	}
	// A slow line gets more time than other requests.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(uploadTime)) // without it, the usual time
	_ = control.SetWriteDeadline(time.Now().Add(uploadTime + 30*time.Second))
	data, err := c.batchForm(r)
	if err != nil {
		return err
	}
	f, file, err := readUpload(r)
	if err != nil {
		return err
	}
	order := c.batchOrder(r, f, data, file != nil)
	if !f.OK() {
		return c.renderForm(w, r, http.StatusOK, "batch_new", f, data)
	}
	if order.Source == "" {
		order.Name = file.FileName()
		if order.Name == "" {
			order.Name = "upload.csv"
		}
	}
	j, err := batchwork.New(order, c.now())
	if err != nil {
		return err
	}
	if order.Source != "" {
		file = nil
	}
	if err := c.proposeJob(r, f, j, file); err != nil {
		return err
	}
	if !f.OK() {
		return c.renderForm(w, r, http.StatusOK, "batch_new", f, data)
	}
	return c.seeOther(w, r, homes[j.Kind]+j.ID, "")
}

// proposeJob files a job, with what was uploaded for it if that is not nil, and has it
// looked at. If something is wrong with the upload the form says so, and nothing is filed.
func (c *Console) proposeJob(r *request, f *form, j batchwork.Job, file *multipart.Part) error {
	batches := c.cfg.Manage.Batches
	most := batches.Limits().Bytes
	err := c.act(r, deed{Action: staff.ProposeBatch, Subject: j.ID}, func(ctx context.Context) (err error) {
		if file != nil {
			if j, err = batches.Folder().Receive(j, file, most); err != nil {
				return err
			}
		}
		return away("batches", batches.Store().AddJob(ctx, j))
	})
	switch {
	case errors.Is(err, batchwork.ErrTooLarge):
		f.fail("file", "manage.batch.too_large", "most", bytesText(r.Lang, most))
	case errors.Is(err, batchwork.ErrEmpty):
		f.fail("file", "manage.batch.no_file")
	case err != nil:
		return err
	default:
		batches.Kick()
	}
	return nil
}

// hasOption reports whether one of the options has this value.
func hasOption(all []option, value string) bool {
	return slices.ContainsFunc(all, func(o option) bool { return o.Value == value })
}

// batchOrder reads what was asked for, and says what is wrong with it.
func (c *Console) batchOrder(r *request, f *form, data batchForm, hasFile bool) batchwork.Order {
	o := batchwork.Order{Office: r.Office.ID, Requester: r.Operator.ID, Programme: f.Get("programme"), Source: f.Get("source"), Supersede: f.Get("supersede") == "yes"}
	if !hasOption(data.Programmes, o.Programme) {
		f.fail("programme", "console.form.choose")
	}
	switch {
	case !hasOption(data.Sources, o.Source):
		f.fail("source", "console.form.choose")
	case o.Source == "" && !hasFile:
		f.fail("file", "manage.batch.no_file")
	}
	o.Kinds = []issuance.FileKind{issuance.FileCSV}
	for _, k := range f.All("kind") {
		if slices.Contains(kindsOfFiles, issuance.FileKind(k)) && !slices.Contains(o.Kinds, issuance.FileKind(k)) {
			o.Kinds = append(o.Kinds, issuance.FileKind(k))
		}
	}
	o.Alone = o.Source != "" && r.Office.Column != ""
	return o
}

// readUpload reads the fields of the form up to its file, which is left to be read. The
// form has the file at its end; nil if none was chosen.
func readUpload(r *request) (*form, *multipart.Part, error) {
	bad := func() (*form, *multipart.Part, error) {
		return nil, nil, web.Refuse(http.StatusBadRequest, "bad_form", "the body is not a form with a file")
	}
	m, err := r.MultipartReader()
	if err != nil {
		return bad()
	}
	f := blank()
	for fields := 0; ; fields++ {
		p, err := m.NextPart()
		if errors.Is(err, io.EOF) {
			return f, nil, nil
		}
		if err != nil || fields > 32 {
			return bad()
		}
		if p.FormName() == "file" {
			if p.FileName() == "" {
				continue // no file was chosen
			}
			return f, p, nil
		}
		const most = 1 << 10
		b, err := io.ReadAll(io.LimitReader(p, most+1))
		if err != nil || len(b) > most || len(p.FormName()) > 64 || !utf8.Valid(b) || strings.ContainsRune(string(b), 0) {
			return bad()
		}
		f.values.Add(p.FormName(), string(b))
	}
}
