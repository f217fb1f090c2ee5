package programme

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sanad-id/sanad/programme/crosswalk"
)

// A Kind is the type of a claim's value.
type Kind string

// The kinds of claims, and what a credential carries for them.
const (
	KindText     Kind = "text"     // the text
	KindDate     Kind = "date"     // YYYY-MM-DD as text
	KindInteger  Kind = "integer"  // a whole number
	KindNumber   Kind = "number"   // a number
	KindBoolean  Kind = "boolean"  // true or false
	KindList     Kind = "list"     // a list of texts or codes
	KindCode     Kind = "code"     // a code of a code list, as text
	KindCountry  Kind = "country"  // ISO 3166 code, as text
	KindSex      Kind = "sex"      // ISO 5218 and EUDI number; in Claim 169 its own
	KindLanguage Kind = "language" // ISO 639-3 code, as text
)

var kinds = []string{
	string(KindText), string(KindDate), string(KindInteger), string(KindNumber), string(KindBoolean), string(KindList),
	string(KindCode), string(KindCountry), string(KindSex), string(KindLanguage),
}

// What a programme does with a value whose meaning does not come through.
const (
	OnLossError = "error" // the record is not issued
	OnLossOmit  = "omit"  // the claim is left out, and reported
	OnLossKeep  = "keep"  // the nearest thing is carried, and reported
)

// A Claim is one statement that credentials of a programme make.
type Claim struct {
	// Name is the claim's name in code and JSON.
	Name string
	// Labels is its name for people by language tag.
	Labels map[string]string
	// Kind is the type of its value.
	Kind Kind
	// Key is its integer key: in Claim 169 if Person is set, otherwise in the
	// type's own map.
	Key    int64
	Person bool
	// Required claims must have a value, or the record is not issued.
	Required bool
	// Sensitive claims are shown only when asked for.
	Sensitive bool
	// NeverQR claims are in no code.
	NeverQR bool
	// OnLoss is what happens to a value whose meaning does not come through:
	// OnLossError, OnLossOmit or OnLossKeep.
	OnLoss string
	// OnlyWith is the name of a claim without which this one is left out.
	OnlyWith string
	// DiffersFrom is the name of a claim of which this one is left out if both
	// say the same.
	DiffersFrom string

	at       at
	from     expression
	onlyWith int // index of OnlyWith, -1 if none
	differs  int // index of DiffersFrom, -1 if none
	// startsValidity and endsValidity mark the dates that validity names.
	startsValidity, endsValidity bool

	formats    []crosswalk.Format
	take       string
	ageOver    int
	codes      *codeList
	sexes      map[string]crosswalk.Sex
	own        map[string]string            // words for countries, yes and no
	names      map[string]map[string]string // of countries and languages, by code and language of the reader
	alpha3     bool
	splitAt    string
	each       *each
	constraint constraint
}

// Columns returns the columns that the claim is made from.
func (c *Claim) Columns() []string {
	if c.from == nil {
		return nil
	}
	return c.from.columns()
}

// column is the one to name in a problem.
func (c *Claim) column() string {
	if names := c.Columns(); len(names) > 0 {
		return names[0]
	}
	return ""
}

// each takes parts of every entry of a list.
type each struct {
	splitAt string
	take    []int // from 1
	with    string
}

func (e *each) apply(entry string) string {
	parts := strings.Split(entry, e.splitAt)
	var b strings.Builder
	for _, i := range e.take {
		if i > len(parts) {
			continue
		}
		p := strings.TrimSpace(parts[i-1])
		if p == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(e.with)
		}
		b.WriteString(p)
	}
	return b.String()
}

// A codeList gives codes to the words of a registry.
type codeList struct {
	name   string
	codes  []string
	labels map[string]map[string]string
	source map[string]string // word, as written and in lower case, to code
}

func (l *codeList) find(word string) (string, bool) {
	if c, ok := l.source[word]; ok {
		return c, true
	}
	c, ok := l.source[strings.ToLower(word)]
	return c, ok
}

