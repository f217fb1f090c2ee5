package fsck_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/fsck"
)

// TestOperatorsAreTold: every code is in the table of docs/operating.md, with what the
// command says to do about it.
func TestOperatorsAreTold(t *testing.T) {
	text, err := os.ReadFile("../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(text), "### What fsck finds")
	if !ok {
		t.Fatal("docs/operating.md has no table of findings")
	}
	rows := strings.Split(strings.ReplaceAll(table, "**", ""), "\n")
	for _, c := range fsck.Codes() {
		says := func(row string) bool {
			return strings.Contains(row, "`"+string(c)+"`") && strings.HasSuffix(row, "| "+c.Remedy()+" |")
		}
		if !slices.ContainsFunc(rows, says) {
			t.Errorf("docs/operating.md does not say %q about %s", c.Remedy(), c)
		}
	}
}
