package keys_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
)

// TestFailsClosed is promise P13 for the key store: each fault has a cell or a reason
// why there is none, and none of them gives a key. TestOpenFileRefuses has more of each.
func TestFailsClosed(t *testing.T) {
	good, err := os.ReadFile(keystest.File(t).Path())
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(good)
	flipped[len(flipped)-1] ^= 1
	cells := map[string]struct {
		content    []byte // nil for no file
		passphrase []byte
		want       error
	}{
		"missing":         {nil, passphrase, keys.ErrNoFile},
		"malformed":       {good[:len(good)/2], passphrase, keys.ErrTruncatedFile},
		"wrong signature": {flipped, passphrase, keys.ErrCorruptFile},
		"wrong subject":   {good, []byte("the passphrase of another file"), keys.ErrPassphrase},
		"too large":       {bytes.Repeat(good, 9<<20/len(good)+1), passphrase, keys.ErrForeignFile},
		"wrong type":      {bytes.Repeat([]byte("not a keystore "), 100), passphrase, keys.ErrForeignFile},
	}
	none := map[string]string{
		"unreachable": "a file is there or not; a device that fails is a cell of the signers (TestP18 of package issuance)",
		"timeout":     "a file is read at once; a lock that somebody holds ends with the caller's context (TestFileWhileOpen)",
		"stale":       "a key past its time signs nothing (TestRotationsWithoutGap, CheckSigner); an older file has no date that could be told",
	}
	for _, fault := range []string{"missing", "unreachable", "timeout", "stale", "malformed", "wrong signature", "wrong subject", "too large", "wrong type"} {
		c, cell := cells[fault]
		if !cell {
			if none[fault] == "" {
				t.Errorf("P13 key store, %s: neither a cell nor a reason", fault)
			}
			continue
		}
		path := filepath.Join(t.TempDir(), "keystore.sanad")
		if c.content != nil {
			if err := os.WriteFile(path, c.content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if f, err := keys.OpenFile(path, c.passphrase); !errors.Is(err, c.want) || f != nil {
			t.Errorf("P13 key store, %s: %v, %v, want %v", fault, f, err, c.want)
		}
		if _, err := os.Stat(path); c.content == nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error("P13 key store, missing: it was made")
		}
	}
}
