package verifier_test

import (
	"encoding/json"
	"testing"

	"github.com/sanad-id/sanad/api/verifier"
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
