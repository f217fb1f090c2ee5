package crosswalk

import (
	"strings"
)

// A Registration is the number under which an event or a person is registered.
type Registration struct {
	// Kind is "BRN" (birth), "DRN" (death), "MRN" (marriage) or "UIN" (person).
	Kind string
	// Number is the number as the registry writes it.
	Number string
}

// registrationKinds are the identifier types of the DCI schemas, and the longer
// names that are in use.
var registrationKinds = map[string]string{
	"BRN": "BRN", "BIRTH_REG_NO": "BRN", "BIRTH_REGISTRATION_NUMBER": "BRN",
	"DRN": "DRN", "DEATH_REG_NO": "DRN", "DEATH_REGISTRATION_NUMBER": "DRN",
	"MRN": "MRN", "MARRIAGE_REG_NO": "MRN", "MARRIAGE_REGISTRATION_NUMBER": "MRN",
	"UIN": "UIN", "NATIONAL_ID": "UIN", "NID": "UIN",
}

// ParseRegistration reads an identifier of DCI: its type, in the short or the
// long form, and its value.
func ParseRegistration(kind, number string) (Registration, error) {
	if len(kind) > MaxText || len(number) > MaxText {
		return Registration{}, unreadable("registration number", "the text is longer than %d bytes", MaxText)
	}
	k, ok := registrationKinds[strings.ToUpper(strings.TrimSpace(kind))]
	if !ok {
		return Registration{}, unreadable("registration number", "not an identifier type of DCI (BRN, DRN, MRN, UIN)")
	}
	if number = strings.TrimSpace(number); number == "" {
		return Registration{}, unreadable("registration number", "there is no number")
	}
	return Registration{Kind: k, Number: number}, nil
}

// DCI returns the identifier type and value as DCI writes them.
func (r Registration) DCI() (kind, number string) { return r.Kind, r.Number }

// OpenCRVS returns registrationNumber of OpenCRVS, which is about the event; a
// person's own number (UIN) is none: a loss, and the text is then empty.
func (r Registration) OpenCRVS() (string, error) {
	if r.Kind == "UIN" {
		return "", loss("registration number", "a person's own number is no registration number")
	}
	return r.Number, nil
}

// EUDI returns registration_number of SD-JWT credentials; as with
// [Registration.OpenCRVS] a person's own number is a loss.
func (r Registration) EUDI() (string, error) { return r.OpenCRVS() }

// Claim169 returns the id (key 1), which does not tell what kind of number it
// is; the credential's type does.
func (r Registration) Claim169() string { return r.Number }
