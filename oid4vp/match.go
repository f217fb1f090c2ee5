package oid4vp

import (
	"fmt"
	"slices"

	"github.com/sanad-id/sanad/credential/sdjwt"
)

// A Match says how the credentials of a wallet can answer a query (section 6.4).
type Match struct {
	// Queries are the credential queries in their order.
	Queries []QueryMatch
	// Sets are the credential sets in their order; empty if the query has none.
	Sets []SetMatch

	query *Query
}

// A QueryMatch are the credentials that answer one credential query.
type QueryMatch struct {
	Query *CredentialQuery
	// Candidates are the ways to answer it, by credential in the order in which they
	// were given, and for each by claim set in the order of the verifier's preference.
	Candidates []Candidate
}

// A SetMatch is what can be answered of one credential set.
type SetMatch struct {
	Set *CredentialSet
	// Options are the options that can be met, by their place in the set.
	Options []int
}

// A Candidate is one credential as an answer to one credential query.
type Candidate struct {
	// Credential is its place in what was given to [Query.Match].
	Credential int
	// ClaimSet is the claim set that this answers, -1 if the query has none.
	ClaimSet int
	// Claims are the claims asked for, in the order of the query: of the claim set if
	// there are any.
	Claims []FoundClaim
	// Bind says that the holder proves its key: wherever the credential has one, also if
	// the verifier does not ask for it (HAIP section 6.1.1.1).
	Bind bool
}

// A FoundClaim is a claim asked for, found in a credential.
type FoundClaim struct {
	Query *ClaimQuery
	// Paths are where it stands, without nulls: several if it was asked for with one.
	// Elements of an array whose values will not do are not among them.
	Paths []sdjwt.Path
	// Values are the values at the paths.
	Values []any
}

// Disclose are the paths to present: what was asked for and nothing else.
func (c Candidate) Disclose() []sdjwt.Path {
	var paths []sdjwt.Path
	for _, claim := range c.Claims {
		paths = append(paths, claim.Paths...)
	}
	return paths
}

// Match compares the query with the credentials of a wallet. What it finds is the
// wallet's own business until the person has agreed: a verifier must not learn
// whether it was the person or the value of a claim that stood in the way (section
// 15.4.1).
func (q *Query) Match(held []Credential) *Match {
	m := &Match{query: q}
	for i := range q.Credentials {
		c := &q.Credentials[i]
		match := QueryMatch{Query: c}
		for j := range held {
			if held[j].offers(c) {
				match.Candidates = append(match.Candidates, held[j].candidates(c, j)...)
			}
		}
		m.Queries = append(m.Queries, match)
	}
	for i := range q.Sets {
		set := SetMatch{Set: &q.Sets[i]}
		for o, ids := range q.Sets[i].Options {
			if !slices.ContainsFunc(ids, func(id string) bool { return len(m.candidates(id)) == 0 }) {
				set.Options = append(set.Options, o)
			}
		}
		m.Sets = append(m.Sets, set)
	}
	return m
}

// candidates are the ways in which the credential, at this place of the wallet,
// answers c (section 6.4.1).
func (held *Credential) candidates(c *CredentialQuery, at int) []Candidate {
	found := make([]FoundClaim, len(c.Claims))
	for i := range c.Claims {
		claim := &c.Claims[i]
		// Section 6.1: of two queries for one claim the second is ignored.
		if first := slices.IndexFunc(c.Claims[:i], func(o ClaimQuery) bool { return samePath(o.Path, claim.Path) }); first >= 0 {
			found[i] = found[first]
			found[i].Query = claim
			continue
		}
		found[i].Query = claim
		for _, p := range held.claims(claim) {
			found[i].Paths, found[i].Values = append(found[i].Paths, p.path), append(found[i].Values, p.value)
		}
	}
	candidate := Candidate{Credential: at, ClaimSet: -1, Bind: held.Holder}
	if c.ClaimSets == nil {
		candidate.Claims = found
		if slices.ContainsFunc(found, FoundClaim.missing) {
			return nil
		}
		return []Candidate{candidate}
	}
	var all []Candidate
	for s, ids := range c.ClaimSets {
		candidate.ClaimSet, candidate.Claims = s, nil
		for _, f := range found {
			if slices.Contains(ids, f.Query.ID) {
				candidate.Claims = append(candidate.Claims, f)
			}
		}
		if !slices.ContainsFunc(candidate.Claims, FoundClaim.missing) {
			all = append(all, candidate)
		}
	}
	return all
}

