package crosswalk

import (
	"strings"
	"unicode"
)

// Digits returns text with the decimal digits of every script as ASCII digits,
// so that ১৯৮৪ and ١٩٨٤ read as 1984. Everything else stays as it is.
func Digits(text string) string {
	ascii := true
	for i := range len(text) {
		if text[i] >= 0x80 {
			ascii = false
			break
		}
	}
	if ascii {
		return text
	}
	return strings.Map(func(r rune) rune {
		if d, ok := digit(r); ok {
			return '0' + d
		}
		return r
	}, text)
}

// digit returns the value of a decimal digit. Unicode assigns the digits of a
// script in runs of ten from zero (The Unicode Standard, section 4.6).
func digit(r rune) (rune, bool) {
	if r < 0x80 {
		return r - '0', r >= '0' && r <= '9'
	}
	for _, t := range unicode.Nd.R16 {
		if rune(t.Lo) <= r && r <= rune(t.Hi) {
			return (r - rune(t.Lo)) % 10, true
		}
	}
	for _, t := range unicode.Nd.R32 {
		if rune(t.Lo) <= r && r <= rune(t.Hi) {
			return (r - rune(t.Lo)) % 10, true
		}
	}
	return 0, false
}
