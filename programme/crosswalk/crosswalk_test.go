package crosswalk_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sanad-id/sanad/programme/crosswalk"
)

// A result is what a mapping gave, written so that tables stay readable: the
// value, then how it ended.
type result struct {
	Value string
	End   string // "", "loss" or "unreadable"
}

func end(err error) string {
	switch {
	case err == nil:
		return ""
	case isLoss(err):
		return "loss"
	case isUnreadable(err):
		return "unreadable"
	}
	return "another error: " + err.Error()
}

func isLoss(err error) bool {
	_, ok := errors.AsType[*crosswalk.LossError](err)
	return ok
}

func isUnreadable(err error) bool {
	_, ok := errors.AsType[*crosswalk.UnreadableError](err)
	return ok
}

func show[T any](v T, err error) result { return result{fmt.Sprint(v), end(err)} }

// TestSexRow is the row "sex" of the crosswalk: every value to every target.
func TestSexRow(t *testing.T) {
	loss := func(v string) result { return result{v, "loss"} }
	ok := func(v string) result { return result{v, ""} }
	tests := []struct {
		sex                      crosswalk.Sex
		iso, dci, crvs, claim169 result
		eudi                     int
	}{
		{crosswalk.SexNotKnown, ok("0"), ok("unknown"), ok("unknown"), loss("0"), 0},
		{crosswalk.SexMale, ok("1"), ok("male"), ok("male"), ok("1"), 1},
		{crosswalk.SexFemale, ok("2"), ok("female"), ok("female"), ok("2"), 2},
		{crosswalk.SexOther, loss("0"), ok("other"), loss("unknown"), ok("3"), 3},
		{crosswalk.SexInter, loss("0"), loss("other"), loss("unknown"), loss("3"), 4},
		{crosswalk.SexDiverse, loss("0"), loss("other"), loss("unknown"), loss("3"), 5},
		{crosswalk.SexOpen, loss("0"), loss("other"), loss("unknown"), loss("3"), 6},
		{crosswalk.SexNotApplicable, ok("9"), loss("unknown"), loss("unknown"), loss("0"), 9},
	}
	for _, tt := range tests {
		t.Run(tt.sex.String(), func(t *testing.T) {
			for _, c := range []struct {
				target    string
				got, want result
			}{
				{"ISO 5218", show(tt.sex.ISO5218()), tt.iso},
				{"DCI", show(tt.sex.DCI()), tt.dci},
				{"OpenCRVS", show(tt.sex.OpenCRVS()), tt.crvs},
				{"Claim 169", show(tt.sex.Claim169()), tt.claim169},
				{"EUDI", show(tt.sex.EUDI(), nil), show(tt.eudi, nil)},
			} {
				if c.got != c.want {
					t.Errorf("%s: %v, want %v", c.target, c.got, c.want)
				}
			}
		})
	}
}

