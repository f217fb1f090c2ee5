package work

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	// maxName is how many bytes of a name are looked at, maxWords how many words.
	maxName, maxWords = 1024, 24
	// maxSpellings is how many skeletons one word has at most.
	maxSpellings = 4
)

// fold returns the words of a name as people compare them: without case, accents,
// vowel marks and other signs that are often left out, in their own script.
func fold(name string) []string {
	var words []string
	for _, w := range split(name) {
		if w = foldWord(w); w != "" {
			words = append(words, w)
		}
	}
	return words
}

// split cuts a name into words. What joins the letters of a word without being one
// (apostrophe, zero-width characters) leaves no trace.
func split(name string) []string {
	if len(name) > maxName {
		name = name[:maxName]
	}
	// The form of a letter beside a byte that is none would depend on what else is there.
	name = norm.NFKD.String(strings.ToValidUTF8(name, "\ufffd"))
	var words []string
	var b strings.Builder
	end := func() {
		if b.Len() > 0 && len(words) < maxWords {
			words = append(words, b.String())
		}
		b.Reset()
	}
	for _, r := range name {
		switch {
		case unicode.In(r, unicode.L, unicode.M, unicode.Nd):
			b.WriteRune(unicode.ToLower(r))
		case strings.ContainsRune("'’‘ʼʻ`´ʿʾ·", r), unicode.Is(unicode.Cf, r), r == tatweel:
		default:
			end()
		}
	}
	end()
	return words
}

const tatweel = 'ـ'

// foldWord removes marks that stand on letters, but not the vowels and viramas of
// Indic scripts, without which words of theirs are no words.
func foldWord(w string) string {
	return strings.Map(func(r rune) rune {
		if _, indic := indicOffset(r); unicode.Is(unicode.Mn, r) && !indic {
			return -1
		}
		if l, ok := latinLetters[r]; ok && len(l) == 1 {
			return rune(l[0])
		}
		return r
	}, w)
}

// skeletons returns what is left of each word of a name when only the consonants
// are written, in Latin letters: the same for Mohammed, Muhammad, محمد and মোহাম্মদ.
// Every word has one to four of them, for letters that are read in two ways. A
// script that is not known here keeps its letters.
func skeletons(name string) [][]string {
	words := split(name)
	var all [][]string
	for i := 0; i < len(words); i++ {
		w := words[i]
		if article[w] && len(words) > 1 {
			continue
		}
		list := spellings(w)
		// Abd and what follows are one name, however they are written.
		if slices.ContainsFunc(list, isAbd) && i+1 < len(words) && writesAbd(w) {
			next := i + 1
			for next+1 < len(words) && article[words[next]] {
				next++
			}
			joined := []string{}
			for _, s := range spellings(words[next]) {
				if strings.HasPrefix(s, "al") {
					s = s[1:] // its own article: Abd Allah
				}
				joined = append(joined, squeeze("abd"+s))
			}
			list, i = joined, next
		}
		for j, s := range list {
			list[j] = afterAbd(s)
		}
		slices.Sort(list)
		all = append(all, slices.Compact(list))
	}
	return all
}

// article are words that are written or left out at will.
var article = map[string]bool{"al": true, "el": true, "ul": true, "ال": true}

// isAbd reports whether a skeleton is that of Abd, Abdul, Abdur and so on.
func isAbd(s string) bool {
	return s == "abd" || len(s) == 4 && s[:3] == "abd" && strings.ContainsRune("lrsnt", rune(s[3]))
}

// writesAbd tells Abdul from Abdullah, Obaid and Abida, which have its consonants
// and are names of their own.
func writesAbd(w string) bool {
	switch {
	case strings.HasPrefix(w, "abd"):
		rest := w[3:]
		return rest == "" || len(rest) <= 2 && strings.ContainsRune("ueoai", rune(rest[0]))
	case w == "عبد":
		return true
	}
	rest, ok := strings.CutPrefix(strings.ReplaceAll(w, "\u09cd", ""), "আবদ")
	return ok && (rest == "" || len([]rune(rest)) == 2 && strings.HasPrefix(rest, "\u09c1"))
}

// afterAbd drops the article that stands inside of one word: Abdulrahman.
func afterAbd(s string) string {
	if rest, ok := strings.CutPrefix(s, "abdl"); ok && len(rest) > 1 {
		return "abd" + rest
	}
	return s
}

