package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/verification"
)

// A screen prints reports for people.
type screen struct {
	out    io.Writer
	words  i18n.Language
	width  int
	colour bool
	all    bool // sensitive claims too
}

// signs stand before the words of a verdict, so that nobody has to tell colours
// apart: a tick, a triangle, a cross, a question mark.
var signs = map[verification.Verdict]struct{ sign, colour string }{
	verification.Valid:        {"(✓)", "32"},
	verification.CheckNeeded:  {"/!\\", "33"},
	verification.Invalid:      {"<✗>", "31"},
	verification.Undetermined: {"[?]", "36"},
}

func (s screen) line(text string) { fmt.Fprintln(s.out, text) }

// para prints a paragraph: its first line after lead, the others below the text.
func (s screen) para(lead, text string) {
	indent := strings.Repeat(" ", cli.Columns(lead))
	fmt.Fprintf(s.out, "%s%s\n", lead, cli.Wrap(text, s.width-len(indent), indent))
}

// report prints what a relying party needs, most important first: the verdict,
// why, who issued what to whom, and how old the knowledge behind it is.
func (s screen) report(r verification.Report) {
	sign := signs[r.Verdict]
	head := sign.sign + " " + s.text("verdict."+string(r.Verdict))
	if s.colour {
		head = "\x1b[1;" + sign.colour + "m" + head + "\x1b[0m"
	}
	s.line(head)
	s.why(r)
	if r.Check(verification.CheckSignature).Result == verification.Pass {
		s.content(r)
	}
	s.basis(r)
}

func (s screen) text(key string) string { return s.words.Text(key, nil) }

// why prints each reason with what to do about it, those that decided first.
func (s screen) why(r verification.Report) {
	var done []credential.Reason
	for _, reason := range r.Reasons() {
		if slices.Contains(done, reason) {
			continue
		}
		done = append(done, reason)
		if len(done) == 1 {
			s.line("")
		}
		if reason == credential.UnsupportedFormat && r.Kind != verification.KindCOSE {
			s.para("  ", s.text("kind."+r.Kind))
			if r.Text != "" {
				s.para("    ", cli.Visible(r.Text))
			}
		}
		s.para("  ", s.text("reason."+string(reason)))
		s.para("    → ", s.text("advice."+string(reason)))
	}
}

// content prints what the credential says and who said it.
func (s screen) content(r verification.Report) {
	var lines [][2]string
	add := func(key, value string) {
		if value != "" {
			lines = append(lines, [2]string{s.text("label." + key), value})
		}
	}
	add("type", cli.Visible(first(s.words.Pick(r.TypeLabels), r.Type)))
	add("issuer", cli.Visible(first(s.words.Pick(r.IssuerNames), r.Issuer)))
	add("issued", s.date(r.IssuedAt))
	add("not_before", s.date(r.NotBefore))
	add("expires", first(s.date(r.Expires), s.text("label.no_expiry")))
	s.line("")
	rows(s.out, "  ", s.width, lines)

	lines = lines[:0]
	var hidden []string
	for _, c := range r.Claims {
		label := cli.Visible(first(s.words.Pick(c.Labels), c.Name))
		if c.Sensitive && !s.all {
			hidden = append(hidden, label)
			continue
		}
		value, changed := cli.Clean(s.value(c))
		if changed {
			value += " ⚠" // there is more to it than can be shown
		}
		lines = append(lines, [2]string{label, value})
	}
	if len(hidden) > 0 {
		lines = append(lines, [2]string{s.text("label.hidden"), strings.Join(hidden, ", ")})
	}
	if len(lines) > 0 {
		s.line("")
		rows(s.out, "  ", s.width, lines)
	}
}

// basis prints how old the knowledge is, always if there is any, and what else to
// look at.
func (s screen) basis(r verification.Report) {
	var notes []string
	switch signed := r.Check(verification.CheckSignature).Result == verification.Pass; {
	case !r.Basis.StatusAsOf.IsZero():
		notes = append(notes, s.words.Text("status_as_of", map[string]string{
			"date": s.date(r.Basis.StatusAsOf), "age": s.words.Age(r.StatusAge),
		}))
	case signed:
		notes = append(notes, s.text("status_never"))
	}
	if r.Basis.StatusAsOf.IsZero() && !r.Basis.KeysAsOf.IsZero() {
		notes = append(notes, s.words.Text("trust.as_of", map[string]string{
			"date": s.date(r.Basis.KeysAsOf), "version": s.words.Number(int(r.Basis.BundleVersion)),
		}))
	}
	for _, w := range r.Warnings {
		switch {
		case w == verification.WarnSetClock: // said by the reason
		case w != verification.WarnCopy:
			notes = append(notes, s.text("warning."+string(w)))
		case r.Verdict == verification.Valid || r.Verdict == verification.CheckNeeded:
			if r.PersonCheck != "none" {
				notes = append(notes, s.text("warning."+string(w)))
			}
			notes = append(notes, s.text("person_check."+r.PersonCheck))
		}
	}
	if len(notes) > 0 {
		s.line("")
	}
	for _, n := range notes {
		s.para("  ", n)
	}
}

func (s screen) date(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return s.words.Date(t)
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// value is a claim's value in words.
func (s screen) value(c verification.Claim) string {
	coded := func(v any) string {
		text := plainText(v)
		return first(s.words.Pick(c.Words[text]), text)
	}
	switch v := c.Value.(type) {
	case bool:
		if v {
			return s.text("label.yes")
		}
		return s.text("label.no")
	case []any:
		all := make([]string, len(v))
		for i, e := range v {
			all[i] = coded(e)
		}
		return strings.Join(all, ", ")
	case string:
		if c.Kind == "date" || c.Kind == "" && c.Name == "dateOfBirth" {
			if d, ok := calendar(v); ok {
				return s.words.Date(d)
			}
		}
	case int64:
		if c.Kind == "date" {
			if d, ok := calendar(strconv.FormatInt(v, 10)); ok {
				return s.words.Date(d)
			}
		}
	}
	return coded(c.Value)
}

// calendar reads a date in either of the two spellings of Claim 169.
func calendar(s string) (time.Time, bool) {
	for _, layout := range []string{"20060102", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// plainText is a value as text, without words of any language but sizes.
func plainText(v any) string {
	switch v := v.(type) {
	case nil:
		return "-"
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []byte:
		return fmt.Sprintf("(%d bytes)", len(v))
	case []any:
		all := make([]string, len(v))
		for i, e := range v {
			all[i] = plainText(e)
		}
		return strings.Join(all, ", ")
	case map[string]any:
		var all []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			all = append(all, k+": "+plainText(v[k]))
		}
		return strings.Join(all, "; ")
	case map[int64]any:
		var all []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			all = append(all, strconv.FormatInt(k, 10)+": "+plainText(v[k]))
		}
		return strings.Join(all, "; ")
	}
	return fmt.Sprint(v)
}
