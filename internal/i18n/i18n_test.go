package i18n_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/qr"
	"github.com/sanad-id/sanad/verification"
)

// catalog reads the catalogues of a language as they are on disk. It refuses a key
// that occurs twice, which encoding/json would pass over, and one of another area.
func catalog(t *testing.T, tag string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, area := range append([]string{""}, i18n.Areas()...) {
		name := strings.TrimPrefix(area+"."+tag+".json", ".")
		b, err := os.ReadFile(filepath.Join("catalog", name))
		if err != nil {
			t.Fatal(err)
		}
		var c map[string]string
		if err := json.Unmarshal(b, &c); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if n := strings.Count(string(b), "\n") - 2; n != len(c) {
			t.Errorf("%s: %d lines for %d keys: one line a key, each key once", name, n, len(c))
		}
		for key, sentence := range c {
			family, _, _ := strings.Cut(key, ".")
			if area != "" && family != area || area == "" && slices.Contains(i18n.Areas(), family) {
				t.Errorf("%s: %s belongs to another file", name, key)
			}
			all[key] = sentence
		}
	}
	return all
}

// forms are the plural forms that a language distinguishes for whole numbers.
func forms(tag string) []string {
	names := map[plural.Form]string{
		plural.Zero: "zero", plural.One: "one", plural.Two: "two", plural.Few: "few", plural.Many: "many", plural.Other: "other",
	}
	found := map[string]bool{}
	for n := range 1000 {
		found[names[plural.Cardinal.MatchPlural(language.MustParse(tag), n, 0, 0, 0, 0)]] = true
	}
	return slices.Sorted(maps.Keys(found))
}

var (
	hole       = regexp.MustCompile(`\{[a-z]+\}`)
	pluralForm = regexp.MustCompile(`\.(zero|one|two|few|many|other)$`)
)

// shape returns the keys of a catalogue with their holes. The plural forms of a
// key count as one, whose holes are those of the form for other numbers.
func shape(t *testing.T, tag string, c map[string]string) map[string]string {
	t.Helper()
	keys, plurals := map[string]string{}, map[string][]string{}
	for key, sentence := range c {
		holes := hole.FindAllString(sentence, -1)
		slices.Sort(holes)
		if len(holes) != strings.Count(sentence, "{") || len(holes) != strings.Count(sentence, "}") {
			t.Errorf("%s: %s: a stray brace in %q", tag, key, sentence)
		}
		if form := pluralForm.FindString(key); form != "" {
			base := strings.TrimSuffix(key, form)
			plurals[base] = append(plurals[base], form[1:])
			if form != ".other" {
				continue
			}
			key = base
		}
		keys[key] = strings.Join(holes, " ")
	}
	for base, have := range plurals {
		slices.Sort(have)
		if want := forms(tag); !slices.Equal(have, want) {
			t.Errorf("%s: %s has the forms %v, the language %v", tag, base, have, want)
		}
	}
	return keys
}

