package oid4vp

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/internal/strict"
)

// Validate checks a query that a verifier wrote before anybody is asked: the rules
// of section 6 for everybody, and beyond them that it asks for no claim twice, for
// nothing that no wallet can answer here, and for nothing in vain.
func (q *Query) Validate() error {
	if err := q.check(); err != nil {
		return err
	}
	for i := range q.Credentials {
		c := &q.Credentials[i]
		where := fmt.Sprintf(".credentials[%d]", i)
		if c.Format != credential.FormatSDJWT {
			return badQuery(where+".format", "%s is not supported here", cut(string(c.Format)))
		}
		for j := range c.Claims {
			at := fmt.Sprintf("%s.claims[%d]", where, j)
			if !isText(c.Claims[j].Path[0]) { // section 7.1: the walk begins at an object
				return badQuery(at+".path[0]", "not the name of a claim")
			}
			if slices.ContainsFunc(c.Claims[:j], func(other ClaimQuery) bool { return samePath(other.Path, c.Claims[j].Path) }) {
				return badQuery(at+".path", "asked for before") // section 6.1: MUST NOT
			}
			if c.ClaimSets != nil && !slices.ContainsFunc(c.ClaimSets, func(set []string) bool { return slices.Contains(set, c.Claims[j].ID) }) {
				return badQuery(at, "in no claim set, so that nobody discloses it")
			}
		}
		for j, a := range c.Authorities {
			if a.Type != AKI && a.Type != ETSITrustedList && a.Type != OpenIDFederation {
				return badQuery(fmt.Sprintf("%s.trusted_authorities[%d].type", where, j), "%s is not known here", cut(string(a.Type)))
			}
		}
		inSet := func(s CredentialSet) bool {
			return slices.ContainsFunc(s.Options, func(ids []string) bool { return slices.Contains(ids, c.ID) })
		}
		if q.Sets != nil && !slices.ContainsFunc(q.Sets, inSet) {
			return badQuery(where, "in no credential set, so that nobody presents it")
		}
	}
	return nil
}

// check is the rules of section 6 that hold for every query.
func (q *Query) check() error {
	if len(q.Credentials) == 0 || len(q.Credentials) > maxCredentials || len(q.Sets) > maxSets {
		return badQuery("", "%d credentials in %d sets", len(q.Credentials), len(q.Sets))
	}
	seen := map[string]bool{}
	for i := range q.Credentials {
		c := &q.Credentials[i]
		where := fmt.Sprintf(".credentials[%d]", i)
		switch {
		case !isID(c.ID):
			return badQuery(where+".id", "not made of letters, digits, _ and -")
		case seen[c.ID]:
			return badQuery(where+".id", "there before")
		}
		seen[c.ID] = true
		if err := c.check(where); err != nil {
			return err
		}
	}
	for i, s := range q.Sets {
		where := fmt.Sprintf(".credential_sets[%d].options", i)
		if err := checkSets(s.Options, where, maxOptions, seen); err != nil {
			return err
		}
	}
	return nil
}

func (c *CredentialQuery) check(where string) error {
	switch {
	case c.Format == "":
		return badQuery(where+".format", "missing")
	case c.Format == credential.FormatSDJWT && len(c.Types) == 0:
		return badQuery(where+".meta.vct_values", "missing") // section B.3.5
	case c.Format == FormatMDoc && len(c.Types) != 1:
		return badQuery(where+".meta.doctype_value", "missing") // section B.2.3
	case len(c.Types) > maxValues || len(c.Authorities) > maxValues || len(c.Claims) > maxClaims:
		return tooLarge("types, authorities or claims", max(len(c.Types), len(c.Authorities), len(c.Claims)), maxValues)
	case slices.Contains(c.Types, ""):
		return badQuery(where+".meta", "an empty type")
	case c.ClaimSets != nil && len(c.Claims) == 0:
		return badQuery(where+".claim_sets", "without claims") // section 6.4.1
	}
	for i, a := range c.Authorities {
		if err := a.check(fmt.Sprintf("%s.trusted_authorities[%d]", where, i)); err != nil {
			return err
		}
	}
	ids := map[string]bool{}
	for i := range c.Claims {
		claim := &c.Claims[i]
		at := fmt.Sprintf("%s.claims[%d]", where, i)
		switch {
		case claim.ID == "" && c.ClaimSets != nil:
			return badQuery(at+".id", "missing, although there are claim sets")
		case claim.ID != "" && !isID(claim.ID):
			return badQuery(at+".id", "not made of letters, digits, _ and -")
		case claim.ID != "" && ids[claim.ID]:
			return badQuery(at+".id", "there before")
		}
		ids[claim.ID] = true
		if err := claim.check(c.Format, at); err != nil {
			return err
		}
	}
	if c.ClaimSets == nil {
		return nil
	}
	return checkSets(c.ClaimSets, where+".claim_sets", maxSets, ids)
}

