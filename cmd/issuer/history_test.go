package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/issuance"
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
