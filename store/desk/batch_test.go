package desk_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanad-id/sanad/batchwork"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/store/desk"
)

func job(t *testing.T, office string, made time.Time) batchwork.Job {
	t.Helper()
	j, err := batchwork.New(batchwork.Order{
		Office: office, Programme: "card", Requester: "op-1", Name: "list.csv", Kinds: []issuance.FileKind{issuance.FileCSV},
	}, made)
	must(t, err)
	return j
}

// TestJobs is the contract of [batchwork.Store], on both databases.
func TestJobs(t *testing.T) {
	engines(t, func(t *testing.T, location string) {
		ctx, db := t.Context(), open(t, location)
		other := open(t, location)
		north, south := job(t, "north", now), job(t, "south", now.Add(time.Hour))
		north.Dry = batchwork.Counts{Records: 9, Good: 8, Faulty: 1}
		must(t, db.AddJob(ctx, north))
		must(t, db.AddJob(ctx, south))
		if err := db.AddJob(ctx, north); !errors.Is(err, desk.ErrExists) {
			t.Errorf("the same job twice: %v", err)
		}
		got, err := other.Job(ctx, north.ID)
		if err != nil || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", north) {
			t.Errorf("Job: %+v, %v, want %+v", got, err, north)
		}
		if _, err := db.Job(ctx, "NOSUCHJOB"); !errors.Is(err, batchwork.ErrNoJob) {
			t.Errorf("no job: %v", err)
		}
		if _, err := db.SaveJob(ctx, job(t, "north", now)); !errors.Is(err, batchwork.ErrNoJob) {
			t.Errorf("a job that was never added is saved: %v", err)
		}

		ids := func(q batchwork.Query) (all string) {
			jobs, err := other.Jobs(ctx, q)
			must(t, err)
			for _, j := range jobs {
				all += j.Office + " "
			}
			return all
		}
		south.State, south.Erased = batchwork.Cancelled, now
		if south, err = db.SaveJob(ctx, south); err != nil || south.Revision != 1 {
			t.Fatalf("SaveJob: %+v, %v", south, err)
		}
		for _, tt := range []struct {
			q    batchwork.Query
			want string
		}{
			{batchwork.Query{}, "south north "}, {batchwork.Query{Office: "north"}, "north "}, {batchwork.Query{Office: "west"}, ""},
			{batchwork.Query{States: []batchwork.State{batchwork.Cancelled, batchwork.Finished}}, "south "}, {batchwork.Query{Files: true}, "north "},
			{batchwork.Query{Before: now.Add(time.Hour)}, "north "}, {batchwork.Query{Since: now.Add(time.Hour)}, "south "}, {batchwork.Query{Limit: 1}, "south "},
		} {
			if got := ids(tt.q); got != tt.want {
				t.Errorf("%+v finds %q, want %q", tt.q, got, tt.want)
			}
		}
		// A print that is to be made is found, and nothing else by it.
		printing := south
		printing.Print = batchwork.Print{State: batchwork.Printing, Asked: now}
		if south, err = db.SaveJob(ctx, printing); err != nil {
			t.Fatal(err)
		}
		if got := ids(batchwork.Query{Printing: true}); got != "south " {
			t.Errorf("jobs that print: %q, want south", got)
		}
		south.Print.State = batchwork.Printable
		if south, err = db.SaveJob(ctx, south); err != nil || ids(batchwork.Query{Printing: true}) != "" {
			t.Errorf("after the print: %v, %q", err, ids(batchwork.Query{Printing: true}))
		}

		// What is over stays over, whatever the program believes.
		again := south
		again.State = batchwork.Running
		if _, err := db.SaveJob(ctx, again); err == nil {
			t.Error("a cancelled job runs again")
		}

		// Of many that change the same revision one wins.
		var won, moved atomic.Int32
		var wg sync.WaitGroup
		for i := range 8 {
			d := db
			if i%2 == 0 {
				d = other
			}
			wg.Go(func() {
				mine := north
				mine.Requester = fmt.Sprintf("op-%d", i)
				switch _, err := d.SaveJob(ctx, mine); {
				case err == nil:
					won.Add(1)
				case errors.Is(err, batchwork.ErrMoved):
					moved.Add(1)
				default:
					t.Errorf("SaveJob: %v", err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 || moved.Load() != 7 {
			t.Errorf("%d won and %d were told, want 1 and 7", won.Load(), moved.Load())
		}
	})
}

func TestLeases(t *testing.T) {
	engines(t, func(t *testing.T, location string) {
		ctx, db := t.Context(), open(t, location)
		other := open(t, location)
		j := job(t, "north", now)
		must(t, db.AddJob(ctx, j))
		var won atomic.Int32
		var wg sync.WaitGroup
		for i := range 8 {
			d := db
			if i%2 == 0 {
				d = other
			}
			wg.Go(func() {
				ok, err := d.Lease(ctx, j.ID, "run", fmt.Sprint("worker ", i), now, now.Add(time.Minute))
				if err != nil {
					t.Errorf("Lease: %v", err)
				}
				if ok {
					won.Add(1)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d have the lease, want 1", won.Load())
		}
		late := now.Add(time.Minute)
		for _, tt := range []struct {
			name, worker string
			at           time.Time
			want         bool
		}{
			{"too early", "a", late.Add(-time.Second), false}, {"over time", "a", late, true}, {"renewed by its owner", "a", late.Add(time.Second), true},
			{"by another", "b", late.Add(2 * time.Second), false},
		} {
			ok, err := db.Lease(ctx, j.ID, "run", tt.worker, tt.at, tt.at.Add(time.Minute))
			if err != nil || ok != tt.want {
				t.Errorf("%s: %t, %v, want %t", tt.name, ok, err, tt.want)
			}
		}
		if ok, err := db.Lease(ctx, j.ID, "check", "b", late, late.Add(time.Minute)); err != nil || !ok {
			t.Errorf("other work of the job: %t, %v", ok, err)
		}
		must(t, db.Unlease(ctx, j.ID, "run", "b")) // it is not b's
		if ok, err := db.Lease(ctx, j.ID, "run", "b", late, late.Add(time.Minute)); err != nil || ok {
			t.Errorf("after somebody else gave it back: %t, %v", ok, err)
		}
		must(t, db.Unlease(ctx, j.ID, "run", "a"))
		must(t, db.Unlease(ctx, j.ID, "check", "b"))
		if ok, err := other.Leased(ctx, j.ID, late); err != nil || ok {
			t.Errorf("nobody has it: %t, %v", ok, err)
		}
		if ok, err := db.Lease(ctx, j.ID, "run", "b", late, late.Add(time.Minute)); err != nil || !ok {
			t.Errorf("after it was given back: %t, %v", ok, err)
		}
		if ok, err := other.Leased(ctx, j.ID, late); err != nil || !ok {
			t.Errorf("somebody has it: %t, %v", ok, err)
		}
	})
}

// TestBatchFolder: the first folder is that of all, until somebody says otherwise.
func TestBatchFolder(t *testing.T) {
	engines(t, func(t *testing.T, location string) {
		db, other := open(t, location), open(t, location)
		for _, tt := range []struct {
			db     *desk.DB
			id     string
			change bool
			want   string
		}{{db, "A", false, "A"}, {other, "B", false, "A"}, {db, "A", false, "A"}, {other, "B", true, "B"}, {db, "A", false, "B"}} {
			if got, err := tt.db.BatchFolder(t.Context(), tt.id, tt.change); err != nil || got != tt.want {
				t.Errorf("BatchFolder %s %t: %q, %v, want %q", tt.id, tt.change, got, err, tt.want)
			}
		}
	})
}
