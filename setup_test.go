package sanad_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestVerdictNamesWhatIsMissing: `make test` ends with scripts/setup-test.sh --verdict,
// which claims no more than what could be tested on this machine.
func TestVerdictNamesWhatIsMissing(t *testing.T) {
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(makefile), "\t@scripts/demo.sh --quiet\n\t@scripts/setup-test.sh --verdict\n\n") {
		t.Error("make test does not end with the verdict")
	}
	// A machine with a shell and little else.
	bin := t.TempDir()
	for _, name := range []string{"bash", "dirname", "cmp"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	said := func() string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "bash"), "scripts/setup-test.sh", "--verdict")
		cmd.Env = []string{"PATH=" + bin, "SANAD_VECTORS=" + filepath.Join(bin, "vectors")}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	parts := []string{"strace", "redis-server", "poppler-utils", "nodejs", "npm", "test vectors"}
	first := said()
	if !strings.HasPrefix(first, "make test: passed, without ") || strings.Count(first, "\n") != 1 {
		t.Errorf("with nothing installed: %s", first)
	}
	for _, part := range parts {
		if !strings.Contains(first, ", "+part) && !strings.Contains(first, "without "+part) {
			t.Errorf("%s is missing and not named: %s", part, first)
		}
	}
	// With these there it is not missed any more.
	for _, name := range []string{"strace", "redis-server", "pdftoppm", "node", "npm"} {
		if err := os.Symlink("/bin/true", filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(bin, "vectors"), 0o700); err != nil {
		t.Fatal(err)
	}
	then := strings.ReplaceAll(said(), "npm packages", "")
	for _, part := range parts {
		if strings.Contains(then, part) {
			t.Errorf("%s is there and is missed: %s", part, then)
		}
	}
}
