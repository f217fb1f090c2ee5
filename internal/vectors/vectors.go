// Package vectors finds the public test vectors for the tests of all packages.
// They are not part of the repository (docs/test-vectors.md names their
// sources): tests read them from the directory in SANAD_VECTORS, by default
// ../shared/vectors beside the repository. Where they are absent a test is
// skipped with one line that says so, or fails if SANAD_REQUIRE_VECTORS is 1.
//
// The package is imported by tests only.
package vectors

import (
	"os"
	"path/filepath"
	"testing"
)

// Path returns the path of a vector file or folder.
func Path(t testing.TB, elem ...string) string {
	t.Helper()
	path, ok := Find(t, elem...)
	if !ok {
		t.Skipf("no test vectors at %s (see docs/test-vectors.md)", path)
	}
	return path
}

// Find is Path for a test that goes on without: where the vectors are absent, ok is
// false.
func Find(t testing.TB, elem ...string) (path string, ok bool) {
	t.Helper()
	dir := os.Getenv("SANAD_VECTORS")
	if dir == "" {
		dir = filepath.Join(Root(t), "..", "shared", "vectors")
	}
	path = filepath.Join(append([]string{dir}, elem...)...)
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("SANAD_REQUIRE_VECTORS") == "1" {
			t.Fatalf("test vectors are required: %v", err)
		}
		return path, false
	}
	return path, true
}

// Read returns the content of a vector file.
func Read(t testing.TB, elem ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(Path(t, elem...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Root is the directory of go.mod.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the test's directory")
		}
		dir = parent
	}
}
