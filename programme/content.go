package programme

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
)

// Content is what a credential of one record says, before it has an issuer, an
// issue date and a status slot. [Programme.Map] makes it. It is personal data
// and prints as a count only.
type Content struct {
	programme          *Programme
	values             []any // by index of the programme's claims; nil if absent
	photo              *picture
	notBefore, expires time.Time
}

// Token returns what the form with this name says, for credential/cwt. Issuer,
// IssuedAt and Status are left to whoever issues it. It panics if the programme
// has no such form.
func (c Content) Token(form string) cwt.Token {
	f, ok := c.programme.Form(form)
	if !ok {
		panic(fmt.Sprintf("programme: internal error: %s has no form %q", c.programme.ID, form))
	}
	t := cwt.Token{Type: c.programme.Type, NotBefore: c.notBefore, Expires: c.expires}
	for _, i := range f.carried {
		v := c.values[i]
		if v == nil {
			continue
		}
		if claim := &c.programme.Claims[i]; claim.Person {
			t.Person = put(t.Person, claim.Key, v, len(f.carried))
		} else {
			t.Fields = put(t.Fields, claim.Key, v, len(f.carried))
		}
	}
	if f.Photo && c.photo != nil {
		// A list of one biometric of Claim 169: data, format 0 (picture), sub-format.
		face := []any{map[int64]any{0: c.photo.data, 1: int64(0), 2: c.photo.sub}}
		t.Person = put(t.Person, personFace, face, len(f.carried))
	}
	return t
}

func put(m map[int64]any, key int64, v any, size int) map[int64]any {
	if m == nil {
		m = make(map[int64]any, size)
	}
	m[key] = v
	return m
}

// Claims returns the claims of the form with this name, in the order of the
// programme, to show them to the record's owner or to a colleague. It panics if
// the programme has no such form.
func (c Content) Claims(form string) credential.Claims {
	f, ok := c.programme.Form(form)
	if !ok {
		panic(fmt.Sprintf("programme: internal error: %s has no form %q", c.programme.ID, form))
	}
	var list credential.Claims
	for _, i := range f.carried {
		if v := c.values[i]; v != nil {
			claim := &c.programme.Claims[i]
			list = append(list, credential.Claim{Key: claim.Key, Name: claim.Name, Value: v})
		}
	}
	return list
}

// Forms returns the names of the forms to make of this record: those of the
// programme, without a second code for the portrait of someone who has none and
// without one that would carry nothing.
func (c Content) Forms() []string {
	var names []string
	for _, f := range c.programme.Forms {
		if c.makes(f) {
			names = append(names, f.Name)
		}
	}
	return names
}

// makes says whether there is a code of form f for this record.
func (c Content) makes(f Form) bool {
	if f.Photo && c.photo != nil {
		return true
	}
	if f.Photo && c.programme.Photo.Policy == PhotoSecondCode {
		return false
	}
	for _, i := range f.carried {
		if c.values[i] != nil {
			return true
		}
	}
	return false
}

// Expires returns the last moment of the credential's validity; zero if it does
// not expire.
func (c Content) Expires() time.Time { return c.expires }

// Photo returns the portrait, nil if there is none.
func (c Content) Photo() *credential.Face {
	if c.photo == nil {
		return nil
	}
	return &credential.Face{Data: c.photo.data, MediaType: c.photo.mediaType}
}

// String says how many claims there are and nothing more.
func (c Content) String() string {
	n := 0
	for _, v := range c.values {
		if v != nil {
			n++
		}
	}
	return fmt.Sprintf("%d claims", n)
}

// GoString is String, so that %#v shows no claim either.
func (c Content) GoString() string { return c.String() }

// LogValue is String, so that slog shows no claim either.
func (c Content) LogValue() slog.Value { return slog.StringValue(c.String()) }
