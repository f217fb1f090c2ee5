package crosswalk

import (
	"strings"
	"unicode"
)

// A Name is a person's name. A registry has either the parts or the whole;
// people may have one name only.
type Name struct {
	// Full is the whole name as it is written; empty if the registry has parts.
	Full string
	// Given, Middle and Family are the parts; each may be empty.
	Given, Middle, Family string
}

// An Order says which part of a name is written first.
type Order string

// The orders of [Name.Join].
const (
	GivenFirst  Order = "given-first"
	FamilyFirst Order = "family-first"
)

// Join returns the whole name, as Claim 169 (key 4) and the samples of Inji and
// OpenG2P write it: Full where it is set, otherwise the parts that there are,
// one space between them.
func (n Name) Join(o Order) string {
	if full := strings.TrimSpace(n.Full); full != "" {
		return full
	}
	parts := [3]string{n.Given, n.Middle, n.Family}
	if o == FamilyFirst {
		parts = [3]string{n.Family, n.Given, n.Middle}
	}
	var b strings.Builder
	for _, p := range parts {
		if p = strings.TrimSpace(p); p != "" {
			if b.Len() > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(p)
		}
	}
	return b.String()
}

// SplitName returns the parts of a whole name. One word is a given name; of
// "Family, Given Middle" the comma tells the family name. Any other name can be
// split only by a guess: that is a loss, and the guess takes the last word for
// the family name (the first with FamilyFirst), which is wrong for many people.
func SplitName(full string, o Order) (Name, error) {
	if len(full) > MaxText {
		return Name{}, unreadable("name", "the text is longer than %d bytes", MaxText)
	}
	n := Name{Full: strings.TrimSpace(full)}
	if family, rest, ok := strings.Cut(n.Full, ","); ok && !strings.Contains(rest, ",") && strings.TrimSpace(family) != "" && strings.TrimSpace(rest) != "" {
		n.Family = strings.TrimSpace(family)
		given := strings.Fields(rest)
		n.Given, n.Middle = given[0], strings.Join(given[1:], " ")
		return n, nil
	}
	words := strings.Fields(n.Full)
	switch len(words) {
	case 0:
		return Name{}, unreadable("name", "there is no name")
	case 1:
		n.Given = words[0]
		return n, nil
	}
	if o == FamilyFirst {
		n.Family, n.Given, n.Middle = words[0], words[1], strings.Join(words[2:], " ")
	} else {
		last := len(words) - 1
		n.Given, n.Middle, n.Family = words[0], strings.Join(words[1:last], " "), words[last]
	}
	return n, loss("name", "a whole name can be split into parts only by a guess")
}

// Parts returns the parts as SD-JWT (given_name, middle_name, family_name),
// OpenCRVS (firstname, middlename, surname) and DCI (given_name, second_name,
// surname) write them. A name that is whole is split as [SplitName] does.
func (n Name) Parts(o Order) (given, middle, family string, err error) {
	if n.Given == "" && n.Middle == "" && n.Family == "" {
		split, err := SplitName(n.Full, o)
		return split.Given, split.Middle, split.Family, err
	}
	return strings.TrimSpace(n.Given), strings.TrimSpace(n.Middle), strings.TrimSpace(n.Family), nil
}

// Script returns the ISO 15924 code of the script that most letters of text are
// of, such as Latn or Beng; empty if it has no letter of a script that is known
// here. Of a pair of names in two scripts it tells which is which.
func Script(text string) string {
	var best string
	var most int
	counts := make(map[string]int, 2)
	for _, r := range text {
		if !unicode.IsLetter(r) {
			continue
		}
		for _, s := range scripts {
			if unicode.Is(s.table, r) {
				counts[s.code]++
				if counts[s.code] > most {
					best, most = s.code, counts[s.code]
				}
				break
			}
		}
	}
	return best
}

var scripts = []struct {
	code  string
	table *unicode.RangeTable
}{
	{"Latn", unicode.Latin}, {"Beng", unicode.Bengali}, {"Arab", unicode.Arabic}, {"Deva", unicode.Devanagari},
	{"Ethi", unicode.Ethiopic}, {"Cyrl", unicode.Cyrillic}, {"Khmr", unicode.Khmer}, {"Laoo", unicode.Lao},
	{"Thai", unicode.Thai}, {"Mymr", unicode.Myanmar}, {"Taml", unicode.Tamil}, {"Telu", unicode.Telugu},
	{"Sinh", unicode.Sinhala}, {"Gujr", unicode.Gujarati}, {"Guru", unicode.Gurmukhi}, {"Knda", unicode.Kannada},
	{"Mlym", unicode.Malayalam}, {"Orya", unicode.Oriya}, {"Grek", unicode.Greek}, {"Armn", unicode.Armenian},
	{"Geor", unicode.Georgian}, {"Hebr", unicode.Hebrew}, {"Hani", unicode.Han}, {"Hang", unicode.Hangul},
	{"Kana", unicode.Katakana}, {"Hira", unicode.Hiragana}, {"Tibt", unicode.Tibetan}, {"Thaa", unicode.Thaana},
	{"Nkoo", unicode.Nko}, {"Tfng", unicode.Tifinagh}, {"Mong", unicode.Mongolian},
}
