package strictyaml_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/internal/strictyaml"
)

func TestCheck(t *testing.T) {
	var many strings.Builder
	for i := range strictyaml.MaxMembers {
		fmt.Fprintf(&many, "k%d: 0\n", i)
	}
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "", ""},
		{"as many as may be", many.String(), ""},
		{"one more", many.String() + "a: 0\n", "line 1: more than 256 members"},
		{"the same key in two places", "a: {b: 0}\nc: {b: 0}\n", ""},
		{"a key twice", "a: 0\nb: 0\na: 0\n", `line 3: mapping key "a" already defined`},
		{"a key twice within", "x:\n- y: {a: 0, a: 1}\n", "already defined"},
		{"no YAML", "a: [", "yaml"},
	} {
		err := strictyaml.Check([]byte(tt.text))
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}
