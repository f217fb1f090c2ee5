package proof

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanad-id/sanad/issuance"
)

// A loop is a run of kills: clients who ask for whatever comes to their mind of
// an issuer that is killed again and again.
type loop struct {
	*office
	source  string
	records int
	kills   atomic.Int64
	mu      sync.Mutex
	hits    map[issuance.Point]int
	next    atomic.Int64 // number of the next fresh person
}

// step does one thing, which is killed at a point or at a random moment. It
// reports whether the kill came in time.
func (l *loop) step(rnd *rand.Rand, p issuance.Point) bool {
	r := run{}
	if p != "" {
		r.point, r.nth = string(p), 1
	} else {
		r.after = time.Duration(30+rnd.IntN(250)) * time.Millisecond
	}
	var got result
	switch p {
	case issuance.PointAuthorised, issuance.PointIntended, issuance.PointSigned, issuance.PointMarked:
		if rnd.IntN(3) > 0 {
			got = l.one(r, rnd)
		} else {
			r.nth = 1 + rnd.IntN(3)
			got = l.some(r, rnd)
		}
	case issuance.PointSpooled, issuance.PointReleasing, issuance.PointReleased:
		r.nth = 1 + rnd.IntN(3)
		got = l.some(r, rnd)
	case issuance.PointSynced, issuance.PointFinishing:
		got = l.some(r, rnd)
	case issuance.PointSwept:
		// There must be something to sweep.
		l.one(run{point: string(issuance.PointIntended), nth: 1}, rnd)
		got = l.export(r)
	case issuance.PointPublished:
		got = l.publish(r, []string{"trust", "status"}[rnd.IntN(2)], rnd.IntN(2) == 0)
	default:
		got = l.any(r, rnd)
	}
	if got.killed {
		l.kills.Add(1)
		l.mu.Lock()
		l.hits[p]++
		l.mu.Unlock()
	}
	return got.killed
}

// any does something.
func (l *loop) any(r run, rnd *rand.Rand) result {
	switch n := rnd.IntN(20); {
	case n < 4:
		return l.one(r, rnd)
	case n < 7:
		return l.some(r, rnd)
	case n < 13:
		return l.changeOne(r, "revoke", rnd)
	case n < 15:
		return l.changeOne(r, "suspend", rnd)
	case n < 16:
		return l.changeOne(r, "resume", rnd)
	case n < 18:
		return l.publish(r, "trust", n == 16)
	case n < 19:
		return l.publish(r, "status", rnd.IntN(2) == 0)
	}
	return l.export(r)
}

// one issues for one person: a new one mostly, and sometimes in the place of what
// the person holds.
func (l *loop) one(r run, rnd *rand.Rand) result {
	more := []string{"--supersede"}
	who := 1 + rnd.IntN(l.records)
	if rnd.IntN(2) == 0 {
		more = []string{"--idempotency-key", fmt.Sprint("request ", l.outs.Add(1))}
	}
	_, got := l.issue(r, l.source, record(who), more...)
	if got.killed && len(more) == 2 { // the client asks again
		l.issue(run{}, l.source, record(who), more...)
	}
	return got
}

// some runs a batch: one that was interrupted, or another.
func (l *loop) some(r run, rnd *rand.Rand) result {
	var open []*job
	l.with(func(*ledger) {
		for _, j := range l.batches {
			if !j.done.Load() {
				open = append(open, j)
			}
		}
	})
	if len(open) > 0 && rnd.IntN(3) > 0 {
		return l.batch(r, open[rnd.IntN(len(open))])
	}
	const n = 50
	j := l.newJob(int(l.next.Add(n))-n, n)
	j.form = []string{"text", "csv"}[rnd.IntN(2)]
	return l.batch(r, j)
}

func (l *loop) changeOne(r run, verb string, rnd *rand.Rand) result {
	id := l.office.some(rnd)
	if id == "" {
		return l.one(r, rnd)
	}
	return l.change(r, verb, id)
}

// officeKills is after how many kills another office is opened: what there is to
// check grows with each.
const officeKills = 250

// TestKilled (DB-01) is P01, and P05 and P07 beside it, on the program as people run it: it
// is killed at every named point of the ladder and at random, and what the client
// received is held to what is on record after each few kills.
func TestKilled(t *testing.T) {
	onEach(t, func(t *testing.T, engine string) {
		seed := uint64(1)
		if os.Getenv("SANAD_SOAK") == "1" {
			seed = uint64(time.Now().UnixNano())
		}
		rnd := rand.New(rand.NewPCG(seed, 3))
		total, perPoint := count(100, 5000), count(4, 20)
		var plan []issuance.Point
		for _, p := range issuance.Points() {
			plan = append(plan, slices.Repeat([]issuance.Point{p}, perPoint)...)
		}
		for len(plan) < total {
			plan = append(plan, "")
		}
		rnd.Shuffle(len(plan), func(i, j int) { plan[i], plan[j] = plan[j], plan[i] })
		began, kills, violations := time.Now(), int64(0), 0
		hits := map[issuance.Point]int{}
		for part := range slices.Chunk(plan, officeKills) {
			l := newLoop(t, engine)
			violations += l.run(part, rnd)
			kills += l.kills.Load()
			for p, n := range l.hits {
				hits[p] += n
			}
			k := l.copy()
			t.Logf("%d of %d kills after %s; this office: %d codes and %d batches received, %d revocations, %d publications",
				kills, len(plan), time.Since(began).Round(time.Second), len(k.codes), len(k.folders), len(k.acks), len(k.copies))
			if t.Failed() {
				break
			}
		}
		for _, p := range issuance.Points() {
			if hits[p] < perPoint {
				t.Errorf("DB-01: killed %d times at %q, want %d", hits[p], p, perPoint)
			}
		}
		t.Logf("kills by point: %v (seed %d)", hits, seed)
		proved(t, "P01", engine, fmt.Sprintf("kills=%d points=%d", kills, len(issuance.Points())), violations)
	})
}

func newLoop(t *testing.T, engine string) *loop {
	l := &loop{office: newOffice(t, engine), records: 400, hits: map[issuance.Point]int{}}
	l.source = l.people("people.csv", 1, l.records)
	l.next.Store(100_000)
	return l
}

// run goes through a plan of kills.
func (l *loop) run(plan []issuance.Point, rnd *rand.Rand) (violations int) {
	clients := processes(l.engine)
	for done := 0; done < len(plan) && !l.t.Failed(); {
		var wg sync.WaitGroup
		for range min(clients, len(plan)-done) {
			p, mine := plan[done], rand.New(rand.NewPCG(rnd.Uint64(), 5))
			done++
			wg.Go(func() {
				for tries := 0; !l.step(mine, p) && tries < 20; tries++ {
				}
				if mine.IntN(3) == 0 {
					l.any(run{}, mine)
				}
			})
		}
		wg.Wait()
		l.fetch()
		if done%5 < clients {
			violations += l.check(false, false)
		}
	}
	if l.t.Failed() {
		return violations
	}
	return violations + l.end(rnd)
}

// end brings everything to its end, without kills, and looks once more.
func (l *loop) end(rnd *rand.Rand) int {
	for _, j := range l.batches {
		for range 3 {
			if !j.done.Load() {
				l.batch(run{}, j)
			}
		}
		if !j.done.Load() {
			l.t.Errorf("batch %s does not come to its end", j.folder)
		}
	}
	l.changeOne(run{}, "revoke", rnd)
	l.publish(run{}, "trust", false)
	l.publish(run{}, "status", false)
	l.publish(run{}, "status", true)
	l.fetch()
	l.export(run{})
	return l.check(true, true)
}
