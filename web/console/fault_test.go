package console_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/web/console"
)

// TestAuditBeforeAct: P08. The audit log is full, read-only, hangs or is gone: every
// change about people is answered with 503 and nothing has happened; when the log is
// back the same request succeeds.
func TestAuditBeforeAct(t *testing.T) {
	defer console.SetNotePatience(50 * time.Millisecond)()
	faults := map[string]func(ctx context.Context, _ issuance.Note) error{
		"full":      func(context.Context, issuance.Note) error { return syscall.ENOSPC },
		"read-only": func(context.Context, issuance.Note) error { return syscall.EROFS },
		"hangs":     func(ctx context.Context, _ issuance.Note) error { <-ctx.Done(); return ctx.Err() },
		"killed":    func(context.Context, issuance.Note) error { return errors.New("connection refused") },
	}
	changes := []struct {
		name string
		// prepare returns the change, and what it would change.
		prepare func(b *bed) (do func() answer, look func() any)
	}{
		{"propose somebody", func(b *bed) (func() answer, func() any) {
			w := b.as("north", staff.Head)
			return func() answer { return w.post("/people/new", "name", "X", "office", "north", "roles", "clerk") }, b.proposals
		}},
		{"propose roles", func(b *bed) (func() answer, func() any) {
			w, op := b.as("north", staff.Head), b.person("north", staff.Clerk)
			return func() answer { return w.post("/people/"+op.ID+"/roles", "roles", "approver") }, b.proposals
		}},
		{"propose recovery", func(b *bed) (func() answer, func() any) {
			w, op := b.as("north", staff.Head), b.person("north", staff.Clerk)
			return func() answer { return w.post("/people/" + op.ID + "/recover") }, b.proposals
		}},
		{"propose an office", func(b *bed) (func() answer, func() any) {
			w := b.as("north", staff.Administrator)
			return func() answer { return w.post("/offices/new", "id", "west", "name", "West") }, b.proposals
		}},
		{"suspend", func(b *bed) (func() answer, func() any) {
			w, op := b.as("north", staff.Head), b.person("north", staff.Clerk)
			return func() answer { return w.post("/people/" + op.ID + "/suspend") }, b.standing(op.ID)
		}},
		{"leave", func(b *bed) (func() answer, func() any) {
			w, op := b.as("north", staff.Head), b.person("north", staff.Clerk)
			return func() answer { return w.post("/people/" + op.ID + "/leave") }, b.standing(op.ID)
		}},
		{"approve", func(b *bed) (func() answer, func() any) {
			w, p := b.as("north", staff.Head), b.proposal("north", staff.ChangePerson)
			return func() answer {
				return w.post("/people/proposals/"+p.ID+"/approve", "shown", hex.EncodeToString(p.Digest[:]))
			}, b.stateOf(p.ID)
		}},
		{"refuse", func(b *bed) (func() answer, func() any) {
			w, p := b.as("north", staff.Head), b.proposal("north", staff.ChangePerson)
			return func() answer { return w.post("/people/proposals/" + p.ID + "/refuse") }, b.stateOf(p.ID)
		}},
		{"carry out", func(b *bed) (func() answer, func() any) {
			w, p := b.as("north", staff.Head), b.proposal("north", staff.ChangePerson)
			_, err := b.desk.Approve(b.t.Context(), p.ID, p.Digest, w.Operator, b.clock())
			must(b.t, err)
			return func() answer { return w.post("/people/proposals/" + p.ID + "/use") }, b.stateOf(p.ID)
		}},
		{"carry out an office", func(b *bed) (func() answer, func() any) {
			w, p := b.as("north", staff.Administrator), b.proposal("north", staff.ChangeOffice)
			_, err := b.desk.Approve(b.t.Context(), p.ID, p.Digest, w.Operator, b.clock())
			must(b.t, err)
			return func() answer { return w.post("/offices/proposals/" + p.ID + "/use") }, b.stateOf(p.ID)
		}},
		{"remove a passkey", func(b *bed) (func() answer, func() any) {
			w := b.as("north", staff.Clerk)
			must(b.t, b.desk.AddPasskey(b.t.Context(), staff.Passkey{ID: []byte("second"), Operator: w.Operator.ID, Data: []byte("{}")}, b.clock()))
			return func() answer {
					return w.post("/account/passkeys/remove", "id", base64.RawURLEncoding.EncodeToString([]byte("second")))
				}, func() any {
					keys, err := b.desk.Passkeys(b.t.Context(), w.Operator.ID)
					must(b.t, err)
					return len(keys)
				}
		}},
	}
	for _, change := range changes {
		t.Run(change.name, func(t *testing.T) {
			b := newBed(t)
			do, look := change.prepare(b)
			before := look()
			for name, fault := range faults {
				b.audit.failWith(fault)
				if a := do(); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
					t.Errorf("P08 %s: %d, want 503 with Retry-After", name, a.status)
				}
				if after := look(); after != before {
					t.Errorf("P08 %s: it was %v and is %v", name, before, after)
				}
			}
			b.audit.failWith(nil)
			if a := do(); a.status >= 400 || look() == before {
				t.Errorf("when the log is back: %d, still %v", a.status, look())
			}
		})
	}
}

func (b *bed) proposals() any {
	all, err := b.desk.Proposals(b.t.Context(), "", nil)
	must(b.t, err)
	return len(all)
}

func (b *bed) standing(id string) func() any {
	return func() any {
		op, err := b.desk.Operator(b.t.Context(), id)
		must(b.t, err)
		return op.Standing
	}
}

func (b *bed) stateOf(id string) func() any {
	return func() any {
		p, err := b.desk.Proposal(b.t.Context(), id)
		must(b.t, err)
		return p.State
	}
}
