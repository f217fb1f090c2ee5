package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/spf13/cobra"

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

// TestAgreed: yes is the word of the person's language or of English, whole or as a letter;
// everything else is a no.
func TestAgreed(t *testing.T) {
	for _, tt := range []struct {
		yes, answer string
		want        bool
	}{
		{"yes", "y\n", true}, {"yes", " YES \n", true}, {"yes", "n\n", false}, {"yes", "\n", false}, {"yes", "", false}, {"yes", "yesno\n", false},
		{"ndiyo", "ndiyo\n", true}, {"ndiyo", "n\n", false}, {"ndiyo", "y\n", true}, {"ndiyo", "hapana\n", false},
		{"oui", "o\n", true}, {"oui", "non\n", false}, {"হ্যাঁ", "হ\n", true}, {"نعم", "نعم\n", true}, {"نعم", "لا\n", false},
	} {
		var cmd cobra.Command
		var asked bytes.Buffer
		cmd.SetIn(strings.NewReader(tt.answer))
		cmd.SetErr(&asked)
		if got := Agreed(&cmd, "Really?", tt.yes, "no"); got != tt.want || asked.String() != "Really? ["+tt.yes+"/NO] " {
			t.Errorf("%q where yes is %q: %t, asked %q", tt.answer, tt.yes, got, &asked)
		}
	}
}
