package cli

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sanad-id/sanad/internal/visible"
)

// CleanTo is [visible.CleanTo].
func CleanTo(s string, most int) (shown string, changed bool) { return visible.CleanTo(s, most) }

// Visible is [visible.Text].
func Visible(s string) string { return visible.Text(s) }

// Count is a number with the word for what is counted, which takes an s.
func Count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// VisibleLines is Visible for a text of several lines.
func VisibleLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = Visible(l)
	}
	return strings.Join(lines, "\n")
}

// asciiJSON escapes in a JSON text what would steer a terminal. Such characters
// stand in strings only, where the escape means the same.
func asciiJSON(b []byte) []byte {
	var out []byte
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r < utf8.RuneSelf && r != 0x7f || !visible.Steers(r) {
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