// TestCatalogsAreComplete compares keys and holes of all languages, and the keys
// with the codes that the program uses.
func TestCatalogsAreComplete(t *testing.T) {
	english := catalog(t, "en")
	want := shape(t, "en", english)
	for _, l := range i18n.Languages() {
		tag := l.Tag()
		c := catalog(t, tag)
		have := shape(t, tag, c)
		for key, holes := range want {
			if got, ok := have[key]; !ok {
				t.Errorf("%s lacks %s", tag, key)
			} else if got != holes {
				t.Errorf("%s: %s has the holes %q, English %q", tag, key, got, holes)
			}
		}
		for key := range have {
			if _, ok := want[key]; !ok {
				t.Errorf("%s has %s, which English lacks", tag, key)
			}
		}
		for key, sentence := range c {
			if sentence == "" || strings.TrimSpace(sentence) != sentence || !norm.NFC.IsNormalString(sentence) {
				t.Errorf("%s: %s is empty, has space around it or is not in NFC: %q", tag, key, sentence)
			}
			translated := tag == "en" || sentence != english[key]
			if !translated && (strings.HasPrefix(key, "reason.") || strings.HasPrefix(key, "advice.") || strings.HasPrefix(key, "verdict.") ||
				len(strings.Fields(hole.ReplaceAllString(sentence, ""))) > 2) {
				t.Errorf("%s: %s is not translated", tag, key)
			}
		}
	}
	files, err := os.ReadDir("catalog")
	if n := (1 + len(i18n.Areas())) * len(i18n.Languages()); err != nil || len(files) != n {
		t.Errorf("%d catalogues, want %d: %v", len(files), n, err)
	}

	var codes []string
	for _, r := range credential.Reasons() {
		codes = append(codes, "reason."+string(r), "advice."+string(r))
	}
	for _, v := range verification.Verdicts() {
		codes = append(codes, "verdict."+string(v))
	}
	for _, id := range verification.CheckIDs() {
		codes = append(codes, "check."+string(id))
	}
	for _, r := range verification.Results() {
		codes = append(codes, "result."+string(r))
	}
	for _, w := range verification.Warnings() {
		codes = append(codes, "warning."+string(w))
	}
	for _, k := range qr.Kinds() {
		codes = append(codes, "kind."+string(k))
	}
	codes = append(codes, "kind.cose", "kind.picture", "person_check.photo", "person_check.other_id", "person_check.none",
		"status_as_of", "status_never", "paper_copy", "trust.fingerprint", "trust.as_of", "trust.next_update",
		"label.issuer", "label.type", "label.issued", "label.expires")
	for _, key := range codes {
		if !i18n.Has(key) {
			t.Errorf("there is no sentence for %s", key)
		}
	}
	// And none is left over from a code that is gone.
	for key := range english {
		family, _, _ := strings.Cut(key, ".")
		if slices.Contains([]string{"reason", "advice", "verdict", "check", "result", "warning", "kind"}, family) && !slices.Contains(codes, key) {
			t.Errorf("%s is a sentence for no code", key)
		}
	}
}

// TestScripts finds sentences in the wrong file.
func TestScripts(t *testing.T) {
	english := catalog(t, "en")
	script := map[string]*unicode.RangeTable{"bn": unicode.Bengali, "ar": unicode.Arabic}
	for _, l := range i18n.Languages() {
		own := script[l.Tag()]
		if own == nil {
			own = unicode.Latin
		}
		for key, sentence := range catalog(t, l.Tag()) {
			if !strings.Contains(key, ".") || key == "language.direction" || key == "language.digits" {
				continue
			}
			// What is no word in English (holes, QR, PDF) need not be one here.
			if !strings.ContainsFunc(hole.ReplaceAllString(english[key], ""), unicode.IsLower) {
				continue
			}
			if !strings.ContainsFunc(sentence, func(r rune) bool { return unicode.Is(own, r) }) {
				t.Errorf("%s: %s is in another script: %q", l, key, sentence)
			}
		}
	}
}

func TestLanguages(t *testing.T) {
	var got []string
	for _, l := range i18n.Languages() {
		got = append(got, fmt.Sprintf("%s %s %s", l, l.Name(), l.Direction()))
	}
	want := []string{"en English ltr", "fr Français ltr", "pt Português ltr", "sw Kiswahili ltr", "bn বাংলা ltr", "ar العربية rtl"}
	if !slices.Equal(got, want) {
		t.Errorf("Languages: %q, want %q", got, want)
	}
	var zero i18n.Language
	if zero != i18n.Languages()[0] || zero.Tag() != "en" {
		t.Errorf("the zero language is %v", zero)
	}
}

func TestFor(t *testing.T) {
	for _, tt := range []struct {
		wanted []string
		want   string
	}{
		{nil, "en"},
		{[]string{""}, "en"},
		{[]string{"bn"}, "bn"},
		{[]string{"bn-BD"}, "bn"},
		{[]string{"bn_IN.UTF-8"}, "bn"},
		{[]string{"fr_FR.UTF-8@euro"}, "fr"},
		{[]string{"pt-BR,pt;q=0.9,en;q=0.8"}, "pt"},
		{[]string{"ar-MA"}, "ar"},
		{[]string{"sw_KE"}, "sw"},
		{[]string{"de", "sw"}, "sw"},
		{[]string{"de-AT;q=0.9,fr;q=0.5"}, "fr"},
		{[]string{"zh-Hant"}, "en"},
		{[]string{"C.UTF-8"}, "en"},
		{[]string{"POSIX"}, "en"},
		{[]string{"not a language!"}, "en"},
		{[]string{"not a language!", "fr"}, "fr"},
		{[]string{strings.Repeat("fr,", 1000)}, "en"},
		{[]string{"\x00\xff"}, "en"},
	} {
		if got := i18n.For(tt.wanted...); got.Tag() != tt.want {
			t.Errorf("For(%.60q): %s, want %s", tt.wanted, got, tt.want)
		}
	}
}

