//go:build unix

package issuance_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/pgtest"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/store"
)

// share takes part in the batch of a job.
func (j job) share() issuance.BatchRequest { return shared(people{n: j.N}, j.Folder, j.Batch) }

// TestSharedIsKilled lets three processes on one PostgreSQL share a batch and
// kills each again and again, at named points and at random moments. In the end
// every record was issued for once, no slot was used twice, and the manifests of
// the three folders together are the batch.
func TestSharedIsKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("for the race detector the same happens without kills in other tests")
	}
	kills := count(4, 1, 150) // of each process
	rnd := rand.New(rand.NewPCG(3, 9))
	owner, service := pgtest.New(t)
	role, err := store.PostgresRole(service)
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Create(t.Context(), owner, store.Options{Instance: "xa-office", ServiceRole: role})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	j := job{Do: "share", Store: service, N: 120 * (kills + 1)}
	folders := []string{t.TempDir(), t.TempDir(), t.TempDir()}

	// The first process begins the batch and dies before it has planned anything.
	b, first := j.bench(t)
	ctx, cancel := context.WithCancel(t.Context())
	r := shared(people{n: j.N}, folders[0], "")
	r.Begun = func(id string) { j.Batch = id; cancel() }
	if result, err := b.service.RunBatch(ctx, r); err != nil || result.Outcome != issuance.Stopped || result.Batch.Chunks != 0 {
		t.Fatalf("%+v, %v", result, err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	points := []issuance.Point{
		issuance.PointAuthorised, issuance.PointIntended, issuance.PointSigned, issuance.PointSpooled, issuance.PointMarked,
		issuance.PointReleasing, issuance.PointReleased, "",
	}
	hits := map[issuance.Point]int{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i, folder := range folders {
		k := j
		k.Folder = folder
		var deaths []job
		for n := range kills {
			k.Point, k.Nth = points[(i+3*n)%len(points)], 1+rnd.IntN(5)
			deaths = append(deaths, k)
		}
		moments := rnd.Perm(2000)
		wg.Go(func() {
			for n, death := range deaths {
				after := time.Duration(0)
				if death.Point == "" {
					after = time.Duration(100+moments[n]) * time.Millisecond
				}
				if _, killed := death.start(t, after); killed {
					mu.Lock()
					hits[death.Point]++
					mu.Unlock()
				}
			}
			k.Point = ""
			k.start(t, 0)
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	b, db = j.bench(t)
	defer db.Close()
	for _, folder := range folders {
		j.Folder = folder
		r := j.share()
		result, err := b.service.RunBatch(t.Context(), r)
		if err != nil || result.Outcome != issuance.Complete || result.Batch.Issued != int64(j.N) {
			t.Fatalf("in the end: %+v, %v", result, err)
		}
	}
	b.checkShared(j.N, folders...)
	left := len(b.all(issuance.Query{State: issuance.Revoked}))
	t.Logf("%d records, %d leftovers revoked, kills by point: %v", j.N, left, hits)
	if (left == 0 || len(hits) < 2) && !testing.Short() {
		t.Error("the kills left nothing behind; the test tests little")
	}
}
