package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/store"
)

// TestClockLead: what a clock would date that lies too far ahead of the last entry of the
// audit log is not stored, nor the latest date of issue that it would leave behind.
func TestClockLead(t *testing.T) {
	const lead = 14 * 24 * time.Hour
	year := now.AddDate(1, 0, 0)
	for name, open := range map[string]func(t *testing.T, o store.Options) *store.DB{
		"sqlite": func(t *testing.T, o store.Options) *store.DB {
			db, err := openAgain(t, create(t), o)
			must(t, err)
			return db
		},
		"postgres": func(t *testing.T, o store.Options) *store.DB { return reopenPostgres(t, createPostgres(t), o) },
	} {
		if name == "postgres" && testing.Short() {
			continue
		}
		t.Run(name, func(t *testing.T) {
			o := options
			o.ClockLead = lead
			db := open(t, o)
			note := func(ctx context.Context, at time.Time) (tick time.Time, err error) {
				err = db.Write(ctx, func(tx issuance.Tx) error {
					if tick, err = tx.Tick(at); err != nil {
						return err
					}
					return tx.Append([]audit.Event{{Time: at, Kind: audit.ProgrammeAdded, Actor: "tester"}})
				})
				return tick, err
			}
			for _, step := range []struct {
				name string
				ctx  context.Context
				at   time.Time
				want error
			}{
				{"the first entry", t.Context(), now, nil},
				{"just as far as may be", t.Context(), now.Add(lead), nil},
				{"a millisecond further", t.Context(), now.Add(2*lead + time.Millisecond), issuance.ErrClockAhead},
				{"a year", t.Context(), year, issuance.ErrClockAhead},
				{"the clock is right again, and back a little", t.Context(), now.Add(time.Hour), nil},
				{"somebody says that it is right", store.AnyClock(t.Context()), year, nil},
				{"goes on from there", t.Context(), year.Add(time.Hour), nil},
			} {
				tick, err := note(step.ctx, step.at)
				if !errors.Is(err, step.want) {
					t.Errorf("%s: %v, want %v", step.name, err, step.want)
				}
				if step.at.Equal(now.Add(time.Hour)) && !tick.Equal(now.Add(lead)) {
					t.Errorf("%s: the latest date is %s: something refused has moved it", step.name, tick)
				}
			}
			last, err := db.AuditLast(t.Context())
			if err != nil || !last.Equal(year.Add(time.Hour)) {
				t.Errorf("the last entry is of %s, %v", last, err)
			}
		})
	}
}
