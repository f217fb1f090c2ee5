package oid4vp_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/internal/vectors"
	"github.com/sanad-id/sanad/oid4vp"
)

// queryVectors are the queries of the standard.
var queryVectors = []string{
	"query_lang/claims_alternatives.json", "query_lang/complex_mdoc.json", "query_lang/credentials_alternatives.json",
	"query_lang/multi_credentials.json", "query_lang/simple.json", "query_lang/simple_mdoc.json",
	"query_lang/value_matching_simple.json", "request/dcql_jwt_vc.json", "request/dcql_ldp_vc.json",
}

func vector(t testing.TB, elem ...string) []byte {
	t.Helper()
	return vectors.Read(t, append([]string{"oid4vc", "openid4vp"}, elem...)...)
}

// TestQueryVectors: every query of the standard is read, and comes out as it went
// in.
func TestQueryVectors(t *testing.T) {
	for _, name := range queryVectors {
		in := vector(t, "examples", name)
		q, err := oid4vp.ParseQuery(in)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		out, err := q.JSON()
		if err != nil {
			t.Fatal(err)
		}
		if !sameJSON(t, in, out) {
			t.Errorf("%s came out as %s", name, out)
		}
		// Only queries for what is supported here are written by a verifier of ours.
		foreign := strings.Contains(name, "mdoc") || strings.Contains(name, "multi") || strings.Contains(name, "_vc.")
		if err := q.Validate(); (err != nil) != foreign {
			t.Errorf("%s: Validate: %v", name, err)
		}
	}
}

func sameJSON(t testing.TB, a, b []byte) bool {
	t.Helper()
	var x, y any
	if err := errors.Join(json.Unmarshal(a, &x), json.Unmarshal(b, &y)); err != nil {
		t.Fatal(err)
	}
	return reflect.DeepEqual(x, y)
}

// good is a query with everything.
const good = `{
	"credentials": [
		{"id": "a", "format": "dc+sd-jwt", "multiple": true, "meta": {"vct_values": ["urn:a", "urn:b"]},
		 "trusted_authorities": [{"type": "aki", "values": ["cm9vdA"]}, {"type": "etsi_tl", "values": ["https://tl.example"]}],
		 "require_cryptographic_holder_binding": false,
		 "claims": [
			{"id": "n", "path": ["given_name"], "values": ["Arthur", 42, true]},
			{"id": "m", "path": ["degrees", null, "type"]},
			{"id": "i", "path": ["degrees", 0]}],
		 "claim_sets": [["n", "m"], ["i"]]},
		{"id": "B-2_", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:c"]}}],
	"credential_sets": [
		{"options": [["a"], ["a", "B-2_"]], "purpose": "why"},
		{"options": [["B-2_"]], "required": false}]
}`

