package programme_test

import (
	"crypto/rand"
	"encoding/csv"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sanad-id/sanad/internal/vectors"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/registry/csvfile"
	"github.com/sanad-id/sanad/registry/samplecountry"
)

func example(t testing.TB, name string) *programme.Programme {
	t.Helper()
	return parse(t, readFile(t, filepath.Join("..", "examples", "programmes", name+".yaml")))
}

// checkFile tries a programme on a file as it is.
func checkFile(t *testing.T, p *programme.Programme, path string) *programme.Report {
	t.Helper()
	source, err := csvfile.Open(path, csvfile.Options{IDColumn: p.Records.IDColumn})
	if err != nil {
		t.Fatal(err)
	}
	report, err := p.Check(t.Context(), source.Records(t.Context()), programme.CheckOptions{Now: now, Rand: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// counts is what a report says in numbers.
type counts struct {
	Records, Issuable, Failed int
	Fatal, Notes              map[string]int
}

func countsOf(r *programme.Report) counts {
	return counts{r.Records, r.Issuable, r.Failed, r.Fatal, r.Notes}
}

// TestExamplesOnPublishedFiles issues from files as registries published them.
func TestExamplesOnPublishedFiles(t *testing.T) {
	none := map[string]int{}
	tests := []struct {
		programme, file string
		largest         int // QR version of the main code
		want            counts
	}{
		{"farmer-card", "inji-certify/farmer_identity_data.csv", 14, counts{5, 5, 0, none, map[string]int{"photo": 5}}},
		{"farmer-card", "inji-certify/farmer_identity_data_injistack.csv", 14, counts{3, 3, 0, none, map[string]int{"photo": 3}}},
		{"vaccination", "divoc/rows/enrollments.csv", 13, counts{3, 3, 0, none, none}},
		{"registered-provider", "public-register/social-housing-providers-england/regulator-list.tsv", 13, counts{1755, 1755, 0, none, none}},
		{"school-register", "public-register/schools-wales/school-wls.tsv", 13, counts{1616, 1616, 0, none, none}},
	}
	for _, tt := range tests {
		t.Run(tt.programme+" "+filepath.Base(tt.file), func(t *testing.T) {
			report := checkFile(t, example(t, tt.programme), vectors.Path(t, "registry-samples", tt.file))
			if diff := cmp.Diff(tt.want, countsOf(report)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for version, n := range report.Forms[0].Versions {
				if version == 0 || version > tt.largest {
					t.Errorf("%d codes of version %d, want %d at most", n, version, tt.largest)
				}
			}
		})
	}
}

// TestRegisterWithReferences reads the register form of the housing providers,
// where 198 names are only references to another register: each is reported.
func TestRegisterWithReferences(t *testing.T) {
	p := parse(t, readFile(t, "testdata/registered-provider-codes.yaml"))
	report := checkFile(t, p, vectors.Path(t, "registry-samples", "public-register", "social-housing-providers-england", "social-housing-provider-eng.tsv"))
	want := counts{1755, 1557, 198, map[string]int{"missing": 198}, map[string]int{}}
	if diff := cmp.Diff(want, countsOf(report)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, problem := range report.Problems {
		if problem.Claim != "name" || problem.Line < 2 {
			t.Fatalf("problem %+v, want one about the name of a line", problem)
		}
	}
}

// TestFarmerFileInDetail looks at the claims of the first farmer.
func TestFarmerFileInDetail(t *testing.T) {
	report := checkFile(t, example(t, "farmer-card"), vectors.Path(t, "registry-samples", "inji-certify", "farmer_identity_data.csv"))
	got := map[string]any{}
	for _, c := range report.Sample[0].Claims {
		got[c.Name] = c.Value
	}
	want := map[string]any{
		"farmer_id": "987654321", "full_name": "John Doe", "birth_year": "1990", "sex": int64(1),
		"village": "Koramangala", "district": "Bangalore", "province": "Karnataka",
		"land_size": int64(3), "land_unit": "ha", "land_tenure": "O", "main_crops": []any{"Maize", "Rice"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if report.Sample[0].Expires.Year() != 2031 {
		t.Errorf("expires %v, want five years", report.Sample[0].Expires)
	}
}

// TestExamplesOnSampleCountry holds the programmes against what a reader of the
// plain rows expects of each.
func TestExamplesOnSampleCountry(t *testing.T) {
	const issued = "2026-01-15"
	tests := []struct {
		programme, registry string
		largest             int // QR version of the main code
		// seen are codes that must occur, so that the oddities were there.
		seen []string
		// expect returns the codes that a row must give, a note with "~" before it.
		expect func(row map[string]string) []string
	}{
		{"birth-certificate", "births", 18, []string{"emoji", "control_characters", "~loss"}, func(r map[string]string) []string {
			list := odd(r["given_names"]+r["middle_names"]+r["family_name"], r["given_names_local"]+r["middle_names_local"]+r["family_name_local"],
				or(r["mother_name_local"], r["mother_name"]), or(r["father_name_local"], r["father_name"]))
			list = append(list, partial(strings.HasSuffix(r["date_of_birth"], "-00"))...)
			return append(list, partial(r["sex"] == "0" || r["sex"] == "9")...)
		}},
		{"farmer-card", "farmers", 15, []string{"~loss"}, func(r map[string]string) []string {
			return append(odd(r["fullName"]), partial(r["gender"] == "Unknown")...)
		}},
		{"trade-licence", "trade_licences", 18, []string{"not_eligible", "expired"}, func(r map[string]string) []string {
			list := odd(r["trade_name"], r["trade_name_local"], r["owner_name"])
			if r["licence_status"] != "ACTIVE" {
				list = append(list, "not_eligible")
			}
			if d := r["valid_to"]; d[6:]+d[3:5]+d[:2] < strings.ReplaceAll(issued, "-", "") {
				list = append(list, "expired")
			}
			return list
		}},
		{"school-certificate", "school_certificates", 18, []string{"~loss"}, func(r map[string]string) []string {
			list := odd(r["other_names"]+r["surname"], r["full_name_local"])
			list = append(list, partial(strings.HasSuffix(r["date_of_birth"], "00"))...)
			return append(list, partial(r["sex"] == "x")...)
		}},
		{"g2p-beneficiary", "beneficiaries", 18, []string{"not_eligible"}, func(r map[string]string) []string {
			list := odd(r["given_name"]+r["surname"], r["full_name_local"], r["alternate_collector"])
			if r["enrollment_status"] != "ENROLLED" {
				list = append(list, "not_eligible")
			}
			if r["valid_until"] < issued {
				list = append(list, "expired")
			}
			return list
		}},
		{"vaccination-dose", "vaccinations", 18, []string{"emoji", "~loss"}, func(r map[string]string) []string {
			list := odd(r["recipientName"], r["recipientNameLocal"])
			list = append(list, partial(r["recipientDOB"] != "" && len(r["recipientDOB"]) < 10)...)
			return append(list, partial(r["recipientGender"] == "Unknown")...)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.programme, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), tt.registry+".csv")
			writeRegistry(t, path, tt.registry)
			want := counts{Fatal: map[string]int{}, Notes: map[string]int{}}
			for row := range plainRows(t, path) {
				want.Records++
				fatal := false
				for _, code := range tt.expect(row) {
					if note, ok := strings.CutPrefix(code, "~"); ok {
						want.Notes[note]++
					} else {
						want.Fatal[code]++
						fatal = true
					}
				}
				if fatal {
					want.Failed++
				} else {
					want.Issuable++
				}
			}
			report := checkFile(t, example(t, tt.programme), path)
			if diff := cmp.Diff(want, countsOf(report)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, code := range tt.seen {
				if note, ok := strings.CutPrefix(code, "~"); report.Fatal[code] == 0 && !(ok && report.Notes[note] > 0) {
					t.Errorf("no %s in this country: the test proves nothing about it", code)
				}
			}
			for version, n := range report.Forms[0].Versions {
				if version == 0 || version > tt.largest {
					t.Errorf("%d codes of version %d, want %d at most", n, version, tt.largest)
				}
			}
			for version := range report.Forms[1].Versions {
				if version == 0 || version > 13 {
					t.Errorf("strips of version %d, want 13 at most: %v", version, report.Forms[1].Versions)
				}
			}
			small := 0
			for version, n := range report.Forms[0].Versions {
				if version <= 16 {
					small += n
				}
			}
			if total := report.Issuable; small*100 < total*95 {
				t.Errorf("%d of %d codes are of version 16 or smaller, want 95 in a hundred: %v", small, total, report.Forms[0].Versions)
			}
		})
	}
}

func writeRegistry(t testing.TB, path, name string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := samplecountry.Write(t.Context(), samplecountry.Config{Seed: 7, Persons: 2000}, name, f); err != nil {
		t.Fatal(err)
	}
}

// plainRows reads a CSV file with nothing of ours.
func plainRows(t testing.TB, path string) func(func(map[string]string) bool) {
	return func(yield func(map[string]string) bool) {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r := csv.NewReader(f)
		header, err := r.Read()
		if err != nil {
			t.Fatal(err)
		}
		for {
			cells, err := r.Read()
			if err == io.EOF {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			row := make(map[string]string, len(header))
			for i, name := range header {
				row[name] = cells[i]
			}
			if !yield(row) {
				return
			}
		}
	}
}

var (
	pictures = regexp.MustCompile(`[\x{2600}-\x{27bf}\x{1f000}-\x{1faff}]`)
	controls = regexp.MustCompile(`[\x{00}-\x{1f}\x{7f}-\x{9f}\x{202a}-\x{202e}\x{2066}-\x{2069}]`)
)

// odd returns a code for each text that must be refused, by what comes first.
func odd(texts ...string) []string {
	var codes []string
	for _, s := range texts {
		picture, control := pictures.FindStringIndex(s), controls.FindStringIndex(s)
		switch {
		case picture != nil && (control == nil || picture[0] < control[0]):
			codes = append(codes, "emoji")
		case control != nil:
			codes = append(codes, "control_characters")
		}
	}
	return codes
}

func partial(is bool) []string {
	if is {
		return []string{"~loss"}
	}
	return nil
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// TestExamplesAreFitForTheOffice keeps the examples readable and complete.
func TestExamplesAreFitForTheOffice(t *testing.T) {
	paths, err := filepath.Glob("../examples/programmes/*.yaml")
	if err != nil || len(paths) < 8 {
		t.Fatalf("%d examples, %v, want eight or more", len(paths), err)
	}
	types := map[string]string{}
	for _, path := range paths {
		p := parse(t, readFile(t, path))
		if p.ID+".yaml" != filepath.Base(path) {
			t.Errorf("%s has the id %s", path, p.ID)
		}
		if other, ok := types[p.Type]; ok {
			t.Errorf("%s has the type of %s", path, other)
		}
		types[p.Type] = path
		if text := string(readFile(t, path)); !strings.HasPrefix(text, "# ") || strings.Contains(text, "\t") {
			t.Errorf("%s does not begin with a comment, or has tabs", path)
		}
		// Sheet, card and strip: a main code, and a narrow one of some of its claims.
		codes := slices.DeleteFunc(slices.Clone(p.Forms), programme.Form.Wallet)
		if len(codes) != 2 || codes[0].Name != "qr" || codes[1].Name != "strip" {
			t.Fatalf("%s has %d codes, want qr and strip", path, len(codes))
		}
		if n := len(codes[1].Claims); n == 0 || n > 4 || n >= len(p.Claims) || codes[1].Photo {
			t.Errorf("%s: the strip says %d things of %d, want few", path, n, len(p.Claims))
		}
		for _, tag := range []string{"en", "bn", "fr", "pt", "sw", "ar"} {
			if p.Labels[tag] == "" {
				t.Errorf("%s has no label in %s", path, tag)
			}
			for _, c := range p.Claims {
				if c.Labels[tag] == "" {
					t.Errorf("%s: claim %s has no label in %s", path, c.Name, tag)
				}
			}
		}
	}
}

// TestManual issues by docs/programmes.md alone: the file and the rows that it
// shows give what it says, and it explains every word that there is.
func TestManual(t *testing.T) {
	text := string(readFile(t, "../docs/programmes.md"))
	block := func(fence string) string {
		_, rest, ok := strings.Cut(text, "```"+fence+"\n")
		b, _, closed := strings.Cut(rest, "```")
		if !ok || !closed {
			t.Fatalf("docs/programmes.md has no block %s", fence)
		}
		return b
	}
	path := filepath.Join(t.TempDir(), "fishers.csv")
	if err := os.WriteFile(path, []byte(block("")), 0o600); err != nil {
		t.Fatal(err)
	}
	report := checkFile(t, parse(t, []byte(block("yaml"))), path)
	want := counts{2, 2, 0, map[string]int{}, map[string]int{"loss": 1, "not_in_code_list": 1}}
	if diff := cmp.Diff(want, countsOf(report)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	words := append(programme.Codes(), "from", "column", "join", "first_of", "split", "json", "constant", "name_part", "amount_of", "unit_of",
		"text", "date", "integer", "number", "boolean", "list", "code", "country", "sex", "language",
		"error", "omit", "keep", "inline", "second_code", "photo", "other_id", "none", "one_per_record", "empty", "only_if", "formats", "take",
		"age_over", "words", "as", "split_at", "each", "minLength", "maxLength", "pattern", "enum", "minimum", "maximum", "minItems", "maxItems",
		"only_with", "differs_from", "never_qr", "sensitive", "optional", "lines", "units", "zone", "suspend", "fresh_for", "old_after")
	for _, w := range words {
		if !regexp.MustCompile("`[^`]*\\b" + regexp.QuoteMeta(w) + "\\b[^`]*`").MatchString(text) {
			t.Errorf("docs/programmes.md does not explain %s", w)
		}
	}
}
