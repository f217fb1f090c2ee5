package sanad_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
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

// TestDependencyFloor: nothing is built with a version of which something is known that would
// harm us, the Go toolchain included: `go` is the least that go.mod lets build.
func TestDependencyFloor(t *testing.T) {
	text, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	floor := map[string]string{
		"go":                            "1.26.6", // CVE-2026-33818, -56858, -56860, -56864, -56865
		"golang.org/x/mod":              "0.40.0", // CVE-2026-56865
		"github.com/lestrrat-go/jwx/v2": "2.1.7",
		"github.com/go-jose/go-jose/v4": "4.1.4", // CVE-2026-34986
		"github.com/jackc/pgx/v5":       "5.9.2", // CVE-2026-33815, -33816, -41889
		"github.com/redis/go-redis/v9":  "9.7.3", // CVE-2025-29923
		"golang.org/x/oauth2":           "0.27.0",
		"golang.org/x/net":              "0.55.0", // CVE-2026-39821
		"github.com/gorilla/csrf":       "",       // CVE-2025-47909: none is good
	}
	used := 0
	for _, m := range regexp.MustCompile(`(?m)^(?:require )?\s*(\S+) v?([0-9]+\.[0-9]+\.[0-9]+)`).FindAllStringSubmatch(string(text), -1) {
		least, named := floor[m[1]]
		switch {
		case !named:
		case least == "":
			t.Errorf("%s is used, and no version of it is good", m[1])
		case slices.Compare(numbers(t, m[2]), numbers(t, least)) < 0:
			t.Errorf("%s %s may be used, at least %s is needed", m[1], m[2], least)
		default:
			used++
		}
	}
	if used < 6 {
		t.Errorf("%d of the dependencies are in go.mod: it was not read", used)
	}
}

// numbers are those of a version.
func numbers(t *testing.T, version string) []int {
	t.Helper()
	var all []int
	for part := range strings.SplitSeq(version, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
	}
	return all
}
