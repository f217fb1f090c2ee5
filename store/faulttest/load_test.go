package faulttest_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
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
	x.overload(processes)
	x.queueIsLeft(processes[0])
	t.Logf("P30 on 2×2 connections: %v", x.end(service))
}

// TestP30SQLite is TestP30 on a file, which one process has open.
func TestP30SQLite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "issuer.db")
	x := newIssuer(t, file, file)
	processes := []*process{x.open(file)}
	x.overload(processes)
	x.queueIsLeft(processes[0])
	t.Logf("P30 on SQLite: %v", x.end(file))
}

// overloadClients is how many clients ask at once.
const overloadClients = 64

// overload lets many clients ask whose patience ends at any moment, by its time or because
// they go away. Each gets a credential or is told that time ran out. Half of those who
// were told so come back, and have one in the end.
func (x *issuer) overload(processes []*process) {
	x.Helper()
	atMost := x.tooLittle(processes[0])
	each := count(6, 600)
	first := x.next.Load() + 1
	var served, refused atomic.Int64
	var wg sync.WaitGroup
	for range overloadClients {
		wg.Go(func() {
			for range each {
				n := int(x.next.Add(1))
				patience := rand.N(atMost)
				switch int64(n) - first { // one has no time and one has all of it, however fast this machine is
				case 4:
					patience = 0
				case 5:
					patience = time.Hour
				}
				ctx, cancel := impatient(x.Context(), patience, n%4 < 2)
				i, err := processes[n%len(processes)].Issue(ctx, issuance.Request{
					Programme: program, Record: person(n), Idempotency: fmt.Sprintf("request %d", n), Actor: "tester",
				})
				cancel()
				switch {
				case err == nil:
					served.Add(1)
					x.ledger.receive(n, i, 0)
				case !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled):
					x.Errorf("P30: %v, want a credential or that time ran out", err)
				default:
					refused.Add(1)
					if n%2 == 0 {
						continue
					}
					if err := x.ask(x.Context(), n, processes); err != nil {
						x.Errorf("P30: no credential for record %d, who came back: %v", n, err)
					}
				}
			}
		})
	}
	wg.Wait()
	if served.Load() == 0 || refused.Load() == 0 {
		x.Errorf("%d served and %d refused; the test tests little", served.Load(), refused.Load())
	}
	x.Logf("%d clients with up to %v: %d served, %d ran out of time", overloadClients, atMost.Round(time.Millisecond), served.Load(), refused.Load())
}

// tooLittle is an eighth of the time in which so many requests were answered one after the
// other. Those that come at once share transactions, so that some of them are served in it.
func (x *issuer) tooLittle(p *process) time.Duration {
	x.Helper()
	began := time.Now()
	for range 5 {
		must(x, p.issue(x))
	}
	return time.Since(began) / 5 * overloadClients / 8
}

// impatient is a context that ends after a time: by its deadline, or because the client
// goes away.
func impatient(ctx context.Context, patience time.Duration, leaves bool) (context.Context, context.CancelFunc) {
	if !leaves {
		return context.WithTimeout(ctx, patience)
	}
	ctx, cancel := context.WithCancel(ctx)
	timer := time.AfterFunc(patience, cancel)
	return ctx, func() { timer.Stop(); cancel() }
}

// queueIsLeft has somebody write who does not come to an end, and lets many clients queue
// behind him. Each is told when its own time is over, not his; then everybody is served.
func (x *issuer) queueIsLeft(p *process) {
	x.Helper()
	writing, finish, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- p.db.Write(x.Context(), func(issuance.Tx) error {
			close(writing)
			<-finish
			return errUndo
		})
	}()
	<-writing
	var told atomic.Int64
	left := make(chan struct{})
	var wg sync.WaitGroup
	for range overloadClients {
		n := int(x.next.Add(1))
		wg.Go(func() {
			ctx, cancel := impatient(x.Context(), rand.N(50*time.Millisecond), n%2 == 0)
			defer cancel()
			_, err := p.Issue(ctx, issuance.Request{Programme: program, Record: person(n), Idempotency: fmt.Sprintf("request %d", n), Actor: "tester"})
			if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
				told.Add(1)
			} else {
				x.Errorf("P30: behind a writer: %v, want that time ran out", err)
			}
		})
	}
	go func() { wg.Wait(); close(left) }()
	select {
	case <-left:
	case <-time.After(time.Minute):
		x.Errorf("P30: after a minute %d of %d have left the queue", told.Load(), overloadClients)
	}
	close(finish)
	if err := <-ended; !errors.Is(err, errUndo) {
		x.Errorf("P30: the writer: %v", err)
	}
	<-left
	must(x, p.issue(x))
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
