package faultproxy_test

import (
	"context"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sanad-id/sanad/internal/faultproxy"
	"github.com/sanad-id/sanad/internal/pgtest"
)

// socket is the Unix socket of a database's server.
func socket(t testing.TB, db string) string {
	t.Helper()
	u, err := url.Parse(db)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get("host") + "/.s.PGSQL." + u.Query().Get("port")
}

func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func do(t testing.TB, conn *pgx.Conn, statement string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// A bed is a database with an empty table note, and a proxy for it.
type bed struct {
	testing.TB
	url    string
	direct *pgx.Conn
	proxy  *faultproxy.Proxy
}

func newBed(t testing.TB) *bed {
	owner, _ := pgtest.New(t)
	b := &bed{TB: t, url: owner, direct: connect(t, owner), proxy: faultproxy.Start(t, socket(t, owner))}
	do(t, b.direct, "CREATE TABLE note (line TEXT)")
	return b
}

// rows counts what is stored.
func (b *bed) rows() int {
	b.Helper()
	return b.number("SELECT count(*) FROM note")
}

func (b *bed) number(query string) int {
	b.Helper()
	var n int
	if err := b.direct.QueryRow(b.Context(), query).Scan(&n); err != nil {
		b.Fatal(err)
	}
	return n
}

// until waits until a query returns n.
func (b *bed) until(query string, n int) {
	b.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		got := b.number(query)
		if got == n {
			return
		}
		if time.Now().After(deadline) {
			b.Fatalf("%s: %d, want %d", query, got, n)
		}
	}
}

// others counts the sessions of the database beside the direct one.
const others = `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`

// insert stores a row through the proxy in a transaction whose COMMIT is said in
// one of two ways, and returns what the client got to know.
func (b *bed) insert(url string, prepared bool) error {
	ctx := b.Context()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "BEGIN"); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "INSERT INTO note VALUES ($1)", "line"); err != nil {
		return err
	}
	if !prepared {
		_, err = conn.Exec(ctx, "Commit")
		return err
	}
	if _, err := conn.Prepare(ctx, "the end", "COMMIT"); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "the end", pgx.QueryExecModeCacheStatement)
	return err
}

func TestForward(t *testing.T) {
	b := newBed(t)
	for i, url := range []string{b.proxy.URL(t, b.url), b.proxy.TCP(t, b.url)} {
		for j, prepared := range []bool{false, true} {
			if err := b.insert(url, prepared); err != nil {
				t.Fatal(err)
			}
			n := 2*i + j + 1
			if c := b.proxy.Counts(); b.rows() != n || c.Conns != n || c.Commits != n || c.Cuts() != 0 {
				t.Errorf("after %d: %d rows, %+v", n, b.rows(), c)
			}
		}
	}
}

// TestCommit fails at the COMMIT in every way.
func TestCommit(t *testing.T) {
	for _, tt := range []struct {
		do     faultproxy.Deed
		stored int // -1: perhaps
	}{
		{faultproxy.CutBefore, 0}, {faultproxy.CutWithin, 0}, {faultproxy.CutAfter, -1}, {faultproxy.LoseReply, 1}, {faultproxy.LeaveServer, 0},
	} {
		t.Run(tt.do.String(), func(t *testing.T) {
			b := newBed(t)
			b.proxy.Decide(func(m faultproxy.Message) faultproxy.Action {
				if m.Commit {
					return faultproxy.Action{Do: tt.do}
				}
				return faultproxy.Action{}
			})
			for i, url := range []string{b.proxy.URL(t, b.url), b.proxy.TCP(t, b.url)} {
				for _, prepared := range []bool{false, true} {
					if err := b.insert(url, prepared); err == nil {
						t.Errorf("%d: the client was told that it is stored", i)
					}
				}
			}
			if tt.do == faultproxy.LeaveServer {
				b.until(others+" AND xact_start IS NOT NULL", 4) // the server is still waiting for its end
				b.proxy.CutAll()
			}
			b.until(others, 0)
			if got := b.rows(); tt.stored >= 0 && got != 4*tt.stored {
				t.Errorf("%d rows are stored, want %d", got, 4*tt.stored)
			}
			if c := b.proxy.Counts(); c.Commits != 4 || c.Done[tt.do] != 4 || c.Cuts() != 4 {
				t.Errorf("counts: %+v", c)
			}
		})
	}
}

