package docpdf

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/internal/i18n"
)

// Limits on a certificate.
const (
	maxClaims = 64
	maxCodes  = 4
)

// Errors of printing that callers tell apart.
var (
	// ErrTooDense: the modules of a code would be too small to be read from paper.
	ErrTooDense = errors.New("docpdf: the code would be too dense to be read from paper")
	// ErrNoCode: the certificate has no code for a place of the layout.
	ErrNoCode = errors.New("docpdf: the certificate has no such code")
	// ErrCertificate: what is to be printed is not complete, or beyond a limit.
	ErrCertificate = errors.New("docpdf: not a certificate that can be printed")
)

// A Certificate is what is printed. It is personal data and prints as its number.
type Certificate struct {
	// Layout says where things stand; [Layouts] has those of the program.
	Layout *Layout
	// Languages are those of labels, dates and digits, one or two. The first decides
	// which way the page runs; labels stand in both.
	Languages []i18n.Language
	// Type and Issuer are names by language tag.
	Type, Issuer map[string]string
	// Number is the document code that a person can type, such as "7K3M9QX2TDHV".
	Number string
	// Issued must be set. NotBefore and Expires may be zero.
	Issued, NotBefore, Expires time.Time
	// Claims are in the order in which they are printed.
	Claims []Claim
	// Codes are the signed codes, the main one first.
	Codes []Code
	// Help is the address of the page that explains how to check, printed as a small
	// code beside the main one; optional.
	Help string
	// Photo is the portrait; optional. JPEG is printed, other types are noted.
	Photo *credential.Face
	// PersonCheck is what ties the paper to a person: "photo", "other_id", "none".
	PersonCheck string
}

// A Claim is one statement.
type Claim struct {
	// Name is its name in data, Labels for people by language tag.
	Name   string
	Labels map[string]string
	// Kind tells how Value is shown: "text", "date", "integer", "number", "boolean",
	// "list" or "code"; Words are the words for coded values by language.
	Kind  string
	Value any
	Words map[string]map[string]string
	// Language is the language tag of a text, empty if unknown.
	Language string
}

// A Code is one signed code.
type Code struct {
	// Form is its name in the programme.
	Form string
	// Text is what the code says, Level its error correction: "L", "M" or "Q".
	Text, Level string
	// Claims are the names of the claims that it carries.
	Claims []string
}

// A Note says what of a certificate could not be printed as it is. It names the place
// and never a value.
type Note struct {
	// What is "clipped": more text than there is room for; "missing": characters that no
	// font has; "photo": a portrait that cannot be printed; "left_out": claims for which
	// there was no room.
	What string `json:"what"`
	// Where is the name of a claim or of a block of the layout.
	Where string `json:"where"`
}

// Note.What.
const (
	Clipped = "clipped"
	Missing = "missing"
	NoPhoto = "photo"
	LeftOut = "left_out"
)

// check applies the limits.
func (c *Certificate) check() error {
	switch {
	case c.Layout == nil:
		return fmt.Errorf("%w: Layout is not set", ErrCertificate)
	case len(c.Languages) == 0 || len(c.Languages) > 2:
		return fmt.Errorf("%w: %d languages, want one or two", ErrCertificate, len(c.Languages))
	case c.Issued.IsZero():
		return fmt.Errorf("%w: Issued is not set", ErrCertificate)
	case len(c.Claims) > maxClaims:
		return fmt.Errorf("%w: %d claims, at most %d", ErrCertificate, len(c.Claims), maxClaims)
	case len(c.Codes) == 0 || len(c.Codes) > maxCodes:
		return fmt.Errorf("%w: %d codes, want 1 to %d", ErrCertificate, len(c.Codes), maxCodes)
	}
	return nil
}

// code is the code of a place: "main" is the first, "narrow" the last of several, any
// other name that of a form. It returns nil if there is none.
func (c *Certificate) code(form string) *Code {
	switch form {
	case "", MainForm:
		return &c.Codes[0]
	case NarrowForm:
		if len(c.Codes) > 1 {
			return &c.Codes[len(c.Codes)-1]
		}
		return nil
	}
	for i := range c.Codes {
		if c.Codes[i].Form == form {
			return &c.Codes[i]
		}
	}
	return nil
}

// Says returns the claims that a code carries, in the order in which they are printed.
func (c *Certificate) Says(code *Code) []Claim {
	var all []Claim
	for _, claim := range c.Claims {
		if claim.Value != nil && (len(code.Claims) == 0 || slices.Contains(code.Claims, claim.Name)) {
			all = append(all, claim)
		}
	}
	return all
}

// Names of codes in layouts, beside those of forms: the first code of a programme, and the
// last of several.
const (
	MainForm   = "main"
	NarrowForm = "narrow"
)

// String is the number.
func (c *Certificate) String() string { return "certificate " + c.Number }

// GoString is String.
func (c *Certificate) GoString() string { return c.String() }

// LogValue is String.
func (c *Certificate) LogValue() slog.Value { return slog.StringValue(c.String()) }
