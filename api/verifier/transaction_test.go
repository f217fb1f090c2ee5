package verifier_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/sanad-id/sanad/api/verifier"
	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/verification"
)

// TestResultsAreSealed: who made the request reads its result, also if it was made before
// the curve was changed, and nobody else does.
func TestResultsAreSealed(t *testing.T) {
	const plain = `{"verdict":"valid"}`
	b := verifier.NewBox("the secret of the relying party")
	for name, seal := range map[string]func([]byte) (*verifier.Outcome, error){"today's": b.Seal, "a former": b.SealFormer} {
		sealed, err := seal([]byte(plain))
		if err != nil {
			t.Fatal(err)
		}
		stored, err := json.Marshal(sealed)
		if err != nil {
			t.Fatal(err)
		}
		read := func(spoil func(*verifier.Outcome)) *verifier.Outcome {
			o := new(verifier.Outcome)
			if err := json.Unmarshal(stored, o); err != nil {
				t.Fatal(err)
			}
			spoil(o)
			return o
		}
		if got, err := read(func(*verifier.Outcome) {}).Open("the secret of the relying party"); err != nil || string(got) != plain {
			t.Errorf("%s box: %q, %v", name, got, err)
		}
		for what, o := range map[string]*verifier.Outcome{
			"of another transaction": read(func(o *verifier.Outcome) { o.Handle += "x" }),
			"changed":                read(func(o *verifier.Outcome) { o.Sealed[len(o.Sealed)-1] ^= 1 }),
			"for another point":      read(func(o *verifier.Outcome) { o.Sealed[7] ^= 1 }),
			"on the other curve": read(func(o *verifier.Outcome) {
				if o.Curve == "" {
					o.Curve = "P-256"
				} else {
					o.Curve = ""
				}
			}),
		} {
			if got, err := o.Open("the secret of the relying party"); err == nil {
				t.Errorf("%s box, %s: %q", name, what, got)
			}
		}
		if got, err := read(func(*verifier.Outcome) {}).Open("another secret"); err == nil {
			t.Errorf("%s box, by somebody else: %q", name, got)
		}
	}
}

// TestResultIsEncodedWhole: what is sealed of a result says what its JSON says.
func TestResultIsEncodedWhole(t *testing.T) {
	at := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	report := &verification.Report{
		Verdict: verification.CheckNeeded, Kind: "credential", Format: credential.FormatSDJWT, Type: "urn:xa:farmer:1", Issuer: "https://agri.gov.example", IssuedAt: at,
		Checks:   []verification.Check{{ID: "signature", Result: "pass"}, {ID: "status", Result: "warn", Reason: "status_old", AsOf: at}},
		Claims:   []verification.Claim{{Name: "given_name", Value: "Juma <b>"}, {Name: "photo", Value: []byte{1, 2}}},
		Warnings: []verification.Warning{"old"},
	}
	for name, r := range map[string]*verifier.Result{
		"nothing":         {},
		"nothing shown":   {Verdict: verification.Invalid, Reasons: []string{verifier.NotAnswered}, Presentations: []verifier.Presentation{}},
		"two credentials": {Verdict: verification.CheckNeeded, Digest: "d", Received: "2026-11-22T08:00:00Z", Presentations: []verifier.Presentation{{Credential: "farmer", Report: report, Claims: []verifier.ShownClaim{{Value: "Juma"}}}, {Credential: "other", Reasons: []string{"malformed"}}}},
	} {
		got, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		want, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var a, b any
		if err := json.Unmarshal(got, &a); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(want, &b); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(a, b) || len(got) != len(want) {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
}
