package explain

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/qr"
	"github.com/sanad-id/sanad/verification"
)

// TestSentences holds every code that a report can have to a sentence.
func TestSentences(t *testing.T) {
	var codes []string
	for _, v := range verification.Verdicts() {
		codes = append(codes, "verdict."+string(v))
	}
	for _, r := range credential.Reasons() {
		codes = append(codes, "reason."+string(r), "advice."+string(r))
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
	for _, l := range []string{"type", "issuer", "issued", "not_before", "expires", "no_expiry", "hidden", "yes", "no"} {
		codes = append(codes, "label."+l)
	}
	codes = append(codes, "kind."+verification.KindCOSE, "kind.picture", "status_as_of", "status_never", "trust.as_of",
		"person_check.photo", "person_check.other_id", "person_check.none")
	for _, c := range codes {
		if !i18n.Has(c) {
			t.Errorf("no sentence for %s", c)
		}
	}
}

// TestReport tells a report with one of everything.
func TestReport(t *testing.T) {
	asOf := time.Date(2026, 11, 12, 0, 0, 0, 0, time.UTC)
	labels := func(en string) map[string]string { return map[string]string{"en": en} }
	r := verification.Report{
		Verdict: verification.CheckNeeded, Kind: "cwt", PersonCheck: "photo", StatusAge: 9 * 24 * time.Hour,
		Checks: []verification.Check{
			{ID: verification.CheckSignature, Result: verification.Pass},
			{ID: verification.CheckClock, Result: verification.Fail, Reason: credential.ClockDoubtful},
			{ID: verification.CheckStatus, Result: verification.Stale, Reason: credential.StatusOld},
			{ID: verification.CheckTrust, Result: verification.Stale, Reason: credential.StatusOld},
		},
		Basis: verification.Basis{BundleVersion: 4, KeysAsOf: asOf, StatusAsOf: asOf},
		Type:  "urn:xx:card:1", TypeLabels: labels("Card"), Issuer: "https://issuer.example", IssuerNames: labels("Office \u202eof births"), IssuedAt: asOf,
		Warnings: []verification.Warning{verification.WarnCopy, verification.WarnSetClock, verification.WarnUpdateSoon},
		Claims: []verification.Claim{
			{Name: "name", Labels: labels("Name"), Value: "Rahima" + strings.Repeat("\u0301", 40)},
			{Name: "born", Labels: labels("Born"), Kind: "date", Value: "19900402"},
			{Name: "adult", Value: true},
			{Name: "kind", Value: int64(2), Words: map[string]map[string]string{"2": labels("copy")}},
			{Name: "marks", Value: []any{"a", int64(2)}, Words: map[string]map[string]string{"a": labels("first")}},
			{Name: "illness", Labels: labels("Illness"), Value: "x", Sensitive: true},
			{Name: "face", Kind: "photo", Value: map[string]any{"media_type": "image/webp", "data": []byte{1, 2, 3}}},
		},
	}
	p := Report(r, Options{})
	if p.Heading != "Genuine - check needed" || len(p.Why) != 2 || p.Why[0].Reason == "" || p.Why[0].Advice == "" {
		t.Errorf("verdict and reasons: %q, %+v", p.Heading, p.Why)
	}
	var got []string
	for _, row := range append(p.Facts, p.Claims...) {
		text := row.Label + "=" + row.Value
		if row.Partial {
			text += " partial"
		}
		got = append(got, text)
	}
	want := "Type=Card|Issuer=Office ‹U+202E›of births|Issued=12 November 2026|Expires=No end date|Name=Rahima" + strings.Repeat("\u0301", 6) +
		" partial|Born=2 April 1990|adult=yes|kind=copy|marks=first and 2|face=data: (3 bytes); media_type: image/webp"
	if s := strings.Join(got, "|"); s != want {
		t.Errorf("rows:\n%s\nwant\n%s", s, want)
	}
	if p.Face != "data:image/webp;base64,AQID" {
		t.Errorf("face %q", p.Face)
	}
	if len(p.Hidden) != 1 || p.Hidden[0] != "Illness" {
		t.Errorf("hidden: %v", p.Hidden)
	}
	notes := strings.Join(p.Notes, "|")
	for _, part := range []string{"12 November 2026", "9 days", "photo"} {
		if !strings.Contains(notes, part) {
			t.Errorf("notes lack %q: %s", part, notes)
		}
	}
	if open := Report(r, Options{Sensitive: true}); len(open.Hidden) != 0 || len(open.Claims) != len(p.Claims)+1 {
		t.Errorf("with sensitive claims: %d, hidden %v", len(open.Claims), open.Hidden)
	}
}

// TestReportSaysNothingUnsigned: what nobody signed is not shown as content.
func TestReportSaysNothingUnsigned(t *testing.T) {
	r := verification.Report{
		Verdict: verification.Invalid, Claims: []verification.Claim{{Name: "name", Value: "Rahima"}}, Type: "urn:xx:card:1",
		Checks: []verification.Check{{ID: verification.CheckSignature, Result: verification.Fail, Reason: credential.BadSignature}},
	}
	if p := Report(r, Options{}); len(p.Facts)+len(p.Claims) != 0 || p.Why[0].Code != credential.BadSignature {
		t.Errorf("%+v", p)
	}
}

// TestPortrait: only pictures of known kinds become part of an address.
func TestPortrait(t *testing.T) {
	for _, v := range []any{
		nil, "x", map[string]any{"media_type": "image/svg+xml", "data": []byte("<svg/>")},
		map[string]any{"media_type": "text/html", "data": []byte("<b>")}, map[string]any{"data": []byte{1}},
	} {
		if got := portrait(v); got != "" {
			t.Errorf("%v became %q", v, got)
		}
	}
}

// How a code was shown, in words of every language.
func TestLive(t *testing.T) {
	at := time.Date(2026, 12, 8, 6, 0, 0, 0, time.UTC)
	tests := []struct {
		report verification.Report
		want   string
	}{
		{verification.Report{}, ""},
		{verification.Report{Mode: verification.ModeRotating, Holder: verification.BindingKey, Age: 9 * time.Second}, "Shown from the holder's phone 9 s ago."},
		{verification.Report{Mode: verification.ModePoster, Holder: verification.BindingKey}, "Shown from the holder's phone 0 s ago, for this counter."},
		{verification.Report{Mode: verification.ModeQuestion, Holder: verification.BindingKeyChallenge, Age: time.Minute}, "Answered your question just now (60 s)."},
		{verification.Report{Mode: verification.ModeCopy, Holder: verification.BindingNone, For: "Janata\x1b Bank", Until: at}, "A copy made out to Janata‹U+001B› Bank, good until 8 December 2026."},
		{verification.Report{Mode: verification.ModeRotating, Holder: verification.BindingKey, AgeUnknown: true}, "Shown from a phone; when cannot be told, because the clock of this device is doubtful."},
		{verification.Report{Mode: verification.ModeRotating, Holder: verification.BindingNone}, ""}, // refused
	}
	for _, tt := range tests {
		notes := Report(tt.report, Options{Language: i18n.For("en")}).Notes
		if tt.want == "" && len(notes) > 0 || tt.want != "" && !slices.Equal(notes, []string{tt.want}) {
			t.Errorf("%+v: %q, want %q", tt.report, notes, tt.want)
		}
	}
	for _, l := range i18n.Languages() {
		for _, m := range verification.Modes() {
			r := verification.Report{Mode: m, Holder: verification.BindingKey, For: "Janata Bank", Until: at}
			notes := Report(r, Options{Language: l}).Notes
			if len(notes) != 1 || strings.ContainsAny(notes[0], "{}") {
				t.Errorf("%s, %s: %q", l.Tag(), m, notes)
			}
		}
	}
}

// TestP14Age: wherever a verdict stands on a list, the page says of which day that is and
// how old it was, in every language and for every age (promise P14).
func TestP14Age(t *testing.T) {
	asOf := time.Date(2026, 11, 12, 6, 0, 0, 0, time.UTC)
	for _, l := range i18n.Languages() {
		for _, verdict := range verification.Verdicts() {
			for _, age := range []time.Duration{0, time.Minute, time.Hour, 25 * time.Hour, 48 * time.Hour, 3 * 24 * time.Hour, 40 * 24 * time.Hour, 400 * 24 * time.Hour} {
				r := verification.Report{
					Verdict: verdict, Checks: []verification.Check{{ID: verification.CheckSignature, Result: verification.Pass}},
					Basis: verification.Basis{BundleVersion: 3, KeysAsOf: asOf, StatusAsOf: asOf}, StatusAge: age,
				}
				notes := strings.Join(Report(r, Options{Language: l}).Notes, "|")
				if !strings.Contains(notes, l.Date(asOf)) || l.Age(age) == "" || !strings.Contains(notes, l.Age(age)) || strings.ContainsAny(notes, "{}") {
					t.Errorf("%s, %s, %v: %q names neither %q nor %q", l.Tag(), verdict, age, notes, l.Date(asOf), l.Age(age))
				}
				// Without a list it says that nothing is known of revocations, and how old the keys are.
				r.Basis.StatusAsOf = time.Time{}
				notes = strings.Join(Report(r, Options{Language: l}).Notes, "|")
				if !strings.Contains(notes, l.Text("status_never", nil)) || !strings.Contains(notes, l.Date(asOf)) {
					t.Errorf("%s, %s, without a list: %q", l.Tag(), verdict, notes)
				}
			}
		}
	}
}