// TestDigitsAsked: the digits are those of the first tag of the language that is spoken.
func TestDigitsAsked(t *testing.T) {
	for _, tt := range []struct{ wanted, want string }{
		{"ar", "7"}, {"ar-EG-u-nu-arab", "٧"}, {"AR-U-CA-ISLAMIC-NU-ARAB", "٧"}, {"ar-u-nu-native", "٧"}, {"ar-u-nu-latn", "7"}, {"ar-u-nu-beng", "7"}, {"ar-u-nu", "7"}, {"ar-nu-arab", "7"},
		{"bn", "৭"}, {"bn-u-nu-latn", "7"}, {"bn-u-nu-beng", "৭"}, {"fr-u-nu-native", "7"},
		{"en-u-nu-arab,ar;q=0.9", "7"}, {"de-u-nu-latn, bn-u-nu-latn;q=0.9, bn;q=0.8", "7"}, {"bn, bn-u-nu-latn;q=0.5", "৭"},
	} {
		if got := i18n.For(tt.wanted).Number(7); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.wanted, got, tt.want)
		}
	}
	for _, wanted := range []string{"en-u-nu-native", "en-u-nu-"} { // it has no others
		if i18n.For(wanted) != i18n.For("en") {
			t.Errorf("%s is another language than en", wanted)
		}
	}
}

func TestText(t *testing.T) {
	en, ar := i18n.For("en"), i18n.For("ar")
	args := map[string]string{"date": "12 November 2026", "version": "41"}
	for _, tt := range []struct {
		name string
		got  string
		want string
	}{
		{"the verdicts of style.md 3.4", en.Text("verdict.check_needed", nil), "Genuine - check needed"},
		{"holes", en.Text("trust.as_of", args), "Trust data of 12 November 2026, version 41"},
		{"a value with a hole in it", en.Text("trust.next_update", map[string]string{"date": "{date}{version}"}), "Next update due by {date}{version}"},
		{"a hole without a value", en.Text("trust.as_of", map[string]string{"date": "today"}), "Trust data of today, version {version}"},
		{"no values", en.Text("trust.next_update", nil), "Next update due by {date}"},
		{"an unknown key", en.Text("no.such.key", args), "no.such.key"},
		{"a value that runs the other way", en.Text("trust.next_update", map[string]string{"date": "عمر 5"}), "Next update due by \u2068عمر 5\u2069"},
		{"values apart from text that runs the other way", ar.Text("trust.next_update", map[string]string{"date": "X"}), "التحديث التالي قبل \u2068X\u2069"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, tt.got, tt.want)
		}
	}
}

func TestDatesAndAges(t *testing.T) {
	at, first := time.Date(2026, 11, 12, 23, 30, 0, 0, time.FixedZone("", -3600)), time.Date(2027, 2, 1, 8, 0, 0, 0, time.UTC)
	for _, tt := range []struct{ tag, day, first, minutes, hours, twoDays, nineDays string }{
		{"en", "13 November 2026", "1 February 2027", "less than an hour", "5 hours", "2 days", "9 days"},
		{"fr", "13 novembre 2026", "1er février 2027", "moins d’une heure", "5 heures", "2 jours", "9 jours"},
		{"pt", "13 de novembro de 2026", "1 de fevereiro de 2027", "menos de uma hora", "5 horas", "2 dias", "9 dias"},
		{"sw", "13 Novemba 2026", "1 Februari 2027", "chini ya saa moja", "saa 5", "siku 2", "siku 9"},
		{"bn", "১৩ নভেম্বর ২০২৬", "১ ফেব্রুয়ারি ২০২৭", "এক ঘণ্টারও কম", "৫ ঘণ্টা", "২ দিন", "৯ দিন"},
		{"ar", "13 نوفمبر 2026", "1 فبراير 2027", "أقل من ساعة", "5 ساعات", "يومين", "9 أيام"},
	} {
		l := i18n.For(tt.tag)
		got := []string{
			l.Date(at), l.Date(first), l.Age(59 * time.Minute), l.Age(5*time.Hour + time.Minute), l.Age(48 * time.Hour), l.Age(9*24*time.Hour + 23*time.Hour),
		}
		want := []string{tt.day, tt.first, tt.minutes, tt.hours, tt.twoDays, tt.nineDays}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", tt.tag, got, want)
		}
		if got := l.Age(-time.Hour); got != tt.minutes {
			t.Errorf("%s: Age of the future: %q, want %q", tt.tag, got, tt.minutes)
		}
	}
	if got := i18n.For("en").Age(47 * time.Hour); got != "47 hours" {
		t.Errorf("Age: %q, want 47 hours", got)
	}
}

