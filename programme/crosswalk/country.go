package crosswalk

import (
	"strings"
	"sync"
)

// A Country is an entry of ISO 3166-1, or one with user-assigned codes.
type Country struct {
	// Alpha2 is the code of two letters, such as BD.
	Alpha2 string
	// Alpha3 is the code of three letters, such as BGD. It is empty for a
	// user-assigned code.
	Alpha3 string
	// Name is the English short name; empty for a user-assigned code.
	Name string
}

// countries finds a country by code in upper case and by name in lower case.
var countries = sync.OnceValue(func() map[string]Country {
	m := make(map[string]Country, 1000)
	for row := range strings.Lines(countryTable) {
		names := strings.Split(strings.TrimSpace(row[7:]), "|")
		c := Country{Alpha2: row[:2], Alpha3: row[3:6], Name: names[0]}
		m[c.Alpha2], m[c.Alpha3] = c, c
		for _, n := range names {
			m[strings.ToLower(n)] = c
		}
	}
	return m
})

// Countries returns every country of ISO 3166-1 in the order of its alpha-2
// codes.
func Countries() []Country {
	var list []Country
	for row := range strings.Lines(countryTable) {
		list = append(list, countries()[row[:2]])
	}
	return list
}

// LookupCountry finds the country that text names by alpha-2 or alpha-3 code or
// by an English name. The words of own, in lower case, come before; their
// values are alpha-2 codes, which may be user-assigned ones; own may be nil. A
// name that means two countries, such as Congo, is unreadable.
func LookupCountry(text string, own map[string]string) (Country, error) {
	text = strings.TrimSpace(text)
	if len(text) > MaxText {
		return Country{}, unreadable("country", "the text is longer than %d bytes", MaxText)
	}
	if len(own) > 0 {
		if a2, ok := own[strings.ToLower(text)]; ok {
			if c, ok := countries()[a2]; ok {
				return c, nil
			}
			return Country{Alpha2: a2}, nil
		}
	}
	key := strings.ToUpper(text)
	if len(text) > 3 {
		key = strings.ToLower(text)
	}
	if c, ok := countries()[key]; ok {
		return c, nil
	}
	if c, ok := countries()[strings.ToLower(text)]; ok { // UK
		return c, nil
	}
	return Country{}, unreadable("country", "not a country code or English name of ISO 3166; name its meaning in the programme")
}

// UserAssigned says whether code is an alpha-2 code that ISO 3166 leaves to its
// users: AA, QM to QZ, XA to XZ and ZZ.
func UserAssigned(code string) bool {
	if len(code) != 2 {
		return false
	}
	a, b := code[0], code[1]
	return code == "AA" || code == "ZZ" || a == 'Q' && b >= 'M' && b <= 'Z' || a == 'X' && b >= 'A' && b <= 'Z'
}

// ISOAlpha2 returns the code of two letters, as SD-JWT, the EUDI PID and DCI
// samples write it.
func (c Country) ISOAlpha2() (string, error) {
	if c.Alpha2 == "" {
		return "", loss("country", "there is no country")
	}
	return c.Alpha2, nil
}

// ISOAlpha3 returns the code of three letters, as OpenCRVS writes it. A
// user-assigned code has none: a loss, and the text is then the alpha-2 code.
func (c Country) ISOAlpha3() (string, error) {
	switch {
	case c.Alpha2 == "":
		return "", loss("country", "there is no country")
	case c.Alpha3 == "":
		return c.Alpha2, loss("country", "the user-assigned code has no code of three letters")
	}
	return c.Alpha3, nil
}
