package verifier_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/api/verifier"
	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/oid4vp"
)

func TestParsePolicy(t *testing.T) {
	p := parsed(t)["card"]
	if p.Version != 3 || p.Lifetime != oid4vp.MaxLife || p.ResultLifetime != 10*time.Minute || len(p.ReturnTo) != 2 || p.Retention != 0 {
		t.Errorf("%+v", p)
	}
	c := p.Query.Credential("farmer")
	if len(c.Claims) != 2 || oid4vp.PathText(c.Claims[0].Path) != "full_name" || len(c.Claims[1].Values) != 2 {
		t.Errorf("%+v", c)
	}
	whole, err := verifier.ParsePolicy([]byte(strings.Replace(policies["card"], policies["card"][strings.Index(policies["card"], "ask:"):strings.Index(policies["card"], "return_to")], `
query:
  credentials:
    - id: farmer
      format: dc+sd-jwt
      meta: {vct_values: ["urn:xa:farmer:1"]}
      claims: [{path: [full_name]}, {path: [crop], values: [3, 4]}]
`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	a, errA := p.Query.JSON()
	b, errB := whole.Query.JSON()
	if errA != nil || errB != nil || string(a) != string(b) {
		t.Errorf("the short form is\n%s\nand the query\n%s", a, b)
	}
}

// TestParsePolicyRefuses changes one thing at a time in a policy that is good.
func TestParsePolicyRefuses(t *testing.T) {
	for _, tt := range []struct{ name, old, new, want string }{
		{"an unknown key", "version: 3", "version: 3\nversions: 4", "versions"},
		{"many members", "version: 3", "version: 3\nx: {" + manyMembers(257) + "}", "more than 256 members"},
		{"a key twice", "version: 3", "version: 3\nversion: 4", "already defined"},
		{"a type that no wallet reads", "urn:xa:farmer:1", strings.Repeat("x", 5000), "ask"},
		{"a second document", "webhook:", "---\nwebhook:", "more than one document"},
		{"no name", "policy: card", "", "name"},
		{"an odd name", "policy: card", "policy: ../card", "name"},
		{"no version", "version: 3", "", "version"},
		{"nobody who asks", "{name: {en: City library}}", "{}", "verifier.name"},
		{"an empty name", "City library", `" "`, "verifier.name"},
		{"no purpose", "purpose: {en: To lend you books., bn: \"বই\"}", "", "purpose"},
		{"a long purpose", "To lend you books.", strings.Repeat("x", 1001), "purpose"},
		{"nothing said of retention", "retention_days: 0", "", "retention_days"},
		{"a negative retention", "retention_days: 0", "retention_days: -1", "retention_days"},
		{"a century of retention", "retention_days: 0", "retention_days: 36501", "retention_days"},
		{"VP-14 a long life", "version: 3", "version: 3\nlifetime: 6m", "lifetime"},
		{"a long memory", "version: 3", "version: 3\nresult_lifetime: 2h", "result_lifetime"},
		{"a negative freshness", "version: 3", "version: 3\nstatus_fresh: -1h", "status_fresh"},
		{"VP-05 an unknown prefix", "{name: {en: City library}}", "{name: {en: x}, prefix: origin}", "prefix"},
		{"nothing asked for", "ask:", "asks:", "asks"},
		{"both forms", "webhook:", "query: {credentials: [{id: x}]}\nwebhook:", "either"},
		{"no type", `types: ["urn:xa:farmer:1"]`, "types: []", ""},
		{"a claim twice", "claims: [full_name,", "claims: [full_name, full_name,", "query"},
		{"a claim that is none", "claims: [full_name,", "claims: [7,", "claim"},
		{"an empty step", "claims: [full_name,", "claims: [a..b,", "claim"},
		{"an unknown key of a claim", "claims: [full_name,", "claims: [{path: [a], more: 1},", "claim"},
		{"an odd id", "id: farmer", "id: a farmer", "query"},
		{"texts that no request can hold", "bn: ", manyTexts(20) + "bn: ", "hold"},
		{"an authority that nobody here can check", "ask:\n  - id: farmer\n    types: [\"urn:xa:farmer:1\"]\n    claims: [full_name, {path: [crop], values: [3, 4]}]", `query: {credentials: [{` + farmerCard + `, trusted_authorities: [{type: etsi_tl, values: ["https://lotl.example"]}]}]}`, "etsi_tl"},
		{"a webhook without TLS", "webhook: https:", "webhook: http:", "webhook"},
		{"a webhook with a user", "webhook: https://library", "webhook: https://a:b@library", "webhook"},
		{"a page without TLS", `["https://library.example/done"`, `["http://library.example/done"`, "return_to"},
		{"a page that is none", `["https://library.example/done"`, `["javascript:alert(1)"`, "return_to"},
		{"transaction data of nobody", "webhook:", "transaction_data: [{type: x, credentials: [other], fields: [a]}]\nwebhook:", "transaction_data"},
		{"transaction data without fields", "webhook:", "transaction_data: [{type: x, credentials: [farmer]}]\nwebhook:", "transaction_data"},
		{"transaction data twice", "webhook:", "transaction_data: [{type: x, credentials: [farmer], fields: [a]}, {type: x, credentials: [farmer], fields: [a]}]\nwebhook:", "twice"},
		{"too large", "version: 3", "version: 3\n# " + strings.Repeat("x", verifier.MaxPolicy), "bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(policies["card"], tt.old, tt.new, 1)
			if text == policies["card"] {
				t.Fatal("nothing was changed")
			}
			if _, err := verifier.ParsePolicy([]byte(text)); !errors.Is(err, verifier.ErrPolicy) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("ParsePolicy: %v, want %q", err, tt.want)
			}
		})
	}
}

func TestReadPolicies(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := verifier.ReadPolicies(dir); !errors.Is(err, verifier.ErrPolicy) {
		t.Errorf("an empty folder: %v", err)
	}
	write("a.yaml", policies["card"])
	write("b.yaml", policies["open"])
	if all, err := verifier.ReadPolicies(dir); err != nil || len(all) != 2 || all["card"] == nil {
		t.Errorf("%v, %v", all, err)
	}
	write("c.yaml", policies["card"])
	if _, err := verifier.ReadPolicies(dir); !errors.Is(err, verifier.ErrPolicy) {
		t.Errorf("a policy twice: %v", err)
	}
}

// manyTexts are texts in n languages, each as long as one may be.
func manyTexts(n int) string {
	var s strings.Builder
	for i := range n {
		fmt.Fprintf(&s, "x-%d: %s, ", i, strings.Repeat("x", 1000))
	}
	return s.String()
}

// manyMembers are n members of a mapping.
func manyMembers(n int) string {
	var s strings.Builder
	for i := range n {
		fmt.Fprintf(&s, "k%d: 0, ", i)
	}
	return s.String()
}

// FuzzParsePolicy: whatever is taken can be asked for.
func FuzzParsePolicy(f *testing.F) {
	for _, text := range policies {
		f.Add([]byte(text))
	}
	boundtest.Fuzz(f, func(t *testing.T, text []byte) {
		p, err := verifier.ParsePolicy(text)
		if err != nil {
			if !errors.Is(err, verifier.ErrPolicy) {
				t.Fatalf("%v is no ErrPolicy", err)
			}
			return
		}
		b, err := p.Query.JSON()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := oid4vp.ParseQuery(b); err != nil {
			t.Fatalf("%v in %s", err, b)
		}
		if p.Lifetime <= 0 || p.Lifetime > oid4vp.MaxLife || len(p.Purpose) == 0 || p.Version < 1 {
			t.Fatalf("%+v", p)
		}
	})
}
