package programme

import "fmt"

// What can be wrong with a value or a record. The codes are stable: manifests
// and scripts rely on them.
const (
	CodeMissing       = "missing"            // a required claim has no value
	CodeLoss          = "loss"               // the credential cannot say what the record says
	CodeDate          = "not_a_date"         // not a date in one of the formats
	CodeInteger       = "not_an_integer"     // not a whole number
	CodeNumber        = "not_a_number"       // not a number
	CodeBoolean       = "not_yes_or_no"      // neither yes nor no
	CodeNotInList     = "not_in_code_list"   // a word that the code list does not have
	CodeCountry       = "not_a_country"      // no code or name of a country
	CodeSex           = "not_a_sex"          // no word for a sex
	CodeLanguage      = "not_a_language"     // no code of a language
	CodeQuantity      = "not_a_quantity"     // no number with a known unit
	CodeJSON          = "bad_json"           // not JSON, or not with one value at the path
	CodeTooLong       = "too_long"           // more characters than allowed
	CodeTooMany       = "too_many"           // more entries than allowed
	CodeConstraint    = "constraint"         // outside what the programme allows
	CodeControl       = "control_characters" // control, direction or invisible characters
	CodeEmoji         = "emoji"              // an emoji or symbol
	CodeEncoding      = "encoding"           // letters that were damaged by a conversion
	CodeUnknownColumn = "unknown_column"     // the source has no such column
	CodeNotEligible   = "not_eligible"       // only_if excludes the record
	CodeNoID          = "no_id"              // the record has no usable id
	CodePhoto         = "photo"              // the picture cannot be carried
	CodeExpired       = "expired"            // the credential would be over when issued
	CodeDateOrder     = "date_order"         // the validity ends before it begins
	CodeTooBig        = "too_big"            // the code would be larger than its form allows
	CodeNotIssuable   = "not_issuable"       // the format cannot carry it
)

// Codes is every code, for tests and documents.
func Codes() []string {
	return []string{
		CodeMissing, CodeLoss, CodeDate, CodeInteger, CodeNumber, CodeBoolean, CodeNotInList, CodeCountry, CodeSex,
		CodeLanguage, CodeQuantity, CodeJSON, CodeTooLong, CodeTooMany, CodeConstraint, CodeControl, CodeEmoji,
		CodeEncoding, CodeUnknownColumn, CodeNotEligible, CodeNoID, CodePhoto, CodeExpired, CodeDateOrder, CodeTooBig, CodeNotIssuable,
	}
}

// A Problem is one value of one record that could not be carried over as it
// is. It never quotes the value.
type Problem struct {
	// Line is where the record stands in its source; 0 if unknown.
	Line int
	// Column is the column of the source, Claim the claim; either may be empty
	// if the problem concerns the whole record.
	Column, Claim string
	// Code is one of the stable words of this package.
	Code string
	// Detail says what is wrong and what to do about it.
	Detail string
	// Fatal problems keep the record from being issued; the others are notes
	// about what the programme allows to be left out or kept.
	Fatal bool
}

// String is one line for people.
func (p Problem) String() string {
	where := ""
	if p.Line > 0 {
		where = fmt.Sprintf("line %d: ", p.Line)
	}
	switch {
	case p.Claim != "" && p.Column != "":
		where += p.Claim + " (column " + p.Column + "): "
	case p.Claim != "":
		where += p.Claim + ": "
	case p.Column != "":
		where += "column " + p.Column + ": "
	}
	return where + p.Code + ": " + p.Detail
}

// Fatal says whether one of the problems keeps the record from being issued.
func Fatal(problems []Problem) bool {
	for _, p := range problems {
		if p.Fatal {
			return true
		}
	}
	return false
}
