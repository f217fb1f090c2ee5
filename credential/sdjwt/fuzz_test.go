package sdjwt_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/internal/boundtest"
)

func seed(f *testing.F) {
	for _, folder := range []string{"rfc9901", "sd-jwt-vc"} {
		for _, v := range readVectors(f, folder) {
			for _, s := range []string{v.Issued, v.Presented, v.CompactEquivalent} {
				if s != "" {
					f.Add(s)
				}
			}
		}
	}
	f.Add(goodFixture(f).text())
	f.Add("e30.e30.AA~~")
}

// FuzzVerify: nothing verifies without a trusted issuer, and with one only what
// that issuer signed.
func FuzzVerify(f *testing.F) {
	seed(f)
	good := goodFixture(f)
	boundtest.Fuzz(f, func(t *testing.T, s string) {
		want := good.want
		want.Keys = issuers{}
		if v, err := sdjwt.Verify(s, want); err == nil {
			t.Fatalf("verified %+v with no trusted issuer", v)
		}
		want.Keys = anyKey{someKey(t)}
		if v, err := sdjwt.Verify(s, want); err == nil {
			t.Fatalf("verified %+v by a key that signed nothing", v)
		} else if _, ok := err.(*credential.RejectedError); !ok {
			t.Fatalf("%v is no decision", err)
		}
	})
}

// FuzzParse: what can be read can be presented whole and empty; nothing of
// digests is left; and a presentation never says more than what it was made of.
func FuzzParse(f *testing.F) {
	seed(f)
	boundtest.Fuzz(f, func(t *testing.T, s string) {
		p, err := sdjwt.Parse(s)
		if err != nil {
			if _, ok := err.(*credential.RejectedError); !ok {
				t.Fatalf("%v is no decision", err)
			}
			return
		}
		text, err := json.Marshal(p.Claims)
		if err != nil {
			t.Fatal(err)
		}
		if digestsLeft(p.Claims) {
			t.Fatalf("digests are left in %s", text)
		}
		if p.Bound {
			s = sdjwt.Unbound(s)
		}
		all, err := sdjwt.Present(s, p.Disclosures...)
		if err != nil || all != s {
			t.Fatalf("presented whole: %q, %v, want %q", all, err, s)
		}
		none, err := sdjwt.Present(s)
		if err != nil || strings.Count(none, "~") != 1 {
			t.Fatalf("presented empty: %q, %v", none, err)
		}
		bare, err := sdjwt.Parse(none)
		if err != nil || len(bare.Claims) > len(p.Claims) {
			t.Fatalf("%d claims of %d, %v", len(bare.Claims), len(p.Claims), err)
		}
	})
}

// digestsLeft reports whether a value still holds what belongs to digests.
func digestsLeft(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for name, e := range v {
			if name == "_sd" || name == "_sd_alg" || name == "..." || digestsLeft(e) {
				return true
			}
		}
	case []any:
		for _, e := range v {
			if digestsLeft(e) {
				return true
			}
		}
	}
	return false
}
