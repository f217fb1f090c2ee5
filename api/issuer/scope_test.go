package issuer_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/api/issuer"
	"github.com/sanad-id/sanad/oid4vci"
)

// asksFor is a form parameter with the details of these configurations.
func asksFor(ids ...string) string {
	var list []string
	for _, id := range ids {
		list = append(list, `{"type":"openid_credential","credential_configuration_id":"`+id+`"}`)
	}
	return "[" + strings.Join(list, ",") + "]"
}

// detailed are the configurations of a token response's details.
func detailed(t *oid4vci.TokenResponse) []string {
	var ids []string
	for _, d := range t.Details {
		ids = append(ids, d.Configuration)
	}
	return ids
}

// TestScopesAndDetails: what a token is for is told in the words in which it was asked for
// (RFC 6749 section 5.1, OpenID4VCI sections 5.1.2, 6.2 and 8.2), and can be fetched.
func TestScopesAndDetails(t *testing.T) {
	p := newProvider(t)
	b := newBed(t, engines[0], p.login, func(c *issuer.Config) { c.LoginProgrammes = []string{"licence", "nested"} })
	p.bed = b
	_, err := b.offices[0].service.AddProgramme(t.Context(), []byte(nestedProgramme), "tester")
	b.must(err)
	b.clock.add(31e9) // the catalogue is made anew
	one, two := configuration, nestedConfiguration
	for _, tt := range []struct {
		name            string
		scopes, details []string // of the authorization request
		token           url.Values
		scope, answered []string // of the token response
	}{
		{"by scope", []string{one}, nil, nil, []string{one}, nil},
		{"a scope that nobody knows beside it", []string{one, "offline_access"}, nil, nil, []string{one}, nil},
		{"by details", nil, []string{one}, nil, nil, []string{one}},
		{"one by details and another by scope", []string{two}, []string{one}, nil, []string{two}, []string{one, two}},
		{"one by both", []string{one}, []string{one}, nil, []string{one}, []string{one}},
		{"by details, and again by scope", nil, []string{one}, url.Values{"scope": {one}}, []string{one}, []string{one}},
		{"by details, then a scope that nobody knows", nil, []string{one}, url.Values{"scope": {"offline_access"}}, []string{one}, []string{one}},
		{"two by scope, then one of them", []string{one, two}, nil, url.Values{"scope": {two}}, []string{two}, nil},
		{"two by details, then one of them", nil, []string{one, two}, url.Values{"authorization_details": {asksFor(two)}}, nil, []string{two}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			z, a := p.signIn(b, func(r *oid4vci.AuthorizationRequest) {
				r.Scopes, r.Details = tt.scopes, nil
				for _, id := range tt.details {
					r.Details = append(r.Details, oid4vci.AuthorizationDetail{Configuration: id})
				}
			})
			code, err := z.code(a)
			b.must(err)
			form := z.tokenForm(code)
			for name, v := range tt.token {
				form[name] = v
			}
			z.tokens(z.send(formPost("/oauth/token", form)))
			for _, when := range []string{"token", "refresh"} {
				if got := detailed(z.token); !slices.Equal(z.token.Scopes, tt.scope) || !slices.Equal(got, tt.answered) {
					t.Errorf("%s response with scope %q and details of %q, want %q and %q", when, z.token.Scopes, got, tt.scope, tt.answered)
				}
				if when == "token" {
					z.refresh()
				}
			}
			for _, d := range z.token.Details {
				r := z.request(1)
				r.Configuration, r.Identifier = "", d.Identifiers[0]
				z.read(z.send(z.ask(r)), 1)
			}
		})
	}
	// A pre-authorized code is worth what was offered, whatever scope nobody knows comes with it.
	w := b.wallet()
	form := redeem(w.accept(b.offer(1).Link), "")
	form.Set("scope", "offline_access")
	w.tokens(w.send(formPost("/oauth/token", form)))
	if !slices.Equal(w.token.Scopes, []string{one}) {
		t.Errorf("a pre-authorized code with an unknown scope: %q, want %q", w.token.Scopes, one)
	}
	w.check(w.fetch(1), 1, 1)
}
