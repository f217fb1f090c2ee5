package programme_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/programme"
)

// TestCleanLetsNamesThrough: what people are called in any script stays as it is.
func TestCleanLetsNamesThrough(t *testing.T) {
	for _, name := range []string{
		"Rahima Khatun", "D’Arunda", "O'Neil", "José", "Jose\u0301", "Nguyễn Văn Minh", "ŁŚĆ", "Vega Ruiz Moreno-Díaz",
		"রহিমা খাতুন", "র\u200d্যাব", "ক্\u200cষ", "राम कुमार", "جون دو", "می\u200cخواهم", "አበበ በቀለ", "Иван Петрович",
		"សុខា", "ស\u200bខ", "ສົມສັກ", "நா", "山田 太郎", "葛\U000e0100城", "ㄱ", "Al-\u200eHasan", "AB/12 (3rd), No. 4; £5 & Co. ©",
	} {
		if text, code, detail := programme.Clean(" " + name + "\t"); text != name || code != "" {
			t.Errorf("%q: %q, %s, %s, want it as it is", name, text, code, detail)
		}
	}
}

// FuzzClean: text that passes has no character that changes what others see, and
// passes again as it is.
func FuzzClean(f *testing.F) {
	for _, s := range []string{"Rahima", " x ", "a\x07", "\u202ea", "🙂", "caf\xe9", "\ufffd", "রহিমা", "1\u20e3"} {
		f.Add(s)
	}
	boundtest.Fuzz(f, func(t *testing.T, s string) {
		text, code, detail := programme.Clean(s)
		if code != "" {
			if text != "" || detail == "" {
				t.Fatalf("%q: refused with text %q and detail %q", s, text, detail)
			}
			return
		}
		if !utf8.ValidString(text) || strings.TrimSpace(text) != text || !strings.Contains(s, text) {
			t.Fatalf("%q became %q", s, text)
		}
		for _, r := range text {
			if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) && r != 0x200e && r != 0x200f && r != 0x061c ||
				unicode.Is(unicode.Noncharacter_Code_Point, r) || r >= 0x1f300 && r <= 0x1faff {
				t.Fatalf("%q passes with %U", s, r)
			}
		}
		if again, code, _ := programme.Clean(text); again != text || code != "" {
			t.Fatalf("%q does not pass a second time", text)
		}
	})
}
