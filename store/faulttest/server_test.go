package faulttest_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/faultproxy"
	"github.com/sanad-id/sanad/internal/pgtest"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/store"
)

// TestP03Kills kills the server again and again, with all its processes or its
// first one alone, and restarts it, while clients issue and revoke.
func TestP03Kills(t *testing.T) {
	c := pgtest.Start(t, pgtest.Options{})
	owner, service := c.New(t)
	x := newIssuer(t, owner, service)
	processes := []*process{x.open(service), x.open(service)}
	kills := count(6, 200)
	x.storm(6, processes, func() {
		for k := range kills {
			time.Sleep(time.Duration(50+rand.IntN(250)) * time.Millisecond)
			if k%2 == 0 {
				c.Kill(t)
			} else {
				c.KillPostmaster(t)
			}
			c.Restart(t)
		}
	})
	t.Logf("%d kills; %d requests failed and were repeated, the slowest took %v; %v",
		kills, x.ledger.errors, x.ledger.slowest.Round(time.Millisecond), x.end(service))
}

// TestP03FailOver kills the primary while clients issue. Its synchronous standby
// takes over, and the clients go on by themselves: by a URL that names both, or
// through a proxy that is pointed to the new one.
func TestP03FailOver(t *testing.T) {
	for range count(1, 10) {
		for _, way := range []string{"a URL of both", "a proxy"} {
			t.Run(way, func(t *testing.T) {
				c := pgtest.Start(t, pgtest.Options{})
				owner, service := c.New(t)
				x := newIssuer(t, owner, service)
				standby := c.Standby(t, true)
				proxy := faultproxy.Start(t, c.Socket())
				url := pgtest.URL(t, service, c, standby)
				if way == "a proxy" {
					url = proxy.URL(t, service)
				}
				synchronous := func(o *store.Options, _ *issuance.Config) { o.SynchronousStandby = true }
				processes := []*process{x.open(url, synchronous), x.open(url, synchronous)}
				before := 0
				x.storm(4, processes, func() {
					x.until(3, time.Minute) // whatever the machine, something comes before
					time.Sleep(200 * time.Millisecond)
					c.Kill(t)
					before = x.ledger.size()
					standby.Promote(t)
					proxy.Point(standby.Socket())
					for deadline := time.Now().Add(time.Minute); x.ledger.size() < before+20; time.Sleep(10 * time.Millisecond) {
						if time.Now().After(deadline) {
							t.Error("P03: the clients do not go on")
							return
						}
					}
				})
				if before == 0 {
					t.Error("nothing was issued before the fail-over; the test tests little")
				}
				t.Logf("%d received before the fail-over; %d requests failed and were repeated, the slowest took %v; %v",
					before, x.ledger.errors, x.ledger.slowest.Round(time.Millisecond), x.end(pgtest.URL(t, service, standby)))
			})
		}
	}
}

// TestP03ReusedNumber kills the server at a COMMIT. Nothing of the transaction is
// on disk, not even its number, which the restarted server gives to the next one.
// That one is stored; the client of the first must not take it for its own.
func TestP03ReusedNumber(t *testing.T) {
	// Without a walwriter that is quick to write, numbers are more often lost.
	c := pgtest.Start(t, pgtest.Options{Settings: map[string]string{"wal_writer_delay": "10s", "wal_writer_flush_after": "0"}})
	owner, service := c.New(t)
	x := newIssuer(t, owner, service)
	proxy := faultproxy.Start(t, c.Socket())
	p := x.open(proxy.URL(t, service))
	reused := 0
	// Which numbers are lost with the server is its own affair: it goes on until one
	// was used again.
	for n := 0; n < count(5, 100) || reused == 0 && n < 200; n++ {
		for commit := 1; commit <= 2; commit++ {
			other := x.open(service)
			var mine, theirs int64
			seen := 0
			proxy.Decide(func(m faultproxy.Message) faultproxy.Action {
				if m.Commit {
					seen++
				}
				if !m.Commit || seen != commit {
					return faultproxy.Action{}
				}
				c.Query(t, service, "SELECT max(backend_xid::text::bigint) FROM pg_stat_activity", &mine)
				c.Kill(t)
				c.Restart(t)
				for range 3 {
					if err := other.issue(x); err != nil {
						t.Errorf("the other process: %v", err)
					}
				}
				return faultproxy.Action{Do: faultproxy.CutBefore}
			})
			n := int(x.next.Add(1))
			i, err := p.Issue(t.Context(), issuance.Request{Programme: program, Record: person(n), Actor: "tester"})
			proxy.Decide(func(faultproxy.Message) faultproxy.Action { return faultproxy.Action{} })
			if err == nil {
				x.ledger.receive(n, i, 0)
			}
			c.Query(t, service, "SELECT max(xmin::text::bigint) FROM sanad.audit_block", &theirs)
			if theirs >= mine {
				reused++
			}
			must(t, other.db.Close())
		}
	}
	if reused == 0 && !testing.Short() {
		t.Error("no number was used again; the test tests little")
	}
	t.Logf("%d numbers used again; %v", reused, x.end(service))
}
