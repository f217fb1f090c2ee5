package programme

import (
	"crypto/sha256"
	"slices"
	"strconv"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/programme/crosswalk"
)

// A Programme is one kind of credential that an office issues. It is made by
// [Parse] and not changed afterwards; its methods may be called at once from
// several goroutines.
type Programme struct {
	// ID names the programme on the command line, such as "farmer-card".
	ID string
	// Version is raised by one whenever the file changes.
	Version int
	// Type is the credential type, such as "urn:xx:farmer:1".
	Type string
	// Labels is the name of the type by language tag.
	Labels map[string]string
	// Languages are those in which every label is given; "en" is one.
	Languages []string
	// Logo is the picture of its wallet forms.
	Logo Logo
	// Records says which records of a source the programme is about.
	Records Records
	// AllowMany says that a record may have several active credentials.
	AllowMany bool
	// Claims are the statements, in the order in which they are shown.
	Claims []Claim
	// Forms are the codes and wallet credentials that carry them. The first code is
	// the main one.
	Forms []Form
	// Validity says from when to when a credential is valid.
	Validity Validity
	// Status says what the status list can express.
	Status Status
	// FreshFor and OldAfter are the ages up to which status data count as
	// fresh, and from which as old.
	FreshFor, OldAfter time.Duration
	// Approval is how many persons of an office it takes to issue one: [ApprovalOne] or
	// [ApprovalTwo]; empty leaves it to the settings of the console.
	Approval string
	// PersonCheck is what ties paper to a person: "photo", "other_id", "none".
	PersonCheck string
	// Photo says whether and how a portrait is carried.
	Photo Photo
	// Digest is the SHA-256 of the file.
	Digest [sha256.Size]byte

	text  []byte // the file
	zone  *time.Location
	codes map[string]*codeList
}

// Text is the file that was parsed; do not change it.
func (p *Programme) Text() []byte { return p.text }

// Records says which records of a source a programme is about.
type Records struct {
	// IDColumn is the column that identifies a record.
	IDColumn string
	// OnlyIf are columns with the values of which a record must have one.
	OnlyIf []Condition

	empty map[string]bool
}

// A Condition is a column and the values that it may have.
type Condition struct {
	Column string
	Values []string
}

// How many persons it takes to issue.
const (
	ApprovalOne = "one"
	ApprovalTwo = "two"
)

// Kinds of forms.
const (
	// FormQR is a signed CWT in a QR code, for paper and screens.
	FormQR = "qr"
	// FormSDJWT is an SD-JWT VC for wallets, bound to the holder's key.
	FormSDJWT = "sd-jwt"
	// FormCWT is a CWT for wallets, bound to the holder's key: what a live code shows.
	FormCWT = "cwt"
)

// MaxCopies is the most copies of a wallet form that are made at once.
const MaxCopies = 16

// A Form is one code or one wallet credential that carries the claims, or a part
// of them.
type Form struct {
	// Name is "qr" for the main code; others are chosen freely, such as "strip".
	Name string
	// Kind is [FormQR], [FormSDJWT] or [FormCWT].
	Kind string
	// Claims are the names of the claims that it carries.
	Claims []string

	// Level is the error correction level of a code: "L", "M" or "Q". Live codes have L.
	Level string
	// MaxVersion is the largest QR version that a code may need; for [FormCWT] that of
	// a live code which shows everything.
	MaxVersion int
	// Photo says that a code carries the portrait.
	Photo bool

	// VCT is the type of a wallet form as wallets and verifiers ask for it: that of
	// the programme, or for [FormSDJWT] an https URL at which its description stands.
	VCT string
	// Shown are those of Claims that a wallet always shows; the holder may leave
	// out all others.
	Shown []string
	// Decoys is how many digests that stand for nothing a wallet form has, so that
	// the number of its claims tells less.
	Decoys int
	// Copies is how many copies of a wallet form may be asked for at once, each for
	// a key of its own: from 1 to [MaxCopies].
	Copies int
	// Validity is how long a copy of a wallet form is valid from its issue on; zero:
	// as long as the credential. No copy outlives its credential.
	Validity Validity

	carried []int // indexes of Claims
}

// Wallet reports whether the form is made for a holder's wallet and not for paper.
func (f Form) Wallet() bool { return f.Kind == FormSDJWT || f.Kind == FormCWT }

// Validity says when a credential begins and ceases to be valid.
type Validity struct {
	// From is the claim whose day is the first; empty: from the issue on.
	From string
	// Until is the claim whose day is the last; empty if For says it or the
	// credential has no end.
	Until string
	// Years, Months and Days are the time from the first moment; all zero if
	// Until says it or the credential has no end.
	Years, Months, Days int
}

// Endless says that credentials do not expire.
func (v Validity) Endless() bool {
	return v.Until == "" && v.Years == 0 && v.Months == 0 && v.Days == 0
}