// read gives the text of the record its type: the claim's value, or nil if the
// text says that there is none.
func (c *Claim) read(m *mapping, s string) (any, *trouble) {
	switch c.Kind {
	case KindDate:
		return c.readDate(m, s)
	case KindInteger:
		return c.readInteger(s)
	case KindNumber:
		return c.readNumber(s)
	case KindBoolean:
		return c.readBoolean(m, s)
	case KindList:
		return c.readList(s)
	case KindCode:
		return c.readCode(s)
	case KindCountry:
		return c.readCountry(s)
	case KindSex:
		return c.readSex(s)
	case KindLanguage:
		code, err := crosswalk.ISO6393(s)
		if err != nil {
			return nil, crossTrouble(err, c.column(), CodeLanguage, "")
		}
		return code, nil
	}
	return c.checked(s)
}

// checked returns text as a value if its characters and its length are fit for
// a credential.
func (c *Claim) checked(s string) (any, *trouble) {
	text, code, detail := clean(s)
	if code != "" {
		return nil, &trouble{column: c.column(), code: code, detail: detail}
	}
	if limit := c.constraint.maxLength; len(text) > limit && utf8.RuneCountInString(text) > limit {
		return nil, &trouble{column: c.column(), code: CodeTooLong, detail: "has more than " + strconv.Itoa(limit) + " characters; shorten it in the registry, or raise maxLength"}
	}
	return text, nil
}

func (c *Claim) readDate(m *mapping, s string) (any, *trouble) {
	d, err := crosswalk.ParseDate(s, c.formats)
	if err != nil {
		return nil, crossTrouble(err, c.column(), CodeDate, "")
	}
	if t := c.constraint.date(d, m.today, c.column()); t != nil {
		return nil, t
	}
	switch c.take {
	case takeYear:
		return crosswalk.Date{Year: d.Year}.String(), nil
	case takePartial:
		if d.Complete() {
			return nil, nil
		}
		return d.String(), nil
	}
	if c.startsValidity {
		m.from = d
	}
	if c.endsValidity {
		m.until = d
	}
	if c.Person {
		text, err := d.Claim169()
		if err != nil {
			return nil, crossTrouble(err, c.column(), CodeDate, "")
		}
		return text, nil
	}
	text, err := d.ISO()
	if err != nil {
		return nil, crossTrouble(err, c.column(), CodeDate, text)
	}
	return text, nil
}

// What take makes of a date.
const (
	takeYear    = "year"    // the year only
	takePartial = "partial" // what is known of an incomplete date; nothing of a complete one
)

func (c *Claim) readInteger(s string) (any, *trouble) {
	s = crosswalk.Digits(s)
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil || strconv.FormatInt(v, 10) != s {
		return nil, &trouble{column: c.column(), code: CodeInteger, loss: true,
			detail: "is not a whole number without leading zeros; a number with such zeros is of type text"}
	}
	if v > maxInteger || v < -maxInteger {
		return nil, &trouble{column: c.column(), code: CodeInteger, loss: true, detail: tooManyDigits}
	}
	return v, nil
}

// maxInteger is the largest whole number that every reader of JSON takes alike (RFC 7493
// section 2.2): what is on paper is shown by browsers, too.
const maxInteger = 1<<53 - 1

const tooManyDigits = "has more digits than a number in a credential can carry; make it text"

func (c *Claim) readNumber(s string) (any, *trouble) {
	s = crosswalk.Digits(s)
	wrong := &trouble{column: c.column(), code: CodeNumber, loss: true, detail: "is not a number with digits and at most one decimal point"}
	digits := 0
	for i := range len(s) {
		switch ch := s[i]; {
		case ch >= '0' && ch <= '9':
			digits++
		case ch == '.' && i > 0 && i < len(s)-1, ch == '-' && i == 0:
		default:
			return nil, wrong
		}
	}
	v, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil || digits == 0:
		return nil, wrong
	case digits > 15:
		return nil, &trouble{column: c.column(), code: CodeNumber, loss: true, detail: tooManyDigits}
	case v == math.Trunc(v):
		return int64(v), nil
	}
	return v, nil
}

