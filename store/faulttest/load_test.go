package faulttest_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sanad-id/sanad/internal/faultproxy"
	"github.com/sanad-id/sanad/internal/pgtest"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/store"
)

// connect opens a connection past the store.
func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), plain(url))
	must(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func do(t testing.TB, conn *pgx.Conn, statement string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// TestDB08 lets many clients issue through many processes at once, beside the
// database's own upkeep. Writers take turns from their first statement on, so that
// nobody sees a deadlock or a serialisation failure, and no request fails.
func TestDB08(t *testing.T) {
	owner, service := pgtest.New(t)
	x := newIssuer(t, owner, service)
	var processes []*process
	for range 4 {
		processes = append(processes, x.open(service))
	}
	want := count(100, 20000)
	conn := connect(t, owner)
	x.storm(16, processes, func() {
		for deadline := time.Now().Add(time.Hour); x.ledger.size() < want && time.Now().Before(deadline); {
			do(t, conn, "VACUUM ANALYZE")
		}
	})
	var deadlocks int
	must(t, conn.QueryRow(t.Context(), `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`).Scan(&deadlocks))
	if deadlocks > 0 || x.ledger.errors > 0 {
		t.Errorf("DB-08: %d deadlocks, %d requests failed", deadlocks, x.ledger.errors)
	}
	t.Logf("the slowest took %v; %v", x.ledger.slowest.Round(time.Millisecond), x.end(service))
}

// TestDB08Broken makes the database break transactions off all the same, with
// both errors. The client is told, nothing of them is stored, and asking again
// makes no second credential.
func TestDB08Broken(t *testing.T) {
	owner, service := pgtest.New(t)
	x := newIssuer(t, owner, service)
	processes := []*process{x.open(service), x.open(service)}
	conn := connect(t, owner)
	do(t, conn, `CREATE FUNCTION test_break() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF random() < 0.15 THEN RAISE EXCEPTION 'on purpose' USING ERRCODE = '40001'; END IF;
		IF random() < 0.15 THEN RAISE EXCEPTION 'on purpose' USING ERRCODE = '40P01'; END IF;
		RETURN NEW; END $$`)
	do(t, conn, `CREATE TRIGGER test_break BEFORE INSERT ON audit_block FOR EACH ROW EXECUTE FUNCTION test_break()`)
	x.storm(8, processes, func() { x.until(count(50, 5000), time.Hour) })
	do(t, conn, `DROP TRIGGER test_break ON audit_block`)
	do(t, conn, `DROP FUNCTION test_break`)
	if x.ledger.errors == 0 && !testing.Short() {
		t.Error("nothing was broken off; the test tests little")
	}
	t.Logf("%d requests failed and were repeated, the slowest took %v; %v",
		x.ledger.errors, x.ledger.slowest.Round(time.Millisecond), x.end(service))
}

// until waits until so many credentials were received.
func (x *issuer) until(n int, atMost time.Duration) {
	x.Helper()
	for deadline := time.Now().Add(atMost); x.ledger.size() < n; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			x.Errorf("%d credentials after %v, want %d", x.ledger.size(), atMost, n)
			return
		}
	}
}

// TestP30 lets many clients with little patience issue through few connections,
// with a network that is slow at times. Who is not served is told so; nothing is
// done by half.
func TestP30(t *testing.T) {
	owner, service := pgtest.New(t)
	x := newIssuer(t, owner, service)
	proxy := faultproxy.Start(t, socket(t, service))
	few := proxy.URL(t, service) + "&pool_max_conns=2"
	processes := []*process{x.open(few), x.open(few)}
	rnd := rand.New(rand.NewPCG(30, 30))
	proxy.Decide(func(faultproxy.Message) faultproxy.Action {
		if rnd.IntN(100) == 0 {
			return faultproxy.Action{Delay: time.Duration(rnd.IntN(20)) * time.Millisecond}
		}
		return faultproxy.Action{}
	})
	const clients = 64
	began := time.Now()
	for range 5 {
		must(t, processes[0].issue(x))
	}
	// Enough for about half of them.
	atMost := time.Since(began) / 5 * clients / 2
	each := count(6, 600)
	var refused, other atomic.Int64
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for range each {
				n := int(x.next.Add(1))
				patience := rand.N(atMost)
				switch n { // one has no time and one has all of it, however fast this machine is
				case 10:
					patience = 0
				case 11:
					patience = time.Hour
				}
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				i, err := processes[n%2].Issue(ctx, issuance.Request{
					Programme: program, Record: person(n), Idempotency: fmt.Sprintf("request %d", n), Actor: "tester",
				})
				cancel()
				switch {
				case err == nil:
					x.ledger.receive(n, i, 0)
				case errors.Is(err, context.DeadlineExceeded):
					refused.Add(1)
				default:
					other.Add(1)
					t.Errorf("P30: %v, want a credential or that time ran out", err)
				}
			}
		})
	}
	wg.Wait()
	received := x.ledger.size()
	if received == 0 || refused.Load() == 0 {
		t.Errorf("%d received and %d refused; the test tests little", received, refused.Load())
	}
	done := x.end(service)
	t.Logf("%d clients on 2×2 connections: %d received, %d ran out of time; %v", clients, received, refused.Load(), done)
}

