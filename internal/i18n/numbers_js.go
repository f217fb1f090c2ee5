package i18n

import "syscall/js"

// Quantity returns how many of something there are, with the marks between groups
// of digits that the language uses. The browser knows them; our own tables would make
// the page larger by a tenth.
func (l Language) Quantity(n int) string {
	system := "latn"
	if l.digits == OwnDigits && numerals[l.Tag()] != "" {
		system = map[string]string{"bn": "beng", "ar": "arab"}[l.Tag()]
	}
	format := js.Global().Get("Intl").Get("NumberFormat").New(l.format().String(), map[string]any{"numberingSystem": system})
	return l.Digits(format.Call("format", n).String())
}
