package credential

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// lastSecond is the end of the year 9999, the last moment that dates in four
// digits can show.
var lastSecond = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// CheckDates reports why a credential cannot have these dates, whatever its format:
// whole seconds of the years 1970 to 9999, and an end after its beginnings. Zero
// dates are none.
func CheckDates(issuedAt, notBefore, expires time.Time) error {
	for i, at := range [...]time.Time{issuedAt, notBefore, expires} {
		name := [...]string{"issue date", "first moment", "last moment"}[i]
		switch {
		case at.IsZero():
		case at.Nanosecond() != 0:
			return fmt.Errorf("%s: not a whole second", name)
		case at.Unix() <= 0 || at.After(lastSecond):
			return fmt.Errorf("%s: outside the years 1970 to 9999", name)
		}
	}
	switch {
	case expires.IsZero():
	case !expires.After(issuedAt):
		return errors.New("expires before it is issued")
	case !expires.After(notBefore):
		return errors.New("expires before it begins")
	}
	return nil
}

// Check reports why a credential cannot refer to this slot, whatever its format. Text
// is what the format demands of a text, most its largest index.
func (s *StatusRef) Check(text func(string) error, most uint64) error {
	if s == nil {
		return nil
	}
	if err := text(s.URI); err != nil {
		return fmt.Errorf("status: %w", err)
	}
	if scheme, rest, _ := strings.Cut(s.URI, "://"); scheme == "" || rest == "" || strings.Contains(s.URI, " ") {
		return errors.New("status: no absolute URI")
	}
	if s.Index > most {
		return errors.New("status: the index is too large")
	}
	return nil
}
