package issuance_test

import (
	"errors"
	"testing"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/issuance"
)

// TestNotesOfOperators: an operator's deed stands in the log as it was noted, and what is not a
// note of ids only is refused and leaves nothing.
func TestNotesOfOperators(t *testing.T) {
	good := issuance.Note{
		Kind: audit.OperatorIntended, Actor: "op-abcdefgh", Action: "issue.approve", Subject: "pr-abcdefgh", Digest: [32]byte{1},
	}
	tests := []struct {
		name  string
		spoil func(*issuance.Note)
		ok    bool
	}{
		{"good", func(*issuance.Note) {}, true},
		{"without subject and digest", func(n *issuance.Note) { n.Subject, n.Digest = "", [32]byte{} }, true},
		{"a kind of the issuer", func(n *issuance.Note) { n.Kind = audit.CredentialRevoked }, false},
		{"no kind", func(n *issuance.Note) { n.Kind = "" }, false},
		{"nobody", func(n *issuance.Note) { n.Actor = "" }, false},
		{"a person's name", func(n *issuance.Note) { n.Actor = "Amina Rahman" }, false},
		{"no action", func(n *issuance.Note) { n.Action = "" }, false},
		{"P22 the name of a person as the subject", func(n *issuance.Note) { n.Subject = "Amina Rahman" }, false},
		{"P22 a name in another script", func(n *issuance.Note) { n.Subject = "আমিনা" }, false},
		{"an action that is no code", func(n *issuance.Note) { n.Action = "Approve it!" }, false},
	}
	m := newMemory()
	b := newBed(t, m)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n, before := good, len(m.events)
			tt.spoil(&n)
			err := b.service.Note(t.Context(), n)
			if (err == nil) != tt.ok {
				t.Fatalf("Note: %v", err)
			}
			if !tt.ok {
				if len(m.events) != before {
					t.Error("a refused note was written")
				}
				return
			}
			if len(m.events) != before+1 {
				t.Fatalf("%d new entries, want 1", len(m.events)-before)
			}
			if e := m.events[before]; e.Kind != n.Kind || e.Actor != n.Actor || e.Reason != n.Action || e.Detail != n.Subject {
				t.Errorf("the entry is %+v", e)
			}
		})
	}
	m.fault = func(int) (error, bool) { return errors.New("the disk is full"), false }
	before := len(m.events)
	if err := b.service.Note(t.Context(), good); err == nil || len(m.events) != before {
		t.Errorf("P08 a log that cannot be written: %v", err)
	}
}