func TestParseSex(t *testing.T) {
	own := map[string]crosswalk.Sex{"h": crosswalk.SexMale, "m": crosswalk.SexFemale}
	tests := []struct {
		text string
		own  map[string]crosswalk.Sex
		want result
	}{
		{"0", nil, result{"not known", ""}}, {"1", nil, result{"male", ""}}, {"2", nil, result{"female", ""}},
		{"3", nil, result{"other", ""}}, {"9", nil, result{"not applicable", ""}},
		{"male", nil, result{"male", ""}}, {"Female", nil, result{"female", ""}}, {"UNKNOWN", nil, result{"not known", ""}},
		{" Male ", nil, result{"male", ""}}, {"NOT_APPLICABLE", nil, result{"not applicable", ""}},
		{"M", nil, result{"male", ""}}, {"f", nil, result{"female", ""}}, {"O", nil, result{"other", ""}}, {"U", nil, result{"not known", ""}},
		{"Femme", nil, result{"female", ""}}, {"FÉMININ", nil, result{"female", ""}}, {"Homme", nil, result{"male", ""}}, {"inconnu", nil, result{"not known", ""}},
		{"Mulher", nil, result{"female", ""}}, {"masculino", nil, result{"male", ""}}, {"desconhecido", nil, result{"not known", ""}},
		{"Mwanamke", nil, result{"female", ""}}, {"mume", nil, result{"male", ""}}, {"haijulikani", nil, result{"not known", ""}},
		{"মহিলা", nil, result{"female", ""}}, {"পুরুষ", nil, result{"male", ""}}, {"ذكر", nil, result{"male", ""}}, {"أنثى", nil, result{"female", ""}},

		// What nobody can be sure of is refused, never turned into a sex.
		{"", nil, result{"not known", "unreadable"}},
		{"H", nil, result{"not known", "unreadable"}},
		{"x", nil, result{"not known", "unreadable"}},
		{"7", nil, result{"not known", "unreadable"}},
		{"femal", nil, result{"not known", "unreadable"}},
		{"Non", nil, result{"not known", "unreadable"}},

		// Unless the programme says what its registry means.
		{"H", own, result{"male", ""}}, {"M", own, result{"female", ""}}, {"F", own, result{"female", ""}},
	}
	for _, tt := range tests {
		if got := show(crosswalk.ParseSex(tt.text, tt.own)); got != tt.want {
			t.Errorf("ParseSex(%q): %v, want %v", tt.text, got, tt.want)
		}
	}
}

// TestBirthDateRow is the rows "birth date" and "unknown birth date".
func TestBirthDateRow(t *testing.T) {
	tests := []struct {
		date                     crosswalk.Date
		iso, claim169, dci, text result
	}{
		{crosswalk.Date{Year: 1984, Month: 4, Day: 18}, result{"1984-04-18", ""}, result{"19840418", ""}, result{"1984-04-18T00:00:00Z", ""}, result{"1984-04-18", ""}},
		{crosswalk.Date{Year: 1984, Month: 4}, result{"1984-04", "loss"}, result{"", "loss"}, result{"", "loss"}, result{"1984-04", ""}},
		{crosswalk.Date{Year: 1984}, result{"1984", "loss"}, result{"", "loss"}, result{"", "loss"}, result{"1984", ""}},
		{crosswalk.Date{}, result{"", "loss"}, result{"", "loss"}, result{"", "loss"}, result{"", ""}},
	}
	for _, tt := range tests {
		got := []result{show(tt.date.ISO()), show(tt.date.Claim169()), show(tt.date.DCI()), show(tt.date.String(), nil)}
		if diff := cmp.Diff([]result{tt.iso, tt.claim169, tt.dci, tt.text}, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", tt.date, diff)
		}
	}
}

// TestUnknownBirthDateRow is the way of OpenCRVS to write what is not known.
func TestUnknownBirthDateRow(t *testing.T) {
	on := crosswalk.Date{Year: 2026, Month: 1, Day: 15}
	tests := []struct {
		date crosswalk.Date
		want result
	}{
		{crosswalk.Date{Year: 1984, Month: 4, Day: 18}, result{"1984-04-18 false 0", ""}},
		{crosswalk.Date{Year: 1984, Month: 4}, result{" true 41", "loss"}},
		{crosswalk.Date{Year: 1984, Month: 1}, result{" true 41", "loss"}},
		{crosswalk.Date{Year: 1984}, result{" true 41", "loss"}},
		{crosswalk.Date{Year: 2026}, result{" true 0", "loss"}},
		{crosswalk.Date{}, result{" true 0", "loss"}},
	}
	for _, tt := range tests {
		dob, unknown, age, err := tt.date.OpenCRVS(on)
		if got := (result{fmt.Sprint(dob, " ", unknown, " ", age), end(err)}); got != tt.want {
			t.Errorf("%v: %v, want %v", tt.date, got, tt.want)
		}
	}
	for age, want := range map[int]result{41: {"1985", "loss"}, 0: {"2026", "loss"}, -1: {"", "unreadable"}, 151: {"", "unreadable"}} {
		if got := show(crosswalk.BornAtAge(age, on)); got != want {
			t.Errorf("age %d: %v, want %v", age, got, want)
		}
	}
}

