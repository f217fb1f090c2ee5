package oid4vp

import (
	"slices"

	"github.com/sanad-id/sanad/credential/sdjwt"
)

// A Shortfall says in what a presentation does not answer the query.
type Shortfall string

// The shortfalls.
const (
	WrongFormat    Shortfall = "wrong_format"    // another format than the query's
	WrongType      Shortfall = "wrong_type"      // a type that was not asked for
	WrongAuthority Shortfall = "wrong_authority" // certified by nobody who was asked for
	NoHolderProof  Shortfall = "no_holder_proof" // without the proof that was asked for
	MissingClaim   Shortfall = "missing_claim"   // a claim is not there
	WrongValue     Shortfall = "wrong_value"     // a claim is there, and none of its values will do
)

// A Presented credential is one presentation of a response.
type Presented struct {
	// Query is the id under which it came.
	Query string
	Credential
	// Refused says that the presentation is not valid: it counts for nothing (section
	// 8.6).
	Refused bool
}

// An Answer is how a response answers a query.
type Answer struct {
	// Complete says that all that was asked for is there: every credential, or
	// enough of them by the credential sets. Values are compared again (section 14.9).
	Complete bool
	// Unmet names the first thing that is missing, "" if Complete.
	Unmet string
	// Items are the presentations in the order in which they were given.
	Items []AnswerItem
}

// An AnswerItem is how one presentation answers its credential query.
type AnswerItem struct {
	Query *CredentialQuery
	// Answers says that nothing is short, and that the presentation is not refused.
	Answers bool
	// Short is what is short, "" if nothing is; Claim is the claim query that it is
	// about, nil if it is about none.
	Short Shortfall
	Claim *ClaimQuery
	// Claims are the claims that were asked for and are there. What a presentation
	// shows beyond them was not asked for.
	Claims []FoundClaim
}

// Answered holds what was presented against the query, as a verifier must whatever
// a wallet did (sections 8.6 and 14.9). It says nothing about whether a presentation
// is genuine: that was decided before, and what failed is Refused. The error, with
// [ErrUnanswered], means that the response as a whole is not one to this query: an
// id that was not asked for, or several presentations where one was asked for.
func (q *Query) Answered(presented []Presented) (*Answer, error) {
	a := &Answer{}
	count, good := map[string]int{}, map[string]bool{}
	for i := range presented {
		p := &presented[i]
		c := q.Credential(p.Query)
		if c == nil {
			return nil, refuse(InvalidRequest, ErrUnanswered, "a presentation for %s, which was not asked for", cut(p.Query))
		}
		if count[p.Query]++; count[p.Query] > 1 && !c.Multiple {
			return nil, refuse(InvalidRequest, ErrUnanswered, "several presentations for %s", cut(p.Query))
		}
		item := p.answers(c)
		good[p.Query] = good[p.Query] || item.Answers
		a.Items = append(a.Items, item)
	}
	a.Unmet = q.unmet(func(id string) bool { return good[id] })
	a.Complete = a.Unmet == ""
	return a, nil
}

// answers compares one presentation with its query.
func (p *Presented) answers(c *CredentialQuery) AnswerItem {
	item := AnswerItem{Query: c, Short: p.mismatch(c)}
	found := make([]FoundClaim, len(c.Claims))
	for i := range c.Claims {
		found[i].Query = &c.Claims[i]
		for _, f := range p.claims(&c.Claims[i]) {
			found[i].Paths, found[i].Values = append(found[i].Paths, f.path), append(found[i].Values, f.value)
		}
		if !found[i].missing() {
			item.Claims = append(item.Claims, found[i])
		}
	}
	if item.Short == "" {
		item.Claim, item.Short = p.shortClaim(c, found)
	}
	item.Answers = item.Short == "" && !p.Refused
	return item
}

// shortClaim returns the claim that keeps a presentation from being an answer, of the
// first claim set if there are any and none is met.
func (p *Presented) shortClaim(c *CredentialQuery, found []FoundClaim) (*ClaimQuery, Shortfall) {
	sets := c.ClaimSets
	if sets == nil {
		sets = [][]string{nil}
	}
	var claim *ClaimQuery
	for _, ids := range sets {
		short := slices.IndexFunc(found, func(f FoundClaim) bool {
			return f.missing() && (ids == nil || slices.Contains(ids, f.Query.ID))
		})
		if short < 0 {
			return nil, ""
		}
		if claim == nil {
			claim = found[short].Query
		}
	}
	if claim.Values != nil && len(p.find(claim.Path)) > 0 {
		return claim, WrongValue
	}
	return claim, MissingClaim
}

// PathText is a path for people, such as address.street or degrees[*].type.
func PathText(path sdjwt.Path) string { return path.Text() }
