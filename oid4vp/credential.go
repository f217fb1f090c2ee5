package oid4vp

import (
	"slices"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/keys/chain"
)

// A Credential is what a query is compared with: one that a wallet holds, or one
// that was presented. Whether it is genuine is not asked here.
type Credential struct {
	Format credential.Format
	// Types are the type of the credential and those that it extends, in that order.
	Types []string
	// Claims are all claims, those about the credential itself included: nil, bool,
	// int64, float64, string, []any or map[string]any.
	Claims map[string]any
	// Gaps are arrays of a presentation that hide some of their elements.
	Gaps []sdjwt.Path
	// Holder says that the holder can prove its key, or has in a presentation.
	Holder bool
	// Authorities are who certified the issuer. [HeldSDJWT] and [ShownSDJWT] fill in
	// what the certificates say (AKI); callers add what they know.
	Authorities []Authority
}

// HeldSDJWT is a credential in a wallet, as its issuer gave it out. One with a
// problem answers no query.
func HeldSDJWT(p *sdjwt.Parsed) (Credential, error) {
	c, err := fromSDJWT(p)
	if err == nil {
		c.Holder = p.Credential.Holder != nil
	}
	return c, err
}

// ShownSDJWT is a presentation. The caller has verified it, proof by the holder
// included; only what it says is looked at here.
func ShownSDJWT(p *sdjwt.Parsed) (Credential, error) {
	c, err := fromSDJWT(p)
	if err == nil {
		c.Holder, c.Gaps = p.Bound, p.Gaps
	}
	return c, err
}

func fromSDJWT(p *sdjwt.Parsed) (Credential, error) {
	if p.Problem != nil {
		return Credential{}, p.Problem
	}
	c := Credential{Format: credential.Format(p.Typ), Types: []string{p.Credential.Type}, Claims: p.Claims}
	// Drafts called it otherwise; who takes such a credential takes it as this one.
	if p.Typ == sdjwt.OldTyp {
		c.Format = credential.FormatSDJWT
	}
	// Section 6.1.1.1: any certificate of the chain. One that cannot be read names
	// nobody.
	if ids, err := chain.AKI(p.X5C); err == nil && len(ids) > 0 {
		c.Authorities = []Authority{{AKI, ids}}
	}
	return c, nil
}

// certified reports whether one of the conditions holds; none are no condition.
func (c *Credential) certified(conditions []Authority) bool {
	if len(conditions) == 0 {
		return true
	}
	return slices.ContainsFunc(conditions, func(want Authority) bool {
		return slices.ContainsFunc(c.Authorities, func(have Authority) bool {
			return have.Type == want.Type && slices.ContainsFunc(have.Values, func(v string) bool { return slices.Contains(want.Values, v) })
		})
	})
}

// A place is a value inside of a credential.
type place struct {
	path   sdjwt.Path // without nulls
	value  any
	proven bool // that it stands where the path says
}

// find walks a path (section 7.1). It returns nothing where the section says error.
func (c *Credential) find(path sdjwt.Path) []place {
	found := []place{{value: c.Claims, proven: true}}
	for _, step := range path {
		var next []place
		for _, p := range found {
			more, ok := c.step(p, step)
			if !ok {
				return nil
			}
			next = append(next, more...)
		}
		found = next
	}
	return found
}

// step takes one step from p; ok is false if p is not of the kind that it needs.
func (c *Credential) step(p place, step any) (next []place, ok bool) {
	at := func(step, value any, proven bool) place {
		return place{append(slices.Clip(p.path), step), value, p.proven && proven}
	}
	if name, isName := step.(string); isName {
		object, ok := p.value.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, there := object[name]; there {
			next = append(next, at(name, v, true))
		}
		return next, true
	}
	array, ok := p.value.([]any)
	if !ok {
		return nil, false
	}
	index, one := step.(int)
	gap := slices.ContainsFunc(c.Gaps, func(g sdjwt.Path) bool { return samePath(g, p.path) })
	for i, v := range array {
		// Elements that are hidden leave no trace (RFC 9901 section 7.1 step 3d), so
		// that one which is shown stands where it stood or before.
		if !one || i == index || gap && i < index {
			next = append(next, at(i, v, !one || !gap))
		}
	}
	return next, true
}

// claims are the places that a claim query is about: those at its path whose values
// will do. None means that the claim is not there.
func (c *Credential) claims(q *ClaimQuery) []place {
	found := c.find(q.Path)
	if q.Values == nil {
		return found
	}
	return slices.DeleteFunc(found, func(p place) bool {
		// Section 6.3: type and value match exactly.
		return !p.proven || !slices.ContainsFunc(q.Values, func(v any) bool { return equalValue(v, p.value) })
	})
}

// equalValue compares texts, whole numbers and booleans; nothing else is equal to
// anything.
func equalValue(want, got any) bool {
	switch want.(type) {
	case string, int64, bool:
		switch got.(type) {
		case string, int64, bool:
			return want == got
		}
	}
	return false
}

// offers reports whether the credential is one of those that the query is about,
// claims aside.
func (c *Credential) offers(q *CredentialQuery) bool {
	return c.mismatch(q) == ""
}

// mismatch says what about the credential is not as the query wants it, claims
// aside.
func (c *Credential) mismatch(q *CredentialQuery) Shortfall {
	switch {
	case c.Format != q.Format || q.Format != credential.FormatSDJWT:
		return WrongFormat
	case !slices.ContainsFunc(c.Types, func(t string) bool { return slices.Contains(q.Types, t) }):
		return WrongType
	case !c.certified(q.Authorities):
		return WrongAuthority
	case !q.Unbound && !c.Holder:
		return NoHolderProof
	}
	return ""
}
