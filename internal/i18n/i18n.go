// Package i18n turns the codes that programs use (verdicts, reasons, checks) into
// sentences for people, in six languages: English, French, Portuguese, Swahili,
// Bengali and Arabic.
//
// Start with [For], which picks the language that suits a person best, and
// [Language.Text]. Keys are the codes themselves with what they are before them:
// "verdict.valid", "reason.expired", "advice.expired". A catalogue is one flat
// JSON file in catalog/; to add a language, add a file and a line to tags, and run
// the tests, which compare keys and holes and hold every code to a sentence.
//
// Plural rules and the matching of languages are those of Unicode's CLDR, from
// golang.org/x/text. Left to others: names of claims, types and issuers, which are
// data of programmes and trust bundles ([Language.Pick] chooses among them), and
// making text from outside safe to show.
package i18n

import (
	"embed"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

//go:embed catalog/*.json
var files embed.FS

// tags are the languages we have, English first: it is what remains when nothing
// suits.
var tags = []language.Tag{
	language.English, language.French, language.Portuguese, language.Swahili, language.Bengali, language.Arabic,
}

var matcher = language.NewMatcher(tags)

// Isolates keep a value written in one direction from reordering a sentence that
// is written in the other (Unicode Bidirectional Algorithm, FSI and PDI).
const (
	isolate    = "\u2068"
	endIsolate = "\u2069"
)

// A Language is one of those that we have a catalogue for. The zero value is
// English. Languages can be compared with ==.
type Language struct{ index int }

// catalogs are the sentences by language, in the order of tags.
var catalogs = sync.OnceValue(func() []map[string]string {
	var all []map[string]string
	for _, tag := range tags {
		b, err := files.ReadFile(path.Join("catalog", tag.String()+".json"))
		if err != nil {
			panic("i18n: internal error: " + err.Error())
		}
		var c map[string]string
		if err := json.Unmarshal(b, &c); err != nil {
			panic("i18n: internal error: catalogue " + tag.String() + ": " + err.Error())
		}
		all = append(all, c)
	}
	return all
})

// Languages returns every language, English first.
func Languages() []Language {
	all := make([]Language, len(tags))
	for i := range tags {
		all[i] = Language{i}
	}
	return all
}

// For returns the language that suits best what a person prefers, the first
// preference first; English if none does. A preference is a language tag
// ("bn-BD"), a list as browsers send it ("pt-BR,pt;q=0.9"), or a locale of the
// environment ("fr_FR.UTF-8"). What is none of these is passed over.
func For(preferences ...string) Language {
	const most = 256 // bytes; longer ones are no preference of a person
	var wanted []language.Tag
	for _, p := range preferences {
		if len(p) > most {
			continue
		}
		if !strings.ContainsAny(p, ",;") {
			p, _, _ = strings.Cut(p, ".") // the character set of a locale
			p, _, _ = strings.Cut(p, "@") // and its variant
		}
		if list, _, err := language.ParseAcceptLanguage(strings.ReplaceAll(p, "_", "-")); err == nil {
			wanted = append(wanted, list...)
		}
	}
	_, index, confidence := matcher.Match(wanted...)
	if confidence == language.No {
		return Language{}
	}
	return Language{index}
}

// Tag returns the language tag (BCP 47), such as "bn".
func (l Language) Tag() string { return tags[l.index].String() }

// Name returns the name of the language in itself.
func (l Language) Name() string { return l.lookup("language.name") }

// Direction returns "rtl" if the language is written from right to left,
// otherwise "ltr", as HTML wants it.
func (l Language) Direction() string { return l.lookup("language.direction") }

// String is Tag.
func (l Language) String() string { return l.Tag() }

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
		case l.Direction() == "rtl":
			b.WriteString(isolate + value + endIsolate)
		default:
			b.WriteString(value)
		}
		sentence = after
	}
}

// Pick returns the label that suits the language best out of labels by language
// tag, as types, claims and issuers carry them: the language itself, one that its
// readers are likely to read, else English, else the first by tag. It returns ""
// if there is none with a tag.
func (l Language) Pick(labels map[string]string) string {
	if s, ok := labels[l.Tag()]; ok {
		return s
	}
	var have []language.Tag
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		tag, err := language.Parse(name)
		if err != nil {
			continue
		}
		have, texts = append(have, tag), append(texts, labels[name])
	}
	if len(have) == 0 {
		return ""
	}
	_, i, _ := language.NewMatcher(have).Match(tags[l.index], language.English)
	return texts[i]
}

// Count returns the sentence for key in the form for the number n, which fills
// the hole {n}. The catalogue has a sentence for each plural form of the language:
// key.one, key.other and so on.
func (l Language) Count(key string, n int) string {
	form := plural.Cardinal.MatchPlural(tags[l.index], n, 0, 0, 0, 0)
	return strings.ReplaceAll(l.lookup(key+"."+formName[form]), "{n}", l.Number(n))
}

// formName is what a plural form is called in a key.
var formName = map[plural.Form]string{
	plural.Zero: "zero", plural.One: "one", plural.Two: "two", plural.Few: "few", plural.Many: "many", plural.Other: "other",
}

// Number returns n in the digits that the language is usually written with.
func (l Language) Number(n int) string {
	digits := []rune(l.lookup("language.digits"))
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return digits[r-'0']
		}
		return r
	}, strconv.Itoa(n))
}

// Date returns the day of t in UTC with the month in words: "12 November 2026".
func (l Language) Date(t time.Time) string {
	year, month, day := t.UTC().Date()
	pattern := "date"
	if day == 1 {
		pattern = "date.first" // "1er" in French
	}
	return strings.NewReplacer(
		"{day}", l.Number(day), "{month}", l.lookup(fmt.Sprintf("month.%d", int(month))), "{year}", l.Number(year),
	).Replace(l.lookup(pattern))
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