// TestKnown writes dates that are known in part.
func TestKnown(t *testing.T) {
	for _, tt := range []struct{ tag, text, want string }{
		{"en", "20261112", "12 November 2026"},
		{"bn", "2026-11-12", "১২ নভেম্বর ২০২৬"},
		{"fr", "1962-02-01", "1er février 1962"},
		{"pt", "1962-11", "novembro de 1962"},
		{"sw", "1962-02", "Februari 1962"},
		{"ar", "1962-11", "نوفمبر 1962"},
		{"bn", "1962", "১৯৬২"},
		{"en", "0001", "1"},
	} {
		if got, ok := i18n.For(tt.tag).Known(tt.text); !ok || got != tt.want {
			t.Errorf("%s: %q is written %q (%v), want %q", tt.tag, tt.text, got, ok, tt.want)
		}
	}
	for _, text := range []string{"", "2026-02-30", "2026-13", "26", "12/11/2026", "2026-11-12T00:00:00Z", "about 1962"} {
		if got, ok := i18n.For("bn").Known(text); ok || got != text {
			t.Errorf("%q is written %q (%v), want it as it is", text, got, ok)
		}
	}
}

func TestCount(t *testing.T) {
	for _, tt := range []struct {
		tag  string
		n    int
		want string
	}{
		{"en", 1, "1 day"}, {"en", 0, "0 days"}, {"fr", 0, "0 jour"}, {"fr", 2, "2 jours"}, {"pt", 1, "1 dia"},
		{"bn", 100, "১০০ দিন"}, {"sw", 1, "siku 1"},
		{"ar", 0, "0 يوم"}, {"ar", 1, "يوم واحد"}, {"ar", 2, "يومين"}, {"ar", 3, "3 أيام"}, {"ar", 11, "11 يومًا"}, {"ar", 100, "100 يوم"}, {"ar", 103, "103 أيام"},
	} {
		if got := i18n.For(tt.tag).Count("age.days", tt.n); got != tt.want {
			t.Errorf("%s %d: %q, want %q", tt.tag, tt.n, got, tt.want)
		}
	}
	if got := i18n.For("bn").Number(-1905); got != "-১৯০৫" {
		t.Errorf("Number: %q", got)
	}
}

func TestCountTextFillsTheOtherHoles(t *testing.T) {
	// A value that looks like the hole for the number stays as it is.
	if got, want := i18n.For("ar").CountText("age.days", 12345, map[string]string{"name": "{n}"}), "12,345 يومًا"; got != want {
		t.Errorf("CountText: %q, want %q", got, want)
	}
}

func TestNumbers(t *testing.T) {
	const space = "\u00a0"
	for _, tt := range []struct {
		tag                         string
		year, count, lakh, x, share string
	}{
		{"en", "2026", "12,345", "123,456", "1.5", "12%"},
		{"en-u-nu-native", "2026", "12,345", "123,456", "1.5", "12%"},
		{"fr", "2026", "12" + space + "345", "123" + space + "456", "1,5", "12" + space + "%"},
		{"pt", "2026", "12" + space + "345", "123" + space + "456", "1,5", "12%"},
		{"sw", "2026", "12,345", "123,456", "1.5", "12%"},
		{"bn", "২০২৬", "১২,৩৪৫", "১,২৩,৪৫৬", "১.৫", "১২%"},
		{"bn-u-nu-beng", "২০২৬", "১২,৩৪৫", "১,২৩,৪৫৬", "১.৫", "১২%"},
		{"bn-u-nu-latn", "2026", "12,345", "1,23,456", "1.5", "12%"},
		{"ar", "2026", "12,345", "123,456", "1.5", "12\u200e%\u200e"},
		{"ar-u-nu-arab", "٢٠٢٦", "١٢٬٣٤٥", "١٢٣٬٤٥٦", "١٫٥", "١٢٪\u061c"},
	} {
		l := i18n.For(tt.tag)
		got := []string{l.Number(2026), l.Quantity(12345), l.Quantity(123456), l.Decimal(1.46, 1), l.Percent(0.123)}
		if want := []string{tt.year, tt.count, tt.lakh, tt.x, tt.share}; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", tt.tag, got, want)
		}
	}
}

