package interop_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestRefusalsPage: every test that the page names exists, and no cell of its table is
// without one.
func TestRefusalsPage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "docs", "refusals.md"))
	if err != nil {
		t.Fatal(err)
	}
	var tests strings.Builder
	for _, folder := range []string{".", "../api/issuer", "../api/verifier", "../wallet"} {
		files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			tests.Write(b)
		}
	}
	name, rows := regexp.MustCompile("`(Test[A-Za-z]+)`"), 0
	for line := range strings.Lines(string(page)) {
		if !strings.HasPrefix(line, "| **") {
			continue
		}
		rows++
		for i, cell := range strings.Split(line, "|")[2:5] {
			found := name.FindAllStringSubmatch(cell, -1)
			if len(found) == 0 {
				t.Errorf("row %d, program %d has no test", rows, i)
			}
			for _, m := range found {
				if !strings.Contains(tests.String(), "func "+m[1]+"(t *testing.T)") {
					t.Errorf("there is no test %s", m[1])
				}
			}
		}
	}
	if rows != 6 {
		t.Errorf("%d rows, want 6", rows)
	}
}
