package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sanad-id/sanad/store/once"
)

func TestExampleSettingsLoad(t *testing.T) {
	c, err := readConfig("verifier.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if c.Once != "once.db" || c.TLSKey != filepath.Join("secrets", "tls-key.pem") {
		t.Errorf("once %q, tls_key %q: paths are relative to the file", c.Once, c.TLSKey)
	}
}

// TestMemorySettings: memory is no path, and goes without what several servers share.
func TestMemorySettings(t *testing.T) {
	b, err := os.ReadFile("verifier.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), settingsName)
	text := strings.NewReplacer("once: once.db", "once: memory", "redis: rediss://redis.office.lan:6379\n", "").Replace(string(b))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := readConfig(path); err != nil || c.Once != once.Memory || c.OnceMegabytes != 256 {
		t.Errorf("%q, %d, %v", c.Once, c.OnceMegabytes, err)
	}
}

// TestP19Default: who says nothing about it knows of a stolen key within 15 minutes.
func TestP19Default(t *testing.T) {
	b, err := os.ReadFile("verifier.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), settingsName)
	if err := os.WriteFile(path, []byte(strings.Replace(string(b), "trust_every: 10m\n", "", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := readConfig(path)
	const published = time.Minute
	if err != nil || c.TrustEvery != defaultTrustEvery || c.TrustEvery*11/10+updateTimeout+published > 15*time.Minute {
		t.Errorf("asked every %v, %v", c.TrustEvery, err)
	}
}

// TestEverySettingIsExplained holds struct and example together.
func TestEverySettingIsExplained(t *testing.T) {
	b, err := os.ReadFile("verifier.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var example map[string]any
	if err := yaml.Unmarshal(b, &example); err != nil {
		t.Fatal(err)
	}
	show := func(typ reflect.Type, shown map[string]any) {
		for i := range typ.NumField() {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("yaml"), ",")
			if _, ok := shown[name]; !ok {
				t.Errorf("the example does not show %s", name)
			}
		}
	}
	show(reflect.TypeFor[Config](), example)
	show(reflect.TypeFor[APIKeyConfig](), example["api_keys"].([]any)[0].(map[string]any))
	show(reflect.TypeFor[IssuerRootConfig](), example["issuer_roots"].([]any)[0].(map[string]any))
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

// TestSettingsRefused changes one thing at a time in the example.
func TestSettingsRefused(t *testing.T) {
	b, err := os.ReadFile("verifier.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, old, new, want string }{
		{"an unknown key", "name: City", "nom: x\nname: City", "there is no member \"nom\" here; did you mean \"name\"?"},
		{"no url", "url: https://verifier.library.example", "", "url is not set"},
		{"no policies", "policies: policies", "", "policies is not set"},
		{"no trust", "trust: trust", "", "trust is not set"},
		{"another prefix", "prefix: x509_hash", "prefix: origin", "prefix"},
		{"half of TLS", "tls_key: secrets/tls-key.pem", "", "belong together"},
		{"a key without digest", "sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "sha256: abc", "api_keys"},
		{"the digest of nothing", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "api_keys"},
		{"a network that is none", "10.20.0.0/16", "10.20.0.0", "proxies"},
		{"a source without TLS", "https://mirror.example/office.trust", "http://mirror.example/office.trust", "trust_sources"},
		{"sources asked without a pause", "trust_every: 10m", "trust_every: 1s", "trust_every"},
		{"a root for every type", `types: ["urn:xb:diploma:1"]`, "types: []", "issuer_roots"},
		{"a root for a type without a name", `types: ["urn:xb:diploma:1"]`, `types: [""]`, "issuer_roots"},
		{"a root without a file", "file: roots/universities.pem", `file: ""`, "issuer_roots"},
		{"lists of any age", "status_fresh: 24h", "status_fresh: 87600h", "issuer_roots"},
		{"lists that are never fresh", "status_fresh: 24h", "status_fresh: -1h", "issuer_roots"},
		{"an alarm without TLS", "https://monitor", "http://monitor", "alarm"},
		{"a scope that there is not", "scopes: [requests", "scopes: [everything", "scope"},
		{"tallies for ever", "tally_days: 31", "tally_days: 3100", "tally_days"},
		{"a page in place of a website", "https://scanner.library.example", "https://scanner.library.example/x", "tally_origins"},
		{"a website without TLS", "https://scanner.library.example", "http://scanner.library.example", "tally_origins"},
		{"memory that several servers share", "once: once.db", "once: memory", "for one server alone"},
		{"more memory than there is", "once_megabytes: 256", "once_megabytes: 65537", "once_megabytes"},
		{"memory below nothing", "once_megabytes: 256", "once_megabytes: -1", "once_megabytes"},
		{"a second document", "once: once.db", "---\nonce: once.db", "more than one document"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(string(b), tt.old, tt.new, 1)
			if text == string(b) {
				t.Fatal("nothing was changed")
			}
			path := filepath.Join(t.TempDir(), settingsName)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := readConfig(path); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("readConfig: %v, want %q", err, tt.want)
			}
		})
	}
}
