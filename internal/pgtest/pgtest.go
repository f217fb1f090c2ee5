// Package pgtest starts real PostgreSQL for tests, from the distribution's
// packages: the server's programs are looked for in /usr/lib/postgresql/*/bin and
// in PATH, at least version 15. It never uses a server that happens to run.
//
// [New] makes an empty database in a cluster that all tests of the process share.
// A test that kills, stops or replicates a server takes one of its own with
// [Start].
//
// A cluster lives in a directory of its own below [os.TempDir] (or /tmp, if that
// is too long for a socket or closed to the server's user), listens on a Unix
// socket in it and nowhere else, and never runs as root. A supervising process
// stops it and removes the directory when the test process ends, however it ends.
// A shared cluster does not wait for the disk (fsync is off), which a kill of
// the server survives and a loss of power does not.
//
// Where PostgreSQL is not installed tests are skipped with one line that says so,
// or fail if SANAD_REQUIRE_POSTGRES is 1. The package is imported by tests only.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// patience is how long anything may take before the test fails.
const patience = 2 * time.Minute

// oldest is the oldest version that will do: the first in which nobody but the
// owner may create tables in a new database.
const oldest = 15

// admin is the superuser of a cluster. Tests get roles that can do less.
const admin = "sanad_admin"

var errMissing = fmt.Errorf("PostgreSQL %d or newer is not installed; scripts/setup-test.sh does it", oldest)

// shared is the cluster of this process, started by the first New.
var shared = sync.OnceValues(func() (*Cluster, error) {
	return newCluster(Options{Settings: map[string]string{"wal_level": "minimal", "max_wal_senders": "0"}})
})

// New returns the URLs of a new empty database in the cluster of this process:
// as the role that owns it, and as a plain role that owns nothing, is a member of
// nothing and has been granted nothing. The database is dropped when the test
// ends.
func New(t testing.TB) (owner, service string) {
	t.Helper()
	return newIn(t, "")
}

// NewEncoded is [New] with text in another encoding than UTF-8, such as LATIN1.
func NewEncoded(t testing.TB, encoding string) (owner, service string) {
	t.Helper()
	return newIn(t, " ENCODING '"+encoding+"' LOCALE_PROVIDER libc LOCALE 'C'")
}

// newIn is New with these options of the database.
func newIn(t testing.TB, options string) (owner, service string) {
	t.Helper()
	c, err := shared()
	need(t, err)
	owner, service, err = c.create(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.drop(owner, service); err != nil {
			t.Errorf("pgtest: drop: %v", err)
		}
	})
	return owner, service
}

// Copy returns the URLs, for the same two roles, of a copy of a database that [New] made
// and that nobody has open. It is dropped when the test ends; the roles are those of New.
func Copy(t testing.TB, owner, service string) (copyOwner, copyService string) {
	t.Helper()
	c, err := shared()
	need(t, err)
	name := fmt.Sprintf("db_%d", databases.Add(1))
	renamed := func(location string) (u *url.URL) {
		if u, err = url.Parse(location); err != nil {
			t.Fatal(err)
		}
		return u
	}
	own, serve := renamed(owner), renamed(service)
	from, role := strings.TrimPrefix(own.Path, "/"), own.Query().Get("user")
	do := func(statement string) error {
		return c.do(func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, statement)
			return err
		})
	}
	if err := do("CREATE DATABASE " + name + " OWNER " + role + " TEMPLATE " + from + " STRATEGY file_copy"); err != nil {
		t.Fatalf("pgtest: copy: %v", err)
	}
	t.Cleanup(func() {
		if err := do("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Errorf("pgtest: drop: %v", err)
		}
	})
	own.Path, serve.Path = "/"+name, "/"+name
	return own.String(), serve.String()
}

// Exec runs statements as the superuser in a database that [New] or [Copy] returned.
func Exec(t testing.TB, db, statements string) {
	t.Helper()
	c, err := shared()
	need(t, err)
	c.Exec(t, db, statements)
}

