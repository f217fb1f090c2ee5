package verifier_test

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/api/verifier"
	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/verification"
)

// TestResultsAreSealed: who made the request reads its result, and nobody else does.
func TestResultsAreSealed(t *testing.T) {
	const plain, secret = `{"verdict":"valid"}`, "the secret of the relying party"
	sealed, err := verifier.NewBox(secret).Seal([]byte(plain))
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
	whole := read(func(*verifier.Outcome) {})
	if got, err := whole.Open(secret); err != nil || string(got) != plain {
		t.Errorf("%q, %v", got, err)
	}
	for what, o := range map[string]*verifier.Outcome{
		"of another transaction": read(func(o *verifier.Outcome) { o.Handle += "x" }),
		"changed":                read(func(o *verifier.Outcome) { o.Sealed[len(o.Sealed)-1] ^= 1 }),
		"for another point":      read(func(o *verifier.Outcome) { o.Sealed[7] ^= 1 }),
	} {
		if got, err := o.Open(secret); err == nil {
			t.Errorf("%s: %q", what, got)
		}
	}
	if got, err := whole.Open("another secret"); err == nil {
		t.Errorf("by somebody else: %q", got)
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

// TestHandlesAreArguments: an operator passes them to `verifier webhooks retry`, where a
// dash at the front would be a flag.
func TestHandlesAreArguments(t *testing.T) {
	for i := range 1000 {
		if h := verifier.NewBox(strconv.Itoa(i)).Handle; len(h) != 24 || strings.Trim(h, "abcdefghijklmnopqrstuvwxyz234567") != "" {
			t.Fatalf("%q", h)
		}
	}
}
