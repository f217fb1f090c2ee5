package figures_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/figures"
	"github.com/sanad-id/sanad/internal/officetest"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/store/desk"
)

// whose says that tester works in the north; nobody knows the others.
func whose(_ context.Context, actor, _ string) (string, error) {
	return map[string]string{"tester": "north"}[actor], nil
}

func total(t *testing.T, s figures.Store, k figures.Key) int64 {
	t.Helper()
	counts, err := s.Tally(t.Context(), "2026-01-01", "2026-12-31")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range counts {
		if strings.Contains(fmt.Sprint(c), "Nurjahan") || len(c.Day) != 10 {
			t.Errorf("a count of %+v", c)
		}
	}
	return figures.Sum(counts)[k]
}

// TestFollowCountsWhatTheStoreSays: whatever is done, and however often the log is
// followed meanwhile, by one process or by two, the numbers are those of the issuer.
func TestFollowCountsWhatTheStoreSays(t *testing.T) {
	for _, often := range []bool{false, true} {
		t.Run(fmt.Sprint("after each deed ", often), func(t *testing.T) {
			o := officetest.New(t, officetest.Options{ListSize: 1 << 10})
			db, err := desk.Open(t.Context(), filepath.Join(t.TempDir(), "desk.db"), desk.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			follow := func() {
				t.Helper()
				done := make(chan error)
				for range 2 {
					go func() { done <- figures.Follow(t.Context(), o.DB, "log 1", db, whose) }()
				}
				for range 2 {
					if err := <-done; err != nil {
						t.Fatal(err)
					}
				}
			}
			step := func() {
				if often {
					follow()
				}
			}
			var ids []string
			for n := range 6 {
				ids = append(ids, o.Issue("farmer-card", n+1).ID)
				step()
			}
			o.Issue("farmer-card", 1) // replaces the first
			step()
			o.Issue("receipt", 1)
			if _, err := o.Deliver(2, 2); err != nil {
				t.Fatal(err)
			}
			step()
			o.Revoke(ids[2])
			if _, err := o.Service.Suspend(t.Context(), ids[3], issuance.Investigation, "tester"); err != nil {
				t.Fatal(err)
			}
			o.Revoke(ids[1]) // with its part in a wallet, which does not count by itself
			step()
			follow()
			follow()
			for _, tt := range []struct {
				key  figures.Key
				want int64
			}{
				{figures.Key{What: figures.Issued}, 8}, {figures.Key{What: figures.Issued, Programme: "receipt"}, 1},
				{figures.Key{What: figures.Issued, Office: "north"}, 8}, {figures.Key{What: figures.Issued, Day: "2026-11-12"}, 8},
				{figures.Key{What: figures.Wallet}, 1}, {figures.Key{What: figures.Wallet, Office: "north"}, 0}, {figures.Key{What: figures.Replaced}, 1},
				{figures.Key{What: figures.Revoked}, 2}, {figures.Key{What: "revoked.lost"}, 2}, {figures.Key{What: figures.Suspended}, 1},
				{figures.Key{What: figures.Failed}, 0},
			} {
				if got := total(t, db, tt.key); got != tt.want {
					t.Errorf("%+v: %d, want %d", tt.key, got, tt.want)
				}
			}
			// Another log begins anew.
			if err := figures.Follow(t.Context(), o.DB, "log 2", db, whose); err != nil {
				t.Fatal(err)
			}
			if got := total(t, db, figures.Key{What: figures.Issued}); got != 8 {
				t.Errorf("counted anew: %d, want 8", got)
			}
		})
	}
}

func TestSum(t *testing.T) {
	sum := figures.Sum([]figures.Count{
		{"2026-11-12", "north", "card", "issued", 2}, {"2026-11-12", "", "card", "issued", 3}, {"2026-11-13", "south", "card", "issued", 4},
		{"2026-11-13", "north", "", "batches", 1},
	})
	for k, want := range map[figures.Key]int64{
		{What: "issued"}: 9, {What: "issued", Office: "north"}: 2, {What: "issued", Programme: "card"}: 9, {What: "issued", Day: "2026-11-12"}: 5,
		{What: "issued", Day: "2026-11-13", Office: "south", Programme: "card"}: 4, {What: "batches"}: 1, {What: "issued", Office: "west"}: 0,
	} {
		if sum[k] != want {
			t.Errorf("%+v: %d, want %d", k, sum[k], want)
		}
	}
}
