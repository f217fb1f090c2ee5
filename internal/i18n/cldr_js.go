package i18n

import (
	"slices"
	"strings"
	"syscall/js"
	"unicode"
)

// A browser knows CLDR itself; tables of our own would make its page larger by a tenth.

// best is the first language that is preferred and known, English if none is.
func best(preferences []string) int {
	for p := range strings.SplitSeq(strings.Join(preferences, ","), ",") {
		if i := slices.Index(tags, base(p)); i >= 0 {
			return i
		}
	}
	return 0
}

// base is the language of a tag, without country and weight.
func base(tag string) string {
	tag, _, _ = strings.Cut(strings.TrimSpace(tag), ";")
	tag, _, _ = strings.Cut(tag, "-")
	return strings.ToLower(tag)
}

// nearest is the tag of the language itself, of English, or the first.
func (l Language) nearest(names []string) string {
	for _, want := range []string{l.Tag(), tags[0]} {
		if i := slices.IndexFunc(names, func(name string) bool { return base(name) == want }); i >= 0 {
			return names[i]
		}
	}
	if len(names) == 0 {
		return ""
	}
	return names[0]
}

// leftward reports whether a letter is written from right to left.
func leftward(r rune) bool {
	return r >= 0x590 && unicode.In(r, unicode.Hebrew, unicode.Arabic, unicode.Syriac, unicode.Thaana, unicode.Nko, unicode.Adlam)
}

// plural is what the form for n things is called in a key.
func (l Language) plural(n int) string {
	return js.Global().Get("Intl").Get("PluralRules").New(l.format()).Call("select", n).String()
}

// format is the language as the browser is asked for its numbers.
func (l Language) format() string {
	if l.Tag() == "pt" {
		return "pt-PT"
	}
	return l.Tag()
}

// Quantity returns how many of something there are, with the marks between groups
// of digits that the language uses.
func (l Language) Quantity(n int) string {
	system := "latn"
	if l.digits == ownDigits && numerals[l.Tag()] != "" {
		system = numbering[l.Tag()]
	}
	format := js.Global().Get("Intl").Get("NumberFormat").New(l.format(), map[string]any{"numberingSystem": system})
	return l.Digits(format.Call("format", n).String())
}

// nameOfLanguage is the name of a language, "" if the browser does not know it.
func (l Language) nameOfLanguage(code string) string { return l.nameOf("language", code) }

// nameOfCountry is the name of a country, "" if the browser does not know it.
func (l Language) nameOfCountry(code string) string {
	if len(code) != 2 || code >= "XA" && code <= "XZ" && code != "XK" {
		return "" // a browser calls XA something, and fails for three letters
	}
	return l.nameOf("region", code)
}

func (l Language) nameOf(what, code string) string {
	name := js.Global().Get("Intl").Get("DisplayNames").New(l.format(), map[string]any{"type": what, "fallback": "none"}).Call("of", code)
	if name.Type() != js.TypeString {
		return ""
	}
	return name.String()
}