func TestDigitsOfDates(t *testing.T) {
	at := time.Date(2027, 2, 1, 23, 5, 0, 0, time.FixedZone("", 6*3600))
	for _, tt := range []struct {
		tag                             string
		day, moment, month, hours, lang string
	}{
		{"en", "1 February 2027", "1 February 2027, 23:05", "February 2027", "5 hours", "en"},
		{"fr", "1er février 2027", "1er février 2027 à 23:05", "février 2027", "5 heures", "fr"},
		{"pt", "1 de fevereiro de 2027", "1 de fevereiro de 2027, 23:05", "fevereiro de 2027", "5 horas", "pt"},
		{"sw", "1 Februari 2027", "1 Februari 2027, 23:05", "Februari 2027", "saa 5", "sw"},
		{"bn", "১ ফেব্রুয়ারি ২০২৭", "১ ফেব্রুয়ারি ২০২৭, ২৩:০৫", "ফেব্রুয়ারি ২০২৭", "৫ ঘণ্টা", "bn"},
		{"bn-u-nu-latn", "1 ফেব্রুয়ারি 2027", "1 ফেব্রুয়ারি 2027, 23:05", "ফেব্রুয়ারি 2027", "5 ঘণ্টা", "bn"},
		{"ar", "1 فبراير 2027", "1 فبراير 2027، 23:05", "فبراير 2027", "5 ساعات", "ar"},
		{"ar-u-nu-arab", "١ فبراير ٢٠٢٧", "١ فبراير ٢٠٢٧، ٢٣:٠٥", "فبراير ٢٠٢٧", "٥ ساعات", "ar"},
	} {
		l := i18n.For(tt.tag)
		got := []string{l.Date(at), l.DateTime(at), l.Month(at), l.Age(5 * time.Hour), l.Tag()}
		if want := []string{tt.day, tt.moment, tt.month, tt.hours, tt.lang}; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", tt.tag, got, want)
		}
	}
	// A moment is told where it is, a date in UTC.
	night := time.Date(2027, 2, 1, 1, 0, 0, 0, time.FixedZone("", 6*3600))
	if got := i18n.For("en").DateTime(night); got != "1 February 2027, 01:00" {
		t.Errorf("DateTime: %q", got)
	}
	if got := i18n.For("en").Date(night); got != "31 January 2027" {
		t.Errorf("Date: %q", got)
	}
}

func TestList(t *testing.T) {
	for _, tt := range []struct {
		tag   string
		items []string
		want  string
	}{
		{"en", nil, ""}, {"en", []string{"a"}, "a"}, {"en", []string{"a", "b"}, "a and b"}, {"en", []string{"a", "{b}", "c"}, "a, {b} and c"},
		{"fr", []string{"a", "b", "c"}, "a, b et c"}, {"ar", []string{"س", "ص", "ع"}, "س، ص وع"}, {"bn", []string{"ক", "খ"}, "ক ও খ"},
	} {
		if got := i18n.For(tt.tag).List(tt.items); got != tt.want {
			t.Errorf("%s %q: %q, want %q", tt.tag, tt.items, got, tt.want)
		}
	}
}

func TestEveryDayHasAName(t *testing.T) {
	for _, l := range i18n.Languages() {
		if n := utf8.RuneCountInString(catalog(t, l.Tag())["language.digits"]); n != 10 {
			t.Errorf("%s: %d digits", l, n)
		}
		seen := map[string]bool{}
		for day := range 366 {
			s := l.Date(time.Date(2028, 1, 1+day, 0, 0, 0, 0, time.UTC))
			if seen[s] || strings.ContainsAny(s, "{}") || strings.Contains(s, "month") {
				t.Errorf("%s: day %d is %q", l, day, s)
			}
			seen[s] = true
		}
	}
}

