package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/fsck"
	"github.com/sanad-id/sanad/internal/pgtest"
)

// officeOn is newOffice on PostgreSQL.
func officeOn(t *testing.T, owner, service string) *office {
	o := &office{T: t, dir: t.TempDir(), now: time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)}
	o.must("init", o.path("office"), "--name", "Registry", "--country", "XA", "--store", service, "--store-owner", owner)
	o.must("programme", "add", "--dir", o.path("office"), "../../examples/programmes/farmer-card.yaml")
	return o
}

// TestDB15Postgres overwrites pages of a server that keeps checksums while it is stopped.
// What a start reads keeps everybody from starting; the rest is found by fsck, which says
// what to do and never that all is well; a command that meets it sends to fsck.
func TestDB15Postgres(t *testing.T) {
	c := pgtest.Start(t, pgtest.Options{Checksums: true})
	owner, service := c.New(t)
	o := officeOn(t, owner, service)
	dir := o.path("office")
	id := strings.Fields(o.must(o.issue(farmers(t, 1)[0])...))[0]
	const (
		form, index, meta, trigger = "sanad.credential_form", "sanad.credential_credential_id_key", "sanad.meta", "pg_catalog.pg_trigger"
		people, queue, once        = "sanad_desk.meta", "sanad_queue.river_migration", "sanad_once.meta"

		well = "all of it agrees"
		met  = "warning: the server has met damaged pages"
	)
	says := func(want int, texts []string, args ...string) {
		t.Helper()
		status, out := o.run(append(args, "--dir", dir)...)
		if status != want {
			t.Fatalf("%v: status %d, want %d: %s", args, status, want, out)
		}
		for _, text := range texts {
			if !strings.Contains(out, text) {
				t.Errorf("%v does not say %q: %s", args, text, out)
			}
		}
		if want != 0 && strings.Contains(out, well) {
			t.Errorf("%v says that all is well: %s", args, out)
		}
	}
	whole := []string{well}
	if _, out := o.run("config", "check", "--dir", dir); strings.Contains(out, "checksums") || strings.Contains(out, met) {
		t.Errorf("config check on a server with checksums: %s", out)
	}
	says(0, whole, "fsck")

	c.Damage(t, owner, form, index, people, queue, once)
	says(exitPartial, []string{
		"pages: the database: table credential_form: the database server reports XX001: invalid page in block 0", "  what to do: " + fsck.Pages.Remedy(),
		"index: " + index + ": the database server reports XX001", "  what to do: " + fsck.Index.Remedy(),
		"table " + people + ": the database server reports XX001", "table " + queue + ": the database", "table " + once + ": the database",
	}, "fsck")
	says(1, []string{"the database is damaged", "hint: stop work and run `issuer fsck`"}, "revoke", id, "--reason", "lost")
	says(0, []string{met}, "config", "check")

	c.Damage(t, owner, form, meta, trigger, people, queue, once)
	for _, args := range [][]string{{"fsck"}, {"config", "check"}, {"revoke", id, "--reason", "lost"}} {
		says(1, []string{"the database is damaged: postgres://", "invalid page in block 0", "hint: stop the server, copy its data directory away"}, args...)
	}
	c.Damage(t, owner, meta)
	says(1, []string{"the database is damaged: postgres://", "hint: stop the server"}, "fsck") // the schema cannot be read
	c.Damage(t, owner, trigger)
	says(exitPartial, []string{"index: " + index}, "fsck")
	c.Exec(t, owner, "REINDEX INDEX "+index)
	says(0, []string{well, met}, "fsck")
	o.must("revoke", "--dir", dir, id, "--reason", "lost")
}

// TestEncoding: init makes nothing in a database that does not keep text in UTF-8, and
// config check names one; both say what to do.
func TestEncoding(t *testing.T) {
	owner, service := pgtest.New(t)
	o := officeOn(t, owner, service)
	otherOwner, other := pgtest.NewEncoded(t, "SQL_ASCII")
	settings := filepath.Join(o.path("office"), settingsName)
	b, err := os.ReadFile(settings)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(settings, bytes.ReplaceAll(bytes.ReplaceAll(b, []byte(service), []byte(other)), []byte(owner), []byte(otherOwner)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"init", o.path("second"), "--name", "Civil Registry", "--country", "XA", "--store", other},
		{"config", "check", "--dir", o.path("office")}, {"migrate", "--dir", o.path("office")},
	} {
		status, out := o.run(args...)
		if status != 1 || !strings.Contains(out, "does not keep text in UTF-8") || !strings.Contains(out, "in SQL_ASCII") || !strings.Contains(out, "hint: make a database with CREATE DATABASE") {
			t.Errorf("%v: %s", args, out)
		}
	}
	if _, err := os.Stat(o.path("second")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("init has left something: %v", err)
	}
}

// TestNoChecksums: without checksums damage may not be noticed, of which config check and
// fsck warn.
func TestNoChecksums(t *testing.T) {
	owner, service := pgtest.New(t)
	o := officeOn(t, owner, service)
	kept := pgtest.Setting(t, owner, "data_checksums") == "on"
	for _, args := range [][]string{{"config", "check"}, {"fsck"}, {"fsck", "--json"}} {
		out := o.must(append(args, "--dir", o.path("office"))...)
		if warned := strings.Contains(out, "`pg_checksums --enable`"); warned == kept {
			t.Errorf("the server keeps checksums: %t; %v says: %s", kept, args, out)
		}
	}
}
