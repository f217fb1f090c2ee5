package csvfile_test

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/internal/vectors"
	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/registry/csvfile"
)

// samples are the files of registry-samples with what is in them. A file that
// is not listed fails the test.
var samples = map[string]struct {
	id      string
	columns int
	records int
	broken  string // code of the row errors
	errors  int
}{
	"divoc/interfaces/certificates.csv":                                                {id: "preEnrollmentCode", columns: 28},
	"divoc/interfaces/enrollments.csv":                                                 {id: "identity", columns: 14},
	"divoc/interfaces/facilities.csv":                                                  {id: "facilityCode", columns: 19},
	"divoc/interfaces/testCertificates.csv":                                            {id: "preEnrollmentCode", columns: 28},
	"divoc/interfaces/vaccinators.csv":                                                 {id: "code", columns: 7},
	"divoc/rows/enrollments.csv":                                                       {id: "identity", columns: 13, records: 3},
	"divoc/rows/facilities.csv":                                                        {id: "facilityCode", columns: 19, records: 5},
	"divoc/rows/vaccinators.csv":                                                       {id: "code", columns: 7, records: 3},
	"inji-certify/farmer_data_multilingual.csv":                                        {id: "id", columns: 17, broken: registry.RowColumns, errors: 1},
	"inji-certify/farmer_identity_data.csv":                                            {id: "id", columns: 15, records: 5},
	"inji-certify/farmer_identity_data_injistack.csv":                                  {id: "id", columns: 15, records: 3},
	"opencrvs/countryconfig-locations/crvs-facilities.csv":                             {id: "id", columns: 4, records: 17},
	"opencrvs/countryconfig-locations/health-facilities.csv":                           {id: "id", columns: 4, records: 300},
	"opencrvs/countryconfig-locations/locations.csv":                                   {id: "admin2Pcode", columns: 9, records: 16},
	"opencrvs/farajaland-locations/administrative-areas.csv":                           {id: "admin3Pcode", columns: 12, records: 64},
	"opencrvs/farajaland-locations/locations.csv":                                      {id: "id", columns: 4, records: 95},
	"opencrvs/farajaland-locations/statistics.csv":                                     {id: "adminPcode", columns: 78, records: 20},
	"public-register/gov-domains-us/gov-domains.csv":                                   {id: "Domain name", columns: 6, records: 16539},
	"public-register/schools-wales/school-type-wls.tsv":                                {id: "school-type-wls", columns: 5, records: 13},
	"public-register/schools-wales/school-wls.tsv":                                     {id: "school-wls", columns: 8, records: 1616},
	"public-register/social-housing-providers-england/designation.tsv":                 {id: "social-housing-provider-designation-eng", columns: 4, records: 3},
	"public-register/social-housing-providers-england/legal-entity.tsv":                {id: "social-housing-provider-legal-entity-eng", columns: 4, records: 4},
	"public-register/social-housing-providers-england/regulator-list.tsv":              {id: "RP Code", columns: 5, records: 1755},
	"public-register/social-housing-providers-england/social-housing-provider-eng.tsv": {id: "social-housing-provider-eng", columns: 7, records: 1755},
}

func TestRegistrySamples(t *testing.T) {
	root := vectors.Path(t, "registry-samples")
	seen := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if ext := filepath.Ext(path); err != nil || ext != ".csv" && ext != ".tsv" {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		seen++
		t.Run(name, func(t *testing.T) { testSample(t, path, filepath.ToSlash(name)) })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen != len(samples) {
		t.Errorf("%d files, want %d", seen, len(samples))
	}
}

func testSample(t *testing.T, path, name string) {
	want, ok := samples[name]
	if !ok {
		t.Fatal("the file is not in the list of this test")
	}
	s := open(t, path, csvfile.Options{IDColumn: want.id})
	if got := s.Columns().Len(); got != want.columns {
		t.Errorf("%d columns, want %d", got, want.columns)
	}
	records, broken := 0, 0
	twice := map[string]int{}
	for r, err := range s.Records(t.Context()) {
		if e, ok := errors.AsType[*registry.RowError](err); ok {
			broken++
			if e.Code != want.broken || e.Line != 2 {
				t.Errorf("row error %q at line %d", e.Code, e.Line)
			}
			continue
		}
		if err != nil {
			t.Fatalf("Records: %v", err)
		}
		records++
		twice[r.ID]++
	}
	if records != want.records || broken != want.errors {
		t.Errorf("%d records and %d row errors, want %d and %d", records, broken, want.records, want.errors)
	}
	for id, n := range twice {
		r, err := s.Lookup(t.Context(), id)
		switch {
		case n == 1 && (err != nil || r.ID != id):
			t.Fatalf("Lookup: %v", err)
		case n > 1 && !errors.Is(err, registry.ErrAmbiguous):
			t.Fatalf("Lookup of an id that occurs %d times: %v", n, err)
		}
	}
}

func TestSampleValues(t *testing.T) {
	tests := []struct {
		name, file, idColumn, id, column, want string
	}{
		{"a comma in quotes", "divoc/rows/facilities.csv", "facilityCode", "BLR311", "addressLine1", "ER34"},
		{"blanks behind a value", "divoc/rows/facilities.csv", "facilityCode", "DEL010", "websiteURL", "www.awesome.com  "},
		{"a control character as it stands", "divoc/rows/facilities.csv", "facilityCode", "PUN001", "state", "Maharashtra\x10\x10"},
		{"a letter beyond ASCII", "divoc/rows/facilities.csv", "facilityCode", "HYD111", "facilityName", "St. Mary’s Medical Center"},
		{"a list in a cell", "divoc/rows/vaccinators.csv", "code", "A1", "facilityIds", "DEL010,BLR311"},
		{"a unit in a number", "inji-certify/farmer_identity_data.csv", "id", "8267411578", "landArea", "2.5 acres"},
		{"CRLF", "opencrvs/farajaland-locations/locations.csv", "id", "LHUYvwY2Aq1", "locationType", "CRVS_OFFICE"},
		{"no quoting in TSV", "public-register/social-housing-providers-england/social-housing-provider-eng.tsv",
			"social-housing-provider-eng", "4811", "social-housing-provider-legal-entity-eng", "1,2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := vectors.Path(t, append([]string{"registry-samples"}, strings.Split(tt.file, "/")...)...)
			r, err := open(t, path, csvfile.Options{IDColumn: tt.idColumn}).Lookup(t.Context(), tt.id)
			if err != nil {
				t.Fatalf("Lookup: %v", err)
			}
			if got, _ := r.Value(tt.column); got != tt.want {
				t.Errorf("%s is %q, want %q", tt.column, got, tt.want)
			}
		})
	}
	t.Run("a photo as data URI", func(t *testing.T) {
		path := vectors.Path(t, "registry-samples", "inji-certify", "farmer_identity_data.csv")
		r, err := open(t, path, csvfile.Options{IDColumn: "id"}).Lookup(t.Context(), "8267411578")
		if face, _ := r.Value("face"); err != nil || !strings.HasPrefix(face, "data:image/jpeg;base64,/9j/") || strings.ContainsAny(face, "\" \n") {
			t.Errorf("face is %.30q, %v", face, err)
		}
	})
}
