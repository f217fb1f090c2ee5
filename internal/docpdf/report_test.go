package docpdf_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/docpdf"
	"github.com/sanad-id/sanad/internal/i18n"
)

func report(lang string, rows int) docpdf.Report {
	l := i18n.For(lang)
	r := docpdf.Report{
		Title: l.Text("manage.report.title", nil), Lines: []string{"মোঃ রফিকুল ইসলাম – السجل المدني – Civil Registry"}, Language: l,
		Made: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC),
		Sections: []docpdf.Section{
			{Heading: l.Text("manage.report.totals", nil), Rows: [][]string{{l.Text("manage.count.issued", nil), l.Quantity(123456)}, {l.Text("manage.count.revoked", nil), l.Quantity(7)}}},
			{Heading: l.Text("manage.overview.chart", nil), Chart: &docpdf.Chart{Alt: l.Text("manage.overview.chart", nil), Values: []int64{3, 0, 17, 40, 1}}},
			{Heading: l.Text("manage.overview.bars", nil), Chart: &docpdf.Chart{Alt: "bars", Labels: []string{"জন্ম সনদ", "شهادة ميلاد"}, Values: []int64{12, 5}}, Head: []string{"Programme", "Issued", "Revoked"}},
			{Heading: l.Text("manage.report.unknown", nil), Text: []string{l.Text("manage.report.unknown.checks", nil)}},
		},
	}
	for i := range rows {
		r.Sections[2].Rows = append(r.Sections[2].Rows, []string{fmt.Sprintf("Row-%04d", i), l.Quantity(i), "0"})
	}
	return r
}

// TestReport prints a report in all languages: the words come back, tables are tables for
// who has them read, and a long one goes over pages with its head on each.
func TestReport(t *testing.T) {
	for _, lang := range []string{"en", "bn", "fr", "pt", "sw", "ar"} {
		t.Run(lang, func(t *testing.T) {
			r := report(lang, 120)
			var b bytes.Buffer
			notes, err := printer(t).Report(&b, r)
			if err != nil || len(notes) > 0 {
				t.Fatalf("Report: %v, notes %v", err, notes)
			}
			if to := os.Getenv("SANAD_PRINT_TO"); to != "" { // to look at
				if err := os.WriteFile(to+"-"+lang+".pdf", b.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, plain := structure(t, b.Bytes())
			for want, n := range map[string]int{"/S /H1": 1, "/S /H2": 4, "/S /Figure": 2, "/S /TR": 2 + 120 + 4} {
				if got := strings.Count(plain, want+" "); got != n {
					t.Errorf("%d times %s, want %d", got, want, n)
				}
			}
			text := words(t, b.Bytes(), "-raw")
			for _, want := range append(strings.Fields(r.Sections[3].Heading), "Row-0000", "Row-0119", "রফিকুল", "Registry") {
				if !strings.Contains(text, want) {
					t.Errorf("%q is not in the file", want)
				}
			}
			if n := strings.Count(text, "Programme"); n != 4 {
				t.Errorf("the head of the table stands %d times, want 4 on four pages", n)
			}
			for i := range 120 {
				if strings.Count(text, fmt.Sprintf("Row-%04d", i)) != 1 {
					t.Errorf("row %d is not there once", i)
				}
			}
			info := string(tool(t, "pdfinfo", b.Bytes(), "IN"))
			if !strings.Contains(info, r.Title) || !strings.Contains(info, "Tagged:          yes") {
				t.Errorf("title or tags are not read: %s", info)
			}
		})
	}
}

// TestReportRefuses: what is beyond the limits is no report.
func TestReportRefuses(t *testing.T) {
	for name, spoil := range map[string]func(r *docpdf.Report){
		"without a title":      func(r *docpdf.Report) { r.Title = "" },
		"without a date":       func(r *docpdf.Report) { r.Made = time.Time{} },
		"too many sections":    func(r *docpdf.Report) { r.Sections = make([]docpdf.Section, 41) },
		"too many rows":        func(r *docpdf.Report) { r.Sections[2].Rows = make([][]string, 2001) },
		"a row cut short":      func(r *docpdf.Report) { r.Sections[2].Rows[0] = []string{"a"} },
		"a row of nothing":     func(r *docpdf.Report) { r.Sections[0].Rows[0] = nil },
		"bars without a label": func(r *docpdf.Report) { r.Sections[2].Chart.Labels = []string{"a"} },
		"too many bars":        func(r *docpdf.Report) { r.Sections[1].Chart.Values = make([]int64, 401) },
	} {
		r := report("en", 1)
		spoil(&r)
		var b bytes.Buffer
		if _, err := printer(t).Report(&b, r); !errors.Is(err, docpdf.ErrCertificate) {
			t.Errorf("%s: %v, want ErrCertificate", name, err)
		}
	}
}
