package oid4vp_test

import (
	"errors"
	"testing"

	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/oid4vp"
)

// TestAnsweredRefuses are presentations that do not answer, whatever the wallet says.
func TestAnsweredRefuses(t *testing.T) {
	s := newScene(t)
	const claims = `"claims":[{"path":["given_name"],"values":["Arthur"]},{"path":["age"]}]`
	const alternatives = `"claims":[{"id":"a","path":["given_name"]},{"id":"b","path":["age"]}],"claim_sets":[["a"],["b"]]`
	all := []sdjwt.Path{{"given_name"}, {"age"}}
	for _, tt := range []struct {
		id, name, members string
		choose            []sdjwt.Path
		change            func(p *oid4vp.Presented)
		want              oid4vp.Shortfall
		claim             string
	}{
		{"VP-10", "as asked for", claims, all, nil, "", ""},
		{"VP-10", "more than asked for", claims, append(all, sdjwt.Path{"family_name"}), nil, "", ""},
		{"VP-10", "the second claim set", alternatives, []sdjwt.Path{{"age"}}, nil, "", ""},
		{"VP-10", "a claim is missing", claims, []sdjwt.Path{{"given_name"}}, nil, oid4vp.MissingClaim, "age"},
		{"VP-10", "all claims are missing", claims, nil, nil, oid4vp.MissingClaim, "given_name"},
		{"VP-10", "no claim set", alternatives, nil, nil, oid4vp.MissingClaim, "given_name"},
		{"VP-10", "another value", `"claims":[{"path":["given_name"],"values":["Ford"]}]`, all, nil, oid4vp.WrongValue, "given_name"},
		{"VP-10", "a value of another type", `"claims":[{"path":["age"],"values":["42"]}]`, all, nil, oid4vp.WrongValue, "age"},
		{"VP-10", "another type", claims, all, func(p *oid4vp.Presented) { p.Types = []string{"urn:other"} }, oid4vp.WrongType, ""},
		{"VP-10", "another format", claims, all, func(p *oid4vp.Presented) { p.Format = "vc+sd-jwt" }, oid4vp.WrongFormat, ""},
		{"VP-10", "an issuer that nobody asked for certifies", `"trusted_authorities":[{"type":"aki","values":["cm9vdA"]}]`, nil, nil, oid4vp.WrongAuthority, ""},
		{"VP-11", "no proof by the holder", claims, all, func(p *oid4vp.Presented) { p.Holder = false }, oid4vp.NoHolderProof, ""},
		{"7.1", "an element that stands where it was asked for", `"claims":[{"path":["nationalities",0]}]`, []sdjwt.Path{{"nationalities"}}, nil, "", ""},
		{"7.1", "an element of which the place is not known", `"claims":[{"path":["nationalities",1]}]`, []sdjwt.Path{{"nationalities", 1}}, nil, "", ""},
		{"7.1", "an element that cannot have stood there", `"claims":[{"path":["nationalities",0]}]`, nil, nil, oid4vp.MissingClaim, "nationalities[0]"},
		{"7.1", "a value at a place that is not known", `"claims":[{"path":["nationalities",1],"values":["Betelgeusian"]}]`, []sdjwt.Path{{"nationalities", 1}}, nil, oid4vp.WrongValue, "nationalities[1]"},
		{"7.1", "a value somewhere", `"claims":[{"path":["nationalities",null],"values":["Betelgeusian"]}]`, []sdjwt.Path{{"nationalities", 1}}, nil, "", ""},
	} {
		t.Run(tt.id+" "+tt.name, func(t *testing.T) {
			text, err := sdjwt.Present(s.issued, tt.choose...)
			if err != nil {
				t.Fatal(err)
			}
			p := oid4vp.Presented{Query: "card", Credential: shown(t, text)}
			p.Holder = true
			if tt.change != nil {
				tt.change(&p)
			}
			q := ask(t, tt.members)
			a, err := q.Answered([]oid4vp.Presented{p})
			if err != nil || a.Complete != (tt.want == "") || a.Items[0].Answers != a.Complete || (a.Unmet == "") != a.Complete || a.Items[0].Short != tt.want {
				t.Fatalf("Answered: %+v, %v, want %q", a, err, tt.want)
			}
			if c := a.Items[0].Claim; c == nil && tt.claim != "" || c != nil && oid4vp.PathText(c.Path) != tt.claim {
				t.Errorf("claim %v, want %s", c, tt.claim)
			}
			// A presentation that is not valid counts for nothing.
			p.Refused = true
			if a, err := q.Answered([]oid4vp.Presented{p}); err != nil || a.Complete || a.Items[0].Answers {
				t.Errorf("VP-19: a refused presentation: %+v, %v", a, err)
			}
		})
	}
}

// TestAnsweredSets is the set of presentations as a whole.
func TestAnsweredSets(t *testing.T) {
	shown := func(id string) oid4vp.Presented {
		for _, c := range three() {
			if c.Types[0] == "urn:"+id {
				return oid4vp.Presented{Query: id, Credential: c}
			}
		}
		return oid4vp.Presented{Query: id, Credential: three()[0]}
	}
	for _, tt := range []struct {
		id, name, sets, ids string
		refused             string
		want                string // what is unmet
	}{
		{"6.4.2", "the first option", `[{"options":[["a"],["b","c"]]}]`, "a", "", ""},
		{"6.4.2", "the second option", `[{"options":[["a"],["b","c"]]}]`, "bc", "", ""},
		{"6.4.2", "both options", `[{"options":[["a"],["b","c"]]}]`, "abc", "", ""},
		{"VP-10", "half of an option", `[{"options":[["a"],["b","c"]]}]`, "b", "", "credential set 0"},
		{"VP-10", "an optional set alone", `[{"options":[["a"]]},{"options":[["b"]],"required":false}]`, "b", "", "credential set 0"},
		{"VP-10", "without sets one is missing", ``, "abc", "", "credential d"},
		{"VP-19", "a required one is refused", `[{"options":[["a"],["b","c"]]}]`, "bc", "c", "credential set 0"},
		{"VP-19", "the other option carries it", `[{"options":[["a"],["b","c"]]}]`, "abc", "c", ""},
		{"VP-19", "an optional one is refused", `[{"options":[["a"]]},{"options":[["b"]],"required":false}]`, "ab", "b", ""},
	} {
		t.Run(tt.id+" "+tt.name, func(t *testing.T) {
			var list []oid4vp.Presented
			for _, id := range tt.ids {
				p := shown(string(id))
				p.Refused = string(id) == tt.refused
				list = append(list, p)
			}
			a, err := sets(t, tt.sets).Answered(list)
			if err != nil || a.Unmet != tt.want || a.Complete != (tt.want == "") {
				t.Errorf("Answered: %+v, %v, want %q", a, err, tt.want)
			}
		})
	}
	q := sets(t, `[{"options":[["a"]]}]`)
	for name, list := range map[string][]oid4vp.Presented{
		"an id that was not asked for":  {shown("a"), shown("z")},
		"several where one was allowed": {shown("a"), shown("a")},
	} {
		if a, err := q.Answered(list); !errors.Is(err, oid4vp.ErrUnanswered) {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
	if a, err := q.Answered(nil); err != nil || a.Complete {
		t.Errorf("nothing: %+v, %v", a, err)
	}
}
