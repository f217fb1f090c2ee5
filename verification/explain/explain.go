// Package explain turns a verification report into words for the person who has to
// decide: the verdict, why and what to do, who issued it, what it says, and how old
// the knowledge behind it is. The command line, the server and the scanner page show
// what [Report] returns and nothing else, so that all say the same.
//
// All text in a [Page] is safe to show (internal/visible); markup, line breaks and
// colours are left to who shows it.
package explain

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/internal/visible"
	"github.com/sanad-id/sanad/verification"
)

// A Page is a report in the words of one language, most important first.
type Page struct {
	Verdict verification.Verdict `json:"verdict"`
	// Heading is the verdict in words.
	Heading string `json:"heading"`
	// Why is each reason once, those that decided first; empty if all is well.
	Why []Why `json:"why"`
	// Facts are type, issuer and dates, Claims what the credential says, in display
	// order. Both are empty unless the signature is good.
	Facts  []Row `json:"facts"`
	Claims []Row `json:"claims"`
	// Face is the portrait inside the credential as a data URL, empty without one.
	Face string `json:"face,omitempty"`
	// Hidden are the labels of sensitive claims that were left out.
	Hidden []string `json:"hidden"`
	// Notes say how old the knowledge is and what else to look at.
	Notes []string `json:"notes"`
}

// A Why is one reason.
type Why struct {
	Code credential.Reason `json:"code"`
	// Kind says what kind of code it is, if it is one that cannot be checked, and Text
	// what is in it: a link to be shown and never opened.
	Kind string `json:"kind,omitempty"`
	Text string `json:"text,omitempty"`
	// Reason and Advice are sentences.
	Reason string `json:"reason"`
	Advice string `json:"advice"`
}

// A Row is a label with its value.
type Row struct {
	Label string `json:"label"`
	Value string `json:"value"`
	// Kind is that of the claim: "date", "photo" and so on, empty for most.
	Kind string `json:"kind,omitempty"`
	// Partial tells that there is more to the value than can be shown.
	Partial bool `json:"partial,omitempty"`
}

// Options are how a report is told.
type Options struct {
	Language i18n.Language
	// Sensitive shows claims that are marked as sensitive, too.
	Sensitive bool
}

// Report tells a report.
func Report(r verification.Report, o Options) Page {
	w := words{o.Language}
	p := Page{
		Verdict: r.Verdict, Heading: w.text("verdict." + string(r.Verdict)),
		Why: w.why(r), Facts: []Row{}, Claims: []Row{}, Hidden: []string{}, Notes: w.notes(r),
	}
	if r.Check(verification.CheckSignature).Result == verification.Pass {
		p.Facts = w.facts(r)
		w.claims(&p, r, o.Sensitive)
	}
	return p
}

// words tells things in one language.
type words struct{ i18n.Language }

func (w words) text(key string) string { return w.Text(key, nil) }

func (w words) why(r verification.Report) []Why {
	all := []Why{}
	for _, reason := range r.Reasons() {
		if slices.ContainsFunc(all, func(y Why) bool { return y.Code == reason }) {
			continue
		}
		y := Why{Code: reason, Reason: w.text("reason." + string(reason)), Advice: w.text("advice." + string(reason))}
		if reason == credential.UnsupportedFormat && r.Kind != verification.KindCOSE {
			y.Kind, y.Text = w.text("kind."+r.Kind), visible.Text(r.Text)
		}
		all = append(all, y)
	}
	return all
}

// facts are who issued what, and when.
func (w words) facts(r verification.Report) []Row {
	rows := []Row{}
	add := func(key, value string) {
		if value != "" {
			rows = append(rows, Row{Label: w.text("label." + key), Value: value})
		}
	}
	add("type", visible.Text(first(w.Pick(r.TypeLabels), r.Type)))
	add("issuer", visible.Text(first(w.Pick(r.IssuerNames), r.Issuer)))
	add("issued", w.date(r.IssuedAt))
	add("not_before", w.date(r.NotBefore))
	add("expires", first(w.date(r.Expires), w.text("label.no_expiry")))
	return rows
}

// claims are what the credential says.
func (w words) claims(p *Page, r verification.Report, sensitive bool) {
	for _, c := range r.Claims {
		label := visible.Text(first(w.Pick(c.Labels), c.Name))
		if c.Sensitive && !sensitive {
			p.Hidden = append(p.Hidden, label)
			continue
		}
		if c.Kind == "photo" {
			p.Face = portrait(c.Value)
		}
		value, changed := visible.Clean(w.value(c))
		p.Claims = append(p.Claims, Row{Label: label, Value: value, Kind: c.Kind, Partial: changed})
	}
}

