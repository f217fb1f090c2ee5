package crosswalk

import (
	"strings"
)

// A Quantity is an amount with its unit, such as 2.5 acre.
type Quantity struct {
	// Amount is a decimal number with a point, digits as the source has them.
	Amount string
	// Unit is the unit's code: "ha", "acre", "m2", "km2", "kg", "g", "t", "l" or
	// one of the caller's own.
	Unit string
}

// unitWords are the spellings of units in lower case.
var unitWords = map[string]string{
	"ha": "ha", "hectare": "ha", "hectares": "ha", "hect": "ha",
	"acre": "acre", "acres": "acre", "ac": "acre",
	"m2": "m2", "m²": "m2", "sqm": "m2", "sq m": "m2", "sq. m": "m2", "square metre": "m2", "square metres": "m2", "square meter": "m2", "square meters": "m2",
	"km2": "km2", "km²": "km2", "sq km": "km2",
	"kg": "kg", "kilogram": "kg", "kilograms": "kg", "g": "g", "gram": "g", "grams": "g", "t": "t", "tonne": "t", "tonnes": "t",
	"l": "l", "litre": "l", "litres": "l", "liter": "l", "liters": "l",
}

// ParseQuantity reads an amount with its unit, as in "3 hectares" or "2.5ha".
// The words of own, in lower case, come before the known units; it may be nil.
// Nothing is converted: an acre stays an acre.
func ParseQuantity(text string, own map[string]string) (Quantity, error) {
	if len(text) > 64 {
		return Quantity{}, unreadable("quantity", "the text is longer than any quantity")
	}
	text = Digits(strings.TrimSpace(text))
	end := 0
	for end < len(text) && (text[end] >= '0' && text[end] <= '9' || text[end] == '.') {
		end++
	}
	amount := text[:end]
	if !decimal(amount) {
		return Quantity{}, unreadable("quantity", "no number with a decimal point stands before the unit")
	}
	word := strings.ToLower(strings.TrimSpace(text[end:]))
	if word == "" {
		return Quantity{}, unreadable("quantity", "there is no unit behind the number")
	}
	if u, ok := own[word]; ok {
		return Quantity{Amount: amount, Unit: u}, nil
	}
	if u, ok := unitWords[word]; ok {
		return Quantity{Amount: amount, Unit: u}, nil
	}
	return Quantity{}, unreadable("quantity", "the unit is not a known one; name it in the programme")
}

// decimal says whether s is digits with at most one point between them.
func decimal(s string) bool {
	whole, fraction, point := strings.Cut(s, ".")
	return whole != "" && !strings.Contains(fraction, ".") && point == (fraction != "")
}
