package console_test

import (
	"bytes"
	"context"
	stdimage "image"
	"image/png"
	"mime/multipart"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/sanad-id/sanad/internal/docpdf"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/internal/officetest"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/qr/image"
	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/work"
)

// testPrinter has the fonts of the program.
var testPrinter = sync.OnceValue(func() *docpdf.Printer {
	p, err := docpdf.New(docpdf.Config{})
	if err != nil {
		panic(err)
	}
	return p
})

// testPaper prints as an office does that has no settings for it.
type testPaper struct {
	o *officetest.Office
	*docpdf.Printer
}

func (p testPaper) Layouts(context.Context, string) ([]*docpdf.Layout, error) {
	return docpdf.Layouts()[:2], nil
}

func (p testPaper) Certificate(ctx context.Context, out work.Printout, codes []docpdf.Signed) (docpdf.Certificate, error) {
	prog, err := p.o.Service.Programme(ctx, out.Programme, out.Version)
	if err != nil {
		return docpdf.Certificate{}, err
	}
	c, err := docpdf.Fill(prog, codes)
	c.Layout, c.Languages = docpdf.Layouts()[0], []i18n.Language{i18n.For("en")}
	c.Issuer, c.Number = map[string]string{"en": "Civil Registry"}, issuance.DocumentNumber(out.Credential)
	return c, err
}

// TestPrint: who may print gets the certificate, until the paper is good; others get
// nothing, and learn nothing.
func TestPrint(t *testing.T) {
	b, d, _ := newWorkBed(t)
	clerk, approver, south, auditor := b.as("north", staff.Clerk), b.as("north", staff.Approver), b.as("south", staff.Clerk), b.as("north", staff.Auditor)
	record := "/records/" + d.Ref("births", "B-1")
	page := wantStatus(t, clerk.get(record), 200)
	item := wantStatus(t, clerk.post(record+"/ask", "shown", field(t, page.body, "shown")), 303).to()
	// Nothing is signed yet.
	wantStatus(t, clerk.get(item+"/print"), 404)
	if a := clerk.get(item + "/print.pdf"); a.status == 200 || strings.Contains(a.body, "%PDF") {
		t.Errorf("printed before it was signed: %d", a.status)
	}
	page = wantStatus(t, approver.get(item), 200)
	wantStatus(t, approver.post(item+"/approve", "shown", field(t, page.body, "shown")), 303)

	page = wantStatus(t, clerk.get(item+"/print"), 200)
	for _, layout := range []string{"sheet", "card"} {
		path := link(t, page.body, item+"/print.pdf?layout="+layout)
		a := wantStatus(t, clerk.get(path), 200)
		if !strings.HasPrefix(a.body, "%PDF-1.7") || !strings.HasSuffix(a.body, "%%EOF\n") {
			t.Errorf("%s: no PDF file of %d bytes", layout, len(a.body))
		}
		if strings.Contains(a.body, "Mohammed") {
			t.Errorf("%s: a name stands in the file where no page shows it", layout)
		}
		h := a.header
		if h.Get("Content-Type") != "application/pdf" || h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" ||
			!strings.HasPrefix(h.Get("Content-Disposition"), `inline; filename="`) || strings.Contains(h.Get("Content-Disposition"), "ohammed") {
			t.Errorf("%s: headers %v", layout, h)
		}
	}
	// The same as a page, for browsers that print it themselves.
	view := wantStatus(t, clerk.get(item+"/print/view"), 200)
	for _, want := range []string{`<article class="paper" lang="en" dir="ltr">`, `src="data:image/svg`, "<dt><bdi>"} {
		if !strings.Contains(view.body, want) {
			t.Errorf("the page of the print has no %s", want)
		}
	}
	for who, w := range map[string]*browser{"the south": south, "an auditor": auditor} {
		if a := w.get(item + "/print/view"); a.status != 404 && a.status != 403 {
			t.Errorf("%s gets the print as a page: %d", who, a.status)
		}
	}
	for _, path := range []string{"?layout=strip", "?layout=../../etc/passwd", "?layout=" + strings.Repeat("x", 300)} {
		if a := clerk.get(item + "/print.pdf" + path); a.status == 200 {
			t.Errorf("%s was printed", path)
		}
	}
	for name, w := range map[string]*browser{"another office": south, "a stranger": b.visitor()} {
		for _, path := range []string{"/print", "/print.pdf"} {
			if a := w.get(item + path); a.status == 200 || strings.Contains(a.body, "%PDF") || strings.Contains(a.body, "Mohammed") {
				t.Errorf("%s: %s %d", name, path, a.status)
			}
		}
	}
	wantStatus(t, south.get(item+"/print.pdf"), 404)
	wantStatus(t, auditor.get(item+"/print.pdf"), 403)
	// The paper is good: there is no print any more.
	wantStatus(t, clerk.post(item+"/printed"), 303)
	if a := clerk.get(item + "/print.pdf"); a.status == 200 || strings.Contains(a.body, "%PDF") {
		t.Errorf("printed once more after it was good: %d", a.status)
	}
	wantStatus(t, clerk.get(item+"/print"), 404)
	if strings.Contains(b.log.String(), "Mohammed") {
		t.Error("the log names somebody")
	}
}

