// Package i18n turns the codes that programs use (verdicts, reasons, checks) into
// sentences for people, in six languages: English, French, Portuguese, Swahili,
// Bengali and Arabic.
//
// Start with [For], which picks the language that suits a person best, and
// [Language.Text]. Keys are the codes themselves with what they are before them:
// "verdict.valid", "reason.expired", "advice.expired". A catalogue is flat JSON in
// catalog/: LANG.json, which all programs share, and AREA.LANG.json for each of
// [Areas], whose keys begin with "AREA."; what counts something has a key for each
// plural form of the language (KEY.one, KEY.other), read with [Language.Count]. To
// add a language, add its files and a line to tags, and run the tests, which
// compare keys, holes and plural forms and hold every code to a sentence.
//
// Dates, times and numbers are written as the language writes them, in the digits
// that the reader's tag names ([For]). Plural rules, grouping of digits and the matching
// of languages are those of Unicode's CLDR, from golang.org/x/text. Left to others: names of claims, types and issuers, which are
// data of programmes and trust bundles ([Language.Pick] chooses among them), and
// making text from outside safe to show.
package i18n

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// tags are the languages we have, English first: it is what remains when nothing
// suits.
var tags = []string{"en", "fr", "pt", "sw", "bn", "ar"}

// Areas returns the names of the catalogues beside the shared one.
func Areas() []string { return slices.Clone(areas) }

// Isolates keep a value written in one direction from reordering a sentence that
// is written in the other (Unicode Bidirectional Algorithm, FSI and PDI).
const (
	isolate    = "\u2068"
	endIsolate = "\u2069"
)

// A Language is one of those that we have a catalogue for, with the digits to write
// it with. The zero value is English. Languages can be compared with ==.
type Language struct {
	index  int
	digits digits
}

// digits are the ten signs that numbers and dates are written with.
type digits int

const (
	usualDigits digits = iota // as most readers of the language write: Bengali has its own, Arabic the western ones
	westDigits                // 0 to 9
	ownDigits                 // those of the script: ০ to ৯ in Bengali, ٠ to ٩ in Arabic, else 0 to 9
)

// numerals are the signs of the scripts that have their own.
var numerals = map[string]string{"bn": "০১২৩৪৫৬৭৮৯", "ar": "٠١٢٣٤٥٦٧٨٩"}

// numbering is what CLDR calls them; their marks between groups may differ, too.
var numbering = map[string]string{"bn": "beng", "ar": "arab"}

const westNumerals = "0123456789"

// catalogs are the sentences by language, in the order of tags.
var catalogs = sync.OnceValue(func() []map[string]string {
	var all []map[string]string
	for _, tag := range tags {
		c := map[string]string{}
		read(c, tag+".json")
		for _, area := range areas {
			read(c, area+"."+tag+".json")
		}
		all = append(all, c)
	}
	return all
})

// read adds the sentences of a file to c.
func read(c map[string]string, name string) {
	b, err := files.ReadFile(path.Join("catalog", name))
	if err != nil {
		panic("i18n: internal error: " + err.Error())
	}
	if err := json.Unmarshal(b, &c); err != nil {
		panic("i18n: internal error: catalogue " + name + ": " + err.Error())
	}
}

// Languages returns every language, English first.
func Languages() []Language {
	all := make([]Language, len(tags))
	for i := range tags {
		all[i] = Language{index: i}
	}
	return all
}

// For returns the language that suits best what a person prefers, the first
// preference first; English if none does. A preference is a language tag
// ("bn-BD"), a list as browsers send it ("pt-BR,pt;q=0.9"), or a locale of the
// environment ("fr_FR.UTF-8"). What is none of these is passed over. A tag may say
// which digits, too, as Unicode has it: "ar-u-nu-arab", "bn-u-nu-latn" (UTS #35, key nu).
func For(preferences ...string) Language {
	const most = 256 // bytes; longer ones are no preference of a person
	var wanted []string
	for _, p := range preferences {
		if len(p) > most {
			continue
		}
		if !strings.ContainsAny(p, ",;") {
			p, _, _ = strings.Cut(p, ".") // the character set of a locale
			p, _, _ = strings.Cut(p, "@") // and its variant
		}
		wanted = append(wanted, strings.ReplaceAll(p, "_", "-"))
	}
	l := Language{index: best(wanted)}
	l.digits = l.digitsAsked(wanted)
	return l
}

