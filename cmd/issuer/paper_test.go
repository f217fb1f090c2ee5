package main

import (
	"bytes"
	"encoding/csv"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/internal/vectors"
	"github.com/sanad-id/sanad/qr/image"
)

// TestEveryProgrammeScansBack issues for a few records of each example programme and
// prints them in every layout. The pages are looked at as a scanner of 300 dots an inch
// does: each code says what was signed, and nothing about the print is to be changed.
// Per change that is the strip, whose code is the smallest; birth certificates stand for
// the other layouts in testdata/script/paper.txtar.
func TestEveryProgrammeScansBack(t *testing.T) {
	if _, err := exec.LookPath("pdftoppm"); err != nil {
		t.Skip("no pdftoppm (poppler-utils)")
	}
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	issuer := func(args ...string) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), args, strings.NewReader(""), &stdout, &stderr); code != 0 && code != exitPartial { // some records were refused
			t.Fatalf("issuer %v: exit status %d\n%s", args, code, &stderr)
		}
	}
	issuer("init", in("office"), "--name", "Civil Registry", "--country", "XA", "--url", "https://registry.example")
	layouts, languages := []string{"strip"}, []string{"bn"}
	records := "3"
	if os.Getenv("SANAD_SOAK") == "1" {
		layouts, languages, records = []string{"sheet", "strip", "card"}, []string{"en", "bn", "fr", "pt", "sw", "ar"}, "40"
	}
	samples := func(name ...string) string { return vectors.Path(t, append([]string{"registry-samples"}, name...)...) }
	for programme, source := range map[string]string{
		"birth-certificate": "births", "farmer-card": "farmers", "trade-licence": "trade_licences", "school-certificate": "school_certificates",
		"g2p-beneficiary": "beneficiaries", "vaccination-dose": "vaccinations",
		"vaccination": "", "registered-provider": "", "school-register": "",
	} {
		t.Run(programme, func(t *testing.T) {
			file := in(source + ".csv")
			switch programme {
			case "vaccination":
				file = samples("divoc", "rows", "enrollments.csv")
			case "registered-provider":
				file = samples("public-register", "social-housing-providers-england", "regulator-list.tsv")
			case "school-register":
				file = samples("public-register", "schools-wales", "school-wls.tsv")
			default:
				n := records
				if programme != "birth-certificate" && programme != "farmer-card" {
					n = "40" // not everybody has one, and many are not in force
				}
				issuer("sample", source, "--records", n, "--out", file)
			}
			if source == "" {
				file = head(t, file, in(programme+filepath.Ext(file)), records)
			}
			path, err := filepath.Abs(filepath.Join("..", "..", "examples", "programmes", programme+".yaml"))
			if err != nil {
				t.Fatal(err)
			}
			issuer("programme", "add", "--dir", in("office"), path)
			issuer("batch", "--dir", in("office"), "--programme", programme, "--source", file, "--out", in(programme), "--form", "csv")
			signed := codesOf(t, in(programme))
			for _, layout := range layouts {
				for _, lang := range languages {
					pdf := in(programme + "-" + layout + "-" + lang + ".pdf")
					issuer("print", "--dir", in("office"), "--programme", programme, "--layout", layout, "--paper-language", lang, "--pdf", pdf, in(programme))
					want := map[string][]string{"sheet": {signed["qr"], signed["strip"]}, "strip": {signed["strip"]}, "card": {signed["qr"]}}[layout]
					scanBack(t, pdf, map[string]int{"card": 2}[layout], want)
				}
			}
		})
	}
}

// head writes the first rows of a file.
func head(t *testing.T, from, to, rows string) string {
	t.Helper()
	n, err := strconv.Atoi(rows)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(b, []byte("\n"))
	if err := os.WriteFile(to, bytes.Join(lines[:min(n+1, len(lines))], nil), 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}

// codesOf are the codes of the first certificate of a batch, by form.
func codesOf(t *testing.T, folder string) map[string]string {
	t.Helper()
	f, err := os.Open(filepath.Join(folder, "codes-00000000.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) < 3 {
		t.Fatalf("%d rows of codes, %v", len(rows), err)
	}
	codes := map[string]string{}
	for _, row := range rows[1:] {
		if row[0] == rows[1][0] {
			codes[row[1]] = row[2]
		}
	}
	return codes
}

// scanBack reads the codes of the first certificate of a file; 0 is the first page.
func scanBack(t *testing.T, pdf string, page int, want []string) {
	t.Helper()
	page = max(page, 1)
	n := strconv.Itoa(page)
	picture, err := exec.CommandContext(t.Context(), "pdftoppm", "-r", "300", "-gray", "-png", "-f", n, "-l", n, pdf).Output()
	if err != nil {
		t.Fatal(err)
	}
	scans, err := image.Inspect(picture)
	if err != nil {
		t.Fatalf("%s: %v", filepath.Base(pdf), err)
	}
	var read []string
	for _, s := range scans {
		read = append(read, s.Text)
		if advice := s.Advice(300); len(advice) > 0 {
			t.Errorf("%s: version %d at %.2f mm: to be changed: %v", filepath.Base(pdf), s.Version, s.Millimetres(300), advice)
		}
	}
	slices.Sort(want)
	slices.Sort(read)
	if !slices.Equal(read, want) {
		t.Errorf("%s: %d codes say something else than the %d that were signed", filepath.Base(pdf), len(read), len(want))
	}
}
