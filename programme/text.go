package programme

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// clean returns text without the white space around it, or the code and the
// explanation of why such text may not stand in a credential. Nothing inside the
// text is changed: a name is printed as the registry writes it.
func clean(s string) (text, code, detail string) {
	s = strings.TrimSpace(s)
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f {
			return cleanUnicode(s)
		}
	}
	return s, "", ""
}

func cleanUnicode(s string) (text, code, detail string) {
	for i, r := range s {
		switch {
		case r > 0xad && r < 0x2000: // letters and marks of most scripts
		case r == utf8.RuneError:
			if _, size := utf8.DecodeRuneInString(s[i:]); size <= 1 {
				return "", CodeEncoding, "is not UTF-8; the file may be of another encoding"
			}
			return "", CodeEncoding, "contains a replacement character (U+FFFD): letters were lost in an earlier conversion"
		case r == '\n' || r == '\r' || r == '\t':
			return "", CodeControl, "contains a line break or tab; name what stands for it with lines"
		case unicode.Is(forbidden, r):
			return "", CodeControl, "contains a control character, a direction override or another invisible character"
		case unicode.Is(emoji, r):
			return "", CodeEmoji, "contains an emoji or symbol that is no part of a name"
		}
	}
	return s, "", ""
}

// forbidden are characters that change how other text is shown or are not
// characters at all. Joiners (U+200C, U+200D) and the zero width space are
// letters' business in Bengali, Persian and Khmer and are let through; so are
// the marks U+200E and U+200F, which turn no other text around.
var forbidden = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x0000, Hi: 0x001f, Stride: 1}, // C0 controls
		{Lo: 0x007f, Hi: 0x009f, Stride: 1}, // delete and C1 controls
		{Lo: 0x00ad, Hi: 0x00ad, Stride: 1}, // soft hyphen
		{Lo: 0x2028, Hi: 0x202e, Stride: 1}, // line and paragraph separator, bidirectional embeddings and overrides
		{Lo: 0x2060, Hi: 0x206f, Stride: 1}, // invisible operators, isolates, deprecated controls
		{Lo: 0xd800, Hi: 0xf8ff, Stride: 1}, // surrogates, private use
		{Lo: 0xfdd0, Hi: 0xfdef, Stride: 1}, // not characters
		{Lo: 0xfeff, Hi: 0xfeff, Stride: 1}, // byte order mark
		{Lo: 0xfff0, Hi: 0xfffb, Stride: 1}, // specials
		{Lo: 0xfffe, Hi: 0xffff, Stride: 1}, // not characters
	},
	R32: []unicode.Range32{
		{Lo: 0x1fffe, Hi: 0x1ffff, Stride: 1},
		{Lo: 0x2fffe, Hi: 0x2ffff, Stride: 1},
		{Lo: 0x3fffe, Hi: 0xdffff, Stride: 1},  // planes of which nothing is assigned, and what is no character of the one before
		{Lo: 0xe0000, Hi: 0xe00ff, Stride: 1},  // tags
		{Lo: 0xe01f0, Hi: 0x10ffff, Stride: 1}, // unassigned, private use
	},
}

// emoji are the blocks of pictures and dingbats, and what makes a picture of
// another character.
var emoji = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x20e3, Hi: 0x20e3, Stride: 1}, // keycap
		{Lo: 0x231a, Hi: 0x231b, Stride: 1},
		{Lo: 0x23e9, Hi: 0x23fa, Stride: 1},
		{Lo: 0x2600, Hi: 0x27bf, Stride: 1}, // miscellaneous symbols, dingbats
		{Lo: 0x2b00, Hi: 0x2bff, Stride: 1},
		{Lo: 0xfe0e, Hi: 0xfe0f, Stride: 1}, // text or picture style
	},
	R32: []unicode.Range32{
		{Lo: 0x1f000, Hi: 0x1faff, Stride: 1},
	},
}
