package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/internal/visible"
)

// TestTerminalJSON keeps the meaning and loses the power.
func TestTerminalJSON(t *testing.T) {
	want := map[string]string{"a": "x\x1b[2J\u009b\u202e\u200b\U000e0041\x7f\ufeff é رحيمة \u2028 \"<>&"}
	var b strings.Builder
	if err := PrintJSON(&b, want); err != nil {
		t.Fatal(err)
	}
	for _, r := range b.String() {
		if r != '\n' && visible.Steers(r) {
			t.Errorf("%U in %q", r, b.String())
		}
	}
	var got map[string]string
	if err := json.Unmarshal([]byte(b.String()), &got); err != nil {
		t.Fatal(err)
	}
	if got["a"] != want["a"] {
		t.Errorf("%q became %q", want["a"], got["a"])
	}
}

func TestWrap(t *testing.T) {
	got := Wrap("one two three four five six", 11, "  ")
	if want := "one two\n  three four\n  five six"; got != want {
		t.Errorf("wrap: %q, want %q", got, want)
	}
	if got, want := Wrap("a "+strings.Repeat("é", 7), 3, ""), "a\néé"; !strings.HasPrefix(got, want) {
		t.Errorf("wrap: %q, want %q first", got, want)
	}
	if got, want := Wrap(strings.Repeat("x", 7), 3, " "), "xxx\n xxx\n x"; got != want {
		t.Errorf("wrap: %q, want %q", got, want)
	}
	if n := Columns("a\u0301\u2068世"); n != 3 {
		t.Errorf("columns: %d, want 3", n)
	}
}
