package visible

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/sanad-id/sanad/internal/boundtest"
)

// TestClean: OUT-08 and its kin. Whatever a claim contains, a screen shows it
// and does nothing else.
func TestClean(t *testing.T) {
	for _, tt := range []struct {
		name, in, want string
		changed        bool
	}{
		{"plain", "Rahima Begum", "Rahima Begum", false},
		{"accents", "Zoë d'Áèî", "Zoë d'Áèî", false},
		{"Bengali with joiners", "রহিমা র\u200d্যাব", "রহিমা র\u200d্যাব", false},
		{"Arabic is isolated", "رحيمة", "\u2068رحيمة\u2069", false},
		{"Hebrew is isolated", "שלום x", "\u2068שלום x\u2069", false},
		{"OUT-08 colour sequence", "a\x1b[31mb", "a‹U+001B›[31mb", true},
		{"OUT-08 title sequence", "\x1b]0;hi\x07", "‹U+001B›]0;hi‹U+0007›", true},
		{"OUT-08 one-byte CSI", "a\u009b31m", "a‹U+009B›31m", true},
		{"OUT-08 carriage return", "Genuine\rForged", "Genuine‹U+000D›Forged", true},
		{"OUT-08 backspaces", "no\b\byes", "no‹U+0008›‹U+0008›yes", true},
		{"OUT-08 delete", "a\x7f", "a‹U+007F›", true},
		{"OUT-08 null", "a\x00", "a‹U+0000›", true},
		{"lines", "House 1\nRoad 2\u2028Area 3", "House 1 ↵ Road 2 ↵ Area 3", false},
		{"tab", "a\tb", "a b", false},
		{"OUT-08 right-to-left override", "abc\u202ecba", "abc‹U+202E›cba", true},
		{"OUT-08 isolates", "\u2066x\u2069", "‹U+2066›x‹U+2069›", true},
		{"OUT-08 zero width space", "a\u200bb", "a‹U+200B›b", true},
		{"OUT-08 tag characters", "a\U000e0041", "a‹U+E0041›", true},
		{"OUT-08 blank letters", "a\u3164", "a‹U+3164›", true},
		{"OUT-08 private use", "a\ue000", "a‹U+E000›", true},
		{"OUT-08 not UTF-8", "a\xff", "a\ufffd", true},
		{"OUT-08 marks at the start", "\u0301a", "\u25cc\u0301a", false},
		{"OUT-08 flood of marks", "a" + strings.Repeat("\u0301", 5000) + "b", "a" + strings.Repeat("\u0301", maxMarks) + "b", true},
		{"OUT-08 10000 characters", strings.Repeat("x", 10000), strings.Repeat("x", maxShown) + "… (10000 characters in all)", true},
		{"nothing", "", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, changed := Clean(tt.in)
			if got != tt.want || changed != tt.changed {
				t.Errorf("clean: %q, %v, want %q, %v", got, changed, tt.want, tt.changed)
			}
		})
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"Rahima", "a\x1b[31m", "\u202e", "رحيمة\u0301\u0301", strings.Repeat("\u0301", 900), "\xff\xfe"} {
		f.Add(s)
	}
	boundtest.Fuzz(f, func(t *testing.T, s string) {
		got, _ := Clean(s)
		if !utf8.ValidString(got) {
			t.Fatal("not UTF-8")
		}
		inner := strings.TrimSuffix(strings.TrimPrefix(got, isolate), endIsolate)
		marks := 0
		for _, r := range inner {
			if unicode.IsControl(r) || Steers(r) {
				t.Fatalf("%U came through", r)
			}
			if unicode.IsMark(r) {
				marks++
			} else {
				marks = 0
			}
			if marks > maxMarks {
				t.Fatalf("%d marks on one letter", marks)
			}
		}
		if n := utf8.RuneCountInString(got); n > 10*maxShown {
			t.Fatalf("%d characters", n)
		}
	})
}