// Setting returns a setting of the server of a database that [New] returned.
func Setting(t testing.TB, db, name string) (value string) {
	t.Helper()
	c, err := shared()
	need(t, err)
	c.Query(t, db, "SELECT current_setting('"+name+"')", &value)
	return value
}

// need ends the test if there is no cluster.
func need(t testing.TB, err error) {
	t.Helper()
	switch {
	case errors.Is(err, errMissing) && os.Getenv("SANAD_REQUIRE_POSTGRES") != "1":
		t.Skip(err)
	case err != nil:
		t.Fatalf("pgtest: %v", err)
	}
}

// New is the function New for this cluster. The database goes with the cluster.
func (c *Cluster) New(t testing.TB) (owner, service string) {
	t.Helper()
	owner, service, err := c.create("")
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	return owner, service
}

// databases counts what create made, in all clusters of the process: a standby
// has those of its primary.
var databases atomic.Int64

// create makes roles and a database with these options beside the usual ones.
func (c *Cluster) create(options string) (owner, service string, err error) {
	n := databases.Add(1)
	db, own, serve := fmt.Sprintf("db_%d", n), fmt.Sprintf("owner_%d", n), fmt.Sprintf("service_%d", n)
	err = c.do(func(ctx context.Context, conn *pgx.Conn) error {
		for _, s := range []string{
			"CREATE ROLE " + own + " LOGIN",
			"CREATE ROLE " + serve + " LOGIN",
			// Of the two strategies this is the faster one for a server that does
			// not wait for the disk.
			"CREATE DATABASE " + db + " OWNER " + own + " TEMPLATE template0 STRATEGY file_copy" + options,
		} {
			if _, err := conn.Exec(ctx, s); err != nil {
				return fmt.Errorf("%s: %w", s, err)
			}
		}
		return nil
	})
	return c.url(own, db), c.url(serve, db), err
}

func (c *Cluster) drop(owner, service string) error {
	own, err := url.Parse(owner)
	if err != nil {
		return err
	}
	serve, err := url.Parse(service)
	if err != nil {
		return err
	}
	return c.do(func(ctx context.Context, conn *pgx.Conn) error {
		for _, s := range []string{
			"DROP DATABASE " + strings.TrimPrefix(own.Path, "/") + " WITH (FORCE)",
			"DROP ROLE " + own.Query().Get("user"),
			"DROP ROLE " + serve.Query().Get("user"),
		} {
			if _, err := conn.Exec(ctx, s); err != nil {
				return fmt.Errorf("%s: %w", s, err)
			}
		}
		return nil
	})
}

// do runs f with a connection of the superuser.
func (c *Cluster) do(f func(ctx context.Context, conn *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.url(admin, "postgres"))
	if err != nil {
		return err
	}
	return errors.Join(f(ctx, conn), conn.Close(ctx))
}

// Exec runs a statement as the superuser in the database of a URL that New
// returned.
func (c *Cluster) Exec(t testing.TB, db, statement string, args ...any) {
	t.Helper()
	conn, ctx, done := c.admin(t, db)
	defer done()
	if _, err := conn.Exec(ctx, statement, args...); err != nil {
		t.Fatalf("pgtest: %s: %v", statement, err)
	}
}

// Query scans the only row of a statement that it runs as the superuser in the
// database of a URL that New returned.
func (c *Cluster) Query(t testing.TB, db, statement string, dest ...any) {
	t.Helper()
	conn, ctx, done := c.admin(t, db)
	defer done()
	if err := conn.QueryRow(ctx, statement).Scan(dest...); err != nil {
		t.Fatalf("pgtest: %s: %v", statement, err)
	}
}

