//go:build !js

package i18n

import (
	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/number"
	"golang.org/x/text/unicode/bidi"
)

// known are the tags as CLDR is asked for them.
var known = func() []language.Tag {
	var all []language.Tag
	for _, tag := range tags {
		all = append(all, language.MustParse(tag))
	}
	return all
}()

var matcher = language.NewMatcher(known)

// best is the language that suits best what is preferred, the first if none does.
func best(preferences []string) int {
	var wanted []language.Tag
	for _, p := range preferences {
		if list, _, err := language.ParseAcceptLanguage(p); err == nil {
			wanted = append(wanted, list...)
		}
	}
	_, index, confidence := matcher.Match(wanted...)
	if confidence == language.No {
		return 0
	}
	return index
}

// nearest is the one of the tags that suits best, "" if none is a tag.
func (l Language) nearest(names []string) string {
	var have []language.Tag
	var which []string
	for _, name := range names {
		if tag, err := language.Parse(name); err == nil {
			have, which = append(have, tag), append(which, name)
		}
	}
	if len(have) == 0 {
		return ""
	}
	_, i, _ := language.NewMatcher(have).Match(known[l.index], language.English)
	return which[i]
}

// leftward reports whether a letter is written from right to left.
func leftward(r rune) bool {
	p, _ := bidi.LookupRune(r)
	return p.Class() == bidi.R || p.Class() == bidi.AL
}

// plural is what the form for n things is called in a key.
func (l Language) plural(n int) string {
	return formName[plural.Cardinal.MatchPlural(l.format(), n, 0, 0, 0, 0)]
}

var formName = map[plural.Form]string{
	plural.Zero: "zero", plural.One: "one", plural.Two: "two", plural.Few: "few", plural.Many: "many", plural.Other: "other",
}

// format is the language as CLDR is asked for its numbers. Portuguese without a
// country means Brazil there; our catalogue is written for the other countries.
func (l Language) format() language.Tag {
	if known[l.index] == language.Portuguese {
		return language.EuropeanPortuguese
	}
	return known[l.index]
}

// Quantity returns how many of something there are, with the marks between groups
// of digits that the language uses: "12,345", "12 345", "১২,৩৪৫".
func (l Language) Quantity(n int) string { return l.write(number.Decimal(n)) }

// Decimal returns x with that many digits after the mark, rounded.
func (l Language) Decimal(x float64, digits int) string {
	return l.write(number.Decimal(x, number.Scale(digits)))
}

// Percent returns a share of one as a percentage without a fraction: "12%".
func (l Language) Percent(share float64) string {
	return l.write(number.Percent(share, number.Scale(0)))
}

// write formats a number with the marks of the language and then with its digits.
func (l Language) write(n number.Formatter) string {
	system, own := numbering[l.Tag()]
	if l.digits != ownDigits || !own {
		system = "latn"
	}
	tag, err := l.format().SetTypeForKey("nu", system)
	if err != nil {
		panic("i18n: internal error: " + err.Error())
	}
	return l.Digits(message.NewPrinter(tag).Sprint(n))
}