func TestParseDate(t *testing.T) {
	dhaka := time.FixedZone("", 6*3600)
	tests := []struct {
		format string
		zone   *time.Location
		text   string
		want   result
	}{
		{"YYYY-MM-DD", nil, "1984-04-18", result{"1984-04-18", ""}},
		{"YYYYMMDD", nil, "19840418", result{"1984-04-18", ""}},
		{"DD-MM-YYYY", nil, "18-04-1984", result{"1984-04-18", ""}},
		{"DD/MM/YYYY", nil, "18/04/1984", result{"1984-04-18", ""}},
		{"MM/DD/YYYY", nil, "04/18/1984", result{"1984-04-18", ""}},
		{"DD.MM.YYYY", nil, "18.04.1984", result{"1984-04-18", ""}},
		{"D/M/YYYY", nil, "8/4/1984", result{"1984-04-08", ""}},
		{"D/M/YYYY", nil, "18/04/1984", result{"1984-04-18", ""}},
		{"D MMM YYYY", nil, "8 April 1984", result{"1984-04-08", ""}},
		{"DD-MMM-YYYY", nil, "08-APR-1984", result{"1984-04-08", ""}},
		{"YYYY", nil, "1984", result{"1984", ""}},
		{"YYYY-MM", nil, "1984-04", result{"1984-04", ""}},
		{"MM.YYYY", nil, "04.1984", result{"1984-04", ""}},
		{"YYYY-MM-DD", nil, " 1984-04-18 ", result{"1984-04-18", ""}},
		{"DD-MM-YYYY", nil, "১৮-০৪-১৯৮৪", result{"1984-04-18", ""}},
		{"YYYY-MM-DD", nil, "١٩٨٤-٠٤-١٨", result{"1984-04-18", ""}},

		{"YYYY-MM-DD", nil, "1984-04-00", result{"1984-04", ""}},
		{"YYYY-MM-DD", nil, "1984-00-00", result{"1984", ""}},
		{"YYYYMMDD", nil, "19840000", result{"1984", ""}},
		{"DD-MM-YYYY", nil, "00-00-1984", result{"1984", ""}},
		{"YYYY-MM-DD", nil, "1984-XX-XX", result{"1984", ""}},
		{"YYYY-MM-DD", nil, "1984-04-??", result{"1984-04", ""}},
		{"YYYY-MM-DD", nil, "0000-00-00", result{"", "loss"}},
		{"YYYY-MM-DD", nil, "XXXX-04-18", result{"0000-04-18", "loss"}},
		{"YYYY-MM-DD", nil, "1984-00-18", result{"1984", "loss"}},

		{"date-time", nil, "1984-04-18T00:00:00Z", result{"1984-04-18", ""}},
		{"date-time", nil, "1984-04-18T00:00:00.000Z", result{"1984-04-18", ""}},
		{"date-time", nil, "1984-04-18 00:00:00", result{"1984-04-18", ""}},
		{"date-time", nil, "1984-04-18T09:30:00", result{"1984-04-18", ""}},
		{"date-time", nil, "1984-04-17T18:00:00Z", result{"1984-04-17", "loss"}},
		{"date-time", dhaka, "1984-04-17T18:00:00Z", result{"1984-04-18", ""}},
		{"date-time", dhaka, "2021-03-05T09:30:00.000Z", result{"2021-03-05", ""}},

		{"YYYY-MM-DD", nil, "", result{"", "unreadable"}},
		{"YYYY-MM-DD", nil, "18-04-1984", result{"", "unreadable"}},
		{"DD/MM/YYYY", nil, "04/18/1984", result{"1984", "unreadable"}},
		{"DD/MM/YYYY", nil, "18/04/84", result{"", "unreadable"}},
		{"YYYY-MM-DD", nil, "1984-04-31", result{"", "unreadable"}},
		{"YYYY-MM-DD", nil, "1983-02-29", result{"", "unreadable"}},
		{"YYYY-MM-DD", nil, "2567-04-18", result{"", "unreadable"}},
		{"YYYY-MM-DD", nil, "1403-04-18", result{"", "unreadable"}},
		{"YYYY-MM-DD", nil, "1984-4-18", result{"", "unreadable"}},
		{"YYYY-MM-DD", nil, "1984-04-18x", result{"", "unreadable"}},
		{"YYYY-MM-DD", nil, "1984-0X-18", result{"", "unreadable"}},
		{"D/M/YYYY", nil, "/4/1984", result{"", "unreadable"}},
		{"date-time", nil, "1984-04-18", result{"", "unreadable"}},
	}
	for _, tt := range tests {
		f, err := crosswalk.ParseFormat(tt.format, tt.zone)
		if err != nil {
			t.Fatal(err)
		}
		d, err := f.Parse(tt.text)
		if got := end(err); got != tt.want.End {
			t.Errorf("%s of %q: %q (%v), want %q", tt.format, tt.text, got, err, tt.want.End)
		}
		if err == nil && d.String() != tt.want.Value {
			t.Errorf("%s of %q: %s, want %s", tt.format, tt.text, d, tt.want.Value)
		}
	}
}

