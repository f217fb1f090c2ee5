package faulttest_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/faultproxy"
	"github.com/sanad-id/sanad/internal/pgtest"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/store"
)

// socket is the Unix socket of a database's server.
func socket(t testing.TB, db string) string {
	t.Helper()
	u, err := url.Parse(db)
	must(t, err)
	return u.Query().Get("host") + "/.s.PGSQL." + u.Query().Get("port")
}

// TestP03Cuts cuts connections at random messages, and above all at COMMIT, in
// every way, while clients issue and revoke through two processes; some
// connections are delivered a second time.
func TestP03Cuts(t *testing.T) {
	owner, service := pgtest.New(t)
	x := newIssuer(t, owner, service)
	proxy := faultproxy.Start(t, socket(t, service))
	processes := []*process{x.open(proxy.URL(t, service)), x.open(proxy.TCP(t, service))}
	deeds := []faultproxy.Deed{
		faultproxy.CutBefore, faultproxy.CutWithin, faultproxy.CutAfter, faultproxy.LoseReply, faultproxy.LeaveServer,
	}
	want := count(200, 5000)
	var atCommit atomic.Int64
	enough := make(chan struct{})
	rnd := rand.New(rand.NewPCG(3, 3))
	cuts := 0
	x.storm(6, processes, func() {
		proxy.Replay(true)
		proxy.Decide(func(m faultproxy.Message) faultproxy.Action {
			chance := 0.005
			if m.Commit {
				chance = 0.25
			}
			if cuts >= want || rnd.Float64() >= chance {
				return faultproxy.Action{Delay: time.Duration(rnd.IntN(50)/49) * 5 * time.Millisecond}
			}
			if cuts++; cuts == want {
				close(enough)
			}
			if m.Commit {
				atCommit.Add(1)
			}
			return faultproxy.Action{Do: deeds[rnd.IntN(len(deeds))], Time: time.Duration(rnd.IntN(300)) * time.Millisecond}
		})
		select {
		case <-enough:
		case <-time.After(time.Duration(count(2, 60)) * time.Minute):
			t.Error("the cuts do not come to an end")
		}
		proxy.Replay(false)
	})
	proxy.CutAll()
	done := x.end(service)
	c := proxy.Counts()
	t.Logf("%d cuts (%d at COMMIT, by deed %v) on %d connections; %d requests failed and were repeated, the slowest took %v; %v",
		c.Cuts(), atCommit.Load(), c.Done, c.Conns, x.ledger.errors, x.ledger.slowest.Round(time.Millisecond), done)
	if done.leftovers+done.superseded == 0 && !testing.Short() {
		t.Error("no cut left anything behind; the test tests little")
	}
}

// end ends all processes. The next one sweeps up what they left behind, and then
// the database is checked.
func (x *issuer) end(url string) summary {
	x.Helper()
	for _, p := range x.processes {
		_ = p.db.Close() // its server may be gone
	}
	p, err := x.try(x.Context(), url)
	must(x, err)
	swept, err := p.Sweep(x.Context())
	must(x, err)
	must(x, p.db.Close())
	s := x.check(url)
	s.swept = len(swept)
	return s
}

// TestDB18 loses the connection at each COMMIT of an issuance, in every way. The
// client asks again and has exactly one credential in the end.
func TestDB18(t *testing.T) {
	owner, service := pgtest.New(t)
	x := newIssuer(t, owner, service)
	proxy := faultproxy.Start(t, socket(t, service))
	p := x.open(proxy.URL(t, service))
	known := map[int]bool{}
	for range count(2, 100) {
		for _, deed := range []faultproxy.Deed{
			faultproxy.CutBefore, faultproxy.CutWithin, faultproxy.CutAfter, faultproxy.LoseReply, faultproxy.LeaveServer,
		} {
			for commit := 1; commit <= 2; commit++ { // that of the intent, and that of the mark
				n := int(x.next.Add(1))
				seen := 0
				proxy.Decide(func(m faultproxy.Message) faultproxy.Action {
					if m.Commit {
						seen++
					}
					if m.Commit && seen == commit {
						return faultproxy.Action{Do: deed, Time: 50 * time.Millisecond}
					}
					return faultproxy.Action{}
				})
				i, err := p.Issue(t.Context(), issuance.Request{
					Programme: program, Record: person(n), Idempotency: fmt.Sprintf("request %d", n), Actor: "tester",
				})
				proxy.Decide(func(faultproxy.Message) faultproxy.Action { return faultproxy.Action{} })
				switch {
				case err == nil: // the store found out what became of it
					x.ledger.receive(n, i, 0)
					known[n] = true
				case errors.Is(err, issuance.ErrIdempotencyUsed):
					t.Errorf("DB-18 %v at commit %d: a first request is told that it is a repetition: %v", deed, commit, err)
				case seen < commit:
					t.Errorf("DB-18 %v at commit %d: it failed before: %v", deed, commit, err)
				case commit == 1 && (deed == faultproxy.LoseReply) && !errors.Is(err, store.ErrOutcomeUnknown):
					t.Errorf("DB-18 %v at commit %d: %v, want ErrOutcomeUnknown", deed, commit, err)
				}
				if err != nil {
					if err := x.ask(t.Context(), n, []*process{p}); err != nil {
						t.Errorf("DB-18 %v at commit %d: again: %v", deed, commit, err)
					}
				}
			}
		}
	}
	t.Logf("%d issuances, %d of which needed no second request; %v", x.next.Load(), len(known), x.end(service))
}

// TestP03HalfOpen closes the client's side of a connection in the middle of a
// transaction; the server does not get to know, so that the transaction keeps its
// locks. The process that lost it goes on all the same, and so do others.
func TestP03HalfOpen(t *testing.T) {
	owner, service := pgtest.New(t)
	x := newIssuer(t, owner, service)
	proxy := faultproxy.Start(t, socket(t, service))
	p, other := x.open(proxy.URL(t, service)), x.open(service)
	for range count(3, 100) {
		must(t, p.issue(x))
		left := false
		proxy.Decide(func(m faultproxy.Message) faultproxy.Action {
			if left || !m.Commit {
				return faultproxy.Action{}
			}
			left = true
			return faultproxy.Action{Do: faultproxy.LeaveServer} // until the end of the test
		})
		n := int(x.next.Add(1))
		if err := x.ask(t.Context(), n, []*process{p}); err != nil {
			t.Fatal(err)
		}
		must(t, other.issue(x))
	}
	if x.ledger.slowest > time.Minute {
		t.Errorf("P03: it took %v to go on", x.ledger.slowest)
	}
	t.Logf("%d times, the slowest took %v; %v", proxy.Counts().Done[faultproxy.LeaveServer], x.ledger.slowest.Round(time.Millisecond), x.end(service))
}
