package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/trust"
)

// TestClockSetBack remembers what was verified, so that a clock that is set back
// does not make old lists fresh again.
func TestClockSetBack(t *testing.T) {
	files := makeFixtures(t)
	dir := t.TempDir()
	name := func(n string) string {
		path := filepath.Join(dir, n)
		if err := os.WriteFile(path, files[n], 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	home := filepath.Join(dir, "home")
	at := func(now time.Time, want int, args ...string) string {
		t.Helper()
		var stdout, stderr bytes.Buffer
		p := newProgram(func() time.Time { return now })
		if got := p.run(t.Context(), append(args, "--dir", home, "--lang", "en"), strings.NewReader(""), &stdout, &stderr); got != want {
			t.Errorf("%s: exit status %d, want %d\n%s%s", args[0], got, want, &stdout, &stderr)
		}
		return stdout.String()
	}
	at(asOf, 0, "trust", "import", name("office.trust"), "--fingerprint", string(files["fingerprint"]))
	at(asOf.AddDate(0, 0, 1), 0, "check", name("good.txt"))
	at(asOf.AddDate(0, 0, 5), 0, "check", name("young.txt"))
	if out := at(asOf.AddDate(0, 0, 1), 10, "check", name("good.txt")); !strings.Contains(out, "The date of this device cannot be right") {
		t.Errorf("the clock was set back, and the report says\n%s", out)
	}
	// --at asks about another day on purpose, and is not remembered.
	at(asOf.AddDate(0, 0, 5), 0, "check", name("good.txt"), "--at", asOf.AddDate(0, 0, 1).Format(time.RFC3339))

	// A folder that cannot be written to keeps nobody from checking.
	if os.Getuid() != 0 {
		if err := os.Chmod(home, 0o500); err != nil {
			t.Fatal(err)
		}
		at(asOf.AddDate(0, 0, 6), 0, "check", name("good.txt"))
	}
}

func TestConfirm(t *testing.T) {
	files := makeFixtures(t)
	b, err := trust.Open(files["office.trust"])
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, fingerprint, answer string
		terminal, ok              bool
		err                       error
		language, says            string
	}{
		{name: "yes", answer: "y\n", terminal: true, ok: true},
		{name: "Yes", answer: " Yes \n", terminal: true, ok: true},
		{name: "in Swahili", answer: "ndiyo\n", terminal: true, ok: true, language: "sw", says: "makundi yote sita yanafanana? [ndiyo/HAPANA]"},
		{name: "in Bengali, shortened", answer: "হ\n", terminal: true, ok: true, language: "bn", says: "[হ্যাঁ/না]"},
		{name: "no in Portuguese", answer: "não\n", terminal: true, language: "pt", says: "[sim/NÃO]"},
		{name: "an n in Swahili", answer: "n\n", terminal: true, language: "sw"},
		{name: "no", answer: "n\n", terminal: true},
		{name: "return", answer: "\n", terminal: true},
		{name: "end of input", answer: "", terminal: true},
		{name: "nobody there", answer: "y\n", err: errNoFingerprint},
		{name: "right fingerprint", fingerprint: string(files["fingerprint"]), ok: true},
		{name: "right fingerprint with dashes", fingerprint: strings.ReplaceAll(string(files["fingerprint"]), " ", "-"), ok: true},
		{name: "wrong fingerprint", fingerprint: "12345 12345 12345 12345 12345 12345", answer: "y\n", terminal: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var cmd cobra.Command
			var stderr bytes.Buffer
			cmd.SetIn(strings.NewReader(tt.answer))
			cmd.SetErr(&stderr)
			ok, err := confirm(&cmd, b, tt.fingerprint, tt.terminal, i18n.For(tt.language))
			if ok != tt.ok || (err == nil) != tt.ok || tt.err != nil && !errors.Is(err, tt.err) {
				t.Errorf("confirm: %v, %v, want %v, %v", ok, err, tt.ok, tt.err)
			}
			asked := strings.Contains(stderr.String(), b.Fingerprint())
			if asked != (tt.terminal && tt.fingerprint == "") {
				t.Errorf("asked: %v\n%s", asked, &stderr)
			}
			if !strings.Contains(stderr.String(), tt.says) {
				t.Errorf("asked %q, want %q", &stderr, tt.says)
			}
		})
	}
}