func TestParseDateTakesTheFormatThatFits(t *testing.T) {
	formats := crosswalk.ISOFormats()
	for text, want := range map[string]result{
		"1984-04-18": {"1984-04-18", ""}, "19840418": {"1984-04-18", ""}, "1984-04": {"1984-04", ""}, "1984": {"1984", ""},
		"1984-04-18T00:00:00+06:00": {"1984-04-18", ""}, "18/04/1984": {"", "unreadable"}, "0000-00-00": {"", "loss"},
		"1984-04-17T18:00:00Z": {"", "loss"},
	} {
		d, err := crosswalk.ParseDate(text, formats)
		if got := (result{d.String(), end(err)}); got != want {
			t.Errorf("ParseDate(%q): %v (%v), want %v", text, got, err, want)
		}
	}
}

func TestParseFormatRefuses(t *testing.T) {
	for _, spec := range []string{"", "MM-DD", "YY-MM-DD", "YYYY-MM-DD-DD", "YYYY_MM_DD", "YYYY-DD", "DMYYYY", "yyyy-mm-dd", "YYYY MMM MM"} {
		if f, err := crosswalk.ParseFormat(spec, nil); err == nil {
			t.Errorf("ParseFormat(%q): %v, want an error", spec, f)
		}
	}
}

func TestAgeOver(t *testing.T) {
	on := crosswalk.Date{Year: 2026, Month: 3, Day: 1}
	tests := []struct {
		born crosswalk.Date
		on   crosswalk.Date
		want result
	}{
		{crosswalk.Date{Year: 2008, Month: 3, Day: 1}, on, result{"true", ""}},
		{crosswalk.Date{Year: 2008, Month: 3, Day: 2}, on, result{"false", ""}},
		{crosswalk.Date{Year: 2008, Month: 2, Day: 29}, on, result{"true", ""}},
		{crosswalk.Date{Year: 2008, Month: 2, Day: 29}, crosswalk.Date{Year: 2026, Month: 2, Day: 28}, result{"false", ""}},
		{crosswalk.Date{Year: 2007}, on, result{"true", ""}},
		{crosswalk.Date{Year: 2009}, on, result{"false", ""}},
		{crosswalk.Date{Year: 2008}, on, result{"false", "loss"}},
		{crosswalk.Date{Year: 2008, Month: 3}, on, result{"false", "loss"}},
		{crosswalk.Date{Year: 2008, Month: 2}, on, result{"true", ""}},
		{crosswalk.Date{}, on, result{"false", "loss"}},
	}
	for _, tt := range tests {
		if got := show(tt.born.AgeOver(18, tt.on)); got != tt.want {
			t.Errorf("born %s, on %s: %v, want %v", tt.born, tt.on, got, tt.want)
		}
	}
}

