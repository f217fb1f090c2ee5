package faulttest_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/internal/pgtest"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/store"
)

// confirm is what an operator does after having looked.
func (x *issuer) confirm(url string) {
	x.Helper()
	p, err := x.try(x.Context(), url, func(o *store.Options, _ *issuance.Config) { o.WhileFenced = true })
	must(x, err)
	must(x, p.db.Confirm(x.Context(), time.Now(), nil))
	must(x, p.db.Close())
}

// looksFenced wants those who only look at a database to see that it takes no work: who opens
// it now, and who has had it open and has not written since.
func (x *issuer) looksFenced(url string, old *process) {
	x.Helper()
	p, err := x.try(x.Context(), url, func(o *store.Options, _ *issuance.Config) { o.ReadOnly = true })
	must(x, err)
	if got := p.db.Fenced(); got != store.FenceFailedOver {
		x.Errorf("DB-05 who only looks: Fenced is %q, want %q", got, store.FenceFailedOver)
	}
	if stored, err := p.db.FenceStored(x.Context()); stored || err != nil {
		x.Errorf("DB-05: FenceStored is %t, %v; a standby does not say by itself that it took over", stored, err)
	}
	must(x, p.db.Close())
	if err := old.db.CheckFence(x.Context()); !errors.Is(err, store.ErrFenced) {
		x.Errorf("DB-05: CheckFence: %v, want ErrFenced", err)
	}
}

// TestDB05 lets a standby take over that lacks the last commits, or that might.
// Nobody issues anything, neither who had the database open nor who opens it then,
// until somebody has confirmed it; and who had it open before that never does.
func TestDB05(t *testing.T) {
	for _, tt := range []struct {
		name        string
		hold        bool // the standby lacks the last commits
		synchronous bool // and the settings say it never does
	}{
		{"an asynchronous standby that lacks commits", true, false},
		{"an asynchronous standby that may lack some", false, false},
		{"a standby that should be synchronous and lacks commits", true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := pgtest.Start(t, pgtest.Options{})
			owner, service := c.New(t)
			x := newIssuer(t, owner, service)
			standby := c.Standby(t, false)
			both := pgtest.URL(t, service, c, standby)
			option := func(o *store.Options, _ *issuance.Config) { o.SynchronousStandby = tt.synchronous }
			folder := filepath.Join(t.TempDir(), "journal")
			must(t, audit.CreateJournal(folder))
			journal, err := audit.OpenJournal(folder)
			must(t, err)
			old := []*process{x.open(both, option, func(o *store.Options, _ *issuance.Config) { o.Journal = journal }), x.open(both, option)}
			for _, p := range old {
				must(t, p.issue(x))
			}
			if tt.hold {
				standby.HoldBack(t)
			}
			for _, p := range old { // so that each has seen what is lost
				must(t, p.issue(x))
			}
			if !tt.hold {
				standby.CatchUp(t, c)
			}
			c.Kill(t)
			standby.Promote(t)
			url := pgtest.URL(t, service, standby)
			before := x.issued(url)
			if want := map[bool]int{true: 2, false: 4}[tt.hold]; before != want {
				t.Errorf("the standby has %d credentials, want %d", before, want)
			}
			fenced := func(what string, p *process) {
				t.Helper()
				for range 3 {
					if err := p.issue(x); !errors.Is(err, store.ErrFenced) {
						t.Errorf("DB-05 %s: %v, want ErrFenced", what, err)
					}
				}
			}
			if !tt.synchronous {
				x.looksFenced(url, old[0])
			}
			for _, p := range old {
				fenced("who had it open", p)
			}
			if tt.synchronous {
				// The settings are wrong. A process that has seen nothing of what is
				// lost believes them, unless its journal has.
				must(t, old[0].db.Close())
				must(t, journal.Close())
				journal, err := audit.OpenJournal(folder)
				must(t, err)
				_, err = x.try(t.Context(), url, option, func(o *store.Options, _ *issuance.Config) { o.Journal = journal })
				if !errors.Is(err, store.ErrBehindJournal) {
					t.Errorf("DB-05 who opens it now, with a journal: %v, want ErrBehindJournal", err)
				}
				must(t, journal.Close())
				old = old[1:]
			} else {
				late := x.open(url, option)
				fenced("who opens it now", late)
				if late.db.Fenced() == "" {
					t.Error("DB-05: Fenced says nothing")
				}
				old = append(old, late)
			}
			if got := x.issued(url); got != before {
				t.Errorf("DB-05: %d credentials were stored while it was fenced", got-before)
			}
			x.confirm(pgtest.URL(t, owner, standby))
			for _, p := range old {
				fenced("DB-19: who had it open before it was confirmed", p)
			}
			if got := x.issued(url); got != before {
				t.Errorf("DB-19: %d credentials were stored by those of before", got-before)
			}
			again := x.open(url, option)
			for range 5 {
				must(t, again.issue(x))
			}
		})
	}
}