// digitsAsked are those that the first tag of the language names.
func (l Language) digitsAsked(wanted []string) digits {
	for p := range strings.SplitSeq(strings.ToLower(strings.Join(wanted, ",")), ",") {
		tag, _, _ := strings.Cut(strings.TrimSpace(p), ";")
		tag, extension, _ := strings.Cut(tag, "-u-")
		if tag, _, _ = strings.Cut(tag, "-"); tag != l.Tag() {
			continue
		}
		parts := strings.Split(extension, "-")
		if i := slices.Index(parts, "nu") + 1; i > 0 && i < len(parts) && numbering[l.Tag()] != "" {
			switch parts[i] {
			case "latn":
				return westDigits
			case numbering[l.Tag()], "native":
				return ownDigits
			}
		}
		return usualDigits
	}
	return usualDigits
}

// Tag returns the language tag (BCP 47), such as "bn".
func (l Language) Tag() string { return tags[l.index] }

// Name returns the name of the language in itself.
func (l Language) Name() string { return l.lookup("language.name") }

// Direction returns "rtl" if the language is written from right to left,
// otherwise "ltr", as HTML wants it.
func (l Language) Direction() string { return l.lookup("language.direction") }

// String is Tag.
func (l Language) String() string { return l.Tag() }

// Keys returns the keys of an area, in order.
func Keys(area string) []string {
	var keys []string
	for key := range catalogs()[0] {
		if strings.HasPrefix(key, area+".") {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// Has reports whether there is a sentence for key, if only in English.
func Has(key string) bool {
	_, ok := catalogs()[0][key]
	return ok
}

// Text returns the sentence for key with its {name} holes filled from args. A
// value goes in as it is and is not looked at for holes again; a hole without a
// value stays to be seen. A key that the catalogue lacks is taken from English,
// and one that English lacks is returned itself.
func (l Language) Text(key string, args map[string]string) string {
	sentence := l.lookup(key)
	if len(args) == 0 || !strings.Contains(sentence, "{") {
		return sentence
	}
	return l.fill(sentence, args)
}

// lookup returns the sentence for key as it stands in the catalogue.
func (l Language) lookup(key string) string {
	all := catalogs()
	if s, ok := all[l.index][key]; ok {
		return s
	}
	if s, ok := all[0][key]; ok {
		return s
	}
	return key
}

// fill puts args into the holes of a sentence.
func (l Language) fill(sentence string, args map[string]string) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(sentence, "{")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		name, after, closed := strings.Cut(rest, "}")
		value, known := args[name]
		switch {
		case !closed:
			b.WriteString("{" + rest)
			return b.String()
		case !known:
			b.WriteString("{" + name + "}")
		case l.Direction() == "rtl" || runsLeft(value):
			b.WriteString(isolate + value + endIsolate)
		default:
			b.WriteString(value)
		}
		sentence = after
	}
}

// runsLeft reports whether a value has letters that are written from right to left.
func runsLeft(value string) bool { return strings.ContainsFunc(value, leftward) }

// Pick returns the label that suits the language best out of labels by language
// tag, as types, claims and issuers carry them: the language itself, one that its
// readers are likely to read, else English, else the first by tag. It returns ""
// if there is none with a tag.
func (l Language) Pick(labels map[string]string) string {
	if s, ok := labels[l.Tag()]; ok {
		return s
	}
	return labels[l.nearest(slices.Sorted(maps.Keys(labels)))]
}

// Count returns the sentence for key in the form for the number n, which fills
// the hole {n}. The catalogue has a sentence for each plural form of the language:
// key.one, key.other and so on.
func (l Language) Count(key string, n int) string { return l.CountText(key, n, nil) }

// CountText is Count for a sentence with other holes beside {n}, filled from args
// as Text does.
func (l Language) CountText(key string, n int, args map[string]string) string {
	sentence := strings.ReplaceAll(l.lookup(key+"."+l.plural(n)), "{n}", l.Quantity(n))
	if len(args) == 0 {
		return sentence
	}
	return l.fill(sentence, args)
}

// Number returns n in the digits of the language, without marks between them:
// for years, versions and other numbers that count nothing. See Quantity.
func (l Language) Number(n int) string { return l.Digits(strconv.Itoa(n)) }

// Digits returns s with the digits 0 to 9 replaced by those of the language.
func (l Language) Digits(s string) string {
	signs := l.lookup("language.digits")
	switch l.digits {
	case westDigits:
		return s
	case ownDigits:
		signs = numerals[l.Tag()]
	}
	if signs == "" || signs == westNumerals {
		return s
	}
	digits := []rune(signs)
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return digits[r-'0']
		}
		return r
	}, s)
}