// TestDB10 breaks off reading and writing at every moment, through few
// connections, and looks whether anybody ever gets what another asked for.
func TestDB10(t *testing.T) {
	owner, service := pgtest.New(t)
	x := newIssuer(t, owner, service)
	proxy := faultproxy.Start(t, socket(t, service))
	p := x.open(proxy.URL(t, service) + "&pool_max_conns=3")
	for range 50 {
		must(t, p.issue(x))
	}
	var ids []string
	for _, r := range x.ledger.got {
		ids = append(ids, r.id)
	}
	rnd := rand.New(rand.NewPCG(10, 10))
	proxy.Decide(func(faultproxy.Message) faultproxy.Action {
		return faultproxy.Action{Delay: time.Duration(rnd.IntN(12)/11) * time.Millisecond}
	})
	began := time.Now()
	for _, id := range ids[:10] {
		_, err := p.Credential(t.Context(), id)
		must(t, err)
	}
	atMost := time.Since(began)
	var asked, broken atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range count(100, 65_000) {
				patience := rand.N(atMost)
				if rand.IntN(2) == 0 {
					patience = time.Minute // somebody who gets the connection afterwards
				}
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				canary := ids[rand.IntN(len(ids))]
				var got string
				var err error
				switch rand.IntN(3) {
				case 0:
					var c issuance.Credential
					c, err = p.db.Credential(ctx, canary)
					got = c.ID
				case 1:
					for c, e := range p.db.Find(ctx, issuance.Query{After: before(canary), Limit: 1}) {
						got, err = c.ID, e
					}
				case 2:
					err = p.db.Write(ctx, func(tx issuance.Tx) error {
						c, err := tx.Change(canary, issuance.Suspended, issuance.Lost, time.Now())
						if err == nil {
							c, err = tx.Change(canary, issuance.Active, issuance.NoReason, time.Now())
						}
						got = c.ID
						if err == nil {
							err = errUndo // so that the audit log need not know
						}
						return err
					})
					if errors.Is(err, errUndo) {
						err = nil
					}
				}
				cancel()
				asked.Add(1)
				switch {
				case err == nil && got != canary:
					t.Errorf("P21: asked for %s, got %q", canary, got)
				case err != nil:
					broken.Add(1)
					if !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("DB-10: %v, want that time ran out", err)
					}
				}
			}
		})
	}
	wg.Wait()
	proxy.Decide(func(faultproxy.Message) faultproxy.Action { return faultproxy.Action{} })
	if (broken.Load() == 0 || broken.Load() == asked.Load()) && !testing.Short() {
		t.Errorf("%d of %d were broken off; the test tests little", broken.Load(), asked.Load())
	}
	t.Logf("%d asked, %d of them broken off; %v", asked.Load(), broken.Load(), x.end(service))
}

var errUndo = errors.New("undo")

// before is the greatest id that is smaller.
func before(id string) string {
	last := id[len(id)-1]
	const digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	if i := strings.IndexByte(digits, last); i > 0 {
		return id[:len(id)-1] + digits[i-1:i]
	}
	return id[:len(id)-1] // shorter, and so smaller
}

// TestDB13 runs two processes whose clocks are 10 minutes apart. Dates of issue
// never go back, and the slow one stops and says why.
func TestDB13(t *testing.T) {
	owner, service := pgtest.New(t)
	x := newIssuer(t, owner, service)
	var ahead atomic.Int64
	ahead.Store(int64(10 * time.Minute))
	fast := x.open(service, func(_ *store.Options, c *issuance.Config) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	})
	slow := x.open(service)
	must(t, slow.issue(x))
	must(t, fast.issue(x))
	var stopped, issued atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range count(25, 1000) {
				if err := fast.issue(x); err != nil {
					t.Errorf("DB-13: the fast one: %v", err)
				}
				switch err := slow.issue(x); {
				case errors.Is(err, issuance.ErrClock):
					stopped.Add(1)
				case err == nil:
					issued.Add(1)
				default:
					t.Errorf("DB-13: the slow one: %v, want ErrClock", err)
				}
			}
		})
	}
	wg.Wait()
	if issued.Load() > 0 || stopped.Load() == 0 {
		t.Errorf("DB-13: the slow one issued %d and stopped %d times", issued.Load(), stopped.Load())
	}
	// Revoking is not held up by a clock.
	for _, r := range x.ledger.got {
		if _, err := slow.Revoke(t.Context(), r.id, issuance.Lost, "tester"); err != nil {
			t.Errorf("DB-13: the slow one revokes: %v", err)
		}
		r.revoked, r.perhaps = true, true
		break
	}
	conn := connect(t, owner)
	var back int
	must(t, conn.QueryRow(t.Context(), `SELECT count(*) FROM (SELECT issued_at, lag(issued_at) OVER (ORDER BY credential_no) AS last
		FROM credential) c WHERE issued_at < last`).Scan(&back))
	if back > 0 {
		t.Errorf("DB-13: %d dates of issue lie before the one of the credential before", back)
	}
	t.Logf("the slow one stopped %d times; %v", stopped.Load(), x.end(service))
}
