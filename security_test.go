package sanad_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestSecurityNamesEveryPromise: each promise P01 to P30 begins a row of the table in
// SECURITY.md or stands beside one that does, with its proof.
func TestSecurityNamesEveryPromise(t *testing.T) {
	text, err := os.ReadFile("SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]bool{}
	for _, row := range regexp.MustCompile(`(?m)^\| (P[0-9]{2} .*) \| (.+) \|$`).FindAllStringSubmatch(string(text), -1) {
		if !strings.Contains(row[2], "`") {
			t.Errorf("%q names no package that proves it", row[1])
		}
		for _, promise := range regexp.MustCompile(`\bP[0-9]{2}\b`).FindAllString(row[1], -1) {
			said[promise] = true
		}
	}
	for n := 1; n <= 30; n++ {
		if promise := fmt.Sprintf("P%02d", n); !said[promise] {
			t.Errorf("SECURITY.md says nothing of %s", promise)
		}
	}
}
