package programme

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/credential/sdjwt"
)

// Content is what a credential of one record says, before it has an issuer, an
// issue date and a status slot. [Programme.Map] makes it. It is personal data
// and prints as a count only.
type Content struct {
	programme          *Programme
	values             []any // by index of the programme's claims; nil if absent
	photo              *picture
	notBefore, expires time.Time
	issued             time.Time // the moment of issue that was assumed
}

// Token returns what the code or the card with this name says, for credential/cwt.
// Issuer, IssuedAt and Status are left to whoever issues it, and Holder of a card. It
// panics if the programme has no such form.
func (c Content) Token(form string) cwt.Token {
	f := c.form(form)
	t := cwt.Token{Type: c.programme.Type, NotBefore: c.notBefore, Expires: c.expires}
	card := f.Kind == FormCWT
	if card {
		t.Expires, t.Decoys = c.walletExpires(f), f.Decoys
	}
	for _, i := range f.carried {
		v := c.values[i]
		if v == nil {
			continue
		}
		claim := &c.programme.Claims[i]
		if card && !slices.Contains(f.Shown, claim.Name) {
			v = cwt.Hidden{Value: v}
		}
		if claim.Person {
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

// SDJWT returns what the wallet form with this name says, for credential/sdjwt. Issuer,
// IssuedAt, Status, Holder, TypeIntegrity and X5C are left to whoever issues it. It
// panics if the programme has no such form.
func (c Content) SDJWT(form string) sdjwt.Token {
	f := c.form(form)
	t := sdjwt.Token{
		Type: f.VCT, NotBefore: c.notBefore, Expires: c.walletExpires(f), Decoys: f.Decoys, Claims: make(map[string]any, len(f.carried)),
	}
	for _, i := range f.carried {
		v := c.values[i]
		if v == nil {
			continue
		}
		claim := &c.programme.Claims[i]
		if v = claim.json(v); !slices.Contains(f.Shown, claim.Name) {
			v = sdjwt.Hidden{Value: v}
		}
		t.Claims[claim.Name] = v
	}
	t.Claims = c.programme.nest(f, t.Claims)
	return t
}

// walletExpires is the last moment of a copy of a wallet form: its own, or the
// credential's if that comes first.
func (c Content) walletExpires(f Form) time.Time {
	v := f.Validity
	if v.Endless() {
		return c.expires
	}
	from := c.issued
	if c.notBefore.After(from) {
		from = c.notBefore
	}
	if own := from.AddDate(v.Years, v.Months, v.Days); c.expires.IsZero() || own.Before(c.expires) {
		return own
	}
	return c.expires
}

// json is the value of a claim as JSON carries it: as in a code, but for the date
// of birth, which Claim 169 writes without its hyphens.
func (c *Claim) json(v any) any {
	if s, ok := v.(string); ok && c.Person && c.Key == personBirthDate && len(s) == len("20060102") {
		return s[:4] + "-" + s[4:6] + "-" + s[6:]
	}
	return v
}

// form is the form with this name, which must be one of the programme.
func (c Content) form(name string) Form {
	f, ok := c.programme.Form(name)
	if !ok {
		panic(fmt.Sprintf("programme: internal error: %s has no form %q", c.programme.ID, name))
	}
	return f
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
	f := c.form(form)
	var list credential.Claims
	for _, i := range f.carried {
		if v := c.values[i]; v != nil {
			claim := &c.programme.Claims[i]
			if f.Kind == FormSDJWT {
				v = claim.json(v)
			}
			list = append(list, credential.Claim{Key: claim.Key, Name: claim.Name, Value: v})
		}
	}
	return list
}

// Forms returns the names of the codes to make of this record: those of the
// programme, without a second code for the portrait of someone who has none and
// without one that would carry nothing. Wallet forms are not among them: they are
// made when a holder's key is known.
func (c Content) Forms() []string {
	var names []string
	for _, f := range c.programme.Forms {
		if !f.Wallet() && c.Makes(f) {
			names = append(names, f.Name)
		}
	}
	return names
}

// Makes says whether form f has anything to say of this record.
func (c Content) Makes(f Form) bool {
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
