package work_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/staff"
	"github.com/sanad-id/sanad/work"
)

// TestIssueOne goes the whole way: find, take up, ask, agree, sign, print, hand over.
func TestIssueOne(t *testing.T) {
	b := newBed(t)
	ctx := t.Context()
	ref := b.Ref("births", b.id(1))
	i, err := b.Take(ctx, clerk, ref)
	b.must(err)
	if i.State != work.Checking || i.Queue() != work.ToCheck {
		t.Errorf("taken up: %s", i.State)
	}
	c := b.see(clerk, 1)
	if c.Open == nil || c.Open.ID != i.ID || c.Sheet == nil || len(c.Sheet.Forms) != 3 || !c.TwoPersons {
		t.Fatalf("the case is not complete: %+v", c.Open)
	}
	i, err = b.Ask(ctx, clerk, work.Ask{Ref: ref, Shown: c.Sheet.Shown})
	b.must(err)
	counts, err := b.Counts(ctx, approver)
	b.must(err)
	if counts[work.ToApprove] != 1 {
		t.Errorf("counts %v", counts)
	}
	shown, err := b.Sheet(ctx, approver, &i)
	b.must(err)
	if shown.Shown != i.Shown {
		t.Fatal("the second person is shown something else")
	}
	i, err = b.Approve(ctx, approver, i.ID, shown.Shown)
	b.must(err)
	i, err = b.Run(ctx, i.ID)
	b.must(err)
	if i.State != work.Signed || b.held(1) != "active" || b.service.acts["issue"] != 1 {
		t.Fatalf("%s, credentials %s", i.State, b.held(1))
	}
	p, err := b.Print(ctx, clerk, i.ID)
	b.must(err)
	// What was shown is what was signed, field for field.
	if len(p.Forms) != 2 {
		t.Fatalf("%d forms to print", len(p.Forms))
	}
	for k, f := range p.Forms {
		read, err := cwt.Parse(f.Token)
		b.must(err)
		got := issuance.Named(shown.Programme, read.Person, read.Fields)
		if len(got) == 0 || !reflect.DeepEqual(got, shown.Forms[k].Claims) {
			t.Errorf("form %s: signed other claims than were shown", f.Form)
		}
	}
	o, err := b.Offer(ctx, clerk, i.ID, "", true)
	b.must(err)
	if !strings.HasSuffix(o.Link, "births") {
		t.Errorf("offer %q", o.Link)
	}
	i, err = b.Printed(ctx, clerk, i.ID)
	b.must(err)
	if i.State != work.Done {
		t.Errorf("printed: %s", i.State)
	}
	_, err = b.Print(ctx, clerk, i.ID)
	b.wants(err, work.ErrState)
	if got, want := b.service.deeds(9), "taken asked approved opened offered printed"; got != want {
		t.Errorf("noted %q, want %q", got, want)
	}
	// Every deed that was intended is noted as done, too.
	open := map[work.Deed]int{}
	for _, n := range b.service.notes {
		switch n.Phase {
		case work.Intended:
			open[n.Deed]++
		case work.Ended:
			open[n.Deed]--
		default:
			t.Errorf("%s is noted as %s", n.Deed, n.Phase)
		}
	}
	for deed, n := range open {
		if n != 0 {
			t.Errorf("%s is noted %d times too few as done", deed, n)
		}
	}
	lines, err := b.Timeline(ctx, clerk, b.see(clerk, 1))
	b.must(err)
	var deeds []string
	for _, l := range lines {
		deeds = append(deeds, l.Deed)
	}
	for _, want := range []string{"taken", "asked", "approved", "signed", "opened", "printed", "credential.signed"} {
		if !slices.Contains(deeds, want) {
			t.Errorf("the timeline lacks %q: %v", want, deeds)
		}
	}
}

