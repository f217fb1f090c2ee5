package oid4vp_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/internal/strict"
	"github.com/sanad-id/sanad/oid4vp"
)

// ask is a query for one credential of the identity type with these members.
func ask(t testing.TB, members string) *oid4vp.Query {
	t.Helper()
	if members != "" {
		members = ", " + members
	}
	return query(t, `{"credentials":[{"id":"card","format":"dc+sd-jwt","meta":{"vct_values":["`+identity+`"]}`+members+`}]}`)
}

func query(t testing.TB, text string) *oid4vp.Query {
	t.Helper()
	q, err := oid4vp.ParseQuery([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// matchRows say which paths a wallet discloses of the usual credential; nil for one
// that does not answer.
var matchRows = []struct {
	section, name, members string
	want                   []sdjwt.Path
}{
	{"6.4.1", "no claims: nothing that can be left out", ``, []sdjwt.Path{}},
	{"6.4.1", "a claim", `"claims":[{"path":["given_name"]}]`, []sdjwt.Path{{"given_name"}}},
	{"6.4.1", "a claim that is always shown", `"claims":[{"path":["card_number"]}]`, []sdjwt.Path{{"card_number"}}},
	{"6.4.1", "a claim about the credential itself", `"claims":[{"path":["iss"]}]`, []sdjwt.Path{{"iss"}}},
	{"6.4.1", "a claim that is not there", `"claims":[{"path":["given_name"]},{"path":["nickname"]}]`, nil},
	{"6.1", "a claim twice", `"claims":[{"path":["age"],"values":[42]},{"path":["age"],"values":[7]}]`, []sdjwt.Path{{"age"}, {"age"}}},
	{"7.1", "an object", `"claims":[{"path":["address"]}]`, []sdjwt.Path{{"address"}}},
	{"7.1", "inside of an object", `"claims":[{"path":["address","locality"]}]`, []sdjwt.Path{{"address", "locality"}}},
	{"7.1", "inside of a text", `"claims":[{"path":["given_name","x"]}]`, nil},
	{"7.1", "an element of an object", `"claims":[{"path":["address",0]}]`, nil},
	{"7.1", "all elements of an object", `"claims":[{"path":["address",null]}]`, nil},
	{"7.1", "an element", `"claims":[{"path":["nationalities",1]}]`, []sdjwt.Path{{"nationalities", 1}}},
	{"7.1", "an element beyond the end", `"claims":[{"path":["nationalities",2]}]`, nil},
	{"7.1", "all elements", `"claims":[{"path":["nationalities",null]}]`, []sdjwt.Path{{"nationalities", 0}, {"nationalities", 1}}},
	{"7.1", "in all elements, where it is", `"claims":[{"path":["degrees",null,"type"]}]`, []sdjwt.Path{{"degrees", 0, "type"}, {"degrees", 1, "type"}}},
	{"7.1", "in one element", `"claims":[{"path":["degrees",1,"type"]}]`, []sdjwt.Path{{"degrees", 1, "type"}}},
	{"7.1", "in one element, where it is not", `"claims":[{"path":["degrees",2,"type"]}]`, nil},
	{"7.1", "an element of all elements that are objects", `"claims":[{"path":["degrees",null,0]}]`, nil},
	{"7.1", "a name in an array", `"claims":[{"path":["nationalities","0"]}]`, nil},
	{"7.1", "from the top by null", `"claims":[{"path":[null]}]`, nil},
	{"6.3", "a value", `"claims":[{"path":["given_name"],"values":["Ford","Arthur"]}]`, []sdjwt.Path{{"given_name"}}},
	{"6.3", "another value", `"claims":[{"path":["given_name"],"values":["Ford"]}]`, nil},
	{"6.3", "a value in other letters", `"claims":[{"path":["given_name"],"values":["arthur"]}]`, nil},
	{"6.3", "a number", `"claims":[{"path":["age"],"values":[42]}]`, []sdjwt.Path{{"age"}}},
	{"6.3", "a number in another spelling", `"claims":[{"path":["age"],"values":[4.2e1]}]`, []sdjwt.Path{{"age"}}},
	{"6.3", "a number as text", `"claims":[{"path":["age"],"values":["42"]}]`, nil},
	{"6.3", "true", `"claims":[{"path":["resident"],"values":[true]}]`, []sdjwt.Path{{"resident"}}},
	{"6.3", "true as number", `"claims":[{"path":["resident"],"values":[1]}]`, nil},
	{"6.3", "a number with a fraction has no equal", `"claims":[{"path":["height"],"values":[1,2]}]`, nil},
	{"6.3", "an array is not its elements", `"claims":[{"path":["nationalities"],"values":["British"]}]`, nil},
	{"6.3", "the elements with that value, and no others", `"claims":[{"path":["nationalities",null],"values":["Betelgeusian"]}]`, []sdjwt.Path{{"nationalities", 1}}},
	{"6.3", "the type of a degree, and no others", `"claims":[{"path":["degrees",null,"type"],"values":["MSc","PhD"]}]`, []sdjwt.Path{{"degrees", 1, "type"}}},
	{"6.4.1", "the first claim set", `"claims":[{"id":"a","path":["given_name"]},{"id":"b","path":["family_name"]},{"id":"c","path":["age"]}],"claim_sets":[["a","c"],["b"]]`, []sdjwt.Path{{"given_name"}, {"age"}}},
	{"6.4.1", "the first claim set that can be met", `"claims":[{"id":"a","path":["nickname"]},{"id":"b","path":["family_name"]},{"id":"c","path":["age"]}],"claim_sets":[["a","c"],["b","c"],["c"]]`, []sdjwt.Path{{"family_name"}, {"age"}}},
	{"6.4.1", "a claim set by value", `"claims":[{"id":"a","path":["age"],"values":[7]},{"id":"b","path":["family_name"]}],"claim_sets":[["a"],["b"]]`, []sdjwt.Path{{"family_name"}}},
	{"6.4.1", "no claim set", `"claims":[{"id":"a","path":["nickname"]},{"id":"b","path":["family_name"]}],"claim_sets":[["a"],["a","b"]]`, nil},
	{"6.1.1", "an authority that nobody knows", `"trusted_authorities":[{"type":"aki","values":["cm9vdA"]}]`, nil},
	{"6.1.1", "a kind of authority that nobody knows", `"trusted_authorities":[{"type":"x","values":["cm9vdA"]}]`, nil},
	{"6.1.1", "a trusted list", `"trusted_authorities":[{"type":"etsi_tl","values":["https://tl.example"]}]`, nil},
}

func TestMatch(t *testing.T) {
	s := newScene(t)
	for _, tt := range matchRows {
		t.Run(tt.section+" "+tt.name, func(t *testing.T) {
			m := ask(t, tt.members).Match([]oid4vp.Credential{s.held(t)})
			if m.Possible() != (tt.want != nil) {
				t.Fatalf("Possible: %v", m.Possible())
			}
			choices, err := m.Default()
			if tt.want == nil {
				if !errors.Is(err, oid4vp.ErrUnanswered) {
					t.Errorf("Default: %v, %v", choices, err)
				}
				return
			}
			if err != nil || len(choices) != 1 || !slices.EqualFunc(choices[0].Disclose(), tt.want, func(a, b sdjwt.Path) bool { return slices.Equal(a, b) }) {
				t.Fatalf("Default: %+v, %v", choices, err)
			}
			if err := m.Check(choices); err != nil {
				t.Error(err)
			}
			// What is presented shows these and nothing else that can be left out, and
			// the verifier finds what it asked for.
			p := s.present(t, s.request, choices[0], nil)
			parsed, err := sdjwt.Parse(p)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range parsed.Disclosures {
				if !slices.ContainsFunc(tt.want, func(w sdjwt.Path) bool { return related(w, d) }) {
					t.Errorf("discloses %v", d)
				}
			}
			a, err := ask(t, tt.members).Answered([]oid4vp.Presented{{Query: "card", Credential: shown(t, p)}})
			if tt.section == "6.1" { // the verifier's own fault, which Validate refuses
				return
			}
			if err != nil || !a.Complete {
				t.Errorf("Answered: %+v, %v", a, err)
			}
		})
	}
}

// related reports whether one path leads into the other. Places in arrays of a
// presentation are others than those of the credential, so they are not compared.
func related(a, b sdjwt.Path) bool {
	for i := range min(len(a), len(b)) {
		if _, index := a[i].(int); !index && a[i] != b[i] {
			return false
		}
	}
	return true
}

// TestMatchAuthority: aki is matched with the certificates in the credential, other
// kinds with what the wallet knows.
func TestMatchAuthority(t *testing.T) {
	s := newScene(t)
	c := s.held(t)
	aki := strict.Base64URL(s.root.SubjectKeyId)
	c.Authorities = append(c.Authorities, oid4vp.Authority{Type: oid4vp.ETSITrustedList, Values: []string{"https://tl.example"}})
	for members, want := range map[string]bool{
		`"trusted_authorities":[{"type":"aki","values":["cm9vdA","` + aki + `"]}]`:                                  true,
		`"trusted_authorities":[{"type":"aki","values":["cm9vdA"]},{"type":"aki","values":["` + aki + `"]}]`:        true,
		`"trusted_authorities":[{"type":"etsi_tl","values":["` + aki + `"]}]`:                                       false,
		`"trusted_authorities":[{"type":"aki","values":["cm9vdA"]}]`:                                                false,
		`"trusted_authorities":[{"type":"aki","values":["AA"]},{"type":"etsi_tl","values":["https://tl.example"]}]`: true,
		`"trusted_authorities":[{"type":"openid_federation","values":["https://tl.example"]}]`:                      false,
	} {
		q := ask(t, members)
		if got := q.Match([]oid4vp.Credential{c}).Possible(); got != want {
			t.Errorf("%s: %v, want %v", members, got, want)
		}
		p := s.present(t, s.request, oid4vp.Choice{Query: "card", Candidate: oid4vp.Candidate{Bind: true}}, nil)
		shown := shown(t, p)
		shown.Authorities = c.Authorities
		a, err := q.Answered([]oid4vp.Presented{{Query: "card", Credential: shown}})
		if err != nil || a.Complete != want || !want && a.Items[0].Short != oid4vp.WrongAuthority {
			t.Errorf("%s: Answered: %+v, %v", members, a, err)
		}
	}
}

// TestMatchCredential: which credentials a query is about.
func TestMatchCredential(t *testing.T) {
	s := newScene(t)
	for name, tt := range map[string]struct {
		change  func(c *oid4vp.Credential)
		members string
		want    bool
	}{
		"as it is":                         {func(*oid4vp.Credential) {}, ``, true},
		"a type that extends the one":      {func(c *oid4vp.Credential) { c.Types = []string{"urn:other", identity} }, ``, true},
		"another type":                     {func(c *oid4vp.Credential) { c.Types = []string{"urn:other"} }, ``, false},
		"another format":                   {func(c *oid4vp.Credential) { c.Format = oid4vp.FormatMDoc }, ``, false},
		"bound to nobody":                  {func(c *oid4vp.Credential) { c.Holder = false }, ``, false},
		"bound to nobody, and no need":     {func(c *oid4vp.Credential) { c.Holder = false }, `"require_cryptographic_holder_binding":false`, true},
		"bound, and no need":               {func(*oid4vp.Credential) {}, `"require_cryptographic_holder_binding":false`, true},
		"bound to nobody, though required": {func(c *oid4vp.Credential) { c.Holder = false }, `"require_cryptographic_holder_binding":true`, false},
	} {
		c := s.held(t)
		tt.change(&c)
		m := ask(t, tt.members).Match([]oid4vp.Credential{c})
		if m.Possible() != tt.want {
			t.Errorf("%s: %v, want %v", name, m.Possible(), tt.want)
		} else if tt.want && m.Queries[0].Candidates[0].Bind != c.Holder {
			// HAIP section 6.1.1.1: a key that is there is proven, asked for or not.
			t.Errorf("%s: Bind is %v", name, m.Queries[0].Candidates[0].Bind)
		}
	}
	// Formats that are only read never match, whatever is at hand.
	for _, format := range []string{`"mso_mdoc","meta":{"doctype_value":"` + identity + `"}`, `"ldp_vc","meta":{}`, `"vc+sd-jwt","meta":{}`} {
		q := query(t, `{"credentials":[{"id":"card","format":`+format+`}]}`)
		c := s.held(t)
		c.Format = q.Credentials[0].Format
		if q.Match([]oid4vp.Credential{s.held(t), c}).Possible() {
			t.Errorf("format %s matches", format)
		}
	}
}

// TestHeldRefuses: a credential with a fault answers nothing.
func TestHeldRefuses(t *testing.T) {
	s := newScene(t)
	p, err := sdjwt.Parse(s.issued)
	if err != nil {
		t.Fatal(err)
	}
	p.Problem = errors.New("a fault")
	if _, err := oid4vp.HeldSDJWT(p); err == nil {
		t.Error("HeldSDJWT takes it")
	}
	if _, err := oid4vp.ShownSDJWT(p); err == nil {
		t.Error("ShownSDJWT takes it")
	}
}

// TestMatchPathVectors are the examples of section 7.3.
func TestMatchPathVectors(t *testing.T) {
	v, err := strict.Limits{Bytes: 1 << 16, Depth: 8, Items: 100}.Object(vector(t, "inline", "16-claims-path-pointer-example.json"))
	if err != nil {
		t.Fatal(err)
	}
	c := oid4vp.Credential{Format: "dc+sd-jwt", Types: []string{identity}, Claims: v.Any().(map[string]any), Holder: true}
	for path, want := range map[string]string{
		`["name"]`:                      `["Arthur Dent"]`,
		`["address"]`:                   `[{"locality":"Milliways","postal_code":"12345","street_address":"42 Market Street"}]`,
		`["address","street_address"]`:  `["42 Market Street"]`,
		`["degrees",null,"type"]`:       `["Bachelor of Science","Master of Science"]`,
		`["nationalities",1]`:           `["Betelgeusian"]`,
		`["degrees",null,"university"]`: `["University of Betelgeuse","University of Betelgeuse"]`,
	} {
		m := ask(t, `"claims":[{"path":`+path+`}]`).Match([]oid4vp.Credential{c})
		if !m.Possible() {
			t.Errorf("%s: nothing", path)
			continue
		}
		if got, err := json.Marshal(m.Queries[0].Candidates[0].Claims[0].Values); err != nil || string(got) != want {
			t.Errorf("%s: %s, %v", path, got, err)
		}
	}
}

// three are three credentials of the types a, b and c, each with the claims of its
// type and one called x.
func three() []oid4vp.Credential {
	var list []oid4vp.Credential
	for _, t := range []string{"a", "b", "c"} {
		list = append(list, oid4vp.Credential{
			Format: "dc+sd-jwt", Types: []string{"urn:" + t}, Holder: true, Claims: map[string]any{"vct": "urn:" + t, t: "1", "x": t},
		})
	}
	return list
}

// sets is a query for the types a, b, c and d with these credential sets.
func sets(t testing.TB, sets string) *oid4vp.Query {
	t.Helper()
	var list []string
	for _, id := range []string{"a", "b", "c", "d"} {
		list = append(list, fmt.Sprintf(`{"id":%q,"format":"dc+sd-jwt","meta":{"vct_values":["urn:%s"]},"claims":[{"path":["x"]}]}`, id, id))
	}
	if sets != "" {
		sets = `,"credential_sets":` + sets
	}
	return query(t, `{"credentials":[`+strings.Join(list, ",")+`]`+sets+`}`)
}

var setRows = []struct {
	name, sets string
	held       string // types in the wallet
	want       string // ids of the default, "" if there is no answer
	options    [][]int
}{
	{"without sets all are asked for", ``, "abc", "", nil},
	{"the first option", `[{"options":[["a"],["b"]]}]`, "abc", "a", [][]int{{0, 1}}},
	{"the first option that can be met", `[{"options":[["d"],["b"],["a"]]}]`, "abc", "b", [][]int{{1, 2}}},
	{"an option of two", `[{"options":[["a","d"],["b","c"]]}]`, "abc", "bc", [][]int{{1}}},
	{"no option", `[{"options":[["a","d"],["d"]]}]`, "abc", "", [][]int{nil}},
	{"two sets", `[{"options":[["a"]]},{"options":[["b"],["c"]]}]`, "abc", "ab", [][]int{{0}, {0, 1}}},
	{"two sets with one credential", `[{"options":[["a"]]},{"options":[["a","b"]]}]`, "abc", "ab", [][]int{{0}, {0}}},
	{"an optional set is left out", `[{"options":[["a"]]},{"options":[["b"]],"required":false}]`, "abc", "a", [][]int{{0}, {0}}},
	{"an optional set that cannot be met", `[{"options":[["a"]]},{"options":[["d"]],"required":false}]`, "abc", "a", [][]int{{0}, nil}},
	{"a required set that cannot be met", `[{"options":[["a"]]},{"options":[["d"]]}]`, "abc", "", [][]int{{0}, nil}},
	{"required by its word", `[{"options":[["a"]],"required":true}]`, "bc", "", [][]int{nil}},
}

func TestMatchSets(t *testing.T) {
	for _, tt := range setRows {
		t.Run(tt.name, func(t *testing.T) {
			var held []oid4vp.Credential
			for _, c := range three() {
				if strings.Contains(tt.held, c.Types[0][4:]) {
					held = append(held, c)
				}
			}
			m := sets(t, tt.sets).Match(held)
			var options [][]int
			for _, s := range m.Sets {
				options = append(options, s.Options)
			}
			if !reflect.DeepEqual(options, tt.options) {
				t.Errorf("options %v, want %v", options, tt.options)
			}
			choices, err := m.Default()
			got := ""
			for _, c := range choices {
				got += c.Query
			}
			if got != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("Default: %q, %v, want %q", got, err, tt.want)
			}
			if err == nil && m.Check(choices) != nil {
				t.Errorf("Check refuses the default: %v", m.Check(choices))
			}
		})
	}
}

// TestCheckChoices: a person may choose otherwise, but neither less than enough nor
// more than was asked for.
func TestCheckChoices(t *testing.T) {
	m := sets(t, `[{"options":[["a"],["b","c"]]},{"options":[["c"]],"required":false}]`).Match(three())
	choose := func(ids string) []oid4vp.Choice {
		var choices []oid4vp.Choice
		for _, id := range strings.Split(ids, "") {
			for _, q := range m.Queries {
				if q.Query.ID == id && len(q.Candidates) > 0 {
					choices = append(choices, oid4vp.Choice{Query: id, Candidate: q.Candidates[0]})
				}
			}
		}
		return choices
	}
	for ids, want := range map[string]bool{"a": true, "bc": true, "ac": true, "abc": true, "": false, "c": false, "b": false, "ab": false, "aa": false} {
		if err := m.Check(choose(ids)); (err == nil) != want || err != nil && !errors.Is(err, oid4vp.ErrUnanswered) {
			t.Errorf("%q: %v", ids, err)
		}
	}
	foreign := choose("a")
	foreign[0].Credential = 1
	if err := m.Check(foreign); err == nil {
		t.Error("a credential that answers another query")
	}
	if err := m.Check([]oid4vp.Choice{{Query: "z"}}); err == nil {
		t.Error("a query that does not exist")
	}
}

// TestMatchMultiple: every credential and every claim set that will do is a
// candidate; several may be chosen where several were asked for, each once.
func TestMatchMultiple(t *testing.T) {
	held := append(three(), three()...)
	for _, multiple := range []bool{false, true} {
		q := query(t, fmt.Sprintf(`{"credentials":[{"id":"a","format":"dc+sd-jwt","multiple":%v,"meta":{"vct_values":["urn:a","urn:b"]},
			"claims":[{"id":"a","path":["a"]},{"id":"x","path":["x"]}],"claim_sets":[["a","x"],["x"]]}]}`, multiple))
		m := q.Match(held)
		var got []string
		for _, c := range m.Queries[0].Candidates {
			got = append(got, fmt.Sprint(c.Credential, c.ClaimSet))
		}
		if want := []string{"0 0", "0 1", "1 1", "3 0", "3 1", "4 1"}; !slices.Equal(got, want) {
			t.Errorf("candidates %v, want %v", got, want)
		}
		choice := func(i int) oid4vp.Choice { return oid4vp.Choice{Query: "a", Candidate: m.Queries[0].Candidates[i]} }
		if err := m.Check([]oid4vp.Choice{choice(1)}); err != nil {
			t.Errorf("the second claim set: %v", err)
		}
		if err := m.Check([]oid4vp.Choice{choice(0), choice(3)}); (err == nil) != multiple {
			t.Errorf("two credentials, multiple %v: %v", multiple, err)
		}
		if err := m.Check([]oid4vp.Choice{choice(0), choice(1)}); err == nil {
			t.Error("one credential twice")
		}
	}
}
