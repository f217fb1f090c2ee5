package cwt

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sanad-id/sanad/credential"
)

// ErrNotIssuable: the token is not fit to be signed. The text says which claim
// and why.
var ErrNotIssuable = errors.New("cwt: not fit to issue")

const (
	// MaxSize is the most bytes of a token: what the largest code holds.
	MaxSize = 2853
	// maxLetters is the most letters of one text.
	maxLetters = 256
	// maxDepth is how deep a value may nest.
	maxDepth = 4
	// maxBytes is the most bytes of one byte string.
	maxBytes = maxFace
	// maxDecoys is the most decoys of one place.
	maxDecoys = 16
	// maxBinding is the room that is left for what the holder adds.
	maxBinding = 256
)

// lastSecond is the end of the year 9999, the last moment that dates in four
// digits can show.
var lastSecond = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

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
	case len(t.Person) == 0 && len(t.Fields) == 0:
		return notIssuable("no claims")
	}
	if err := lintText(t.Issuer); err != nil {
		return notIssuable("issuer: %v", err)
	}
	if err := lintText(t.Type); err != nil {
		return notIssuable("type: %v", err)
	}
	if err := t.lintTimes(); err != nil {
		return err
	}
	if err := t.lintReferences(); err != nil {
		return err
	}
	if t.Decoys < 0 || t.Decoys > maxDecoys {
		return notIssuable("%d decoys, at most %d", t.Decoys, maxDecoys)
	}
	for key, v := range t.Person {
		if h, ok := v.(Hidden); ok {
			v = h.Value
		}
		if err := lintPerson(key, v); err != nil {
			return notIssuable("person attribute %d (%s): %v", key, attributes[key], err)
		}
	}
	for key, v := range t.Fields {
		if key < 1 {
			return notIssuable("field %d: keys begin at 1", key)
		}
		if err := lintValue(v, 1); err != nil {
			return notIssuable("field %d: %v", key, err)
		}
	}
	return nil
}

func (t Token) lintTimes() error {
	if err := credential.CheckDates(t.IssuedAt, t.NotBefore, t.Expires); err != nil {
		return notIssuable("%v", err)
	}
	// SD-CWT section 9 step 3: nobody would accept it.
	if t.Holder != nil && t.NotBefore.After(t.IssuedAt) {
		return notIssuable("bound to a holder, and begins after it is issued")
	}
	return nil
}

func (t Token) lintReferences() error {
	if t.Holder != nil && t.Holder.IsZero() {
		return notIssuable("holder: no key")
	}
	if err := t.Status.Check(lintText, math.MaxInt64); err != nil {
		return notIssuable("%v", err)
	}
	return nil
}

// lintPerson holds a Claim 169 attribute to the form of its table.
func lintPerson(key int64, v any) error {
	switch key {
	case personBirthDate:
		return lintDate(v)
	case personGender, personMaritalStatus:
		if n, ok := integer(v); !ok || n < 1 || n > 3 {
			return errors.New("not 1, 2 or 3")
		}
		return nil
	case personLanguage, personSecondaryLanguage:
		return lintLanguage(v)
	case personFace:
		return lintFace(v)
	}
	s, ok := v.(string)
	if !slices.Contains(issued, key) {
		return errors.New("is not issued")
	}
	if !ok {
		return errors.New("not a text")
	}
	if key == personAddress {
		s = strings.ReplaceAll(s, "\n", ",") // the table separates lines so
	}
	return lintText(s)
}

func lintDate(v any) error {
	s, ok := v.(string)
	if _, err := time.Parse("20060102", s); !ok || err != nil {
		return errors.New("not a date in the form YYYYMMDD")
	}
	return nil
}

func lintLanguage(v any) error {
	s, ok := v.(string)
	small := func(c rune) bool { return c >= 'a' && c <= 'z' }
	if !ok || len(s) != 3 || !small(rune(s[0])) || !small(rune(s[1])) || !small(rune(s[2])) {
		return errors.New("not a language code of three small letters (ISO 639-3)")
	}
	return nil
}

// lintFace takes what [FaceClaim] makes.
func lintFace(v any) error {
	list, _ := v.([]any)
	if len(list) != 1 {
		return errors.New("not a list of one picture")
	}
	m, ok := list[0].(map[int64]any)
	data, isBytes := m[biometricData].([]byte)
	format, isNumber := integer(m[biometricFormat])
	sub, isKnown := integer(m[biometricSubFormat])
	switch {
	case !ok || !isBytes || !isNumber || !isKnown || len(m) != 3:
		return errors.New("not a picture with data, format and sub-format")
	case format != formatImage || mediaTypes[sub] == "":
		return errors.New("not a known kind of picture")
	case len(data) == 0 || len(data) > maxFace:
		return fmt.Errorf("the picture must take 1 to %d bytes", maxFace)
	}
	return nil
}

func integer(v any) (int64, bool) {
	switch v := v.(type) {
	case int:
		return int64(v), true
	case int64:
		return v, true
	}
	return 0, false
}

func lintValue(v any, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("nested deeper than %d", maxDepth)
	}
	switch v := v.(type) {
	case Hidden:
		if _, twice := v.Value.(Hidden); twice {
			return errors.New("hidden twice")
		}
		return lintValue(v.Value, depth)
	case string:
		return lintText(v)
	case int, int64, bool:
		return nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return errors.New("not a finite number")
		}
		return nil
	case []byte:
		if len(v) > maxBytes {
			return fmt.Errorf("%d bytes, at most %d", len(v), maxBytes)
		}
		return nil
	case []any:
		for _, e := range v {
			if err := lintValue(e, depth+1); err != nil {
				return err
			}
		}
		return nil
	case map[int64]any:
		for _, e := range v {
			if err := lintValue(e, depth+1); err != nil {
				return err
			}
		}
		return nil
	case map[string]any:
		for k, e := range v {
			if err := errors.Join(lintText(k), lintValue(e, depth+1)); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("a value of type %T", v)
}

// lintText refuses what cannot be shown truthfully on every screen and printer.
func lintText(s string) error {
	if s == "" {
		return errors.New("an empty text")
	}
	letters := 0
	for i, r := range s {
		if letters++; letters > maxLetters {
			return fmt.Errorf("text of more than %d letters", maxLetters)
		}
		switch {
		case r >= ' ' && r <= '~':
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\ufffd"):
			return errors.New("text that is not UTF-8")
		case unicode.IsControl(r) || credential.Misleading(r):
			return fmt.Errorf("the control character U+%04X", r)
		}
	}
	return nil
}