// uploadPrint sends a picture to be looked at.
func (w *browser) uploadPrint(picture []byte, dpi string) answer {
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	_ = m.WriteField("dpi", dpi)
	if picture != nil {
		p, _ := m.CreateFormFile("file", "print.png")
		_, _ = p.Write(picture)
	}
	_ = m.Close()
	return w.do("POST", "/print-check", m.FormDataContentType(), body.Bytes())
}

// TestLookAtPrint: a good picture is called good, others get advice, what is no picture a
// mistake beside the field; in every language.
func TestLookAtPrint(t *testing.T) {
	b := newBed(t)
	clerk := b.as("north", staff.Clerk)
	code, err := image.Draw(strings.Repeat("SANAD 0123456789:", 12), image.M)
	if err != nil {
		t.Fatal(err)
	}
	good, _ := code.PNG(6)
	small, _ := code.PNG(3)
	var blank bytes.Buffer
	if err := png.Encode(&blank, stdimage.NewGray(stdimage.Rect(0, 0, 60, 60))); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		picture []byte
		dpi     string
		status  int
		want    string
	}{
		{"good", good, "300", 200, "paper.scan.good"},
		{"few pixels", small, "", 200, "paper.scan.closer"},
		{"small on paper", good, "600", 200, "paper.scan.larger"},
		{"nothing to see", blank.Bytes(), "", 200, "paper.scan.none"},
		{"no file", nil, "", 422, "paper.check.no_file"},
		{"a PDF", []byte("%PDF-1.7"), "", 422, "paper.check.no_picture"},
		{"a resolution that is none", good, "1e9", 422, "paper.check.dpi.wrong"},
	} {
		for _, l := range i18n.Languages() {
			clerk.Header.Set("Accept-Language", l.Tag())
			a := clerk.uploadPrint(tt.picture, tt.dpi)
			if a.status != tt.status || !strings.Contains(a.body, l.Text(tt.want, nil)) {
				t.Errorf("%s, %s: %d without %q", tt.name, l, a.status, l.Text(tt.want, nil))
			}
			if regexp.MustCompile(`\bpaper\.[a-z_]+`).MatchString(a.body) || strings.Contains(a.body, "SANAD 0123456789") {
				t.Errorf("%s, %s: the page has a key, or says what the code says", tt.name, l)
			}
		}
	}
	if a := clerk.uploadPrint(bytes.Repeat([]byte("x"), image.MaxFile+(1<<20)), ""); a.status != 413 && a.status != 422 {
		t.Errorf("9 MB: %d", a.status)
	}
	if a := b.visitor().uploadPrint(good, ""); a.status == 200 {
		t.Error("a stranger's picture was looked at")
	}
}