// TestNamesRow is the row "names": whole to parts and back.
func TestNamesRow(t *testing.T) {
	tests := []struct {
		name  string
		in    crosswalk.Name
		order crosswalk.Order
		whole string
		parts result
	}{
		{"parts", crosswalk.Name{Given: "Amina", Middle: "Rose", Family: "Odhiambo"}, crosswalk.GivenFirst, "Amina Rose Odhiambo", result{"Amina|Rose|Odhiambo", ""}},
		{"parts, family first", crosswalk.Name{Given: "Minh", Middle: "Văn", Family: "Nguyễn"}, crosswalk.FamilyFirst, "Nguyễn Minh Văn", result{"Minh|Văn|Nguyễn", ""}},
		{"no family name", crosswalk.Name{Given: "Suharto"}, crosswalk.GivenFirst, "Suharto", result{"Suharto||", ""}},
		{"family name only", crosswalk.Name{Family: "Nadar"}, crosswalk.GivenFirst, "Nadar", result{"||Nadar", ""}},
		{"spaces around parts", crosswalk.Name{Given: " Ana ", Family: "D’Souza "}, crosswalk.GivenFirst, "Ana D’Souza", result{"Ana||D’Souza", ""}},
		{"whole, one word", crosswalk.Name{Full: "Suharto"}, crosswalk.GivenFirst, "Suharto", result{"Suharto||", ""}},
		{"whole, with a comma", crosswalk.Name{Full: "Vega Ruiz Moreno, Ana Maria"}, crosswalk.GivenFirst, "Vega Ruiz Moreno, Ana Maria", result{"Ana|Maria|Vega Ruiz Moreno", ""}},
		{"whole, a guess", crosswalk.Name{Full: "Ana Maria Vega"}, crosswalk.GivenFirst, "Ana Maria Vega", result{"Ana|Maria|Vega", "loss"}},
		{"whole, a guess, family first", crosswalk.Name{Full: "Nguyễn Văn Minh"}, crosswalk.FamilyFirst, "Nguyễn Văn Minh", result{"Văn|Minh|Nguyễn", "loss"}},
		{"whole, Bengali, a guess", crosswalk.Name{Full: "রহিমা খাতুন"}, crosswalk.GivenFirst, "রহিমা খাতুন", result{"রহিমা||খাতুন", "loss"}},
		{"nothing", crosswalk.Name{}, crosswalk.GivenFirst, "", result{"||", "unreadable"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.in.Join(tt.order); got != tt.whole {
				t.Errorf("Join: %q, want %q", got, tt.whole)
			}
			given, middle, family, err := tt.in.Parts(tt.order)
			if got := (result{given + "|" + middle + "|" + family, end(err)}); got != tt.parts {
				t.Errorf("Parts: %v, want %v", got, tt.parts)
			}
		})
	}
}

func TestScript(t *testing.T) {
	for text, want := range map[string]string{
		"Rahima": "Latn", "রহিমা খাতুন": "Beng", "جون دو": "Arab", "አበበ": "Ethi", "សុខា": "Khmr", "ສົມ": "Laoo",
		"राम": "Deva", "Иван": "Cyrl", "D’Arunda é": "Latn", "123": "", "": "",
	} {
		if got := crosswalk.Script(text); got != want {
			t.Errorf("Script(%q) = %q, want %q", text, got, want)
		}
	}
}

