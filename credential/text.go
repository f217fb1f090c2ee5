package credential

import "unicode/utf8"

// Misleading reports whether r makes a text read otherwise than it is: overrides of
// the direction of writing, invisible line ends and marks. Joiners (U+200C, U+200D)
// do not, because Bengali, Sinhala and Persian are not spelled right without.
func Misleading(r rune) bool {
	switch {
	case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x2028, r == 0x2029, r == 0xfeff, r == utf8.RuneError:
		return true
	}
	return false
}