func TestLeaveServerForATime(t *testing.T) {
	b := newBed(t)
	b.proxy.Decide(func(m faultproxy.Message) faultproxy.Action {
		if m.Commit {
			return faultproxy.Action{Do: faultproxy.LeaveServer, Time: 300 * time.Millisecond}
		}
		return faultproxy.Action{}
	})
	if err := b.insert(b.proxy.URL(t, b.url), false); err == nil {
		t.Error("the client was told that it is stored")
	}
	b.until(others, 1)
	b.until(others, 0)
	if got := b.rows(); got != 0 {
		t.Errorf("%d rows, want 0", got)
	}
}

func TestDelay(t *testing.T) {
	b := newBed(t)
	const delay = 100 * time.Millisecond
	b.proxy.Decide(func(m faultproxy.Message) faultproxy.Action {
		if m.Commit {
			return faultproxy.Action{Delay: delay}
		}
		return faultproxy.Action{}
	})
	began := time.Now()
	if err := b.insert(b.proxy.URL(t, b.url), false); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < delay {
		t.Errorf("it took %v, want at least %v", took, delay)
	}
}

func TestRefuseAndCutAll(t *testing.T) {
	b := newBed(t)
	old := connect(t, b.proxy.URL(t, b.url))
	b.proxy.Refuse(true)
	do(t, old, "SELECT 1")
	for _, url := range []string{b.proxy.URL(t, b.url), b.proxy.TCP(t, b.url)} {
		if _, err := pgx.Connect(t.Context(), url); err == nil {
			t.Error("a new connection was taken")
		}
	}
	b.proxy.Refuse(false)
	do(t, connect(t, b.proxy.URL(t, b.url)), "SELECT 1")
	b.proxy.CutAll()
	if _, err := old.Exec(t.Context(), "SELECT 1"); err == nil {
		t.Error("the old connection is still there")
	}
	do(t, connect(t, b.proxy.URL(t, b.url)), "SELECT 1")
}

func TestReplay(t *testing.T) {
	b := newBed(t)
	b.proxy.Replay(true)
	if err := b.insert(b.proxy.URL(t, b.url), true); err != nil {
		t.Fatal(err)
	}
	b.until("SELECT count(*) FROM note", 2)
}

func TestPoint(t *testing.T) {
	b := newBed(t)
	nowhere := socket(t, b.url) + ".gone"
	b.proxy.Point(nowhere)
	if _, err := pgx.Connect(t.Context(), b.proxy.URL(t, b.url)); err == nil {
		t.Error("a connection to nowhere was made")
	}
	b.proxy.Point(socket(t, b.url))
	do(t, connect(t, b.proxy.URL(t, b.url)), "SELECT 1")
}

// TestNotTheProtocol: what is not PostgreSQL's protocol ends the connection.
func TestNotTheProtocol(t *testing.T) {
	b := newBed(t)
	u, err := url.Parse(b.proxy.TCP(t, b.url))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"GET / HTTP/1.1\r\n\r\n", "\x00\x00\x00\x00", "\xff\xff\xff\xff\x00\x03\x00\x00", "\x00"} {
		conn, err := net.Dial("tcp", net.JoinHostPort(u.Query().Get("host"), u.Query().Get("port")))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if c, ok := conn.(*net.TCPConn); ok {
			_ = c.CloseWrite() // the proxy may have closed it already
		}
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
		if n, err := conn.Read(make([]byte, 1)); err == nil {
			t.Errorf("%q was answered with %d bytes", text, n)
		}
		_ = conn.Close()
	}
}