func TestQueryModel(t *testing.T) {
	q, err := oid4vp.ParseQuery([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	want := &oid4vp.Query{
		Credentials: []oid4vp.CredentialQuery{
			{
				ID: "a", Format: credential.FormatSDJWT, Types: []string{"urn:a", "urn:b"}, Multiple: true, Unbound: true,
				Authorities: []oid4vp.Authority{{Type: oid4vp.AKI, Values: []string{"cm9vdA"}}, {Type: oid4vp.ETSITrustedList, Values: []string{"https://tl.example"}}},
				Claims: []oid4vp.ClaimQuery{
					{ID: "n", Path: sdjwt.Path{"given_name"}, Values: []any{"Arthur", int64(42), true}},
					{ID: "m", Path: sdjwt.Path{"degrees", nil, "type"}},
					{ID: "i", Path: sdjwt.Path{"degrees", 0}},
				},
				ClaimSets: [][]string{{"n", "m"}, {"i"}},
			},
			{ID: "B-2_", Format: credential.FormatSDJWT, Types: []string{"urn:c"}},
		},
		Sets: []oid4vp.CredentialSet{
			{Options: [][]string{{"a"}, {"a", "B-2_"}}, Purpose: "why"},
			{Options: [][]string{{"B-2_"}}, Optional: true},
		},
	}
	if !reflect.DeepEqual(q, want) {
		t.Errorf("read  %+v\nwant %+v", q, want)
	}
	if err := q.Validate(); err != nil || !q.Unbound() || q.Credential("B-2_") != &q.Credentials[1] || q.Credential("b") != nil {
		t.Errorf("Validate: %v", err)
	}
	if b, err := q.JSON(); err != nil || !sameJSON(t, b, []byte(strings.ReplaceAll(good, "\n", ""))) {
		t.Errorf("JSON: %s, %v", b, err)
	}
}

// queryRows are queries with one fault each. They are the corpus for the second
// opinion, too (interop).
var queryRows = []struct {
	id, name string
	old, new string // what is changed in the good one
	want     error
}{
	{"6", "not an object", good, `[]`, oid4vp.ErrQuery},
	{"6", "no credentials", `"credentials": [`, `"credential": [`, oid4vp.ErrQuery},
	{"6", "credentials empty", good, `{"credentials": []}`, oid4vp.ErrQuery},
	{"6", "credentials an object", good, `{"credentials": {}}`, oid4vp.ErrQuery},
	{"6", "a credential that is a text", good, `{"credentials": ["a"]}`, oid4vp.ErrQuery},
	{"6", "sets empty", good, `{"credentials": [{"id": "a", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:a"]}}], "credential_sets": []}`, oid4vp.ErrQuery},
	{"6", "sets null", good, `{"credentials": [{"id": "a", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:a"]}}], "credential_sets": null}`, oid4vp.ErrQuery},
	{"6.1", "no id", `"id": "a", `, ``, oid4vp.ErrQuery},
	{"6.1", "id empty", `"id": "a"`, `"id": ""`, oid4vp.ErrQuery},
	{"6.1", "id a number", `"id": "a"`, `"id": 1`, oid4vp.ErrQuery},
	{"6.1", "id with a dot", `"B-2_"`, `"B.2"`, oid4vp.ErrQuery},
	{"6.1", "id with a letter beyond ASCII", `"B-2_"`, `"é"`, oid4vp.ErrQuery},
	{"6.1", "id twice", `"id": "B-2_"`, `"id": "a"`, oid4vp.ErrQuery},
	{"6.1", "no format", `"format": "dc+sd-jwt", "multiple"`, `"multiple"`, oid4vp.ErrQuery},
	{"6.1", "format null", `"format": "dc+sd-jwt", "multiple"`, `"format": null, "multiple"`, oid4vp.ErrQuery},
	{"6.1", "multiple a text", `"multiple": true`, `"multiple": "true"`, oid4vp.ErrQuery},
	{"6.1", "no meta", `, "meta": {"vct_values": ["urn:c"]}`, ``, oid4vp.ErrQuery},
	{"6.1", "meta null", `"meta": {"vct_values": ["urn:c"]}`, `"meta": null`, oid4vp.ErrQuery},
	{"B.3.5", "no vct_values", `{"vct_values": ["urn:c"]}`, `{}`, oid4vp.ErrQuery},
	{"B.3.5", "vct_values empty", `["urn:c"]`, `[]`, oid4vp.ErrQuery},
	{"B.3.5", "vct_values a text", `["urn:c"]`, `"urn:c"`, oid4vp.ErrQuery},
	{"B.3.5", "a vct that is a number", `["urn:c"]`, `["urn:c", 1]`, oid4vp.ErrQuery},
	{"B.2.3", "no doctype_value", `"format": "dc+sd-jwt", "meta": {"vct_values": ["urn:c"]}`, `"format": "mso_mdoc", "meta": {}`, oid4vp.ErrQuery},
	{"7.2", "an mdoc path of three", `"format": "dc+sd-jwt", "meta": {"vct_values": ["urn:c"]}`, `"format": "mso_mdoc", "meta": {"doctype_value": "d"}, "claims": [{"path": ["n", "e", "x"]}]`, oid4vp.ErrQuery},
	{"7.2", "an mdoc path of one", `"format": "dc+sd-jwt", "meta": {"vct_values": ["urn:c"]}`, `"format": "mso_mdoc", "meta": {"doctype_value": "d"}, "claims": [{"path": ["n"]}]`, oid4vp.ErrQuery},
	{"7.2", "an mdoc path with null", `"format": "dc+sd-jwt", "meta": {"vct_values": ["urn:c"]}`, `"format": "mso_mdoc", "meta": {"doctype_value": "d"}, "claims": [{"path": ["n", null]}]`, oid4vp.ErrQuery},
	{"6.1.1", "authorities empty", `[{"type": "aki", "values": ["cm9vdA"]}, {"type": "etsi_tl", "values": ["https://tl.example"]}]`, `[]`, oid4vp.ErrQuery},
	{"6.1.1", "no type", `"type": "aki", `, ``, oid4vp.ErrQuery},
	{"6.1.1", "no values", `"type": "aki", "values": ["cm9vdA"]`, `"type": "aki"`, oid4vp.ErrQuery},
	{"6.1.1", "values empty", `"values": ["cm9vdA"]`, `"values": []`, oid4vp.ErrQuery},
	{"6.1.1.1", "aki not base64url", `"values": ["cm9vdA"]`, `"values": ["cm9v/A=="]`, oid4vp.ErrQuery},
	{"6.1", "binding a text", `"require_cryptographic_holder_binding": false`, `"require_cryptographic_holder_binding": "no"`, oid4vp.ErrQuery},
	{"6.1", "claims empty", `"meta": {"vct_values": ["urn:c"]}`, `"meta": {"vct_values": ["urn:c"]}, "claims": []`, oid4vp.ErrQuery},
	{"6.1", "claim sets without claims", `"meta": {"vct_values": ["urn:c"]}`, `"meta": {"vct_values": ["urn:c"]}, "claim_sets": [["n"]]`, oid4vp.ErrQuery},
	{"6.1", "claim sets empty", `[["n", "m"], ["i"]]`, `[]`, oid4vp.ErrQuery},
	{"6.1", "a claim set that is empty", `[["n", "m"], ["i"]]`, `[["n", "m"], []]`, oid4vp.ErrQuery},
	{"6.1", "a claim set of an unknown claim", `[["n", "m"], ["i"]]`, `[["n", "x"]]`, oid4vp.ErrQuery},
	{"6.3", "no claim id, with claim sets", `"id": "m", `, ``, oid4vp.ErrQuery},
	{"6.3", "claim id twice", `"id": "m"`, `"id": "n"`, oid4vp.ErrQuery},
	{"6.3", "claim id with a space", `"id": "m"`, `"id": "m m"`, oid4vp.ErrQuery},
	{"6.3", "no path", `"id": "i", "path": ["degrees", 0]`, `"id": "i"`, oid4vp.ErrQuery},
	{"7", "path empty", `["degrees", 0]`, `[]`, oid4vp.ErrQuery},
	{"7", "path a text", `["degrees", 0]`, `"degrees"`, oid4vp.ErrQuery},
	{"7", "a negative index", `["degrees", 0]`, `["degrees", -1]`, oid4vp.ErrQuery},
	{"7", "an index with a fraction", `["degrees", 0]`, `["degrees", 0.5]`, oid4vp.ErrQuery},
	{"7", "an index that no array has", `["degrees", 0]`, `["degrees", 4294967296]`, oid4vp.ErrQuery},
	{"7", "a step that is true", `["degrees", 0]`, `["degrees", true]`, oid4vp.ErrQuery},
	{"7", "a step that is a list", `["degrees", 0]`, `["degrees", []]`, oid4vp.ErrQuery},
	{"6.3", "values empty", `["Arthur", 42, true]`, `[]`, oid4vp.ErrQuery},
	{"6.3", "values a text", `["Arthur", 42, true]`, `"Arthur"`, oid4vp.ErrQuery},
	{"6.3", "a value that is null", `["Arthur", 42, true]`, `["Arthur", null]`, oid4vp.ErrQuery},
	{"6.3", "a value with a fraction", `["Arthur", 42, true]`, `[1.5]`, oid4vp.ErrQuery},
	{"6.3", "a value that is an object", `["Arthur", 42, true]`, `[{}]`, oid4vp.ErrQuery},
	{"6.2", "no options", `"options": [["a"], ["a", "B-2_"]], `, ``, oid4vp.ErrQuery},
	{"6.2", "options empty", `[["a"], ["a", "B-2_"]]`, `[]`, oid4vp.ErrQuery},
	{"6.2", "an option that is empty", `[["a"], ["a", "B-2_"]]`, `[["a"], []]`, oid4vp.ErrQuery},
	{"6.2", "an option of ids and not of lists", `[["a"], ["a", "B-2_"]]`, `["a"]`, oid4vp.ErrQuery},
	{"6.2", "an option of an unknown id", `[["a"], ["a", "B-2_"]]`, `[["a"], ["c"]]`, oid4vp.ErrQuery},
	{"6.2", "required a number", `"required": false`, `"required": 0`, oid4vp.ErrQuery},
	{"JSON-01", "a member twice", `"id": "a"`, `"id": "a", "id": "a"`, oid4vp.ErrMalformed},
	{"JSON-02", "deep", `["degrees", 0]`, `["degrees", ` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `]`, oid4vp.ErrTooLarge},
}

func TestParseQueryRefuses(t *testing.T) {
	for _, tt := range queryRows {
		t.Run(tt.id+" "+tt.name, func(t *testing.T) {
			text := strings.Replace(good, tt.old, tt.new, 1)
			if text == good {
				t.Fatal("the row changes nothing")
			}
			q, err := oid4vp.ParseQuery([]byte(text))
			var e *oid4vp.Error
			if !errors.As(err, &e) || !errors.Is(err, tt.want) || e.Code != oid4vp.InvalidRequest || q != nil {
				t.Errorf("ParseQuery: %v, want %v", err, tt.want)
			}
		})
	}
}

// TestParseQueryBounds is VP-13: what is large is refused as such.
func TestParseQueryBounds(t *testing.T) {
	list := func(n int, format string) string {
		var items []string
		for i := range n {
			items = append(items, fmt.Sprintf(format, i))
		}
		return strings.Join(items, ",")
	}
	one := `{"id":"c%d","format":"dc+sd-jwt","meta":{"vct_values":["urn:a"]}}`
	with := func(more string) string {
		return `{"credentials":[{"id":"a","format":"dc+sd-jwt","meta":{"vct_values":["urn:a"]},` + more + `}]}`
	}
	for name, text := range map[string]string{
		"10000 claims":      with(`"claims":[` + list(10_000, `{"path":["c%d"]}`) + `]`),
		"129 claims":        with(`"claims":[` + list(129, `{"path":["c%d"]}`) + `]`),
		"33 credentials":    `{"credentials":[` + list(33, one) + `]}`,
		"65 values":         with(`"claims":[{"path":["a"],"values":[` + list(65, `%d`) + `]}]`),
		"17 steps":          with(`"claims":[{"path":[` + list(17, `"s%d"`) + `]}]`),
		"33 claim sets":     with(`"claims":[{"id":"a","path":["a"]}],"claim_sets":[` + strings.Repeat(`["a"],`, 32) + `["a"]]`),
		"33 sets":           `{"credentials":[` + list(1, one) + `],"credential_sets":[` + strings.Repeat(`{"options":[["c0"]]},`, 32) + `{"options":[["c0"]]}]}`,
		"65 options":        `{"credentials":[` + list(1, one) + `],"credential_sets":[{"options":[` + strings.Repeat(`["c0"],`, 64) + `["c0"]]}]}`,
		"65 authorities":    with(`"trusted_authorities":[` + list(65, `{"type":"x%d","values":["a"]}`) + `]`),
		"a long step":       with(`"claims":[{"path":["` + strings.Repeat("a", 513) + `"]}]`),
		"a long value":      with(`"claims":[{"path":["a"],"values":["` + strings.Repeat("a", 513) + `"]}]`),
		"a long id":         `{"credentials":[{"id":"` + strings.Repeat("a", 129) + `","format":"dc+sd-jwt","meta":{"vct_values":["urn:a"]}}]}`,
		"64 KiB of a query": with(`"x":"` + strings.Repeat("a", 64<<10) + `"`),
	} {
		if _, err := oid4vp.ParseQuery([]byte(text)); !errors.Is(err, oid4vp.ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"128 claims":     with(`"claims":[` + list(128, `{"path":["c%d"]}`) + `]`),
		"32 credentials": `{"credentials":[` + list(32, one) + `]}`,
		"64 values":      with(`"claims":[{"path":["a"],"values":[` + list(64, `%d`) + `]}]`),
		"16 steps":       with(`"claims":[{"path":[` + list(16, `"s%d"`) + `]}]`),
	} {
		if _, err := oid4vp.ParseQuery([]byte(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestParseQueryPassesOver: unknown members and unknown formats are no fault
// (section 6).
func TestParseQueryPassesOver(t *testing.T) {
	for name, change := range map[string][2]string{
		"members":                        {`"id": "a",`, `"id": "a", "x": {"y": [1.5]},`},
		"meta":                           {`"vct_values": ["urn:c"]`, `"vct_values": ["urn:c"], "x": null`},
		"an unknown kind of authority":   {`"etsi_tl"`, `"something"`},
		"a purpose that is no text":      {`"purpose": "why"`, `"purpose": {"en": "why"}`},
		"a claim twice":                  {`["degrees", 0]`, `["given_name"]`}, // section 6.1: wallets ignore the second
		"a path that begins in an array": {`["degrees", 0]`, `[null, "a"]`},
		"another format": {
			`"format": "dc+sd-jwt", "meta": {"vct_values": ["urn:c"]}`,
			`"format": "ldp_vc", "meta": {"type_values": [["A"]]}, "claims": [{"path": ["a", 1, null]}]`,
		},
	} {
		text := strings.Replace(good, change[0], change[1], 1)
		q, err := oid4vp.ParseQuery([]byte(text))
		if err != nil || text == good {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if b, err := q.JSON(); err != nil {
			t.Errorf("%s: JSON: %v", name, err)
		} else if again, err := oid4vp.ParseQuery(b); err != nil || !reflect.DeepEqual(q, again) {
			t.Errorf("%s: %s, %v", name, b, err)
		}
	}
}

// TestValidateRefuses: what the standard lets pass and a verifier must not write.
func TestValidateRefuses(t *testing.T) {
	for name, change := range map[string][2]string{
		"a claim twice":                  {`["degrees", 0]`, `["given_name"]`},
		"a claim in no set":              {`[["n", "m"], ["i"]]`, `[["n", "m"]]`},
		"a credential in no set":         {`[["a"], ["a", "B-2_"]]`, `[["a"]]`},
		"a path that begins in an array": {`["degrees", 0]`, `[0]`},
		"an unknown kind of authority":   {`"etsi_tl"`, `"something"`},
		"a format that is not carried":   {`"format": "dc+sd-jwt", "meta": {"vct_values": ["urn:c"]}`, `"format": "mso_mdoc", "meta": {"doctype_value": "d"}`},
	} {
		text := strings.Replace(good, change[0], change[1], 1)
		if name == "a credential in no set" {
			text = strings.Replace(text, `,
		{"options": [["B-2_"]], "required": false}`, ``, 1)
		}
		q, err := oid4vp.ParseQuery([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := q.Validate(); !errors.Is(err, oid4vp.ErrQuery) {
			t.Errorf("%s: Validate: %v", name, err)
		}
	}
	for name, q := range map[string]*oid4vp.Query{
		"nothing":           {},
		"a value of Go":     {Credentials: []oid4vp.CredentialQuery{{ID: "a", Format: credential.FormatSDJWT, Types: []string{"t"}, Claims: []oid4vp.ClaimQuery{{Path: sdjwt.Path{"a"}, Values: []any{1}}}}}},
		"a step of Go":      {Credentials: []oid4vp.CredentialQuery{{ID: "a", Format: credential.FormatSDJWT, Types: []string{"t"}, Claims: []oid4vp.ClaimQuery{{Path: sdjwt.Path{int64(1)}}}}}},
		"no claims in sets": {Credentials: []oid4vp.CredentialQuery{{ID: "a", Format: credential.FormatSDJWT, Types: []string{"t"}, ClaimSets: [][]string{}}}},
	} {
		if err := q.Validate(); !errors.Is(err, oid4vp.ErrQuery) {
			t.Errorf("%s: Validate: %v", name, err)
		}
		if b, err := q.JSON(); err == nil {
			t.Errorf("%s: written as %s", name, b)
		}
	}
}
