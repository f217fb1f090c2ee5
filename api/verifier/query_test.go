package verifier_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/oid4vp"
	"github.com/sanad-id/sanad/verification"
)

const (
	askFarmer  = `{id: farmer, format: dc+sd-jwt, meta: {vct_values: ["urn:xa:farmer:1"]}, claims: [{path: [full_name]}]}`
	askDiploma = `{id: diploma, format: dc+sd-jwt, meta: {vct_values: ["urn:xa:diploma:1"]}, claims: [{path: [subject]}]}`
	farmerCard = `id: farmer, format: dc+sd-jwt, meta: {vct_values: ["urn:xa:farmer:1"]}`
)

// queries are those of policies that say a whole DCQL query, by the policy's name.
var queries = map[string]string{
	"either":   `{credentials: [` + askDiploma + `, ` + askFarmer + `], credential_sets: [{options: [[diploma], [farmer]]}]}`,
	"pair":     `{credentials: [` + askDiploma + `, ` + askFarmer + `], credential_sets: [{options: [[diploma, farmer]]}]}`,
	"optional": `{credentials: [` + askDiploma + `, ` + askFarmer + `], credential_sets: [{options: [[farmer]]}, {options: [[diploma]], required: false}]}`,
	"claims": `{credentials: [{` + farmerCard + `, claims: [{id: a, path: [age]}, {id: b, path: [district]}, {id: c, path: [full_name]}],
  claim_sets: [[a], [b], [b, c]]}]}`,
	"all-claims":   `{credentials: [{` + farmerCard + `, claims: [{id: b, path: [district]}, {id: c, path: [full_name]}], claim_sets: [[b, c]]}]}`,
	"values":       `{credentials: [{` + farmerCard + `, claims: [{path: [crop], values: [3, 9]}]}]}`,
	"several":      `{credentials: [{id: diploma, format: dc+sd-jwt, multiple: true, meta: {vct_values: ["urn:xa:diploma:1"]}, claims: [{path: [subject]}]}]}`,
	"nested":       `{credentials: [{` + farmerCard + `, claims: [{path: [home, district]}, {path: [home, roads, 1]}]}]}`,
	"nested-whole": `{credentials: [{` + farmerCard + `, claims: [{path: [home]}]}]}`,
	"authority": `{credentials: [{` + farmerCard + `, claims: [{path: [full_name]}],
  trusted_authorities: [{type: aki, values: ["s9tIpPmhxdiuNkHMEWNpYim8S8Y"]}]}]}`,
}

// whole is the policy of a query.
func whole(id string) string {
	return fmt.Sprintf("policy: %s\nversion: 1\nverifier: {name: {en: City library}}\npurpose: {en: To compare.}\nretention_days: 0\nquery: %s\n", id, queries[id])
}

// TestWholeQueries asks over HTTP what only a query can say, and not the short form of a
// policy: what is shown for it, and what becomes of an answer that leaves out what is
// required (OpenID4VP 1.0 sections 6 and 8.6).
func TestWholeQueries(t *testing.T) {
	diplomaToo := func(t *testing.T, s *scene) { s.alsoDiploma(t, s.holder) }
	only := func(claims ...string) func(*testing.T, *scene) {
		return func(_ *testing.T, s *scene) {
			s.choices = func([]oid4vp.Choice) []oid4vp.Choice { return []oid4vp.Choice{show("farmer", claims...)} }
		}
	}
	for _, tt := range []struct {
		name, policy string
		wallet       func(*testing.T, *scene)
		shown        string // query and claims of each presentation
		verdict      verification.Verdict
		reason       string
	}{
		{"either, the second is there", "either", nil, "farmer full_name", verification.Valid, ""},
		{"either, both are there", "either", diplomaToo, "diploma subject", verification.Valid, ""},
		{"a pair", "pair", diplomaToo, "diploma subject, farmer full_name", verification.Valid, ""},
		{"VP-10 half a pair", "pair", only("full_name"), "", verification.Invalid, "query_not_answered"},
		{"what may be left out is", "optional", nil, "farmer full_name", verification.Valid, ""},
		{"the first claim set that is there", "claims", nil, "farmer district", verification.Valid, ""},
		{"VP-10 no claim set whole", "all-claims", only("district"), "", verification.Invalid, "missing_claim"},
		{"one of the values", "values", nil, "farmer crop", verification.Valid, ""},
		{"several of one kind", "several", func(t *testing.T, s *scene) {
			s.alsoDiploma(t, s.holder)
			s.alsoDiploma(t, s.holder)
			s.choices = func(c []oid4vp.Choice) []oid4vp.Choice {
				second := c[0]
				second.Credential = 2
				return append(c[:1], second)
			}
		}, "diploma subject, diploma subject", verification.Valid, ""},
		{"VP-10 an authority that did not certify the issuer", "authority", only("full_name"), "", verification.Invalid, "wrong_authority"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t)
			if tt.wallet != nil {
				tt.wallet(t, s)
			}
			s.reload(t)
			c := s.create(t, object{"policy": tt.policy})
			g := s.respond(t, c.Link)
			status, result := s.state(t, c.ID)
			if status != "answered" || result == nil {
				t.Fatalf("%s after %d %s", status, g.status, g.body)
			}
			if result.Verdict != tt.verdict || tt.reason != "" && !slices.Contains(result.Reasons, tt.reason) || tt.reason == "" && len(result.Reasons) > 0 {
				t.Errorf("%s %q, want %s %q", result.Verdict, result.Reasons, tt.verdict, tt.reason)
			}
			if tt.verdict != verification.Valid {
				return
			}
			var shown []string
			for _, p := range result.Presentations {
				for _, claim := range p.Claims {
					shown = append(shown, p.Credential+" "+claim.Path[0].(string))
				}
			}
			slices.Sort(shown)
			if got := strings.Join(shown, ", "); got != tt.shown {
				t.Errorf("shown is %q, want %q", got, tt.shown)
			}
		})
	}
}

