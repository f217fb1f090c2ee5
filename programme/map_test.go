package programme_test

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/registry"
	"github.com/sanad-id/sanad/verification/explain"
)

func TestMap(t *testing.T) {
	c, problems := goodProgramme(t).Map(record(t, goodRow()), now)
	if len(problems) != 0 {
		t.Fatalf("problems: %v, want none", problems)
	}
	got := c.Token("qr")
	dhaka := time.FixedZone("", 6*3600)
	want := cwt.Token{
		Type:      "urn:xx:test:1",
		NotBefore: time.Date(2026, 1, 1, 0, 0, 0, 0, dhaka),
		Expires:   time.Date(2026, 12, 31, 23, 59, 59, 0, dhaka),
		Person: map[int64]any{
			1: "AB-1", 4: "Rahima Khatun", 8: "19840418", 9: int64(2), 10: "Road 3, Jessore", 13: "BGD", 19: "রহিমা খাতুন",
		},
		Fields: map[int64]any{
			2: true, 3: "ben", 4: "A", 5: []any{"A", "B"}, 6: []any{"MAT: A", "ENG: B"}, 7: int64(4), 8: 2.5, 9: "bigha",
			10: true, 11: "Khatun", 12: "Jessore", 13: "2026-01-01", 14: "2026-12-31",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("main code (-want +got):\n%s", diff)
	}
	strip := c.Token("strip")
	if diff := cmp.Diff(map[int64]any{1: "AB-1", 4: "Rahima Khatun"}, strip.Person); diff != "" {
		t.Errorf("strip, person (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[int64]any{2: true}, strip.Fields); diff != "" {
		t.Errorf("strip, fields (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"qr", "strip", "photo"}, c.Forms()); diff != "" {
		t.Errorf("forms (-want +got):\n%s", diff)
	}
	face := []any{map[int64]any{0: webP(64, 80, 300), 1: int64(0), 2: int64(4)}}
	if diff := cmp.Diff(map[int64]any{1: "AB-1", 62: face}, c.Token("photo").Person); diff != "" {
		t.Errorf("photo (-want +got):\n%s", diff)
	}
	if p := c.Photo(); p == nil || p.MediaType != "image/webp" {
		t.Errorf("Photo: %v, want a WebP picture", p)
	}
}

// TestMapDrafts holds what programmes make against the lint of credential/cwt.
func TestMapDrafts(t *testing.T) {
	p := goodProgramme(t)
	report, err := p.Check(t.Context(), rows(t, goodRow()), programme.CheckOptions{Now: now, Rand: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	if report.Issuable != 1 || len(report.Sample) != 3 {
		t.Errorf("report %+v, want one issuable record in three forms", report)
	}
}

// TestMapReports spoils one value at a time of a record that is good otherwise.
func TestMapReports(t *testing.T) {
	const fatal, note = true, false
	tests := []struct {
		name          string
		column, value string
		claim, code   string
		fatal         bool
	}{
		{"required, empty", "starts", "", "starts", "missing", fatal},
		{"required, spaces only", "ends", " \u00a0 ", "ends", "missing", fatal},
		{"required, marked as empty", "ends", "N/A", "ends", "missing", fatal},
		{"no id", "number", "", "", "no_id", fatal},
		{"id with a control character", "number", "AB\x07", "", "no_id", fatal},
		{"not among those the programme is for", "state", "closed", "", "not_eligible", fatal},

		{"day unknown", "born", "00/04/1984", "birth_date", "loss", note},
		{"year only", "born", "1984", "birth_date", "loss", note},
		{"nothing known of the date", "born", "00/00/0000", "birth_date", "loss", note},
		{"not a date", "born", "April", "birth_date", "not_a_date", note},
		{"day and month the other way round", "born", "04/18/1984", "birth_date", "not_a_date", note},
		{"too early", "born", "18/04/1884", "birth_date", "constraint", fatal},
		{"in the future", "born", "16/01/2026", "birth_date", "constraint", fatal},
		{"age not certain", "born", "00/00/2008", "adult", "loss", note},

		{"sex not known", "sex", "0", "sex", "loss", note},
		{"sex not a word", "sex", "femal", "sex", "not_a_sex", note},
		{"sex kept as other", "sex", "diverse", "sex", "loss", note},

		{"country not known", "nation", "Farajaland", "nationality", "not_a_country", fatal},
		{"country of two meanings", "nation", "Congo", "nationality", "not_a_country", fatal},
		{"not a language", "tongue", "Bangla!", "language", "not_a_language", fatal},
		{"not in the code list, kept", "kind", "Gamma", "kind", "not_in_code_list", note},
		{"not in the code list, omitted", "kinds", "First,Gamma", "kinds", "not_in_code_list", note},
		{"too many entries", "kinds", "b,b,b,b", "kinds", "too_many", fatal},
		{"not a whole number", "persons", "4.0", "persons", "not_an_integer", fatal},
		{"leading zero", "persons", "04", "persons", "not_an_integer", fatal},
		{"more digits than readers keep", "persons", "9007199254740992", "persons", "not_an_integer", fatal},
		{"more digits than readers keep, below zero", "persons", "-9007199254740992", "persons", "not_an_integer", fatal},
		{"below minimum", "persons", "0", "persons", "constraint", fatal},
		{"above maximum", "persons", "21", "persons", "constraint", fatal},
		{"no unit", "land", "2.5", "amount", "not_a_quantity", fatal},
		{"unit not known", "land", "2.5 katha", "amount", "not_a_quantity", fatal},
		{"neither yes nor no", "alive", "maybe", "alive", "not_yes_or_no", fatal},
		{"a split by guess", "whole", "Rahima Khatun", "family_name", "loss", note},

		{"not JSON", "names", "Rahima", "local_name", "bad_json", fatal},
		{"JSON with a member twice", "names", `[{"language":"bn","language":"en","value":"x"}]`, "local_name", "bad_json", fatal},
		{"JSON that leads to a list", "names", `[{"language":"bn","value":["x"]}]`, "local_name", "bad_json", fatal},

		{"pattern", "number", "ab-1", "number", "constraint", fatal},
		{"minLength", "number", "AB", "number", "constraint", fatal},
		{"maxLength", "number", strings.Repeat("A", 21), "number", "too_long", fatal},
		{"longer than any claim", "given", strings.Repeat("x", 250), "full_name", "too_long", fatal},

		{"emoji", "given", "Rahima 🙂", "full_name", "emoji", fatal},
		{"keycap", "given", "Rahima 1\u20e3", "full_name", "emoji", fatal},
		{"bell", "given", "Rah\aima", "full_name", "control_characters", fatal},
		{"direction override", "family", "Khatun\u202e", "full_name", "control_characters", fatal},
		{"isolate", "family", "\u2066Khatun", "full_name", "control_characters", fatal},
		{"tag characters", "family", "Khatun\U000e0041", "full_name", "control_characters", fatal},
		{"line break", "family", "Kha\ntun", "full_name", "control_characters", fatal},
		{"byte order mark", "family", "Kha\ufefftun", "full_name", "control_characters", fatal},
		{"replacement character", "family", "Khat\ufffdn", "full_name", "encoding", fatal},
		{"not UTF-8", "family", "Khat\xfcn", "full_name", "encoding", fatal},
		{"control character in a list", "marks", "MAT|x|A\x01", "marks", "control_characters", fatal},
		{"emoji in a word that would be kept", "kind", "Gamma 🙂", "kind", "emoji", fatal},

		{"over already", "ends", "2026-01-14", "ends", "expired", fatal},
		{"ends before it begins", "ends", "2025-12-30", "ends", "date_order", fatal},
		{"incomplete end", "ends", "2026-12", "ends", "loss", fatal},

		{"picture too large", "face", webPURI(64, 80, 701), "photo", "photo", note},
		{"picture too wide", "face", webPURI(65, 80, 300), "photo", "photo", note},
		{"picture of another type", "face", "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAABwAAAAFCAYAAABW1IzHAAAAHklEQVQokWNgGPaAkZHxPyMj439sYrSQo51PBgsAALa0ECF30JSdAAAAAElFTkSuQmCC", "photo", "photo", note},
		{"no picture at all", "face", "photo.webp", "photo", "photo", note},
	}
	p := goodProgramme(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			row := goodRow()
			row[tt.column] = tt.value
			_, problems := p.Map(record(t, row), now)
			for _, got := range problems {
				if got.Claim == tt.claim && got.Code == tt.code && got.Column == columnOf(tt.column, got.Code) {
					if got.Fatal != tt.fatal || got.Line != 7 || got.Detail == "" {
						t.Errorf("%+v, want line 7, a detail, fatal %v", got, tt.fatal)
					}
					return
				}
			}
			t.Errorf("problems %v, want %s of %s", problems, tt.code, tt.claim)
		})
	}
}

// columnOf is the column that a problem names: the first of the claim, or none
// if the problem is between two claims.
func columnOf(spoiled, code string) string {
	switch {
	case code == "expired" || code == "date_order":
		return ""
	case spoiled == "family":
		return "given"
	}
	return spoiled
}

// TestMapKeepsAndOmits says what is carried in the place of what was lost.
func TestMapKeepsAndOmits(t *testing.T) {
	tests := []struct {
		name          string
		column, value string
		claim         string
		want          any
	}{
		{"year only: no birth date", "born", "1984", "birth_date", nil},
		{"year only: the known part", "born", "1984", "birth_known", "1984"},
		{"month known", "born", "00/04/1984", "birth_known", "1984-04"},
		{"complete date: no known part", "born", "18/04/1984", "birth_known", nil},
		{"old enough whatever the day", "born", "1984", "adult", true},
		{"sex not known", "sex", "unknown", "sex", nil},
		{"a sex beyond Claim 169", "sex", "diverse", "sex", int64(3)},
		{"a word of the programme", "sex", "THIRD", "sex", int64(3)},
		{"a word that is not in the list", "kind", "Gamma", "kind", "Gamma"},
		{"an entry that is not in the list", "kinds", "First,Gamma", "kinds", nil},
		{"code in another case", "kind", "ALPHA", "kind", "A"},
		{"no amount: no unit", "land", "", "unit", nil},
		{"the same name twice", "names", `[{"language":"bn","value":"Rahima Khatun"}]`, "local_name", nil},
		{"no name in that language", "names", `[]`, "local_name", nil},
		{"one word is a given name", "whole", "Rahima", "family_name", nil},
		{"no second part", "place", "Khulna", "area", nil},
		{"a number without a fraction", "land", "3.0 ha", "amount", int64(3)},
		{"a negative answer", "alive", "0", "alive", false},
		{"joiners stay", "given", "র\u200d্যাব", "full_name", "র\u200d্যাব Khatun"},
		{"combining marks stay as they are", "given", "Jose\u0301", "full_name", "Jose\u0301 Khatun"},
		{"apostrophes and hyphens", "given", "D’Arcy-O'Neil", "full_name", "D’Arcy-O'Neil Khatun"},
		{"no family name", "family", "", "full_name", "Rahima"},
	}
	p := goodProgramme(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			row := goodRow()
			row[tt.column] = tt.value
			c, problems := p.Map(record(t, row), now)
			if programme.Fatal(problems) {
				t.Fatalf("fatal: %v", problems)
			}
			var got any
			for _, claim := range c.Claims("qr") {
				if claim.Name == tt.claim {
					got = claim.Value
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestMapUnknownColumn(t *testing.T) {
	row := goodRow()
	delete(row, "tongue")
	row["tounge"] = "bn"
	_, problems := goodProgramme(t).Map(record(t, row), now)
	want := []programme.Problem{{Line: 7, Column: "tongue", Claim: "language", Code: "unknown_column", Fatal: true,
		Detail: `the source has no such column; did you mean "tounge"?`}}
	if diff := cmp.Diff(want, problems); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, column := range []string{"number", "state"} {
		row := goodRow()
		delete(row, column)
		if _, problems := goodProgramme(t).Map(record(t, row), now); !programme.Fatal(problems) {
			t.Errorf("without column %s: %v, want a fatal problem", column, problems)
		}
	}
	row = goodRow()
	delete(row, "secret") // optional
	if _, problems := goodProgramme(t).Map(record(t, row), now); len(problems) != 0 {
		t.Errorf("without an optional column: %v, want none", problems)
	}
}

func TestMapWithoutPicture(t *testing.T) {
	row := goodRow()
	row["face"] = ""
	c, problems := goodProgramme(t).Map(record(t, row), now)
	if len(problems) != 0 || c.Photo() != nil {
		t.Errorf("problems %v, photo %v, want neither", problems, c.Photo())
	}
	if diff := cmp.Diff([]string{"qr", "strip"}, c.Forms()); diff != "" {
		t.Errorf("forms (-want +got):\n%s", diff)
	}
}

func TestValidity(t *testing.T) {
	birth := time.Date(2026, 1, 15, 4, 0, 0, 500, time.UTC)
	for rule, want := range map[string][2]time.Time{
		"none":       {},
		"{for: 5y}":  {{}, time.Date(2031, 1, 15, 4, 0, 0, 0, time.UTC)},
		"{for: 18m}": {{}, time.Date(2027, 7, 15, 4, 0, 0, 0, time.UTC)},
		"{for: 2w}":  {{}, time.Date(2026, 1, 29, 4, 0, 0, 0, time.UTC)},
		"{from: starts, for: 90d}": {
			time.Date(2025, 12, 31, 18, 0, 0, 0, time.UTC), time.Date(2026, 3, 31, 18, 0, 0, 0, time.UTC)},
		"{until: ends}": {{}, time.Date(2026, 12, 31, 17, 59, 59, 0, time.UTC)},
	} {
		t.Run(rule, func(t *testing.T) {
			text := strings.Replace(string(readFile(t, "testdata/good.yaml")), "{from: starts, until: ends}", rule, 1)
			c, problems := parse(t, []byte(text)).Map(record(t, goodRow()), birth)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			token := c.Token("qr")
			if !token.NotBefore.Equal(want[0]) || !token.Expires.Equal(want[1]) {
				t.Errorf("from %v until %v, want %v", token.NotBefore, token.Expires, want)
			}
			if !c.Expires().Equal(want[1]) {
				t.Errorf("Expires: %v, want %v", c.Expires(), want[1])
			}
		})
	}
}

// TestNothingPersonalIsPrinted maps records that are wrong in every way and
// looks for their values in all that could reach a log.
func TestNothingPersonalIsPrinted(t *testing.T) {
	const secret = "Zanzibarbara"
	p := goodProgramme(t)
	row := goodRow()
	for column := range row {
		spoiled := goodRow()
		spoiled[column] = secret + "\x07"
		for _, value := range []string{secret, secret + "\x07", "12" + secret, `{"x":"` + secret + `"`} {
			spoiled[column] = value
			r := record(t, spoiled)
			c, problems := p.Map(r, now)
			out := fmt.Sprintf("%v %+v %#v %v %s", c, c, c, problems, slog.AnyValue(c).Resolve())
			if strings.Contains(out, secret) {
				t.Errorf("column %s: %s", column, out)
			}
		}
	}
}

func TestMapFromSeveralGoroutines(t *testing.T) {
	p := goodProgramme(t)
	want, _ := p.Map(record(t, goodRow()), now)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				got, problems := p.Map(record(t, goodRow()), now)
				if len(problems) > 0 || !cmp.Equal(got.Token("qr"), want.Token("qr")) {
					t.Errorf("problems %v, or another content", problems)
				}
			}
		})
	}
	wg.Wait()
}

func TestCredentialType(t *testing.T) {
	p := goodProgramme(t)
	got := p.CredentialType()
	if got.ID != "urn:xx:test:1" || got.Policy != "test-card/3" || !got.Person || got.PersonCheck != "photo" ||
		got.FreshFor != 7*24*time.Hour || got.OldAfter != 28*24*time.Hour || !got.StatusRequired || got.Labels["bn"] == "" {
		t.Errorf("%+v", got)
	}
	if len(got.Fields) != len(p.Claims) {
		t.Fatalf("%d fields, want %d", len(got.Fields), len(p.Claims))
	}
	find := func(name string) credential.TypeField {
		for _, f := range got.Fields {
			if f.Name == name {
				return f
			}
		}
		t.Fatalf("no field %s", name)
		return credential.TypeField{}
	}
	kind := find("kind")
	want := credential.TypeField{
		Key: 4, Name: "kind", Labels: map[string]string{"en": "Kind", "bn": "ধরন"}, Kind: "code",
		Values: map[string]map[string]string{"A": {"en": "alpha", "bn": "আলফা"}, "B": {"en": "beta", "bn": "বিটা"}},
	}
	if diff := cmp.Diff(want, kind); diff != "" {
		t.Errorf("kind (-want +got):\n%s", diff)
	}
	sex := find("sex")
	if diff := cmp.Diff(map[string]map[string]string{
		"1": {"en": "male", "bn": "পুরুষ"}, "2": {"en": "female", "bn": "নারী"}, "3": {"en": "other", "bn": "অন্যান্য"},
	}, sex.Values); diff != "" || !sex.Person || sex.Key != 9 || sex.Kind != "code" {
		t.Errorf("sex %+v (-want +got):\n%s", sex, diff)
	}
	if secret := find("secret"); !secret.Sensitive || secret.Key != 15 {
		t.Errorf("secret: %+v", secret)
	}
	if kinds := find("kinds"); kinds.Kind != "list" || kinds.Values["B"]["en"] != "beta" {
		t.Errorf("kinds: %+v", kinds)
	}
}

// TestNames: a code that no list has a name for is called as the programme says, by the
// text that a credential carries; other codes keep the name that everybody has for them.
func TestNames(t *testing.T) {
	good := string(readFile(t, "testdata/good.yaml"))
	named := strings.NewReplacer(
		"words: {BD: [Bangladeshi]}", "words: {XA: [Kestaran]}\n    on_loss: keep\n    names: {XA: {en: Kestara, bn: কেস্তারা}, BD: {en: the Republic, bn: প্রজাতন্ত্র}}",
		"    from: tongue", "    from: tongue\n    names: {qaa: {en: Kestari, bn: কেস্তারি}}",
	)
	p := parse(t, []byte(named.Replace(good)))
	values := map[string]map[string]map[string]string{}
	for _, f := range p.CredentialType().Fields {
		values[f.Name] = f.Values
	}
	if diff := cmp.Diff(map[string]map[string]string{
		"XA": {"en": "Kestara", "bn": "কেস্তারা"}, "BGD": {"en": "the Republic", "bn": "প্রজাতন্ত্র"},
	}, values["nationality"]); diff != "" {
		t.Errorf("countries in three letters (-want +got):\n%s", diff)
	}
	if got := values["language"]["qaa"]["bn"]; got != "কেস্তারি" {
		t.Errorf("a language is called %q", got)
	}
	two := parse(t, []byte(strings.ReplaceAll(named.Replace(good), "    as: alpha-3\n", "")))
	for _, row := range []struct {
		p            *programme.Programme
		nation, want string
		lang, shown  string
	}{
		{p, "Kestaran", "XA", "bn", "কেস্তারা"}, // no three letters: carried as it is
		{p, "Bangladesh", "BGD", "en", "the Republic"},
		{p, "Kenya", "KEN", "bn", "কেনিয়া"},
		{two, "Kestaran", "XA", "en", "Kestara"},
		{two, "Bangladesh", "BD", "bn", "প্রজাতন্ত্র"},
		{two, "Kenya", "KE", "en", "Kenya"},
	} {
		r := goodRow()
		r["nation"] = row.nation
		c, _ := row.p.Map(record(t, r), now)
		fields := row.p.CredentialType().Fields
		f := fields[slices.IndexFunc(fields, func(f credential.TypeField) bool { return f.Name == "nationality" })]
		value := c.Token("qr").Person[f.Key]
		if got := explain.InWords(i18n.For(row.lang), f.Kind, value, f.Values); value != row.want || got != row.shown {
			t.Errorf("%s becomes %v, shown in %s as %q, want %s and %q", row.nation, value, row.lang, got, row.want, row.shown)
		}
	}
}

// TestPersonKeys holds the attributes of programmes against those that
// credential/cwt issues.
func TestPersonKeys(t *testing.T) {
	for _, c := range goodProgramme(t).Claims {
		if c.Person && cwt.PersonName(c.Key) == "" {
			t.Errorf("claim %s has the key %d, which Claim 169 does not name", c.Name, c.Key)
		}
	}
}

func TestColumns(t *testing.T) {
	got := goodProgramme(t).Columns()
	if got[0] != "number" || len(got) != len(goodRow()) {
		t.Errorf("Columns: %v, want the %d columns of the record, number first", got, len(goodRow()))
	}
}

// TestGlance: what lists show of a record is put together as in the credential, and a
// date is there as far as it is known.
func TestGlance(t *testing.T) {
	p := example(t, "birth-certificate")
	columns := []string{"given_names", "middle_names", "family_name", "given_names_local", "family_name_local", "middle_names_local", "date_of_birth", "language"}
	c, err := registry.NewColumns(columns)
	if err != nil {
		t.Fatal(err)
	}
	glance := func(claim, born string) string {
		r := registry.NewRecord("B-1", 1, c, []string{"Ashok", "", "Akhtar", "অশোক", "আখতার", "আবদুল", born, "ben"})
		for i := range p.Claims {
			if p.Claims[i].Name == claim {
				return p.Glance(r, &p.Claims[i])
			}
		}
		t.Fatalf("no claim %s", claim)
		return ""
	}
	for _, tt := range []struct{ claim, born, want string }{
		{"full_name", "", "Ashok Akhtar"},
		{"local_name", "", "অশোক আবদুল আখতার"},
		{"local_language", "", "ben"},
		{"birth_date", "1961-03-12", "1961-03-12"},
		{"birth_date", "1961-03-00", "1961-03"},
		{"birth_date", "1961-00-00", "1961"},
		{"birth_date", "in spring", "in spring"},
		{"birth_date", "", ""},
		{"mother_name", "", ""}, // the source has no such column
	} {
		if got := glance(tt.claim, tt.born); got != tt.want {
			t.Errorf("%s of %q: %q, want %q", tt.claim, tt.born, got, tt.want)
		}
	}
}
