package oid4vp_test

import (
	"fmt"

	"github.com/sanad-id/sanad/oid4vp"
)

// A verifier asks for a name and, if the wallet has one, a membership; the wallet
// has both and shows the least that will do.
func Example() {
	q, err := oid4vp.ParseQuery([]byte(`{
		"credentials": [
			{"id": "person", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:xx:person:1"]}, "claims": [{"path": ["given_name"]}]},
			{"id": "member", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:xx:member:1"]}}
		],
		"credential_sets": [{"options": [["person"]]}, {"options": [["member"]], "required": false}]
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	wallet := []oid4vp.Credential{
		{Format: "dc+sd-jwt", Types: []string{"urn:xx:person:1"}, Holder: true, Claims: map[string]any{"given_name": "Arthur", "family_name": "Dent"}},
		{Format: "dc+sd-jwt", Types: []string{"urn:xx:member:1"}, Holder: true},
	}
	choices, err := q.Match(wallet).Default()
	for _, c := range choices {
		fmt.Println(c.Query, oid4vp.PathText(c.Disclose()[0]))
	}
	fmt.Println(err)
	// Output:
	// person given_name
	// <nil>
}
