package programme_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/programme"
)

func TestFindJSON(t *testing.T) {
	const names = `[{"language":"en","value":"John Doe"},{"language":"ar","value":"جون دو"},{"language":"x","value":{"n":[1,true,null,2.50]}}]`
	tests := []struct{ path, text, want, refusal string }{
		{"[language=ar].value", names, "جون دو", ""},
		{"0.value", names, "John Doe", ""},
		{"[language=fr].value", names, "", ""},
		{"7.value", names, "", ""},
		{"[language=x].value.n.0", names, "1", ""},
		{"[language=x].value.n.1", names, "true", ""},
		{"[language=x].value.n.2", names, "", ""},
		{"[language=x].value.n.3", names, "2.50", ""},
		{"a.b", `{"a":{"b":"c"}}`, "c", ""},
		{"a[k=1].b", `{"a":[{"k":1,"b":"c"}]}`, "c", ""},
		{"0", `{"0":"zero"}`, "zero", ""},

		{"[language=x].value", names, "", "object or a list"},
		{"a", `{"a":1} {"a":2}`, "", "behind the JSON value"},
		{"a", `{"a":1,"a":2}`, "", "two members of one name"},
		{"a", `{"a":`, "", "is not JSON"},
		{"a", `{a:1}`, "", "is not JSON"},
		{"a", ``, "", "is not JSON"},
		{"a", strings.Repeat("[", 100), "", "nested deeper than 16"},
		{"a", `"` + strings.Repeat("x", 70000) + `"`, "", "longer than"},
		{"a", "[" + strings.Repeat("1,", 2000) + "1]", "", "more than 1000 entries"},
	}
	for _, tt := range tests {
		got, _, err := programme.FindJSON(tt.path, tt.text)
		switch {
		case tt.refusal == "" && (err != nil || got != tt.want):
			t.Errorf("%s: %q, %v, want %q", tt.path, got, err, tt.want)
		case tt.refusal != "" && (err == nil || !strings.Contains(err.Error(), tt.refusal)):
			t.Errorf("%s: %q, %v, want refusal: %s", tt.path, got, err, tt.refusal)
		}
	}
	for _, path := range []string{"", ".", "a.", ".a", "a..b", "[a]", "[=b]", "[a=]", "[a=b", "a]b", "[a=b]c", "[a=b].", "a.[b=c]", strings.Repeat("a.", 20) + "a"} {
		if _, found, err := programme.FindJSON(path, `{}`); found || err == nil {
			t.Errorf("path %q is accepted", path)
		}
	}
}

// FuzzFindJSON: what is found in a text is in it, and only JSON is read.
func FuzzFindJSON(f *testing.F) {
	f.Add("a.0", `{"a":["b"]}`)
	f.Add("[k=v].x", `[{"k":"v","x":1e5}]`)
	f.Add("a", `{"a":1,"a":2}`)
	boundtest.Fuzz(f, func(t *testing.T, path, text string) {
		value, found, err := programme.FindJSON(path, text)
		if err != nil {
			if value != "" {
				t.Fatalf("refused, and yet %q", value)
			}
			return
		}
		if found && !json.Valid([]byte(text)) {
			t.Fatalf("%q was read as JSON", text)
		}
	})
}