// TestOnePerson: where one is enough nobody else is asked.
func TestOnePerson(t *testing.T) {
	b := newBed(t, func(c *work.Config) { c.Approval = "one" })
	c := b.see(clerk, 1)
	if c.TwoPersons {
		t.Fatal("two persons")
	}
	i, err := b.Ask(t.Context(), clerk, work.Ask{Ref: c.Ref, Shown: c.Sheet.Shown})
	b.must(err)
	if i, err = b.Run(t.Context(), i.ID); err != nil || i.State != work.Signed {
		t.Fatalf("%v %v", i.State, err)
	}
}

// TestRefusals spoils one thing at a time.
func TestRefusals(t *testing.T) {
	auditor := person("auditor", "north", staff.Auditor)
	second := person("second", "north", staff.Clerk, staff.Approver)
	administrator := person("administrator", "north", staff.Administrator)
	shownTo := func(b *bed, i work.Item) [32]byte {
		s, err := b.Sheet(b.Context(), approver, &i)
		b.must(err)
		return s.Shown
	}
	tests := []struct {
		name string
		try  func(b *bed) error
		want error
		held string // the credentials of record 1 afterwards
	}{
		{"WORK-01 own request", func(b *bed) error {
			c := b.see(second, 1)
			i, err := b.Ask(b.Context(), second, work.Ask{Ref: c.Ref, Shown: c.Sheet.Shown})
			b.must(err)
			_, err = b.Approve(b.Context(), second, i.ID, i.Shown)
			if !strings.HasSuffix(b.service.deeds(9), "refused") {
				b.Error("the try is not noted")
			}
			return err
		}, work.ErrOwn, ""},
		{"WORK-02 approved after an edit of the record", func(b *bed) error {
			i := b.asked(1)
			b.register.set(b.id(1), "name", "Somebody Else")
			_, err := b.Approve(b.Context(), approver, i.ID, i.Shown)
			if i, _ = b.Item(b.Context(), clerk, i.ID); i.State != work.Checking || i.Problem != work.ProblemChanged {
				b.Errorf("the item is %s", i.State)
			}
			return err
		}, work.ErrChanged, ""},
		{"WORK-03 edited after the approval", func(b *bed) error {
			i := b.agreed(1)
			b.register.set(b.id(1), "name", "Somebody Else")
			i, err := b.Run(b.Context(), i.ID)
			b.must(err)
			if i.State != work.Checking {
				b.Errorf("the item is %s", i.State)
			}
			_, err = b.Run(b.Context(), i.ID)
			return err
		}, work.ErrState, ""},
		{"WORK-04 another page than was asked for", func(b *bed) error {
			i := b.asked(1)
			_, err := b.Approve(b.Context(), approver, i.ID, [32]byte{1})
			if i, _ = b.Item(b.Context(), clerk, i.ID); i.State != work.Waiting {
				b.Errorf("the item is %s", i.State)
			}
			return err
		}, work.ErrChanged, ""},
		{"WORK-05 approved twice", func(b *bed) error {
			i := b.agreed(1)
			_, err := b.Approve(b.Context(), approver, i.ID, i.Shown)
			return err
		}, work.ErrState, ""},
		{"WORK-06 done twice", func(b *bed) error {
			i := b.signed(1)
			_, err := b.Run(b.Context(), i.ID)
			return err
		}, work.ErrState, "active"},
		{"WORK-07 done without approval", func(b *bed) error {
			_, err := b.Run(b.Context(), b.asked(1).ID)
			return err
		}, work.ErrState, ""},
		{"WORK-08 approved too late", func(b *bed) error {
			i := b.asked(1)
			shown := shownTo(b, i)
			b.later(24 * time.Hour)
			_, err := b.Approve(b.Context(), approver, i.ID, shown)
			return err
		}, work.ErrTooLate, ""},
		{"WORK-09 an approval that nobody used in time", func(b *bed) error {
			i := b.agreed(1)
			b.later(24 * time.Hour)
			i, err := b.Run(b.Context(), i.ID)
			b.must(err)
			if i.State != work.Checking {
				b.Errorf("the item is %s", i.State)
			}
			_, err = b.Run(b.Context(), i.ID)
			return err
		}, work.ErrState, ""},
		{"WORK-10 asked for what was not shown", func(b *bed) error {
			_, err := b.Ask(b.Context(), clerk, work.Ask{Ref: b.Ref("births", b.id(1))})
			return err
		}, work.ErrChanged, ""},
		{"WORK-11 asked twice", func(b *bed) error {
			b.asked(1)
			c := b.see(clerk, 1)
			_, err := b.Ask(b.Context(), clerk, work.Ask{Ref: c.Ref, Shown: c.Sheet.Shown})
			return err
		}, work.ErrBusy, ""},
		{"WORK-12 a clerk approves", func(b *bed) error {
			i := b.asked(1)
			_, err := b.Approve(b.Context(), person("other", "north", staff.Clerk), i.ID, i.Shown)
			return err
		}, staff.ErrMayNot, ""},
		{"WORK-13 an auditor asks", func(b *bed) error {
			c := b.see(auditor, 1)
			_, err := b.Ask(b.Context(), auditor, work.Ask{Ref: c.Ref, Shown: c.Sheet.Shown})
			return err
		}, staff.ErrMayNot, ""},
		{"WORK-14 an administrator looks", func(b *bed) error {
			_, err := b.Case(b.Context(), administrator, b.Ref("births", b.id(1)))
			return err
		}, staff.ErrMayNot, ""},
		{"WORK-15 record of another office", func(b *bed) error {
			_, err := b.Case(b.Context(), southern, b.Ref("births", b.id(1)))
			return err
		}, work.ErrNoRecord, ""},
		{"WORK-16 item of another office", func(b *bed) error {
			_, err := b.Item(b.Context(), southern, b.asked(1).ID)
			return err
		}, work.ErrNoItem, ""},
		{"WORK-17 approval from another office", func(b *bed) error {
			i := b.asked(1)
			_, err := b.Approve(b.Context(), southern, i.ID, i.Shown)
			return err
		}, work.ErrNoItem, ""},
		{"WORK-18 print of another office", func(b *bed) error {
			_, err := b.Print(b.Context(), southern, b.signed(1).ID)
			return err
		}, work.ErrNoItem, "active"},
		{"WORK-19 undone by another office", func(b *bed) error {
			_, err := b.Undo(b.Context(), southern, b.ordered(1, work.Revoke).ID)
			return err
		}, work.ErrNoItem, "active"},
		{"WORK-20 a reference that was made up", func(b *bed) error {
			_, err := b.Case(b.Context(), clerk, "AAAA"+b.Ref("births", b.id(1))[4:])
			return err
		}, work.ErrNoRecord, ""},
		{"WORK-21 a programme that is not the office's", func(b *bed) error {
			_, err := b.Case(b.Context(), person("x", "other", staff.Clerk), b.Ref("births", b.id(1)))
			return err
		}, work.ErrNoRecord, ""},
		{"WORK-22 replaced without a reason", func(b *bed) error {
			b.printed(1)
			c := b.see(clerk, 1)
			_, err := b.Ask(b.Context(), clerk, work.Ask{Ref: c.Ref, Shown: c.Sheet.Shown})
			return err
		}, work.ErrReason, "active"},
		{"WORK-23 a reason of the service's own", func(b *bed) error {
			b.printed(1)
			c := b.see(clerk, 1)
			_, err := b.Ask(b.Context(), clerk, work.Ask{Ref: c.Ref, Shown: c.Sheet.Shown, Reason: issuance.Leftover})
			return err
		}, work.ErrReason, "active"},
		{"WORK-24 resumed what is active", func(b *bed) error {
			b.printed(1)
			c := b.see(approver, 1)
			_, err := b.Order(b.Context(), approver, work.Order{Ref: c.Ref, Credential: c.Held().ID, Kind: work.Resume})
			return err
		}, work.ErrState, "active"},
		{"WORK-25 a credential of another record", func(b *bed) error {
			b.printed(1)
			i := b.printed(3)
			_, err := b.Order(b.Context(), clerk, work.Order{Ref: b.Ref("births", b.id(1)), Credential: i.Made, Kind: work.Revoke, Reason: issuance.Lost})
			return err
		}, work.ErrNoItem, "active"},
		{"WORK-26 ordered twice", func(b *bed) error {
			i := b.ordered(1, work.Revoke)
			_, err := b.Order(b.Context(), clerk, work.Order{Ref: b.Ref("births", b.id(1)), Credential: i.Credential, Kind: work.Suspend, Reason: issuance.Lost})
			return err
		}, work.ErrBusy, "active"},
		{"WORK-27 undone too late", func(b *bed) error {
			i := b.ordered(1, work.Revoke)
			b.later(work.DefaultUndo)
			_, err := b.Undo(b.Context(), clerk, i.ID)
			return err
		}, work.ErrTooLate, "active"},
		{"WORK-28 a change before its time", func(b *bed) error {
			i := b.ordered(1, work.Revoke)
			b.later(work.DefaultUndo - time.Millisecond)
			_, err := b.Run(b.Context(), i.ID)
			return err
		}, work.ErrState, "active"},
		{"WORK-29 a clerk does not let it wait", func(b *bed) error {
			_, err := b.Hurry(b.Context(), clerk, b.ordered(1, work.Revoke).ID)
			return err
		}, staff.ErrMayNot, "active"},
		{"WORK-30 returned without a word", func(b *bed) error {
			_, err := b.Return(b.Context(), approver, b.asked(1).ID, "  ")
			return err
		}, work.ErrComment, ""},
		{"WORK-31 a comment that is a letter", func(b *bed) error {
			_, err := b.Refuse(b.Context(), approver, b.asked(1).ID, strings.Repeat("x", work.MaxComment+1))
			return err
		}, work.ErrComment, ""},
		{"WORK-32 a print that is too old", func(b *bed) error {
			i := b.signed(1)
			b.later(work.DefaultPrint)
			_, err := b.Print(b.Context(), clerk, i.ID)
			return err
		}, work.ErrTooLate, "active"},
		{"WORK-33 withdrawn by a colleague", func(b *bed) error {
			_, err := b.Withdraw(b.Context(), approver, b.asked(1).ID)
			return err
		}, staff.ErrMayNot, ""},
		{"WORK-34 offered what is not held", func(b *bed) error {
			_, err := b.OfferFor(b.Context(), clerk, b.Ref("births", b.id(1)), "", true)
			return err
		}, work.ErrState, ""},
		{"WORK-35 offered while it is being replaced", func(b *bed) error {
			b.printed(1)
			b.asked(1)
			_, err := b.OfferFor(b.Context(), clerk, b.Ref("births", b.id(1)), "", true)
			return err
		}, work.ErrBusy, "active"},
		{"WORK-36 no rights while suspended", func(b *bed) error {
			gone := clerk
			gone.Standing = staff.Suspended
			_, err := b.Take(b.Context(), gone, b.Ref("births", b.id(1)))
			return err
		}, staff.ErrMayNot, ""},
	}
	o := newOffice(t)
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBedAt(t, o, fmt.Sprintf("R%d-", i))
			if err := tt.try(b); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if got := b.held(1); got != tt.held {
				t.Errorf("record 1 holds %q, want %q", got, tt.held)
			}
		})
	}
}

