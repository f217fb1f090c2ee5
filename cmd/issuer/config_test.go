package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

func TestExampleSettingsLoad(t *testing.T) {
	c, err := readConfig("issuer.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.Store, "issuer.db"; got != want {
		t.Errorf("store %q, want %q: paths are relative to the file", got, want)
	}
	if got, want := time.Duration(c.Keys.VerifyFor), 100*365*24*time.Hour; got != want {
		t.Errorf("keys.verify_for %v, want %v", got, want)
	}
}

// TestDebtLimitOfWhoGoesWithout: up to four hours are a limit; more of them only
// beside the setting that says so.
func TestDebtLimitOfWhoGoesWithout(t *testing.T) {
	const good = "issuer: {id: xa-civil, names: {en: Civil}, country: XA, url: 'https://x.example'}\nstore: a.db\nkeystore: k\njournal: none\n"
	for _, tt := range []struct {
		audit string
		want  time.Duration
	}{
		{"{}", 4 * time.Hour}, {"{debt_limit: 4h}", 4 * time.Hour}, {"{debt_limit: 1h}", time.Hour},
		{"{debt_limit: 2d, without_witness: true}", 48 * time.Hour},
	} {
		path := filepath.Join(t.TempDir(), "issuer.yaml")
		if err := os.WriteFile(path, []byte(good+"audit: "+tt.audit+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := readConfig(path)
		if got := time.Duration(c.Audit.DebtLimit); err != nil || got != tt.want {
			t.Errorf("audit: %s: a limit of %s, %v; want %s", tt.audit, got, err, tt.want)
		}
	}
}

// TestEverySettingIsExplained holds struct and example together: a field
// without a comment, or one that the example does not show, is a setting that
// nobody will find.
func TestEverySettingIsExplained(t *testing.T) {
	b, err := os.ReadFile("issuer.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var example map[string]any
	if err := yaml.Unmarshal(b, &example); err != nil {
		t.Fatal(err)
	}
	var walk func(typ reflect.Type, shown map[string]any, path string)
	walk = func(typ reflect.Type, shown map[string]any, path string) {
		for i := range typ.NumField() {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("yaml"), ",")
			value, ok := shown[name]
			if !ok {
				t.Errorf("the example does not show %s%s", path, name)
				continue
			}
			inner := typ.Field(i).Type
			if inner.Kind() == reflect.Map && inner.Elem().Kind() == reflect.Struct {
				// One entry need not show what another does.
				all := map[string]any{}
				for _, one := range value.(map[string]any) {
					maps.Copy(all, one.(map[string]any))
				}
				walk(inner.Elem(), all, path+name+".*.")
			}
			if inner.Kind() == reflect.Struct {
				walk(inner, value.(map[string]any), path+name+".")
			}
		}
	}
	walk(reflect.TypeFor[Config](), example, "")

	file, err := parser.ParseFile(token.NewFileSet(), "config.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || !strings.HasSuffix(spec.Name.Name, "Config") {
			return true
		}
		for _, f := range spec.Type.(*ast.StructType).Fields.List {
			if f.Doc.Text() == "" {
				t.Errorf("%s.%s has no comment", spec.Name.Name, f.Names[0].Name)
			}
		}
		return true
	})
}

func TestReadConfigRefuses(t *testing.T) {
	const good = "issuer: {id: xa-civil, names: {en: Civil}, country: XA, url: 'https://x.example'}\nstore: a.db\nkeystore: k\n"
	tests := []struct{ name, text, want string }{
		{"unknown key", good + "colour: blue\n", "line 4: there is no member \"colour\" here; there are audit, console, "},
		{"a slip in a section", good + "serve:\n  publised: public\n", "line 5: there is no member \"publised\" here; did you mean \"published\"?"},
		{"ST-11 small lists", good + "list_size: 8\n", "list_size"}, // a list is as large as is good for those in it
		{"key given twice", good + "store: b.db\n", "already defined"},
		{"second document", good + "---\nstore: b.db\n", "more than one document"},
		{"empty file", "", "the file is empty"},
		{"too large", good + strings.Repeat("#", 1<<20), "more than 1048576 bytes"},
		{"no store", strings.Replace(good, "store: a.db\n", "", 1), "store must name"},
		{"issuer id with a blank", strings.Replace(good, "xa-civil", "xa civil", 1), "issuer.id"},
		{"country in small letters", strings.Replace(good, "country: XA", "country: xa", 1), "issuer.country"},
		{"no English name", strings.Replace(good, "en: Civil", "fr: Civil", 1), "English"},
		{"plain http", strings.Replace(good, "https:", "http:", 1), "issuer.url"},
		{"url with a query", strings.Replace(good, "x.example", "x.example?a=b", 1), "issuer.url"},
		{"span without unit", good + "keys: {sign_for: 30}\n", "time span"},
		{"span that overflows", good + "keys: {sign_for: 2000000000y}\n", "time span"},
		{"old before refresh", good + "trust: {refresh_by: 30d, old_after: 1d}\n", "old_after"},
		{"a verifier without a name", good + "trust: {verifiers: {\"x509_san_dns:a.example\": {names: {fr: A}}}}\n", "trust.verifiers.x509_san_dns:a.example"},
		{"verify shorter than sign", good + "keys: {sign_for: 30d, verify_for: 1d}\n", "verify_for"},
		{"AUD-07 a debt limit of ten years", good + "audit: {debt_limit: 3650d}\n", "audit.debt_limit must not be more than 4h"},
		{"AUD-07 a debt limit that is a minute too long", good + "audit: {debt_limit: 241m, without_witness: false}\n", "audit.debt_limit must not be more than 4h"},
		{"source without a file", good + "sources: {births: {id_column: n}}\n", "sources.births"},
		{"delimiter of two characters", good + "sources: {births: {csv: b, delimiter: ab}}\n", "delimiter"},
		{"P11 transaction codes of five digits", good + "serve: {tx_code: {length: 5}}\n", "there are 100000, and with 5 guesses there must be 1000000 at least: 6 digits, or 5 characters"},
		{"P11 transaction codes of four characters", good + "serve: {tx_code: {length: 4, input_mode: text}}\n", "there are 331776, and"},
		{"transaction codes of less than nothing", good + "serve: {tx_code: {length: -6}}\n", "serve.tx_code: "},
		{"transaction codes that nobody can type", good + "serve: {tx_code: {length: 11}}\n", "serve.tx_code.length"},
		{"transaction codes of another alphabet", good + "serve: {tx_code: {input_mode: emoji}}\n", `neither "numeric" nor "text"`},
		{"transaction codes with another key", good + "serve: {tx_code: {alphabet: abc}}\n", "alphabet"},
		{"VCI-12 attested keys without attesters", good + "serve: {key_attestation: {birth: {}}}\n", "serve.key_attestation needs serve.key_attesters"},
		{"VCI-12 a level without a name", good + "serve: {key_attesters: a.pem, key_attestation: {birth: {key_storage: ['']}}}\n", "serve.key_attestation.birth has a level without a name"},
		{"VCI-12 a level of something else", good + "serve: {key_attesters: a.pem, key_attestation: {birth: {storage: [high]}}}\n", "storage"},
		{"values that work once in memory", good + "serve: {once: memory}\n", "serve.once: codes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "issuer.yaml")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := readConfig(path)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("readConfig: %v, want an error about %q", err, tt.want)
			}
		})
	}
}
