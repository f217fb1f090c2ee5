package verification_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/verification"
)

// TestNestedNames: what a type calls address.village is found in the object address, and
// what the type does not know stays in it.
func TestNestedNames(t *testing.T) {
	typ := credential.Type{Fields: []credential.TypeField{
		{Key: 1, Name: "address.village", Labels: map[string]string{"en": "Village"}, Kind: "text"}, {Key: 2, Name: "address.home.number"}, {Key: 3, Name: "crop"},
	}}
	type object = map[string]any
	for _, tt := range []struct {
		name   string
		claims object
		want   object
	}{
		{"all of it", object{"address": object{"village": "Uhuru", "home": object{"number": int64(4)}}, "crop": "rice"}, object{"address.village": "Uhuru", "address.home.number": int64(4), "crop": "rice"}},
		{"one of it", object{"address": object{"village": "Uhuru"}}, object{"address.village": "Uhuru"}},
		{"more than the type knows", object{"address": object{"village": "Uhuru", "code": "12", "home": object{"number": int64(4), "floor": int64(1)}}},
			object{"address.village": "Uhuru", "address.home.number": int64(4), "address": object{"code": "12", "home": object{"floor": int64(1)}}}},
		{"nothing that the type knows", object{"address": object{"code": "12"}}, object{"address": object{"code": "12"}}},
		{"a text in place of an object", object{"address": "Uhuru"}, object{"address": "Uhuru"}},
		{"a text in place of an inner object", object{"address": object{"home": "4"}}, object{"address": object{"home": "4"}}},
		{"a name with a point, which comes first", object{"address.village": "Uhuru", "address": object{"village": "Other"}}, object{"address.village": "Uhuru", "address": object{"village": "Other"}}},
		{"an empty object", object{"address": object{}}, object{"address": object{}}},
	} {
		v := &credential.Verified{Format: credential.FormatSDJWT}
		for name, value := range tt.claims {
			v.Fields = append(v.Fields, credential.Claim{Name: name, Value: value})
		}
		got := object{}
		for _, c := range verification.Name(v, typ) {
			got[c.Name] = c.Value
			if c.Name == "address.village" && c.Labels["en"] != "Village" {
				t.Errorf("%s: the labels are %v", tt.name, c.Labels)
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		// Naming twice gives the same: what was verified is left as it is.
		if again := verification.Name(v, typ); len(again) != len(got) {
			t.Errorf("%s: a second time there are %d claims", tt.name, len(again))
		}
	}
}