// ordered is a change of record n's credential that waits.
func (b *bed) ordered(n int, k work.Kind) work.Item {
	b.Helper()
	b.printed(n)
	c := b.see(approver, n)
	reason := issuance.Lost
	if k == work.Resume {
		_, err := b.service.Service.Suspend(b.Context(), c.Held().ID, reason, "tester")
		b.must(err)
		reason = issuance.NoReason
	}
	i, err := b.Order(b.Context(), approver, work.Order{Ref: c.Ref, Credential: c.Held().ID, Kind: k, Reason: reason})
	b.must(err)
	return i
}

// printed is a credential whose work is over.
func (b *bed) printed(n int) work.Item {
	b.Helper()
	i, err := b.Printed(b.Context(), clerk, b.signed(n).ID)
	b.must(err)
	return i
}

// TestNothingWithoutTheLog: without the audit log no item is made, moved or done.
func TestNothingWithoutTheLog(t *testing.T) {
	away := errors.New("the disk is full")
	o := newOffice(t)
	for name, try := range map[string]func(b *bed, i work.Item) error{
		"take": func(b *bed, _ work.Item) error {
			_, err := b.Take(b.Context(), clerk, b.Ref("births", b.id(3)))
			return err
		},
		"ask": func(b *bed, _ work.Item) error {
			c := b.see(clerk, 3)
			_, err := b.Ask(b.Context(), clerk, work.Ask{Ref: c.Ref, Shown: c.Sheet.Shown})
			return err
		},
		"approve": func(b *bed, i work.Item) error {
			_, err := b.Approve(b.Context(), approver, i.ID, i.Shown)
			return err
		},
		"return": func(b *bed, i work.Item) error {
			_, err := b.Return(b.Context(), approver, i.ID, "the name is wrong")
			return err
		},
		"withdraw": func(b *bed, i work.Item) error {
			_, err := b.Withdraw(b.Context(), clerk, i.ID)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBedAt(t, o, name+"-")
			i := b.asked(1)
			b.service.away = away
			if err := try(b, i); !errors.Is(err, away) {
				t.Errorf("error %v", err)
			}
			if again, err := b.Item(t.Context(), clerk, i.ID); err != nil || again.State != work.Waiting || again.Rev != i.Rev {
				t.Errorf("the item is %s, revision %d", again.State, again.Rev)
			}
			if counts, _ := b.Counts(t.Context(), clerk); counts[work.ToApprove] != 1 || len(counts) != 1 {
				t.Errorf("counts %v", counts)
			}
		})
	}
}