var yesNo = map[string]string{
	"true": "true", "yes": "true", "y": "true", "1": "true",
	"false": "false", "no": "false", "n": "false", "0": "false",
}

func (c *Claim) readBoolean(m *mapping, s string) (any, *trouble) {
	if c.ageOver > 0 {
		d, err := crosswalk.ParseDate(s, c.formats)
		if err != nil {
			return nil, crossTrouble(err, c.column(), CodeDate, "")
		}
		over, err := d.AgeOver(c.ageOver, m.today)
		if err != nil {
			return nil, crossTrouble(err, c.column(), CodeDate, "")
		}
		return over, nil
	}
	word := strings.ToLower(s)
	for _, words := range []map[string]string{c.own, yesNo} {
		if v, ok := words[word]; ok {
			return v == "true", nil
		}
	}
	return nil, &trouble{column: c.column(), code: CodeBoolean, loss: true,
		detail: "is not true or false, yes or no, 1 or 0; name its meaning in words"}
}

func (c *Claim) readCode(s string) (any, *trouble) {
	if code, ok := c.codes.find(s); ok {
		return code, nil
	}
	t := &trouble{column: c.column(), code: CodeNotInList, loss: true, detail: "is not in the code list " + c.codes.name + "; add it there"}
	if c.OnLoss == OnLossKeep {
		text, wrong := c.checked(s)
		if wrong != nil {
			return nil, wrong
		}
		t.near = text
	}
	return nil, t
}

func (c *Claim) readCountry(s string) (any, *trouble) {
	country, err := crosswalk.LookupCountry(s, c.own)
	if err != nil {
		return nil, crossTrouble(err, c.column(), CodeCountry, "")
	}
	code, err := country.ISOAlpha2()
	if c.alpha3 {
		code, err = country.ISOAlpha3()
	}
	if err != nil {
		return nil, crossTrouble(err, c.column(), CodeCountry, code)
	}
	return code, nil
}

func (c *Claim) readSex(s string) (any, *trouble) {
	sex, err := crosswalk.ParseSex(s, c.sexes)
	if err != nil {
		return nil, crossTrouble(err, c.column(), CodeSex, "")
	}
	if !c.Person {
		return int64(sex.EUDI()), nil
	}
	code, err := sex.Claim169()
	if err != nil {
		t := crossTrouble(err, c.column(), CodeSex, "")
		if code != 0 {
			t.near = int64(code)
		}
		return nil, t
	}
	return int64(code), nil
}

// readList returns the entries. A code that is not in the list is a loss; the
// nearest thing is then the list with the entry as it stands.
func (c *Claim) readList(s string) (any, *trouble) {
	var list []any
	var lost *trouble
	for entry := range strings.SplitSeq(s, c.splitAt) {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		if c.each != nil {
			if entry = c.each.apply(entry); entry == "" {
				continue
			}
		}
		if c.codes != nil {
			if code, ok := c.codes.find(entry); ok {
				list = append(list, code)
				continue
			}
			lost = &trouble{column: c.column(), code: CodeNotInList, loss: true, detail: "has an entry that is not in the code list " + c.codes.name + "; add it there"}
		}
		text, t := c.checked(entry)
		if t != nil {
			return nil, t
		}
		if list = append(list, text); len(list) > maxItems {
			return nil, &trouble{column: c.column(), code: CodeTooMany, detail: "has more than " + strconv.Itoa(maxItems) + " entries"}
		}
	}
	if lost != nil {
		lost.near = list
		return nil, lost
	}
	if list == nil {
		return nil, nil
	}
	return list, nil
}

// maxItems is how many entries a list has at most.
const maxItems = 50
