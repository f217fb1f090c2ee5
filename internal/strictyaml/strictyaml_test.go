package strictyaml_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/internal/strictyaml"
)

// settings are a struct of each kind that a file may have.
type settings struct {
	A, B any
	K    map[string]any `yaml:",inline"`
}

// office has members within members.
type office struct {
	Name  string `yaml:"name"`
	Serve struct {
		Listen string `yaml:"listen"`
	} `yaml:"serve"`
	Sources map[string]source `yaml:"sources"`
	Keys    []source          `yaml:"keys,omitempty"`
}

type source struct {
	CSV      string `yaml:"csv"`
	IDColumn string `yaml:"id_column"`
}

// TestDecode: what the struct does not have is named with its line and what is meant.
func TestDecode(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"all there is", "name: x\nserve: {listen: a}\nsources: {births: {csv: b, id_column: c}}\nkeys: [{csv: d}]\n", ""},
		{"a slip", "name: x\nserve:\n  listne: a\n", `line 3: there is no member "listne" here; did you mean "listen"?`},
		{"a slip in a map", "sources:\n  births:\n    id_colum: a\n", `line 3: there is no member "id_colum" here; did you mean "id_column"?`},
		{"a slip in a list", "keys:\n- {csw: a}\n", `line 2: there is no member "csw" here; did you mean "csv"?`},
		{"no slip", "colour: blue\n", `line 1: there is no member "colour" here; there are keys, name, serve, sources`},
		{"in capitals", "Name: x\n", `line 1: there is no member "Name" here; did you mean "name"?`},
		{"two of them", "colour: blue\nserve: {port: 1}\n", "line 2: there is no member \"port\" here; there are listen"},
		{"another type", "serve: [1]\n", "line 1: cannot unmarshal"},
		{"a second document", "name: x\n---\nname: y\n", "more than one document"},
		{"nothing", "", "the file is empty"},
	} {
		var o office
		err := strictyaml.Decode([]byte(tt.text), strictyaml.MaxMembers, &o)
		if tt.want == "" && (err != nil || o.Sources["births"].IDColumn != "c" || o.Keys[0].CSV != "d") || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// TestDecodeBounds: a mapping has no key twice, and not more than so many.
func TestDecodeBounds(t *testing.T) {
	var many strings.Builder
	for i := range strictyaml.MaxMembers {
		fmt.Fprintf(&many, "k%d: 0\n", i)
	}
	for _, tt := range []struct{ name, text, want string }{
		{"as many as may be", many.String(), ""},
		{"one more", many.String() + "a: 0\n", "line 1: more than 256 members"},
		{"the same key in two places", "a: {b: 0}\nb: {b: 0}\n", ""},
		{"a key twice", "a: 0\nb: 0\na: 0\n", `line 3: mapping key "a" already defined`},
		{"a key twice within", "x:\n- y: {a: 0, a: 1}\n", "already defined"},
		{"no YAML", "a: [", "did not find expected"},
	} {
		err := strictyaml.Decode([]byte(tt.text), strictyaml.MaxMembers, new(settings))
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// TestSettings: a file of settings is a MiB at most.
func TestSettings(t *testing.T) {
	text := "name: x\n#"
	for _, tt := range []struct {
		name string
		size int
		want string
	}{
		{"a MiB", 1 << 20, ""},
		{"a byte more", 1<<20 + 1, "more than 1048576 bytes"},
	} {
		var o office
		err := strictyaml.Settings(strings.NewReader(text+strings.Repeat("-", tt.size-len(text))), &o)
		if tt.want == "" && (err != nil || o.Name != "x") || tt.want != "" && (err == nil || err.Error() != tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}
