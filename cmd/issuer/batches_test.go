package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sanad-id/sanad/batchwork"
	"github.com/sanad-id/sanad/internal/pgtest"
	"github.com/sanad-id/sanad/issuance"
	people "github.com/sanad-id/sanad/store/desk"
)

// TestBatchesFolder: servers that share a database work in one folder of batches. One with
// another folder does not begin, once there is something that it would miss; nor does one
// whose folder is damaged or none.
func TestBatchesFolder(t *testing.T) {
	owner, service := pgtest.New(t)
	c, err := pgx.ParseConfig(service)
	if err != nil {
		t.Fatal(err)
	}
	if err := people.Prepare(t.Context(), owner, people.Options{ServiceRole: c.User}); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	const origin = "https://registry.example"
	b := newStaffBed(t, origin, "{}")
	settings := filepath.Join(b.dir, settingsName)
	text, err := os.ReadFile(settings)
	if err != nil {
		t.Fatal(err)
	}
	// begins has a server begin with a folder of batches. Its settings have no certificate:
	// one that complains of that has been satisfied by everything before.
	begins := func(name, folder, refusal string, more ...string) {
		t.Helper()
		of := fmt.Sprintf("console: {enabled: true, origin: '%s', desk: '%s', batches: '%s'}", origin, service, in(folder))
		write(t, settings, strings.Replace(string(text), "console: {}", of, 1))
		status, _, errs := b.run(t.Context(), append([]string{"serve", "--listen", "127.0.0.1:0"}, more...)...)
		if refused := !strings.Contains(errs, "TLS certificate"); status == 0 || refused != (refusal != "") || !strings.Contains(errs, refusal) {
			t.Errorf("%s: status %d, want the refusal %q\n%s", name, status, refusal, errs)
		}
	}
	begins("the first folder", "a", "")
	begins("another one, while there are no batches", "b", "")
	db, err := people.Open(t.Context(), service, people.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // a test
	job, err := batchwork.New(batchwork.Order{Office: "main", Programme: "card", Requester: "op-1", Name: "list.csv", Kinds: []issuance.FileKind{issuance.FileCSV}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := db.AddJob(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	begins("the folder of the batches", "b", "")
	begins("a folder of before", "a", errOtherFolder.Error())
	begins("a new folder", "c", errOtherFolder.Error())
	begins("a new folder, and what to do", "c", "--new-batches-folder")
	begins("the folder of the batches after those", "b", "")
	if err := os.Rename(in("b"), in("moved")); err != nil {
		t.Fatal(err)
	}
	begins("an empty folder where that of the batches was", "b", errOtherFolder.Error())
	begins("the same folder at another place", "moved", "")
	begins("a folder that takes its place", "c", "", "--new-batches-folder")
	begins("the one that was replaced", "moved", errOtherFolder.Error())
	begins("the one that took its place", "c", "")
	write(t, in("c/folder-id"), "not an id\n")
	begins("a folder whose id is damaged", "c", "folder-id holds no id")
	write(t, in("file"), "")
	begins("a file in place of a folder", "file", "not a directory")
}
