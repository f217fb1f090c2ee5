package sdjwt

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/sanad-id/sanad/credential"
)

// ErrNotIssuable: the token is not fit to be signed. The text says which claim and
// why.
var ErrNotIssuable = errors.New("sdjwt: not fit to issue")

const (
	// maxNested is how deep the claims of a token may nest: less than what is read,
	// so that a verifier with tighter limits can still read it.
	maxNested = 8
	// maxDecoys is the most decoys of one object.
	maxDecoys = 64
	// maxText is the most bytes of one text: a portrait as data URL fits.
	maxText = 64 << 10
	// maxIndex is the largest status index: more than the largest list has.
	maxIndex = math.MaxInt32
)

// ownClaims are the names that a token's Claims may not have: they have fields of
// their own, are reserved, or would limit who may read the credential.
var ownClaims = append([]string{"iat", "aud", "jti", nameDigests, nameAlgorithm, nameSlot}, plainClaims...)

// Reserved reports whether no claim of a type may have this name: the format gives it
// a meaning of its own, or keeps it for later.
func Reserved(name string) bool { return slices.Contains(ownClaims, name) }

func notIssuable(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrNotIssuable}, args...)...)
}

// lint refuses what a signature would make permanent.
func (t Token) lint() error {
	switch {
	case t.Issuer == "":
		return notIssuable("no issuer")
	case t.Type == "":
		return notIssuable("no type")
	case t.IssuedAt.IsZero():
		return notIssuable("no issue date")
	case len(t.Claims) == 0:
		return notIssuable("no claims")
	case t.Decoys < 0 || t.Decoys > maxDecoys:
		return notIssuable("%d decoys, at most %d", t.Decoys, maxDecoys)
	case t.Holder != nil && t.Holder.IsZero():
		return notIssuable("holder: no key")
	}
	if err := lintText(t.Issuer); err != nil {
		return notIssuable("issuer: %v", err)
	}
	if err := lintText(t.Type); err != nil {
		return notIssuable("type: %v", err)
	}
	if t.TypeIntegrity != "" && !isIntegrity(t.TypeIntegrity) {
		return notIssuable("type integrity: no hash of a known kind")
	}
	if err := credential.CheckDates(t.IssuedAt, t.NotBefore, t.Expires); err != nil {
		return notIssuable("%v", err)
	}
	if err := t.Status.Check(lintText, maxIndex); err != nil {
		return notIssuable("%v", err)
	}
	for name, v := range t.Claims {
		if slices.Contains(ownClaims, name) {
			return notIssuable("claim %q: the name is taken", name)
		}
		if err := lintMember(name, v, 1); err != nil {
			return notIssuable("claim %q: %v", name, err)
		}
	}
	return nil
}

func lintMember(name string, v any, depth int) error {
	if err := lintText(name); err != nil {
		return fmt.Errorf("name: %w", err)
	}
	if name == nameDigests || name == nameAlgorithm || name == nameSlot {
		return fmt.Errorf("the name %q is taken", name)
	}
	return lintValue(v, depth)
}

func lintValue(v any, depth int) error {
	if depth > maxNested {
		return fmt.Errorf("nested deeper than %d", maxNested)
	}
	switch v := v.(type) {
	case Hidden:
		if _, twice := v.Value.(Hidden); twice {
			return errors.New("hidden twice")
		}
		return lintValue(v.Value, depth)
	case string:
		return lintText(v)
	case int:
		return lintInt(int64(v))
	case int64:
		return lintInt(v)
	case bool:
		return nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return errors.New("not a finite number")
		}
		return nil
	case []any:
		for _, e := range v {
			if err := lintValue(e, depth+1); err != nil {
				return err
			}
		}
		return nil
	case map[string]any:
		for name, e := range v {
			if err := lintMember(name, e, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("a value of type %T", v)
}

func lintInt(n int64) error {
	if n > 1<<53-1 || n < -(1<<53-1) {
		return errors.New("a whole number beyond 2^53, which readers take differently")
	}
	return nil
}

// lintText refuses what cannot be shown truthfully on every screen.
func lintText(s string) error {
	switch {
	case s == "":
		return errors.New("an empty text")
	case len(s) > maxText:
		return fmt.Errorf("text of more than %d bytes", maxText)
	case printable(s):
		return nil
	case !utf8.ValidString(s):
		return errors.New("text that is not UTF-8")
	}
	for _, r := range s {
		if unicode.IsControl(r) && r != '\n' || credential.Misleading(r) {
			return fmt.Errorf("the control character U+%04X", r)
		}
	}
	return nil
}

// printable reports whether s is nothing but printable ASCII, which most texts are.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
