package issuance_test

import (
	"strings"
	"testing"

	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/issuance"
)

const base32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// TestDocumentNumberCatchesSlips changes each character into each other one, and swaps
// every two: each slip is caught.
func TestDocumentNumberCatchesSlips(t *testing.T) {
	for _, id := range []string{"01KA7X2M9QZ3BV8D5T0RWHJ4EN", "00000000000000000000000000", "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"} {
		n := issuance.DocumentNumber(id)
		if got, ok := issuance.ParseDocumentNumber(n); !ok || got != n || len(n) != issuance.NumberLength {
			t.Fatalf("ParseDocumentNumber(%q) = %q, %t", n, got, ok)
		}
		if !strings.HasSuffix(id, issuance.NumberTail(n)) || issuance.DocumentNumber("01KA7X2M9QZ3BV8D5T0RWHJ4EP") == n {
			t.Errorf("the number %s does not tell credentials apart", n)
		}
		for i := range n {
			for _, c := range base32 {
				if typed := n[:i] + string(c) + n[i+1:]; typed != n {
					if _, ok := issuance.ParseDocumentNumber(typed); ok {
						t.Errorf("%s was taken for %s", typed, n)
					}
				}
			}
			for j := i + 1; j < len(n); j++ {
				b := []byte(n)
				b[i], b[j] = b[j], b[i]
				if typed := string(b); typed != n {
					if _, ok := issuance.ParseDocumentNumber(typed); ok {
						t.Errorf("%s was taken for %s", typed, n)
					}
				}
			}
		}
	}
}

func TestParseDocumentNumber(t *testing.T) {
	n := issuance.DocumentNumber("01KA7X2M9QZ3BV8D5T0R1H04EN")
	typed := strings.ToLower(n[:4] + "-" + n[4:8] + " " + n[8:])
	typed = strings.NewReplacer("0", "o", "1", "l").Replace(typed)
	if got, ok := issuance.ParseDocumentNumber(typed); !ok || got != n {
		t.Errorf("ParseDocumentNumber(%q) = %q, %t; want %s", typed, got, ok, n)
	}
	for name, typed := range map[string]string{
		"nothing": "", "too short": n[:11], "too long": n + "0", "a letter that is none": "U" + n[1:], "very long": strings.Repeat("-", 1000) + n,
		"digits of another script": "৭" + n[1:],
	} {
		if _, ok := issuance.ParseDocumentNumber(typed); ok {
			t.Errorf("%s: taken for a number", name)
		}
	}
}

// FuzzParseDocumentNumber: what is taken is a number that reads as itself, that no other
// spelling of one character gives, and that some credential has.
func FuzzParseDocumentNumber(f *testing.F) {
	for _, id := range []string{"01KA7X2M9QZ3BV8D5T0RWHJ4EN", "00000000000000000000000000", "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"} {
		n := issuance.DocumentNumber(id)
		f.Add(n)
		f.Add(strings.ToLower(n[:4]) + " " + n[4:8] + "\u2011" + strings.ReplaceAll(strings.ReplaceAll(n[8:], "0", "o"), "1", "l"))
		f.Add(n[1:])
	}
	f.Add(strings.Repeat("-", 48))
	f.Add("\xff\u212a")
	boundtest.Fuzz(f, func(t *testing.T, typed string) {
		n, ok := issuance.ParseDocumentNumber(typed)
		if !ok {
			if n != "" && len(n) != issuance.NumberLength {
				t.Fatalf("%q is refused and gives %q", typed, n)
			}
			return
		}
		if again, ok := issuance.ParseDocumentNumber(n); !ok || again != n || strings.Trim(n, base32) != "" {
			t.Fatalf("%q gives %q, and that %q", typed, n, again)
		}
		if id := "01KA7X2M9QZ3BV8" + n[:issuance.NumberLength-1]; issuance.DocumentNumber(id) != n {
			t.Fatalf("no credential has %q", n)
		}
		for i := range n {
			slip := n[:i] + string(base32[(strings.IndexByte(base32, n[i])+1)%len(base32)]) + n[i+1:]
			if _, ok := issuance.ParseDocumentNumber(slip); ok {
				t.Fatalf("%q and %q are both taken", n, slip)
			}
		}
	})
}
