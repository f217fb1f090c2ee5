package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/internal/durable"
)

// TestBackupAlone: two backups of one name do not write into each other's file, and what one
// that broke off has left is in nobody's way.
func TestBackupAlone(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	issuer := commands(t)
	issuer(0, "init", in("office"), "--name", "Civil Registry", "--country", "XA", "--url", "https://registry.example")
	write(t, in("pass"), "correct horse battery staple\n")
	write(t, in("monday.backup.part"), "as far as the other one is")
	other, err := os.Open(in("monday.backup.part"))
	if err == nil {
		err = durable.TryLock(other)
	}
	if err != nil {
		t.Fatal(err)
	}
	take := []string{"backup", "--dir", in("office"), "--out", in("monday.backup"), "--passphrase-file", in("pass")}
	if _, talk := issuer(1, take...); !strings.Contains(talk, "another process is writing") || !strings.Contains(talk, "hint: wait for it") {
		t.Errorf("beside another one: %s", talk)
	}
	if b, err := os.ReadFile(in("monday.backup.part")); err != nil || string(b) != "as far as the other one is" {
		t.Errorf("the other one's file: %q, %v", b, err)
	}
	if err := other.Close(); err != nil { // as when it ends
		t.Fatal(err)
	}
	issuer(0, take...)
	issuer(0, "backup", "show", in("monday.backup"), "--passphrase-file", in("pass"), "--dir", in("office"))
	if _, err := os.Stat(in("monday.backup.part")); err == nil {
		t.Error("what broke off is still there")
	}
}
