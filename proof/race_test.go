package proof

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// processes are how many workers may have a database open at once.
func processes(engine string) int {
	if engine == "sqlite" {
		return 1
	}
	return 3
}

// TestSlotsOnce is P04: clients of several processes that are killed and started
// again, and no slot is used twice. The contract test of package store counts to
// the million.
func TestSlotsOnce(t *testing.T) {
	onEach(t, func(t *testing.T, engine string) {
		d := newDesk(t, engine)
		rnd := rand.New(rand.NewPCG(7, 1))
		total, n := count(2000, 100_000), processes(engine)
		rounds := total / 400
		share := total / n
		for begun := 0; ; begun++ {
			var tasks []task
			for i := range n {
				tasks = append(tasks, task{First: 1 + i*share, Issue: share, Clients: 8})
			}
			enough := never
			if begun < rounds {
				next := len(d.tokens) + rnd.IntN(3*total/rounds)
				enough = func(l *ledger) bool { return len(l.tokens) > next }
			}
			if d.run(enough, tasks...) || t.Failed() {
				break
			}
		}
		violations := d.check(true)
		if got := len(d.active()); got != n*share {
			t.Errorf("%d credentials are in use, want %d", got, n*share)
		}
		if d.kills == 0 {
			t.Error("nobody was killed; the test tests little")
		}
		proved(t, "P04", engine, fmt.Sprintf("issuances=%d processes=%d kills=%d", n*share, n, d.kills), violations)
	})
}

// TestCopiesShareOneFate is P01 for wallets: persons get paper, and copies of it into
// their wallets, from processes that are killed again and again. Then some of them are
// revoked while lists are published. What was received is on record, no slot is used
// twice, and copies are usable just as long as what they belong to, at every moment
// that a list was published.
func TestCopiesShareOneFate(t *testing.T) {
	onEach(t, func(t *testing.T, engine string) {
		d := newDesk(t, engine)
		rnd := rand.New(rand.NewPCG(7, 4))
		persons, n := count(90, 15_000), processes(engine)
		const clients, copies = 8, 3
		rounds, share := max(2, persons/400), persons/n
		for begun := 0; ; begun++ {
			var tasks []task
			for i := range n {
				tasks = append(tasks, task{First: 1 + i*share, Issue: share, Clients: clients, Copies: copies})
			}
			tasks[0].Publishers = 1
			enough := never
			if begun < rounds {
				next := len(d.tokens) + rnd.IntN(2*persons*copies/rounds)
				enough = func(l *ledger) bool { return len(l.tokens) > next }
			}
			if d.run(enough, tasks...) || t.Failed() {
				break
			}
		}
		wholes := d.wholes()
		// A process that is killed loses what its clients were at, and no more.
		if len(wholes) < share*n-d.kills*clients {
			t.Errorf("%d persons of %d have copies in use; the test tests little", len(wholes), share*n)
		}
		revoke := wholes[:len(wholes)/3]
		for round := 0; len(revoke) > 0 && !t.Failed(); round++ {
			next := len(d.acks) + 1 + rnd.IntN(max(len(revoke)/3, 1))
			d.run(func(l *ledger) bool { return round < 3 && len(l.acks) > next }, task{Revoke: revoke, Publishers: 2})
			revoke = slices.DeleteFunc(revoke, func(id string) bool { return d.acked[id] })
		}
		d.run(never, task{Publishers: 2, Rounds: 2})
		violations := d.check(true)
		if left := d.wholes(); len(left) != len(wholes)-len(wholes)/3 {
			t.Errorf("%d of %d persons have copies in use after a third was revoked", len(left), len(wholes))
		}
		if d.kills == 0 {
			t.Error("nobody was killed; the test tests little")
		}
		proved(t, "P01", engine, fmt.Sprintf("wallets=%d copies=%d kills=%d", len(wholes), copies, d.kills), violations)
	})
}

// TestRevocationsStay is P05: what was acknowledged as revoked is shown by every
// list that is asked for afterwards, whoever of two publishers makes it, and
// however often everybody is killed.
func TestRevocationsStay(t *testing.T) {
	onEach(t, func(t *testing.T, engine string) {
		d := newDesk(t, engine)
		rnd := rand.New(rand.NewPCG(7, 2))
		total := count(1000, 100_000)
		d.fill(total)
		ids := d.active()
		if len(ids) != total {
			t.Fatalf("%d credentials, want %d", len(ids), total)
		}
		for round := 0; len(ids) > 0 && !t.Failed(); round++ {
			tasks := []task{{Revoke: ids, Publishers: 2}}
			if processes(engine) > 1 {
				tasks = []task{{Revoke: ids}, {Publishers: 1, Rounds: 1 << 30}, {Publishers: 1, Rounds: 1 << 30}}
			}
			next, lists := len(d.acks)+rnd.IntN(max(total/8, 1)), 2*min(round, 5)
			d.run(func(l *ledger) bool { return len(l.acks) > next && len(l.copies) >= lists || len(d.acked) == total }, tasks...)
			ids = slices.DeleteFunc(ids, func(id string) bool { return d.acked[id] })
		}
		d.run(never, task{Publishers: 2, Rounds: 3})
		violations := d.check(true)
		if d.kills == 0 || len(d.copies) < 10 {
			t.Errorf("%d kills, %d lists; the test tests little", d.kills, len(d.copies))
		}
		proved(t, "P05", engine, fmt.Sprintf("revocations=%d lists=%d kills=%d", len(d.acked), len(d.copies), d.kills), violations)
	})
}

// TestListsNeverGoBack is P07: two publishers race, with clocks that jump ahead
// and back, and are killed.
func TestListsNeverGoBack(t *testing.T) {
	onEach(t, func(t *testing.T, engine string) {
		d := newDesk(t, engine)
		rnd := rand.New(rand.NewPCG(7, 3))
		d.fill(10)
		total := count(200, 10_000)
		revoke := d.active()[:5]
		for len(d.copies) < total && !t.Failed() {
			tasks := []task{{Publishers: 2, Rounds: 1 << 30, Wrong: true}}
			if processes(engine) > 1 {
				tasks = []task{{Publishers: 1, Rounds: 1 << 30, Wrong: true}, {Publishers: 1, Rounds: 1 << 30, Wrong: true}}
			}
			if len(revoke) > 0 { // so that the lists differ
				tasks[0].Revoke, revoke = revoke[:1], revoke[1:]
			}
			next := len(d.copies) + 10 + rnd.IntN(total/10)
			d.run(func(l *ledger) bool { return len(l.copies) > next }, tasks...)
		}
		violations := d.check(true)
		proved(t, "P07", engine, fmt.Sprintf("publications=%d kills=%d", len(d.copies), d.kills), violations)
	})
}