// TestChanges: each change is made when its time has come, and takes its parts along.
func TestChanges(t *testing.T) {
	o := newOffice(t)
	for kind, want := range map[work.Kind]string{work.Revoke: "revoked lost", work.Suspend: "suspended lost", work.Resume: "active"} {
		t.Run(string(kind), func(t *testing.T) {
			b := newBedAt(t, o, string(kind)+"-")
			i := b.ordered(1, kind)
			before := b.held(1)
			if n, err := b.RunDue(t.Context()); n != 0 || err != nil || b.held(1) != before {
				t.Fatalf("%d done before the time: %v", n, err)
			}
			b.later(work.DefaultUndo)
			if n, err := b.RunDue(t.Context()); n != 1 || err != nil {
				t.Fatalf("%d done, %v", n, err)
			}
			if b.held(1) != want {
				t.Errorf("%s, want %s", b.held(1), want)
			}
			if i, err := b.Item(t.Context(), clerk, i.ID); err != nil || i.State != work.Done {
				t.Errorf("the item is %s: %v", i.State, err)
			}
			if n, err := b.RunDue(t.Context()); n != 0 || err != nil {
				t.Errorf("%d done again: %v", n, err)
			}
		})
	}
	b := newBed(t)
	i := b.ordered(1, work.Revoke)
	_, err := b.Undo(t.Context(), clerk, i.ID)
	b.must(err)
	b.later(time.Hour)
	if n, err := b.RunDue(t.Context()); n != 0 || err != nil || b.held(1) != "active" {
		t.Errorf("undone, and yet %s (%d, %v)", b.held(1), n, err)
	}
	i = b.order(1, work.Revoke)
	_, err = b.Hurry(t.Context(), approver, i.ID)
	b.must(err)
	if n, err := b.RunDue(t.Context()); n != 1 || err != nil || b.held(1) != "revoked lost" {
		t.Errorf("hurried, and yet %s (%d, %v)", b.held(1), n, err)
	}
}