func (c *ClaimQuery) check(format credential.Format, where string) error {
	if len(c.Path) == 0 || len(c.Path) > maxSteps {
		return badQuery(where+".path", "%d steps", len(c.Path))
	}
	for i, step := range c.Path {
		switch step := step.(type) {
		case nil:
		case string:
			if len(step) > maxText {
				return tooLarge("bytes of a step", len(step), maxText)
			}
		case int:
			if step < 0 {
				return badQuery(fmt.Sprintf("%s.path[%d]", where, i), "an index that no array has")
			}
		default:
			return badQuery(fmt.Sprintf("%s.path[%d]", where, i), "neither text, null nor a whole number")
		}
	}
	// Section 7.2: a namespace and an element.
	if format == FormatMDoc {
		if len(c.Path) != 2 || !isText(c.Path[0]) || !isText(c.Path[1]) {
			return badQuery(where+".path", "not the two texts that an mdoc wants")
		}
	}
	if len(c.Values) > maxValues {
		return tooLarge("values of a claim", len(c.Values), maxValues)
	}
	for i, v := range c.Values {
		switch v := v.(type) {
		case int64, bool:
		case string:
			if len(v) > maxText {
				return tooLarge("bytes of a value", len(v), maxText)
			}
		default:
			return badQuery(fmt.Sprintf("%s.values[%d]", where, i), "neither text, whole number, true nor false")
		}
	}
	return nil
}

func (a Authority) check(where string) error {
	if a.Type == "" || len(a.Values) == 0 || slices.Contains(a.Values, "") {
		return badQuery(where, "without type or values")
	}
	if len(a.Values) > maxValues {
		return tooLarge("values of an authority", len(a.Values), maxValues)
	}
	for i, v := range a.Values {
		if a.Type != AKI {
			continue
		}
		if b, err := strict.DecodeBase64URL(v); err != nil || len(b) == 0 {
			return badQuery(fmt.Sprintf("%s.values[%d]", where, i), "not base64url")
		}
	}
	return nil
}

// checkSets checks sets of ids, each known and once in its set.
func checkSets(sets [][]string, where string, most int, known map[string]bool) error {
	if len(sets) == 0 {
		return badQuery(where, "empty")
	}
	if len(sets) > most {
		return tooLarge("sets", len(sets), most)
	}
	for i, ids := range sets {
		if len(ids) == 0 {
			return badQuery(fmt.Sprintf("%s[%d]", where, i), "empty")
		}
		for j, id := range ids {
			if id == "" || !known[id] {
				return badQuery(fmt.Sprintf("%s[%d][%d]", where, i, j), "no such id")
			}
		}
	}
	return nil
}

// isID reports whether s may be an id (sections 6.1 and 6.3).
func isID(s string) bool {
	return s != "" && len(s) <= maxID && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-')
	})
}

func isText(step any) bool {
	_, ok := step.(string)
	return ok
}

func samePath(a, b sdjwt.Path) bool { return slices.Equal(a, b) }

// JSON writes the query. It writes none that [ParseQuery] would refuse.
func (q *Query) JSON() ([]byte, error) {
	m, err := q.object()
	if err != nil {
		return nil, err
	}
	return strict.AppendJSON(nil, m)
}

func (q *Query) object() (map[string]any, error) {
	if err := q.check(); err != nil {
		return nil, err
	}
	var credentials []any
	for i := range q.Credentials {
		credentials = append(credentials, q.Credentials[i].object())
	}
	m := map[string]any{"credentials": credentials}
	var sets []any
	for _, s := range q.Sets {
		set := map[string]any{"options": lists(s.Options)}
		if s.Optional {
			set["required"] = false
		}
		if s.Purpose != "" {
			set["purpose"] = s.Purpose
		}
		sets = append(sets, set)
	}
	if sets != nil {
		m["credential_sets"] = sets
	}
	return m, nil
}

func (c *CredentialQuery) object() map[string]any {
	m := map[string]any{"id": c.ID, "format": string(c.Format)}
	switch c.Format {
	case credential.FormatSDJWT:
		m["meta"] = map[string]any{"vct_values": anys(c.Types)}
	case FormatMDoc:
		m["meta"] = map[string]any{"doctype_value": c.Types[0]}
	default:
		meta := map[string]any{}
		for name, v := range c.Meta {
			meta[name] = v
		}
		m["meta"] = meta
	}
	if c.Multiple {
		m["multiple"] = true
	}
	if c.Unbound {
		m["require_cryptographic_holder_binding"] = false
	}
	var authorities, claims []any
	for _, a := range c.Authorities {
		authorities = append(authorities, map[string]any{"type": string(a.Type), "values": anys(a.Values)})
	}
	if authorities != nil {
		m["trusted_authorities"] = authorities
	}
	for _, claim := range c.Claims {
		one := map[string]any{"path": []any(claim.Path)}
		if claim.ID != "" {
			one["id"] = claim.ID
		}
		if claim.Values != nil {
			one["values"] = claim.Values
		}
		claims = append(claims, one)
	}
	if claims != nil {
		m["claims"] = claims
	}
	if c.ClaimSets != nil {
		m["claim_sets"] = lists(c.ClaimSets)
	}
	return m
}

// anys is a list of texts as JSON takes it.
func anys(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

func lists(sets [][]string) []any {
	out := make([]any, len(sets))
	for i, ids := range sets {
		out[i] = anys(ids)
	}
	return out
}
