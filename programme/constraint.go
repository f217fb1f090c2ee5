package programme

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/sanad-id/sanad/programme/crosswalk"
)

// Lengths of text in characters.
const (
	usualLength = 200 // where the file does not say
	maxLength   = 256 // the most that it may say: what credential/cwt carries
)

// A constraint is what a value must satisfy, in the words of JSON Schema
// (draft 2020-12, validation): the few that make sense for a claim. minimum and
// maximum of a date are dates, or today.
type constraint struct {
	minLength, maxLength int
	pattern              *regexp.Regexp
	enum                 []string
	minimum, maximum     *float64
	minItems, maxItems   int
	from, until          dateBound
}

// A dateBound is the first or last day allowed; today is one that moves.
type dateBound struct {
	date  crosswalk.Date
	today bool
}

// check says why a value does not satisfy the constraint, or returns "".
func (k *constraint) check(v any) (code, detail string) {
	switch v := v.(type) {
	case string:
		return k.checkText(v)
	case int64:
		return k.checkNumber(float64(v))
	case float64:
		return k.checkNumber(v)
	case []any:
		switch {
		case len(v) < k.minItems:
			return CodeConstraint, "has fewer entries than minItems"
		case k.maxItems > 0 && len(v) > k.maxItems:
			return CodeTooMany, "has more entries than maxItems"
		}
	}
	return "", ""
}

func (k *constraint) checkText(s string) (code, detail string) {
	switch {
	case k.minLength > 0 && utf8.RuneCountInString(s) < k.minLength:
		return CodeConstraint, "has fewer than " + strconv.Itoa(k.minLength) + " characters (minLength)"
	case k.pattern != nil && !k.pattern.MatchString(s):
		return CodeConstraint, "does not match the pattern of the programme"
	case k.enum != nil && !slices.Contains(k.enum, s):
		return CodeConstraint, "is not one of the values in enum"
	}
	return "", ""
}

func (k *constraint) checkNumber(v float64) (code, detail string) {
	switch {
	case k.minimum != nil && v < *k.minimum:
		return CodeConstraint, "is less than minimum"
	case k.maximum != nil && v > *k.maximum:
		return CodeConstraint, "is more than maximum"
	}
	return "", ""
}

// date says why a date does not satisfy the constraint, or returns nil. What is
// unknown of a date is taken in its favour.
func (k *constraint) date(d, today crosswalk.Date, column string) *trouble {
	from, until := k.from.date, k.until.date
	if k.from.today {
		from = today
	}
	if k.until.today {
		until = today
	}
	switch {
	case !from.IsZero() && d.Before(from):
		return &trouble{column: column, code: CodeConstraint, detail: "is before the first day allowed (minimum)"}
	case !until.IsZero() && until.Before(d):
		return &trouble{column: column, code: CodeConstraint, detail: "is after the last day allowed (maximum)"}
	}
	return nil
}

// constraintFor are the words that make sense for a kind of claim.
var constraintFor = map[Kind][]string{
	KindText:    {"minLength", "maxLength", "pattern", "enum"},
	KindInteger: {"minimum", "maximum"},
	KindNumber:  {"minimum", "maximum"},
	KindDate:    {"minimum", "maximum"},
	KindList:    {"minItems", "maxItems", "maxLength"},
	KindCode:    {"maxLength"},
}

// constraint reads constraint: of a claim.
func (r *reader) constraint(n *yaml.Node, path string, kind Kind) constraint {
	k := constraint{maxLength: usualLength}
	if n == nil {
		return k
	}
	all := map[string]func(*yaml.Node, string){
		"minLength": func(n *yaml.Node, path string) { k.minLength = int(r.integer(n, path, 0, maxLength)) },
		"maxLength": func(n *yaml.Node, path string) { k.maxLength = int(r.integer(n, path, 1, maxLength)) },
		"pattern":   func(n *yaml.Node, path string) { k.pattern = r.pattern(n, path) },
		"enum":      func(n *yaml.Node, path string) { k.enum = r.texts(n, path) },
		"minItems":  func(n *yaml.Node, path string) { k.minItems = int(r.integer(n, path, 0, maxItems)) },
		"maxItems":  func(n *yaml.Node, path string) { k.maxItems = int(r.integer(n, path, 1, maxItems)) },
		"minimum":   func(n *yaml.Node, path string) { r.bound(n, path, kind, &k.minimum, &k.from) },
		"maximum":   func(n *yaml.Node, path string) { r.bound(n, path, kind, &k.maximum, &k.until) },
	}
	var fields []field
	for _, word := range constraintFor[kind] {
		fields = append(fields, field{key: word, read: all[word]})
	}
	if len(fields) == 0 {
		r.fault(n, path, "a claim of type %s has no constraint", kind)
		return k
	}
	r.object(n, path, fields)
	if k.minLength > k.maxLength || k.maxItems > 0 && k.minItems > k.maxItems ||
		k.minimum != nil && k.maximum != nil && *k.minimum > *k.maximum {
		r.fault(n, path, "the least is more than the most; no value can satisfy that")
	}
	return k
}

// pattern reads a regular expression of RE2, which has no look-ahead and no
// back-references and takes linear time.
func (r *reader) pattern(n *yaml.Node, path string) *regexp.Regexp {
	s := r.text(n, path)
	if s == "" {
		return nil
	}
	re, err := regexp.Compile(s)
	if err != nil || len(s) > 200 {
		r.fault(n, path, "is not a regular expression of at most 200 characters without look-ahead, such as \"^[A-Z]{2}[0-9]{6}$\"")
		return nil
	}
	return re
}

// bound reads minimum or maximum.
func (r *reader) bound(n *yaml.Node, path string, kind Kind, number **float64, date *dateBound) {
	s := r.text(n, path)
	if s == "" {
		return
	}
	if kind == KindDate {
		if date.today = s == "today"; date.today {
			return
		}
		d, err := crosswalk.ParseDate(s, crosswalk.ISOFormats()[:1])
		if err != nil {
			r.fault(n, path, "must be a date such as 2020-01-31, or today")
		}
		date.date = d
		return
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
		r.fault(n, path, "must be a number, not %q", clip(s))
		return
	}
	*number = &v
}