// Date returns the day of t in UTC with the month in words: "12 November 2026".
func (l Language) Date(t time.Time) string { return l.day(t.UTC()) }

// DateTime returns the day and the time of day of t where t is: "12 November 2026,
// 14:05". Give it t.In(the place of the reader).
func (l Language) DateTime(t time.Time) string {
	return strings.NewReplacer("{date}", l.day(t), "{time}", l.Clock(t)).Replace(l.lookup("date.time"))
}

// Clock returns the time of day of t where t is, to the minute and by 24 hours.
func (l Language) Clock(t time.Time) string { return l.Digits(t.Format("15:04")) }

// Month returns the month of t in UTC: "November 2026".
func (l Language) Month(t time.Time) string {
	year, month, _ := t.UTC().Date()
	return strings.NewReplacer(
		"{month}", l.lookup(fmt.Sprintf("month.%d", int(month))), "{year}", l.Number(year),
	).Replace(l.lookup("date.month"))
}

// Known returns a date that stands in a credential or a register in words, as far as
// it is known: "12 November 2026" of 2026-11-12 or 20261112, "November 2026" of 2026-11,
// the year of 2026. It reports whether text is such a date.
func (l Language) Known(text string) (string, bool) {
	for _, known := range []struct {
		layout string
		write  func(time.Time) string
	}{{"20060102", l.Date}, {time.DateOnly, l.Date}, {"2006-01", l.Month}, {"2006", func(t time.Time) string { return l.Number(t.Year()) }}} {
		if t, err := time.Parse(known.layout, text); err == nil {
			return known.write(t), true
		}
	}
	return text, false
}

// day returns the day of t where t is.
func (l Language) day(t time.Time) string {
	year, month, day := t.Date()
	pattern := "date"
	if day == 1 {
		pattern = "date.first" // "1er" in French
	}
	return strings.NewReplacer(
		"{day}", l.Number(day), "{month}", l.lookup(fmt.Sprintf("month.%d", int(month))), "{year}", l.Number(year),
	).Replace(l.lookup(pattern))
}

// Coded returns the name of what a code stands for that any registry may use: of a
// language by its code of ISO 639 in small letters ("ben"), of a country by its code of
// ISO 3166 in capitals ("BD"). It reports whether there is such a name; codes that a
// user assigns, such as XA, have none.
func (l Language) Coded(code string) (string, bool) {
	if len(code) != 2 && len(code) != 3 || strings.Trim(code, "abcdefghijklmnopqrstuvwxyz") != "" && strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return "", false
	}
	name := ""
	if code[0] >= 'a' {
		name = l.nameOfLanguage(code)
	} else {
		name = l.nameOfCountry(code)
	}
	return name, name != ""
}

// List returns items as a list in a sentence: "a, b and c".
func (l Language) List(items []string) string {
	if len(items) == 0 {
		return ""
	}
	list := items[0]
	for i, item := range items[1:] {
		key := "list.next"
		if i == len(items)-2 {
			key = "list.last"
		}
		list = strings.NewReplacer("{a}", list, "{b}", item).Replace(l.lookup(key))
	}
	return list
}

// Age returns a length of time in words: days from two days on, hours below.
// What is less than an hour, or negative, is less than an hour.
func (l Language) Age(d time.Duration) string {
	hours := int(d / time.Hour)
	switch {
	case hours < 1:
		return l.lookup("age.under_an_hour")
	case hours < 48:
		return l.Count("age.hours", hours)
	default:
		return l.Count("age.days", hours/24)
	}
}