func (b *bed) order(n int, k work.Kind) work.Item {
	b.Helper()
	c := b.see(approver, n)
	i, err := b.Order(b.Context(), approver, work.Order{Ref: c.Ref, Credential: c.Held().ID, Kind: k, Reason: issuance.Lost})
	b.must(err)
	return i
}

// TestReplace: a reprint gives way in one step and needs its own approval.
func TestReplace(t *testing.T) {
	b := newBed(t)
	b.printed(1)
	b.later(time.Minute)
	i := b.signed(1)
	if i.Kind != work.Replace || b.held(1) != "revoked superseded, active" {
		t.Errorf("%s: %s", i.Kind, b.held(1))
	}
}

// TestPrintLapses: what nobody printed within a day is erased, and somebody has to look.
func TestPrintLapses(t *testing.T) {
	b := newBed(t)
	i := b.signed(1)
	sealed, err := b.store.Print(t.Context(), i.ID)
	b.must(err)
	if bytes.Contains(sealed, []byte("Canary")) || bytes.Contains(sealed, []byte("NCF")) {
		t.Error("the print is kept readable")
	}
	b.later(work.DefaultPrint)
	if n, err := b.Sweep(t.Context()); n != 1 || err != nil {
		t.Fatalf("%d swept, %v", n, err)
	}
	_, err = b.store.Print(t.Context(), i.ID)
	b.wants(err, work.ErrNoPrint)
	i, err = b.Item(t.Context(), clerk, i.ID)
	b.must(err)
	if i.State != work.Failed || i.Problem != work.ProblemPrint || i.Queue() != work.Problems {
		t.Errorf("%s %s", i.State, i.Problem)
	}
	i, err = b.Recheck(t.Context(), clerk, i.ID)
	b.must(err)
	b.later(time.Second)
	if i = b.signed(1); i.State != work.Signed || b.held(1) != "revoked superseded, active" {
		t.Errorf("%s: %s", i.State, b.held(1))
	}
	// Items that are over go, with everything about them.
	_, err = b.Printed(t.Context(), clerk, i.ID)
	b.must(err)
	b.later(work.DefaultKeep + time.Hour)
	_, err = b.Sweep(t.Context())
	b.must(err)
	_, err = b.Item(t.Context(), clerk, i.ID)
	b.wants(err, work.ErrNoItem)
}

// TestNamesNobody: no value of a record and no id of one stands in an item, an event, a
// note, an address or an error.
func TestNamesNobody(t *testing.T) {
	b := newBed(t)
	i := b.signed(1)
	b.service.mu.Lock()
	text := fmt.Sprintf("%v %+v %#v %v", i, i, i, b.service.notes)
	b.service.mu.Unlock()
	p, err := b.Print(t.Context(), clerk, i.ID)
	b.must(err)
	events, err := b.store.ItemEvents(t.Context(), work.EventQuery{Item: i.ID})
	b.must(err)
	c := b.see(clerk, 1)
	text += fmt.Sprintf("%v %+v %#v %v %v %v %v", p, p, p, events, c.Ref, *c.Sheet, c.Record)
	b.register.set(b.id(3), "name", "Canary \u202e")
	_, err = b.Case(t.Context(), clerk, b.Ref("births", b.id(3)))
	text += fmt.Sprint(err)
	_, err = b.Find(t.Context(), clerk, work.Search{Text: strings.Repeat("Canary ", 100)})
	text += fmt.Sprint(err)
	for _, secret := range []string{"Canary", "B-1", "B-3", "1984"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q stands in\n%s", secret, text)
		}
	}
}