// Lock takes tables away from everybody else, readers too, until release is called or the
// test ends: whoever asks for them waits, with the connection that it has. Db is a URL of
// their owner that [New] or [Cluster.New] returned; settings of pools in it are left out.
func Lock(t testing.TB, db string, tables ...string) (release func()) {
	t.Helper()
	u, err := url.Parse(db)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Del("pool_max_conns")
	u.RawQuery = q.Encode()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	conn, err := pgx.Connect(ctx, u.String())
	if err == nil {
		_, err = conn.Exec(ctx, "BEGIN; LOCK TABLE "+strings.Join(tables, ", ")+" IN ACCESS EXCLUSIVE MODE")
	}
	if err != nil {
		cancel()
		t.Fatalf("pgtest: lock %v: %v", tables, err)
	}
	release = sync.OnceFunc(func() {
		_ = conn.Close(ctx) // and with it the transaction
		cancel()
	})
	t.Cleanup(release)
	return release
}

// admin opens a connection of the superuser to the database of a URL, until done is
// called: a test may need more of them than a server has.
func (c *Cluster) admin(t testing.TB, db string) (conn *pgx.Conn, ctx context.Context, done func()) {
	t.Helper()
	u, err := url.Parse(db)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	conn, err = pgx.Connect(ctx, c.url(admin, strings.TrimPrefix(u.Path, "/")))
	if err != nil {
		cancel()
		t.Fatalf("pgtest: %v", err)
	}
	return conn, ctx, func() {
		_ = conn.Close(ctx) // the server may be gone by now
		cancel()
	}
}

// url is the URL of a database for a role.
func (c *Cluster) url(role, db string) string {
	q := url.Values{"host": {c.dir}, "port": {strconv.Itoa(c.port)}, "user": {role}}
	return (&url.URL{Scheme: "postgres", Path: "/" + db, RawQuery: q.Encode()}).String()
}

// Socket is the path of the socket on which the cluster listens.
func (c *Cluster) Socket() string { return filepath.Join(c.dir, ".s.PGSQL."+strconv.Itoa(c.port)) }

// URL returns db, a URL that [New] or [Cluster.New] returned, for the same role
// and database on these clusters. Of several a client takes the one that can be
// written to.
func URL(t testing.TB, db string, on ...*Cluster) string {
	t.Helper()
	u, err := url.Parse(db)
	if err != nil {
		t.Fatal(err)
	}
	var hosts, ports []string
	for _, c := range on {
		hosts = append(hosts, c.dir)
		ports = append(ports, strconv.Itoa(c.port))
	}
	q := u.Query()
	q.Set("host", strings.Join(hosts, ","))
	q.Set("port", strings.Join(ports, ","))
	if len(on) > 1 {
		q.Set("target_session_attrs", "read-write")
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// Programs returns the directory of the server's programs, the newest version
// that is installed; pg_dump and the like are there, too. Without PostgreSQL the
// test is skipped or fails as with [New].
func Programs(t testing.TB) string {
	t.Helper()
	bin, err := programs()
	need(t, err)
	return bin
}

// programs finds the newest version of the server's programs.
var programs = sync.OnceValues(func() (string, error) {
	dirs, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	if p, err := exec.LookPath("initdb"); err == nil {
		if p, err = filepath.EvalSymlinks(p); err == nil {
			dirs = append(dirs, filepath.Dir(p))
		}
	}
	best, newest := "", oldest-1
	for _, dir := range dirs {
		out, err := exec.Command(filepath.Join(dir, "postgres"), "--version").Output()
		if err != nil {
			continue
		}
		// postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)
		_, version, _ := strings.Cut(string(out), "(PostgreSQL) ")
		end := strings.IndexFunc(version, func(r rune) bool { return r < '0' || r > '9' })
		if end < 0 {
			continue
		}
		if v, err := strconv.Atoi(version[:end]); err == nil && v > newest {
			best, newest = dir, v
		}
	}
	if best == "" {
		return "", errMissing
	}
	return best, nil
})
