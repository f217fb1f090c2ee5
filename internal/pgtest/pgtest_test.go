//go:build unix

package pgtest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sanad-id/sanad/internal/pgtest"
)

// childEnv makes the test binary run one test and wait in it to be killed.
const childEnv = "SANAD_PGTEST_CHILD"

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

// rows counts the rows of table note on a new connection.
func rows(t testing.TB, url string) int {
	t.Helper()
	var n int
	if err := connect(t, url).QueryRow(t.Context(), "SELECT count(*) FROM note").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// refused says whether the server answered that a role may not do this.
func refused(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == "42501" // insufficient_privilege
}

func TestNew(t *testing.T) {
	began := time.Now()
	owner, service := pgtest.New(t)
	first := time.Since(began)
	began = time.Now()
	owner2, _ := pgtest.New(t)
	t.Logf("the first database took %v, the second %v", first.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))

	own, serve := connect(t, owner), connect(t, service)
	do(t, own, "CREATE TABLE note (line TEXT)")
	for _, s := range []string{
		"SELECT * FROM note", "INSERT INTO note VALUES ('x')", "DROP TABLE note", "CREATE TABLE mine (line TEXT)", "CREATE ROLE me",
		"CREATE DATABASE mine", "GRANT SELECT ON note TO PUBLIC",
	} {
		if _, err := serve.Exec(t.Context(), s); !refused(err) {
			t.Errorf("%s as the service's role: %v, want a refusal", s, err)
		}
	}
	for _, s := range []string{"CREATE ROLE me", "CREATE DATABASE mine"} {
		if _, err := own.Exec(t.Context(), s); !refused(err) {
			t.Errorf("%s as the owner: %v, want a refusal", s, err)
		}
	}
	var member bool
	err := own.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member
		WHERE r.rolname ~ '^(owner|service)_')`).Scan(&member)
	if err != nil || member {
		t.Errorf("one of the roles is a member of another: %v, %v", member, err)
	}
	if _, err := connect(t, owner2).Exec(t.Context(), "SELECT * FROM note"); err == nil {
		t.Error("the second database has the table of the first")
	}
}

func TestNewDrops(t *testing.T) {
	var owner string
	t.Run("inner", func(t *testing.T) {
		owner, _ = pgtest.New(t)
		do(t, connect(t, owner), "CREATE TABLE note (line TEXT)")
	})
	if _, err := pgx.Connect(t.Context(), owner); err == nil {
		t.Error("the database is still there after its test")
	}
}

// TestKillAndRestart: what was committed is there after every way to end, and
// what was not is not.
func TestKillAndRestart(t *testing.T) {
	c := pgtest.Start(t, pgtest.Options{})
	owner, service := c.New(t)
	do(t, connect(t, owner), "CREATE TABLE note (line TEXT); GRANT SELECT, INSERT ON note TO PUBLIC")
	want := 0
	for _, end := range []struct {
		name string
		end  func(testing.TB)
	}{{"Kill", c.Kill}, {"KillPostmaster", c.KillPostmaster}, {"Stop", c.Stop}} {
		do(t, connect(t, service), "INSERT INTO note VALUES ('stays')")
		want++
		open := connect(t, service)
		do(t, open, "BEGIN; INSERT INTO note VALUES ('goes')")
		end.end(t)
		if c.Running() {
			t.Errorf("%s: Running is true", end.name)
		}
		if _, err := open.Exec(t.Context(), "COMMIT"); err == nil {
			t.Errorf("%s: COMMIT was acknowledged afterwards", end.name)
		}
		c.Restart(t)
		if got := rows(t, owner); got != want {
			t.Errorf("%s: %d rows, want %d", end.name, got, want)
		}
	}
}

func TestSynchronousStandby(t *testing.T) {
	c := pgtest.Start(t, pgtest.Options{})
	owner, _ := c.New(t)
	do(t, connect(t, owner), "CREATE TABLE note (line TEXT)")
	s := c.Standby(t, true)
	both := pgtest.URL(t, owner, c, s)
	do(t, connect(t, both), "INSERT INTO note VALUES ('stays')")
	if got, want := c.Timeline(t), 1; got != want {
		t.Errorf("timeline %d, want %d", got, want)
	}
	c.Kill(t)
	s.Promote(t)
	if got, want := s.Timeline(t), 2; got != want {
		t.Errorf("timeline %d after the promotion, want %d", got, want)
	}
	if got := rows(t, both); got != 1 {
		t.Errorf("%d rows after the promotion, want 1", got)
	}
	do(t, connect(t, both), "INSERT INTO note VALUES ('goes on')")
}

func TestHoldBack(t *testing.T) {
	c := pgtest.Start(t, pgtest.Options{})
	owner, _ := c.New(t)
	do(t, connect(t, owner), "CREATE TABLE note (line TEXT)")
	s := c.Standby(t, false)
	s.HoldBack(t)
	do(t, connect(t, owner), "INSERT INTO note VALUES ('lost')")
	c.Kill(t)
	s.Promote(t)
	if got := rows(t, pgtest.URL(t, owner, s)); got != 0 {
		t.Errorf("%d rows on the standby, want 0", got)
	}
}

// TestChild is what a child of TestNothingIsLeft does until it is killed.
func TestChild(t *testing.T) {
	if os.Getenv(childEnv) == "" {
		return
	}
	pgtest.New(t)
	c := pgtest.Start(t, pgtest.Options{})
	s := c.Standby(t, true)
	dead := pgtest.Start(t, pgtest.Options{})
	owner, _ := c.New(t)
	dead.Kill(t)
	conn := connect(t, owner) // at work when the end comes
	for _, c := range []*pgtest.Cluster{c, s, dead} {
		fmt.Println("folder", filepath.Dir(c.Socket()))
	}
	fmt.Println("ready")
	_, _ = conn.Exec(t.Context(), "SELECT pg_sleep(600)")
}

// TestNothingIsLeft kills a test process that has four clusters.
func TestNothingIsLeft(t *testing.T) {
	pgtest.Programs(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestChild$")
	temp, err := os.MkdirTemp("", "pgt-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(temp) })
	if err := os.Chmod(temp, 0o1777); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), childEnv+"=1", "TMPDIR="+temp)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var folders []string
	ready := false
	for lines := bufio.NewScanner(out); !ready && lines.Scan(); {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "folder":
			folders = append(folders, rest)
		case "ready":
			ready = true
		}
	}
	if !ready || len(folders) != 3 {
		t.Fatalf("the child ended early: %v", cmd.Wait())
	}
	if got := processes(temp); len(got) == 0 {
		t.Error("no process is seen; the test tests little")
	}
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, out)
	_ = cmd.Wait() // says that it was killed
	deadline := time.Now().Add(time.Minute)
	for {
		left, err := os.ReadDir(temp)
		if err != nil {
			t.Fatal(err)
		}
		running := processes(temp)
		if len(left) == 0 && len(running) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("a minute after the kill there are %v in %s, and processes %q", left, temp, running)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// processes are the command lines that name this folder.
func processes(folder string) []string {
	paths, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	var found []string
	for _, p := range paths {
		text, err := os.ReadFile(p)
		if err == nil && strings.Contains(string(text), folder) {
			found = append(found, string(text))
		}
	}
	return found
}
