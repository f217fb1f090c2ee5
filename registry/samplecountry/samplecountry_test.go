package samplecountry_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/registry/csvfile"
	"github.com/sanad-id/sanad/registry/samplecountry"
)

// A row is one record by column.
type row map[string]string

// table returns all rows of a registry.
func table(t testing.TB, c samplecountry.Config, name string) []row {
	t.Helper()
	rows, err := samplecountry.Rows(c, name)
	if err != nil {
		t.Fatal(err)
	}
	header := columns(t, name)
	var all []row
	for values := range rows {
		if len(values) != len(header) {
			t.Fatalf("%s: %d values for %d columns", name, len(values), len(header))
		}
		r := row{}
		for i, v := range values {
			r[header[i]] = v
		}
		all = append(all, r)
	}
	return all
}

func columns(t testing.TB, name string) []string {
	t.Helper()
	for _, r := range samplecountry.Registries() {
		if r.Name == name {
			return r.Header()
		}
	}
	t.Fatalf("no registry %s", name)
	return nil
}

func write(t testing.TB, c samplecountry.Config, name string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := samplecountry.Write(t.Context(), c, name, &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// digests are of the files of seed 1 and 200 people. They change only if the
// country is changed on purpose.
var digests = map[string]string{
	"births":              "29ef22fd12c6186e",
	"persons":             "b6fc323033c9ae23",
	"deaths":              "e4b611f3a140974f",
	"farmers":             "a9c70ce5133309bb",
	"trade_licences":      "4cd462deca6d35a7",
	"school_certificates": "01d417de75760929",
	"beneficiaries":       "99fda99075acb2c1",
	"vaccinations":        "3a0160f0d0cd66d5",
	"offices":             "353a046f1284e4d7",
	"locations":           "1b75ab0f3371e501",
}

func TestOutputIsStable(t *testing.T) {
	for _, r := range samplecountry.Registries() {
		got := fmt.Sprintf("%x", sha256.Sum256(write(t, samplecountry.Config{Seed: 1, Persons: 200}, r.Name)))
		if got[:16] != digests[r.Name] {
			t.Errorf("%s: digest %s, want %s", r.Name, got[:16], digests[r.Name])
		}
	}
}

func TestSeedDecides(t *testing.T) {
	for _, r := range samplecountry.Registries() {
		first := write(t, samplecountry.Config{Seed: 7, Persons: 1000}, r.Name)
		if !bytes.Equal(first, write(t, samplecountry.Config{Seed: 7, Persons: 1000}, r.Name)) {
			t.Errorf("%s: one seed gives two files", r.Name)
		}
		places := r.Name == "offices" || r.Name == "locations"
		if bytes.Equal(first, write(t, samplecountry.Config{Seed: 8, Persons: 1000}, r.Name)) != places {
			t.Errorf("%s: another seed and the file is the same: %t", r.Name, !places)
		}
		// The first people of a large country are those of a small one.
		small := write(t, samplecountry.Config{Seed: 7, Persons: 500}, r.Name)
		if !bytes.HasPrefix(first, small) && r.Name != "beneficiaries" {
			t.Errorf("%s: 500 people are not the first of 1000", r.Name)
		}
	}
}

func TestRegistries(t *testing.T) {
	c := samplecountry.Config{Seed: 3, Persons: 10_000}
	least := map[string]int{
		"births": 10_000, "persons": 9_900, "deaths": 100, "farmers": 1_000, "trade_licences": 400, "school_certificates": 1_000,
		"beneficiaries": 800, "vaccinations": 8_000, "offices": 60, "locations": 105,
	}
	for _, r := range samplecountry.Registries() {
		t.Run(r.Name, func(t *testing.T) {
			if r.Description == "" {
				t.Error("no description")
			}
			rows := table(t, c, r.Name)
			if len(rows) < least[r.Name] || least[r.Name] == 0 {
				t.Errorf("%d rows, want at least %d", len(rows), least[r.Name])
			}
			seen := map[string]bool{}
			for _, row := range rows {
				id := row[r.Columns[0].Name]
				if id == "" || seen[id] {
					t.Fatalf("id %q is empty or occurs twice", id)
				}
				seen[id] = true
			}
		})
	}
}

func TestPlaces(t *testing.T) {
	c := samplecountry.Config{Persons: 1000}
	level := map[string]string{}
	count := map[string]int{}
	for _, l := range table(t, c, "locations") {
		level[l["location_code"]] = l["level"]
		count[l["level"]]++
		if l["level"] != "1" && level[l["parent_code"]] == "" {
			t.Errorf("%s is in %q, which is not there", l["location_code"], l["parent_code"])
		}
		checkScript(t, l["script"], l["name"], l["name_local"])
	}
	if count["1"] != 5 || count["2"] != 20 || count["3"] != 80 {
		t.Errorf("%v places by level, want 5, 20 and 80", count)
	}
	offices := map[string]bool{}
	for _, o := range table(t, c, "offices") {
		offices[o["office_code"]] = true
		if level[o["location_code"]] != "3" || level[o["district_code"]] != "2" {
			t.Errorf("office %s is nowhere", o["office_code"])
		}
		checkScript(t, o["script"], o["name"], o["name_local"])
	}
	for _, b := range table(t, c, "births") {
		if code := b["place_of_birth_code"]; code != "" && level[code] != "3" || !offices[b["registration_office_code"]] {
			t.Errorf("%s: born or registered nowhere", b["registration_number"])
		}
	}
}

var ranges = map[string]*unicode.RangeTable{
	"Beng": unicode.Bengali, "Deva": unicode.Devanagari, "Arab": unicode.Arabic, "Ethi": unicode.Ethiopic,
	"Cyrl": unicode.Cyrillic, "Khmr": unicode.Khmer, "Laoo": unicode.Lao,
}

// checkScript checks that the letters of a local name are of its script only,
// and those of the other one Latin.
func checkScript(t *testing.T, script, latin, local string) {
	t.Helper()
	for _, c := range latin {
		if unicode.IsLetter(c) && !unicode.Is(unicode.Latin, c) {
			t.Errorf("%q has a letter that is not Latin", latin)
		}
	}
	for _, c := range local {
		if (unicode.IsLetter(c) || unicode.IsMark(c)) && !unicode.In(c, ranges[script], unicode.Inherited) {
			t.Errorf("%q has a letter that is not %s", local, script)
		}
	}
}

func TestNames(t *testing.T) {
	for seed := range uint64(20) {
		for _, p := range table(t, samplecountry.Config{Seed: seed, Persons: 1000}, "persons") {
			checkScript(t, p["script"], p["full_name"], p["full_name_local"])
			if len(strings.Fields(p["full_name"])) != len(strings.Fields(p["full_name_local"])) && !strings.Contains(p["full_name"], "'") {
				t.Errorf("%q and %q have different numbers of words", p["full_name"], p["full_name_local"])
			}
		}
	}
}

func TestNationalNumbers(t *testing.T) {
	for _, p := range table(t, samplecountry.Config{Seed: 5, Persons: 10_000}, "persons") {
		n := p["national_number"]
		sum := 0
		for i := range len(n) {
			d := int(n[len(n)-1-i] - '0')
			if i%2 == 1 {
				d *= 2
			}
			sum += d/10 + d%10
		}
		if len(n) != 13 || !strings.HasPrefix(n, "9990") || sum%10 == 0 {
			t.Errorf("national number %s could be a real one", n)
		}
	}
}

// An identity is what all registries must agree on. Dates and sexes are turned
// into those of births.
type identity struct{ name, local, born, sex, district string }

// readers turn a row of each registry into national number and identity.
var readers = map[string]func(row) (string, identity){
	"births": func(r row) (string, identity) {
		first, last := []string{r["given_names"], r["middle_names"]}, r["family_name"]
		firstLocal, lastLocal := []string{r["given_names_local"], r["middle_names_local"]}, r["family_name_local"]
		return r["national_number"], identity{
			ordered(r["script"], first, last), ordered(r["script"], firstLocal, lastLocal), r["date_of_birth"], r["sex"], r["registration_office_code"][3:],
		}
	},
	"persons": func(r row) (string, identity) {
		born := strings.ReplaceAll(r["birth_date"], "XX", "00")
		if born == "0000-00-00" {
			born = ""
		}
		return r["national_number"], identity{r["full_name"], r["full_name_local"], born, sexes[r["sex"]], r["location_code"][3:5]}
	},
	"farmers": func(r row) (string, identity) {
		return r["nationalNumber"], identity{r["fullName"], r["fullNameLocal"], turned(r["dateOfBirth"], "-"), sexes[r["gender"]], r["villageCode"][3:5]}
	},
	"school_certificates": func(r row) (string, identity) {
		d := r["date_of_birth"]
		if d != "" {
			d = d[:4] + "-" + d[4:6] + "-" + d[6:]
		}
		return "", identity{ordered(r["script"], []string{r["other_names"]}, r["surname"]), r["full_name_local"], d, sexes[r["sex"]], r["school_code"][3:]}
	},
	"beneficiaries": func(r row) (string, identity) {
		return r["national_number"], identity{
			ordered(r["script"], []string{r["given_name"]}, r["surname"]), r["full_name_local"], filled(r["birth_date"]), sexes[r["sex"]], r["redemption_area"][3:],
		}
	},
	"vaccinations": func(r row) (string, identity) {
		number := strings.TrimPrefix(r["recipientIdentity"], "did:xa:nn:")
		return number, identity{r["recipientName"], r["recipientNameLocal"], filled(r["recipientDOB"]), sexes[r["recipientGender"]], r["facilityCode"][3:]}
	},
	"deaths": func(r row) (string, identity) {
		d := strings.Split(r["date_of_birth"], ".")
		slices.Reverse(d)
		return r["national_number"], identity{
			ordered(r["script"], []string{r["given_names"], r["middle_names"]}, r["family_name"]), r["full_name_local"], filled(strings.Join(d, "-")),
			sexes[r["sex"]], r["place_of_death_code"][3:5],
		}
	},
}

var sexes = map[string]string{
	"MALE": "1", "FEMALE": "2", "UNKNOWN": "0", "NOT_APPLICABLE": "9", "Male": "1", "Female": "2", "Unknown": "0", "Other": "9",
	"M": "1", "F": "2", "U": "0", "X": "9", "m": "1", "f": "2", "": "0", "x": "9", "male": "1", "female": "2",
}

func ordered(script string, first []string, family string) string {
	parts := append(slices.Clone(first), family)
	if script == "Khmr" {
		parts = append([]string{family}, first...)
	}
	return strings.Join(strings.Fields(strings.Join(parts, " ")), " ")
}

// turned makes 1987-05-12 of 12-05-1987.
func turned(d, separator string) string {
	parts := strings.Split(d, separator)
	slices.Reverse(parts)
	return strings.Join(parts, "-")
}

// filled makes 1987-05-00 of 1987-05.
func filled(d string) string {
	if d == "" {
		return ""
	}
	return (d + "-00-00")[:10]
}

func TestRegistriesAgree(t *testing.T) {
	for _, date := range []time.Time{{}, time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)} {
		c := samplecountry.Config{Seed: 11, Persons: 4000, Date: date}
		known := map[string]identity{}
		all := map[identity]bool{}
		for _, r := range table(t, c, "births") {
			number, who := readers["births"](r)
			if before, ok := known[number]; ok && before != who {
				t.Errorf("%s: two records of one birth differ: %+v, %+v", number, before, who)
			}
			known[number] = who
			all[who] = true
		}
		for name, read := range readers {
			for _, r := range table(t, c, name) {
				switch number, who := read(r); {
				case number == "" && !all[who]:
					t.Errorf("%s: nobody is %+v", name, who)
				case number != "" && known[number] != who:
					t.Errorf("%s: %s is %+v, in births %+v", name, number, who, known[number])
				}
			}
		}
	}
}

// Parents are people of the country themselves, with the name they have there.
func TestParents(t *testing.T) {
	c := samplecountry.Config{Seed: 2, Persons: 4000}
	people := map[string]row{}
	for _, p := range table(t, c, "persons") {
		people[p["national_number"]] = p
	}
	linked := 0
	for _, b := range table(t, c, "births") {
		for _, who := range []string{"mother", "father"} {
			number := b[who+"_national_number"]
			switch b[who+"_status"] {
			case "KNOWN", "ADOPTIVE":
				if b[who+"_name"] == "" || b[who+"_name_local"] == "" {
					t.Errorf("%s: a known %s has no name", b["registration_number"], who)
				}
			case "NOT_AVAILABLE":
				if b[who+"_name"]+b[who+"_name_local"]+number != "" {
					t.Errorf("%s: a %s who is not available is named", b["registration_number"], who)
				}
			default:
				t.Errorf("%s status %q", who, b[who+"_status"])
			}
			if father, ok := strings.CutSuffix(b["middle_names"], fatherSuffix[b["script"]+b["sex"]]); who == "father" && ok && b["father_name"] != "" &&
				slices.Contains([]string{"Arab", "Ethi", "Cyrl"}, b["script"]) && b["family_name"] != "" && father != strings.Fields(b["father_name"])[0] {
				t.Errorf("%s: the father's name is not that of the father", b["registration_number"])
			}
			p, ok := people[number]
			if !ok {
				continue
			}
			linked++
			if p["full_name"] != b[who+"_name"] || p["full_name_local"] != b[who+"_name_local"] {
				t.Errorf("%s: %s has another name as a person", b["registration_number"], who)
			}
			if year(p["birth_date"]) > 0 && year(b["date_of_birth"]) > 0 && year(b["date_of_birth"])-year(p["birth_date"]) < 15 {
				t.Errorf("%s: %s is too young", b["registration_number"], who)
			}
		}
	}
	if linked < 4000 {
		t.Errorf("%d parents are people of the country, want 4000 or more", linked)
	}
}

// fatherSuffix is what a father's name has as somebody's middle name, by script
// and sex.
var fatherSuffix = map[string]string{"Cyrl1": "ovich", "Cyrl0": "ovich", "Cyrl9": "ovich", "Cyrl2": "ovna"}

func year(date string) int {
	n := 0
	fmt.Sscanf(date, "%4d", &n)
	return n
}

// found says which oddities are in a country, by what its registries show.
func found(t *testing.T, c samplecountry.Config) map[samplecountry.Oddity]int {
	t.Helper()
	n := map[samplecountry.Oddity]int{}
	births := table(t, c, "births")
	numbers := map[string]int{}
	for _, b := range births {
		numbers[b["national_number"]]++
		given, family := b["given_names"], b["family_name"]
		full := given + b["middle_names"] + family
		for oddity, is := range map[samplecountry.Oddity]bool{
			samplecountry.SingleName:         family == "" && b["middle_names"] == "",
			samplecountry.NoFamilyName:       family == "" && b["middle_names"] != "",
			samplecountry.ThreePartSurname:   len(strings.Fields(family)) == 3,
			samplecountry.Apostrophe:         strings.Contains(family, "'"),
			samplecountry.CombiningMark:      strings.ContainsRune(given, '\u0301'),
			samplecountry.DayUnknown:         strings.HasSuffix(b["date_of_birth"], "-00") && !strings.HasSuffix(b["date_of_birth"], "-00-00"),
			samplecountry.MonthUnknown:       strings.HasSuffix(b["date_of_birth"], "-00-00"),
			samplecountry.YearUnknown:        b["date_of_birth"] == "" && b["age_at_registration"] != "",
			samplecountry.NoFather:           b["father_status"] == "NOT_AVAILABLE" && b["mother_status"] == "KNOWN",
			samplecountry.NoParents:          b["father_status"] == "NOT_AVAILABLE" && b["mother_status"] == "NOT_AVAILABLE",
			samplecountry.Twins:              b["birth_type"] == "TWIN",
			samplecountry.Adopted:            b["mother_status"] == "ADOPTIVE",
			samplecountry.SexNotKnown:        b["sex"] == "0",
			samplecountry.SexNotApplicable:   b["sex"] == "9",
			samplecountry.BornAbroad:         b["country_of_birth"] != "XAA" && b["place_of_birth_code"] == "" && b["place_of_birth_local"] != "",
			samplecountry.Corrected:          b["status"] == "CORRECTED" && b["corrected_on"] != "",
			samplecountry.TurningEighteen:    b["date_of_birth"] > "2008-01-01" && b["date_of_birth"] < "2008-12-01",
			samplecountry.LineBreak:          strings.Contains(b["remarks"], "\n"),
			samplecountry.Emoji:              strings.Contains(full, "\U0001F600"),
			samplecountry.ControlCharacter:   strings.Contains(full, "\u0007"),
			samplecountry.DirectionCharacter: strings.Contains(full, "\u202e"),
		} {
			if is {
				n[oddity]++
			}
		}
		refused := strings.ContainsAny(full, "\u0007\u202e\U0001F600")
		if refused != strings.HasPrefix(b["remarks"], "intake error: ") {
			t.Errorf("%s: a name to be refused is not marked, or the other way round", b["registration_number"])
		}
	}
	for _, k := range numbers {
		if k == 2 {
			n[samplecountry.RegisteredTwice]++
		}
	}
	dead := map[string]bool{}
	for _, d := range table(t, c, "deaths") {
		dead[d["national_number"]] = true
	}
	for _, b := range table(t, c, "beneficiaries") {
		if dead[b["national_number"]] {
			n[samplecountry.Deceased]++
		}
	}
	for _, p := range table(t, c, "persons") {
		if p["address_street"] == "" {
			n[samplecountry.NoStreet]++
		}
	}
	later := c
	later.Date = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	before := map[string]row{}
	for _, b := range births {
		before[b["registration_number"]] = b
	}
	for _, b := range table(t, later, "births") {
		old, ok := before[b["registration_number"]]
		switch {
		case !ok:
			n[samplecountry.BornLater]++
		case old["status"] != b["status"] && b["status"] == "CORRECTED" && old["given_names"] != b["given_names"]:
			n[samplecountry.CorrectedLater]++
		case old["status"] != b["status"] && b["status"] == "DECEASED":
			n[samplecountry.DeceasedLater]++
		}
	}
	return n
}

func TestOddities(t *testing.T) {
	all := []samplecountry.Oddity{
		samplecountry.SingleName, samplecountry.NoFamilyName, samplecountry.ThreePartSurname, samplecountry.Apostrophe,
		samplecountry.CombiningMark, samplecountry.DayUnknown, samplecountry.MonthUnknown, samplecountry.YearUnknown,
		samplecountry.NoFather, samplecountry.NoParents, samplecountry.Twins, samplecountry.Adopted, samplecountry.SexNotKnown,
		samplecountry.SexNotApplicable, samplecountry.BornAbroad, samplecountry.Corrected, samplecountry.CorrectedLater,
		samplecountry.RegisteredTwice, samplecountry.Deceased, samplecountry.DeceasedLater, samplecountry.BornLater,
		samplecountry.TurningEighteen, samplecountry.NoStreet, samplecountry.LineBreak, samplecountry.Emoji,
		samplecountry.ControlCharacter, samplecountry.DirectionCharacter,
	}
	for seed := range uint64(12) {
		n := found(t, samplecountry.Config{Seed: seed, Persons: 200})
		for _, o := range all {
			if n[o] == 0 {
				t.Errorf("seed %d: nobody of 200 is odd in this way: %s", seed, o)
			}
		}
	}
	n := found(t, samplecountry.Config{Seed: 1, Persons: 10_000})
	for _, o := range all[:len(all)-3] {
		if n[o] < 40 {
			t.Errorf("%d of 10 000 are odd in this way, want 50: %s", n[o], o)
		}
	}
	for _, o := range all[len(all)-3:] {
		if n[o] != 1 {
			t.Errorf("%d of 10 000 are odd in this way, want 1: %s", n[o], o)
		}
	}
}

func TestScripts(t *testing.T) {
	count := map[string]int{}
	for _, p := range table(t, samplecountry.Config{Seed: 4, Persons: 200}, "persons") {
		count[p["script"]]++
	}
	for script := range ranges {
		if count[script] == 0 || count["Beng"] < count[script] {
			t.Errorf("%d of 200 write %s, %d Bengali", count[script], script, count["Beng"])
		}
	}
}

// Every registry comes out of csvfile as it went in, however it is written.
func TestThroughCSVFile(t *testing.T) {
	variants := []samplecountry.Config{
		{}, {Encoding: "utf-8-bom", Delimiter: ';'}, {Encoding: "utf-16le"}, {Encoding: "utf-16be", Delimiter: '|'}, {Delimiter: '\t'},
	}
	for _, v := range variants {
		for _, r := range samplecountry.Registries() {
			t.Run(fmt.Sprintf("%s %s %q", r.Name, v.Encoding, v.Delimiter), func(t *testing.T) {
				c := v
				c.Seed, c.Persons = 9, 300
				path := filepath.Join(t.TempDir(), r.Name+".csv")
				if err := os.WriteFile(path, write(t, c, r.Name), 0o600); err != nil {
					t.Fatal(err)
				}
				s, err := csvfile.Open(path, csvfile.Options{IDColumn: r.Columns[0].Name, Quotes: csvfile.QuotesRFC4180})
				if err != nil {
					t.Fatal(err)
				}
				var got []row
				for record, err := range s.Records(t.Context()) {
					if err != nil {
						t.Fatal(err)
					}
					m := row{}
					for _, name := range r.Header() {
						m[name], _ = record.Value(name)
					}
					got = append(got, m)
				}
				if d := cmp.Diff(table(t, c, r.Name), got); d != "" {
					t.Errorf("rows (-want +got):\n%s", d)
				}
			})
		}
	}
}

// A later export of births shows what has happened since.
func TestChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "births.csv")
	export := func(month time.Month) {
		c := samplecountry.Config{Seed: 1, Persons: 200, Date: time.Date(2026, month, 1, 0, 0, 0, 0, time.UTC)}
		if err := os.WriteFile(path, write(t, c, "births"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	export(time.January)
	s, err := csvfile.Open(path, csvfile.Options{IDColumn: "registration_number"})
	if err != nil {
		t.Fatal(err)
	}
	mark, err := s.Mark(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	export(time.May)
	count := map[registry.ChangeKind]int{}
	for c, err := range s.Changes(t.Context(), mark) {
		if err != nil {
			t.Fatal(err)
		}
		count[c.Kind]++
	}
	want := map[registry.ChangeKind]int{registry.Added: 1, registry.Changed: 2, registry.Reached: 1}
	if d := cmp.Diff(want, count); d != "" {
		t.Errorf("changes (-want +got):\n%s", d)
	}
}

func TestMemoryDoesNotGrow(t *testing.T) {
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for _, r := range samplecountry.Registries() {
		rows, err := samplecountry.Rows(samplecountry.Config{Seed: 1, Persons: 60_000}, r.Name)
		if err != nil {
			t.Fatal(err)
		}
		n, first, last := 0, uint64(0), uint64(0)
		for range rows {
			n++
			switch n {
			case 10:
				first = heap()
			case 600:
				last = heap()
			}
			if n > 1000 && n%5000 == 0 {
				last = heap()
			}
		}
		if last > first+256<<10 {
			t.Errorf("%s: the heap grew from %d to %d bytes in %d rows", r.Name, first, last, n)
		}
	}
}

func TestRefuses(t *testing.T) {
	good := samplecountry.Config{Seed: 1, Persons: 200}
	tests := []struct {
		name  string
		spoil func(*samplecountry.Config)
		want  string
	}{
		{"nobody", func(c *samplecountry.Config) { c.Persons = 0 }, "0 persons"},
		{"too many", func(c *samplecountry.Config) { c.Persons = samplecountry.MaxPersons + 1 }, "50000001 persons"},
		{"a date too early", func(c *samplecountry.Config) { c.Date = time.Date(2025, 12, 31, 0, 0, 0, 0, time.UTC) }, "2025-12-31"},
		{"an unusual delimiter", func(c *samplecountry.Config) { c.Delimiter = 'x' }, "delimiter 'x'"},
		{"an encoding without these letters", func(c *samplecountry.Config) { c.Encoding = "windows-1252" }, "windows-1252"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := good
			tt.spoil(&c)
			err := samplecountry.Write(t.Context(), c, "births", io.Discard)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Write: %v, want an error with %q", err, tt.want)
			}
		})
	}
	t.Run("no such registry", func(t *testing.T) {
		err := samplecountry.Write(t.Context(), good, "taxes", io.Discard)
		if !errors.Is(err, samplecountry.ErrNoRegistry) || !strings.Contains(err.Error(), "births") {
			t.Errorf("Write: %v, want ErrNoRegistry and the names", err)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := samplecountry.Write(ctx, good, "births", io.Discard); !errors.Is(err, context.Canceled) {
			t.Errorf("Write: %v, want Canceled", err)
		}
	})
	t.Run("a writer that fails", func(t *testing.T) {
		if err := samplecountry.Write(t.Context(), good, "births", full{}); !errors.Is(err, errFull) {
			t.Errorf("Write: %v, want the writer's error", err)
		}
	})
}

var errFull = errors.New("disk full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

// Any part of a country can be made: a last household may be cut short.
func TestAnyNumberOfPersons(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 5, 6, 199, 201} {
		got := table(t, samplecountry.Config{Seed: 6, Persons: n, Date: time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC)}, "persons")
		if len(got) != n {
			t.Errorf("%d persons, want %d", len(got), n)
		}
	}
}

func Example() {
	var file bytes.Buffer
	c := samplecountry.Config{Seed: 1, Persons: 200}
	if err := samplecountry.Write(context.Background(), c, "births", &file); err != nil {
		fmt.Println(err)
		return
	}
	in := csv.NewReader(&file)
	for range 3 {
		record, err := in.Read()
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(record[0], record[2], record[4], record[5], record[7])
	}
	// Output:
	// registration_number given_names family_name given_names_local family_name_local
	// B-06-1961-27182818 Ashok Akhtar অশোক আখতার
	// B-06-1964-88986217 Nasrin Ahmed নাসরিন আহমেদ
}
