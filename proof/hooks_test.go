package proof

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestShippedProgramHasNoHooks builds the program as it is shipped: it must not
// have what the build for proofs has.
func TestShippedProgramHasNoHooks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "issuer")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "../cmd/issuer").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	hook := []byte("SANAD_PROOF")
	shipped, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(shipped, hook) {
		t.Errorf("the shipped program knows %s", hook)
	}
	proofs, err := os.ReadFile(issuerPath)
	if err != nil || !bytes.Contains(proofs, hook) {
		t.Errorf("the program for proofs does not know %s: %v", hook, err)
	}
}
