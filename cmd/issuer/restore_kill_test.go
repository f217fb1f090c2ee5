//go:build unix

package main

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"filippo.io/age"
)

// TestKillRestore kills backup, restore and confirm at random moments. What is left
// must be nothing, or complete, or to be gone on with by the same command.
func TestKillRestore(t *testing.T) {
	kills := 4
	switch {
	case os.Getenv("SANAD_SOAK") == "1":
		kills = 60
	case testing.Short():
		kills = 1
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "issuer")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	call := func(limit time.Duration, args ...string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), limit) // which kills
		defer cancel()
		cmd := exec.CommandContext(ctx, program, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	must := func(args ...string) {
		t.Helper()
		if out, err := call(3*time.Minute, args...); err != nil {
			t.Fatalf("issuer %v: %v\n%s", args, err, out)
		}
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"to": id.Recipient().String(), "key": id.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	must("init", "office", "--name", "Office", "--country", "XA")
	must("programme", "add", "--dir", "office", filepath.Join(root, "examples", "programmes", "birth-certificate.yaml"))
	must("sample", "births", "--records", "400", "--out", "births.csv")
	_, _ = call(3*time.Minute, "batch", "--dir", "office", "--programme", "birth-certificate", "--source", "births.csv", "--out", "out", "--form", "text")
	exists := func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	}
	started := time.Now()
	must("backup", "--dir", "office", "--out", "good", "--recipients", "to")
	took := time.Since(started)
	moment := func() time.Duration { return time.Duration(rand.Int64N(int64(took) * 5 / 4)) }
	complete := 0
	for range kills {
		_, _ = call(moment(), "backup", "--dir", "office", "--out", "killed", "--recipients", "to")
		if exists("killed") {
			complete++
			must("backup", "show", "killed", "--identity", "key", "--dir", "office")
			if err := os.Remove(filepath.Join(dir, "killed")); err != nil {
				t.Fatal(err)
			}
		}
	}
	must("sample", "births", "--records", "300", "--seed", "9", "--out", "more.csv")
	_, _ = call(3*time.Minute, "batch", "--dir", "office", "--programme", "birth-certificate", "--source", "more.csv", "--out", "out2", "--form", "text")
	restore := []string{"restore", "good", "--dir", "new", "--identity", "key", "--key-passphrase-file", filepath.Join("office", "secrets", "passphrase")}
	for range kills {
		_, _ = call(moment(), restore...)
		if exists("new") {
			complete++
			must("config", "check", "--dir", "new")
			if err := os.RemoveAll(filepath.Join(dir, "new")); err != nil {
				t.Fatal(err)
			}
		}
	}
	must(restore...)
	confirm := []string{"restore", "confirm", "--dir", "new", "--journal", filepath.Join("office", "journal"), "--alone", "--reason", "no-console"}
	for range kills {
		_, _ = call(moment(), confirm...)
	}
	if out, err := call(3*time.Minute, confirm...); err != nil {
		t.Logf("the last confirm: %v\n%s", err, out) // one that was killed late had finished
	}
	must("fsck", "--dir", "new")
	must("trust", "export", "--dir", "new", "--out", "next.trust")
	t.Logf("%d kills, %d of them after the work was done", 3*kills, complete)
}
