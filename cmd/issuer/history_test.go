package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/staff"
	people "github.com/sanad-id/sanad/store/desk"
)

// TestHistoryFromLog: the timeline of a record tells from the audit log what commands
// have done to its certificate, in order and with who and why, whatever the console's
// own database knew before.
func TestHistoryFromLog(t *testing.T) {
	o := newOffice(t)
	records := farmers(t, 3)
	id := strings.Fields(o.must(o.issue(records[0])...))[0]
	o.wait(time.Hour)
	o.must(o.issue(records[1])...)
	o.must("suspend", "--dir", o.path("office"), id, "--reason", "lost")
	o.wait(time.Hour)
	o.must("resume", "--dir", o.path("office"), id)

	cmd := &cobra.Command{}
	cmd.SetContext(t.Context())
	p := &program{Program: cli.Program{Name: "issuer", Now: o.Now}, dir: o.path("office")}
	cfg, ks, err := p.openSettings(cmd)
	if err != nil {
		t.Fatal(err)
	}
	d := newDesk(p, cmd, cfg, ks)
	t.Cleanup(d.close)
	db, err := people.Open(t.Context(), filepath.Join(o.path("office"), deskName), people.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	w := &workOffice{d: d, people: db}

	tell := func() (all []string) {
		t.Helper()
		c, err := w.Credential(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		h, err := w.History(t.Context(), []issuance.Credential{c})
		if err != nil || h.Behind {
			t.Fatalf("History: behind %t, %v", h.Behind, err)
		}
		for _, e := range h.Events {
			if e.Credential != id || e.Actor == "" || e.Time.IsZero() {
				t.Errorf("an event of %q by %q at %v", e.Credential, e.Actor, e.Time)
			}
			all = append(all, fmt.Sprintf("%s %s", e.Kind, e.Reason))
		}
		return all
	}
	want := []string{"credential.intended ", "credential.signed ", "credential.suspended lost", "credential.resumed "}
	if got := tell(); !slices.Equal(got, want) {
		t.Errorf("the history: %q, want %q", got, want)
	}
	// What happens later is there at the next look.
	d.close()
	o.must("revoke", "--dir", o.path("office"), id, "--reason", "lost")
	if got := tell(); !slices.Equal(got, append(want, "credential.revoked lost")) {
		t.Errorf("after a revocation: %q", got)
	}
}

// TestOfficesAreNoticed: an office that is made while a server runs is noticed within a
// tick and not after the whole wait; without one the wait is whole.
func TestOfficesAreNoticed(t *testing.T) {
	db, err := people.Open(t.Context(), filepath.Join(t.TempDir(), deskName), people.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	w := &workOffice{people: db}
	known := w.officesMark(t.Context())
	looks := 0
	mark := func(ctx context.Context) string {
		if looks++; looks == 3 {
			if err := db.SaveOffice(ctx, staff.Office{ID: "north", Name: "North", Column: "district", Values: []string{"N1"}}); err != nil {
				t.Error(err)
			}
		}
		return w.officesMark(ctx)
	}
	awaitOffices(t.Context(), mark, known, time.Millisecond, time.Hour)
	if looks != 3 {
		t.Errorf("noticed at look %d, want 3", looks)
	}
	made := w.officesMark(t.Context())
	if err := db.SaveOffice(t.Context(), staff.Office{ID: "north", Name: "The north", Column: "district", Values: []string{"N1"}}); err != nil {
		t.Fatal(err)
	}
	if w.officesMark(t.Context()) != made {
		t.Error("another name has the index made anew")
	}
	began := time.Now()
	awaitOffices(t.Context(), w.officesMark, made, time.Millisecond, 20*time.Millisecond)
	if time.Since(began) < 20*time.Millisecond {
		t.Error("it does not wait")
	}
}

// TestPublishAsOperator: what an operator publishes carries the operator in the audit log.
func TestPublishAsOperator(t *testing.T) {
	o := newOffice(t)
	o.must(o.issue(farmers(t, 1)[0])...)
	cmd := &cobra.Command{}
	cmd.SetContext(t.Context())
	p := &program{Program: cli.Program{Name: "issuer", Now: o.Now}, dir: o.path("office")}
	cfg, ks, err := p.openSettings(cmd)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Serve.Published = o.path("public")
	d := newDesk(p, cmd, cfg, ks)
	t.Cleanup(d.close)
	m := &managers{p: p, cmd: cmd, d: d}
	if err := m.Publish(t.Context(), "op-somebody"); err != nil {
		t.Fatal(err)
	}
	found := map[audit.Kind]string{}
	err = d.with(readOnly, func(a *app) error {
		size, err := a.store.AuditSize(t.Context())
		if err != nil {
			return err
		}
		for line, err := range a.store.AuditEntries(t.Context(), size) {
			if err != nil {
				return err
			}
			_, e, err := audit.ParseEntry(line)
			if err != nil {
				return err
			}
			found[e.Kind] = e.Actor
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []audit.Kind{audit.TrustPublished, audit.StatusPublished} {
		if found[k] != "op-somebody" {
			t.Errorf("%s carries %q", k, found[k])
		}
	}
	if found[audit.CredentialSigned] == "op-somebody" {
		t.Error("so does what the server's account did")
	}
}
