package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/wallet"
)

// TestListWithOneDamaged: list and log say what can be read, and then what cannot.
func TestListWithOneDamaged(t *testing.T) {
	dir, pass := filepath.Join(t.TempDir(), "w"), filepath.Join(t.TempDir(), "pass")
	const passphrase, good, bad = "correct horse battery", "0000000000000001", "0000000000000002"
	if err := cheapWallet(dir, passphrase); err != nil {
		t.Fatal(err)
	}
	w, err := wallet.Open(dir, []byte(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Put(wallet.Held{ID: good, Type: "urn:xa:licence", Accepted: cardIssued, Copies: []wallet.Copy{{}}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Note(wallet.Entry{ID: good, At: time.Now(), Deed: wallet.Accepted, Credential: good}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string]string{pass: passphrase, filepath.Join(dir, "held", bad+".age"): "half", filepath.Join(dir, "log", bad+".age"): "half"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range []string{"list", "log"} {
		var out, errs bytes.Buffer
		status := run(t.Context(), []string{command, "--dir", dir, "--passphrase-file", pass, "--lang", "en"}, strings.NewReader(""), &out, &errs)
		if status != statusFailed || !strings.Contains(out.String(), good) || !strings.Contains(errs.String(), bad+".age") {
			t.Errorf("%s: status %d\n%s\n%s", command, status, out.String(), errs.String())
		}
	}
}
