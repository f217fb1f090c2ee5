//go:build !js

package i18n

import (
	"golang.org/x/text/message"
	"golang.org/x/text/number"
)

// numbering is what CLDR calls them; their marks between groups may differ, too.
var numbering = map[string]string{"bn": "beng", "ar": "arab"}

// Quantity returns how many of something there are, with the marks between groups
// of digits that the language uses: "12,345", "12 345", "১২,৩৪৫".
func (l Language) Quantity(n int) string { return l.write(number.Decimal(n)) }

// Decimal returns x with that many digits after the mark, rounded.
func (l Language) Decimal(x float64, digits int) string {
	return l.write(number.Decimal(x, number.Scale(digits)))
}

// Percent returns a share of one as a percentage without a fraction: "12%".
func (l Language) Percent(share float64) string {
	return l.write(number.Percent(share, number.Scale(0)))
}

// write formats a number with the marks of the language and then with its digits.
func (l Language) write(n number.Formatter) string {
	system, own := numbering[l.Tag()]
	if l.digits != OwnDigits || !own {
		system = "latn"
	}
	tag, err := l.format().SetTypeForKey("nu", system)
	if err != nil {
		panic("i18n: internal error: " + err.Error())
	}
	return l.Digits(message.NewPrinter(tag).Sprint(n))
}
