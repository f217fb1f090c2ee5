package staff_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/staff"
)

var update = flag.Bool("update", false, "write testdata/rights.txt anew")

// TestRightsAreAsReviewed: P24. Every action, role and state, as a person last read
// them: whoever changes the table changes this file, and a reviewer sees which rights
// come and go.
func TestRightsAreAsReviewed(t *testing.T) {
	var b strings.Builder
	fmt.Fprintln(&b, "# What each role may do to something in which state. Made by go test ./staff -update; read it when it changes.")
	for _, r := range staff.Rules() {
		fmt.Fprintf(&b, "\n%s", r.Action)
		if r.Fresh {
			b.WriteString(" fresh")
		}
		if r.Changes {
			b.WriteString(" noted")
		}
		if r.Second != "" {
			fmt.Fprintf(&b, " second=%s", r.Second)
		}
		if r.Optional {
			b.WriteString(" optional")
		}
		b.WriteString("\n")
		for _, role := range staff.Roles() {
			op := staff.Operator{ID: "op-a", Standing: staff.Active, Roles: []staff.Role{role}}
			var states []string
			for _, s := range staff.States() {
				if op.May(r.Action, s) {
					states = append(states, stateName(s))
				}
			}
			if len(states) > 0 {
				fmt.Fprintf(&b, "  %-13s %s\n", role, strings.Join(states, " "))
			}
		}
	}
	const path = "testdata/rights.txt"
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		got, old := strings.Split(b.String(), "\n"), strings.Split(string(want), "\n")
		for i, line := range got {
			if !slices.Contains(old, line) {
				t.Errorf("line %d is new: %s", i+1, line)
			}
		}
		t.Errorf("the rights are not those of %s", path)
	}
}

func stateName(s staff.State) string {
	if s == staff.None {
		return "-"
	}
	return string(s)
}

// FuzzNames: a name that is taken shows as it is typed, on one line.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"Amina", " আমিনা ", "A\u202eB", "", "a\nb", strings.Repeat("x", 81), "\xff"} {
		f.Add(s)
	}
	boundtest.Fuzz(f, func(t *testing.T, s string) {
		name, err := staff.CheckName(s)
		if err != nil {
			return
		}
		if name == "" || len([]rune(name)) > staff.MaxName || strings.ContainsAny(name, "\n\r\t\u202e\u2066\u200b\x00") || strings.TrimSpace(name) != name {
			t.Fatalf("%q is taken as %q", s, name)
		}
		if again, err := staff.CheckName(name); err != nil || again != name {
			t.Fatalf("%q is not taken again: %v", name, err)
		}
	})
}