// Status says what the status list of a programme can express.
type Status struct {
	// Bits is the size of an entry: 1 (revoked or not) or 2 (suspended, too).
	Bits int
	// Suspend says that credentials may be suspended and resumed.
	Suspend bool
}

// Form returns the form with this name.
func (p *Programme) Form(name string) (Form, bool) {
	i := slices.IndexFunc(p.Forms, func(f Form) bool { return f.Name == name })
	if i < 0 {
		return Form{}, false
	}
	return p.Forms[i], true
}

// Columns returns the columns that the programme reads, each once.
func (p *Programme) Columns() []string {
	names := []string{p.Records.IDColumn}
	for _, c := range p.Records.OnlyIf {
		names = append(names, c.Column)
	}
	for i := range p.Claims {
		names = append(names, p.Claims[i].Columns()...)
	}
	if p.Photo.from != nil {
		names = append(names, p.Photo.from.columns()...)
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(names, func(n string) bool {
		old := seen[n]
		seen[n] = true
		return old
	})
}

// CredentialTypes describes every type of the programme for trust bundles: its own,
// and under each other vct of a wallet form the same once more.
func (p *Programme) CredentialTypes() []credential.Type {
	t := p.CredentialType()
	types := []credential.Type{t}
	for _, f := range p.Forms {
		if f.Wallet() && f.VCT != t.ID {
			t.ID = f.VCT
			types = append(types, t)
			t.ID = p.Type
		}
	}
	return types
}

// CredentialType describes the type for trust bundles: what verifiers need to
// show and to judge its credentials.
func (p *Programme) CredentialType() credential.Type {
	t := credential.Type{
		ID: p.Type, Labels: p.Labels, PersonCheck: p.PersonCheck,
		FreshFor: p.FreshFor, OldAfter: p.OldAfter, StatusRequired: true,
		Policy: p.ID + "/" + strconv.Itoa(p.Version),
	}
	for i := range p.Claims {
		c := &p.Claims[i]
		t.Person = t.Person || c.Person
		t.Fields = append(t.Fields, credential.TypeField{
			Key: c.Key, Name: c.Name, Labels: c.Labels, Person: c.Person, Sensitive: c.Sensitive,
			Kind: c.shownAs(), Values: p.wordsFor(c),
		})
	}
	return t
}

// shownAs is the kind in the words of [credential.TypeField]. Countries and languages
// are codes that mostly need no words of ours.
func (c *Claim) shownAs() string {
	switch c.Kind {
	case KindCountry, KindSex, KindLanguage:
		return string(KindCode)
	}
	return string(c.Kind)
}

// wordsFor are the words for coded values, by the text of the value.
func (p *Programme) wordsFor(c *Claim) map[string]map[string]string {
	switch {
	case c.codes != nil:
		return c.codes.labels
	case c.names != nil && c.alpha3:
		words := map[string]map[string]string{}
		for code, labels := range c.names {
			// A user-assigned code has no three letters; with on_loss: keep it is
			// carried as it is.
			if country, err := crosswalk.LookupCountry(code, nil); err == nil {
				code = country.Alpha3
			}
			words[code] = labels
		}
		return words
	case c.names != nil:
		return c.names
	case c.Kind == KindSex:
		words := map[string]map[string]string{}
		for sex, labels := range sexLabels {
			code := sex.EUDI()
			if c.Person {
				var err error
				if code, err = sex.Claim169(); err != nil {
					continue
				}
			}
			words[strconv.Itoa(code)] = only(labels, p.Languages)
		}
		return words
	}
	return nil
}

// only returns the labels in these languages, as far as there are any.
func only(labels map[string]string, languages []string) map[string]string {
	m := map[string]string{}
	for _, tag := range languages {
		if l, ok := labels[tag]; ok {
			m[tag] = l
		}
	}
	return m
}

// sexLabels are the words for a sex in the languages of Sanad. A programme need
// not write them.
var sexLabels = map[crosswalk.Sex]map[string]string{
	crosswalk.SexNotKnown: {
		"en": "not known", "bn": "অজানা", "fr": "inconnu", "pt": "desconhecido", "sw": "haijulikani", "ar": "غير معروف", "cy": "anhysbys",
	},
	crosswalk.SexMale: {
		"en": "male", "bn": "পুরুষ", "fr": "masculin", "pt": "masculino", "sw": "mwanamume", "ar": "ذكر", "cy": "gwryw",
	},
	crosswalk.SexFemale: {
		"en": "female", "bn": "নারী", "fr": "féminin", "pt": "feminino", "sw": "mwanamke", "ar": "أنثى", "cy": "benyw",
	},
	crosswalk.SexOther: {
		"en": "other", "bn": "অন্যান্য", "fr": "autre", "pt": "outro", "sw": "nyingine", "ar": "آخر", "cy": "arall",
	},
	crosswalk.SexNotApplicable: {
		"en": "not applicable", "bn": "প্রযোজ্য নয়", "fr": "sans objet", "pt": "não aplicável", "sw": "haihusiki", "ar": "لا ينطبق", "cy": "amherthnasol",
	},
}
