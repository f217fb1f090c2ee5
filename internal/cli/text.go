package cli

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds on text from outside that is shown to a person.
const (
	maxShown = 400 // characters of one value
	maxMarks = 6   // marks on one letter; no living script needs more
)

// Characters that keep text of one direction from reordering what stands around
// it (Unicode Bidirectional Algorithm, FSI and PDI).
const (
	isolate    = "\u2068"
	endIsolate = "\u2069"
)

// Clean makes text from outside safe for a terminal: what would steer the
// terminal or reorder or hide text becomes visible, floods of marks and very
// long values are cut. Right-to-left text is isolated, so that it stays in its
// place. changed tells that what is shown is not all there is.
func Clean(s string) (shown string, changed bool) { return CleanTo(s, maxShown) }

// CleanTo is Clean with a limit of its own.
func CleanTo(s string, most int) (shown string, changed bool) {
	var b strings.Builder
	b.Grow(min(len(s), 4*most) + 16)
	marks, n, rtl := 0, 0, false
	for i, r := range s {
		if n == most {
			fmt.Fprintf(&b, "… (%d characters in all)", utf8.RuneCountInString(s))
			changed = true
			break
		}
		n++
		if unicode.IsMark(r) {
			if i == 0 {
				b.WriteRune('\u25cc') // a dotted circle, lest it sit on our own text
			}
			if marks++; marks > maxMarks {
				n--
				changed = true
				continue
			}
			b.WriteRune(r)
			continue
		}
		marks = 0
		switch {
		case r == utf8.RuneError:
			b.WriteRune(r)
			changed = true
		case r == '\n' || r == '\u2028' || r == '\u2029' || r == '\u0085':
			b.WriteString(" ↵ ")
		case r == '\t':
			b.WriteByte(' ')
		case steers(r):
			fmt.Fprintf(&b, "‹U+%04X›", r)
			changed = true
		default:
			rtl = rtl || rightToLeft(r)
			b.WriteRune(r)
		}
	}
	if rtl {
		return isolate + b.String() + endIsolate, changed
	}
	return b.String(), changed
}

// Visible is Clean for where nobody asks whether anything was changed.
func Visible(s string) string {
	shown, _ := Clean(s)
	return shown
}

// VisibleLines is Visible for a text of several lines.
func VisibleLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = Visible(l)
	}
	return strings.Join(lines, "\n")
}

// steers reports whether a character is not shown but does something: control
// and format characters, private and unassigned ones, and letters that are blank.
// Joiners and direction marks stay, since Bengali, Persian and Arabic need them;
// they cannot reach beyond the letters beside them.
func steers(r rune) bool {
	switch r {
	case '\u200c', '\u200d', '\u200e', '\u200f', '\u061c':
		return false
	case '\u115f', '\u1160', '\u3164', '\uffa0', '\u2800', '\u17b4', '\u17b5':
		return true
	}
	return !unicode.IsGraphic(r)
}

// rightToLeft reports whether a letter is of a script written from the right.
func rightToLeft(r rune) bool {
	return r >= 0x590 && unicode.In(r, unicode.Hebrew, unicode.Arabic, unicode.Syriac, unicode.Thaana, unicode.Nko,
		unicode.Samaritan, unicode.Mandaic, unicode.Adlam, unicode.Hanifi_Rohingya, unicode.Yezidi, unicode.Mende_Kikakui)
}

// asciiJSON escapes in a JSON text what would steer a terminal. Such characters
// stand in strings only, where the escape means the same.
func asciiJSON(b []byte) []byte {
	var out []byte
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r < utf8.RuneSelf && r != 0x7f || !steers(r) {
			out = append(out, b[i:i+n]...)
		} else if r > 0xffff {
			hi, lo := (r-0x10000)>>10+0xd800, (r-0x10000)&0x3ff+0xdc00
			out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
		} else {
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		i += n
	}
	return out
}

// Pad fills text with spaces to a width in columns, as far as that can be told.
func Pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-Columns(s)))
}

// Columns is about how many columns a terminal gives to text.
func Columns(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case unicode.Is(unicode.Mn, r), unicode.Is(unicode.Me, r), unicode.Is(unicode.Cf, r):
		case r >= 0x1100 && unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana):
			n += 2
		default:
			n++
		}
	}
	return n
}

// Wrap breaks text at spaces, and words that are too long anywhere, into lines of
// at most so many columns, all but the first indented.
func Wrap(s string, width int, indent string) string {
	var b strings.Builder
	col := 0
	newline := func() {
		b.WriteString("\n" + indent)
		col = 0
	}
	for i, word := range strings.Fields(s) {
		w := Columns(word)
		if i > 0 && col+1+w > width {
			newline()
		} else if i > 0 {
			b.WriteByte(' ')
			col++
		}
		if w <= width {
			b.WriteString(word)
			col += w
			continue
		}
		for _, r := range word {
			if c := Columns(string(r)); c > 0 && col+c > width {
				newline()
			}
			b.WriteRune(r)
			col += Columns(string(r))
		}
	}
	return b.String()
}
