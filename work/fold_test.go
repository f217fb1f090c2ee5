package work_test

import (
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/work"
)

// same reports whether a search for a finds b: each word of a has a skeleton in
// common with a word of b.
func same(a, b string) bool {
	have := work.Skeletons(b)
	for _, w := range work.Skeletons(a) {
		found := slices.ContainsFunc(have, func(h []string) bool {
			return slices.ContainsFunc(w, func(s string) bool { return slices.Contains(h, s) })
		})
		if !found {
			return false
		}
	}
	return true
}

func TestNamesThatAreOne(t *testing.T) {
	for _, names := range [][]string{
		{"Mohammed", "Muhammad", "Mohamed", "MOHAMMAD", "Muhammed", "Mohd", "Md.", "محمد", "مُحَمَّد", "মোহাম্মদ", "মুহাম্মদ", "মোঃ", "मोहम्मद"},
		{"Fatima", "Fatimah", "Fatema", "Fátima", "فاطمة", "ফাতেমা", "फ़ातिमा"},
		{"Rahman", "Rohman", "Rahmaan", "رحمن", "রহমান"},
		{"Abdul Rahman", "Abdur Rahman", "Abdurrahman", "Abdulrahman", "Abd al-Rahman", "Abd el Rahman", "عبد الرحمن", "আব্দুর রহমান", "আবদুর রহমান"},
		{"Abdullah", "Abdulla", "Abd Allah", "عبد الله"},
		{"Ayesha", "Aisha", "Aysha", "Aïcha", "عائشة", "আয়েশা"},
		{"Hossain", "Hussein", "Husain", "Hosen", "حسين", "হোসেন"},
		{"Chowdhury", "Choudhury", "Chaudhri", "চৌধুরী", "चौधरी"},
		{"Yusuf", "Youssef", "Yousuf", "يوسف", "ইউসুফ"},
		{"Khatun", "Khatoon", "খাতুন"},
		{"Akter", "Akhter", "Aktar", "আক্তার"},
		{"Ramadan", "Ramzan", "رمضان", "রমজান"},
		{"Uthman", "Usman", "Osman", "عثمان", "ওসমান"},
		{"Lakshmi", "Laxmi", "লক্ষ্মী", "लक्ष्मी"},
		{"Singh", "Sing", "सिंह"},
		{"José", "Jose", "JOSE\u0301"},
		{"François", "Francois"},
		{"D'Souza", "D’Souza", "DSouza", "Dsouza"},
		{"Zaman", "Jaman", "জামান", "زمان"},
		{"Wahid", "Waheed", "واحد", "ওয়াহিদ"},
		{"Nurjahan", "Noorjahan", "نورجهان", "নূরজাহান"},
		{"Swapan", "স্বপন"},
		{"Jabbar", "জব্বার", "جبار"},
		{"Sofía", "Sophia", "Sofia"},
		{"កញ្ញា", "កញ្ញា"},
		{"አበበ", "አበበ"},
	} {
		for _, a := range names {
			for _, b := range names {
				if !same(a, b) {
					t.Errorf("%s %v does not find %s %v", a, work.Skeletons(a), b, work.Skeletons(b))
				}
			}
		}
	}
}

func TestNamesThatAreNotOne(t *testing.T) {
	for _, pair := range [][2]string{
		{"Fatima", "Ayesha"}, {"Mohammed", "Mahbub Hasan"}, {"Rahman", "Rahim"}, {"Karim", "Kamal"}, {"Begum", "Banu"}, {"Sultana", "Salma"},
		{"Abdullah", "Abdul Karim"}, {"Rahim Uddin", "Rahim"}, {"কামাল", "করিম"}, {"حسن", "خليل"}, {"አበበ", "ከበደ"},
	} {
		if same(pair[0], pair[1]) {
			t.Errorf("%s %v finds %s %v", pair[0], work.Skeletons(pair[0]), pair[1], work.Skeletons(pair[1]))
		}
	}
}

func TestFold(t *testing.T) {
	for name, want := range map[string]string{
		"  Élodie   N’Diaye-Łuczak ": "elodie ndiaye luczak",
		"مُحَمَّد":                   "محمد",
		"ফাতেমা খাতুন":               "ফাতেমা খাতুন",
		"":                           "",
		"—":                          "",
	} {
		if got := strings.Join(work.Fold(name), " "); got != want {
			t.Errorf("Fold(%q) = %q, want %q", name, got, want)
		}
	}
}

// FuzzFold: whatever comes, the words are few and short, and case, accents,
// repeated spaces and the order of normalisation change nothing.
func FuzzFold(f *testing.F) {
	for _, s := range []string{"Mohammed", "عبد الرحمن", "আব্দুর রহমান", "D'Souza", "a\u0301\u0301", "\xff\xfe", strings.Repeat("x ", 2000), "ﷺ", "abd", "abd abd abd"} {
		f.Add(s)
	}
	boundtest.Fuzz(f, func(t *testing.T, s string) {
		words := work.Skeletons(s)
		if len(words) > 24 {
			t.Fatalf("%d words", len(words))
		}
		for _, w := range words {
			if len(w) == 0 || len(w) > 8 {
				t.Fatalf("%d spellings", len(w))
			}
			for _, k := range w {
				if k == "" || strings.ContainsFunc(k, unicode.IsSpace) {
					t.Fatalf("skeleton %q", k)
				}
			}
		}
		again := work.Skeletons("  " + strings.ReplaceAll(s, " ", "   ") + " ")
		if len(s) < 300 && !slices.EqualFunc(words, again, slices.Equal) {
			t.Fatalf("spaces change %v to %v", words, again)
		}
	})
}