func TestPick(t *testing.T) {
	labels := map[string]string{"en": "Farmer card", "bn": "কৃষক কার্ড", "pt-BR": "Cartão do agricultor"}
	for _, tt := range []struct {
		tag    string
		labels map[string]string
		want   string
	}{
		{"bn", labels, "কৃষক কার্ড"},
		{"en", labels, "Farmer card"},
		{"pt", labels, "Cartão do agricultor"},
		{"fr", labels, "Farmer card"},
		{"fr", map[string]string{"zh": "农民证", "bn": "কার্ড"}, "কার্ড"},
		{"fr", map[string]string{"not a tag": "x"}, ""},
		{"fr", nil, ""},
	} {
		if got := i18n.For(tt.tag).Pick(tt.labels); got != tt.want {
			t.Errorf("%s of %v: %q, want %q", tt.tag, tt.labels, got, tt.want)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	var wg sync.WaitGroup
	for _, l := range i18n.Languages() {
		wg.Go(func() {
			for range 50 {
				_ = l.Text("reason.revoked", nil) + l.Date(time.Now()) + l.Age(time.Hour) + i18n.For(l.Tag()).Name()
			}
		})
	}
	wg.Wait()
}

// FuzzFor holds that no preference, which comes from outside, does harm: there is
// always one of our languages.
func FuzzFor(f *testing.F) {
	for _, s := range []string{"bn-BD", "pt-BR,pt;q=0.9", "fr_FR.UTF-8", "x-private", "en-u-nu-beng", "bn-u-nu-latn", ""} {
		f.Add(s)
	}
	var all []string
	for _, l := range i18n.Languages() {
		all = append(all, l.Tag())
	}
	boundtest.Fuzz(f, func(t *testing.T, s string) {
		if l := i18n.For(s, "de"); !slices.Contains(all, l.Tag()) || l.Name() == "" {
			t.Fatalf("For(%q): %v", s, l)
		}
	})
}

func Example() {
	l := i18n.For("pt-BR", "en")
	asOf := time.Date(2026, 11, 12, 0, 0, 0, 0, time.UTC)
	fmt.Println(l.Text("verdict.invalid", nil))
	fmt.Println(l.Text("reason.revoked", nil))
	fmt.Println(l.Text("status_as_of", map[string]string{"date": l.Date(asOf), "age": l.Age(9 * 24 * time.Hour)}))
	// Output:
	// Não aceitar
	// O emissor revogou-o.
	// Verificado com listas de 12 de novembro de 2026 (há 9 dias)
}

// TestCoded: codes of languages and countries have the names that CLDR has, in every
// language; what is no such code has none.
func TestCoded(t *testing.T) {
	for _, tt := range []struct{ tag, code, want string }{
		{"en", "ben", "Bangla"}, {"en", "bn", "Bangla"}, {"fr", "amh", "amharique"}, {"bn", "khm", "খমের"}, {"ar", "ara", "العربية"},
		{"en", "BD", "Bangladesh"}, {"en", "BGD", "Bangladesh"}, {"pt", "SZ", "Essuatíni"}, {"ar", "BD", "بنغلاديش"}, {"sw", "XK", "Kosovo"},
		{"en", "XA", ""}, {"en", "ZZ", ""}, {"en", "QQQ", ""}, {"en", "und", ""}, {"en", "Ben", ""}, {"en", "b", ""}, {"en", "", ""}, {"en", "12", ""}, {"en", "bengali", ""}, {"en", "é", ""},
	} {
		if got, ok := i18n.For(tt.tag).Coded(tt.code); got != tt.want || ok != (tt.want != "") {
			t.Errorf("%s, %q: %q, %v, want %q", tt.tag, tt.code, got, ok, tt.want)
		}
	}
	for _, l := range i18n.Languages() {
		for _, own := range i18n.Languages() {
			if name, ok := l.Coded(own.Tag()); !ok || strings.TrimSpace(name) != name {
				t.Errorf("%s has no name for %s: %q", l, own, name)
			}
		}
	}
}