// aliases are skeletons of words that say less, or other sounds, than they stand for.
var aliases = func(list map[string]string) map[string]string {
	split := map[string]string{}
	for w, s := range list {
		split[norm.NFKD.String(w)] = s
	}
	return split
}(map[string]string{
	"md": "mhmd", "mohd": "mhmd", "muhd": "mhmd", "mhd": "mhmd", "মোঃ": "mhmd", "মো": "mhmd", "মোহা": "mhmd", "মুহা": "mhmd",
	"st": "sn", "saint": "sn", "santo": "sn", "sta": "sn",
	"ramadan": "rmjn", "ramadhan": "rmjn", "ridwan": "rjn", "ridhwan": "rjn", "rida": "rj", "fadl": "fjl", "qadi": "kj", "kadi": "kj",
})

// spellings are the skeletons of one word.
func spellings(w string) []string {
	if s, ok := aliases[w]; ok {
		return []string{s}
	}
	latin, known := romanise(w)
	if !known || latin == "" {
		if f := foldWord(w); f != "" {
			return []string{f}
		}
		return []string{w}
	}
	forms := []string{latin}
	for _, two := range readings {
		if len(forms) >= maxSpellings || !strings.Contains(latin, two[0]) {
			continue
		}
		for _, f := range slices.Clone(forms) {
			forms = append(forms, strings.ReplaceAll(f, two[0], two[1]))
		}
	}
	list := make([]string, 0, len(forms))
	for _, f := range forms {
		list = append(list, skeleton(f))
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// readings are letters that are read in two ways: Ramadan and Ramzan, Uthman and
// Usman. The upper-case letters are those that [romanise] writes for letters of
// other scripts.
var readings = [][2]string{{"D", "z"}, {"th", "s"}, {"T", "s"}, {"ch", "sh"}, {"ç", "k"}}

// romanise writes a word in Latin letters, roughly. It is false for a word of which
// not a single letter is known.
func romanise(w string) (latin string, known bool) {
	var b strings.Builder
	runes := []rune(w)
	if len(runes) > 4 && runes[0] == 'ا' && runes[1] == 'ل' { // the article
		runes = runes[2:]
	}
	for i, r := range runes {
		if s, ok := indic(runes, i); ok {
			b.WriteString(s)
			known = true
			continue
		}
		switch s, ok := arabicLetters[r]; {
		case ok:
			b.WriteString(s)
			known = true
			continue
		case unicode.Is(unicode.Mn, r):
			if r == 0x327 && b.Len() > 0 { // a cedilla
				s := b.String()
				if s[len(s)-1] == 'c' {
					b.Reset()
					b.WriteString(s[:len(s)-1] + "ç")
				}
			}
			continue
		}
		switch s, ok := latinLetters[r]; {
		case ok:
			b.WriteString(s)
			known = true
		case r < utf8.RuneSelf:
			b.WriteRune(r)
			known = true
		default:
			b.WriteRune(r)
		}
	}
	return b.String(), known
}

// latinLetters are those that have no parts.
var latinLetters = map[rune]string{
	'ß': "ss", 'ø': "o", 'æ': "ae", 'œ': "oe", 'đ': "d", 'ð': "d", 'ł': "l", 'ı': "i", 'þ': "th", 'ŋ': "ng", 'ɗ': "d", 'ɓ': "b", 'ƙ': "k", 'ɛ': "e", 'ɔ': "o", 'ɣ': "g",
}

// arabicLetters are those of Arabic, Persian and Urdu, after compatibility forms are
// taken apart. Upper case stands for two readings.
var arabicLetters = map[rune]string{
	'ا': "a", 'ب': "b", 'ت': "t", 'ث': "T", 'ج': "j", 'ح': "h", 'خ': "kh", 'د': "d", 'ذ': "z", 'ر': "r", 'ز': "z", 'س': "s", 'ش': "sh",
	'ص': "s", 'ض': "D", 'ط': "t", 'ظ': "z", 'ع': "a", 'غ': "gh", 'ف': "f", 'ق': "q", 'ك': "k", 'ل': "l", 'م': "m", 'ن': "n", 'ه': "H",
	'و': "w", 'ي': "y", 'ى': "a", 'ة': "a", 'ء': "", 'ٱ': "a",
	'پ': "p", 'چ': "C", 'گ': "g", 'ڤ': "v", 'ک': "k", 'ی': "y", 'ں': "n", 'ہ': "h", 'ھ': "", 'ٹ': "t", 'ڈ': "d", 'ڑ': "r", 'ے': "y", 'ژ': "z", 'ۃ': "a", 'ە': "a",
}

// indicOffset is the place of a character in its block, which is the same for the
// same letter in the scripts from Devanagari to Malayalam.
func indicOffset(r rune) (offset rune, ok bool) {
	if r < 0x0900 || r > 0x0d7f {
		return 0, false
	}
	return (r - 0x0900) % 0x80, true
}

// indicConsonants by their place from ka on.
var indicConsonants = []string{
	"k", "k", "g", "g", "n", "C", "C", "j", "j", "n", "t", "t", "d", "d", "n", "t", "t", "d", "d", "n", "n",
	"p", "f", "b", "b", "m", "y", "r", "r", "l", "l", "l", "b", "s", "s", "s", "h",
}

const (
	indicKa, indicHa, indicYa, indicBa, indicMa = 0x15, 0x39, 0x2f, 0x2c, 0x2e
	indicNukta, indicVirama                     = 0x3c, 0x4d
	bengali                                     = 0x0980
)

// indic writes character i of a word, "" for one that is not heard.
func indic(word []rune, i int) (latin string, ok bool) {
	r := word[i]
	at, ok := indicOffset(r)
	if !ok {
		return "", false
	}
	next := func(j int) rune {
		if j < 0 || j >= len(word) {
			return -1
		}
		o, ok := indicOffset(word[j])
		if !ok {
			return -1
		}
		return o
	}
	inBengali := r&^0x7f == bengali
	switch {
	case at == 0x02: // the nasal sign
		return "n", true
	case at >= 0x05 && at <= 0x14: // a vowel of its own
		return "a", true
	case at == 0x4e && inBengali: // khanda ta
		return "t", true
	case at >= indicKa && at <= indicHa:
		dotted := next(i+1) == indicNukta
		below := next(i-1) == indicVirama
		switch {
		case dotted && (at == 0x21 || at == 0x22):
			return "r", true
		case at == indicYa && inBengali && (dotted || below):
			return "y", true
		case at == indicYa && inBengali:
			return "j", true
		case at == indicBa && inBengali && below && next(i-2) != indicMa && next(i-2) != indicBa:
			return "", true // it only doubles what is before it
		}
		return indicConsonants[at-indicKa], true
	case at >= 0x3e && at <= 0x4c: // the sign of a vowel
		return "a", true
	case at >= 0x66 && at <= 0x6f:
		return string('0' + at - 0x66), true
	}
	return "", true
}

// sounds are replaced in this order, each wherever it stands.
var sounds = strings.NewReplacer(
	"ngh", "n", "ng", "n", "ph", "f", "sch", "s", "tch", "c", "ch", "c", "kh", "k", "gh", "g", "th", "t", "dh", "d", "bh", "b", "jh", "j", "zh", "j", "sh", "s",
	"ck", "k", "ce", "se", "ci", "si", "cy", "sy", "ca", "ka", "co", "ko", "cu", "ku", "cl", "kl", "cr", "kr", "ct", "kt", "qu", "k", "q", "k", "x", "ks",
	"z", "j", "v", "b", "D", "d", "T", "t", "C", "c", "ç", "s", "H", "h",
)

// skeleton keeps of a word in Latin letters its consonants, and of a vowel at its
// beginning that there is one.
func skeleton(latin string) string {
	var b strings.Builder
	heard := sounds.Replace(latin)
	for i, r := range heard {
		vowel := strings.ContainsRune("aeiouyw", r)
		switch {
		case vowel && i == 0:
			b.WriteByte('a')
		case vowel:
		case r == 'h' && i > 0 && silent(heard[i+1:]):
		default:
			b.WriteRune(r)
		}
	}
	if b.Len() == 0 {
		return latin
	}
	return squeeze(b.String())
}

// silent reports whether nothing is heard in the rest of a word, so that an h before
// it is not either.
func silent(rest string) bool { return strings.Trim(rest, "aeiouyw") == "" }

// squeeze writes a letter that is doubled once.
func squeeze(s string) string {
	var b strings.Builder
	var last rune
	for _, r := range s {
		if r != last || unicode.IsDigit(r) {
			b.WriteRune(r)
		}
		last = r
	}
	return b.String()
}
