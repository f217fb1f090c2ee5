package docpdf

import (
	"cmp"
	"fmt"
	"slices"

	"golang.org/x/text/language"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/qr"
)

// A Signed is a code as it was issued: the name of its form and what it says.
type Signed struct{ Form, Text string }

// Fill makes a certificate from the codes that were signed: claims, dates and portrait are
// those of the codes, words and order those of the programme, in whatever order the codes
// come. Layout, Languages, Issuer,
// Number and Help are left to the caller. Signatures are not checked here: whoever
// issued the codes has just done so.
func Fill(p *programme.Programme, signed []Signed) (Certificate, error) {
	c := Certificate{Type: p.Labels, PersonCheck: p.PersonCheck}
	if len(signed) == 0 || len(signed) > maxCodes {
		return c, fmt.Errorf("%w: %d codes, want 1 to %d", ErrCertificate, len(signed), maxCodes)
	}
	// Files come in the order of their names; the main code is the programme's first.
	place := func(s Signed) int {
		return slices.IndexFunc(p.Forms, func(f programme.Form) bool { return f.Name == s.Form })
	}
	signed = slices.Clone(signed)
	slices.SortStableFunc(signed, func(a, b Signed) int { return cmp.Compare(place(a), place(b)) })
	fields := p.CredentialType().Fields
	values := make([]any, len(fields))
	for i, s := range signed {
		form, ok := p.Form(s.Form)
		if !ok || form.Wallet() {
			return c, fmt.Errorf("%w: the programme %s has no code %q", ErrCertificate, p.ID, clip(s.Form))
		}
		token, err := parse(p, s)
		if err != nil {
			return c, err
		}
		if i == 0 {
			c.Issued, c.NotBefore, c.Expires = token.IssuedAt, token.NotBefore, token.Expires
		}
		code := Code{Form: s.Form, Text: s.Text, Level: form.Level, Claims: []string{}}
		for f, field := range fields {
			from := token.Fields
			if field.Person {
				from = token.Person
			}
			at := slices.IndexFunc(from, func(c credential.Claim) bool { return c.Key == field.Key })
			if at < 0 {
				continue
			}
			code.Claims = append(code.Claims, field.Name)
			if values[f] == nil {
				values[f] = from[at].Value
			}
		}
		if face := token.Face(); face != nil {
			c.Photo = face
		}
		c.Codes = append(c.Codes, code)
	}
	for f, field := range fields {
		if values[f] != nil {
			c.Claims = append(c.Claims, Claim{
				Name: field.Name, Labels: field.Labels, Kind: field.Kind, Value: values[f], Words: field.Values,
				Language: languageOf(field, fields, values),
			})
		}
	}
	return c, nil
}

// languageOf is the language of a name in a second script, which another claim tells.
func languageOf(field credential.TypeField, fields []credential.TypeField, values []any) string {
	if !field.Person || cwt.PersonName(field.Key) != "secondaryFullName" {
		return ""
	}
	for f, other := range fields {
		if text, ok := values[f].(string); ok && other.Person && cwt.PersonName(other.Key) == "secondaryLanguage" {
			if tag, err := language.Parse(text); err == nil {
				return tag.String()
			}
		}
	}
	return ""
}

// parse reads the code of a form of a programme.
func parse(p *programme.Programme, s Signed) (*cwt.Parsed, error) {
	message, err := qr.Decode(s.Text)
	if err != nil {
		return nil, fmt.Errorf("%w: code %q: %v", ErrCertificate, s.Form, err)
	}
	token, err := cwt.Parse(message)
	if err != nil {
		return nil, fmt.Errorf("%w: code %q: %v", ErrCertificate, s.Form, err)
	}
	if !token.Signed || token.Type != p.Type {
		return nil, fmt.Errorf("%w: code %q is not one of programme %s", ErrCertificate, s.Form, p.ID)
	}
	return token, nil
}
