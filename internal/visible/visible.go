// Package visible makes text from outside safe to show to a person, on a terminal,
// on a page or on paper. Start with [Clean] and [Text].
//
// Left to others: markup (html/template, textContent), JSON, the width of a line
// (internal/cli).
package visible

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

// Clean makes text from outside safe to show to a person: what would steer
// a terminal, or reorder or hide text becomes visible, floods of marks and very
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
		case Steers(r):
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

// Text is Clean for where nobody asks whether anything was changed.
func Text(s string) string {
	shown, _ := Clean(s)
	return shown
}

// Steers reports whether a character is not shown but does something: control
// and format characters, private and unassigned ones, and letters that are blank.
// Joiners and direction marks stay, since Bengali, Persian and Arabic need them;
// they cannot reach beyond the letters beside them.
func Steers(r rune) bool {
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
