package programme_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/programme"
)

// TestNestedClaims: claims with a path stand in objects of the wallet form, hidden with
// them unless something in the object is always shown; a code has none.
func TestNestedClaims(t *testing.T) {
	type object = map[string]any
	hide := func(v any) sdjwt.Hidden { return sdjwt.Hidden{Value: v} }
	for _, tt := range []struct {
		name, disclosure string
		want             object
		sd               map[string]string // by path
	}{
		{"all hidden", "{}", object{"place": hide(object{"village": hide("Uhuru"), "home": hide(object{"number": hide("4")})}), "name": hide("Amina")},
			map[string]string{"place": "always", "place.home": "always", "place.village": "always", "place.home.number": "always", "name": "always"}},
		{"one inside always shown", "{place.home.number: always}", object{"place": object{"village": hide("Uhuru"), "home": object{"number": "4"}}, "name": hide("Amina")},
			map[string]string{"place": "never", "place.home": "never", "place.village": "always", "place.home.number": "never", "name": "always"}},
		{"another inside always shown", "{place.village: always}", object{"place": object{"village": "Uhuru", "home": hide(object{"number": hide("4")})}, "name": hide("Amina")},
			map[string]string{"place": "never", "place.home": "always", "place.village": "never", "place.home.number": "always", "name": "always"}},
		{"an object left out", "{place.home.number: never, place.village: never}", object{"name": hide("Amina")}, map[string]string{"name": "always"}},
	} {
		p, err := programme.Parse([]byte(strings.Replace(nested, "DISCLOSURE", tt.disclosure, 1)))
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		content, problems := p.Map(record(t, map[string]string{"number": "4", "name": "Amina", "village": "Uhuru"}), now)
		if len(problems) > 0 {
			t.Fatalf("%s: %v", tt.name, problems)
		}
		token := content.SDJWT("wallet")
		if diff := cmp.Diff(tt.want, token.Claims); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		b, err := p.TypeMetadata("wallet")
		if err != nil {
			t.Fatal(err)
		}
		m, err := sdjwt.ParseTypeMetadata(b)
		if err != nil {
			t.Fatal(err)
		}
		sd := map[string]string{}
		for _, c := range m.Claims {
			sd[c.Path.Text()] = c.SD
		}
		if diff := cmp.Diff(tt.sd, sd); diff != "" {
			t.Errorf("%s: type metadata (-want +got):\n%s", tt.name, diff)
		}
		if code := content.Token("qr"); fmt.Sprint(code.Fields) != "map[1:Uhuru 2:4]" {
			t.Errorf("%s: the code says %v", tt.name, code.Fields)
		}
		// A record with nothing of an object has none.
		content, _ = p.Map(record(t, map[string]string{"number": "4", "name": "Amina", "village": ""}), now)
		place := content.SDJWT("wallet").Claims["place"]
		if h, ok := place.(sdjwt.Hidden); ok {
			place = h.Value
		}
		if o, _ := place.(object); len(o) > 1 || o["village"] != nil {
			t.Errorf("%s: without a village the place is %v", tt.name, place)
		}
	}
}

// nested is a programme with claims in objects.
const nested = `
id: nested
version: 1
type: urn:xa:nested:1
labels: {en: Nested}
languages: [en]
records: {id_column: number}
validity: {for: 5y}
freshness: {fresh_for: 7d, old_after: 30d}
claims:
  - {name: name, labels: {en: Name}, type: text, person: fullName, from: name, required: true}
  - {name: place.village, labels: {en: Village}, type: text, key: 1, from: village}
  - {name: place.home.number, labels: {en: House}, type: text, key: 2, from: number}
forms:
  qr: {level: M, max_version: 20}
  wallet: {kind: sd-jwt, disclosure: DISCLOSURE}
`

// TestNestedClaimsRefuse spoils one name at a time.
func TestNestedClaimsRefuse(t *testing.T) {
	good := strings.Replace(nested, "DISCLOSURE", "{}", 1)
	for _, tt := range []struct{ name, old, new, want string }{
		{"an object with a value of its own", "name: place.home.number", "name: place", `the claim "place.village" stands within this one`},
		{"an inner object with a value of its own", "name: place.village", "name: place.home", `the claim "place.home.number" stands within this one`},
		{"the same twice", "name: place.village", "name: place.home.number", `another claim called "place.home.number"`},
		{"nothing between points", "name: place.village", "name: place..village", "up to four deep"},
		{"a point at the end", "name: place.village", "name: place.", "up to four deep"},
		{"a point at the beginning", "name: place.village", "name: .village", "up to four deep"},
		{"five deep", "name: place.village", "name: a.b.c.d.e", "up to four deep"},
		{"a name of SD-JWT", "name: place.village", "name: place._sd", "up to four deep"},
		{"in an object that is SD-JWT VC's", "name: place.village", "name: status.village", `carries the claim "status.village", a name that an SD-JWT VC keeps`},
		{"disclosure of an object", "disclosure: {}", "disclosure: {place: always}", `there is no claim "place"`},
	} {
		if !strings.Contains(good, tt.old) {
			t.Fatalf("%s: the file has no %q", tt.name, tt.old)
		}
		_, err := programme.Parse([]byte(strings.Replace(good, tt.old, tt.new, 1)))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}