func (f FoundClaim) missing() bool { return len(f.Paths) == 0 }

// candidates are those for the credential query with this id.
func (m *Match) candidates(id string) []Candidate {
	for _, q := range m.Queries {
		if q.Query.ID == id {
			return q.Candidates
		}
	}
	return nil
}

// Possible reports whether the query can be answered: everything that the verifier
// cannot do without is there (section 6.4.2).
func (m *Match) Possible() bool {
	if m.query.Sets == nil {
		return !slices.ContainsFunc(m.Queries, func(q QueryMatch) bool { return len(q.Candidates) == 0 })
	}
	return !slices.ContainsFunc(m.Sets, func(s SetMatch) bool { return !s.Set.Optional && len(s.Options) == 0 })
}

// A Choice is a credential that the person chose as an answer to one credential
// query.
type Choice struct {
	Query string // its id
	Candidate
}

// Default is the least that answers the query, in the order of the verifier's
// preference and of the wallet: one credential each, and nothing that the verifier
// can do without. It is [ErrUnanswered] if the query cannot be answered.
func (m *Match) Default() ([]Choice, error) {
	if !m.Possible() {
		return nil, refuse(AccessDenied, ErrUnanswered, "the request was not answered")
	}
	var choices []Choice
	take := func(id string) {
		if !slices.ContainsFunc(choices, func(c Choice) bool { return c.Query == id }) {
			choices = append(choices, Choice{id, m.candidates(id)[0]})
		}
	}
	if m.query.Sets == nil {
		for _, q := range m.Queries {
			take(q.Query.ID)
		}
	}
	for _, s := range m.Sets {
		if !s.Set.Optional {
			for _, id := range s.Set.Options[s.Options[0]] {
				take(id)
			}
		}
	}
	return choices, nil
}

// Check holds what a person chose against the query: enough for the verifier, each
// choice a candidate, one for each query that does not allow several, and nothing
// that was not asked for. Its error is [ErrUnanswered].
func (m *Match) Check(choices []Choice) error {
	bad := func(format string, args ...any) error {
		return refuse(AccessDenied, ErrUnanswered, format, args...)
	}
	chosen := map[string]int{}
	for i, c := range choices {
		q := m.query.Credential(c.Query)
		known := slices.ContainsFunc(m.candidates(c.Query), func(o Candidate) bool { return o.Credential == c.Credential && o.ClaimSet == c.ClaimSet })
		switch {
		case q == nil || !known:
			return bad("%s: no candidate of the query", cut(c.Query))
		case chosen[c.Query] > 0 && !q.Multiple:
			return bad("%s: several credentials", cut(c.Query))
		case slices.ContainsFunc(choices[:i], func(o Choice) bool { return o.Query == c.Query && o.Credential == c.Credential }):
			return bad("%s: a credential twice", cut(c.Query))
		}
		chosen[c.Query]++
	}
	if len(choices) == 0 || len(choices) > MaxPresentations {
		return bad("%d credentials", len(choices))
	}
	if s := m.query.unmet(func(id string) bool { return chosen[id] > 0 }); s != "" {
		return bad("%s", s)
	}
	if m.query.Sets == nil {
		return nil
	}
	for id := range chosen {
		asked := func(s CredentialSet) bool {
			return slices.ContainsFunc(s.Options, func(ids []string) bool {
				return slices.Contains(ids, id) && !slices.ContainsFunc(ids, func(other string) bool { return chosen[other] == 0 })
			})
		}
		if !slices.ContainsFunc(m.query.Sets, asked) {
			return bad("%s: part of no option that was chosen", cut(id))
		}
	}
	return nil
}

// unmet names the first thing that the verifier cannot do without and that is not
// there, "" if there is none (section 6.4.2).
func (q *Query) unmet(there func(id string) bool) string {
	missing := func(id string) bool { return !there(id) }
	if q.Sets == nil {
		for i := range q.Credentials {
			if missing(q.Credentials[i].ID) {
				return "credential " + q.Credentials[i].ID
			}
		}
		return ""
	}
	for i, s := range q.Sets {
		met := slices.ContainsFunc(s.Options, func(ids []string) bool { return !slices.ContainsFunc(ids, missing) })
		if !s.Optional && !met {
			return fmt.Sprintf("credential set %d", i)
		}
	}
	return ""
}