// portrait is the picture of a claim as a data URL. The media type is one of a closed
// list (credential/cwt), and is looked at again because it becomes part of an address.
func portrait(v any) string {
	m, _ := v.(map[string]any)
	media, _ := m["media_type"].(string)
	data, _ := m["data"].([]byte)
	switch media {
	case "image/jpeg", "image/png", "image/webp", "image/avif", "image/jp2":
		return "data:" + media + ";base64," + base64.StdEncoding.EncodeToString(data)
	}
	return ""
}

// notes say how old the knowledge is, always if there is any, and what else to look
// at.
func (w words) notes(r verification.Report) []string {
	notes := []string{}
	switch signed := r.Check(verification.CheckSignature).Result == verification.Pass; {
	case !r.Basis.StatusAsOf.IsZero():
		notes = append(notes, w.Text("status_as_of", map[string]string{"date": w.date(r.Basis.StatusAsOf), "age": w.Age(r.StatusAge)}))
	case signed:
		notes = append(notes, w.text("status_never"))
	}
	if r.Basis.StatusAsOf.IsZero() && !r.Basis.KeysAsOf.IsZero() {
		notes = append(notes, w.Text("trust.as_of", map[string]string{
			"date": w.date(r.Basis.KeysAsOf), "version": w.Number(int(r.Basis.BundleVersion)),
		}))
	}
	if !r.AcceptedAt.IsZero() {
		notes = append([]string{w.Text("once.seen", map[string]string{"time": w.Clock(r.AcceptedAt)})}, notes...)
	}
	notes = append(notes, w.live(r)...)
	for _, warning := range r.Warnings {
		switch {
		case warning == verification.WarnSetClock: // said by the reason
		case warning != verification.WarnCopy:
			notes = append(notes, w.text("warning."+string(warning)))
		case r.Verdict == verification.Valid || r.Verdict == verification.CheckNeeded:
			if r.PersonCheck != "none" {
				notes = append(notes, w.text("warning."+string(warning)))
			}
			notes = append(notes, w.text("person_check."+r.PersonCheck))
		}
	}
	return notes
}

// live says how a code was shown and how fresh it is, if somebody answers for that.
func (w words) live(r verification.Report) []string {
	seconds := map[string]string{"seconds": w.Number(int(r.Age / time.Second))}
	switch {
	case r.Mode == verification.ModeCopy:
		return []string{w.Text("live.copy", map[string]string{"name": visible.Text(r.For), "date": w.date(r.Until)})}
	case r.Mode == "" || r.Holder == verification.BindingNone:
		return nil
	case r.AgeUnknown:
		return []string{w.text("live.unknown")}
	}
	return []string{w.Text("live."+string(r.Mode), seconds)}
}

func (w words) date(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return w.Date(t)
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// Value is a claim's value in the reader's words.
func Value(c verification.Claim, l i18n.Language) string { return words{l}.value(c) }

// standard are the kinds of attributes of Claim 169 whose meaning needs no type.
var standard = map[string]string{
	"dateOfBirth": "date", "language": "code", "nationality": "code", "secondaryLanguage": "code", "countryOfIssuance": "code",
}

// value is a claim's value in words.
func (w words) value(c verification.Claim) string {
	kind := c.Kind
	if kind == "" {
		kind = standard[c.Name]
	}
	return InWords(w.Language, kind, c.Value, c.Words)
}

// InWords is the value of a claim of a kind (of [credential.TypeField]) in the words of
// a language, as pages, paper and verdicts show it. A code is what its type says that it
// means; one that the type has no words for is a country or a language, since those
// alone need none.
func InWords(l i18n.Language, kind string, value any, meanings map[string]map[string]string) string {
	coded := func(v any) string {
		text := Plain(v)
		if words := l.Pick(meanings[text]); words != "" {
			return words
		}
		if kind == "code" {
			if name, ok := l.Coded(text); ok {
				return name
			}
		}
		return text
	}
	switch v := value.(type) {
	case bool:
		if v {
			return l.Text("label.yes", nil)
		}
		return l.Text("label.no", nil)
	case []any:
		all := make([]string, len(v))
		for i, e := range v {
			all[i] = coded(e)
		}
		return l.List(all)
	case string, int64:
		if kind == "date" {
			if d, ok := l.Known(Plain(v)); ok {
				return d
			}
		}
	}
	return coded(value)
}

// Plain is a value as text, without words of any language but sizes.
func Plain(v any) string {
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
			all[i] = Plain(e)
		}
		return strings.Join(all, ", ")
	case map[string]any:
		var all []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			all = append(all, k+": "+Plain(v[k]))
		}
		return strings.Join(all, "; ")
	case map[int64]any:
		var all []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			all = append(all, strconv.FormatInt(k, 10)+": "+Plain(v[k]))
		}
		return strings.Join(all, "; ")
	}
	return fmt.Sprint(v)
}
