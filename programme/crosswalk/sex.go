package crosswalk

import (
	"strings"
)

// A Sex is a sex as registries record it. The numbers are those of ISO 5218
// (0, 1, 2, 9) and, for 3 to 6, of the EUDI PID.
type Sex int

// The values of [Sex].
const (
	SexNotKnown      Sex = 0
	SexMale          Sex = 1
	SexFemale        Sex = 2
	SexOther         Sex = 3
	SexInter         Sex = 4
	SexDiverse       Sex = 5
	SexOpen          Sex = 6
	SexNotApplicable Sex = 9
)

// sexWords are the words that mean one sex wherever they are used, in lower
// case: ISO 5218 and Claim 169 numbers, OpenCRVS and DCI words, and words in
// English, French, Portuguese, Swahili, Bengali and Arabic.
//
// Letters that mean different things in different registries are not here: "h"
// is homme, homem and hijra, and where it is used "m" may be mulher; "x" is
// other in one registry and not stated in the next. Their programme must say.
var sexWords = map[string]Sex{
	"0": SexNotKnown, "1": SexMale, "2": SexFemale, "3": SexOther, "4": SexInter, "5": SexDiverse, "6": SexOpen, "9": SexNotApplicable,
	"m": SexMale, "f": SexFemale, "o": SexOther, "u": SexNotKnown,

	"male": SexMale, "man": SexMale, "boy": SexMale,
	"female": SexFemale, "woman": SexFemale, "girl": SexFemale,
	"other": SexOther, "others": SexOther, "third gender": SexOther, "transgender": SexOther,
	"unknown": SexNotKnown, "not known": SexNotKnown, "undetermined": SexNotKnown, "indeterminate": SexNotKnown,
	"not applicable": SexNotApplicable, "not_applicable": SexNotApplicable, "not_known": SexNotKnown,
	"inter": SexInter, "intersex": SexInter, "diverse": SexDiverse, "open": SexOpen,

	"homme": SexMale, "masculin": SexMale, "garçon": SexMale,
	"femme": SexFemale, "féminin": SexFemale, "feminin": SexFemale, "fille": SexFemale,
	"autre": SexOther, "inconnu": SexNotKnown, "indéterminé": SexNotKnown, "sans objet": SexNotApplicable,

	"homem": SexMale, "masculino": SexMale, "menino": SexMale,
	"mulher": SexFemale, "feminino": SexFemale, "menina": SexFemale,
	"outro": SexOther, "outra": SexOther, "desconhecido": SexNotKnown, "ignorado": SexNotKnown, "não aplicável": SexNotApplicable,

	"mwanamume": SexMale, "mwanaume": SexMale, "mume": SexMale, "me": SexMale, "kiume": SexMale,
	"mwanamke": SexFemale, "mke": SexFemale, "ke": SexFemale, "kike": SexFemale,
	"nyingine": SexOther, "haijulikani": SexNotKnown,

	// The letters ya and ra with a dot below have two spellings in Unicode.
	"পুরুষ": SexMale, "ছেলে": SexMale,
	"মহিলা": SexFemale, "নারী": SexFemale, "স্ত্রী": SexFemale, "মে\u09dfে": SexFemale, "মেয\u09bcে": SexFemale,
	"অন্যান্য": SexOther, "তৃতী\u09df লিঙ্গ": SexOther, "তৃতীয\u09bc লিঙ্গ": SexOther, "হিজ\u09dcা": SexOther, "হিজড\u09bcা": SexOther,
	"অজানা": SexNotKnown,

	"ذكر": SexMale, "أنثى": SexFemale, "انثى": SexFemale, "آخر": SexOther, "أخرى": SexOther,
	"غير معروف": SexNotKnown, "غير محدد": SexNotKnown,
}

// ParseSex reads a sex from any of the codings of this package. The words of
// own, in lower case, come before the known ones; it may be nil. Letters whose
// meaning differs between registries ("h", "x", "t") are unreadable unless own
// says what they mean.
func ParseSex(text string, own map[string]Sex) (Sex, error) {
	text = strings.TrimSpace(text)
	if len(text) > MaxText {
		return 0, unreadable("sex", "the text is longer than %d bytes", MaxText)
	}
	if s, ok := own[text]; ok {
		return s, nil
	}
	if s, ok := sexWords[text]; ok {
		return s, nil
	}
	lower := strings.ToLower(text)
	if s, ok := own[lower]; ok {
		return s, nil
	}
	if s, ok := sexWords[lower]; ok {
		return s, nil
	}
	return 0, unreadable("sex", "not a word or number for a sex that is known; name its meaning in the programme")
}

// ISO5218 returns the code of ISO 5218: 0 not known, 1 male, 2 female, 9 not
// applicable. Anything beyond these is a loss, and the code then 0.
func (s Sex) ISO5218() (int, error) {
	switch s {
	case SexNotKnown, SexMale, SexFemale, SexNotApplicable:
		return int(s), nil
	}
	return 0, loss("sex", "ISO 5218 has no code for %s", s)
}

// EUDI returns the code of the EUDI PID, which has one for every value.
func (s Sex) EUDI() int { return int(s) }

// DCI returns the word of the DCI registry schemas: male, female, other or
// unknown. Not applicable, inter, diverse and open are losses.
func (s Sex) DCI() (string, error) {
	switch s {
	case SexMale:
		return "male", nil
	case SexFemale:
		return "female", nil
	case SexOther:
		return "other", nil
	case SexNotKnown:
		return "unknown", nil
	case SexNotApplicable:
		return "unknown", loss("sex", "DCI has no word for %s", s)
	}
	return "other", loss("sex", "DCI has no word for %s", s)
}

// OpenCRVS returns the word of the OpenCRVS reference country: male, female or
// unknown. Everything else is a loss.
func (s Sex) OpenCRVS() (string, error) {
	switch s {
	case SexMale:
		return "male", nil
	case SexFemale:
		return "female", nil
	case SexNotKnown:
		return "unknown", nil
	}
	return "unknown", loss("sex", "OpenCRVS has no word for %s", s)
}

// Claim169 returns the code of Claim 169: 1 male, 2 female, 3 other. It has
// none for not known and not applicable: a loss, and the code is then 0, which
// must not be written. Inter, diverse and open lose their distinction.
func (s Sex) Claim169() (int, error) {
	switch s {
	case SexMale, SexFemale, SexOther:
		return int(s), nil
	case SexNotKnown, SexNotApplicable:
		return 0, loss("sex", "Claim 169 has no code for %s", s)
	}
	return 3, loss("sex", "Claim 169 knows %s as other only", s)
}

// String returns the English word.
func (s Sex) String() string {
	switch s {
	case SexNotKnown:
		return "not known"
	case SexMale:
		return "male"
	case SexFemale:
		return "female"
	case SexOther:
		return "other"
	case SexInter:
		return "inter"
	case SexDiverse:
		return "diverse"
	case SexOpen:
		return "open"
	case SexNotApplicable:
		return "not applicable"
	}
	return "no sex of this list"
}
