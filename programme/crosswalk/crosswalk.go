// Package crosswalk turns what registries write into what credentials say, and
// back: sex, dates, countries, names, quantities, places, registration numbers
// and parents, in the codings of ISO 5218, SD-JWT and the EUDI PID, OpenCRVS,
// DCI (spdci), MOSIP Claim 169 and the tables of other registries.
//
// Start with the item: [ParseSex], [ParseFormat] and [Format.Parse] for dates,
// [LookupCountry], [SplitName] and [Name.Join], [ParseQuantity], [Place],
// [ParseRegistration], [Parents]. Each value has one method a target.
//
// Nothing is guessed. Text that is in no known form is an [*UnreadableError]; a
// target that has no word for a value is a [*LossError], beside the nearest
// thing the target can say where there is one. Whether a loss is acceptable is
// for the caller to decide (package programme asks the programme file). Neither
// error quotes a value.
//
// Left to others: which column a value comes from, and whether a character may
// stand in a credential (both package programme).
//
// Input longer than [MaxText] bytes is refused before it is read.
package crosswalk

import "fmt"

// MaxText is the most bytes of text that any reader of this package looks at.
const MaxText = 1 << 10

// A LossError says that the target cannot say all that the source says.
type LossError struct {
	// Item is what was mapped: "sex", "date", "country", "name", "place" or
	// "parents".
	Item string
	// Detail says what gets lost. It names codes, never a value.
	Detail string
}

// Error names the item and what gets lost.
func (e *LossError) Error() string { return fmt.Sprintf("%s: %s", e.Item, e.Detail) }

func loss(item, format string, args ...any) error {
	return &LossError{Item: item, Detail: fmt.Sprintf(format, args...)}
}

// An UnreadableError says that the text is in no form that was asked for.
type UnreadableError struct {
	// Item is as in [LossError].
	Item string
	// Detail says what is wrong and what would be right, without the value.
	Detail string
}

// Error names the item and what is wrong.
func (e *UnreadableError) Error() string { return fmt.Sprintf("%s: %s", e.Item, e.Detail) }

func unreadable(item, format string, args ...any) error {
	return &UnreadableError{Item: item, Detail: fmt.Sprintf(format, args...)}
}
