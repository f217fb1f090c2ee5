package fsck_test

import (
	"os"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/fsck"
)

// TestOperatorsAreTold: every code is in the table of docs/operating.md.
func TestOperatorsAreTold(t *testing.T) {
	text, err := os.ReadFile("../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(text), "### What fsck finds")
	if !ok {
		t.Fatal("docs/operating.md has no table of findings")
	}
	for _, c := range fsck.Codes() {
		if !strings.Contains(table, "`"+string(c)+"`") {
			t.Errorf("docs/operating.md does not say what to do about %s", c)
		}
	}
}