// TestPlaceRow is the row "place of birth".
func TestPlaceRow(t *testing.T) {
	bd, err := crosswalk.LookupCountry("BD", nil)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name                      string
		place                     crosswalk.Place
		eudi, crvs, dci, claim169 result
	}{
		{"a town and its country", crosswalk.Place{Locality: "Jessore", Country: bd},
			result{"map[country:BD locality:Jessore]", ""}, result{"Jessore/BGD", ""}, result{"Jessore, BD", "loss"}, result{"", "loss"}},
		{"a hospital", crosswalk.Place{Facility: "Sadar Hospital", Locality: "Jessore", Country: bd},
			result{"map[country:BD locality:Jessore]", "loss"}, result{"Sadar Hospital/BGD", "loss"}, result{"Sadar Hospital, Jessore, BD", "loss"}, result{"", "loss"}},
		{"a code", crosswalk.Place{Code: "BD-40-41", Locality: "Jessore", Country: bd},
			result{"map[country:BD locality:Jessore]", "loss"}, result{"Jessore/BGD", ""}, result{"Jessore, BD", "loss"}, result{"BD-40-41", ""}},
		{"a country only", crosswalk.Place{Country: bd},
			result{"map[country:BD]", ""}, result{"/BGD", "loss"}, result{"BD", ""}, result{"", "loss"}},
		{"nothing", crosswalk.Place{}, result{"map[]", "loss"}, result{"/", "loss"}, result{"", "loss"}, result{"", "loss"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			name, country, err := tt.place.OpenCRVS()
			got := []result{show(tt.place.EUDI()), {name + "/" + country, end(err)}, show(tt.place.DCI()), show(tt.place.Claim169())}
			if diff := cmp.Diff([]result{tt.eudi, tt.crvs, tt.dci, tt.claim169}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestCountryRow is the row "country".
func TestCountryRow(t *testing.T) {
	own := map[string]string{"kestara": "XA", "xaa": "XA", "indian": "IN"}
	tests := []struct {
		text                   string
		own                    map[string]string
		alpha2, alpha3, lookup result
	}{
		{"BD", nil, result{"BD", ""}, result{"BGD", ""}, result{"Bangladesh", ""}},
		{"bgd", nil, result{"BD", ""}, result{"BGD", ""}, result{"Bangladesh", ""}},
		{"Bangladesh", nil, result{"BD", ""}, result{"BGD", ""}, result{"Bangladesh", ""}},
		{"  NIGERIA ", nil, result{"NG", ""}, result{"NGA", ""}, result{"Nigeria", ""}},
		{"UK", nil, result{"GB", ""}, result{"GBR", ""}, result{"United Kingdom", ""}},
		{"UAE", nil, result{"AE", ""}, result{"ARE", ""}, result{"United Arab Emirates", ""}},
		{"Ivory Coast", nil, result{"CI", ""}, result{"CIV", ""}, result{"Côte d'Ivoire", ""}},
		{"Indian", own, result{"IN", ""}, result{"IND", ""}, result{"India", ""}},
		{"XAA", own, result{"XA", ""}, result{"XA", "loss"}, result{"", ""}},

		{"Congo", nil, result{"", "loss"}, result{"", "loss"}, result{"", "unreadable"}},
		{"Korea", nil, result{"", "loss"}, result{"", "loss"}, result{"", "unreadable"}},
		{"Indian", nil, result{"", "loss"}, result{"", "loss"}, result{"", "unreadable"}},
		{"XX", nil, result{"", "loss"}, result{"", "loss"}, result{"", "unreadable"}},
		{"Farajaland", nil, result{"", "loss"}, result{"", "loss"}, result{"", "unreadable"}},
		{"", nil, result{"", "loss"}, result{"", "loss"}, result{"", "unreadable"}},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			c, err := crosswalk.LookupCountry(tt.text, tt.own)
			got := []result{show(c.ISOAlpha2()), show(c.ISOAlpha3()), {c.Name, end(err)}}
			if diff := cmp.Diff([]result{tt.alpha2, tt.alpha3, tt.lookup}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestCountriesAreConsistent(t *testing.T) {
	list := crosswalk.Countries()
	if len(list) != 249 {
		t.Errorf("%d countries, want the 249 of ISO 3166-1", len(list))
	}
	for _, c := range list {
		for _, word := range []string{c.Alpha2, c.Alpha3, c.Name} {
			if got, err := crosswalk.LookupCountry(word, nil); err != nil || got != c {
				t.Errorf("LookupCountry(%q) = %v, %v, want %v", word, got, err, c)
			}
		}
		if crosswalk.UserAssigned(c.Alpha2) {
			t.Errorf("%s counts as user-assigned", c.Alpha2)
		}
	}
	for _, code := range []string{"AA", "QM", "QZ", "XA", "XZ", "ZZ"} {
		if !crosswalk.UserAssigned(code) {
			t.Errorf("%s does not count as user-assigned", code)
		}
	}
}

// TestRegistrationRow is the row "registration number".
func TestRegistrationRow(t *testing.T) {
	tests := []struct {
		kind, number               string
		parse, dci, crvs, claim169 result
	}{
		{"BRN", "B-07-1", result{"BRN", ""}, result{"BRN B-07-1", ""}, result{"B-07-1", ""}, result{"B-07-1", ""}},
		{"BIRTH_REG_NO", " B-07-1 ", result{"BRN", ""}, result{"BRN B-07-1", ""}, result{"B-07-1", ""}, result{"B-07-1", ""}},
		{"drn", "D-1", result{"DRN", ""}, result{"DRN D-1", ""}, result{"D-1", ""}, result{"D-1", ""}},
		{"UIN", "999", result{"UIN", ""}, result{"UIN 999", ""}, result{"", "loss"}, result{"999", ""}},
		{"PASSPORT", "P1", result{"", "unreadable"}, result{" ", ""}, result{"", ""}, result{"", ""}},
		{"BRN", " ", result{"", "unreadable"}, result{" ", ""}, result{"", ""}, result{"", ""}},
	}
	for _, tt := range tests {
		r, err := crosswalk.ParseRegistration(tt.kind, tt.number)
		kind, number := r.DCI()
		got := []result{{r.Kind, end(err)}, {kind + " " + number, ""}, show(r.OpenCRVS()), show(r.Claim169(), nil)}
		if diff := cmp.Diff([]result{tt.parse, tt.dci, tt.crvs, tt.claim169}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.kind, diff)
		}
		if eudi := show(r.EUDI()); eudi != tt.crvs {
			t.Errorf("%s: EUDI %v, want %v", tt.kind, eudi, tt.crvs)
		}
	}
}

// TestParentsRow is the row "parents".
func TestParentsRow(t *testing.T) {
	mother := crosswalk.Parent{Name: crosswalk.Name{Given: "Rina", Family: "Akter"}, Identifier: "N1"}
	father := crosswalk.Parent{Name: crosswalk.Name{Full: "Karim Uddin"}}
	absent := crosswalk.Parent{NotAvailable: true}
	tests := []struct {
		name                      string
		parents                   crosswalk.Parents
		eudi, crvs, dci, claim169 result
	}{
		{"mother and father", crosswalk.Parents{mother, father},
			result{"[map[family_name:Akter given_name:Rina] map[name:Karim Uddin]]", ""},
			result{"[{Rina  Akter false} {Karim  Uddin false}]", "loss"},
			result{"N1,", "loss"}, result{"Rina Akter", "loss"}},
		{"mother only", crosswalk.Parents{mother},
			result{"[map[family_name:Akter given_name:Rina]]", ""}, result{"[{Rina  Akter false}]", ""}, result{"N1,", "loss"}, result{"Rina Akter", ""}},
		{"father not available", crosswalk.Parents{mother, absent},
			result{"[map[family_name:Akter given_name:Rina]]", "loss"}, result{"[{Rina  Akter false} {   true}]", ""}, result{"N1,", "loss"}, result{"Rina Akter", ""}},
		{"numbers only", crosswalk.Parents{{Identifier: "N1"}, {Identifier: "N2"}},
			result{"[map[] map[]]", ""}, result{"[{   false} {   false}]", "unreadable"}, result{"N1,N2", ""}, result{"", "loss"}},
		{"three", crosswalk.Parents{mother, mother, mother},
			result{"[map[family_name:Akter given_name:Rina] map[family_name:Akter given_name:Rina] map[family_name:Akter given_name:Rina]]", ""},
			result{"[]", "loss"}, result{"N1,N1", "loss"}, result{"Rina Akter", "loss"}},
		{"none", nil, result{"[]", ""}, result{"[]", ""}, result{",", ""}, result{"", "loss"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			first, second, err := tt.parents.DCI()
			got := []result{
				show(tt.parents.EUDI(false)), show(tt.parents.OpenCRVS(crosswalk.GivenFirst)),
				{first + "," + second, end(err)}, show(tt.parents.Claim169(crosswalk.GivenFirst)),
			}
			if diff := cmp.Diff([]result{tt.eudi, tt.crvs, tt.dci, tt.claim169}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseQuantity(t *testing.T) {
	own := map[string]string{"bigha": "bigha", "acre": "ac"}
	for _, tt := range []struct {
		text string
		own  map[string]string
		want result
	}{
		{"3 hectares", nil, result{"{3 ha}", ""}}, {"2.5 acres", nil, result{"{2.5 acre}", ""}}, {"1 hectare", nil, result{"{1 ha}", ""}},
		{"2.5ha", nil, result{"{2.5 ha}", ""}}, {"120 m²", nil, result{"{120 m2}", ""}}, {"৩ ha", nil, result{"{3 ha}", ""}},
		{"4 Bigha", own, result{"{4 bigha}", ""}}, {"4 acre", own, result{"{4 ac}", ""}},
		{"4 bigha", nil, result{"{ }", "unreadable"}}, {"3", nil, result{"{ }", "unreadable"}}, {"hectares", nil, result{"{ }", "unreadable"}},
		{"2,5 ha", nil, result{"{ }", "unreadable"}}, {"1.2.3 ha", nil, result{"{ }", "unreadable"}}, {"1. ha", nil, result{"{ }", "unreadable"}}, {"-3 ha", nil, result{"{ }", "unreadable"}}, {"", nil, result{"{ }", "unreadable"}},
	} {
		if got := show(crosswalk.ParseQuantity(tt.text, tt.own)); got != tt.want {
			t.Errorf("ParseQuantity(%q): %v, want %v", tt.text, got, tt.want)
		}
	}
}

func TestISO6393(t *testing.T) {
	for tag, want := range map[string]result{
		"bn": {"ben", ""}, "EN": {"eng", ""}, "eng": {"eng", ""}, "AR": {"ara", ""}, "bn-BD": {"ben", ""}, "sw_KE": {"swa", ""}, "rhg": {"rhg", ""},
		"": {"", "unreadable"}, "x1": {"", "unreadable"}, "und": {"", "unreadable"}, "english": {"", "unreadable"},
	} {
		if got := show(crosswalk.ISO6393(tag)); got != want {
			t.Errorf("ISO6393(%q): %v, want %v", tag, got, want)
		}
	}
}

// TestErrorsQuoteNoValue keeps personal data out of messages.
func TestErrorsQuoteNoValue(t *testing.T) {
	const secret = "Zanzibarbara"
	f, _ := crosswalk.ParseFormat("YYYY-MM-DD", nil)
	_, errSex := crosswalk.ParseSex(secret, nil)
	_, errDate := f.Parse(secret)
	_, errCountry := crosswalk.LookupCountry(secret, nil)
	_, errQuantity := crosswalk.ParseQuantity("3 "+secret, nil)
	_, errLanguage := crosswalk.ISO6393(secret)
	_, errKind := crosswalk.ParseRegistration(secret, "1")
	_, errName := crosswalk.SplitName(secret+" "+secret, crosswalk.GivenFirst)
	for _, err := range []error{errSex, errDate, errCountry, errQuantity, errLanguage, errKind, errName} {
		if err == nil {
			t.Error("no error")
		} else if strings.Contains(strings.ToLower(err.Error()), strings.ToLower(secret)) {
			t.Errorf("an error quotes the value: %v", err)
		}
	}
}
