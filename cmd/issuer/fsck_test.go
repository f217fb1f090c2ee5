package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/fsck"
)

// TestFsckReadsThePublishedFolder: that of the settings, or the one that is named; and it
// says what to do about what it finds.
func TestFsckReadsThePublishedFolder(t *testing.T) {
	o := newOffice(t)
	dir, public := o.path("office"), o.path("public")
	id := strings.Fields(o.must(o.issue(farmers(t, 1)[0])...))[0]
	check := func(want int, args ...string) string {
		t.Helper()
		status, out := o.run(append([]string{"fsck", "--dir", dir}, args...)...)
		if status != want {
			t.Fatalf("fsck %v: status %d, want %d: %s", args, status, want, out)
		}
		return out
	}
	check(1, "--published", public) // which is not there
	o.must("status", "publish", "--dir", dir, "--out", public)
	if out := check(0, "--published", public); !strings.Contains(out, " published files") {
		t.Errorf("it does not say that it read the folder: %s", out)
	}
	list := o.published(public).Lists[0].File
	if err := os.WriteFile(filepath.Join(public, list), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	check(0) // no folder in the settings
	out := check(exitPartial, "--published", public)
	for _, want := range []string{"folder_damaged: " + list + ": ", "  what to do: " + fsck.FolderDamaged.Remedy()} {
		if !strings.Contains(out, want) {
			t.Errorf("fsck does not say %q: %s", want, out)
		}
	}
	settings, err := os.ReadFile(filepath.Join(dir, "issuer.yaml"))
	if err != nil || strings.Contains(string(settings), "\nserve:") {
		t.Fatalf("%v: %s", err, settings)
	}
	write(t, filepath.Join(dir, "issuer.yaml"), string(settings)+"serve: {published: ../public}\n")
	if out := check(exitPartial, "--json"); !strings.Contains(out, `"remedy"`) || !strings.Contains(out, "folder_damaged") {
		t.Errorf("fsck --json: %s", out)
	}
	o.must("status", "publish", "--dir", dir, "--out", public)
	check(0)
	// Published elsewhere, and not here.
	o.must("revoke", "--dir", dir, id, "--reason", "lost")
	o.wait(time.Minute)
	o.must("status", "publish", "--dir", dir, "--out", o.path("elsewhere"))
	check(0)
	o.wait(time.Hour)
	if out := check(exitPartial); !strings.Contains(out, "folder_late: ") {
		t.Errorf("fsck of a folder that stayed behind: %s", out)
	}
}

// TestFsckWithoutJournal: a journal that is away, or damaged, keeps fsck from its work; what it
// says to do lets it do that.
func TestFsckWithoutJournal(t *testing.T) {
	dir := t.TempDir()
	office := filepath.Join(dir, "office")
	issuer := commands(t)
	issuer(0, "init", office, "--name", "Civil Registry", "--country", "XA", "--url", "https://registry.example")
	entries := filepath.Join(office, "journal", "entries.jsonl")
	for what, spoil := range map[string]func() error{
		"away":    func() error { return os.Rename(filepath.Join(office, "journal"), filepath.Join(dir, "away")) },
		"cut off": func() error { return os.Truncate(entries, 10) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if _, talk := issuer(1, "fsck", "--dir", office); !strings.Contains(talk, "hint: ") || !strings.Contains(talk, "`issuer audit journal --create`") {
			t.Errorf("%s: %s", what, talk)
		}
		if err := os.Rename(filepath.Join(office, "journal"), filepath.Join(dir, "kept")); err != nil && what != "away" {
			t.Fatal(err)
		}
		issuer(0, "audit", "journal", "--create", "--dir", office)
		issuer(0, "fsck", "--dir", office)
	}
	if _, talk := issuer(1, "fsck", "--dir", office, "--journal", filepath.Join(dir, "none")); !strings.Contains(talk, "hint: name the folder") {
		t.Errorf("a journal that was named: %s", talk)
	}
}