// TestDiscarded: what is genuine and not what the query wants is discarded (OpenID4VP 1.0
// section 8.6), although the rest of the answer is enough: nothing of it is handed on, and
// it authorises nothing.
func TestDiscarded(t *testing.T) {
	other := show("diploma")
	other.Credential = 1
	for _, tt := range []struct {
		name, policy string
		choices      []oid4vp.Choice
		verdict      verification.Verdict
		discarded    int // which one
		short        string
	}{
		{"VP-10 another type, where nothing need be", "optional", []oid4vp.Choice{show("farmer", "full_name"), show("diploma", "district")}, verification.Valid, 0, "wrong_type"},
		{"VP-12 another type that signs for the payment", "pay-either", []oid4vp.Choice{show("diploma", "district"), show("farmer", "full_name")}, verification.Invalid, 0, "wrong_type"},
		{"VP-15 another person's, without what is asked for", "optional", []oid4vp.Choice{show("farmer", "full_name"), other}, verification.Valid, 0, "missing_claim"},
		{"nothing discarded", "pay-either", []oid4vp.Choice{show("farmer", "full_name")}, verification.Valid, -1, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t)
			s.alsoDiploma(t, newSigner(t, keys.Holder))
			s.choices = func([]oid4vp.Choice) []oid4vp.Choice { return tt.choices }
			body := object{"policy": tt.policy}
			if tt.policy == "pay-either" {
				body["transaction_data"] = []object{{"type": "urn:xa:payment:1", "fields": object{"amount": "1"}}}
			}
			c := s.create(t, body)
			g := s.respond(t, c.Link)
			_, result := s.state(t, c.ID)
			if result == nil || result.Verdict != tt.verdict {
				t.Fatalf("%+v after %d %s, want %s", result, g.status, g.body, tt.verdict)
			}
			if tt.policy == "pay-either" && result.Transactions != (tt.verdict == verification.Valid) {
				t.Errorf("the payment is authorised: %t", result.Transactions)
			}
			for i, p := range result.Presentations {
				if discarded := i == tt.discarded; discarded != (p.Verdict == verification.Invalid) || discarded == (len(p.Claims) > 0) || discarded != slices.Contains(p.Reasons, tt.short) {
					t.Errorf("%s is %s %q with the claims %v", p.Credential, p.Verdict, p.Reasons, p.Claims)
				}
			}
		})
	}
}

// TestReportOfNested: the report has of an object what was asked for, whether or not the
// type has a field of that name, and nothing of what stands beside it.
func TestReportOfNested(t *testing.T) {
	for _, tt := range []struct {
		policy, want string
		field        string // of the type
	}{
		{"nested", `{"home":{"district":"Jessore","roads":["b"]}}`, ""},
		{"nested", `{"home":{"roads":["b"]},"home.district":"Jessore"}`, "home.district"},
		{"nested-whole", `{"home":{"country":"XA","district":"Jessore","roads":["a","b"]}}`, ""},
		{"nested-whole", `{"home":{"country":"XA","roads":["a","b"]},"home.district":"Jessore"}`, "home.district"},
	} {
		s := newScene(t)
		if tt.field != "" {
			s.content.Types[0].Fields = append(s.content.Types[0].Fields, credential.TypeField{Key: 9, Name: tt.field, Labels: map[string]string{"en": "District"}, Kind: "text"})
		}
		s.reload(t)
		s.token.Claims["home"] = map[string]any{"country": "XA", "district": sdjwt.Hidden{Value: "Jessore"}, "roads": []any{"a", "b"}}
		c := s.create(t, object{"policy": tt.policy})
		g := s.respond(t, c.Link)
		got := decode[struct {
			Result struct {
				Verdict       verification.Verdict
				Presentations []struct {
					Report struct {
						Claims map[string]any
					}
				}
			}
		}](t, s.relying(t, "GET", "/requests/"+c.ID, nil).body).Result
		if got.Verdict != verification.Valid || len(got.Presentations) != 1 {
			t.Fatalf("%+v after %d %s", got, g.status, g.body)
		}
		if b, err := json.Marshal(got.Presentations[0].Report.Claims); err != nil || string(b) != tt.want {
			t.Errorf("%s with the field %q: the report has %s, %v, want %s", tt.policy, tt.field, b, err, tt.want)
		}
	}
}

// TestHostClient: a verifier that is known by the name of its host (OpenID4VP 1.0 section
// 5.9.3, x509_san_dns).
func TestHostClient(t *testing.T) {
	s := newScene(t)
	s.service.Move(strings.Replace(s.server.URL(), "127.0.0.1", "localhost", 1))
	c := s.create(t, object{"policy": "host"})
	if r := s.open(t, c.Link); r.Client.ID.String() != "x509_san_dns:localhost" {
		t.Errorf("the client is %s", r.Client.ID)
	}
	if g := s.respond(t, c.Link); g.status != http.StatusOK {
		t.Fatalf("%d %s", g.status, g.body)
	}
	if status, result := s.state(t, c.ID); status != "answered" || result.Verdict != verification.Valid {
		t.Errorf("%s %+v", status, result)
	}
}
