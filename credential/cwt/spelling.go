package cwt

import (
	"strconv"
	"strings"
	"time"

	"github.com/sanad-id/sanad/credential"
)

// oneSpelling brings the attributes that writers of Claim 169 spell differently
// into one form: an id as text, a birth date as YYYY-MM-DD, a language in small
// letters, gender and marital status as numbers (the specification's own example
// has "1" as text). What fits no known spelling is left as it is.
func oneSpelling(person credential.Claims) {
	for i, c := range person {
		switch c.Key {
		case personID:
			if n, ok := c.Value.(int64); ok {
				person[i].Value = strconv.FormatInt(n, 10)
			}
		case personBirthDate:
			if d, ok := birthDate(c.Value); ok {
				person[i].Value = d
			}
		case personGender, personMaritalStatus:
			if s, ok := c.Value.(string); ok && len(s) == 1 && s[0] >= '0' && s[0] <= '9' {
				person[i].Value = int64(s[0] - '0')
			}
		case personLanguage, personSecondaryLanguage:
			if s, ok := c.Value.(string); ok && s != strings.ToLower(s) {
				person[i].Value = strings.ToLower(s)
			}
		}
	}
}

// birthDate reads 19840418 as text or number, and 1984-04-18.
func birthDate(v any) (string, bool) {
	s, ok := v.(string)
	if n, number := v.(int64); number {
		s, ok = strconv.FormatInt(n, 10), true
	}
	if !ok {
		return "", false
	}
	for _, layout := range []string{"20060102", time.DateOnly} {
		if d, err := time.Parse(layout, s); err == nil {
			return d.Format(time.DateOnly), true
		}
	}
	return "", false
}

// Face returns the portrait that the token says it carries, nil if there is none.
func (p *Parsed) Face() *credential.Face { return face(p.Person) }

// face finds the portrait: a biometric or a list of them at 62, else the photo at
// 16 with its format at 17. A picture that is too large or of a kind that is not
// on the list stays among the claims only.
func face(person credential.Claims) *credential.Face {
	var photo, format, biometric any
	for _, c := range person {
		switch c.Key {
		case personPhoto:
			photo = c.Value
		case personPhotoFormat:
			format = c.Value
		case personFace:
			biometric = c.Value
		}
	}
	if list, ok := biometric.([]any); ok && len(list) > 0 {
		biometric = list[0]
	}
	if m, ok := biometric.(map[string]any); ok {
		if kind, named := m[strconv.Itoa(biometricFormat)].(int64); named && kind != formatImage {
			return nil
		}
		photo, format = m[strconv.Itoa(biometricData)], m[strconv.Itoa(biometricSubFormat)]
	}
	data, ok := photo.([]byte)
	number, known := format.(int64)
	if !ok || !known || mediaTypes[number] == "" || len(data) == 0 || len(data) > maxFace {
		return nil
	}
	return &credential.Face{Data: data, MediaType: mediaTypes[number]}
}
