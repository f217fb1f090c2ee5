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
	// RFC 9106 leaves the cost to the user; ours stands in the file.
	dear, cheap := []byte("\x00\x00\x4c\x00\x00\x00\x00\x04\x00\x00\x00\x01"), []byte("\x00\x00\x00\x40\x00\x00\x00\x01\x00\x00\x00\x01")
	for _, program := range []struct {
		path string
		cost []byte
	}{{path, dear}, {issuerPath, cheap}} {
		dir := filepath.Join(t.TempDir(), "office")
		if out, err := exec.CommandContext(t.Context(), program.path, "init", dir, "--name", "Registry", "--country", "XA").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if keystore := read(t, filepath.Join(dir, "keystore.sanad")); !bytes.Contains(keystore[:64], program.cost) {
			t.Errorf("the keystore of %s begins with % x, want a cost of % x", program.path, keystore[:64], program.cost)
		}
	}
	proofs, err := os.ReadFile(issuerPath)
	if err != nil || !bytes.Contains(proofs, hook) {
		t.Errorf("the program for proofs does not know %s: %v", hook, err)
	}
}
